// SPDX-License-Identifier: BSD-3-Clause
// The translator in modes blocks and deterministic.
#include <catch2/catch.hpp>

#include <map>
#include <set>
#include <vector>

#include "tests/nat/test_nat.hpp"

namespace pinhole::nat {

namespace {

/// What a record says, as whoever keeps records sees it.
Record block_record(RecordType type, Endpoint host, Ipv4Address external, std::uint16_t first,
                    std::uint32_t size) {
  return {.type = type,
          .inside = {host.address, {}},
          .external = {external, Be16{first}},
          .last_port = static_cast<std::uint16_t>(first + size - 1)};
}

}  // namespace

TEST_CASE("a host's ports come from its block, for all protocols, and another host has another block",
          "[nat][translator][blocks][rfc6888-req14][rfc6888-req2]") {
  RecordList records;
  TestNat n({.pool = 3, .mappings = 2000, .ports = blocks_of(512), .records = &records});
  std::set<std::pair<std::uint16_t, std::uint16_t>> blocks;
  for (std::uint32_t host = 1; host <= 20; ++host) {
    std::set<std::pair<std::uint16_t, std::uint16_t>> of_host;
    for (std::uint16_t port = 4000; port < 4020; ++port) {
      for (const Protocol protocol : {Protocol::udp, Protocol::tcp, Protocol::icmp}) {
        const MappingIndex index = n.open(protocol, inside(host, port));
        of_host.emplace(n.nat[index].pool_index, n.block(index));
        if (protocol != Protocol::icmp) CHECK(n.port(index) % 2 == port % 2);
      }
    }
    REQUIRE(of_host.size() == 1);
    CHECK(of_host.begin()->second >= 1024);
    CHECK(blocks.insert(*of_host.begin()).second);
    // One record for sixty mappings.
    REQUIRE(records.all.size() == host);
    CHECK(records.all.back() == block_record(RecordType::block_assigned, inside(host, 0),
                                             n.addresses[of_host.begin()->first], of_host.begin()->second,
                                             512));
  }
  CHECK(n.count(Counter::block_live) == 20);
  CHECK(n.count(Counter::block_assigned) == 20);
  CHECK(n.count(Counter::port_in_use) == 20 * 60);
}

TEST_CASE("a low inside port gets one of the block", "[nat][translator][blocks][rfc4787-req3]") {
  TestNat n({.ports = blocks_of(64)});
  CHECK(n.port(n.open(Protocol::udp, inside(1, 123))) >= 1024);
}

TEST_CASE("a host gets another block when its own are full, on the same address, up to its limit",
          "[nat][translator][blocks][rfc6888-req2][rfc6888-req4][rfc6888-req11]") {
  RecordList records;
  TestNat n({.pool = 4, .ports = blocks_of(64, 3), .records = &records});
  std::vector<MappingIndex> kept;
  std::set<std::uint16_t> blocks;
  std::set<std::uint16_t> addresses;
  for (std::uint16_t i = 0; i < 3 * 64; ++i) {
    kept.push_back(n.open(Protocol::udp, inside(1, static_cast<std::uint16_t>(2000 + 2 * i))));
    blocks.insert(n.block(kept.back()));
    addresses.insert(n.nat[kept.back()].pool_index);
    // The other parity is used up before another block is.
    REQUIRE(blocks.size() == i / 64U + 1);
  }
  CHECK(addresses.size() == 1);
  CHECK(n.nat.create(Protocol::udp, inside(1, 9000), kServer, 0).reason == DropReason::drop_block_limit);
  CHECK(n.nat.create_pair(inside(1, 9000), inside(1, 9001), 0, 0).reason == DropReason::drop_block_limit);
  for (const MappingIndex index : kept) CHECK(n.is_live(index));
  n.open(Protocol::tcp, inside(1, 9000));  // TCP has ports of its own in the same blocks
  CHECK(records.all.size() == 3 + 1);
  CHECK(records.all.back() == Record{.type = RecordType::quota_exceeded,
                                     .reason = DropReason::drop_block_limit,
                                     .inside = inside(1, 9000),
                                     .external = {n.nat[kept[0]].external.address, {}}});
  CHECK(n.nat.create(Protocol::udp, inside(2, 9000), kServer, 0).reason == DropReason::none);
}

TEST_CASE("a block goes back with its last port and rests before another host gets it",
          "[nat][translator][blocks][rfc6888-req8]") {
  constexpr Tick kRest = 1200;
  RecordList records;
  TestNat n({.port_rest = kRest, .ports = blocks_of(16384, 1), .records = &records});
  const std::vector<MappingIndex> of_first = {n.open(Protocol::udp, inside(1, 4000)),
                                              n.open(Protocol::tcp, inside(1, 4000))};
  const auto first_block = n.block(of_first[0]);
  n.open(Protocol::udp, inside(2, 4000));
  n.open(Protocol::udp, inside(3, 4000));
  CHECK(n.nat.create(Protocol::udp, inside(4, 4000), kServer, 0).reason == DropReason::drop_no_block);
  CHECK(n.nat.hosts().size() == 3);

  REQUIRE(n.nat.close(of_first[0], n.generation(of_first[0])));
  CHECK(n.count(Counter::block_live) == 3);
  // Its own port may be used again at once.
  const MappingIndex again = n.open(Protocol::udp, inside(1, 4000));
  CHECK(n.block(again) == first_block);
  REQUIRE(n.nat.close(again, n.generation(again)));
  REQUIRE(n.nat.close(of_first[1], n.generation(of_first[1])));
  CHECK(n.count(Counter::block_live) == 2);
  CHECK(records.all.back() ==
        block_record(RecordType::block_released, inside(1, 0), n.addresses[0], first_block, 16384));

  Tick now = 1;
  n.nat.rest_ports(now, kPlenty);
  CHECK(n.count(Counter::block_resting) == 1);
  while (n.nat.create(Protocol::udp, inside(4, 4000), kServer, now).reason != DropReason::none) {
    REQUIRE(now < 2 * kRest);
    n.nat.rest_ports(++now, kPlenty);
  }
  CHECK(now >= kRest);
  CHECK(now <= kRest + 3);
  CHECK(n.block(n.nat.find_outbound(Protocol::udp, inside(4, 4000))) == first_block);
}

TEST_CASE("a new host whose external address has no block left gets another address",
          "[nat][translator][blocks][rfc6888-req13]") {
  TestNat n({.pool = 2, .ports = blocks_of(16384, 1)});
  std::map<std::uint16_t, int> hosts;
  for (std::uint32_t host = 1; host <= 6; ++host)
    ++hosts[n.nat[n.open(Protocol::udp, inside(host, 4000))].pool_index];
  CHECK(hosts == std::map<std::uint16_t, int>{{0, 3}, {1, 3}});
  CHECK(n.nat.create(Protocol::udp, inside(7, 4000), kServer, 0).reason == DropReason::drop_no_block);
}

TEST_CASE("media of a call comes from the host's blocks, in pairs, before single ports do",
          "[nat][translator][blocks][rfc4787-req4]") {
  TestNat n({.ports = blocks_of(64, 2)});
  std::set<std::uint16_t> blocks;
  for (std::uint16_t i = 0; i < 64; ++i) {
    const auto rtp = static_cast<std::uint16_t>(10000 + 2 * i);
    const CreatedPair pair = n.nat.create_pair(inside(1, rtp), inside(1, rtp + 1), 1, 0);
    REQUIRE(pair.reason == DropReason::none);
    CHECK(n.port(pair.rtp) % 2 == 0);
    CHECK(n.port(pair.rtcp) == n.port(pair.rtp) + 1);
    blocks.insert(n.block(pair.rtp));
    REQUIRE(blocks.size() == i / 32U + 1);
  }
  CHECK(n.nat.create_pair(inside(1, 20000), inside(1, 20001), 1, 0).reason == DropReason::drop_block_limit);
  CHECK(n.nat.table().size() == 128);
  const MappingIndex one = n.nat.find_outbound(Protocol::udp, inside(1, 10000));
  REQUIRE(n.nat.close(one, n.generation(one)));
  // RTP beside the RTCP that is there.
  const CreatedPair pair = n.nat.create_pair(inside(1, 20000), inside(1, 10001), 1, 0);
  REQUIRE(pair.reason == DropReason::none);
  CHECK(n.port(pair.rtcp) == n.port(pair.rtp) + 1);
}

TEST_CASE("with the blocks full of odd holes a pair takes a block more, and single ports without one",
          "[nat][translator][blocks]") {
  for (const std::uint32_t limit : {1U, 2U}) {
    DYNAMIC_SECTION("up to " << limit << " blocks") {
      TestNat n({.ports = blocks_of(64, limit)});
      std::vector<MappingIndex> all;
      for (std::uint16_t i = 0; i < 64; ++i)
        all.push_back(n.open(Protocol::udp, inside(1, static_cast<std::uint16_t>(2000 + i))));
      // An even and an odd port are free, that are no neighbours.
      std::uint16_t freed = 0;
      for (const MappingIndex index : all) {
        if (n.port(index) % 2 != freed % 2 || (freed == 1 && n.port(index) / 2 == n.port(all[0]) / 2))
          continue;
        all[freed] = index;
        REQUIRE(n.nat.close(index, n.generation(index)));
        if (++freed == 2) break;
      }
      REQUIRE(freed == 2);
      const CreatedPair pair = n.nat.create_pair(inside(1, 8000), inside(1, 8001), 1, 0);
      REQUIRE(pair.reason == DropReason::none);
      CHECK((n.port(pair.rtcp) == n.port(pair.rtp) + 1) == (limit == 2));
      CHECK(n.port(pair.rtp) % 2 == 0);
      CHECK(n.port(pair.rtcp) % 2 == 1);
    }
  }
}

TEST_CASE("quotas and the reserve for media hold in blocks too", "[nat][translator][blocks][rfc6888-req4]") {
  TestNat n({.quotas = {.mappings = {3, 0, 0}}, .ports = blocks_of(64)});
  for (std::uint16_t port = 1; port <= 3; ++port) n.open(Protocol::udp, inside(1, port));
  CHECK(n.nat.create(Protocol::udp, inside(1, 4), kServer, 0).reason == DropReason::drop_quota_mappings);
  for (std::uint16_t port = 100; port < 116; port = static_cast<std::uint16_t>(port + 2))
    CHECK(n.nat.create_pair(inside(1, port), inside(1, port + 1), 0, 0).reason == DropReason::none);
  CHECK(n.nat.create_pair(inside(1, 200), inside(1, 201), 0, 0).reason == DropReason::drop_quota_mappings);
}

TEST_CASE("forwards keep their ports in blocks, and the block has fewer", "[nat][translator][blocks]") {
  TestNat n({.mappings = 200, .ports = blocks_of(16384, 3)});
  std::set<std::uint16_t> forwarded;
  for (const std::uint16_t port : std::set<std::uint16_t>{16385, 20000, 40001, 65535}) {
    REQUIRE(n.nat.add_forward(Protocol::udp, {n.addresses[0], Be16{port}}, inside(9, port), 0, 0) ==
            ForwardResult::added);
    forwarded.insert(port);
  }
  CHECK(n.count(Counter::block_live) == 0);
  CHECK(n.count(Counter::port_in_use) == 0);
  // All ports that a host can have.
  TestNat m({.mappings = 50000, .ports = blocks_of(16384, 3)});
  for (const std::uint16_t port : forwarded)
    REQUIRE(m.nat.add_forward(Protocol::udp, {m.addresses[0], Be16{port}}, inside(9, port), 0, 0) ==
            ForwardResult::added);
  std::set<std::uint16_t> seen;
  for (std::uint32_t i = 0; i < 3 * 16384; ++i) {
    const Created created =
        m.nat.create(Protocol::udp, inside(1, static_cast<std::uint16_t>(i + 1)), kServer, 0);
    if (created.index == kNoMapping) break;
    seen.insert(m.port(created.index));
  }
  CHECK(seen.size() == 3 * 16384 - 4);
  for (const std::uint16_t port : forwarded) CHECK_FALSE(seen.contains(port));
}

TEST_CASE("without room in the table no block is taken", "[nat][translator][blocks]") {
  RecordList records;
  TestNat n({.mappings = 2, .port_rest = 1200, .ports = blocks_of(512), .records = &records});
  n.open(Protocol::udp, inside(1, 1));
  CHECK(n.nat.create_pair(inside(2, 2), inside(2, 3), 0, 0).reason == DropReason::drop_table_full);
  n.open(Protocol::udp, inside(1, 2));
  CHECK(n.nat.create(Protocol::udp, inside(2, 1), kServer, 0).reason == DropReason::drop_table_full);
  CHECK(n.count(Counter::block_assigned) == 1);
  CHECK(n.nat.hosts().size() == 1);
  CHECK(records.all.size() == 1);
}

TEST_CASE("a subscriber has the ports that its number says, and no record of it is made",
          "[nat][translator][rfc7422]") {
  RecordList records;
  const std::uint32_t first = inside(0, 0).address.host();
  constexpr unsigned kWorkers = 3;
  for (unsigned worker = 0; worker < kWorkers; ++worker) {
    TestNat n({.pool = 3,
               .worker = worker,
               .workers = kWorkers,
               .port_rest = 1200,
               .ports = {.mode = PortMode::deterministic, .block_size = 512},
               .subscribers = {{first, first + 299, 0}},
               .records = &records});
    for (std::uint32_t host = 0; host < 300; ++host) {
      if (owner_of_inside(inside(host, 0).address, kWorkers) != worker) continue;
      for (const Protocol protocol : {Protocol::udp, Protocol::tcp, Protocol::icmp}) {
        const MappingIndex index = n.open(protocol, inside(host, 80));
        CHECK(n.nat[index].pool_index == host / 126);
        CHECK(n.nat[index].external.address == n.addresses[host / 126]);
        CHECK(n.port(index) / 512U == 2 + host % 126);
      }
      const CreatedPair pair = n.nat.create_pair(inside(host, 8000), inside(host, 8001), 0, 0);
      REQUIRE(pair.reason == DropReason::none);
      CHECK(n.port(pair.rtp) / 512U == 2 + host % 126);
      CHECK(n.port(pair.rtcp) == n.port(pair.rtp) + 1);
    }
    CHECK(n.count(Counter::block_assigned) == 0);
    n.expire(100000);
    n.expire(200000);
    CHECK(n.nat.hosts().size() == 0);
    CHECK(n.nat.ports_in_use() == 0);
  }
  CHECK(records.all.empty());
}

TEST_CASE("a host that is no subscriber is refused, and so is a subscriber whose ports are used up",
          "[nat][translator][rfc7422][rfc6888-req11]") {
  const std::uint32_t first = inside(1, 0).address.host();
  RecordList records;
  TestNat n({.ports = {.mode = PortMode::deterministic, .block_size = 64},
             .subscribers = {{first, first + 1, 0}},
             .records = &records});
  CHECK(n.nat.create(Protocol::udp, inside(3, 1), kServer, 0).reason == DropReason::drop_not_subscriber);
  CHECK(n.nat.create_pair(inside(3, 1), inside(3, 2), 0, 0).reason == DropReason::drop_not_subscriber);
  CHECK(n.nat.create_pair(inside(1, 1), inside(3, 2), 0, 0).reason == DropReason::drop_not_subscriber);
  CHECK(n.nat.hosts().size() == 0);
  CHECK(n.nat.ports_in_use() == 0);
  for (std::uint16_t port = 1; port <= 64; ++port) n.open(Protocol::udp, inside(1, port));
  CHECK(n.nat.create(Protocol::udp, inside(1, 65), kServer, 0).reason == DropReason::drop_block_limit);
  CHECK(records.all == std::vector{Record{.type = RecordType::quota_exceeded,
                                          .reason = DropReason::drop_block_limit,
                                          .inside = inside(1, 65),
                                          .external = {n.addresses[0], {}}}});
  n.open(Protocol::udp, inside(2, 65));
}

}  // namespace pinhole::nat
