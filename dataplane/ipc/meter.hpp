// SPDX-License-Identifier: BSD-3-Clause
#pragma once
// What a worker measures of the media that goes through a pinhole, in shared memory: one meter a mapping, in
// the same place of its array as the mapping in the table, and only there when `calls.measure` is on.
// Invariant: a meter is written by its worker only. Control copies it and asks the mapping for its generation
// before and after, as of the mapping's own counts; a copy may be a packet behind itself.

#include <cstdint>
#include <type_traits>

namespace pinhole::ipc {

/// One direction of a pinhole: one cache line. What RFC 3550 appendix A keeps of a source, and sums over all
/// sources that there were.
struct alignas(64) FlowMeter {
  std::uint64_t window = 0;    // which of the packets before `highest` have come: bit i for the one i before
  std::uint64_t bytes = 0;     // of IP; of all packets, RTP or not
  std::uint32_t packets = 0;   // of RTP, each once
  std::uint32_t lost = 0;      // of RTP: numbers that did not come
  std::uint32_t repeated = 0;  // of RTP: that came again, or so late that they count as lost
  std::uint32_t ssrc = 0;
  std::uint32_t timestamp = 0;   // of the last packet but those of the same timestamp that followed it
  std::uint32_t arrived_us = 0;  // that one
  std::uint32_t heard_us = 0;    // the last one
  std::uint32_t jitter = 0;      // sixteenths of microseconds
  std::uint32_t jitter_max = 0;
  std::uint32_t gap_max_us = 0;  // between two packets
  std::uint16_t highest = 0;     // sequence number
  std::uint16_t expected = 0;    // after one that was out of all order: the one that would make it a restart
  std::uint8_t reach = 0;        // how far `window` goes back: numbers since the first one; 0: no source yet
  bool is_astray = false;        // `expected` is set
  std::uint8_t sources = 0;      // that were measured, up to 255
};
static_assert(sizeof(FlowMeter) == 64);

struct MediaMeter {
  FlowMeter out;
  FlowMeter in;
};
static_assert(std::is_trivially_copyable_v<MediaMeter> && sizeof(MediaMeter) == 128);

}  // namespace pinhole::ipc
