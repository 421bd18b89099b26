// SPDX-License-Identifier: BSD-3-Clause
// The mappings of nat/translator.hpp that do not come from plain traffic: media pinholes and static forwards.
#include <catch2/catch.hpp>
#include <map>

#include "nat/translator.hpp"
#include "tests/nat/test_nat.hpp"

namespace pinhole::nat {

TEST_CASE("a media pair gets an even port and the next one, open to all", "[nat][translator][rfc4787-req4]") {
  TestNat n;
  const CreatedPair pair = n.nat.create_pair(inside(1, 40000), inside(1, 40001), 7, 0);
  REQUIRE(pair.reason == DropReason::none);
  CHECK(n.port(pair.rtp) % 2 == 0);
  CHECK(n.port(pair.rtcp) == n.port(pair.rtp) + 1);
  for (const MappingIndex index : {pair.rtp, pair.rtcp}) {
    CHECK((n.nat[index].flags & MappingFlags::kPinhole) != 0);
    CHECK(n.nat[index].parent == 7);
    CHECK(n.nat.admits(index, kStranger, 0));
  }
  CHECK(n.expire(ticks_from_s(120) - 1) == Indices{});
  CHECK(n.expire(ticks_from_s(120)).size() == 2);
  CHECK(n.nat.ports_in_use() == 0);
}

TEST_CASE("media announced again keeps its ports and its call, until it is handed over",
          "[nat][translator]") {
  TestNat n;
  const CreatedPair first = n.nat.create_pair(inside(1, 40000), inside(1, 40001), 7, 0);
  const std::uint32_t generation = n.generation(first.rtp);
  const CreatedPair again = n.nat.create_pair(inside(1, 40000), inside(1, 40001), 7, 10);
  CHECK(again.rtp == first.rtp);
  CHECK(again.rtcp == first.rtcp);
  CHECK(n.generation(first.rtp) == generation);
  const CreatedPair other = n.nat.create_pair(inside(1, 40000), inside(1, 40001), 8, 20);
  CHECK(other.rtp == first.rtp);
  CHECK(n.nat[other.rtp].parent == 7);
  CHECK(n.generation(first.rtp) == generation);
  n.nat.hand_over(other.rtp, 8, Sharing::none, 20);
  CHECK(n.nat[other.rtp].parent == 8);
  CHECK_FALSE(n.nat.close(first.rtp, generation));  // the end of the former call
  CHECK(n.nat.close(other.rtp, n.generation(other.rtp)));
}

TEST_CASE(
    "a pinhole that changes hands goes on to take the media of a former call that lives, and of no other",
    "[nat][translator][AC-23]") {
  for (const auto from : {MediaFrom::signalled, MediaFrom::latched}) {
    for (const auto sharing : {Sharing::none, Sharing::with_former}) {
      DYNAMIC_SECTION(static_cast<int>(from) << " " << static_cast<int>(sharing)) {
        TestNat n({.media_from = from});
        const MappingIndex rtp = n.nat.create_pair(inside(1, 40000), inside(1, 40000), 7, 0).rtp;
        n.nat.expect_media(rtp, kServer, true, 0);
        n.nat[rtp].hop_in = n.nat[rtp].hop_out = 3;
        REQUIRE(n.nat.admits(rtp, kServer, 0));
        n.nat.hand_over(rtp, 8, sharing, 10);
        const bool is_latching = (n.nat[rtp].flags & MappingFlags::kLatching) != 0;
        CHECK(is_latching == (from == MediaFrom::latched));
        CHECK(n.nat.admits(rtp, kServer, 10) == (is_latching || sharing == Sharing::with_former));
        CHECK(((n.nat[rtp].flags & MappingFlags::kHasRemote) != 0) == (sharing == Sharing::with_former));
        CHECK(n.nat[rtp].hop_in == kNoHop);
        CHECK((n.nat[rtp].hop_out == kNoHop) == (sharing == Sharing::none));
        n.nat.expect_media(rtp, kStranger, true, 10);
        CHECK(n.nat.admits(rtp, kStranger, 10));
      }
    }
  }
}

TEST_CASE("an ordinary mapping stays what it is until it is handed to a call", "[nat][translator][AC-23]") {
  TestNat n({.media_from = MediaFrom::latched});
  for (const auto protocol : {Protocol::udp, Protocol::tcp}) {
    const MappingIndex index = n.open(protocol, inside(1, 40000));
    const Mapping& mapping = n.nat[index];
    const auto before = n.generation(index);
    const auto flags = mapping.flags;
    const auto parent = mapping.parent;
    const auto timeout_class = mapping.timeout_class;
    const auto asked = [&] {
      return protocol == Protocol::udp ? n.nat.create_pair(inside(1, 40000), inside(1, 40000), 7, 5).rtp
                                       : n.nat.create_tcp_pinhole(inside(1, 40000), 5).index;
    };
    CHECK(asked() == index);
    CHECK(mapping.flags == flags);
    CHECK(mapping.parent == parent);
    CHECK(mapping.timeout_class == timeout_class);
    CHECK(mapping.filter == Filter::address_dependent);
    CHECK(mapping.last_seen == 0);
    n.nat.hand_over(index, 7, Sharing::none, 5);
    CHECK((mapping.flags & MappingFlags::kPinhole) != 0);
    CHECK((mapping.flags & MappingFlags::kLatching) != 0);
    CHECK(n.generation(index) == before);  // whom the host has sent to may still answer
    CHECK((mapping.timeout_class == TimeoutClass::media) == (protocol == Protocol::udp));
    CHECK((protocol == Protocol::udp ? mapping.parent == 7 : mapping.parent == parent));
  }
}

TEST_CASE("an ordinary mapping becomes a pinhole where it is, a static one stays as it is",
          "[nat][translator]") {
  TestNat n;
  const MappingIndex rtp = n.open(Protocol::udp, inside(1, 40000));
  CHECK(n.nat.create_pair(inside(1, 40000), inside(1, 40000), 7, 0).rtp == rtp);
  n.nat.hand_over(rtp, 7, Sharing::none, 0);
  CHECK((n.nat[rtp].flags & MappingFlags::kPinhole) != 0);
  CHECK(n.nat[rtp].timeout_class == TimeoutClass::media);
  CHECK(n.expire(ticks_from_s(120)) == Indices{rtp});
  REQUIRE(n.nat.add_forward(Protocol::udp, {n.addresses[0], Be16{9000}}, inside(1, 9000), 0, 0) ==
          ForwardResult::added);
  const CreatedPair pair = n.nat.create_pair(inside(1, 9000), inside(1, 9001), 7, 0);
  n.nat.hand_over(pair.rtp, 7, Sharing::none, 0);
  CHECK(n.nat[pair.rtp].flags == MappingFlags::kStatic);
  CHECK(n.port(pair.rtp) == 9000);
  CHECK(n.port(pair.rtcp) == 9001);  // beside the port that is there already
}

TEST_CASE("half a pair is completed beside what exists, or else by parity", "[nat][translator]") {
  TestNat n;
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

TEST_CASE("ports that are to follow others do so while these are free", "[nat][translator][rfc8866]") {
  TestNat n;
  const auto next_pair = [&](std::uint16_t rtp, std::uint16_t rtcp) {
    return n.nat.create_pair(inside(1, rtp), inside(1, rtcp), 7, 0, Realm::translated, true);
  };
  const CreatedPair first = n.nat.create_pair(inside(1, 40000), inside(1, 40001), 7, 0);
  const std::uint16_t port = n.port(first.rtp);
  REQUIRE(port < 65530);
  SECTION("a pair behind a pair") {
    const CreatedPair next = next_pair(40002, 40003);
    CHECK(n.port(next.rtp) == port + 2);
    CHECK(n.port(next.rtcp) == port + 3);
    CHECK(next_pair(40002, 40003).rtp == next.rtp);
  }
  SECTION("one port behind a pair") {
    CHECK(n.port(next_pair(40002, 40002).rtp) == port + 2);
  }
  SECTION("half of what would follow is taken: any pair, and the free half stays free") {
    const Endpoint taken = {n.nat[first.rtp].external.address, Be16{static_cast<std::uint16_t>(port + 3)}};
    REQUIRE(n.nat.add_forward(Protocol::udp, taken, inside(2, 9000), 0, 0) == ForwardResult::added);
    const std::uint32_t in_use = n.nat.ports_in_use();
    const CreatedPair next = next_pair(40002, 40003);
    CHECK(n.port(next.rtp) != port + 2);
    CHECK(n.port(next.rtp) % 2 == 0);
    CHECK(n.port(next.rtcp) == n.port(next.rtp) + 1);
    CHECK(n.nat.ports_in_use() == in_use + 2);
  }
  SECTION("there is nothing to follow") {
    const CreatedPair next = next_pair(40004, 40005);
    CHECK(n.port(next.rtp) % 2 == 0);
    CHECK(n.port(next.rtcp) == n.port(next.rtp) + 1);
  }
}

TEST_CASE("when no pair is left, two ports of the right parity are given",
          "[nat][translator][rfc4787-req4]") {
  TestNat n({.mappings = 70000});
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
  TestNat n({.mappings = 2});
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
    TestNat n({.mappings = 70000, .worker = worker, .workers = 3});
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
  TestNat n({.mappings = 3});
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

}  // namespace pinhole::nat
