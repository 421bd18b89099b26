// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/guard/source_table.hpp"

#include <catch2/catch.hpp>

#include <algorithm>
#include <memory>
#include <vector>

#include "tests/support/sip_bench.hpp"

using namespace pinhole;
using namespace pinhole::test;
using dataplane::Source;
using dataplane::SourceTable;

namespace {

struct Table {
  explicit Table(std::uint32_t capacity) : memory(SourceTable::bytes_needed(capacity) / 64) {
    nat::Carver carver(std::as_writable_bytes(std::span(memory)));
    table = std::make_unique<SourceTable>(capacity, 5, carver);
  }
  struct alignas(64) Line {
    std::array<std::byte, 64> bytes;
  };
  std::vector<Line> memory;
  std::unique_ptr<SourceTable> table;
};

nat::Ipv4Address nth(std::uint32_t n) {
  return nat::Ipv4Address::from_host(0x0b000000 + n);
}

}  // namespace

TEST_CASE("a source is found again, with what it did", "[guard][sources]") {
  Table lab(64);
  CHECK(lab.table->find(nth(1), 1) == nullptr);
  lab.table->add(nth(1), 1).sent_credentials = true;
  REQUIRE(lab.table->find(nth(1), 2) != nullptr);
  CHECK(lab.table->find(nth(1), 2)->sent_credentials);
  CHECK(lab.table->find({}, 2) == nullptr);
  CHECK(lab.table->size() == 1);
}

TEST_CASE("known sources stay, however many strangers come", "[guard][sources]") {
  Table lab(16);  // one set
  for (std::uint32_t i = 0; i < SourceTable::kMostKnown; ++i) {
    CHECK(lab.table->make_known(lab.table->add(nth(i), 1), 1));
  }
  for (std::uint32_t i = 1000; i < 101'000; ++i) lab.table->add(nth(i), 2 + i);
  CHECK(lab.table->size() == 16);
  CHECK(lab.table->known() == SourceTable::kMostKnown);
  for (std::uint32_t i = 0; i < SourceTable::kMostKnown; ++i) CHECK(lab.table->find(nth(i), 3) != nullptr);
  CHECK(lab.table->find(nth(100'999), 3) != nullptr);
}

TEST_CASE("of strangers the one that was silent longest goes", "[guard][sources]") {
  Table lab(16);
  for (std::uint32_t i = 0; i < 16; ++i) lab.table->add(nth(i), 1 + i);
  static_cast<void>(lab.table->find(nth(0), 100));
  lab.table->add(nth(50), 101);
  CHECK(lab.table->find(nth(0), 102) != nullptr);
  CHECK(lab.table->find(nth(1), 102) == nullptr);
}

TEST_CASE("a known source gives its place to another only after an hour of silence", "[guard][sources]") {
  Table lab(16);
  for (std::uint32_t i = 0; i < SourceTable::kMostKnown; ++i) {
    lab.table->make_known(lab.table->add(nth(i), 1), 1);
  }
  const auto soon = 1 + SourceTable::kKnownSilence - 1;
  CHECK_FALSE(lab.table->make_known(lab.table->add(nth(99), soon), soon));
  const auto later = soon + 1;
  CHECK(lab.table->make_known(*lab.table->find(nth(99), later), later));
  CHECK(lab.table->known() == SourceTable::kMostKnown);
}

TEST_CASE("a known source that was silent for a day is a stranger again", "[guard][sources]") {
  Table lab(16);
  lab.table->make_known(lab.table->add(nth(1), 1), 1);
  CHECK(lab.table->find(nth(1), SourceTable::kKnownFor)->known);
  CHECK_FALSE(lab.table->find(nth(1), 2 * SourceTable::kKnownFor)->known);
  CHECK(lab.table->known() == 0);
}

TEST_CASE("a source gives back what was sent to it last, and nothing made up", "[guard][sources]") {
  Source source;
  CHECK_FALSE(source.gives_back(0));
  for (const std::uint32_t hash : {1U, 2U, 2U, 2U, 3U, 4U}) source.issue(hash);
  CHECK(source.gives_back(1));
  CHECK(source.gives_back(4));
  source.issue(5);
  CHECK_FALSE(source.gives_back(1));
  CHECK_FALSE(source.gives_back(6));
}

TEST_CASE("a tally counts within its time", "[guard][sources]") {
  dataplane::Tally tally;
  CHECK(tally.add(100, 10) == 1);
  CHECK(tally.add(100, 109) == 2);
  CHECK(tally.add(100, 110) == 1);
  tally.clear();
  CHECK(tally.add(100, 111) == 1);
}
