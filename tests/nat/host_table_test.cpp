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
    auto place = table.find(address);
    if (place == HostTable::kNone) place = table.add(address, now);
    if (!table.has_address(place)) table.give_address(place, pool_index);
    table.count(place, protocol);
  }
  void remove(Ipv4Address address, Protocol protocol) { table.uncount(table.find(address), protocol); }
  /// The same of what takes no port.
  DropReason open_fixed(Ipv4Address address, Protocol protocol, Tick now = 0) {
    const DropReason reason = table.ask(table.find(address), protocol, now, Takes::state);
    if (reason == DropReason::none) add_fixed(address, protocol, now);
    return reason;
  }
  DropReason open_from_outside(Ipv4Address address, Protocol protocol, Tick now = 0) {
    const DropReason reason = table.ask_from_outside(table.find(address), protocol, now);
    if (reason == DropReason::none) add_fixed(address, protocol, now);
    return reason;
  }
  void add_fixed(Ipv4Address address, Protocol protocol, Tick now = 0) {
    auto place = table.find(address);
    if (place == HostTable::kNone) place = table.add(address, now);
    table.count(place, protocol, Takes::state);
  }
  void remove_fixed(Ipv4Address address, Protocol protocol) {
    table.uncount(table.find(address), protocol, Takes::state);
  }
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

TEST_CASE("a host is found by an old guess, too, and none by a guess that is another's by now",
          "[nat][host_table]") {
  constexpr std::uint32_t kCapacity = 8;  // so that chains have more than one host, and places are used again
  constexpr std::uint32_t kHosts = 24;
  TestHosts t(kCapacity, {});
  std::vector<HostTable::Place> guesses(kHosts, HostTable::kNone);
  std::mt19937_64 random(20261127);
  unsigned found_by_guess = 0;
  unsigned misled = 0;
  for (int round = 0; round < 20000; ++round) {
    const auto n = static_cast<std::uint32_t>(random() % kHosts);
    const auto place = t.table.find(host(n));
    const auto guess = random() % 2 == 0 ? guesses[n] : t.table.guess(host(n));
    REQUIRE(t.table.find(host(n), guess) == place);
    found_by_guess += place != HostTable::kNone && guess == place ? 1 : 0;
    misled += guess != HostTable::kNone && guess != place ? 1 : 0;
    if (random() % 4 == 0) guesses[n] = t.table.guess(host(n));
    if (place != HostTable::kNone) {
      t.remove(host(n), Protocol::udp);
    } else if (t.table.size() < kCapacity) {
      t.add(host(n), Protocol::udp, 1);
    }
  }
  CHECK(found_by_guess > 1000);
  CHECK(misled > 1000);
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

TEST_CASE("what takes no port counts like what does, and gives no external address",
          "[nat][host_table][rfc6888-req4][rfc6888-req5]") {
  TestHosts t(4, {.mappings = {3, 0, 0}});
  CHECK(t.open_fixed(host(1), Protocol::udp) == DropReason::none);
  const auto place = t.table.find(host(1));
  REQUIRE(place != HostTable::kNone);
  CHECK_FALSE(t.table.has_address(place));
  CHECK(t.open(host(1), Protocol::udp) == DropReason::none);
  CHECK(t.table.has_address(place));
  CHECK(t.open_fixed(host(1), Protocol::udp) == DropReason::none);
  CHECK(t.open_fixed(host(1), Protocol::udp) == DropReason::drop_quota_mappings);
  CHECK(t.open(host(1), Protocol::udp) == DropReason::drop_quota_mappings);
  // The last port takes the address away, the last mapping the host.
  t.remove(host(1), Protocol::udp);
  CHECK(t.table.find(host(1)) == place);
  CHECK_FALSE(t.table.has_address(place));
  t.remove_fixed(host(1), Protocol::udp);
  t.remove_fixed(host(1), Protocol::udp);
  CHECK(t.table.find(host(1)) == HostTable::kNone);
  CHECK(t.table.size() == 0);
}

TEST_CASE("an external address that was given for nothing is taken away, and the host stays",
          "[nat][host_table]") {
  TestHosts t(4, {});
  t.add_fixed(host(1), Protocol::tcp);
  const auto place = t.table.find(host(1));
  t.table.give_address(place, 5);
  t.table.remove_if_idle(place);
  CHECK(t.table.find(host(1)) == place);
  CHECK_FALSE(t.table.has_address(place));
}

TEST_CASE("ports of the pool have a limit of their own within that of all mappings",
          "[nat][host_table][rfc6888-req4]") {
  TestHosts t(4, {.mappings = {40, 0, 0}, .ports = {2, 0, 0}});
  for (int i = 0; i < 2; ++i) CHECK(t.open(host(1), Protocol::udp) == DropReason::none);
  CHECK(t.open(host(1), Protocol::udp) == DropReason::drop_quota_mappings);
  const auto place = t.table.find(host(1));
  CHECK(t.table.ask_for_media(place, HostTable::kMediaReserve) == DropReason::none);
  CHECK(t.table.ask_for_media(place, HostTable::kMediaReserve + 1) == DropReason::drop_quota_mappings);
  CHECK(t.table.ask_for_media(place, HostTable::kMediaReserve + 1, Takes::state) == DropReason::none);
  for (int i = 2; i < 40; ++i) CHECK(t.open_fixed(host(1), Protocol::udp) == DropReason::none);
  CHECK(t.open_fixed(host(1), Protocol::udp) == DropReason::drop_quota_mappings);
  CHECK(t.table.ask_for_media(place, HostTable::kMediaReserve, Takes::state) == DropReason::none);
  CHECK(t.table.ask_for_media(place, HostTable::kMediaReserve + 1, Takes::state) ==
        DropReason::drop_quota_mappings);
}

TEST_CASE("the last quarter of what a host may have is not for outside", "[nat][host_table][rfc6888-req5]") {
  const struct {
    std::uint32_t quota;
    std::uint32_t from_outside;
  } rows[] = {{1, 1}, {2, 2}, {3, 3}, {4, 3}, {8, 6}, {100, 75}};
  for (const auto& row : rows) {
    DYNAMIC_SECTION("a quota, a burst and a table of " << row.quota) {
      TestHosts mappings(4, {.mappings = {row.quota, 0, 0}});
      TestHosts rate(4, {.new_per_s = 1, .burst = row.quota});
      TestHosts hosts(row.quota, {});
      for (std::uint32_t n = 0; n < row.from_outside; ++n) {
        CHECK(mappings.open_from_outside(host(1), Protocol::udp) == DropReason::none);
        CHECK(rate.open_from_outside(host(1), Protocol::udp) == DropReason::none);
        CHECK(hosts.open_from_outside(host(n), Protocol::udp) == DropReason::none);
      }
      CHECK(mappings.open_from_outside(host(1), Protocol::udp) == DropReason::drop_quota_mappings);
      CHECK(rate.open_from_outside(host(1), Protocol::udp) == DropReason::drop_quota_rate);
      CHECK(hosts.open_from_outside(host(1000), Protocol::udp) == DropReason::drop_host_table_full);
      for (std::uint32_t n = row.from_outside; n < row.quota; ++n) {
        CHECK(mappings.open_fixed(host(1), Protocol::udp) == DropReason::none);
        CHECK(rate.open_fixed(host(1), Protocol::udp) == DropReason::none);
        CHECK(hosts.open_fixed(host(n), Protocol::udp) == DropReason::none);
      }
      CHECK(mappings.open_fixed(host(1), Protocol::udp) == DropReason::drop_quota_mappings);
      CHECK(rate.open_fixed(host(1), Protocol::udp) == DropReason::drop_quota_rate);
      CHECK(hosts.open_fixed(host(1000), Protocol::udp) == DropReason::drop_host_table_full);
    }
  }
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
  struct Counts {
    std::array<std::uint32_t, kProtocols> all{};
    std::array<std::uint32_t, kProtocols> ports{};
    bool operator==(const Counts&) const = default;
  };
  std::map<std::uint32_t, Counts> model;
  constexpr std::array<std::uint32_t, kProtocols> kLimits = {6, 4, 2};
  for (int step = 0; step < 20000; ++step) {
    const std::uint32_t n = static_cast<std::uint32_t>(random() % 70);
    const std::size_t p = random() % kProtocols;
    const auto protocol = static_cast<Protocol>(p);
    const auto known = model.find(n);
    const bool is_fixed = random() % 2 == 0;
    if (random() % 2 == 0) {
      DropReason expected = DropReason::none;
      if (known == model.end() && model.size() == kCapacity) expected = DropReason::drop_host_table_full;
      if (known != model.end() && known->second.all[p] == kLimits[p])
        expected = DropReason::drop_quota_mappings;
      REQUIRE((is_fixed ? t.open_fixed(host(n), protocol) : t.open(host(n), protocol)) == expected);
      if (expected == DropReason::none) {
        ++model[n].all[p];
        model[n].ports[p] += is_fixed ? 0 : 1;
      }
    } else if (known != model.end()) {
      auto& counts = known->second;
      if (is_fixed && counts.all[p] > counts.ports[p]) {
        t.remove_fixed(host(n), protocol);
        --counts.all[p];
      } else if (!is_fixed && counts.ports[p] > 0) {
        t.remove(host(n), protocol);
        --counts.all[p];
        --counts.ports[p];
      }
      if (counts == Counts{}) model.erase(known);
    }
    REQUIRE(t.table.size() == model.size());
    const auto place = t.table.find(host(n));
    REQUIRE((place != HostTable::kNone) == model.contains(n));
    if (place == HostTable::kNone) continue;
    REQUIRE(t.table.mappings(place, protocol) == model[n].all[p]);
    REQUIRE(t.table.has_address(place) == (model[n].ports != decltype(Counts::ports){}));
  }
}
