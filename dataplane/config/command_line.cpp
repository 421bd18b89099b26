// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/config/command_line.hpp"

#include <fmt/format.h>
#include <CLI/CLI.hpp>

#include <cstdio>
#include <map>

namespace pinhole::config {

namespace {

const std::map<std::string, LogLevel> kLogLevels = {{"debug", LogLevel::debug},
                                                    {"info", LogLevel::info},
                                                    {"warning", LogLevel::warning},
                                                    {"error", LogLevel::error}};

/// One line of what CLI11 says, which ends some of its messages with a line break.
std::string first_line(std::string text) {
  text.erase(std::min(text.find('\n'), text.size()));
  return text;
}

}  // namespace

std::string_view name(LogLevel level) noexcept {
  switch (level) {
    case LogLevel::debug:
      return "debug";
    case LogLevel::info:
      return "info";
    case LogLevel::warning:
      return "warning";
    case LogLevel::error:
      return "error";
  }
  return "?";
}

Result<CommandLine> parse_command_line(const Program& program, int argc, const char* const* argv) {
  CommandLine line;
  std::string level{name(line.log_level)};
  CLI::App app{std::string{program.summary}, std::string{program.name}};
  app.set_help_flag("-h,--help", "print this and end");
  app.set_version_flag("-V,--version", fmt::format("{} {}", program.name, PINHOLE_VERSION),
                       "print the version and end");
  app.add_option("-c,--config", line.config_path, "the configuration")
      ->type_name("FILE")
      ->capture_default_str();
  app.add_flag("--check", line.check, "check the configuration and end");
  app.add_option("--log-level", level, "the least that is worth a line")
      ->type_name("LEVEL")
      ->check(CLI::IsMember(kLogLevels))
      ->capture_default_str();
  try {
    app.parse(argc, argv);
  } catch (const CLI::CallForHelp&) {
    line.answer = app.help();
  } catch (const CLI::CallForVersion& version) {
    line.answer = fmt::format("{}\n", version.what());
  } catch (const CLI::ParseError& error) {
    return Error{ErrorCode::usage,
                 fmt::format("{}; '{} --help' lists what there is", first_line(error.what()), program.name)};
  }
  line.log_level = kLogLevels.at(level);
  return line;
}

int report(const Program& program, const Error& error) {
  fmt::print(stderr, "{}: {}\n", program.name, error.message);
  return exit_status(error.code);
}

}  // namespace pinhole::config
