// SPDX-License-Identifier: BSD-3-Clause
#include "control/commands/protection.hpp"

#include "control/commands/encode.hpp"

#include <fmt/format.h>

namespace pinhole::control {
namespace {

constexpr std::size_t kMaxNote = 200;  // bytes: it is kept with each ban, and shown in a row

/// The parameter `prefix`, which every command here needs but for the lists.
Result<nat::Prefix> prefix_of(const Arguments& arguments) {
  const auto given = arguments.get<EndpointFilter>("prefix").value();
  if (given.port) return Error{ErrorCode::range, "prefix: found a port; allowed is an address or a subnet"};
  return given.prefix;
}

Json allow_list(const Model& model) {
  Json list = Json::array();
  for (const auto& row : model.allow_list()) list.push_back(encode(row));
  return Json{{"total", list.size()}, {"allowed", list}};
}

}  // namespace

Result<Json> show_bans(const Model& model, const Arguments& arguments) {
  const auto page = arguments.page();
  const auto held = model.bans(page);
  const auto now = model.status().now;
  Json list = Json::array();
  for (const auto& row : held.bans.rows) list.push_back(encode(row, now));
  return Json{{"total", held.bans.total},
              {"offset", page.offset},
              {"bans", std::move(list)},
              {"store_problem", held.problem.empty() ? Json(nullptr) : Json(held.problem)}};
}

Result<Json> add_ban(const Model& model, const Arguments& arguments) {
  const auto prefix = prefix_of(arguments);
  if (!prefix) return prefix.error();
  BanOrderRow order{.prefix = *prefix, .note = arguments.text("note")};
  if (order.note.size() > kMaxNote) {
    return Error{ErrorCode::range,
                 fmt::format("note: found {} bytes; allowed is up to {}", order.note.size(), kMaxNote)};
  }
  if (const auto given = arguments.get<std::size_t>("seconds"))
    order.seconds = static_cast<std::uint32_t>(*given);
  const auto row = model.controls().add_ban(order);
  if (!row) return row.error();
  return encode(*row, model.status().now);
}

Result<Json> lift_ban(const Model& model, const Arguments& arguments) {
  const auto prefix = prefix_of(arguments);
  if (!prefix) return prefix.error();
  if (const auto lifted = model.controls().lift_ban(*prefix); !lifted) return lifted.error();
  return show_bans(model, arguments);
}

Result<Json> show_allowed(const Model& model, const Arguments&) {
  return allow_list(model);
}

Result<Json> add_allowed(const Model& model, const Arguments& arguments) {
  const auto prefix = prefix_of(arguments);
  if (!prefix) return prefix.error();
  if (const auto allowed = model.controls().allow(*prefix); !allowed) return allowed.error();
  return allow_list(model);
}

Result<Json> remove_allowed(const Model& model, const Arguments& arguments) {
  const auto prefix = prefix_of(arguments);
  if (!prefix) return prefix.error();
  if (const auto removed = model.controls().disallow(*prefix); !removed) return removed.error();
  return allow_list(model);
}

}  // namespace pinhole::control
