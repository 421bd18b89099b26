// SPDX-License-Identifier: BSD-3-Clause
#pragma once
// The command line that both processes have: which configuration, whether only to check it, how much to log.
// Everything else is in the configuration.

#include "dataplane/config/error.hpp"

#include <cstdint>
#include <string>
#include <string_view>

namespace pinhole::config {

inline constexpr const char* kDefaultConfigPath = "/etc/pinhole.json";

enum class LogLevel : std::uint8_t { debug, info, warning, error };

[[nodiscard]] std::string_view name(LogLevel level) noexcept;

/// How a process is called and what it says it is.
struct Program {
  std::string_view name;
  std::string_view summary;
};

struct CommandLine {
  std::string config_path = kDefaultConfigPath;
  bool check = false;
  LogLevel log_level = LogLevel::info;
  std::string answer;  // of --help and --version: print it and end with status 0; empty: go on
};

/// \param argv argv[0], which is the program, and what follows it.
/// Errors: ErrorCode::usage with one sentence that names the argument and leads to --help.
[[nodiscard]] Result<CommandLine> parse_command_line(const Program& program, int argc,
                                                     const char* const* argv);

/// Says on stderr why a process ends.
/// \return the status to exit with.
int report(const Program& program, const Error& error);

}  // namespace pinhole::config
