// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/config/subscribers.hpp"

#include "dataplane/config/validate.hpp"

#include <algorithm>

namespace pinhole::config {

nat::PortPlan port_plan(const Config& config) {
  const auto& ports = config.nat.ports;
  return {.mode = ports.mode, .block_size = ports.block_size, .blocks_per_host = ports.blocks_per_host};
}

std::vector<nat::SubscriberRange> subscriber_ranges(const Config& config) {
  std::vector<nat::SubscriberRange> ranges;
  std::uint32_t number = 0;
  for (const auto& prefix : config.nat.ports.subscribers) {
    ranges.push_back({prefix.first().host(), prefix.last().host(), number});
    number += static_cast<std::uint32_t>(prefix.size());
  }
  std::ranges::sort(ranges, {}, &nat::SubscriberRange::first_address);
  return ranges;
}

std::uint64_t plan_digest(const Config& config) {
  // FNV-1a; nobody gains anything by a collision. Every list begins with its length.
  std::uint64_t digest = 0xcbf29ce484222325U;
  const auto add = [&](std::uint64_t value) {
    for (int byte = 0; byte < 8; ++byte) digest = (digest ^ (value >> (8 * byte) & 0xffU)) * 0x100000001b3U;
  };
  const auto add_endpoint = [&](nat::Endpoint endpoint) {
    add(endpoint.address.host());
    add(endpoint.port.host());
  };
  const auto add_range = [&](const EndpointRange& range) {
    add_endpoint(range.endpoint(0));
    add(range.prefix.length);
    add(range.last_port);
  };
  const auto& nat = config.nat;
  const auto external = external_addresses(config);
  add(external.size());
  for (const auto address : external) add(address.host());
  add(static_cast<std::uint64_t>(nat.ports.mode));
  add(nat.ports.block_size);
  add(nat.ports.blocks_per_host);
  add(nat.ports.subscribers.size());
  for (const auto& prefix : nat.ports.subscribers) {
    add(prefix.address.host());
    add(prefix.length);
  }
  add(nat.forwards.size());
  for (const auto& forward : nat.forwards) {
    add(static_cast<std::uint64_t>(forward.protocol));
    add_endpoint(forward.external);
    add_endpoint(forward.inside);
  }
  add(nat.static_mappings.size());
  for (const auto& mapping : nat.static_mappings) {
    add(static_cast<std::uint64_t>(mapping.protocol));
    add_range(mapping.external);
    add_range(mapping.inside);
    add(static_cast<std::uint64_t>(mapping.direction));
  }
  return digest;
}

SubscriberPlan::SubscriberPlan(const Config& config)
    : plan_(port_plan(config)), ranges_(subscriber_ranges(config)), external_(external_addresses(config)) {
}

Allotment SubscriberPlan::allotment(std::uint32_t number, nat::Ipv4Address inside) const {
  const auto block = nat::block_of_subscriber(plan_, number);
  return {number, inside, external_.at(block.pool_index), block.first_port, block.last_port};
}

std::optional<Allotment> SubscriberPlan::of_inside(nat::Ipv4Address inside) const {
  const auto number = nat::Subscribers(ranges_).number_of(inside);
  if (!number) return std::nullopt;
  return allotment(*number, inside);
}

std::optional<Allotment> SubscriberPlan::of_external(nat::Endpoint external) const {
  const auto address = std::find(external_.begin(), external_.end(), external.address);
  if (address == external_.end()) return std::nullopt;
  const auto number = nat::subscriber_of_port(plan_, static_cast<std::uint16_t>(address - external_.begin()),
                                              external.port.host());
  if (!number) return std::nullopt;
  const auto inside = nat::Subscribers(ranges_).address_of(*number);
  if (!inside) return std::nullopt;
  return allotment(*number, *inside);
}

}  // namespace pinhole::config
