// SPDX-License-Identifier: BSD-3-Clause
#include "nat/tcp_session.hpp"

#include <algorithm>
#include <catch2/catch.hpp>
#include <map>
#include <random>

#include "tests/nat/test_nat.hpp"

using namespace pinhole::nat;

namespace {

constexpr std::uint8_t kFin = TcpHeader::kFin;
constexpr std::uint8_t kSyn = TcpHeader::kSyn;
constexpr std::uint8_t kRst = TcpHeader::kRst;
constexpr std::uint8_t kAck = TcpHeader::kAck;
constexpr std::uint8_t kNone = TcpSegment::kNoScale;

constexpr auto kInside = TcpSide::inside;
constexpr auto kOutside = TcpSide::outside;

/// Two hosts that open a connection at chosen numbers. Inside begins at `iss`, outside at `irs`.
struct Connection {
  std::uint32_t iss;
  std::uint32_t irs;
  std::uint8_t scale_inside = 7;
  std::uint8_t scale_outside = 7;
  TcpSession session{};

  bool syn() {
    return advance(session, {.sequence = iss, .window = 64000, .flags = kSyn, .scale = scale_inside},
                   kInside);
  }
  bool syn_ack() {
    return advance(session,
                   {.sequence = irs,
                    .acknowledgement = iss + 1,
                    .window = 65000,
                    .flags = kSyn | kAck,
                    .scale = scale_outside},
                   kOutside);
  }
  bool ack() { return out(kAck, 1, 1, 0, 500); }
  Connection& open() {
    REQUIRE(syn());
    REQUIRE(syn_ack());
    REQUIRE(ack());
    REQUIRE(session.state() == TcpState::established);
    return *this;
  }
  /// Numbers are counted from the beginnings.
  bool out(std::uint8_t flags, std::uint32_t at, std::uint32_t acked, std::uint16_t payload = 0,
           std::uint16_t window = 500) {
    return advance(session,
                   {.sequence = iss + at,
                    .acknowledgement = irs + acked,
                    .window = window,
                    .payload = payload,
                    .flags = flags},
                   kInside);
  }
  bool in(std::uint8_t flags, std::uint32_t at, std::uint32_t acked, std::uint16_t payload = 0,
          std::uint16_t window = 500) {
    return advance(session,
                   {.sequence = irs + at,
                    .acknowledgement = iss + acked,
                    .window = window,
                    .payload = payload,
                    .flags = flags},
                   kOutside);
  }
};

/// Beginnings that wrap around soon, and one that does not.
const std::vector<std::uint32_t> kBeginnings = {0, 1000, 0x7ffffff0, 0xffffff00, 0xffffffff};

}  // namespace

TEST_CASE("a reset counts when it lies in the window of its receiver", "[nat][tcp_session][rfc7857-2.2]") {
  struct Case {
    const char* name;
    std::uint32_t at;
    bool fits;
  };
  // Inside has acknowledged 1 and takes 500 << 7 = 64,000 bytes.
  for (const std::uint32_t irs : kBeginnings) {
    for (const Case& row : {Case{"where it is waited for", 1, true},
                            {"within the window", 1000, true},
                            {"at the end of the window", 64001, true},
                            {"beyond the window", 64002, false},
                            {"before the window", 0, false},
                            {"far away", 0x80000000U, false}}) {
      DYNAMIC_SECTION(row.name << ", from " << irs) {
        Connection c{.iss = 5, .irs = irs};
        c.open();
        CHECK(c.in(kRst, row.at, 0) == row.fits);
        CHECK(c.session.state() == (row.fits ? TcpState::reset_in : TcpState::established));
      }
    }
  }
}

TEST_CASE("the window moves with what is acknowledged", "[nat][tcp_session][rfc7857-2.2]") {
  for (const std::uint32_t begin : kBeginnings) {
    DYNAMIC_SECTION("from " << begin) {
      Connection c{.iss = begin, .irs = begin ^ 0x5555U};
      c.open();
      CHECK(c.in(kAck, 1, 1, 1400));
      CHECK(c.out(kAck, 1, 1401));
      CHECK_FALSE(c.in(kRst, 1, 0));  // acknowledged already
      CHECK(c.session.state() == TcpState::established);
      CHECK_FALSE(c.out(kAck, 1, 70000));  // nobody has sent so much, nor been allowed to
      CHECK_FALSE(c.out(kAck, 1, 0x40000000));
      CHECK(c.in(kRst, 1401, 0));
      CHECK(c.session.state() == TcpState::reset_in);
    }
  }
}

TEST_CASE("a window that shrinks keeps its right edge", "[nat][tcp_session]") {
  Connection c{.iss = 0, .irs = 0};
  c.open();
  CHECK(c.out(kAck, 1, 1001, 0, 10));
  CHECK(c.in(kRst, 63000, 0));
}

TEST_CASE("windows are scaled when both sides offer it", "[nat][tcp_session][rfc7857-2.2]") {
  struct Case {
    const char* name;
    std::uint8_t inside;
    std::uint8_t outside;
    std::uint32_t end;  // of inside's window of 500, counted from 1; its SYN took 64,000 bytes
  };
  for (const Case& row : {Case{"both", 10, 3, 500U << 10U},
                          {"inside only", 10, kNone, 63999},
                          {"outside only", kNone, 3, 63999},
                          {"none", kNone, kNone, 63999},
                          {"inside by nothing", 0, 14, 63999}}) {
    DYNAMIC_SECTION(row.name) {
      Connection c{.iss = 1, .irs = 2, .scale_inside = row.inside, .scale_outside = row.outside};
      c.open();
      CHECK_FALSE(c.in(kRst, row.end + 1025, 0));
      CHECK(c.in(kRst, row.end + 1, 0));
    }
  }
}

TEST_CASE("a SYN that is refused ends by a reset that answers it", "[nat][tcp_session][rfc5382-req2]") {
  Connection c{.iss = 77, .irs = 0};
  REQUIRE(c.syn());
  SECTION("right") {
    CHECK(c.in(kRst | kAck, 0, 1));
    CHECK(c.session.state() == TcpState::closing);
  }
  SECTION("another acknowledgement") {
    CHECK_FALSE(c.in(kRst | kAck, 0, 2));
    CHECK(c.session.state() == TcpState::syn_out);
  }
  SECTION("no acknowledgement") {
    CHECK_FALSE(c.in(kRst, 0, 1));
    CHECK(c.session.state() == TcpState::syn_out);
  }
  SECTION("given up by inside") {
    CHECK(c.out(kRst, 1, 0));
    CHECK(c.session.state() == TcpState::closing);
  }
}

TEST_CASE("a connection is established only by acknowledgements that fit",
          "[nat][tcp_session][rfc5382-req5]") {
  Connection c{.iss = 100, .irs = 200};
  SECTION("a server inside is not fooled by a blind acknowledgement") {
    REQUIRE(advance(c.session, {.sequence = c.irs, .window = 500, .flags = kSyn}, kOutside));
    REQUIRE(c.out(kSyn | kAck, 0, 1));
    REQUIRE(c.session.state() == TcpState::answered_out);
    CHECK_FALSE(c.in(kAck, 1, 0x10000000));
    CHECK(c.session.state() == TcpState::answered_out);
    CHECK(c.in(kAck, 1, 1));
    CHECK(c.session.state() == TcpState::established);
  }
  SECTION("a SYN+ACK that answers another SYN") {
    REQUIRE(c.syn());
    CHECK_FALSE(c.in(kSyn | kAck, 0, 5));
    CHECK(c.session.state() == TcpState::syn_out);
    CHECK(c.syn_ack());
  }
  SECTION("opened from both sides") {
    REQUIRE(c.syn());
    REQUIRE(advance(c.session, {.sequence = c.irs, .window = 500, .flags = kSyn}, kOutside));
    REQUIRE(c.session.state() == TcpState::crossed);
    CHECK(c.out(kSyn | kAck, 0, 1));
    CHECK(c.in(kSyn | kAck, 0, 1));
    CHECK(c.session.state() == TcpState::established);
  }
  SECTION("a forged SYN in between does no harm") {
    REQUIRE(c.syn());
    REQUIRE(advance(c.session, {.sequence = 0x12345678, .window = 500, .flags = kSyn}, kOutside));
    CHECK(c.syn_ack());
    CHECK(c.ack());
    CHECK(c.session.state() == TcpState::established);
  }
  SECTION("data in the SYN is acknowledged at once") {
    REQUIRE(advance(c.session, {.sequence = c.iss, .window = 500, .payload = 300, .flags = kSyn}, kInside));
    CHECK(c.in(kSyn | kAck, 0, 301));
    CHECK(c.session.state() == TcpState::answered_in);
  }
  SECTION("the host begins again with other numbers") {
    REQUIRE(c.syn());
    c.iss = 0x90000000;
    REQUIRE(c.syn());
    c.open();
  }
}

TEST_CASE("a FIN closes its side when it fits", "[nat][tcp_session][rfc5382-req2][rfc7857-2]") {
  Connection c{.iss = 0xfffffff0, .irs = 0xffffff00};
  c.open();
  CHECK_FALSE(c.in(kFin | kAck, 0x20000000, 1));
  CHECK(c.session.state() == TcpState::established);
  CHECK(c.in(kFin | kAck, 1, 1, 400));
  CHECK(c.session.state() == TcpState::fin_in);
  CHECK(c.out(kAck, 1, 402));
  CHECK_FALSE(c.in(kFin | kAck, 401, 1));  // sent again: it says nothing new
  CHECK(c.out(kAck, 1, 402, 1000));
  CHECK(c.in(kAck, 402, 1001));
  CHECK(c.session.state() == TcpState::fin_in);
  CHECK(c.out(kFin | kAck, 1001, 402));
  CHECK(c.session.state() == TcpState::closing);
  CHECK(c.in(kAck, 402, 1002));
  CHECK(c.session.state() == TcpState::closing);
}

TEST_CASE("after a reset its alleged sender brings the connection back", "[nat][tcp_session][rfc7857-2.2]") {
  Connection c{.iss = 1, .irs = 2};
  c.open();
  REQUIRE(c.in(kRst, 1, 0));
  CHECK(c.out(kAck, 1, 1, 100));
  CHECK(c.session.state() == TcpState::reset_in);
  CHECK_FALSE(c.in(kAck, 1, 0x30000000, 10));  // as blind as the reset was not
  CHECK(c.session.state() == TcpState::reset_in);
  CHECK(c.in(kAck, 1, 101, 10));
  CHECK(c.session.state() == TcpState::established);
}

TEST_CASE("a closed window that is probed does not lose the connection", "[nat][tcp_session]") {
  Connection c{.iss = 1, .irs = 2, .scale_inside = kNone, .scale_outside = kNone};
  c.open();
  CHECK(c.in(kAck, 1, 1, 60000));
  CHECK(c.out(kAck, 1, 60001, 0, 0));
  CHECK(c.in(kAck, 60001, 1, 4000));
  CHECK(c.out(kAck, 1, 64001, 0, 0));
  CHECK(c.in(kAck, 64001, 1, 1));
  CHECK(c.out(kAck, 1, 64002, 0, 0));
  CHECK(c.in(kRst, 64002, 0));
}

TEST_CASE("each connection through a mapping has a state of its own", "[nat][translator][rfc5382-req5]") {
  TestNat n;
  const MappingIndex index = n.open(Protocol::tcp, inside(1, 1000));
  const auto establish = [&](Endpoint remote, Tick now) {
    REQUIRE(n.touch_outbound(index, remote, 1, kSyn, now) == DropReason::none);
    REQUIRE(n.touch_inbound(index, remote, 1, kSyn | kAck, now) == DropReason::none);
    REQUIRE(n.touch_outbound(index, remote, 1, kAck, now) == DropReason::none);
  };
  establish(kServer, 0);
  establish(kStranger, 0);
  CHECK(connections_of(n.nat[index]).established == 2);
  n.touch_inbound(index, kStranger, 1, kRst, 10);
  CHECK(n.tcp_state(index, kStranger, 10) == TcpState::reset_in);
  CHECK(n.tcp_state(index, kServer, 10) == TcpState::established);
  CHECK(n.nat[index].timeout_class == TimeoutClass::tcp_established);
  CHECK(n.nat[index].remote == kServer);
  n.touch_outbound(index, kServer, 1, kFin | kAck, 20);
  CHECK(n.nat[index].timeout_class == TimeoutClass::tcp_established);
  n.touch_inbound(index, kServer, 1, kFin | kAck, 20);
  CHECK(connections_of(n.nat[index]).established == 0);
  CHECK(n.nat[index].timeout_class == TimeoutClass::tcp_closing);
  CHECK(n.expire(20 + ticks_from_s(240) - 1) == Indices{});
  CHECK(n.expire(20 + ticks_from_s(240)) == Indices{index});
}

TEST_CASE("a mapping lives as long as the longest-lived of its connections",
          "[nat][translator][rfc5382-req5]") {
  struct Case {
    const char* what;
    std::uint32_t opening_s;
    std::uint32_t closing_s;
  };
  for (const auto& row : {Case{"closing is shorter", 60, 10}, Case{"closing is longer", 10, 60}}) {
    DYNAMIC_SECTION(row.what) {
      TestNat n({.opening_s = row.opening_s, .closing_s = row.closing_s});
      const MappingIndex index = n.open(Protocol::tcp, inside(1, 1000));
      const auto establish = [&](Endpoint remote, Tick now) {
        REQUIRE(n.touch_outbound(index, remote, 1, kSyn, now) == DropReason::none);
        REQUIRE(n.touch_inbound(index, remote, 1, kSyn | kAck, now) == DropReason::none);
        REQUIRE(n.touch_outbound(index, remote, 1, kAck, now) == DropReason::none);
      };
      const auto reset = [&](Endpoint remote, Tick now) {
        REQUIRE(n.touch_outbound(index, remote, 1, kRst, now) == DropReason::none);
      };
      const auto lives_for = [&](Tick from, std::uint32_t seconds) {
        CHECK(n.expire(from + ticks_from_s(seconds) - 1) == Indices{});
        CHECK(n.expire(from + ticks_from_s(seconds)) == Indices{index});
      };
      constexpr std::uint32_t kLonger = 60;
      SECTION("one opens while the last established one is reset") {
        establish(kServer, 0);
        REQUIRE(n.touch_outbound(index, kStranger, 1, kSyn, 1) == DropReason::none);
        reset(kServer, 2);
        lives_for(2, kLonger);
      }
      SECTION("the last one that opens is given up too") {
        establish(kServer, 0);
        REQUIRE(n.touch_outbound(index, kStranger, 1, kSyn, 1) == DropReason::none);
        reset(kServer, 2);
        REQUIRE(n.touch_outbound(index, kStranger, 1, kFin, 3) == DropReason::none);
        lives_for(3, row.closing_s);
      }
      SECTION("one opens and is established, and both are reset") {
        establish(kServer, 0);
        establish(kStranger, 1);
        reset(kServer, 2);
        reset(kStranger, 3);
        lives_for(3, row.closing_s);
      }
      SECTION("one closes, and the other begins anew") {
        establish(kServer, 0);
        establish(kStranger, 1);
        reset(kServer, 2);
        REQUIRE(n.touch_outbound(index, kStranger, 1, kFin | kAck, 3) == DropReason::none);
        REQUIRE(n.touch_outbound(index, kStranger, 1, kSyn, 4) == DropReason::none);
        lives_for(4, kLonger);
      }
    }
  }
}

TEST_CASE("a count of connections that was full holds its mapping for long rather than too short",
          "[nat][translator]") {
  TestNat n({.tcp_sessions = 70000});
  const MappingIndex index = n.open(Protocol::tcp, inside(1, 1000));
  set_connections(n.nat[index], {.established = TcpConnections::kMost - 1, .opening = 1});
  for (std::uint32_t remote = 0; remote < 3; ++remote) {
    const Endpoint peer = endpoint(0xc0000200U + remote, 80);
    REQUIRE(n.touch_outbound(index, peer, 1, kSyn, 0) == DropReason::none);
    REQUIRE(n.touch_inbound(index, peer, 1, kSyn | kAck, 0) == DropReason::none);
    REQUIRE(n.touch_outbound(index, peer, 1, kAck, 0) == DropReason::none);
  }
  CHECK(connections_of(n.nat[index]).established == TcpConnections::kMost);
  REQUIRE(n.touch_outbound(index, endpoint(0xc0000200U, 80), 1, kRst, 0) == DropReason::none);
  CHECK(connections_of(n.nat[index]).established == TcpConnections::kMost);
  CHECK(connections_of(n.nat[index]).opening == 1);
  CHECK(n.nat[index].timeout_class == TimeoutClass::tcp_established);
}

TEST_CASE("a reset that ends a silent connection leaves four minutes", "[nat][translator][rfc7857-2.2]") {
  TestNat n;
  const MappingIndex index = n.open(Protocol::tcp, inside(1, 1000));
  n.touch_inbound(index, kServer, 1, kSyn | kAck, 0);
  n.touch_outbound(index, kServer, 1, kAck, 0);
  const Tick now = ticks_from_s(3600);
  REQUIRE(n.expire(now) == Indices{});
  SECTION("in the window") {
    n.touch_inbound(index, kServer, 1, kRst, now);
    CHECK(n.expire(now + ticks_from_s(240) - 1) == Indices{});
    CHECK(n.expire(now + ticks_from_s(240)) == Indices{index});
  }
  SECTION("out of the window") {
    TcpSegment forged = n.fitting(index, kServer, kRst, false, now);
    forged.sequence -= 5;
    CHECK(n.nat.touch_tcp_inbound(index, kServer, 1, forged, now) == DropReason::none);
    CHECK(n.counters.read(Counter::tcp_reset_ignored) == 1);
    CHECK(n.tcp_state(index, kServer, now) == TcpState::established);
    CHECK(n.nat[index].last_seen == 0);  // nor does it keep what it does not end
    CHECK(n.expire(ticks_from_s(7440) - 1) == Indices{});
    CHECK(n.expire(ticks_from_s(7440)) == Indices{index});
  }
}

TEST_CASE("a reset out of nowhere keeps no mapping and makes no session", "[nat][translator][rfc7857-7.1]") {
  TestNat n({.filtering = Filter::endpoint_independent});
  const MappingIndex index = n.open(Protocol::tcp, inside(1, 1000));
  for (Tick now = 0; now < ticks_from_s(240); now += 100) {
    CHECK(n.nat.touch_tcp_outbound(index, kStranger, 1, {.flags = kRst}, now) == DropReason::none);
    // A SYN that inside never answers, and its refusal.
    CHECK(n.nat.touch_tcp_inbound(index, kStranger, 1, {.flags = kSyn}, now) == DropReason::none);
  }
  CHECK(n.nat[index].last_seen == 0);
  CHECK(n.expire(ticks_from_s(240)) == Indices{index});
}

TEST_CASE("whether strangers keep a mapping is configured", "[nat][translator][rfc7857-7][rfc4787-req6]") {
  for (const bool refresh : {false, true}) {
    for (const Protocol protocol : {Protocol::udp, Protocol::tcp, Protocol::icmp}) {
      DYNAMIC_SECTION(name(protocol) << (refresh ? ", yes" : ", no")) {
        TestNat n({.filtering = Filter::endpoint_independent, .inbound_refresh = refresh});
        const MappingIndex index = n.open(protocol, inside(1, 1000));
        n.touch_inbound(index, kStranger, 1, kSyn, 50);
        CHECK(n.nat[index].last_seen == (refresh ? 50 : 0));
      }
    }
  }
}

TEST_CASE("a connection is let in by its session whatever else was remembered",
          "[nat][translator][rfc5382-req3]") {
  for (const Filter filter : {Filter::address_dependent, Filter::address_and_port_dependent}) {
    DYNAMIC_SECTION("filter " << int(filter)) {
      TestNat n({.mappings = 1, .filtering = filter});  // one set of four remotes
      const MappingIndex index = n.open(Protocol::tcp, inside(1, 1000));
      std::vector<Endpoint> servers;
      for (std::uint16_t i = 0; i < 20; ++i) servers.push_back(endpoint(0xc0000200U + i, 443));
      for (const Endpoint server : servers)
        REQUIRE(n.touch_outbound(index, server, 1, kSyn, 1) == DropReason::none);
      for (const Endpoint server : servers) CHECK(n.nat.admits(index, server, 2));
      CHECK_FALSE(n.nat.admits(index, endpoint(0xc0000300U, 443), 2));
      CHECK_FALSE(n.nat.admits(index, servers[0], 2 + ticks_from_s(240)));
    }
  }
}

TEST_CASE("another port of a remote is let in by address-dependent filtering only",
          "[nat][translator][rfc4787-req8][rfc5382-req3]") {
  struct Case {
    Filter filter;
    bool other_port;
    bool other_address;
  };
  for (const Case& row : {Case{Filter::endpoint_independent, true, true},
                          {Filter::address_dependent, true, false},
                          {Filter::address_and_port_dependent, false, false}}) {
    for (const Protocol protocol : {Protocol::udp, Protocol::tcp}) {
      DYNAMIC_SECTION(name(protocol) << ", filter " << int(row.filter)) {
        TestNat n({.filtering = row.filter});
        const MappingIndex index = n.open(protocol, inside(1, 1000));
        n.touch_outbound(index, kStranger, 1, kSyn, 0);
        for (const Endpoint known : {kServer, kStranger}) {
          CHECK(n.nat.admits(index, known, 1));
          CHECK(n.nat.admits(index, {known.address, Be16{9}}, 1) == row.other_port);
        }
        CHECK(n.nat.admits(index, endpoint(0xc6336403, 5060), 1) == row.other_address);
      }
    }
  }
}

TEST_CASE("a full session table refuses the new connection and harms none", "[nat][translator]") {
  TestNat n({.mappings = 2000, .tcp_sessions = 1});
  const MappingIndex index = n.open(Protocol::tcp, inside(1, 1000));
  std::vector<Endpoint> open = {kServer};
  DropReason reason = DropReason::none;
  for (std::uint16_t port = 1; reason == DropReason::none; ++port) {
    reason = n.touch_outbound(index, endpoint(0xc0000201, port), 1, kSyn, 0);
    if (reason == DropReason::none) open.push_back(endpoint(0xc0000201, port));
  }
  CHECK(reason == DropReason::drop_session_table_full);
  CHECK(open.size() == 16);  // all places that one may have
  CHECK(n.nat[index].packets_out == open.size());
  for (const Endpoint remote : open) CHECK(n.tcp_state(index, remote, 1) == TcpState::syn_out);
  CHECK(n.touch_inbound(index, endpoint(0xc0000209, 1), 1, kSyn, 0) == DropReason::drop_session_table_full);
  SECTION("until others are over") {
    const Tick later = ticks_from_s(240);
    CHECK(n.touch_outbound(index, endpoint(0xc0000209, 1), 1, kSyn, later) == DropReason::none);
  }
  SECTION("until the mapping of others is gone") {
    CHECK(n.nat.close(index, n.generation(index)));
    n.open(Protocol::tcp, inside(2, 1000));
  }
}

TEST_CASE("sessions agree with a plain model", "[nat][translator]") {
  // Which connections are established, counted by hand from the segments of one well-behaved host after
  // another.
  const auto seed = Catch::rngSeed();
  CAPTURE(seed);
  std::mt19937 random(seed);
  const auto below = [&](unsigned limit) { return static_cast<unsigned>(random() % limit); };
  const auto [opening_s, closing_s] =
      GENERATE(std::pair{240U, 10U}, std::pair{240U, 240U}, std::pair{10U, 240U});
  TestNat n(
      {.mappings = 64, .tcp_sessions = 4096, .opening_s = opening_s + 1000, .closing_s = closing_s + 1000});
  std::map<std::pair<MappingIndex, Endpoint>, TcpState> model;
  std::vector<MappingIndex> indices;
  for (std::uint16_t i = 0; i < 20; ++i) indices.push_back(n.open(Protocol::tcp, inside(i, 1000)));
  for (const MappingIndex index : indices) model[{index, kServer}] = TcpState::syn_out;
  constexpr std::array<std::uint8_t, 5> kFlags = {kSyn, kSyn | kAck, kAck, kFin | kAck, kRst | kAck};
  for (unsigned step = 0; step < 20000; ++step) {
    const Tick now = step / 100;  // nothing gets old
    const MappingIndex index = indices[below(20)];
    const Endpoint remote = endpoint(0xc0000200U + below(8), static_cast<std::uint16_t>(1 + below(3)));
    const std::uint8_t flags = kFlags[std::min(below(8), 4U)];
    const bool outbound = below(2) == 0;
    const auto known = model.find({index, remote});
    const bool exists = known != model.end();
    const TcpState before = exists ? known->second : TcpState::none;
    const TcpState after = next_state(before, tcp_event(flags, outbound));
    if (outbound) {
      REQUIRE(n.touch_outbound(index, remote, 1, flags, now) == DropReason::none);
      if (!exists && (flags & kRst) != 0) continue;
    } else {
      REQUIRE(n.touch_inbound(index, remote, 1, flags, now) == DropReason::none);
      if (!exists && flags != kSyn) continue;
    }
    const TcpState is = n.tcp_state(index, remote, now);
    // Numbers that nobody has said yet cannot be fitted; then nothing changes.
    const bool changed_as_told = is == after || is == before;
    CAPTURE(step, int(before), int(after), int(is), int(flags), outbound);
    REQUIRE(changed_as_told);
    model[{index, remote}] = is;
    const auto count = [&](auto counts) {
      return std::count_if(model.begin(), model.end(), [&](const auto& entry) {
        return entry.first.first == index && counts(entry.second);
      });
    };
    const auto established = count(counts_as_established);
    const auto opening = count(counts_as_opening);
    REQUIRE(connections_of(n.nat[index]).established == established);
    REQUIRE(connections_of(n.nat[index]).opening == opening);
    const auto timeout_class = n.nat[index].timeout_class;
    REQUIRE((timeout_class == TimeoutClass::tcp_established) == (established > 0));
    if (closing_s < opening_s) {
      const auto otherwise = opening > 0 ? TimeoutClass::tcp_opening : TimeoutClass::tcp_closing;
      REQUIRE((established > 0 || timeout_class == otherwise));
    } else if (opening == 0) {
      REQUIRE(timeout_class != TimeoutClass::tcp_opening);
    }
  }
  CHECK(model.size() > 400);
}
