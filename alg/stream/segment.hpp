// SPDX-License-Identifier: BSD-3-Clause
#pragma once
// A TCP segment as the stream engine sees it, and the options that it reads or writes. Numbers are in the
// machine's byte order.

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "alg/stream/byte_queue.hpp"
#include "alg/stream/sequence.hpp"
#include "alg/stream/sequence_map.hpp"

namespace pinhole::alg::stream {

/// Who sends. Also the index into what a stream keeps for each side.
enum class Side : std::uint8_t { inside, outside };
[[nodiscard]] constexpr Side other(Side side) noexcept {
  return side == Side::inside ? Side::outside : Side::inside;
}

struct TcpFlags {
  static constexpr std::uint8_t kFin = 0x01;
  static constexpr std::uint8_t kSyn = 0x02;
  static constexpr std::uint8_t kRst = 0x04;
  static constexpr std::uint8_t kPsh = 0x08;
  static constexpr std::uint8_t kAck = 0x10;
  static constexpr std::uint8_t kCongestion = 0xc0;  // ECE and CWR (RFC 3168)
};

/// A segment that came. What take() changes in it is what it has to be forwarded with.
struct Segment {
  Sequence sequence = 0;
  Sequence acknowledgement = 0;
  std::uint16_t window = 0;  // as it stands in the header
  std::uint8_t flags = 0;
  std::span<std::byte> options;
  std::span<const std::byte> payload;

  [[nodiscard]] bool has(std::uint8_t flag) const noexcept { return (flags & flag) != 0; }
};

struct Timestamps {
  std::uint32_t value = 0;
  std::uint32_t echo = 0;
};

struct Range {
  Sequence begin = 0;
  Sequence end = 0;
};

/// A segment that the engine sends.
struct OutSegment {
  static constexpr std::size_t kMaxSacks = 3;  // beside timestamps (RFC 2018 section 3)
  static constexpr std::size_t kMaxOptions = 40;

  Sequence sequence = 0;
  Sequence acknowledgement = 0;
  std::uint16_t window = 0;
  std::uint8_t flags = 0;
  std::optional<Timestamps> timestamps;
  std::array<Range, kMaxSacks> sacks{};
  std::size_t sack_count = 0;
  Pieces payload;

  /// Writes the options. \return their size, a multiple of four
  [[nodiscard]] std::size_t write_options(std::span<std::byte, kMaxOptions> to) const noexcept;
};

/// Options of RFC 9293, 7323 and 2018.
struct TcpOptions {
  std::optional<std::uint16_t> mss;
  std::optional<std::uint8_t> scale;
  bool sack_permitted = false;
  std::optional<Timestamps> timestamps;
  std::span<std::byte> sacks;  // the blocks
};

/// Reads options up to the first that makes no sense.
[[nodiscard]] TcpOptions read_options(std::span<std::byte> options) noexcept;

/// Makes padding of what offers MPTCP: it numbers bytes in options of its own, which nobody translates. Hosts
/// go on without it (RFC 8684 section 3.7).
void leave_out_multipath(std::span<std::byte> options) noexcept;

/// Turns the receiver's blocks into the sender's: what is claimed is what was received whole, and lies
/// between what the sender was acknowledged and what it has sent. Blocks of which nothing is left become
/// padding.
void translate_sacks(std::span<std::byte> blocks, const SequenceMap& map, Range within) noexcept;

}  // namespace pinhole::alg::stream
