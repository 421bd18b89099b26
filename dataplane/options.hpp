// SPDX-License-Identifier: BSD-3-Clause
#pragma once
// The command line of pinhole-dataplane, and how it says why it ends.

#include "dataplane/config/command_line.hpp"
#include "dataplane/config/error.hpp"

#include <string>

namespace pinhole::dataplane {

struct Options {
  std::string config_path;
  bool check = false;  // only check the configuration
  bool done = false;   // --help or --version was answered: there is nothing left to do
  config::LogLevel log_level = config::LogLevel::info;
};

/// Answers --help and --version on stdout by itself.
/// Errors: ErrorCode::usage, one sentence.
[[nodiscard]] config::Result<Options> parse_options(int argc, const char* const* argv);

/// Says on stderr why the process ends.
/// \return the status to exit with.
int report(const config::Error& error);

}  // namespace pinhole::dataplane
