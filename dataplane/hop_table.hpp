// SPDX-License-Identifier: BSD-3-Clause
#pragma once
// The next hops that a worker sends established flows to, each with its link header ready to be stored. A
// mapping names one by its number, so that a packet asks neither the routes nor the neighbours. Numbers are
// given once and never taken back: a mapping may hold one for as long as it lives.
//
// Invariant: a hop that is ready() has the MAC address that the neighbour table knew at most a few ticks ago.
// One that is not fits no packet, and number 0 never is. Owned by one worker. A table that is full costs
// cycles, nothing else: packets to further hops take the regular path, for as long as the worker runs.

#include <array>
#include <cstdint>

#include "dataplane/burst.hpp"
#include "dataplane/network.hpp"
#include "nat/mapping.hpp"

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
  /// More than the neighbours that there may be.
  static constexpr std::size_t kCapacity = 4096;

  explicit HopTable(const Network& network) noexcept : network_(network) {}

  [[nodiscard]] const ReadyHop& operator[](nat::HopNumber number) const noexcept { return hops_[number]; }

  /// The number of a hop, new or known. \return kNoHop when there is none: a tagged interface, a neighbour
  /// that has not answered (whoever writes to addresses where nobody is uses up no numbers), or no room
  [[nodiscard]] nat::HopNumber number_of(Hop hop) noexcept {
    // One after the other, new flows mostly go the same way.
    if (hop == last_hop_) return last_number_;
    const nat::HopNumber number = look_up(hop);
    if (number == nat::kNoHop) return number;
    last_hop_ = hop;
    last_number_ = number;
    return number;
  }
  /// Takes over what the neighbour table knows, for a part of the hops. Called once a tick.
  void refresh() noexcept;

 private:
  static constexpr unsigned kRefreshedAtOnce = 1024;
  static constexpr std::size_t kMaxHops = kCapacity / 4 * 3;  // so that probing stays short

  [[nodiscard]] static std::size_t home_of(Hop hop) noexcept;
  [[nodiscard]] nat::HopNumber look_up(Hop hop) noexcept;
  void make_ready(ReadyHop& hop) noexcept;

  const Network& network_;
  // By number: open addressing with linear probing, where place 0 is left out.
  std::array<ReadyHop, kCapacity> hops_{};
  std::array<nat::HopNumber, kMaxHops> used_{};  // the numbers given, in the order of giving
  Hop last_hop_;                                 // at first one that nobody asks for: its next hop is 0.0.0.0
  nat::HopNumber last_number_ = nat::kNoHop;
  unsigned size_ = 0;
  unsigned next_ = 0;  // the next of `used_` to be refreshed
};

}  // namespace pinhole::dataplane
