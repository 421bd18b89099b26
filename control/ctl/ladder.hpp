// SPDX-License-Identifier: BSD-3-Clause
#pragma once
// The messages of a call drawn as a ladder: inside, Pinhole, outside, and an arrow for each message that
// passed.

#include <nlohmann/json.hpp>

#include <string>

namespace pinhole::control {

/// \param detail the result of "call"
/// \return lines, each with its newline; empty when no message is kept
[[nodiscard]] std::string draw_ladder(const nlohmann::ordered_json& detail);

/// "untouched", "3 edits"
[[nodiscard]] std::string edits_text(const nlohmann::ordered_json& line);

/// What was done to a message. \param line  of a ladder, or a row of "messages"
/// \return lines, each with its newline; empty when it was not asked for
[[nodiscard]] std::string explain(const nlohmann::ordered_json& line);

}  // namespace pinhole::control
