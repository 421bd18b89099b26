// SPDX-License-Identifier: BSD-3-Clause
#include "nat/mapping_table.hpp"

#include <algorithm>
#include <array>

namespace pinhole::nat {

MappingTable::MappingTable(std::uint32_t capacity, std::uint64_t seed, std::span<std::byte> memory) noexcept
    : MappingTable(capacity, seed, Carver(memory)) {
}

MappingTable::MappingTable(std::uint32_t capacity, std::uint64_t seed, Carver carver) noexcept
    : capacity_(capacity),
      header_(carver.take<Header>(1).data()),
      mappings_(carver.take<Mapping>(capacity).data()),
      outbound_(capacity, seed, carver) {
}

MappingIndex MappingTable::find(OutboundKey key) const noexcept {
  const auto hash = outbound_.hash(key.word());
  const MappingIndex index = outbound_.find_at_home(hash, has(key.word()));
  return index != kNoMapping ? index : outbound_.find_further(hash, has(key.word()));
}

void MappingTable::find_burst(std::span<const OutboundKey> keys,
                              std::span<MappingIndex> found) const noexcept {
  assert(keys.size() <= kLookupBurst && found.size() >= keys.size());
  const std::size_t count = std::min(keys.size(), kLookupBurst);
  std::array<OutboundIndex::Hash, kLookupBurst> hashes;
  for (std::size_t step = 0; step < count + kLookupAhead; ++step) {
    if (step < count) {
      hashes[step] = outbound_.hash(keys[step].word());
      outbound_.prefetch(hashes[step]);
    }
    if (step < kLookupAhead) continue;
    const std::size_t i = step - kLookupAhead;
    found[i] = outbound_.guess(hashes[i]);
    if (found[i] != kNoMapping) prefetch_mapping(found[i]);
  }
  std::array<std::uint8_t, kLookupBurst> further;
  std::size_t further_count = 0;
  for (std::size_t i = 0; i < count; ++i) {
    const std::uint64_t key = keys[i].word();
    if (found[i] != kNoMapping && key_word(mappings_[found[i]]) == key) [[likely]]
      continue;
    if (found[i] != kNoMapping) found[i] = outbound_.find_at_home(hashes[i], has(key));
    if (found[i] != kNoMapping || !outbound_.lies_further(hashes[i])) continue;
    further[further_count++] = static_cast<std::uint8_t>(i);
  }
  for (std::size_t i = 0; i < further_count; ++i) {
    const std::size_t at = further[i];
    found[at] = outbound_.find_further(hashes[at], has(keys[at].word()));
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
  outbound_.remove(outbound_.hash(key_word(mapping)), index);
  mapping.hop_out = kNoHop;
  mapping.hop_in = kNoHop;
  const std::uint32_t generation = mapping.generation.load(std::memory_order_relaxed);
  mapping.generation.store(generation | 1U, std::memory_order_relaxed);
  // Readers that see what the next owner writes to the line also see that it changed hands.
  std::atomic_thread_fence(std::memory_order_release);
  put_free(index);
  --size_;
}

void MappingTable::put_free(MappingIndex index) noexcept {
  mappings_[index].parent = first_free_;
  first_free_ = index;
}

}  // namespace pinhole::nat
