// SPDX-License-Identifier: BSD-3-Clause
#pragma once
// How commands and replies write where a data connection goes: six numbers (RFC 959), an address with its
// family (EPRT) or a port alone (229; both RFC 2428).

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

#include "alg/plugin.h"
#include "alg/sip/line_builder.hpp"

namespace pinhole::alg::ftp {

using EndpointLine = sip::LineBuilder<64>;

/// An endpoint, and the part of the text that it was written in.
struct Written {
  pinhole_endpoint endpoint{};
  std::size_t begin = 0;
  std::size_t end = 0;
};

/// The whole of an argument of PORT: h1,h2,h3,h4,p1,p2.
[[nodiscard]] std::optional<pinhole_endpoint> read_port(std::string_view argument) noexcept;
/// The first six numbers in the text of a reply, with parentheses or without (RFC 1123 section 4.1.2.6).
[[nodiscard]] std::optional<Written> find_numbers(std::string_view text) noexcept;
void write_numbers(EndpointLine& line, const pinhole_endpoint& endpoint) noexcept;

/// An argument of EPRT: |1|address|port|, with any delimiter.
struct ExtendedPort {
  bool is_ipv4 = false;
  pinhole_endpoint endpoint{};  // if it is
};
[[nodiscard]] std::optional<ExtendedPort> read_extended_port(std::string_view argument) noexcept;
void write_extended_port(EndpointLine& line, const pinhole_endpoint& endpoint) noexcept;

/// The port in the text of a reply: (|||port|), with any delimiter. The part is that of the number.
[[nodiscard]] std::optional<Written> find_extended(std::string_view text) noexcept;

}  // namespace pinhole::alg::ftp
