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
