// SPDX-License-Identifier: BSD-3-Clause
#include "nat/mapping_table.hpp"

#include <algorithm>

namespace pinhole::nat {

MappingTable::MappingTable(std::uint32_t capacity, std::uint64_t seed, std::span<std::byte> memory) noexcept
    : capacity_(capacity), line_count_(lines_for(capacity)), seed_(seed) {
  Carver carver(memory);
  header_ = carver.take<Header>(1).data();
  mappings_ = carver.take<Mapping>(capacity).data();
  lines_ = carver.take<Line>(line_count_).data();
}

MappingIndex MappingTable::find_in(const Line& line, std::uint16_t tag, std::uint64_t key) const noexcept {
  for (std::uint32_t places = match(line, tag); places != 0; places &= places - 1) {
    const MappingIndex index = line.indices[place_of(places)];
    if (key_word(mappings_[index]) == key) return index;
  }
  return kNoMapping;
}

MappingIndex MappingTable::find(OutboundKey key) const noexcept {
  const Hash hashed = hash(key.word());
  const Line& home = lines_[hashed.home];
  const MappingIndex index = find_in(home, tag_of(hashed), key.word());
  if (index != kNoMapping || home.passed_on == 0) [[likely]]
    return index;
  return find_further(hashed, key.word());
}

/// The rest of the probe sequence, after the home line.
MappingIndex MappingTable::find_further(Hash hash, std::uint64_t key) const noexcept {
  const std::uint32_t stride = stride_of(hash);
  std::uint32_t at = hash.home;
  for (std::uint32_t probe = 1; probe < kMaxProbes; ++probe) {
    at = step(at, stride);
    const Line& line = lines_[at];
    const MappingIndex index = find_in(line, tag_of(hash), key);
    if (index != kNoMapping || line.passed_on == 0) return index;
  }
  return kNoMapping;
}

MappingIndex MappingTable::guess_further(Hash hash) const noexcept {
  const std::uint32_t stride = stride_of(hash);
  std::uint32_t at = hash.home;
  for (std::uint32_t probe = 1; probe < kMaxProbes; ++probe) {
    at = step(at, stride);
    const Line& line = lines_[at];
    const std::uint32_t places = match(line, tag_of(hash));
    if (places != 0) return line.indices[place_of(places)];
    if (line.passed_on == 0) return kNoMapping;
  }
  return kNoMapping;
}

void MappingTable::find_burst(std::span<const OutboundKey> keys,
                              std::span<MappingIndex> found) const noexcept {
  assert(keys.size() <= kLookupBurst && found.size() >= keys.size());
  const std::size_t count = std::min(keys.size(), kLookupBurst);
  std::array<Hash, kLookupBurst> hashes;
  for (std::size_t step = 0; step < count + kLookupAhead; ++step) {
    if (step < count) {
      hashes[step] = hash(keys[step].word());
      prefetch(hashes[step]);
    }
    if (step < kLookupAhead) continue;
    const std::size_t i = step - kLookupAhead;
    found[i] = guess(hashes[i]);
    if (found[i] != kNoMapping) prefetch_mapping(found[i]);
  }
  std::array<std::uint8_t, kLookupBurst> further;
  std::size_t further_count = 0;
  for (std::size_t i = 0; i < count; ++i) {
    const std::uint64_t key = keys[i].word();
    if (found[i] != kNoMapping && key_word(mappings_[found[i]]) == key) [[likely]]
      continue;
    const Line& home = lines_[hashes[i].home];
    if (found[i] != kNoMapping) found[i] = find_in(home, tag_of(hashes[i]), key);
    if (found[i] != kNoMapping || home.passed_on == 0) continue;
    nat::prefetch(&lines_[step(hashes[i].home, stride_of(hashes[i]))]);
    further[further_count++] = static_cast<std::uint8_t>(i);
  }
  for (std::size_t i = 0; i < further_count; ++i) {
    const std::size_t key = further[i];
    found[key] = find_further(hashes[key], keys[key].word());
  }
}

void MappingTable::renew(MappingIndex index) noexcept {
  std::atomic<std::uint32_t>& generation = mappings_[index].generation;
  assert((generation.load(std::memory_order_relaxed) & 1U) == 0);
  mappings_[index].was_shut = false;
  generation.store(generation.load(std::memory_order_relaxed) + 2, std::memory_order_release);
}

void MappingTable::erase(MappingIndex index) noexcept {
  Mapping& mapping = mappings_[index];
  remove_from_index(hash(key_word(mapping)), index);
  mapping.hop_out = kNoHop;
  mapping.hop_in = kNoHop;
  const std::uint32_t generation = mapping.generation.load(std::memory_order_relaxed);
  mapping.generation.store(generation | 1U, std::memory_order_relaxed);
  // Readers that see what the next owner writes to the line also see that it changed hands.
  std::atomic_thread_fence(std::memory_order_release);
  put_free(index);
  --size_;
}

void MappingTable::remove_from_index(Hash hash, MappingIndex index) noexcept {
  const std::uint32_t stride = stride_of(hash);
  std::uint32_t at = hash.home;
  for (std::uint32_t probe = 0; probe < kMaxProbes; ++probe, at = step(at, stride)) {
    Line& line = lines_[at];
    for (std::uint32_t places = match(line, tag_of(hash)); places != 0; places &= places - 1) {
      const auto place = place_of(places);
      if (line.indices[place] != index) continue;
      line.tags[place] = 0;
      return;
    }
    --line.passed_on;
  }
  assert(false && "a mapping that is taken is in the index");
}

void MappingTable::put_free(MappingIndex index) noexcept {
  mappings_[index].parent = first_free_;
  first_free_ = index;
}

}  // namespace pinhole::nat
