// SPDX-License-Identifier: BSD-3-Clause
#include "control/call_deadlines.hpp"

namespace pinhole::control {

namespace {

using ipc::EndReason;

constexpr nat::Tick later(nat::Tick a, nat::Tick b) noexcept {
  return nat::reached(a, b) ? b : a;
}

constexpr nat::Tick ticks(std::chrono::seconds time) noexcept {
  return nat::ticks_from_s(static_cast<std::uint32_t>(time.count()));
}

/// Nothing is silent for too long before the parties' own promise has run out (RFC 4028 section 10).
nat::Tick after_session(const ipc::CallCard& card, nat::Tick at) noexcept {
  return card.session_until == 0 ? at : later(at, card.session_until);
}

}  // namespace

std::optional<nat::Tick> silent_at(const ipc::CallCard& card, const MediaActivity& media,
                                   const config::Calls& calls) noexcept {
  const bool is_to_flow = card.media.agreed && !card.media.held && !card.media_shut;
  if (calls.media_inactivity_s == 0 || !is_to_flow || !media.last_seen) return std::nullopt;
  // Whoever signals is there; what is agreed on may begin with the last message, or go on with it.
  const auto heard = later(card.last_message, *media.last_seen);
  return after_session(card, heard + nat::ticks_from_s(calls.media_inactivity_s));
}

Deadline deadline_of(const ipc::CallCard& card, const MediaActivity& media,
                     const config::Calls& calls) noexcept {
  const auto heard = media.last_seen ? later(card.last_message, *media.last_seen) : card.last_message;
  Deadline first{.at = after_session(card, heard + ticks(card.media.held ? kHeldSilence : kSilence)),
                 .reason = media.last_seen ? EndReason::media_silence : EndReason::lost};
  const auto consider = [&](nat::Tick at, EndReason reason) noexcept {
    if (nat::reached(at, first.at) && at != first.at) first = {at, reason};
  };
  // A call that was met in the middle has no answer.
  const auto begun = card.answered != 0 ? card.answered : card.created;
  if (calls.max_duration_s != 0)
    consider(begun + nat::ticks_from_s(calls.max_duration_s), EndReason::max_duration);
  if (card.step.state == ipc::CallState::answered)
    consider(begun + nat::ticks_from_s(calls.answer_ack_s), EndReason::no_ack);
  if (card.session_until != 0) {
    const auto idle = media.last_seen ? *media.last_seen + ticks(kMediaIdle) : card.session_until;
    consider(later(card.session_until, idle), EndReason::session_timer);
  }
  if (const auto silent = silent_at(card, media, calls);
      silent && calls.media_inactivity == config::Inactivity::end)
    consider(*silent, EndReason::media_silence);
  return first;
}

}  // namespace pinhole::control
