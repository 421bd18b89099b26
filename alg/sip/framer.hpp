// SPDX-License-Identifier: BSD-3-Clause
#pragma once
// Finds SIP messages in a stream (RFC 3261 section 18.3): a start line of SIP, header lines, the empty line,
// and as many bytes as Content-Length says; an absent one stands for none. Line ends and zero bytes between
// messages are keep-alives (RFC 5626 section 4.4.1).
//
// Invariant: a byte is looked at once. Whatever does not begin like SIP is known by its first bytes, so that
// nobody waits for an answer to what is held: a method that HTTP has, a character that no method has, a
// Request-URI that does not begin with a scheme.

#include <string_view>

#include "alg/stream/framer.hpp"

namespace pinhole::alg::sip {

class SipFramer final : public stream::Framer {
 public:
  /// Headers that are longer are those of another protocol.
  static constexpr std::uint32_t kMaxHeaders = 32768;

  [[nodiscard]] stream::Frame feed(stream::FramerState& state,
                                   std::string_view fresh) const noexcept override;
};

}  // namespace pinhole::alg::sip
