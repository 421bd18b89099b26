// SPDX-License-Identifier: BSD-3-Clause
#pragma once
// The gateways that are built in, as the configuration wants them. SIP is none of them: it asks more of its
// host than alg/plugin.h has.

#include <vector>

#include "dataplane/config/structs.hpp"
#include "dataplane/gateway/gateway.hpp"

namespace pinhole::dataplane {

[[nodiscard]] std::vector<GatewaySpec> built_in_gateways(const config::Config& config);

}  // namespace pinhole::dataplane
