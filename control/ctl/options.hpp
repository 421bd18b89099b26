// SPDX-License-Identifier: BSD-3-Clause
#pragma once
// The command line of pinholectl. The commands of control and their options come from the command table; what
// pinholectl does by itself (config check, watch, completion, help) is added to them.

#include "control/commands/command.hpp"

#include <nlohmann/json.hpp>

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace pinhole::control {

/// What the process ends with.
enum class ExitStatus : int {
  ok = 0,
  failed = 1,       // control said no, or what was asked for was not found
  usage = 2,        // the command line or the configuration has a mistake
  unreachable = 3,  // control is not there or does not let this user in
};

/// A command with the parameters that were given.
struct Query {
  const Command* command = nullptr;
  Json params = Json::object();
  bool selects = false;  // a parameter narrows it down
};

struct Invocation {
  enum class Action : std::uint8_t { ask, watch, capture, check_config, complete };
  Action action = Action::ask;
  std::string socket = "/run/pinhole/control.sock";
  bool json = false;
  std::vector<Query> queries;           // ask, capture: one; watch: one or more
  std::chrono::seconds interval{2};     // watch
  std::optional<std::uint32_t> rounds;  // watch; none: until it is interrupted
  std::string file;                     // check_config
};

/// What to do, or, when that is nothing more (help was printed, or an error), what to exit with.
struct Parsed {
  std::optional<Invocation> invocation;
  ExitStatus status = ExitStatus::ok;
};

/// Prints help to stdout and mistakes to stderr.
[[nodiscard]] Parsed parse_command_line(int argc, const char* const* argv);

}  // namespace pinhole::control
