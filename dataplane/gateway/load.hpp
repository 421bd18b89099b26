// SPDX-License-Identifier: BSD-3-Clause
#pragma once
// From the plug-ins of the configuration to gateways: shared objects, loaded once at start and never
// unloaded. Invariant: what comes out of here keeps the promises of alg/plugin.h that can be checked before a
// packet flows, and was written by nobody but root.

#include <vector>

#include "dataplane/config/error.hpp"
#include "dataplane/config/structs.hpp"
#include "dataplane/gateway/gateway.hpp"

namespace pinhole::dataplane {

/// \param gateways  those that are built in: their names and claims are taken
/// \return the same, and the plug-ins of the configuration behind them, in its order
/// Errors: file, conflict: what is wrong with which plug-in, or a rule for a gateway that is none of these.
[[nodiscard]] config::Result<std::vector<GatewaySpec>> load_plugins(const config::Config& config,
                                                                    std::vector<GatewaySpec> gateways);

}  // namespace pinhole::dataplane
