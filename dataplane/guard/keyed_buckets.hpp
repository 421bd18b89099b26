// SPDX-License-Identifier: BSD-3-Clause
#pragma once
// Buckets by a hash: of subscribers, of servers. The table forgets: a key that finds both of its places taken
// gets the one that is used up less, whose own key then begins with a full bucket again. So nobody is limited
// for what another one sent, unless their hashes are equal, and memory is constant.

#include <bit>
#include <cassert>
#include <cstddef>
#include <cstdint>
#include <span>

#include "dataplane/guard/bucket.hpp"
#include "nat/memory.hpp"

namespace pinhole::dataplane {

class KeyedBuckets {
 public:
  [[nodiscard]] static constexpr std::size_t bytes_needed(std::uint32_t capacity) noexcept {
    return nat::carved_bytes<Place>(capacity);
  }
  /// \param capacity  a power of two, two at least
  KeyedBuckets(std::uint32_t capacity, nat::Carver& memory) noexcept : places_(memory.take<Place>(capacity)) {
    assert(std::has_single_bit(capacity) && capacity >= 2);
  }

  /// \param key  a hash that strangers cannot aim at
  [[nodiscard]] Bucket& of(std::uint64_t key, nat::Tick now) noexcept {
    const std::size_t pair = (key & (places_.size() / 2 - 1)) * 2;
    auto& first = places_[pair];
    auto& second = places_[pair + 1];
    if (first.key == key) return first.bucket;
    if (second.key == key) return second.bucket;
    auto& place = first.bucket.used(now) <= second.bucket.used(now) ? first : second;
    place = {key, {}};
    return place.bucket;
  }

 private:
  struct Place {
    std::uint64_t key = 0;
    Bucket bucket;
  };
  std::span<Place> places_;
};

}  // namespace pinhole::dataplane
