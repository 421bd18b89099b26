// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/gateway/ports.hpp"

#include <algorithm>

namespace pinhole::dataplane {

PortClaims::PortClaims(std::span<const std::uint16_t> sip_ports, bool sip_over_tcp,
                       std::span<const PortClaim> claims) noexcept {
  sip_ = {kSipOwner, sip_over_tcp ? kSipOwner : kUnowned};
  for (const auto& each : claims) claim(each);
  for (const auto port : sip_ports) {
    claim({nat::Protocol::udp, port, kSipOwner});
    if (sip_over_tcp) claim({nat::Protocol::tcp, port, kSipOwner});
  }
  std::uint32_t lowest = 65536;
  std::uint32_t highest = 0;
  for (std::uint32_t port = 0; port < 65536; ++port) {
    if ((bits_[port / 64] >> (port % 64) & 1U) == 0) continue;
    lowest = std::min(lowest, port);
    highest = port;
  }
  if (lowest > highest) return;  // the range is then port 1 alone, and its bit is not set
  first_ = static_cast<std::uint16_t>(lowest);
  span_ = static_cast<std::uint16_t>(highest - lowest);
}

void PortClaims::claim(const PortClaim& claim) noexcept {
  bits_[claim.port / 64] |= std::uint64_t{1} << (claim.port % 64);
  owners_[static_cast<std::size_t>(claim.protocol)][claim.port] = claim.owner;
}

}  // namespace pinhole::dataplane
