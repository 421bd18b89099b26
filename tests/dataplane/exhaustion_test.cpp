// SPDX-License-Identifier: BSD-3-Clause
// A host that has what it may have: new flows are refused with ICMP 3/13, live ones go on.
#include <catch2/catch.hpp>

#include "tests/support/pipeline_lab.hpp"

using namespace pinhole;
using namespace pinhole::test;
using nat::Be16;
using nat::DropReason;
using nat::Endpoint;
using nat::Protocol;

namespace {

const Endpoint kServer = endpoint("198.51.100.7", 3478);
constexpr unsigned kInside = PipelineLab::kInside;
constexpr unsigned kOutside = PipelineLab::kOutside;

FrameSpec flow(nat::Ipv4Address host, unsigned port) {
  return {.source = {host, Be16{static_cast<std::uint16_t>(port)}}, .destination = kServer};
}

/// Whether a frame is ICMP "communication administratively prohibited" to a host about that packet.
bool refuses(const Sent& sent, const FrameSpec& about) {
  const auto& frame = sent.frame;
  if (sent.interface != kInside || frame.size() < 42 + 28 || !checksums_right(frame)) return false;
  if (frame[34] != std::byte{3} || frame[35] != std::byte{13}) return false;
  const auto datagram = make_frame(about);
  return std::equal(frame.begin() + 30, frame.begin() + 34, datagram.begin() + 26) &&
         std::equal(datagram.begin() + 14, datagram.begin() + 14 + 28, frame.begin() + 42);
}

}  // namespace

TEST_CASE("over its quota a host's new flow is refused with ICMP 3/13, and its live ones go on",
          "[dataplane][quota][rfc6888-req4][rfc6888-req11][rfc5508-req8][rfc5508-req10]") {
  for (const unsigned workers : {1U, 2U}) {
    DYNAMIC_SECTION(workers << " workers") {
      auto config = lab_config(workers);
      config.nat.quotas.udp = 2;
      config.icmp.errors_per_s = 1;
      PipelineLab lab(config);
      const auto gateway = address("203.0.113.254");
      const auto host = lab.host_of(workers - 1);
      const auto other = lab.host_of(0, 1);
      for (const unsigned port : {4000U, 4001U}) {
        const auto out = lab.send(kInside, flow(host, port));
        auto expected = flow(host, port);
        expected.source = lab.mapping(Protocol::udp, expected.source).external;
        expected.ttl = 63;
        CHECK(out == std::vector{lab.leaves(kOutside, expected, gateway)});
      }
      const auto refused = lab.send(kInside, flow(host, 4002));
      REQUIRE(refused.size() == 1);
      CHECK(refuses(refused[0], flow(host, 4002)));
      CHECK(lab.dropped(DropReason::drop_quota_mappings) == 1);

      // The answers are rate limited, every refusal is counted.
      std::size_t answers = 0;
      for (unsigned port = 5000; port < 5100; ++port) answers += lab.send(kInside, flow(host, port)).size();
      CHECK(answers >= 15);
      CHECK(answers <= 25);
      CHECK(lab.dropped(DropReason::drop_quota_mappings) == 101);

      for (const unsigned port : {4000U, 4001U}) CHECK(lab.send(kInside, flow(host, port)).size() == 1);
      CHECK(lab.send(kInside, flow(other, 4000)).size() == 1);
      CHECK(lab.count(nat::Counter::mapping_live) == 3);
      CHECK(lab.count(nat::Counter::host_live) == 2);
      CHECK(lab.buffers_in_use() == 0);
    }
  }
}

TEST_CASE("with every port taken a new flow is refused with ICMP 3/13, and no live one ends",
          "[dataplane][rfc6888-req11][rfc5508-req8]") {
  auto config = lab_config();
  config.nat.mappings_per_worker = 70000;
  config.nat.quotas = {.udp = 0, .tcp = 0, .icmp = 0, .new_per_s = 0};
  PipelineLab lab(config);
  const auto host = lab.host_of(0);
  const auto late = lab.host_of(0, 1);
  auto& translator = lab.context(0).translator;
  for (unsigned port = 1024; port < 65536; ++port) {
    const Endpoint inside{host, Be16{static_cast<std::uint16_t>(port)}};
    REQUIRE(translator.create(Protocol::udp, inside, kServer, lab.context(0).clock.tick()).reason ==
            DropReason::none);
  }
  const auto refused = lab.send(kInside, flow(late, 4000));
  REQUIRE(refused.size() == 1);
  CHECK(refuses(refused[0], flow(late, 4000)));
  CHECK(lab.dropped(DropReason::drop_no_port) == 1);
  CHECK(translator.table().size() == 65536 - 1024);
  for (const unsigned port : {1024U, 30000U, 65535U}) {
    const auto out = lab.send(kInside, flow(host, port));
    REQUIRE(out.size() == 1);
    CHECK(out[0].interface == kOutside);
  }
}

TEST_CASE(
    "a host that has used up its blocks, or is no subscriber, is refused with ICMP 3/13, and others go on",
    "[dataplane][ports][rfc6888-req11][rfc7422]") {
  struct Case {
    nat::PortMode mode;
    bool listed;
    bool sip;
    DropReason reason;
    unsigned flows;  // until the first that is refused
  };
  for (const auto& row :
       {Case{nat::PortMode::blocks, true, false, DropReason::drop_block_limit, 128},
        Case{nat::PortMode::blocks, true, true, DropReason::drop_quota_mappings, 112},
        Case{nat::PortMode::deterministic, true, false, DropReason::drop_block_limit, 64},
        Case{nat::PortMode::deterministic, true, true, DropReason::drop_quota_mappings, 48},
        Case{nat::PortMode::deterministic, false, true, DropReason::drop_not_subscriber, 0}}) {
    DYNAMIC_SECTION("mode " << static_cast<int>(row.mode) << ", reason " << static_cast<int>(row.reason)) {
      auto config = lab_config();
      config.sip.enabled = row.sip;
      config.nat.ports = {.mode = row.mode, .block_size = 64, .blocks_per_host = 2, .subscribers = {}};
      if (row.mode == nat::PortMode::deterministic)
        config.nat.ports.subscribers = {{address("10.0.0.16"), 28}};
      PipelineLab lab(config);
      const auto host = row.listed ? address("10.0.0.17") : address("10.0.0.33");
      const auto other = address("10.0.0.18");
      for (const auto each : {host, other}) lab.add_neighbor(kInside, each);
      unsigned port = 4000;
      for (; port < 4000 + row.flows; ++port) REQUIRE(lab.send(kInside, flow(host, port)).size() == 1);
      CHECK(lab.drops().empty());
      const auto refused = lab.send(kInside, flow(host, port));
      REQUIRE(refused.size() == 1);
      CHECK(refuses(refused[0], flow(host, port)));
      CHECK(lab.dropped(row.reason) == 1);
      const auto out = lab.send(kInside, flow(other, port));
      REQUIRE(out.size() == 1);
      CHECK(out[0].interface == kOutside);
      CHECK(lab.count(nat::Counter::mapping_live) == row.flows + 1);
    }
  }
}
