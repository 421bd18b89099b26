// SPDX-License-Identifier: BSD-3-Clause
#pragma once
// The handlers about bans and allowed sources.

#include "control/commands/command.hpp"

namespace pinhole::control {

[[nodiscard]] Result<Json> show_bans(const Model& model, const Arguments& arguments);
[[nodiscard]] Result<Json> add_ban(const Model& model, const Arguments& arguments);
[[nodiscard]] Result<Json> lift_ban(const Model& model, const Arguments& arguments);
[[nodiscard]] Result<Json> show_allowed(const Model& model, const Arguments& arguments);
[[nodiscard]] Result<Json> add_allowed(const Model& model, const Arguments& arguments);
[[nodiscard]] Result<Json> remove_allowed(const Model& model, const Arguments& arguments);

}  // namespace pinhole::control
