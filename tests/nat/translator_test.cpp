// SPDX-License-Identifier: BSD-3-Clause
#include "nat/translator.hpp"

#include <catch2/catch.hpp>
#include <map>
#include <memory>
#include <set>
#include <tuple>
#include <vector>

#include "nat/checksum.hpp"
#include "tests/nat/table_memory.hpp"

using namespace pinhole::nat;

namespace {

constexpr std::uint8_t kFin = TcpHeader::kFin;
constexpr std::uint8_t kSyn = TcpHeader::kSyn;
constexpr std::uint8_t kRst = TcpHeader::kRst;
constexpr std::uint8_t kAck = TcpHeader::kAck;
constexpr std::uint32_t kPlenty = 1U << 30U;

constexpr Endpoint endpoint(std::uint32_t host, std::uint16_t port) {
  return {Ipv4Address::from_host(host), Be16{port}};
}
constexpr Endpoint inside(std::uint32_t n, std::uint16_t port) {
  return endpoint(0xc0a80000 + n, port);
}
constexpr Endpoint kServer = endpoint(0xc6336401, 5060);
constexpr Endpoint kStranger = endpoint(0xc6336402, 5060);

/// A translator with its memory; external addresses 203.0.113.1 and up, the last of them without a pool.
struct Nat {
  struct Options {
    std::uint16_t pool = 1;
    std::uint32_t mappings = 1000;
    unsigned worker = 0;
    unsigned workers = 1;
    std::uint32_t key = 1;
  };
  explicit Nat(Options options)
      : addresses(addresses_for(options.pool)),
        config({.worker = options.worker,
                .workers = options.workers,
                .external = addresses,
                .pool_size = options.pool,
                .mappings = options.mappings,
                .key = {options.key}}),
        memory(Translator::bytes_needed(config)),
        inbound_memory(InboundIndex::bytes_needed(addresses.size())),
        inbound(addresses.size(), inbound_memory.span()),
        nat(config, memory.span(), inbound, counters, 0) {}
  Nat() : Nat(Options{}) {}

  static std::vector<Ipv4Address> addresses_for(std::uint16_t pool) {
    std::vector<Ipv4Address> all;
    for (std::uint32_t i = 0; i <= pool; ++i) all.push_back(Ipv4Address::from_host(0xcb007101 + i));
    return all;
  }
  /// A new mapping, made by a first packet to the server.
  MappingIndex open(Protocol protocol, Endpoint from, Tick now = 0, std::uint8_t tcp_flags = kSyn) {
    const Created created = nat.create(protocol, from, kServer, now);
    REQUIRE(created.reason == DropReason::none);
    nat.touch_outbound(created.index, kServer, 100, tcp_flags, now);
    return created.index;
  }
  std::vector<MappingIndex> expire(Tick now, std::uint32_t budget = kPlenty) {
    std::vector<MappingIndex> expired;
    nat.expire(now, budget, [&](MappingIndex index, const Mapping&) noexcept { expired.push_back(index); });
    return expired;
  }
  bool is_live(MappingIndex index) const { return nat.table().is_live(index); }
  std::uint32_t generation(MappingIndex index) const { return nat[index].generation; }
  std::uint16_t port(MappingIndex index) const { return nat[index].external.port.host(); }
  MappingIndex find_inbound(MappingIndex index) const {
    const Mapping& mapping = nat[index];
    return nat.find_inbound({mapping.pool_index, mapping.external.port.host(), mapping.protocol});
  }

  std::vector<Ipv4Address> addresses;
  TranslatorConfig config;
  TableMemory memory;
  TableMemory inbound_memory;
  InboundIndex inbound;
  CounterBlock<Counter> counters;
  Translator nat;
};

using Indices = std::vector<MappingIndex>;

}  // namespace

TEST_CASE("a mapping is made by a packet from inside and found from both sides",
          "[nat][translator][rfc4787-req1]") {
  Nat n;
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
  Nat n;
  std::vector<OutboundKey> out;
  std::vector<InboundKey> in;
  for (std::uint16_t i = 0; i < 64; ++i) {
    out.push_back({inside(1, static_cast<std::uint16_t>(3000 + i)), Protocol::udp});
    if (i % 3 == 0) {
      in.push_back({.pool_index = 0, .port = static_cast<std::uint16_t>(i), .protocol = Protocol::udp});
    } else {
      const MappingIndex index = n.open(Protocol::udp, out.back().inside);
      in.push_back({.pool_index = 0, .port = n.port(index), .protocol = Protocol::udp});
    }
  }
  std::array<MappingIndex, 64> found_out{};
  std::array<MappingIndex, 64> found_in{};
  n.nat.find_outbound(out, found_out);
  n.nat.find_inbound(in, found_in);
  for (std::size_t i = 0; i < 64; ++i) {
    CHECK(found_out[i] == n.nat.find_outbound(out[i].protocol, out[i].inside));
    CHECK(found_in[i] == found_out[i]);
    CHECK((found_out[i] == kNoMapping) == (i % 3 == 0));
  }
}

TEST_CASE("all flows of a host get one external address", "[nat][translator][rfc4787-req2]") {
  Nat n({.pool = 4});
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

TEST_CASE("no pool, no port or no room fails the new flow only", "[nat][translator]") {
  SECTION("no pool") {
    Nat n({.pool = 0});
    CHECK(n.nat.create(Protocol::udp, inside(1, 1), kServer, 0).reason == DropReason::drop_no_port);
    CHECK(n.nat.create_pair(inside(1, 2), inside(1, 3), 0, 0).reason == DropReason::drop_no_port);
  }
  SECTION("no room") {
    Nat n({.mappings = 2});
    n.open(Protocol::udp, inside(1, 1));
    const MappingIndex kept = n.open(Protocol::udp, inside(1, 2));
    CHECK(n.nat.create(Protocol::udp, inside(1, 3), kServer, 0).reason == DropReason::drop_table_full);
    CHECK(n.nat.ports_in_use() == 2);
    CHECK(n.is_live(kept));
  }
  SECTION("no port") {
    Nat n({.mappings = 70000});
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

TEST_CASE("an idle mapping is freed at its time-out, with all that it held", "[nat][translator]") {
  struct Case {
    Protocol protocol;
    std::uint32_t seconds;
  };
  for (const Case& row : {Case{Protocol::udp, 300}, {Protocol::tcp, 240}, {Protocol::icmp, 60}}) {
    DYNAMIC_SECTION(name(row.protocol)) {
      Nat n;
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

TEST_CASE("packets from inside refresh a mapping, from outside only media and TCP",
          "[nat][translator][rfc4787-req6]") {
  Nat n;
  const MappingIndex out = n.open(Protocol::udp, inside(1, 1000));
  const MappingIndex in = n.open(Protocol::udp, inside(1, 1001));
  const MappingIndex tcp = n.open(Protocol::tcp, inside(1, 1002));
  const MappingIndex media = n.nat.create_pair(inside(1, 4000), inside(1, 4000), 9, 0).rtp;
  for (Tick now = 0; now <= 8000; now += 500) {
    n.nat.touch_outbound(out, kServer, 1, 0, now);
    n.nat.touch_inbound(in, kServer, 1, 0, now);
    n.nat.touch_inbound(tcp, kServer, 1, kSyn, now);
    n.nat.touch_inbound(media, kStranger, 1, 0, now);
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
  Nat n;
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
  Nat n({.mappings = 1});
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
  Nat n;
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
  Nat n;
  const MappingIndex index = n.open(Protocol::udp, inside(1, 5060));
  CHECK(n.nat.admits(index, kServer, 0));
  CHECK(n.nat.admits(index, {kServer.address, Be16{1}}, 0));
  CHECK_FALSE(n.nat.admits(index, kStranger, 0));
  n.nat.touch_outbound(index, kStranger, 1, 0, 100);
  CHECK(n.nat.admits(index, kStranger, 100));
  CHECK(n.nat.admits(index, kServer, 100));
  CHECK(n.nat[index].remote == kServer);
  CHECK_FALSE(n.nat.admits(index, kStranger, 100 + ticks_from_s(300)));
}

TEST_CASE("a mapping made without a remote lets nobody in until it has sent", "[nat][translator]") {
  Nat n;
  const Created created = n.nat.create(Protocol::udp, inside(1, 5060), {}, 0);
  CHECK_FALSE(n.nat.admits(created.index, kServer, 0));
  CHECK_FALSE(n.nat.admits(created.index, {}, 0));
  n.nat.touch_outbound(created.index, kServer, 1, 0, 0);
  CHECK(n.nat.admits(created.index, kServer, 0));
}

TEST_CASE("an ALG may let a remote in without a packet", "[nat][translator]") {
  Nat n;
  const MappingIndex index = n.open(Protocol::udp, inside(1, 5060));
  n.nat.let_in(index, kStranger, 50);
  CHECK(n.nat.admits(index, kStranger, 50));
  CHECK(n.nat.admits(index, kServer, 50));
  CHECK(n.nat[index].packets_out == 1);
  CHECK(n.nat[index].last_seen == 50);
}

TEST_CASE("TCP has a long time-out while established and a short one before and after",
          "[nat][translator][rfc5382-req5]") {
  Nat n;
  const MappingIndex index = n.open(Protocol::tcp, inside(1, 1000));
  CHECK(n.nat[index].timeout_class == TimeoutClass::tcp_transitory);
  n.nat.touch_inbound(index, kServer, 1, kSyn | kAck, 0);
  n.nat.touch_outbound(index, kServer, 1, kAck, 0);
  CHECK(n.nat[index].timeout_class == TimeoutClass::tcp_established);
  CHECK(n.expire(ticks_from_s(7440) - 1) == Indices{});
  SECTION("idle") {
    CHECK(n.expire(ticks_from_s(7440)) == Indices{index});
  }
  SECTION("closed by FIN from both") {
    const Tick now = ticks_from_s(7440) - 1;
    n.nat.touch_outbound(index, kServer, 1, kFin | kAck, now);
    CHECK(n.nat[index].timeout_class == TimeoutClass::tcp_established);
    n.nat.touch_inbound(index, kServer, 1, kFin | kAck, now);
    CHECK(n.expire(now + ticks_from_s(240) - 1) == Indices{});
    CHECK(n.expire(now + ticks_from_s(240)) == Indices{index});
  }
  SECTION("reset") {
    const Tick now = ticks_from_s(7440) - 1;
    n.nat.touch_inbound(index, kServer, 1, kRst, now);
    CHECK(n.expire(now + ticks_from_s(240)) == Indices{index});
  }
}

TEST_CASE("of several connections through one mapping the line follows one that lives", "[nat][translator]") {
  Nat n;
  const MappingIndex index = n.open(Protocol::tcp, inside(1, 1000));
  n.nat.touch_inbound(index, kServer, 1, kSyn | kAck, 0);
  n.nat.touch_outbound(index, kStranger, 1, kSyn, 0);
  n.nat.touch_inbound(index, kStranger, 1, kRst, 0);
  CHECK(n.nat[index].remote == kServer);
  CHECK(n.nat[index].tcp_state == TcpState::established);
  n.nat.touch_inbound(index, kServer, 1, kRst, 1);
  CHECK(n.nat[index].tcp_state == TcpState::reset);
  n.nat.touch_outbound(index, kStranger, 1, kSyn, 2);
  CHECK(n.nat[index].remote == kStranger);
  CHECK(n.nat[index].tcp_state == TcpState::syn_out);
  CHECK(n.nat.admits(index, kServer, 2));  // its last segments may still be under way
  n.nat.touch_inbound(index, kStranger, 1, kSyn | kAck, 3);
  CHECK(n.nat[index].tcp_state == TcpState::established);
}

TEST_CASE("a media pair gets an even port and the next one, open to all", "[nat][translator][rfc4787-req4]") {
  Nat n;
  const CreatedPair pair = n.nat.create_pair(inside(1, 40000), inside(1, 40001), 7, 0);
  REQUIRE(pair.reason == DropReason::none);
  CHECK(n.port(pair.rtp) % 2 == 0);
  CHECK(n.port(pair.rtcp) == n.port(pair.rtp) + 1);
  for (const MappingIndex index : {pair.rtp, pair.rtcp}) {
    CHECK(n.nat[index].flags == MappingFlags::kPinhole);
    CHECK(n.nat[index].parent == 7);
    CHECK(n.nat.admits(index, kStranger, 0));
  }
  CHECK(n.expire(ticks_from_s(120) - 1) == Indices{});
  CHECK(n.expire(ticks_from_s(120)).size() == 2);
  CHECK(n.nat.ports_in_use() == 0);
}

TEST_CASE("media announced again keeps its ports; another call takes it over", "[nat][translator]") {
  Nat n;
  const CreatedPair first = n.nat.create_pair(inside(1, 40000), inside(1, 40001), 7, 0);
  const std::uint32_t generation = n.generation(first.rtp);
  const CreatedPair again = n.nat.create_pair(inside(1, 40000), inside(1, 40001), 7, 10);
  CHECK(again.rtp == first.rtp);
  CHECK(again.rtcp == first.rtcp);
  CHECK(n.generation(first.rtp) == generation);
  const CreatedPair other = n.nat.create_pair(inside(1, 40000), inside(1, 40001), 8, 20);
  CHECK(other.rtp == first.rtp);
  CHECK(n.nat[other.rtp].parent == 8);
  CHECK_FALSE(n.nat.close(first.rtp, generation));  // the end of the former call
  CHECK(n.nat.close(other.rtp, n.generation(other.rtp)));
}

TEST_CASE("an ordinary mapping becomes a pinhole where it is, a static one stays as it is",
          "[nat][translator]") {
  Nat n;
  const MappingIndex rtp = n.open(Protocol::udp, inside(1, 40000));
  CHECK(n.nat.create_pair(inside(1, 40000), inside(1, 40000), 7, 0).rtp == rtp);
  CHECK((n.nat[rtp].flags & MappingFlags::kPinhole) != 0);
  CHECK(n.nat[rtp].timeout_class == TimeoutClass::media);
  CHECK(n.expire(ticks_from_s(120)) == Indices{rtp});
  REQUIRE(n.nat.add_forward(Protocol::udp, {n.addresses[0], Be16{9000}}, inside(1, 9000), 0, 0) ==
          ForwardResult::added);
  const CreatedPair pair = n.nat.create_pair(inside(1, 9000), inside(1, 9001), 7, 0);
  CHECK(n.nat[pair.rtp].flags == MappingFlags::kStatic);
  CHECK(n.port(pair.rtp) == 9000);
  CHECK(n.port(pair.rtcp) == 9001);  // beside the port that is there already
}

TEST_CASE("half a pair is completed beside what exists, or else by parity", "[nat][translator]") {
  Nat n;
  const MappingIndex rtp = n.open(Protocol::udp, inside(1, 40000));
  CreatedPair pair = n.nat.create_pair(inside(1, 40000), inside(1, 40001), 7, 0);
  CHECK(pair.rtp == rtp);
  CHECK(n.port(pair.rtcp) == n.port(rtp) + 1);

  const MappingIndex rtcp = n.open(Protocol::udp, inside(2, 40001));
  pair = n.nat.create_pair(inside(2, 40000), inside(2, 40001), 8, 0);
  CHECK(pair.rtcp == rtcp);
  CHECK(n.port(pair.rtp) == n.port(rtcp) - 1);

  const MappingIndex odd = n.open(Protocol::udp, inside(3, 40001));
  pair = n.nat.create_pair(inside(3, 40001), inside(3, 40002), 9, 0);  // RTP on an odd port by its own choice
  CHECK(pair.rtp == odd);
  CHECK(n.port(pair.rtcp) % 2 == 1);
}

TEST_CASE("when no pair is left, two ports of the right parity are given",
          "[nat][translator][rfc4787-req4]") {
  Nat n({.mappings = 70000});
  // All even ports, then those odd ones back whose pair is of no use: what is left are single odd and even
  // ports that are no neighbours.
  std::map<std::uint16_t, MappingIndex> by_port;
  std::uint32_t count = 0;
  for (;; ++count) {
    const Created created = n.nat.create(
        Protocol::udp, inside(count / 50000, static_cast<std::uint16_t>(5000 + count % 50000)), kServer, 0);
    if (created.index == kNoMapping) break;
    by_port[n.port(created.index)] = created.index;
  }
  const auto free_port = [&](std::uint16_t port) {
    REQUIRE(n.nat.close(by_port.at(port), n.generation(by_port.at(port))));
  };
  free_port(30000);
  free_port(40001);
  const CreatedPair pair = n.nat.create_pair(inside(1000, 4000), inside(1000, 4001), 1, 0);
  REQUIRE(pair.reason == DropReason::none);
  CHECK(n.port(pair.rtp) == 30000);
  CHECK(n.port(pair.rtcp) == 40001);

  free_port(20000);  // one port is no pair: nothing may leak
  const std::uint32_t in_use = n.nat.ports_in_use();
  CHECK(n.nat.create_pair(inside(1000, 5000), inside(1000, 5001), 1, 0).reason == DropReason::drop_no_port);
  CHECK(n.nat.ports_in_use() == in_use);
  CHECK(n.nat.find_outbound(Protocol::udp, inside(1000, 5000)) == kNoMapping);
  CHECK(n.nat.create_pair(inside(1000, 5000), inside(1000, 5000), 1, 0).reason == DropReason::none);
}

TEST_CASE("a pair that does not fit the table leaves nothing behind", "[nat][translator]") {
  Nat n({.mappings = 2});
  n.open(Protocol::udp, inside(1, 1000));
  CHECK(n.nat.create_pair(inside(1, 4000), inside(1, 4001), 1, 0).reason == DropReason::drop_table_full);
  CHECK(n.nat.ports_in_use() == 1);
  CHECK(n.nat.table().size() == 1);
  CHECK(n.nat.find_outbound(Protocol::udp, inside(1, 4000)) == kNoMapping);
  CHECK(n.counters.read(Counter::mapping_created) == 1);
  CHECK(n.nat.create_pair(inside(1, 4000), inside(1, 4000), 1, 0).reason == DropReason::none);
  // An existing half is not touched when the other half fails.
  CHECK(n.nat.create_pair(inside(1, 1000), inside(1, 1001), 1, 0).reason == DropReason::drop_table_full);
  CHECK((n.nat[n.nat.find_outbound(Protocol::udp, inside(1, 1000))].flags & MappingFlags::kPinhole) == 0);
}

TEST_CASE("a forward is made by the owner of its host and kept out of every pool", "[nat][translator]") {
  const Endpoint pbx = inside(10, 5060);
  unsigned added = 0;
  for (unsigned worker = 0; worker < 3; ++worker) {
    Nat n({.mappings = 70000, .worker = worker, .workers = 3});
    const Endpoint external = {n.addresses[0], Be16{5060}};
    const ForwardResult result = n.nat.add_forward(Protocol::udp, external, pbx, MappingFlags::kSip, 0);
    const bool owner = owner_of_inside(pbx.address, 3) == worker;
    CHECK(result == (owner ? ForwardResult::added : ForwardResult::reserved));
    added += owner;
    const MappingIndex index = n.nat.find_inbound({.pool_index = 0, .port = 5060, .protocol = Protocol::udp});
    CHECK((index != kNoMapping) == owner);
    if (owner) {
      CHECK(n.nat[index].flags == (MappingFlags::kStatic | MappingFlags::kSip));
      CHECK(n.nat[index].inside == pbx);
      CHECK(n.nat[index].external == external);
      CHECK(n.nat.admits(index, kStranger, 0));
    }
    CHECK(n.nat.ports_in_use() == 0);
    std::uint32_t count = 0;
    for (;; ++count) {
      const Created created =
          n.nat.create(Protocol::udp, inside(20, static_cast<std::uint16_t>(2000 + count)), kServer, 0);
      if (created.index == kNoMapping) break;
      REQUIRE(n.port(created.index) != 5060);
    }
    CHECK(count > 20000);
  }
  CHECK(added == 1);
}

TEST_CASE("forwards that collide, or lie elsewhere, are refused", "[nat][translator]") {
  Nat n({.mappings = 3});
  const Ipv4Address own = n.addresses[0];
  const Ipv4Address beside_pool = n.addresses[1];
  CHECK(n.nat.add_forward(Protocol::tcp, {own, Be16{80}}, inside(1, 80), 0, 0) == ForwardResult::added);
  CHECK(n.nat.add_forward(Protocol::tcp, {own, Be16{80}}, inside(2, 80), 0, 0) == ForwardResult::taken);
  CHECK(n.nat.add_forward(Protocol::tcp, {own, Be16{81}}, inside(1, 80), 0, 0) == ForwardResult::taken);
  CHECK(n.nat.add_forward(Protocol::udp, {own, Be16{80}}, inside(1, 80), 0, 0) == ForwardResult::added);
  CHECK(n.nat.add_forward(Protocol::tcp, {beside_pool, Be16{80}}, inside(2, 80), 0, 0) ==
        ForwardResult::added);
  CHECK(n.nat.add_forward(Protocol::tcp, {own, Be16{82}}, inside(3, 80), 0, 0) == ForwardResult::no_room);
  CHECK(n.nat.add_forward(Protocol::tcp, {kServer.address, Be16{80}}, inside(4, 80), 0, 0) ==
        ForwardResult::unknown);
}

TEST_CASE("expiry works in steps within its budget", "[nat][translator]") {
  Nat n;
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
  Nat n({.pool = 2, .mappings = kMappings, .worker = 1, .workers = 2, .key = seed});
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
        if (n.is_live(any)) n.nat.touch_outbound(any, to, 10, flags, now);
        break;
      case 4:
        if (n.is_live(any) && n.nat.admits(any, to, now)) n.nat.touch_inbound(any, to, 10, flags, now);
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
  CHECK(n.counters.read(Counter::mapping_created) == made + forwards);
  CHECK(n.counters.read(Counter::mapping_expired) + n.counters.read(Counter::mapping_closed) == made);
  CHECK(n.counters.read(Counter::mapping_live) == forwards);
}

TEST_CASE("a million mappings come and go", "[nat][translator]") {
  Nat n({.mappings = 20000});
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
