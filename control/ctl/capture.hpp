// SPDX-License-Identifier: BSD-3-Clause
#pragma once
// A capture as a person takes one: begun, waited for, and ended with pinholectl.

#include "control/ctl/options.hpp"

namespace pinhole::control {

/// Begins the capture, waits until it has ended, and prints what is in the file. SIGINT, SIGTERM and SIGHUP
/// end it; a pinholectl that is killed ends it a little later, by no longer asking after it.
[[nodiscard]] ExitStatus capture(const Invocation& invocation);

}  // namespace pinhole::control
