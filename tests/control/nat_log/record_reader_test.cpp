// SPDX-License-Identifier: BSD-3-Clause
#include "control/nat_log/record_reader.hpp"

#include <vector>

#include "tests/control/nat_log/records.hpp"
#include "tests/control/plain_ring.hpp"

#include <catch2/catch.hpp>

namespace pinhole::control {

namespace {

constexpr unsigned kRingSize = 256;

struct Scene {
  void push(std::uint32_t sequence) { REQUIRE(ring.push(test::sent(test::mapping(), sequence, 3))); }
  std::vector<std::uint32_t> peek(std::size_t limit = RecordReader::kBurst) {
    std::vector<std::uint32_t> sequences;
    for (const auto& record : reader.peek(limit)) sequences.push_back(record.sequence);
    return sequences;
  }
  std::vector<std::uint32_t> take() {
    auto sequences = peek();
    reader.done();
    return sequences;
  }

  test::PlainRing<ipc::NatRecord> ring{kRingSize};
  ControlCounters counters;
  RecordReader reader{ring.get(), 3, counters};
};

TEST_CASE("NAT records come in order and over the end of the ring", "[control][nat_log][record_reader]") {
  Scene scene;
  std::uint32_t next = 1000;
  for (int lap = 0; lap < 5; ++lap) {
    std::vector<std::uint32_t> expected;
    for (int i = 0; i < 100; ++i) {
      expected.push_back(next);
      scene.push(next++);
    }
    CHECK(scene.take() == expected);
    CHECK(scene.take().empty());
  }
  CHECK(scene.counters.read(ControlCounter::record_received) == 500);
}

TEST_CASE("no more records are read than are asked for", "[control][nat_log][record_reader]") {
  Scene scene;
  for (std::uint32_t i = 0; i < 5; ++i) scene.push(i);
  CHECK(scene.peek(2) == std::vector<std::uint32_t>{0, 1});
  scene.reader.done();
  CHECK(scene.peek(2) == std::vector<std::uint32_t>{2, 3});
  scene.reader.done();
  CHECK(scene.take() == std::vector<std::uint32_t>{4});
}

TEST_CASE("records that a killed reader was not done with are read again",
          "[control][nat_log][record_reader]") {
  Scene scene;
  for (std::uint32_t i = 0; i < 5; ++i) scene.push(i);
  CHECK(scene.peek(2).size() == 2);
  scene.reader.done();
  CHECK(scene.peek().size() == 3);
  // The reader is killed here.
  RecordReader next(scene.ring.get(), 3, scene.counters);
  scene.push(5);
  const auto records = next.peek();
  REQUIRE(records.size() == 4);
  CHECK(records[0].sequence == 2);
  CHECK(records[3].sequence == 5);
}

TEST_CASE("records stay on the ring until the reader is done", "[control][nat_log][record_reader]") {
  Scene scene;
  std::uint32_t next = 0;
  while (scene.ring.push(test::sent(test::mapping(), next, 3))) ++next;
  CHECK(next == kRingSize - 1);
  CHECK(scene.peek().size() == next);
  CHECK_FALSE(scene.ring.push(test::sent(test::mapping(), next, 3)));
  scene.reader.done();
  CHECK(scene.ring.push(test::sent(test::mapping(), next, 3)));
}

TEST_CASE("whatever is missing in the numbers of records is counted where it is missing",
          "[control][nat_log][record_reader]") {
  struct Case {
    const char* name;
    std::vector<std::uint32_t> sequences;
    std::vector<std::uint32_t> missing;
  };
  const Case cases[] = {
      {"the first may have any number", {7}, {0}},
      {"none missing", {7, 8, 9}, {0, 0, 0}},
      {"one missing", {7, 9}, {0, 1}},
      {"many missing", {7, 8, 1008, 1009}, {0, 0, 999, 0}},
      {"the number wraps", {0xffff'fffe, 0xffff'ffff, 0, 1}, {0, 0, 0, 0}},
      {"a hole over the wrap", {0xffff'fffe, 1}, {0, 2}},
  };
  for (const auto& row : cases) {
    DYNAMIC_SECTION(row.name) {
      Scene scene;
      for (const auto sequence : row.sequences) scene.push(sequence);
      std::vector<std::uint32_t> missing;
      std::uint64_t total = 0;
      for (const auto& record : scene.reader.peek()) {
        missing.push_back(scene.reader.missing_before(record));
        total += missing.back();
      }
      CHECK(missing == row.missing);
      CHECK(scene.counters.read(ControlCounter::record_gap) == total);
    }
  }
}

TEST_CASE("records of another ABI version or without sense are skipped and counted",
          "[control][nat_log][record_reader]") {
  Scene scene;
  auto other_version = test::sent(test::mapping(), 0, 3);
  other_version.abi_version = ipc::kAbiVersion + 1;
  for (int i = 0; i < 40; ++i) REQUIRE(scene.ring.push(other_version));
  scene.push(40);
  auto never_written = ipc::NatRecord{};
  REQUIRE(scene.ring.push(never_written));
  REQUIRE(scene.ring.push(test::sent(test::mapping(), 42, 2)));  // of another worker
  auto torn = test::sent(test::mapping(), 43, 3);
  torn.record.type = static_cast<nat::RecordType>(200);
  REQUIRE(scene.ring.push(torn));
  torn = test::sent(test::mapping(), 44, 3);
  torn.record.protocol = static_cast<nat::Protocol>(3);
  REQUIRE(scene.ring.push(torn));
  scene.push(45);
  CHECK(scene.take() == std::vector<std::uint32_t>{40, 45});
  CHECK(scene.counters.read(ControlCounter::record_refused) == 44);
  CHECK(scene.counters.read(ControlCounter::record_received) == 2);
  // All of a burst without sense is not the end of the ring.
  for (int i = 0; i < 10; ++i) REQUIRE(scene.ring.push(other_version));
  CHECK(scene.take().empty());
  scene.push(56);
  CHECK(scene.take() == std::vector<std::uint32_t>{56});
}

}  // namespace

}  // namespace pinhole::control
