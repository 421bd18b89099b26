// SPDX-License-Identifier: BSD-3-Clause
#pragma once
// The limits of protection as workers read them.

#include "dataplane/config/structs.hpp"
#include "dataplane/ipc/rates.hpp"

namespace pinhole::config {

/// Takes no more than there is room for; validate() says what is too much.
[[nodiscard]] ipc::RateLimits rate_limits(const Protection& protection);

}  // namespace pinhole::config
