// SPDX-License-Identifier: BSD-3-Clause
#include "alg/stream/segment.hpp"

#include <algorithm>

namespace pinhole::alg::stream {

namespace {

constexpr std::uint8_t kEnd = 0;
constexpr std::uint8_t kNoOperation = 1;
constexpr std::uint8_t kMss = 2;
constexpr std::uint8_t kScale = 3;
constexpr std::uint8_t kSackPermitted = 4;
constexpr std::uint8_t kSack = 5;
constexpr std::uint8_t kTimestamps = 8;
constexpr std::uint8_t kMaxScale = 14;  // RFC 7323 section 2.3
constexpr std::size_t kTimestampsSize = 10;
constexpr std::size_t kSackBlock = 8;

std::uint32_t load32(const std::byte* at) noexcept {
  std::uint32_t value = 0;
  for (int i = 0; i < 4; ++i) value = value << 8U | std::to_integer<std::uint32_t>(at[i]);
  return value;
}

void store32(std::byte* at, std::uint32_t value) noexcept {
  for (int i = 3; i >= 0; --i, value >>= 8U) at[i] = static_cast<std::byte>(value);
}

void store_head(std::byte* at, std::uint8_t kind, std::size_t size) noexcept {
  at[0] = at[1] = std::byte{kNoOperation};
  at[2] = std::byte{kind};
  at[3] = static_cast<std::byte>(size);
}

}  // namespace

TcpOptions read_options(std::span<std::byte> options) noexcept {
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
    const auto value = options.subspan(at + 2, size - 2);
    if (kind == kMss && value.size() == 2) {
      found.mss = static_cast<std::uint16_t>(std::to_integer<unsigned>(value[0]) << 8U |
                                             std::to_integer<unsigned>(value[1]));
    } else if (kind == kScale && value.size() == 1) {
      found.scale = std::min(std::to_integer<std::uint8_t>(value[0]), kMaxScale);
    } else if (kind == kSackPermitted && value.empty()) {
      found.sack_permitted = true;
    } else if (kind == kTimestamps && size == kTimestampsSize) {
      found.timestamps = Timestamps{load32(value.data()), load32(value.data() + 4)};
    } else if (kind == kSack && value.size() % kSackBlock == 0) {
      found.sacks = value;
    }
    at += size;
  }
  return found;
}

std::size_t OutSegment::write_options(std::span<std::byte, kMaxOptions> to) const noexcept {
  std::size_t size = 0;
  if (timestamps) {
    store_head(to.data(), kTimestamps, kTimestampsSize);
    store32(to.data() + 4, timestamps->value);
    store32(to.data() + 8, timestamps->echo);
    size = 12;
  }
  if (sack_count > 0) {
    store_head(to.data() + size, kSack, 2 + kSackBlock * sack_count);
    size += 4;
    for (std::size_t i = 0; i < sack_count; ++i, size += kSackBlock) {
      store32(to.data() + size, sacks[i].begin);
      store32(to.data() + size + 4, sacks[i].end);
    }
  }
  return size;
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
  std::byte* const head = blocks.data() - 2;
  head[1] = static_cast<std::byte>(2 + kept);
  if (kept == 0) head[0] = head[1] = std::byte{kNoOperation};
  std::fill(blocks.begin() + static_cast<std::ptrdiff_t>(kept), blocks.end(), std::byte{kNoOperation});
}

}  // namespace pinhole::alg::stream
