// SPDX-License-Identifier: BSD-3-Clause
// Any frame is parsed within its bounds, and whatever is done to it after that keeps right checksums right
// and wrong ones wrong. The frame lies in a heap block of exactly its size, so that a step outside is seen.
// The first byte of the input chooses: bit 0, checksums are made right first (chance never would); bit 1, the
// interface has a VLAN; bit 2, the mapping is one of SIP.
#include "dataplane/arp.hpp"
#include "nat/fragment.hpp"
#include "nat/fragmentation.hpp"
#include "nat/icmp_error.hpp"
#include "nat/packet.hpp"
#include "nat/rewrite.hpp"
#include "tests/support/frame.hpp"

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstdlib>
#include <memory>

namespace {

using namespace pinhole;
using nat::Packet;
using nat::PacketKind;

constexpr std::uint16_t kVlan = 100;
const nat::Endpoint kOther{nat::Ipv4Address::from_host(0xcb00710a), nat::Be16{40000}};

/// What libFuzzer reports as a crash.
void require(bool condition) {
  if (!condition) std::abort();
}

/// A frame in a block of its own, without the spare room of a vector.
class Block {
 public:
  explicit Block(const test::Frame& frame) : size_(frame.size()), bytes_(new std::byte[frame.size()]) {
    std::copy(frame.begin(), frame.end(), bytes_.get());
  }
  [[nodiscard]] std::byte* data() const { return bytes_.get(); }
  [[nodiscard]] std::span<std::byte> bytes() const { return {bytes_.get(), size_}; }
  [[nodiscard]] test::Frame frame() const { return {bytes_.get(), bytes_.get() + size_}; }

 private:
  std::size_t size_;
  std::unique_ptr<std::byte[]> bytes_;
};

void set16(test::Frame& frame, std::size_t at, std::uint16_t value) {
  frame[at] = static_cast<std::byte>(value >> 8U);
  frame[at + 1] = static_cast<std::byte>(value & 0xffU);
}

/// Makes the checksum of the IPv4 header right where the frame is long enough for one.
void mend_ip_checksum(test::Frame& frame, std::size_t l3) {
  if (frame.size() < l3 + 20) return;
  const std::size_t header = (std::to_integer<std::size_t>(frame[l3]) & 0x0fU) * 4;
  if (header < 20 || frame.size() < l3 + header) return;
  set16(frame, l3 + 10, 0);
  set16(frame, l3 + 10, test::checksum_by_the_book(&frame[l3], header));
}

/// Makes the transport checksum right, as the product would not: by the book.
void mend_transport_checksum(test::Frame& frame, const Packet& packet) {
  if (packet.kind != PacketKind::flow && packet.kind != PacketKind::icmp_error) return;
  const std::size_t l3 = packet.l3_offset;
  const std::size_t l4 = packet.l4_offset;
  const bool udp = packet.protocol == nat::Protocol::udp;
  const std::size_t size = (udp ? packet.payload_end : packet.ip_end) - l4;
  const std::size_t field = l4 + (udp ? 6U : packet.protocol == nat::Protocol::tcp ? 16U : 2U);
  std::uint32_t start = 0;
  if (packet.protocol != nat::Protocol::icmp) {
    start = std::to_integer<std::uint32_t>(frame[l3 + 9]) + static_cast<std::uint32_t>(size);
    for (std::size_t at = l3 + 12; at < l3 + 20; at += 2) {
      start +=
          std::to_integer<std::uint32_t>(frame[at]) << 8U | std::to_integer<std::uint32_t>(frame[at + 1]);
    }
  }
  set16(frame, field, 0);
  const std::uint16_t checksum = test::checksum_by_the_book(&frame[l4], size, start);
  set16(frame, field, udp && checksum == 0 ? 0xffff : checksum);
}

void check_offsets(const Packet& packet, std::size_t size) {
  require(packet.l3_offset <= packet.l4_offset && packet.l4_offset <= packet.payload_offset);
  require(packet.payload_offset <= packet.payload_end && packet.payload_end <= packet.ip_end);
  require(packet.ip_end <= size);
}

/// Runs one way of changing the frame on a copy and checks that checksums are as right as they were.
template <typename Change>
Packet changed(const test::Frame& frame, const Packet& packet, std::uint16_t vlan, Change&& change) {
  const bool was_right = test::checksums_right(frame, packet.l3_offset);
  const Block block(frame);
  change(block.data());
  require(test::checksums_right(block.frame(), packet.l3_offset) == was_right);
  const Packet again = nat::parse(block.bytes(), vlan);
  require(again.kind == packet.kind && again.protocol == packet.protocol);
  return again;
}

void check_flow(const test::Frame& frame, const Packet& packet, std::uint16_t vlan) {
  nat::Mapping mapping;
  if (packet.ttl > 1) {
    if (packet.icmp_type != nat::IcmpHeader::kEchoReply || packet.protocol != nat::Protocol::icmp) {
      test::set_endpoints(mapping, packet.protocol, packet.source, kOther);
      const auto out = changed(frame, packet, vlan,
                               [&](std::byte* bytes) { nat::rewrite_outbound(bytes, packet, mapping); });
      require(out.source == kOther && out.destination == packet.destination && out.ttl + 1 == packet.ttl);
    }
    if (packet.protocol != nat::Protocol::icmp || packet.icmp_type == nat::IcmpHeader::kEchoReply) {
      test::set_endpoints(mapping, packet.protocol, kOther, packet.destination);
      const auto in = changed(frame, packet, vlan,
                              [&](std::byte* bytes) { nat::rewrite_inbound(bytes, packet, mapping); });
      require(in.destination == kOther && in.source == packet.source && in.ttl + 1 == packet.ttl);
    }
    changed(frame, packet, vlan, [&](std::byte* bytes) { nat::forward_untranslated(bytes, packet); });
  }
  if (packet.protocol == nat::Protocol::icmp && packet.icmp_type == nat::IcmpHeader::kEchoRequest) {
    const auto reply = changed(frame, packet, vlan, [&](std::byte* bytes) {
      Packet answered = packet;
      nat::answer_echo_request(bytes, answered);
    });
    require(reply.destination == packet.source && reply.icmp_type == nat::IcmpHeader::kEchoReply);
  }
  if (packet.protocol == nat::Protocol::udp) {
    const Block block(frame);
    Packet shorter = packet;
    nat::finish_udp_payload(block.data(), shorter, static_cast<std::uint16_t>(packet.payload_size() / 2));
    require(test::checksums_right(block.frame(), packet.l3_offset));
  }
}

/// A fragment is translated within its bounds, and cut within those of what it is cut into.
void check_fragment(const test::Frame& frame, Packet packet) {
  const auto range = nat::fragment_range(nat::header_at<nat::Ipv4Header>(frame.data(), packet.l3_offset));
  require((range.begin == 0) == (packet.part == nat::FragmentPart::first) && range.begin < range.end);
  nat::set_flow(packet, {packet.source.port, packet.destination.port, packet.icmp_type, nat::Be16{77}});
  const Block block(frame);
  nat::Mapping mapping;
  test::set_endpoints(mapping, packet.protocol, packet.source, kOther);
  if (packet.ttl > 2) {
    nat::rewrite_outbound(block.data(), packet, mapping);
    test::set_endpoints(mapping, packet.protocol, kOther, packet.destination);
    nat::rewrite_inbound(block.data(), packet, mapping);
  }
  constexpr std::uint16_t kMtu = 68;
  const auto datagram = block.bytes().subspan(packet.l3_offset, packet.ip_size());
  require(test::checksum_by_the_book(datagram.data(),
                                     nat::header_at<nat::Ipv4Header>(datagram.data(), 0).header_size()) == 0);
  if (datagram.size() <= kMtu) return;
  std::uint16_t from = 0;
  do {
    test::Frame piece(kMtu);
    const auto written = nat::write_piece(piece, datagram, from, kMtu);
    require(written.size <= kMtu && (written.next == 0 || written.next > from));
    from = written.next;
  } while (from != 0);
}

void check_complaint(const test::Frame& frame, const Packet& packet) {
  if (!nat::may_answer_with_error(frame.data(), packet)) return;
  const Block quoted(frame);
  test::Frame datagram(nat::kMaxIcmpError);
  datagram.resize(nat::build_icmp_error(datagram, quoted.data(), packet, nat::kTtlExceeded, kOther.address));
  require(test::checksums_right(datagram, 0));
}

void check_icmp_error(const test::Frame& frame, const Packet& packet, bool sip) {
  const Block block(frame);
  // Nothing else is translated (RFC 5508 REQ-3).
  if (!nat::error_checksums_right(block.data(), packet)) return;
  const auto about = nat::embedded_flow(block.data(), packet);
  if (!about || packet.ttl <= 1) return;
  nat::Mapping mapping;

  test::set_endpoints(mapping, about->protocol, kOther, about->source);
  nat::rewrite_icmp_error_inbound(block.data(), packet, mapping);
  require(test::checksums_right(block.frame(), packet.l3_offset));
  const auto inside = nat::embedded_flow(block.data(), packet);
  // An ICMP query has one identifier for both ends, so ports are compared for the others alone.
  const bool ports = about->protocol != nat::Protocol::icmp;
  require(inside && inside->source.address == kOther.address);
  require(inside->destination.address == about->destination.address);
  require(!ports || (inside->source == kOther && inside->destination == about->destination));

  const Block other(frame);
  test::set_endpoints(mapping, about->protocol, about->destination, kOther);
  if (sip) mapping.flags = nat::MappingFlags::kSip;
  auto cut = packet;
  cut.payload_end = cut.ip_end = nat::rewrite_icmp_error_outbound(other.data(), packet, mapping);
  require(cut.ip_end <= packet.ip_end);
  require(test::checksums_right(other.frame(), packet.l3_offset));
  const auto outside = nat::embedded_flow(other.data(), cut);
  require(outside && outside->destination.address == kOther.address);
  require(outside->source.address == about->source.address);
  require(!ports || (outside->destination == kOther && outside->source == about->source));
}

void check_arp(const test::Frame& frame, const Packet& packet) {
  const Block block(frame);
  if (!dataplane::read_arp(block.data(), packet)) return;
  dataplane::answer_arp_request(block.data(), packet, nat::MacAddress{{2, 0, 0, 0, 0, 9}});
  const auto reply = dataplane::read_arp(block.data(), packet);
  require(reply && !reply->request && reply->target == packet.source.address);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const unsigned choice = data[0];
  const std::uint16_t vlan = (choice & 2U) != 0 ? kVlan : 0;
  const auto* const bytes = reinterpret_cast<const std::byte*>(data + 1);
  test::Frame frame(bytes, bytes + size - 1);
  if ((choice & 1U) != 0) {
    mend_ip_checksum(frame, vlan == 0 ? 14 : 18);
    mend_transport_checksum(frame, nat::parse(Block(frame).bytes(), vlan));
  }

  const Packet packet = nat::parse(Block(frame).bytes(), vlan);
  if (packet.kind == PacketKind::dropped) {
    require(packet.drop != nat::DropReason::none);
    return 0;
  }
  check_offsets(packet, frame.size());
  switch (packet.kind) {
    case PacketKind::flow:
      check_flow(frame, packet, vlan);
      check_complaint(frame, packet);
      break;
    case PacketKind::icmp_error:
      check_icmp_error(frame, packet, (choice & 4U) != 0);
      break;
    case PacketKind::fragment:
      check_fragment(frame, packet);
      break;
    case PacketKind::arp:
      check_arp(frame, packet);
      break;
    case PacketKind::dropped:
      break;
  }
  return 0;
}
