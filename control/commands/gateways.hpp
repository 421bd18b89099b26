// SPDX-License-Identifier: BSD-3-Clause
#pragma once
// The commands about gateways: their switches, and what they are and have done.

#include "control/commands/command.hpp"

namespace pinhole::control {

[[nodiscard]] Result<Json> show_sip(const Model& model, const Arguments& arguments);
[[nodiscard]] Result<Json> turn_sip_on(const Model& model, const Arguments& arguments);
[[nodiscard]] Result<Json> turn_sip_off(const Model& model, const Arguments& arguments);
[[nodiscard]] Result<Json> show_algs(const Model& model, const Arguments& arguments);
[[nodiscard]] Result<Json> turn_alg_on(const Model& model, const Arguments& arguments);
[[nodiscard]] Result<Json> turn_alg_off(const Model& model, const Arguments& arguments);
[[nodiscard]] Result<Json> show_plugins(const Model& model, const Arguments& arguments);

}  // namespace pinhole::control
