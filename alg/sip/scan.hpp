// SPDX-License-Identifier: BSD-3-Clause
#pragma once
// Finds characters in text, up to 64 bytes at a time: a bit for each byte that is one of a few, so that
// whoever reads goes from one mark to the next and looks at no byte between them. Invariant: no byte outside
// of the text is read. With AVX2 and SSSE3; elsewhere the same by a loop.

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <string_view>

#if defined(__SSSE3__)
#include <immintrin.h>
#endif

namespace pinhole::alg::sip {

namespace scan_detail {

template <char... kMarks>
inline std::uint64_t marks_by_loop(const char* at, std::size_t size) noexcept {
  std::uint64_t marks = 0;
  for (std::size_t i = 0; i < size; ++i) {
    if (((at[i] == kMarks) || ...)) marks |= std::uint64_t{1} << i;
  }
  return marks;
}

#if defined(__SSSE3__)
// Marks in groups of which no two have the same lower half of a byte. For each group one shuffle puts into
// the place of a byte the mark that it could be, and one compare tells whether it is: fewer instructions than
// a compare for each of several marks, whose constants GCC makes anew in each function. One mark is compared
// with.
template <char... kMarks>
struct MarkTables {
  static constexpr std::size_t kHalves = 16;

  struct Group {
    alignas(32) std::array<char, 32> table{};  // twice the same: a shuffle looks at 16 bytes
  };
  static consteval std::size_t count() noexcept {
    std::array<std::size_t, kHalves> marks{};
    ((++marks[static_cast<unsigned char>(kMarks) % kHalves]), ...);
    return *std::max_element(marks.begin(), marks.end());
  }
  static consteval auto make() noexcept {
    std::array<Group, count()> groups;
    // What has no mark has a byte there that it is not.
    for (auto& group : groups) {
      for (std::size_t i = 0; i < group.table.size(); ++i)
        group.table[i] = static_cast<char>(i % kHalves ^ 1U);
    }
    std::array<std::size_t, kHalves> taken{};
    for (const char mark : {kMarks...}) {
      const std::size_t half = static_cast<unsigned char>(mark) % kHalves;
      auto& table = groups[taken[half]++].table;
      table[half] = table[half + kHalves] = mark;
    }
    return groups;
  }
  static constexpr auto kGroups = make();
};

template <char... kMarks>
inline std::uint64_t marks_in_vector(__m128i bytes) noexcept {
  if constexpr (sizeof...(kMarks) == 1) {
    return static_cast<std::uint32_t>(_mm_movemask_epi8(_mm_cmpeq_epi8(bytes, _mm_set1_epi8(kMarks...))));
  }
  __m128i hits = _mm_setzero_si128();
  for (const auto& group : MarkTables<kMarks...>::kGroups) {
    const __m128i table = _mm_load_si128(reinterpret_cast<const __m128i*>(group.table.data()));
    hits = _mm_or_si128(hits, _mm_cmpeq_epi8(_mm_shuffle_epi8(table, bytes), bytes));
  }
  return static_cast<std::uint32_t>(_mm_movemask_epi8(hits));
}
template <char... kMarks>
inline std::uint64_t marks_in_8(const char* at) noexcept {
  return marks_in_vector<kMarks...>(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(at))) & 0xffU;
}
template <char... kMarks>
inline std::uint64_t marks_in_16(const char* at) noexcept {
  return marks_in_vector<kMarks...>(_mm_loadu_si128(reinterpret_cast<const __m128i*>(at)));
}
#else
template <char... kMarks>
inline std::uint64_t marks_in_8(const char* at) noexcept {
  return marks_by_loop<kMarks...>(at, 8);
}
template <char... kMarks>
inline std::uint64_t marks_in_16(const char* at) noexcept {
  return marks_by_loop<kMarks...>(at, 16);
}
#endif

template <char... kMarks>
inline std::uint64_t marks_in_32(const char* at) noexcept {
#if defined(__AVX2__)
  const __m256i bytes = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(at));
  if constexpr (sizeof...(kMarks) == 1) {
    return static_cast<std::uint32_t>(
        _mm256_movemask_epi8(_mm256_cmpeq_epi8(bytes, _mm256_set1_epi8(kMarks...))));
  }
  __m256i hits = _mm256_setzero_si256();
  for (const auto& group : MarkTables<kMarks...>::kGroups) {
    const __m256i table = _mm256_load_si256(reinterpret_cast<const __m256i*>(group.table.data()));
    hits = _mm256_or_si256(hits, _mm256_cmpeq_epi8(_mm256_shuffle_epi8(table, bytes), bytes));
  }
  return static_cast<std::uint32_t>(_mm256_movemask_epi8(hits));
#else
  return marks_in_16<kMarks...>(at) | marks_in_16<kMarks...>(at + 16) << 16U;
#endif
}

// The dots that stand between digits.
constexpr std::uint32_t dots_between(std::uint32_t dots, std::uint32_t digits) noexcept {
  return dots & digits << 1U & digits >> 1U;
}
inline std::uint32_t dots_by_loop(const char* at, std::size_t size) noexcept {
  std::uint32_t digits = 0;
  for (std::size_t i = 0; i < size; ++i) {
    if (at[i] >= '0' && at[i] <= '9') digits |= 1U << i;
  }
  return dots_between(static_cast<std::uint32_t>(marks_by_loop<'.'>(at, size)), digits);
}
inline std::uint32_t dots_in_16(const char* at) noexcept {
#if defined(__SSSE3__)
  const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(at));
  const __m128i values = _mm_sub_epi8(bytes, _mm_set1_epi8('0'));
  const __m128i are_digits = _mm_cmpeq_epi8(_mm_min_epu8(values, _mm_set1_epi8(9)), values);
  return dots_between(static_cast<std::uint32_t>(marks_in_16<'.'>(at)),
                      static_cast<std::uint32_t>(_mm_movemask_epi8(are_digits)));
#else
  return dots_by_loop(at, 16);
#endif
}
inline std::uint32_t dots_in_32(const char* at) noexcept {
#if defined(__AVX2__)
  const __m256i bytes = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(at));
  const __m256i values = _mm256_sub_epi8(bytes, _mm256_set1_epi8('0'));
  const __m256i are_digits = _mm256_cmpeq_epi8(_mm256_min_epu8(values, _mm256_set1_epi8(9)), values);
  return dots_between(static_cast<std::uint32_t>(marks_in_32<'.'>(at)),
                      static_cast<std::uint32_t>(_mm256_movemask_epi8(are_digits)));
#else
  return dots_by_loop(at, 32);
#endif
}
constexpr bool has_two_dots(std::uint32_t dots) noexcept {
  return (dots & (dots >> 2U | dots >> 3U | dots >> 4U)) != 0;
}

}  // namespace scan_detail

/// How many bytes are looked at together.
inline constexpr std::size_t kScanBlock = 64;

namespace scan_detail {

// The marks in less than a block. Not inlined: the loops that go through long texts are to stay small.
template <char... kMarks>
[[gnu::noinline]] std::uint64_t marks_in_rest(const char* text, std::size_t size) noexcept {
  // Two looks that overlap, so that the last one ends with the text.
  if (size >= 32)
    return marks_in_32<kMarks...>(text) | marks_in_32<kMarks...>(text + size - 32) << (size - 32);
  if (size >= 16)
    return marks_in_16<kMarks...>(text) | marks_in_16<kMarks...>(text + size - 16) << (size - 16);
  if (size >= 8) return marks_in_8<kMarks...>(text) | marks_in_8<kMarks...>(text + size - 8) << (size - 8);
  return marks_by_loop<kMarks...>(text, size);
}

}  // namespace scan_detail

/// The marks among the first bytes of a text: bit i for byte i.
/// \param size of the text; what is behind kScanBlock bytes is not looked at
template <char... kMarks>
[[nodiscard]] inline std::uint64_t marks_in(const char* text, std::size_t size) noexcept {
  using namespace scan_detail;
  if (size < kScanBlock) return marks_in_rest<kMarks...>(text, size);
  return marks_in_32<kMarks...>(text) | marks_in_32<kMarks...>(text + 32) << 32U;
}

/// Whether there may be an IPv4 address in a text: two dots between digits, with one to three characters
/// between them. Says no only when that is certain.
[[nodiscard]] inline bool may_hold_ipv4(std::string_view text) noexcept {
  using namespace scan_detail;
  // Windows overlap by six bytes, so that "1.000.1" is whole in one of them, and the last one ends with the
  // text.
  std::size_t at = 0;
  for (; text.size() - at >= 32; at += 26) {
    if (has_two_dots(dots_in_32(text.data() + at))) return true;
  }
  if (at > 0) return has_two_dots(dots_in_32(text.data() + text.size() - 32));
  for (; text.size() - at >= 16; at += 10) {
    if (has_two_dots(dots_in_16(text.data() + at))) return true;
  }
  if (at > 0) return has_two_dots(dots_in_16(text.data() + text.size() - 16));
  return has_two_dots(dots_by_loop(text.data(), text.size()));
}

namespace scan_detail {

struct Block {
  std::size_t begin;
  std::uint64_t marks;  // in the block that begins there
};
// The first block behind one that has marks; without any, the last one there is. Not inlined, and given back
// in registers: what loops from mark to mark needs the others itself.
template <char... kMarks>
[[gnu::noinline]] Block next_block(const char* text, std::size_t size, std::size_t begin) noexcept {
  std::uint64_t marks = 0;
  while (marks == 0 && size - begin > kScanBlock) {
    begin += kScanBlock;
    marks = marks_in<kMarks...>(text + begin, size - begin);
  }
  return {begin, marks};
}

}  // namespace scan_detail

/// Goes from mark to mark through a text.
template <char... kMarks>
class MarkScanner {
 public:
  explicit MarkScanner(std::string_view text) noexcept
      : text_(text), marks_(marks_in<kMarks...>(text.data(), text.size())) {}

  /// \return the place of the next mark; text.size() when there is none.
  [[nodiscard]] std::size_t next() noexcept {
    if (marks_ == 0) {
      if (text_.size() - block_ <= kScanBlock) return text_.size();
      const auto block = scan_detail::next_block<kMarks...>(text_.data(), text_.size(), block_);
      block_ = block.begin;
      marks_ = block.marks;
      if (marks_ == 0) return text_.size();
    }
    const auto place = block_ + static_cast<std::size_t>(std::countr_zero(marks_));
    marks_ &= marks_ - 1;
    return place;
  }
  /// Goes on from a place behind the last mark. \param place at most text.size()
  void skip_to(std::size_t place) noexcept {
    if (place - block_ < kScanBlock) {
      marks_ &= ~std::uint64_t{0} << (place - block_);
    } else {
      look_at(place);
    }
  }
  /// Goes behind a quoted string (RFC 3261 section 25.1, backslash escapes) whose opening quote was the last
  /// mark; to the end when nothing closes it.
  void skip_quoted() noexcept {
    static_assert(((kMarks == '"') || ...) && ((kMarks == '\\') || ...));
    for (auto at = next(); at < text_.size() && text_[at] != '"'; at = next()) {
      if (text_[at] == '\\') skip_to(std::min(at + 2, text_.size()));
    }
  }

 private:
  void look_at(std::size_t place) noexcept {
    block_ = place;
    marks_ = marks_in<kMarks...>(text_.data() + place, text_.size() - place);
  }

  std::string_view text_;
  std::size_t block_ = 0;
  std::uint64_t marks_;  // of the block that begins there, those that have not been reached
};

/// The place of the first of some characters at or after `from`; text.size() when there is none.
template <char... kMarks>
[[nodiscard]] inline std::size_t find_mark(std::string_view text, std::size_t from = 0) noexcept {
  while (text.size() - from > 0) {
    const auto marks = marks_in<kMarks...>(text.data() + from, text.size() - from);
    if (marks != 0) return from + static_cast<std::size_t>(std::countr_zero(marks));
    if (text.size() - from <= kScanBlock) break;
    from += kScanBlock;
  }
  return text.size();
}

}  // namespace pinhole::alg::sip
