// SPDX-License-Identifier: BSD-3-Clause
// pinholectl: what people and scripts ask control with.
#include "control/ctl/ask.hpp"
#include "control/ctl/capture.hpp"
#include "control/ctl/completion.hpp"
#include "control/ctl/options.hpp"
#include "control/ctl/render.hpp"
#include "dataplane/config/load.hpp"

#include <fmt/format.h>

#include <cstdio>
#include <exception>

namespace pinhole::control {
namespace {

ExitStatus check_config(const Invocation& invocation) {
  const auto config = config::load(invocation.file);
  if (invocation.json) {
    const auto error = config ? Json(nullptr) : Json(config.error().message);
    fmt::print("{}", json_text({{"file", invocation.file}, {"valid", config.has_value()}, {"error", error}}));
  } else if (config) {
    fmt::print("{}: fine\n", invocation.file);
  }
  if (config) return ExitStatus::ok;
  fmt::print(stderr, "pinholectl: {}\n", config.error().message);
  return static_cast<ExitStatus>(config::exit_status(config.error().code));
}

ExitStatus run(int argc, const char* const* argv) {
  const auto parsed = parse_command_line(argc, argv);
  if (!parsed.invocation) return parsed.status;
  switch (parsed.invocation->action) {
    case Invocation::Action::ask:
      return ask(*parsed.invocation);
    case Invocation::Action::watch:
      return watch(*parsed.invocation);
    case Invocation::Action::capture:
      return capture(*parsed.invocation);
    case Invocation::Action::check_config:
      return check_config(*parsed.invocation);
    case Invocation::Action::complete:
      fmt::print("{}", bash_completion());
      break;
  }
  return ExitStatus::ok;
}

}  // namespace
}  // namespace pinhole::control

int main(int argc, char** argv) {
  try {
    return static_cast<int>(pinhole::control::run(argc, argv));
  } catch (const std::exception& bug) {
    fmt::print(stderr, "pinholectl: failed inside: {}\n", bug.what());
    return 1;
  }
}
