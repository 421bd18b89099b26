// SPDX-License-Identifier: BSD-3-Clause
#include <catch2/catch.hpp>

#include <vector>

#include "nat/checksum.hpp"
#include "nat/rewrite.hpp"
#include "tests/bench/gen/checker.hpp"
#include "tests/bench/gen/histogram.hpp"
#include "tests/bench/gen/report.hpp"
#include "tests/bench/gen/search.hpp"
#include "tests/support/frame.hpp"

using namespace pinhole;
using gen::Device;
using gen::Direction;
using gen::Fault;

namespace {

const nat::Ipv4Address kExternal = *nat::Ipv4Address::parse("203.0.113.2");

gen::FrameMaker maker(Direction direction, std::size_t size) {
  return {direction, size, {{{0x02, 0, 0, 0, 0, 1}}, {{0x02, 0, 0, 0, 0, 2}}}};
}

test::Frame make(const gen::FrameMaker& frames, const gen::Flow& flow, std::uint32_t number,
                 std::uint32_t sequence, std::uint64_t stamp = 0x0123456789abcdef) {
  test::Frame frame(frames.size());
  frames.write(frame.data(), flow, number, sequence, stamp);
  return frame;
}

/// What a translator does, by the book: new endpoints, one hop less, both checksums taken anew.
void translate(test::Frame& frame, nat::Endpoint source, nat::Endpoint destination,
               std::uint8_t ttl = gen::kTtl - 1) {
  auto& ip = nat::header_at<nat::Ipv4Header>(frame.data(), gen::kIpOffset);
  auto& udp = nat::header_at<nat::UdpHeader>(frame.data(), gen::kUdpOffset);
  ip.source = source.address;
  ip.destination = destination.address;
  ip.ttl = ttl;
  udp.source_port = source.port;
  udp.destination_port = destination.port;
  ip.checksum = {};
  udp.checksum = {};
  const auto header = std::span<const std::byte>(frame).subspan(gen::kIpOffset, sizeof ip);
  ip.checksum = nat::Be16::from_raw(nat::checksum(header));
  udp.checksum = nat::Be16::from_raw(
      nat::transport_checksum(nat::Protocol::udp, ip.source, ip.destination,
                              std::span<const std::byte>(frame).subspan(gen::kUdpOffset), 6));
}

/// Two flows, and the checker of packets that went out through a NAT.
struct Outbound {
  explicit Outbound(std::size_t size = gen::kMinFrame)
      : frames(maker(Direction::outbound, size)), checker(Direction::outbound, Device::nat, size, flows) {
    checker.restart(1);
  }
  /// The packet as a right NAT sends it on.
  test::Frame good(std::uint32_t number, std::uint32_t sequence) {
    test::Frame frame = make(frames, flows[number], number, sequence);
    translate(frame, {kExternal, nat::Be16{static_cast<std::uint16_t>(40'000 + number)}},
              flows[number].remote);
    return frame;
  }
  [[nodiscard]] std::uint64_t count(Fault fault) const {
    return checker.arrivals().faults[static_cast<std::size_t>(fault)];
  }
  std::vector<gen::Flow> flows = gen::make_flows({.flows = 2}, Device::nat);
  gen::FrameMaker frames;
  gen::Checker checker;
};

}  // namespace

TEST_CASE("frames of every size have right checksums, whatever the flow, sequence and stamp",
          "[bench][gen]") {
  auto flows = gen::make_flows({.flows = 500, .hosts = 7}, Device::nat);
  for (auto& flow : flows) flow.external = {kExternal, flow.inside.port};
  for (const std::size_t size : {60U, 61U, 123U, 508U, 1514U}) {
    for (const auto direction : {Direction::outbound, Direction::inbound}) {
      const auto frames = maker(direction, size);
      for (std::uint32_t i = 0; i < flows.size(); ++i) {
        const auto frame = make(frames, flows[i], i, 0xfffffff0U + i, 0xffffffff00000000U + i * 7919ULL);
        REQUIRE(test::checksums_right(frame));
        REQUIRE(nat::header_at<nat::UdpHeader>(frame.data(), gen::kUdpOffset).checksum.raw() != 0);
      }
    }
  }
}

TEST_CASE("flows have endpoints of their own", "[bench][gen]") {
  auto flows = gen::make_flows({.flows = 10'000, .hosts = 3}, Device::swap);
  for (auto& flow : flows) flow.external = flow.inside;
  CHECK_FALSE(gen::find_overload(flows));
}

TEST_CASE("a good packet is counted and its flow's external endpoint learnt", "[bench][gen]") {
  Outbound out;
  REQUIRE(out.checker.take(out.good(0, 1)));
  REQUIRE(out.checker.take(out.good(1, 2)));
  REQUIRE(out.checker.take(out.good(0, 3)));
  CHECK(out.checker.arrivals().received == 3);
  CHECK(out.checker.arrivals().faulty() == 0);
  CHECK(out.flows[0].external == nat::Endpoint{kExternal, nat::Be16{40'000}});
  CHECK(out.checker.stamp_of(out.good(0, 9)) == 0x0123456789abcdef);
}

TEST_CASE("what a device does wrong is found and named", "[bench][gen]") {
  struct Case {
    const char* name;
    Fault fault;
    void (*damage)(test::Frame& frame, const Outbound& out);
  };
  const auto endpoint = [](std::uint16_t port) { return nat::Endpoint{kExternal, nat::Be16{port}}; };
  static const nat::Endpoint kLearnt = endpoint(40'000);
  static const nat::Endpoint kOther = endpoint(40'002);
  const std::vector<Case> cases = {
      {"a bit of the IPv4 header", Fault::ip_checksum,
       [](test::Frame& frame, const Outbound&) { frame[gen::kIpOffset + 5] ^= std::byte{1}; }},
      {"a bit of the UDP checksum", Fault::udp_checksum,
       [](test::Frame& frame, const Outbound&) { frame[gen::kUdpOffset + 7] ^= std::byte{1}; }},
      {"no UDP checksum", Fault::udp_checksum,
       [](test::Frame& frame, const Outbound&) {
         nat::header_at<nat::UdpHeader>(frame.data(), gen::kUdpOffset).checksum = {};
       }},
      {"a bit of the payload", Fault::udp_checksum,
       [](test::Frame& frame, const Outbound&) { frame.back() ^= std::byte{0x10}; }},
      {"a changed payload with a new checksum", Fault::payload,
       [](test::Frame& frame, const Outbound& out) {
         frame.back() ^= std::byte{0x10};
         translate(frame, kLearnt, out.flows[0].remote);
       }},
      {"a flow that does not exist", Fault::payload,
       [](test::Frame& frame, const Outbound& out) {
         nat::header_at<gen::Payload>(frame.data(), gen::kPayloadOffset).flow = nat::Be32{2};
         translate(frame, kLearnt, out.flows[0].remote);
       }},
      {"no hop taken", Fault::ttl,
       [](test::Frame& frame, const Outbound& out) {
         translate(frame, kLearnt, out.flows[0].remote, gen::kTtl);
       }},
      {"another external port than before", Fault::mapping,
       [](test::Frame& frame, const Outbound& out) { translate(frame, kOther, out.flows[0].remote); }},
      {"an inside address outside", Fault::mapping,
       [](test::Frame& frame, const Outbound& out) {
         translate(frame, out.flows[0].inside, out.flows[0].remote);
       }},
      {"another destination", Fault::mapping,
       [](test::Frame& frame, const Outbound& out) { translate(frame, kLearnt, out.flows[1].remote); }},
      {"a byte short", Fault::size, [](test::Frame& frame, const Outbound&) { frame.pop_back(); }},
      {"a byte long", Fault::size, [](test::Frame& frame, const Outbound&) { frame.push_back({}); }},
      {"a header alone", Fault::size, [](test::Frame& frame, const Outbound&) { frame.resize(34); }},
      {"ICMP", Fault::foreign,
       [](test::Frame& frame, const Outbound&) {
         nat::header_at<nat::Ipv4Header>(frame.data(), gen::kIpOffset).protocol = nat::kIpProtocolIcmp;
       }},
  };
  for (const auto& each : cases) {
    DYNAMIC_SECTION(each.name) {
      Outbound out(80);
      REQUIRE(out.checker.take(out.good(0, 1)));
      auto frame = out.good(0, 2);
      each.damage(frame, out);
      CHECK_FALSE(out.checker.take(frame));
      CHECK(out.count(each.fault) == 1);
      CHECK(out.checker.arrivals().faulty() == 1);
      CHECK(out.checker.arrivals().received == 1);
    }
  }
}

TEST_CASE("a packet that arrives twice is found, one that comes late is not a duplicate", "[bench][gen]") {
  Outbound out;
  for (const std::uint32_t sequence : {1U, 2U, 5U, 4U}) REQUIRE(out.checker.take(out.good(0, sequence)));
  CHECK(out.checker.arrivals().reordered == 1);
  CHECK_FALSE(out.checker.take(out.good(0, 2)));
  CHECK_FALSE(out.checker.take(out.good(0, 5)));
  CHECK(out.count(Fault::duplicate) == 2);
  CHECK(out.checker.take(out.good(0, 3)));
}

TEST_CASE("stragglers of an earlier trial count for neither", "[bench][gen]") {
  Outbound out;
  REQUIRE(out.checker.take(out.good(0, 1)));
  out.checker.restart(10);
  CHECK_FALSE(out.checker.take(out.good(0, 2)));
  CHECK(out.checker.take(out.good(0, 10)));
  CHECK(out.checker.arrivals().stale == 1);
  CHECK(out.checker.arrivals().received == 1);
  CHECK(out.checker.arrivals().faulty() == 0);
}

TEST_CASE("the window of sequence numbers tells fresh from seen for millions of packets, and across the wrap",
          "[bench][gen]") {
  using Seen = gen::SequenceWindow::Seen;
  gen::SequenceWindow window;
  const std::uint32_t start = 0xffffffffU - 3'000'000;
  window.restart(start);
  std::uint32_t wrong = 0;
  for (std::uint32_t i = 0; i < 6'000'000; ++i) {
    const std::uint32_t sequence = start + i;
    if (sequence % 5 == 0) continue;  // lost
    wrong += window.insert(sequence) != Seen::fresh;
    if (i % 7 == 0) wrong += window.insert(sequence) != Seen::again;
    const std::uint32_t late = sequence - 100'000;
    // What was lost may come late, once.
    if (i > 200'000 && late % 5 == 0) wrong += window.insert(late) != Seen::fresh;
  }
  CHECK(wrong == 0);
  CHECK(window.insert(start - 1) == Seen::stale);
  CHECK(window.insert(start + 5'000'000) == Seen::again);
}

TEST_CASE("packets from outside must be for the flow's inside endpoint", "[bench][gen]") {
  auto flows = gen::make_flows({.flows = 2}, Device::nat);
  for (auto& flow : flows) flow.external = {kExternal, flow.inside.port};
  const auto frames = maker(Direction::inbound, gen::kMinFrame);
  gen::Checker checker(Direction::inbound, Device::nat, gen::kMinFrame, flows);
  checker.restart(1);
  auto frame = make(frames, flows[1], 1, 1);
  translate(frame, flows[1].remote, flows[1].inside);
  CHECK(checker.take(frame));
  frame = make(frames, flows[1], 1, 2);
  translate(frame, flows[1].remote, flows[0].inside);
  CHECK_FALSE(checker.take(frame));
  frame = make(frames, flows[1], 1, 3);
  translate(frame, flows[0].remote, flows[1].inside);
  CHECK_FALSE(checker.take(frame));
  CHECK(checker.arrivals().faults[static_cast<std::size_t>(Fault::mapping)] == 2);
}

TEST_CASE("behind a device that swaps, both ends must be swapped", "[bench][gen]") {
  auto flows = gen::make_flows({.flows = 2}, Device::swap);
  for (const auto direction : {Direction::outbound, Direction::inbound}) {
    gen::Checker checker(direction, Device::swap, gen::kMinFrame, flows);
    checker.restart(1);
    const auto frames = maker(direction, gen::kMinFrame);
    const bool out = direction == Direction::outbound;
    auto frame = make(frames, flows[0], 0, 1);
    CHECK_FALSE(checker.take(frame));
    translate(frame, out ? flows[0].remote : flows[0].external, out ? flows[0].inside : flows[0].remote,
              gen::kTtl);
    CHECK(checker.take(frame));
  }
}

TEST_CASE("two flows behind one external endpoint are found", "[bench][gen][rfc4787-req3]") {
  auto flows = gen::make_flows({.flows = 100}, Device::nat);
  for (std::uint16_t i = 0; i < 99; ++i)
    flows[i].external = {kExternal, nat::Be16{i}};  // the last is not known
  CHECK_FALSE(gen::find_overload(flows));
  flows[20].external = flows[70].external;
  const auto overload = gen::find_overload(flows);
  REQUIRE(overload);
  CHECK(std::minmax(overload->one, overload->other) == std::minmax(20U, 70U));
}

TEST_CASE("percentiles are right to a step of the histogram", "[bench][gen]") {
  gen::Histogram histogram;
  CHECK(histogram.percentile(0.99) == 0);
  for (std::uint64_t value = 1; value <= 100'000; ++value) histogram.add(value);
  for (const double share : {0.001, 0.5, 0.9, 0.99, 0.999}) {
    const double exact = share * 100'000;
    CHECK(static_cast<double>(histogram.percentile(share)) >= exact);
    CHECK(static_cast<double>(histogram.percentile(share)) <= exact * 1.04);
  }
  CHECK(histogram.percentile(1) == 100'000);
  histogram.add(~std::uint64_t{0});
  CHECK(histogram.max() == ~std::uint64_t{0});
  CHECK(histogram.percentile(1) == ~std::uint64_t{0});
}

TEST_CASE("a search finds the edge to its resolution, the top, or nothing", "[bench][gen]") {
  unsigned trials = 0;
  const auto edge = [&](double at) {
    return [&trials, at](double pps) {
      ++trials;
      return pps <= at;
    };
  };
  CHECK(gen::search({1000, 0.01}, edge(2000)) == 1000);
  CHECK(trials == 1);
  CHECK(gen::search({1000, 0.01}, edge(700)) == Approx(695).margin(6));
  CHECK(trials <= 9);
  CHECK(gen::search({1000, 0.01}, edge(0)) == 0);
}

TEST_CASE("a run fails for damage at any pace, and for loss where none may be", "[bench][gen]") {
  gen::StepResult step{.name = "1000", .pps = 1000, .result = {}};
  step.result.seconds = 1;
  auto& out = step.result.directions[0];
  out.sent = 1000;
  out.arrivals.received = 1000;
  CHECK_FALSE(gen::error_of(step, 0));

  SECTION("lost on the way") {
    out.arrivals.received = 998;
    CHECK(gen::error_of(step, 0) == "2 of 1000 packets were lost at 1000 packets a second");
    CHECK_FALSE(gen::error_of(step, 0.002));
    step.may_lose = true;
    CHECK_FALSE(gen::error_of(step, 0));
  }
  SECTION("refused by the link") {
    out.refused = 1;
    CHECK(gen::error_of(step, 0) == "1 of 1001 packets were lost at 1000 packets a second");
  }
  SECTION("damaged, in a flood too") {
    out.arrivals.received = 999;
    out.arrivals.faults[static_cast<std::size_t>(Fault::mapping)] = 1;
    step.may_lose = true;
    CHECK(gen::error_of(step, 1) == "1 of 1000 packets outbound: wrong mapping");
    CHECK(gen::missing(step.result) == 0);
  }
  SECTION("nothing sent") {
    out = {};
    CHECK(gen::error_of(step, 0));
  }
  SECTION("the pace") {
    CHECK(gen::kept_pace(step.result));
    out.skipped = 11;
    CHECK_FALSE(gen::kept_pace(step.result));
  }
}
