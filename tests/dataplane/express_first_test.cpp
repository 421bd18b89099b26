// SPDX-License-Identifier: BSD-3-Clause
// First packets of flows are held to the regular path: the same bursts go through two labs, of which one
// opens no flow on the express path, and the same must come out and be counted.
#include <catch2/catch.hpp>

#include <map>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "dataplane/context.hpp"
#include "nat/headers.hpp"
#include "tests/dataplane/express_paths.hpp"
#include "tests/support/pipeline_lab.hpp"

using namespace pinhole;
using namespace pinhole::test;
using dataplane::WorkerCounter;
using nat::Be16;
using nat::Endpoint;

namespace {

constexpr unsigned kInside = PipelineLab::kInside;
constexpr unsigned kOutside = PipelineLab::kOutside;

using Bursts = std::vector<std::vector<FrameSpec>>;

struct Result {
  std::multiset<std::string> sent;  // outside, without what depends on the port that was drawn
  std::map<std::string, std::uint64_t> drops;
  std::vector<std::uint64_t> counts;
  std::uint64_t express = 0;
  std::uint64_t misjudged = 0;  // packets of flows whose mapping the express path does not find
};

std::uint64_t count_misjudged(PipelineLab& lab, const Bursts& bursts) {
  const auto& table = lab.context(0).translator.table();
  std::uint64_t count = 0;
  for (const auto& burst : bursts) {
    for (const auto& spec : burst) count += is_misjudged(spec.source, table) ? 1 : 0;
  }
  return count;
}

Result run(const config::Config& config, const Bursts& bursts) {
  PipelineLab lab(config);
  for (std::uint32_t host = 2; host < 40; ++host)
    lab.add_neighbor(kInside, nat::Ipv4Address::from_host(0x0a000000 + host));
  Result result;
  for (const auto& burst : bursts) {
    for (const auto& spec : burst) lab.receive(kInside, spec);
    for (auto& sent : lab.run()) {
      if (sent.interface != kOutside) continue;
      REQUIRE(checksums_right(sent.frame));
      auto& udp = nat::header_at<nat::UdpHeader>(sent.frame.data(), 34);
      CHECK(udp.source_port.host() >= 1024);
      udp.source_port = Be16{0};
      udp.checksum = Be16{0};
      result.sent.emplace(reinterpret_cast<const char*>(sent.frame.data()), sent.frame.size());
    }
  }
  result.drops = lab.drops();
  result.express = lab.count(WorkerCounter::express);
  result.misjudged = count_misjudged(lab, bursts);
  for (const auto counter :
       {WorkerCounter::rx_packets, WorkerCounter::rx_bytes, WorkerCounter::translated_out})
    result.counts.push_back(lab.count(counter));
  for (const auto counter : {nat::Counter::mapping_created, nat::Counter::mapping_live,
                             nat::Counter::port_in_use, nat::Counter::host_live})
    result.counts.push_back(lab.count(counter));
  return result;
}

void check_both_paths(config::Config config, const Bursts& bursts) {
  const auto express = run(config, bursts);
  keep_first_packets_regular(config);
  const auto regular = run(config, bursts);
  for (const auto& [reason, count] : express.drops) UNSCOPED_INFO("express " << reason << " " << count);
  for (const auto& [reason, count] : regular.drops) UNSCOPED_INFO("regular " << reason << " " << count);
  CHECK(express.drops == regular.drops);
  CHECK(express.counts == regular.counts);
  REQUIRE(express.sent == regular.sent);
  // A second packet in one burst may follow at once.
  CHECK(express.express + express.misjudged >= regular.express);
  constexpr std::uint64_t kFew = 50;
  CHECK(express.misjudged * kFew <= express.counts.front());
}

/// Bursts of packets of flows, old and new.
Bursts random_bursts(std::mt19937& random, unsigned flows, std::size_t count = 60) {
  Bursts bursts(count);
  for (auto& burst : bursts) {
    burst.resize(1 + random() % 100);
    for (auto& spec : burst) {
      const auto flow = static_cast<std::uint32_t>(random() % flows);
      spec.source = {nat::Ipv4Address::from_host(0x0a000002 + flow % 30),
                     Be16{static_cast<std::uint16_t>(2000 + flow)}};
      spec.destination = {nat::Ipv4Address::from_host(0xc6336400 + flow % 7), Be16{4000}};
      spec.payload.resize(1 + random() % 200);
    }
  }
  return bursts;
}

}  // namespace

TEST_CASE("first packets come out of either path the same", "[dataplane][express]") {
  const auto seed = std::random_device{}();
  INFO("seed " << seed);
  std::mt19937 random(seed);
  SECTION("with room for all") {
    check_both_paths(lab_config(), random_bursts(random, 900));
  }
  SECTION("with a table that is soon full") {
    auto config = lab_config();
    config.nat.mappings_per_worker = 200;
    check_both_paths(config, random_bursts(random, 900));
  }
  SECTION("with a table that is nearly full, where flows meet in the index") {
    check_both_paths(lab_config(), random_bursts(random, 3900, 240));
  }
  SECTION("with quotas") {
    auto config = lab_config();
    config.nat.quotas.udp = 8;
    check_both_paths(config, random_bursts(random, 900));
  }
  SECTION("to neighbours that do not answer") {
    auto config = lab_config();
    config.interfaces[kOutside].gateway = {};
    config.routes = {{.prefix = *nat::Prefix::parse("198.51.100.0/24"), .via = address("203.0.113.9")}};
    check_both_paths(config, random_bursts(random, 50));
  }
  SECTION("on ports that a gateway reads, over the MTU, and what is not to be translated at all") {
    auto bursts = random_bursts(random, 400);
    for (auto& burst : bursts) {
      for (auto& spec : burst) {
        switch (random() % 12) {
          case 0:
            spec.destination.port = Be16{5060};
            break;
          case 1:
            spec.destination.port = Be16{0};
            break;
          case 2:
            spec.source.address = address("127.0.0.1");
            break;
          case 3:
            spec.source.address = address("198.51.100.77");  // forged: it lies outside
            break;
          case 4:
            spec.source.address = address("203.0.113.1");  // our own
            break;
          case 5:
            spec.destination.address = address("239.1.1.1");
            break;
          case 6:
            spec.destination.address = address("203.0.113.255");  // a broadcast
            break;
          case 7:
            // Ours: it turns round. To a port that is never drawn, so that it meets nobody by chance.
            spec.destination = endpoint("203.0.113.1", 53);
            break;
          case 8:
            spec.destination.address = address("10.0.0.5");
            break;
          case 9:
            spec.payload.resize(1473);
            spec.fragment = nat::Ipv4Header::kDontFragment;
            break;
          case 10:
            spec.ttl = static_cast<std::uint8_t>(random() % 3);
            break;
          default:
            break;
        }
      }
    }
    check_both_paths(lab_config(), bursts);
  }
}

TEST_CASE("the second packet of a flow may be in the burst of the first", "[dataplane][express]") {
  PipelineLab lab;
  const FrameSpec spec{.source = {lab.host_of(0), Be16{20000}},
                       .destination = endpoint("198.51.100.7", 4000)};
  for (unsigned i = 0; i < 5; ++i) lab.receive(kInside, spec);
  const auto sent = lab.run();
  REQUIRE(sent.size() == 5);
  for (const auto& frame : sent) CHECK(frame.frame == sent[0].frame);
  CHECK(lab.count(nat::Counter::mapping_created) == 1);
  CHECK(lab.mapping(nat::Protocol::udp, spec.source).packets_out == 5);
}
