// SPDX-License-Identifier: BSD-3-Clause
#pragma once
// What an administrator decides about SIP. The defaults change no more than has to be changed.

#include <cstdint>
#include <span>
#include <string_view>

#include "alg/alg.hpp"
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

/// What becomes of User-Agent and Server in what leaves: they tell which software runs inside.
enum class Software : std::uint8_t {
  keep,
  replace,  // by one text for all
  strip,
};

/// How the media of a call between two hosts of the inside goes, when its signalling passed outside.
enum class LocalMedia : std::uint8_t {
  hairpin,  // through the translator, to the external endpoints that the descriptions name
  direct,   // from host to host: descriptions that come back in name inside endpoints again
};

struct Policy {
  Malformed malformed = Malformed::forward;
  bool hide_parties = false;  // inside addresses as hosts of From, To and Warning
  bool hide_call_id = false;  // inside addresses as hosts of Call-IDs, wherever they are named
  AssertedIdentity asserted_identity = AssertedIdentity::keep;
  Software software = Software::keep;
  std::string_view software_name;            // what stands in place of it; outlives the policy
  std::span<const nat::Prefix> transparent;  // peers whose messages are not touched (requirement AC-04)
  HostTokens tokens;
  LocalMedia local_media = LocalMedia::hairpin;

  [[nodiscard]] bool hides_software(Direction direction) const noexcept {
    return software != Software::keep && direction == Direction::outbound;
  }
  [[nodiscard]] bool strips_identity(Direction direction) const noexcept {
    return asserted_identity == AssertedIdentity::strip ||
           asserted_identity == (direction == Direction::outbound ? AssertedIdentity::strip_outbound
                                                                  : AssertedIdentity::strip_inbound);
  }
};

}  // namespace pinhole::alg::sip
