// SPDX-License-Identifier: BSD-3-Clause
#pragma once
// The mappings of one worker and how they are found.
//
// Mappings are an array of 64-byte lines; an index into it names a mapping. From inside they are found by
// the outbound index (nat/outbound_index.hpp); from outside by an array that all workers share
// (nat/inbound_index.hpp).
//
// Invariant: a mapping is in the outbound index exactly while it is taken. Owned by one worker; control reads
// the mappings and the high-water mark.

#include <atomic>
#include <cassert>
#include <cstddef>
#include <cstdint>
#include <new>
#include <span>

#include "nat/endpoint.hpp"
#include "nat/mapping.hpp"
#include "nat/memory.hpp"
#include "nat/outbound_index.hpp"
#include "nat/prefetch.hpp"

namespace pinhole::nat {

/// What a look-up from inside goes by. It is one word from the start: fields that are stored one by one and
/// then loaded as a word wait until all stores before them are through, which takes long when those miss the
/// cache.
class OutboundKey {
 public:
  constexpr OutboundKey() noexcept = default;
  // Implicit: a look-up is written `find({inside, protocol})`.
  constexpr OutboundKey(const Endpoint& inside, Protocol protocol, Realm realm = Realm::translated) noexcept
      : word_(key_word(protocol, inside, realm)) {}

  /// \param word  key_word() of a mapping
  [[nodiscard]] static constexpr OutboundKey from_word(std::uint64_t word) noexcept {
    OutboundKey key;
    key.word_ = word;
    return key;
  }

  [[nodiscard]] constexpr std::uint64_t word() const noexcept { return word_; }
  [[nodiscard]] constexpr Endpoint inside() const noexcept { return endpoint_of(word_); }
  [[nodiscard]] constexpr Protocol protocol() const noexcept {
    return static_cast<Protocol>(word_ >> 48U & 0xffU);
  }
  [[nodiscard]] constexpr Realm realm() const noexcept { return static_cast<Realm>(word_ >> 56U); }

 private:
  std::uint64_t word_ = 0;
};

/// The most keys that a burst look-up takes.
inline constexpr std::size_t kLookupBurst = 64;
/// How many look-ups lie between asking for a line and reading it: see nat/prefetch.hpp for why not more.
inline constexpr std::size_t kLookupAhead = 10;

class MappingTable {
 public:
  [[nodiscard]] static constexpr std::size_t bytes_needed(std::uint32_t capacity) noexcept {
    return carved_bytes<Header>(1) + carved_bytes<Mapping>(capacity) + OutboundIndex::bytes_needed(capacity);
  }
  /// \param capacity mappings, at least 1
  /// \param seed secret: see OutboundIndex
  MappingTable(std::uint32_t capacity, std::uint64_t seed, std::span<std::byte> memory) noexcept;

  [[nodiscard]] const OutboundIndex& outbound() const noexcept { return outbound_; }
  void prefetch_mapping(MappingIndex index) const noexcept { nat::prefetch(&mappings_[index]); }

  /// The mapping of an inside endpoint, or kNoMapping.
  [[nodiscard]] MappingIndex find(OutboundKey key) const noexcept;
  [[nodiscard]] MappingIndex find(Protocol protocol, const Endpoint& inside) const noexcept {
    return find({inside, protocol});
  }
  /// Up to kLookupBurst look-ups at once; `found[i]` is the mapping of `keys[i]`, or kNoMapping. The lines of
  /// the mappings found are in the cache afterwards. Cost: the latency of memory three times a burst.
  void find_burst(std::span<const OutboundKey> keys, std::span<MappingIndex> found) const noexcept;

  /// Takes a free mapping, sets its key, and makes it findable; there must be no mapping of that key. The
  /// rest of the line is as new. Readers see it after publish().
  /// \return kNoMapping when all are taken
  [[nodiscard]] MappingIndex insert(OutboundKey key) noexcept;
  [[nodiscard]] MappingIndex insert(Protocol protocol, const Endpoint& inside) noexcept {
    return insert({inside, protocol});
  }
  /// The mapping that insert() will take next; any number when all are taken.
  [[nodiscard]] MappingIndex upcoming() const noexcept {
    return first_free_ != kNoMapping ? first_free_ : header_->high_water.load(std::memory_order_relaxed);
  }
  /// Fetches the lines of mappings that insert() will take soon.
  void prefetch_upcoming() const noexcept {
    if (first_free_ != kNoMapping) return prefetch_mapping(first_free_);
    constexpr MappingIndex kFurther = 4;  // fresh ones lie in a row, of which the first are on their way
    prefetch_mapping(upcoming() + kFurther);
  }
  /// Shows a filled-in mapping to readers in other processes.
  void publish(MappingIndex index) noexcept;
  /// Frees a mapping.
  void erase(MappingIndex index) noexcept;
  /// Gives a live mapping its next even generation: whoever remembers the former one no longer means it.
  void renew(MappingIndex index) noexcept;

  [[nodiscard]] Mapping& operator[](MappingIndex index) noexcept { return mappings_[index]; }
  [[nodiscard]] const Mapping& operator[](MappingIndex index) const noexcept { return mappings_[index]; }
  /// True for a mapping that is taken and published.
  [[nodiscard]] bool is_live(MappingIndex index) const noexcept {
    return index < capacity_ && (mappings_[index].generation.load(std::memory_order_relaxed) & 1U) == 0;
  }
  [[nodiscard]] std::uint32_t size() const noexcept { return size_; }
  [[nodiscard]] std::uint32_t capacity() const noexcept { return capacity_; }
  [[nodiscard]] const Mapping* mappings() const noexcept { return mappings_; }
  [[nodiscard]] Mapping* mappings() noexcept { return mappings_; }
  /// No mapping at or above this was ever taken. Thread: any may read.
  [[nodiscard]] std::atomic<MappingIndex>& high_water() const noexcept { return header_->high_water; }

 private:
  struct Header {
    alignas(kCacheLine) std::atomic<MappingIndex> high_water{0};
  };

  MappingTable(std::uint32_t capacity, std::uint64_t seed, Carver carver) noexcept;
  /// Whether a mapping has a key.
  [[nodiscard]] auto has(std::uint64_t key) const noexcept {
    return [this, key](MappingIndex index) noexcept { return key_word(mappings_[index]) == key; };
  }
  [[nodiscard]] MappingIndex take_free() noexcept;
  void put_free(MappingIndex index) noexcept;

  std::uint32_t capacity_;
  Header* header_;
  Mapping* mappings_;
  OutboundIndex outbound_;
  MappingIndex first_free_ = kNoMapping;  // a stack through `parent` of the free mappings
  std::uint32_t size_ = 0;
};

// In the header, because each new mapping comes by.

inline MappingIndex MappingTable::insert(OutboundKey key) noexcept {
  const MappingIndex index = take_free();
  if (index == kNoMapping) return kNoMapping;
  if (!outbound_.add(outbound_.hash(key.word()), index)) {
    put_free(index);
    return kNoMapping;
  }
  Mapping& mapping = mappings_[index];
  const std::uint32_t generation = mapping.generation.load(std::memory_order_relaxed);
  ::new (&mapping) Mapping;
  mapping.generation.store(generation, std::memory_order_relaxed);
  set_key_word(mapping, key.word());
  ++size_;
  return index;
}

inline void MappingTable::publish(MappingIndex index) noexcept {
  std::atomic<std::uint32_t>& generation = mappings_[index].generation;
  assert((generation.load(std::memory_order_relaxed) & 1U) == 1);
  generation.store(generation.load(std::memory_order_relaxed) + 1, std::memory_order_release);
}

/// Mappings freed last are taken first: their lines are likely in the cache.
inline MappingIndex MappingTable::take_free() noexcept {
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

}  // namespace pinhole::nat
