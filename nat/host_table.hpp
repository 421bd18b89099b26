// SPDX-License-Identifier: BSD-3-Clause
#pragma once
// The inside hosts that have mappings: how many of each protocol a host has and how fast it may make new ones
// (RFC 6888 REQ-4 and REQ-5), and, of a host with ports of the pool, which external address it was given (RFC
// 4787 REQ-2, RFC 6888 REQ-2) and which blocks. Touched when a mapping is made or freed, never by a packet
// that finds its mapping.
//
// Every mapping counts that a packet or an ALG makes: one that is not translated, or whose port is that of a
// static mapping, is state like any other. But it leaves the external address open, so that the host gets the
// one of its hash when it first needs a port.
//
// Invariant: a host is in the table while it has mappings or one is being made, and no longer; it has an
// external address while it has ports of it or one is being taken, and no longer; so that cannot change while
// anybody outside could know it. What a host had used of its rate is forgotten with it: usually it has been
// idle for longer than the bucket takes to fill.
// Memory is given once. Owned by one worker.

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include "nat/drop_reason.hpp"
#include "nat/endpoint.hpp"
#include "nat/hash_chains.hpp"
#include "nat/memory.hpp"
#include "nat/prefetch.hpp"
#include "nat/tick.hpp"

namespace pinhole::nat {

/// What one inside host may have; 0: as much as there is.
struct HostQuotas {
  std::array<std::uint32_t, kProtocols> mappings{};  // at a time, by protocol
  std::array<std::uint32_t, kProtocols> ports{};     // those of them that take a port of the pool
  std::uint32_t new_per_s = 0;                       // mappings made by packets
  std::uint32_t burst = 1;                           // of them at once, after a pause; 1..kMaxBurst

  static constexpr std::uint32_t kMaxBurst = 1U << 28U;
};

/// What a mapping takes of what its host may have: a port of its external address and state, or state alone.
enum class Takes : std::uint8_t { port, state };

class HostTable {
 public:
  using Place = std::uint32_t;
  static constexpr Place kNone = HashChains::kNone;
  /// So many mappings for media may a host have over its quota of UDP mappings: a host at its limit can
  /// still speak in eight calls.
  static constexpr std::uint32_t kMediaReserve = 16;

  /// \param capacity hosts, 1..2^30
  [[nodiscard]] static constexpr std::size_t bytes_needed(std::uint32_t capacity) noexcept {
    return HashChains::bytes_needed(capacity) + carved_bytes<Host>(capacity);
  }
  /// \param seed secret, so that nobody can choose addresses that share a chain
  HostTable(std::uint32_t capacity, const HostQuotas& quotas, std::uint64_t seed, Carver memory) noexcept;

  /// The host of an inside address, or kNone when it has no mapping.
  [[nodiscard]] Place find(Ipv4Address address) const noexcept;
  // The same in steps, each of which reads the line that the one before it asked for.
  void prefetch(Ipv4Address address) const noexcept { chains_.prefetch(address.host()); }
  /// Where the host probably is, or kNone; the line is being fetched.
  [[nodiscard]] Place guess(Ipv4Address address) const noexcept {
    const Place place = chains_.first(address.host());
    if (place != kNone) nat::prefetch(&hosts_[place]);
    return place;
  }
  /// \param guess  guess() of the address, however long ago; or kNone
  [[nodiscard]] Place find(Ipv4Address address, Place guess) const noexcept {
    if (guess != kNone && hosts_[guess].address == address) [[likely]]
      return guess;
    return find(address);
  }
  /// Whether the host has an external address; if not, pool_index() means nothing. \param place of a host
  [[nodiscard]] bool has_address(Place place) const noexcept { return hosts_[place].has_address; }
  /// Number of the host's external address. \param place of a host
  [[nodiscard]] std::uint16_t pool_index(Place place) const noexcept { return hosts_[place].pool_index; }
  [[nodiscard]] std::uint32_t mappings(Place place, Protocol protocol) const noexcept {
    return hosts_[place].mappings[static_cast<std::size_t>(protocol)];
  }

  /// Whether a host may have a mapping more; it costs a token of its rate when it may.
  /// \param place of the host, or kNone for one that has no mapping yet: it may, if there is room for it
  /// \return none, or why not: a quota, or no room for another host
  [[nodiscard]] DropReason ask(Place place, Protocol protocol, Tick now, Takes takes = Takes::port) noexcept;
  /// The same for a mapping that a packet from outside asks for. The last quarter of the table, of what the
  /// host may have and of its burst is not for this: who scans from outside must not use up what is needed
  /// inside.
  [[nodiscard]] DropReason ask_from_outside(Place place, Protocol protocol, Tick now) noexcept;
  /// Whether a host may have so many mappings more for media. They are few and follow signalling, so they
  /// cost no tokens and may go over the quota by kMediaReserve.
  [[nodiscard]] DropReason ask_for_media(Place place, std::uint32_t count,
                                         Takes takes = Takes::port) const noexcept;

  /// Brings a host in that is not there, without an external address. Precondition: there is room (ask()).
  [[nodiscard]] Place add(Ipv4Address address, Tick now) noexcept;
  /// Gives a host an external address. Precondition: it has none
  void give_address(Place place, std::uint16_t pool_index) noexcept {
    hosts_[place].pool_index = pool_index;
    hosts_[place].has_address = true;
  }
  /// Counts a mapping of a host. Precondition of Takes::port: it has an external address
  void count(Place place, Protocol protocol, Takes takes = Takes::port) noexcept {
    Host& host = hosts_[place];
    ++host.mappings[static_cast<std::size_t>(protocol)];
    if (takes == Takes::port) ++host.ports[static_cast<std::size_t>(protocol)];
  }
  /// Counts a mapping less; the last one takes the host out, the last port its external address.
  void uncount(Place place, Protocol protocol, Takes takes = Takes::port) noexcept;
  /// Takes a host out that has no mapping, and the external address away from one that has no port: what it
  /// was for was not made.
  void remove_if_idle(Place place) noexcept;

  [[nodiscard]] Ipv4Address address(Place place) const noexcept { return hosts_[place].address; }
  /// The first of the host's blocks of ports (PortBlocks), which HostPorts writes.
  [[nodiscard]] std::uint32_t& first_block(Place place) noexcept { return hosts_[place].first; }

  [[nodiscard]] std::uint32_t size() const noexcept { return size_; }
  [[nodiscard]] std::uint32_t capacity() const noexcept { return static_cast<std::uint32_t>(hosts_.size()); }

 private:
  /// Half a cache line, so that none lies across two.
  struct alignas(32) Host {
    Ipv4Address address;          // 0.0.0.0, which is no host's: the place is free
    Tick filled = 0;              // when `credit` was what it says
    std::uint32_t credit = 0;     // tokens × ticks a second, so that nothing is lost to rounding
    std::uint32_t first = kNone;  // of the host's blocks; of a place that is free, the next free one
    // An external address has no more ports than these count, and one ICMP identifier more.
    std::array<std::uint16_t, kProtocols> mappings{};
    std::array<std::uint16_t, kProtocols> ports{};  // mappings that have one of the pool
    std::uint16_t pool_index = 0;
    bool has_address = false;
  };
  static_assert(sizeof(Host) == 32);
  /// Whatever the quota: what `mappings` can count.
  static constexpr std::uint32_t kMostMappings = 0xffff;

  using Limits = std::array<std::uint32_t, kProtocols>;

  [[nodiscard]] static constexpr std::uint32_t limit_of(std::uint32_t quota) noexcept {
    return quota == 0 ? kMostMappings : std::min(quota, kMostMappings);
  }
  [[nodiscard]] bool take_token(Host& host, Tick now, std::uint32_t left = 0) const noexcept;

  std::uint32_t new_per_s_;
  std::uint32_t full_;  // the most credit
  Limits mappings_;
  Limits ports_;
  HashChains chains_;
  std::span<Host> hosts_;
  Place first_free_ = kNone;  // a stack through `first`
  std::uint32_t fresh_ = 0;   // no place from here on was ever taken
  std::uint32_t size_ = 0;
};

// In the header, because each new mapping comes by.

inline HostTable::Place HostTable::find(Ipv4Address address) const noexcept {
  for (Place place = chains_.first(address.host()); place != kNone; place = chains_.next(place)) {
    if (hosts_[place].address == address) return place;
  }
  return kNone;
}

inline DropReason HostTable::ask(Place place, Protocol protocol, Tick now, Takes takes) noexcept {
  if (place == kNone) return size_ < capacity() ? DropReason::none : DropReason::drop_host_table_full;
  const auto p = static_cast<std::size_t>(protocol);
  Host& host = hosts_[place];
  if (host.mappings[p] >= mappings_[p] || (takes == Takes::port && host.ports[p] >= ports_[p]))
    return DropReason::drop_quota_mappings;
  return take_token(host, now) ? DropReason::none : DropReason::drop_quota_rate;
}

inline bool HostTable::take_token(Host& host, Tick now, std::uint32_t left) const noexcept {
  if (new_per_s_ == 0) return true;
  const std::uint64_t gained = std::uint64_t{now - host.filled} * new_per_s_;
  host.credit = static_cast<std::uint32_t>(std::min(host.credit + gained, std::uint64_t{full_}));
  host.filled = now;
  if (host.credit < kTicksPerSecond + left) return false;
  host.credit -= kTicksPerSecond;
  return true;
}

}  // namespace pinhole::nat
