// SPDX-License-Identifier: BSD-3-Clause
#pragma once
// The mappings of one worker and how they are found.
//
// Mappings are an array of 64-byte lines; an index into it names a mapping. From inside, (protocol, inside
// endpoint) is hashed to a line of the outbound index: ten 16-bit tags, compared all at once, and the ten
// mapping indices that belong to them. The index has twice as many places as there are mappings, so that one
// line is nearly always enough; a key whose line was full lies further along its own probe sequence, and the
// line counts such keys, so that a look-up goes on only when there is a reason. From outside there is no
// hash: the inbound index is an array by external address, protocol and port.
//
// Invariant: a mapping is in the outbound index exactly while it is taken. Owned by one worker; control reads
// the mappings and the high-water mark.

#include <array>
#include <atomic>
#include <bit>
#include <cassert>
#include <cstddef>
#include <cstdint>
#include <new>
#include <span>

#include "nat/endpoint.hpp"
#include "nat/mapping.hpp"
#include "nat/memory.hpp"
#include "nat/prefetch.hpp"

#if defined(__AVX2__)
#include <immintrin.h>
#endif

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

/// What a look-up from outside goes by: the external endpoint with its address as a number.
struct InboundKey {
  std::uint16_t pool_index = 0;
  std::uint16_t port = 0;
  Protocol protocol = Protocol::udp;
};

/// The most keys that a burst look-up takes.
inline constexpr std::size_t kLookupBurst = 64;
/// How many look-ups lie between asking for a line and reading it: see nat/prefetch.hpp for why not more.
inline constexpr std::size_t kLookupAhead = 10;

/// The array from external ports to mappings, one for all workers. Invariant: an entry is touched only by
/// the owner of its port. It is a view: copies share the memory.
class InboundIndex {
 public:
  /// Memory for so many external addresses, all zero at first: 768 KiB each.
  [[nodiscard]] static constexpr std::size_t bytes_needed(std::size_t addresses) noexcept {
    return carved_bytes<MappingIndex>(addresses * kEntriesPerAddress);
  }
  InboundIndex(std::size_t addresses, std::span<std::byte> zeroed) noexcept
      : entries_{reinterpret_cast<MappingIndex*>(zeroed.data())} {
    assert(zeroed.size() >= bytes_needed(addresses));
    static_cast<void>(addresses);
  }

  [[nodiscard]] MappingIndex find(InboundKey key) const noexcept { return entries_[at(key)] - 1; }
  void prefetch(InboundKey key) const noexcept { nat::prefetch(&entries_[at(key)]); }
  // The same in two steps, for a look-up that is spread over a burst.
  using Slot = std::size_t;
  [[nodiscard]] static constexpr Slot slot_of(InboundKey key) noexcept { return at(key); }
  void prefetch(Slot slot) const noexcept { nat::prefetch(&entries_[slot]); }
  [[nodiscard]] MappingIndex find(Slot slot) const noexcept { return entries_[slot] - 1; }
  void set(InboundKey key, MappingIndex mapping) noexcept { entries_[at(key)] = mapping + 1; }
  void clear(InboundKey key) noexcept { entries_[at(key)] = 0; }

 private:
  static constexpr std::size_t kEntriesPerAddress = kProtocols * 65536;
  [[nodiscard]] static constexpr std::size_t at(InboundKey key) noexcept {
    return (key.pool_index * kProtocols + static_cast<std::size_t>(key.protocol)) * 65536 + key.port;
  }
  MappingIndex* entries_;  // index + 1, so that fresh memory says kNoMapping: 0 - 1
};

class MappingTable {
 public:
  /// Where a key is looked for: its home line; the rest picks the stride of its further lines, and the last
  /// 16 bits of it are the tag.
  struct Hash {
    std::uint32_t home = 0;
    std::uint32_t rest = 0;
  };

  [[nodiscard]] static constexpr std::size_t bytes_needed(std::uint32_t capacity) noexcept {
    return carved_bytes<Header>(1) + carved_bytes<Mapping>(capacity) +
           carved_bytes<Line>(lines_for(capacity));
  }
  /// \param capacity mappings, at least 1
  /// \param seed secret, so that nobody can choose keys that share a line
  MappingTable(std::uint32_t capacity, std::uint64_t seed, std::span<std::byte> memory) noexcept;

  /// \param key a key_word(). Cost: two multiplications.
  [[nodiscard]] Hash hash(std::uint64_t key) const noexcept {
    const auto product = static_cast<Wide>(key ^ seed_) * 0x9fb21c651e98df25U;
    const std::uint64_t mixed =
        static_cast<std::uint64_t>(product) ^ static_cast<std::uint64_t>(product >> 64U);
    // Taken as a fraction, times the lines: a line, and a fraction again.
    const auto scaled = static_cast<Wide>(mixed) * line_count_;
    return {.home = static_cast<std::uint32_t>(scaled >> 64U),
            .rest = static_cast<std::uint32_t>(static_cast<std::uint64_t>(scaled) >> 32U)};
  }
  /// Fetches the line that find() will read.
  void prefetch(Hash hash) const noexcept { nat::prefetch(&lines_[hash.home]); }
  void prefetch_mapping(MappingIndex index) const noexcept { nat::prefetch(&mappings_[index]); }
  /// The mapping that probably has the key, or kNoMapping: the first of the home line whose tag fits, which
  /// is right but for one time in thousands. Whoever asked compares key_word(). Cost: one line, prefetched.
  [[nodiscard]] MappingIndex guess(Hash hash) const noexcept {
    const Line& home = lines_[hash.home];
    const std::uint32_t places = match(home, tag_of(hash));
    return places == 0 ? kNoMapping : home.indices[place_of(places)];
  }

  /// Whether a key that guess() did not find may lie further on; its next line is being fetched then.
  [[nodiscard]] bool lies_further(Hash hash) const noexcept {
    if (lines_[hash.home].passed_on == 0) return false;
    nat::prefetch(&lines_[step(hash.home, stride_of(hash))]);
    return true;
  }
  /// guess() for a key that lies_further().
  [[nodiscard]] MappingIndex guess_further(Hash hash) const noexcept;

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
  /// No mapping at or above this was ever taken. Thread: any may read.
  [[nodiscard]] std::atomic<MappingIndex>& high_water() const noexcept { return header_->high_water; }

 private:
  using Wide = unsigned __int128;
  static constexpr std::uint32_t kPlaces = 10;
  static constexpr std::uint32_t kMaxProbes = 16;  // lines; the chance to need more is nil below full
  struct Header {
    alignas(kCacheLine) std::atomic<MappingIndex> high_water{0};
  };
  struct alignas(kCacheLine) Line {
    std::array<std::uint16_t, kPlaces> tags{};  // 0: empty
    std::uint32_t passed_on = 0;  // keys that came by while this line was full, and lie further on
    std::array<MappingIndex, kPlaces> indices{};
  };
  static_assert(sizeof(Line) == kCacheLine);

  /// Half of all places stay empty.
  [[nodiscard]] static constexpr std::uint32_t lines_for(std::uint32_t capacity) noexcept {
    return capacity / (kPlaces / 2) + 1;
  }
  [[nodiscard]] std::uint32_t stride_of(Hash hash) const noexcept {
    return 1 + static_cast<std::uint32_t>((std::uint64_t{hash.rest} * (line_count_ - 1)) >> 32U);
  }
  [[nodiscard]] static std::uint16_t tag_of(Hash hash) noexcept {
    return static_cast<std::uint16_t>(hash.rest | 1U);
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
  [[nodiscard]] MappingIndex find_in(const Line& line, std::uint16_t tag, std::uint64_t key) const noexcept;
  [[nodiscard]] MappingIndex find_further(Hash hash, std::uint64_t key) const noexcept;
  [[nodiscard]] bool add_to_index(Hash hash, MappingIndex index) noexcept;
  void remove_from_index(Hash hash, MappingIndex index) noexcept;
  [[nodiscard]] MappingIndex take_free() noexcept;
  void put_free(MappingIndex index) noexcept;

  std::uint32_t capacity_;
  std::uint32_t line_count_;
  std::uint64_t seed_;
  Header* header_;
  Mapping* mappings_;
  Line* lines_;
  MappingIndex first_free_ = kNoMapping;  // a stack through `parent` of the free mappings
  std::uint32_t size_ = 0;
};

// In the header, because each new mapping comes by.

inline MappingIndex MappingTable::insert(OutboundKey key) noexcept {
  const MappingIndex index = take_free();
  if (index == kNoMapping) return kNoMapping;
  if (!add_to_index(hash(key.word()), index)) {
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

inline bool MappingTable::add_to_index(Hash hash, MappingIndex index) noexcept {
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
    line.tags[place] = tag_of(hash);
    line.indices[place] = index;
    return true;
  }
  at = hash.home;  // no place: the lines need not remember that it came by
  for (std::uint32_t probe = 0; probe < kMaxProbes; ++probe, at = step(at, stride)) --lines_[at].passed_on;
  return false;
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
