// SPDX-License-Identifier: BSD-3-Clause
#pragma once
// Asking control and showing what it says: once, or again and again.

#include "control/ctl/options.hpp"

namespace pinhole::control {

/// Asks once and prints the reply. Errors: on stderr, and as the status.
[[nodiscard]] ExitStatus ask(const Invocation& invocation);

/// Asks in rounds and prints each over the one before; a control that is gone is waited for.
/// \return what the last round came to
[[nodiscard]] ExitStatus watch(const Invocation& invocation);

}  // namespace pinhole::control
