// SPDX-License-Identifier: BSD-3-Clause
// docs/api.md against the command table: every method has its section, with each parameter, and an example
// that is what control really says about the sample model.
#include "control/commands/command.hpp"
#include "tests/control/fake_model.hpp"

#include <catch2/catch.hpp>

#include <fstream>
#include <map>
#include <set>
#include <string>

using namespace pinhole::control;

namespace {

/// The sections of methods: "### `name`" and what follows it.
std::map<std::string, std::string> sections() {
  std::ifstream file(std::string(PINHOLE_SOURCE_DIR) + "/docs/api.md");
  REQUIRE(file.is_open());
  std::map<std::string, std::string> found;
  std::string name;
  for (std::string line; std::getline(file, line);) {
    if (line.starts_with("#")) {
      const bool is_method = line.starts_with("### `") && line.ends_with("`");
      name = is_method ? line.substr(5, line.size() - 6) : "";
      if (is_method) CHECK(found.emplace(name, "").second);
    } else if (!name.empty()) {
      found[name] += line + '\n';
    }
  }
  return found;
}

/// The text between the first pair of ```json and ``` after `title`.
std::string example(const std::string& section, const std::string& title) {
  constexpr std::string_view kFence = "```json\n";
  const auto at = section.find(title);
  if (at == std::string::npos) return {};
  const auto begin = section.find(kFence, at);
  if (begin == std::string::npos) return {};
  const auto end = section.find("```\n", begin + kFence.size());
  return section.substr(begin + kFence.size(), end - begin - kFence.size());
}

}  // namespace

TEST_CASE("docs/api.md has a section for every method and for nothing else", "[control][docs]") {
  std::set<std::string> documented;
  for (const auto& [name, section] : sections()) documented.insert(name);
  std::set<std::string> methods;
  for (const auto& command : commands()) methods.emplace(command.name);
  CHECK(documented == methods);
}

TEST_CASE("docs/api.md names every parameter and shows what a method really answers", "[control][docs]") {
  const auto model = sample_model();
  const auto documented = sections();
  for (const auto& command : commands()) {
    DYNAMIC_SECTION(command.name) {
      const auto& section = documented.at(std::string(command.name));
      for (const auto& argument : command.arguments) {
        CHECK(section.find("| `" + std::string(argument.name) + "` |") != std::string::npos);
      }
      const auto request = Json::parse(example(section, "Request"));
      CHECK(request.at("method") == command.name);
      const auto answer = run_command(model, command.name, request.value("params", Json::object()));
      REQUIRE(answer.has_value());
      CHECK(Json::parse(example(section, "Result")) == *answer);
    }
  }
}
