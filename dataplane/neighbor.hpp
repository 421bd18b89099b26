// SPDX-License-Identifier: BSD-3-Clause
#pragma once
// Neighbours: which MAC address an IPv4 address has on an interface. One table for the whole data plane with
// one writer (the worker that owns ARP) and any number of readers that take no lock. It also holds the
// packets that wait for an address to be resolved, as opaque pointers.
//
// A slot is two atomic words, each of which carries the slot's generation. Invariant: words of the same
// generation belong together; a reader that sees two generations has met the writer, and says "not known",
// which only sends the packet the slow way. Slots are found by linear probing and moved back when one before
// them is freed, so that there are no tombstones; a reader may overlook a neighbour while it moves, with the
// same harmless end.
//
// A neighbour is `incomplete` as long as packets wait for its address, at most kResolve_s; then it is
// `reachable` or gone. A reachable one is asked again after kFresh_s, stays usable while it is asked, and
// goes when it did not answer.

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "nat/endpoint.hpp"
#include "nat/headers.hpp"
#include "nat/tick.hpp"

namespace pinhole::dataplane {

/// Whom to ask for a MAC address. `known` is the address to ask at: a neighbour's that is only to be
/// confirmed (RFC 1122 section 2.3.2.1, unicast poll), otherwise the broadcast address.
struct NeighborQuestion {
  std::uint8_t interface;
  nat::Ipv4Address address;
  nat::MacAddress known;
};

/// What became of a packet without a known MAC address.
enum class Enqueued : std::uint8_t {
  queued,    // it waits
  ask,       // it waits, and the neighbour is to be asked for now: it is new
  full,      // no room: the caller keeps it (drop_neighbor_queue_full)
  resolved,  // the address has become known: the caller keeps it, and find() tells where to
};

class NeighborTable {
 public:
  static constexpr std::size_t kCapacity = 4096;
  /// Probing stays short while a quarter of the slots is empty.
  static constexpr std::size_t kMaxNeighbors = kCapacity / 4 * 3;
  static constexpr std::size_t kMaxPending = 256;
  static constexpr std::size_t kMaxPendingOfOne = 8;
  static constexpr std::uint32_t kFresh_s = 60;
  static constexpr std::uint32_t kResolve_s = 3;
  static constexpr nat::Tick kAskEvery = nat::kTicksPerSecond;
  static constexpr unsigned kMaxAsked = 3;

  [[nodiscard]] static std::size_t bytes_needed() noexcept;
  /// \param memory  of bytes_needed(), aligned to a cache line, which outlives the table
  explicit NeighborTable(std::span<std::byte> memory) noexcept;
  NeighborTable(const NeighborTable&) = delete;
  NeighborTable& operator=(const NeighborTable&) = delete;

  /// The MAC address of a reachable neighbour. Thread: any. Cost: two loads; one line, rarely two.
  [[nodiscard]] std::optional<nat::MacAddress> find(std::uint8_t interface,
                                                    nat::Ipv4Address address) const noexcept {
    const std::uint64_t raw = find_raw(interface, address);
    if (raw == kUnknown) return std::nullopt;
    return nat::MacAddress::from_raw(raw);
  }

  /// The same as one word, which stays in a register: the address is what MacAddress::set() takes from it.
  static constexpr std::uint64_t kUnknown = 0;
  [[nodiscard]] std::uint64_t find_raw(std::uint8_t interface, nat::Ipv4Address address) const noexcept {
    const std::uint64_t wanted = key_of(interface, address);
    for (std::size_t at = home_of(wanted);; at = next(at)) {
      const std::uint64_t key = slots_[at].key.load(std::memory_order_acquire);
      if (key == kEmpty) return kUnknown;
      if ((key & ~kGenerationInKey) != wanted) continue;
      const std::uint64_t value = slots_[at].value.load(std::memory_order_acquire);
      const bool torn = (key & kGenerationInKey) >> kKeyShift != (value & kGenerationInValue) >> kValueShift;
      return torn || state_of(value) != State::reachable ? kUnknown : value;
    }
  }

  // What follows is the writer's alone.

  /// Takes what ARP said. \param add_new  learn the neighbour when it is not known yet (it spoke to us), or
  /// only refresh it (it spoke to somebody else): RFC 826.
  /// \param release  called as release(void* packet) for each packet that waited, in order; it may use
  /// find(),
  ///                 and nothing else of the table
  /// \return false when the table is full or the MAC address is nobody's
  template <typename Release>
  bool learn(std::uint8_t interface, nat::Ipv4Address address, const nat::MacAddress& mac, bool add_new,
             nat::Tick now, Release&& release) noexcept {
    const std::uint16_t at = learn_slot(interface, address, mac, add_new, now);
    if (at == kNone) return false;
    release_all(take_pending(at), release);
    return true;
  }

  /// Takes a packet that waits for a neighbour's MAC address, until learn() or tick() gives it back.
  [[nodiscard]] Enqueued enqueue(std::uint8_t interface, nat::Ipv4Address address, void* packet,
                                 nat::Tick now) noexcept;

  /// Looks after a quarter of the table; called once a tick.
  /// \param ask   called as ask(const NeighborQuestion&)
  /// \param drop  called as drop(void* packet): nobody answered (drop_neighbor_unresolved)
  /// Neither may use the table. Cost: about 3 µs.
  template <typename Ask, typename Drop>
  void tick(nat::Tick now, Ask&& ask, Drop&& drop) noexcept {
    for (std::size_t looked_at = 0; looked_at < kCapacity / 4; ++looked_at) {
      const auto at = hand_;
      switch (look_after(at, now)) {
        case Care::none:
          break;
        case Care::ask:
          ask(question_about(at));
          break;
        case Care::forget: {
          const std::uint16_t pending = take_pending(at);
          erase(at);
          release_all(pending, drop);
          continue;  // another neighbour may have moved to this place
        }
      }
      hand_ = static_cast<std::uint16_t>(next(at));
    }
  }

  /// Gives every waiting packet back, for the end of the data plane.
  template <typename Drop>
  void drain(Drop&& drop) noexcept {
    for (std::uint16_t at = 0; at < kCapacity; ++at) release_all(take_pending(at), drop);
  }

  /// Where probing for a neighbour begins: tells who meets whom.
  [[nodiscard]] static constexpr std::size_t home_slot(std::uint8_t interface,
                                                       nat::Ipv4Address address) noexcept {
    return home_of(key_of(interface, address));
  }
  [[nodiscard]] std::size_t size() const noexcept { return size_; }
  [[nodiscard]] std::size_t pending() const noexcept { return pending_; }

 private:
  enum class State : std::uint8_t { none, incomplete, reachable };
  enum class Care : std::uint8_t { none, ask, forget };

  // key:   used (1 bit) | generation (14) | 0 (9) | interface (8) | address (32)
  // value: state (2 bits) | generation (14) | MAC address (48)
  struct Slot {
    std::atomic<std::uint64_t> key{0};
    std::atomic<std::uint64_t> value{0};
  };
  static_assert(sizeof(Slot) == 16 && std::atomic<std::uint64_t>::is_always_lock_free);
  static constexpr std::uint64_t kEmpty = 0;
  static constexpr std::uint64_t kUsed = std::uint64_t{1} << 63U;
  static constexpr std::uint64_t kGenerationMask = 0x3fff;
  static constexpr unsigned kKeyShift = 49;
  static constexpr unsigned kValueShift = 48;
  static constexpr unsigned kStateShift = 62;
  static constexpr std::uint64_t kGenerationInKey = kGenerationMask << kKeyShift;
  static constexpr std::uint64_t kGenerationInValue = kGenerationMask << kValueShift;

  // What only the writer needs to know of the neighbour in the slot of the same number.
  struct Record {
    nat::Tick since = 0;     // incomplete: first packet; reachable: last word from it
    nat::Tick asked_at = 0;  // valid when asked > 0
    std::uint16_t first = kNone;
    std::uint16_t last = kNone;
    std::uint8_t waiting = 0;
    std::uint8_t asked = 0;
    std::uint16_t generation = 0;  // of the slot: stays when the neighbour moves
  };
  struct Pending {
    void* packet = nullptr;
    std::uint16_t next = kNone;
  };
  static constexpr std::uint16_t kNone = 0xffff;

  static constexpr std::uint64_t key_of(std::uint8_t interface, nat::Ipv4Address address) noexcept {
    return kUsed | std::uint64_t{interface} << 32U | address.value.raw();
  }
  static constexpr std::size_t home_of(std::uint64_t key) noexcept {
    return static_cast<std::size_t>((key & ~kGenerationInKey) * 0x9e3779b97f4a7c15U >> 52U);
  }
  static_assert(kCapacity == std::size_t{1} << (64 - 52));
  static constexpr std::size_t next(std::size_t at) noexcept { return (at + 1) % kCapacity; }
  static constexpr State state_of(std::uint64_t value) noexcept {
    return static_cast<State>(value >> kStateShift);
  }

  [[nodiscard]] std::uint16_t slot_of(std::uint64_t key) const noexcept;
  [[nodiscard]] std::uint16_t add(std::uint64_t key, State state, const nat::MacAddress& mac,
                                  nat::Tick now) noexcept;
  void write(std::size_t at, std::uint64_t key, std::uint64_t state_and_mac) noexcept;
  void set(std::size_t at, State state, const nat::MacAddress& mac) noexcept;
  void erase(std::uint16_t at) noexcept;
  [[nodiscard]] std::uint16_t learn_slot(std::uint8_t interface, nat::Ipv4Address address,
                                         const nat::MacAddress& mac, bool add_new, nat::Tick now) noexcept;
  [[nodiscard]] Care look_after(std::uint16_t at, nat::Tick now) noexcept;
  [[nodiscard]] NeighborQuestion question_about(std::uint16_t at) const noexcept;
  [[nodiscard]] std::uint16_t take_pending(std::uint16_t at) noexcept;

  template <typename Callback>
  void release_all(std::uint16_t pending, Callback&& callback) noexcept {
    while (pending != kNone) {
      auto& node = pool_[pending];
      void* const packet = node.packet;
      const std::uint16_t following = node.next;
      node.next = free_;
      free_ = pending;
      --pending_;
      pending = following;
      callback(packet);
    }
  }

  std::span<Slot> slots_;
  std::span<Record> records_;
  std::array<Pending, kMaxPending> pool_;
  std::uint16_t free_ = 0;
  std::uint16_t hand_ = 0;  // where tick() goes on
  std::size_t size_ = 0;
  std::size_t pending_ = 0;
};

}  // namespace pinhole::dataplane
