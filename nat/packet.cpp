// SPDX-License-Identifier: BSD-3-Clause
#include "nat/packet.hpp"

#include "nat/checksum.hpp"
#include "nat/headers.hpp"

namespace pinhole::nat {
namespace {

constexpr std::size_t kMaxFrame = 0xffff;  // offsets are 16 bits wide

void drop(Packet& packet, DropReason reason) noexcept {
  packet.kind = PacketKind::dropped;
  packet.drop = reason;
}

// 0/8 and 127/8 never leave a host, and from 224/4 on addresses are multicast, reserved or broadcast.
// Source: RFC 1122 section 3.2.1.3; RFC 1812 section 5.3.7.
constexpr bool is_bad(Ipv4Address address) noexcept {
  const std::uint32_t first = address.value.raw() & 0xffU;
  return first - 1U >= 223U || first == 127U;
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

void parse_udp(const std::byte* frame, Packet& packet) noexcept {
  const std::size_t room = static_cast<std::size_t>(packet.ip_end - packet.l4_offset);
  if (room < sizeof(UdpHeader)) return drop(packet, DropReason::drop_truncated);
  const auto& udp = header_at<UdpHeader>(frame, packet.l4_offset);
  const std::uint16_t length = udp.length.host();
  if (length < sizeof(UdpHeader) || length > room) return drop(packet, DropReason::drop_truncated);
  packet.protocol = Protocol::udp;
  packet.kind = PacketKind::flow;
  packet.payload_offset = static_cast<std::uint8_t>(packet.l4_offset + sizeof(UdpHeader));
  packet.payload_end = static_cast<std::uint16_t>(packet.l4_offset + length);
  packet.source.port = udp.source_port;
  packet.destination.port = udp.destination_port;
}

void parse_tcp(const std::byte* frame, Packet& packet) noexcept {
  const std::size_t room = static_cast<std::size_t>(packet.ip_end - packet.l4_offset);
  if (room < sizeof(TcpHeader)) return drop(packet, DropReason::drop_truncated);
  const auto& tcp = header_at<TcpHeader>(frame, packet.l4_offset);
  const std::size_t header = (tcp.data_offset >> 4U) * std::size_t{4};
  if (header < sizeof(TcpHeader) || header > room) return drop(packet, DropReason::drop_truncated);
  packet.protocol = Protocol::tcp;
  packet.kind = PacketKind::flow;
  packet.payload_offset = static_cast<std::uint8_t>(packet.l4_offset + header);
  packet.tcp_flags = tcp.flags;
  packet.source.port = tcp.source_port;
  packet.destination.port = tcp.destination_port;
}

void parse_icmp(const std::byte* frame, Packet& packet) noexcept {
  const std::size_t room = static_cast<std::size_t>(packet.ip_end - packet.l4_offset);
  if (room < sizeof(IcmpHeader)) return drop(packet, DropReason::drop_truncated);
  const auto& icmp = header_at<IcmpHeader>(frame, packet.l4_offset);
  packet.protocol = Protocol::icmp;
  packet.icmp_type = icmp.type;
  packet.payload_offset = static_cast<std::uint8_t>(packet.l4_offset + sizeof(IcmpHeader));
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
    case IcmpHeader::kSourceQuench:
    case IcmpHeader::kTimeExceeded:
    case IcmpHeader::kParameterProblem:
      packet.kind = PacketKind::icmp_error;
      return;
    default:
      return drop(packet, DropReason::drop_unsupported_icmp);
  }
}

void parse_ipv4(const std::byte* frame, std::size_t size, Packet& packet) noexcept {
  const std::size_t l3 = packet.l3_offset;
  if (size < l3 + sizeof(Ipv4Header)) return drop(packet, DropReason::drop_truncated);
  const auto& ip = header_at<Ipv4Header>(frame, l3);
  const std::size_t header = ip.header_size();
  const std::size_t total = ip.total_length.host();
  if (ip.version_and_length >> 4U != 4 || header < sizeof(Ipv4Header) || total < header) {
    return drop(packet, DropReason::drop_bad_ip_header);
  }
  if (l3 + total > size) return drop(packet, DropReason::drop_truncated);
  if (!header_checksum_right(frame + l3, header)) return drop(packet, DropReason::drop_bad_ip_checksum);

  packet.ttl = ip.ttl;
  packet.l4_offset = packet.payload_offset = static_cast<std::uint8_t>(l3 + header);
  packet.payload_end = packet.ip_end = static_cast<std::uint16_t>(l3 + total);
  packet.source.address = ip.source;
  packet.destination.address = ip.destination;
  if (is_bad(ip.source) || is_bad(ip.destination)) return drop(packet, DropReason::drop_bad_address);
  constexpr Be16 kFragmented{Ipv4Header::kMoreFragments | Ipv4Header::kFragmentOffset};
  if ((ip.fragment.raw() & kFragmented.raw()) != 0) return drop(packet, DropReason::drop_fragment);

  switch (ip.protocol) {
    case kIpProtocolUdp:
      return parse_udp(frame, packet);
    case kIpProtocolTcp:
      return parse_tcp(frame, packet);
    case kIpProtocolIcmp:
      return parse_icmp(frame, packet);
    default:
      return drop(packet, DropReason::drop_unsupported_protocol);
  }
}

}  // namespace

void parse(std::span<const std::byte> frame, std::uint16_t vlan, Packet& packet) noexcept {
  packet = Packet{};
  const std::size_t size = frame.size() < kMaxFrame ? frame.size() : kMaxFrame;
  if (size < sizeof(EthernetHeader) + sizeof(VlanTag)) {  // any frame of use is longer
    return drop(packet, DropReason::drop_truncated);
  }
  Be16 ether_type = header_at<EthernetHeader>(frame.data(), 0).ether_type;
  std::uint16_t tagged = 0;
  packet.l3_offset = sizeof(EthernetHeader);
  if (ether_type == Be16{kEtherTypeVlan}) {
    const auto& tag = header_at<VlanTag>(frame.data(), sizeof(EthernetHeader));
    tagged = tag.control.host() & VlanTag::kIdMask;
    ether_type = tag.ether_type;
    packet.l3_offset = sizeof(EthernetHeader) + sizeof(VlanTag);
  }
  if (tagged != vlan) {
    drop(packet, DropReason::drop_not_ip);
  } else if (ether_type == Be16{kEtherTypeIpv4}) [[likely]] {
    parse_ipv4(frame.data(), size, packet);
  } else if (ether_type == Be16{kEtherTypeArp}) {
    parse_arp(frame.data(), size, packet);
  } else {
    drop(packet, DropReason::drop_not_ip);
  }
}

}  // namespace pinhole::nat
