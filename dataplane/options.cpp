// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/options.hpp"

#include <fmt/format.h>

#include <cstdio>

namespace pinhole::dataplane {

namespace {

constexpr config::Program kProgram{
    "pinhole-dataplane",
    "Forwards and translates packets between the interfaces of the configuration until SIGTERM or SIGINT."};

}  // namespace

config::Result<Options> parse_options(int argc, const char* const* argv) {
  auto line = config::parse_command_line(kProgram, argc, argv);
  if (!line) return line.error();
  fmt::print(stdout, "{}", line->answer);
  return Options{line->config_path, line->check, !line->answer.empty(), line->log_level};
}

int report(const config::Error& error) {
  return config::report(kProgram, error);
}

}  // namespace pinhole::dataplane
