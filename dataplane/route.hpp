// SPDX-License-Identifier: BSD-3-Clause
#pragma once
// Routes: by which interface and by which neighbour an address is reached. Built once from the configuration
// and constant while workers run, so that all of them may read it.
//
// The longest prefix is the first match in a list that is sorted by length. An appliance between a voice
// network and the internet has a handful of routes, and eight of them are compared with an address at once,
// which costs less than one miss in a trie would; with the most that the configuration admits it is 36
// compares.

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>

#include "dataplane/config/structs.hpp"
#include "nat/endpoint.hpp"

#if defined(__AVX2__)
#include <immintrin.h>
#endif

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

  /// Longest prefix match. Thread: any. Cost: a compare for every eight routes down to the one that matches.
  [[nodiscard]] Route find(nat::Ipv4Address destination) const noexcept {
    for (std::size_t first = 0; first < size_; first += kAtOnce) {
      const std::uint32_t fits = match(first, destination.value.raw());
      if (fits == 0) continue;
      const std::size_t at = first + static_cast<std::size_t>(std::countr_zero(fits));
      const Entry& entry = entries_[at];
      if (!entry.connected) return {RouteKind::forward, entry.interface, entry.zone, entry.address};
      return {kind_in_subnet(entry, ~masks_[at], destination), entry.interface, entry.zone, destination};
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
    nat::Ipv4Address address;  // of the next hop; connected: our own
    std::uint8_t interface = 0;
    config::Zone zone = config::Zone::inside;
    bool connected = false;
    std::uint8_t length = 0;
  };
  static_assert(sizeof(Entry) == 8);

  static constexpr std::size_t kAtOnce = 8;
  static_assert(kMaxRoutes % kAtOnce == 0);
  /// With a mask of no bits, a network that no address is in: that of the places that are free.
  static constexpr std::uint32_t kNoNetwork = 0xffff'ffffU;
  /// By networks and masks as they are on the wire. \return a bit for each of the kAtOnce routes that fits
  [[nodiscard]] std::uint32_t match(std::size_t first, std::uint32_t address) const noexcept {
#if defined(__AVX2__)
    const auto load = [first](const auto& of) noexcept {
      return _mm256_load_si256(reinterpret_cast<const __m256i*>(of.data() + first));
    };
    const __m256i masked =
        _mm256_and_si256(_mm256_set1_epi32(static_cast<std::int32_t>(address)), load(masks_));
    const __m256i equal = _mm256_cmpeq_epi32(masked, load(networks_));
    return static_cast<std::uint32_t>(_mm256_movemask_ps(_mm256_castsi256_ps(equal)));
#else
    std::uint32_t equal = 0;
    for (std::size_t i = 0; i < kAtOnce; ++i) {
      equal |= ((address & masks_[first + i]) == networks_[first + i] ? 1U : 0U) << i;
    }
    return equal;
#endif
  }
  /// \param host_mask  of the subnet: the bits that tell its hosts
  static RouteKind kind_in_subnet(const Entry& entry, std::uint32_t host_mask,
                                  nat::Ipv4Address destination) noexcept {
    if (destination == entry.address) return RouteKind::local;
    constexpr std::uint8_t kPointToPoint = 31;  // RFC 3021: both addresses are hosts
    const std::uint32_t host = destination.value.raw() & host_mask;
    const bool group = entry.length < kPointToPoint && (host == 0 || host == host_mask);
    return group ? RouteKind::broadcast : RouteKind::forward;
  }
  [[nodiscard]] static constexpr std::array<std::uint32_t, kMaxRoutes> filled(std::uint32_t with) noexcept {
    std::array<std::uint32_t, kMaxRoutes> all;
    all.fill(with);
    return all;
  }
  void add(nat::Prefix prefix, nat::Ipv4Address address, std::uint8_t interface, config::Zone zone,
           bool connected) noexcept;

  std::size_t size_ = 0;
  alignas(32) std::array<std::uint32_t, kMaxRoutes> networks_ = filled(kNoNetwork);
  alignas(32) std::array<std::uint32_t, kMaxRoutes> masks_ = filled(0);
  std::array<Entry, kMaxRoutes> entries_;
};

}  // namespace pinhole::dataplane
