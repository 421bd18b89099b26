// SPDX-License-Identifier: BSD-3-Clause
#pragma once
// From a Config back to JSON: the configuration in force with every default written out. Invariants: loading
// what to_json() renders gives the same Config; what shown() renders has no secret in it.

#include "dataplane/config/structs.hpp"

#include <nlohmann/json.hpp>

namespace pinhole::config {

/// Every key of the schema, in its order.
[[nodiscard]] nlohmann::ordered_json to_json(const Config& config);
/// The same for whoever asks: a secret is "set", or null when it is empty.
[[nodiscard]] nlohmann::ordered_json shown(const Config& config);

}  // namespace pinhole::config
