// SPDX-License-Identifier: BSD-3-Clause
#include "control/commands/subscriber.hpp"

#include "dataplane/config/subscribers.hpp"
#include "dataplane/config/validate.hpp"
#include "nat/port_plan.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <tuple>
#include <vector>

namespace pinhole::control {
namespace {

using config::Config;

/// External ports in a row, and the host inside that has them.
struct Row {
  nat::Ipv4Address inside;
  nat::Ipv4Address external;
  std::uint16_t first_port = 0;
  std::uint16_t last_port = 0;
  std::optional<nat::Protocol> protocol;  // none: all
  std::string_view known_by;              // "rule", "static", "mapping"
  std::optional<std::uint32_t> number;    // among the subscribers
};

/// Rows as many as are shown, and how many there would be.
struct Rows {
  std::vector<Row> shown;
  std::size_t total = 0;

  void add(const Row& row) {
    if (shown.size() < kMaxRows) shown.push_back(row);
    ++total;
  }
};

std::string text(nat::Ipv4Address address) {
  return std::string(nat::EndpointText(address).view());
}

std::string text(const EndpointFilter& asked) {
  return asked.port ? fmt::format("{}:{}", text(asked.prefix.address), *asked.port)
                    : text(asked.prefix.address);
}

std::string_view mode_name(nat::PortMode mode) noexcept {
  switch (mode) {
    case nat::PortMode::random:
      return "random";
    case nat::PortMode::blocks:
      return "blocks";
    case nat::PortMode::deterministic:
      break;
  }
  return "deterministic";
}

Json encode(const Row& row) {
  return Json{{"inside", text(row.inside)},
              {"external", text(row.external)},
              {"first_port", row.first_port},
              {"last_port", row.last_port},
              {"protocol", row.protocol ? Json(nat::name(*row.protocol)) : Json(nullptr)},
              {"known_by", row.known_by},
              {"number", row.number ? Json(*row.number) : Json(nullptr)}};
}

/// Whether a row answers what was asked: an external endpoint, or an inside address.
bool answers(const Row& row, const EndpointFilter& asked) {
  if (!asked.port) return row.inside == asked.prefix.address;
  return row.external == asked.prefix.address && *asked.port >= row.first_port &&
         *asked.port <= row.last_port;
}

/// Forwards and static mappings that a mapping can be of which answers what was asked.
std::vector<Row> static_rows(const Config& config, const EndpointFilter& asked) {
  std::vector<Row> rows;
  for (const auto& forward : config.nat.forwards) {
    const auto port = forward.external.port.host();
    rows.push_back(
        {forward.inside.address, forward.external.address, port, port, forward.protocol, "static", {}});
  }
  for (const auto& mapping : config.nat.static_mappings) {
    if (mapping.is_opening()) continue;
    std::vector<std::optional<nat::Protocol>> protocols;
    if (mapping.protocol == config::Protocols::all && mapping.external.whole()) {
      protocols = {std::nullopt};
    } else {
      for (const auto protocol : config::protocols_of(mapping)) protocols.emplace_back(protocol);
    }
    for (std::uint32_t n = 0; n < mapping.external.addresses(); ++n) {
      for (const auto& protocol : protocols) {
        rows.push_back({mapping.inside.endpoint(n).address,
                        mapping.external.endpoint(n).address,
                        mapping.external.first_port,
                        mapping.external.last_port,
                        protocol,
                        "static",
                        {}});
      }
    }
  }
  std::erase_if(
      rows, [&](const Row& row) { return (asked.port ? row.external : row.inside) != asked.prefix.address; });
  return rows;
}

std::optional<Row> row_by_rule(const Config& config, const EndpointFilter& asked) {
  const config::SubscriberPlan plan(config);
  const auto found = asked.port ? plan.of_external({asked.prefix.address, nat::Be16{*asked.port}})
                                : plan.of_inside(asked.prefix.address);
  if (!found) return std::nullopt;
  return Row{found->inside, found->external, found->first_port, found->last_port,
             std::nullopt,  "rule",          found->number};
}

/// Adds the ports that a host has by the rule. What is mapped statically to that host is among them.
void add_row_by_rule(const Config& config, const EndpointFilter& asked, Rows& rows) {
  const auto rule = row_by_rule(config, asked);
  if (!rule) return;
  const auto within = [&](const Row& row) {
    return row.inside == rule->inside && row.external == rule->external &&
           row.first_port >= rule->first_port && row.last_port <= rule->last_port;
  };
  rows.total -= std::erase_if(rows.shown, within);
  rows.add(*rule);
}

/// What the mappings that live now say: a row for each block that they lie in, or for each of them.
void add_live_rows(const Model& model, const EndpointFilter& asked, const std::vector<Row>& fixed,
                   Rows& rows) {
  const auto plan = config::port_plan(model.config());
  MappingFilter filter;
  (asked.port ? filter.external : filter.inside) = asked;
  // The mapping that shows whose a block is may have any port of it.
  if (plan.mode == nat::PortMode::blocks && asked.port) filter.external->port.reset();
  // A block has many mappings, and a host few blocks.
  std::set<std::tuple<std::uint32_t, std::uint32_t, std::uint16_t>> told;
  const Page all{.offset = 0, .limit = std::numeric_limits<std::size_t>::max()};
  for (const auto& mapping : model.mappings(filter, all).rows) {
    const auto port = mapping.external.port.host();
    const EndpointFilter external{{mapping.external.address, 32}, port};
    const bool is_fixed = std::any_of(fixed.begin(), fixed.end(), [&](const Row& row) {
      return answers(row, external) && (!row.protocol || *row.protocol == mapping.protocol);
    });
    if (is_fixed || mapping.external == mapping.inside) continue;
    Row row{mapping.inside.address, mapping.external.address, port, port, mapping.protocol, "mapping", {}};
    if (const auto block = plan.block_of(port); plan.mode == nat::PortMode::blocks && block) {
      const auto range = nat::block_number(plan, 0, *block);
      row.first_port = range.first_port;
      row.last_port = range.last_port;
      row.protocol.reset();
      if (!told.emplace(row.inside.host(), row.external.host(), row.first_port).second) continue;
    }
    if (answers(row, asked)) rows.add(row);
  }
}

bool is_external(const Config& config, nat::Ipv4Address address) {
  const auto pool = config::external_addresses(config);
  return std::ranges::find(pool, address) != pool.end() ||
         std::ranges::any_of(config.nat.static_mappings, [&](const auto& mapping) {
           return !mapping.is_opening() && mapping.external.prefix.contains(address);
         });
}

Error nobody(const Model& model, const EndpointFilter& asked) {
  const bool by_rule = model.config().nat.ports.mode == nat::PortMode::deterministic;
  if (by_rule) {
    return {ErrorCode::not_found,
            asked.port
                ? fmt::format("{} is no subscriber's: not an address of the pool, below the first block, or "
                              "behind the last subscriber",
                              text(asked))
                : fmt::format("{} is not in nat.ports.subscribers", text(asked))};
  }
  return {ErrorCode::not_found,
          fmt::format("{} now; records tell of the past, if nat.log keeps them",
                      asked.port ? fmt::format("nobody has {}", text(asked))
                                 : fmt::format("{} has no external ports", text(asked)))};
}

}  // namespace

Result<Json> show_subscriber(const Model& model, const Arguments& arguments) {
  const auto asked = *arguments.get<EndpointFilter>("endpoint");
  if (asked.prefix.length != 32) {
    return Error{ErrorCode::range,
                 "endpoint: found a subnet; allowed is an inside address or an external "
                 "address:port"};
  }
  const auto status = model.status();
  if (status.dataplane == DataplaneState::up && status.plan_differs) {
    return Error{ErrorCode::unavailable,
                 fmt::format("the data plane runs with another nat.pool, nat.ports, nat.forwards or "
                             "nat.static_mappings than {} had when control read it; start both with the same "
                             "file",
                             status.config_path)};
  }
  const auto mode = model.config().nat.ports.mode;
  const auto fixed = static_rows(model.config(), asked);
  Rows rows;
  for (const auto& row : fixed) {
    if (answers(row, asked)) rows.add(row);
  }
  if (!asked.port && rows.total == 0 && is_external(model.config(), asked.prefix.address)) {
    return Error{
        ErrorCode::not_found,
        fmt::format("{} is an external address, which hosts share; give address:port, such as {}:40000",
                    text(asked), text(asked))};
  }
  if (mode == nat::PortMode::deterministic) {
    add_row_by_rule(model.config(), asked, rows);
  } else if (status.dataplane == DataplaneState::up) {
    add_live_rows(model, asked, fixed, rows);
  } else if (rows.total == 0) {
    return Error{
        ErrorCode::unavailable,
        fmt::format("nat.ports.mode is \"{}\": only the data plane knows whose ports are whose now, and it "
                    "is not there; records tell of the past, if nat.log keeps them",
                    mode_name(mode))};
  }
  if (rows.total == 0) return nobody(model, asked);
  Json list = Json::array();
  for (const auto& row : rows.shown) list.push_back(encode(row));
  return Json{{"mode", mode_name(mode)}, {"total", rows.total}, {"subscribers", std::move(list)}};
}

}  // namespace pinhole::control
