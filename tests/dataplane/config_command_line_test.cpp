// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/config/command_line.hpp"

#include <catch2/catch.hpp>

#include <string>
#include <vector>

namespace pinhole::config {

namespace {

constexpr Program kProgram{"pinhole-test", "Tests."};

Result<CommandLine> parse(std::vector<const char*> arguments) {
  arguments.insert(arguments.begin(), "/usr/sbin/pinhole-test");
  return parse_command_line(kProgram, static_cast<int>(arguments.size()), arguments.data());
}

}  // namespace

TEST_CASE("a command line without arguments runs the installed configuration", "[config][command_line]") {
  const auto line = parse({});
  REQUIRE(line.has_value());
  CHECK(line->config_path == "/etc/pinhole.json");
  CHECK_FALSE(line->check);
  CHECK(line->log_level == LogLevel::info);
  CHECK(line->answer.empty());
}

TEST_CASE("arguments choose the configuration, the check and the log level", "[config][command_line]") {
  const auto line = parse({"--config", "a.json", "--check", "--log-level=debug"});
  REQUIRE(line.has_value());
  CHECK(line->config_path == "a.json");
  CHECK(line->check);
  CHECK(line->log_level == LogLevel::debug);
  CHECK(parse({"-c", "b.json"})->config_path == "b.json");
}

TEST_CASE("every log level can be named", "[config][command_line]") {
  for (const auto level : {LogLevel::debug, LogLevel::info, LogLevel::warning, LogLevel::error}) {
    const std::string word{name(level)};
    DYNAMIC_SECTION(word) {
      CHECK(parse({"--log-level", word.c_str()})->log_level == level);
    }
  }
}

TEST_CASE("help and version are answered with the options and the version", "[config][command_line]") {
  for (const char* option : {"--config", "--check", "--log-level", "--version", "--help", "pinhole-test"}) {
    CHECK_THAT(parse({"--help"})->answer, Catch::Contains(option));
  }
  CHECK(parse({"--version"})->answer == "pinhole-test " PINHOLE_VERSION "\n");
}

TEST_CASE("a wrong command line is refused with one sentence and status 2", "[config][command_line]") {
  struct Case {
    std::vector<const char*> arguments;
    const char* message;
  };
  const std::string help = "; 'pinhole-test --help' lists what there is";
  for (const auto& [arguments, message] : std::vector<Case>{
           {{"--confg"}, "The following argument was not expected: --confg"},
           {{"x.json"}, "The following argument was not expected: x.json"},
           {{"--config"}, "--config: 1 required FILE missing"},
           {{"--log-level", "loud"}, "--log-level: loud not in {debug,error,info,warning}"},
           {{"--config", "a", "--config", "b"}, "--config: At Most 1 required but received 2"},
       }) {
    DYNAMIC_SECTION(message) {
      const auto line = parse(arguments);
      REQUIRE(line.has_error());
      CHECK(line.error().message == message + help);
      CHECK(exit_status(line.error().code) == 2);
    }
  }
}

}  // namespace pinhole::config
