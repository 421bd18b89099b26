// SPDX-License-Identifier: BSD-3-Clause
// Flows that a gateway announces: which flow keeps which alive, and what ends with which.
#include <catch2/catch.hpp>

#include <string>

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

config::Config short_config(std::uint32_t tcp_s = 60) {
  auto config = lab_config();
  config.nat.timeouts.tcp_established_s = tcp_s;
  config.nat.timeouts.tcp_opening_s = tcp_s;
  config.nat.timeouts.tcp_closing_s = tcp_s;
  return config;
}

/// Whether the server's next line arrives.
bool hears(TcpTalk& talk, const std::string& line) {
  const auto before = talk.caller.heard.size();
  talk.say(talk.called, line);
  talk.run();
  return talk.caller.heard.substr(before) == line;
}

}  // namespace

TEST_CASE("what a flow has announced ends with it, but for a connection that runs",
          "[dataplane][gateway][children]") {
  for (const bool reset : {false, true}) {
    for (const bool child : {false, true}) {
      DYNAMIC_SECTION((reset ? "reset" : "closed") << (child ? ", children" : ", others")) {
        GatewayScene scene;
        const unsigned flags = child ? PINHOLE_ONCE | PINHOLE_CHILD : PINHOLE_ONCE;
        auto external = announces({.flags = flags});
        auto control = scene.connect();
        control.tell(control.caller, "open\r\n");
        auto data = scene.connect_back(20, *external, kPort);
        REQUIRE(data.open);
        external = announces({.flags = flags, .port = kPort + 1});
        control.tell(control.caller, "open\r\n");
        if (reset) {
          control.say(control.caller, "", nat::TcpHeader::kRst | nat::TcpHeader::kAck);
          control.run();
        } else {
          control.close();
        }
        // A reset may be forged: it is believed when the connection has been silent for its time since.
        scene.lab.pass_s(1);
        CHECK(scene.count(WorkerCounter::gateway_flow_live) == (reset ? 1 : 0));
        if (reset) scene.lab.pass_s(lab_config().nat.timeouts.tcp_closing_s + 5);
        CHECK(scene.count(WorkerCounter::gateway_flow_live) == 0);
        if (reset) {
          CHECK(scene.count(WorkerCounter::expectation_live) == 0);
        } else {
          CHECK(scene.count(WorkerCounter::expectation_ended) == (child ? 1 : 0));
          CHECK(scene.knock(kOutside, {scene.server.address, Be16{20}}, *external) != child);
        }
        data.tell(data.caller, "still here");
        CHECK(data.called.heard == "still here");
      }
    }
  }
}

TEST_CASE("a connection that is silent for longer than its time-out goes on while a child of it is used",
          "[dataplane][gateway][children]") {
  for (const unsigned from : {unsigned{PINHOLE_OUTSIDE}, unsigned{PINHOLE_INSIDE}}) {
    for (const bool child : {true, false}) {
      DYNAMIC_SECTION("from " << from << (child ? ", a child" : ", no child")) {
        GatewayScene scene(short_config());
        const unsigned flags = child ? PINHOLE_ONCE | PINHOLE_CHILD : PINHOLE_ONCE;
        const auto external = announces(
            {.from = from,
             .flags = flags,
             .port = from == PINHOLE_INSIDE ? std::uint16_t{0} : kPort,
             .remote_port = std::uint16_t{from == PINHOLE_INSIDE ? std::uint16_t{6000} : std::uint16_t{0}}});
        auto control = scene.connect();
        control.tell(control.caller, "open\r\n");
        auto data = from == PINHOLE_OUTSIDE
                        ? scene.connect_back(20, *external, kPort)
                        : TcpTalk(scene.lab,
                                  {.interface = kInside,
                                   .self = {scene.client.address, Be16{41000}},
                                   .peer = {scene.server.address, Be16{6000}}},
                                  {.interface = kOutside, .self = {scene.server.address, Be16{6000}}});
        REQUIRE(data.open);
        CHECK(scene.count(WorkerCounter::expectation_met) == 1);
        for (int i = 0; i < 10; ++i) {
          data.tell(data.caller, "block");
          scene.lab.pass_s(20);
        }
        CHECK(hears(control, "226 done\r\n") == child);
        if (!child) return;
        // When the child is silent, too, nothing keeps its parent.
        data.close();
        scene.lab.pass_s(1);
        CHECK(scene.count(WorkerCounter::expectation_live) == 0);
        for (int i = 0; i < 10; ++i) scene.lab.pass_s(20);
        CHECK_FALSE(hears(control, "421 bye\r\n"));
        CHECK(scene.count(WorkerCounter::gateway_flow_live) == 0);
      }
    }
  }
}

TEST_CASE("a flow that is to be kept is, though nothing is said", "[dataplane][gateway][children]") {
  for (const std::uint32_t seconds : {0U, 200U}) {
    DYNAMIC_SECTION(seconds << " s") {
      GatewayScene scene(short_config());
      TestGateway::read = [=](pinhole_context* context, const pinhole_message&) {
        CHECK(TestGateway::host->keep(context, seconds) == PINHOLE_OK);
        return PINHOLE_FORWARD;
      };
      auto control = scene.connect();
      control.tell(control.caller, "hello\r\n");
      for (int i = 0; i < 9; ++i) scene.lab.pass_s(20);
      CHECK(hears(control, "still here\r\n") == (seconds > 0));
      for (int i = 0; i < 12; ++i) scene.lab.pass_s(20);
      CHECK_FALSE(hears(control, "too late\r\n"));
    }
  }
}

TEST_CASE("a flow of datagrams lives as long as its child, and its end closes the child's port",
          "[dataplane][gateway][children]") {
  auto config = lab_config();
  config.nat.timeouts.udp_s = 120;
  GatewayScene scene(config);
  const auto external = announces({.protocol = PINHOLE_UDP, .flags = PINHOLE_CHILD});
  scene.out("open");
  const Endpoint peer{scene.server.address, Be16{7001}};
  for (int i = 0; i < 12; ++i) {
    CHECK(scene.datagram(kOutside, peer, *external).size() == 1);  // media, one way
    scene.lab.pass_s(30);
  }
  CHECK(scene.in("notify").size() == 1);
  CHECK(scene.count(WorkerCounter::gateway_flow_live) == 1);
  auto& context = scene.lab.context(0);
  const auto parent = context.translator.find_outbound(Protocol::udp, scene.client);
  REQUIRE(parent != nat::kNoMapping);
  CHECK(context.translator.close(parent, context.translator[parent].generation.load()));
  scene.lab.pass_s(1);
  CHECK(scene.count(WorkerCounter::gateway_flow_live) == 0);
  CHECK(scene.count(WorkerCounter::expectation_live) == 0);
  CHECK(scene.datagram(kOutside, peer, *external).empty());
}

TEST_CASE("while a child is used both ends of a silent connection are asked, and their answers do not go on",
          "[dataplane][gateway][children]") {
  for (const std::uint32_t pause : {0U, 15U}) {
    for (const bool edits : {false, true}) {
      DYNAMIC_SECTION(pause << " s" << (edits ? ", numbers are shifted" : "")) {
        GatewayScene scene(lab_config(), [=](auto& spec) { spec.keep_alive_s = pause; });
        const auto external = announces({});
        auto control = scene.connect();
        control.tell(control.caller, "open\r\n");
        auto data = scene.connect_back(20, *external, kPort);
        REQUIRE(data.open);
        TestGateway::read = [=](pinhole_context* context, const pinhole_message& message) {
          if (edits) TestGateway::replace(context, message, "name", "long name");
          return PINHOLE_FORWARD;
        };
        control.tell(control.caller, "name\r\n");
        control.tell(control.called, "name\r\n");
        data.tell(data.caller, "block");
        scene.lab.pass_s(10);
        CHECK(scene.lab.run().empty());
        data.tell(data.caller, "block");
        scene.lab.pass_s(10);
        unsigned asked = 0;
        for (const auto& sent : scene.lab.run()) {
          const auto segment = SentSegment::of(sent);
          const bool to_caller = segment.interface == kInside;
          const TcpEnd& end = to_caller ? control.caller : control.called;
          CHECK(segment.destination == end.self);
          CHECK(segment.source == end.peer);
          CHECK(segment.sequence == end.expects - 1);
          CHECK(segment.acknowledgement == end.next);
          CHECK(segment.flags == nat::TcpHeader::kAck);
          CHECK(segment.text.empty());
          ++asked;
        }
        CHECK(asked == (pause > 0 ? 2 : 0));
        CHECK(scene.count(WorkerCounter::stream_keep_alive) == asked);
        for (TcpEnd* const end : {&control.caller, &control.called}) {
          control.say(*end, "");  // the answer
          CHECK(scene.lab.run().size() == (pause > 0 ? 0 : 1));
        }
        control.acknowledge(control.caller);
        control.tell(control.caller, "name\r\n");
        control.tell(control.called, "226 name\r\n");
        const std::string name = edits ? "long name" : "name";
        CHECK(control.caller.heard == name + "\r\n226 " + name + "\r\n");
        CHECK(control.called.heard == "open\r\n" + name + "\r\n" + name + "\r\n");
        CHECK(scene.lab.drops().empty());
      }
    }
  }
}

TEST_CASE("a child that nobody has answered has nobody asked, and does not keep its parent",
          "[dataplane][gateway][children]") {
  const unsigned from = GENERATE(unsigned{PINHOLE_OUTSIDE}, unsigned{PINHOLE_INSIDE});
  const bool answered = GENERATE(false, true);
  CAPTURE(from, answered);
  auto config = lab_config();
  config.nat.timeouts.udp_s = 3600;
  config.nat.timeouts.tcp_opening_s = 3600;
  GatewayScene scene(config, [](auto& spec) { spec.keep_alive_s = 15; });
  const bool inside = from == PINHOLE_INSIDE;
  const auto external =
      announces({.from = from,
                 .port = inside ? std::uint16_t{0} : kPort,
                 .remote_port = std::uint16_t{inside ? std::uint16_t{6000} : std::uint16_t{0}},
                 .seconds = 3600});
  const Endpoint server{scene.server.address, Be16{inside ? std::uint16_t{6000} : std::uint16_t{20}}};
  const Endpoint client{scene.client.address, Be16{inside ? std::uint16_t{41000} : kPort}};
  const auto knock = [&] {
    return inside ? scene.knock(kInside, client, server) : scene.knock(kOutside, server, *external);
  };
  const auto connect = [&] {
    if (!inside) return scene.connect_back(20, *external, kPort);
    return TcpTalk(scene.lab, {.interface = kInside, .self = client, .peer = server},
                   {.interface = kOutside, .self = server});
  };
  SECTION("a connection is not asked") {
    auto control = scene.connect();
    control.tell(control.caller, "open\r\n");
    for (int i = 0; i < 6; ++i) {
      if (!answered) CHECK(knock());
      if (answered && i == 0) CHECK(connect().open);
      scene.lab.pass_s(20);
    }
    CHECK((scene.count(WorkerCounter::stream_keep_alive) > 0) == answered);
  }
  SECTION("a flow of datagrams ends") {
    scene.out("open");
    for (int i = 0; i < 20; ++i) {
      if (!answered) CHECK(knock());
      if (answered && i == 0) CHECK(connect().open);
      scene.lab.pass_s(20);
      if (i == 10) CHECK(scene.count(WorkerCounter::gateway_flow_live) == 1);
    }
    CHECK(scene.count(WorkerCounter::gateway_flow_live) == (answered ? 1 : 0));
  }
}

TEST_CASE("after a reset of its parent what was announced ends when the parent has been silent for its time",
          "[dataplane][gateway][children]") {
  const bool child = GENERATE(false, true);
  auto config = lab_config();
  config.nat.timeouts.tcp_closing_s = 20;
  GatewayScene scene(config);
  const auto external =
      announces({.flags = child ? PINHOLE_ONCE | PINHOLE_CHILD : PINHOLE_ONCE, .seconds = 300});
  auto control = scene.connect();
  control.tell(control.caller, "open\r\n");
  control.say(control.caller, "", nat::TcpHeader::kRst | nat::TcpHeader::kAck);
  control.run();
  scene.lab.pass_s(15);
  CHECK(scene.count(WorkerCounter::expectation_ended) == 0);
  CHECK(scene.count(WorkerCounter::expectation_live) == 1);
  scene.lab.pass_s(7);
  CHECK(scene.count(WorkerCounter::gateway_flow_live) == 0);
  CHECK(scene.count(WorkerCounter::expectation_ended) == (child ? 1 : 0));
  CHECK(scene.count(WorkerCounter::expectation_live) == (child ? 0 : 1));
  CHECK(scene.knock(kOutside, {scene.server.address, Be16{20}}, *external) != child);
}

TEST_CASE("a line of a connection whose flow has ended goes nowhere", "[dataplane][gateway][children]") {
  GatewayScene scene;
  TcpTalk control(scene.lab, {.interface = kInside, .self = scene.client, .peer = scene.tcp_server},
                  {.interface = kOutside, .self = scene.tcp_server}, TcpTalk::Opening::without_last);
  REQUIRE(control.open);
  // A reset that its server does not take ends the flow before the connection has begun.
  control.say(control.caller, "", nat::TcpHeader::kRst | nat::TcpHeader::kAck);
  control.run();
  scene.lab.pass_s(1);
  REQUIRE(scene.count(WorkerCounter::gateway_flow_live) == 0);
  control.tell(control.caller, "open\r\n");
  control.tell(control.called, "220 here\r\n");
  CHECK(control.called.heard.empty());
  CHECK(control.caller.heard.empty());
  CHECK(TestGateway::shown.empty());
  CHECK(scene.lab.dropped(nat::DropReason::drop_gateway) == 2);
}
