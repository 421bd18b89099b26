// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/shared_memory.hpp"

#include <cstring>

#include <rte_common.h>
#include <rte_memory.h>
#include <rte_memzone.h>

#include <fmt/format.h>

namespace pinhole::dataplane {

config::Result<std::span<std::byte>> reserve(const std::string& name, std::size_t bytes) {
  const rte_memzone* const zone =
      rte_memzone_reserve_aligned(name.c_str(), bytes, SOCKET_ID_ANY, 0, RTE_CACHE_LINE_SIZE);
  if (zone == nullptr) {
    return config::Error{config::ErrorCode::memory,
                         fmt::format("dpdk.memory_mb: no room for {} ({} KB); raise it, or lower "
                                     "nat.mappings_per_worker, sip.calls_per_worker or workers.count",
                                     name, bytes >> 10U)};
  }
  std::memset(zone->addr, 0, bytes);
  return std::span<std::byte>(static_cast<std::byte*>(zone->addr), bytes);
}

}  // namespace pinhole::dataplane
