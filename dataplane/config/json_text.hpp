// SPDX-License-Identifier: BSD-3-Clause
#pragma once
// JSON as people write it: with comments, and with mistakes. Errors name the line and the column; a key that
// is written twice in one object, of which JSON parsers silently keep the last, is an error here.

#include "dataplane/config/error.hpp"

#include <nlohmann/json.hpp>

#include <string_view>

namespace pinhole::config {

[[nodiscard]] Result<nlohmann::json> parse_json(std::string_view text);

}  // namespace pinhole::config
