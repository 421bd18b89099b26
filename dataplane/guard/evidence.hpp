// SPDX-License-Identifier: BSD-3-Clause
#pragma once
// What a message says of its sender in headers that nobody translates. Views point into the message.

#include <string_view>

namespace pinhole::dataplane {

struct Evidence {
  std::string_view user_agent;
  std::string_view credentials;  // of Authorization or Proxy-Authorization
  std::string_view challenge;    // of WWW-Authenticate or Proxy-Authenticate
};

/// Reads the header lines, the first of each kind. Cost: a look at each byte for line ends, and one at each
/// name.
[[nodiscard]] Evidence read_evidence(std::string_view message) noexcept;

/// A parameter of a challenge or of credentials, without its quotes (RFC 7616 section 3.3 and 3.4).
/// \return empty when there is none
[[nodiscard]] std::string_view digest_param(std::string_view value,
                                            std::string_view lower_case_name) noexcept;

/// Whether a text has another in it, in whatever case. Cost: their product at worst; a header is cut at 256
/// bytes.
[[nodiscard]] bool contains_in_any_case(std::string_view text, std::string_view part) noexcept;

/// Who a URI names, without scheme, parameters and headers: "alice@example.com".
[[nodiscard]] std::string_view subscriber_of(std::string_view uri) noexcept;

}  // namespace pinhole::dataplane
