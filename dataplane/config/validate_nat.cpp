// SPDX-License-Identifier: BSD-3-Clause
// What validate() asks of the pool, forwards, what is not translated, and records.
#include "dataplane/config/validate.hpp"
#include "dataplane/config/validate_parts.hpp"
#include "dataplane/config/walk.hpp"

#include <algorithm>
#include <string>
#include <tuple>
#include <utility>

namespace pinhole::config {

using nat::Ipv4Address;
using nat::Prefix;

namespace {

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

}  // namespace

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

Result<void> check_forwards(const Config& config) {
  for (std::size_t i = 0; i < config.nat.forwards.size(); ++i) {
    if (auto result = check_forward(config, i); !result) return result;
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

}  // namespace pinhole::config
