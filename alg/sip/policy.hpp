// SPDX-License-Identifier: BSD-3-Clause
#pragma once
// What an administrator decides about SIP. The defaults change no more than has to be changed.

#include <cstdint>
#include <span>

#include "alg/sip/host_token.hpp"
#include "nat/endpoint.hpp"

namespace pinhole::alg::sip {

/// What becomes of a message that begins like SIP and cannot be read.
enum class Malformed : std::uint8_t {
  forward,  // untouched: its receiver says what is wrong with it (requirement AC-20)
  drop,
};

/// Where P-Asserted-Identity is taken out, because the other side is not trusted (RFC 3325 section 5).
enum class AssertedIdentity : std::uint8_t { keep, strip_outbound, strip_inbound, strip };

struct Policy {
  Malformed malformed = Malformed::forward;
  bool hide_parties = false;  // inside addresses as hosts of From, To and Warning
  bool hide_call_id = false;  // inside addresses as hosts of Call-IDs, wherever they are named
  AssertedIdentity asserted_identity = AssertedIdentity::keep;
  std::span<const nat::Prefix> transparent;  // peers whose messages are not touched (requirement AC-04)
  HostTokens tokens;
};

}  // namespace pinhole::alg::sip
