// SPDX-License-Identifier: BSD-3-Clause
#pragma once
// Asks the kernel about hugepages before DPDK does, so that a person learns in one sentence what is missing.

#include <cstdint>
#include <string>

#include "dataplane/config/error.hpp"

namespace pinhole::dataplane {

/// Checks that hugetlbfs is mounted and that `memory_mb` can be had from it.
/// Pages of an earlier data plane with the same prefix count as free: the EAL takes them back when it starts.
/// Errors: ErrorCode::memory, naming `dpdk.memory_mb` and the command that mends it.
[[nodiscard]] config::Result<void> check_hugepages(unsigned memory_mb, const std::string& file_prefix);

}  // namespace pinhole::dataplane
