// SPDX-License-Identifier: BSD-3-Clause
#include "control/call_deadlines.hpp"

#include <catch2/catch.hpp>

namespace pinhole::control {

namespace {

using ipc::CallState;
using ipc::EndReason;

constexpr nat::Tick kNow = 1'000'000;

constexpr nat::Tick ago_s(std::uint32_t seconds) {
  return kNow - nat::ticks_from_s(seconds);
}
constexpr nat::Tick in_s(std::uint32_t seconds) {
  return kNow + nat::ticks_from_s(seconds);
}

/// Answered a minute ago, media as agreed, the last packet ten seconds ago.
struct Talk {
  Talk() {
    card.step.state = CallState::confirmed;
    card.created = ago_s(70);
    card.answered = ago_s(60);
    card.last_message = ago_s(60);
    card.media.agreed = true;
  }
  ipc::CallCard card;
  MediaActivity media{.open = 2, .last_seen = ago_s(10)};
  config::Calls calls;
};

}  // namespace

TEST_CASE("the first of a call's deadlines counts", "[control][call_deadlines]") {
  struct Case {
    const char* what;
    void (*change)(Talk&);
    nat::Tick at;
    EndReason reason;
  };
  const auto row = GENERATE(
      Case{"by default, media that falls silent", [](Talk&) {}, in_s(110), EndReason::media_silence},
      Case{"the limit of a call", [](Talk& talk) { talk.calls.max_duration_s = 100; }, in_s(40),
           EndReason::max_duration},
      Case{"the same of a call that was met in the middle",
           [](Talk& talk) {
             talk.calls.max_duration_s = 100;
             talk.card.answered = 0;
           },
           in_s(30), EndReason::max_duration},
      Case{"no ACK", [](Talk& talk) { talk.card.step.state = CallState::answered; }, ago_s(28),
           EndReason::no_ack},
      Case{"media that was agreed on long before the answer begins with it",
           [](Talk& talk) {
             talk.media.last_seen = ago_s(500);
             talk.card.answered = talk.card.last_message = ago_s(5);
           },
           in_s(115), EndReason::media_silence},
      Case{"signalling is a sign of life", [](Talk& talk) { talk.card.last_message = ago_s(1); }, in_s(119),
           EndReason::media_silence},
      Case{"on hold, a day", [](Talk& talk) { talk.card.media.held = true; }, in_s(43200 - 60),
           EndReason::max_duration},
      Case{"on hold without a limit",
           [](Talk& talk) {
             talk.card.media.held = true;
             talk.calls.max_duration_s = 0;
           },
           in_s(24 * 3600 - 10), EndReason::media_silence},
      Case{"media that was never agreed on", [](Talk& talk) { talk.card.media.agreed = false; }, in_s(7430),
           EndReason::media_silence},
      Case{"media that is shut already", [](Talk& talk) { talk.card.media_shut = true; }, in_s(7430),
           EndReason::media_silence},
      Case{"media that may be silent", [](Talk& talk) { talk.calls.media_inactivity_s = 0; }, in_s(7430),
           EndReason::media_silence},
      Case{"media that is only shut",
           [](Talk& talk) { talk.calls.media_inactivity = config::Inactivity::shut; }, in_s(7430),
           EndReason::media_silence},
      Case{"no media of ours", [](Talk& talk) { talk.media = {}; }, in_s(7380), EndReason::lost},
      Case{"a session timer that runs", [](Talk& talk) { talk.card.session_until = in_s(600); }, in_s(600),
           EndReason::session_timer},
      Case{"a session timer that has run out while media passes",
           [](Talk& talk) { talk.card.session_until = ago_s(5); }, in_s(110), EndReason::session_timer});
  DYNAMIC_SECTION(row.what) {
    Talk talk;
    row.change(talk);
    const auto deadline = deadline_of(talk.card, talk.media, talk.calls);
    CHECK(static_cast<std::int32_t>(deadline.at - row.at) == 0);
    CHECK(deadline.reason == row.reason);
  }
}

}  // namespace pinhole::control
