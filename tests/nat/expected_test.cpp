// SPDX-License-Identifier: BSD-3-Clause
// Mappings for what a gateway announces: they let in nobody by themselves.
#include "tests/nat/test_nat.hpp"

namespace pinhole::nat {

TEST_CASE("a port for what is announced lets in nobody, whatever the filter is for others",
          "[nat][translator][expected]") {
  for (const auto filtering :
       {Filter::endpoint_independent, Filter::address_dependent, Filter::address_and_port_dependent}) {
    for (const auto protocol : {Protocol::udp, Protocol::tcp}) {
      TestNat n({.filtering = filtering});
      const auto made = n.nat.create_expected(protocol, inside(1, 40001), 1, 0, Realm::translated);
      REQUIRE(made.rtp != kNoMapping);
      CHECK(made.rtcp == made.rtp);
      CHECK(n.nat[made.rtp].filter == Filter::expected);
      CHECK(n.nat[made.rtp].external.port.host() % 2 == 1);
      CHECK_FALSE(n.nat.admits(made.rtp, kServer, 0));
      CHECK(n.nat.create_expected(protocol, inside(1, 40001), 1, 5, Realm::translated).rtp == made.rtp);
      CHECK(n.nat.close(made.rtp, n.generation(made.rtp)));
      CHECK(n.nat.ports_in_use() == 0);
    }
  }
}

TEST_CASE("two ports that are announced together are an even one and the next, of TCP as well",
          "[nat][translator][expected]") {
  for (const auto protocol : {Protocol::udp, Protocol::tcp}) {
    for (const bool blocks : {false, true}) {
      TestNat n({.ports = blocks ? blocks_of(64) : PortPlan{}});
      for (std::uint16_t port = 40000; port < 40040; port = static_cast<std::uint16_t>(port + 2)) {
        const auto made = n.nat.create_expected(protocol, inside(1, port), 2, 0, Realm::translated);
        REQUIRE(made.rtp != kNoMapping);
        const auto first = n.nat[made.rtp].external.port.host();
        CHECK(first % 2 == 0);
        CHECK(n.nat[made.rtcp].external.port.host() == first + 1);
        CHECK(n.nat[made.rtcp].inside == inside(1, static_cast<std::uint16_t>(port + 1)));
      }
      CHECK(n.nat.ports_in_use() == 40);
    }
  }
}

TEST_CASE("what has a mapping keeps it when it is announced, and one that is strict keeps its connections",
          "[nat][translator][expected]") {
  constexpr std::uint8_t kSyn = TcpHeader::kSyn;
  constexpr std::uint8_t kAck = TcpHeader::kAck;
  TestNat n({.filtering = Filter::endpoint_independent});
  const MappingIndex index = n.open(Protocol::tcp, inside(1, 1000));
  n.touch_inbound(index, kServer, 1, kSyn | kAck, 0);
  n.touch_outbound(index, kServer, 1, kAck, 0);
  CHECK(n.nat.create_expected(Protocol::tcp, inside(1, 1000), 1, 0, Realm::translated).rtp == index);
  CHECK(n.nat[index].filter == Filter::endpoint_independent);
  CHECK(n.nat.admits(index, kStranger, 0));
  n.nat.make_strict(index);
  CHECK_FALSE(n.nat.admits(index, kStranger, 0));
  CHECK(n.nat.admits(index, kServer, 0));
}

TEST_CASE("a forward is as open as the configuration says when it is announced",
          "[nat][translator][expected]") {
  TestNat n;
  REQUIRE(n.nat.add_forward(Protocol::tcp, {n.addresses[0], Be16{9000}}, inside(1, 9000), 0, 0) ==
          ForwardResult::added);
  const auto made = n.nat.create_expected(Protocol::tcp, inside(1, 9000), 1, 0, Realm::translated);
  CHECK(n.nat[made.rtp].external.port == Be16{9000});
  n.nat.make_strict(made.rtp);
  CHECK(n.nat.admits(made.rtp, kStranger, 0));
}

TEST_CASE("a connection that is refreshed lives on, one that is over does not",
          "[nat][translator][expected]") {
  constexpr std::uint8_t kSyn = TcpHeader::kSyn;
  constexpr std::uint8_t kAck = TcpHeader::kAck;
  constexpr Tick kTimeout = ticks_from_s(7440);
  TestNat n;
  const MappingIndex index = n.open(Protocol::tcp, inside(1, 1000));
  n.touch_inbound(index, kServer, 1, kSyn | kAck, 0);
  n.touch_outbound(index, kServer, 1, kAck, 0);
  const Tick later = kTimeout - 1;
  n.nat.refresh(index, kServer, 100, later);
  CHECK(n.nat[index].last_seen == 100);
  n.nat.refresh(index, kServer, 50, later);  // never back
  CHECK(n.nat[index].last_seen == 100);
  CHECK(n.nat.session(index, kServer, kTimeout + 99) != nullptr);
  n.nat.refresh(index, kServer, kTimeout + 100, kTimeout + 100);
  CHECK(n.nat.session(index, kServer, kTimeout + 100) == nullptr);
  CHECK(n.nat[index].last_seen == 100);
}

}  // namespace pinhole::nat
