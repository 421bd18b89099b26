// SPDX-License-Identifier: BSD-3-Clause
#pragma once
// Reads "192.0.2.1" at the beginning of a text: 16 bytes at a time, digit by digit where there is no SSE 4.1.
// Invariant: no byte outside of the text is read. For endpoint.cpp and its test alone.

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>

#if defined(__SSE4_1__)
#include <immintrin.h>
#endif

namespace pinhole::nat::dotted_quad {

struct Quad {
  std::uint32_t raw = 0;  // as it is on the wire
  std::size_t size = 0;   // of its text; 0: there is none
};

struct Digits {
  std::uint32_t value = 0;
  unsigned count = 0;  // 0: they are no octet
};

// Up to three digits.
inline Digits read_octet(std::string_view text) noexcept {
  Digits digits;
  for (const char c : text) {
    if (digits.count == 3 || c < '0' || c > '9') break;
    if (digits.count == 1 && digits.value == 0) return {};
    digits.value = digits.value * 10 + static_cast<std::uint32_t>(c - '0');
    ++digits.count;
  }
  return digits.value > 255 ? Digits{} : digits;
}

inline Quad read_by_loop(std::string_view text) noexcept {
  Quad quad;
  std::size_t at = 0;
  for (unsigned octet = 0; octet < 4; ++octet) {
    if (octet > 0 && (at == text.size() || text[at++] != '.')) return {};
    const auto digits = read_octet({text.data() + at, text.size() - at});
    if (digits.count == 0) return {};
    quad.raw |= digits.value << (8 * octet);
    at += digits.count;
  }
  quad.size = at;
  return quad;
}

#if defined(__SSE4_1__)

inline constexpr std::size_t kShortest = 7;  // "0.0.0.0"
inline constexpr std::size_t kLook = 16;     // the longest one and what ends it

// Where the digits of a quad are, by the places behind its octets.
struct Layout {
  alignas(16) std::array<std::uint8_t, kLook> digits{};  // of each octet three and none: hundreds, tens, ones
  std::array<std::uint8_t, 4> least{};                   // that an octet of so many digits may be
  std::uint32_t ends = 0;                                // a bit for each place behind an octet
  std::uint32_t size = 0;
};

constexpr Layout layout_of(std::array<unsigned, 4> sizes) noexcept {
  constexpr std::uint8_t kNone = 0x80;
  constexpr std::array<std::uint8_t, 4> kLeast = {0, 0, 10, 100};  // by digits
  Layout layout;
  unsigned at = 0;
  for (unsigned octet = 0; octet < 4; ++octet) {
    const unsigned size = sizes[octet];
    for (unsigned i = 0; i < 3; ++i)
      layout.digits[4 * octet + i] = static_cast<std::uint8_t>(i + size < 3 ? kNone : at + i + size - 3);
    layout.digits[4 * octet + 3] = kNone;
    layout.least[octet] = kLeast[size];
    layout.ends |= 1U << (at + size);
    layout.size = at + size;
    at += size + 1;
  }
  return layout;
}

// A perfect hash of the 81 layouts; the factor was found by trying.
inline constexpr std::size_t kPlaces = 256;
constexpr std::size_t place_of(std::uint32_t ends) noexcept {
  return ends * 568733U >> 14U & (kPlaces - 1);
}

consteval std::array<Layout, kPlaces> make_layouts() {
  std::array<Layout, kPlaces> layouts;  // one that is nobody's is none that a text has
  for (unsigned i = 0; i < 3 * 3 * 3 * 3; ++i) {
    const auto layout = layout_of({i / 27 + 1, i / 9 % 3 + 1, i / 3 % 3 + 1, i % 3 + 1});
    layouts[place_of(layout.ends)] = layout;
  }
  return layouts;
}
inline constexpr auto kLayoutTable = make_layouts();
static_assert(std::count_if(kLayoutTable.begin(), kLayoutTable.end(),
                            [](const Layout& layout) { return layout.ends != 0; }) == 3 * 3 * 3 * 3);

// The first bytes of a text, and zeros behind it. \param text not shorter than the shortest quad
inline __m128i load(std::string_view text) noexcept {
  const auto word = [](const char* from) noexcept {
    std::uint64_t value;
    std::memcpy(&value, from, sizeof value);
    return value;
  };
  const auto half = [](const char* from) noexcept {
    std::uint32_t value;
    std::memcpy(&value, from, sizeof value);
    return std::uint64_t{value};
  };
  const char* const begin = text.data();
  if (text.size() >= kLook) return _mm_loadu_si128(reinterpret_cast<const __m128i*>(begin));
  // Two looks that overlap, so that the last one ends with the text.
  if (text.size() == kShortest)
    return _mm_cvtsi64_si128(static_cast<long long>(half(begin) | half(begin + 3) << 24U));
  const auto rest = word(begin + text.size() - 8) >> (8 * (kLook - 1 - text.size())) >> 8U;
  return _mm_set_epi64x(static_cast<long long>(rest), static_cast<long long>(word(begin)));
}

inline std::uint32_t lowest_bit(std::uint32_t bits) noexcept {
  return bits & (0U - bits);
}
inline std::uint32_t without_lowest_bit(std::uint32_t bits) noexcept {
  return bits & (bits - 1);
}

inline Quad read(std::string_view text) noexcept {
  if (text.size() < kShortest) return {};
  const __m128i values = _mm_sub_epi8(load(text), _mm_set1_epi8('0'));
  const __m128i are_digits = _mm_cmpeq_epi8(_mm_min_epu8(values, _mm_set1_epi8(9)), values);
  const __m128i are_dots = _mm_cmpeq_epi8(values, _mm_set1_epi8('.' - '0'));
  const auto no_digits = ~static_cast<std::uint32_t>(_mm_movemask_epi8(are_digits));
  const auto third_and_on = without_lowest_bit(without_lowest_bit(no_digits));
  const auto behind_third = without_lowest_bit(third_and_on);
  const auto dots = no_digits ^ behind_third;
  // The last octet ends behind its third digit, whatever follows.
  const auto last_end = lowest_bit(behind_third | lowest_bit(third_and_on) << 4U);
  const auto ends = dots | last_end;
  const auto& layout = kLayoutTable[place_of(ends)];
  const auto amiss = dots & ~static_cast<std::uint32_t>(_mm_movemask_epi8(are_dots));
  if (ends != layout.ends || amiss != 0) return {};
  const __m128i digits =
      _mm_shuffle_epi8(values, _mm_load_si128(reinterpret_cast<const __m128i*>(layout.digits.data())));
  const __m128i tens = _mm_maddubs_epi16(digits, _mm_set1_epi32(0x00010a64));  // times 100, 10 and 1
  const __m128i octets = _mm_hadd_epi16(tens, tens);
  const __m128i least = _mm_cvtepu8_epi16(_mm_loadu_si32(layout.least.data()));
  const __m128i wrong = _mm_or_si128(_mm_cmpgt_epi16(least, octets), _mm_srli_epi16(octets, 8));
  if (_mm_testz_si128(wrong, wrong) == 0) return {};
  const __m128i packed = _mm_packus_epi16(octets, octets);
  return {static_cast<std::uint32_t>(_mm_cvtsi128_si32(packed)), layout.size};
}

#else

inline Quad read(std::string_view text) noexcept {
  return read_by_loop(text);
}

#endif

}  // namespace pinhole::nat::dotted_quad
