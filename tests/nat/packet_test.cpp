// SPDX-License-Identifier: BSD-3-Clause
#include "nat/packet.hpp"

#include "nat/headers.hpp"
#include "tests/support/frame.hpp"

#include <catch2/catch.hpp>
#include <functional>
#include <random>

namespace pinhole::nat {

namespace {

using test::Frame;
using test::FrameSpec;

constexpr std::size_t kIp = 14;
constexpr std::size_t kTransport = 34;

void fix_ip_checksum(Frame& frame) {
  store(&frame[kIp + 10], std::uint16_t{0});
  const auto size = (std::to_integer<std::size_t>(frame[kIp]) & 0x0fU) * 4;
  store(&frame[kIp + 10], Be16{test::checksum_by_the_book(&frame[kIp], size)}.raw());
}

Frame arp_frame() {
  Frame frame(60);
  header_at<EthernetHeader>(frame.data(), 0).ether_type = Be16{kEtherTypeArp};
  auto& arp = header_at<ArpPacket>(frame.data(), kIp);
  arp.hardware_type = Be16{ArpPacket::kHardwareEthernet};
  arp.protocol_type = Be16{kEtherTypeIpv4};
  arp.hardware_size = 6;
  arp.protocol_size = 4;
  arp.operation = Be16{ArpPacket::kRequest};
  arp.sender_address = test::address("10.0.0.2");
  arp.target_address = test::address("10.0.0.1");
  return frame;
}

FrameSpec with_protocol(std::uint8_t protocol) {
  FrameSpec spec;
  spec.protocol = protocol;
  return spec;
}

}  // namespace

TEST_CASE("a UDP datagram is found with its parts", "[nat][packet]") {
  FrameSpec spec;
  spec.ttl = 17;
  spec.padding = 6;
  const auto packet = parse(test::make_frame(spec), 0);
  CHECK(packet.kind == PacketKind::flow);
  CHECK(packet.drop == DropReason::none);
  CHECK(packet.protocol == Protocol::udp);
  CHECK(packet.ttl == 17);
  CHECK(packet.l3_offset == 14);
  CHECK(packet.l4_offset == 34);
  CHECK(packet.payload_offset == 42);
  CHECK(packet.payload_end == 62);
  CHECK(packet.ip_end == 62);
  CHECK(packet.ip_size() == 48);
  CHECK(packet.payload_size() == 20);
  CHECK(packet.source == spec.source);
  CHECK(packet.destination == spec.destination);
}

TEST_CASE("a TCP segment is found behind options of both headers", "[nat][packet]") {
  auto spec = with_protocol(kIpProtocolTcp);
  spec.ip_option_words = 10;
  spec.tcp_option_words = 10;
  spec.tcp_flags = TcpHeader::kSyn | TcpHeader::kAck;
  spec.vlan = 100;
  const auto packet = parse(test::make_frame(spec), 100);
  CHECK(packet.kind == PacketKind::flow);
  CHECK(packet.protocol == Protocol::tcp);
  CHECK(packet.tcp_flags == (TcpHeader::kSyn | TcpHeader::kAck));
  CHECK(packet.l3_offset == 18);
  CHECK(packet.l4_offset == 78);
  CHECK(packet.payload_offset == 138);
  CHECK(packet.payload_end == 158);
  CHECK(packet.ip_end == 158);
}

TEST_CASE("an echo has its identifier on the side of the one who asked", "[nat][packet][rfc5508]") {
  auto spec = with_protocol(kIpProtocolIcmp);
  spec.source.port = spec.destination.port = Be16{4711};
  auto packet = parse(test::make_frame(spec), 0);
  CHECK(packet.kind == PacketKind::flow);
  CHECK(packet.protocol == Protocol::icmp);
  CHECK(packet.icmp_type == IcmpHeader::kEchoRequest);
  CHECK(packet.source.port == Be16{4711});
  CHECK(packet.destination.port == Be16{0});

  spec.icmp_type = IcmpHeader::kEchoReply;
  packet = parse(test::make_frame(spec), 0);
  CHECK(packet.kind == PacketKind::flow);
  CHECK(packet.source.port == Be16{0});
  CHECK(packet.destination.port == Be16{4711});
}

TEST_CASE("ICMP is told apart by type: queries, errors, and what goes no further",
          "[nat][packet][rfc5508-req10][rfc5508-req11][rfc6633]") {
  for (unsigned type = 0; type < 256; ++type) {
    auto spec = with_protocol(kIpProtocolIcmp);
    spec.icmp_type = static_cast<std::uint8_t>(type);
    const auto packet = parse(test::make_frame(spec), 0);
    INFO("type " << type);
    if (type == 0 || type == 8) {
      CHECK(packet.kind == PacketKind::flow);
    } else if (type == 3 || type == 11 || type == 12) {
      CHECK(packet.kind == PacketKind::icmp_error);
      CHECK(packet.source.port == Be16{0});
    } else {
      CHECK(packet.kind == PacketKind::dropped);
      CHECK(packet.drop == DropReason::drop_unsupported_icmp);
    }
  }
}

TEST_CASE("a UDP length shorter than the datagram ends the payload", "[nat][packet]") {
  auto frame = test::make_frame({});
  store(&frame[kTransport + 4], Be16{18}.raw());
  const auto packet = parse(frame, 0);
  REQUIRE(packet.kind == PacketKind::flow);
  CHECK(packet.payload_size() == 10);
  CHECK(packet.payload_end == 52);
  CHECK(packet.ip_end == 62);
}

TEST_CASE("a frame that cannot be trusted is dropped with its reason", "[nat][packet]") {
  struct Row {
    const char* what;
    DropReason reason;
    FrameSpec spec;
    std::function<void(Frame&)> damage;
  };
  const auto poke = [](std::size_t at, unsigned value) {
    return [=](Frame& frame) {
      frame[at] = static_cast<std::byte>(value);
      if (at < kTransport && at >= kIp) fix_ip_checksum(frame);
    };
  };
  const auto poke16 = [](std::size_t at, std::uint16_t value) {
    return [=](Frame& frame) {
      store(&frame[at], Be16{value}.raw());
      if (at < kTransport && at >= kIp) fix_ip_checksum(frame);
    };
  };
  const auto fragment = [](std::uint16_t field, std::size_t payload, std::uint8_t protocol = kIpProtocolUdp) {
    FrameSpec spec;
    spec.fragment = field;
    spec.protocol = protocol;
    spec.payload.resize(payload);
    return spec;
  };
  // A first fragment of UDP: its length goes beyond it.
  const auto longer = poke16(kTransport + 4, 4000);
  const auto tcp = with_protocol(kIpProtocolTcp);
  const Row rows[] = {
      {"nothing", DropReason::drop_truncated, {}, [](Frame& f) { f.clear(); }},
      {"13 bytes", DropReason::drop_truncated, {}, [](Frame& f) { f.resize(13); }},
      {"IPv6", DropReason::drop_not_ip, {}, poke16(12, 0x86dd)},
      {"IP version 6", DropReason::drop_bad_ip_header, {}, poke(kIp, 0x65)},
      {"header of four words", DropReason::drop_bad_ip_header, {}, poke(kIp, 0x44)},
      {"total length below the header", DropReason::drop_bad_ip_header, {}, poke16(kIp + 2, 19)},
      {"total length behind the frame", DropReason::drop_truncated, {}, poke16(kIp + 2, 49)},
      {"half an IP header", DropReason::drop_truncated, {}, [](Frame& f) { f.resize(kIp + 19); }},
      {"a wrong header checksum",
       DropReason::drop_bad_ip_checksum,
       {},
       [](Frame& f) { f[kIp + 10] ^= std::byte{1}; }},
      {"a first fragment that is none: it holds all of its datagram",
       DropReason::drop_fragment_malformed,
       fragment(0x2000, 16),
       {}},
      {"a first fragment that ends between units", DropReason::drop_fragment_malformed, fragment(0x2000, 17),
       longer},
      {"a middle fragment that ends between units",
       DropReason::drop_fragment_malformed,
       fragment(0x2010, 17),
       {}},
      {"an empty fragment", DropReason::drop_fragment_malformed, fragment(0x2010, 0), poke16(kIp + 2, 20)},
      {"a last fragment behind 65,535", DropReason::drop_fragment_malformed, fragment(0x1fff, 16), {}},
      {"a first fragment with half of a TCP header", DropReason::drop_fragment_tiny,
       fragment(0x2000, 0, kIpProtocolTcp), poke16(kIp + 2, 36)},
      {"a first fragment without the TCP options", DropReason::drop_fragment_tiny,
       fragment(0x2000, 4, kIpProtocolTcp), poke(kTransport + 12, 0x80)},
      {"a fragment that would change the TCP flags",
       DropReason::drop_fragment_overlap,
       fragment(0x2001, 12, kIpProtocolTcp),
       {}},
      {"a fragment that would change the TCP checksum",
       DropReason::drop_fragment_overlap,
       fragment(0x0002, 12, kIpProtocolTcp),
       {}},
      {"a fragment of SCTP", DropReason::drop_unsupported_protocol, fragment(0x2010, 16, 132), {}},
      {"SCTP", DropReason::drop_unsupported_protocol, {}, poke(kIp + 9, 132)},
      {"UDP of 7 bytes", DropReason::drop_truncated, {}, poke16(kIp + 2, 27)},
      {"UDP length 7", DropReason::drop_bad_udp_length, {}, poke16(kTransport + 4, 7)},
      {"UDP length behind the datagram", DropReason::drop_bad_udp_length, {}, poke16(kTransport + 4, 29)},
      {"UDP to port 0", DropReason::drop_port_zero, {}, poke16(kTransport + 2, 0)},
      {"a first fragment of UDP to port 0", DropReason::drop_port_zero, fragment(0x2000, 16),
       [](Frame& f) {
         store(&f[kTransport + 2], std::uint16_t{0});
         store(&f[kTransport + 4], Be16{4000}.raw());
       }},
      {"TCP of 19 bytes", DropReason::drop_truncated, tcp, poke16(kIp + 2, 39)},
      {"TCP header of four words", DropReason::drop_bad_tcp_header, tcp, poke(kTransport + 12, 0x40)},
      {"TCP header behind the datagram", DropReason::drop_bad_tcp_header, tcp, poke(kTransport + 12, 0xf0)},
      {"TCP from port 0", DropReason::drop_port_zero, tcp, poke16(kTransport, 0)},
      {"TCP to port 0", DropReason::drop_port_zero, tcp, poke16(kTransport + 2, 0)},
      {"ICMP of 7 bytes", DropReason::drop_truncated, with_protocol(kIpProtocolIcmp), poke16(kIp + 2, 27)},
  };
  for (const auto& row : rows) {
    DYNAMIC_SECTION(row.what) {
      auto frame = test::make_frame(row.spec);
      if (row.damage) row.damage(frame);
      const auto packet = parse(frame, 0);
      CHECK(packet.kind == PacketKind::dropped);
      CHECK(packet.drop == row.reason);
    }
  }
}

TEST_CASE("a first fragment has its ports, a later one has none", "[nat][packet][rfc4787-req14]") {
  for (const std::uint8_t protocol : {kIpProtocolUdp, kIpProtocolTcp, kIpProtocolIcmp}) {
    FrameSpec spec;
    spec.protocol = protocol;
    spec.identification = 0x4321;
    spec.ip_option_words = 1;
    spec.payload.resize(100);
    const auto whole = parse(test::make_frame(spec), 0);
    const auto pieces = test::cut(test::make_frame(spec), {48, 96});
    REQUIRE(pieces.size() == 3);
    for (std::size_t i = 0; i < 3; ++i) {
      const auto packet = parse(pieces[i], 0);
      INFO("protocol " << int{protocol} << ", piece " << i);
      REQUIRE(packet.kind == PacketKind::fragment);
      CHECK(packet.part == (i == 0 ? FragmentPart::first : FragmentPart::later));
      CHECK(packet.identification == Be16{0x4321});
      CHECK(packet.source.address == spec.source.address);
      CHECK(packet.protocol == whole.protocol);
      CHECK(packet.payload_end == pieces[i].size());
      CHECK(packet.source.port == (i == 0 ? whole.source.port : Be16{}));
      CHECK(packet.destination.port == (i == 0 ? whole.destination.port : Be16{}));
      if (i == 0) CHECK(packet.icmp_type == whole.icmp_type);
      if (i == 0) CHECK(packet.payload_offset == whole.payload_offset);
    }
  }
}

TEST_CASE("don't fragment is no fragment", "[nat][packet]") {
  FrameSpec spec;
  spec.fragment = Ipv4Header::kDontFragment;
  CHECK(parse(test::make_frame(spec), 0).kind == PacketKind::flow);
}

TEST_CASE("addresses that may not be on the wire are dropped, each kind with its reason",
          "[nat][packet][rfc1812]") {
  struct Row {
    const char* address;
    DropReason as_destination;
  };
  using enum DropReason;
  const Row rows[] = {
      {"0.0.0.0", drop_martian_destination},
      {"0.1.2.3", drop_martian_destination},
      {"1.0.0.0", none},
      {"10.0.0.1", none},
      {"126.0.0.1", none},
      {"127.0.0.1", drop_martian_destination},
      {"127.255.255.255", drop_martian_destination},
      {"128.0.0.1", none},
      {"192.0.2.1", none},
      {"223.1.2.3", none},
      {"224.0.0.1", drop_multicast},
      {"239.255.255.255", drop_multicast},
      {"240.0.0.1", drop_martian_destination},
      {"255.255.255.254", drop_martian_destination},
      {"255.255.255.255", drop_broadcast},
  };
  for (const auto& row : rows) {
    DYNAMIC_SECTION(row.address) {
      FrameSpec to;
      to.destination.address = test::address(row.address);
      auto packet = parse(test::make_frame(to), 0);
      CHECK(packet.kind == (row.as_destination == none ? PacketKind::flow : PacketKind::dropped));
      CHECK(packet.drop == row.as_destination);
      FrameSpec from;
      from.source.address = test::address(row.address);
      packet = parse(test::make_frame(from), 0);
      CHECK(packet.drop == (row.as_destination == none ? none : drop_martian_source));
    }
  }
  // A host that asks for an address by DHCP.
  FrameSpec discover;
  discover.source = test::endpoint("0.0.0.0", 68);
  discover.destination = test::endpoint("255.255.255.255", 67);
  CHECK(parse(test::make_frame(discover), 0).drop == drop_broadcast);
}

TEST_CASE("TCP flags that no connection has are dropped, and all others pass", "[nat][packet][tcp]") {
  for (unsigned flags = 0; flags < 256; ++flags) {
    auto spec = with_protocol(kIpProtocolTcp);
    spec.tcp_flags = static_cast<std::uint8_t>(flags);
    const bool syn = (flags & TcpHeader::kSyn) != 0;
    const bool fin = (flags & TcpHeader::kFin) != 0;
    const bool rst = (flags & TcpHeader::kRst) != 0;
    const bool ack = (flags & TcpHeader::kAck) != 0;
    const bool possible = syn ? !fin && !rst : rst || ack;
    INFO("flags " << flags);
    CHECK(parse(test::make_frame(spec), 0).drop ==
          (possible ? DropReason::none : DropReason::drop_bad_tcp_flags));
    spec.fragment = Ipv4Header::kMoreFragments;
    CHECK(parse(test::make_frame(spec), 0).drop ==
          (possible ? DropReason::none : DropReason::drop_bad_tcp_flags));
  }
}

TEST_CASE("UDP from port 0 passes: its sender wants no answer", "[nat][packet][rfc768]") {
  FrameSpec spec;
  spec.source.port = Be16{0};
  CHECK(parse(test::make_frame(spec), 0).kind == PacketKind::flow);
}

TEST_CASE("of IPv4 options, source routes and broken lists are dropped", "[nat][packet][rfc7126]") {
  struct Row {
    const char* what;
    std::vector<unsigned> options;  // filled up with zeros: the end of the list
    DropReason reason;
  };
  using enum DropReason;
  const Row rows[] = {
      {"nothing but padding", {1, 1, 1, 1}, none},
      {"router alert", {0x94, 4, 0, 0}, none},
      {"record route", {7, 7, 4, 0, 0, 0, 0}, none},
      {"timestamp", {68, 8, 5, 0, 0, 0, 0, 0}, none},
      {"an experiment", {0x9e, 2}, none},
      {"loose source route", {131, 7, 4, 10, 0, 0, 9}, drop_source_route},
      {"strict source route", {137, 7, 4, 10, 0, 0, 9}, drop_source_route},
      {"a source route behind others", {1, 0x94, 4, 0, 0, 131, 7, 4, 10, 0, 0, 9}, drop_source_route},
      {"a source route behind the end", {0, 131, 3, 4}, none},
      {"no length", {1, 1, 1, 7}, drop_bad_ip_options},
      {"length 0", {7, 0, 4, 0}, drop_bad_ip_options},
      {"length 1", {7, 1, 4, 0}, drop_bad_ip_options},
      {"a length that fits exactly", {7, 4, 4, 0}, none},
      {"a length beyond the header", {7, 5, 4, 0}, drop_bad_ip_options},
  };
  for (const auto& row : rows) {
    for (const std::uint16_t fragment : {std::uint16_t{0}, std::uint16_t{0x2002}}) {
      DYNAMIC_SECTION(row.what << (fragment == 0 ? "" : ", in a fragment")) {
        FrameSpec spec;
        spec.ip_option_words = static_cast<std::uint8_t>((row.options.size() + 3) / 4);
        spec.fragment = fragment;
        spec.payload.resize(16);
        auto frame = test::make_frame(spec);
        std::fill_n(frame.begin() + kIp + 20, std::size_t{4} * spec.ip_option_words, std::byte{0});
        for (std::size_t i = 0; i < row.options.size(); ++i) {
          frame[kIp + 20 + i] = static_cast<std::byte>(row.options[i]);
        }
        fix_ip_checksum(frame);
        CHECK(parse(frame, 0).drop == row.reason);
      }
    }
  }
}

TEST_CASE("a frame belongs to the interface of its VLAN alone", "[nat][packet]") {
  FrameSpec tagged;
  tagged.vlan = 100;
  const auto frame = test::make_frame(tagged);
  CHECK(parse(frame, 100).kind == PacketKind::flow);
  CHECK(parse(frame, 101).drop == DropReason::drop_not_ip);
  CHECK(parse(frame, 0).drop == DropReason::drop_not_ip);
  CHECK(parse(test::make_frame({}), 100).drop == DropReason::drop_not_ip);

  auto priority_only = frame;
  store(&priority_only[14], Be16{0xe000}.raw());
  CHECK(parse(priority_only, 0).kind == PacketKind::flow);
  CHECK(parse(priority_only, 0).l3_offset == 18);
}

TEST_CASE("ARP is taken for IPv4 over Ethernet only", "[nat][packet][rfc826]") {
  const auto packet = parse(arp_frame(), 0);
  CHECK(packet.kind == PacketKind::arp);
  CHECK(packet.l3_offset == 14);
  CHECK(packet.ip_end == 42);
  CHECK(packet.source.address == test::address("10.0.0.2"));
  CHECK(packet.destination.address == test::address("10.0.0.1"));

  auto frame = arp_frame();
  frame.resize(42);
  CHECK(parse(frame, 0).kind == PacketKind::arp);
  frame.resize(41);
  CHECK(parse(frame, 0).drop == DropReason::drop_truncated);
  for (const std::size_t at : {0U, 2U, 4U, 5U}) {
    frame = arp_frame();
    frame[kIp + at] ^= std::byte{0x40};
    INFO("byte " << at << " of the ARP packet");
    CHECK(parse(frame, 0).drop == DropReason::drop_not_ip);
  }
}

TEST_CASE("every cut of a frame is dropped, and every whole one keeps its order of offsets",
          "[nat][packet]") {
  const std::uint64_t seed = std::random_device{}();
  INFO("seed " << seed);
  std::mt19937_64 random(seed);
  for (int round = 0; round < 300; ++round) {
    auto spec = test::random_spec(random);
    spec.padding = 0;
    spec.payload.resize(spec.payload.size() % 30);
    const auto frame = test::make_frame(spec);
    const auto whole = parse(frame, spec.vlan);
    REQUIRE(whole.kind == PacketKind::flow);
    REQUIRE(whole.l3_offset < whole.l4_offset);
    REQUIRE(whole.l4_offset < whole.payload_offset);
    REQUIRE(whole.payload_offset <= whole.payload_end);
    REQUIRE(whole.payload_end <= whole.ip_end);
    REQUIRE(whole.ip_end == frame.size());
    for (std::size_t size = 0; size < frame.size(); ++size) {
      const Frame cut(frame.begin(), frame.begin() + static_cast<std::ptrdiff_t>(size));
      REQUIRE(parse(cut, spec.vlan).kind == PacketKind::dropped);
    }
  }
}

TEST_CASE("a frame larger than offsets can say is not read past them", "[nat][packet]") {
  FrameSpec spec;
  spec.payload.assign(65535 - 28, std::byte{1});
  CHECK(parse(test::make_frame(spec), 0).drop == DropReason::drop_truncated);
  spec.payload.resize(65535 - 14 - 28);
  spec.padding = 100;
  const auto packet = parse(test::make_frame(spec), 0);
  CHECK(packet.kind == PacketKind::flow);
  CHECK(packet.ip_end == 65535);
}

}  // namespace pinhole::nat
