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

CallStep after_request(CallStep now, Method method) noexcept {
  switch (method) {
    case Method::invite:
      // The same call tried again: with credentials, or where a 3xx pointed to.
      if (now.state == CallState::ended && now.reason == EndReason::failed) return {};
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

CallStep after_invite_response(CallStep now, std::uint16_t status) noexcept {
  if (!is_setting_up(now.state) || status <= kTrying) return now;
  if (status < 200) return {CallState::ringing, EndReason::none};
  if (status < 300) return {CallState::answered, EndReason::none};
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

CallStep next(CallStep now, const alg::sip::Summary& message) noexcept {
  if (message.is_request()) return after_request(now, message.method);
  if (message.method == Method::invite) return after_invite_response(now, message.status);
  if (message.method == Method::bye) return after_bye_response(now, message.status);
  return now;
}

}  // namespace pinhole::ipc
