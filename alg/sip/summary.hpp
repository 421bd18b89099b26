// SPDX-License-Identifier: BSD-3-Clause
#pragma once
// What the rest of the house needs to know of a SIP message: the identity of its call and what it does to it.
// Views point into the message and live as long as its bytes.

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "nat/endpoint.hpp"

namespace pinhole::alg::sip {

enum class Method : std::uint8_t {
  other,
  invite,
  ack,
  bye,
  cancel,
  register_,
  options,
  prack,
  update,
  info,
  subscribe,
  notify,
  refer,
  message,
  publish
};

/// Why a message cannot be read.
enum class Defect : std::uint8_t {
  none,
  not_sip,           // does not begin like SIP
  start_line,        // a status that there is not
  unterminated,      // no empty line after the headers
  duplicate_header,  // From, To, Call-ID, CSeq or Content-Length stands twice
  too_many_headers,  // more than MessageView notes
  missing_header,    // no Via, From, To, Call-ID or CSeq
  cseq,              // neither a number nor a method
  content_length,    // no number
  short_body,        // it ends before its Content-Length
};
inline constexpr std::size_t kDefects = static_cast<std::size_t>(Defect::short_body) + 1;

/// A request has status 0. In a response `method` is the one of its CSeq.
struct Summary {
  Method method = Method::other;
  std::uint16_t status = 0;
  std::uint32_t cseq = 0;
  bool has_sdp = false;
  bool is_reliable = false;             // a provisional response that a PRACK answers (RFC 3262)
  std::uint32_t session_expires_s = 0;  // of Session-Expires (RFC 4028); 0: absent
  std::uint32_t expires_s = 0;          // of Expires; 0: absent, or at once
  std::string_view method_text;         // of the request line or CSeq, as written
  std::string_view reason;              // of the status line
  std::string_view branch;              // of the topmost Via of an INVITE and its responses, else empty
  std::string_view call_id;
  std::string_view from_tag;
  std::string_view to_tag;
  std::string_view from_uri;  // as written, with its parameters
  std::string_view to_uri;

  [[nodiscard]] constexpr bool is_request() const noexcept { return status == 0; }
};

/// What a message says, in the words of its sender, of how requests of its dialog get to that one: in an
/// INVITE or UPDATE, or in a 2xx to one.
struct DialogFacts {
  static constexpr std::size_t kMaxRoutes = 8;

  std::string_view call_id;
  std::string_view contact;                           // the URI of the first; empty: there is none
  std::array<std::string_view, kMaxRoutes> routes{};  // items of Record-Route, as they stand
  std::uint8_t route_count = 0;
  bool too_many_routes = false;
};

/// One contact of a 2xx to REGISTER that points to the inside.
struct Binding {
  std::string_view aor;                         // addr-spec of To
  nat::Protocol protocol = nat::Protocol::udp;  // over which the contact is reached
  nat::Endpoint inside{};
  nat::Endpoint external{};
  nat::Endpoint registrar{};
  std::uint32_t expires_s = 0;
};

}  // namespace pinhole::alg::sip
