// SPDX-License-Identifier: BSD-3-Clause
#include "control/event_reader.hpp"

#include <vector>

#include "dataplane/ipc/layout.hpp"
#include "tests/control/plain_ring.hpp"

#include <catch2/catch.hpp>

namespace pinhole::control {

namespace {

constexpr unsigned kRingSize = 256;

struct Scene {
  void push(std::uint32_t sequence, std::uint16_t abi_version = ipc::kAbiVersion) {
    ipc::Event event;
    event.abi_version = abi_version;
    event.sequence = sequence;
    REQUIRE(ring.push(event));
  }
  /// The sequence numbers of all that is on the ring.
  std::vector<std::uint32_t> drain() {
    std::vector<std::uint32_t> sequences;
    for (auto events = reader.pop(); !events.empty(); events = reader.pop()) {
      for (const auto& event : events) sequences.push_back(event.sequence);
    }
    return sequences;
  }

  test::PlainRing<ipc::Event> ring{kRingSize};
  ControlCounters counters;
  EventReader reader{ring.get(), counters};
};

TEST_CASE("events come in order and over the end of the ring", "[control][event_reader]") {
  Scene scene;
  std::uint32_t next = 1000;
  for (int lap = 0; lap < 5; ++lap) {
    std::vector<std::uint32_t> expected;
    for (int i = 0; i < 100; ++i) {
      expected.push_back(next);
      scene.push(next++);
    }
    CHECK(scene.drain() == expected);
  }
  CHECK_FALSE(scene.reader.take_gap());
  CHECK(scene.counters.read(ControlCounter::event_received) == 500);
}

TEST_CASE("whatever is missing in the sequence is a gap", "[control][event_reader]") {
  struct Case {
    const char* name;
    std::vector<std::uint32_t> sequences;
    bool gap;
    std::uint64_t missing;
  };
  const Case cases[] = {
      {"the first event may have any number", {7}, false, 0},
      {"none missing", {7, 8, 9}, false, 0},
      {"one missing", {7, 9}, true, 1},
      {"many missing", {7, 8, 1008}, true, 999},
      {"the number wraps", {0xfffffffe, 0xffffffff, 0, 1}, false, 0},
      {"a gap over the wrap", {0xfffffffe, 1}, true, 2},
  };
  for (const auto& row : cases) {
    DYNAMIC_SECTION(row.name) {
      Scene scene;
      for (const auto sequence : row.sequences) scene.push(sequence);
      CHECK(scene.drain() == row.sequences);
      CHECK(scene.reader.take_gap() == row.gap);
      CHECK(scene.counters.read(ControlCounter::event_gap) == row.missing);
    }
  }
}

TEST_CASE("a gap is told once", "[control][event_reader]") {
  Scene scene;
  scene.push(1);
  scene.push(3);
  scene.drain();
  CHECK(scene.reader.take_gap());
  CHECK_FALSE(scene.reader.take_gap());
  scene.push(4);
  scene.drain();
  CHECK_FALSE(scene.reader.take_gap());
}

TEST_CASE("events of another ABI version are skipped, counted, and a gap", "[control][event_reader]") {
  Scene scene;
  for (std::uint32_t i = 0; i < 40; ++i) scene.push(i, ipc::kAbiVersion + 1);
  scene.push(40);
  scene.push(41, 0);
  scene.push(42);
  CHECK(scene.drain() == std::vector<std::uint32_t>{40, 42});
  CHECK(scene.reader.take_gap());
  CHECK(scene.counters.read(ControlCounter::event_refused) == 41);
  CHECK(scene.counters.read(ControlCounter::event_received) == 2);
}

}  // namespace

}  // namespace pinhole::control
