// SPDX-License-Identifier: BSD-3-Clause
#include "nat/rewrite.hpp"

#include "nat/packet.hpp"
#include "tests/support/frame.hpp"

#include <catch2/catch.hpp>
#include <random>

namespace pinhole::nat {

namespace {

using test::Frame;
using test::FrameSpec;

Endpoint random_endpoint(std::mt19937_64& random) {
  return {Ipv4Address::from_host(static_cast<std::uint32_t>(random() % 0xdf000000U)),
          Be16{static_cast<std::uint16_t>(random())}};
}

/// A random packet that may go out: an echo only as a request.
FrameSpec random_outbound(std::mt19937_64& random) {
  auto spec = test::random_spec(random);
  spec.icmp_type = IcmpHeader::kEchoRequest;
  return spec;
}
FrameSpec random_inbound(std::mt19937_64& random) {
  auto spec = test::random_spec(random);
  spec.icmp_type = IcmpHeader::kEchoReply;
  return spec;
}

}  // namespace

TEST_CASE("an outbound packet comes out as if the external endpoint had sent it", "[nat][rewrite][rfc3022]") {
  const std::uint64_t seed = std::random_device{}();
  INFO("seed " << seed);
  std::mt19937_64 random(seed);
  for (int round = 0; round < 5000; ++round) {
    auto spec = random_outbound(random);
    auto frame = test::make_frame(spec);
    const auto packet = parse(frame, spec.vlan);
    REQUIRE(packet.kind == PacketKind::flow);
    Mapping mapping;
    test::set_endpoints(mapping, packet.protocol, spec.source, random_endpoint(random));

    rewrite_outbound(frame.data(), packet, mapping);

    // The oracle builds the frame anew: every byte has to be the same, checksums included.
    spec.source = mapping.external;
    --spec.ttl;
    REQUIRE(frame == test::make_frame(spec));
  }
}

TEST_CASE("an inbound packet comes out as if it had been sent to the inside endpoint",
          "[nat][rewrite][rfc3022]") {
  const std::uint64_t seed = std::random_device{}();
  INFO("seed " << seed);
  std::mt19937_64 random(seed);
  for (int round = 0; round < 5000; ++round) {
    auto spec = random_inbound(random);
    auto frame = test::make_frame(spec);
    const auto packet = parse(frame, spec.vlan);
    REQUIRE(packet.kind == PacketKind::flow);
    Mapping mapping;
    test::set_endpoints(mapping, packet.protocol, random_endpoint(random), spec.destination);

    rewrite_inbound(frame.data(), packet, mapping);

    spec.destination = mapping.inside;
    --spec.ttl;
    REQUIRE(frame == test::make_frame(spec));
  }
}

TEST_CASE("a damaged packet stays damaged", "[nat][rewrite]") {
  for (const auto protocol : {kIpProtocolUdp, kIpProtocolTcp, kIpProtocolIcmp}) {
    FrameSpec spec;
    spec.protocol = protocol;
    auto frame = test::make_frame(spec);
    frame.back() ^= std::byte{0x10};
    const auto packet = parse(frame, 0);
    Mapping mapping;
    test::set_endpoints(mapping, packet.protocol, spec.source, test::endpoint("203.0.113.10", 40000));
    rewrite_outbound(frame.data(), packet, mapping);
    CHECK_FALSE(test::checksums_right(frame));
  }
}

TEST_CASE("a hop and a change of address are those of a new sum", "[nat][rewrite][rfc1624]") {
  // TTL, protocol and checksum, and the changes of both: by difference in two steps, each of which is tested
  // alone.
  constexpr std::uint16_t kTtlAndProtocol = 0x1140;
  const auto ttl_change = delta(kTtlAndProtocol, static_cast<std::uint16_t>(kTtlAndProtocol - 1));
  constexpr std::uint16_t kChanges[] = {1, 2, 0x1234, 0x7fff, 0x8000, 0xfffd, 0xfffe, kNoChange};
  for (const std::uint16_t change : kChanges) {
    for (std::uint32_t field = 0; field < 0xffff; ++field) {  // all ones are no checksum of a header
      const auto checksum = apply(apply(static_cast<std::uint16_t>(field), ttl_change), change);
      const std::uint32_t word = rewrite_detail::next_hop(field << 16U | kTtlAndProtocol, change);
      if (word == (std::uint32_t{checksum} << 16U | (kTtlAndProtocol - 1U))) continue;
      FAIL("field " << field << ", change " << change << ": " << word);
    }
  }
}

TEST_CASE("a packet that is only routed loses one hop and nothing else", "[nat][rewrite]") {
  std::mt19937_64 random(7);
  for (int round = 0; round < 500; ++round) {
    auto spec = test::random_spec(random);
    auto frame = test::make_frame(spec);
    forward_untranslated(frame.data(), parse(frame, spec.vlan));
    --spec.ttl;
    REQUIRE(frame == test::make_frame(spec));
  }
}

TEST_CASE("a UDP payload of another size gets lengths and checksums that fit", "[nat][rewrite][AC-06]") {
  struct Row {
    const char* what;
    std::size_t before;
    std::uint16_t after;
    bool checksum;
  };
  const Row rows[] = {
      {"longer", 100, 117, true},
      {"shorter", 100, 3, true},
      {"same size", 50, 50, true},
      {"empty", 100, 0, true},
      {"from empty", 0, 41, true},
      {"odd", 8, 9, true},
      {"without a checksum", 20, 31, false},
  };
  for (const auto& row : rows) {
    DYNAMIC_SECTION(row.what) {
      FrameSpec spec;
      spec.payload.assign(row.before, std::byte{0x41});
      spec.udp_checksum = row.checksum;
      auto frame = test::make_frame(spec);
      auto packet = parse(frame, 0);
      spec.payload.assign(row.after, std::byte{0x42});
      frame.resize(packet.payload_offset);
      frame.insert(frame.end(), spec.payload.begin(), spec.payload.end());

      finish_udp_payload(frame.data(), packet, row.after);

      CHECK(frame == test::make_frame(spec));
      const auto again = parse(frame, 0);
      CHECK(packet.payload_end == again.payload_end);
      CHECK(packet.ip_end == again.ip_end);
    }
  }
}

TEST_CASE("payload and endpoints may change in either order", "[nat][rewrite]") {
  FrameSpec spec;
  Mapping mapping;
  test::set_endpoints(mapping, Protocol::udp, spec.source, test::endpoint("203.0.113.10", 40000));
  auto payload_first = test::make_frame(spec);
  payload_first.push_back(std::byte{0x33});
  auto endpoint_first = payload_first;
  auto packet = parse(payload_first, 0);
  const auto size = static_cast<std::uint16_t>(packet.payload_size() + 1);
  finish_udp_payload(payload_first.data(), packet, size);
  rewrite_outbound(payload_first.data(), packet, mapping);

  packet = parse(endpoint_first, 0);
  rewrite_outbound(endpoint_first.data(), packet, mapping);
  finish_udp_payload(endpoint_first.data(), packet, size);
  CHECK(payload_first == endpoint_first);
  CHECK(test::checksums_right(payload_first));
}

}  // namespace pinhole::nat
