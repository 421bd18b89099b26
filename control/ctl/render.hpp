// SPDX-License-Identifier: BSD-3-Clause
#pragma once
// From the result of a command to what a person reads.

#include <nlohmann/json.hpp>

#include <string>
#include <string_view>

namespace pinhole::control {

/// \param command its name in the command table
/// \param result as control replied
/// \return lines, each with its newline. A command that has no form of its own is shown as JSON.
/// Errors: throws a JSON exception when the result has not the shape that the command's has: control is of
/// another version.
[[nodiscard]] std::string render(std::string_view command, const nlohmann::ordered_json& result);

/// The document as `--json` prints it: indented, and in ASCII, so that it may be shown on a terminal.
[[nodiscard]] std::string json_text(const nlohmann::ordered_json& document);

/// True when a list was asked for and has no row.
[[nodiscard]] bool is_empty_list(const nlohmann::ordered_json& result);

}  // namespace pinhole::control
