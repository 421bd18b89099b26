// SPDX-License-Identifier: BSD-3-Clause
#pragma once
// Which gateway's protocol is spoken on which port. A constant table of bits, which most packets
// need not even load because the ports lie close together; whoever finds a bit set looks further.

#include <array>
#include <cstdint>
#include <span>

#include "dataplane/ipc/gateways.hpp"
#include "nat/byte_order.hpp"
#include "nat/endpoint.hpp"
#include "nat/mapping.hpp"

namespace pinhole::dataplane {

/// Whose a flow is: nobody's, or that of a gateway.
using PortOwner = std::uint8_t;
inline constexpr PortOwner kUnowned = 0;
[[nodiscard]] constexpr PortOwner owner_of(ipc::GatewayNumber gateway) noexcept {
  return static_cast<PortOwner>(gateway + 1);
}
[[nodiscard]] constexpr ipc::GatewayNumber gateway_of(PortOwner owner) noexcept {
  return static_cast<ipc::GatewayNumber>(owner - 1);
}
inline constexpr PortOwner kSipOwner = owner_of(ipc::kSipGateway);

struct PortClaim {
  nat::Protocol protocol = nat::Protocol::udp;  // or TCP
  std::uint16_t port = 0;
  PortOwner owner = kUnowned;
};

class PortClaims {
 public:
  /// \param claims  each port by one gateway
  explicit PortClaims(std::span<const PortClaim> claims) noexcept;

  [[nodiscard]] PortOwner owner(nat::Protocol protocol, nat::Be16 port) const noexcept {
    return is_claimed(port) ? owner_of_claimed(protocol, port) : kUnowned;
  }
  /// Who looks at what passes between a mapping and a remote port: whose port the end is that it goes to,
  /// SIP on mappings that signalling was announced for, then whose port it comes from. Who sends chooses his
  /// own port, and must not choose by it who looks. A pinhole is media whatever its ports are; but a
  /// connection by which one who has announced it goes to a server of another gateway is that gateway's.
  [[nodiscard]] PortOwner owner(const nat::Mapping& mapping, nat::Be16 remote_port,
                                bool outbound) const noexcept {
    using nat::MappingFlags;
    const bool is_remote_claimed = is_claimed(remote_port);
    const bool is_inside_claimed = is_claimed(mapping.inside.port);
    if (!is_remote_claimed && !is_inside_claimed && (mapping.flags & MappingFlags::kSip) == 0) [[likely]]
      return kUnowned;
    if (mapping.protocol == nat::Protocol::icmp) return kUnowned;
    const bool is_pinhole = (mapping.flags & MappingFlags::kPinhole) != 0;
    if (is_pinhole && mapping.protocol == nat::Protocol::udp) return kUnowned;
    const auto of_remote = is_remote_claimed ? owner_of_claimed(mapping.protocol, remote_port) : kUnowned;
    if (is_pinhole) return of_remote == kSipOwner ? kUnowned : of_remote;
    const auto of_inside =
        is_inside_claimed ? owner_of_claimed(mapping.protocol, mapping.inside.port) : kUnowned;
    if (const auto receiver = outbound ? of_remote : of_inside; receiver != kUnowned) return receiver;
    if ((mapping.flags & MappingFlags::kSip) != 0) return sip_[static_cast<std::size_t>(mapping.protocol)];
    return outbound ? of_inside : of_remote;
  }

 private:
  void claim(const PortClaim& claim) noexcept;
  /// Whether any protocol's port of this number is. Most are told by where the claims begin and end.
  [[nodiscard]] bool is_claimed(nat::Be16 port) const noexcept {
    const std::uint16_t number = port.host();
    if (static_cast<std::uint16_t>(number - first_) > span_) [[likely]]
      return false;
    return (bits_[number / 64] >> (number % 64) & 1U) != 0;
  }

  [[nodiscard]] PortOwner owner_of_claimed(nat::Protocol protocol, nat::Be16 port) const noexcept {
    return owners_[static_cast<std::size_t>(protocol)][port.host()];
  }

  std::uint16_t first_ = 1;
  std::uint16_t span_ = 0;          // from the first to the last
  std::array<PortOwner, 2> sip_{};  // by protocol: kSipOwner where SIP claims any port
  std::array<std::uint64_t, 65536 / 64> bits_{};
  std::array<std::array<PortOwner, 65536>, 2> owners_{};  // by protocol
};
static_assert(static_cast<int>(nat::Protocol::udp) == 0 && static_cast<int>(nat::Protocol::tcp) == 1);

}  // namespace pinhole::dataplane
