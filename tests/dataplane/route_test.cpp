// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/route.hpp"

#include "tests/support/frame.hpp"

#include <catch2/catch.hpp>
#include <random>

namespace pinhole::dataplane {

namespace {

using config::Zone;
using test::address;

config::Interface interface(const char* name, const char* prefix, Zone zone, const char* gateway = nullptr) {
  config::Interface interface;
  interface.name = name;
  interface.zone = zone;
  interface.address = *nat::Prefix::parse(prefix);
  if (gateway != nullptr) interface.gateway = address(gateway);
  return interface;
}

config::Config office() {
  config::Config config;
  config.interfaces = {interface("lan", "10.0.0.1/24", Zone::inside),
                       interface("wan", "203.0.113.10/28", Zone::outside, "203.0.113.1"),
                       interface("link", "192.0.2.0/31", Zone::inside)};
  config.routes = {{*nat::Prefix::parse("10.0.0.0/8"), address("10.0.0.254")},
                   {*nat::Prefix::parse("10.9.0.0/16"), address("192.0.2.1")},
                   {*nat::Prefix::parse("10.9.9.9/32"), address("10.0.0.253")}};
  return config;
}

}  // namespace

TEST_CASE("an address takes the longest prefix", "[dataplane][route]") {
  struct Row {
    const char* destination;
    RouteKind kind;
    unsigned interface;
    const char* next_hop;
  };
  const Row rows[] = {
      {"10.0.0.2", RouteKind::forward, 0, "10.0.0.2"},
      {"10.0.0.1", RouteKind::local, 0, "10.0.0.1"},
      {"10.0.0.255", RouteKind::broadcast, 0, "10.0.0.255"},
      {"10.0.0.0", RouteKind::broadcast, 0, "10.0.0.0"},
      {"10.1.2.3", RouteKind::forward, 0, "10.0.0.254"},
      {"10.9.2.3", RouteKind::forward, 2, "192.0.2.1"},
      {"10.9.9.9", RouteKind::forward, 0, "10.0.0.253"},
      {"203.0.113.10", RouteKind::local, 1, "203.0.113.10"},
      {"203.0.113.11", RouteKind::forward, 1, "203.0.113.11"},
      {"203.0.113.15", RouteKind::broadcast, 1, "203.0.113.15"},
      {"203.0.113.16", RouteKind::forward, 1, "203.0.113.1"},
      {"192.0.2.0", RouteKind::local, 2, "192.0.2.0"},
      {"192.0.2.1", RouteKind::forward, 2, "192.0.2.1"},  // RFC 3021: no broadcast on a /31
      {"8.8.8.8", RouteKind::forward, 1, "203.0.113.1"},
  };
  const auto config = office();
  const RouteTable routes(config);
  for (const auto& row : rows) {
    DYNAMIC_SECTION(row.destination) {
      const auto route = routes.find(address(row.destination));
      CHECK(route.kind == row.kind);
      CHECK(route.interface == row.interface);
      CHECK(route.zone == config.interfaces[row.interface].zone);
      CHECK(route.next_hop == address(row.next_hop));
      CHECK(routes.is_local(address(row.destination)) == (row.kind == RouteKind::local));
    }
  }
}

TEST_CASE("without a default gateway the rest of the world has no route", "[dataplane][route]") {
  auto config = office();
  config.interfaces[1].gateway.reset();
  const RouteTable routes(config);
  CHECK(routes.find(address("8.8.8.8")).kind == RouteKind::none);
  CHECK(routes.find(address("203.0.113.2")).kind == RouteKind::forward);
  CHECK(RouteTable().find(address("10.0.0.1")).kind == RouteKind::none);
}

TEST_CASE("the first of equal routes counts, and one by nowhere is left out", "[dataplane][route]") {
  auto config = office();
  config.routes.push_back({*nat::Prefix::parse("10.9.0.0/16"), address("10.0.0.252")});
  config.routes.push_back({*nat::Prefix::parse("172.16.0.0/12"), address("172.16.0.1")});
  config.routes.push_back({*nat::Prefix::parse("0.0.0.0/0"), address("10.0.0.251")});
  const RouteTable routes(config);
  CHECK(routes.find(address("10.9.1.1")).next_hop == address("192.0.2.1"));
  CHECK(routes.find(address("172.16.0.9")).next_hop == address("10.0.0.251"));
  CHECK(routes.size() == 3 + 6 - 1 + 1);
}

TEST_CASE("the most routes that a configuration may have are all found", "[dataplane][route]") {
  const std::uint64_t seed = std::random_device{}();
  INFO("seed " << seed);
  std::mt19937_64 random(seed);
  auto config = office();
  config.routes.clear();
  for (std::size_t i = 0; i < RouteTable::kMaxStatic; ++i) {
    const auto length = static_cast<std::uint8_t>(1 + random() % 32);
    const auto network = nat::Ipv4Address::from_host(static_cast<std::uint32_t>(random()));
    config.routes.push_back(
        {{network, length}, nat::Ipv4Address::from_host(0x0a000002U + static_cast<std::uint32_t>(i % 250))});
  }
  const RouteTable routes(config);
  CHECK(routes.size() == 3 + RouteTable::kMaxStatic + 1);
  for (int round = 0; round < 5000; ++round) {
    auto destination = nat::Ipv4Address::from_host(static_cast<std::uint32_t>(random()));
    if (round % 2 == 0) destination = config.routes[random() % config.routes.size()].prefix.address;
    // The oracle looks at all of them.
    const config::Route* best = nullptr;
    for (const auto& route : config.routes) {
      if (!route.prefix.contains(destination)) continue;
      if (best == nullptr || route.prefix.length > best->prefix.length) best = &route;
    }
    bool connected = false;
    for (const auto& interface : config.interfaces) {
      connected = connected || (interface.address.contains(destination) &&
                                (best == nullptr || interface.address.length >= best->prefix.length));
    }
    if (connected) continue;
    REQUIRE(routes.find(destination).next_hop == (best != nullptr ? best->via : address("203.0.113.1")));
  }
}

}  // namespace pinhole::dataplane
