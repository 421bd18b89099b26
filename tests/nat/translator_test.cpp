// SPDX-License-Identifier: BSD-3-Clause
#include "nat/translator.hpp"

#include <catch2/catch.hpp>
#include <set>
#include <tuple>
#include <vector>

#include "nat/checksum.hpp"
#include "tests/nat/test_nat.hpp"

namespace pinhole::nat {

namespace {

constexpr std::uint8_t kFin = TcpHeader::kFin;
constexpr std::uint8_t kSyn = TcpHeader::kSyn;
constexpr std::uint8_t kRst = TcpHeader::kRst;
constexpr std::uint8_t kAck = TcpHeader::kAck;

}  // namespace

TEST_CASE("a mapping is made by a packet from inside and found from both sides",
          "[nat][translator][rfc4787-req1]") {
  TestNat n;
  const Endpoint phone = inside(5, 5060);
  CHECK(n.nat.find_outbound(Protocol::udp, phone) == kNoMapping);
  const MappingIndex index = n.open(Protocol::udp, phone, 50);
  CHECK(n.nat.find_outbound(Protocol::udp, phone) == index);
  CHECK(n.find_inbound(index) == index);
  const Mapping& mapping = n.nat[index];
  CHECK(mapping.inside == phone);
  CHECK(mapping.external.address == n.addresses[0]);
  CHECK(mapping.remote == kServer);
  CHECK(mapping.last_seen == 50);
  CHECK(mapping.packets_out == 1);
  CHECK(mapping.bytes == 100);
  const Deltas deltas = deltas_for(Protocol::udp, phone, mapping.external);
  CHECK(mapping.ip_delta == deltas.ip);
  CHECK(mapping.transport_delta == deltas.transport);
  CHECK(n.counters.read(Counter::mapping_created) == 1);
  CHECK(n.counters.read(Counter::mapping_live) == 1);
  CHECK(n.counters.read(Counter::port_in_use) == 1);
}

TEST_CASE("burst look-ups from both sides agree with single ones", "[nat][translator]") {
  TestNat n;
  std::vector<OutboundKey> out;
  std::vector<InboundKey> in;
  for (std::uint16_t i = 0; i < 64; ++i) {
    out.push_back({inside(1, static_cast<std::uint16_t>(3000 + i)), Protocol::udp});
    if (i % 3 == 0) {
      in.push_back({.pool_index = 0, .port = static_cast<std::uint16_t>(i), .protocol = Protocol::udp});
    } else {
      const MappingIndex index = n.open(Protocol::udp, out.back().inside());
      in.push_back({.pool_index = 0, .port = n.port(index), .protocol = Protocol::udp});
    }
  }
  std::array<MappingIndex, 64> found_out{};
  std::array<MappingIndex, 64> found_in{};
  n.nat.find_outbound(out, found_out);
  n.nat.find_inbound(in, found_in);
  for (std::size_t i = 0; i < 64; ++i) {
    CHECK(found_out[i] == n.nat.find_outbound(out[i].protocol(), out[i].inside()));
    CHECK(found_in[i] == found_out[i]);
    CHECK((found_out[i] == kNoMapping) == (i % 3 == 0));
  }
}

TEST_CASE("all flows of a host get one external address", "[nat][translator][rfc4787-req2]") {
  TestNat n({.pool = 4});
  std::set<std::uint16_t> used;
  for (std::uint32_t host = 0; host < 50; ++host) {
    std::set<std::uint16_t> of_host;
    for (const Protocol protocol : {Protocol::udp, Protocol::tcp, Protocol::icmp}) {
      for (std::uint16_t port = 4000; port < 4003; ++port)
        of_host.insert(n.nat[n.open(protocol, inside(host, port))].pool_index);
    }
    CHECK(of_host.size() == 1);
    used.merge(of_host);
  }
  CHECK(used == std::set<std::uint16_t>{0, 1, 2, 3});
}

TEST_CASE("a host whose external address is exhausted gets another one, then keeps it",
          "[nat][translator][rfc4787-req2][rfc6888-req2][rfc6888-req13][rfc7857-4]") {
  constexpr std::uint32_t kPortsOfOne = 65536 - 1024;
  TestNat n({.pool = 3, .mappings = 3 * kPortsOfOne});
  const std::uint16_t full = pool_index_of_inside(inside(1, 0).address, 3);
  std::uint32_t other = 2;  // of the same address
  while (pool_index_of_inside(inside(other, 0).address, 3) != full) ++other;
  for (std::uint32_t i = 0; i < kPortsOfOne; ++i)
    n.open(Protocol::udp, inside(1, static_cast<std::uint16_t>(1024 + i)));
  // A host that has mappings there cannot change: its new flow fails, its others stay.
  CHECK(n.nat.create(Protocol::udp, inside(1, 1023), kServer, 0).reason == DropReason::none);  // a low port
  CHECK(n.nat.create(Protocol::tcp, inside(1, 5000), kServer, 0).reason == DropReason::none);
  CHECK(n.nat.create_pair(inside(1, 1000), inside(1, 1001), 0, 0).reason == DropReason::drop_no_port);
  const MappingIndex first = n.open(Protocol::udp, inside(other, 4000));
  const std::uint16_t chosen = n.nat[first].pool_index;
  CHECK(chosen != full);
  for (std::uint16_t port = 4001; port < 4020; ++port) {
    CHECK(n.nat[n.open(Protocol::udp, inside(other, port))].pool_index == chosen);
    CHECK(n.nat[n.open(Protocol::tcp, inside(other, port))].pool_index == chosen);
  }
  const CreatedPair pair = n.nat.create_pair(inside(other, 6000), inside(other, 6001), 0, 0);
  REQUIRE(pair.reason == DropReason::none);
  CHECK(n.nat[pair.rtp].pool_index == chosen);
  CHECK(n.nat[pair.rtcp].pool_index == chosen);
}

TEST_CASE("quotas hold a host and nobody else, and what it has stays",
          "[nat][translator][rfc6888-req4][rfc6888-req5][rfc6888-req11]") {
  TestNat n({.quotas = {.mappings = {3, 2, 1}}});
  std::vector<MappingIndex> kept;
  for (std::uint16_t port = 1; port <= 3; ++port) kept.push_back(n.open(Protocol::udp, inside(1, port)));
  for (std::uint16_t port = 1; port <= 2; ++port) kept.push_back(n.open(Protocol::tcp, inside(1, port)));
  kept.push_back(n.open(Protocol::icmp, inside(1, 1)));
  for (const Protocol protocol : {Protocol::udp, Protocol::tcp, Protocol::icmp}) {
    CHECK(n.nat.create(protocol, inside(1, 9), kServer, 0).reason == DropReason::drop_quota_mappings);
    CHECK(n.nat.create(protocol, inside(2, 9), kServer, 0).reason == DropReason::none);
  }
  for (const MappingIndex index : kept) CHECK(n.is_live(index));
  CHECK(n.nat.ports_in_use() == 9);
  // A call still gets its media, up to a reserve.
  for (std::uint16_t port = 100; port < 116; port = static_cast<std::uint16_t>(port + 2))
    CHECK(n.nat.create_pair(inside(1, port), inside(1, port + 1), 0, 0).reason == DropReason::none);
  CHECK(n.nat.create_pair(inside(1, 200), inside(1, 201), 0, 0).reason == DropReason::drop_quota_mappings);
  CHECK(n.nat.table().size() == 9 + 16);
  CHECK(n.counters.read(Counter::host_live) == 2);
  n.expire(ticks_from_s(10000));
  CHECK(n.nat.hosts().size() == 0);
  CHECK(n.counters.read(Counter::host_live) == 0);
  n.open(Protocol::udp, inside(1, 1), ticks_from_s(10000));
}

TEST_CASE("new mappings of a host come at its rate, hits do not count", "[nat][translator][rfc6888-req5]") {
  TestNat n({.quotas = {.new_per_s = 2, .burst = 4}});
  for (std::uint16_t port = 1; port <= 4; ++port) n.open(Protocol::udp, inside(1, port));
  CHECK(n.nat.create(Protocol::udp, inside(1, 5), kServer, 0).reason == DropReason::drop_quota_rate);
  CHECK(n.nat.create(Protocol::udp, inside(2, 5), kServer, 0).reason == DropReason::none);
  CHECK(n.nat.create_pair(inside(1, 100), inside(1, 101), 0, 0).reason == DropReason::none);
  for (int i = 0; i < 1000; ++i)
    n.nat.touch_outbound(n.nat.find_outbound(Protocol::udp, inside(1, 1)), kServer, 100, 0);
  const Tick later = ticks_from_s(1);
  CHECK(n.nat.create(Protocol::udp, inside(1, 6), kServer, later).reason == DropReason::none);
  CHECK(n.nat.create(Protocol::udp, inside(1, 7), kServer, later).reason == DropReason::none);
  CHECK(n.nat.create(Protocol::udp, inside(1, 8), kServer, later).reason == DropReason::drop_quota_rate);
}

TEST_CASE("without room for a host its flows fail, all or nothing", "[nat][translator][rfc6888-req5]") {
  TestNat n({.hosts = 2});
  n.open(Protocol::udp, inside(1, 1));
  // Media of two hosts, with room for one.
  CHECK(n.nat.create_pair(inside(2, 100), inside(3, 101), 0, 0).reason == DropReason::drop_host_table_full);
  CHECK(n.nat.table().size() == 1);
  CHECK(n.nat.hosts().size() == 1);
  n.open(Protocol::udp, inside(2, 1));
  CHECK(n.nat.create(Protocol::udp, inside(3, 1), kServer, 0).reason == DropReason::drop_host_table_full);
  n.open(Protocol::tcp, inside(2, 1));
}

TEST_CASE("a mapping's port rests after its end", "[nat][translator][rfc6888-req8]") {
  TestNat n({.port_rest = ticks_from_s(120)});
  const MappingIndex index = n.open(Protocol::udp, inside(1, 4000));
  const InboundKey key = {.pool_index = n.nat[index].pool_index, .port = n.port(index)};
  REQUIRE(n.nat.close(index, n.generation(index)));
  CHECK(n.nat.ports_in_use() == 0);
  Tick now = 0;
  for (; now < ticks_from_s(250); ++now) {
    n.nat.rest_ports(now, kPlenty);
    if (n.counters.read(Counter::port_resting) == 0) break;
  }
  CHECK(now >= ticks_from_s(120));
  CHECK(now <= ticks_from_s(241));
  CHECK(n.nat.find_inbound(key) == kNoMapping);
}

TEST_CASE("no pool, no port or no room fails the new flow only", "[nat][translator]") {
  SECTION("no pool") {
    TestNat n({.pool = 0});
    CHECK(n.nat.create(Protocol::udp, inside(1, 1), kServer, 0).reason == DropReason::drop_no_port);
    CHECK(n.nat.create_pair(inside(1, 2), inside(1, 3), 0, 0).reason == DropReason::drop_no_port);
  }
  SECTION("no room") {
    TestNat n({.mappings = 2});
    n.open(Protocol::udp, inside(1, 1));
    const MappingIndex kept = n.open(Protocol::udp, inside(1, 2));
    CHECK(n.nat.create(Protocol::udp, inside(1, 3), kServer, 0).reason == DropReason::drop_table_full);
    CHECK(n.nat.ports_in_use() == 2);
    CHECK(n.is_live(kept));
  }
  SECTION("no port") {
    TestNat n({.mappings = 70000});
    Created created;
    std::uint32_t count = 0;
    while ((created = n.nat.create(Protocol::udp,
                                   inside(count / 50000, static_cast<std::uint16_t>(5000 + count % 50000)),
                                   kServer, 0))
               .reason == DropReason::none) {
      ++count;
    }
    CHECK(created.reason == DropReason::drop_no_port);
    CHECK(count == 65536 - 1024);
    CHECK(n.nat.table().size() == count);
  }
}

TEST_CASE("an idle mapping is freed at its time-out, with all that it held",
          "[nat][translator][rfc4787-req5]") {
  struct Case {
    Protocol protocol;
    std::uint32_t seconds;
  };
  for (const Case& row : {Case{Protocol::udp, 300}, {Protocol::tcp, 240}, {Protocol::icmp, 60}}) {
    DYNAMIC_SECTION(name(row.protocol)) {
      TestNat n;
      const Endpoint from = inside(5, 5000);
      const MappingIndex index = n.open(row.protocol, from, 7);
      CHECK(n.expire(7 + ticks_from_s(row.seconds) - 1) == Indices{});
      CHECK(n.is_live(index));
      CHECK(n.expire(7 + ticks_from_s(row.seconds)) == Indices{index});
      CHECK_FALSE(n.is_live(index));
      CHECK(n.nat.find_outbound(row.protocol, from) == kNoMapping);
      CHECK(n.find_inbound(index) == kNoMapping);
      CHECK(n.nat.ports_in_use() == 0);
      CHECK(n.counters.read(Counter::mapping_expired) == 1);
      CHECK(n.counters.read(Counter::mapping_live) == 0);
    }
  }
}

TEST_CASE("packets from inside refresh a mapping, from outside only media and connections",
          "[nat][translator][rfc4787-req6]") {
  TestNat n;
  const MappingIndex out = n.open(Protocol::udp, inside(1, 1000));
  const MappingIndex in = n.open(Protocol::udp, inside(1, 1001));
  const MappingIndex tcp = n.open(Protocol::tcp, inside(1, 1002));
  const MappingIndex media = n.nat.create_pair(inside(1, 4000), inside(1, 4000), 9, 0).rtp;
  for (Tick now = 0; now <= 8000; now += 500) {
    n.touch_outbound(out, kServer, 1, 0, now);
    n.touch_inbound(in, kServer, 1, 0, now);
    n.touch_inbound(tcp, kServer, 1, kAck, now);
    n.touch_inbound(media, kStranger, 1, 0, now);
    const Indices expired = n.expire(now);
    CHECK(expired == (now == 3000 ? Indices{in} : Indices{}));
    if (now == 3000) break;
  }
  CHECK(n.is_live(out));
  CHECK(n.is_live(tcp));
  CHECK(n.is_live(media));
  CHECK(n.nat[media].remote == kStranger);
  CHECK(n.nat[media].packets_in == 7);
}

TEST_CASE("a promise keeps an idle mapping, and can be taken back", "[nat][translator]") {
  TestNat n;
  const MappingIndex index = n.open(Protocol::udp, inside(1, 5060));
  n.nat.keep(index, 36000);
  CHECK(n.expire(35999) == Indices{});
  n.nat.keep(index, 36500);
  CHECK(n.expire(36400) == Indices{});
  n.nat.keep(index, 0);
  CHECK(n.expire(36401) == Indices{index});
  n.nat.keep(index, 99999);  // gone: nothing happens
  CHECK_FALSE(n.is_live(index));
}

TEST_CASE("a freed mapping's old deadline does not free its successor", "[nat][translator]") {
  TestNat n({.mappings = 1});
  const MappingIndex first = n.open(Protocol::udp, inside(1, 5060), 0);
  CHECK(n.nat.close(first, n.generation(first)));
  CHECK(n.expire(2999) == Indices{});
  const MappingIndex second = n.open(Protocol::udp, inside(2, 5060), 2999);
  REQUIRE(second == first);
  CHECK(n.expire(5998) == Indices{});
  CHECK(n.is_live(second));
  CHECK(n.expire(5999) == Indices{second});
}

TEST_CASE("a mapping is closed by its generation only, a static one never", "[nat][translator]") {
  TestNat n;
  const MappingIndex index = n.open(Protocol::udp, inside(1, 5060));
  const std::uint32_t generation = n.generation(index);
  CHECK_FALSE(n.nat.close(index, generation + 2));
  CHECK_FALSE(n.nat.close(kNoMapping, generation));
  CHECK(n.nat.close(index, generation));
  CHECK_FALSE(n.nat.close(index, generation));
  CHECK_FALSE(n.nat.close(index, generation + 1));
  CHECK(n.counters.read(Counter::mapping_closed) == 1);
  REQUIRE(n.nat.add_forward(Protocol::udp, {n.addresses[0], Be16{5060}}, inside(2, 5060), MappingFlags::kSip,
                            0) == ForwardResult::added);
  const MappingIndex forward = n.nat.find_outbound(Protocol::udp, inside(2, 5060));
  CHECK_FALSE(n.nat.close(forward, n.generation(forward)));
  CHECK(n.expire(4'000'000) == Indices{});
  CHECK(n.is_live(forward));
}

TEST_CASE("address-dependent filtering lets in whom the mapping sent to", "[nat][translator][rfc4787-req8]") {
  TestNat n;
  const MappingIndex index = n.open(Protocol::udp, inside(1, 5060));
  CHECK(n.nat.admits(index, kServer, 0));
  CHECK(n.nat.admits(index, {kServer.address, Be16{1}}, 0));
  CHECK_FALSE(n.nat.admits(index, kStranger, 0));
  n.touch_outbound(index, kStranger, 1, 0, 100);
  CHECK(n.nat.admits(index, kStranger, 100));
  CHECK(n.nat.admits(index, kServer, 100));
  CHECK(n.nat[index].remote == kServer);
  CHECK_FALSE(n.nat.admits(index, kStranger, 100 + ticks_from_s(300)));
}

TEST_CASE("a mapping made without a remote lets nobody in until it has sent", "[nat][translator]") {
  TestNat n;
  const Created created = n.nat.create(Protocol::udp, inside(1, 5060), {}, 0);
  CHECK_FALSE(n.nat.admits(created.index, kServer, 0));
  CHECK_FALSE(n.nat.admits(created.index, {}, 0));
  n.touch_outbound(created.index, kServer, 1, 0, 0);
  CHECK(n.nat.admits(created.index, kServer, 0));
}

TEST_CASE("an ALG may let a remote in without a packet", "[nat][translator]") {
  TestNat n;
  const MappingIndex index = n.open(Protocol::udp, inside(1, 5060));
  n.nat.let_in(index, kStranger, 50);
  CHECK(n.nat.admits(index, kStranger, 50));
  CHECK(n.nat.admits(index, kServer, 50));
  CHECK(n.nat[index].packets_out == 1);
  CHECK(n.nat[index].last_seen == 50);
}

TEST_CASE("TCP has a long time-out while established and a short one before and after",
          "[nat][translator][rfc5382-req5]") {
  TestNat n;
  const MappingIndex index = n.open(Protocol::tcp, inside(1, 1000));
  CHECK(n.nat[index].timeout_class == TimeoutClass::tcp_opening);
  n.touch_inbound(index, kServer, 1, kSyn | kAck, 0);
  n.touch_outbound(index, kServer, 1, kAck, 0);
  CHECK(n.nat[index].timeout_class == TimeoutClass::tcp_established);
  CHECK(n.expire(ticks_from_s(7440) - 1) == Indices{});
  SECTION("idle") {
    CHECK(n.expire(ticks_from_s(7440)) == Indices{index});
  }
  SECTION("closed by FIN from both") {
    const Tick now = ticks_from_s(7440) - 1;
    n.touch_outbound(index, kServer, 1, kFin | kAck, now);
    CHECK(n.nat[index].timeout_class == TimeoutClass::tcp_established);
    n.touch_inbound(index, kServer, 1, kFin | kAck, now);
    CHECK(n.expire(now + ticks_from_s(240) - 1) == Indices{});
    CHECK(n.expire(now + ticks_from_s(240)) == Indices{index});
  }
  SECTION("reset") {
    const Tick now = ticks_from_s(7440) - 1;
    n.touch_inbound(index, kServer, 1, kRst, now);
    CHECK(n.expire(now + ticks_from_s(240)) == Indices{index});
  }
}

TEST_CASE("connections that open and those that close have time-outs of their own",
          "[nat][translator][rfc7857-2.1]") {
  for (const std::uint32_t closing_s : {30U, 300U}) {
    DYNAMIC_SECTION("60 s for opening, " << closing_s << " s for closing") {
      TestNat::Options options;
      options.opening_s = 60;
      options.closing_s = closing_s;
      TestNat n(options);
      const MappingIndex index = n.open(Protocol::tcp, inside(1, 1000));
      SECTION("never answered") {
        CHECK(n.expire(ticks_from_s(60) - 1) == Indices{});
        CHECK(n.expire(ticks_from_s(60)) == Indices{index});
      }
      n.touch_inbound(index, kServer, 1, kSyn | kAck, 0);
      n.touch_outbound(index, kServer, 1, kAck, 0);
      const Tick now = ticks_from_s(500);
      REQUIRE(n.expire(now) == Indices{});
      SECTION("reset") {
        n.touch_inbound(index, kServer, 1, kRst, now);
        CHECK(n.expire(now + ticks_from_s(closing_s) - 1) == Indices{});
        CHECK(n.expire(now + ticks_from_s(closing_s)) == Indices{index});
      }
      SECTION("closed, and one more opens beside it: the longer time-out is for both") {
        n.touch_outbound(index, kServer, 1, kFin | kAck, now);
        n.touch_inbound(index, kServer, 1, kFin | kAck, now);
        n.touch_outbound(index, kStranger, 1, kSyn, now);
        const Tick longer = ticks_from_s(std::max(60U, closing_s));
        CHECK(n.expire(now + longer - 1) == Indices{});
        CHECK(n.expire(now + longer) == Indices{index});
      }
      SECTION("closed, and opened again on the same endpoints") {
        n.touch_outbound(index, kServer, 1, kFin | kAck, now);
        n.touch_inbound(index, kServer, 1, kFin | kAck, now);
        n.touch_outbound(index, kServer, 1, kSyn, now + 10);
        CHECK(n.tcp_state(index, kServer, now + 10 + ticks_from_s(60) - 1) == TcpState::syn_out);
        CHECK(n.tcp_state(index, kServer, now + 10 + ticks_from_s(60)) == TcpState::none);
      }
    }
  }
}

TEST_CASE("a connection that ends soon is freed soon", "[nat][translator][rfc5382-req5]") {
  TestNat n;
  const MappingIndex index = n.open(Protocol::tcp, inside(1, 1000));
  n.touch_inbound(index, kServer, 1, kSyn | kAck, 0);
  n.touch_outbound(index, kServer, 1, kAck, 0);
  CHECK(n.expire(ticks_from_s(250)) == Indices{});  // the wheel has seen it once: it looks established
  const Tick now = ticks_from_s(260);
  n.touch_inbound(index, kServer, 1, kRst, now);
  CHECK(n.expire(now + ticks_from_s(240) - 1) == Indices{});
  CHECK(n.expire(now + ticks_from_s(240)) == Indices{index});
}

TEST_CASE("expiry works in steps within its budget", "[nat][translator]") {
  TestNat n;
  for (std::uint16_t i = 0; i < 1000; ++i)
    n.open(Protocol::udp, inside(1, static_cast<std::uint16_t>(2000 + i)));
  std::size_t expired = 0;
  for (Tick now = 3000; expired < 1000 && now < 3200; ++now) {
    const std::size_t step = n.expire(now, 64).size();
    CHECK(step <= 64);
    expired += step;
  }
  CHECK(expired == 1000);
}

TEST_CASE("whatever happens, all comes back in the end", "[nat][translator]") {
  const std::uint32_t seed = GENERATE(1U, 2U, 3U, 4U);
  INFO("seed " << seed);
  Random random({seed});
  constexpr std::uint32_t kMappings = 600;
  TestNat n({.pool = 2, .mappings = kMappings, .worker = 1, .workers = 2, .key = seed});
  REQUIRE(n.nat.add_forward(Protocol::udp, {n.addresses[1], Be16{5060}}, inside(0, 5060), 0, 0) !=
          ForwardResult::taken);
  const std::uint32_t forwards = n.nat.table().size();
  std::uint64_t made = 0;
  Tick now = 0;
  for (int step = 0; step < 150000; ++step) {
    now += random.below(40) == 0 ? random.below(600) : 0;
    const auto protocol = static_cast<Protocol>(random.below(3));
    const Endpoint from = inside(1 + random.below(30), static_cast<std::uint16_t>(4000 + random.below(60)));
    const Endpoint to = endpoint(0xc6336400 + random.below(5), 5060);
    const auto any = static_cast<MappingIndex>(random.below(kMappings));
    const auto flags = static_cast<std::uint8_t>(random.below(32));
    switch (random.below(8)) {
      case 0:
      case 1: {
        const MappingIndex index = n.nat.find_outbound(protocol, from);
        if (index == kNoMapping) made += n.nat.create(protocol, from, to, now).index != kNoMapping;
        break;
      }
      case 2: {
        const Endpoint rtcp = random.below(3) == 0 ? from
                                                   : inside(from.address.host() & 0xffU,
                                                            static_cast<std::uint16_t>(from.port.host() + 1));
        const std::uint32_t before = n.nat.table().size();
        const CreatedPair pair = n.nat.create_pair(from, rtcp, random.below(10), now);
        if (pair.reason == DropReason::none) {
          made += n.nat.table().size() - before;
          REQUIRE(n.nat[pair.rtp].inside == from);
          REQUIRE(n.nat[pair.rtcp].inside == rtcp);
        } else {
          REQUIRE(n.nat.table().size() == before);
        }
        break;
      }
      case 3:
        if (n.is_live(any)) n.touch_outbound(any, to, 10, flags, now);
        break;
      case 4:
        if (n.is_live(any) && n.nat.admits(any, to, now)) n.touch_inbound(any, to, 10, flags, now);
        break;
      case 5:
        if (n.is_live(any) && random.below(4) == 0) n.nat.keep(any, now + random.below(10000));
        break;
      case 6:
        if (n.is_live(any)) n.nat.close(any, n.generation(any) - 2 * random.below(2));
        break;
      default:
        n.expire(now, 1 + random.below(20));
    }
    REQUIRE(n.nat.ports_in_use() == n.nat.table().size() - forwards);
  }
  CHECK(made > 5000);
  std::set<std::tuple<std::uint16_t, Protocol, std::uint16_t>> external;
  for (MappingIndex i = 0; i < kMappings; ++i) {
    if (!n.is_live(i)) continue;
    REQUIRE(n.find_inbound(i) == i);
    REQUIRE(n.nat.find_outbound(n.nat[i].protocol, n.nat[i].inside) == i);
    REQUIRE(external.emplace(n.nat[i].pool_index, n.nat[i].protocol, n.port(i)).second);
  }
  CHECK(external.size() == n.nat.table().size());
  n.expire(now + 200000);
  n.expire(now + 400000);
  CHECK(n.nat.table().size() == forwards);
  CHECK(n.nat.ports_in_use() == 0);
  CHECK(n.nat.hosts().size() == 0);
  CHECK(n.counters.read(Counter::mapping_created) == made + forwards);
  CHECK(n.counters.read(Counter::mapping_expired) + n.counters.read(Counter::mapping_closed) == made);
  CHECK(n.counters.read(Counter::mapping_live) == forwards);
}

TEST_CASE("a million mappings come and go", "[nat][translator]") {
  TestNat n({.mappings = 20000});
  std::uint32_t created = 0;
  std::uint64_t expired = 0;
  for (Tick now = 0; created < 1'000'000; now += 10) {
    for (int i = 0; i < 60; ++i, ++created) {
      const Endpoint from = inside(created / 1000 % 1000, static_cast<std::uint16_t>(5000 + created % 1000));
      REQUIRE(n.nat.create(Protocol::udp, from, kServer, now).reason == DropReason::none);
    }
    expired += n.expire(now).size();
  }
  expired += n.expire(~Tick{0} / 4).size();
  CHECK(expired == created);
  CHECK(n.nat.ports_in_use() == 0);
  CHECK(n.nat.table().size() == 0);
  CHECK(n.nat.table().high_water() <= 20000);
}

}  // namespace pinhole::nat
