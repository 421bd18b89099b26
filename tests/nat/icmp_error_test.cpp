// SPDX-License-Identifier: BSD-3-Clause
#include "nat/icmp_error.hpp"

#include "nat/headers.hpp"
#include "tests/support/frame.hpp"

#include <catch2/catch.hpp>
#include <random>

namespace pinhole::nat {

namespace {

using test::Frame;
using test::FrameSpec;

constexpr std::size_t kOuterHeaders = 14 + 20 + 8;

/// The IP datagram of a frame without VLAN, cut to `size` bytes.
Frame datagram_of(const FrameSpec& spec, std::size_t size = 65535) {
  const auto frame = test::make_frame(spec);
  Frame datagram(frame.begin() + 14, frame.end());
  datagram.resize(std::min(size, datagram.size()));
  return datagram;
}

/// An error of the given type that quotes `quote`.
FrameSpec error_about(const Frame& quote, const char* from, const char* to, std::uint8_t type = 3,
                      std::uint8_t code = 3) {
  FrameSpec spec;
  spec.protocol = kIpProtocolIcmp;
  spec.icmp_type = type;
  spec.icmp_code = code;
  spec.icmp_sequence = 0;
  spec.source = test::endpoint(from, 0);
  spec.destination = test::endpoint(to, 0);
  spec.payload = quote;
  return spec;
}

constexpr const char* kRouter = "198.51.100.1";
const Endpoint kInside = test::endpoint("10.0.0.2", 5060);
const Endpoint kExternal = test::endpoint("203.0.113.10", 40000);
const Endpoint kRemote = test::endpoint("192.0.2.7", 5062);

FrameSpec quoted_outbound(std::uint8_t protocol) {
  FrameSpec spec;
  spec.protocol = protocol;
  spec.source = kExternal;
  spec.destination = kRemote;
  spec.ttl = 3;
  return spec;
}
FrameSpec quoted_inbound(std::uint8_t protocol) {
  auto spec = quoted_outbound(protocol);
  spec.icmp_type = IcmpHeader::kEchoReply;
  spec.source = kRemote;
  spec.destination = kInside;
  return spec;
}

}  // namespace

TEST_CASE("an error quotes the packet and goes back to its sender", "[nat][icmp_error][rfc1812]") {
  struct Row {
    const char* what;
    IcmpError error;
    std::size_t payload;
  };
  const Row rows[] = {
      {"time exceeded", kTtlExceeded, 20},
      {"host unreachable, empty datagram", kHostUnreachable, 0},
      {"fragmentation needed, large datagram", fragmentation_needed(1400), 1472},
      {"exactly what fits", kProhibited, 576 - 28 - 28},
      {"one byte more", kProhibited, 576 - 28 - 27},
  };
  for (const auto& row : rows) {
    DYNAMIC_SECTION(row.what) {
      FrameSpec spec;
      spec.ttl = 1;
      spec.ip_option_words = 0;
      spec.padding = 5;
      spec.payload.assign(row.payload, std::byte{0x11});
      const auto frame = test::make_frame(spec);
      const auto packet = parse(frame, 0);
      const auto own = test::address("10.0.0.1");
      Frame datagram(kMaxIcmpError, std::byte{0xcc});
      datagram.resize(build_icmp_error(datagram, frame.data(), packet, row.error, own));

      CHECK(datagram.size() == std::min<std::size_t>(576, 28 + 28 + row.payload));
      CHECK(test::checksums_right(datagram, 0));
      const auto& ip = header_at<Ipv4Header>(datagram.data(), 0);
      CHECK(ip.total_length.host() == datagram.size());
      CHECK(ip.source == own);
      CHECK(ip.destination == spec.source.address);
      CHECK(ip.protocol == kIpProtocolIcmp);
      CHECK(ip.ttl == 64);
      const auto& icmp = header_at<IcmpHeader>(datagram.data(), 20);
      CHECK(icmp.type == row.error.type);
      CHECK(icmp.code == row.error.code);
      CHECK(icmp.identifier.host() == 0);
      CHECK(icmp.sequence.host() == row.error.mtu);
      CHECK(std::equal(datagram.begin() + 28, datagram.end(), frame.begin() + 14));
    }
  }
}

TEST_CASE("no error is sent about errors, groups and what was dropped",
          "[nat][icmp_error][rfc1812][rfc5508-req10]") {
  const auto may = [](const Frame& frame) { return may_answer_with_error(frame.data(), parse(frame, 0)); };
  const auto plain = test::make_frame({});
  CHECK(may(plain));
  CHECK_FALSE(may(test::make_frame(error_about(datagram_of({}), "192.0.2.1", "10.0.0.2"))));
  auto to_all = plain;
  std::fill_n(to_all.begin(), 6, std::byte{0xff});
  CHECK_FALSE(may(to_all));
  FrameSpec fragment;
  fragment.fragment = 0x2000;
  CHECK_FALSE(may(test::make_frame(fragment)));
  FrameSpec multicast;
  multicast.destination = test::endpoint("224.0.0.1", 5060);
  CHECK_FALSE(may(test::make_frame(multicast)));
}

TEST_CASE("an echo request is answered with its own bytes", "[nat][icmp_error][rfc792]") {
  std::mt19937_64 random(11);
  for (int round = 0; round < 500; ++round) {
    auto spec = test::random_spec(random);
    spec.protocol = kIpProtocolIcmp;
    spec.icmp_type = IcmpHeader::kEchoRequest;
    spec.destination.port = spec.source.port;
    // Now and then all zeros: the sum that has no difference to be told by.
    if (round % 10 == 0) {
      spec.source.port = spec.destination.port = Be16{0};
      spec.icmp_sequence = 0;
      std::fill(spec.payload.begin(), spec.payload.end(), std::byte{0});
    }
    auto frame = test::make_frame(spec);
    auto packet = parse(frame, spec.vlan);
    answer_echo_request(frame.data(), packet);

    std::swap(spec.source.address, spec.destination.address);
    spec.icmp_type = IcmpHeader::kEchoReply;
    spec.ttl = kInitialTtl;
    REQUIRE(frame == test::make_frame(spec));
    const auto again = parse(frame, spec.vlan);
    CHECK(packet.source == again.source);
    CHECK(packet.destination == again.destination);
    CHECK(packet.icmp_type == again.icmp_type);
    CHECK(packet.ttl == again.ttl);
  }
}

TEST_CASE("the quote of an error tells its flow", "[nat][icmp_error][rfc5508-req4]") {
  for (const auto protocol : {kIpProtocolUdp, kIpProtocolTcp, kIpProtocolIcmp}) {
    for (const std::size_t quoted : {28U, 36U, 1000U}) {
      DYNAMIC_SECTION("protocol " << int{protocol} << ", " << quoted << " bytes") {
        const bool icmp = protocol == kIpProtocolIcmp;
        auto frame = test::make_frame(
            error_about(datagram_of(quoted_outbound(protocol), quoted), kRouter, "203.0.113.10"));
        auto flow = embedded_flow(frame.data(), parse(frame, 0));
        REQUIRE(flow);
        CHECK(ip_protocol(flow->protocol) == protocol);
        CHECK(flow->source == kExternal);
        CHECK(flow->destination == (icmp ? Endpoint{kRemote.address, {}} : kRemote));

        frame = test::make_frame(
            error_about(datagram_of(quoted_inbound(protocol), quoted), "10.0.0.2", "192.0.2.7"));
        flow = embedded_flow(frame.data(), parse(frame, 0));
        REQUIRE(flow);
        CHECK(flow->source == (icmp ? Endpoint{kRemote.address, {}} : kRemote));
        CHECK(flow->destination == kInside);
      }
    }
  }
}

TEST_CASE("an error whose quote cannot be used has no flow", "[nat][icmp_error][rfc5508-req3]") {
  const auto flow_of = [](const Frame& quote) {
    const auto frame = test::make_frame(error_about(quote, kRouter, "203.0.113.10"));
    const auto packet = parse(frame, 0);
    REQUIRE(packet.kind == PacketKind::icmp_error);
    return embedded_flow(frame.data(), packet);
  };
  CHECK(flow_of(datagram_of({})));
  for (std::size_t size = 0; size < 28; ++size) CHECK_FALSE(flow_of(datagram_of({}, size)));

  FrameSpec spec;
  spec.fragment = 0x2001;
  CHECK_FALSE(flow_of(datagram_of(spec)));
  spec.fragment = 0x2000;  // a first fragment has its ports
  CHECK(flow_of(datagram_of(spec)));

  spec = {};
  spec.protocol = 132;
  CHECK_FALSE(flow_of(datagram_of(spec)));

  spec = {};
  spec.protocol = kIpProtocolIcmp;
  spec.icmp_type = 13;
  CHECK_FALSE(flow_of(datagram_of(spec)));

  auto quote = datagram_of({});
  quote[0] = std::byte{0x44};
  CHECK_FALSE(flow_of(quote));
  quote[0] = std::byte{0x65};
  CHECK_FALSE(flow_of(quote));
  quote = datagram_of({}, 40);
  quote[0] = std::byte{0x4f};  // a header of 60 bytes
  CHECK_FALSE(flow_of(quote));
}

TEST_CASE("of an error, its own checksum counts and that of the quoted IP header, and no other",
          "[nat][icmp_error][rfc5508-req3]") {
  const auto right = [](const Frame& frame) { return error_checksums_right(frame.data(), parse(frame, 0)); };
  for (const auto options : std::initializer_list<std::uint8_t>{0, 1, 10}) {
    FrameSpec inner;
    inner.ip_option_words = options;
    const std::size_t header = 20 + std::size_t{4} * options;
    const auto about = datagram_of(inner);
    auto frame = test::make_frame(error_about(about, kRouter, "203.0.113.10"));
    INFO(int{options} << " words of options");
    CHECK(right(frame));
    frame[kOuterHeaders + header] ^= std::byte{1};
    CHECK_FALSE(right(frame));

    // A quote that was damaged before it was quoted: the error itself is sound.
    for (std::size_t at = 0; at < about.size(); ++at) {
      auto damaged = about;
      damaged[at] ^= std::byte{0x10};
      INFO("byte " << at);
      CHECK(right(test::make_frame(error_about(damaged, kRouter, "203.0.113.10"))) == (at >= header));
    }
    // What was cut off cannot be summed, and has no flow either.
    const auto cut = test::make_frame(error_about(datagram_of(inner, header - 1), kRouter, "203.0.113.10"));
    CHECK(right(cut));
    CHECK_FALSE(embedded_flow(cut.data(), parse(cut, 0)));
  }
}

TEST_CASE("options of the quoted packet are passed by", "[nat][icmp_error][rfc5508-req3]") {
  for (const auto protocol : {kIpProtocolUdp, kIpProtocolTcp, kIpProtocolIcmp}) {
    for (const auto options : std::initializer_list<std::uint8_t>{1, 5, 10}) {
      for (const std::size_t behind : {8U, 12U, 1000U}) {
        DYNAMIC_SECTION("protocol " << int{protocol} << ", " << int{options} << " words, " << behind) {
          const std::size_t size = 20 + std::size_t{4} * options + behind;
          auto inner = quoted_outbound(protocol);
          inner.ip_option_words = options;
          auto outer = error_about(datagram_of(inner, size), kRouter, "203.0.113.10", 11, 0);
          auto frame = test::make_frame(outer);
          const auto packet = parse(frame, 0);
          const auto flow = embedded_flow(frame.data(), packet);
          REQUIRE(flow);
          CHECK(flow->source == kExternal);
          Mapping mapping;
          test::set_endpoints(mapping, flow->protocol, kInside, kExternal);
          rewrite_icmp_error_inbound(frame.data(), packet, mapping);
          inner.source = kInside;
          outer.payload = datagram_of(inner, size);
          outer.destination.address = kInside.address;
          --outer.ttl;
          CHECK(frame == test::make_frame(outer));
        }
      }
    }
  }
}

TEST_CASE("an error from outside is told to the inside host about its own packet",
          "[nat][icmp_error][rfc5508-req4]") {
  for (const auto protocol : {kIpProtocolUdp, kIpProtocolTcp, kIpProtocolIcmp}) {
    for (const std::size_t quoted : {28U, 36U, 38U, 1000U}) {
      for (const bool checksum : {true, false}) {
        DYNAMIC_SECTION("protocol " << int{protocol} << ", " << quoted << " bytes, checksum " << checksum) {
          auto inner = quoted_outbound(protocol);
          inner.udp_checksum = checksum;
          auto outer = error_about(datagram_of(inner, quoted), kRouter, "203.0.113.10", 11, 0);
          auto frame = test::make_frame(outer);
          const auto packet = parse(frame, 0);
          REQUIRE(embedded_flow(frame.data(), packet));
          Mapping mapping;
          test::set_endpoints(mapping, embedded_flow(frame.data(), packet)->protocol, kInside, kExternal);

          rewrite_icmp_error_inbound(frame.data(), packet, mapping);

          inner.source = kInside;
          outer.payload = datagram_of(inner, quoted);
          outer.destination.address = kInside.address;
          --outer.ttl;
          CHECK(frame == test::make_frame(outer));
        }
      }
    }
  }
}

TEST_CASE("an error from inside goes out under the external address", "[nat][icmp_error][rfc5508-req5]") {
  for (const auto protocol : {kIpProtocolUdp, kIpProtocolTcp, kIpProtocolIcmp}) {
    for (const char* sender : {"10.0.0.2", "10.0.0.254"}) {
      DYNAMIC_SECTION("protocol " << int{protocol} << " from " << sender) {
        auto inner = quoted_inbound(protocol);
        auto outer = error_about(datagram_of(inner), sender, "192.0.2.7");
        auto frame = test::make_frame(outer);
        const auto packet = parse(frame, 0);
        REQUIRE(embedded_flow(frame.data(), packet));
        Mapping mapping;
        test::set_endpoints(mapping, embedded_flow(frame.data(), packet)->protocol, kInside, kExternal);

        CHECK(rewrite_icmp_error_outbound(frame.data(), packet, mapping) == packet.ip_end);

        inner.destination = kExternal;
        outer.payload = datagram_of(inner);
        outer.source.address = kExternal.address;
        --outer.ttl;
        CHECK(frame == test::make_frame(outer));
      }
    }
  }
}

TEST_CASE("who has an external address to himself complains by that one", "[nat][icmp_error][rfc5508-req5]") {
  auto inner = quoted_inbound(kIpProtocolTcp);
  auto outer = error_about(datagram_of(inner), "10.0.0.254", "192.0.2.7", 11, 0);
  auto frame = test::make_frame(outer);
  const auto packet = parse(frame, 0);
  Mapping mapping;
  test::set_endpoints(mapping, Protocol::tcp, kInside, kExternal);
  CHECK(rewrite_icmp_error_outbound(frame.data(), packet, mapping, test::address("203.0.113.99")) ==
        packet.ip_end);
  inner.destination = kExternal;
  outer.payload = datagram_of(inner);
  outer.source.address = test::address("203.0.113.99");
  --outer.ttl;
  CHECK(frame == test::make_frame(outer));
}

TEST_CASE("an error about what is left of a datagram quotes that", "[nat][icmp_error][rfc792]") {
  for (const std::size_t kept : {20U, 28U, 84U}) {
    FrameSpec spec;
    spec.payload.resize(100);
    const auto about = datagram_of(spec, kept);
    Frame datagram(kMaxIcmpError, std::byte{0xcc});
    datagram.resize(build_icmp_error(datagram, about, kPortUnreachable, kExternal.address));
    CHECK(datagram.size() == 28 + kept);
    CHECK(test::checksums_right(datagram, 0));
    CHECK(std::equal(about.begin(), about.end(), datagram.begin() + 28));
    CHECK(header_at<Ipv4Header>(datagram.data(), 0).destination == spec.source.address);
  }
}

TEST_CASE("an error about SIP does not carry the translated message out", "[nat][icmp_error][AC-02]") {
  auto inner = quoted_inbound(kIpProtocolUdp);
  inner.ip_option_words = 1;
  const std::string body = "INVITE sip:100@10.0.0.2 SIP/2.0\r\n";
  inner.payload.clear();
  for (const char c : body) inner.payload.push_back(static_cast<std::byte>(c));
  auto outer = error_about(datagram_of(inner), "10.0.0.2", "192.0.2.7");
  outer.destination.port = Be16{0x0011};  // the length of RFC 4884, in words: there are extensions
  auto frame = test::make_frame(outer);
  const auto packet = parse(frame, 0);
  Mapping mapping;
  test::set_endpoints(mapping, Protocol::udp, kInside, kExternal);
  mapping.flags = MappingFlags::kSip;

  frame.resize(rewrite_icmp_error_outbound(frame.data(), packet, mapping));

  CHECK(frame.size() == kOuterHeaders + 24 + 8);
  CHECK(test::checksums_right(frame));
  CHECK(header_at<Ipv4Header>(frame.data(), 14).total_length.host() == frame.size() - 14);
  CHECK(header_at<IcmpHeader>(frame.data(), 34).identifier.host() == 0);
  const auto again = parse(frame, 0);
  REQUIRE(again.kind == PacketKind::icmp_error);
  const auto flow = embedded_flow(frame.data(), again);
  REQUIRE(flow);
  CHECK(flow->destination == kExternal);
  CHECK(flow->source == kRemote);
}

}  // namespace pinhole::nat
