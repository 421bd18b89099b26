// SPDX-License-Identifier: BSD-3-Clause
// What validate() asks of forwards and static mappings where hosts get their ports in blocks: that hosts get
// any, and that the rule of deterministic mode stays true, by which one can tell whose a port was.
#include "dataplane/config/subscribers.hpp"
#include "dataplane/config/validate.hpp"
#include "dataplane/config/validate_parts.hpp"
#include "dataplane/config/walk.hpp"
#include "nat/port_plan.hpp"

#include <algorithm>
#include <map>
#include <optional>
#include <string>
#include <tuple>
#include <vector>

namespace pinhole::config {

namespace {

using nat::Ipv4Address;
using nat::PortPlan;
using nat::Protocol;

/// Ports of one external address that are one inside host's, and nobody gets them besides.
struct Taken {
  std::string path;
  std::string what;
  Protocol protocol = Protocol::udp;
  std::uint16_t pool_index = 0;
  std::uint16_t first_port = 0;
  std::uint16_t last_port = 0;
  Ipv4Address inside;
};

std::vector<Taken> taken_ports(const Config& config) {
  const auto external = external_addresses(config);
  std::vector<Taken> taken;
  const auto add = [&](Ipv4Address address, Taken each) {
    const auto found = std::ranges::find(external, address);
    if (found == external.end()) return;
    each.pool_index = static_cast<std::uint16_t>(found - external.begin());
    taken.push_back(std::move(each));
  };
  for (std::size_t i = 0; i < config.nat.forwards.size(); ++i) {
    const auto& forward = config.nat.forwards[i];
    const auto port = forward.external.port.host();
    add(forward.external.address, {.path = join_path(item_path("nat.forwards", i), "external"),
                                   .what = text(forward.external),
                                   .protocol = forward.protocol,
                                   .first_port = port,
                                   .last_port = port,
                                   .inside = forward.inside.address});
  }
  for (std::size_t i = 0; i < config.nat.static_mappings.size(); ++i) {
    const auto& mapping = config.nat.static_mappings[i];
    if (mapping.external.whole()) continue;  // no address of the pool, and no ports of it
    for (const auto protocol : protocols_of(mapping)) {
      add(mapping.external.prefix.address,
          {.path = join_path(item_path("nat.static_mappings", i), "external"),
           .what = text(mapping.external),
           .protocol = protocol,
           .first_port = mapping.external.first_port,
           .last_port = mapping.external.last_port,
           .inside = mapping.inside.prefix.address});
    }
  }
  return taken;
}

/// How many ports of blocks are taken.
class Blocks {
 public:
  explicit Blocks(const PortPlan& plan) : plan_(plan) {}

  /// \param visit  `Result<void>(std::uint32_t block, bool used_up)`, for each block that ports are taken of
  template <typename Visit>
  [[nodiscard]] Result<void> take(const Taken& taken, Visit&& visit) {
    const auto last = plan_.block_of(taken.last_port);
    if (!last) return {};
    for (auto block = plan_.block_of(taken.first_port).value_or(0); block <= *last; ++block) {
      const auto range = nat::block_number(plan_, taken.pool_index, block);
      auto& count = count_[{taken.pool_index, block, taken.protocol}];
      count += std::uint32_t{1} + std::min(taken.last_port, range.last_port) -
               std::max(taken.first_port, range.first_port);
      if (auto result = visit(block, count == plan_.block_size); !result) return result;
    }
    return {};
  }

 private:
  PortPlan plan_;
  std::map<std::tuple<std::uint16_t, std::uint32_t, Protocol>, std::uint32_t> count_;
};

/// How many blocks of the pool each worker owns.
std::vector<std::uint32_t> owned_blocks(const Config& config, const PortPlan& plan) {
  std::vector<std::uint32_t> owned(config.workers.count);
  const std::size_t addresses = external_addresses(config).size();
  for (std::size_t pool_index = 0; pool_index < addresses; ++pool_index) {
    const auto workers = static_cast<std::uint32_t>(owned.size());
    for (std::uint32_t block = 0; block < std::min(plan.blocks_per_address(), workers); ++block) {
      owned[nat::owner_of_block(static_cast<std::uint16_t>(pool_index), block, workers)] +=
          (plan.blocks_per_address() - 1 - block) / workers + 1;
    }
  }
  return owned;
}

/// A block without a port of some protocol is assigned to nobody; each worker needs one that is.
Result<void> check_room(const Config& config, const PortPlan& plan) {
  auto usable = owned_blocks(config, plan);
  std::vector<std::pair<std::uint16_t, std::uint32_t>> used_up;
  Blocks blocks(plan);
  for (const auto& taken : taken_ports(config)) {
    auto result = blocks.take(taken, [&](std::uint32_t block, bool full) -> Result<void> {
      const std::pair which{taken.pool_index, block};
      if (!full || std::ranges::find(used_up, which) != used_up.end()) return {};
      used_up.push_back(which);
      const auto owner = nat::owner_of_block(taken.pool_index, block, config.workers.count);
      if (--usable[owner] > 0) return {};
      const auto whose = usable.size() == 1 ? std::string{} : fmt::format(" of worker {}", owner);
      return config_conflict(
          taken.path,
          fmt::format("{} takes the last {} ports of the blocks{}, so that hosts get none", taken.what,
                      nat::name(taken.protocol), whose),
          "give fewer ports here or more addresses in nat.pool, or set nat.ports.mode to \"random\"");
    });
    if (!result) return result;
  }
  return {};
}

/// By the rule a port tells its subscriber. Whatever else is mapped to another host would prove it wrong.
Result<void> check_rule(const Config& config, const PortPlan& plan) {
  const auto ranges = subscriber_ranges(config);
  const nat::Subscribers subscribers(ranges);
  Blocks blocks(plan);
  for (const auto& taken : taken_ports(config)) {
    auto result = blocks.take(taken, [&](std::uint32_t block, bool full) -> Result<void> {
      const auto host = subscribers.address_of(taken.pool_index * plan.blocks_per_address() + block);
      if (!host) return {};
      if (*host != taken.inside) {
        return config_conflict(
            taken.path,
            fmt::format("{} is in the block of the subscriber {}, and leads to {}", taken.what, text(*host),
                        text(taken.inside)),
            fmt::format(
                "give ports below {} or behind those of the last subscriber, or of an address that is "
                "not in nat.pool",
                plan.first_port()));
      }
      if (!full) return {};
      return config_conflict(taken.path,
                             fmt::format("{} takes the last {} port of the block of {}", taken.what,
                                         nat::name(taken.protocol), text(*host)),
                             "leave the host some for what it begins itself");
    });
    if (!result) return result;
  }
  return {};
}

}  // namespace

Result<void> check_blocks(const Config& config) {
  const auto plan = port_plan(config);
  switch (plan.mode) {
    case nat::PortMode::random:
      return {};
    case nat::PortMode::blocks:
      return check_room(config, plan);
    case nat::PortMode::deterministic:
      break;
  }
  return check_rule(config, plan);
}

}  // namespace pinhole::config
