// SPDX-License-Identifier: BSD-3-Clause
// What validate() asks of static mappings.
#include "dataplane/config/schema.hpp"
#include "dataplane/config/validate.hpp"
#include "dataplane/config/validate_parts.hpp"
#include "dataplane/config/walk.hpp"
#include "nat/static_rules.hpp"

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

namespace pinhole::config {

using nat::Ipv4Address;
using nat::Prefix;

namespace {

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

}  // namespace

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

}  // namespace pinhole::config
