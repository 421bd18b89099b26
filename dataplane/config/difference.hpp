// SPDX-License-Identifier: BSD-3-Clause
#pragma once
// What of two configurations differs, by the paths of keys.

#include "dataplane/config/structs.hpp"

#include <string>
#include <string_view>
#include <vector>

namespace pinhole::config {

/// In the order of the schema. Of lists that are not equally long only the list itself is named.
[[nodiscard]] std::vector<std::string> differences(const Config& one, const Config& other);

/// Whether workers can have another value of a key without being started anew.
[[nodiscard]] bool changes_at_run_time(std::string_view path);

}  // namespace pinhole::config
