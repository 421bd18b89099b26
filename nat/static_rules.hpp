// SPDX-License-Identifier: BSD-3-Clause
#pragma once
// Static mappings of ranges and whole addresses, as rules and not as tables of entries: a rule says which
// external endpoint an inside endpoint has, and the mapping is made when the first packet asks for it, idles
// out like any other, and is made again the same. Constant, and shared by all workers; a view of memory that
// outlives it.
//
// An endpoint is a number of 48 bits, the port in the low 16, so that a range of ports is an interval, and
// so is a whole address. Invariant: the intervals of a list do not overlap, and both lists hold the same
// rules.

#include <algorithm>
#include <cstdint>
#include <optional>
#include <span>

#include "nat/endpoint.hpp"

namespace pinhole::nat {

/// Whose packets may begin a connection through a static mapping.
enum class StaticDirection : std::uint8_t {
  both,
  in,   // those from outside; inside may only answer
  out,  // those from inside; outside may only answer
};

/// What a rule says of an endpoint.
struct StaticTarget {
  Endpoint endpoint;             // on the other side
  std::uint16_t pool_index = 0;  // of the external one
  StaticDirection direction = StaticDirection::both;
};

/// Consecutive endpoints of one protocol on one side, and the first of those on the other.
struct StaticInterval {
  std::uint64_t first = 0;  // StaticRules::key()
  std::uint64_t last = 0;
  std::uint64_t other = 0;  // without the protocol
  std::uint16_t pool_index = 0;
  StaticDirection direction = StaticDirection::both;
};

class StaticRules {
 public:
  StaticRules() noexcept = default;
  /// \param by_inside, by_external  sorted by `first`
  StaticRules(std::span<const StaticInterval> by_inside, std::span<const StaticInterval> by_external) noexcept
      : by_inside_(by_inside), by_external_(by_external) {}

  /// Cost: a branch where there are no rules, otherwise a binary search.
  [[nodiscard]] std::optional<StaticTarget> external_of(Protocol protocol, Endpoint inside) const noexcept {
    return find(by_inside_, key(protocol, inside));
  }
  [[nodiscard]] std::optional<StaticTarget> inside_of(Protocol protocol, Endpoint external) const noexcept {
    return find(by_external_, key(protocol, external));
  }
  [[nodiscard]] bool empty() const noexcept { return by_inside_.empty(); }
  [[nodiscard]] std::span<const StaticInterval> by_external() const noexcept { return by_external_; }

  [[nodiscard]] static constexpr std::uint64_t number(Endpoint endpoint) noexcept {
    return std::uint64_t{endpoint.address.host()} << 16U | endpoint.port.host();
  }
  [[nodiscard]] static constexpr Endpoint endpoint(std::uint64_t number) noexcept {
    return {Ipv4Address::from_host(static_cast<std::uint32_t>(number >> 16U)),
            Be16{static_cast<std::uint16_t>(number)}};
  }
  [[nodiscard]] static constexpr std::uint64_t key(Protocol protocol, Endpoint endpoint) noexcept {
    return std::uint64_t{static_cast<std::uint8_t>(protocol)} << 48U | number(endpoint);
  }
  [[nodiscard]] static constexpr Protocol protocol_of(std::uint64_t key) noexcept {
    return static_cast<Protocol>(key >> 48U);
  }

 private:
  [[nodiscard]] static std::optional<StaticTarget> find(std::span<const StaticInterval> intervals,
                                                        std::uint64_t key) noexcept {
    if (intervals.empty()) [[likely]]
      return std::nullopt;
    const auto behind = std::ranges::upper_bound(intervals, key, {}, &StaticInterval::first);
    if (behind == intervals.begin()) return std::nullopt;
    const auto& interval = *(behind - 1);
    if (key > interval.last) return std::nullopt;
    return StaticTarget{endpoint(interval.other + (key - interval.first)), interval.pool_index,
                        interval.direction};
  }

  std::span<const StaticInterval> by_inside_;
  std::span<const StaticInterval> by_external_;
};

}  // namespace pinhole::nat
