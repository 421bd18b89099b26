// SPDX-License-Identifier: BSD-3-Clause
#include "nat/mapping_table.hpp"

#include "nat/random.hpp"
#include "tests/nat/table_memory.hpp"

#include <catch2/catch.hpp>

#include <algorithm>
#include <random>
#include <unordered_map>
#include <vector>

using namespace pinhole::nat;

namespace {

constexpr std::uint64_t kSeed = 0x243f6a8885a308d3;

Endpoint endpoint(std::uint32_t address, std::uint16_t port) {
  return {Ipv4Address::from_host(address), Be16{port}};
}

/// The n-th of many different keys, close together as those of real hosts are.
OutboundKey key_number(std::uint32_t n) {
  return {endpoint(0xc0a80000 + n / 3 / 64, static_cast<std::uint16_t>(5000 + n / 3 % 64)),
          static_cast<Protocol>(n % 3)};
}

struct Table {
  explicit Table(std::uint32_t capacity)
      : memory(MappingTable::bytes_needed(capacity)), table(capacity, kSeed, memory.span()) {}

  MappingIndex find(const OutboundKey& key) const { return table.find(key.protocol(), key.inside()); }
  MappingIndex insert(const OutboundKey& key) {
    const MappingIndex index = table.insert(key.protocol(), key.inside());
    if (index != kNoMapping) table.publish(index);
    return index;
  }

  TableMemory memory;
  MappingTable table;
};

}  // namespace

TEST_CASE("a mapping is found by protocol and inside endpoint, all of them",
          "[nat][mapping_table][rfc7857-5]") {
  Table t(100);
  const Endpoint inside = endpoint(0x0a000001, 5060);
  const MappingIndex index = t.insert({inside, Protocol::udp});
  REQUIRE(index != kNoMapping);
  CHECK(t.find({inside, Protocol::udp}) == index);
  CHECK(t.find({inside, Protocol::tcp}) == kNoMapping);
  CHECK(t.find({endpoint(0x0a000002, 5060), Protocol::udp}) == kNoMapping);
  CHECK(t.find({endpoint(0x0a000001, 5061), Protocol::udp}) == kNoMapping);
  CHECK(t.table[index].inside == inside);
  CHECK(t.table.size() == 1);
}

TEST_CASE("the generation is odd while a mapping is free or being filled in", "[nat][mapping_table]") {
  Table t(4);
  const OutboundKey key = key_number(0);
  for (MappingIndex i = 0; i < 4; ++i) CHECK_FALSE(t.table.is_live(i));
  const MappingIndex index = t.table.insert(key.protocol(), key.inside());
  CHECK(t.table[index].generation % 2 == 1);
  t.table.publish(index);
  const std::uint32_t first = t.table[index].generation;
  CHECK(first % 2 == 0);
  t.table.renew(index);
  const std::uint32_t second = t.table[index].generation;
  CHECK(second == first + 2);
  t.table.erase(index);
  CHECK(t.table[index].generation == second + 1);
  REQUIRE(t.insert(key_number(1)) == index);  // the place is used again
  CHECK(t.table[index].generation == second + 2);
  CHECK(t.find(key) == kNoMapping);
}

TEST_CASE("the high-water mark says how much of the table was ever used", "[nat][mapping_table]") {
  Table t(10);
  CHECK(t.table.high_water() == 0);
  const MappingIndex first = t.insert(key_number(0));
  static_cast<void>(t.insert(key_number(1)));
  CHECK(t.table.high_water() == 2);
  t.table.erase(first);
  static_cast<void>(t.insert(key_number(2)));
  CHECK(t.table.high_water() == 2);
}

TEST_CASE("a mapping starts out as new in a place that was used before", "[nat][mapping_table]") {
  Table t(1);
  Mapping& mapping = t.table[t.insert(key_number(0))];
  mapping.packets_in = 17;
  mapping.flags = MappingFlags::kStatic;
  t.table.erase(0);
  REQUIRE(t.insert(key_number(1)) == 0);
  CHECK(mapping.packets_in == 0);
  CHECK(mapping.flags == 0);
  CHECK(mapping.parent == ~std::uint32_t{0});
}

TEST_CASE("a table takes as many mappings as it was made for, and no more", "[nat][mapping_table]") {
  for (const std::uint32_t capacity : {1U, 2U, 3U, 7U, 64U, 1000U, 65536U}) {
    DYNAMIC_SECTION(capacity << " mappings") {
      Table t(capacity);
      for (int round = 0; round < 2; ++round) {
        std::vector<MappingIndex> indices;
        for (std::uint32_t n = 0; n < capacity; ++n) {
          const MappingIndex index = t.insert(key_number(n));
          REQUIRE(index < capacity);
          indices.push_back(index);
        }
        CHECK(t.insert(key_number(capacity)) == kNoMapping);
        CHECK(t.find(key_number(capacity)) == kNoMapping);
        for (std::uint32_t n = 0; n < capacity; ++n) REQUIRE(t.find(key_number(n)) == indices[n]);
        for (const MappingIndex index : indices) t.table.erase(index);
        for (std::uint32_t n = 0; n < capacity; ++n) REQUIRE(t.find(key_number(n)) == kNoMapping);
        CHECK(t.table.size() == 0);
      }
    }
  }
}

TEST_CASE("an index that was full and is empty again sends no look-up further", "[nat][mapping_table]") {
  constexpr std::uint32_t kCapacity = 65536;
  Table t(kCapacity);
  // The lines of the index are the end of the memory; ten tags begin each, then the count of keys passed on.
  constexpr std::size_t kLine = 64;
  constexpr std::size_t kTags = 20;
  const auto lines = t.memory.span().last((kCapacity / 5 + 1) * kLine);
  const auto is_set = [](std::byte byte) { return byte != std::byte{0}; };
  const auto lines_with = [&](std::size_t offset, std::size_t size) {
    std::size_t count = 0;
    for (std::size_t line = 0; line < lines.size(); line += kLine)
      count += std::ranges::any_of(lines.subspan(line + offset, size), is_set);
    return count;
  };
  for (std::uint32_t n = 0; n < kCapacity; ++n) REQUIRE(t.insert(key_number(n)) == n);
  CHECK(lines_with(0, kTags) > kCapacity / 6);
  CHECK(lines_with(kTags, sizeof(std::uint32_t)) > 0);
  for (MappingIndex index = 0; index < kCapacity; ++index) t.table.erase(index);
  CHECK(lines_with(0, kTags) == 0);
  CHECK(lines_with(kTags, sizeof(std::uint32_t)) == 0);
}

TEST_CASE("a burst finds what single look-ups find", "[nat][mapping_table]") {
  constexpr std::uint32_t kCapacity = 65536;  // full, so that lines overflow
  Table t(kCapacity);
  for (std::uint32_t n = 0; n < kCapacity; ++n) REQUIRE(t.insert(key_number(2 * n)) != kNoMapping);
  for (std::uint32_t first = 0; first < 2 * kCapacity; first += 61) {
    const std::size_t count = 1 + first % kLookupBurst;
    std::array<OutboundKey, kLookupBurst> keys;
    std::array<MappingIndex, kLookupBurst> found{};
    for (std::uint32_t i = 0; i < count; ++i) keys[i] = key_number(first + i);
    t.table.find_burst({keys.data(), count}, found);
    for (std::size_t i = 0; i < count; ++i) REQUIRE(found[i] == t.find(keys[i]));
  }
}

TEST_CASE("under random inserts and erases the table agrees with std::unordered_map",
          "[nat][mapping_table]") {
  const auto seed = std::random_device{}();
  INFO("seed " << seed);
  Random random({seed});
  for (const std::uint32_t capacity : {5U, 300U, 5000U}) {
    DYNAMIC_SECTION(capacity << " mappings") {
      Table t(capacity);
      std::unordered_map<std::uint32_t, MappingIndex> oracle;
      // The wish to insert swings, so that the table runs full and empty by turns.
      for (std::uint32_t operation = 0; operation < 40 * capacity; ++operation) {
        const bool fill = operation / (5 * capacity) % 2 == 0;
        const std::uint32_t n = random.next() % (2 * capacity);
        const auto known = oracle.find(n);
        REQUIRE(t.find(key_number(n)) == (known == oracle.end() ? kNoMapping : known->second));
        if (known == oracle.end() && random.next() % 4 < (fill ? 4U : 1U)) {
          const MappingIndex index = t.insert(key_number(n));
          REQUIRE((index == kNoMapping) == (oracle.size() == capacity));
          if (index != kNoMapping) oracle.emplace(n, index);
        } else if (known != oracle.end() && random.next() % 4 < (fill ? 1U : 4U)) {
          t.table.erase(known->second);
          oracle.erase(known);
        }
        REQUIRE(t.table.size() == oracle.size());
      }
      for (std::uint32_t n = 0; n < 2 * capacity; ++n)
        REQUIRE(t.find(key_number(n)) == (oracle.contains(n) ? oracle[n] : kNoMapping));
    }
  }
}
