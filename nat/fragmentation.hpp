// SPDX-License-Identifier: BSD-3-Clause
#pragma once
// Fragmentation of a datagram, or of a fragment, for a link with a smaller MTU (RFC 791 section 3.2). DPDK's
// function for it that copies is not part of its stable ABI, and the one that is makes chains of buffers,
// which not every device sends.

#include <cstddef>
#include <cstdint>
#include <span>

namespace pinhole::nat {

/// What write_piece() has written.
struct Piece {
  std::uint16_t size = 0;  // of the IP packet
  std::uint16_t next = 0;  // where in the payload the next piece begins; 0: this was the last
};

/// Writes one piece of a datagram as an IP packet with its header checksum. The first has the whole header,
/// the others the options that are to be in all fragments.
/// \param to        at least `mtu` bytes, not overlapping
/// \param datagram  sound: from its IPv4 header to its end; larger than `mtu`, may be fragmented
/// \param from      where in its payload the piece begins: 0, then Piece::next
/// \param mtu       at least 68 (RFC 791)
[[nodiscard]] Piece write_piece(std::span<std::byte> to, std::span<const std::byte> datagram,
                                std::uint16_t from, std::uint16_t mtu) noexcept;

}  // namespace pinhole::nat
