// SPDX-License-Identifier: BSD-3-Clause
#pragma once
// The names of the headers that Pinhole reads, found by a perfect hash and one compare. For message.cpp
// alone, which has them inlined where it reads lines.

#include <array>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <string_view>

#include "alg/sip/chars.hpp"
#include "alg/sip/message.hpp"

#if defined(__AVX2__)
#include <immintrin.h>
#endif

namespace pinhole::alg::sip::header_name {

// A name is looked at with its colon, as 32 bytes.
inline constexpr std::size_t kLongestName = 24;
inline constexpr std::size_t kNameLook = 32;
using NameWords = std::array<std::uint64_t, kNameLook / 8>;

inline constexpr std::uint64_t kLowerCase = 0x2020202020202020U;  // what a letter has when it is a small one

// The bytes of a word that belong to a name, by the size of that.
inline constexpr auto kNameMasks = [] {
  std::array<std::uint64_t, kLongestName + 1> masks{};
  for (std::size_t size = 0; size < masks.size(); ++size)
    masks[size] = size >= 8 ? ~std::uint64_t{0} : (std::uint64_t{1} << (8 * size)) - 1;
  return masks;
}();

struct HeaderName {
  std::string_view name;  // lower case
  HeaderId id;
};

inline constexpr HeaderName kHeaderNames[] = {
    {"via", HeaderId::via},
    {"v", HeaderId::via},
    {"from", HeaderId::from},
    {"f", HeaderId::from},
    {"to", HeaderId::to},
    {"t", HeaderId::to},
    {"call-id", HeaderId::call_id},
    {"i", HeaderId::call_id},
    {"cseq", HeaderId::cseq},
    {"contact", HeaderId::contact},
    {"m", HeaderId::contact},
    {"record-route", HeaderId::record_route},
    {"route", HeaderId::route},
    {"path", HeaderId::path},
    {"service-route", HeaderId::service_route},
    {"refer-to", HeaderId::refer_to},
    {"r", HeaderId::refer_to},
    {"referred-by", HeaderId::referred_by},
    {"b", HeaderId::referred_by},
    {"reply-to", HeaderId::reply_to},
    {"p-asserted-identity", HeaderId::p_asserted_identity},
    {"p-preferred-identity", HeaderId::p_preferred_identity},
    {"p-associated-uri", HeaderId::p_associated_uri},
    {"p-called-party-id", HeaderId::p_called_party_id},
    {"p-served-user", HeaderId::p_served_user},
    {"remote-party-id", HeaderId::remote_party_id},
    {"diversion", HeaderId::diversion},
    {"history-info", HeaderId::history_info},
    {"also", HeaderId::also},
    {"alert-info", HeaderId::alert_info},
    {"call-info", HeaderId::call_info},
    {"error-info", HeaderId::error_info},
    {"warning", HeaderId::warning},
    {"replaces", HeaderId::replaces},
    {"join", HeaderId::join},
    {"target-dialog", HeaderId::target_dialog},
    {"in-reply-to", HeaderId::in_reply_to},
    {"event", HeaderId::event},
    {"o", HeaderId::event},
    {"user-agent", HeaderId::user_agent},
    {"server", HeaderId::server},
    {"identity", HeaderId::identity},
    {"y", HeaderId::identity},
    {"expires", HeaderId::expires},
    {"session-expires", HeaderId::session_expires},
    {"content-type", HeaderId::content_type},
    {"c", HeaderId::content_type},
    {"content-encoding", HeaderId::content_encoding},
    {"e", HeaderId::content_encoding},
    {"content-length", HeaderId::content_length},
    {"rseq", HeaderId::rseq},
    {"x", HeaderId::session_expires},
    {"l", HeaderId::content_length},
};

// A name with its colon as it is compared: of a letter either case is right, of another character only
// itself. No name reaches the last byte, which says whose name it is and is compared with nothing.
struct NamePattern {
  static constexpr unsigned kIdShift = 56;
  static_assert(kLongestName + 1 < kNameLook);

  alignas(kNameLook) NameWords words{};
  alignas(kNameLook) NameWords masks{};

  constexpr NamePattern() noexcept = default;
  constexpr NamePattern(std::string_view name, HeaderId id) noexcept {
    words.back() = std::uint64_t{static_cast<std::uint8_t>(id)} << kIdShift;
    for (std::size_t i = 0; i <= name.size(); ++i) {
      const auto c = static_cast<unsigned char>(i < name.size() ? name[i] : ':');
      const std::uint64_t mask = c >= 'a' && c <= 'z' ? 0xdfU : 0xffU;
      words[i / 8] |= std::uint64_t{c} << (8 * (i % 8));
      masks[i / 8] |= mask << (8 * (i % 8));
    }
  }
  // \param name  kNameLook bytes
  [[nodiscard]] bool fits(const char* name) const noexcept {
#if defined(__AVX2__)
    const auto vector_at = [](const void* at) { return _mm256_loadu_si256(static_cast<const __m256i*>(at)); };
    const auto difference = _mm256_xor_si256(vector_at(name), vector_at(words.data()));
    return _mm256_testz_si256(difference, vector_at(masks.data())) != 0;
#else
    std::uint64_t difference = 0;
    for (std::size_t i = 0; i < words.size(); ++i)
      difference |= (chars_detail::load<std::uint64_t>(name + 8 * i) ^ words[i]) & masks[i];
    return difference == 0;
#endif
  }
  [[nodiscard]] constexpr HeaderId id() const noexcept {
    return static_cast<HeaderId>(words.back() >> kIdShift);
  }
};

// A perfect hash of the names above by their first eight bytes and their size: the factor under which no two
// meet is found when this is compiled.
inline constexpr std::size_t kNamePlaces = 256;
constexpr std::size_t place_of(std::uint64_t first_word, std::size_t size, std::uint64_t factor) noexcept {
  const auto key = (first_word | kLowerCase) & kNameMasks[size];
  return static_cast<std::size_t>((key + size) * factor >> 56U);
}

constexpr bool is_perfect(std::uint64_t factor) noexcept {
  std::array<bool, kNamePlaces> taken{};
  for (const auto& name : kHeaderNames) {
    const auto place = place_of(NamePattern(name.name, name.id).words[0], name.name.size(), factor);
    if (taken[place]) return false;
    taken[place] = true;
  }
  return true;
}

consteval std::uint64_t perfect_factor() {
  std::uint64_t factor = 0x9e3779b97f4a7c15U;  // 2^64 / golden ratio
  while (!is_perfect(factor))
    factor = factor * 0xd1342543de82ef95U + 1;  // Steele and Vigna, a random sequence
  return factor;
}
inline constexpr std::uint64_t kNameFactor = perfect_factor();
static_assert(is_perfect(kNameFactor));

struct NameTable {
  // Where a pattern is, in bytes, so that nothing is multiplied. 0 is nobody's: a pattern that all names fit,
  // of `other`.
  std::array<std::uint16_t, kNamePlaces> places{};
  std::array<NamePattern, std::size(kHeaderNames) + 1> patterns{};
};
consteval NameTable make_name_table() {
  NameTable table;
  std::uint8_t next = 1;
  for (const auto& [name, id] : kHeaderNames) {
    table.patterns[next] = NamePattern(name, id);
    table.places[place_of(table.patterns[next].words[0], name.size(), kNameFactor)] =
        static_cast<std::uint16_t>(next * sizeof(NamePattern));
    ++next;
  }
  return table;
}
inline constexpr NameTable kNameTable = make_name_table();

// \param name  kNameLook bytes, with a colon behind so many of them
[[nodiscard, gnu::always_inline]] inline HeaderId look_up_name(const char* name, std::size_t size) noexcept {
  const auto place = place_of(chars_detail::load<std::uint64_t>(name), size, kNameFactor);
  const auto& pattern = kNameTable.patterns[kNameTable.places[place] / sizeof(NamePattern)];
  return pattern.fits(name) ? pattern.id() : HeaderId::other;
}

}  // namespace pinhole::alg::sip::header_name
