// SPDX-License-Identifier: BSD-3-Clause
#include "nat/ownership.hpp"

#include <catch2/catch.hpp>

#include <algorithm>
#include <vector>

using namespace pinhole::nat;

TEST_CASE("inside hosts are dealt out evenly, whatever their pattern", "[nat][ownership]") {
  struct Case {
    const char* name;
    std::uint32_t stride;
  };
  for (const Case& row : {Case{"neighbours", 1},
                          {"every other", 2},
                          {"one a /28", 16},
                          {"one a /24", 256},
                          {"one a /16", 65536}}) {
    for (const unsigned workers : {2U, 3U, 8U, 16U}) {
      DYNAMIC_SECTION(row.name << ", " << workers << " workers") {
        constexpr std::uint32_t kHosts = 4096;
        std::vector<unsigned> hosts(workers);
        for (std::uint32_t i = 0; i < kHosts; ++i)
          ++hosts.at(owner_of_inside(Ipv4Address::from_host(0x0a000000 + i * row.stride), workers));
        CHECK(std::ranges::min(hosts) > kHosts / workers * 3 / 4);
        CHECK(std::ranges::max(hosts) < kHosts / workers * 5 / 4);
      }
    }
  }
}

TEST_CASE("the hosts of one worker use all addresses of the pool", "[nat][ownership][rfc4787-req2]") {
  std::array<unsigned, 4> hosts{};
  for (std::uint32_t i = 0; i < 4096; ++i) {
    const auto address = Ipv4Address::from_host(0xc0a80000 + i);
    if (owner_of_inside(address, 4) == 2) ++hosts.at(pool_index_of_inside(address, 4));
  }
  CHECK(std::ranges::min(hosts) > 1024 / 4 * 3 / 4);
}

TEST_CASE("each of 16 workers owns ports below 1024 of each address", "[nat][ownership][rfc4787-req3]") {
  for (std::uint16_t pool_index = 0; pool_index < 20; ++pool_index) {
    std::array<bool, 16> owns{};
    for (std::uint32_t port = 0; port < 1024; ++port)
      owns.at(owner_of_block(pool_index, port_block(static_cast<std::uint16_t>(port)), 16)) = true;
    CHECK(std::ranges::all_of(owns, [](bool owned) { return owned; }));
  }
}

TEST_CASE("an even port and the next one have the same owner", "[nat][ownership][rfc4787-req4]") {
  for (std::uint32_t port = 0; port < kPorts; port += 2)
    REQUIRE(port_block(static_cast<std::uint16_t>(port)) == port_block(static_cast<std::uint16_t>(port + 1)));
}
