// SPDX-License-Identifier: BSD-3-Clause
#pragma once
// Packets that a worker makes itself, of flows that are somebody else's.

#include <cstddef>
#include <cstdint>

#include "nat/byte_order.hpp"
#include "nat/packet.hpp"

namespace pinhole::dataplane {

/// Writes an IPv4 header without options, as `packet` says. It is not kept from being fragmented: who would
/// be told of a smaller MTU did not send it.
void write_ip_header(std::byte* frame, const nat::Packet& packet, std::uint8_t type_of_service,
                     nat::Be16 identification) noexcept;

}  // namespace pinhole::dataplane
