// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/ipc/call_state.hpp"

#include <catch2/catch.hpp>
#include <string>
#include <vector>

namespace pinhole::ipc {

namespace {

using alg::sip::Method;
using alg::sip::Summary;

Summary request(Method method) {
  Summary summary;
  summary.method = method;
  return summary;
}

Summary response(std::uint16_t status, Method method) {
  Summary summary;
  summary.method = method;
  summary.status = status;
  return summary;
}

}  // namespace

TEST_CASE("a call moves through its states as its messages pass", "[ipc][call_state]") {
  struct Row {
    const char* name;
    std::vector<Summary> messages;
    CallState state;
    EndReason reason;
  };
  const auto invite = request(Method::invite);
  const auto ack = request(Method::ack);
  const auto bye = request(Method::bye);
  const auto trying = response(100, Method::invite);
  const auto alerting = response(180, Method::invite);
  const auto ok = response(200, Method::invite);
  const auto terminated = response(487, Method::invite);
  const auto cancel = request(Method::cancel);
  const auto cancel_ok = response(200, Method::cancel);
  const auto bye_ok = response(200, Method::bye);
  const std::vector<Row> rows = {
      {"an INVITE", {invite}, CallState::inviting, EndReason::none},
      {"100 says nothing", {invite, trying}, CallState::inviting, EndReason::none},
      {"180", {invite, trying, alerting}, CallState::ringing, EndReason::none},
      {"183", {invite, response(183, Method::invite)}, CallState::ringing, EndReason::none},
      {"200", {invite, alerting, ok}, CallState::answered, EndReason::none},
      {"200 at once", {invite, ok}, CallState::answered, EndReason::none},
      {"ACK", {invite, alerting, ok, ack}, CallState::confirmed, EndReason::none},
      {"BYE", {invite, ok, ack, bye}, CallState::ending, EndReason::bye},
      {"BYE answered", {invite, ok, ack, bye, bye_ok}, CallState::ended, EndReason::bye},
      {"BYE answered by 481",
       {invite, ok, ack, bye, response(481, Method::bye)},
       CallState::ended,
       EndReason::bye},
      {"BYE challenged",
       {invite, ok, ack, bye, response(407, Method::bye)},
       CallState::ending,
       EndReason::bye},
      {"BYE of an early dialog", {invite, alerting, bye}, CallState::ending, EndReason::bye},
      {"... and its 487", {invite, alerting, bye, terminated}, CallState::ending, EndReason::bye},
      {"... and its 200", {invite, alerting, bye, terminated, bye_ok}, CallState::ended, EndReason::bye},
      {"CANCEL alone", {invite, alerting, cancel}, CallState::ringing, EndReason::none},
      {"CANCEL accepted", {invite, alerting, cancel, cancel_ok}, CallState::ringing, EndReason::none},
      {"CANCEL and 487",
       {invite, alerting, cancel, cancel_ok, terminated},
       CallState::ended,
       EndReason::cancelled},
      {"CANCEL that crosses a 200",
       {invite, alerting, cancel, ok, ack},
       CallState::confirmed,
       EndReason::none},
      {"refused", {invite, alerting, response(486, Method::invite)}, CallState::ended, EndReason::failed},
      {"refused and acknowledged",
       {invite, response(603, Method::invite), ack},
       CallState::ended,
       EndReason::failed},
      {"challenged", {invite, response(407, Method::invite), ack}, CallState::ended, EndReason::failed},
      {"tried again",
       {invite, response(407, Method::invite), ack, invite},
       CallState::inviting,
       EndReason::none},
      {"tried again, answered",
       {invite, response(401, Method::invite), ack, invite, alerting, ok, ack},
       CallState::confirmed,
       EndReason::none},
      {"re-INVITE", {invite, ok, ack, invite}, CallState::confirmed, EndReason::none},
      {"re-INVITE answered",
       {invite, ok, ack, invite, trying, ok, ack},
       CallState::confirmed,
       EndReason::none},
      {"re-INVITE refused",
       {invite, ok, ack, invite, response(488, Method::invite)},
       CallState::confirmed,
       EndReason::none},
      {"re-INVITE cancelled",
       {invite, ok, ack, invite, cancel, terminated},
       CallState::confirmed,
       EndReason::none},
      {"INVITE again while it rings", {invite, alerting, invite}, CallState::ringing, EndReason::none},
      {"180 again after the answer", {invite, ok, alerting}, CallState::answered, EndReason::none},
      {"200 again after the ACK", {invite, ok, ack, ok}, CallState::confirmed, EndReason::none},
      {"200 again after the BYE", {invite, ok, ack, bye, ok, ack}, CallState::ending, EndReason::bye},
      {"BYE again after its 200", {invite, ok, ack, bye, bye_ok, bye}, CallState::ended, EndReason::bye},
      {"487 again", {invite, cancel, terminated, terminated}, CallState::ended, EndReason::cancelled},
      {"an INVITE that comes late after BYE",
       {invite, ok, ack, bye, bye_ok, invite},
       CallState::ended,
       EndReason::bye},
      {"hunted: cancelled, and tried at the next end",
       {invite, alerting, cancel, cancel_ok, terminated, ack, invite, ok, ack},
       CallState::confirmed,
       EndReason::none},
      {"forked: one is busy, another one rings",
       {invite, invite, response(486, Method::invite), ack, alerting},
       CallState::ringing,
       EndReason::none},
      {"forked: one is busy, another one answers",
       {invite, invite, response(486, Method::invite), ack, ok, ack},
       CallState::confirmed,
       EndReason::none},
      {"forked: one is busy, and so is the other",
       {invite, invite, response(486, Method::invite), response(480, Method::invite)},
       CallState::ended,
       EndReason::failed},
      {"a 200 that crosses a CANCEL, and comes after the 487 of a proxy",
       {invite, alerting, cancel, terminated, ok},
       CallState::answered,
       EndReason::none},
      {"PRACK, UPDATE and INFO",
       {invite, alerting, request(Method::prack), request(Method::update), response(200, Method::prack),
        request(Method::info)},
       CallState::ringing,
       EndReason::none},
      {"ACK lost, BYE comes", {invite, ok, bye, bye_ok}, CallState::ended, EndReason::bye},
  };
  for (const auto& row : rows) {
    DYNAMIC_SECTION(row.name) {
      CallStep step;
      for (const auto& message : row.messages) step = next(step, message);
      CHECK(name(step.state) == name(row.state));
      CHECK(name(step.reason) == name(row.reason));
    }
  }
}

TEST_CASE("a branch of an INVITE ends a call when it was the last, and what comes late begins none",
          "[ipc][call_state][AC-19][rfc3261]") {
  constexpr CallStep kRinging{CallState::ringing, EndReason::none};
  constexpr CallStep kCancelled{CallState::ended, EndReason::cancelled};
  constexpr CallStep kBusy{CallState::ended, EndReason::failed};
  struct Row {
    const char* name;
    CallStep now;
    Summary message;
    Branches branches;
    CallStep after;
  };
  const Row rows[] = {
      {"busy, while another rings", kRinging, response(486, Method::invite), {.others = true}, kRinging},
      {"cancelled, while another rings", kRinging, response(487, Method::invite), {.others = true}, kRinging},
      {"busy, the last", kRinging, response(486, Method::invite), {}, kBusy},
      {"an INVITE sent again after CANCEL", kCancelled, request(Method::invite), {.open = false}, kCancelled},
      {"an INVITE sent again after 486", kBusy, request(Method::invite), {.open = false}, kBusy},
      {"180 that 486 overtook", kBusy, response(180, Method::invite), {.open = false}, kBusy},
      {"100 of another branch", kBusy, response(100, Method::invite), {}, {}},
      {"486 again", kBusy, response(486, Method::invite), {.open = false}, kBusy},
  };
  for (const auto& row : rows) {
    DYNAMIC_SECTION(row.name) {
      const auto after = next(row.now, row.message, row.branches);
      CHECK(name(after.state) == name(row.after.state));
      CHECK(name(after.reason) == name(row.after.reason));
    }
  }
}

TEST_CASE("what ended by time stays ended whatever comes", "[ipc][call_state]") {
  for (const auto reason : {EndReason::no_answer, EndReason::media_silence, EndReason::lost}) {
    const CallStep over{CallState::ended, reason};
    for (const auto& message : {request(Method::invite), request(Method::bye), response(200, Method::invite),
                                response(200, Method::bye)}) {
      CHECK(next(over, message).state == CallState::ended);
      CHECK(next(over, message).reason == reason);
    }
  }
}

TEST_CASE("a call that Pinhole is ending ends for Pinhole's reason, whoever says BYE as well",
          "[ipc][call_state][hangup]") {
  const CallStep ending{CallState::ending, EndReason::by_operator};
  CHECK(next(ending, request(Method::bye)).state == CallState::ending);
  CHECK(next(ending, request(Method::bye)).reason == EndReason::by_operator);
  CHECK(next(ending, response(200, Method::bye)).state == CallState::ended);
  CHECK(next(ending, response(200, Method::bye)).reason == EndReason::by_operator);
}

TEST_CASE("every state and reason has a name of its own", "[ipc][call_state]") {
  std::vector<std::string> names;
  for (int state = 0; state <= static_cast<int>(CallState::ended); ++state) {
    names.emplace_back(name(static_cast<CallState>(state)));
  }
  CHECK(names == std::vector<std::string>{"inviting", "ringing", "answered", "confirmed", "ending", "ended"});
  names.clear();
  for (int reason = 0; reason <= static_cast<int>(EndReason::by_operator); ++reason) {
    names.emplace_back(name(static_cast<EndReason>(reason)));
  }
  CHECK(names == std::vector<std::string>{"none", "bye", "cancelled", "failed", "no_answer", "media_silence",
                                          "lost", "operator"});
}

}  // namespace pinhole::ipc
