// SPDX-License-Identifier: BSD-3-Clause
#pragma once
// A BYE in the name of one end of a dialog, for the other one. All texts are in the words of who it is for.
// Source: RFC 3261 sections 12.2.1.1 and 15.1.1.

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "nat/endpoint.hpp"

namespace pinhole::alg::sip {

struct Bye {
  std::string_view target;  // URI: the Contact of who it is for
  std::string_view routes;  // Route, its items in the order of the way; empty: there are none
  std::string_view from;    // with the tag of the end that is spoken for
  std::string_view to;      // with the tag of who it is for
  std::string_view call_id;
  std::uint32_t cseq = 0;
  nat::Protocol protocol = nat::Protocol::udp;
  nat::Endpoint sent_by;
  std::string_view branch;
};

/// Whether a text may stand in a message that is written anew: nothing in it ends a line.
[[nodiscard]] bool is_one_line(std::string_view text) noexcept;
/// Whether it may stand in a request line: no white space either.
[[nodiscard]] bool is_one_word(std::string_view text) noexcept;

/// \return the request, which lies in `to`; empty when it does not fit there
[[nodiscard]] std::string_view write_bye(const Bye& bye, std::span<char> to) noexcept;

/// Where a request is sent: to what its first Route names, else its target. \return none for a name
[[nodiscard]] std::optional<nat::Endpoint> next_hop_of(std::string_view routes,
                                                       std::string_view target) noexcept;

}  // namespace pinhole::alg::sip
