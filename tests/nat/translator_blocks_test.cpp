// SPDX-License-Identifier: BSD-3-Clause
// The translator in modes blocks and deterministic, and what it records.
#include <catch2/catch.hpp>

#include <map>
#include <random>
#include <set>
#include <tuple>
#include <vector>

#include "tests/nat/test_nat.hpp"

namespace pinhole::nat {

namespace {

constexpr PortPlan blocks_of(std::uint32_t size, std::uint32_t per_host = 4) {
  return {.mode = PortMode::blocks, .block_size = size, .blocks_per_host = per_host};
}

/// The first port of the block that a mapping's port lies in.
std::uint16_t block_of(const TestNat& n, MappingIndex index) {
  return static_cast<std::uint16_t>(n.port(index) / n.config.ports.block_size * n.config.ports.block_size);
}

/// What a record says, as whoever keeps records sees it.
Record block_record(RecordType type, Endpoint host, Ipv4Address external, std::uint16_t first,
                    std::uint32_t size) {
  return {.type = type,
          .inside = {host.address, {}},
          .external = {external, Be16{first}},
          .last_port = static_cast<std::uint16_t>(first + size - 1)};
}

std::uint32_t read(const TestNat& n, Counter counter) {
  return static_cast<std::uint32_t>(n.counters.read(counter));
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
        of_host.emplace(n.nat[index].pool_index, block_of(n, index));
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
  CHECK(read(n, Counter::block_live) == 20);
  CHECK(read(n, Counter::block_assigned) == 20);
  CHECK(read(n, Counter::port_in_use) == 20 * 60);
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
    blocks.insert(block_of(n, kept.back()));
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
  const auto first_block = block_of(n, of_first[0]);
  n.open(Protocol::udp, inside(2, 4000));
  n.open(Protocol::udp, inside(3, 4000));
  CHECK(n.nat.create(Protocol::udp, inside(4, 4000), kServer, 0).reason == DropReason::drop_no_block);
  CHECK(n.nat.hosts().size() == 3);

  REQUIRE(n.nat.close(of_first[0], n.generation(of_first[0])));
  CHECK(read(n, Counter::block_live) == 3);
  // Its own port may be used again at once.
  const MappingIndex again = n.open(Protocol::udp, inside(1, 4000));
  CHECK(block_of(n, again) == first_block);
  REQUIRE(n.nat.close(again, n.generation(again)));
  REQUIRE(n.nat.close(of_first[1], n.generation(of_first[1])));
  CHECK(read(n, Counter::block_live) == 2);
  CHECK(records.all.back() ==
        block_record(RecordType::block_released, inside(1, 0), n.addresses[0], first_block, 16384));

  Tick now = 1;
  n.nat.rest_ports(now, kPlenty);
  CHECK(read(n, Counter::block_resting) == 1);
  while (n.nat.create(Protocol::udp, inside(4, 4000), kServer, now).reason != DropReason::none) {
    REQUIRE(now < 2 * kRest);
    n.nat.rest_ports(++now, kPlenty);
  }
  CHECK(now >= kRest);
  CHECK(now <= kRest + 3);
  CHECK(block_of(n, n.nat.find_outbound(Protocol::udp, inside(4, 4000))) == first_block);
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
    blocks.insert(block_of(n, pair.rtp));
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
  CHECK(read(n, Counter::block_live) == 0);
  CHECK(read(n, Counter::port_in_use) == 0);
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
  CHECK(read(n, Counter::block_assigned) == 1);
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
    CHECK(read(n, Counter::block_assigned) == 0);
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
  CHECK(n.nat.create(Protocol::udp, inside(1, 65), kServer, 0).reason == DropReason::drop_no_port);
  CHECK(records.all == std::vector{Record{.type = RecordType::ports_exhausted,
                                          .reason = DropReason::drop_no_port,
                                          .inside = inside(1, 65),
                                          .external = {n.addresses[0], {}}}});
  n.open(Protocol::udp, inside(2, 65));
}

TEST_CASE("each mapping is recorded when that is asked for, static ones are not",
          "[nat][translator][rfc6888-req12]") {
  RecordList records;
  TestNat n({.records = &records, .mapping_records = true});
  REQUIRE(n.nat.add_forward(Protocol::udp, {n.addresses[0], Be16{5060}}, inside(9, 5060), 0, 0) ==
          ForwardResult::added);
  REQUIRE(n.nat.create(Protocol::udp, inside(8, 1), kServer, 0, Realm::untranslated).reason ==
          DropReason::none);
  CHECK(records.all.empty());
  const MappingIndex index = n.open(Protocol::tcp, inside(1, 4000));
  Record expected{.type = RecordType::mapping_created,
                  .protocol = Protocol::tcp,
                  .inside = inside(1, 4000),
                  .external = n.nat[index].external};
  CHECK(records.all == std::vector{expected});
  n.expire(ticks_from_s(240));
  expected.type = RecordType::mapping_freed;
  REQUIRE(records.all.size() == 2);
  CHECK(records.all.back() == expected);
  n.expire(100000);
  CHECK(n.nat.table().size() == 1);
  CHECK(records.all.size() == 2);
}

TEST_CASE("refusals are recorded once a second and reason", "[nat][translator][rfc6888-req11]") {
  RecordList records;
  TestNat n({.mappings = 70000,
             .quotas = {.mappings = {1, 1, 0}, .new_per_s = 5, .burst = 5},
             .records = &records});
  n.open(Protocol::udp, inside(1, 1));
  for (Tick now = 0; now < ticks_from_s(3); ++now) {
    for (int i = 0; i < 10; ++i)
      CHECK(n.nat.create(Protocol::udp, inside(1, 2), kServer, now).reason ==
            DropReason::drop_quota_mappings);
  }
  CHECK(records.all.size() == 3);
  CHECK(records.all.back() == Record{.type = RecordType::quota_exceeded,
                                     .reason = DropReason::drop_quota_mappings,
                                     .inside = inside(1, 2),
                                     .external = {n.addresses[0], {}}});
  records.all.clear();
  const Tick later = ticks_from_s(100);
  for (std::uint16_t i = 0; i < 20; ++i)
    static_cast<void>(n.nat.create(Protocol::icmp, inside(1, i), kServer, later));
  CHECK(n.nat.create(Protocol::udp, inside(1, 2), kServer, later).reason == DropReason::drop_quota_mappings);
  REQUIRE(records.all.size() == 2);
  CHECK(records.all[0].reason == DropReason::drop_quota_rate);
  CHECK(records.all[0].protocol == Protocol::icmp);
  CHECK(records.all[1].reason == DropReason::drop_quota_mappings);
}

namespace {

/// What somebody who has nothing but the records knows.
class Replay {
 public:
  void take(const RecordList& records, const PortPlan& plan) {
    for (; next_ < records.all.size(); ++next_) {
      const Record& record = records.all[next_];
      const auto block = std::pair{record.external.address, record.external.port.host()};
      switch (record.type) {
        case RecordType::mapping_created:
          REQUIRE(mappings.emplace(std::tuple{record.protocol, record.inside}, record.external).second);
          break;
        case RecordType::mapping_freed:
          REQUIRE(mappings.erase({record.protocol, record.inside}) == 1);
          break;
        case RecordType::block_assigned:
          REQUIRE(record.last_port == record.external.port.host() + plan.block_size - 1);
          REQUIRE(blocks.emplace(block, record.inside.address).second);
          break;
        case RecordType::block_released:
          REQUIRE(blocks.at(block) == record.inside.address);
          blocks.erase(block);
          break;
        case RecordType::ports_exhausted:
        case RecordType::quota_exceeded:
          break;
      }
    }
  }
  std::map<std::tuple<Protocol, Endpoint>, Endpoint> mappings;
  std::map<std::pair<Ipv4Address, std::uint16_t>, Ipv4Address> blocks;

 private:
  std::size_t next_ = 0;
};

/// Holds what there is against what the records say.
void check(const TestNat& n, const Replay& replay) {
  std::size_t live = 0;
  std::map<std::pair<Ipv4Address, std::uint16_t>, int> used;
  std::map<Ipv4Address, Ipv4Address> external_of;
  std::map<Ipv4Address, std::uint32_t> blocks_of_host;
  for (MappingIndex i = 0; i < n.config.mappings; ++i) {
    if (!n.is_live(i)) continue;
    ++live;
    const Mapping& mapping = n.nat[i];
    const auto recorded = replay.mappings.find({mapping.protocol, mapping.inside});
    REQUIRE(recorded != replay.mappings.end());
    REQUIRE(recorded->second == mapping.external);
    const std::pair block{mapping.external.address, block_of(n, i)};
    ++used[block];
    REQUIRE(replay.blocks.contains(block));
    REQUIRE(replay.blocks.at(block) == mapping.inside.address);
    REQUIRE(external_of.emplace(mapping.inside.address, mapping.external.address).first->second ==
            mapping.external.address);
  }
  REQUIRE(live == replay.mappings.size());
  REQUIRE(used.size() == replay.blocks.size());  // none is kept that nobody uses
  for (const auto& [block, host] : replay.blocks)
    REQUIRE(++blocks_of_host[host] <= n.config.ports.blocks_per_host);
}

}  // namespace

TEST_CASE("under random use each block is one host's alone, and the records tell exactly what is",
          "[nat][translator][blocks][rfc6888-req14]") {
  const std::uint32_t seed = std::random_device{}();
  INFO("seed " << seed);
  Random random({seed});
  constexpr Tick kRest = 300;
  constexpr std::uint32_t kMappings = 4000;
  RecordList records;
  TestNat n({.pool = 2,
             .mappings = kMappings,
             .worker = 1,
             .workers = 20,
             .key = seed,
             .quotas = {.mappings = {0, 50, 50}},
             .port_rest = kRest,
             .ports = blocks_of(64, 2),
             .records = &records,
             .mapping_records = true});
  Replay replay;
  std::map<std::pair<Ipv4Address, std::uint16_t>, Tick> released;
  std::map<DropReason, int> reasons;
  Tick now = 0;
  for (int step = 0; step < 100000; ++step) {
    now += random.below(20) == 0 ? random.below(10) : 0;
    n.nat.rest_ports(now, random.below(30));
    const auto protocol = static_cast<Protocol>(random.below(3));
    // Few hosts that want much, then many who take all blocks, then again.
    const bool crowded = step / 20000 % 2 != 0;
    const std::uint32_t host = crowded && random.below(3) != 0 ? random.below(200) : random.below(4);
    const Endpoint from = inside(1 + host, static_cast<std::uint16_t>(4000 + random.below(300)));
    const auto any = static_cast<MappingIndex>(random.below(kMappings));
    const std::size_t told = records.all.size();
    switch (random.below(8)) {
      case 0:
      case 1:
      case 2:
      case 3:
        if (n.nat.find_outbound(protocol, from) == kNoMapping)
          ++reasons[n.nat.create(protocol, from, kServer, now).reason];
        break;
      case 4: {
        const Endpoint rtcp =
            random.below(5) == 0
                ? inside(1 + random.below(200), static_cast<std::uint16_t>(4001 + random.below(120)))
                : Endpoint{from.address, Be16{static_cast<std::uint16_t>(from.port.host() + 1)}};
        ++reasons[n.nat.create_pair(from, rtcp, random.below(10), now).reason];
        break;
      }
      case 5:
        if (n.is_live(any)) n.nat.close(any, n.generation(any));
        break;
      default:
        n.expire(now, 1 + random.below(20));
    }
    for (std::size_t i = told; i < records.all.size(); ++i) {
      const Record& record = records.all[i];
      const std::pair block{record.external.address, record.external.port.host()};
      if (record.type == RecordType::block_released) released[block] = now;
      if (record.type == RecordType::block_assigned && released.contains(block))
        REQUIRE(now - released.at(block) >= kRest);
    }
    replay.take(records, n.config.ports);
    REQUIRE(n.nat.ports_in_use() == n.nat.table().size());
    REQUIRE(read(n, Counter::block_live) == replay.blocks.size());
    if (step % 500 == 0) check(n, replay);
  }
  check(n, replay);
  // It was as bad as it can be: every kind of want came up.
  CHECK(reasons[DropReason::none] > 1000);
  CHECK(reasons[DropReason::drop_no_block] > 0);
  CHECK(reasons[DropReason::drop_block_limit] > 0);
  CHECK(reasons[DropReason::drop_quota_mappings] > 0);
  n.expire(now + 200000);
  n.expire(now + 400000);
  replay.take(records, n.config.ports);
  CHECK(replay.mappings.empty());
  CHECK(replay.blocks.empty());
  CHECK(n.nat.hosts().size() == 0);
  CHECK(n.nat.ports_in_use() == 0);
  CHECK(read(n, Counter::block_live) == 0);
  n.nat.rest_ports(now + 400001, kPlenty);
  n.nat.rest_ports(now + 400001 + kRest + 1, kPlenty);
  CHECK(read(n, Counter::block_resting) == 0);
}

}  // namespace pinhole::nat
