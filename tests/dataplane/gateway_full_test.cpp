// SPDX-License-Identifier: BSD-3-Clause
// Tables of gateways that are full: who finds a place all the same, and what becomes of who does not.
#include <catch2/catch.hpp>

#include <string>
#include <vector>

#include "dataplane/gateway/flows.hpp"
#include "tests/dataplane/gateway_lab.hpp"

using namespace pinhole;
using namespace pinhole::test;
using dataplane::Expectations;
using dataplane::GatewayParts;
using dataplane::WorkerCounter;
using nat::Be16;
using nat::DropReason;
using nat::Endpoint;

namespace {

constexpr unsigned kInside = PipelineLab::kInside;
constexpr unsigned kOutside = PipelineLab::kOutside;

/// Room for more connections than gateways may have flows.
config::Config large_config() {
  auto config = lab_config();
  config.nat.mappings_per_worker = 16384;
  config.nat.quotas = {.udp = 0, .tcp = 0, .icmp = 0, .new_per_s = 0};
  config.sip.streams_per_worker = GatewayParts::kFlows;
  return config;
}

struct Scene : GatewayScene {
  explicit Scene(const config::Config& config = lab_config(), bool strict = false,
                 const TestGateway::Cut& cut = {})
      : GatewayScene(config, [=](dataplane::GatewaySpec& spec) { spec.strict = strict; }, cut) {}

  [[nodiscard]] Endpoint client_on(std::uint32_t port) const {
    return {client.address, Be16{static_cast<std::uint16_t>(port)}};
  }
  [[nodiscard]] TcpTalk connect_from(std::uint32_t port, Endpoint to) {
    return {lab,
            {.interface = kInside, .self = client_on(port), .peer = to},
            {.interface = kOutside, .self = to}};
  }
  [[nodiscard]] TcpTalk connect_from(std::uint32_t port) { return connect_from(port, tcp_server); }
  /// Datagrams and first segments, each a flow of its own.
  void fill(std::uint32_t datagrams, std::uint32_t connections) {
    for (std::uint32_t i = 0; i < datagrams; ++i)
      REQUIRE(datagram(kInside, client_on(10000 + i), server).size() == 1);
    for (std::uint32_t i = 0; i < connections; ++i) REQUIRE(knock(kInside, client_on(20000 + i), tcp_server));
  }
  [[nodiscard]] std::uint32_t flows() { return lab.context(0).gateways.flows.size(); }
  /// The ticks that it takes to come by every flow.
  void look_after_all() {
    for (int tick = 0; tick < 20; ++tick) dataplane::tick_gateways(lab.context(0));
  }
};

}  // namespace

TEST_CASE("a connection that finds no place among those that are read does not begin where all are to be",
          "[dataplane][gateway][full]") {
  const bool strict = GENERATE(false, true);
  const auto config = lab_config();
  Scene scene(config, strict);
  const std::uint32_t places = config.sip.streams_per_worker;
  for (std::uint32_t i = 0; i + 1 < places; ++i) REQUIRE(scene.connect_from(20000 + i).open);
  auto last = scene.connect_from(30000);
  REQUIRE(last.open);
  TestGateway::shown.clear();
  auto one_more = scene.connect_from(30001);
  CHECK(one_more.open != strict);
  CHECK(scene.count(WorkerCounter::stream_table_full) == 1);
  CHECK(scene.lab.dropped(DropReason::drop_stream_full) == (strict ? 1 : 0));
  CHECK(scene.flows() == places);
  if (!strict) one_more.tell(one_more.caller, "unread\r\n");
  CHECK(one_more.called.heard == (strict ? "" : "unread\r\n"));
  CHECK(TestGateway::shown.empty());
  // Who sends his SYN again when there is a place gets in, and is read.
  last.close();
  scene.lab.pass_s(lab_config().nat.timeouts.tcp_closing_s);
  auto again = scene.connect_from(30002);
  REQUIRE(again.open);
  again.tell(again.caller, "read\r\n");
  CHECK(TestGateway::shown == std::vector<std::string>{"read\r\n"});
}

TEST_CASE("SIP finds a place beside as many connections of gateways as there may be, and they beside SIP's",
          "[dataplane][gateway][full]") {
  const auto config = lab_config();
  const std::uint32_t places = config.sip.streams_per_worker;
  const bool sip_first = GENERATE(false, true);
  Scene scene(config);
  const Endpoint proxy{scene.server.address, Be16{5060}};
  for (const bool sip : {sip_first, !sip_first}) {
    const auto full = scene.count(WorkerCounter::stream_table_full);
    const std::uint32_t first_port = sip ? 30000 : 20000;
    for (std::uint32_t i = 0; i < places + 3; ++i)
      REQUIRE(scene.connect_from(first_port + i, sip ? proxy : scene.tcp_server).open);
    CHECK(scene.count(WorkerCounter::stream_table_full) == full + 3);
  }
  scene.lab.pass_s(1);
  CHECK(scene.count(WorkerCounter::stream_live) == 2 * places);
}

TEST_CASE("a connection from a gateway's port to another is nobody's, however strict",
          "[dataplane][gateway][full]") {
  Scene scene(lab_config(), true);
  const auto talk = [&](const Endpoint& from, const Endpoint& to) {
    return TcpTalk(scene.lab, {.interface = kInside, .self = from, .peer = to},
                   {.interface = kOutside, .self = to});
  };
  auto web = talk(scene.client_on(TestGateway::kTcpPort), {scene.server.address, Be16{80}});
  REQUIRE(web.open);
  web.tell(web.caller, "GET /");
  web.tell(web.called, "200");
  CHECK(web.called.heard == "GET /");
  CHECK(web.caller.heard == "200");
  CHECK(scene.lab.dropped(DropReason::drop_stream_full) == 0);
}

TEST_CASE("what connections of gateways hold leaves SIP its memory, and what SIP's hold leaves them theirs",
          "[dataplane][gateway][full]") {
  const bool sip = GENERATE(false, true);
  CAPTURE(sip);
  constexpr std::uint32_t kSize = 60000;
  Scene scene(lab_config(), false, [](pinhole_framing& framing, std::string_view) {
    framing.begun = 1;
    return pinhole_frame{PINHOLE_FRAME_MESSAGE, kSize};
  });
  const Endpoint proxy{scene.server.address, Be16{5060}};
  for (std::uint32_t i = 0; i < 20; ++i) {
    auto talk = scene.connect_from(20000 + i, sip ? proxy : scene.tcp_server);
    REQUIRE(talk.open);
    const std::string begin =
        "MESSAGE sip:a@b SIP/2.0\r\nContent-Length: " + std::to_string(kSize) + "\r\n\r\n";
    talk.say(talk.caller, begin);
    for (std::uint32_t held = 1400; held + begin.size() < kSize; held += 1400) {
      talk.say(talk.caller, std::string(1400, 'x'));
      talk.run();
    }
  }
  REQUIRE(scene.lab.dropped(DropReason::drop_stream_full) > 0);
  auto& streams = scene.lab.context(0).streams;
  const auto& theirs = streams.chunks(sip ? dataplane::kSipOwner : dataplane::owner_of(TestGateway::kNumber));
  const auto& others = streams.chunks(sip ? dataplane::owner_of(TestGateway::kNumber) : dataplane::kSipOwner);
  CHECK(theirs.free() <= theirs.size() / 4);
  CHECK(others.free() == others.size());
}

TEST_CASE("datagrams take half of the flows, whoever sends them, and connections find the other half",
          "[dataplane][gateway][full]") {
  Scene scene(large_config(), true);
  constexpr std::uint32_t kHalf = GatewayParts::kFlows / 2;
  scene.fill(kHalf, 0);
  CHECK(scene.count(WorkerCounter::gateway_flow_full) == 0);
  TestGateway::shown.clear();
  for (std::uint32_t i = 0; i < 10; ++i)
    CHECK(scene.datagram(kInside, scene.client_on(30000 + i), scene.server).size() == 1);
  CHECK(TestGateway::shown.empty());  // it passes, unread
  CHECK(scene.count(WorkerCounter::gateway_flow_full) == 10);
  CHECK(scene.flows() == kHalf);
  scene.fill(0, kHalf - 1);
  auto control = scene.connect();
  REQUIRE(control.open);
  control.tell(control.caller, "line\r\n");
  CHECK(TestGateway::shown == std::vector<std::string>{"line\r\n"});
  CHECK(scene.flows() == GatewayParts::kFlows);
  // What has ended gives its place back.
  scene.lab.pass_s(400);
  scene.look_after_all();
  CHECK(scene.flows() == 1);
  CHECK(scene.datagram(kInside, scene.client_on(30000), scene.server).size() == 1);
  CHECK(TestGateway::shown.size() == 2);
}

TEST_CASE(
    "a connection that finds no flow does not begin where all are to be read, be it the next of its ends",
    "[dataplane][gateway][full]") {
  const bool strict = GENERATE(false, true);
  Scene scene(large_config(), strict);
  constexpr std::uint32_t kHalf = GatewayParts::kFlows / 2;
  scene.fill(kHalf, kHalf - 1);
  auto control = scene.connect();
  REQUIRE(control.open);
  CHECK(scene.connect_from(41000).open != strict);
  CHECK(scene.count(WorkerCounter::gateway_flow_full) == 1);
  // Its flow ends before its place among the connections that are read does, and somebody else has the flow.
  control.close();
  scene.look_after_all();
  REQUIRE(scene.flows() == GatewayParts::kFlows - 1);
  REQUIRE(scene.knock(kInside, scene.client_on(42000), scene.tcp_server));
  REQUIRE(scene.flows() == GatewayParts::kFlows);
  for (const std::uint64_t refused : {2U, 3U}) {
    CHECK(scene.knock(kInside, scene.client, scene.tcp_server) != strict);
    CHECK(scene.lab.dropped(DropReason::drop_stream_full) == (strict ? refused : 0));
  }
  CHECK(scene.lab.buffers_in_use() == 0);
}

TEST_CASE("a flow may announce so many others and no more", "[dataplane][gateway][full]") {
  GatewayScene scene;
  std::uint16_t port = 10000;
  int full = 0;
  TestGateway::read = [&](pinhole_context* context, const pinhole_message& message) {
    for (int i = 0; i < 20; ++i) {
      const auto wanted =
          TestGateway::expectation(message, PINHOLE_TCP, PINHOLE_OUTSIDE, PINHOLE_ONCE, port++, 0, 10);
      const int answer = TestGateway::host->expect(context, &wanted);
      CHECK((answer == PINHOLE_OK || answer == PINHOLE_FULL));
      if (answer == PINHOLE_FULL) ++full;
    }
    return PINHOLE_FORWARD;
  };
  for (int i = 0; i < 4; ++i) scene.out("many");
  scene.lab.pass_s(1);
  CHECK(scene.count(WorkerCounter::expectation_live) == dataplane::Expectations::kPerFlow);
  CHECK(full == 80 - dataplane::Expectations::kPerFlow);
  CHECK(scene.count(WorkerCounter::expectation_full) == static_cast<std::uint64_t>(full));
  scene.lab.pass_s(11);
  CHECK(scene.count(WorkerCounter::expectation_live) == 0);
  scene.out("many");
  scene.lab.pass_s(1);
  CHECK(scene.count(WorkerCounter::expectation_live) == 20);
}

TEST_CASE("what is announced between two hosts is bounded, and others between other hosts find a place",
          "[dataplane][gateway][full]") {
  GatewayScene scene;
  constexpr std::uint16_t kEach = 32;
  std::uint16_t port = 10000;
  TestGateway::read = [&](pinhole_context* context, const pinhole_message& message) {
    for (unsigned i = 0; i < kEach; ++i) {
      const auto wanted =
          TestGateway::expectation(message, PINHOLE_UDP, PINHOLE_INSIDE, PINHOLE_ONCE, 0, port++, 100);
      const int answer = TestGateway::host->expect(context, &wanted);
      CHECK((answer == PINHOLE_OK || answer == PINHOLE_FULL));
    }
    return PINHOLE_FORWARD;
  };
  const auto announce = [&](std::uint16_t from, Endpoint to) {
    CHECK(scene.datagram(kInside, {scene.client.address, Be16{from}}, to).size() == 1);
    scene.lab.pass_s(1);
    return scene.count(WorkerCounter::expectation_live);
  };
  // As many as one flow may have, of each of several flows.
  std::uint64_t live = 0;
  for (std::uint16_t flow = 0; flow < 6; ++flow) {
    for (int i = 0; i < 2; ++i) live = announce(static_cast<std::uint16_t>(40000 + flow), scene.server);
  }
  CHECK(live == Expectations::kPerPair);
  CHECK(scene.count(WorkerCounter::expectation_full) == 6 * 2 * kEach - Expectations::kPerPair);
  const Endpoint other = endpoint("198.51.100.8", TestGateway::kUdpPort);
  CHECK(announce(40000, other) == Expectations::kPerPair + kEach);
  CHECK(announce(40007, scene.server) == Expectations::kPerPair + kEach);
}

TEST_CASE("one inside host announces a quarter of what may be announced in all, and others find a place",
          "[dataplane][gateway][full]") {
  Scene scene;
  constexpr std::uint32_t kPerHost = GatewayParts::kExpectations / Expectations::kHostsAtLeast;
  constexpr unsigned kEach = 32;
  std::uint16_t port = 2000;
  unsigned full = 0;
  TestGateway::read = [&](pinhole_context* context, const pinhole_message& message) {
    for (unsigned i = 0; i < kEach; ++i) {
      const auto wanted =
          TestGateway::expectation(message, PINHOLE_TCP, PINHOLE_INSIDE, PINHOLE_ONCE, 0, port++, 30);
      if (TestGateway::host->expect(context, &wanted) == PINHOLE_FULL) ++full;
    }
    return PINHOLE_FORWARD;
  };
  const auto announce = [&](nat::Ipv4Address from, std::uint16_t source, unsigned remote) {
    const auto address = nat::Ipv4Address::from_host(endpoint("198.51.100.10", 0).address.host() + remote);
    CHECK(scene.datagram(kInside, {from, Be16{source}}, {address, Be16{TestGateway::kUdpPort}}).size() == 1);
  };
  const auto live = [&] {
    scene.lab.pass_s(1);
    return scene.count(WorkerCounter::expectation_live);
  };
  const auto other = scene.lab.host_of(0, 1);
  for (int round = 0; round < 2; ++round) {
    full = 0;
    for (unsigned remote = 0; remote < 17; ++remote) {
      for (std::uint16_t flow = 0; flow < 4; ++flow)
        announce(scene.client.address, static_cast<std::uint16_t>(40000 + flow), remote);
    }
    CHECK(full == 17 * 4 * kEach - kPerHost);
    announce(other, 40000, 0);
    CHECK(full == 17 * 4 * kEach - kPerHost);
    CHECK(live() == kPerHost + kEach);
    // What was not met gives its place back, and its host's part.
    scene.lab.pass_s(31);
    scene.look_after_all();
    CHECK(live() == 0);
  }
}
