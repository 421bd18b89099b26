// SPDX-License-Identifier: BSD-3-Clause
#pragma once
// Patterns of texts: `*` stands for any characters, `?` for one, every other character for itself.

#include <cstddef>
#include <string_view>

#include "alg/sip/chars.hpp"

namespace pinhole::alg::sip {

/// What stands further behind in a text is not compared: it bounds the work.
inline constexpr std::size_t kMaxGlobText = 1024;

/// \param exact_begin, exact_end  the part of the text where case counts
/// Cost: a step for each character of the text, and as many as the pattern is long at worst.
[[nodiscard]] constexpr bool fits_glob(std::string_view text, std::string_view pattern,
                                       std::size_t exact_begin = 0, std::size_t exact_end = 0) noexcept {
  if (text.size() > kMaxGlobText) text = slice(text, 0, kMaxGlobText);
  const auto same = [&](std::size_t at, char wanted) noexcept {
    const bool exact = at >= exact_begin && at < exact_end;
    return wanted == '?' || text[at] == wanted || (!exact && lower(text[at]) == lower(wanted));
  };
  constexpr auto kNone = ~std::size_t{0};
  std::size_t at = 0;
  std::size_t in_pattern = 0;
  std::size_t star = kNone;    // the last one: what came before it fits for good
  std::size_t after_star = 0;  // where in the text the rest of the pattern is tried
  while (at < text.size()) {
    if (in_pattern < pattern.size() && pattern[in_pattern] == '*') {
      star = in_pattern++;
      after_star = at;
    } else if (in_pattern < pattern.size() && same(at, pattern[in_pattern])) {
      ++in_pattern;
      ++at;
    } else if (star != kNone) {
      in_pattern = star + 1;
      at = ++after_star;
    } else {
      return false;
    }
  }
  while (in_pattern < pattern.size() && pattern[in_pattern] == '*') ++in_pattern;
  return in_pattern == pattern.size();
}

/// The same with a URI, up to its parameters: case counts in its user part alone (RFC 3261 section 19.1.4).
[[nodiscard]] constexpr bool fits_uri_glob(std::string_view uri, std::string_view pattern) noexcept {
  const auto colon = uri.find(':');
  const auto at_sign = uri.find('@');
  if (colon == std::string_view::npos || at_sign == std::string_view::npos || at_sign < colon)
    return fits_glob(uri, pattern);
  return fits_glob(uri, pattern, colon + 1, at_sign);
}

}  // namespace pinhole::alg::sip
