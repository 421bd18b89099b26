// SPDX-License-Identifier: BSD-3-Clause
#include "nat/outbound_index.hpp"

#include "tests/nat/table_memory.hpp"

#include <catch2/catch.hpp>

#include <random>
#include <unordered_map>
#include <vector>

using namespace pinhole::nat;

namespace {

struct Index {
  Index(std::uint32_t mappings, std::uint64_t seed)
      : memory(OutboundIndex::bytes_needed(mappings)), carver(memory.span()), index(mappings, seed, carver) {}

  TableMemory memory;
  Carver carver;
  OutboundIndex index;
};

/// The n-th of many different keys, close together as those of real hosts are.
std::uint64_t key_number(std::uint64_t n) {
  return key_word(Protocol::udp, {Ipv4Address::from_host(0xc0a80000U + static_cast<std::uint32_t>(n / 64)),
                                  Be16{static_cast<std::uint16_t>(5000 + n % 64)}});
}

}  // namespace

TEST_CASE("a key that is in the index is guessed, at home or further on, or another of its tag is",
          "[nat][outbound_index]") {
  const std::uint64_t seed = std::random_device{}();
  INFO("seed " << seed);
  std::mt19937_64 random(seed);
  // Two lines for nine mappings at most, so that many lie further on; and many lines.
  for (const std::uint32_t capacity : {9U, 100U, 5000U}) {
    Index t(capacity, random());
    std::unordered_map<std::uint64_t, MappingIndex> oracle;  // mapping by number of key
    std::vector<std::uint64_t> numbers(capacity);            // number of key by mapping
    std::vector<MappingIndex> free;
    for (MappingIndex mapping = capacity; mapping > 0; --mapping) free.push_back(mapping - 1);
    for (int round = 0; round < 20'000; ++round) {
      const std::uint64_t n = random() % (2 * capacity);
      const auto hash = t.index.hash(key_number(n));
      REQUIRE(hash.tag() != 0);
      if (const auto found = oracle.find(n); found != oracle.end()) {
        t.index.remove(hash, found->second);
        free.push_back(found->second);
        oracle.erase(found);
      } else if (!free.empty() && t.index.add(hash, free.back())) {
        oracle[n] = free.back();
        numbers[free.back()] = n;
        free.pop_back();
      }
      const std::uint64_t asked = random() % (2 * capacity);
      const auto asked_hash = t.index.hash(key_number(asked));
      const auto is_asked = [&](MappingIndex mapping) noexcept { return numbers[mapping] == asked; };
      auto found = t.index.find_at_home(asked_hash, is_asked);
      if (found == kNoMapping) found = t.index.find_further(asked_hash, is_asked);
      const auto expected = oracle.find(asked);
      REQUIRE(found == (expected == oracle.end() ? kNoMapping : expected->second));
      if (expected == oracle.end()) continue;
      auto guess = t.index.guess(asked_hash);
      if (guess == kNoMapping) {
        REQUIRE(t.index.lies_further(asked_hash));
        guess = t.index.guess_further(asked_hash);
      }
      REQUIRE(guess != kNoMapping);
      REQUIRE(t.index.hash(key_number(numbers[guess])).tag() == asked_hash.tag());
    }
  }
}

TEST_CASE("an index that was emptied looks no further", "[nat][outbound_index]") {
  constexpr std::uint32_t kCapacity = 9;
  Index t(kCapacity, 1);
  for (MappingIndex n = 0; n < kCapacity; ++n) REQUIRE(t.index.add(t.index.hash(key_number(n)), n));
  for (MappingIndex n = 0; n < kCapacity; ++n) t.index.remove(t.index.hash(key_number(n)), n);
  for (MappingIndex n = 0; n < kCapacity; ++n) {
    const auto hash = t.index.hash(key_number(n));
    CHECK(t.index.guess(hash) == kNoMapping);
    CHECK_FALSE(t.index.lies_further(hash));
  }
}
