// SPDX-License-Identifier: BSD-3-Clause
#pragma once
// Whether the parts of a configuration fit each other. load.hpp has seen to each value by itself; what needs
// two values to be wrong is found here, before anything is started.

#include "dataplane/config/error.hpp"
#include "dataplane/config/structs.hpp"

#include <vector>

namespace pinhole::config {

/// Checks the whole document.
/// Errors: the first contradiction, with the path of the value that has to change.
[[nodiscard]] Result<void> validate(const Config& config);

/// The external addresses that are translated to, in the order of nat.pool: all addresses of its prefixes but
/// the first and the last of an interface's subnet; without a pool the address of the first outside
/// interface. \return empty when there is neither (validate() refuses that).
[[nodiscard]] std::vector<nat::Ipv4Address> external_addresses(const Config& config);

}  // namespace pinhole::config
