// SPDX-License-Identifier: BSD-3-Clause
// What the engine is made of: chunks, queues of bytes, the map of numbers, options.
#include <catch2/catch.hpp>

#include <algorithm>
#include <array>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "alg/stream/byte_queue.hpp"
#include "alg/stream/segment.hpp"
#include "alg/stream/sequence_map.hpp"

namespace pinhole::alg::stream {

namespace {

std::span<const std::byte> bytes(std::string_view text) {
  return std::as_bytes(std::span(text));
}

struct Pool {
  explicit Pool(std::uint32_t chunks) : memory(ChunkPool::bytes_needed(chunks)), pool(chunks, memory) {}
  std::vector<std::byte> memory;
  ChunkPool pool;
};

}  // namespace

TEST_CASE("a byte queue gives back what was written, wherever it was cut", "[alg][stream]") {
  const std::uint64_t seed = std::random_device{}();
  INFO("seed " << seed);
  std::mt19937_64 chance(seed);
  Pool own(64);
  const Sequence begin = 0xffffff00U;  // it wraps
  ByteQueue queue(begin);
  std::string reference;
  Sequence end = begin;
  std::uint64_t gone = 0;
  for (int round = 0; round < 3000; ++round) {
    if (chance() % 3 != 0) {
      std::string text(1 + chance() % 3000, '\0');
      for (auto& c : text) c = static_cast<char>(chance());
      const Sequence behind = end + static_cast<Sequence>(text.size());
      const bool fits = queue.chunks_missing(own.pool, end, behind) <= own.pool.free();
      REQUIRE(queue.write(own.pool, end, bytes(text)) == fits);
      if (!fits) continue;
      reference += text;
      end += static_cast<Sequence>(text.size());
    } else {
      const std::uint64_t drop = chance() % (reference.size() - gone + 1);
      gone += drop;
      queue.drop_to(own.pool, begin + static_cast<Sequence>(gone));
    }
    const std::uint64_t left = reference.size() - gone;
    if (left == 0) continue;
    const std::uint64_t at = gone + chance() % left;
    const auto size =
        static_cast<std::uint32_t>(std::min<std::uint64_t>(1 + chance() % 9000, reference.size() - at));
    std::string read(size, '\0');
    queue.read(own.pool, begin + static_cast<Sequence>(at), std::as_writable_bytes(std::span(read)));
    REQUIRE((read == reference.substr(at, size)));
    REQUIRE(queue.equals(own.pool, begin + static_cast<Sequence>(at), bytes(read)));
    read.back() = static_cast<char>(read.back() + 1);
    REQUIRE_FALSE(queue.equals(own.pool, begin + static_cast<Sequence>(at), bytes(read)));
    REQUIRE(queue.pieces(own.pool, begin + static_cast<Sequence>(at), size).size() == size);
  }
  queue.clear(own.pool);
  CHECK(own.pool.free() == 64);
}

TEST_CASE("a byte queue takes chunks for what was written, in whatever order, and none for a gap",
          "[alg][stream]") {
  const std::uint64_t seed = std::random_device{}();
  INFO("seed " << seed);
  std::mt19937_64 chance(seed);
  constexpr std::uint32_t kSize = 40 * ChunkPool::kBytes;
  for (int round = 0; round < 200; ++round) {
    Pool own(41);
    const auto begin = static_cast<Sequence>(0U - chance() % kSize);  // it wraps
    ByteQueue queue(begin);
    const auto skipped = static_cast<Sequence>(chance() % 5000);
    queue.drop_to(own.pool, begin + skipped);
    std::string all(kSize, '\0');
    for (auto& c : all) c = static_cast<char>(chance());
    std::array<bool, 42> has{};
    std::vector<std::pair<std::uint32_t, std::uint32_t>> written;
    for (int piece = 0; piece < 20; ++piece) {
      const auto at = static_cast<std::uint32_t>(chance() % (kSize - 1));
      const auto size = static_cast<std::uint32_t>(1 + chance() % std::min(kSize - at, 3000U));
      const auto free = own.pool.free();
      const auto missing = queue.chunks_missing(own.pool, begin + skipped + at, begin + skipped + at + size);
      REQUIRE(queue.write(own.pool, begin + skipped + at, bytes(all).subspan(at, size)));
      REQUIRE(free - own.pool.free() == missing);
      for (std::uint32_t i = at; i < at + size; ++i) has[i / ChunkPool::kBytes] = true;
      REQUIRE(own.pool.size() - own.pool.free() ==
              static_cast<std::uint32_t>(std::count(has.begin(), has.end(), true)));
      written.emplace_back(at, size);
      for (const auto& [from, length] : written)
        REQUIRE(queue.equals(own.pool, begin + skipped + from, bytes(all).subspan(from, length)));
    }
    // What is in order from the front stays when the rest is given up.
    const auto kept = static_cast<std::uint32_t>(chance() % 9000);
    if (kept > 0) REQUIRE(queue.write(own.pool, begin + skipped, bytes(all).first(kept)));
    queue.cut(own.pool, begin + skipped + kept);
    CHECK(own.pool.size() - own.pool.free() == (kept + ChunkPool::kBytes - 1) / ChunkPool::kBytes);
    CHECK(queue.equals(own.pool, begin + skipped, bytes(all).first(kept)));
    REQUIRE(queue.write(own.pool, begin + skipped + kept, bytes(all).subspan(kept)));
    CHECK(queue.equals(own.pool, begin + skipped, bytes(all)));
    queue.clear(own.pool);
    CHECK(own.pool.free() == own.pool.size());
  }
}

TEST_CASE("numbers are translated piece by piece, and inside of an edit to its ends",
          "[alg][stream][AC-06]") {
  // 100 bytes, 10 replaced by 15, 30 bytes, 4 inserted, 20 bytes, 8 removed, and on.
  SequenceMap map;
  map.start(1000, 5000);
  map.replace(1100, 10, 15);
  map.replace(1140, 0, 4);
  map.replace(1160, 8, 0);
  struct Row {
    const char* name;
    Sequence in, out_floor, out_ceil;
  };
  const Row rows[] = {{"the beginning", 1000, 5000, 5000},
                      {"before the first edit", 1099, 5099, 5099},
                      {"at the edit", 1100, 5100, 5100},
                      {"inside of it", 1105, 5100, 5115},
                      {"its end", 1110, 5115, 5115},
                      {"between two", 1120, 5125, 5125},
                      {"where something was inserted", 1140, 5145, 5149},
                      {"behind that", 1141, 5150, 5150},
                      {"where something was removed", 1160, 5169, 5169},
                      {"inside of what was removed", 1164, 5169, 5169},
                      {"behind all", 1200, 5201, 5201}};
  for (const auto& row : rows) {
    DYNAMIC_SECTION(row.name) {
      CHECK(map.out_floor(row.in) == row.out_floor);
      CHECK(map.out_ceil(row.in) == row.out_ceil);
    }
  }
  CHECK(map.in_floor(5107) == 1100);
  CHECK(map.in_ceil(5107) == 1110);
  CHECK(map.in_floor(5147) == 1140);
  CHECK(map.in_floor(5169) == 1168);  // who has all before has what was removed
  CHECK(map.in_floor(5201) == 1200);
  map.fold(5150);
  CHECK(map.in_floor(5150) == 1141);
  CHECK(map.in_floor(5201) == 1200);
  CHECK(map.shift() == 4001);
}

TEST_CASE("with more edits than knots the map stays monotonic and right at its ends", "[alg][stream]") {
  const std::uint64_t seed = std::random_device{}();
  INFO("seed " << seed);
  std::mt19937_64 chance(seed);
  SequenceMap map;
  map.start(0, 0);
  Sequence in = 0;
  std::int64_t grown = 0;
  for (int edit = 0; edit < 500; ++edit) {
    in += static_cast<Sequence>(chance() % 50);
    const auto removed = static_cast<std::uint32_t>(chance() % 20);
    const auto added = static_cast<std::uint32_t>(chance() % 20);
    map.replace(in, removed, added);
    in += removed;
    grown += static_cast<std::int64_t>(added) - removed;
    REQUIRE(map.shift() == static_cast<Sequence>(grown));
    REQUIRE(map.out_ceil(in) == in + map.shift());
  }
  Sequence floor = 0;
  for (Sequence at = 0; at <= in; ++at) {
    REQUIRE_FALSE(before(map.out_floor(at), floor));
    REQUIRE_FALSE(before(map.out_ceil(at), map.out_floor(at)));
    floor = map.out_floor(at);
  }
}

TEST_CASE("SACK blocks claim what was received whole, and nothing beyond what was sent",
          "[alg][stream][AC-06][rfc2018]") {
  SequenceMap map;
  map.start(1000, 5000);
  map.replace(1100, 10, 20);
  const auto block = [](Sequence begin, Sequence end) {
    std::array<std::byte, 12> option{std::byte{1}, std::byte{1}, std::byte{5}, std::byte{10}};
    for (int i = 0; i < 4; ++i) {
      option[static_cast<std::size_t>(4 + i)] = static_cast<std::byte>(begin >> (24 - 8 * i));
      option[static_cast<std::size_t>(8 + i)] = static_cast<std::byte>(end >> (24 - 8 * i));
    }
    return option;
  };
  const auto after_translation = [&](Sequence begin, Sequence end) {
    auto option = block(begin, end);
    translate_sacks(read_options(option).sacks, map, {1050, 1200});
    return option;
  };
  CHECK(after_translation(5130, 5150) == block(1120, 1140));
  CHECK(after_translation(5105, 5150) == block(1110, 1140));  // half of an edit is nothing of it
  CHECK(after_translation(5020, 5115) == block(1050, 1100));
  CHECK(after_translation(5150, 5400) == block(1140, 1200));
  auto nothing = after_translation(5105, 5110);
  CHECK(read_options(nothing).sacks.empty());
  for (std::size_t i = 0; i < 4; ++i) CHECK(nothing[i] == std::byte{1});
}

TEST_CASE("MPTCP is left out of a SYN, and nothing else", "[alg][stream][rfc8684]") {
  const std::array<unsigned, 24> syn = {2, 4, 5, 180, 30, 12, 1, 1, 2, 3, 4,  5,
                                        6, 7, 8, 9,   1,  3,  3, 7, 4, 2, 30, 2};
  std::array<std::byte, syn.size()> options;
  std::transform(syn.begin(), syn.end(), options.begin(), [](unsigned byte) { return std::byte(byte); });
  auto expected = options;
  std::fill(expected.begin() + 4, expected.begin() + 16, std::byte{1});
  std::fill(expected.begin() + 22, expected.end(), std::byte{1});
  leave_out_multipath(options);
  CHECK((options == expected));
}

TEST_CASE("options are written as they are read", "[alg][stream][rfc7323]") {
  OutSegment segment;
  segment.timestamps = Timestamps{0x01020304, 0xf0f1f2f3};
  segment.sacks[0] = {10, 20};
  segment.sack_count = 1;
  std::array<std::byte, OutSegment::kMaxOptions> room;
  const std::size_t size = segment.write_options(room);
  CHECK(size == 24);
  const auto read = read_options(std::span(room).first(size));
  CHECK(read.timestamps->value == 0x01020304);
  CHECK(read.timestamps->echo == 0xf0f1f2f3);
  CHECK(read.sacks.size() == 8);
}

}  // namespace pinhole::alg::stream
