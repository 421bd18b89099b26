// SPDX-License-Identifier: BSD-3-Clause
// How calls are followed and shown.
#include "control/handover.hpp"
#include "tests/control/call_scene.hpp"

namespace pinhole::control {

namespace {

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

TEST_CASE("what was done to a message is told with it, and what got lost is counted",
          "[control][call_store][AC-25]") {
  Scene scene;
  scene.open(0, 1);
  auto told = scene.event_of(0, "INVITE");
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
    auto told = scene.event_of(0, "INFO");
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

}  // namespace

}  // namespace pinhole::control
