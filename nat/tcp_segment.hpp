// SPDX-License-Identifier: BSD-3-Clause
#pragma once
// A TCP segment as far as its translator reads it: numbers, flags, window, and the two options of a SYN that
// matter to somebody in the middle. Options are read within the bounds that parse() has found.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "nat/headers.hpp"
#include "nat/packet.hpp"

namespace pinhole::nat {

struct TcpSegment {
  std::uint32_t sequence = 0;
  std::uint32_t acknowledgement = 0;
  std::uint16_t window = 0;   // as it stands in the header, unscaled
  std::uint16_t payload = 0;  // bytes
  std::uint8_t flags = 0;
  std::uint8_t scale = kNoScale;  // of a SYN: the window scale option

  static constexpr std::uint8_t kNoScale = 15;

  [[nodiscard]] constexpr bool has(std::uint8_t flag) const noexcept { return (flags & flag) != 0; }
  /// A SYN that answers nothing: it asks for a connection.
  [[nodiscard]] constexpr bool is_opening() const noexcept {
    return (flags & (TcpHeader::kSyn | TcpHeader::kAck | TcpHeader::kRst | TcpHeader::kFin)) ==
           TcpHeader::kSyn;
  }
};

struct TcpOptions {
  std::optional<std::uint8_t> scale;  // RFC 7323, at most TcpOption::kMaxScale
  std::optional<std::size_t> mss_at;  // where the 16 bits of the maximum segment size are (RFC 9293)
};

/// Reads options up to the first that makes no sense; what follows that one is not looked at.
/// \param options  what lies between the fixed header and the payload
[[nodiscard]] TcpOptions read_tcp_options(std::span<const std::byte> options) noexcept;

/// \param packet  of kind flow, TCP
[[nodiscard]] inline TcpSegment tcp_segment(const std::byte* frame, const Packet& packet) noexcept {
  const auto& tcp = header_at<TcpHeader>(frame, packet.l4_offset);
  TcpSegment segment{.sequence = tcp.sequence.host(),
                     .acknowledgement = tcp.acknowledgement.host(),
                     .window = tcp.window.host(),
                     .payload = packet.payload_size(),
                     .flags = packet.tcp_flags};
  if (segment.has(TcpHeader::kSyn)) [[unlikely]] {
    const std::size_t begin = packet.l4_offset + sizeof(TcpHeader);
    const auto options = read_tcp_options({frame + begin, packet.payload_offset - begin});
    if (options.scale) segment.scale = *options.scale;
  }
  return segment;
}

/// Lowers the maximum segment size that a SYN announces; never raises it, and adds none. The checksum follows
/// by difference. \param packet  of kind flow, TCP, with SYN set
/// \return whether it was lowered
bool clamp_mss(std::byte* frame, const Packet& packet, std::uint16_t limit) noexcept;

}  // namespace pinhole::nat
