// SPDX-License-Identifier: BSD-3-Clause
// Any text is refused with one sentence or becomes a Config that survives being written out and read again,
// and that validate() can judge.
#include "dataplane/config/load.hpp"
#include "dataplane/config/render.hpp"
#include "dataplane/config/validate.hpp"

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <string_view>

namespace config = pinhole::config;

namespace {

/// What libFuzzer reports as a crash.
void require(bool condition) {
  if (!condition) std::abort();
}

bool is_sentence(std::string_view message) {
  return !message.empty() && std::none_of(message.begin(), message.end(), [](char character) {
    return character == '\n' || character == '\0';
  });
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text{reinterpret_cast<const char*>(data), size};
  const auto parsed = config::parse(text, "fuzz.json");
  if (!parsed) {
    require(is_sentence(parsed.error().message));
    return 0;
  }
  const auto again = config::parse(config::to_json(*parsed).dump(), "again.json");
  require(again.has_value());
  require(*again == *parsed);
  if (const auto valid = config::validate(*parsed); !valid) require(is_sentence(valid.error().message));
  return 0;
}
