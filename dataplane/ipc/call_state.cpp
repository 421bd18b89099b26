// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/ipc/call_state.hpp"

namespace pinhole::ipc {

namespace {

using alg::sip::Method;

constexpr std::uint16_t kTrying = 100;
constexpr std::uint16_t kUnauthorized = 401;
constexpr std::uint16_t kProxyAuthenticationRequired = 407;
constexpr std::uint16_t kRequestTerminated = 487;

constexpr bool is_setting_up(CallState state) noexcept {
  return state == CallState::inviting || state == CallState::ringing;
}

/// Whether a call has ended before it began, which is the word of one branch of its INVITE.
constexpr bool is_refused(CallStep now) noexcept {
  return now.state == CallState::ended &&
         (now.reason == EndReason::failed || now.reason == EndReason::cancelled);
}

CallStep after_request(CallStep now, Method method, Branches branches) noexcept {
  switch (method) {
    case Method::invite:
      // The same call tried again: with credentials, where a 3xx pointed to, or by a proxy that hunts.
      if (is_refused(now) && branches.open) return {};
      return now;
    case Method::ack:
      if (now.state == CallState::answered) return {CallState::confirmed, EndReason::none};
      return now;
    case Method::bye:
      // Before the answer too: a caller may end an early dialog by BYE (RFC 3261 section 15).
      if (now.state != CallState::ended && now.state != CallState::ending)
        return {CallState::ending, EndReason::bye};
      return now;
    default:
      // CANCEL changes nothing by itself: the INVITE may be answered all the same, or ends with 487.
      return now;
  }
}

CallStep after_invite_response(CallStep now, std::uint16_t status, Branches branches) noexcept {
  const bool was_refused = is_refused(now);
  if (!is_setting_up(now.state) && !was_refused) return now;
  if (status < 200) {
    if (was_refused ? !branches.open : status <= kTrying) return now;
    return {status <= kTrying ? CallState::inviting : CallState::ringing, EndReason::none};
  }
  // Who has refused does not bring the call back by himself.
  if (status < 300)
    return was_refused && !branches.open ? now : CallStep{CallState::answered, EndReason::none};
  if (was_refused || branches.others) return now;
  return {CallState::ended, status == kRequestTerminated ? EndReason::cancelled : EndReason::failed};
}

CallStep after_bye_response(CallStep now, std::uint16_t status) noexcept {
  const bool final = status >= 200;
  const bool challenge = status == kUnauthorized || status == kProxyAuthenticationRequired;
  if (now.state == CallState::ended || !final || challenge) return now;
  return {CallState::ended, now.state == CallState::ending ? now.reason : EndReason::bye};
}

}  // namespace

std::string_view name(CallState state) noexcept {
  switch (state) {
    case CallState::inviting:
      return "inviting";
    case CallState::ringing:
      return "ringing";
    case CallState::answered:
      return "answered";
    case CallState::confirmed:
      return "confirmed";
    case CallState::ending:
      return "ending";
    case CallState::ended:
      return "ended";
  }
  return "?";
}

std::string_view name(EndReason reason) noexcept {
  switch (reason) {
    case EndReason::none:
      return "none";
    case EndReason::bye:
      return "bye";
    case EndReason::cancelled:
      return "cancelled";
    case EndReason::failed:
      return "failed";
    case EndReason::no_answer:
      return "no_answer";
    case EndReason::media_silence:
      return "media_silence";
    case EndReason::lost:
      return "lost";
    case EndReason::by_operator:
      return "operator";
    case EndReason::no_ack:
      return "no_ack";
    case EndReason::max_duration:
      return "max_duration";
    case EndReason::session_timer:
      return "session_timer";
  }
  return "?";
}

CallStep next(CallStep now, const alg::sip::Summary& message, Branches branches) noexcept {
  if (message.is_request()) return after_request(now, message.method, branches);
  if (message.method == Method::invite) return after_invite_response(now, message.status, branches);
  if (message.method == Method::bye) return after_bye_response(now, message.status);
  return now;
}

}  // namespace pinhole::ipc
