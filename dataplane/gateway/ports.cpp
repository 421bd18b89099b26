// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/gateway/ports.hpp"

#include <algorithm>

namespace pinhole::dataplane {

PortClaims::PortClaims(std::span<const PortClaim> claims) noexcept {
  for (const auto& each : claims) claim(each);
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
  const auto protocol = static_cast<std::size_t>(claim.protocol);
  owners_[protocol][claim.port] = claim.owner;
  if (claim.owner == kSipOwner) sip_[protocol] = kSipOwner;
}

}  // namespace pinhole::dataplane
