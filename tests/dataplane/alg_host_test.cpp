// SPDX-License-Identifier: BSD-3-Clause
// The calls of one worker; for several workers see alg_host_foreign_test.cpp.
#include "dataplane/alg_host.hpp"

#include <algorithm>
#include <catch2/catch.hpp>
#include <initializer_list>
#include <random>
#include <stdexcept>
#include <string>
#include <vector>

#include "tests/dataplane/calls_lab.hpp"

using namespace pinhole;
using namespace pinhole::dataplane;
using alg::LookupState;
using alg::Verdict;
using alg::sip::Method;
using ipc::CallState;
using ipc::EndReason;
using ipc::EventType;

namespace {

alg::MediaRequest media(nat::Endpoint phone, unsigned port) {
  return {endpoint(phone.address, port), endpoint(phone.address, port + 1)};
}

TestMessage invite(nat::Endpoint phone, const std::string& call_id = "call-1@phone", unsigned port = 4000) {
  TestMessage message;
  message.phone = phone;
  message.call_id = call_id;
  message.media = {media(phone, port)};
  return message;
}

TestMessage follow(const TestMessage& invite, Method method, std::uint16_t status = 0) {
  TestMessage message;
  message.phone = invite.phone;
  message.call_id = invite.call_id;
  message.method = method;
  message.status = status;
  message.to_tag = "callee";
  if (status != 0) message.direction = alg::Direction::inbound;
  return message;
}

void establish(Lab& lab, const TestMessage& message) {
  REQUIRE(lab.inspect(0, message).verdict == Verdict::forward);
  lab.inspect(0, follow(message, Method::invite, 200));
  lab.inspect(0, follow(message, Method::ack));
}

/// The only call of a worker.
const ipc::CallCard& only_call(LabWorker& worker) {
  REQUIRE(worker.calls.size() == 1);
  for (const auto& card : worker.call_cards) {
    if (card.own().in_use) return card.own();
  }
  throw std::logic_error("the table and its cards disagree");
}

}  // namespace

TEST_CASE("an INVITE with SDP opens a call and a pair of ports before it leaves",
          "[dataplane][alg_host][AC-09]") {
  Lab lab;
  const auto phone = lab.phone_of(0);
  const auto seen = lab.inspect(0, invite(phone));
  REQUIRE(seen.verdict == Verdict::forward);
  const auto& ports = seen.media[0];
  CHECK(ports.rtp.address == kPoolAddress);
  CHECK(ports.rtp.port.host() % 2 == 0);
  CHECK(ports.rtcp.port.host() == ports.rtp.port.host() + 1);

  const auto& card = only_call(lab[0]);
  CHECK(card.step.state == CallState::inviting);
  CHECK(card.outbound);
  CHECK(card.inside == phone);
  CHECK(card.remote == kProvider);
  CHECK(card.from_uri.view() == "sip:alice@example.com");
  CHECK(card.to_uri.view() == "sip:bob@example.com");  // without its parameters
  REQUIRE(card.pinhole_count == 2);
  CHECK(card.pinholes[0].inside == endpoint(phone.address, 4000));
  CHECK(card.pinholes[0].external == ports.rtp);
  CHECK(card.pinholes[1].external == ports.rtcp);
  const auto& mapping = lab[0].translator[card.pinholes[0].mapping];
  CHECK(mapping.parent == lab[0].calls.find({card.call_hash, "call-1@phone", phone.address, "caller", ""}));
  CHECK((mapping.flags & nat::MappingFlags::kPinhole) != 0);

  REQUIRE(lab[0].events.size() == 1);
  const auto& event = lab[0].events[0];
  CHECK(event.type == EventType::sip_message);
  CHECK(event.sip.start.view() == "INVITE");
  CHECK(event.sip.edits == 3);
  CHECK(event.sip.has_sdp);
  CHECK(event.sip.card_generation == card.generation);
  CHECK(event.sip.external == card.external);
  CHECK(lab[0].stats.worker.read(WorkerCounter::pinhole_live) == 2);
}

TEST_CASE("a retransmission finds all that the first message opened", "[dataplane][alg_host]") {
  Lab lab;
  const auto message = invite(lab.phone_of(0));
  const auto first = lab.inspect(0, message);
  const auto again = lab.inspect(0, message);
  CHECK(again.media[0].rtp == first.media[0].rtp);
  CHECK(again.media[0].rtcp == first.media[0].rtcp);
  CHECK(only_call(lab[0]).pinhole_count == 2);
  CHECK(lab[0].stats.worker.read(WorkerCounter::pinhole_opened) == 2);
  CHECK(lab[0].stats.worker.read(WorkerCounter::call_opened) == 1);
  CHECK(lab[0].events.size() == 2);
}

TEST_CASE("a message belongs to its own call, whatever was foreseen", "[dataplane][alg_host]") {
  Lab lab;
  const auto known = invite(lab.phone_of(0));
  establish(lab, known);
  const std::string longest(126, 'c');
  const auto text_with = [](const std::string& call_id) {
    return "BYE sip:b@example.com SIP/2.0\r\nVia: SIP/2.0/UDP h\r\nCall-ID: " + call_id +
           "\r\nCSeq: 2 BYE\r\n\r\n";
  };
  for (const std::string& foreseen :
       {known.call_id, std::string("stranger"), longest, longest + "x", std::string()}) {
    for (const std::string& call_id : {known.call_id, std::string("another"), longest, longest + "x"}) {
      DYNAMIC_SECTION("foreseen \"" << foreseen << "\", came \"" << call_id << "\"") {
        auto& worker = lab[0];
        worker.host.foresee(text_with(foreseen));
        worker.host.foresee("REGISTER sip:example.com SIP/2.0\r\nCall-ID: another\r\n\r\n");
        auto message = invite(lab.phone_of(0), call_id, 6000);
        REQUIRE(lab.inspect(0, message).verdict == Verdict::forward);
        CHECK(worker.calls.size() == (call_id == known.call_id ? 1 : 2));
        CHECK(worker.events.back().sip.call_hash == text_hash(call_id));
      }
    }
  }
}

TEST_CASE("a response is told with its status line", "[dataplane][alg_host]") {
  Lab lab;
  const auto message = invite(lab.phone_of(0));
  lab.inspect(0, message);
  lab.inspect(0, follow(message, Method::invite, 200));
  const auto& event = lab[0].events.back();
  CHECK(event.sip.start.view() == "200 OK");
  CHECK(event.sip.status == 200);
  CHECK(event.sip.direction == alg::Direction::inbound);
  CHECK(event.sip.step.state == CallState::answered);
}

TEST_CASE("a message dropped for want of ports leaves nothing behind", "[dataplane][alg_host]") {
  Lab lab({.mappings = 4});  // the flow, one pair, and one that is not enough for another
  const auto phone = lab.phone_of(0);
  auto message = invite(phone);
  message.media.push_back(media(phone, 4002));
  CHECK(lab.inspect(0, message).verdict == Verdict::drop);
  CHECK(lab[0].calls.size() == 0);
  CHECK(lab[0].translator.table().size() == 1);
  CHECK(lab[0].translator.ports_in_use() == 1);
  CHECK(lab[0].events.empty());
  CHECK(lab[0].stats.worker.read(WorkerCounter::pinhole_live) == 0);
  CHECK(lab[0].stats.worker.read(WorkerCounter::call_opened) == 0);
}

TEST_CASE("a message dropped for want of ports takes none of another call", "[dataplane][alg_host][AC-14]") {
  Lab lab({.mappings = 4});
  const auto phone = lab.phone_of(0);
  establish(lab, invite(phone, "one"));
  const auto before = only_call(lab[0]);
  auto second = invite(phone, "two");
  second.media.push_back(media(phone, 4002));
  CHECK(lab.inspect(0, second).verdict == Verdict::drop);
  const auto& after = only_call(lab[0]);
  for (std::size_t i = 0; i < 2; ++i) {
    CHECK(ref_of(after.pinholes[i]) == ref_of(before.pinholes[i]));
    CHECK(lab[0].endpoints.is_open(ref_of(after.pinholes[i])));
    CHECK(lab[0].endpoints.parent_of(after.pinholes[i].mapping) == lab[0].events.back().sip.card);
  }
  // A call that gets its ports has them, and gives them back.
  REQUIRE(lab.inspect(0, invite(phone, "two")).verdict == Verdict::forward);
  CHECK_FALSE(lab[0].endpoints.is_open(ref_of(before.pinholes[0])));
  const auto& event = lab[0].events.back();
  REQUIRE(lab[0].host.close_call(event.sip.card, event.sip.card_generation, EndReason::none));
  CHECK(lab[0].endpoints.is_open(ref_of(only_call(lab[0]).pinholes[0])));
}

TEST_CASE("a re-INVITE dropped for want of ports leaves the call as it was", "[dataplane][alg_host]") {
  Lab lab({.mappings = 4});
  const auto phone = lab.phone_of(0);
  const auto message = invite(phone);
  establish(lab, message);
  const auto before = only_call(lab[0]);
  auto again = message;
  again.to_tag = "callee";
  again.media.push_back(media(phone, 4002));
  CHECK(lab.inspect(0, again).verdict == Verdict::drop);
  const auto& after = only_call(lab[0]);
  CHECK(after.pinhole_count == 2);
  CHECK(after.last_message == before.last_message);
  CHECK(lab[0].endpoints.is_open({before.pinholes[0].mapping, before.pinholes[0].generation}));
  CHECK(lab[0].translator.table().size() == 3);
}

TEST_CASE("when no card is free, media is refused and signalling goes on", "[dataplane][alg_host]") {
  Lab lab({.calls = 1});
  const auto phone = lab.phone_of(0);
  lab.inspect(0, invite(phone, "one"));
  CHECK(lab.inspect(0, invite(phone, "two", 4002)).verdict == Verdict::drop);
  auto without_media = invite(phone, "three");
  without_media.media.clear();
  CHECK(lab.inspect(0, without_media).verdict == Verdict::forward);
  CHECK(lab[0].calls.size() == 1);
  CHECK(lab[0].stats.worker.read(WorkerCounter::call_table_full) == 2);
  CHECK(lab[0].stats.worker.read(WorkerCounter::pinhole_live) == 2);
}

TEST_CASE("closing a call shuts its ports and says why", "[dataplane][alg_host]") {
  Lab lab;
  const auto message = invite(lab.phone_of(0));
  establish(lab, message);
  lab.inspect(0, follow(message, Method::bye));
  lab.inspect(0, follow(message, Method::bye, 200));
  const auto card = only_call(lab[0]);
  CHECK(card.step.state == CallState::ended);
  const auto index = lab[0].events.back().sip.card;
  REQUIRE(lab[0].host.close_call(index, card.generation, EndReason::none));
  CHECK(lab[0].calls.size() == 0);
  CHECK(lab[0].translator.table().size() == 1);
  CHECK(lab[0].stats.worker.read(WorkerCounter::pinhole_live) == 0);
  const auto& event = lab[0].events.back();
  CHECK(event.type == EventType::call_closed);
  CHECK(event.closed.reason == EndReason::bye);
  CHECK(event.closed.card == index);
  CHECK(event.closed.card_generation == card.generation);
  CHECK(event.closed.call_hash == card.call_hash);
}

TEST_CASE("a command that names a former call does nothing", "[dataplane][alg_host]") {
  Lab lab({.calls = 1});
  const auto phone = lab.phone_of(0);
  lab.inspect(0, invite(phone, "one"));
  const auto former = only_call(lab[0]);
  REQUIRE(lab[0].host.close_call(0, former.generation, EndReason::none));
  CHECK_FALSE(lab[0].host.close_call(0, former.generation, EndReason::none));
  lab.inspect(0, invite(phone, "two"));
  const auto events = lab[0].events.size();
  CHECK_FALSE(lab[0].host.close_call(0, former.generation, EndReason::none));
  CHECK_FALSE(lab[0].host.keep_call(0, former.generation, lab.now + 1000));
  CHECK_FALSE(lab[0].host.close_call(77, former.generation, EndReason::none));
  CHECK(only_call(lab[0]).keep_until == 0);
  CHECK(lab[0].stats.worker.read(WorkerCounter::pinhole_live) == 2);
  CHECK(lab[0].events.size() == events);
}

TEST_CASE("a call that ended is closed by its worker when control does not", "[dataplane][alg_host]") {
  Lab lab;
  const auto message = invite(lab.phone_of(0));
  establish(lab, message);
  lab.inspect(0, follow(message, Method::bye));
  lab.inspect(0, follow(message, Method::bye, 200));
  lab.pass_s(31);
  CHECK(lab[0].calls.size() == 1);
  lab.pass_s(1);
  CHECK(lab[0].calls.size() == 0);
  CHECK(lab[0].events.back().closed.reason == EndReason::bye);
  CHECK(lab[0].stats.worker.read(WorkerCounter::pinhole_live) == 0);
}

TEST_CASE("a call whose media fell silent is closed, unless control keeps it",
          "[dataplane][alg_host][AC-27]") {
  Lab lab;
  establish(lab, invite(lab.phone_of(0)));
  const auto card = only_call(lab[0]);
  REQUIRE(lab[0].host.keep_call(0, card.generation, lab.now + nat::ticks_from_s(1000)));
  lab.pass_s(999);
  CHECK(lab[0].endpoints.is_open({card.pinholes[0].mapping, card.pinholes[0].generation}));
  CHECK(only_call(lab[0]).generation == card.generation);
  lab.pass_s(10);
  CHECK(lab[0].calls.size() == 0);
  CHECK(lab[0].events.back().type == EventType::call_closed);
  CHECK(lab[0].events.back().closed.reason == EndReason::media_silence);
  CHECK(lab[0].stats.worker.read(WorkerCounter::pinhole_live) == 0);
}

TEST_CASE("the BYE of a long and quiet call gets in", "[dataplane][alg_host][AC-13]") {
  Lab lab;
  const auto phone = lab.phone_of(0);
  establish(lab, invite(phone));
  const auto card = only_call(lab[0]);
  for (int i = 0; i < 60; ++i) {  // an hour of media
    REQUIRE(lab[0].host.keep_call(0, card.generation, lab.now + nat::ticks_from_s(90)));
    lab.pass_s(60);
  }
  const auto index = lab[0].translator.find_outbound(nat::Protocol::udp, phone);
  REQUIRE(index != nat::kNoMapping);
  CHECK(lab[0].translator[index].external == card.external);
  CHECK(lab[0].translator.admits(index, kProvider, lab.now));
  REQUIRE(lab[0].host.close_call(0, card.generation, EndReason::none));
  lab.pass_s(130);
  CHECK(lab[0].translator.table().size() == 0);
}

namespace {

constexpr nat::Endpoint kCaller = {nat::Ipv4Address::from_host(0xc633641e), nat::Be16{5060}};
constexpr nat::Endpoint kOtherCaller = {nat::Ipv4Address::from_host(0xc633641f), nat::Be16{5060}};

bool gets_in(Lab& lab, nat::Endpoint phone, nat::Endpoint remote) {
  const auto index = lab[0].translator.find_outbound(nat::Protocol::udp, phone);
  return index != nat::kNoMapping && lab[0].translator.admits(index, remote, lab.now);
}

TestMessage invite_from(nat::Endpoint caller, nat::Endpoint phone, std::uint32_t cseq = 1) {
  TestMessage message;
  message.phone = phone;
  message.direction = alg::Direction::inbound;
  message.peer = caller;
  message.cseq = cseq;
  return message;
}

TestMessage answer_to(const TestMessage& invite, std::uint16_t status) {
  auto message = follow(invite, Method::invite, status);
  message.direction = alg::Direction::outbound;
  message.cseq = invite.cseq;
  message.peer = {};
  return message;
}

}  // namespace

TEST_CASE("the caller gets in past his proxy once the phone has accepted him, and while the call lives",
          "[dataplane][alg_host][AC-12]") {
  Lab lab;
  const auto phone = lab.phone_of(0);
  const auto other_phone = lab.phone_of(0, 1);
  static_cast<void>(lab.inspect(0, invite(other_phone, "other")));
  const auto call = invite_from(kCaller, phone);
  static_cast<void>(lab.inspect(0, call));
  CHECK_FALSE(gets_in(lab, phone, kCaller));
  for (const auto status : std::initializer_list<std::uint16_t>{100, 180, 183}) {
    static_cast<void>(lab.inspect(0, answer_to(call, status)));
    CHECK_FALSE(gets_in(lab, phone, kCaller));
  }
  static_cast<void>(lab.inspect(0, answer_to(call, 200)));
  CHECK(gets_in(lab, phone, kCaller));
  CHECK_FALSE(gets_in(lab, phone, kOtherCaller));
  CHECK_FALSE(gets_in(lab, other_phone, kCaller));

  // For as long as the call lives, and some minutes: he may say BYE after an hour.
  static_cast<void>(lab.inspect(0, follow(call, Method::ack)));
  lab.pass_s(3600);
  CHECK(gets_in(lab, phone, kCaller));
  const auto card = lab[0].calls.find({.hash = text_hash(call.call_id),
                                       .call_id = call.call_id,
                                       .inside = phone.address,
                                       .from_tag = {},
                                       .to_tag = {}});
  REQUIRE(card != kNoCard);
  REQUIRE(lab[0].host.close_call(card, lab[0].calls.card(card).generation, EndReason::bye));
  lab.pass_s(600);
  CHECK_FALSE(gets_in(lab, phone, kCaller));
}

TEST_CASE(
    "nobody gets in by an INVITE that is refused, answers another one, or was repeated with another name",
    "[dataplane][alg_host][AC-12][AC-23]") {
  Lab lab;
  const auto phone = lab.phone_of(0);
  const auto call = invite_from(kCaller, phone, 7);
  static_cast<void>(lab.inspect(0, call));
  SECTION("refused") {
    static_cast<void>(lab.inspect(0, answer_to(call, 486)));
    CHECK_FALSE(gets_in(lab, phone, kCaller));
  }
  SECTION("an answer to another INVITE, or to another request") {
    auto answer = answer_to(call, 200);
    answer.cseq = 8;
    static_cast<void>(lab.inspect(0, answer));
    answer.cseq = 7;
    answer.method = Method::update;
    static_cast<void>(lab.inspect(0, answer));
    CHECK_FALSE(gets_in(lab, phone, kCaller));
  }
  SECTION("an answer that comes from outside") {
    auto answer = answer_to(call, 200);
    answer.direction = alg::Direction::inbound;
    static_cast<void>(lab.inspect(0, answer));
    CHECK_FALSE(gets_in(lab, phone, kCaller));
  }
  SECTION("an answer of another host") {
    auto answer = answer_to(call, 200);
    answer.phone = lab.phone_of(0, 1);
    static_cast<void>(lab.inspect(0, answer));
    CHECK_FALSE(gets_in(lab, phone, kCaller));
    CHECK_FALSE(gets_in(lab, answer.phone, kCaller));
  }
  SECTION("the same INVITE with another name") {
    static_cast<void>(lab.inspect(0, invite_from(kOtherCaller, phone, 7)));
    static_cast<void>(lab.inspect(0, answer_to(call, 200)));
    CHECK(gets_in(lab, phone, kCaller));
    CHECK_FALSE(gets_in(lab, phone, kOtherCaller));
  }
  SECTION("a caller who moves is let in where he is next") {
    static_cast<void>(lab.inspect(0, answer_to(call, 200)));
    const auto next = invite_from(kOtherCaller, phone, 8);
    static_cast<void>(lab.inspect(0, next));
    CHECK_FALSE(gets_in(lab, phone, kOtherCaller));
    static_cast<void>(lab.inspect(0, answer_to(next, 200)));
    CHECK(gets_in(lab, phone, kOtherCaller));
  }
  SECTION("an inside address") {
    const auto inside = invite_from(lab.phone_of(0, 1), phone, 8);
    static_cast<void>(lab.inspect(0, inside));
    static_cast<void>(lab.inspect(0, answer_to(inside, 200)));
    CHECK_FALSE(gets_in(lab, phone, inside.peer));
  }
}

TEST_CASE("ports opened later share in a promise that control has given", "[dataplane][alg_host][AC-14]") {
  Lab lab;
  const auto phone = lab.phone_of(0);
  const auto message = invite(phone);
  establish(lab, message);
  REQUIRE(lab[0].host.keep_call(0, only_call(lab[0]).generation, lab.now + nat::ticks_from_s(500)));
  auto again = message;
  again.to_tag = "callee";
  again.media = {media(phone, 6000)};
  lab.inspect(0, again);
  lab.pass_s(400);
  const auto& card = only_call(lab[0]);
  REQUIRE(card.pinhole_count == 4);
  for (std::size_t i = 0; i < 4; ++i)
    CHECK(lab[0].endpoints.is_open({card.pinholes[i].mapping, card.pinholes[i].generation}));
}

TEST_CASE("a call that is never answered is given up", "[dataplane][alg_host]") {
  Lab lab;
  lab.inspect(0, invite(lab.phone_of(0)));
  lab.pass_s(211);
  CHECK(lab[0].calls.size() == 1);
  lab.pass_s(6);
  CHECK(lab[0].calls.size() == 0);
  CHECK(lab[0].events.back().closed.reason == EndReason::no_answer);
}

TEST_CASE("ten thousand calls leave ports, mappings and cards as they were", "[dataplane][alg_host]") {
  const auto seed = std::random_device{}();
  INFO("seed " << seed);
  std::mt19937 engine(seed);
  const auto random = [&] { return static_cast<unsigned>(engine()); };
  Lab lab({.calls = 50, .mappings = 512});
  std::vector<TestMessage> live;
  unsigned opened = 0;
  const auto end_one = [&] {
    std::swap(live[random() % live.size()], live.back());
    const auto& ending = live.back();
    lab.inspect(0, follow(ending, Method::bye));
    lab.inspect(0, follow(ending, Method::bye, 200));
    REQUIRE_FALSE(lab[0].events.empty());
    const auto event = lab[0].events.back();
    REQUIRE(event.sip.step.state == CallState::ended);
    if (random() % 4 != 0)  // otherwise control has forgotten it
      REQUIRE(lab[0].host.close_call(event.sip.card, event.sip.card_generation, EndReason::none));
    live.pop_back();
  };
  // No media flows here, and a later call may take over the port of an earlier one: without the promises of
  // control such a call would end by itself, of silence.
  const auto pass_with_control = [&] {
    for (CardIndex i = 0; i < lab[0].call_cards.size(); ++i) {
      const auto& card = lab[0].call_cards[i].own();
      if (card.in_use && card.step.state != CallState::ended)
        REQUIRE(lab[0].host.keep_call(i, card.generation, lab.now + nat::ticks_from_s(180)));
    }
    lab.pass_s(1);
  };
  while (opened < 10'000) {
    lab[0].events.clear();
    if (lab[0].calls.size() < 50 && (live.empty() || random() % 2 == 0)) {
      const auto phone = lab.phone_of(0, random() % 20);
      const auto port = 4000 + 2 * (random() % 1000);
      live.push_back(invite(phone, "call-" + std::to_string(opened++), port));
      if (random() % 8 == 0) live.back().media.push_back(live.back().media[0]);
      establish(lab, live.back());
    } else if (!live.empty()) {
      end_one();
    } else {
      pass_with_control();
    }
    if (lab[0].calls.size() == 50) pass_with_control();
  }
  while (!live.empty()) end_one();
  lab.pass_s(400);
  CHECK(lab[0].calls.size() == 0);
  CHECK(lab[0].translator.table().size() == 0);
  CHECK(lab[0].translator.ports_in_use() == 0);
  CHECK(lab[0].stats.worker.read(WorkerCounter::pinhole_live) == 0);
  CHECK(lab[0].stats.worker.read(WorkerCounter::call_opened) == 10'000);
  CHECK(lab[0].stats.worker.read(WorkerCounter::call_closed) == 10'000);
}

TEST_CASE("the end of a call spares a port that a later call has taken over", "[dataplane][alg_host]") {
  Lab lab;
  const auto phone = lab.phone_of(0);
  const auto first = invite(phone, "one");
  establish(lab, first);
  const auto first_card = only_call(lab[0]);
  lab.inspect(0, follow(first, Method::bye));
  const auto second = lab.inspect(0, invite(phone, "two"));  // the phone has one RTP port for all its calls
  CHECK(second.media[0].rtp == first_card.pinholes[0].external);
  REQUIRE(lab[0].host.close_call(0, first_card.generation, EndReason::none));
  const auto& card = only_call(lab[0]);
  CHECK(lab[0].endpoints.is_open({card.pinholes[0].mapping, card.pinholes[0].generation}));
  CHECK(lab[0].stats.worker.read(WorkerCounter::pinhole_live) == 2);
}

TEST_CASE("a call that offers new ports again and again keeps its last ones", "[dataplane][alg_host]") {
  Lab lab;
  const auto phone = lab.phone_of(0);
  auto message = invite(phone);
  establish(lab, message);
  message.to_tag = "callee";
  for (unsigned i = 1; i < 20; ++i) {
    message.media = {media(phone, 4000 + 2 * i)};
    REQUIRE(lab.inspect(0, message).verdict == Verdict::forward);
  }
  const auto& card = only_call(lab[0]);
  CHECK(card.pinhole_count == ipc::kMaxPinholes);
  CHECK(lab[0].stats.worker.read(WorkerCounter::pinhole_live) == ipc::kMaxPinholes);
  for (unsigned port = 4024; port < 4040; ++port) {
    INFO("port " << port);
    CHECK(std::any_of(card.pinholes.begin(), card.pinholes.end(), [&](const ipc::PinholeRef& pinhole) {
      return pinhole.inside == endpoint(phone.address, port) &&
             lab[0].endpoints.is_open({pinhole.mapping, pinhole.generation});
    }));
  }
}

TEST_CASE("a message with more streams than a card holds is refused whole", "[dataplane][alg_host]") {
  Lab lab;
  const auto phone = lab.phone_of(0);
  auto message = invite(phone);
  for (unsigned i = 1; i < 9; ++i) message.media.push_back(media(phone, 4000 + 2 * i));
  CHECK(lab.inspect(0, message).verdict == Verdict::drop);
  CHECK(lab[0].stats.worker.read(WorkerCounter::pinhole_live) == 0);
  CHECK(lab[0].calls.size() == 0);
  message.media.pop_back();
  CHECK(lab.inspect(0, message).verdict == Verdict::forward);
  CHECK(only_call(lab[0]).pinhole_count == ipc::kMaxPinholes);
}

TEST_CASE("only what belongs to calls opens one", "[dataplane][alg_host]") {
  struct Case {
    const char* what;
    Method method;
    std::uint16_t status;
    bool with_media;
    CallState state;
    bool opens;
  };
  const auto row = GENERATE(Case{"an INVITE", Method::invite, 0, false, CallState::inviting, true},
                            Case{"a late BYE", Method::bye, 0, false, CallState::ended, false},
                            Case{"a REGISTER", Method::register_, 0, false, CallState::ended, false},
                            Case{"an OPTIONS", Method::options, 0, false, CallState::ended, false},
                            Case{"an answer to OPTIONS", Method::options, 200, true, CallState::ended, false},
                            Case{"an answer with SDP", Method::invite, 200, true, CallState::answered, true},
                            Case{"an ACK with SDP", Method::ack, 0, true, CallState::confirmed, true},
                            Case{"an UPDATE with SDP", Method::update, 0, true, CallState::confirmed, true});
  DYNAMIC_SECTION(row.what) {
    Lab lab;
    TestMessage message;
    message.phone = lab.phone_of(0);
    message.method = row.method;
    message.status = row.status;
    if (row.with_media) message.media = {media(message.phone, 4000)};
    const auto seen = lab.inspect(0, message);
    CHECK(seen.verdict == Verdict::forward);
    CHECK(lab[0].calls.size() == (row.opens ? 1 : 0));
    CHECK(lab[0].events.size() == (row.opens ? 1 : 0));
    if (row.opens) CHECK(only_call(lab[0]).step.state == row.state);
    CHECK(lab[0].stats.worker.read(WorkerCounter::pinhole_live) == (row.with_media ? 2 : 0));
    lab.pass_s(8000);
    CHECK(lab[0].calls.size() == 0);
    CHECK(lab[0].translator.table().size() == 0);
    CHECK(lab[0].stats.worker.read(WorkerCounter::pinhole_live) == 0);
  }
}

TEST_CASE("media announced on a signalling port neither opens nor closes it", "[dataplane][alg_host]") {
  Lab lab;
  const auto phone = lab.phone_of(0);
  const auto seen = lab.inspect(0, invite(phone, "call-1@phone", 5060));
  REQUIRE(seen.verdict == Verdict::forward);
  const auto index = lab[0].translator.find_outbound(nat::Protocol::udp, phone);
  CHECK(seen.media[0].rtp == lab[0].translator[index].external);
  CHECK((lab[0].translator[index].flags & nat::MappingFlags::kPinhole) == 0);
  const auto card = only_call(lab[0]);
  CHECK(card.pinhole_count == 1);  // RTCP alone
  REQUIRE(lab[0].host.close_call(0, card.generation, EndReason::none));
  CHECK(lab[0].translator.find_outbound(nat::Protocol::udp, phone) == index);
  CHECK(lab[0].translator.table().size() == 1);
}

TEST_CASE("a stream without RTCP takes one port", "[dataplane][alg_host][AC-21][rfc3362]") {
  Lab lab;
  const auto phone = lab.phone_of(0);
  auto message = invite(phone);
  message.media = {{endpoint(phone.address, 4000), endpoint(phone.address, 4000)}};
  const auto seen = lab.inspect(0, message);
  CHECK(seen.media[0].rtcp == seen.media[0].rtp);
  CHECK(only_call(lab[0]).pinhole_count == 1);
}

TEST_CASE("a static forward stands for its inside host in both directions", "[dataplane][alg_host]") {
  const auto server = endpoint(nat::Ipv4Address::from_host(0x0a000042), 5060);
  const auto forwarded = endpoint(kPoolAddress, 5060);
  Lab lab({.forwards = {{nat::Protocol::udp, forwarded, server}}});
  const alg::Message message{
      "", alg::Direction::outbound, {nat::Protocol::udp, lab.phone_of(0), {}, kProvider}};
  lab[0].host.begin(message, lab.now);
  const auto out = lab[0].host.external_of(nat::Protocol::udp, server);
  const auto in = lab[0].host.inside_of(nat::Protocol::udp, forwarded);
  const auto tcp = lab[0].host.inside_of(nat::Protocol::tcp, forwarded);
  const auto elsewhere = lab[0].host.inside_of(nat::Protocol::udp, kProvider);
  lab[0].host.abandon();
  CHECK(out.state == LookupState::found);
  CHECK(out.endpoint == forwarded);
  CHECK(in.state == LookupState::found);
  CHECK(in.endpoint == server);
  CHECK(tcp.state == LookupState::none);
  CHECK(elsewhere.state == LookupState::none);
  CHECK(lab[0].host.is_external(kPoolAddress));
  CHECK_FALSE(lab[0].host.is_external(kProvider.address));
  CHECK(lab[0].host.is_inside(server.address));
}

TEST_CASE("media on a forwarded port belongs to the forward, not to the call", "[dataplane][alg_host]") {
  const auto server = nat::Ipv4Address::from_host(0x0a000042);
  Lab lab({.forwards = {{nat::Protocol::udp, endpoint(kPoolAddress, 9000), endpoint(server, 9000)},
                        {nat::Protocol::udp, endpoint(kPoolAddress, 9001), endpoint(server, 9001)}}});
  const auto seen = lab.inspect(0, invite(endpoint(server, 5060), "call", 9000));
  CHECK(seen.media[0].rtp == endpoint(kPoolAddress, 9000));
  CHECK(seen.media[0].rtcp == endpoint(kPoolAddress, 9001));
  const auto card = only_call(lab[0]);
  CHECK(card.pinhole_count == 0);
  REQUIRE(lab[0].host.close_call(0, card.generation, EndReason::none));
  CHECK(lab[0].translator.find_outbound(nat::Protocol::udp, endpoint(server, 9000)) != nat::kNoMapping);
}

TEST_CASE("an endpoint that a message names can be reached by whom it was named to",
          "[dataplane][alg_host][AC-11]") {
  Lab lab;
  const auto phone = lab.phone_of(0);
  const auto listens = endpoint(phone.address, 5062);  // sends from 5060
  const alg::Message message{"", alg::Direction::outbound, {nat::Protocol::udp, phone, {}, kProvider}};
  lab[0].host.begin(message, lab.now);
  const auto first = lab[0].host.external_of(nat::Protocol::udp, listens);
  lab[0].host.abandon();
  const auto index = lab[0].translator.find_outbound(nat::Protocol::udp, listens);
  REQUIRE(index != nat::kNoMapping);
  CHECK(first.endpoint == lab[0].translator[index].external);
  CHECK(lab[0].translator.admits(index, kProvider, lab.now));

  const auto other_server = endpoint(nat::Ipv4Address::from_host(0xc6336407), 5060);
  CHECK_FALSE(lab[0].translator.admits(index, other_server, lab.now));
  const alg::Message to_other{"", alg::Direction::outbound, {nat::Protocol::udp, phone, {}, other_server}};
  lab[0].host.begin(to_other, lab.now);
  CHECK(lab[0].host.external_of(nat::Protocol::udp, listens).endpoint == first.endpoint);
  lab[0].host.abandon();
  CHECK(lab[0].translator.admits(index, other_server, lab.now));
  CHECK(lab[0].translator.admits(index, kProvider, lab.now));
}
