// SPDX-License-Identifier: BSD-3-Clause
// Places of connections that gateways read, when all are taken: who has to give his to others, and who has
// not.
#include <catch2/catch.hpp>

#include <array>
#include <string>
#include <vector>

#include "tests/dataplane/gateway_lab.hpp"

using namespace pinhole;
using namespace pinhole::test;
using dataplane::GatewayParts;
using dataplane::WorkerCounter;
using nat::Be16;
using nat::DropReason;
using nat::Endpoint;

namespace {

constexpr unsigned kInside = PipelineLab::kInside;
constexpr unsigned kOutside = PipelineLab::kOutside;
const Endpoint kSeenAs = endpoint("203.0.113.1", 9999);  // the server inside
const Endpoint kServer = endpoint("10.0.0.77", TestGateway::kTcpPort);

config::Config config_with_server(std::uint32_t places) {
  auto config = lab_config();
  config.nat.forwards = {{nat::Protocol::tcp, kSeenAs, kServer}};
  config.nat.mappings_per_worker = 16384;
  config.nat.quotas = {.udp = 0, .tcp = 0, .icmp = 0, .new_per_s = 0};
  config.sip.streams_per_worker = places;
  return config;
}

Endpoint stranger_on(std::uint32_t port) {
  return {address("198.51.100.66"), Be16{static_cast<std::uint16_t>(1024 + port)}};
}

/// A strict gateway, a server inside and one outside.
struct Scene : GatewayScene {
  explicit Scene(std::uint32_t places = 64)
      : GatewayScene(config_with_server(places), [](dataplane::GatewaySpec& spec) { spec.strict = true; }),
        places_(places) {
    lab.add_neighbor(kInside, kServer.address);
  }
  [[nodiscard]] std::uint32_t places() const { return places_; }
  [[nodiscard]] TcpTalk connect_from(std::uint32_t port) {
    const Endpoint from{client.address, Be16{static_cast<std::uint16_t>(port)}};
    return {lab,
            {.interface = kInside, .self = from, .peer = tcp_server},
            {.interface = kOutside, .self = tcp_server}};
  }
  [[nodiscard]] TcpTalk connect_in(std::uint32_t number) {
    return {lab,
            {.interface = kOutside, .self = stranger_on(number), .peer = kSeenAs},
            {.interface = kInside, .self = kServer}};
  }

 private:
  std::uint32_t places_;
};

}  // namespace

TEST_CASE("who begins connections and completes none keeps nobody out, and completes none later",
          "[dataplane][gateway][places]") {
  enum class Flood { syn, syn_again, other_syn_again, syn_and_reset };
  const auto flood = GENERATE(Flood::syn, Flood::syn_again, Flood::other_syn_again, Flood::syn_and_reset);
  Scene scene;
  const std::uint32_t places = scene.places();
  auto served = scene.connect_from(30000);
  REQUIRE(served.open);
  scene.lab.pass_s(2);  // its place is looked at
  const auto send = [&](unsigned flags, std::uint32_t sequence) {
    for (std::uint32_t i = 1; i < places; ++i) {
      FrameSpec spec{.protocol = nat::kIpProtocolTcp, .source = stranger_on(i), .destination = kSeenAs};
      spec.tcp_flags = static_cast<std::uint8_t>(flags);
      spec.tcp_sequence = sequence;
      spec.payload.clear();
      REQUIRE(scene.lab.send(kOutside, spec).size() == 1);
    }
  };
  send(nat::TcpHeader::kSyn, 1000);
  if (flood == Flood::syn_and_reset) send(nat::TcpHeader::kRst, 1001);
  for (std::uint32_t second = 1; second <= 3; ++second) {
    scene.lab.pass_s(1);
    if (flood == Flood::syn_again) send(nat::TcpHeader::kSyn, 1000);
    if (flood == Flood::other_syn_again) send(nat::TcpHeader::kSyn, 1000 + 1000 * second);
  }
  TestGateway::shown.clear();
  for (std::uint32_t i = 0; i < places - 1; ++i) {
    auto more = scene.connect_from(31000 + i);
    REQUIRE(more.open);
    more.tell(more.caller, "read\r\n");
  }
  CHECK(TestGateway::shown.size() == places - 1);
  CHECK(scene.count(WorkerCounter::stream_table_full) == 0);
  // None of what came before them is there any more, but whoever is served.
  CHECK_FALSE(scene.answer(nat::TcpHeader::kSyn | nat::TcpHeader::kAck, kServer, stranger_on(1)));
  CHECK(scene.lab.dropped(DropReason::drop_stream_unread) == 1);
  served.tell(served.caller, "still\r\n");
  CHECK(served.called.heard == "still\r\n");
  CHECK(TestGateway::shown.back() == "still\r\n");
}

TEST_CASE("half-open connections of a gateway that lets pass keep out none of one that does not, nor of SIP",
          "[dataplane][gateway][places]") {
  const bool sip = GENERATE(false, true);
  auto config = lab_config();
  const Endpoint external = endpoint("203.0.113.1", 9999);
  const Endpoint inside = endpoint("10.0.0.77", sip ? 5060 : 2122);
  config.nat.forwards = {{nat::Protocol::tcp, external, inside}};
  auto strict = TestGateway::spec();
  strict.strict = true;
  pinhole_plugin plugin = *strict.plugin;
  const pinhole_claim claim{PINHOLE_TCP, 0, 2122};
  plugin.name = "other";
  plugin.claims = &claim;
  plugin.claim_count = 1;
  auto lenient = strict;
  lenient.plugin = &plugin;
  lenient.claims = {claim};
  lenient.strict = false;
  const std::array<dataplane::GatewaySpec, 2> specs{strict, lenient};
  PipelineLab lab(config, specs);
  lab.add_neighbor(kOutside, address("203.0.113.254"));
  lab.add_neighbor(kInside, inside.address);
  for (std::uint32_t i = 0; i < config.sip.streams_per_worker; ++i) {
    FrameSpec spec{.protocol = nat::kIpProtocolTcp, .source = stranger_on(i), .destination = external};
    spec.tcp_flags = nat::TcpHeader::kSyn;
    spec.payload.clear();
    REQUIRE(lab.send(kOutside, spec).size() == 1);
  }
  lab.pass_s(2);
  const Endpoint to = endpoint("198.51.100.7", sip ? 5060 : TestGateway::kTcpPort);
  const TcpTalk talk(lab, {.interface = kInside, .self = {lab.host_of(0), Be16{40000}}, .peer = to},
                     {.interface = kOutside, .self = to});
  CHECK(talk.open);
  CHECK(lab.count(WorkerCounter::stream_table_full) == 0);
}

TEST_CASE("where flows are full before places are, half-open connections give up theirs",
          "[dataplane][gateway][places]") {
  Scene scene(4 * GatewayParts::kFlows);
  for (std::uint32_t i = 0; i < GatewayParts::kFlows; ++i)
    REQUIRE(scene.knock(kOutside, stranger_on(i), kSeenAs));
  CHECK_FALSE(scene.connect_from(20000).open);  // a handshake may take a second
  std::uint32_t read = 0;
  for (std::uint32_t i = 0; i < GatewayParts::kFlows + 500; ++i) {
    if (i % 1000 == 0) scene.lab.pass_s(2);
    read += scene.knock(kInside, {scene.client.address, Be16{static_cast<std::uint16_t>(21000 + i)}},
                        scene.tcp_server)
                ? 1
                : 0;
  }
  CHECK(read == GatewayParts::kFlows + 500);
}

TEST_CASE("who has a place and is over gives it to others after a while, whatever he still sends",
          "[dataplane][gateway][places]") {
  enum class End { server_closes, both_close, reset, line_without_end };
  const auto end = GENERATE(End::server_closes, End::both_close, End::reset, End::line_without_end);
  const bool says_more = GENERATE(false, true);
  CAPTURE(static_cast<int>(end), says_more);
  constexpr unsigned kAck = nat::TcpHeader::kAck;
  Scene scene;
  std::vector<TcpTalk> all;
  for (std::uint32_t i = 0; i < scene.places(); ++i) {
    auto& talk = all.emplace_back(scene.connect_in(i));
    REQUIRE(talk.open);
    talk.tell(talk.caller, "NOOP\r\n");
    if (end == End::line_without_end) talk.say(talk.caller, "x");
    if (end == End::reset) talk.say(talk.caller, "", nat::TcpHeader::kRst | kAck);
    if (end == End::server_closes || end == End::both_close)
      talk.say(talk.called, "421 too many\r\n", kAck | nat::TcpHeader::kFin);
    talk.run();
    if (end == End::both_close) talk.say(talk.caller, "", kAck | nat::TcpHeader::kFin);
    talk.run();
  }
  CHECK_FALSE(scene.connect_from(20000).open);
  for (unsigned second = 0; second < 75; ++second) {
    scene.lab.pass_s(1);
    scene.lab.run();  // some are reset
    // Who goes on after his reset has sent none.
    if (!says_more || end == End::reset || second % 5 != 0) continue;
    for (auto& talk : all) talk.acknowledge(talk.caller);
  }
  std::uint32_t opened = 0;
  for (std::uint32_t i = 0; i < scene.places(); ++i) opened += scene.connect_from(21000 + i).open ? 1 : 0;
  CHECK(opened == scene.places());
}

TEST_CASE("who is served keeps his place, however many want it", "[dataplane][gateway][places]") {
  Scene scene;
  std::vector<TcpTalk> all;
  for (std::uint32_t i = 0; i < scene.places(); ++i) REQUIRE(all.emplace_back(scene.connect_in(i)).open);
  scene.lab.pass_s(100);
  for (std::uint32_t i = 0; i < 20; ++i) CHECK_FALSE(scene.connect_from(20000 + i).open);
  TestGateway::shown.clear();
  for (auto& talk : all) talk.tell(talk.caller, "NOOP\r\n");
  CHECK(TestGateway::shown.size() == all.size());
}

TEST_CASE("however many have begun a line, who says a whole one is read", "[dataplane][gateway][places]") {
  Scene scene(1024);
  std::vector<TcpTalk> all;
  for (std::uint32_t i = 0; i + 1 < scene.places(); ++i) {
    auto& talk = all.emplace_back(scene.connect_in(i));
    REQUIRE(talk.open);
    talk.say(talk.caller, "x");
    talk.run();
  }
  auto good = scene.connect_from(20000);
  REQUIRE(good.open);
  good.tell(good.called, "220 hello\r\n");
  CHECK(good.caller.heard == "220 hello\r\n");
}
