// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/own_packet.hpp"

#include <array>
#include <cstring>

#include "nat/checksum.hpp"
#include "nat/headers.hpp"

namespace pinhole::dataplane {

namespace {

using alg::stream::OutSegment;
using nat::TcpHeader;

constexpr std::uint8_t kL3 = sizeof(nat::EthernetHeader);
constexpr std::uint8_t kL4 = kL3 + sizeof(nat::Ipv4Header);

}  // namespace

void write_ip_header(std::byte* frame, const nat::Packet& packet, std::uint8_t type_of_service,
                     nat::Be16 identification) noexcept {
  auto& ip = nat::header_at<nat::Ipv4Header>(frame, packet.l3_offset);
  ip = {.version_and_length = nat::Ipv4Header::kVersionNoOptions,
        .type_of_service = type_of_service,
        .total_length = nat::Be16{packet.ip_size()},
        .identification = identification,
        .fragment = {},
        .ttl = packet.ttl,
        .protocol = nat::ip_protocol(packet.protocol),
        .checksum = {},
        .source = packet.source.address,
        .destination = packet.destination.address};
  ip.checksum = nat::Be16::from_raw(nat::checksum({frame + packet.l3_offset, sizeof ip}));
}

nat::Packet write_segment(std::span<std::byte> buffer, const OutSegment& segment, nat::Endpoint source,
                          nat::Endpoint destination, std::uint8_t ttl) noexcept {
  std::array<std::byte, OutSegment::kMaxOptions> options;
  const std::size_t option_size = segment.write_options(options);
  const auto payload = static_cast<std::uint8_t>(kL4 + sizeof(TcpHeader) + option_size);
  const auto end = static_cast<std::uint16_t>(payload + segment.payload.size());
  std::byte* const frame = buffer.data();
  nat::header_at<TcpHeader>(frame, kL4) = {
      .source_port = source.port,
      .destination_port = destination.port,
      .sequence = nat::Be32{segment.sequence},
      .acknowledgement = nat::Be32{segment.acknowledgement},
      .data_offset = static_cast<std::uint8_t>((sizeof(TcpHeader) + option_size) / 4 << 4U),
      .flags = segment.flags,
      .window = nat::Be16{segment.window},
      .checksum = {},
      .urgent = {}};
  std::memcpy(frame + kL4 + sizeof(TcpHeader), options.data(), option_size);
  std::byte* to = frame + payload;
  for (std::size_t i = 0; i < segment.payload.count; ++i) {
    const auto piece = segment.payload.pieces[i];
    std::memcpy(to, piece.data(), piece.size());
    to += piece.size();
  }
  nat::Packet packet;
  packet.kind = nat::PacketKind::flow;
  packet.protocol = nat::Protocol::tcp;
  packet.ttl = ttl;
  packet.l3_offset = kL3;
  packet.l4_offset = kL4;
  packet.payload_offset = payload;
  packet.tcp_flags = segment.flags;
  packet.payload_end = packet.ip_end = end;
  packet.source = source;
  packet.destination = destination;
  return packet;
}

void finish_tcp(std::byte* frame, const nat::Packet& packet) noexcept {
  const std::size_t size = static_cast<std::size_t>(packet.payload_end - packet.l4_offset);
  auto& tcp = nat::header_at<TcpHeader>(frame, packet.l4_offset);
  tcp.checksum = nat::Be16::from_raw(
      nat::transport_checksum(nat::Protocol::tcp, packet.source.address, packet.destination.address,
                              {frame + packet.l4_offset, size}, offsetof(TcpHeader, checksum)));
}

}  // namespace pinhole::dataplane
