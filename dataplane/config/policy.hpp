// SPDX-License-Identifier: BSD-3-Clause
#pragma once
// The part of the configuration that can change while calls live, as workers read it. The data plane makes
// the first image when it starts, and control those that follow.

#include "dataplane/config/error.hpp"
#include "dataplane/config/structs.hpp"
#include "dataplane/ipc/policy.hpp"

namespace pinhole::config {

/// What sip.enabled, interfaces[].sip, sip.only and sip.exclude say.
[[nodiscard]] ipc::AlgSwitch sip_switch(const Config& config);

/// \param config  valid but for the room that its rules need together
/// \param image   written over, whatever it was
/// Errors: conflict, when the rules have more prefixes, patterns, headers or text than there is room for.
[[nodiscard]] Result<void> write_policy(const Config& config, ipc::PolicyImage& image);

}  // namespace pinhole::config
