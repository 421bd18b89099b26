// SPDX-License-Identifier: BSD-3-Clause
#include "nat/tcp_segment.hpp"

#include "nat/checksum.hpp"
#include "nat/tcp_options.hpp"

namespace pinhole::nat {

TcpOptions read_tcp_options(std::span<const std::byte> options) noexcept {
  TcpOptions found;
  walk_tcp_options(options, [&](const TcpOption& option) noexcept {
    if (option.kind == TcpOption::kMss && option.size == sizeof(Be16)) found.mss_at = option.at;
    if (option.kind == TcpOption::kScale && option.size == 1) {
      found.scale = std::min(std::to_integer<std::uint8_t>(options[option.at]), TcpOption::kMaxScale);
    }
  });
  return found;
}

bool clamp_mss(std::byte* frame, const Packet& packet, std::uint16_t limit) noexcept {
  const std::size_t begin = packet.l4_offset + sizeof(TcpHeader);
  const auto options = read_tcp_options({frame + begin, packet.payload_offset - begin});
  if (!options.mss_at) return false;
  const std::size_t at = begin + *options.mss_at;
  auto& mss = header_at<Be16>(frame, at);
  if (mss.host() <= limit) return false;
  const Be16 before = mss;
  mss = Be16{limit};
  auto& checksum = header_at<TcpHeader>(frame, packet.l4_offset).checksum;
  // At an odd offset the two bytes belong to two words of the sum, each in the other half.
  const bool odd = ((at - packet.l4_offset) & 1U) != 0;
  const auto swapped = [](std::uint16_t word) noexcept {
    return static_cast<std::uint16_t>(word << 8U | word >> 8U);
  };
  const std::uint16_t change = odd ? delta(swapped(before.raw()), swapped(mss.raw())) : delta(before, mss);
  checksum = Be16::from_raw(apply(checksum.raw(), change));
  return true;
}

}  // namespace pinhole::nat
