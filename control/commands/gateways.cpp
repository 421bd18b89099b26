// SPDX-License-Identifier: BSD-3-Clause
#include "control/commands/gateways.hpp"

#include "control/commands/encode.hpp"

#include <utility>

namespace pinhole::control {

namespace {

Error policy_in_writing() {
  return {ErrorCode::unavailable, "a worker is writing its policy down just now; ask again"};
}

Result<AlgRow> turn(const Model& model, const Arguments& arguments, std::string alg, bool on) {
  AlgTurn turn{
      .alg = std::move(alg), .on = on, .interface = arguments.text("interface"), .hosts = std::nullopt};
  if (const auto hosts = arguments.get<EndpointFilter>("prefix")) {
    if (hosts->port)
      return Error{ErrorCode::range, "prefix: found a port; allowed is an address or a subnet"};
    turn.hosts = hosts->prefix;
  }
  if (turn.hosts && !turn.interface.empty()) {
    return Error{ErrorCode::conflict, "interface and prefix are two switches; turn one after the other"};
  }
  return model.controls().turn_alg(turn);
}

Result<Json> turn_sip(const Model& model, const Arguments& arguments, bool on) {
  const auto row = turn(model, arguments, "sip", on);
  if (!row) return row.error();
  return encode(*row);
}

Result<Json> turn_alg(const Model& model, const Arguments& arguments, bool on) {
  const auto row = turn(model, arguments, arguments.text("name"), on);
  if (!row) return row.error();
  return encode_named(*row);
}

}  // namespace

Result<Json> show_sip(const Model& model, const Arguments&) {
  const auto status = model.status();
  if (!status.sip) return policy_in_writing();
  return encode(*status.sip);
}
Result<Json> turn_sip_on(const Model& model, const Arguments& arguments) {
  return turn_sip(model, arguments, true);
}
Result<Json> turn_sip_off(const Model& model, const Arguments& arguments) {
  return turn_sip(model, arguments, false);
}

Result<Json> show_algs(const Model& model, const Arguments&) {
  const auto rows = model.algs();
  if (!rows) return policy_in_writing();
  Json list = Json::array();
  for (const auto& row : *rows) list.push_back(encode_named(row));
  return Json{{"algs", std::move(list)}};
}
Result<Json> turn_alg_on(const Model& model, const Arguments& arguments) {
  return turn_alg(model, arguments, true);
}
Result<Json> turn_alg_off(const Model& model, const Arguments& arguments) {
  return turn_alg(model, arguments, false);
}

Result<Json> show_plugins(const Model& model, const Arguments& arguments) {
  const auto only = arguments.text("name");
  Json list = Json::array();
  for (const auto& row : model.gateways()) {
    if (only.empty() || row.name == only) list.push_back(encode(row));
  }
  if (list.empty() && !only.empty())
    return Error{ErrorCode::not_found, "there is no such gateway; \"plugins\" without a name lists them"};
  return Json{{"plugins", std::move(list)}};
}

}  // namespace pinhole::control
