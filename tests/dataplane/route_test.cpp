// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/route.hpp"

#include "tests/support/frame.hpp"

#include <catch2/catch.hpp>
#include <optional>
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

namespace {

/// A route to a random network, and half of the destinations that are asked for are in one.
config::Route random_route(std::mt19937_64& random) {
  return {{nat::Ipv4Address::from_host(static_cast<std::uint32_t>(random())),
           static_cast<std::uint8_t>(random() % 33)},
          nat::Ipv4Address::from_host(0x0a000002U + static_cast<std::uint32_t>(random() % 250))};
}

/// The oracle looks at all static routes. \return none where a connected route may be the longest
std::optional<nat::Ipv4Address> next_hop_by_the_list(const config::Config& config, nat::Ipv4Address to) {
  const config::Route* best = nullptr;
  for (const auto& route : config.routes) {
    if (!route.prefix.contains(to)) continue;
    if (best == nullptr || route.prefix.length > best->prefix.length) best = &route;
  }
  for (const auto& interface : config.interfaces) {
    if (!interface.address.contains(to)) continue;
    if (best == nullptr || interface.address.length >= best->prefix.length) return std::nullopt;
  }
  if (best != nullptr) return best->via;
  return config.interfaces[1].gateway.value_or(nat::Ipv4Address{});
}

}  // namespace

TEST_CASE("any number of routes finds what a walk over the list finds", "[dataplane][route]") {
  const std::uint64_t seed = std::random_device{}();
  INFO("seed " << seed);
  std::mt19937_64 random(seed);
  for (const std::size_t count : {0U, 1U, 3U, 4U, 5U, 6U, 12U, 13U, 100U, 256U}) {
    auto config = office();
    config.routes.clear();
    if (count % 2 == 0) config.interfaces[1].gateway.reset();
    for (std::size_t i = 0; i < count; ++i) config.routes.push_back(random_route(random));
    const RouteTable routes(config);
    REQUIRE(routes.size() == 3 + count + count % 2);
    for (int round = 0; round < 2000; ++round) {
      auto destination = nat::Ipv4Address::from_host(static_cast<std::uint32_t>(random()));
      if (round % 2 == 0 && count > 0) destination = config.routes[random() % count].prefix.address;
      if (round == 1) destination = address("0.0.0.0");
      if (round == 3) destination = address("255.255.255.255");
      if (const auto next_hop = next_hop_by_the_list(config, destination)) {
        REQUIRE(routes.find(destination).next_hop == *next_hop);
      }
    }
  }
  static_assert(RouteTable::kMaxStatic == 256);
}

}  // namespace pinhole::dataplane
