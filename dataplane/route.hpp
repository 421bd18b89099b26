// SPDX-License-Identifier: BSD-3-Clause
#pragma once
// Routes: by which interface and by which neighbour an address is reached. Built once from the configuration
// and constant while workers run, so that all of them may read it.
//
// The longest prefix is the first match in a list that is sorted by length. An appliance between a voice
// network and the internet has a handful of routes, and comparing an address with eight of them (half of them
// in one cache line) costs less than one miss in a trie would; with the most that the configuration admits it
// is still under 300 compares.

#include <array>
#include <cstddef>
#include <cstdint>

#include "dataplane/config/structs.hpp"
#include "nat/endpoint.hpp"

namespace pinhole::dataplane {

enum class RouteKind : std::uint8_t {
  none,       // no route
  forward,    // reached by next_hop
  local,      // an interface's own address
  broadcast,  // of a connected subnet, its all-zeros form too (RFC 1122 section 3.2.1.3): nobody's
};

struct Route {
  RouteKind kind = RouteKind::none;
  std::uint8_t interface = 0;                // its number in the configuration
  config::Zone zone = config::Zone::inside;  // of the interface
  nat::Ipv4Address next_hop;                 // the destination itself in a connected subnet
};

class RouteTable {
 public:
  static constexpr std::size_t kMaxInterfaces = 16;
  static constexpr std::size_t kMaxStatic = 256;
  // Each interface may bring a connected route and a default gateway.
  static constexpr std::size_t kMaxRoutes = kMaxStatic + 2 * kMaxInterfaces;

  /// No routes at all.
  RouteTable() noexcept = default;
  /// \param config  valid: at most kMaxInterfaces interfaces and kMaxStatic routes. Of several routes to the
  /// same
  ///                prefix the first counts. A static route whose next hop is in no connected subnet is left
  ///                out.
  explicit RouteTable(const config::Config& config) noexcept;

  /// Longest prefix match. Thread: any. Cost: a compare a route that is longer than the one that matches.
  [[nodiscard]] Route find(nat::Ipv4Address destination) const noexcept {
    const std::uint32_t address = destination.value.raw();
    for (std::size_t i = 0; i < size_; ++i) {
      const Entry& entry = entries_[i];
      if ((address & entry.mask) != entry.network) continue;
      if (!entry.connected) return {RouteKind::forward, entry.interface, entry.zone, entry.address};
      return {kind_in_subnet(entry, destination), entry.interface, entry.zone, destination};
    }
    return {};
  }

  /// One of the interfaces' own addresses.
  [[nodiscard]] bool is_local(nat::Ipv4Address address) const noexcept {
    return find(address).kind == RouteKind::local;
  }

  [[nodiscard]] std::size_t size() const noexcept { return size_; }

 private:
  struct Entry {
    std::uint32_t network = 0;  // both as they are on the wire
    std::uint32_t mask = 0;
    nat::Ipv4Address address;  // of the next hop; connected: our own
    std::uint8_t interface = 0;
    config::Zone zone = config::Zone::inside;
    bool connected = false;
    std::uint8_t length = 0;
  };
  static_assert(sizeof(Entry) == 16);

  static RouteKind kind_in_subnet(const Entry& entry, nat::Ipv4Address destination) noexcept {
    if (destination == entry.address) return RouteKind::local;
    constexpr std::uint8_t kPointToPoint = 31;  // RFC 3021: both addresses are hosts
    const std::uint32_t host = destination.value.raw() & ~entry.mask;
    const bool group = entry.length < kPointToPoint && (host == 0 || host == ~entry.mask);
    return group ? RouteKind::broadcast : RouteKind::forward;
  }
  void add(nat::Prefix prefix, nat::Ipv4Address address, std::uint8_t interface, config::Zone zone,
           bool connected) noexcept;

  std::array<Entry, kMaxRoutes> entries_;
  std::size_t size_ = 0;
};

}  // namespace pinhole::dataplane
