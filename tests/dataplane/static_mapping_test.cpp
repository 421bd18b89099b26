// SPDX-License-Identifier: BSD-3-Clause
// Static mappings of ranges and whole addresses through the real pipeline, each with hosts of every worker.
#include <catch2/catch.hpp>

#include <random>
#include <set>

#include "tests/support/pipeline_lab.hpp"

using namespace pinhole;
using namespace pinhole::test;
using dataplane::WorkerCounter;
using nat::Be16;
using nat::DropReason;
using nat::Endpoint;
using nat::Protocol;
using nat::StaticDirection;

namespace {

const nat::Ipv4Address kExternal = address("203.0.113.1");
const nat::Ipv4Address kGateway = address("203.0.113.254");
const Endpoint kServer = endpoint("198.51.100.7", 3478);
const Endpoint kStranger = endpoint("198.51.100.8", 1234);
constexpr unsigned kInside = PipelineLab::kInside;
constexpr unsigned kOutside = PipelineLab::kOutside;
constexpr Protocol kAllProtocols[] = {Protocol::udp, Protocol::tcp, Protocol::icmp};

config::EndpointRange range(const std::string& first, std::uint8_t length = 32) {
  return {{address(first), length}, 0, 0xffff};
}
config::EndpointRange ports(nat::Ipv4Address address, std::uint16_t first, std::uint16_t last) {
  return {{address, 32}, first, last};
}

/// 10.0.0.64 to .79 stand behind 203.0.113.64 to .79, and 100 ports of 10.0.0.80 behind ports of the pool.
config::Config config_with(StaticDirection direction, unsigned workers) {
  auto config = lab_config(workers);
  config.nat.static_mappings = {
      {config::Protocols::all, range("203.0.113.64", 28), range("10.0.0.64", 28), direction},
      {config::Protocols::all, ports(kExternal, 20000, 20099), ports(address("10.0.0.80"), 30000, 30099),
       direction}};
  return config;
}

struct StaticLab : PipelineLab {
  explicit StaticLab(StaticDirection direction, unsigned workers = 1)
      : PipelineLab(config_with(direction, workers)) {
    for (std::uint32_t n = 64; n <= 81; ++n)
      add_neighbor(kInside, nat::Ipv4Address::from_host(0x0a000000 + n));
  }
};

struct Ends {
  Endpoint inside;
  Endpoint external;
};
/// Endpoints of hosts with different owners, and what they are outside.
std::vector<Ends> ends() {
  std::vector<Ends> list;
  for (std::uint32_t n = 0; n < 16; ++n) {
    const Be16 port{static_cast<std::uint16_t>(5000 + 7 * n)};
    list.push_back({{nat::Ipv4Address::from_host(0x0a000040 + n), port},
                    {nat::Ipv4Address::from_host(0xcb007140 + n), port}});
  }
  return list;
}
constexpr Endpoint of_range(nat::Ipv4Address address, unsigned port) {
  return {address, Be16{static_cast<std::uint16_t>(port)}};
}

FrameSpec flow(Protocol protocol, Endpoint source, Endpoint destination, std::uint8_t ttl = 64) {
  return {.protocol = nat::ip_protocol(protocol), .source = source, .destination = destination, .ttl = ttl};
}
/// A packet to `inside` as it comes from the remote, and as it goes in. For ICMP an echo request.
FrameSpec inward(Protocol protocol, Endpoint remote, Endpoint to, std::uint8_t ttl = 64) {
  if (protocol != Protocol::icmp) return flow(protocol, remote, to, ttl);
  return flow(protocol, {remote.address, to.port}, {to.address, {}}, ttl);
}
/// What the host answers. For ICMP an echo reply.
FrameSpec answer(Protocol protocol, Endpoint from, Endpoint remote, std::uint8_t ttl = 64) {
  if (protocol != Protocol::icmp) return flow(protocol, from, remote, ttl);
  auto spec = flow(protocol, {from.address, {}}, {remote.address, from.port}, ttl);
  spec.icmp_type = nat::IcmpHeader::kEchoReply;
  return spec;
}
FrameSpec outward(Protocol protocol, Endpoint from, Endpoint remote, std::uint8_t ttl = 64) {
  if (protocol != Protocol::icmp) return flow(protocol, from, remote, ttl);
  return flow(protocol, from, {remote.address, {}}, ttl);
}

}  // namespace

TEST_CASE(
    "a whole address is its host's: from outside any port and ping reaches it, and its answers leave so",
    "[dataplane][static][rfc4787-req1]") {
  for (const unsigned workers : {1U, 3U}) {
    for (const auto direction : {StaticDirection::both, StaticDirection::in}) {
      for (const auto protocol : kAllProtocols) {
        DYNAMIC_SECTION(nat::name(protocol)
                        << ", " << workers << " workers, direction " << static_cast<int>(direction)) {
          StaticLab lab(direction, workers);
          unsigned n = 0;
          for (const auto& [inside, external] : ends()) {
            const unsigned receiver = n++ % workers;
            const auto in = lab.send(kOutside, inward(protocol, kStranger, external), receiver);
            REQUIRE(in == std::vector{
                              lab.leaves(kInside, inward(protocol, kStranger, inside, 63), inside.address)});
            const auto out = lab.send(kInside, answer(protocol, inside, kStranger), receiver);
            REQUIRE(out ==
                    std::vector{lab.leaves(kOutside, answer(protocol, external, kStranger, 63), kGateway)});
          }
          CHECK(lab.drops().empty());
          CHECK(lab.buffers_in_use() == 0);
          CHECK(lab.count(nat::Counter::port_in_use) == 0);
        }
      }
    }
  }
}

TEST_CASE("who scans a whole address from outside leaves its host a quarter of its quota",
          "[dataplane][static][rfc6888-req5]") {
  for (const unsigned workers : {1U, 3U}) {
    DYNAMIC_SECTION(workers << " workers") {
      auto config = config_with(StaticDirection::both, workers);
      config.nat.quotas.udp = 8;
      PipelineLab lab(config);
      const auto host = address("10.0.0.64");
      lab.add_neighbor(kInside, host);
      const auto external = address("203.0.113.64");
      unsigned reached = 0;
      for (unsigned port = 1000; port < 1100; ++port) {
        reached += static_cast<unsigned>(
            lab.send(kOutside, inward(Protocol::udp, kStranger, of_range(external, port))).size());
      }
      CHECK(reached == 6);
      CHECK(lab.dropped(DropReason::drop_quota_mappings) == 94);
      for (unsigned port = 2000; port < 2002; ++port) {
        const auto out = lab.send(kInside, outward(Protocol::udp, of_range(host, port), kServer));
        CHECK(out == std::vector{lab.leaves(
                         kOutside, outward(Protocol::udp, of_range(external, port), kServer, 63), kGateway)});
      }
      const auto refused = lab.send(kInside, outward(Protocol::udp, of_range(host, 2002), kServer));
      REQUIRE(refused.size() == 1);
      CHECK(refused[0].interface == kInside);
      CHECK(lab.dropped(DropReason::drop_quota_mappings) == 95);
      CHECK(lab.buffers_in_use() == 0);
    }
  }
}

TEST_CASE("a host behind a whole address leaves by it with its own port, and is answered",
          "[dataplane][static][rfc4787-req1][rfc5508-req1]") {
  for (const unsigned workers : {1U, 3U}) {
    for (const auto direction : {StaticDirection::both, StaticDirection::out}) {
      for (const auto protocol : kAllProtocols) {
        DYNAMIC_SECTION(nat::name(protocol)
                        << ", " << workers << " workers, direction " << static_cast<int>(direction)) {
          StaticLab lab(direction, workers);
          for (const auto& [inside, external] : ends()) {
            const auto out = lab.send(kInside, outward(protocol, inside, kServer));
            REQUIRE(out ==
                    std::vector{lab.leaves(kOutside, outward(protocol, external, kServer, 63), kGateway)});
            auto back = flow(protocol, kServer, external);
            auto came = flow(protocol, kServer, inside, 63);
            if (protocol == Protocol::icmp) {
              back.source.port = came.source.port = {};
              back.icmp_type = came.icmp_type = nat::IcmpHeader::kEchoReply;
            }
            REQUIRE(lab.send(kOutside, back) == std::vector{lab.leaves(kInside, came, inside.address)});
          }
          CHECK(lab.drops().empty());
        }
      }
    }
  }
}

TEST_CASE("a range of ports is translated port by port, beside which the pool goes on",
          "[dataplane][static]") {
  for (const unsigned workers : {1U, 2U, 3U}) {
    for (const auto protocol : {Protocol::udp, Protocol::tcp}) {
      DYNAMIC_SECTION(nat::name(protocol) << ", " << workers << " workers") {
        StaticLab lab(StaticDirection::both, workers);
        const auto host = address("10.0.0.80");
        for (unsigned n = 0; n < 100; n += 3) {
          const auto inside = of_range(host, 30000 + n);
          const auto external = of_range(kExternal, 20000 + n);
          REQUIRE(lab.send(kOutside, flow(protocol, kStranger, external), n % workers) ==
                  std::vector{lab.leaves(kInside, flow(protocol, kStranger, inside, 63), host)});
        }
        // Just beside the range there is nobody.
        for (const unsigned port : {19999U, 20100U}) {
          CHECK(lab.send(kOutside, flow(protocol, kStranger, of_range(kExternal, port))).empty());
        }
        CHECK(lab.dropped(DropReason::drop_no_mapping) == 2);
        // A port of the host that is not in the range gets one of the pool.
        REQUIRE(lab.send(kInside, flow(protocol, of_range(host, 29999), kServer)).size() == 1);
        const auto port = lab.mapping(protocol, of_range(host, 29999)).external.port.host();
        CHECK((port < 20000 || port > 20099));
      }
    }
  }
}

TEST_CASE("no port of a static range is ever given to anybody else", "[dataplane][static]") {
  auto config = lab_config(2);
  // Nearly all ports are the range's, so that whoever wanted one would get it.
  config.nat.static_mappings = {
      {config::Protocols::udp, ports(kExternal, 1500, 65535), ports(address("10.0.0.80"), 1500, 65535)}};
  PipelineLab lab(config);
  unsigned made = 0;
  for (std::uint16_t n = 0; n < 600; ++n) {
    const Endpoint inside{lab.host_of(n % 2, n % 8 + 1), Be16{static_cast<std::uint16_t>(2000 + n)}};
    if (inside.address == address("10.0.0.80")) continue;
    if (lab.send(kInside, flow(Protocol::udp, inside, kServer)).size() != 1) continue;
    const auto& mapping = lab.context(lab.steering().owner_of_inside(inside.address)).translator;
    const auto index = mapping.find_outbound(Protocol::udp, inside);
    if (index == nat::kNoMapping) continue;  // it was told that there is no port
    REQUIRE(mapping[index].external.port.host() < 1500);
    ++made;
  }
  CHECK(made > 300);
  CHECK(lab.dropped(DropReason::drop_no_port) > 0);
}

TEST_CASE("direction in: inside may answer who came, and is told that it may not begin",
          "[dataplane][static]") {
  for (const unsigned workers : {1U, 3U}) {
    DYNAMIC_SECTION(workers << " workers") {
      StaticLab lab(StaticDirection::in, workers);
      const auto [inside, external] = ends()[3];
      // Nobody came yet.
      auto refusal = lab.send(kInside, flow(Protocol::udp, inside, kServer));
      REQUIRE(refusal.size() == 1);
      CHECK(refusal[0].interface == kInside);
      CHECK(refusal[0].frame[34] == std::byte{3});
      CHECK(refusal[0].frame[35] == std::byte{13});
      REQUIRE(lab.send(kOutside, flow(Protocol::udp, kStranger, external)).size() == 1);
      const auto third = endpoint("198.51.100.9", 9);
      REQUIRE(lab.send(kOutside, flow(Protocol::udp, third, external)).size() == 1);
      // Those who came are answered, whoever was first; somebody else is not spoken to.
      for (const auto& caller : {kStranger, third}) {
        CHECK(lab.send(kInside, flow(Protocol::udp, inside, caller)) ==
              std::vector{lab.leaves(kOutside, flow(Protocol::udp, external, caller, 63), kGateway)});
      }
      refusal = lab.send(kInside, flow(Protocol::udp, inside, kServer));
      REQUIRE(refusal.size() == 1);
      CHECK(refusal[0].interface == kInside);
      CHECK(lab.dropped(DropReason::drop_static_direction) == 2);
      CHECK(lab.drops().size() == 1);
    }
  }
}

TEST_CASE("direction out: nobody unsolicited comes in", "[dataplane][static]") {
  auto config = config_with(StaticDirection::out, 2);
  config.nat.filtering = {nat::Filter::endpoint_independent, nat::Filter::endpoint_independent,
                          nat::Filter::endpoint_independent};
  PipelineLab lab(config);
  const auto [inside, external] = ends()[5];
  CHECK(lab.send(kOutside, flow(Protocol::udp, kStranger, external)).empty());
  CHECK(lab.dropped(DropReason::drop_no_mapping) == 1);
  REQUIRE(lab.send(kInside, flow(Protocol::udp, inside, kServer)).size() == 1);
  CHECK(lab.send(kOutside, flow(Protocol::udp, kStranger, external)).empty());
  CHECK(lab.dropped(DropReason::drop_filtered) == 1);
  CHECK(lab.drops().size() == 2);
}

TEST_CASE("a static mapping idles out and is made again the same", "[dataplane][static]") {
  StaticLab lab(StaticDirection::both, 2);
  const auto [inside, external] = ends()[2];
  for (int round = 0; round < 3; ++round) {
    CHECK(lab.send(kInside, flow(Protocol::udp, inside, kServer)) ==
          std::vector{lab.leaves(kOutside, flow(Protocol::udp, external, kServer, 63), kGateway)});
    CHECK(lab.count(nat::Counter::mapping_live) == 1);
    lab.pass_s(301);
    CHECK(lab.count(nat::Counter::mapping_live) == 0);
  }
  CHECK(lab.count(nat::Counter::mapping_expired) == 3);
  CHECK(lab.count(nat::Counter::port_in_use) == 0);
}

TEST_CASE("a scan of whole addresses leaves a quarter of the table to flows from inside",
          "[dataplane][static]") {
  auto config = config_with(StaticDirection::both, 1);
  config.nat.mappings_per_worker = 400;
  PipelineLab lab(config);
  for (std::uint32_t n = 64; n <= 80; ++n)
    lab.add_neighbor(kInside, nat::Ipv4Address::from_host(0x0a000000 + n));
  for (unsigned port = 1; port <= 500; ++port) {
    lab.send(kOutside, flow(Protocol::udp, kStranger, of_range(address("203.0.113.64"), port)));
  }
  CHECK(lab.count(nat::Counter::mapping_live) == 300);
  CHECK(lab.dropped(DropReason::drop_table_full) == 200);
  const Endpoint inside{lab.host_of(0), Be16{4000}};
  CHECK(lab.send(kInside, flow(Protocol::udp, inside, kServer)).size() == 1);
}

TEST_CASE("pings are hairpinned to whole addresses, and answered from there",
          "[dataplane][static][hairpin][rfc5508-req7][rfc7857-12]") {
  for (const unsigned workers : {1U, 3U}) {
    DYNAMIC_SECTION(workers << " workers") {
      StaticLab lab(StaticDirection::both, workers);
      for (unsigned n = 0; n < 8; ++n) {
        const auto [inside, external] = ends()[n];
        const Endpoint sender{lab.host_of(n % workers, n + 100), Be16{static_cast<std::uint16_t>(77 + n)}};
        const auto there = lab.send(kInside, flow(Protocol::icmp, sender, {external.address, {}}));
        const auto seen = lab.mapping(Protocol::icmp, sender).external;
        REQUIRE(there == std::vector{lab.leaves(kInside, flow(Protocol::icmp, seen, {inside.address, {}}, 63),
                                                inside.address)});
        const auto back = lab.send(kInside, answer(Protocol::icmp, {inside.address, seen.port}, seen));
        auto expected = answer(Protocol::icmp, {external.address, sender.port}, sender, 63);
        REQUIRE(back == std::vector{lab.leaves(kInside, expected, sender.address)});
      }
      CHECK(lab.drops().empty());
      CHECK(lab.buffers_in_use() == 0);
    }
  }
}

TEST_CASE("two hosts behind whole addresses reach each other by them",
          "[dataplane][static][hairpin][rfc4787-req9]") {
  for (const unsigned workers : {1U, 3U}) {
    for (const auto protocol : kAllProtocols) {
      DYNAMIC_SECTION(nat::name(protocol) << ", " << workers << " workers") {
        StaticLab lab(StaticDirection::both, workers);
        const auto list = ends();
        for (unsigned n = 0; n + 1 < list.size(); ++n) {
          const auto& from = list[n];
          const auto& to = list[n + 1];
          const auto spec = protocol == Protocol::icmp
                                ? inward(protocol, from.inside, {to.external.address, Be16{9}})
                                : flow(protocol, from.inside, to.external);
          auto expected = spec;
          expected.source.address = from.external.address;
          expected.destination.address = to.inside.address;
          expected.ttl = 63;
          REQUIRE(lab.send(kInside, spec, n % workers) ==
                  std::vector{lab.leaves(kInside, expected, to.inside.address)});
        }
        CHECK(lab.drops().empty());
      }
    }
  }
}

TEST_CASE("errors about packets to and from whole addresses are translated",
          "[dataplane][static][rfc5508-req4][rfc5508-req5]") {
  StaticLab lab(StaticDirection::both, 2);
  const auto error = [](Endpoint source, Endpoint destination, const FrameSpec& about, std::uint8_t ttl) {
    const auto quoted = make_frame(about);
    return FrameSpec{.protocol = nat::kIpProtocolIcmp,
                     .source = {source.address, {}},
                     .destination = {destination.address, {}},
                     .ttl = ttl,
                     .icmp_type = 3,
                     .icmp_code = 1,
                     .icmp_sequence = 0,
                     .payload = {quoted.begin() + 14, quoted.end()}};
  };
  for (const auto protocol : kAllProtocols) {
    const auto [inside, external] = ends()[1];
    REQUIRE(lab.send(kOutside, inward(protocol, kStranger, external)).size() == 1);
    // The host complains about what came in: outside sees its own packet quoted.
    const auto out = lab.send(kInside, error(inside, kStranger, inward(protocol, kStranger, inside, 63), 64));
    CHECK(out == std::vector{lab.leaves(
                     kOutside, error(external, kStranger, inward(protocol, kStranger, external, 63), 63),
                     kGateway)});
    // A router outside complains about the answer.
    REQUIRE(lab.send(kInside, answer(protocol, inside, kStranger)).size() == 1);
    const auto in =
        lab.send(kOutside, error(kServer, external, answer(protocol, external, kStranger, 60), 64));
    CHECK(in ==
          std::vector{lab.leaves(kInside, error(kServer, inside, answer(protocol, inside, kStranger, 60), 63),
                                 inside.address)});
  }
  CHECK(lab.drops().empty());
}

TEST_CASE("static mappings under random operations agree with arithmetic", "[dataplane][static]") {
  const auto seed = std::random_device{}();
  INFO("seed " << seed);
  std::mt19937 random(seed);
  const auto below = [&](unsigned bound) { return static_cast<unsigned>(random() % bound); };
  constexpr unsigned kWorkers = 3;
  StaticLab lab(StaticDirection::both, kWorkers);
  std::set<std::tuple<Protocol, Endpoint>> live;
  for (unsigned step = 0; step < 3000; ++step) {
    const auto protocol = kAllProtocols[below(3)];
    const auto port = static_cast<std::uint16_t>(1 + below(65535));
    const unsigned n = below(16);
    const Endpoint inside{nat::Ipv4Address::from_host(0x0a000040 + n), Be16{port}};
    const Endpoint external{nat::Ipv4Address::from_host(0xcb007140 + n), Be16{port}};
    const Endpoint remote{nat::Ipv4Address::from_host(0xc6336400 + below(200)),
                          Be16{static_cast<std::uint16_t>(1 + below(60000))}};
    const auto ttl = static_cast<std::uint8_t>(2 + below(200));
    const auto less = static_cast<std::uint8_t>(ttl - 1);
    if (below(2) == 0) {
      REQUIRE(lab.send(kOutside, inward(protocol, remote, external, ttl), below(kWorkers)) ==
              std::vector{lab.leaves(kInside, inward(protocol, remote, inside, less), inside.address)});
    } else {
      REQUIRE(lab.send(kInside, outward(protocol, inside, remote, ttl), below(kWorkers)) ==
              std::vector{lab.leaves(kOutside, outward(protocol, external, remote, less), kGateway)});
    }
    live.insert({protocol, inside});
    if (below(500) == 0) {
      lab.pass_s(400);
      live.clear();
    }
    if (step % 100 == 0) REQUIRE(lab.count(nat::Counter::mapping_live) == live.size());
  }
  CHECK(lab.drops().empty());
  CHECK(lab.buffers_in_use() == 0);
}
