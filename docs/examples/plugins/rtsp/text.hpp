// SPDX-License-Identifier: BSD-3-Clause
#pragma once
// Characters, words, addresses and ports, as RTSP writes them.

#include <charconv>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

namespace rtsp {

[[nodiscard]] constexpr char lower(char c) noexcept {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c + ('a' - 'A')) : c;
}
[[nodiscard]] constexpr bool is_blank(char c) noexcept {
  return c == ' ' || c == '\t';
}
/// Line ends too: a value may go on in the next line.
[[nodiscard]] constexpr bool is_space(char c) noexcept {
  return is_blank(c) || c == '\r' || c == '\n';
}

/// \param lower_case  what to compare with
[[nodiscard]] constexpr bool equals(std::string_view text, std::string_view lower_case) noexcept {
  if (text.size() != lower_case.size()) return false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (lower(text[i]) != lower_case[i]) return false;
  }
  return true;
}

[[nodiscard]] constexpr std::string_view trimmed(std::string_view text) noexcept {
  while (!text.empty() && is_space(text.front())) text.remove_prefix(1);
  while (!text.empty() && is_space(text.back())) text.remove_suffix(1);
  return text;
}

/// Cuts the part before the next `mark` that is not within quotes off the text, which keeps what is behind
/// it.
[[nodiscard]] constexpr std::string_view cut(std::string_view& text, char mark) noexcept {
  bool quoted = false;
  std::size_t end = 0;
  for (; end < text.size(); ++end) {
    if (text[end] == '"') quoted = !quoted;
    if (text[end] == mark && !quoted) break;
  }
  const std::string_view part(text.data(), end);
  text.remove_prefix(end < text.size() ? end + 1 : end);
  return part;
}

/// A number that is the whole of a text.
template <typename Number>
[[nodiscard]] std::optional<Number> number_of(std::string_view text) noexcept {
  Number number = 0;
  const char* const end = text.data() + text.size();
  const auto result = std::from_chars(text.data(), end, number);
  if (result.ec != std::errc{} || result.ptr != end) return std::nullopt;
  return number;
}

/// An IPv4 address, in host byte order.
[[nodiscard]] inline std::optional<std::uint32_t> address_of(std::string_view text) noexcept {
  std::uint32_t address = 0;
  for (int part = 0; part < 4; ++part) {
    const auto byte = number_of<std::uint8_t>(cut(text, '.'));
    if (!byte) return std::nullopt;
    address = address << 8U | *byte;
  }
  if (!text.empty()) return std::nullopt;
  return address;
}

/// A text of bounded length that is being written.
class Writer {
 public:
  Writer& number(std::uint32_t value) noexcept {
    const auto result = std::to_chars(text_ + size_, text_ + sizeof text_, value);
    if (result.ec == std::errc{}) size_ = static_cast<std::size_t>(result.ptr - text_);
    return *this;
  }
  Writer& character(char c) noexcept {
    if (size_ < sizeof text_) text_[size_++] = c;
    return *this;
  }
  Writer& text(std::string_view more) noexcept {
    for (const char c : more) character(c);
    return *this;
  }
  Writer& address(std::uint32_t value) noexcept {
    for (unsigned shift = 24;; shift -= 8) {
      number(value >> shift & 255U);
      if (shift == 0) return *this;
      character('.');
    }
  }
  [[nodiscard]] std::string_view view() const noexcept { return {text_, size_}; }

 private:
  char text_[48];  // two ports and an address, with a word between
  std::size_t size_ = 0;
};

}  // namespace rtsp
