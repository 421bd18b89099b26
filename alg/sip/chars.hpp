// SPDX-License-Identifier: BSD-3-Clause
#pragma once
// Characters and small pieces of text, as SIP and SDP see them. Views are cut without
// std::string_view::substr, which may throw; whoever cuts has checked the bounds.

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>
#include <optional>
#include <string_view>
#include <type_traits>

namespace pinhole::alg::sip {

namespace chars {

inline constexpr std::uint8_t kAlpha = 1;
inline constexpr std::uint8_t kDigit = 2;
inline constexpr std::uint8_t kBlank = 4;       // space and tab
inline constexpr std::uint8_t kLineEnd = 8;     // CR and LF: white space inside a folded value
inline constexpr std::uint8_t kTokenMark = 16;  // RFC 3261 section 25.1, `token` without alphanum
inline constexpr std::uint8_t kHostMark = 32;   // of a host name; "_" is not in the RFC but in the field
inline constexpr std::uint8_t kSpace = kBlank | kLineEnd;
inline constexpr std::uint8_t kToken = kAlpha | kDigit | kTokenMark;
inline constexpr std::uint8_t kHost = kAlpha | kDigit | kHostMark;

consteval std::array<std::uint8_t, 256> classes() {
  std::array<std::uint8_t, 256> table{};
  const auto mark = [&table](std::string_view characters, std::uint8_t bit) {
    for (const char c : characters) table[static_cast<unsigned char>(c)] |= bit;
  };
  mark("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ", kAlpha);
  mark("0123456789", kDigit);
  mark(" \t", kBlank);
  mark("\r\n", kLineEnd);
  mark("-.!%*_+`'~", kTokenMark);
  mark("-._", kHostMark);
  return table;
}
inline constexpr auto kClasses = classes();

}  // namespace chars

[[nodiscard]] constexpr bool is(char c, std::uint8_t any_of) noexcept {
  return (chars::kClasses[static_cast<unsigned char>(c)] & any_of) != 0;
}

// White space is told by one compare: it is below all that texts are made of.
[[nodiscard]] constexpr bool is_visible(char c) noexcept {
  return static_cast<unsigned char>(c) > ' ';
}
[[nodiscard]] constexpr bool is_space(char c) noexcept {
  return !is_visible(c) && is(c, chars::kSpace);
}
[[nodiscard]] constexpr bool is_blank(char c) noexcept {
  return !is_visible(c) && is(c, chars::kBlank);
}

[[nodiscard]] constexpr char lower(char c) noexcept {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c + ('a' - 'A')) : c;
}

namespace chars_detail {

template <typename Word>
[[nodiscard]] inline std::uint64_t load(const char* text) noexcept {
  Word word;
  std::memcpy(&word, text, sizeof word);
  return word;
}

// Up to eight characters of a text as a word. It is put together in registers: what is stored in parts and
// loaded as a whole waits for the stores.
template <std::size_t kSize>
[[nodiscard, gnu::always_inline]] inline std::uint64_t word_of(const char* text) noexcept {
  static_assert(kSize > 0 && kSize <= 8 && std::endian::native == std::endian::little);
  if constexpr (kSize == 8) return load<std::uint64_t>(text);
  constexpr std::size_t kHalf = kSize >= 4 ? 4 : kSize >= 2 ? 2 : 1;
  using Half = std::conditional_t<kHalf == 4, std::uint32_t,
                                  std::conditional_t<kHalf == 2, std::uint16_t, std::uint8_t>>;
  return load<Half>(text) | load<Half>(text + kSize - kHalf) << (8 * (kSize - kHalf));
}

template <std::size_t kSize>
[[nodiscard, gnu::always_inline]] inline bool equals(const char* text, const char* lower_case) noexcept {
  constexpr std::size_t kPart = kSize < 8 ? kSize : 8;
  std::uint64_t word = 0;
  std::uint64_t may_be_set = 0;  // in a small letter, and not in its large one
  for (std::size_t i = 0; i < kPart; ++i) {
    word |= std::uint64_t{static_cast<unsigned char>(lower_case[i])} << (8 * i);
    if (is(lower_case[i], chars::kAlpha)) may_be_set |= std::uint64_t{0x20} << (8 * i);
  }
  if ((word_of<kPart>(text) | may_be_set) != word) return false;
  if constexpr (kSize > 8) return equals<kSize - 8>(text + 8, lower_case + 8);
  return true;
}

}  // namespace chars_detail

/// \param lower_case a literal to compare with, in lower case. Cost: a compare for each eight characters.
template <std::size_t kSize>
[[nodiscard, gnu::always_inline]] inline bool equals(std::string_view text,
                                                     const char (&lower_case)[kSize]) noexcept {
  return text.size() == kSize - 1 && chars_detail::equals<kSize - 1>(text.data(), lower_case);
}

/// The same with another text.
[[nodiscard]] constexpr bool equals(std::string_view text, std::string_view lower_case) noexcept {
  if (text.size() != lower_case.size()) return false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (lower(text[i]) != lower_case[i]) return false;
  }
  return true;
}

/// The part [begin, end) of a text. Shape: begin <= end <= text.size().
[[nodiscard]] constexpr std::string_view slice(std::string_view text, std::size_t begin,
                                               std::size_t end) noexcept {
  return {text.data() + begin, end - begin};
}
[[nodiscard]] constexpr std::string_view slice(std::string_view text, std::size_t begin) noexcept {
  return slice(text, begin, text.size());
}

/// The place of the first character at or after `from` that is (not) of a class; text.size() when there is
/// none.
[[nodiscard]] constexpr std::size_t skip(std::string_view text, std::size_t from,
                                         std::uint8_t any_of) noexcept {
  while (from < text.size() && is(text[from], any_of)) ++from;
  return from;
}
[[nodiscard]] constexpr std::size_t skip_to(std::string_view text, std::size_t from,
                                            std::uint8_t any_of) noexcept {
  while (from < text.size() && !is(text[from], any_of)) ++from;
  return from;
}

namespace chars_detail {

[[nodiscard, gnu::noinline]] constexpr std::string_view trim(std::string_view text) noexcept {
  while (!text.empty() && is_space(text.front())) text.remove_prefix(1);
  while (!text.empty() && is_space(text.back())) text.remove_suffix(1);
  return text;
}

}  // namespace chars_detail

/// Without white space at either end. Most texts have none, and only that is told inline.
[[nodiscard]] constexpr std::string_view trim(std::string_view text) noexcept {
  const bool is_bare = !text.empty() && is_visible(text.front()) && is_visible(text.back());
  return is_bare ? text : chars_detail::trim(text);
}

/// A decimal number and nothing else. \return none when it is empty, has another character or is above `max`.
[[nodiscard]] constexpr std::optional<std::uint32_t> number(
    std::string_view text, std::uint32_t max = std::numeric_limits<std::uint32_t>::max()) noexcept {
  if (text.empty()) return std::nullopt;
  std::uint64_t value = 0;
  for (const char c : text) {
    if (!is(c, chars::kDigit)) return std::nullopt;
    value = value * 10 + static_cast<unsigned>(c - '0');
    if (value > max) return std::nullopt;
  }
  return static_cast<std::uint32_t>(value);
}

/// A port number: 0 to 65535.
[[nodiscard]] constexpr std::optional<std::uint16_t> port_number(std::string_view text) noexcept {
  const auto value = number(text, 65535);
  if (!value) return std::nullopt;
  return static_cast<std::uint16_t>(*value);
}

}  // namespace pinhole::alg::sip
