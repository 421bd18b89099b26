// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/own_packet.hpp"

#include "nat/checksum.hpp"
#include "nat/headers.hpp"

namespace pinhole::dataplane {

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

}  // namespace pinhole::dataplane
