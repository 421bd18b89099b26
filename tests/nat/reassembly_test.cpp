// SPDX-License-Identifier: BSD-3-Clause
#include "nat/reassembly.hpp"

#include "tests/nat/table_memory.hpp"

#include <algorithm>
#include <catch2/catch.hpp>

#include <array>
#include <random>
#include <set>
#include <string>
#include <vector>

using namespace pinhole::nat;

namespace {

/// A table with its memory, and what came out of it.
class Bench {
  static void* handle(int packet) { return reinterpret_cast<void*>(static_cast<std::uintptr_t>(packet)); }
  static int number(void* packet) { return static_cast<int>(reinterpret_cast<std::uintptr_t>(packet)); }
  auto drop() {
    return [this](void* packet, DropReason reason) noexcept { dropped.push_back({number(packet), reason}); };
  }

 public:
  struct Dropped {
    int packet = 0;
    DropReason reason = DropReason::none;
    friend bool operator==(Dropped, Dropped) = default;
  };

  explicit Bench(ReassemblyLimits limits = {}, std::uint64_t seed = 1)
      : memory(Reassembly::bytes_needed(limits)), table(limits, seed, memory.span()) {}

  /// \return the pieces of the datagram, in order, when it is whole
  std::vector<int> take(const ReassemblyKey& key, FragmentRange range, int packet, Tick now = 0) {
    std::vector<int> whole;
    const bool is_whole = table.take(
        key, range, handle(packet), now, [&](void* piece) noexcept { whole.push_back(number(piece)); },
        drop());
    CHECK(is_whole == !whole.empty());
    return whole;
  }
  void expire(Tick now, std::uint32_t budget = 1000000) { table.expire(now, budget, drop()); }

  std::vector<Dropped> dropped;
  TableMemory memory;
  Reassembly table;
};

ReassemblyKey key_of(std::uint32_t source, std::uint16_t identification, bool from_inside = true) {
  return {{Ipv4Address::from_host(0x0a000000U + source), Be16{5060}},
          {Ipv4Address::from_host(0xc6336401U), Be16{5060}},
          Be16{identification},
          from_inside};
}
// Four fragments of a datagram.
constexpr std::array<FragmentRange, 4> kQuarters = {
    {{0, 185, false}, {185, 370, false}, {370, 555, false}, {555, 600, true}}};
using Numbers = std::vector<int>;

}  // namespace

TEST_CASE("a datagram is whole when its last piece has come, in whatever order", "[nat][reassembly][AC-08]") {
  std::array<int, 4> order = {1, 2, 3, 4};
  do {
    DYNAMIC_SECTION("order " << order[0] << order[1] << order[2] << order[3]) {
      Bench bench;
      Numbers whole;
      for (const int which : order) {
        CHECK(whole.empty());
        whole = bench.take(key_of(1, 7), kQuarters[static_cast<std::size_t>(which - 1)], which);
      }
      CHECK(whole == Numbers{1, 2, 3, 4});
      CHECK(bench.dropped.empty());
      CHECK(bench.table.datagrams() == 0);
      CHECK(bench.table.pieces() == 0);
    }
  } while (std::ranges::next_permutation(order).found);
}

TEST_CASE("pieces of different datagrams are not mixed", "[nat][reassembly][AC-08]") {
  struct Case {
    const char* differs_in;
    ReassemblyKey key;
  };
  auto source_port = key_of(1, 7);
  source_port.source.port = Be16{5061};
  auto destination = key_of(1, 7);
  destination.destination.address = Ipv4Address::from_host(0xc6336402U);
  auto destination_port = key_of(1, 7);
  destination_port.destination.port = Be16{5061};
  for (const Case& row : {Case{"identification", key_of(1, 8)}, Case{"source", key_of(2, 7)},
                          Case{"source port", source_port}, Case{"destination", destination},
                          Case{"destination port", destination_port}, Case{"side", key_of(1, 7, false)}}) {
    DYNAMIC_SECTION("they differ in their " << row.differs_in) {
      Bench bench;
      CHECK(bench.take(key_of(1, 7), {0, 10, false}, 1).empty());
      CHECK(bench.take(row.key, {10, 20, true}, 12).empty());
      CHECK(bench.table.datagrams() == 2);
      CHECK(bench.take(row.key, {0, 10, false}, 11) == Numbers{11, 12});
      CHECK(bench.take(key_of(1, 7), {10, 20, true}, 2) == Numbers{1, 2});
    }
  }
}

TEST_CASE("a piece that comes twice is dropped alone", "[nat][reassembly][AC-08]") {
  for (const std::size_t twice : {0U, 1U, 2U}) {
    Bench bench;
    for (std::size_t i = 0; i < 3; ++i) {
      CHECK(bench.take(key_of(1, 7), kQuarters[i], static_cast<int>(i) + 1).empty());
    }
    CHECK(bench.take(key_of(1, 7), kQuarters[twice], 9).empty());
    CHECK(bench.dropped == std::vector<Bench::Dropped>{{9, DropReason::drop_fragment_overlap}});
    CHECK(bench.take(key_of(1, 7), kQuarters[3], 4) == Numbers{1, 2, 3, 4});
  }
}

TEST_CASE("a datagram whose pieces contradict each other is given up", "[nat][reassembly][AC-08][rfc1858]") {
  struct Case {
    const char* what;
    std::vector<FragmentRange> before;
    FragmentRange piece;
  };
  const std::array cases = {
      Case{"begins inside of the first", {{0, 10, false}}, {9, 20, false}},
      Case{"begins inside of the last", {{10, 20, true}}, {19, 30, false}},
      Case{"is the first, longer", {{0, 10, false}}, {0, 12, false}},
      Case{"is the first, shorter", {{0, 10, false}}, {0, 8, false}},
      Case{"ends inside of the next", {{10, 20, false}}, {5, 11, false}},
      Case{"covers another", {{0, 5, false}, {10, 12, false}}, {8, 14, false}},
      Case{"lies within another", {{0, 100, false}}, {50, 60, false}},
      Case{"begins between two and ends in the second", {{0, 5, false}, {10, 20, false}}, {5, 11, false}},
      Case{"begins in one and ends before the next", {{0, 5, false}, {10, 20, false}}, {4, 10, false}},
      Case{"is another last one, further on", {{0, 5, false}, {10, 20, true}}, {20, 30, true}},
      Case{"is another last one, before", {{0, 5, false}, {10, 20, true}}, {5, 10, true}},
      Case{"is a last one before what was seen", {{0, 5, false}, {10, 20, false}}, {5, 10, true}},
      Case{"lies behind the last one", {{10, 20, true}}, {20, 30, false}},
      Case{"is the last one, but says there are more", {{0, 5, false}, {10, 20, true}}, {10, 20, false}},
  };
  for (const auto& row : cases) {
    DYNAMIC_SECTION("a piece " << row.what) {
      Bench bench;
      int number = 0;
      for (const auto& range : row.before) CHECK(bench.take(key_of(1, 7), range, ++number).empty());
      CHECK(bench.take(key_of(1, 7), row.piece, ++number).empty());
      const bool is_repetition = std::string_view(row.what).starts_with("is the last one, but");
      CHECK(bench.dropped.size() == (is_repetition ? 1 : row.before.size() + 1));
      for (const auto& each : bench.dropped) CHECK(each.reason == DropReason::drop_fragment_overlap);
      CHECK(bench.table.pieces() + bench.dropped.size() == static_cast<std::size_t>(number));
    }
  }
}

TEST_CASE("what does not come whole in time is given up", "[nat][reassembly][AC-08]") {
  Bench bench;
  const Tick start = ~Tick{0} - 10;  // time wraps meanwhile
  CHECK(bench.take(key_of(1, 7), kQuarters[0], 1, start).empty());
  CHECK(bench.take(key_of(2, 7), kQuarters[0], 2, start + 10).empty());
  CHECK(bench.take(key_of(1, 7), kQuarters[1], 3, start + 20).empty());
  bench.expire(start + Reassembly::kLifetime - 1);
  CHECK(bench.dropped.empty());
  bench.expire(start + Reassembly::kLifetime);
  CHECK(bench.dropped == std::vector<Bench::Dropped>{{1, DropReason::drop_sip_fragment_timeout},
                                                     {3, DropReason::drop_sip_fragment_timeout}});
  CHECK(bench.table.datagrams() == 1);
  bench.expire(start + 10 + Reassembly::kLifetime, 0);
  CHECK(bench.table.datagrams() == 1);
  bench.expire(start + 10 + Reassembly::kLifetime);
  CHECK(bench.table.datagrams() == 0);
  CHECK(bench.table.pieces() == 0);
}

TEST_CASE("one source has a share, and the oldest make room for others",
          "[nat][reassembly][AC-08][rfc4787-req14a]") {
  const ReassemblyLimits limits{
      .datagrams = 6, .datagrams_of_source = 3, .pieces = 8, .pieces_of_source = 5, .pieces_of_datagram = 3};
  SECTION("a source has so many datagrams") {
    Bench bench(limits);
    for (std::uint16_t id = 0; id < 4; ++id) CHECK(bench.take(key_of(1, id), kQuarters[0], id + 1).empty());
    CHECK(bench.dropped == std::vector<Bench::Dropped>{{4, DropReason::drop_sip_fragment_overflow}});
  }
  SECTION("a source has so many pieces") {
    Bench bench(limits);
    for (int i = 0; i < 6; ++i) {
      const auto id = static_cast<std::uint16_t>(i / 2);
      CHECK(bench.take(key_of(1, id), kQuarters[static_cast<std::size_t>(i % 2)], i + 1).empty());
    }
    CHECK(bench.dropped == std::vector<Bench::Dropped>{{6, DropReason::drop_sip_fragment_overflow}});
  }
  SECTION("a datagram has so many pieces") {
    Bench bench(limits);
    for (std::uint16_t i = 0; i < 4; ++i) {
      const FragmentRange range{i, static_cast<std::uint16_t>(i + 1), false};
      CHECK(bench.take(key_of(1, 7), range, i + 1).empty());
    }
    CHECK(bench.dropped == std::vector<Bench::Dropped>{{4, DropReason::drop_sip_fragment_overflow}});
  }
  SECTION("the oldest datagram gives way to another source's") {
    Bench bench(limits);
    int number = 0;
    for (const std::uint32_t source : {1U, 2U}) {
      for (std::uint16_t id = 0; id < 3; ++id)
        CHECK(bench.take(key_of(source, id), kQuarters[1], ++number).empty());
    }
    CHECK(bench.take(key_of(3, 0), kQuarters[0], ++number).empty());
    CHECK(bench.dropped == std::vector<Bench::Dropped>{{1, DropReason::drop_sip_fragment_overflow}});
    CHECK(bench.table.datagrams() == 6);
  }
  SECTION("and the oldest pieces to another source's") {
    Bench bench(limits);
    int number = 0;
    for (const std::uint32_t source : {1U, 2U}) {
      for (const std::size_t which : {0U, 1U, 2U})
        CHECK(bench.take(key_of(source, 0), kQuarters[which], ++number).empty());
    }
    CHECK(bench.take(key_of(3, 0), kQuarters[0], ++number).empty());
    CHECK(bench.take(key_of(3, 0), kQuarters[1], ++number).empty());
    CHECK(bench.dropped.empty());
    CHECK(bench.take(key_of(3, 0), kQuarters[2], ++number).empty());
    CHECK(bench.dropped.size() == 3);
    CHECK(bench.dropped[0].packet == 1);
    CHECK(bench.take(key_of(3, 0), kQuarters[3], ++number).empty());  // more than a datagram may have
  }
}

TEST_CASE("a datagram never makes itself give way", "[nat][reassembly][AC-08]") {
  Bench bench({.datagrams = 4,
               .datagrams_of_source = 4,
               .pieces = 3,
               .pieces_of_source = 3,
               .pieces_of_datagram = 8});
  for (int i = 0; i < 3; ++i)
    CHECK(bench.take(key_of(1, 7), kQuarters[static_cast<std::size_t>(i)], i + 1).empty());
  CHECK(bench.take(key_of(1, 7), kQuarters[3], 4).empty());
  CHECK(bench.dropped == std::vector<Bench::Dropped>{{4, DropReason::drop_sip_fragment_overflow}});
}

TEST_CASE("65,535 bytes in fragments for an MTU of 576 come together in random order",
          "[nat][reassembly][AC-08]") {
  const auto seed = std::random_device{}();
  INFO("seed " << seed);
  std::mt19937_64 random(seed);
  constexpr std::uint16_t kUnits = 69;  // 552 bytes
  std::vector<FragmentRange> ranges;
  for (std::uint16_t begin = 0; begin < 8190; begin = static_cast<std::uint16_t>(begin + kUnits)) {
    const auto end = std::min<std::uint16_t>(8190, static_cast<std::uint16_t>(begin + kUnits));
    ranges.push_back({begin, end, end == 8190});
  }
  std::vector<int> order;
  for (std::size_t i = 0; i < ranges.size(); ++i) order.push_back(static_cast<int>(i));
  const Numbers expected(order.begin() + 1, order.end());
  for (int round = 0; round < 50; ++round) {
    Bench bench;
    std::ranges::shuffle(order, random);
    Numbers whole;
    for (const int which : order) {
      whole = bench.take(key_of(1, 7), ranges[static_cast<std::size_t>(which)], which);
    }
    REQUIRE(whole.size() == ranges.size());
    CHECK(Numbers(whole.begin() + 1, whole.end()) == expected);
  }
}
