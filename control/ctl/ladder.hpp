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

}  // namespace pinhole::control
