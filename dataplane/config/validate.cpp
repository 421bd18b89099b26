// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/config/validate.hpp"

#include "dataplane/config/value.hpp"
#include "dataplane/config/walk.hpp"

#include <algorithm>
#include <array>
#include <cctype>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>

namespace pinhole::config {

namespace {

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

Prefix subnet_of(Prefix prefix) {
  return {prefix.first(), prefix.length};
}

/// Whether one host may have the address: not 0.0.0.0/8, loopback, multicast or reserved (RFC 6890).
bool is_unicast(Ipv4Address address) {
  const auto first = address.host() >> 24U;
  return first != 0 && first != 127 && first < 224;
}

std::string interface_path(std::size_t index, std::string_view key) {
  return join_path(item_path("interfaces", index), key);
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

/// The interface that packets to `address` leave by: the longest of connected, static and default routes.
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

Result<void> check_workers(const Config& config) {
  const auto& workers = config.workers;
  if (!workers.cpus.empty() && workers.cpus.size() != workers.count) {
    return config_conflict("workers.cpus",
                           fmt::format("lists {} CPUs for {} workers", workers.cpus.size(), workers.count),
                           "list one CPU for each worker, or none");
  }
  for (std::size_t i = 0; i < workers.cpus.size(); ++i) {
    const auto before = workers.cpus.begin() + static_cast<std::ptrdiff_t>(i);
    if (workers.idle != Idle::spin || std::find(workers.cpus.begin(), before, workers.cpus[i]) == before)
      continue;
    return config_conflict(
        item_path("workers.cpus", i),
        fmt::format("CPU {} has a worker already, and workers.idle is \"spin\"", workers.cpus[i]),
        "give each worker a CPU of its own, or set workers.idle to \"yield\"");
  }
  return {};
}

Result<void> check_dpdk(const Config& config) {
  const auto& prefix = config.dpdk.file_prefix;
  const bool plain = std::all_of(prefix.begin(), prefix.end(), [](unsigned char character) {
    return std::isalnum(character) != 0 || character == '_' || character == '-';
  });
  if (!plain) {
    return config_error(ErrorCode::range, "dpdk.file_prefix", fmt::format("\"{}\"", prefix),
                        "letters, digits, '_' and '-'");
  }
  return {};
}

/// What is wrong with one item of the pool, as to interfaces and routers.
Result<void> check_pool_neighbors(const Config& config, const std::string& path, Prefix item) {
  const bool single = item.length == 32;
  const auto name = single ? text(item.address) : text(item);
  for (const auto& interface : config.interfaces) {
    if (!interface.address.overlaps(item)) continue;
    if (interface.zone == Zone::inside) {
      return config_conflict(path,
                             fmt::format("{} {} the subnet {} of the inside interface \"{}\"", name,
                                         interface.address.length <= item.length ? "lies in" : "holds",
                                         text(subnet_of(interface.address)), interface.name),
                             "give an address of the outside");
    }
    if (single && !interface.address.has_host(item.address)) {
      return config_conflict(
          path,
          fmt::format("{} is not the address of a host of {}", name, text(subnet_of(interface.address))),
          "give an address between the first and the last of that subnet");
    }
  }
  const auto check_router = [&](Ipv4Address router) -> Result<void> {
    if (!item.contains(router)) return {};
    if (single) {
      return config_conflict(path, fmt::format("{} is the address of a router", name),
                             "give an address that nobody else has");
    }
    return config_conflict(path, fmt::format("{} holds {}, the address of a router", name, text(router)),
                           "give smaller prefixes that leave it out");
  };
  for (const auto& interface : config.interfaces) {
    if (!interface.gateway) continue;
    if (auto result = check_router(*interface.gateway); !result) return result;
  }
  for (const auto& route : config.routes) {
    if (auto result = check_router(route.via); !result) return result;
  }
  return {};
}

Result<void> check_pool(const Config& config) {
  const auto& pool = config.nat.pool;
  std::uint64_t addresses = 0;
  for (std::size_t i = 0; i < pool.size(); ++i) {
    const auto path = item_path("nat.pool", i);
    const Prefix item = pool[i].prefix;
    if (item != subnet_of(item)) {
      return config_conflict(path, fmt::format("{} has bits set after its prefix", text(item)),
                             fmt::format("write {}", text(subnet_of(item))));
    }
    for (std::size_t other = 0; other < i; ++other) {
      if (!pool[other].prefix.overlaps(item)) continue;
      const bool whole = pool[other].prefix.length <= item.length;
      return config_conflict(path,
                             whole ? fmt::format("{} is in the pool already",
                                                 item.length == 32 ? text(item.address) : text(item))
                                   : fmt::format("{} holds {}", text(item), item_path("nat.pool", other)),
                             "keep one of the two");
    }
    if (!is_unicast(item.first()) || !is_unicast(item.last())) {
      return config_conflict(path,
                             item.length == 32
                                 ? fmt::format("{} is not the address of a host", text(item.address))
                                 : fmt::format("{} holds addresses that are of no host", text(item)),
                             "give an address that the outside network routes to Pinhole");
    }
    if (auto result = check_pool_neighbors(config, path, item); !result) return result;
    addresses += item.size();
  }
  // Forwards may add the addresses of the outside interfaces.
  for (const auto& interface : config.interfaces) {
    const bool pooled = std::any_of(pool.begin(), pool.end(), [&](const PoolItem& item) {
      return item.prefix.contains(interface.address.address);
    });
    if (interface.zone == Zone::outside && !pooled) ++addresses;
  }
  if (addresses > kMaxExternalAddresses) {
    return config_conflict(
        "nat.pool",
        fmt::format("holds {} external addresses, those of outside interfaces counted in", addresses),
        fmt::format("give {} at most", kMaxExternalAddresses));
  }
  return {};
}

Result<void> check_forward(const Config& config, std::size_t index) {
  const auto& forward = config.nat.forwards[index];
  const auto path = item_path("nat.forwards", index);
  const auto& pool = config.nat.pool;
  const auto address = forward.external.address;
  const bool pooled = std::any_of(pool.begin(), pool.end(),
                                  [address](const PoolItem& item) { return item.prefix.contains(address); });
  const bool outside_address =
      std::any_of(config.interfaces.begin(), config.interfaces.end(), [address](const auto& interface) {
        return interface.zone == Zone::outside && interface.address.address == address;
      });
  if (!outside_address && !pooled) {
    return config_conflict(join_path(path, "external"),
                           fmt::format("{} is not an external address", text(address)),
                           fmt::format("give an address of nat.pool or of an outside interface, such as {}",
                                       text(external_addresses(config).front())));
  }
  const auto inside = forward.inside.address;
  const auto* interface = way_out(config, inside);
  if (interface == nullptr || interface->zone != Zone::inside || is_own_address(config, inside) ||
      !is_unicast(inside)) {
    return config_conflict(
        join_path(path, "inside"), fmt::format("{} is not a host inside", text(inside)),
        "give the address of a host in the subnet of an inside interface or behind a route "
        "through one");
  }
  for (std::size_t other = 0; other < index; ++other) {
    const auto& earlier = config.nat.forwards[other];
    if (earlier.protocol != forward.protocol) continue;
    if (earlier.external == forward.external) {
      return config_conflict(
          join_path(path, "external"),
          fmt::format("{} belongs to {} already", text(forward.external), item_path("nat.forwards", other)),
          "give each forward an external endpoint of its own");
    }
    if (earlier.inside == forward.inside) {
      return config_conflict(join_path(path, "inside"),
                             fmt::format("{} has the external endpoint {} already", text(forward.inside),
                                         text(earlier.external)),
                             "give each forward an inside endpoint of its own");
    }
  }
  return {};
}

Result<void> check_forwards(const Config& config) {
  for (std::size_t i = 0; i < config.nat.forwards.size(); ++i) {
    if (auto result = check_forward(config, i); !result) return result;
  }
  return {};
}

std::string text(const EndpointRange& range) {
  return Kind<EndpointRange>::write(range).get<std::string>();
}

/// One side of a static mapping or a forward, for finding what overlaps.
struct Claim {
  std::string path;
  std::vector<nat::Protocol> protocols;
  std::uint64_t first;
  std::uint64_t last;
};

Claim claim_of(std::string path, std::vector<nat::Protocol> protocols, const EndpointRange& range) {
  const auto first = nat::StaticRules::number(range.endpoint(0));
  const auto last = nat::StaticRules::number(range.endpoint(range.addresses() - 1));
  return {std::move(path), std::move(protocols), first,
          last + static_cast<std::uint64_t>(range.last_port - range.first_port)};
}
Claim claim_of(std::string path, nat::Protocol protocol, nat::Endpoint endpoint) {
  const auto number = nat::StaticRules::number(endpoint);
  return {std::move(path), {protocol}, number, number};
}

bool collide(const Claim& a, const Claim& b) {
  if (a.last < b.first || b.last < a.first) return false;
  return std::find_first_of(a.protocols.begin(), a.protocols.end(), b.protocols.begin(), b.protocols.end()) !=
         a.protocols.end();
}

Result<void> check_shape(const StaticMapping& mapping, const std::string& path) {
  for (const auto& [key, range] : {std::pair{"external", mapping.external}, {"inside", mapping.inside}}) {
    if (range.prefix != subnet_of(range.prefix)) {
      return config_conflict(join_path(path, key),
                             fmt::format("{} has bits set after its prefix", text(range)),
                             fmt::format("write {}", text(subnet_of(range.prefix))));
    }
    if (range.addresses() > kMaxStaticAddresses) {
      return config_conflict(join_path(path, key), fmt::format("{} is too many addresses", text(range)),
                             fmt::format("give {} at most", kMaxStaticAddresses));
    }
  }
  const auto& external = mapping.external;
  const auto& inside = mapping.inside;
  if (external.addresses() != inside.addresses() || external.whole() != inside.whole() ||
      external.last_port - external.first_port != inside.last_port - inside.first_port) {
    return config_conflict(join_path(path, "inside"),
                           fmt::format("{} is not of the same size as {}", text(inside), text(external)),
                           "give as many addresses and ports inside as outside");
  }
  if (mapping.protocol == Protocols::icmp && !external.whole()) {
    return config_conflict(join_path(path, "protocol"), "\"icmp\" has no ports",
                           "give whole addresses, or another protocol");
  }
  return {};
}

Result<void> check_static_external(const Config& config, const EndpointRange& range,
                                   const std::string& path) {
  const auto& pool = config.nat.pool;
  for (std::uint32_t n = 0; n < range.addresses(); ++n) {
    const auto address = range.endpoint(n).address;
    const auto* link = connected(config, address);
    const bool is_outside_own =
        link != nullptr && link->zone == Zone::outside && is_own_address(config, address);
    const bool in_pool = std::any_of(
        pool.begin(), pool.end(), [address](const PoolItem& item) { return item.prefix.contains(address); });
    if (!range.whole()) {
      if (is_outside_own || in_pool) continue;
      return config_conflict(path, fmt::format("{} is not an external address", text(address)),
                             fmt::format("give an address of nat.pool or of an outside interface, such as {}",
                                         text(external_addresses(config).front())));
    }
    if (is_own_address(config, address)) {
      return config_conflict(path, fmt::format("{} is Pinhole's own address", text(address)),
                             "give an address that nobody else has, or ports of this one");
    }
    if (in_pool) {
      return config_conflict(path, fmt::format("{} is in nat.pool, which other hosts share", text(address)),
                             "take it out of the pool, or give ports of it");
    }
    const bool is_host =
        is_unicast(address) &&
        (link == nullptr || (link->zone == Zone::outside && link->address.has_host(address)));
    const auto is_router = [&](const auto& next) { return next == address; };
    const bool router = std::any_of(config.interfaces.begin(), config.interfaces.end(),
                                    [&](const auto& each) { return is_router(each.gateway); }) ||
                        std::any_of(config.routes.begin(), config.routes.end(),
                                    [&](const auto& route) { return is_router(route.via); });
    if (!is_host || router) {
      return config_conflict(path, fmt::format("{} cannot be an external address", text(address)),
                             "give addresses that the outside network routes to Pinhole and nobody else has");
    }
  }
  return {};
}

Result<void> check_static_inside(const Config& config, const EndpointRange& range, const std::string& path) {
  for (std::uint32_t n = 0; n < range.addresses(); ++n) {
    const auto address = range.endpoint(n).address;
    const auto* interface = way_out(config, address);
    if (interface != nullptr && interface->zone == Zone::inside && !is_own_address(config, address) &&
        is_unicast(address)) {
      continue;
    }
    return config_conflict(path, fmt::format("{} is not a host inside", text(address)),
                           "give addresses of hosts in the subnet of an inside interface or behind a route "
                           "through one");
  }
  return {};
}

Result<void> check_untranslated(const Config& config) {
  const auto check_prefix = [](Prefix prefix, const std::string& path) -> Result<void> {
    if (prefix == subnet_of(prefix)) return {};
    return config_conflict(path, fmt::format("{} has bits set after its prefix", text(prefix)),
                           fmt::format("write {}", text(subnet_of(prefix))));
  };
  for (std::size_t i = 0; i < config.nat.exempt.size(); ++i) {
    const auto path = item_path("nat.exempt", i);
    const auto& exempt = config.nat.exempt[i];
    if (auto result = check_prefix(exempt.from, join_path(path, "from")); !result) return result;
    if (auto result = check_prefix(exempt.to, join_path(path, "to")); !result) return result;
  }
  for (std::size_t i = 0; i < config.nat.route.size(); ++i) {
    const auto& route = config.nat.route[i];
    for (const auto& [key, value, zone] :
         {std::tuple{"inside", route.inside, Zone::inside}, {"outside", route.outside, Zone::outside}}) {
      const auto path = join_path(item_path("nat.route", i), key);
      if (const auto number = interface_number(config, value)) {
        if (config.interfaces[*number].zone == zone) continue;
        return config_conflict(path, fmt::format("the interface \"{}\" is not on the {}", value, key),
                               fmt::format("name an interface whose zone is \"{}\", or give a prefix", key));
      }
      const auto prefix = value.find('/') == std::string::npos ? std::nullopt : Prefix::parse(value);
      if (!prefix) {
        return config_conflict(path, fmt::format("\"{}\" is neither an interface nor a prefix", value),
                               fmt::format("name an interface whose zone is \"{}\", or give a prefix", key));
      }
      if (auto result = check_prefix(*prefix, path); !result) return result;
    }
  }
  return {};
}

/// Whether nat.route may apply to a host inside.
bool is_routed(const Config& config, Ipv4Address address) {
  const auto* interface = way_out(config, address);
  return std::any_of(config.nat.route.begin(), config.nat.route.end(), [&](const auto& route) {
    if (interface_number(config, route.inside))
      return interface != nullptr && interface->name == route.inside;
    const auto prefix = Prefix::parse(route.inside);
    return prefix && prefix->contains(address);
  });
}

Result<void> check_opening(const Config& config, const EndpointRange& range, const std::string& path) {
  for (std::uint32_t n = 0; n < range.addresses(); ++n) {
    const auto address = range.endpoint(n).address;
    if (is_routed(config, address)) continue;
    return config_conflict(path, fmt::format("{} stands for itself, but is not in route mode", text(address)),
                           "give an external address, or name the host's interface or prefix in nat.route");
  }
  return {};
}

Result<void> check_static_mappings(const Config& config) {
  std::vector<Claim> external;
  std::vector<Claim> inside;
  for (std::size_t i = 0; i < config.nat.forwards.size(); ++i) {
    const auto& forward = config.nat.forwards[i];
    const auto path = item_path("nat.forwards", i);
    external.push_back(claim_of(join_path(path, "external"), forward.protocol, forward.external));
    inside.push_back(claim_of(join_path(path, "inside"), forward.protocol, forward.inside));
  }
  const auto pooled = config.nat.static_mappings.empty() ? 0 : external_addresses(config).size();
  std::uint64_t addresses = 0;
  for (std::size_t i = 0; i < config.nat.static_mappings.size(); ++i) {
    const auto& mapping = config.nat.static_mappings[i];
    const auto path = item_path("nat.static_mappings", i);
    if (auto result = check_shape(mapping, path); !result) return result;
    addresses += mapping.external.addresses();
    if (addresses > kMaxStaticAddresses) {
      return config_conflict(join_path(path, "external"),
                             fmt::format("static mappings have {} addresses up to here", addresses),
                             fmt::format("give {} in all at most", kMaxStaticAddresses));
    }
    // The outside interfaces' own addresses may be counted twice, which does not matter.
    if (pooled + config.interfaces.size() + addresses > kMaxExternalAddresses) {
      return config_conflict(join_path(path, "external"),
                             fmt::format("brings the external addresses to {}", pooled + addresses),
                             fmt::format("give {} at most, in nat.pool and here", kMaxExternalAddresses));
    }
    const auto external_path = join_path(path, "external");
    const auto inside_path = join_path(path, "inside");
    auto external_result = mapping.is_opening()
                               ? check_opening(config, mapping.external, external_path)
                               : check_static_external(config, mapping.external, external_path);
    if (!external_result) return external_result;
    if (auto result = check_static_inside(config, mapping.inside, inside_path); !result) return result;
    const auto protocols = protocols_of(mapping);
    const auto claim = [&](std::vector<Claim>& claims, const std::string& its_path,
                           const EndpointRange& range, const char* mend) -> Result<void> {
      auto mine = claim_of(its_path, protocols, range);
      for (const auto& other : claims) {
        if (!collide(mine, other)) continue;
        return config_conflict(its_path, fmt::format("{} overlaps {}", text(range), other.path), mend);
      }
      claims.push_back(std::move(mine));
      return {};
    };
    if (auto result =
            claim(external, external_path, mapping.external, "give each its own external endpoints");
        !result) {
      return result;
    }
    if (auto result = claim(inside, inside_path, mapping.inside, "give each its own inside endpoints");
        !result) {
      return result;
    }
  }
  return {};
}

Result<void> check_nat_log(const Config& config) {
  const auto& log = config.nat.log;
  if (!log.file.empty() && (log.file.front() != '/' || log.file.back() == '/')) {
    return config_error(ErrorCode::range, "nat.log.file", fmt::format("\"{}\"", log.file),
                        "the absolute path of a file such as \"/var/log/pinhole/nat.jsonl\"");
  }
  if (log.collector) {
    const auto first = log.collector->address.host() >> 24U;
    if (first == 0 || first >= 224) {
      return config_conflict("nat.log.collector",
                             fmt::format("{} is not the address of a host", text(log.collector->address)),
                             "give the address and port of an IPFIX collector");
    }
  }
  if (log.mappings && !log.wanted()) {
    return config_conflict("nat.log.mappings", "each mapping is recorded, but nowhere",
                           "set nat.log.file or nat.log.collector");
  }
  return {};
}

Result<void> check_sip(const Config& config) {
  const auto& ports = config.sip.ports;
  for (std::size_t i = 0; i < ports.size(); ++i) {
    const auto here = ports.begin() + static_cast<std::ptrdiff_t>(i);
    if (std::find(ports.begin(), here, ports[i]) == here) continue;
    return config_conflict(item_path("sip.ports", i), fmt::format("{} is listed already", ports[i]),
                           "keep one of the two");
  }
  return {};
}

Result<void> check_control(const Config& config) {
  const auto& socket = config.control.socket;
  if (socket.front() != '/' || socket.back() == '/') {
    return config_error(ErrorCode::range, "control.socket", fmt::format("\"{}\"", socket),
                        "the absolute path of a file such as \"/run/pinhole/control.sock\"");
  }
  return {};
}

}  // namespace

Result<void> validate(const Config& config) {
  // Later checks rely on earlier ones: addresses before what is looked up in them.
  constexpr std::array kChecks = {
      check_names,           check_zones,   check_addresses, check_gateways, check_routes,
      check_workers,         check_dpdk,    check_pool,      check_forwards, check_untranslated,
      check_static_mappings, check_nat_log, check_sip,       check_control};
  for (const auto check : kChecks) {
    if (auto result = check(config); !result) return result;
  }
  return {};
}

std::vector<nat::Ipv4Address> external_addresses(const Config& config) {
  std::vector<nat::Ipv4Address> all;
  for (const auto& [prefix] : config.nat.pool) {
    for (std::uint64_t i = 0; i < prefix.size(); ++i) {
      const auto address = Ipv4Address::from_host(prefix.first().host() + static_cast<std::uint32_t>(i));
      const auto* const interface = connected(config, address);
      if (interface == nullptr || interface->address.has_host(address)) all.push_back(address);
    }
  }
  if (!config.nat.pool.empty()) return all;
  for (const auto& interface : config.interfaces) {
    if (interface.zone == Zone::outside) return {interface.address.address};
  }
  return {};
}

}  // namespace pinhole::config
