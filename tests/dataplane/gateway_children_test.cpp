// SPDX-License-Identifier: BSD-3-Clause
// Flows that a gateway announces: who is let in and for how long, and which flow keeps which alive.
#include <catch2/catch.hpp>

#include <memory>
#include <string>
#include <vector>

#include "tests/dataplane/gateway_lab.hpp"

using namespace pinhole;
using namespace pinhole::test;
using dataplane::WorkerCounter;
using nat::Be16;
using nat::Endpoint;
using nat::Protocol;

namespace {

constexpr unsigned kInside = PipelineLab::kInside;
constexpr unsigned kOutside = PipelineLab::kOutside;
constexpr std::uint16_t kPort = 5000;

/// What the gateway announces with a line or datagram that says "open".
struct Wanted {
  unsigned protocol = PINHOLE_TCP;
  unsigned from = PINHOLE_OUTSIDE;
  unsigned flags = PINHOLE_ONCE | PINHOLE_CHILD;
  std::uint16_t port = kPort;
  std::uint16_t remote_port = 0;
  std::uint32_t seconds = 30;
};

/// Has the gateway announce what is wanted. \return where the external endpoint is put
std::shared_ptr<Endpoint> announces(const Wanted& wanted) {
  auto external = std::make_shared<Endpoint>();
  TestGateway::read = [=](pinhole_context* context, const pinhole_message& message) {
    if (std::string_view{message.bytes, message.length}.find("open") == std::string_view::npos)
      return PINHOLE_FORWARD;
    if (wanted.from == PINHOLE_OUTSIDE) {
      pinhole_endpoint plain{};
      CHECK(TestGateway::host->reserve(context, static_cast<std::uint8_t>(wanted.protocol), wanted.port, 1,
                                       &plain) == PINHOLE_OK);
      *external = TestGateway::endpoint_of(plain);
    }
    const auto expectation = TestGateway::expectation(message, wanted.protocol, wanted.from, wanted.flags,
                                                      wanted.port, wanted.remote_port, wanted.seconds);
    CHECK(TestGateway::host->expect(context, &expectation) == PINHOLE_OK);
    return PINHOLE_FORWARD;
  };
  return external;
}

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

TEST_CASE("a flow may announce so many others and no more", "[dataplane][gateway][children]") {
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

TEST_CASE("ports are reserved by ones and twos where hosts have blocks of ports",
          "[dataplane][gateway][ports]") {
  for (const auto mode : {nat::PortMode::blocks, nat::PortMode::deterministic}) {
    DYNAMIC_SECTION("mode " << static_cast<int>(mode)) {
      auto config = lab_config();
      config.nat.pool = {nat::Prefix{address("203.0.113.64"), 30}};
      config.nat.ports.mode = mode;
      config.nat.ports.block_size = 512;
      if (mode == nat::PortMode::deterministic) config.nat.ports.subscribers = {{address("10.0.0.0"), 24}};
      GatewayScene scene(config);
      std::uint16_t port = 10000;
      TestGateway::read = [&](pinhole_context* context, const pinhole_message&) {
        for (const unsigned protocol : {unsigned{PINHOLE_TCP}, unsigned{PINHOLE_UDP}}) {
          for (const unsigned count : {1U, 2U}) {
            pinhole_endpoint external{};
            CHECK(TestGateway::host->reserve(context, static_cast<std::uint8_t>(protocol), port, count,
                                             &external) == PINHOLE_OK);
            CHECK((external.port % 2 == 0 || count == 1));
            port = static_cast<std::uint16_t>(port + 2);
          }
        }
        return PINHOLE_FORWARD;
      };
      scene.out("reserve");
      const auto in_use = scene.lab.count(nat::Counter::port_in_use);
      CHECK(in_use == 7);
      scene.lab.pass_s(400);
      CHECK(scene.lab.count(nat::Counter::port_in_use) == 0);
      CHECK(scene.lab.count(nat::Counter::mapping_live) == 0);
    }
  }
}
