// SPDX-License-Identifier: BSD-3-Clause
#pragma once
// How control comes to the data plane's memory: as a DPDK secondary process. The EAL starts once in a process
// and never lets go of a primary that died, and a new primary cannot start while a secondary holds the old
// one's files; so control looks first (find_primary), attaches when there is something to attach to, and
// starts itself anew when the data plane is gone.

#include <sys/types.h>

#include <atomic>
#include <optional>
#include <string>
#include <vector>

#include "control/error.hpp"
#include "dataplane/ipc/layout.hpp"

struct rte_ring;

namespace pinhole::control {

/// A DPDK primary process that is alive.
struct Primary {
  pid_t pid = 0;       // 0: of another PID namespace
  bool ready = false;  // its ports are there (dataplane/ready_file.hpp)

  friend bool operator==(const Primary&, const Primary&) = default;
};

/// The file by which DPDK processes of this prefix know each other.
[[nodiscard]] std::string primary_config_path(const std::string& file_prefix);

/// Who runs as primary. Looks at the locks of two files, nothing else. \return none when nobody does.
[[nodiscard]] std::optional<Primary> find_primary(const std::string& config_path) noexcept;

/// The data plane's memory. Valid until the process ends, even when the data plane ended before.
struct Attachment {
  const ipc::Layout* layout = nullptr;
  std::vector<rte_ring*> events;  // of each worker
  std::vector<rte_ring*> commands;
  std::vector<rte_ring*> records;  // of NAT; none when the data plane's configuration wants none
};

/// Whether a layout can be used by this program.
/// Errors: ErrorCode::conflict when it is of another version or no layout at all.
[[nodiscard]] Result<void> check_layout(const ipc::Layout& layout);

/// Starts the EAL as a secondary of the primary, and waits until the data plane is ready.
/// Errors: ErrorCode::conflict for another ABI version; ErrorCode::unavailable when the primary went away,
/// the EAL refused or `stop` was set: the process has to be started anew to try again. Thread: any, once in a
/// process. It may block for seconds, for ever when the primary dies at a bad moment: give it a thread of its
/// own.
[[nodiscard]] Result<Attachment> attach(const std::string& file_prefix, const Primary& primary,
                                        const std::atomic<bool>& stop);

/// Gives back what the EAL took of the shared memory. Only while the data plane lives; nothing of an
/// Attachment may be used afterwards.
void detach() noexcept;

}  // namespace pinhole::control
