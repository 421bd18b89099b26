// SPDX-License-Identifier: BSD-3-Clause
#pragma once
// The life of a call as both processes see it: one table, so that a worker's card and control's record agree.
// Source: RFC 3261 sections 12 to 17, seen from the middle.

#include <cstdint>
#include <string_view>

#include "alg/sip/summary.hpp"

namespace pinhole::ipc {

enum class CallState : std::uint8_t {
  inviting,   // INVITE seen, no answer yet
  ringing,    // 18x seen
  answered,   // 2xx to INVITE seen, ACK not yet
  confirmed,  // ACK seen
  ending,     // BYE seen, its answer not yet
  ended,      // over: `EndReason` says why
};

enum class EndReason : std::uint8_t {
  none,
  bye,
  cancelled,
  failed,         // 3xx to 6xx to the first INVITE
  no_answer,      // set up but never answered nor refused in time
  media_silence,  // every pinhole of the call was idle for longer than its time-out
  lost,           // nothing was heard of it for so long that it must be over
  by_operator,    // somebody has hung up for both sides (pinholectl hangup)
  no_ack,         // answered, but the answer was not acknowledged in time
  max_duration,   // as long as a call may be
  session_timer,  // neither side renewed the session in time (RFC 4028)
};

struct CallStep {
  CallState state = CallState::inviting;
  EndReason reason = EndReason::none;
};

/// What is known beside a message of the INVITE that it is, or answers: a proxy that forks sends several of
/// one call (RFC 3261 section 16.6).
struct Branches {
  bool open = true;     // it waits for its final response: nothing comes late
  bool others = false;  // others have been heard of, and wait for theirs
};

[[nodiscard]] std::string_view name(CallState state) noexcept;
[[nodiscard]] std::string_view name(EndReason reason) noexcept;

/// The state after a message of the call. One that failed or was cancelled and is tried again with the same
/// Call-ID (401, 407, 422..., or the next end that a proxy knows) goes back to inviting; it does not fail as
/// long as another branch lives, and one that is answered lives whatever became of the others. A failed
/// re-INVITE leaves a confirmed call as it is.
[[nodiscard]] CallStep next(CallStep now, const alg::sip::Summary& message, Branches branches = {}) noexcept;

}  // namespace pinhole::ipc
