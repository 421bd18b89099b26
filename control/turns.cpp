// SPDX-License-Identifier: BSD-3-Clause
#include "control/turns.hpp"

#include <algorithm>
#include <memory>
#include <string_view>
#include <utility>
#include <vector>

#include "control/log.hpp"
#include "dataplane/config/difference.hpp"
#include "dataplane/config/load.hpp"
#include "dataplane/config/policy.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

namespace pinhole::control {

Result<AlgRow> Runtime::Turns::turn_alg(const AlgTurn& turn) {
  const auto alg = runtime_.attached_->gateways.number_of(turn.alg);
  if (!alg) {
    return Error{ErrorCode::not_found,
                 fmt::format("there is no gateway \"{}\"; \"alg show\" lists them", turn.alg)};
  }
  ipc::SwitchChange change{.on = turn.on};
  if (turn.hosts) {
    change.scope = ipc::SwitchScope::hosts;
    change.hosts = *turn.hosts;
  } else if (!turn.interface.empty()) {
    const auto number = interface_number(turn.interface);
    if (!number) return number.error();
    change.scope = ipc::SwitchScope::interface;
    change.interface = *number;
  }
  const auto state = runtime_.attached_->policy.turn(*alg, change);
  if (!state) return state.error();
  log_info(
      "alg_switched",
      {{"alg", turn.alg}, {"on", turn.on}, {"for", scope_text(turn)}, {"generation", state->generation}});
  return runtime_.alg_row(*state, *alg);
}

Result<ReloadRow> Runtime::Turns::reload() {
  auto read = config::load(runtime_.config_path_);
  if (!read) return read.error();
  ReloadRow row;
  row.changed = config::differences(runtime_.config_, *read);
  std::vector<std::string_view> fixed;
  for (const auto& key : row.changed) {
    if (!config::changes_at_run_time(key)) fixed.push_back(key);
  }
  if (!fixed.empty()) {
    return Error{ErrorCode::conflict,
                 fmt::format("{}: {} found changed, which takes a restart of both processes, and nothing "
                             "was changed; restart them, or change it back",
                             runtime_.config_path_, fmt::join(fixed, ", "))};
  }
  // Interfaces are known by their place: after a restart of control its file may be another one than the
  // data plane's.
  const auto is_same = [](const config::Interface& one, const InterfaceRow& other) {
    return one.name == other.name;
  };
  if (!std::ranges::equal(read->interfaces, runtime_.facts_.interfaces, is_same)) {
    return Error{
        ErrorCode::conflict,
        fmt::format("{}: interfaces: found others, or in another order, than the data plane has, and "
                    "nothing was changed; restart the data plane, or change it back",
                    runtime_.config_path_)};
  }
  const auto is_loaded = [](const config::Plugin& one, const std::string& other) {
    return one.file == other;
  };
  const auto& gateways = runtime_.attached_->gateways;
  const auto files = gateways.plugin_files();
  if (config::first_plugin(*read) != gateways.count() - files.size()) {
    return Error{ErrorCode::conflict,
                 fmt::format("{}: ftp.enabled: found another value than the data plane has, and nothing was "
                             "changed; restart the data plane, or change it back",
                             runtime_.config_path_)};
  }
  if (!std::ranges::equal(read->plugins, files, is_loaded)) {
    return Error{ErrorCode::conflict,
                 fmt::format("{}: plugins: found others, or in another order, than the data plane has, and "
                             "nothing was changed; restart the data plane, or change it back",
                             runtime_.config_path_)};
  }
  for (std::size_t i = 0; i < read->protection.rules.size(); ++i) {
    const auto& application = read->protection.rules[i].application;
    if (gateways.number_of(application)) continue;
    return Error{ErrorCode::conflict,
                 fmt::format("{}: protection.rules[{}].application: there is no gateway \"{}\", and nothing "
                             "was changed; \"alg show\" lists them",
                             runtime_.config_path_, i, application)};
  }
  const auto image = std::make_unique<ipc::PolicyImage>();
  if (const auto written = config::write_policy(*read, *image); !written) return written.error();
  auto& policy = runtime_.attached_->policy;
  const auto before = policy.state();
  if (!before)
    return Error{ErrorCode::unavailable, "a worker is writing its policy down just now; ask again"};
  // What was turned at run time stays, unless the file says something else than it did.
  for (std::size_t i = 0; i < ipc::kMaxGateways; ++i) {
    if (image->configured[i] == before->image->configured[i]) image->switches[i] = before->image->switches[i];
  }
  const auto state = policy.put(*image);
  if (!state) return state.error();
  runtime_.config_ = std::move(*read);
  runtime_.bans_.use(runtime_.config_.protection);
  runtime_.calls_.use(runtime_.config_.calls);
  row.generation = state->generation;
  row.settled = state->settled;
  log_info("config_reloaded",
           {{"changed", fmt::format("{}", fmt::join(row.changed, ","))}, {"generation", row.generation}});
  return row;
}

Result<CallRow> Runtime::Turns::hang_up(const std::string& id) {
  auto& calls = runtime_.calls_;
  if (!calls.hang_up(id, ipc::EndReason::by_operator, now()))
    return Error{ErrorCode::conflict, fmt::format("the call {} is over, or about to be", id)};
  log_info("call_hung_up", {{"id", id}});
  return calls.row(*calls.by_id(id));
}

Result<CaptureRow> Runtime::Turns::start_capture(const CaptureOrder& order) {
  for (const auto& interface : order.interfaces) {
    if (const auto number = interface_number(interface); !number) return number.error();
  }
  auto& capture = runtime_.attached_->capture;
  const auto started = capture.start(order, runtime_.refresh_for(order), now());
  if (!started) return started.error();
  return capture.row(now());
}

CaptureRow Runtime::Turns::stop_capture() {
  runtime_.attached_->capture.stop(now());
  return capture();
}

CaptureRow Runtime::Turns::capture() {
  return runtime_.attached_->capture.row(now());
}

Result<std::uint8_t> Runtime::Turns::interface_number(const std::string& name) const {
  const auto& all = runtime_.facts_.interfaces;
  const auto found = std::ranges::find(all, name, &InterfaceRow::name);
  if (found != all.end()) return static_cast<std::uint8_t>(found - all.begin());
  return Error{ErrorCode::not_found,
               fmt::format("there is no interface \"{}\"; \"status\" lists them", name)};
}

}  // namespace pinhole::control
