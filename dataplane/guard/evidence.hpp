// SPDX-License-Identifier: BSD-3-Clause
#pragma once
// What a message says of its sender in headers that nobody translates. Views point into the message.

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace pinhole::dataplane {

struct Evidence {
  static constexpr std::size_t kMostAgents = 4;

  std::array<std::string_view, kMostAgents> user_agents;  // empty from the first that there is not
  bool too_many_agents = false;                           // there was one more
  std::string_view credentials;                           // of Authorization or Proxy-Authorization
  std::string_view challenge;                             // of WWW-Authenticate or Proxy-Authenticate
};

/// Reads the header lines: the first of each kind, but every User-Agent. Cost: a look at each byte for line
/// ends, and one at each name.
[[nodiscard]] Evidence read_evidence(std::string_view message) noexcept;

/// A parameter of a challenge or of credentials, without its quotes (RFC 7616 section 3.3 and 3.4).
/// \return empty when there is none
[[nodiscard]] std::string_view digest_param(std::string_view value,
                                            std::string_view lower_case_name) noexcept;

/// A text that others are looked for in, in whatever case.
class AnyCase {
 public:
  static constexpr std::size_t kMostBytes = 256;  // what is longer is cut

  explicit AnyCase(std::string_view text) noexcept;
  /// Cost: mostly a look at two pairs of characters.
  [[nodiscard]] bool contains(std::string_view part) const noexcept;

 private:
  /// A bit for a pair of characters: what has a pair that the text has not is not in it.
  [[nodiscard]] static std::uint64_t bit_of(char first, char second) noexcept;

  std::array<char, kMostBytes> lower_;
  std::size_t size_;
  std::uint64_t pairs_ = 0;
};

/// Who a URI names, without scheme, parameters and headers: "alice@example.com".
[[nodiscard]] std::string_view subscriber_of(std::string_view uri) noexcept;

}  // namespace pinhole::dataplane
