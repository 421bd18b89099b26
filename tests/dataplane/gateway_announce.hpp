// SPDX-License-Identifier: BSD-3-Clause
#pragma once
// A gateway that announces flows when it is told to "open".

#include <catch2/catch.hpp>

#include <cstdint>
#include <memory>
#include <string_view>

#include "tests/dataplane/gateway_lab.hpp"

namespace pinhole::test {

inline constexpr std::uint16_t kAnnouncedPort = 5000;

/// What the gateway announces with a line or datagram that says "open".
struct Wanted {
  unsigned protocol = PINHOLE_TCP;
  unsigned from = PINHOLE_OUTSIDE;
  unsigned flags = PINHOLE_ONCE | PINHOLE_CHILD;
  std::uint16_t port = kAnnouncedPort;
  std::uint16_t remote_port = 0;
  std::uint32_t seconds = 30;
};

/// Has the gateway announce what is wanted. \return where the external endpoint is put
inline std::shared_ptr<nat::Endpoint> announces(const Wanted& wanted) {
  auto external = std::make_shared<nat::Endpoint>();
  TestGateway::read = [=](pinhole_context* context, const pinhole_message& message) {
    if (std::string_view{message.bytes, message.length}.find("open") == std::string_view::npos)
      return PINHOLE_FORWARD;
    if (wanted.from == PINHOLE_OUTSIDE) {
      pinhole_endpoint plain{};
      CHECK(TestGateway::host->reserve(context, static_cast<std::uint8_t>(wanted.protocol), wanted.port, 1,
                                       &plain) == PINHOLE_OK);
      *external = TestGateway::endpoint_of(plain);
    }
    const auto expectation = TestGateway::expectation(message, wanted.protocol, wanted.from, wanted.flags,
                                                      wanted.port, wanted.remote_port, wanted.seconds);
    CHECK(TestGateway::host->expect(context, &expectation) == PINHOLE_OK);
    return PINHOLE_FORWARD;
  };
  return external;
}

}  // namespace pinhole::test
