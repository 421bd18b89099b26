// SPDX-License-Identifier: BSD-3-Clause
// What the translator records, held against what there is.
#include <catch2/catch.hpp>

#include <map>
#include <random>
#include <tuple>
#include <vector>

#include "tests/nat/test_nat.hpp"

namespace pinhole::nat {

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
    const std::pair block{mapping.external.address, n.block(i)};
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
             .workers = kMaxWorkers,
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
    REQUIRE(n.count(Counter::block_live) == replay.blocks.size());
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
  CHECK(n.count(Counter::block_live) == 0);
  n.nat.rest_ports(now + 400001, kPlenty);
  n.nat.rest_ports(now + 400001 + kRest + 1, kPlenty);
  CHECK(n.count(Counter::block_resting) == 0);
}

}  // namespace pinhole::nat
