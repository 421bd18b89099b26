// SPDX-License-Identifier: BSD-3-Clause
#include "nat/rewrite.hpp"

namespace pinhole::nat {

void finish_udp_payload(std::byte* frame, Packet& packet, std::uint16_t payload_size) noexcept {
  assert(packet.kind == PacketKind::flow && packet.protocol == Protocol::udp);
  packet.payload_end = static_cast<std::uint16_t>(packet.payload_offset + payload_size);
  packet.ip_end = packet.payload_end;

  auto& ip = header_at<Ipv4Header>(frame, packet.l3_offset);
  const Be16 total_length{packet.ip_size()};
  ip.checksum = Be16::from_raw(apply(ip.checksum.raw(), delta(ip.total_length, total_length)));
  ip.total_length = total_length;

  auto& udp = header_at<UdpHeader>(frame, packet.l4_offset);
  const auto length = static_cast<std::uint16_t>(packet.payload_end - packet.l4_offset);
  udp.length = Be16{length};
  if (udp.checksum.raw() == 0) return;
  udp.checksum =
      Be16::from_raw(transport_checksum(Protocol::udp, ip.source, ip.destination,
                                        {frame + packet.l4_offset, length}, offsetof(UdpHeader, checksum)));
}

}  // namespace pinhole::nat
