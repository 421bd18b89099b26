// SPDX-License-Identifier: BSD-3-Clause
#pragma once
// A hash index over the places of a fixed table: chains of places by bucket. It knows nothing of what lies in
// the places; whoever walks a chain compares. A place is in one chain at most. Invariant: memory is given
// once and never grows; each operation but the walk takes constant time. Owned by one worker.

#include <bit>
#include <cstddef>
#include <cstdint>
#include <span>

#include "nat/memory.hpp"
#include "nat/prefetch.hpp"

namespace pinhole::nat {

class HashChains {
 public:
  static constexpr std::uint32_t kNone = ~std::uint32_t{0};

  /// \param capacity places, 1..2^30
  [[nodiscard]] static constexpr std::size_t bytes_needed(std::uint32_t capacity) noexcept {
    return carved_bytes<std::uint32_t>(buckets_for(capacity)) + carved_bytes<Link>(capacity);
  }
  /// \param seed secret: without it nobody can choose hashes that share a bucket
  HashChains(std::uint32_t capacity, std::uint64_t seed, Carver& memory) noexcept
      : seed_(seed),
        shift_(63U - static_cast<unsigned>(std::countr_zero(buckets_for(capacity)))),
        heads_(memory.take<std::uint32_t>(buckets_for(capacity))),
        links_(memory.take<Link>(capacity)) {
    for (auto& head : heads_) head = kNone;
  }

  /// The first place of the chain that holds all places of this hash, and others; kNone ends a chain.
  [[nodiscard]] std::uint32_t first(std::uint64_t hash) const noexcept { return heads_[bucket_of(hash)]; }
  [[nodiscard]] std::uint32_t next(std::uint32_t place) const noexcept { return links_[place].next; }

  /// Fetches what first() will read.
  void prefetch(std::uint64_t hash) const noexcept { nat::prefetch(&heads_[bucket_of(hash)]); }

  /// Puts a place that is in no chain into the one of its hash.
  void add(std::uint32_t place, std::uint64_t hash) noexcept {
    auto& head = heads_[bucket_of(hash)];
    links_[place] = {head, kNone};
    if (head != kNone) links_[head].previous = place;
    head = place;
  }
  /// Takes a place out. \param hash the one that it was added with
  void remove(std::uint32_t place, std::uint64_t hash) noexcept {
    const auto link = links_[place];
    if (link.next != kNone) links_[link.next].previous = link.previous;
    if (link.previous != kNone) {
      links_[link.previous].next = link.next;
    } else {
      heads_[bucket_of(hash)] = link.next;
    }
  }

 private:
  struct Link {
    std::uint32_t next = kNone;
    std::uint32_t previous = kNone;  // kNone: first of its chain
  };

  /// Two for a place and up to four, so that most chains are of one.
  [[nodiscard]] static constexpr std::uint32_t buckets_for(std::uint32_t capacity) noexcept {
    return 2 * std::bit_ceil(capacity);
  }
  [[nodiscard]] std::size_t bucket_of(std::uint64_t hash) const noexcept {
    const std::uint64_t mixed = (hash ^ seed_) * 0x9e3779b97f4a7c15U;  // 2^64 / golden ratio
    return mixed >> 1U >> shift_;  // the upper bits depend on all of the hash
  }

  std::uint64_t seed_;
  unsigned shift_;
  std::span<std::uint32_t> heads_;
  std::span<Link> links_;
};

}  // namespace pinhole::nat
