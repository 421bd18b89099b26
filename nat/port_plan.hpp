// SPDX-License-Identifier: BSD-3-Clause
#pragma once
// How external ports are given out to inside hosts: one by one; in blocks that are a host's alone while it
// has mappings, so that one record a block says whose its ports were (RFC 6888 REQ-14); or by a rule that
// needs no record at all, because it can be computed at any time (RFC 7422). Pure arithmetic, the same for
// the data plane, for control and for whoever has the configuration and a pencil.
//
// Blocks are of one size, a power of two, and aligned to it. The well-known ports are in none of them: a
// host must not get ports that peers trust as privileged (RFC 4787 REQ-3a), and there are too few for all.

#include <algorithm>
#include <cstdint>
#include <optional>
#include <span>

#include "nat/endpoint.hpp"
#include "nat/ownership.hpp"

namespace pinhole::nat {

inline constexpr std::uint32_t kMaxPortBlock = 16384;  // ports of a block, at most

enum class PortMode : std::uint8_t {
  random,         // any port of the host's external address
  blocks,         // of blocks that the host claims when it needs them
  deterministic,  // of the one block that its number among the subscribers gives it
};

struct PortPlan {
  PortMode mode = PortMode::random;
  std::uint32_t block_size = 512;     // ports; a power of two, kPortBlock to kMaxPortBlock
  std::uint32_t blocks_per_host = 4;  // mode blocks

  /// The first port that is in a block.
  [[nodiscard]] constexpr std::uint32_t first_port() const noexcept {
    return std::max(kLowPorts, block_size);
  }
  [[nodiscard]] constexpr std::uint32_t blocks_per_address() const noexcept {
    return (kPorts - first_port()) / block_size;
  }
  /// The number of a port's block among those of its address; none below the first.
  [[nodiscard]] constexpr std::optional<std::uint32_t> block_of(std::uint16_t port) const noexcept {
    if (port < first_port()) return std::nullopt;
    return (port - first_port()) / block_size;
  }
  friend bool operator==(const PortPlan&, const PortPlan&) = default;
};

/// A block of ports: all protocols' ports in a row of one external address.
struct PortBlock {
  std::uint16_t pool_index = 0;
  std::uint16_t first_port = 0;
  std::uint16_t last_port = 0;

  friend bool operator==(const PortBlock&, const PortBlock&) = default;
};

[[nodiscard]] constexpr PortBlock block_number(const PortPlan& plan, std::uint16_t pool_index,
                                               std::uint32_t block) noexcept {
  const std::uint32_t first = plan.first_port() + block * plan.block_size;
  return {.pool_index = pool_index,
          .first_port = static_cast<std::uint16_t>(first),
          .last_port = static_cast<std::uint16_t>(first + plan.block_size - 1)};
}

/// The block of subscriber `number`: the first ones share the first external address and so on, so that what
/// is appended to the subscribers or to the pool changes nobody's ports.
/// Precondition: number < pool size × blocks_per_address()
[[nodiscard]] constexpr PortBlock block_of_subscriber(const PortPlan& plan, std::uint32_t number) noexcept {
  const std::uint32_t blocks = plan.blocks_per_address();
  return block_number(plan, static_cast<std::uint16_t>(number / blocks), number % blocks);
}
/// The other way: which subscriber has a port of an external address; none for ports that are in no block.
/// The number may be beyond the last subscriber.
[[nodiscard]] constexpr std::optional<std::uint32_t> subscriber_of_port(const PortPlan& plan,
                                                                        std::uint16_t pool_index,
                                                                        std::uint16_t port) noexcept {
  const auto block = plan.block_of(port);
  if (!block) return std::nullopt;
  return pool_index * plan.blocks_per_address() + *block;
}

/// Inside addresses in a row that are numbered in a row.
struct SubscriberRange {
  std::uint32_t first_address = 0;  // in host order
  std::uint32_t last_address = 0;
  std::uint32_t first_number = 0;
};

/// The subscribers of deterministic mode and their numbers. A view of memory that outlives it.
class Subscribers {
 public:
  Subscribers() noexcept = default;
  /// \param by_address  sorted by address, without an overlap
  explicit Subscribers(std::span<const SubscriberRange> by_address) noexcept : ranges_(by_address) {}

  /// Cost: a binary search among the ranges.
  [[nodiscard]] std::optional<std::uint32_t> number_of(Ipv4Address address) const noexcept {
    const auto behind =
        std::ranges::upper_bound(ranges_, address.host(), {}, &SubscriberRange::first_address);
    if (behind == ranges_.begin()) return std::nullopt;
    const SubscriberRange& range = *(behind - 1);
    if (address.host() > range.last_address) return std::nullopt;
    return range.first_number + (address.host() - range.first_address);
  }
  /// Cost: looks at each range.
  [[nodiscard]] std::optional<Ipv4Address> address_of(std::uint32_t number) const noexcept {
    for (const SubscriberRange& range : ranges_) {
      const std::uint32_t n = number - range.first_number;
      if (number >= range.first_number && n <= range.last_address - range.first_address)
        return Ipv4Address::from_host(range.first_address + n);
    }
    return std::nullopt;
  }
  /// \param visit `void(std::uint32_t number, Ipv4Address)`, called for each subscriber
  template <typename Visit>
  void for_each(Visit&& visit) const noexcept {
    for (const SubscriberRange& range : ranges_) {
      for (std::uint32_t n = 0; n <= range.last_address - range.first_address; ++n)
        visit(range.first_number + n, Ipv4Address::from_host(range.first_address + n));
    }
  }

 private:
  std::span<const SubscriberRange> ranges_;
};

}  // namespace pinhole::nat
