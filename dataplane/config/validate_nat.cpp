// SPDX-License-Identifier: BSD-3-Clause
// What validate() asks of the pool, ports, forwards, what is not translated, and records.
#include "dataplane/config/subscribers.hpp"
#include "dataplane/config/validate.hpp"
#include "dataplane/config/validate_parts.hpp"
#include "dataplane/config/walk.hpp"
#include "nat/port_plan.hpp"

#include <algorithm>
#include <bit>
#include <string>
#include <tuple>
#include <utility>

namespace pinhole::config {

using nat::Ipv4Address;
using nat::Prefix;

namespace {

Result<void> check_subscriber(const Config& config, std::size_t index) {
  const auto path = item_path("nat.ports.subscribers", index);
  const auto& subscribers = config.nat.ports.subscribers;
  const Prefix item = subscribers[index];
  if (item != subnet_of(item)) {
    return config_conflict(path, fmt::format("{} has bits set after its prefix", text(item)),
                           fmt::format("write {}", text(subnet_of(item))));
  }
  for (std::size_t other = 0; other < index; ++other) {
    if (!subscribers[other].overlaps(item)) continue;
    return config_conflict(
        path, fmt::format("{} overlaps {}", text(item), item_path("nat.ports.subscribers", other)),
        "list each host once");
  }
  for (const auto address : {item.first(), item.last()}) {
    const auto* interface = way_out(config, address);
    if (interface != nullptr && interface->zone == Zone::inside) continue;
    return config_conflict(path, fmt::format("{} is not inside", text(address)),
                           "list hosts in the subnet of an inside interface or behind a route through one");
  }
  return {};
}

/// Whether there is a block for each subscriber.
Result<void> check_subscriber_count(const Config& config) {
  std::uint64_t count = 0;
  for (const auto& item : config.nat.ports.subscribers) count += item.size();
  const std::uint64_t addresses = external_addresses(config).size();
  const auto plan = port_plan(config);
  const std::uint64_t blocks = addresses * plan.blocks_per_address();
  if (count <= blocks) return {};
  std::string mend = "list fewer";
  auto smaller = plan;
  while (smaller.block_size > nat::kPortBlock && addresses * smaller.blocks_per_address() < count) {
    smaller.block_size /= 2;
  }
  if (addresses * smaller.blocks_per_address() >= count) {
    mend += fmt::format(", set nat.ports.block_size to {}", smaller.block_size);
  }
  const std::uint64_t needed = (count + plan.blocks_per_address() - 1) / plan.blocks_per_address();
  if (needed <= kMaxExternalAddresses) mend += fmt::format(", or give {} addresses in nat.pool", needed);
  return config_conflict(
      "nat.ports.subscribers",
      fmt::format("lists {} hosts, and {} external {} for {} blocks of {} ports", count, addresses,
                  addresses == 1 ? "address is enough" : "addresses are enough", blocks, plan.block_size),
      mend);
}

/// Whether each worker owns a block: those of an address are dealt out by turns, and the next address begins
/// with the next worker.
Result<void> check_block_owners(const Config& config) {
  auto plan = port_plan(config);
  const std::uint64_t addresses = external_addresses(config).size();
  const auto owners = [&]() { return addresses + plan.blocks_per_address() - 1; };
  const auto with_blocks = owners();
  if (with_blocks >= config.workers.count) return {};
  while (owners() < config.workers.count) plan.block_size /= 2;
  return config_conflict(
      "nat.ports.block_size",
      fmt::format("blocks of {} ports are too few: {} of {} workers own one", config.nat.ports.block_size,
                  with_blocks, config.workers.count),
      fmt::format("set it to {} or less, or give more addresses in nat.pool", plan.block_size));
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

Result<void> check_ports(const Config& config) {
  const auto& ports = config.nat.ports;
  if (!std::has_single_bit(ports.block_size)) {
    return config_error(ErrorCode::range, "nat.ports.block_size", fmt::format("{}", ports.block_size),
                        fmt::format("a power of two from {} to {}", nat::kPortBlock, nat::kMaxPortBlock));
  }
  const bool is_deterministic = ports.mode == nat::PortMode::deterministic;
  if (is_deterministic == ports.subscribers.empty()) {
    return is_deterministic ? config_conflict("nat.ports.subscribers",
                                              "lists nobody, and nat.ports.mode is \"deterministic\"",
                                              "list the prefixes that the hosts inside are in")
                            : config_conflict("nat.ports.subscribers",
                                              "lists hosts, and nat.ports.mode is not \"deterministic\"",
                                              "set that mode, or leave the list out");
  }
  for (std::size_t i = 0; i < ports.subscribers.size(); ++i) {
    if (auto result = check_subscriber(config, i); !result) return result;
  }
  if (is_deterministic) return check_subscriber_count(config);
  return ports.mode == nat::PortMode::blocks ? check_block_owners(config) : Result<void>{};
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
  if (auto result = check_lines_file("nat.log.file", log.file, "nat.jsonl"); !result) return result;
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
