// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/config/quotas.hpp"

#include <algorithm>

namespace pinhole::config {

namespace {

std::uint32_t effective(std::uint32_t quota, std::uint32_t most) noexcept {
  return quota == 0 ? most : std::min(quota, most);
}

/// Where a host's ports are counted, those that media may have over the quota are left for it.
std::uint32_t most_udp_mappings(const Config& config) {
  if (config.nat.ports.mode == nat::PortMode::random || !config.sip.enabled) return kMostMappings;
  return std::min(ports_per_host(config), kMostMappings) - kMediaReserve;
}

}  // namespace

std::array<std::uint32_t, nat::kProtocols> state_per_host(const Config& config) {
  const auto& quotas = config.nat.quotas;
  return {effective(quotas.udp, kMostMappings), effective(quotas.tcp, kMostMappings),
          effective(quotas.icmp, kMostMappings)};
}

std::array<std::uint32_t, nat::kProtocols> mappings_per_host(const Config& config) {
  auto limits = state_per_host(config);
  auto& udp = limits[static_cast<std::size_t>(nat::Protocol::udp)];
  udp = std::min(udp, most_udp_mappings(config));
  return limits;
}

std::uint32_t ports_per_host(const Config& config) {
  const auto& ports = config.nat.ports;
  return ports.block_size * (ports.mode == nat::PortMode::deterministic ? 1 : ports.blocks_per_host);
}

}  // namespace pinhole::config
