// SPDX-License-Identifier: BSD-3-Clause
#pragma once
// Packets that a worker makes itself, of flows that are somebody else's.

#include <cstddef>
#include <cstdint>
#include <span>

#include "alg/stream/segment.hpp"
#include "nat/byte_order.hpp"
#include "nat/endpoint.hpp"
#include "nat/packet.hpp"

namespace pinhole::dataplane {

/// Writes an IPv4 header without options, as `packet` says. It is not kept from being fragmented: who would
/// be told of a smaller MTU did not send it.
void write_ip_header(std::byte* frame, const nat::Packet& packet, std::uint8_t type_of_service,
                     nat::Be16 identification) noexcept;

/// Writes a segment with its TCP header, all but the checksum, laid out as if its sender's first router
/// handed it over; the IP header is left to write_ip_header(). \param buffer  of the mbuf
nat::Packet write_segment(std::span<std::byte> buffer, const alg::stream::OutSegment& segment,
                          nat::Endpoint source, nat::Endpoint destination, std::uint8_t ttl) noexcept;

/// The checksum of a TCP segment that was changed or made.
void finish_tcp(std::byte* frame, const nat::Packet& packet) noexcept;

}  // namespace pinhole::dataplane
