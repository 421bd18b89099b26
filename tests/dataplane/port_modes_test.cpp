// SPDX-License-Identifier: BSD-3-Clause
// Ports in blocks and by the rule of deterministic mode, through the real pipeline: packets come back
// whichever worker receives them, ports are those that are promised, and records come off the ring.
#include <catch2/catch.hpp>

#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "dataplane/config/subscribers.hpp"
#include "dataplane/ipc/layout.hpp"
#include "dataplane/ipc/nat_record.hpp"
#include "tests/support/pipeline_lab.hpp"

#include <rte_ring_elem.h>

using namespace pinhole;
using namespace pinhole::test;
using dataplane::WorkerCounter;
using nat::Be16;
using nat::DropReason;
using nat::Endpoint;
using nat::Protocol;
using nat::RecordType;

namespace {

const nat::Ipv4Address kGateway = address("203.0.113.254");
const Endpoint kServer = endpoint("198.51.100.7", 3478);
constexpr unsigned kInside = PipelineLab::kInside;
constexpr unsigned kOutside = PipelineLab::kOutside;
constexpr Protocol kAllProtocols[] = {Protocol::udp, Protocol::tcp, Protocol::icmp};

config::Config blocks_config(unsigned workers, std::uint32_t size = 512, std::uint32_t per_host = 4) {
  auto config = lab_config(workers);
  config.nat.pool = {nat::Prefix{address("203.0.113.64"), 30}};
  config.nat.ports.mode = nat::PortMode::blocks;
  config.nat.ports.block_size = size;
  config.nat.ports.blocks_per_host = per_host;
  return config;
}

/// 10.0.0.0/24 and, first, 10.9.0.0/26.
config::Config deterministic_config(unsigned workers) {
  auto config = blocks_config(workers);
  config.nat.ports.mode = nat::PortMode::deterministic;
  config.nat.ports.subscribers = {{address("10.9.0.0"), 26}, {address("10.0.0.0"), 24}};
  return config;
}

FrameSpec packet(Protocol protocol, Endpoint source, Endpoint destination, std::uint8_t ttl = 64) {
  return {.protocol = nat::ip_protocol(protocol),
          .source = source,
          .destination = destination,
          .ttl = ttl,
          .tcp_flags = nat::TcpHeader::kSyn};
}
FrameSpec outward(Protocol protocol, Endpoint from, std::uint8_t ttl = 64) {
  const Endpoint to = protocol == Protocol::icmp ? Endpoint{kServer.address, {}} : kServer;
  return packet(protocol, from, to, ttl);
}
FrameSpec inward(Protocol protocol, Endpoint to, std::uint8_t ttl = 64) {
  if (protocol != Protocol::icmp) {
    auto spec = packet(protocol, kServer, to, ttl);
    spec.tcp_flags = nat::TcpHeader::kSyn | nat::TcpHeader::kAck;
    return spec;
  }
  auto spec = packet(protocol, {kServer.address, {}}, to, ttl);
  spec.icmp_type = nat::IcmpHeader::kEchoReply;
  return spec;
}

/// Sends a first packet out and its answer in, each received by a worker that is as good as any other, and
/// compares whole frames. \return the external endpoint
Endpoint round_trip(PipelineLab& lab, Protocol protocol, Endpoint inside) {
  static unsigned turn = 0;
  const auto out = lab.send(kInside, outward(protocol, inside), turn++ % lab.workers());
  const auto external = lab.mapping(protocol, inside).external;
  REQUIRE(out == std::vector{lab.leaves(kOutside, outward(protocol, external, 63), kGateway)});
  const auto in = lab.send(kOutside, inward(protocol, external), turn++ % lab.workers());
  REQUIRE(in == std::vector{lab.leaves(kInside, inward(protocol, inside, 63), inside.address)});
  return external;
}

constexpr Endpoint at(nat::Ipv4Address host, unsigned port) {
  return {host, Be16{static_cast<std::uint16_t>(port)}};
}

std::vector<ipc::NatRecord> records_of(unsigned worker) {
  std::vector<ipc::NatRecord> all;
  rte_ring* const ring = rte_ring_lookup(("pinhole_record_" + std::to_string(worker)).c_str());
  REQUIRE(ring != nullptr);
  ipc::NatRecord record;
  while (rte_ring_dequeue_elem(ring, &record, sizeof record) == 0) all.push_back(record);
  return all;
}

}  // namespace

TEST_CASE("in blocks, each host's packets come back, and its ports are in blocks that nobody else has",
          "[dataplane][ports][rfc6888-req14][rfc6888-req2]") {
  for (const unsigned workers : {1U, 3U}) {
    for (const std::uint32_t size : {64U, 512U, 4096U}) {
      DYNAMIC_SECTION(workers << " workers, blocks of " << size) {
        PipelineLab lab(blocks_config(workers, size));
        std::map<std::pair<nat::Ipv4Address, unsigned>, nat::Ipv4Address> host_of_block;
        for (unsigned n = 0; n < 12; ++n) {
          const auto host = lab.host_of(n % workers, n);
          std::set<nat::Ipv4Address> external;
          for (unsigned port = 4000; port < 4012; ++port) {
            for (const auto protocol : kAllProtocols) {
              const auto seen = round_trip(lab, protocol, at(host, port));
              external.insert(seen.address);
              CHECK(seen.port.host() >= 1024);
              const auto block = std::pair{seen.address, seen.port.host() / size};
              CHECK(host_of_block.emplace(block, host).first->second == host);
            }
          }
          CHECK(external.size() == 1);
        }
        CHECK(host_of_block.size() == 12);
        CHECK(lab.count(nat::Counter::block_live) == 12);
        CHECK(lab.drops().empty());
        lab.pass_s(20000);
        CHECK(lab.count(nat::Counter::mapping_live) == 0);
        CHECK(lab.count(nat::Counter::block_live) == 0);
        CHECK(lab.count(nat::Counter::port_in_use) == 0);
        CHECK(lab.count(nat::Counter::block_resting) == 12);
        lab.pass_s(200);
        CHECK(lab.count(nat::Counter::block_resting) == 0);
        CHECK(lab.buffers_in_use() == 0);
      }
    }
  }
}

TEST_CASE("a subscriber's packets leave from the ports that the configuration says, and come back",
          "[dataplane][ports][rfc7422]") {
  for (const unsigned workers : {1U, 3U}) {
    DYNAMIC_SECTION(workers << " workers") {
      const auto config = deterministic_config(workers);
      const config::SubscriberPlan plan(config);
      PipelineLab lab(config);
      for (const char* text : {"10.9.0.1", "10.9.0.63", "10.0.0.2", "10.0.0.61", "10.0.0.62", "10.0.0.187",
                               "10.0.0.188", "10.0.0.255"}) {
        const auto host = address(text);
        lab.add_neighbor(kInside, host);
        const auto allotment = plan.of_inside(host);
        REQUIRE(allotment);
        for (unsigned port = 80; port < 90; ++port) {
          for (const auto protocol : kAllProtocols) {
            const auto seen = round_trip(lab, protocol, at(host, port));
            CHECK(seen.address == allotment->external);
            CHECK(seen.port.host() >= allotment->first_port);
            CHECK(seen.port.host() <= allotment->last_port);
            CHECK(plan.of_external(seen) == allotment);
          }
        }
      }
      CHECK(lab.drops().empty());
      CHECK(lab.buffers_in_use() == 0);
    }
  }
}

TEST_CASE("a forward out of another host's block reaches its own host", "[dataplane][ports]") {
  for (const unsigned workers : {1U, 3U}) {
    DYNAMIC_SECTION(workers << " workers") {
      auto config = blocks_config(workers);
      const auto server = address("10.0.0.200");
      config.nat.forwards = {};
      for (unsigned port = 2000; port < 2006; ++port)
        config.nat.forwards.push_back({Protocol::udp, at(address("203.0.113.64"), port), at(server, port)});
      PipelineLab lab(config);
      lab.add_neighbor(kInside, server);
      for (unsigned port = 2000; port < 2006; ++port) {
        const auto external = at(address("203.0.113.64"), port);
        const auto in = lab.send(kOutside, inward(Protocol::udp, external), port % workers);
        CHECK(in == std::vector{lab.leaves(kInside, inward(Protocol::udp, at(server, port), 63), server)});
        const auto out = lab.send(kInside, outward(Protocol::udp, at(server, port)), (port + 1) % workers);
        CHECK(out == std::vector{lab.leaves(kOutside, outward(Protocol::udp, external, 63), kGateway)});
      }
      CHECK(lab.drops().empty());
    }
  }
}

TEST_CASE("what workers record comes off their rings, in order, and tells what is",
          "[dataplane][ports][records][rfc6888-req14]") {
  for (const unsigned workers : {1U, 3U}) {
    for (const bool each_mapping : {false, true}) {
      DYNAMIC_SECTION(workers << " workers" << (each_mapping ? ", each mapping" : "")) {
        auto config = blocks_config(workers);
        config.nat.log.file = "/nowhere/nat.jsonl";
        config.nat.log.mappings = each_mapping;
        PipelineLab lab(config);
        std::map<Endpoint, Endpoint> mappings;
        for (unsigned n = 0; n < 6; ++n) {
          const auto host = lab.host_of(n % workers, n);
          for (unsigned port = 4000; port < 4010; ++port)
            mappings[at(host, port)] = round_trip(lab, Protocol::udp, at(host, port));
        }
        CHECK(lab.count(WorkerCounter::record_sent) == 6 + (each_mapping ? 60 : 0));
        std::map<std::pair<nat::Ipv4Address, std::uint16_t>, nat::Ipv4Address> blocks;
        const auto replay = [&](RecordType block_type, RecordType mapping_type, std::uint32_t first_number) {
          std::size_t recorded = 0;
          for (unsigned worker = 0; worker < workers; ++worker) {
            std::uint32_t number = 0;
            for (const auto& [version, of, sequence, tsc, record, reserved] : records_of(worker)) {
              if (number++ == 0 && first_number == 0) REQUIRE(sequence == 0);
              REQUIRE(version == ipc::kAbiVersion);
              REQUIRE(of == worker);
              REQUIRE(tsc > 0);
              REQUIRE(lab.steering().owner_of_inside(record.inside.address) == worker);
              if (record.type == block_type) {
                REQUIRE(record.last_port == record.external.port.host() + 511);
                blocks[{record.external.address, record.external.port.host()}] = record.inside.address;
                continue;
              }
              REQUIRE(record.type == mapping_type);
              REQUIRE(mappings.at(record.inside) == record.external);
              ++recorded;
            }
          }
          CHECK(recorded == (each_mapping ? 60 : 0));
        };
        replay(RecordType::block_assigned, RecordType::mapping_created, 0);
        CHECK(blocks.size() == 6);
        for (const auto& [inside, external] : mappings) {
          const auto first = static_cast<std::uint16_t>(external.port.host() / 512 * 512);
          CHECK(blocks.at({external.address, first}) == inside.address);
        }
        auto assigned = std::exchange(blocks, {});
        lab.pass_s(1000);
        replay(RecordType::block_released, RecordType::mapping_freed, 1);
        CHECK(blocks == assigned);
        CHECK(lab.count(WorkerCounter::record_lost) == 0);
      }
    }
  }
}

TEST_CASE("a full ring loses records and counts them, and packets go on", "[dataplane][ports][records]") {
  auto config = lab_config();
  config.nat.mappings_per_worker = 32768;
  config.nat.quotas = {.udp = 0, .tcp = 0, .icmp = 0, .new_per_s = 0};
  config.nat.log.file = "/nowhere/nat.jsonl";
  config.nat.log.mappings = true;
  PipelineLab lab(config);
  const auto host = lab.host_of(0);
  auto& translator = lab.context(0).translator;
  for (unsigned port = 1024; port < 1024 + 20000; ++port) {
    REQUIRE(translator.create(Protocol::udp, at(host, port), kServer, lab.context(0).clock.tick()).reason ==
            DropReason::none);
  }
  CHECK(lab.count(WorkerCounter::record_sent) + lab.count(WorkerCounter::record_lost) == 20000);
  CHECK(lab.count(WorkerCounter::record_lost) > 0);
  round_trip(lab, Protocol::udp, at(host, 60000));
  const auto records = records_of(0);
  REQUIRE(records.size() == lab.count(WorkerCounter::record_sent));
  CHECK(records.front().sequence == 0);
  const auto last = lab.count(WorkerCounter::record_lost);
  round_trip(lab, Protocol::udp, at(host, 60001));
  // The hole is seen in the numbers.
  CHECK(records_of(0).at(0).sequence == records.back().sequence + 1 + last);
}

TEST_CASE("when nobody wants records there is no ring for them", "[dataplane][ports][records]") {
  PipelineLab lab(blocks_config(1));
  round_trip(lab, Protocol::udp, at(lab.host_of(0), 4000));
  CHECK(rte_ring_lookup("pinhole_record_0") == nullptr);
  CHECK(lab.count(WorkerCounter::record_sent) == 0);
}
