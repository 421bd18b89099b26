// SPDX-License-Identifier: BSD-3-Clause
#include "control/call_store.hpp"

#include <chrono>
#include <string>
#include <vector>

#include "control/handover.hpp"
#include "tests/control/fake_link.hpp"

#include <fmt/format.h>
#include <catch2/catch.hpp>

namespace pinhole::control {

namespace {

using namespace std::chrono_literals;
using ipc::CallState;
using ipc::CommandType;
using ipc::EndReason;

constexpr std::chrono::seconds kLinger{4};
constexpr std::uint32_t kCards = 8;

/// A store, the worker it hears, and the messages of calls between them.
class Scene {
 public:
  Scene() { store.attach(link, link.moment); }

  ipc::CallCard& card(std::uint32_t index, std::uint32_t worker = 0) { return link.calls[worker][index]; }

  /// The worker opens a card for a call.
  void open(std::uint32_t index, std::uint64_t hash, CallState state = CallState::inviting,
            std::uint32_t worker = 0) {
    auto& opened = card(index, worker);
    const auto generation = opened.generation + 1;
    opened = {};
    opened.call_hash = hash;
    opened.generation = generation;
    opened.step.state = state;
    opened.in_use = true;
    opened.outbound = true;
    opened.created = opened.last_message = link.now_tick;
    opened.call_id.assign(fmt::format("{:x}@test", hash));
    opened.from_uri.assign("sip:alice@in");
    opened.to_uri.assign("sip:bob@out");
    opened.from_tag.assign("from");
  }

  /// A message passes: the worker steps the card and tells of it.
  void message(std::uint32_t index, const char* start, CallState state, EndReason reason = EndReason::none,
               std::uint32_t worker = 0) {
    auto& stepped = card(index, worker);
    stepped.step = {state, reason};
    stepped.last_message = link.now_tick;
    if (state == CallState::answered && stepped.answered == 0) stepped.answered = link.now_tick;
    tell(told(index, start, worker));
  }

  /// The event of a message that left the card as it is now.
  ipc::Event told(std::uint32_t index, const char* start, std::uint32_t worker = 0) {
    ipc::Event event;
    event.abi_version = ipc::kAbiVersion;
    event.type = ipc::EventType::sip_message;
    event.worker = static_cast<std::uint8_t>(worker);
    event.tsc = tsc();
    event.sip.call_hash = card(index, worker).call_hash;
    event.sip.card = index;
    event.sip.card_generation = card(index, worker).generation;
    event.sip.step = card(index, worker).step;
    event.sip.start.assign(start);
    return event;
  }
  void tell(const ipc::Event& event) { store.on_event(event, link.moment.wall, link.moment); }

  /// The worker obeys a command, or its backstop acts.
  void close(std::uint32_t index, EndReason reason, std::uint32_t worker = 0) {
    auto& closed = card(index, worker);
    closed.in_use = false;
    ipc::Event event;
    event.type = ipc::EventType::call_closed;
    event.worker = static_cast<std::uint8_t>(worker);
    event.tsc = tsc();
    event.closed = {
        .call_hash = closed.call_hash, .card = index, .card_generation = closed.generation, .reason = reason};
    tell(event);
  }

  void answer_call(std::uint32_t index, std::uint64_t hash) {
    open(index, hash);
    message(index, "INVITE", CallState::inviting);
    message(index, "180 Ringing", CallState::ringing);
    message(index, "200 OK", CallState::answered);
    message(index, "ACK", CallState::confirmed);
  }

  void resync(std::uint32_t worker = 0) { store.resync(worker, tsc(), link.moment); }

  /// Time passes in housekeeping rounds.
  void wait(std::chrono::milliseconds duration) {
    constexpr auto kRound = 100ms;
    for (auto passed = 0ms; passed < duration; passed += kRound) {
      link.pass(kRound);
      store.run(link.moment);
    }
  }

  std::vector<CallRow> rows(bool live_only) {
    return store.rows({.live_only = live_only, .inside = {}, .party = {}}, {.offset = 0, .limit = 10'000})
        .rows;
  }
  /// How the call that ended last ended.
  EndReason last_end() {
    const auto records = store.records();
    REQUIRE_FALSE(records.empty());
    REQUIRE(store.size() == 0);
    REQUIRE(records.back().step.state == CallState::ended);
    return records.back().step.reason;
  }
  std::uint64_t count(ControlCounter counter) const { return counters.read(counter); }

  test::FakeLink link{2, kCards};
  ControlCounters counters;
  CallStore store{kLinger, counters};

 private:
  /// As many as there are milliseconds.
  [[nodiscard]] std::uint64_t tsc() const {
    return static_cast<std::uint64_t>(
        std::chrono::duration_cast<std::chrono::milliseconds>(link.moment.wall.time_since_epoch()).count());
  }
};

std::vector<std::string> ladder(const CallRecord& call) {
  std::vector<std::string> lines;
  for (const auto& line : call.ladder) lines.push_back(line.start);
  return lines;
}

TEST_CASE("a call is hung up by its worker, and asked for again until that has begun",
          "[control][call_store][hangup]") {
  Scene scene;
  scene.answer_call(3, 0xab);
  scene.link.ring_full = true;
  CHECK_FALSE(scene.store.hang_up("00000000000000ac", EndReason::by_operator, scene.link.moment));
  CHECK(scene.store.hang_up("00000000000000ab", EndReason::by_operator, scene.link.moment));
  CHECK(scene.link.take(CommandType::hang_up).empty());
  scene.link.ring_full = false;
  scene.wait(300ms);
  for (int round = 0; round < 3; ++round) {
    const auto sent = scene.link.take(CommandType::hang_up);
    REQUIRE(sent.size() == 1);
    CHECK(sent[0].worker == 0);
    CHECK(sent[0].command.card == 3);
    CHECK(sent[0].command.card_generation == scene.card(3).generation);
    CHECK(sent[0].command.reason == EndReason::by_operator);
    if (round < 2) scene.wait(1s);
  }
  CHECK(scene.link.take(CommandType::keep_call).empty());

  // The worker says BYE, and both sides answer.
  scene.message(3, "BYE by Pinhole", CallState::ending, EndReason::by_operator);
  CHECK_FALSE(scene.store.hang_up("00000000000000ab", EndReason::by_operator, scene.link.moment));
  scene.wait(2s);
  CHECK(scene.link.take(CommandType::hang_up).empty());
  scene.message(3, "200 OK", CallState::ended, EndReason::by_operator);
  scene.wait(kLinger);
  CHECK(scene.link.take(CommandType::close_call).size() == 1);
  scene.close(3, EndReason::none);
  CHECK(scene.last_end() == EndReason::by_operator);
  CHECK_FALSE(scene.store.hang_up("00000000000000ab", EndReason::by_operator, scene.link.moment));
}

TEST_CASE("a call that nobody tells of the end of its BYEs is closed all the same",
          "[control][call_store][hangup]") {
  Scene scene;
  scene.answer_call(3, 0xab);
  CHECK(scene.store.hang_up("00000000000000ab", EndReason::by_operator, scene.link.moment));
  // The worker has begun, and the event was lost: its card says so.
  scene.card(3).step = {CallState::ending, EndReason::by_operator};
  scene.card(3).last_message = scene.link.now_tick;
  scene.wait(1s);
  CHECK(scene.link.take(CommandType::hang_up).size() == 1);
  scene.wait(CallStore::kByeAnswer + kLinger);
  CHECK(scene.link.take(CommandType::hang_up).empty());
  CHECK(scene.link.take(CommandType::close_call).size() == 1);
  scene.close(3, EndReason::none);
  CHECK(scene.last_end() == EndReason::by_operator);
}

TEST_CASE("a call that is hung up while it rings is closed by its worker", "[control][call_store][hangup]") {
  Scene scene;
  scene.open(2, 0xcd);
  scene.message(2, "INVITE", CallState::inviting);
  CHECK(scene.store.hang_up("00000000000000cd", EndReason::by_operator, scene.link.moment));
  SECTION("at once") {
  }
  SECTION("and just answered: asked for again") {
    scene.message(2, "200 OK", CallState::answered);
    scene.wait(1s);
    CHECK(scene.link.take(CommandType::hang_up).size() == 2);
  }
  scene.close(2, EndReason::by_operator);
  CHECK(scene.last_end() == EndReason::by_operator);
}

TEST_CASE("an outgoing call is followed from INVITE to its record", "[control][call_store]") {
  Scene scene;
  scene.answer_call(3, 0xab);
  const auto live = scene.rows(true);
  REQUIRE(live.size() == 1);
  CHECK(live[0].id == "00000000000000ab");
  CHECK(live[0].call_id == "ab@test");
  CHECK(live[0].step.state == CallState::confirmed);
  CHECK(live[0].outbound);
  CHECK(live[0].from_uri == "sip:alice@in");
  CHECK(live[0].answered == scene.link.moment.wall);

  scene.wait(10s);
  scene.message(3, "BYE", CallState::ending);
  scene.message(3, "200 OK", CallState::ended, EndReason::bye);
  CHECK(scene.rows(true).empty());
  CHECK(scene.store.unended() == 0);
  CHECK(scene.store.size() == 1);

  scene.wait(kLinger - 100ms);
  CHECK(scene.link.take(CommandType::close_call).empty());
  scene.wait(100ms);
  const auto closed = scene.link.take(CommandType::close_call);
  REQUIRE(closed.size() == 1);
  CHECK(closed[0].worker == 0);
  CHECK(closed[0].command.card == 3);
  CHECK(closed[0].command.card_generation == scene.card(3).generation);
  scene.close(3, EndReason::none);

  CHECK(scene.last_end() == EndReason::bye);
  const auto* const record = scene.store.by_id("00000000000000ab");
  REQUIRE(record != nullptr);
  CHECK(*record->ended - *record->answered == 10s);
  CHECK(ladder(*record) ==
        std::vector<std::string>{"INVITE", "180 Ringing", "200 OK", "ACK", "BYE", "200 OK"});
}

TEST_CASE("the way a call ends decides what its record says", "[control][call_store]") {
  struct Case {
    const char* name;
    CallState state;
    EndReason step_reason;
    EndReason closed_reason;
    EndReason expected;
  };
  const Case cases[] = {
      {"BYE answered", CallState::ended, EndReason::bye, EndReason::none, EndReason::bye},
      {"cancelled", CallState::ended, EndReason::cancelled, EndReason::none, EndReason::cancelled},
      {"refused", CallState::ended, EndReason::failed, EndReason::none, EndReason::failed},
      {"BYE never answered", CallState::ending, EndReason::none, EndReason::none, EndReason::bye},
      {"media silent, says the worker", CallState::confirmed, EndReason::none, EndReason::media_silence,
       EndReason::media_silence},
      {"nobody knows", CallState::confirmed, EndReason::none, EndReason::none, EndReason::lost},
  };
  for (const auto& row : cases) {
    DYNAMIC_SECTION(row.name) {
      Scene scene;
      scene.open(0, 1);
      scene.message(0, "last", row.state, row.step_reason);
      scene.close(0, row.closed_reason);
      CHECK(scene.last_end() == row.expected);
    }
  }
}

TEST_CASE("a call that is tried again after 407 within its linger is not closed",
          "[control][call_store][AC-18]") {
  Scene scene;
  scene.open(0, 1);
  scene.message(0, "INVITE", CallState::inviting);
  scene.message(0, "407 Proxy Authentication Required", CallState::ended, EndReason::failed);
  CHECK(scene.store.unended() == 0);
  scene.wait(kLinger - 1s);
  scene.message(0, "INVITE", CallState::inviting);
  CHECK(scene.store.unended() == 1);
  CHECK_FALSE(scene.rows(true).at(0).ended.has_value());
  scene.wait(60s);
  CHECK(scene.link.take(CommandType::close_call).empty());
}

TEST_CASE("a call whose BYE is not answered is closed five seconds and the linger later",
          "[control][call_store]") {
  Scene scene;
  scene.answer_call(0, 1);
  scene.message(0, "BYE", CallState::ending);
  scene.wait(CallStore::kByeAnswer + kLinger - 100ms);
  CHECK(scene.link.take(CommandType::close_call).empty());
  scene.wait(100ms);
  CHECK(scene.link.take(CommandType::close_call).size() == 1);
}

TEST_CASE("a BYE that is sent again does not put off the end", "[control][call_store]") {
  Scene scene;
  scene.answer_call(0, 1);
  scene.message(0, "BYE", CallState::ending);
  scene.wait(CallStore::kByeAnswer);
  scene.message(0, "BYE", CallState::ending);
  scene.wait(kLinger);
  CHECK(scene.link.take(CommandType::close_call).size() == 1);
}

TEST_CASE("a held call keeps its ports: it is kept every minute for three", "[control][call_store][AC-27]") {
  Scene scene;
  scene.link.last_media = scene.link.now_tick;
  scene.answer_call(0, 1);
  scene.card(0).pinhole_count = 2;
  scene.wait(100ms);
  const auto first = scene.link.take(CommandType::keep_call);
  REQUIRE(first.size() == 1);
  CHECK(first[0].command.seconds == 180);
  scene.message(0, "INVITE", CallState::confirmed);  // the hold
  scene.wait(30min);
  CHECK(scene.link.take(CommandType::keep_call).size() == 30);
  CHECK(scene.link.take(CommandType::close_call).empty());
  CHECK(scene.rows(true).at(0).pinholes == 2);
}

TEST_CASE("a call without media or signalling is not kept for ever", "[control][call_store]") {
  struct Case {
    const char* name;
    std::uint8_t pinholes;
    EndReason reason;
  };
  const Case cases[] = {{"with pinholes", 2, EndReason::media_silence}, {"without", 0, EndReason::lost}};
  for (const auto& row : cases) {
    DYNAMIC_SECTION(row.name) {
      Scene scene;
      scene.link.last_media = scene.link.now_tick;
      scene.answer_call(0, 1);
      scene.card(0).pinhole_count = row.pinholes;
      scene.wait(CallStore::kSilence - 1min);
      CHECK(scene.link.take(CommandType::close_call).empty());
      scene.wait(2min);
      REQUIRE_FALSE(scene.link.take(CommandType::close_call).empty());
      scene.close(0, EndReason::none);
      CHECK(scene.last_end() == row.reason);
    }
  }
}

TEST_CASE("a call that nobody answers is ended", "[control][call_store]") {
  Scene scene;
  scene.open(0, 1);
  scene.message(0, "INVITE", CallState::inviting);
  scene.wait(100s);
  scene.message(0, "180 Ringing", CallState::ringing);
  scene.wait(CallStore::kNoAnswer - 100ms);
  CHECK(scene.link.take(CommandType::close_call).empty());
  scene.wait(100ms);
  CHECK(scene.link.take(CommandType::close_call).size() == 1);
  scene.close(0, EndReason::none);
  CHECK(scene.last_end() == EndReason::no_answer);
}

TEST_CASE("a command that got lost is sent again until the card is gone", "[control][call_store]") {
  Scene scene;
  scene.answer_call(0, 1);
  scene.message(0, "200 OK", CallState::ended, EndReason::bye);

  SECTION("the worker did not follow") {
    scene.wait(kLinger + 3s);
    CHECK(scene.link.take(CommandType::close_call).size() == 4);
    CHECK(scene.count(ControlCounter::command_again) == 3);
  }
  SECTION("the ring was full") {
    scene.link.ring_full = true;
    scene.wait(kLinger + 1s);
    CHECK(scene.link.sent.empty());
    CHECK(scene.count(ControlCounter::command_ring_full) >= 3);
    scene.link.ring_full = false;
    scene.wait(1s);
    CHECK_FALSE(scene.link.take(CommandType::close_call).empty());
  }
  SECTION("the card went, and the event that says so was lost") {
    scene.wait(kLinger);
    scene.card(0).in_use = false;
    scene.wait(1s);
    CHECK(scene.link.take(CommandType::close_call).size() == 1);
    CHECK(scene.last_end() == EndReason::bye);
  }
  SECTION("the card is being written whenever control looks") {
    scene.link.torn.insert({0, 0});
    scene.wait(kLinger + 1s);
    CHECK(scene.link.take(CommandType::close_call).size() == 2);
    CHECK(scene.store.size() == 1);
  }
}

TEST_CASE("a card that is used again ends the call that had it", "[control][call_store]") {
  Scene scene;
  scene.answer_call(0, 1);
  scene.open(0, 2);
  scene.message(0, "INVITE", CallState::inviting);
  const auto all = scene.rows(false);
  REQUIRE(all.size() == 2);
  CHECK(scene.store.size() == 1);
  CHECK(scene.rows(true).at(0).id == call_id(2));
  CHECK(scene.store.by_id(call_id(1))->step.reason == EndReason::lost);
}

TEST_CASE("a resync finds the calls that nobody told of and ends those that are gone",
          "[control][call_store][resync][AC-28]") {
  Scene scene;
  scene.answer_call(0, 1);                    // will be gone
  scene.answer_call(1, 2);                    // goes on
  scene.open(2, 3, CallState::confirmed);     // unknown
  scene.open(3, 4, CallState::confirmed, 1);  // of another worker, not looked at
  scene.answer_call(4, 5);                    // torn: stays as it is
  scene.card(0).in_use = false;
  scene.card(1).step = {CallState::ended, EndReason::bye};  // and the event was lost
  scene.card(2).created = scene.card(2).answered = scene.link.now_tick - nat::ticks_from_s(90);
  scene.link.torn.insert({0, 4});
  scene.resync();

  CHECK(scene.store.by_id(call_id(1))->step.reason == EndReason::lost);
  CHECK(scene.store.by_id(call_id(2))->step.state == CallState::ended);
  const auto* const found = scene.store.by_id(call_id(3));
  REQUIRE(found != nullptr);
  CHECK(found->call_id == "3@test");
  CHECK(found->started == scene.link.moment.wall - 90s);
  CHECK(found->answered == scene.link.moment.wall - 90s);
  CHECK(scene.store.by_id(call_id(4)) == nullptr);
  CHECK(scene.store.by_id(call_id(5))->step.state == CallState::confirmed);
  CHECK(scene.count(ControlCounter::call_found) == 1);

  // What was found lives on: the ended call is closed, the unknown one is kept.
  scene.wait(kLinger);
  CHECK(scene.link.take(CommandType::close_call).size() == 1);
  bool kept = false;
  for (const auto& one : scene.link.take(CommandType::keep_call)) kept = kept || one.command.card == 2;
  CHECK(kept);
}

TEST_CASE("the linger of a call that ended while control was away has passed already",
          "[control][call_store][resync]") {
  Scene scene;
  scene.open(0, 1, CallState::ended);
  scene.card(0).step.reason = EndReason::bye;
  scene.card(0).last_message = scene.link.now_tick - nat::ticks_from_s(20);
  scene.resync();
  scene.wait(100ms);
  CHECK(scene.link.take(CommandType::close_call).size() == 1);
}

TEST_CASE("a decision follows the card when events were lost", "[control][call_store]") {
  Scene scene;
  SECTION("a call that is tried again is not closed") {
    scene.open(0, 1);
    scene.message(0, "407 Proxy Authentication Required", CallState::ended, EndReason::failed);
    scene.card(0).step = {CallState::inviting, EndReason::none};
    scene.wait(1min);
    CHECK(scene.link.take(CommandType::close_call).empty());
    CHECK(scene.store.unended() == 1);
  }
  SECTION("a call that ended is closed when it would have been kept") {
    scene.answer_call(0, 1);
    scene.wait(10s);
    scene.card(0).step = {CallState::ended, EndReason::bye};
    scene.card(0).last_message = scene.link.now_tick;
    scene.wait(CallStore::kKeepEvery);
    CHECK_FALSE(scene.link.take(CommandType::close_call).empty());
    CHECK(scene.link.take(CommandType::keep_call).size() == 1);
    scene.close(0, EndReason::none);
    CHECK(scene.last_end() == EndReason::bye);
  }
}

TEST_CASE("an event from before a resync adds to the ladder and to nothing else",
          "[control][call_store][resync]") {
  Scene scene;
  scene.open(0, 1);
  scene.open(1, 2);
  const auto invite = scene.told(0, "INVITE");
  const auto of_a_dead_call = scene.told(1, "INVITE");
  scene.link.pass(1s);
  scene.card(0).step.state = CallState::confirmed;
  scene.card(1).in_use = false;
  scene.resync();
  scene.tell(invite);
  scene.tell(of_a_dead_call);
  CHECK(scene.store.size() == 1);
  const auto* const call = scene.store.by_id(call_id(1));
  REQUIRE(call != nullptr);
  CHECK(call->step.state == CallState::confirmed);
  CHECK(ladder(*call) == std::vector<std::string>{"INVITE"});
}

TEST_CASE("a long ladder keeps its first lines and its last", "[control][call_store]") {
  Scene scene;
  scene.open(0, 1);
  constexpr int kMessages = 100;
  for (int i = 0; i < kMessages; ++i) {
    scene.message(0, std::to_string(i).c_str(), CallState::confirmed);
  }
  const auto& call = *scene.store.by_id(call_id(1));
  REQUIRE(call.ladder.size() == CallStore::kLadderLines);
  CHECK(call.ladder_missing == kMessages - CallStore::kLadderLines);
  CHECK(call.ladder[CallStore::kLadderHead - 1].start == std::to_string(CallStore::kLadderHead - 1));
  CHECK(call.ladder[CallStore::kLadderHead].start == "52");
  CHECK(call.ladder.back().start == "99");
}

TEST_CASE("records of ended calls are bounded, the oldest goes first", "[control][call_store]") {
  Scene scene;
  for (std::uint64_t hash = 1; hash <= CallStore::kEndedCalls + 5; ++hash) {
    scene.open(0, hash);
    scene.message(0, "486 Busy Here", CallState::ended, EndReason::failed);
    scene.close(0, EndReason::none);
  }
  CHECK(scene.rows(false).size() == CallStore::kEndedCalls);
  CHECK(scene.store.by_id(call_id(5)) == nullptr);
  CHECK(scene.store.by_id(call_id(6)) != nullptr);
}

TEST_CASE("calls are listed newest first, filtered and in pages", "[control][call_store]") {
  Scene scene;
  for (std::uint32_t i = 0; i < 5; ++i) {
    scene.open(i, 0x10 + i);
    scene.card(i).to_uri.assign(i == 2 ? "sip:carol@out" : "sip:bob@out");
    scene.card(i).inside.address = nat::Ipv4Address::from_host(0x0a000000 + i);
    scene.message(i, "INVITE", CallState::inviting);
    scene.link.pass(1s);
  }
  const auto page =
      scene.store.rows({.live_only = true, .inside = {}, .party = {}}, {.offset = 1, .limit = 2});
  CHECK(page.total == 5);
  REQUIRE(page.rows.size() == 2);
  CHECK(page.rows[0].id == call_id(0x13));
  CHECK(page.rows[1].id == call_id(0x12));

  const auto carol =
      scene.store.rows({.live_only = true, .inside = {}, .party = "carol"}, {.offset = 0, .limit = 10});
  REQUIRE(carol.rows.size() == 1);
  CHECK(carol.rows[0].id == call_id(0x12));

  const EndpointFilter host{.prefix = *nat::Prefix::parse("10.0.0.4"), .port = {}};
  const auto by_host =
      scene.store.rows({.live_only = true, .inside = host, .party = {}}, {.offset = 0, .limit = 10});
  REQUIRE(by_host.rows.size() == 1);
  CHECK(by_host.rows[0].id == call_id(0x14));
}

TEST_CASE("a call is found by the beginning of its id or Call-ID, exactly or not at all",
          "[control][call_store]") {
  Scene scene;
  scene.open(0, 0xaa00000000000001);
  scene.message(0, "INVITE", CallState::inviting);
  scene.open(1, 0xaa00000000000002);
  scene.message(1, "INVITE", CallState::inviting);
  CHECK(scene.store.find("aa", 10).size() == 2);
  CHECK(scene.store.find("aa", 1).size() == 1);
  CHECK(scene.store.find("aa00000000000002", 10).size() == 1);
  CHECK(scene.store.find("aa00000000000001@test", 10).size() == 1);
  CHECK(scene.store.find("ab", 10).empty());
  CHECK(scene.store.by_id("aa") == nullptr);
  CHECK(scene.store.by_id("zz00000000000002") == nullptr);
}

TEST_CASE("a live call is preferred to an ended one of the same Call-ID", "[control][call_store]") {
  Scene scene;
  scene.open(0, 7);
  scene.message(0, "486 Busy Here", CallState::ended, EndReason::failed);
  scene.close(0, EndReason::none);
  scene.open(1, 7);
  scene.message(1, "INVITE", CallState::inviting);
  CHECK(scene.store.find(call_id(7), 10).at(0).step.state == CallState::inviting);
  CHECK(scene.store.find("0", 10).size() == 1);
}

TEST_CASE("what is handed over is there again, and ends as lost beside a new data plane",
          "[control][call_store][handover]") {
  Scene scene;
  scene.answer_call(0, 1);
  scene.open(1, 2);
  scene.message(1, "486 Busy Here", CallState::ended, EndReason::failed);
  scene.close(1, EndReason::none);
  scene.card(0).from_uri.assign("sip:\xff\xfe@in");  // not UTF-8
  scene.message(0, "INFO", CallState::confirmed);

  Handover left{.status = {}, .calls = scene.store.records()};
  left.status.dataplane = DataplaneState::lost;
  left.status.dataplane_pid = 77;
  left.status.plan_differs = true;
  left.status.interfaces.push_back({.name = "in",
                                    .device = "none",
                                    .zone = config::Zone::outside,
                                    .address = *nat::Prefix::parse("192.0.2.1/24"),
                                    .mac = "02:00:00:00:00:01"});
  auto taken = decode(encode(left));
  REQUIRE(taken);
  CHECK(taken->status.dataplane == DataplaneState::lost);
  CHECK(taken->status.dataplane_pid == 77);
  CHECK(taken->status.plan_differs);
  REQUIRE(taken->status.interfaces.size() == 1);
  CHECK(taken->status.interfaces[0].address == *nat::Prefix::parse("192.0.2.1/24"));

  CallStore next(kLinger, scene.counters);
  next.restore(std::move(taken->calls));
  CHECK(next.unended() == 1);
  const auto* const call = next.by_id(call_id(1));
  REQUIRE(call != nullptr);
  CHECK(call->from_uri == "sip:\xff\xfe@in");
  CHECK(call->started == scene.store.by_id(call_id(1))->started);
  CHECK(ladder(*call) == ladder(*scene.store.by_id(call_id(1))));
  CHECK(next.by_id(call_id(2))->step.reason == EndReason::failed);

  test::FakeLink fresh(1, kCards);
  next.attach(fresh, fresh.moment);
  CHECK(next.size() == 0);
  CHECK(next.by_id(call_id(1))->step.reason == EndReason::lost);
}

TEST_CASE("a handover that cannot be read is refused", "[control][handover]") {
  auto bytes = encode({});
  bytes.resize(bytes.size() / 2);
  CHECK_FALSE(decode(bytes));
  CHECK_FALSE(decode({}));
}

TEST_CASE("events of a worker that does not exist are ignored", "[control][call_store]") {
  Scene scene;
  scene.open(0, 1);
  auto event = scene.told(0, "INVITE");
  event.worker = ipc::kMaxWorkers;
  scene.tell(event);
  CHECK(scene.store.size() == 0);
}

TEST_CASE("what was done to a message is told with it, and what got lost is counted",
          "[control][call_store][AC-25]") {
  Scene scene;
  scene.open(0, 1);
  auto told = scene.told(0, "INVITE");
  told.sequence = 7;
  told.sip.why = 3;
  scene.tell(told);
  ipc::Event why;
  why.type = ipc::EventType::sip_why;
  why.why = {.card = 0, .card_generation = scene.card(0).generation, .message = 7, .records = {}};
  REQUIRE(why.why.records.add(
      {.kind = ipc::WhyKind::edit, .rule = alg::Rule::via, .before = "10.0.0.5", .after = "192.0.2.1"}));
  REQUIRE(why.why.records.add(
      {.kind = ipc::WhyKind::opened, .before = "10.0.0.5:4000", .after = "192.0.2.1:5000"}));
  scene.tell(why);
  why.why.message = 6;  // of another message
  scene.tell(why);
  why.why.message = 7;
  why.why.card_generation += 2;  // of another call
  scene.tell(why);
  const auto* const call = scene.store.by_id(call_id(1));
  REQUIRE(call != nullptr);
  const auto& line = call->ladder.back();
  REQUIRE(line.why.size() == 2);
  CHECK(line.why_told == 3);
  CHECK(line.why[0].rule == alg::Rule::via);
  CHECK(line.why[0].before == "10.0.0.5");
  CHECK(line.why[1].kind == ipc::WhyKind::opened);
  CHECK(line.why[1].after == "192.0.2.1:5000");

  const auto taken = decode(encode(Handover{.status = {}, .calls = scene.store.records()}));
  REQUIRE(taken);
  REQUIRE(taken->calls.at(0).ladder.at(0).why.size() == 2);
  CHECK(taken->calls[0].ladder[0].why[1].before == "10.0.0.5:4000");
  CHECK(taken->calls[0].ladder[0].why_told == 3);
}

TEST_CASE("a call keeps a bounded number of records of why", "[control][call_store][AC-25]") {
  Scene scene;
  scene.open(0, 1);
  for (std::uint32_t sequence = 0; sequence < 60; ++sequence) {
    auto told = scene.told(0, "INFO");
    told.sequence = sequence;
    told.sip.why = 10;
    scene.tell(told);
    ipc::Event why;
    why.type = ipc::EventType::sip_why;
    why.why = {.card = 0, .card_generation = scene.card(0).generation, .message = sequence, .records = {}};
    for (int i = 0; i < 10; ++i) REQUIRE(why.why.records.add({.before = "a", .after = "b"}));
    scene.tell(why);
  }
  std::size_t kept = 0;
  for (const auto& line : scene.store.by_id(call_id(1))->ladder) kept += line.why.size();
  CHECK(kept == CallStore::kWhyLines);
}

TEST_CASE("neither silence nor its length ends a call that is on hold or has a session timer",
          "[control][call_store][AC-13][AC-27]") {
  Scene scene;
  scene.link.last_media = scene.link.now_tick;
  scene.answer_call(0, 1);
  scene.card(0).pinhole_count = 2;
  SECTION("on hold") {
    scene.card(0).media.held = true;
    scene.wait(CallStore::kSilence * 2);
    CHECK(scene.link.take(CommandType::close_call).empty());
  }
  SECTION("with a session timer") {
    scene.card(0).session_until = scene.link.now_tick + nat::ticks_from_s(4 * 3600);
    scene.wait(CallStore::kSilence + std::chrono::minutes(2));
    CHECK(scene.link.take(CommandType::close_call).empty());
    scene.wait(CallStore::kSilence);
    CHECK_FALSE(scene.link.take(CommandType::close_call).empty());
  }
}

TEST_CASE("a session timer that nobody renews ends a call whose media is idle",
          "[control][call_store][rfc4028][AC-13]") {
  constexpr std::chrono::seconds kSession{1800};
  Scene scene;
  scene.link.last_media = scene.link.now_tick;
  scene.answer_call(0, 1);
  scene.card(0).pinhole_count = 2;
  scene.card(0).session_until = scene.link.now_tick + nat::ticks_from_s(kSession.count());
  SECTION("when it has run out, and not before") {
    scene.wait(kSession - 100s);
    CHECK(scene.link.take(CommandType::close_call).empty());
    scene.wait(100s + CallStore::kKeepEvery);
    CHECK_FALSE(scene.link.take(CommandType::close_call).empty());
    scene.close(0, EndReason::none);
    CHECK(scene.last_end() == EndReason::lost);
  }
  SECTION("on hold as well") {
    scene.card(0).media.held = true;
    scene.wait(kSession + CallStore::kKeepEvery);
    CHECK_FALSE(scene.link.take(CommandType::close_call).empty());
  }
  SECTION("and one that never had media") {
    scene.card(0).pinhole_count = 0;
    scene.wait(kSession + CallStore::kKeepEvery);
    CHECK_FALSE(scene.link.take(CommandType::close_call).empty());
  }
  SECTION("but not one that is renewed in time") {
    scene.wait(kSession / 2);
    scene.card(0).session_until = scene.link.now_tick + nat::ticks_from_s(kSession.count());
    scene.wait(kSession - 100s);
    CHECK(scene.link.take(CommandType::close_call).empty());
  }
  SECTION("but not one whose media passes, until that is idle") {
    scene.wait(kSession);
    scene.link.last_media = scene.link.now_tick;
    scene.wait(CallStore::kMediaIdle - 1s);
    CHECK(scene.link.take(CommandType::close_call).empty());
    scene.wait(1s + CallStore::kKeepEvery);
    CHECK_FALSE(scene.link.take(CommandType::close_call).empty());
  }
}

}  // namespace

}  // namespace pinhole::control
