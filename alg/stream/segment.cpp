// SPDX-License-Identifier: BSD-3-Clause
#include "alg/stream/segment.hpp"

#include <algorithm>

#include "nat/tcp_options.hpp"

namespace pinhole::alg::stream {

namespace {

using nat::TcpOption;

constexpr std::size_t kTimestampsSize = 8;  // of the value
constexpr std::size_t kSackBlock = 8;

std::uint32_t load32(const std::byte* at) noexcept {
  std::uint32_t value = 0;
  for (int i = 0; i < 4; ++i) value = value << 8U | std::to_integer<std::uint32_t>(at[i]);
  return value;
}

void store32(std::byte* at, std::uint32_t value) noexcept {
  for (int i = 3; i >= 0; --i, value >>= 8U) at[i] = static_cast<std::byte>(value);
}

/// The head of an option, padded so that its value is aligned. \param size  of the value
void store_head(std::byte* at, std::uint8_t kind, std::size_t size) noexcept {
  at[0] = at[1] = std::byte{TcpOption::kNoOperation};
  at[2] = std::byte{kind};
  at[3] = static_cast<std::byte>(TcpOption::kHead + size);
}

}  // namespace

TcpOptions read_options(std::span<std::byte> options) noexcept {
  TcpOptions found;
  nat::walk_tcp_options(options, [&](const TcpOption& option) noexcept {
    const auto value = options.subspan(option.at, option.size);
    if (option.kind == TcpOption::kMss && value.size() == 2) {
      found.mss = static_cast<std::uint16_t>(std::to_integer<unsigned>(value[0]) << 8U |
                                             std::to_integer<unsigned>(value[1]));
    } else if (option.kind == TcpOption::kScale && value.size() == 1) {
      found.scale = std::min(std::to_integer<std::uint8_t>(value[0]), TcpOption::kMaxScale);
    } else if (option.kind == TcpOption::kSackPermitted && value.empty()) {
      found.sack_permitted = true;
    } else if (option.kind == TcpOption::kTimestamps && value.size() == kTimestampsSize) {
      found.timestamps = Timestamps{load32(value.data()), load32(value.data() + 4)};
    } else if (option.kind == TcpOption::kSack && value.size() % kSackBlock == 0) {
      found.sacks = value;
    }
  });
  return found;
}

std::size_t OutSegment::write_options(std::span<std::byte, kMaxOptions> to) const noexcept {
  std::size_t size = 0;
  if (timestamps) {
    store_head(to.data(), TcpOption::kTimestamps, kTimestampsSize);
    store32(to.data() + 4, timestamps->value);
    store32(to.data() + 8, timestamps->echo);
    size = 12;
  }
  if (sack_count > 0) {
    store_head(to.data() + size, TcpOption::kSack, kSackBlock * sack_count);
    size += 4;
    for (std::size_t i = 0; i < sack_count; ++i, size += kSackBlock) {
      store32(to.data() + size, sacks[i].begin);
      store32(to.data() + size + 4, sacks[i].end);
    }
  }
  return size;
}

void leave_out_multipath(std::span<std::byte> options) noexcept {
  nat::walk_tcp_options(options, [&](const TcpOption& option) noexcept {
    if (option.kind != TcpOption::kMultipath) return;
    const auto whole = options.subspan(option.at - TcpOption::kHead, TcpOption::kHead + option.size);
    std::fill(whole.begin(), whole.end(), std::byte{TcpOption::kNoOperation});
  });
}

void translate_sacks(std::span<std::byte> blocks, const SequenceMap& map, Range within) noexcept {
  if (blocks.empty()) return;
  std::size_t kept = 0;
  for (std::size_t at = 0; at < blocks.size(); at += kSackBlock) {
    const Sequence begin = later(map.in_ceil(load32(blocks.data() + at)), within.begin);
    const Sequence end = earlier(map.in_floor(load32(blocks.data() + at + 4)), within.end);
    if (!before(begin, end)) continue;
    store32(blocks.data() + kept, begin);
    store32(blocks.data() + kept + 4, end);
    kept += kSackBlock;
  }
  if (kept == blocks.size()) return;
  // The option's own head lies in front of its blocks; without any it becomes padding as well.
  std::byte* const head = blocks.data() - TcpOption::kHead;
  head[1] = static_cast<std::byte>(TcpOption::kHead + kept);
  if (kept == 0) head[0] = head[1] = std::byte{TcpOption::kNoOperation};
  std::fill(blocks.begin() + static_cast<std::ptrdiff_t>(kept), blocks.end(),
            std::byte{TcpOption::kNoOperation});
}

}  // namespace pinhole::alg::stream
