// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/route.hpp"

#include <cassert>

namespace pinhole::dataplane {

RouteTable::RouteTable(const config::Config& config) noexcept {
  assert(config.interfaces.size() <= kMaxInterfaces && config.routes.size() <= kMaxStatic);
  std::uint8_t number = 0;
  for (const auto& interface : config.interfaces) {
    add(interface.address, interface.address.address, number++, interface.zone, true);
  }
  // With connected routes alone, find() tells where a next hop is.
  const RouteTable connected = *this;
  for (const auto& route : config.routes) {
    const Route via = connected.find(route.via);
    if (via.kind == RouteKind::forward) add(route.prefix, route.via, via.interface, via.zone, false);
  }
  number = 0;
  for (const auto& interface : config.interfaces) {
    if (interface.gateway) add({{}, 0}, *interface.gateway, number, interface.zone, false);
    ++number;
  }
}

// Keeps the list sorted by falling length; behind what has the same length, so that the first one counts.
void RouteTable::add(nat::Prefix prefix, nat::Ipv4Address address, std::uint8_t interface, config::Zone zone,
                     bool connected) noexcept {
  if (size_ == kMaxRoutes) return;
  std::size_t at = size_++;
  for (; at > 0 && entries_[at - 1].length < prefix.length; --at) {
    entries_[at] = entries_[at - 1];
    masks_[at] = masks_[at - 1];
    networks_[at] = networks_[at - 1];
  }
  masks_[at] = nat::Be32{prefix.mask()}.raw();
  networks_[at] = prefix.address.value.raw() & masks_[at];
  auto& entry = entries_[at];
  entry.address = address;
  entry.interface = interface;
  entry.zone = zone;
  entry.connected = connected;
  entry.length = prefix.length;
}

}  // namespace pinhole::dataplane
