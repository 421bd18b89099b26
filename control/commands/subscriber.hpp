// SPDX-License-Identifier: BSD-3-Clause
#pragma once
// Whose an external port is, and which ports a host has: by the rule of deterministic mode and by static
// mappings from the configuration alone, otherwise from the mappings that live now.

#include "control/commands/command.hpp"
#include "control/error.hpp"
#include "control/model.hpp"

namespace pinhole::control {

/// The handler of `subscriber`.
/// Errors: range (a subnet), not_found (nobody), unavailable (only live mappings would tell).
[[nodiscard]] Result<Json> show_subscriber(const Model& model, const Arguments& arguments);

}  // namespace pinhole::control
