// SPDX-License-Identifier: BSD-3-Clause
// Flows that a gateway announces: who is let in, and for how long.
#include <catch2/catch.hpp>

#include <string>
#include <vector>

#include "tests/dataplane/gateway_announce.hpp"

using namespace pinhole;
using namespace pinhole::test;
using dataplane::WorkerCounter;
using nat::Be16;
using nat::Endpoint;
using nat::Protocol;

namespace {

constexpr unsigned kInside = PipelineLab::kInside;
constexpr unsigned kOutside = PipelineLab::kOutside;
constexpr std::uint16_t kPort = kAnnouncedPort;

}  // namespace

TEST_CASE("one connection that was announced is let in from its peer, and no other, whatever the filter is",
          "[dataplane][gateway][children]") {
  for (const auto filter : {nat::Filter::endpoint_independent, nat::Filter::address_dependent,
                            nat::Filter::address_and_port_dependent}) {
    for (const bool translated : {true, false}) {
      for (const auto remote_port : {std::uint16_t{0}, std::uint16_t{20}}) {
        DYNAMIC_SECTION("filter " << static_cast<int>(filter) << (translated ? ", NAT" : ", route mode")
                                  << ", remote port " << remote_port) {
          auto config = lab_config();
          config.nat.filtering.tcp = filter;
          if (!translated) config.nat.route = {{"inside", "outside"}};
          GatewayScene scene(config);
          const auto external = announces({.remote_port = remote_port});
          auto control = scene.connect();
          control.tell(control.caller, "open\r\n");
          CHECK((external->address == scene.client.address) != translated);
          CHECK((external->port.host() == kPort || translated));
          CHECK_FALSE(scene.knock(kOutside, scene.stranger, *external));
          CHECK((remote_port == 0 || !scene.knock(kOutside, {scene.server.address, Be16{21}}, *external)));
          CHECK(scene.count(WorkerCounter::expectation_met) == 0);

          auto data = scene.connect_back(20, *external, kPort);
          REQUIRE(data.open);
          CHECK(scene.count(WorkerCounter::expectation_met) == 1);
          CHECK(scene.knock(kOutside, data.caller.self, *external));  // the same SYN again
          CHECK_FALSE(scene.knock(kOutside, {scene.server.address, Be16{21}}, *external));
          CHECK_FALSE(scene.knock(kOutside, scene.stranger, *external));
          data.tell(data.caller, "bytes in");
          data.tell(data.called, "bytes out");
          CHECK(data.called.heard == "bytes in");
          CHECK(data.caller.heard == "bytes out");
          data.close();
          CHECK(data.called.saw_fin);
          CHECK_FALSE(scene.knock(kOutside, data.caller.self, *external));  // another connection
          // Who is inside may go on using his port.
          CHECK(scene.knock(kInside, {scene.client.address, Be16{kPort}}, {scene.server.address, Be16{99}}));
        }
      }
    }
  }
}

TEST_CASE("an announced connection that does not come in time is not let in",
          "[dataplane][gateway][children]") {
  GatewayScene scene;
  const auto external = announces({.seconds = 10});
  auto control = scene.connect();
  control.tell(control.caller, "open\r\n");
  scene.lab.pass_s(5);
  CHECK(scene.count(WorkerCounter::expectation_live) == 1);
  const auto first = *external;
  control.tell(control.caller, "open\r\n");  // announced again: the same port, and from now on
  CHECK(*external == first);
  CHECK(scene.count(WorkerCounter::expectation_live) == 1);
  scene.lab.pass_s(8);
  CHECK(scene.count(WorkerCounter::expectation_expired) == 0);
  scene.lab.pass_s(3);
  CHECK(scene.count(WorkerCounter::expectation_expired) == 1);
  CHECK(scene.count(WorkerCounter::expectation_live) == 0);
  CHECK_FALSE(scene.knock(kOutside, {scene.server.address, Be16{20}}, *external));
  scene.lab.pass_s(400);
  CHECK(scene.lab.context(0).translator.find_outbound(Protocol::tcp, {scene.client.address, Be16{kPort}}) ==
        nat::kNoMapping);
}

TEST_CASE("announced datagrams come from whoever of the peer is first, and from nobody else",
          "[dataplane][gateway][children]") {
  for (const bool own_port : {false, true}) {
    DYNAMIC_SECTION((own_port ? "on the port that the request came from" : "on another port")) {
      auto config = lab_config();
      config.nat.filtering.udp = nat::Filter::address_and_port_dependent;
      GatewayScene scene(config);
      const std::uint16_t port = own_port ? scene.client.port.host() : kPort;
      const auto external = announces({.protocol = PINHOLE_UDP, .flags = PINHOLE_CHILD, .port = port});
      CHECK(scene.out("open").size() == 1);
      const Endpoint peer{scene.server.address, Be16{7001}};
      const Endpoint other{scene.server.address, Be16{7002}};
      CHECK(scene.datagram(kOutside, scene.stranger, *external).empty());
      const auto in = scene.datagram(kOutside, peer, *external);
      REQUIRE(in.size() == 1);
      CHECK(in[0].destination == Endpoint{scene.client.address, Be16{port}});
      CHECK(scene.datagram(kOutside, other, *external).empty());
      CHECK(scene.datagram(kOutside, scene.stranger, *external).empty());
      for (int i = 0; i < 3; ++i) CHECK(scene.datagram(kOutside, peer, *external).size() == 1);
      CHECK(scene.datagram(kInside, {scene.client.address, Be16{port}}, peer).size() == 1);
      CHECK(scene.datagram(kOutside, peer, *external).size() == 1);
      CHECK((own_port || scene.count(WorkerCounter::express) > 0));
      // The request is sent again, and answered from another port.
      CHECK(scene.out("open").size() == 1);
      CHECK(scene.datagram(kOutside, peer, *external).size() == 1);
      CHECK(scene.datagram(kOutside, other, *external).size() == 1);
      CHECK(scene.count(WorkerCounter::expectation_live) <= 1);
    }
  }
}

TEST_CASE("a datagram flow that begins inside is known again, with its port said or not",
          "[dataplane][gateway][children]") {
  for (const auto port : {std::uint16_t{0}, std::uint16_t{41000}}) {
    DYNAMIC_SECTION("port " << port) {
      GatewayScene scene;
      announces({.protocol = PINHOLE_UDP,
                 .from = PINHOLE_INSIDE,
                 .flags = PINHOLE_CHILD,
                 .port = port,
                 .remote_port = 7001});
      scene.out("open");
      const Endpoint media{scene.client.address, Be16{41000}};
      CHECK(scene.datagram(kInside, media, {scene.server.address, Be16{7009}}).size() == 1);
      scene.lab.pass_s(1);
      CHECK(scene.count(WorkerCounter::expectation_met) == 0);
      const Endpoint other{scene.client.address, Be16{static_cast<std::uint16_t>(port == 0 ? 41001 : 41000)}};
      if (port != 0) scene.lab.pass_s(400);  // its mapping is forgotten, and it begins anew
      scene.out("open");
      CHECK(scene.datagram(kInside, other, {scene.server.address, Be16{7001}}).size() == 1);
      scene.lab.pass_s(1);
      CHECK(scene.count(WorkerCounter::expectation_met) == 1);
    }
  }
}

TEST_CASE(
    "two inside hosts by the external endpoint of one: each half is read, and what it announces comes in",
    "[dataplane][gateway][children][hairpin]") {
  for (const unsigned workers : {1U, 2U}) {
    DYNAMIC_SECTION(workers << " workers") {
      auto config = lab_config(workers);
      const Endpoint forward = endpoint("203.0.113.1", TestGateway::kTcpPort);
      Endpoint inside;
      {
        PipelineLab probe(config);
        inside = {probe.host_of(workers - 1, 1), Be16{TestGateway::kTcpPort}};
      }
      config.nat.forwards = {{Protocol::tcp, forward, inside}};
      GatewayScene scene(config);
      scene.lab.add_neighbor(kInside, inside.address);
      Endpoint external;
      TestGateway::read = [&](pinhole_context* context, const pinhole_message& message) {
        if (message.server == PINHOLE_INSIDE) return PINHOLE_FORWARD;
        pinhole_endpoint plain{};
        CHECK(TestGateway::host->reserve(context, PINHOLE_TCP, kPort, 1, &plain) == PINHOLE_OK);
        external = TestGateway::endpoint_of(plain);
        const auto wanted = TestGateway::expectation(message, PINHOLE_TCP, PINHOLE_OUTSIDE,
                                                     PINHOLE_ONCE | PINHOLE_CHILD, kPort, 0, 30);
        CHECK(TestGateway::host->expect(context, &wanted) == PINHOLE_OK);
        return PINHOLE_FORWARD;
      };
      TcpTalk control(scene.lab, {.interface = kInside, .self = scene.client, .peer = forward},
                      {.interface = kInside, .self = inside});
      REQUIRE(control.open);
      control.tell(control.caller, "open\r\n");
      CHECK(control.called.heard == "open\r\n");
      CHECK(TestGateway::shown == std::vector<std::string>{"open\r\n", "open\r\n"});
      CHECK_FALSE(scene.knock(kOutside, scene.stranger, external));
      TcpTalk data(scene.lab, {.interface = kInside, .self = {inside.address, Be16{20}}, .peer = external},
                   {.interface = kInside, .self = {scene.client.address, Be16{kPort}}});
      CHECK(data.open);
      data.tell(data.caller, "bytes");
      CHECK(data.called.heard == "bytes");
      CHECK(scene.count(WorkerCounter::expectation_met) == 1);
    }
  }
}

TEST_CASE("what the configuration maps statically is as it says, whatever is announced on it",
          "[dataplane][gateway][children]") {
  for (const auto direction :
       {nat::StaticDirection::both, nat::StaticDirection::in, nat::StaticDirection::out}) {
    for (const bool existed : {false, true}) {
      DYNAMIC_SECTION("direction " << static_cast<int>(direction) << (existed ? ", in use" : "")) {
        auto config = lab_config();
        const Endpoint first = endpoint("203.0.113.1", 6000);
        Endpoint inside;
        {
          PipelineLab probe(config);
          inside = {probe.host_of(0), Be16{kPort}};
        }
        config.nat.static_mappings = {{config::Protocols::tcp,
                                       {{first.address, 32}, 6000, 6009},
                                       {{inside.address, 32}, kPort, kPort + 9},
                                       direction}};
        GatewayScene scene(config);
        if (existed && direction != nat::StaticDirection::in)
          scene.knock(kInside, inside, {scene.server.address, Be16{99}});
        if (existed && direction == nat::StaticDirection::in) scene.knock(kOutside, scene.stranger, first);
        const auto external = announces({});
        auto control = scene.connect();
        control.tell(control.caller, "open\r\n");
        CHECK(*external == first);
        CHECK(scene.knock(kOutside, scene.stranger, first) == (direction != nat::StaticDirection::out));
        auto data = scene.connect_back(20, first, kPort);
        CHECK(data.open);
        data.tell(data.caller, "bytes");
        CHECK(data.called.heard == "bytes");
      }
    }
  }
}

TEST_CASE("a SYN that makes no connection does not use up what was announced for one",
          "[dataplane][gateway][children]") {
  struct Row {
    const char* what;
    unsigned answer;       // of inside to the first SYN; 0: none
    std::uint16_t second;  // the port that the next SYN comes from
    bool comes_in;
  };
  constexpr unsigned kReset = nat::TcpHeader::kRst | nat::TcpHeader::kAck;
  const Row rows[] = {
      {"refused, from the same port", kReset, 20, true},
      {"refused, from another port", kReset, 21, true},
      {"not answered, from the same port", 0, 20, true},
      // It may be answered yet, and they would be two.
      {"not answered, from another port", 0, 21, false},
      {"answered, from another port", nat::TcpHeader::kSyn | nat::TcpHeader::kAck, 21, false}};
  for (const bool child : {true, false}) {
    for (const auto& row : rows) {
      DYNAMIC_SECTION(row.what << (child ? ", a child" : "")) {
        auto config = lab_config();
        config.nat.timeouts.tcp_opening_s = 5;
        GatewayScene scene(config);
        const auto external = announces({.flags = child ? PINHOLE_ONCE | PINHOLE_CHILD : PINHOLE_ONCE});
        auto control = scene.connect();
        control.tell(control.caller, "open\r\n");
        const Endpoint server{scene.server.address, Be16{20}};
        REQUIRE(scene.knock(kOutside, server, *external));
        if (row.answer != 0) REQUIRE(scene.answer(row.answer, {scene.client.address, Be16{kPort}}, server));
        if (row.answer == 0 && row.comes_in) scene.lab.pass_s(7);  // nobody knows of it any more
        scene.lab.pass_s(1);
        CHECK_FALSE(scene.knock(kOutside, scene.stranger, *external));
        auto data = scene.connect_back(row.second, *external, kPort);
        CHECK(data.open == row.comes_in);
        CHECK(scene.count(WorkerCounter::expectation_met) == 1);
        CHECK(scene.count(WorkerCounter::expectation_expired) == 0);
        if (!data.open) return;
        data.tell(data.caller, "bytes");
        CHECK(data.called.heard == "bytes");
        // Now there is one.
        CHECK_FALSE(scene.knock(kOutside, {scene.server.address, Be16{22}}, *external));
        data.close();
        CHECK_FALSE(scene.knock(kOutside, {scene.server.address, Be16{22}}, *external));
        CHECK_FALSE(scene.knock(kOutside, data.caller.self, *external));
      }
    }
  }
}

TEST_CASE("SYNs at once from two ports of the peer are not both let in for one connection",
          "[dataplane][gateway][children]") {
  const bool refused_before = GENERATE(false, true);
  GatewayScene scene;
  const auto external = announces({});
  auto control = scene.connect();
  control.tell(control.caller, "open\r\n");
  if (refused_before) {
    const Endpoint server{scene.server.address, Be16{20}};
    REQUIRE(scene.knock(kOutside, server, *external));
    REQUIRE(scene.answer(nat::TcpHeader::kRst | nat::TcpHeader::kAck, {scene.client.address, Be16{kPort}},
                         server));
    scene.lab.pass_s(1);
  }
  FrameSpec spec{.protocol = nat::kIpProtocolTcp, .source = {}, .destination = *external};
  spec.tcp_flags = nat::TcpHeader::kSyn;
  spec.payload.clear();
  for (const auto port : {std::uint16_t{20}, std::uint16_t{21}, std::uint16_t{20}}) {
    spec.source = {scene.server.address, Be16{port}};
    scene.lab.receive(kOutside, spec);
  }
  unsigned let_in = 0;
  for (const auto& sent : scene.lab.run()) {
    if (sent.interface != kInside) continue;
    CHECK(SentSegment::of(sent).source.port == Be16{20});
    ++let_in;
  }
  CHECK(let_in == 2);
}

TEST_CASE("who was refused is let in again only in time, and not when he has said more than a SYN",
          "[dataplane][gateway][children]") {
  const bool in_time = GENERATE(false, true);
  GatewayScene scene;
  const auto external = announces({.seconds = 20});
  auto control = scene.connect();
  control.tell(control.caller, "open\r\n");
  const Endpoint server{scene.server.address, Be16{20}};
  REQUIRE(scene.knock(kOutside, server, *external));
  REQUIRE(
      scene.answer(nat::TcpHeader::kRst | nat::TcpHeader::kAck, {scene.client.address, Be16{kPort}}, server));
  scene.lab.pass_s(in_time ? 15 : 21);
  CHECK(scene.count(WorkerCounter::expectation_live) == (in_time ? 1 : 0));
  CHECK(scene.knock(kOutside, server, *external) == in_time);
  if (!in_time) return;
  // A reset that nobody but Pinhole may have seen: the connection may be there all the same.
  FrameSpec reset{.protocol = nat::kIpProtocolTcp, .source = server, .destination = *external};
  reset.tcp_flags = nat::TcpHeader::kRst;
  reset.tcp_sequence += 1;
  reset.payload.clear();
  REQUIRE(scene.lab.send(kOutside, reset).size() == 1);
  CHECK_FALSE(scene.knock(kOutside, {server.address, Be16{21}}, *external));
  CHECK_FALSE(scene.knock(kOutside, server, *external));
}
