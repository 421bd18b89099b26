// SPDX-License-Identifier: BSD-3-Clause
// The examples and the reference in docs/ say what the schema says. When one of these fails after a change of
// the schema, the text that it looked for is the one to put there.
#include "dataplane/config/load.hpp"
#include "dataplane/config/reference.hpp"
#include "dataplane/config/schema.hpp"
#include "dataplane/ipc/event.hpp"
#include "dataplane/ipc/layout.hpp"

#include <fmt/format.h>
#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <cctype>
#include <fstream>
#include <iterator>
#include <regex>
#include <string>

namespace pinhole::config {

namespace {

template <std::size_t Capacity>
constexpr std::size_t capacity(const ipc::Text<Capacity>*) {
  return Capacity;
}

}  // namespace

// Here and not in schema.hpp, because dataplane/config sees nothing else of dataplane/ipc than the policy.
static_assert(kMaxInterfaces == ipc::kMaxInterfaces && kMaxWorkers == ipc::kMaxWorkers);
static_assert(kMaxInterfaceName <= capacity(static_cast<decltype(ipc::InterfaceShare::name)*>(nullptr)));
static_assert(kMaxDevice <= capacity(static_cast<decltype(ipc::InterfaceShare::device)*>(nullptr)));
static_assert(kMaxRuleName <= capacity(static_cast<decltype(ipc::RuleEvent::rule)*>(nullptr)));

namespace {

const std::string kDocs = PINHOLE_SOURCE_DIR "/docs/";

std::string file_text(const std::string& path) {
  std::ifstream file{path};
  REQUIRE(file);
  return {std::istreambuf_iterator<char>{file}, {}};
}

bool is_section(const KeyReference& row) {
  return row.allowed == "an object";
}

/// Whether the document has the key at "a.b[].c", in the first item of each list.
bool has_key(const nlohmann::json& document, const std::string& path) {
  auto pointer = fmt::format("/{}", std::regex_replace(path, std::regex{R"(\[\])"}, "/0"));
  std::replace(pointer.begin(), pointer.end(), '.', '/');
  return document.contains(nlohmann::json::json_pointer{pointer});
}

/// What a comment of full.json says of a key.
std::string comment(const KeyReference& row) {
  std::string text{row.help};
  text[0] = static_cast<char>(std::toupper(static_cast<unsigned char>(text[0])));
  text += ".";
  if (is_section(row)) return text;
  return text + fmt::format(" Allowed: {}. {}.", row.allowed,
                            row.required ? "Required" : fmt::format("Default: {}", row.fallback));
}

}  // namespace

TEST_CASE("the examples can be loaded", "[config][docs]") {
  for (const char* name : {"minimal.json", "full.json", "protection.json"}) {
    DYNAMIC_SECTION(name) {
      const auto config = load(kDocs + "examples/" + name);
      CHECK((config ? std::string{} : config.error().message) == "");
    }
  }
}

TEST_CASE("the smallest example is two interfaces and nothing else", "[config][docs]") {
  const auto config = load(kDocs + "examples/minimal.json");
  REQUIRE(config.has_value());
  Config expected;
  expected.interfaces = config->interfaces;
  CHECK(config->interfaces.size() == 2);
  CHECK(*config == expected);
}

TEST_CASE("the full example has every key, each with its help, range and default", "[config][docs]") {
  const auto text = file_text(kDocs + "examples/full.json");
  const auto document = nlohmann::json::parse(text, nullptr, true, true);
  // Comments as running text, however they are broken into lines.
  const auto flat = std::regex_replace(text, std::regex{R"(\n\s*// )"}, " ");
  for (const auto& row : key_reference()) {
    DYNAMIC_SECTION(row.path) {
      CHECK(has_key(document, row.path));
      CHECK_THAT(flat, Catch::Contains(comment(row)));
    }
  }
}

TEST_CASE("the operations manual has a row for every key", "[config][docs]") {
  const auto text = file_text(kDocs + "operations.md");
  for (const auto& row : key_reference()) {
    if (is_section(row)) continue;
    DYNAMIC_SECTION(row.path) {
      const auto line = fmt::format("| `{}` | {} | {} | {} |", row.path, row.allowed,
                                    row.required ? "required" : fmt::format("`{}`", row.fallback), row.help);
      CHECK_THAT(text, Catch::Contains(line));
    }
  }
}

}  // namespace pinhole::config
