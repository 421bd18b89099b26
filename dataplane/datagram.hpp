// SPDX-License-Identifier: BSD-3-Clause
#pragma once
// A message that came by UDP: its bytes, and its edits applied to the packet that it came in.

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "alg/edit.hpp"
#include "dataplane/mbuf_view.hpp"
#include "nat/checksum.hpp"
#include "nat/headers.hpp"
#include "nat/packet.hpp"
#include "nat/rewrite.hpp"

#include <rte_mbuf.h>

namespace pinhole::dataplane {

[[nodiscard]] inline std::string_view payload_of(const std::byte* frame, const nat::Packet& packet) noexcept {
  return {reinterpret_cast<const char*>(frame) + packet.payload_offset, packet.payload_size()};
}

[[nodiscard]] inline std::uint16_t udp_checksum(const std::byte* frame, const nat::Packet& packet) noexcept {
  const std::size_t size = static_cast<std::size_t>(packet.payload_end - packet.l4_offset);
  return nat::transport_checksum(nat::Protocol::udp, packet.source.address, packet.destination.address,
                                 {frame + packet.l4_offset, size}, offsetof(nat::UdpHeader, checksum));
}

/// An edited datagram gets a new checksum, so a damaged one must not be edited: it would pass for sound.
[[nodiscard]] inline bool is_damaged(const std::byte* frame, const nat::Packet& packet) noexcept {
  const auto stated = nat::header_at<nat::UdpHeader>(frame, packet.l4_offset).checksum.raw();
  return stated != 0 && stated != udp_checksum(frame, packet);
}

/// Applies edits that fit.
inline void apply_edits(rte_mbuf* mbuf, nat::Packet& packet, const alg::EditList& edits) noexcept {
  const auto buffer = buffer_of(mbuf).subspan(packet.payload_offset);
  const auto size =
      edits.apply({reinterpret_cast<char*>(buffer.data()), buffer.size()}, packet.payload_size());
  nat::finish_udp_payload(bytes_of(mbuf), packet, static_cast<std::uint16_t>(*size));
  resize(mbuf, packet.ip_end);
}

/// Whether an edited message still fits its buffer and its way out.
[[nodiscard]] inline bool fits(rte_mbuf* mbuf, const nat::Packet& packet, const alg::EditList& edits,
                               std::uint16_t mtu) noexcept {
  const std::ptrdiff_t room = static_cast<std::ptrdiff_t>(buffer_of(mbuf).size()) - packet.payload_end;
  return edits.growth() <= room && packet.ip_size() + edits.growth() <= mtu;
}

}  // namespace pinhole::dataplane
