// SPDX-License-Identifier: BSD-3-Clause
#pragma once
// How many mappings one inside host may have, with everything that the configuration says about it taken
// together. The data plane refuses by what stands here, and control tells of refusals by the same.

#include "dataplane/config/structs.hpp"
#include "nat/mapping.hpp"

#include <array>
#include <cstdint>

namespace pinhole::config {

/// Whatever the quota: an external address has no more ports, and hosts' mappings are counted no further.
inline constexpr std::uint32_t kMostMappings = 65535;
/// Of a host's ports so many are left for media, which may go over the quota (nat::HostTable::kMediaReserve).
inline constexpr std::uint32_t kMediaReserve = 16;

// By protocol, from 1 to kMostMappings:

/// Mappings of every kind: those without a port of the pool count too.
[[nodiscard]] std::array<std::uint32_t, nat::kProtocols> state_per_host(const Config& config);
/// Mappings that take a port of the pool, media of calls apart.
[[nodiscard]] std::array<std::uint32_t, nat::kProtocols> mappings_per_host(const Config& config);

/// How many ports of each protocol a host may have in its blocks. \param config  not of mode random
[[nodiscard]] std::uint32_t ports_per_host(const Config& config);

}  // namespace pinhole::config
