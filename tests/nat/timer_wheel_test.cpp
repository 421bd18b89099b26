// SPDX-License-Identifier: BSD-3-Clause
#include "nat/timer_wheel.hpp"

#include "nat/random.hpp"
#include "tests/nat/table_memory.hpp"

#include <catch2/catch.hpp>

#include <map>
#include <random>
#include <vector>

using namespace pinhole::nat;

namespace {

constexpr std::uint32_t kPlenty = 1U << 30U;

struct Wheel {
  explicit Wheel(std::uint32_t capacity, Tick now = 0)
      : memory(TimerWheel::bytes_needed(capacity)), wheel(capacity, now, memory.span()) {}

  /// What is visited when nothing is put in again.
  std::vector<MappingIndex> advance(Tick now, std::uint32_t budget = kPlenty) {
    std::vector<MappingIndex> visited;
    used = wheel.advance(
        now, budget,
        [&](MappingIndex index) noexcept -> std::optional<Tick> {
          visited.push_back(index);
          return std::nullopt;
        },
        [](MappingIndex) noexcept {});
    return visited;
  }

  TableMemory memory;
  TimerWheel wheel;
  std::uint32_t used = 0;
};

using Indices = std::vector<MappingIndex>;

}  // namespace

TEST_CASE("an index is visited at its deadline, once", "[nat][timer_wheel]") {
  Wheel w(10);
  w.wheel.set(3, 100);
  CHECK(w.wheel.contains(3));
  CHECK(w.advance(99) == Indices{});
  CHECK(w.advance(100) == Indices{3});
  CHECK_FALSE(w.wheel.contains(3));
  CHECK(w.advance(10000) == Indices{});
}

TEST_CASE("an index can be moved and taken out", "[nat][timer_wheel]") {
  Wheel w(10);
  w.wheel.set(1, 50);
  w.wheel.set(2, 50);
  w.wheel.set(4, 50);
  w.wheel.set(2, 60);
  w.wheel.remove(1);
  w.wheel.remove(1);
  w.wheel.remove(7);
  CHECK(w.advance(55) == Indices{4});
  CHECK(w.advance(60) == Indices{2});
}

TEST_CASE("a deadline that has passed is visited next", "[nat][timer_wheel]") {
  Wheel w(10, 1000);
  w.wheel.set(1, 900);
  CHECK(w.advance(1000) == Indices{1});
}

TEST_CASE("a deadline beyond the horizon is visited at the horizon at the latest", "[nat][timer_wheel]") {
  Wheel w(10);
  w.wheel.set(1, 74400);
  CHECK(w.advance(TimerWheel::kSlots - 2) == Indices{});
  CHECK(w.advance(TimerWheel::kSlots - 1) == Indices{1});
}

TEST_CASE("what the visitor puts off comes round again", "[nat][timer_wheel]") {
  Wheel w(10);
  std::vector<Tick> visits;
  w.wheel.set(1, 10);
  for (Tick now = 0; now <= 20000; now += 7) {
    w.wheel.advance(
        now, kPlenty,
        [&](MappingIndex) noexcept -> std::optional<Tick> {
          visits.push_back(now);
          if (reached(10000, now)) return std::nullopt;
          return 10000;
        },
        [](MappingIndex) noexcept {});
  }
  // At the slots of ticks 10, 4105, 8200 and 10000, each when time next gets there in steps of 7.
  CHECK(visits == std::vector<Tick>{14, 4109, 8204, 10003});
}

TEST_CASE("the budget bounds a step, and nothing is lost by it", "[nat][timer_wheel]") {
  Wheel w(1000);
  for (MappingIndex i = 0; i < 1000; ++i) w.wheel.set(i, 5);
  std::size_t visited = 0;
  for (int step = 0; step < 1000 && visited < 1000; ++step) {
    const auto now_visited = w.advance(20, 32).size();
    CHECK(w.used <= 32);
    CHECK(now_visited <= 32);
    visited += now_visited;
  }
  CHECK(visited == 1000);
}

TEST_CASE("the visitor may take out what would be visited next", "[nat][timer_wheel]") {
  Wheel w(4);
  for (MappingIndex i = 0; i < 4; ++i) w.wheel.set(i, 5);
  Indices visited;
  w.wheel.advance(
      5, kPlenty,
      [&](MappingIndex index) noexcept -> std::optional<Tick> {
        visited.push_back(index);
        w.wheel.remove(index + 1);
        return std::nullopt;
      },
      [](MappingIndex) noexcept {});
  CHECK(visited == Indices{0, 2});
}

TEST_CASE("time may wrap", "[nat][timer_wheel]") {
  Wheel w(2, ~Tick{0} - 10);
  w.wheel.set(0, 20);
  CHECK(w.advance(19) == Indices{});
  CHECK(w.advance(20) == Indices{0});
}

TEST_CASE("random deadlines are visited in order and on time", "[nat][timer_wheel]") {
  const auto seed = std::random_device{}();
  INFO("seed " << seed);
  Random random({seed});
  constexpr std::uint32_t kCapacity = 500;
  Wheel w(kCapacity);
  std::map<MappingIndex, Tick> oracle;
  for (Tick now = 0; now < 30000; now += random.next() % 20) {
    for (int i = 0; i < 5; ++i) {
      const MappingIndex index = random.next() % kCapacity;
      if (random.next() % 4 == 0) {
        w.wheel.remove(index);
        oracle.erase(index);
      } else {
        const Tick deadline = now + 1 + random.next() % 4000;
        w.wheel.set(index, deadline);
        oracle[index] = deadline;
      }
    }
    for (const MappingIndex index : w.advance(now)) {
      REQUIRE(oracle.contains(index));
      REQUIRE(oracle[index] <= now);
      oracle.erase(index);
    }
    for (const auto& [index, deadline] : oracle) REQUIRE(deadline > now);
  }
}
