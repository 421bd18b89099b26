// SPDX-License-Identifier: BSD-3-Clause
#include "nat/packet.hpp"

#include "nat/checksum.hpp"
#include "nat/fragment.hpp"
#include "nat/headers.hpp"

namespace pinhole::nat {
namespace {

constexpr std::size_t kMaxFrame = 0xffff;  // offsets are 16 bits wide

void drop(Packet& packet, DropReason reason) noexcept {
  packet.kind = PacketKind::dropped;
  packet.drop = reason;
}

/// Which of two addresses is a martian. Where a packet goes says more of it than where it comes from: hosts
/// that have no address yet broadcast from 0.0.0.0, and that is no attack.
constexpr DropReason reason_of_martian(Ipv4Address destination) noexcept {
  if (destination.host() == 0xffffffffU) return DropReason::drop_broadcast;
  if (destination.host() >> 28U == 0xeU) return DropReason::drop_multicast;
  return is_martian(destination) ? DropReason::drop_martian_destination : DropReason::drop_martian_source;
}

/// Whether a list of IPv4 options may pass. A source route makes others forward what they would not (RFC 7126
/// sections 4.3 and 4.4 ask to drop it by default); all else does no harm to who is behind us.
DropReason reason_of_options(std::span<const std::byte> options) noexcept {
  // Kinds: RFC 791 section 3.1.
  constexpr std::uint8_t kEnd = 0;
  constexpr std::uint8_t kNoOperation = 1;
  constexpr std::uint8_t kLooseSourceRoute = 131;
  constexpr std::uint8_t kStrictSourceRoute = 137;
  for (std::size_t at = 0; at < options.size();) {
    const auto kind = std::to_integer<std::uint8_t>(options[at]);
    if (kind == kEnd) break;
    if (kind == kNoOperation) {
      ++at;
      continue;
    }
    if (kind == kLooseSourceRoute || kind == kStrictSourceRoute) return DropReason::drop_source_route;
    if (at + 1 == options.size()) return DropReason::drop_bad_ip_options;
    const auto size = std::to_integer<std::size_t>(options[at + 1]);
    if (size < 2 || size > options.size() - at) return DropReason::drop_bad_ip_options;
    at += size;
  }
  return DropReason::none;
}

/// A segment asks for a connection, acknowledges, or resets; one that does none of it is dropped by every
/// receiver (RFC 9293 section 3.10.7), as is one that opens and ends at once. They only probe.
constexpr bool are_possible(std::uint8_t tcp_flags) noexcept {
  if ((tcp_flags & TcpHeader::kSyn) != 0) return (tcp_flags & (TcpHeader::kFin | TcpHeader::kRst)) == 0;
  return (tcp_flags & (TcpHeader::kAck | TcpHeader::kRst)) != 0;
}

bool header_checksum_right(const std::byte* header, std::size_t size) noexcept {
  if (size == sizeof(Ipv4Header)) [[likely]] {
    const std::uint64_t sum = std::uint64_t{load<std::uint32_t>(header)} + load<std::uint32_t>(header + 4) +
                              load<std::uint32_t>(header + 8) + load<std::uint32_t>(header + 12) +
                              load<std::uint32_t>(header + 16);
    return fold(sum) == 0xffff;
  }
  return fold(sum_bytes({header, size})) == 0xffff;
}

void parse_arp(const std::byte* frame, std::size_t size, Packet& packet) noexcept {
  const std::size_t end = packet.l3_offset + sizeof(ArpPacket);
  if (end > size) return drop(packet, DropReason::drop_truncated);
  const auto& arp = header_at<ArpPacket>(frame, packet.l3_offset);
  if (arp.hardware_type != Be16{ArpPacket::kHardwareEthernet} || arp.protocol_type != Be16{kEtherTypeIpv4} ||
      arp.hardware_size != sizeof(MacAddress) || arp.protocol_size != sizeof(Ipv4Address)) {
    return drop(packet, DropReason::drop_not_ip);
  }
  packet.kind = PacketKind::arp;
  packet.l4_offset = packet.payload_offset = static_cast<std::uint8_t>(end);
  packet.payload_end = packet.ip_end = static_cast<std::uint16_t>(end);
  packet.source.address = arp.sender_address;
  packet.destination.address = arp.target_address;
}

/// The UDP header of a whole datagram, or of the first of its fragments, which its length goes beyond.
template <bool kWhole>
void parse_udp(const std::byte* frame, std::size_t l4, std::size_t end, Packet& packet) noexcept {
  if (end - l4 < sizeof(UdpHeader)) return drop(packet, DropReason::drop_truncated);
  const auto& udp = header_at<UdpHeader>(frame, l4);
  const Be16 source_port = udp.source_port;
  const Be16 destination_port = udp.destination_port;
  const std::size_t length = udp.length.host();
  if (kWhole && (length < sizeof(UdpHeader) || length > end - l4)) {
    return drop(packet, DropReason::drop_bad_udp_length);
  }
  if (!kWhole && length <= end - l4) return drop(packet, DropReason::drop_fragment_malformed);
  // From port 0 is who wants no answer (RFC 768).
  if (destination_port == Be16{}) return drop(packet, DropReason::drop_port_zero);
  packet.protocol = Protocol::udp;
  packet.kind = PacketKind::flow;
  packet.payload_offset = static_cast<std::uint8_t>(l4 + sizeof(UdpHeader));
  if (kWhole) packet.payload_end = static_cast<std::uint16_t>(l4 + length);
  packet.source.port = source_port;
  packet.destination.port = destination_port;
}

void parse_tcp(const std::byte* frame, std::size_t l4, std::size_t end, Packet& packet) noexcept {
  if (end - l4 < sizeof(TcpHeader)) return drop(packet, DropReason::drop_truncated);
  const auto& tcp = header_at<TcpHeader>(frame, l4);
  const std::size_t header = (tcp.data_offset >> 4U) * std::size_t{4};
  if (header < sizeof(TcpHeader) || header > end - l4) return drop(packet, DropReason::drop_bad_tcp_header);
  if (!are_possible(tcp.flags)) return drop(packet, DropReason::drop_bad_tcp_flags);
  if (tcp.source_port == Be16{} || tcp.destination_port == Be16{}) {
    return drop(packet, DropReason::drop_port_zero);
  }
  packet.protocol = Protocol::tcp;
  packet.kind = PacketKind::flow;
  packet.payload_offset = static_cast<std::uint8_t>(l4 + header);
  packet.tcp_flags = tcp.flags;
  packet.source.port = tcp.source_port;
  packet.destination.port = tcp.destination_port;
}

void parse_icmp(const std::byte* frame, std::size_t l4, std::size_t end, Packet& packet) noexcept {
  if (end - l4 < sizeof(IcmpHeader)) return drop(packet, DropReason::drop_truncated);
  const auto& icmp = header_at<IcmpHeader>(frame, l4);
  packet.protocol = Protocol::icmp;
  packet.icmp_type = icmp.type;
  packet.payload_offset = static_cast<std::uint8_t>(l4 + sizeof(IcmpHeader));
  switch (icmp.type) {
    case IcmpHeader::kEchoRequest:
      packet.kind = PacketKind::flow;
      packet.source.port = icmp.identifier;
      return;
    case IcmpHeader::kEchoReply:
      packet.kind = PacketKind::flow;
      packet.destination.port = icmp.identifier;
      return;
    case IcmpHeader::kUnreachable:
    case IcmpHeader::kTimeExceeded:
    case IcmpHeader::kParameterProblem:
      packet.kind = PacketKind::icmp_error;
      return;
    default:
      return drop(packet, DropReason::drop_unsupported_icmp);
  }
}

void parse_first_fragment(const std::byte* frame, std::size_t l4, std::size_t end, Packet& packet) noexcept {
  packet.part = FragmentPart::first;
  switch (packet.protocol) {
    case Protocol::udp:
      parse_udp<false>(frame, l4, end, packet);
      break;
    case Protocol::tcp:
      parse_tcp(frame, l4, end, packet);
      break;
    case Protocol::icmp:
      parse_icmp(frame, l4, end, packet);
      break;
  }
  if (packet.kind == PacketKind::flow) {
    packet.kind = PacketKind::fragment;
  } else if (packet.kind == PacketKind::icmp_error) {
    drop(packet, DropReason::drop_fragment);
  } else if (packet.drop == DropReason::drop_truncated || packet.drop == DropReason::drop_bad_tcp_header) {
    // Its ports or flags would come where nobody looks for them (RFC 1858, RFC 3128).
    drop(packet, DropReason::drop_fragment_tiny);
  }
}

void parse_fragment(const std::byte* frame, std::size_t l3, std::size_t l4, std::size_t end,
                    Packet& packet) noexcept {
  const auto& ip = header_at<Ipv4Header>(frame, l3);
  const auto protocol = protocol_from(ip.protocol);
  if (!protocol) return drop(packet, DropReason::drop_unsupported_protocol);
  const auto range = fragment_range(ip);
  const std::size_t size = end - l4;
  const bool more = !range.is_last;
  constexpr std::size_t kUnit = Ipv4Header::kFragmentUnit;
  if (size == 0 || (more && size % kUnit != 0) || range.begin * kUnit + (end - l3) > 0xffff) {
    return drop(packet, DropReason::drop_fragment_malformed);
  }
  packet.protocol = *protocol;
  packet.identification = ip.identification;
  if (range.begin == 0) return parse_first_fragment(frame, l4, end, packet);
  packet.part = FragmentPart::later;
  // What reaches into the header would change it behind the back of whoever looked at it (RFC 1858).
  if (*protocol == Protocol::tcp && range.begin * kUnit < sizeof(TcpHeader)) {
    return drop(packet, DropReason::drop_fragment_overlap);
  }
  packet.kind = PacketKind::fragment;
}

// Inlined where it is called, so that for the usual packet, without VLAN and options, offsets are constants.
// Fields are loaded before anything is stored: to the compiler, a store of a byte could change the frame.
[[gnu::always_inline]] inline void parse_datagram(const std::byte* frame, std::size_t l3, std::size_t header,
                                                  std::size_t total, Packet& packet) noexcept {
  if (!header_checksum_right(frame + l3, header)) return drop(packet, DropReason::drop_bad_ip_checksum);
  const auto& ip = header_at<Ipv4Header>(frame, l3);
  const Ipv4Address source = ip.source;
  const Ipv4Address destination = ip.destination;
  const Be16 fragment = ip.fragment;
  const std::uint8_t protocol = ip.protocol;
  const std::size_t l4 = l3 + header;
  const std::size_t end = l3 + total;
  packet.ttl = ip.ttl;
  packet.l4_offset = packet.payload_offset = static_cast<std::uint8_t>(l4);
  packet.payload_end = packet.ip_end = static_cast<std::uint16_t>(end);
  packet.source.address = source;
  packet.destination.address = destination;
  if (is_martian(source) || is_martian(destination)) [[unlikely]]
    return drop(packet, reason_of_martian(destination));
  if (header != sizeof(Ipv4Header)) [[unlikely]] {
    const DropReason reason = reason_of_options({frame + l3 + sizeof(Ipv4Header), frame + l4});
    if (reason != DropReason::none) return drop(packet, reason);
  }
  constexpr Be16 kFragmented{Ipv4Header::kMoreFragments | Ipv4Header::kFragmentOffset};
  if ((fragment.raw() & kFragmented.raw()) != 0) [[unlikely]]
    return parse_fragment(frame, l3, l4, end, packet);
  if (protocol == kIpProtocolUdp) return parse_udp<true>(frame, l4, end, packet);
  if (protocol == kIpProtocolTcp) return parse_tcp(frame, l4, end, packet);
  if (protocol == kIpProtocolIcmp) return parse_icmp(frame, l4, end, packet);
  drop(packet, DropReason::drop_unsupported_protocol);
}

[[gnu::always_inline]] inline void parse_ipv4(const std::byte* frame, std::size_t size, std::size_t l3,
                                              Packet& packet) noexcept {
  packet.l3_offset = static_cast<std::uint8_t>(l3);
  if (size < l3 + sizeof(Ipv4Header)) return drop(packet, DropReason::drop_truncated);
  const auto& ip = header_at<Ipv4Header>(frame, l3);
  const std::size_t total = ip.total_length.host();
  if (l3 + total > size) return drop(packet, DropReason::drop_truncated);
  if (ip.version_and_length == Ipv4Header::kVersionNoOptions && total >= sizeof(Ipv4Header)) [[likely]] {
    return parse_datagram(frame, l3, sizeof(Ipv4Header), total, packet);
  }
  const std::size_t header = ip.header_size();
  if (ip.version_and_length >> 4U != 4 || header < sizeof(Ipv4Header) || total < header) {
    return drop(packet, DropReason::drop_bad_ip_header);
  }
  parse_datagram(frame, l3, header, total, packet);
}

}  // namespace

void parse(std::span<const std::byte> frame, std::uint16_t vlan, Packet& packet) noexcept {
  packet = Packet{};
  const std::size_t size = frame.size() < kMaxFrame ? frame.size() : kMaxFrame;
  if (size < sizeof(EthernetHeader) + sizeof(VlanTag)) {  // any frame of use is longer
    return drop(packet, DropReason::drop_truncated);
  }
  Be16 ether_type = header_at<EthernetHeader>(frame.data(), 0).ether_type;
  if (ether_type == Be16{kEtherTypeIpv4} && vlan == 0) [[likely]] {  // the usual frame
    return parse_ipv4(frame.data(), size, sizeof(EthernetHeader), packet);
  }
  std::uint16_t tagged = 0;
  std::size_t l3 = sizeof(EthernetHeader);
  if (ether_type == Be16{kEtherTypeVlan}) {
    const auto& tag = header_at<VlanTag>(frame.data(), sizeof(EthernetHeader));
    tagged = tag.control.host() & VlanTag::kIdMask;
    ether_type = tag.ether_type;
    l3 = sizeof(EthernetHeader) + sizeof(VlanTag);
  }
  packet.l3_offset = static_cast<std::uint8_t>(l3);
  if (tagged != vlan) {
    drop(packet, DropReason::drop_not_ip);
  } else if (ether_type == Be16{kEtherTypeIpv4}) {
    parse_ipv4(frame.data(), size, l3, packet);
  } else if (ether_type == Be16{kEtherTypeArp}) {
    parse_arp(frame.data(), size, packet);
  } else {
    drop(packet, DropReason::drop_not_ip);
  }
}

}  // namespace pinhole::nat
