// SPDX-License-Identifier: BSD-3-Clause
#pragma once
// The answer to a request that goes no further: a response as a stateless server makes it, in the name of who
// the request was for. It is made of the request alone, so that the answer to one that is sent again is the
// same. Source: RFC 3261 sections 8.2.6, 8.2.7 and 18.2, RFC 3581 section 4.

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "alg/sip/message.hpp"
#include "nat/endpoint.hpp"

namespace pinhole::alg::sip {

struct Refusal {
  std::uint16_t status = 0;
  std::uint16_t retry_after_s = 0;  // 0: the response does not say
  nat::Endpoint source;             // where the request came from, on the side that it came from
  std::string_view to_tag;          // for a To that has none
};

/// \param request  read as far as it could be: an answer needs its start line, and the headers that a
/// response repeats
/// \return the response, which lies in `to`; empty when there is to be none (the request is an ACK, its first
/// Via cannot be read) or there is no room for it
[[nodiscard]] std::string_view write_refusal(const MessageView& request, const Refusal& refusal,
                                             std::span<char> to) noexcept;

/// The port that an answer by UDP goes to, at the address that the request came from.
/// \return none when the first Via cannot be read
[[nodiscard]] std::optional<nat::Be16> reply_port(const MessageView& request, nat::Be16 source) noexcept;

}  // namespace pinhole::alg::sip
