// SPDX-License-Identifier: BSD-3-Clause
#pragma once
// From inside endpoints to mappings, for one worker. (protocol, inside endpoint) is hashed to a line of ten
// 16-bit tags, compared all at once, and the ten mapping indices that belong to them. There are twice as many
// places as mappings, so that one line is nearly always enough; a key whose line was full lies further along
// its own probe sequence, and the line counts such keys, so that a look-up goes on only when there is a
// reason.
//
// A tag is not the key: whoever finds a mapping compares its key_word(). Invariant: a place is empty exactly
// if its tag is 0; `passed_on` of a line is the number of keys that lie further on because it was full. Owned
// by one worker.

#include <array>
#include <bit>
#include <cassert>
#include <cstddef>
#include <cstdint>

#include "nat/headers.hpp"
#include "nat/mapping.hpp"
#include "nat/memory.hpp"
#include "nat/prefetch.hpp"

#if defined(__AVX2__)
#include <immintrin.h>
#endif

namespace pinhole::nat {

/// It is a view: copies share the memory. A loop that stores bytes keeps a copy, whose fields stay in
/// registers.
class OutboundIndex {
 public:
  /// Where a key is looked for: its home line; the rest picks the stride of its further lines, and the last
  /// 16 bits of it are the tag, which is never zero. Without initial values, so that arrays of it cost
  /// nothing.
  struct Hash {
    std::uint32_t home;
    std::uint32_t rest;

    [[nodiscard]] std::uint16_t tag() const noexcept { return static_cast<std::uint16_t>(rest); }
  };

  [[nodiscard]] static constexpr std::size_t bytes_needed(std::uint32_t mappings) noexcept {
    return carved_bytes<Line>(lines_for(mappings));
  }
  /// \param mappings  that there may be, at least 1
  /// \param seed      secret, so that nobody can choose keys that share a line
  OutboundIndex(std::uint32_t mappings, std::uint64_t seed, Carver& carver) noexcept;

  /// \param key a key_word(). Cost: two multiplications.
  [[nodiscard, gnu::always_inline]] Hash hash(std::uint64_t key) const noexcept {
    const auto product = static_cast<Wide>(key ^ seed_) * 0x9fb21c651e98df25U;
    const std::uint64_t mixed =
        static_cast<std::uint64_t>(product) ^ static_cast<std::uint64_t>(product >> 64U);
    // Taken as a fraction, times the lines: a line, and a fraction again.
    const auto scaled = static_cast<Wide>(mixed) * line_count_;
    return {.home = static_cast<std::uint32_t>(scaled >> 64U),
            .rest = static_cast<std::uint32_t>(static_cast<std::uint64_t>(scaled) >> 32U) | 1U};
  }
  /// Fetches the line that a look-up reads first.
  void prefetch(Hash hash) const noexcept { nat::prefetch(&lines_[hash.home]); }
  /// The mapping that probably has the key, or kNoMapping: the first of the home line whose tag fits, which
  /// is right but for one time in thousands. Cost: one line, prefetched.
  [[nodiscard, gnu::always_inline]] MappingIndex guess(Hash hash) const noexcept {
    const Line& home = lines_[hash.home];
    const std::uint32_t places = match(home, hash.tag());
    return places == 0 ? kNoMapping : index_at(home, places);
  }
  /// Whether a key that guess() did not find may lie further on; its next line is being fetched then.
  [[nodiscard]] bool lies_further(Hash hash) const noexcept {
    if (lines_[hash.home].passed_on == 0) return false;
    nat::prefetch(&lines_[step(hash.home, stride_of(hash))]);
    return true;
  }
  /// guess() for a key that lies_further().
  [[nodiscard]] MappingIndex guess_further(Hash hash) const noexcept;

  /// The first mapping in the home line whose tag fits and that `has_key(MappingIndex)`, or kNoMapping.
  template <typename HasKey>
  [[nodiscard]] MappingIndex find_at_home(Hash hash, HasKey&& has_key) const noexcept {
    return find_in(lines_[hash.home], hash.tag(), has_key);
  }
  /// The same for the rest of the probe sequence, if the key lies_further().
  template <typename HasKey>
  [[nodiscard]] MappingIndex find_further(Hash hash, HasKey&& has_key) const noexcept {
    const std::uint32_t stride = stride_of(hash);
    std::uint32_t at = hash.home;
    for (std::uint32_t probe = 1; probe < kMaxProbes && lines_[at].passed_on != 0; ++probe) {
      at = step(at, stride);
      const MappingIndex index = find_in(lines_[at], hash.tag(), has_key);
      if (index != kNoMapping) return index;
    }
    return kNoMapping;
  }

  /// \return false when no line has a place: then nothing has changed
  [[nodiscard]] bool add(Hash hash, MappingIndex index) noexcept;
  /// Takes out what was added.
  void remove(Hash hash, MappingIndex index) noexcept;

 private:
  using Wide = unsigned __int128;
  static constexpr std::uint32_t kPlaces = 10;
  static constexpr std::uint32_t kMaxProbes = 16;  // lines; the chance to need more is nil below full
  struct alignas(kCacheLine) Line {
    std::array<std::uint16_t, kPlaces> tags{};  // 0: empty
    std::uint32_t passed_on = 0;  // keys that came by while this line was full, and lie further on
    std::array<MappingIndex, kPlaces> indices{};
  };
  static_assert(sizeof(Line) == kCacheLine);

  /// Half of all places stay empty.
  [[nodiscard]] static constexpr std::uint32_t lines_for(std::uint32_t mappings) noexcept {
    return mappings / (kPlaces / 2) + 1;
  }
  [[nodiscard]] std::uint32_t stride_of(Hash hash) const noexcept {
    return 1 + static_cast<std::uint32_t>((std::uint64_t{hash.rest} * (line_count_ - 1)) >> 32U);
  }
  [[nodiscard]] std::uint32_t step(std::uint32_t line, std::uint32_t stride) const noexcept {
    const std::uint32_t next = line + stride;
    return next >= line_count_ ? next - line_count_ : next;
  }
#if defined(__AVX2__)
  static constexpr unsigned kBitsPerPlace = 2;
#else
  static constexpr unsigned kBitsPerPlace = 1;
#endif
  /// The places of a line that hold a tag, as bits: place_of() names the lowest.
  [[nodiscard]] static std::uint32_t match(const Line& line, std::uint16_t tag) noexcept {
#if defined(__AVX2__)
    // One load of sixteen, which runs on into the fields behind the tags; what is found there is masked away,
    // and so is the second of the two bits that each place gets.
    const __m256i tags = _mm256_load_si256(reinterpret_cast<const __m256i*>(line.tags.data()));
    const __m256i equal = _mm256_cmpeq_epi16(tags, _mm256_set1_epi16(static_cast<std::int16_t>(tag)));
    constexpr std::uint32_t kOneBitEach = 0x55555555U & ((1U << (2 * kPlaces)) - 1);
    return static_cast<std::uint32_t>(_mm256_movemask_epi8(equal)) & kOneBitEach;
#else
    std::uint32_t equal = 0;
    for (std::uint32_t i = 0; i < kPlaces; ++i) equal |= (line.tags[i] == tag ? 1U : 0U) << i;
    return equal;
#endif
  }
  [[nodiscard]] static std::size_t place_of(std::uint32_t matches) noexcept {
    return static_cast<std::size_t>(std::countr_zero(matches)) / kBitsPerPlace;
  }
  /// \param matches  of match(), not none
  [[nodiscard]] static MappingIndex index_at(const Line& line, std::uint32_t matches) noexcept {
    // By the bits, not by the place: half of a number that is even, times four, is more work than its double.
    const auto bits = static_cast<std::size_t>(std::countr_zero(matches));
    const auto* const indices = reinterpret_cast<const std::byte*>(line.indices.data());
    const auto index = load<MappingIndex>(indices + bits * (sizeof(MappingIndex) / kBitsPerPlace));
    assert(index != kNoMapping);
    if (index == kNoMapping) __builtin_unreachable();  // whoever asks need not ask twice
    return index;
  }
  template <typename HasKey>
  [[nodiscard]] static MappingIndex find_in(const Line& line, std::uint16_t tag, HasKey& has_key) noexcept {
    for (std::uint32_t places = match(line, tag); places != 0; places &= places - 1) {
      const MappingIndex index = index_at(line, places);
      if (has_key(index)) return index;
    }
    return kNoMapping;
  }

  std::uint32_t line_count_;
  std::uint64_t seed_;
  Line* lines_;
};

// In the header, because each new mapping comes by.

inline bool OutboundIndex::add(Hash hash, MappingIndex index) noexcept {
  const std::uint32_t stride = stride_of(hash);
  std::uint32_t at = hash.home;
  for (std::uint32_t probe = 0; probe < kMaxProbes; ++probe, at = step(at, stride)) {
    Line& line = lines_[at];
    const std::uint32_t empty = match(line, 0);
    if (empty == 0) {
      ++line.passed_on;
      continue;
    }
    const auto place = place_of(empty);
    line.tags[place] = hash.tag();
    line.indices[place] = index;
    return true;
  }
  at = hash.home;  // no place: the lines need not remember that it came by
  for (std::uint32_t probe = 0; probe < kMaxProbes; ++probe, at = step(at, stride)) --lines_[at].passed_on;
  return false;
}

}  // namespace pinhole::nat
