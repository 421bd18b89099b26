// SPDX-License-Identifier: BSD-3-Clause
#include "nat/host_table.hpp"

#include <catch2/catch.hpp>

#include <map>
#include <random>
#include <vector>

#include "tests/nat/table_memory.hpp"

using namespace pinhole::nat;

namespace {

constexpr Ipv4Address host(std::uint32_t n) {
  return Ipv4Address::from_host(0x0a000000 + n);
}

struct TestHosts {
  TestHosts(std::uint32_t capacity, const HostQuotas& quotas)
      : memory(HostTable::bytes_needed(capacity)), table(capacity, quotas, 7, Carver(memory.span())) {}
  /// Asks and, if it may be, adds.
  DropReason open(Ipv4Address address, Protocol protocol, Tick now = 0) {
    const DropReason reason = table.ask(table.find(address), protocol, now);
    if (reason == DropReason::none) add(address, protocol, 3, now);
    return reason;
  }
  void add(Ipv4Address address, Protocol protocol, std::uint16_t pool_index, Tick now = 0) {
    const auto place = table.find(address);
    table.count(place != HostTable::kNone ? place : table.add(address, pool_index, now), protocol);
  }
  void remove(Ipv4Address address, Protocol protocol) { table.uncount(table.find(address), protocol); }
  TableMemory memory;
  HostTable table;
};

}  // namespace

TEST_CASE("a host is there while it has mappings, and keeps its external address",
          "[nat][host_table][rfc4787-req2][rfc6888-req2]") {
  TestHosts t(4, {});
  CHECK(t.table.find(host(1)) == HostTable::kNone);
  t.add(host(1), Protocol::udp, 9);
  t.add(host(1), Protocol::tcp, 5);  // it has an address already
  REQUIRE(t.table.find(host(1)) != HostTable::kNone);
  CHECK(t.table.pool_index(t.table.find(host(1))) == 9);
  t.remove(host(1), Protocol::udp);
  CHECK(t.table.pool_index(t.table.find(host(1))) == 9);
  t.remove(host(1), Protocol::tcp);
  CHECK(t.table.find(host(1)) == HostTable::kNone);
  CHECK(t.table.size() == 0);
}

TEST_CASE("quotas count by host and protocol", "[nat][host_table][rfc6888-req4]") {
  TestHosts t(4, {.mappings = {2, 1, 0}});
  CHECK(t.open(host(1), Protocol::udp) == DropReason::none);
  CHECK(t.open(host(1), Protocol::udp) == DropReason::none);
  CHECK(t.open(host(1), Protocol::udp) == DropReason::drop_quota_mappings);
  CHECK(t.open(host(1), Protocol::tcp) == DropReason::none);
  CHECK(t.open(host(1), Protocol::tcp) == DropReason::drop_quota_mappings);
  for (int i = 0; i < 100; ++i) REQUIRE(t.open(host(1), Protocol::icmp) == DropReason::none);
  CHECK(t.open(host(2), Protocol::udp) == DropReason::none);
  t.remove(host(1), Protocol::udp);
  CHECK(t.open(host(1), Protocol::udp) == DropReason::none);
  CHECK(t.open(host(1), Protocol::udp) == DropReason::drop_quota_mappings);
}

TEST_CASE("media may go over the quota by a reserve, and no further", "[nat][host_table][rfc6888-req4]") {
  TestHosts t(4, {.mappings = {2, 0, 0}});
  CHECK(t.open(host(1), Protocol::udp) == DropReason::none);
  CHECK(t.open(host(1), Protocol::udp) == DropReason::none);
  const auto place = t.table.find(host(1));
  CHECK(t.table.ask_for_media(place, HostTable::kMediaReserve) == DropReason::none);
  CHECK(t.table.ask_for_media(place, HostTable::kMediaReserve + 1) == DropReason::drop_quota_mappings);
}

TEST_CASE("new mappings cost tokens: a burst, then so many a second", "[nat][host_table][rfc6888-req5]") {
  TestHosts t(4, {.new_per_s = 3, .burst = 5});
  const auto open_at = [&](Tick now) {
    int made = 0;
    while (t.open(host(1), Protocol::udp, now) == DropReason::none) ++made;
    CHECK(t.open(host(1), Protocol::udp, now) == DropReason::drop_quota_rate);
    return made;
  };
  CHECK(open_at(100) == 5);
  CHECK(open_at(100) == 0);
  int in_ten_seconds = 0;
  for (Tick now = 101; now <= 200; ++now) in_ten_seconds += open_at(now);
  CHECK(in_ten_seconds == 30);
  CHECK(open_at(200 + ticks_from_s(3600)) == 5);  // never more than the burst
  CHECK(t.open(host(2), Protocol::udp, 200) == DropReason::none);
}

TEST_CASE("the clock may wrap while a host is there", "[nat][host_table]") {
  TestHosts t(4, {.new_per_s = 10, .burst = 2});
  const Tick before = ~Tick{0} - 4;
  CHECK(t.open(host(1), Protocol::udp, before) == DropReason::none);
  CHECK(t.open(host(1), Protocol::udp, before) == DropReason::none);
  CHECK(t.open(host(1), Protocol::udp, before) == DropReason::drop_quota_rate);
  CHECK(t.open(host(1), Protocol::udp, before + 10) == DropReason::none);
}

TEST_CASE("without room a new host is refused and those that are there are not", "[nat][host_table]") {
  TestHosts t(2, {});
  CHECK(t.open(host(1), Protocol::udp) == DropReason::none);
  CHECK(t.open(host(2), Protocol::udp) == DropReason::none);
  CHECK(t.open(host(3), Protocol::udp) == DropReason::drop_host_table_full);
  CHECK(t.table.ask_for_media(t.table.find(host(3)), 1) == DropReason::drop_host_table_full);
  CHECK(t.open(host(2), Protocol::tcp) == DropReason::none);
  t.remove(host(1), Protocol::udp);
  CHECK(t.open(host(3), Protocol::udp) == DropReason::none);
}

TEST_CASE("the table agrees with std::map under random operations", "[nat][host_table]") {
  const std::uint32_t seed = std::random_device{}();
  INFO("seed " << seed);
  std::mt19937 random(seed);
  constexpr std::uint32_t kCapacity = 50;
  TestHosts t(kCapacity, {.mappings = {6, 4, 2}});
  std::map<std::uint32_t, std::array<std::uint32_t, kProtocols>> model;
  constexpr std::array<std::uint32_t, kProtocols> kLimits = {6, 4, 2};
  for (int step = 0; step < 20000; ++step) {
    const std::uint32_t n = static_cast<std::uint32_t>(random() % 70);
    const std::size_t p = random() % kProtocols;
    const auto protocol = static_cast<Protocol>(p);
    const auto known = model.find(n);
    if (random() % 2 == 0) {
      DropReason expected = DropReason::none;
      if (known == model.end() && model.size() == kCapacity) expected = DropReason::drop_host_table_full;
      if (known != model.end() && known->second[p] == kLimits[p]) expected = DropReason::drop_quota_mappings;
      REQUIRE(t.open(host(n), protocol) == expected);
      if (expected == DropReason::none) ++model[n][p];
    } else if (known != model.end() && known->second[p] > 0) {
      t.remove(host(n), protocol);
      if (--known->second[p] == 0 && known->second == std::array<std::uint32_t, kProtocols>{}) {
        model.erase(known);
      }
    }
    REQUIRE(t.table.size() == model.size());
    const auto place = t.table.find(host(n));
    REQUIRE((place != HostTable::kNone) == model.contains(n));
    if (place != HostTable::kNone) REQUIRE(t.table.mappings(place, protocol) == model[n][p]);
  }
}
