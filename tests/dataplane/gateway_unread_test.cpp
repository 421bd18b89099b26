// SPDX-License-Identifier: BSD-3-Clause
// Connections that a strict gateway has to read and does not: none of them goes on, but those that were left,
// or began while it was switched off.
#include <catch2/catch.hpp>

#include <cstring>
#include <string>
#include <vector>

#include "tests/dataplane/gateway_lab.hpp"
#include "tests/support/policy_talk.hpp"

using namespace pinhole;
using namespace pinhole::test;
using dataplane::WorkerCounter;
using nat::DropReason;
using nat::Endpoint;
using nat::TcpHeader;

namespace {

constexpr unsigned kInside = PipelineLab::kInside;
constexpr unsigned kOutside = PipelineLab::kOutside;
constexpr unsigned kAck = TcpHeader::kAck;
const Endpoint kSeenAs = endpoint("203.0.113.1", 9999);  // the server inside
const Endpoint kServer = endpoint("10.0.0.77", TestGateway::kTcpPort);

config::Config config_with_server(std::uint32_t places) {
  auto config = lab_config();
  config.sip.streams_per_worker = places;
  config.nat.forwards = {{nat::Protocol::tcp, kSeenAs, kServer}};
  return config;
}

struct Scene : GatewayScene {
  explicit Scene(bool is_inbound, bool strict = true, std::uint32_t places = 64)
      : GatewayScene(config_with_server(places), [=](dataplane::GatewaySpec& spec) { spec.strict = strict; }),
        inbound(is_inbound) {
    lab.add_neighbor(kInside, kServer.address);
  }

  /// A client inside and a server outside, or the other way round.
  [[nodiscard]] TcpTalk talk() {
    if (!inbound) return connect();
    return {lab,
            {.interface = kOutside, .self = stranger, .peer = kSeenAs},
            {.interface = kInside, .self = kServer}};
  }
  /// A segment of one end as it is told. \return whether it came out on the other side
  bool pass_from(const TcpEnd& end, unsigned flags, std::uint32_t sequence, std::uint32_t acknowledgement,
                 const std::string& text = "") {
    FrameSpec spec{.protocol = nat::kIpProtocolTcp, .source = end.self, .destination = end.peer};
    spec.tcp_flags = static_cast<std::uint8_t>(flags);
    spec.tcp_sequence = sequence;
    spec.tcp_acknowledgement = acknowledgement;
    spec.payload.resize(text.size());
    if (!text.empty()) std::memcpy(spec.payload.data(), text.data(), text.size());
    bool passed = false;
    for (const auto& sent : lab.send(end.interface, spec)) {
      if (sent.interface == end.interface) continue;
      const auto segment = SentSegment::of(sent);
      passed |= segment.text == text && (segment.flags & TcpHeader::kRst) == (flags & TcpHeader::kRst);
    }
    return passed;
  }
  void turn(bool on) {
    policy.put([&](ipc::PolicyImage& image) {
      auto& each = image.switches[TestGateway::kNumber];
      each = each.after({.scope = ipc::SwitchScope::all, .on = on}).value();
    });
  }
  [[nodiscard]] std::uint64_t refused() const { return lab.dropped(DropReason::drop_stream_unread); }

  const bool inbound;
  PolicyTalk policy{lab};
};

/// What somebody says is heard by nobody but answered with a reset.
void check_refused(Scene& scene, TcpTalk& talk, TcpEnd& end) {
  const auto& other = &end == &talk.caller ? talk.called : talk.caller;
  const auto before = scene.refused();
  const auto heard = other.heard;
  TestGateway::shown.clear();
  end.saw_reset = false;
  talk.say(end, "DELE x\r\n");
  talk.run();
  CHECK(end.saw_reset);
  CHECK(other.heard == heard);
  CHECK(scene.refused() == before + 1);
  CHECK(TestGateway::shown.empty());
}

void check_passes_unread(Scene& scene, TcpTalk& talk) {
  const auto heard = talk.called.heard;
  TestGateway::shown.clear();
  talk.tell(talk.caller, "unread\r\n");
  CHECK(talk.called.heard == heard + "unread\r\n");
  CHECK(TestGateway::shown.empty());
  CHECK(scene.refused() == 0);
}

}  // namespace

TEST_CASE("what was reset, and goes on all the same when nobody remembers it, is refused",
          "[dataplane][gateway][unread]") {
  const bool inbound = GENERATE(false, true);
  const bool acknowledged = GENERATE(false, true);
  const bool by_server = GENERATE(false, true);
  Scene scene(inbound);
  auto talk = [&] {
    if (acknowledged) return scene.talk();
    return TcpTalk(scene.lab,
                   {.interface = inbound ? kOutside : kInside,
                    .self = inbound ? scene.stranger : scene.client,
                    .peer = inbound ? kSeenAs : scene.tcp_server},
                   {.interface = inbound ? kInside : kOutside, .self = inbound ? kServer : scene.tcp_server},
                   TcpTalk::Opening::without_last);
  }();
  REQUIRE(talk.open);
  // A second one keeps the mapping.
  const Endpoint web = endpoint("198.51.100.9", 80);
  const TcpTalk other(scene.lab, {.interface = kInside, .self = scene.client, .peer = web},
                      {.interface = kOutside, .self = web});
  talk.say(talk.caller, "", TcpHeader::kRst | kAck);
  talk.run();
  REQUIRE(talk.called.saw_reset);
  scene.lab.pass_s(acknowledged ? lab_config().nat.timeouts.tcp_closing_s + 10 : 15);
  REQUIRE(scene.count(WorkerCounter::stream_live) == 0);
  check_refused(scene, talk, by_server ? talk.called : talk.caller);
  check_refused(scene, talk, by_server ? talk.caller : talk.called);
}

TEST_CASE("a connection that is older than its session begins anew, whoever of its ends speaks",
          "[dataplane][gateway][unread]") {
  const bool inbound = GENERATE(false, true);
  const bool strict = GENERATE(false, true);
  Scene scene(inbound, strict);
  // A mapping of the client, whom nothing reaches otherwise.
  if (!inbound) REQUIRE(scene.knock(kInside, scene.client, endpoint("198.51.100.9", 80)));
  TcpTalk talk(scene.lab,
               {.interface = inbound ? kOutside : kInside,
                .self = inbound ? scene.stranger : scene.client,
                .peer = inbound ? kSeenAs : scene.tcp_server},
               {.interface = inbound ? kInside : kOutside, .self = inbound ? kServer : scene.tcp_server},
               TcpTalk::Opening::unseen);
  talk.called.peer = inbound ? scene.stranger : scene.lab.mapping(nat::Protocol::tcp, scene.client).external;
  auto& first = inbound ? talk.called : talk.caller;
  auto& second = inbound ? talk.caller : talk.called;
  if (strict) {
    check_refused(scene, talk, first);
    check_refused(scene, talk, first);  // said again
    return;
  }
  talk.tell(first, "in the middle\r\n");
  CHECK(second.heard == "in the middle\r\n");
  check_passes_unread(scene, talk);
}

TEST_CASE("what a gateway left goes on, and is not read again for the SYN of somebody else",
          "[dataplane][gateway][unread]") {
  const bool inbound = GENERATE(false, true);
  Scene scene(inbound);
  auto talk = scene.talk();
  REQUIRE(talk.open);
  TestGateway::read = [](pinhole_context*, const pinhole_message&) { return PINHOLE_LEAVE; };
  talk.tell(talk.caller, "AUTH TLS\r\n");
  REQUIRE(TestGateway::shown.size() == 1);
  check_passes_unread(scene, talk);
  scene.lab.pass_s(60);
  check_passes_unread(scene, talk);
  scene.knock(talk.caller.interface, talk.caller.self, talk.caller.peer);
  check_passes_unread(scene, talk);
  // The next connection of the same ends is read.
  talk.close();
  auto next = scene.talk();
  REQUIRE(next.open);
  TestGateway::read = nullptr;
  TestGateway::shown.clear();
  next.tell(next.caller, "read\r\n");
  CHECK(TestGateway::shown == std::vector<std::string>{"read\r\n"});
}

TEST_CASE("what began while a gateway was switched off goes on unread when it is on",
          "[dataplane][gateway][unread][AC-24]") {
  const bool inbound = GENERATE(false, true);
  Scene scene(inbound);
  scene.turn(false);
  auto talk = scene.talk();
  REQUIRE(talk.open);
  check_passes_unread(scene, talk);
  scene.turn(true);
  check_passes_unread(scene, talk);
  talk.close();
  scene.lab.pass_s(1);
  auto next = scene.talk();
  REQUIRE(next.open);
  TestGateway::shown.clear();
  next.tell(next.caller, "read\r\n");
  CHECK(TestGateway::shown == std::vector<std::string>{"read\r\n"});
}

TEST_CASE("a SYN into a connection that is read does not make what was before it pass",
          "[dataplane][gateway][unread]") {
  enum class Before { nothing, fin_behind_a_gap, byte_and_its_reset };
  const bool inbound = GENERATE(false, true);
  const auto before = GENERATE(Before::nothing, Before::fin_behind_a_gap, Before::byte_and_its_reset);
  Scene scene(inbound);
  auto talk = scene.talk();
  REQUIRE(talk.open);
  talk.tell(talk.called, "220 hello\r\n");
  talk.tell(talk.caller, "NOOP\r\n");
  TestGateway::shown.clear();
  auto& caller = talk.caller;
  const auto next = caller.next;
  if (before == Before::fin_behind_a_gap)
    scene.pass_from(caller, TcpHeader::kFin | kAck, next + 1, caller.expects);
  if (before == Before::byte_and_its_reset) {
    scene.pass_from(caller, kAck, next, caller.expects, "D");
    scene.pass_from(caller, TcpHeader::kRst, next, 0);
  }
  scene.pass_from(caller, TcpHeader::kSyn, 0x12345678, 0);
  for (const char* const text : {"DELE x\r\n", "DELE y\r\n"}) {
    const bool read = scene.pass_from(caller, kAck, next, caller.expects, text);
    CHECK(read == !TestGateway::shown.empty());
    TestGateway::shown.clear();
  }
}

TEST_CASE(
    "the next connection of ends of which one has forgotten the last, that was left, does not pass unread",
    "[dataplane][gateway][unread]") {
  const bool inbound = GENERATE(false, true);
  const bool server_ended = GENERATE(false, true);
  Scene scene(inbound);
  auto talk = scene.talk();
  REQUIRE(talk.open);
  TestGateway::read = [](pinhole_context*, const pinhole_message&) { return PINHOLE_LEAVE; };
  talk.tell(talk.caller, "AUTH TLS\r\n");
  TestGateway::read = nullptr;
  TestGateway::shown.clear();
  if (server_ended) {
    talk.say(talk.called, "", TcpHeader::kFin | kAck);
    talk.run();
    talk.acknowledge(talk.caller);
  }
  scene.lab.pass_s(70);
  REQUIRE(scene.pass_from(talk.caller, TcpHeader::kSyn, 0x1000, 0));
  const bool begins = scene.lab.context(0).streams.size() > 0;
  // Its server is told at once that there is none.
  if (!begins) CHECK_FALSE(scene.pass_from(talk.called, TcpHeader::kSyn | kAck, 0x9000, 0x1001));
  CHECK(scene.refused() == (begins ? 0 : 1));
}

TEST_CASE("a connection whose session is over does not begin another without being read",
          "[dataplane][gateway][unread]") {
  const bool inbound = GENERATE(false, true);
  Scene scene(inbound, true, 8192);  // so many that each is looked at seldom
  auto talk = scene.talk();
  REQUIRE(talk.open);
  talk.tell(talk.called, "220 hello\r\n");
  const Endpoint web = endpoint("198.51.100.9", 80);
  const TcpTalk other(scene.lab, {.interface = kInside, .self = scene.client, .peer = web},
                      {.interface = kOutside, .self = web});
  scene.pass_from(talk.caller, TcpHeader::kRst | kAck, talk.caller.next, talk.caller.expects);
  auto& worker = scene.lab.context(0);
  const auto until = worker.clock.tick() + nat::ticks_from_s(lab_config().nat.timeouts.tcp_closing_s + 1);
  while (!nat::reached(until, worker.clock.tick())) scene.lab.pass_s(60);
  if (inbound) {
    scene.pass_from(talk.called, kAck, talk.called.next, talk.called.expects);
    scene.pass_from(talk.caller, TcpHeader::kRst | kAck, talk.caller.next, talk.caller.expects);
  } else {
    scene.pass_from(talk.caller, TcpHeader::kFin | kAck, talk.caller.next + 1, talk.caller.expects);
  }
  for (int i = 0; i < 30; ++i) scene.lab.pass_s(1);
  TestGateway::shown.clear();
  CHECK_FALSE(scene.pass_from(talk.caller, kAck, talk.caller.next, talk.caller.expects, "DELE x\r\n"));
  CHECK(TestGateway::shown.empty());
}

TEST_CASE("who is refused is told by a reset, within the limit of what a worker says of its own",
          "[dataplane][gateway][unread]") {
  Scene scene(false);
  FrameSpec spec{.protocol = nat::kIpProtocolTcp, .source = scene.client, .destination = scene.tcp_server};
  spec.tcp_sequence = 1000;
  spec.tcp_acknowledgement = 77;
  spec.tcp_flags = kAck;
  const auto sent = scene.lab.send(kInside, spec);
  REQUIRE(sent.size() == 1);
  const auto reset = SentSegment::of(sent[0]);
  CHECK(reset.interface == kInside);
  CHECK(reset.source == scene.tcp_server);
  CHECK(reset.destination == scene.client);
  CHECK(reset.sequence == 77);
  CHECK(reset.flags == TcpHeader::kRst);
  CHECK(reset.text.empty());
  // A reset is answered by none, and goes on.
  spec.tcp_flags = TcpHeader::kRst;
  CHECK(scene.lab.send(kInside, spec).size() == 1);
  CHECK(scene.refused() == 1);
  spec.tcp_flags = kAck;
  std::size_t answers = 0;
  for (int i = 0; i < 2000; ++i) answers += scene.lab.send(kInside, spec).size();
  CHECK(answers >= 10);
  CHECK(answers < 1000);
  CHECK(scene.refused() == 2001);
  CHECK(scene.lab.buffers_in_use() == 0);
}

TEST_CASE("a refused connection by an external address is told so, too", "[dataplane][gateway][unread]") {
  Scene scene(true);
  FrameSpec spec{.protocol = nat::kIpProtocolTcp, .source = scene.client, .destination = kSeenAs};
  spec.tcp_flags = kAck;
  spec.tcp_sequence = 1000;
  spec.tcp_acknowledgement = 77;
  const auto sent = scene.lab.send(kInside, spec);
  REQUIRE(sent.size() == 1);
  const auto reset = SentSegment::of(sent[0]);
  CHECK(reset.interface == kInside);
  CHECK(reset.source == kSeenAs);
  CHECK(reset.destination == scene.client);
  CHECK(reset.sequence == 77);
  CHECK(reset.flags == TcpHeader::kRst);
  CHECK(scene.refused() == 1);
  CHECK(scene.lab.buffers_in_use() == 0);
}

TEST_CASE("strangers that are refused take no answers from others", "[dataplane][gateway][unread]") {
  Scene scene(true);
  FrameSpec refused{.protocol = nat::kIpProtocolTcp, .source = scene.stranger, .destination = kSeenAs};
  refused.tcp_flags = kAck;
  for (int i = 0; i < 2000; ++i) scene.lab.send(kOutside, refused);
  FrameSpec far{.source = scene.client, .destination = scene.server};
  far.ttl = 1;
  for (int i = 0; i < 5; ++i) CHECK(scene.lab.send(kInside, far).size() == 1);
}

TEST_CASE("a connection that was refused is asked for again by the same SYN, and is read",
          "[dataplane][gateway][unread]") {
  const bool inbound = GENERATE(false, true);
  Scene scene(inbound);
  const TcpEnd caller{.interface = inbound ? kOutside : kInside,
                      .self = inbound ? scene.stranger : scene.client,
                      .peer = inbound ? kSeenAs : scene.tcp_server};
  TcpEnd called{.interface = inbound ? kInside : kOutside,
                .self = inbound ? kServer : scene.tcp_server,
                .peer = scene.stranger};
  REQUIRE(scene.pass_from(caller, TcpHeader::kSyn, TcpTalk::kFirst, 0));
  if (!inbound) called.peer = scene.lab.mapping(nat::Protocol::tcp, scene.client).external;
  REQUIRE(scene.pass_from(called, TcpHeader::kRst | kAck, 0, TcpTalk::kFirst + 1));
  scene.lab.pass_s(1);
  auto talk = scene.talk();
  REQUIRE(talk.open);
  talk.tell(talk.called, "220 hello\r\n");
  CHECK(talk.caller.heard == "220 hello\r\n");
  CHECK(TestGateway::shown == std::vector<std::string>{"220 hello\r\n"});
}

TEST_CASE("a line that does not end in time is reset, however slowly it grows, and no other",
          "[dataplane][gateway][unread]") {
  const bool ends = GENERATE(false, true);
  Scene scene(true);
  auto talk = scene.talk();
  talk.tell(talk.called, "220 hello\r\n");
  talk.tell(talk.caller, "NOOP\r\n");
  for (int i = 0; i < 4; ++i) {
    talk.say(talk.caller, ends ? "x\r\nx" : "x");
    talk.run();
    scene.lab.pass_s(20);
    talk.run();
    if (ends && !talk.caller.saw_reset) talk.acknowledge(talk.called);
  }
  CHECK(talk.caller.saw_reset == !ends);
}

TEST_CASE("no byte is urgent that the server would read without and the gateway reads with",
          "[dataplane][gateway][unread]") {
  struct Row {
    const char* text;
    std::uint16_t urgent;
    bool stays;
  };
  constexpr unsigned kFlags = 33;  // of TCP, by its offset behind a link header without options
  const auto [text, urgent, stays] =
      GENERATE(Row{"XDELE x\r\n", 1, false}, Row{"NOOP\r\n", 0, false}, Row{"NOOP\r\n", 200, false},
               Row{"\xFF"
                   "DELE x\r\n",
                   1, false},
               Row{"\xF2PORT 1,2,3,4,5,6\r\n", 1, false}, Row{"\xFF\xF2XABOR\r\n", 2, false},
               Row{"ABOR\r\n", 1, false},
               Row{"\xFF\xF4\xFF\xF2"
                   "ABOR\r\n",
                   4, true},
               Row{"\xFF\xF4\xFF\xF2"
                   "ABOR\r\n",
                   3, true});
  Scene scene(false);
  auto talk = scene.talk();
  talk.tell(talk.called, "220 hello\r\n");
  FrameSpec spec{
      .protocol = nat::kIpProtocolTcp, .source = talk.caller.self, .destination = talk.caller.peer};
  spec.tcp_flags = kAck | TcpHeader::kUrg;
  spec.tcp_urgent = urgent;
  spec.tcp_sequence = talk.caller.next;
  spec.tcp_acknowledgement = talk.caller.expects;
  spec.payload.resize(std::strlen(text));
  std::memcpy(spec.payload.data(), text, spec.payload.size());
  const auto sent = scene.lab.send(kInside, spec);
  REQUIRE(sent.size() == 1);
  CHECK(SentSegment::of(sent[0]).text == text);
  CHECK((std::to_integer<unsigned>(sent[0].frame[14 + kFlags]) & TcpHeader::kUrg) ==
        (stays ? TcpHeader::kUrg : 0));
}
