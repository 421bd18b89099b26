// SPDX-License-Identifier: BSD-3-Clause
// What is known of calls when events were lost, and after control or the data plane was started again.
#include <tuple>

#include "control/handover.hpp"
#include "tests/control/call_scene.hpp"

namespace pinhole::control {

namespace {

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
  const auto invite = scene.event_of(0, "INVITE");
  const auto of_a_dead_call = scene.event_of(1, "INVITE");
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

  CallStore next({}, kLinger, scene.counters);
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

TEST_CASE("what was measured of media is handed over", "[control][call_store][handover][rtp]") {
  CallRecord record;
  record.step.state = CallState::ended;
  record.media.push_back({.inside = {},
                          .external = {},
                          .remote = {},
                          .before = {.packets_out = 1, .packets_in = 2, .bytes = 3, .measured = {}},
                          .usage = {.packets_out = 4,
                                    .packets_in = 5,
                                    .bytes = 6,
                                    .measured = Measured{.bytes_out = 7,
                                                         .bytes_in = 8,
                                                         .rtp_out = RtpRow{.packets = 9,
                                                                           .lost = 10,
                                                                           .repeated = 11,
                                                                           .sources = 12,
                                                                           .jitter_us = 13,
                                                                           .jitter_max_us = 14,
                                                                           .gap_max_us = 15},
                                                         .rtp_in = {}}}});
  const auto taken = decode(encode(Handover{.status = {}, .calls = {record}}));
  REQUIRE(taken);
  REQUIRE(taken->calls.at(0).media.size() == 1);
  const auto& media = taken->calls[0].media[0];
  CHECK(media.before.bytes == 3);
  CHECK_FALSE(media.before.measured);
  CHECK(media.usage.packets_in == 5);
  REQUIRE(media.usage.measured);
  CHECK(media.usage.measured->bytes_out == 7);
  CHECK(media.usage.measured->bytes_in == 8);
  CHECK_FALSE(media.usage.measured->rtp_in);
  REQUIRE(media.usage.measured->rtp_out);
  const auto& rtp = *media.usage.measured->rtp_out;
  CHECK(std::tuple{rtp.packets, rtp.lost, rtp.repeated, rtp.sources} == std::tuple{9U, 10U, 11U, 12U});
  CHECK(std::tuple{rtp.jitter_us, rtp.jitter_max_us, rtp.gap_max_us} == std::tuple{13U, 14U, 15U});
}

TEST_CASE("deadlines go on from where they were when control is started again",
          "[control][call_store][resync][AC-28]") {
  Scene scene({.max_duration_s = 100, .ringing_s = 50});
  scene.open(0, 1, CallState::confirmed);
  scene.card(0).created = scene.card(0).answered = scene.link.now_tick - nat::ticks_from_s(90);
  scene.open(1, 2, CallState::ringing);
  scene.card(1).created = scene.card(1).last_message = scene.link.now_tick - nat::ticks_from_s(45);
  scene.resync();
  scene.wait(4800ms);
  CHECK(scene.link.take(CommandType::close_call).empty());
  scene.wait(300ms);
  auto closed = scene.link.take(CommandType::close_call);
  REQUIRE(closed.size() == 1);
  CHECK(closed[0].command.card == 1);
  CHECK(closed[0].command.reason == EndReason::no_answer);
  scene.close(1, EndReason::no_answer);
  scene.wait(4900ms);
  closed = scene.link.take(CommandType::close_call);
  REQUIRE(closed.size() == 1);
  CHECK(closed[0].command.reason == EndReason::max_duration);
}

TEST_CASE("a call that began and ended without control has its record, once",
          "[control][call_store][resync]") {
  Scene scene;
  scene.open(0, 1, CallState::ended);
  scene.card(0).created = scene.link.now_tick - nat::ticks_from_s(60);
  scene.card(0).answered = scene.link.now_tick - nat::ticks_from_s(50);
  SECTION("from its card") {
    scene.close(0, EndReason::bye);
    scene.close(0, EndReason::bye);
    REQUIRE(scene.told.size() == 1);
    CHECK(scene.told[0].call_id == "1@test");
    CHECK(scene.told[0].from_uri == "sip:alice@in");
    CHECK(scene.told[0].started == scene.link.moment.wall - 60s);
    CHECK(scene.told[0].answered == scene.link.moment.wall - 50s);
    CHECK(scene.told[0].step.reason == EndReason::bye);
  }
  SECTION("with its id alone, when the card is in use again") {
    const auto generation = scene.card(0).generation;
    scene.close(0, EndReason::bye);
    scene.told.clear();
    scene.open(0, 2);
    ipc::Event late;
    late.type = ipc::EventType::call_closed;
    late.closed = {.call_hash = 9, .card = 0, .card_generation = generation, .reason = EndReason::bye};
    scene.tell(late);
    REQUIRE(scene.told.size() == 1);
    CHECK(scene.told[0].hash == 9);
    CHECK(scene.told[0].call_id.empty());
  }
}

TEST_CASE("a call is told of as over once, whoever holds its record", "[control][call_store][handover]") {
  Scene scene;
  scene.open(0, 1);
  scene.message(0, "486 Busy Here", CallState::ended, EndReason::failed);
  scene.close(0, EndReason::none);
  scene.open(1, 2);
  scene.message(1, "486 Busy Here", CallState::ended, EndReason::failed);  // its ports linger
  scene.open(2, 3);
  scene.message(2, "INVITE", CallState::inviting);
  REQUIRE(scene.told.size() == 1);

  auto taken = decode(encode(Handover{.status = {}, .calls = scene.store.records()}));
  REQUIRE(taken);
  std::vector<std::uint64_t> told;
  CallStore next({}, kLinger, scene.counters);
  next.on_ended([&](const CallRecord& call) { told.push_back(call.hash); });
  next.restore(std::move(taken->calls));
  CHECK(told == std::vector<std::uint64_t>{2});
  test::FakeLink fresh(1, kCards);
  next.attach(fresh, fresh.moment);
  CHECK(told == std::vector<std::uint64_t>{2, 3});
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
  auto event = scene.event_of(0, "INVITE");
  event.worker = ipc::kMaxWorkers;
  scene.tell(event);
  CHECK(scene.store.size() == 0);
}

}  // namespace

}  // namespace pinhole::control
