// SPDX-License-Identifier: BSD-3-Clause
#pragma once
// Asking control and showing what it says: once, or again and again.

#include "control/ctl/options.hpp"

namespace pinhole::control {

/// Asks once and prints the reply. Errors: on stderr, and as the status.
[[nodiscard]] ExitStatus ask(const Invocation& invocation);

/// The same without printing the reply. \param result gets it.
[[nodiscard]] ExitStatus ask_for(const Invocation& invocation, Json& result);
void print_result(const Invocation& invocation, const Json& result);

/// Asks in rounds and prints each over the one before; a control that is gone is waited for.
/// \return what the last round came to
[[nodiscard]] ExitStatus watch(const Invocation& invocation);

}  // namespace pinhole::control
