// SPDX-License-Identifier: BSD-3-Clause
// What validate() asks of interfaces and routes, and how a configuration is asked where addresses lie.
#include "dataplane/config/validate_parts.hpp"
#include "dataplane/config/value.hpp"
#include "dataplane/config/walk.hpp"

#include <algorithm>
#include <array>
#include <string>
#include <string_view>

namespace pinhole::config {

using nat::Ipv4Address;
using nat::Prefix;

std::string text(Ipv4Address address) {
  return std::string{nat::EndpointText{address}.view()};
}
std::string text(nat::Endpoint endpoint) {
  return std::string{nat::EndpointText{endpoint}.view()};
}
std::string text(Prefix prefix) {
  return Kind<Prefix>::write(prefix).get<std::string>();
}

std::string text(const EndpointRange& range) {
  return Kind<EndpointRange>::write(range).get<std::string>();
}

bool is_unicast(Ipv4Address address) {
  const auto first = address.host() >> 24U;
  return first != 0 && first != 127 && first < 224;
}

const Interface* connected(const Config& config, Ipv4Address address) {
  for (const auto& interface : config.interfaces) {
    if (interface.address.contains(address)) return &interface;
  }
  return nullptr;
}

bool is_own_address(const Config& config, Ipv4Address address) {
  return std::any_of(config.interfaces.begin(), config.interfaces.end(),
                     [address](const auto& interface) { return interface.address.address == address; });
}

const Interface* way_out(const Config& config, Ipv4Address address) {
  if (const auto* interface = connected(config, address); interface != nullptr) return interface;
  const Route* best = nullptr;
  for (const auto& route : config.routes) {
    if (route.prefix.contains(address) && (best == nullptr || route.prefix.length > best->prefix.length)) {
      best = &route;
    }
  }
  if (best != nullptr) return connected(config, best->via);
  for (const auto& interface : config.interfaces) {
    if (interface.gateway) return &interface;
  }
  return nullptr;
}

namespace {

std::string interface_path(std::size_t index, std::string_view key) {
  return join_path(item_path("interfaces", index), key);
}

Result<void> check_names(const Config& config) {
  for (std::size_t i = 0; i < config.interfaces.size(); ++i) {
    for (std::size_t other = 0; other < i; ++other) {
      const auto& first = config.interfaces[other];
      const auto& second = config.interfaces[i];
      if (first.name == second.name) {
        return config_conflict(
            interface_path(i, "name"),
            fmt::format("\"{}\" is the name of {} already", second.name, item_path("interfaces", other)),
            "give each interface a name of its own");
      }
      // The arguments of a virtual device do not make it another one.
      if (first.device.substr(0, first.device.find(',')) ==
          second.device.substr(0, second.device.find(','))) {
        return config_conflict(
            interface_path(i, "device"),
            fmt::format("\"{}\" is the device of {} already",
                        second.device.substr(0, second.device.find(',')), item_path("interfaces", other)),
            "give each interface a device of its own");
      }
    }
  }
  return {};
}

Result<void> check_zones(const Config& config) {
  for (const auto zone : {Zone::inside, Zone::outside}) {
    const bool present = std::any_of(config.interfaces.begin(), config.interfaces.end(),
                                     [zone](const auto& interface) { return interface.zone == zone; });
    if (!present) {
      const auto word = Kind<Zone>::write(zone).dump();
      return config_conflict("interfaces", fmt::format("none has the zone {}", word),
                             fmt::format("set the zone of one of them to {}", word));
    }
  }
  return {};
}

Result<void> check_addresses(const Config& config) {
  for (std::size_t i = 0; i < config.interfaces.size(); ++i) {
    const auto address = config.interfaces[i].address;
    const auto path = interface_path(i, "address");
    if (address.length < 8 || address.length > 31) {
      return config_conflict(path, fmt::format("{} is no subnet to live in", text(address)),
                             "give a prefix length from 8 to 31");
    }
    if (!is_unicast(address.address) || !address.has_host(address.address)) {
      return config_conflict(path, fmt::format("{} is not the address of a host", text(address)),
                             "give an address between the first and the last of its subnet");
    }
    for (std::size_t other = 0; other < i; ++other) {
      if (!address.overlaps(config.interfaces[other].address)) continue;
      return config_conflict(
          path,
          fmt::format("{} overlaps {} of {}", text(subnet_of(address)),
                      text(subnet_of(config.interfaces[other].address)), item_path("interfaces", other)),
          "give each interface a subnet of its own");
    }
  }
  return {};
}

Result<void> check_gateways(const Config& config) {
  const Interface* first = nullptr;
  for (std::size_t i = 0; i < config.interfaces.size(); ++i) {
    const auto& interface = config.interfaces[i];
    if (!interface.gateway) continue;
    const auto path = interface_path(i, "gateway");
    if (!interface.address.has_host(*interface.gateway)) {
      return config_conflict(path,
                             fmt::format("{} is not a host of the subnet {}", text(*interface.gateway),
                                         text(subnet_of(interface.address))),
                             "give the router's address in that subnet");
    }
    if (*interface.gateway == interface.address.address) {
      return config_conflict(path, fmt::format("{} is Pinhole's own address", text(*interface.gateway)),
                             "give the router's address");
    }
    if (first != nullptr) {
      return config_conflict(path,
                             fmt::format("interface \"{}\" has the default gateway already", first->name),
                             "keep one gateway and write routes for what lies behind the other");
    }
    first = &interface;
  }
  return {};
}

Result<void> check_routes(const Config& config) {
  for (std::size_t i = 0; i < config.routes.size(); ++i) {
    const auto& route = config.routes[i];
    const auto prefix_path = join_path(item_path("routes", i), "prefix");
    const auto via_path = join_path(item_path("routes", i), "via");
    if (route.prefix != subnet_of(route.prefix)) {
      return config_conflict(prefix_path, fmt::format("{} has bits set after its prefix", text(route.prefix)),
                             fmt::format("write {}", text(subnet_of(route.prefix))));
    }
    for (std::size_t other = 0; other < i; ++other) {
      if (route.prefix != config.routes[other].prefix) continue;
      return config_conflict(prefix_path,
                             fmt::format("{} has {} already", text(route.prefix), item_path("routes", other)),
                             "keep one of the two");
    }
    for (std::size_t other = 0; other < config.interfaces.size(); ++other) {
      const auto& interface = config.interfaces[other];
      if (interface.gateway && route.prefix.length == 0) {
        return config_conflict(
            prefix_path, fmt::format("{} is the default gateway already", interface_path(other, "gateway")),
            "keep one of the two");
      }
      if (interface.address.length <= route.prefix.length && interface.address.overlaps(route.prefix)) {
        return config_conflict(
            prefix_path,
            fmt::format("{} lies in {} of {}, which is reached without a router", text(route.prefix),
                        text(subnet_of(interface.address)), item_path("interfaces", other)),
            "remove the route or make that subnet smaller");
      }
    }
    const auto* interface = connected(config, route.via);
    if (interface == nullptr || !interface->address.has_host(route.via)) {
      return config_conflict(via_path,
                             fmt::format("{} is not a host of any interface's subnet", text(route.via)),
                             "give the address of a router that is a neighbour");
    }
    if (is_own_address(config, route.via)) {
      return config_conflict(via_path, fmt::format("{} is Pinhole's own address", text(route.via)),
                             "give the router's address");
    }
  }
  return {};
}

}  // namespace

Result<void> check_network(const Config& config) {
  constexpr std::array kChecks = {check_names, check_zones, check_addresses, check_gateways, check_routes};
  for (const auto check : kChecks) {
    if (auto result = check(config); !result) return result;
  }
  return {};
}

}  // namespace pinhole::config
