// SPDX-License-Identifier: BSD-3-Clause
// Ports of gateways: whose a flow is by its own, and those that are reserved for what is announced.
#include "dataplane/gateway/ports.hpp"

#include <catch2/catch.hpp>

#include <array>
#include <cstdint>
#include <memory>
#include <vector>

#include "tests/dataplane/gateway_lab.hpp"

using namespace pinhole;
using namespace pinhole::dataplane;
using namespace pinhole::test;
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
      {"media over TCP", Protocol::tcp, 21, 40000, MappingFlags::kPinhole, false, kUnowned},
      {"media over TCP to SIP's port", Protocol::tcp, 5060, 5060, MappingFlags::kPinhole, true, kUnowned},
      {"to FTP's server from what was announced as media", Protocol::tcp, 40000, 21, MappingFlags::kPinhole,
       true, kFtp},
      {"and back", Protocol::tcp, 40000, 21, MappingFlags::kPinhole, false, kFtp},
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

TEST_CASE("ports are reserved by ones and twos where hosts have blocks of ports",
          "[dataplane][gateway][ports]") {
  for (const auto mode : {nat::PortMode::blocks, nat::PortMode::deterministic}) {
    DYNAMIC_SECTION("mode " << static_cast<int>(mode)) {
      auto config = lab_config();
      config.nat.pool = {nat::Prefix{address("203.0.113.64"), 30}};
      config.nat.ports.mode = mode;
      config.nat.ports.block_size = 512;
      if (mode == nat::PortMode::deterministic) config.nat.ports.subscribers = {{address("10.0.0.0"), 24}};
      GatewayScene scene(config);
      std::uint16_t port = 10000;
      TestGateway::read = [&](pinhole_context* context, const pinhole_message&) {
        for (const unsigned protocol : {unsigned{PINHOLE_TCP}, unsigned{PINHOLE_UDP}}) {
          for (const unsigned count : {1U, 2U}) {
            pinhole_endpoint external{};
            CHECK(TestGateway::host->reserve(context, static_cast<std::uint8_t>(protocol), port, count,
                                             &external) == PINHOLE_OK);
            CHECK((external.port % 2 == 0 || count == 1));
            port = static_cast<std::uint16_t>(port + 2);
          }
        }
        return PINHOLE_FORWARD;
      };
      scene.out("reserve");
      const auto in_use = scene.lab.count(nat::Counter::port_in_use);
      CHECK(in_use == 7);
      scene.lab.pass_s(400);
      CHECK(scene.lab.count(nat::Counter::port_in_use) == 0);
      CHECK(scene.lab.count(nat::Counter::mapping_live) == 0);
    }
  }
}
