// SPDX-License-Identifier: BSD-3-Clause
#pragma once
// How control learns that it may attach. DPDK tells every attached process to open each device that is made,
// and takes the device away again where one cannot; control opens none, so it must not be attached before the
// ports are there. A lock is what tells: it goes with the process, however that ends.

#include <string>

namespace pinhole::dataplane {

/// Takes a lock on the file ipc::kReadyFile for the life of the process.
/// \param directory  DPDK's runtime directory of this data plane \return whether it could
[[nodiscard]] bool lock_ready_file(const std::string& directory);

}  // namespace pinhole::dataplane
