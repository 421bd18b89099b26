// SPDX-License-Identifier: BSD-3-Clause
#include "nat/tcp_segment.hpp"

#include "nat/checksum.hpp"

namespace pinhole::nat {
namespace {

// Kinds and sizes: RFC 9293 section 3.1, RFC 7323 section 2.2.
constexpr std::uint8_t kEnd = 0;
constexpr std::uint8_t kNoOperation = 1;
constexpr std::uint8_t kMaximumSegmentSize = 2;
constexpr std::uint8_t kWindowScale = 3;
constexpr std::size_t kMssSize = 4;
constexpr std::size_t kScaleSize = 3;

}  // namespace

TcpOptions read_tcp_options(std::span<const std::byte> options) noexcept {
  TcpOptions found;
  for (std::size_t at = 0; at < options.size();) {
    const auto kind = std::to_integer<std::uint8_t>(options[at]);
    if (kind == kEnd) break;
    if (kind == kNoOperation) {
      ++at;
      continue;
    }
    if (at + 1 == options.size()) break;
    const auto size = std::to_integer<std::size_t>(options[at + 1]);
    if (size < 2 || size > options.size() - at) break;
    if (kind == kMaximumSegmentSize && size == kMssSize) found.mss_at = at + 2;
    if (kind == kWindowScale && size == kScaleSize) {
      found.scale = std::min(std::to_integer<std::uint8_t>(options[at + 2]), TcpSegment::kMaxScale);
    }
    at += size;
  }
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
