// SPDX-License-Identifier: BSD-3-Clause
#pragma once
// The blocks of external ports that a worker deals out to its hosts, and the ports in them (modes blocks and
// deterministic of nat/port_plan.hpp). A block is one slot here, with a set of free ports for each protocol.
//
// In mode blocks the blocks of each external address are dealt out to workers by turns (owner_of_block(),
// over these blocks instead of those of 64 ports), and a host is assigned a random free one of its address. A
// block whose last port was given back is its host's no more. It rests then before anybody else gets it: late
// packets of the former host's peers must not reach the next one (RFC 6888 REQ-8). All blocks rest equally
// long, so those that do stand in a queue, and each rests exactly as long as asked. Within a block, a port is
// free again at once: it was the same host's, and will be.
//
// In mode deterministic a worker has the blocks of the subscribers that it owns, for good.
//
// Invariant: a block is free, assigned, resting, or has a protocol none of whose ports may be used (static
// forwards), and is then assigned to nobody. Owned by one worker.

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "nat/endpoint.hpp"
#include "nat/memory.hpp"
#include "nat/ownership.hpp"
#include "nat/port_plan.hpp"
#include "nat/port_set.hpp"
#include "nat/random.hpp"
#include "nat/tick.hpp"

namespace pinhole::nat {

class PortBlocks {
 public:
  /// A block of this worker.
  using Slot = std::uint32_t;
  static constexpr Slot kNone = ~Slot{0};

  /// What the blocks of a worker are; the same for bytes_needed() and the constructor.
  struct Deal {
    PortPlan plan{};
    Subscribers subscribers{};
    std::uint32_t pool_size = 0;
    unsigned worker = 0;
    unsigned workers = 1;
    Tick rest = 0;
  };
  /// Nothing in mode random. Cost: looks at each subscriber.
  [[nodiscard]] static std::size_t bytes_needed(const Deal& deal) noexcept;
  PortBlocks(const Deal& deal, Carver memory) noexcept;

  /// The block as others know it.
  [[nodiscard]] PortBlock at(Slot slot) const noexcept;
  /// The slot that a port lies in; kNone when it is another worker's, or in no block.
  [[nodiscard]] Slot find(std::uint16_t pool_index, std::uint16_t port) const noexcept;
  /// Mode deterministic: the slot of a subscriber of this worker. Cost: a binary search.
  [[nodiscard]] Slot find_subscriber(std::uint32_t number) const noexcept;

  // Mode blocks: whose a block is.

  [[nodiscard]] bool has_free(std::uint16_t pool_index) const noexcept;
  /// An address with a free block, the next one from a random one on, or none when there is none.
  /// Cost: a step for 64 addresses without one; nothing when no address has one.
  [[nodiscard]] std::optional<std::uint16_t> find_room(Random& random) const noexcept;
  /// A random free block of an address, or kNone; no longer free then. Each is as likely as any other.
  [[nodiscard]] Slot assign(std::uint16_t pool_index, Random& random) noexcept;
  /// Gives an assigned block back; it rests from the next sweep on. Precondition: none of its ports is taken
  void release(Slot slot) noexcept;
  /// Frees blocks that have rested; to be called each turn. \param budget  blocks to look at, at most
  void sweep(Tick now, std::uint32_t budget) noexcept;
  /// Links the blocks of a host; whoever has them assigned writes it. Undefined while a block rests.
  [[nodiscard]] Slot& next(Slot slot) noexcept { return blocks_[slot].next; }

  // Ports.

  /// A random port of a block, even or odd as asked for, or none.
  [[nodiscard]] std::optional<std::uint16_t> take(Slot slot, Protocol protocol, bool odd,
                                                  Random& random) noexcept;
  /// An even UDP port and the next one, or none.
  [[nodiscard]] std::optional<std::uint16_t> take_pair(Slot slot, Random& random,
                                                       Protocol protocol = Protocol::udp) noexcept;
  /// \return false when the port is not of the block, or not free
  [[nodiscard]] bool take_exactly(Slot slot, Protocol protocol, std::uint16_t port) noexcept;
  /// Gives a port back. \return whether it was the last one of its block, of any protocol
  [[nodiscard]] bool put_back(Slot slot, Protocol protocol, std::uint16_t port) noexcept;
  /// Takes a port out for good. Nothing happens when it is in no block of this worker, or in use.
  void reserve(Protocol protocol, std::uint16_t pool_index, std::uint16_t port) noexcept;

  [[nodiscard]] std::uint32_t ports_in_use() const noexcept { return ports_in_use_; }
  /// Blocks that are assigned and that rest.
  [[nodiscard]] std::uint32_t assigned() const noexcept { return assigned_; }
  [[nodiscard]] std::uint32_t resting() const noexcept { return resting_; }

 private:
  struct Block {
    Slot next = kNone;  // of the host's blocks, or of those that rest
    Tick rests_since = 0;
    std::uint16_t pool_index = 0;
    std::uint16_t first_port = 0;
    std::uint16_t ports_in_use = 0;  // of all protocols
  };
  static_assert(kProtocols * kMaxPortBlock <= 0xffff);

  [[nodiscard]] static std::uint32_t slots_of_address(const Deal& deal) noexcept {
    return (deal.plan.blocks_per_address() + deal.workers - 1) / deal.workers;
  }
  [[nodiscard]] static std::uint32_t slot_count(const Deal& deal) noexcept;
  [[nodiscard]] static std::size_t memory_per_set(const Deal& deal) noexcept {
    return PortSet::memory_needed(deal.plan.block_size / kPortBlock);
  }
  [[nodiscard]] static std::uint32_t free_words(const Deal& deal) noexcept {
    return deal.plan.mode == PortMode::blocks ? (slots_of_address(deal) + 63) / 64 : 0;
  }
  [[nodiscard]] static std::uint32_t room_words(const Deal& deal) noexcept {
    return deal.plan.mode == PortMode::blocks ? (deal.pool_size + 63) / 64 : 0;
  }
  [[nodiscard]] std::span<std::uint64_t> free_of(std::uint16_t pool_index) const noexcept {
    return free_.subspan(std::size_t{pool_index} * free_words_, free_words_);
  }
  void place_subscribers() noexcept;
  void place_blocks() noexcept;
  [[nodiscard]] PortSet set_of(Slot slot, Protocol protocol) const noexcept;
  [[nodiscard]] bool has_every_protocol(Slot slot) const noexcept;
  void mark(Slot slot, bool free) noexcept;

  Deal deal_;
  std::uint32_t slots_of_address_;  // mode blocks
  std::uint32_t free_words_;
  std::size_t memory_per_set_;
  std::span<Block> blocks_;
  std::span<std::uint32_t> numbers_;  // mode deterministic: the subscriber of each slot, in order
  std::span<std::uint64_t> free_;     // mode blocks: for each address a bit for each slot that is free
  std::span<std::uint64_t> rooms_;    // mode blocks: a bit for each address that has a free block
  std::span<std::uint64_t> sets_;
  Slot oldest_ = kNone;  // of those that rest, a queue through `next`
  Slot newest_ = kNone;
  Slot unstamped_ = kNone;  // the oldest of those that no sweep has seen yet
  std::uint32_t ports_in_use_ = 0;
  std::uint32_t assigned_ = 0;
  std::uint32_t resting_ = 0;
  std::uint32_t free_blocks_ = 0;
};

}  // namespace pinhole::nat
