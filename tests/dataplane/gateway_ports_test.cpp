// SPDX-License-Identifier: BSD-3-Clause
// Whose a flow is, by its ports.
#include "dataplane/gateway/ports.hpp"

#include <catch2/catch.hpp>

#include <array>
#include <cstdint>
#include <memory>
#include <vector>

using namespace pinhole;
using namespace pinhole::dataplane;
using nat::MappingFlags;
using nat::Protocol;

TEST_CASE("a flow is of whom it goes to, and nobody chooses by his own port who looks at it",
          "[dataplane][gateway]") {
  constexpr PortOwner kFtp = owner_of(1);
  constexpr PortOwner kTftp = owner_of(2);
  const std::array<PortClaim, 4> claims{{{Protocol::udp, 5060, kSipOwner},
                                         {Protocol::tcp, 5060, kSipOwner},
                                         {Protocol::tcp, 21, kFtp},
                                         {Protocol::udp, 69, kTftp}}};
  const auto ports = std::make_unique<PortClaims>(claims);
  struct Case {
    const char* what;
    Protocol protocol;
    std::uint16_t inside;
    std::uint16_t remote;
    std::uint8_t flags;
    bool outbound;
    PortOwner owner;
  };
  const std::vector<Case> cases = {
      {"to a server outside", Protocol::tcp, 40000, 21, 0, true, kFtp},
      {"and back", Protocol::tcp, 40000, 21, 0, false, kFtp},
      {"to a server inside", Protocol::tcp, 21, 40000, 0, false, kFtp},
      {"and back", Protocol::tcp, 21, 40000, 0, true, kFtp},
      {"to SIP inside from FTP's port", Protocol::tcp, 5060, 21, 0, false, kSipOwner},
      {"to FTP inside from SIP's port", Protocol::tcp, 21, 5060, 0, false, kFtp},
      {"to SIP outside from FTP's port", Protocol::tcp, 21, 5060, 0, true, kSipOwner},
      {"to FTP outside from SIP's port", Protocol::tcp, 5060, 21, 0, true, kFtp},
      {"a datagram to SIP inside from TFTP's port", Protocol::udp, 5060, 69, 0, false, kSipOwner},
      {"to a phone on another port from TFTP's", Protocol::udp, 5070, 69, MappingFlags::kSip, false,
       kSipOwner},
      {"of nobody", Protocol::tcp, 40000, 80, 0, true, kUnowned},
      {"SIP by announcement", Protocol::udp, 40000, 40001, MappingFlags::kSip, false, kSipOwner},
      {"media", Protocol::udp, 5060, 5060, MappingFlags::kPinhole, true, kUnowned},
      {"FTP's port of another protocol", Protocol::udp, 40000, 21, 0, true, kUnowned},
  };
  for (const auto& row : cases) {
    DYNAMIC_SECTION(row.what << (row.outbound ? ", outbound" : ", inbound")) {
      nat::Mapping mapping;
      mapping.protocol = row.protocol;
      mapping.inside.port = nat::Be16{row.inside};
      mapping.flags = row.flags;
      CHECK(ports->owner(mapping, nat::Be16{row.remote}, row.outbound) == row.owner);
    }
  }
}
