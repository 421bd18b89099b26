// SPDX-License-Identifier: BSD-3-Clause
// A gateway through the whole pipeline: what it is shown, and what becomes of what it says.
#include <catch2/catch.hpp>

#include <cstdint>
#include <cstring>
#include <string>
#include <vector>

#include "tests/dataplane/gateway_lab.hpp"
#include "tests/support/policy_talk.hpp"

using namespace pinhole;
using namespace pinhole::test;
using ipc::GatewayCounter;
using nat::Endpoint;
using nat::Protocol;

namespace {

using Scene = GatewayScene;
constexpr unsigned kInside = PipelineLab::kInside;
constexpr unsigned kOutside = PipelineLab::kOutside;

}  // namespace

TEST_CASE("a gateway is shown the datagrams of its port both ways, and edits them", "[dataplane][gateway]") {
  Scene scene;
  TestGateway::read = [](pinhole_context* context, const pinhole_message& message) {
    CHECK(message.server == PINHOLE_OUTSIDE);
    CHECK(message.unchanged == 0);
    CHECK(message.protocol == PINHOLE_UDP);
    CHECK(message.inside.port == 40000);
    CHECK(message.remote.port == TestGateway::kUdpPort);
    auto* const memory = static_cast<std::uint64_t*>(message.flow);
    ++*memory;
    TestGateway::host->count(context, 1, 3);
    CHECK(TestGateway::replace(context, message, "name", "another name") == PINHOLE_OK);
    return *memory == 3 ? PINHOLE_LEAVE : PINHOLE_FORWARD;
  };
  CHECK(scene.out("my name, please").at(0).text == "my another name, please");
  CHECK(scene.in("your name is").at(0).text == "your another name is");
  CHECK(scene.out("name").at(0).text == "another name");
  CHECK(scene.out("name").at(0).text == "name");  // it has left the flow alone
  CHECK(TestGateway::shown.size() == 3);
  CHECK(scene.own(1) == 9);
  CHECK(scene.count(GatewayCounter::shown) == 3);
  CHECK(scene.count(GatewayCounter::left) == 1);
  CHECK(scene.lab.drops().empty());
}

TEST_CASE("a gateway reads the lines of a connection, and numbers stay right both ways",
          "[dataplane][gateway]") {
  Scene scene;
  TestGateway::read = [](pinhole_context* context, const pinhole_message& message) {
    TestGateway::replace(context, message, "name", message.from == PINHOLE_INSIDE ? "long name" : "n");
    return PINHOLE_FORWARD;
  };
  auto talk = scene.connect();
  REQUIRE(talk.open);
  talk.tell(talk.called, "220 name\r\n");
  talk.tell(talk.caller, "user na");
  talk.tell(talk.caller, "me\r\nname\r\nrest");
  talk.tell(talk.called, "331 name\r\n230 name\r\n");
  talk.tell(talk.caller, " name\r\n");
  talk.close();
  CHECK(talk.caller.heard == "220 n\r\n331 n\r\n230 n\r\n");
  CHECK(talk.called.heard == "user long name\r\nlong name\r\nrest long name\r\n");
  CHECK(talk.caller.saw_fin);
  CHECK(talk.called.saw_fin);
  CHECK(TestGateway::shown == std::vector<std::string>{"220 name\r\n", "user name\r\n", "name\r\n",
                                                       "331 name\r\n", "230 name\r\n", "rest name\r\n"});
  CHECK(scene.lab.drops().empty());
}

TEST_CASE("a worker's gateways end with it", "[dataplane][gateway]") {
  {
    const Scene scene;
    CHECK(TestGateway::states == 1);
  }
  CHECK(TestGateway::states == 0);
}

TEST_CASE("a line that is dropped is taken out of its connection, and the next one goes on",
          "[dataplane][gateway]") {
  Scene scene;
  TestGateway::read = [](pinhole_context*, const pinhole_message& message) {
    return std::string_view{message.bytes, message.length}.starts_with("bad") ? PINHOLE_DROP
                                                                              : PINHOLE_FORWARD;
  };
  auto talk = scene.connect();
  talk.tell(talk.caller, "one\r\nbad\r\ntwo\r\n");
  talk.tell(talk.caller, "bad\r\n");
  talk.tell(talk.called, "answer\r\n");
  talk.tell(talk.caller, "three\r\n");
  CHECK(talk.called.heard == "one\r\ntwo\r\nthree\r\n");
  CHECK(talk.caller.heard == "answer\r\n");
  CHECK(talk.caller.acknowledged == talk.caller.next);
  CHECK(scene.count(GatewayCounter::dropped) == 2);
  CHECK(scene.lab.dropped(nat::DropReason::drop_gateway) == 2);
}

TEST_CASE("a datagram that is dropped goes nowhere", "[dataplane][gateway]") {
  Scene scene;
  TestGateway::read = [](pinhole_context*, const pinhole_message&) { return PINHOLE_DROP; };
  CHECK(scene.out("one").empty());
  CHECK(scene.lab.dropped(nat::DropReason::drop_gateway) == 1);
  CHECK(scene.lab.buffers_in_use() == 0);
}

TEST_CASE("a connection that is left alone passes from there, with its numbers translated",
          "[dataplane][gateway]") {
  for (const bool shifted : {false, true}) {
    DYNAMIC_SECTION((shifted ? "its numbers are shifted" : "its numbers are as they came")) {
      Scene scene;
      TestGateway::read = [=](pinhole_context* context, const pinhole_message& message) {
        if (shifted) TestGateway::replace(context, message, "name", "long name");
        return message.from == PINHOLE_OUTSIDE ? PINHOLE_LEAVE : PINHOLE_FORWARD;
      };
      auto talk = scene.connect();
      talk.tell(talk.caller, "AUTH name\r\nhalf a li");
      talk.tell(talk.called, "234 go on\r\n\x16\x03name");
      talk.tell(talk.caller, "ne name");
      talk.tell(talk.called, "name again\r\n");
      CHECK(talk.called.heard ==
            (shifted ? "AUTH long name\r\nhalf a line name" : "AUTH name\r\nhalf a line name"));
      CHECK(talk.caller.heard == "234 go on\r\n\x16\x03namename again\r\n");
      CHECK(TestGateway::shown.size() == 2);
      CHECK(scene.lab.context(0).streams.size() == (shifted ? 1U : 0U));
      talk.close();
      CHECK(talk.called.saw_fin);
      CHECK(scene.lab.drops().empty());
    }
  }
}

TEST_CASE("a line that is too long is another protocol, and its connection passes", "[dataplane][gateway]") {
  Scene scene;
  TestGateway::read = [](pinhole_context* context, const pinhole_message& message) {
    TestGateway::replace(context, message, "name", "long name");
    return PINHOLE_FORWARD;
  };
  auto talk = scene.connect();
  std::string line(4095, 'x');
  for (std::size_t at = 0; at < line.size(); at += 1000) talk.tell(talk.caller, line.substr(at, 1000));
  talk.tell(talk.caller, "\n");
  CHECK(TestGateway::shown == std::vector{line + "\n"});
  std::string rest(5000, 'y');
  for (std::size_t at = 0; at < rest.size(); at += 1000) talk.tell(talk.caller, rest.substr(at, 1000));
  talk.tell(talk.caller, "name\n");
  CHECK(talk.called.heard == line + "\n" + rest + "name\n");
  CHECK(TestGateway::shown.size() == 1);
}

TEST_CASE("a connection to another port of a host whose own port is claimed is not the gateway's",
          "[dataplane][gateway]") {
  Scene scene;
  scene.client.port = nat::Be16{TestGateway::kTcpPort};
  scene.tcp_server.port = nat::Be16{80};
  auto talk = scene.connect();
  talk.tell(talk.caller, "GET /\r\n");
  CHECK(talk.called.heard == "GET /\r\n");
  CHECK(TestGateway::shown.empty());
  CHECK(scene.count(dataplane::WorkerCounter::gateway_flow_live) == 0);
}

TEST_CASE("a server inside is known by its own port, behind whatever port it is forwarded",
          "[dataplane][gateway]") {
  auto config = lab_config();
  const Endpoint external = endpoint("203.0.113.1", 9999);
  const Endpoint inside = endpoint("10.0.0.77", TestGateway::kTcpPort);
  config.nat.forwards = {{Protocol::tcp, external, inside}};
  Scene scene(config);
  scene.lab.add_neighbor(kInside, inside.address);
  TestGateway::read = [&](pinhole_context* context, const pinhole_message& message) {
    CHECK(message.server == PINHOLE_INSIDE);
    CHECK(TestGateway::endpoint_of(message.external) == external);
    TestGateway::replace(context, message, "inside", "outside");
    return PINHOLE_FORWARD;
  };
  TcpTalk talk(scene.lab, {.interface = kOutside, .self = endpoint("198.51.100.9", 3000), .peer = external},
               {.interface = kInside, .self = inside});
  REQUIRE(talk.open);
  talk.tell(talk.called, "220 inside\r\n");
  talk.tell(talk.caller, "hello\r\n");
  CHECK(talk.caller.heard == "220 outside\r\n");
  CHECK(TestGateway::shown.size() == 2);
}

TEST_CASE(
    "while a gateway is switched off nothing of it is read; connections go on, and new ones are read later",
    "[dataplane][gateway][AC-24]") {
  Scene scene;
  TestGateway::read = [](pinhole_context* context, const pinhole_message& message) {
    TestGateway::replace(context, message, "name", "long name");
    return PINHOLE_FORWARD;
  };
  auto talk = scene.connect();
  talk.tell(talk.caller, "name\r\n");
  CHECK(scene.out("name").at(0).text == "long name");
  PolicyTalk policy(scene.lab);
  const auto turn = [&](bool on) {
    policy.put([&](ipc::PolicyImage& image) {
      auto& each = image.switches[TestGateway::kNumber];
      each = each.after({.scope = ipc::SwitchScope::all, .on = on}).value();
    });
  };
  turn(false);
  talk.tell(talk.caller, "name\r\n");
  talk.tell(talk.called, "name\r\n");
  CHECK(talk.called.heard == "long name\r\nname\r\n");
  CHECK(talk.caller.heard == "name\r\n");
  CHECK(scene.out("name").at(0).text == "name");
  CHECK(scene.count(GatewayCounter::switched_off) > 0);
  const auto shown = TestGateway::shown.size();
  turn(true);
  CHECK(scene.out("name").at(0).text == "long name");
  scene.client.port = nat::Be16{40001};
  auto other = scene.connect();
  other.tell(other.caller, "name\r\n");
  CHECK(other.called.heard == "long name\r\n");
  CHECK(TestGateway::shown.size() == shown + 2);
}

TEST_CASE("a message in fragments is shown whole, and one that outgrows the MTU goes on in fragments",
          "[dataplane][gateway]") {
  Scene scene;
  TestGateway::read = [](pinhole_context* context, const pinhole_message& message) {
    TestGateway::replace(context, message, "name", std::string(1000, 'n'));
    return PINHOLE_FORWARD;
  };
  const auto send = [&](const std::string& text, bool in_pieces) {
    FrameSpec spec{.source = scene.client, .destination = scene.server};
    spec.payload.resize(text.size());
    std::memcpy(spec.payload.data(), text.data(), text.size());
    auto frame = make_frame(spec);
    const auto own = scene.lab.own_mac(kInside);
    std::memcpy(frame.data(), own.bytes.data(), own.bytes.size());
    if (in_pieces) {
      for (const auto& piece : cut(frame, {800})) scene.lab.receive_frame(kInside, piece);
    } else {
      scene.lab.receive_frame(kInside, frame);
    }
    std::string payload;
    auto sent = scene.lab.run();
    for (const auto& each : sent)
      payload.append(reinterpret_cast<const char*>(each.frame.data()) + 34, each.frame.size() - 34);
    CHECK(sent.size() > 1);
    return payload.substr(8);
  };
  const std::string rest(1200, 'x');
  CHECK(send("name " + rest, false) == std::string(1000, 'n') + " " + rest);
  CHECK(send("name " + rest, true) == std::string(1000, 'n') + " " + rest);
  CHECK(send("none " + rest, true) == "none " + rest);
  CHECK(TestGateway::shown.size() == 3);
  CHECK(scene.lab.buffers_in_use() == 0);
  CHECK(scene.lab.drops().empty());
}

TEST_CASE("ports are reserved alone and as an even port and the next one, the same when asked again",
          "[dataplane][gateway]") {
  Scene scene;
  struct Row {
    std::uint8_t protocol;
    std::uint16_t port;
    unsigned count;
    int answer;
  };
  const Row rows[] = {{PINHOLE_UDP, 5000, 1, PINHOLE_OK},      {PINHOLE_TCP, 5000, 1, PINHOLE_OK},
                      {PINHOLE_UDP, 5002, 2, PINHOLE_OK},      {PINHOLE_TCP, 5002, 2, PINHOLE_OK},
                      {PINHOLE_TCP, 5002, 1, PINHOLE_OK},      {PINHOLE_UDP, 5003, 1, PINHOLE_OK},
                      {PINHOLE_UDP, 0, 1, PINHOLE_REFUSED},    {PINHOLE_TCP, 1023, 1, PINHOLE_REFUSED},
                      {PINHOLE_UDP, 65535, 2, PINHOLE_REFUSED}};
  for (const auto& row : rows) {
    CAPTURE(int{row.protocol}, row.port, row.count);
    for (int again = 0; again < 2; ++again) {
      pinhole_endpoint external{};
      int answer = PINHOLE_FAULT;
      TestGateway::read = [&](pinhole_context* context, const pinhole_message&) {
        answer = TestGateway::host->reserve(context, row.protocol, row.port, row.count, &external);
        return PINHOLE_FORWARD;
      };
      CHECK(scene.out("reserve").size() == 1);
      CHECK(answer == row.answer);
      if (answer != PINHOLE_OK) continue;
      const auto protocol = row.protocol == PINHOLE_TCP ? Protocol::tcp : Protocol::udp;
      for (unsigned i = 0; i < row.count; ++i) {
        const Endpoint inside{scene.client.address, nat::Be16{static_cast<std::uint16_t>(row.port + i)}};
        const auto& mapping = scene.lab.mapping(protocol, inside);
        CHECK(mapping.external.port.host() == external.port + i);
        CHECK(mapping.external.address.host() == external.address);
        CHECK_FALSE(scene.knock(kOutside, {scene.server.address, nat::Be16{20}}, mapping.external));
        // A port of TCP may have the number of that by which the client speaks to the server.
        if (mapping.external != scene.lab.mapping(Protocol::udp, scene.client).external)
          CHECK(scene.datagram(kOutside, scene.server, mapping.external).empty());
      }
      CHECK((row.count == 1 || external.port % 2 == 0));
    }
  }
}

TEST_CASE("what a message asked for is taken back when it does not go on", "[dataplane][gateway]") {
  for (const int answer : {PINHOLE_DROP, 77}) {
    Scene scene;
    const auto ask = [&](int what) {
      TestGateway::read = [=](pinhole_context* context, const pinhole_message& message) {
        pinhole_endpoint external{};
        CHECK(TestGateway::host->reserve(context, PINHOLE_UDP, 6000, 2, &external) == PINHOLE_OK);
        const auto wanted =
            TestGateway::expectation(message, PINHOLE_TCP, PINHOLE_OUTSIDE, PINHOLE_ONCE, 7000, 0, 30);
        CHECK(TestGateway::host->expect(context, &wanted) == PINHOLE_OK);
        CHECK(TestGateway::replace(context, message, "name", "other") == PINHOLE_OK);
        return what;
      };
      return scene.out("name");
    };
    const auto live = [&] { return scene.lab.count(nat::Counter::mapping_live); };
    const auto out = ask(answer);
    CHECK(out.size() == (answer == PINHOLE_DROP ? 0 : 1));
    if (!out.empty()) CHECK(out[0].text == "name");
    CHECK(live() == 1);
    CHECK(scene.count(dataplane::WorkerCounter::expectation_made) == 0);
    CHECK(scene.lab.count(nat::Counter::port_in_use) == 1);
    CHECK(ask(PINHOLE_FORWARD).at(0).text == "other");
    CHECK(live() == 4);
    CHECK(scene.count(dataplane::WorkerCounter::expectation_made) == 1);
  }
}

TEST_CASE("what is not between the message's inside host and somebody outside is refused",
          "[dataplane][gateway]") {
  Scene scene;
  struct Row {
    const char* what;
    void (*change)(pinhole_expectation&);
    int answer;
  };
  const Row rows[] = {
      {"as it should be", [](pinhole_expectation&) {}, PINHOLE_OK},
      {"another host inside", [](pinhole_expectation& e) { ++e.inside.address; }, PINHOLE_REFUSED},
      {"a port below 1024", [](pinhole_expectation& e) { e.inside.port = 1023; }, PINHOLE_REFUSED},
      {"no port", [](pinhole_expectation& e) { e.inside.port = 0; }, PINHOLE_REFUSED},
      {"a remote inside", [](pinhole_expectation& e) { e.remote.address = 0x0a000077; }, PINHOLE_REFUSED},
      {"no remote", [](pinhole_expectation& e) { e.remote.address = 0; }, PINHOLE_REFUSED},
      {"a loopback remote", [](pinhole_expectation& e) { e.remote.address = 0x7f000001; }, PINHOLE_REFUSED},
      {"no time", [](pinhole_expectation& e) { e.seconds = 0; }, PINHOLE_FAULT},
      {"too long", [](pinhole_expectation& e) { e.seconds = 3601; }, PINHOLE_FAULT},
      {"ICMP", [](pinhole_expectation& e) { e.protocol = 1; }, PINHOLE_FAULT},
      {"from nowhere", [](pinhole_expectation& e) { e.from = 2; }, PINHOLE_FAULT},
      {"an unknown flag", [](pinhole_expectation& e) { e.flags = 4; }, PINHOLE_FAULT},
      {"too small", [](pinhole_expectation& e) { e.size = 8; }, PINHOLE_FAULT},
  };
  for (const auto& row : rows) {
    INFO(row.what);
    int answer = 1;
    TestGateway::read = [&](pinhole_context* context, const pinhole_message& message) {
      auto wanted =
          TestGateway::expectation(message, PINHOLE_TCP, PINHOLE_OUTSIDE, PINHOLE_ONCE, 7000, 0, 30);
      row.change(wanted);
      answer = TestGateway::host->expect(context, &wanted);
      return PINHOLE_FORWARD;
    };
    CHECK(scene.out("name").size() == 1);
    CHECK(answer == row.answer);
  }
  CHECK(scene.count(dataplane::WorkerCounter::expectation_made) == 1);
}

TEST_CASE("a gateway has its lines written, but not more of them than a few a second",
          "[dataplane][gateway]") {
  Scene scene;
  int said = 0;
  TestGateway::read = [&](pinhole_context* context, const pinhole_message&) {
    const std::string text(200, 'e');
    if (TestGateway::host->event(context, text.data(), text.size()) == PINHOLE_OK) ++said;
    return PINHOLE_FORWARD;
  };
  for (int i = 0; i < 80; ++i) scene.out("say");
  const auto events = Scene::events();
  CHECK(events.size() == static_cast<std::size_t>(said));
  CHECK(said >= 50);
  CHECK(said < 80);
  CHECK(events.at(0).text.view() == std::string(PINHOLE_MAX_EVENT, 'e'));
  CHECK(events.at(0).news == ipc::GatewayNews::said);
  CHECK(events.at(0).remote == scene.server);
  CHECK(scene.count(GatewayCounter::event_lost) == static_cast<std::uint64_t>(80 - said));
}

TEST_CASE("a gateway cuts its messages itself, byte by byte or many at once", "[dataplane][gateway]") {
  // A digit says how many bytes follow it, a dot is to be skipped, anything else is not the gateway's.
  const auto cut = [](pinhole_framing& framing, std::string_view fresh) -> pinhole_frame {
    CHECK(framing.scanned == framing.value);
    framing.value += static_cast<std::uint32_t>(fresh.size());
    if (framing.phase == 0 && fresh[0] == '.') return {PINHOLE_FRAME_SKIP, 1};
    if (framing.phase == 0 && (fresh[0] < '1' || fresh[0] > '9')) return {PINHOLE_FRAME_NOT_MINE, 0};
    if (framing.phase == 0) framing.phase = static_cast<std::uint8_t>(fresh[0] - '0');
    framing.begun = 1;
    const auto size = std::uint32_t{framing.phase} + 1;
    return framing.value >= size ? pinhole_frame{PINHOLE_FRAME_MESSAGE, size} : pinhole_frame{};
  };
  for (const std::size_t step : {1U, 2U, 5U, 100U}) {
    DYNAMIC_SECTION(step << " at once") {
      Scene scene(lab_config(), {}, cut);
      TestGateway::read = [](pinhole_context* context, const pinhole_message& message) {
        TestGateway::replace(context, message, "b", "BB");
        return PINHOLE_FORWARD;
      };
      auto talk = scene.connect();
      const std::string said = "3abc.5bcdef..1b9abcabcabc";
      for (std::size_t at = 0; at < said.size(); at += step) talk.tell(talk.caller, said.substr(at, step));
      CHECK(talk.called.heard == "3aBBc.5BBcdef..1BB9aBBcabcabc");
      CHECK(TestGateway::shown == std::vector<std::string>{"3abc", "5bcdef", "1b", "9abcabcabc"});
      talk.tell(talk.called, "1b");
      talk.tell(talk.called, "TLS 1b");
      talk.tell(talk.caller, "1b");
      CHECK(talk.caller.heard == "1BBTLS 1b");
      CHECK(talk.called.heard == "3aBBc.5BBcdef..1BB9aBBcabcabc1b");
      CHECK(ipc::faults(scene.stats()) == 0);
    }
  }
}

TEST_CASE("a line that does not end in time passes unread, or ends its connection where nobody is to see it",
          "[dataplane][gateway]") {
  const bool strict = GENERATE(false, true);
  Scene scene(lab_config(), [&](dataplane::GatewaySpec& spec) { spec.strict = strict; });
  auto talk = scene.connect();
  REQUIRE(talk.open);
  talk.tell(talk.caller, "first\r\n");
  talk.tell(talk.caller, "sec");
  scene.lab.pass_s(30);
  CHECK(talk.called.heard == "first\r\n");
  scene.lab.pass_s(5);
  talk.acknowledge(talk.called);
  talk.tell(talk.caller, "ond\r\nthird\r\n");
  CHECK(talk.called.heard == (strict ? "first\r\n" : "first\r\nsecond\r\nthird\r\n"));
  CHECK(TestGateway::shown == std::vector<std::string>{"first\r\n"});
}

TEST_CASE("a line that its connection ends in goes on, or is left out where nobody is to see it",
          "[dataplane][gateway]") {
  const bool strict = GENERATE(false, true);
  Scene scene(lab_config(), [&](dataplane::GatewaySpec& spec) { spec.strict = strict; });
  auto talk = scene.connect();
  REQUIRE(talk.open);
  talk.tell(talk.caller, "first\r\nsecond");
  talk.close();
  CHECK(talk.called.heard == (strict ? "first\r\n" : "first\r\nsecond"));
  CHECK(talk.called.saw_fin);
  CHECK(talk.caller.saw_fin);
}

TEST_CASE("a connection whose SYN comes in pieces does not begin, for nobody would read it",
          "[dataplane][gateway]") {
  Scene scene;
  FrameSpec spec{.protocol = nat::kIpProtocolTcp, .source = scene.client, .destination = scene.tcp_server};
  spec.tcp_flags = nat::TcpHeader::kSyn;
  spec.payload.assign(20, std::byte{'x'});
  spec.fragment = nat::Ipv4Header::kMoreFragments;
  CHECK(scene.lab.send(Scene::kInside, spec).empty());
  CHECK(scene.lab.dropped(nat::DropReason::drop_fragment) == 1);
}

TEST_CASE("a message that never ends is let pass when it is too large for one", "[dataplane][gateway]") {
  Scene scene(lab_config(), {}, [](pinhole_framing&, std::string_view) -> pinhole_frame { return {}; });
  auto talk = scene.connect();
  std::string said;
  const auto tell = [&](const std::string& text) {
    talk.tell(talk.caller, text);
    said += text;
  };
  for (int i = 0; i < 66; ++i) tell(std::string(1000, static_cast<char>('a' + i % 26)));
  // What was held goes out as its receiver acknowledges it.
  for (int i = 0; i < 100 && talk.called.heard.size() < said.size(); ++i) talk.acknowledge(talk.called);
  CHECK((talk.called.heard == said));
  tell("and more");
  CHECK((talk.called.heard == said));
  CHECK(TestGateway::shown.empty());
}
