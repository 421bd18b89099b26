// SPDX-License-Identifier: BSD-3-Clause
// How external ports are given out: what fits together, and whose ports are whose by the configuration alone.
#include "dataplane/config/subscribers.hpp"

#include "dataplane/config/quotas.hpp"
#include "dataplane/config/validate.hpp"
#include "tests/dataplane/config_office.hpp"

#include <catch2/catch.hpp>

#include <array>
#include <functional>
#include <vector>

namespace pinhole::config {

namespace {

std::function<void(Config&)> subscribers(std::vector<nat::Prefix> list, std::uint32_t block_size = 512) {
  return [=](Config& c) {
    c.nat.ports.mode = nat::PortMode::deterministic;
    c.nat.ports.block_size = block_size;
    c.nat.ports.subscribers = list;
    c.nat.forwards = {};  // it would lie in somebody's block
  };
}

std::function<void(Config&)> blocks(std::uint32_t size, unsigned workers, unsigned addresses) {
  return [=](Config& c) {
    c.nat.ports.mode = nat::PortMode::blocks;
    c.nat.ports.block_size = size;
    c.workers.count = workers;
    if (addresses == 1) {
      c.nat.pool = {};
      c.nat.forwards = {};
    }
  };
}

Config carrier() {
  auto config = office();
  // 203.0.113.2 and .3, then .8 to .15: ten addresses.
  config.nat.pool.emplace_back(prefix("203.0.113.8/29"));
  subscribers({prefix("10.20.4.0/22"), prefix("192.168.1.128/25")})(config);
  return config;
}

}  // namespace

TEST_CASE("blocks are a power of two, and each worker owns some", "[config][validate][ports]") {
  expect({
      {"blocks", blocks(512, 16, 1), nullptr},
      {"a size that is no power of two", blocks(500, 1, 1),
       "nat.ports.block_size: found 500; allowed is a power of two from 64 to 16384"},
      {"as large as can be", blocks(16384, 3, 1), nullptr},
      {"larger than the workers leave", blocks(16384, 4, 1),
       "nat.ports.block_size: blocks of 16384 ports are too few: 3 of 4 workers own one; set it to 8192 or "
       "less, or give more addresses in nat.pool"},
      {"with an address more", blocks(16384, 4, 2), nullptr},
      {"many workers", blocks(16384, 16, 2),
       "nat.ports.block_size: blocks of 16384 ports are too few: 4 of 16 workers own one; set it to 4096 or "
       "less, or give more addresses in nat.pool"},
  });
}

TEST_CASE("subscribers are hosts inside, listed once, in the mode that is for them",
          "[config][validate][ports][rfc7422]") {
  expect({
      {"some", subscribers({prefix("10.20.1.0/25"), prefix("192.168.1.128/26")}), nullptr},
      {"nobody", subscribers({}),
       "nat.ports.subscribers: lists nobody, and nat.ports.mode is \"deterministic\"; list the prefixes that "
       "the hosts inside are in"},
      {"in another mode",
       [](Config& c) {
         c.nat.ports.mode = nat::PortMode::blocks;
         c.nat.ports.subscribers = {prefix("10.20.1.0/25")};
       },
       "nat.ports.subscribers: lists hosts, and nat.ports.mode is not \"deterministic\"; set that mode, or "
       "leave the list out"},
      {"bits after a prefix", subscribers({prefix("10.20.1.1/25")}),
       "nat.ports.subscribers[0]: 10.20.1.1/25 has bits set after its prefix; write 10.20.1.0/25"},
      {"twice", subscribers({prefix("10.20.1.0/25"), prefix("192.168.1.0/26"), prefix("10.20.1.64/32")}),
       "nat.ports.subscribers[2]: 10.20.1.64/32 overlaps nat.ports.subscribers[0]; list each host once"},
      {"outside", subscribers({prefix("192.0.2.0/25")}),
       "nat.ports.subscribers[0]: 192.0.2.0 is not inside; list hosts in the subnet of an inside interface "
       "or "
       "behind a route through one"},
      {"half outside", subscribers({prefix("10.16.0.0/12")}),
       "nat.ports.subscribers[0]: 10.16.0.0 is not inside; list hosts in the subnet of an inside interface "
       "or "
       "behind a route through one"},
  });
}

TEST_CASE("there is a block for each subscriber, or what would make room is said",
          "[config][validate][ports][rfc7422]") {
  // Two addresses: 252 blocks of 512 ports, 2016 of 64.
  expect({
      {"as many as there are",
       subscribers({prefix("10.20.1.0/25"), prefix("10.20.2.0/26"), prefix("10.20.3.0/27"),
                    prefix("10.20.4.0/28"), prefix("10.20.5.0/29"), prefix("10.20.6.0/30")}),
       nullptr},
      {"one more",
       subscribers({prefix("10.20.1.0/25"), prefix("10.20.2.0/26"), prefix("10.20.3.0/27"),
                    prefix("10.20.4.0/28"), prefix("10.20.5.0/29"), prefix("10.20.6.0/30"),
                    prefix("10.20.7.9/32")}),
       "nat.ports.subscribers: lists 253 hosts, and 2 external addresses are enough for 252 blocks of 512 "
       "ports; list fewer, set nat.ports.block_size to 256, or give 3 addresses in nat.pool"},
      {"smaller blocks", subscribers({prefix("10.20.0.0/22")}, 64), nullptr},
      {"too many for the smallest", subscribers({prefix("10.20.0.0/20")}),
       "nat.ports.subscribers: lists 4096 hosts, and 2 external addresses are enough for 252 blocks of 512 "
       "ports; list fewer, or give 33 addresses in nat.pool"},
      {"one address",
       [](Config& c) {
         c.nat.pool = {};
         c.nat.forwards = {};
         subscribers({prefix("10.20.0.0/25")})(c);
       },
       "nat.ports.subscribers: lists 128 hosts, and 1 external address is enough for 126 blocks of 512 "
       "ports; "
       "list fewer, set nat.ports.block_size to 256, or give 2 addresses in nat.pool"},
      {"more than any pool",
       [](Config& c) {
         c.routes = {{prefix("10.0.0.0/8"), address("192.168.1.254")}};
         subscribers({prefix("10.0.0.0/8")})(c);
       },
       "nat.ports.subscribers: lists 16777216 hosts, and 2 external addresses are enough for 252 blocks of "
       "512 ports; list fewer"},
  });
}

TEST_CASE("in blocks, what is mapped statically leaves each worker a block with ports of each protocol",
          "[config][validate][ports][static]") {
  const auto mapped = [](unsigned workers, std::vector<std::pair<EndpointRange, Protocols>> ranges) {
    return [=](Config& c) {
      c.nat.ports.mode = nat::PortMode::blocks;
      c.workers.count = workers;
      std::uint32_t host = address("10.20.0.1").host();
      for (auto [external, protocol] : ranges) {
        auto inside = external;
        inside.prefix.address = nat::Ipv4Address::from_host(host++);
        c.nat.static_mappings.push_back({.protocol = protocol, .external = external, .inside = inside});
      }
    };
  };
  const auto ports = [](const char* external, std::uint16_t first, std::uint16_t last) {
    return EndpointRange{{address(external), 32}, first, last};
  };
  const auto second = [&](std::uint16_t first, std::uint16_t last) {
    return ports("203.0.113.3", first, last);
  };
  const auto whole_of_first = std::pair{ports("203.0.113.2", 1, 65535), Protocols::tcp};
  expect({
      {"all of one address", mapped(1, {whole_of_first}), nullptr},
      {"all but a port of a block", mapped(1, {whole_of_first, {second(1024, 65534), Protocols::tcp}}),
       nullptr},
      {"all of both", mapped(1, {whole_of_first, {second(1024, 65535), Protocols::tcp}}),
       "nat.static_mappings[1].external: 203.0.113.3:1024-65535 takes the last tcp ports of the blocks, so "
       "that hosts get none; give fewer ports here or more addresses in nat.pool, or set nat.ports.mode to "
       "\"random\""},
      {"of each protocol some",
       mapped(
           1,
           {whole_of_first, {second(1024, 40000), Protocols::tcp}, {second(40001, 65535), Protocols::udp}}),
       nullptr},
      {"each block lacks one",
       mapped(
           1,
           {whole_of_first, {second(1024, 39935), Protocols::tcp}, {second(39936, 65535), Protocols::udp}}),
       "nat.static_mappings[2].external: 203.0.113.3:39936-65535 takes the last udp ports of the blocks, so "
       "that hosts get none; give fewer ports here or more addresses in nat.pool, or set nat.ports.mode to "
       "\"random\""},
      // The last block is worker 0's: number 125 of address 1.
      {"one block for two workers", mapped(2, {whole_of_first, {second(1024, 65023), Protocols::tcp}}),
       "nat.static_mappings[1].external: 203.0.113.3:1024-65023 takes the last tcp ports of the blocks of "
       "worker 1, so that hosts get none; give fewer ports here or more addresses in nat.pool, or set "
       "nat.ports.mode to \"random\""},
      {"two blocks for two workers", mapped(2, {whole_of_first, {second(1024, 64511), Protocols::tcp}}),
       nullptr},
      {"one by one",
       [&](Config& c) {
         mapped(1, {whole_of_first, {second(1024, 65535), Protocols::tcp}})(c);
         c.nat.ports.mode = nat::PortMode::random;
       },
       nullptr},
  });
}

TEST_CASE("by the rule, what is mapped statically is no other subscriber's",
          "[config][validate][ports][static][rfc7422]") {
  // 10.20.1.7 has 203.0.113.2:4608-5119; 203.0.113.3 has the last two and then nobody.
  const auto with = [](std::function<void(Config&)> more) {
    return [=](Config& c) {
      subscribers({prefix("10.20.1.0/25")})(c);
      more(c);
    };
  };
  const auto forward = [&](const char* external, std::uint16_t port, const char* inside) {
    return with([=](Config& c) {
      c.nat.forwards = {{nat::Protocol::udp, endpoint(external, port), endpoint(inside, 5060)}};
    });
  };
  const auto mapped = [&](std::uint16_t first, std::uint16_t last, const char* inside) {
    return with([=](Config& c) {
      c.nat.static_mappings = {{.protocol = Protocols::tcp,
                                .external = {{address("203.0.113.2"), 32}, first, last},
                                .inside = {{address(inside), 32}, first, last}}};
    });
  };
  expect({
      {"a forward to the host whose port it is", forward("203.0.113.2", 5060, "10.20.1.7"), nullptr},
      {"a forward to another", forward("203.0.113.2", 5060, "192.168.1.10"),
       "nat.forwards[0].external: 203.0.113.2:5060 is in the block of the subscriber 10.20.1.7, and leads to "
       "192.168.1.10; give ports below 1024 or behind those of the last subscriber, or of an address that is "
       "not in nat.pool"},
      {"below the blocks", forward("203.0.113.2", 1023, "192.168.1.10"), nullptr},
      {"of the last subscriber", forward("203.0.113.3", 2047, "192.168.1.10"),
       "nat.forwards[0].external: 203.0.113.3:2047 is in the block of the subscriber 10.20.1.127, and leads "
       "to "
       "192.168.1.10; give ports below 1024 or behind those of the last subscriber, or of an address that is "
       "not in nat.pool"},
      {"behind the last subscriber", forward("203.0.113.3", 2048, "192.168.1.10"), nullptr},
      {"most of a block", mapped(4608, 5118, "10.20.1.7"), nullptr},
      {"all of a block", mapped(4608, 5119, "10.20.1.7"),
       "nat.static_mappings[0].external: 203.0.113.2:4608-5119 takes the last tcp port of the block of "
       "10.20.1.7; leave the host some for what it begins itself"},
      {"into the next block", mapped(5000, 5120, "10.20.1.7"),
       "nat.static_mappings[0].external: 203.0.113.2:5000-5120 is in the block of the subscriber 10.20.1.8, "
       "and leads to 10.20.1.7; give ports below 1024 or behind those of the last subscriber, or of an "
       "address "
       "that is not in nat.pool"},
  });
}

TEST_CASE("whose ports are whose follows from the configuration, both ways", "[config][ports][rfc7422]") {
  const auto config = carrier();
  REQUIRE(validate(config).has_value());
  const SubscriberPlan plan(config);
  struct Case {
    const char* what;
    std::uint32_t number;
    const char* inside;
    const char* external;
    std::uint16_t first_port;
  };
  for (const auto& row : std::vector<Case>{
           {"the first", 0, "10.20.4.0", "203.0.113.2", 1024},
           {"the last of the first address", 125, "10.20.4.125", "203.0.113.2", 65024},
           {"the first of the second address", 126, "10.20.4.126", "203.0.113.3", 1024},
           // 10.20.7.232 is number 1000: 7 × 126 = 882 are before its address, the eighth, and 118 on it.
           {"the example of the manual", 1000, "10.20.7.232", "203.0.113.13", 61440},
           {"the first of the second prefix", 1024, "192.168.1.128", "203.0.113.14", 9216},
           {"the last", 1151, "192.168.1.255", "203.0.113.15", 9728}}) {
    DYNAMIC_SECTION(row.what) {
      const Allotment expected{row.number, address(row.inside), address(row.external), row.first_port,
                               static_cast<std::uint16_t>(row.first_port + 511)};
      CHECK(plan.of_inside(address(row.inside)) == expected);
      CHECK(plan.of_external(endpoint(row.external, row.first_port)) == expected);
      CHECK(plan.of_external(endpoint(row.external, static_cast<std::uint16_t>(row.first_port + 511))) ==
            expected);
    }
  }
  CHECK_FALSE(plan.of_inside(address("192.168.1.127")));
  CHECK_FALSE(plan.of_external(endpoint("203.0.113.2", 1023)));
  CHECK_FALSE(plan.of_external(endpoint("203.0.113.4", 2000)));
  CHECK_FALSE(plan.of_external(endpoint("203.0.113.15", 10240)));
}

TEST_CASE("the digest of a plan is that of what says whose ports are whose, and of nothing else",
          "[config][ports][rfc7422]") {
  struct Case {
    const char* what;
    std::function<void(Config&)> change;
    bool differs;
  };
  const auto office_with = [] {
    auto config = carrier();
    config.nat.forwards = {{nat::Protocol::udp, endpoint("203.0.113.3", 80), endpoint("192.168.1.10", 80)}};
    config.nat.static_mappings = {
        {.external = {{address("198.51.100.16"), 28}}, .inside = {{address("10.20.0.16"), 28}}}};
    return config;
  };
  const Case cases[] = {
      {"nothing", [](Config&) {}, false},
      {"a time-out", [](Config& c) { c.nat.timeouts.udp_s = 60; }, false},
      {"a quota", [](Config& c) { c.nat.quotas.udp = 60; }, false},
      {"workers", [](Config& c) { c.workers.count = 2; }, false},
      {"the socket", [](Config& c) { c.control.socket = "/tmp/other"; }, false},
      {"the order of the pool", [](Config& c) { std::swap(c.nat.pool[0], c.nat.pool[1]); }, true},
      {"the pool", [](Config& c) { c.nat.pool.pop_back(); }, true},
      {"the mode", [](Config& c) { c.nat.ports.mode = nat::PortMode::blocks; }, true},
      {"the size of blocks", [](Config& c) { c.nat.ports.block_size = 256; }, true},
      {"blocks of a host", [](Config& c) { c.nat.ports.blocks_per_host = 1; }, true},
      {"a subscriber more", [](Config& c) { c.nat.ports.subscribers.push_back(prefix("10.20.0.1/32")); },
       true},
      {"the order of subscribers",
       [](Config& c) { std::swap(c.nat.ports.subscribers[0], c.nat.ports.subscribers[1]); }, true},
      {"a forward's host", [](Config& c) { c.nat.forwards[0].inside = endpoint("192.168.1.11", 80); }, true},
      {"a forward's protocol", [](Config& c) { c.nat.forwards[0].protocol = nat::Protocol::tcp; }, true},
      {"no forward", [](Config& c) { c.nat.forwards.clear(); }, true},
      {"a static mapping's host",
       [](Config& c) { c.nat.static_mappings[0].inside.prefix = prefix("10.20.0.32/28"); }, true},
      {"a static mapping's direction",
       [](Config& c) { c.nat.static_mappings[0].direction = nat::StaticDirection::in; }, true},
      {"no static mapping", [](Config& c) { c.nat.static_mappings.clear(); }, true},
  };
  const auto before = plan_digest(office_with());
  for (const auto& row : cases) {
    DYNAMIC_SECTION(row.what) {
      auto config = office_with();
      row.change(config);
      CHECK((plan_digest(config) != before) == row.differs);
    }
  }
}

TEST_CASE("what is appended to subscribers and pool changes nobody's ports", "[config][ports][rfc7422]") {
  auto config = carrier();
  const SubscriberPlan before(config);
  config.nat.ports.subscribers.push_back(prefix("10.20.0.0/24"));
  config.nat.pool.emplace_back(prefix("198.51.100.0/24"));
  REQUIRE(validate(config).has_value());
  const SubscriberPlan after(config);
  for (std::uint32_t n = 0; n < 1024; ++n) {
    const auto host = nat::Ipv4Address::from_host(prefix("10.20.4.0/22").first().host() + n);
    REQUIRE(before.of_inside(host));
    REQUIRE(after.of_inside(host) == before.of_inside(host));
  }
}

TEST_CASE("what a host may have is what is left of its quota by its blocks",
          "[config][ports][rfc6888-req4]") {
  struct Case {
    const char* what;
    nat::PortMode mode;
    bool sip;
    std::uint32_t quota;
    std::uint32_t block_size;
    std::uint32_t blocks;
    std::uint32_t udp;
    std::uint32_t tcp;
  };
  using nat::PortMode;
  const Case cases[] = {
      {"a quota", PortMode::random, true, 100, 512, 4, 100, 100},
      {"no quota", PortMode::random, true, 0, 512, 4, 65535, 65535},
      {"more than is counted", PortMode::random, true, 100000, 512, 4, 65535, 65535},
      {"a quota within the blocks", PortMode::blocks, true, 100, 512, 4, 100, 100},
      {"blocks within the quota", PortMode::blocks, true, 8192, 512, 4, 2032, 8192},
      {"blocks alone", PortMode::blocks, true, 0, 512, 4, 2032, 65535},
      {"blocks without SIP", PortMode::blocks, false, 8192, 512, 4, 8192, 8192},
      {"one block", PortMode::deterministic, true, 8192, 512, 4, 496, 8192},
      {"more ports than are counted", PortMode::blocks, true, 0, 16384, 16, 65519, 65535},
  };
  for (const auto& row : cases) {
    DYNAMIC_SECTION(row.what) {
      auto config = office();
      config.sip.enabled = row.sip;
      config.nat.ports.mode = row.mode;
      config.nat.ports.block_size = row.block_size;
      config.nat.ports.blocks_per_host = row.blocks;
      config.nat.quotas = {.udp = row.quota, .tcp = row.quota, .icmp = 7};
      CHECK(mappings_per_host(config) == std::array<std::uint32_t, 3>{row.udp, row.tcp, 7});
    }
  }
}

TEST_CASE("a host has the ports of its blocks, and of one by the rule", "[config][ports]") {
  auto config = office();
  config.nat.ports.mode = nat::PortMode::blocks;
  CHECK(ports_per_host(config) == 2048);
  config.nat.ports.mode = nat::PortMode::deterministic;
  CHECK(ports_per_host(config) == 512);
}

}  // namespace pinhole::config
