// SPDX-License-Identifier: BSD-3-Clause
// What a host may have, whatever its mappings are: of the pool, by a static rule, or not translated.
#include <catch2/catch.hpp>

#include <string>
#include <vector>

#include "nat/ownership.hpp"
#include "nat/translator.hpp"
#include "tests/nat/test_nat.hpp"

namespace pinhole::nat {

namespace {

constexpr Protocol kAllProtocols[] = {Protocol::udp, Protocol::tcp, Protocol::icmp};
constexpr std::uint32_t kStaticHost = 7;

/// The whole of the external address behind the pool stands for inside host 7.
std::vector<StaticInterval> whole_address(std::uint16_t pool_index, StaticDirection direction) {
  std::vector<StaticInterval> rules;
  for (const Protocol protocol : kAllProtocols) {
    const auto external = StaticRules::key(protocol, endpoint(0xcb007101U + pool_index, 0));
    rules.push_back(
        {external, external + 0xffff, StaticRules::number(inside(kStaticHost, 0)), pool_index, direction});
  }
  std::ranges::sort(rules, {}, &StaticInterval::first);
  return rules;
}

Endpoint whole(std::uint16_t port) {
  return endpoint(0xcb007102, port);
}

DropReason create(TestNat& n, Protocol protocol, Endpoint from, Realm realm, Tick now = 0) {
  return n.nat.create(protocol, from, kServer, now, realm).reason;
}

}  // namespace

TEST_CASE("what is not translated, and what a rule maps, counts under the quota of its host",
          "[nat][translator][rfc6888-req4][rfc6888-req5]") {
  struct Case {
    const char* what;
    std::uint32_t host;
    Realm realm;
  };
  for (const auto& row :
       {Case{"of the pool", 1, Realm::translated}, Case{"untranslated", 1, Realm::untranslated},
        Case{"static", kStaticHost, Realm::translated}}) {
    DYNAMIC_SECTION(row.what) {
      RecordList records;
      TestNat n({.quotas = {.mappings = {3, 2, 1}},
                 .statics = whole_address(1, StaticDirection::both),
                 .records = &records});
      const std::uint16_t quota[] = {3, 2, 1};
      for (const Protocol protocol : kAllProtocols) {
        const std::uint16_t limit = quota[static_cast<std::size_t>(protocol)];
        for (std::uint16_t port = 1; port <= limit; ++port)
          REQUIRE(create(n, protocol, inside(row.host, port), row.realm) == DropReason::none);
        CHECK(create(n, protocol, inside(row.host, 99), row.realm) == DropReason::drop_quota_mappings);
        CHECK(create(n, protocol, inside(2, 99), row.realm) == DropReason::none);
      }
      CHECK(n.count(Counter::host_live) == 2);
      REQUIRE(records.all.size() == 1);  // one a second
      CHECK(records.all[0].type == RecordType::quota_exceeded);
      CHECK(records.all[0].inside == inside(row.host, 99));
      CHECK(records.all[0].external.address.is_unspecified() ==
            (row.realm == Realm::untranslated || row.host == kStaticHost));
      // What has ended counts no more.
      CHECK(n.expire(ticks_from_s(7440)).size() == 9);
      CHECK(n.count(Counter::host_live) == 0);
      CHECK(create(n, Protocol::icmp, inside(row.host, 99), row.realm, ticks_from_s(7440)) ==
            DropReason::none);
    }
  }
}

TEST_CASE("mappings of every kind share one quota and one rate",
          "[nat][translator][rfc6888-req4]"
          "[rfc6888-req5]") {
  SECTION("quota") {
    TestNat n({.quotas = {.mappings = {2, 0, 0}}});
    CHECK(create(n, Protocol::udp, inside(1, 1), Realm::translated) == DropReason::none);
    CHECK(create(n, Protocol::udp, inside(1, 1), Realm::untranslated) == DropReason::none);
    CHECK(create(n, Protocol::udp, inside(1, 2), Realm::translated) == DropReason::drop_quota_mappings);
    CHECK(create(n, Protocol::udp, inside(1, 2), Realm::untranslated) == DropReason::drop_quota_mappings);
  }
  SECTION("rate") {
    TestNat n({.quotas = {.new_per_s = 1, .burst = 3}});
    CHECK(create(n, Protocol::udp, inside(1, 1), Realm::untranslated) == DropReason::none);
    CHECK(create(n, Protocol::tcp, inside(1, 1), Realm::translated) == DropReason::none);
    CHECK(create(n, Protocol::udp, inside(1, 2), Realm::untranslated) == DropReason::none);
    CHECK(create(n, Protocol::udp, inside(1, 3), Realm::untranslated) == DropReason::drop_quota_rate);
    CHECK(create(n, Protocol::udp, inside(1, 3), Realm::translated) == DropReason::drop_quota_rate);
    CHECK(create(n, Protocol::udp, inside(1, 3), Realm::untranslated, ticks_from_s(1)) == DropReason::none);
  }
  SECTION("room for hosts") {
    TestNat n({.hosts = 1});
    CHECK(create(n, Protocol::udp, inside(1, 1), Realm::untranslated) == DropReason::none);
    CHECK(create(n, Protocol::udp, inside(2, 1), Realm::untranslated) == DropReason::drop_host_table_full);
    CHECK(create(n, Protocol::udp, inside(2, 1), Realm::translated) == DropReason::drop_host_table_full);
    CHECK(create(n, Protocol::udp, inside(1, 2), Realm::translated) == DropReason::none);
  }
}

TEST_CASE("a scan from outside leaves a host room of its own", "[nat][translator][rfc6888-req5]") {
  TestNat n({.quotas = {.mappings = {8, 8, 8}}, .statics = whole_address(1, StaticDirection::both)});
  std::uint16_t port = 1;
  for (; port <= 6; ++port)
    REQUIRE(n.nat.create_inbound(Protocol::udp, whole(port), 0).reason == DropReason::none);
  CHECK(n.nat.create_inbound(Protocol::udp, whole(port), 0).reason == DropReason::drop_quota_mappings);
  for (; port <= 8; ++port) {
    REQUIRE(create(n, Protocol::udp, inside(kStaticHost, port), Realm::translated) == DropReason::none);
  }
  CHECK(create(n, Protocol::udp, inside(kStaticHost, port), Realm::translated) ==
        DropReason::drop_quota_mappings);
  CHECK(n.nat.create_inbound(Protocol::tcp, whole(1), 0).reason == DropReason::none);
}

TEST_CASE("a forward is its administrator's and counts under no quota", "[nat][translator][rfc6888-req4]") {
  TestNat n({.quotas = {.mappings = {1, 1, 1}}});
  for (std::uint16_t port = 5000; port < 5004; ++port) {
    CHECK(n.nat.add_forward(Protocol::udp, endpoint(0xcb007101, port), inside(1, port), 0, 0) ==
          ForwardResult::added);
  }
  CHECK(n.count(Counter::host_live) == 0);
  CHECK(create(n, Protocol::udp, inside(1, 1), Realm::translated) == DropReason::none);
  CHECK(create(n, Protocol::udp, inside(1, 2), Realm::translated) == DropReason::drop_quota_mappings);
}

TEST_CASE("media of what takes no port counts too, and may go over the quota by the reserve",
          "[nat][translator][rfc6888-req4]") {
  struct Case {
    const char* what;
    std::uint32_t host;
    Realm realm;
  };
  for (const auto& row :
       {Case{"untranslated", 1, Realm::untranslated}, Case{"static", kStaticHost, Realm::translated}}) {
    DYNAMIC_SECTION(row.what) {
      TestNat n({.quotas = {.mappings = {1, 1, 1}}, .statics = whole_address(1, StaticDirection::both)});
      REQUIRE(create(n, Protocol::udp, inside(row.host, 1), row.realm) == DropReason::none);
      std::uint16_t port = 1000;
      for (std::uint32_t i = 0; i < HostTable::kMediaReserve;
           i += 2, port = static_cast<std::uint16_t>(port + 2)) {
        REQUIRE(n.nat
                    .create_pair(inside(row.host, port),
                                 inside(row.host, static_cast<std::uint16_t>(port + 1)), 0, 0, row.realm)
                    .reason == DropReason::none);
      }
      CHECK(n.nat.create_pair(inside(row.host, port), inside(row.host, port), 0, 0, row.realm).reason ==
            DropReason::drop_quota_mappings);
      const auto live = n.count(Counter::mapping_live);
      CHECK(n.expire(ticks_from_s(7440)).size() == live);
      CHECK(n.count(Counter::host_live) == 0);
    }
  }
}

TEST_CASE("a pair that cannot be completed leaves no host behind", "[nat][translator][rfc6888-req5]") {
  TestNat n({.hosts = 1});
  for (const Realm realm : {Realm::translated, Realm::untranslated}) {
    CHECK(n.nat.create_pair(inside(1, 1000), inside(2, 1000), 0, 0, realm).reason ==
          DropReason::drop_host_table_full);
    CHECK(n.nat.hosts().size() == 0);
  }
}

TEST_CASE("a host that had only untranslated mappings gets the ports that it would have had anyway",
          "[nat][translator][rfc4787-req2][rfc6888-req2][rfc7422]") {
  constexpr PortMode kModes[] = {PortMode::random, PortMode::blocks, PortMode::deterministic};
  for (const PortMode mode : kModes) {
    DYNAMIC_SECTION("mode " << static_cast<int>(mode)) {
      TestNat::Options options{.pool = 5, .ports = blocks_of(256)};
      options.ports.mode = mode;
      if (mode == PortMode::deterministic) options.subscribers = {{0xc0a80000, 0xc0a803ff, 0}};
      TestNat plain(options);
      TestNat mixed(options);
      for (std::uint32_t host = 0; host < 40; ++host) {
        REQUIRE(create(mixed, Protocol::udp, inside(host, 4000), Realm::untranslated) == DropReason::none);
        CHECK(mixed.nat.hosts().size() == host + 1);
      }
      CHECK(mixed.count(Counter::port_in_use) == 0);
      CHECK(mixed.count(Counter::block_assigned) == 0);
      const auto same = [&](std::uint32_t host, std::uint16_t port, Tick now) {
        const MappingIndex expected = plain.open(Protocol::udp, inside(host, port), now);
        const MappingIndex found = mixed.open(Protocol::udp, inside(host, port), now);
        CHECK(mixed.nat[found].external == plain.nat[expected].external);
      };
      for (std::uint32_t host = 0; host < 40; ++host) same(host, 4000, 0);
      for (std::uint32_t host = 0; host < 40; ++host) same(host, 4001, 0);
      // Again when its ports have ended and its other flows have not.
      const Tick later = ticks_from_s(400);
      for (std::uint32_t host = 0; host < 40; ++host) {
        const MappingIndex index =
            mixed.nat.find_outbound({inside(host, 4000), Protocol::udp, Realm::untranslated});
        mixed.nat.touch_outbound(index, kServer, 100, later);
      }
      CHECK(plain.expire(later).size() == 80);
      CHECK(mixed.expire(later).size() == 80);
      CHECK(mixed.count(Counter::host_live) == 40);
      CHECK(mixed.count(Counter::block_live) == 0);
      for (std::uint32_t host = 0; host < 40; ++host) same(host, 4002, later);
    }
  }
}

TEST_CASE("a host whose ports have ended may move to another external address, one with ports may not",
          "[nat][translator][rfc6888-req2][rfc6888-req13]") {
  constexpr std::uint32_t kPortsOfOne = 65536 - 1024;
  TestNat n({.pool = 2, .mappings = 2 * kPortsOfOne});
  const std::uint16_t full = pool_index_of_inside(inside(1, 0).address, 2);
  std::uint32_t other = 2;  // of the same address
  while (pool_index_of_inside(inside(other, 0).address, 2) != full) ++other;
  REQUIRE(create(n, Protocol::tcp, inside(other, 9), Realm::untranslated) == DropReason::none);
  for (std::uint32_t i = 0; i < kPortsOfOne; ++i)
    n.open(Protocol::udp, inside(1, static_cast<std::uint16_t>(1024 + i)));
  // Refused there: the next one looks again.
  REQUIRE(n.nat.create(Protocol::udp, inside(other, 4000), kServer, 0).reason == DropReason::none);
  const MappingIndex index = n.nat.find_outbound(Protocol::udp, inside(other, 4000));
  CHECK(n.nat[index].pool_index != full);
  const MappingIndex second = n.open(Protocol::tcp, inside(other, 4000));
  CHECK(n.nat[second].pool_index == n.nat[index].pool_index);
}

}  // namespace pinhole::nat
