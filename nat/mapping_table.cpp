// SPDX-License-Identifier: BSD-3-Clause
#include "nat/mapping_table.hpp"

#include <algorithm>
#include <bit>

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

namespace pinhole::nat {

MappingTable::MappingTable(std::uint32_t capacity, std::uint64_t seed, std::span<std::byte> memory) noexcept
    : capacity_(capacity), line_count_(lines_for(capacity)), seed_(seed) {
  Carver carver(memory);
  header_ = carver.take<Header>(1).data();
  mappings_ = carver.take<Mapping>(capacity).data();
  lines_ = carver.take<Line>(line_count_).data();
}

/// The places of a line that hold a tag, one bit each.
std::uint32_t MappingTable::match(const Line& line, std::uint16_t tag) noexcept {
#if defined(__SSE2__)
  // Two loads of eight; the second runs on into the fields behind the tags, whose bits are masked away.
  const auto* at = reinterpret_cast<const __m128i*>(line.tags.data());
  const __m128i wanted = _mm_set1_epi16(static_cast<std::int16_t>(tag));
  const __m128i first = _mm_cmpeq_epi16(_mm_load_si128(at), wanted);
  const __m128i second = _mm_cmpeq_epi16(_mm_load_si128(at + 1), wanted);
  const int equal = _mm_movemask_epi8(_mm_packs_epi16(first, second));
  return static_cast<std::uint32_t>(equal) & ((1U << kPlaces) - 1);
#else
  std::uint32_t equal = 0;
  for (std::uint32_t i = 0; i < kPlaces; ++i) equal |= (line.tags[i] == tag ? 1U : 0U) << i;
  return equal;
#endif
}

MappingIndex MappingTable::find_in(const Line& line, std::uint16_t tag, Protocol protocol,
                                   Endpoint inside) const noexcept {
  for (std::uint32_t places = match(line, tag); places != 0; places &= places - 1) {
    const MappingIndex index = line.indices[static_cast<std::size_t>(std::countr_zero(places))];
    if (is_for(index, protocol, inside)) return index;
  }
  return kNoMapping;
}

MappingIndex MappingTable::find(Hash hash, Protocol protocol, Endpoint inside) const noexcept {
  const Line& home = lines_[home_of(hash)];
  const MappingIndex index = find_in(home, tag_of(hash), protocol, inside);
  if (index != kNoMapping || home.passed_on == 0) [[likely]]
    return index;
  return find_further(hash, protocol, inside);
}

/// The rest of the probe sequence, after the home line.
MappingIndex MappingTable::find_further(Hash hash, Protocol protocol, Endpoint inside) const noexcept {
  const std::uint32_t stride = stride_of(hash);
  std::uint32_t at = home_of(hash);
  for (std::uint32_t probe = 1; probe < kMaxProbes; ++probe) {
    at = step(at, stride);
    const Line& line = lines_[at];
    const MappingIndex index = find_in(line, tag_of(hash), protocol, inside);
    if (index != kNoMapping || line.passed_on == 0) return index;
  }
  return kNoMapping;
}

void MappingTable::find_burst(std::span<const OutboundKey> keys,
                              std::span<MappingIndex> found) const noexcept {
  assert(keys.size() <= kLookupBurst && found.size() >= keys.size());
  const std::size_t count = std::min(keys.size(), kLookupBurst);
  std::array<Hash, kLookupBurst> hashes;
  for (std::size_t i = 0; i < count; ++i) {
    hashes[i] = hash(keys[i].protocol, keys[i].inside);
    prefetch(hashes[i]);
  }
  // The first place whose tag fits is right but for one time in thousands; its mapping is fetched meanwhile.
  for (std::size_t i = 0; i < count; ++i) {
    const Line& home = lines_[home_of(hashes[i])];
    const std::uint32_t places = match(home, tag_of(hashes[i]));
    found[i] = places == 0 ? kNoMapping : home.indices[static_cast<std::size_t>(std::countr_zero(places))];
    if (places != 0) prefetch_mapping(found[i]);
  }
  std::array<std::uint8_t, kLookupBurst> further;
  std::size_t further_count = 0;
  for (std::size_t i = 0; i < count; ++i) {
    if (found[i] != kNoMapping && is_for(found[i], keys[i].protocol, keys[i].inside)) [[likely]]
      continue;
    const Line& home = lines_[home_of(hashes[i])];
    if (found[i] != kNoMapping) found[i] = find_in(home, tag_of(hashes[i]), keys[i].protocol, keys[i].inside);
    if (found[i] != kNoMapping || home.passed_on == 0) continue;
    __builtin_prefetch(&lines_[step(home_of(hashes[i]), stride_of(hashes[i]))]);
    further[further_count++] = static_cast<std::uint8_t>(i);
  }
  for (std::size_t i = 0; i < further_count; ++i) {
    const std::size_t key = further[i];
    found[key] = find_further(hashes[key], keys[key].protocol, keys[key].inside);
  }
}

MappingIndex MappingTable::insert(Protocol protocol, Endpoint inside) noexcept {
  const MappingIndex index = take_free();
  if (index == kNoMapping) return kNoMapping;
  if (!add_to_index(hash(protocol, inside), index)) {
    put_free(index);
    return kNoMapping;
  }
  Mapping& mapping = mappings_[index];
  const std::uint32_t generation = mapping.generation.load(std::memory_order_relaxed);
  ::new (&mapping) Mapping;
  mapping.generation.store(generation, std::memory_order_relaxed);
  mapping.inside = inside;
  mapping.protocol = protocol;
  ++size_;
  return index;
}

void MappingTable::publish(MappingIndex index) noexcept {
  std::atomic<std::uint32_t>& generation = mappings_[index].generation;
  assert((generation.load(std::memory_order_relaxed) & 1U) == 1);
  generation.store(generation.load(std::memory_order_relaxed) + 1, std::memory_order_release);
}

void MappingTable::renew(MappingIndex index) noexcept {
  std::atomic<std::uint32_t>& generation = mappings_[index].generation;
  assert((generation.load(std::memory_order_relaxed) & 1U) == 0);
  generation.store(generation.load(std::memory_order_relaxed) + 2, std::memory_order_release);
}

void MappingTable::erase(MappingIndex index) noexcept {
  Mapping& mapping = mappings_[index];
  remove_from_index(hash(mapping.protocol, mapping.inside), index);
  const std::uint32_t generation = mapping.generation.load(std::memory_order_relaxed);
  mapping.generation.store(generation | 1U, std::memory_order_relaxed);
  // Readers that see what the next owner writes to the line also see that it changed hands.
  std::atomic_thread_fence(std::memory_order_release);
  put_free(index);
  --size_;
}

bool MappingTable::add_to_index(Hash hash, MappingIndex index) noexcept {
  const std::uint32_t stride = stride_of(hash);
  std::uint32_t at = home_of(hash);
  for (std::uint32_t probe = 0; probe < kMaxProbes; ++probe, at = step(at, stride)) {
    Line& line = lines_[at];
    const std::uint32_t empty = match(line, 0);
    if (empty == 0) {
      ++line.passed_on;
      continue;
    }
    const auto place = static_cast<std::size_t>(std::countr_zero(empty));
    line.tags[place] = tag_of(hash);
    line.indices[place] = index;
    return true;
  }
  at = home_of(hash);  // no place: the lines need not remember that it came by
  for (std::uint32_t probe = 0; probe < kMaxProbes; ++probe, at = step(at, stride)) --lines_[at].passed_on;
  return false;
}

void MappingTable::remove_from_index(Hash hash, MappingIndex index) noexcept {
  const std::uint32_t stride = stride_of(hash);
  std::uint32_t at = home_of(hash);
  for (std::uint32_t probe = 0; probe < kMaxProbes; ++probe, at = step(at, stride)) {
    Line& line = lines_[at];
    for (std::uint32_t places = match(line, tag_of(hash)); places != 0; places &= places - 1) {
      const auto place = static_cast<std::size_t>(std::countr_zero(places));
      if (line.indices[place] != index) continue;
      line.tags[place] = 0;
      return;
    }
    --line.passed_on;
  }
  assert(false && "a mapping that is taken is in the index");
}

/// Mappings freed last are taken first: their lines are likely in the cache.
MappingIndex MappingTable::take_free() noexcept {
  if (first_free_ != kNoMapping) {
    const MappingIndex index = first_free_;
    first_free_ = mappings_[index].parent;
    return index;
  }
  const MappingIndex fresh = header_->high_water.load(std::memory_order_relaxed);
  if (fresh == capacity_) return kNoMapping;
  header_->high_water.store(fresh + 1, std::memory_order_release);
  return fresh;
}

void MappingTable::put_free(MappingIndex index) noexcept {
  mappings_[index].parent = first_free_;
  first_free_ = index;
}

}  // namespace pinhole::nat
