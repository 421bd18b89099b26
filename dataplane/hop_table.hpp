// SPDX-License-Identifier: BSD-3-Clause
#pragma once
// The next hops that a worker sends established flows to, each with its link header ready to be stored. A
// mapping names one by its number, so that a packet asks neither the routes nor the neighbours.
//
// A mapping may hold a number for as long as it lives, and nobody counts who does. So when the table gets
// full, numbers of hops that have gone are taken back with care: such a hop is doomed first, which makes it
// fit no packet and given to no mapping any more; then all mappings of the worker are gone through, a part a
// tick, and forget doomed hops; only then the numbers are free.
//
// Invariant: a hop that is ready() has the MAC address that the neighbour table knew at most a few ticks ago.
// One that is not fits no packet, and number 0 never is; a number that is free is held by no mapping. Owned
// by one worker. A table that is full costs cycles, nothing else: packets to further hops take the regular
// path.

#include <array>
#include <bitset>
#include <cstddef>
#include <cstdint>

#include "dataplane/burst.hpp"
#include "dataplane/network.hpp"
#include "nat/hash_chains.hpp"
#include "nat/mapping.hpp"
#include "nat/memory.hpp"
#include "nat/translator.hpp"

namespace pinhole::dataplane {

/// Half a cache line, so that none lies across two.
struct alignas(32) ReadyHop {
  std::uint64_t header_begin = 0;  // bytes 0..7 of the Ethernet header
  std::uint64_t header_end = 0;    // bytes 6..13
  std::uint16_t mtu = 0;           // 0: not ready
  std::uint16_t port = 0;          // index into Network::ports
  Hop hop;
};
static_assert(sizeof(ReadyHop) == 32);

class HopTable {
 public:
  static constexpr std::size_t kCapacity = 4096;
  /// As many as the neighbours that there may be.
  static constexpr std::size_t kMaxHops = kCapacity / 4 * 3;

  explicit HopTable(const Network& network) noexcept;
  HopTable(const HopTable&) = delete;
  HopTable& operator=(const HopTable&) = delete;

  [[nodiscard]] const ReadyHop& operator[](nat::HopNumber number) const noexcept { return hops_[number]; }

  /// The number of a hop, new or known. \return kNoHop when there is none: a tagged interface, a neighbour
  /// that has not answered (whoever writes to addresses where nobody is uses up no numbers), one that is
  /// doomed, or no room
  [[nodiscard]] nat::HopNumber number_of(Hop hop) noexcept {
    // One after the other, new flows mostly go the same way.
    if (hop == last_hop_) return last_number_;
    const nat::HopNumber number = look_up(hop);
    if (number == nat::kNoHop) return number;
    last_hop_ = hop;
    last_number_ = number;
    return number;
  }
  /// Takes over what the neighbour table knows, for a part of the hops, and takes numbers back when they get
  /// few. Called once a tick. \param translator  all mappings that may hold a number
  /// Cost: about 5 µs; some 30 µs while mappings are gone through, and where that begins.
  void refresh(nat::Translator& translator) noexcept;

  /// Numbers that are given, and how many were taken back ever since.
  [[nodiscard]] unsigned size() const noexcept { return size_; }
  [[nodiscard]] std::uint64_t reclaimed() const noexcept { return reclaimed_; }

  // When numbers are taken back: so many are given, and so many of them are of hops that have gone.
  static constexpr unsigned kReclaimFrom = kMaxHops / 4 * 3;
  static constexpr unsigned kWorthwhile = kMaxHops / 16;
  static constexpr nat::MappingIndex kMappingsAtOnce = 2048;

 private:
  static constexpr unsigned kRefreshedAtOnce = 1024;
  static constexpr std::uint32_t kPlaces = kMaxHops + 1;  // by number, of which 0 is none

  [[nodiscard]] static std::uint64_t hash_of(Hop hop) noexcept {
    return std::uint64_t{hop.interface} << 32U | hop.next_hop.host();
  }
  [[nodiscard]] nat::HopNumber look_up(Hop hop) noexcept;
  [[nodiscard]] nat::HopNumber take_number() noexcept;
  void make_ready(ReadyHop& hop) noexcept;
  void doom() noexcept;
  void forget(nat::Translator& translator) noexcept;
  void take_back() noexcept;

  const Network& network_;
  std::array<ReadyHop, kCapacity> hops_{};  // by number; a free one's next hop is 0.0.0.0
  alignas(nat::kCacheLine) std::array<std::byte, nat::HashChains::bytes_needed(kPlaces)> chain_memory_{};
  nat::HashChains chains_;
  std::bitset<kPlaces> doomed_;
  std::array<nat::HopNumber, kMaxHops> freed_{};  // a stack
  Hop last_hop_;  // at first one that nobody asks for: its next hop is 0.0.0.0
  nat::HopNumber last_number_ = nat::kNoHop;
  unsigned size_ = 0;
  unsigned ready_ = 0;  // of them
  unsigned freed_count_ = 0;
  unsigned fresh_ = 1;  // no number from here on was ever given
  unsigned next_ = 1;   // to be refreshed
  std::uint64_t reclaimed_ = 0;
  bool is_reclaiming_ = false;
  nat::MappingIndex next_mapping_ = 0;  // to be gone through
};

}  // namespace pinhole::dataplane
