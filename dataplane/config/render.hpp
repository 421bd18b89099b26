// SPDX-License-Identifier: BSD-3-Clause
#pragma once
// From a Config back to JSON: the configuration in force with every default written out. Invariant: loading
// what is rendered gives the same Config.

#include "dataplane/config/structs.hpp"

#include <nlohmann/json.hpp>

namespace pinhole::config {

/// Every key of the schema, in its order.
[[nodiscard]] nlohmann::ordered_json to_json(const Config& config);

}  // namespace pinhole::config
