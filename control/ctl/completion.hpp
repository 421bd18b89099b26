// SPDX-License-Identifier: BSD-3-Clause
#pragma once
// Completion of command lines, made from the command table.

#include <string>

namespace pinhole::control {

/// A script for `source <(pinholectl completion bash)`.
[[nodiscard]] std::string bash_completion();

}  // namespace pinhole::control
