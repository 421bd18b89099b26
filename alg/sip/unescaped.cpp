// SPDX-License-Identifier: BSD-3-Clause
#include "alg/sip/unescaped.hpp"

#include "alg/sip/chars.hpp"

namespace pinhole::alg::sip {

namespace {

// The value of a hexadecimal digit; 16 for another character.
unsigned hex_value(char c) noexcept {
  if (is(c, chars::kDigit)) return static_cast<unsigned>(c - '0');
  const char small = lower(c);
  return small >= 'a' && small <= 'f' ? static_cast<unsigned>(small - 'a') + 10 : 16;
}

}  // namespace

void Unescaped::read(std::string_view escaped) noexcept {
  escaped_ = escaped;
  size_ = 0;
  if (escaped.size() > kMaxSize) return;
  std::size_t at = 0;
  while (at < escaped.size()) {
    places_[size_] = static_cast<std::uint16_t>(at);
    char c = escaped[at++];
    if (c == '%' && escaped.size() - at >= 2) {
      const auto high = hex_value(escaped[at]);
      const auto low = hex_value(escaped[at + 1]);
      if (high < 16 && low < 16) {
        c = static_cast<char>(high << 4U | low);
        at += 2;
      }
    }
    text_[size_++] = c;
  }
  places_[size_] = static_cast<std::uint16_t>(at);
}

std::string_view Unescaped::origin(std::string_view part) const noexcept {
  const auto begin = static_cast<std::size_t>(part.data() - text_.data());
  return slice(escaped_, places_[begin], places_[begin + part.size()]);
}

}  // namespace pinhole::alg::sip
