// SPDX-License-Identifier: BSD-3-Clause
#pragma once
// The gateways that are built in, as the configuration wants them.

#include <vector>

#include "dataplane/config/structs.hpp"
#include "dataplane/gateway/gateway.hpp"

namespace pinhole::dataplane {

[[nodiscard]] GatewaySpec sip_gateway(const config::Config& config);

/// SIP, then the others.
[[nodiscard]] std::vector<GatewaySpec> built_in_gateways(const config::Config& config);

}  // namespace pinhole::dataplane
