// SPDX-License-Identifier: BSD-3-Clause
#include "nat/port_plan.hpp"

#include <catch2/catch.hpp>

#include <vector>

using namespace pinhole::nat;

namespace {

constexpr PortPlan plan_of(std::uint32_t block_size) {
  return {.mode = PortMode::deterministic, .block_size = block_size};
}

std::uint32_t number(const char* text) {
  return Ipv4Address::parse(text)->host();
}

}  // namespace

TEST_CASE("blocks fill an address from port 1024 on, aligned to their size",
          "[nat][port_plan][rfc4787-req3]") {
  struct Case {
    std::uint32_t size;
    std::uint32_t first_port;
    std::uint32_t blocks;
  };
  for (const Case& row : {Case{64, 1024, 1008},
                          {512, 1024, 126},
                          {1024, 1024, 63},
                          {2048, 2048, 31},
                          {4096, 4096, 15},
                          {16384, 16384, 3}}) {
    DYNAMIC_SECTION(row.size << " ports") {
      const PortPlan plan = plan_of(row.size);
      CHECK(plan.first_port() == row.first_port);
      CHECK(plan.blocks_per_address() == row.blocks);
      CHECK_FALSE(plan.block_of(0));
      CHECK_FALSE(plan.block_of(static_cast<std::uint16_t>(row.first_port - 1)));
      std::uint32_t expected_first = row.first_port;
      for (std::uint32_t block = 0; block < row.blocks; ++block) {
        const PortBlock range = block_number(plan, 3, block);
        REQUIRE(range.pool_index == 3);
        REQUIRE(range.first_port == expected_first);
        REQUIRE(range.first_port % row.size == 0);
        REQUIRE(range.last_port == expected_first + row.size - 1);
        REQUIRE(plan.block_of(range.first_port) == block);
        REQUIRE(plan.block_of(range.last_port) == block);
        expected_first += row.size;
      }
      CHECK(expected_first == 65536);
    }
  }
}

TEST_CASE("the block of a subscriber is arithmetic, both ways", "[nat][port_plan][rfc7422]") {
  // 126 blocks of 512 ports an address: subscriber 1000 is the 119th (118) of the eighth address (7).
  constexpr PortPlan plan = plan_of(512);
  CHECK(block_of_subscriber(plan, 0) == PortBlock{0, 1024, 1535});
  CHECK(block_of_subscriber(plan, 125) == PortBlock{0, 65024, 65535});
  CHECK(block_of_subscriber(plan, 126) == PortBlock{1, 1024, 1535});
  CHECK(block_of_subscriber(plan, 1000) == PortBlock{7, 1024 + 118 * 512, 1024 + 118 * 512 + 511});
  CHECK(subscriber_of_port(plan, 7, 61440) == 1000U);
  CHECK(subscriber_of_port(plan, 7, 61951) == 1000U);
  CHECK(subscriber_of_port(plan, 7, 61952) == 1001U);
  CHECK_FALSE(subscriber_of_port(plan, 7, 1023));
  for (const std::uint32_t size : {64U, 512U, 2048U, 16384U}) {
    for (std::uint32_t n = 0; n < 3000; ++n) {
      const PortBlock block = block_of_subscriber(plan_of(size), n);
      REQUIRE(subscriber_of_port(plan_of(size), block.pool_index, block.first_port) == n);
      REQUIRE(subscriber_of_port(plan_of(size), block.pool_index, block.last_port) == n);
    }
  }
}

TEST_CASE("subscribers are numbered in the order of their list", "[nat][port_plan][rfc7422]") {
  // Listed as 100.64.1.0/24, 10.0.0.0/30, 100.64.0.0/24; given in the order of addresses.
  const std::vector<SubscriberRange> ranges = {
      {number("10.0.0.0"), number("10.0.0.3"), 256},
      {number("100.64.0.0"), number("100.64.0.255"), 260},
      {number("100.64.1.0"), number("100.64.1.255"), 0},
  };
  const Subscribers subscribers(ranges);
  CHECK(subscribers.number_of(*Ipv4Address::parse("100.64.1.0")) == 0U);
  CHECK(subscribers.number_of(*Ipv4Address::parse("100.64.1.255")) == 255U);
  CHECK(subscribers.number_of(*Ipv4Address::parse("10.0.0.2")) == 258U);
  CHECK(subscribers.number_of(*Ipv4Address::parse("100.64.0.9")) == 269U);
  for (const char* stranger :
       {"9.255.255.255", "10.0.0.4", "100.63.255.255", "100.64.2.0", "0.0.0.0", "255.255.255.255"})
    CHECK_FALSE(subscribers.number_of(*Ipv4Address::parse(stranger)));
  std::uint32_t count = 0;
  subscribers.for_each([&](std::uint32_t n, Ipv4Address address) {
    ++count;
    REQUIRE(subscribers.number_of(address) == n);
    REQUIRE(subscribers.address_of(n) == address);
  });
  CHECK(count == 516);
  CHECK_FALSE(subscribers.address_of(516));
  CHECK_FALSE(Subscribers().number_of(*Ipv4Address::parse("10.0.0.1")));
  CHECK_FALSE(Subscribers().address_of(0));
}
