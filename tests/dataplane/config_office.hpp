// SPDX-License-Identifier: BSD-3-Clause
#pragma once
// A valid configuration, for tests that change one thing and look whether it is found.

#include "dataplane/config/structs.hpp"
#include "dataplane/config/validate.hpp"

#include <catch2/catch.hpp>

#include <functional>
#include <string>
#include <vector>

namespace pinhole::config {

inline nat::Ipv4Address address(const char* text) {
  return nat::Ipv4Address::parse(text).value();
}
inline nat::Prefix prefix(const char* text) {
  return nat::Prefix::parse(text).value();
}
inline nat::Endpoint endpoint(const char* text, std::uint16_t port) {
  return {address(text), nat::Be16{port}};
}

/// An office: phones and a branch behind a router inside, one provider outside, two external addresses.
inline Config office() {
  Config config;
  config.interfaces = {
      {.name = "lan",
       .device = "net_tap0",
       .zone = Zone::inside,
       .address = prefix("192.168.1.1/24"),
       .gateway = {}},
      {.name = "wan",
       .device = "net_tap1",
       .zone = Zone::outside,
       .address = prefix("203.0.113.2/24"),
       .gateway = address("203.0.113.1")},
  };
  config.routes = {{prefix("10.20.0.0/16"), address("192.168.1.254")}};
  config.nat.pool = {address("203.0.113.2"), address("203.0.113.3")};
  config.nat.forwards = {{nat::Protocol::udp, endpoint("203.0.113.3", 5060), endpoint("192.168.1.10", 5060)}};
  return config;
}

struct Change {
  const char* what;
  std::function<void(Config&)> apply;
  const char* message;  // null: still valid
};

inline void expect(const std::vector<Change>& cases) {
  for (const auto& row : cases) {
    DYNAMIC_SECTION(row.what) {
      auto config = office();
      row.apply(config);
      const auto result = validate(config);
      if (row.message == nullptr) {
        CHECK((result ? std::string{} : result.error().message) == "");
      } else {
        REQUIRE(result.has_error());
        CHECK(result.error().message == row.message);
        CHECK(exit_status(result.error().code) == 2);
      }
    }
  }
}

}  // namespace pinhole::config
