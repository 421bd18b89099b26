// SPDX-License-Identifier: BSD-3-Clause
// Calls that are hung up: by an operator, and by control itself.
#include "tests/control/call_scene.hpp"

namespace pinhole::control {

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
  CHECK_FALSE(scene.link.take(CommandType::close_call).empty());
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

TEST_CASE("what control ends is hung up, or only closed when the configuration says so",
          "[control][call_store][hangup]") {
  for (const bool hangs_up : {true, false}) {
    DYNAMIC_SECTION((hangs_up ? "hung up" : "closed")) {
      config::Calls calls;
      calls.max_duration_s = 60;
      Scene scene(calls, hangs_up);
      scene.answer_call(3, 0xab);
      scene.wait(61s);
      const auto hung_up = scene.link.take(CommandType::hang_up);
      const auto closed = scene.link.take(CommandType::close_call);
      CHECK(hung_up.empty() == !hangs_up);
      CHECK(closed.empty() == hangs_up);
      CHECK((hangs_up ? hung_up : closed).at(0).command.reason == EndReason::max_duration);
    }
  }
}

}  // namespace pinhole::control
