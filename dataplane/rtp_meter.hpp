// SPDX-License-Identifier: BSD-3-Clause
#pragma once
// What the packets of one direction of a pinhole say of the way that they came: loss by sequence numbers,
// jitter by timestamps. SRTP is measured like RTP: its header is not encrypted. Source: RFC 3550 appendices
// A.1, A.3, A.8, with these departures:
// * A number is lost as soon as one behind it has come, and is not lost any more when it comes after all, up
// to 63
//   later ones. A packet that comes twice is told by that, too, so that it makes up for no lost one.
// * A source is measured from its first packet on: who may send to a pinhole was asked before.
// * Jitter is kept in microseconds, not in units of the timestamp: those of telephony are as long as the
// jitter of a
//   good network.
// * Of packets with one timestamp the first counts for jitter (the others are of the same picture, or repeat
// the same
//   key press, RFC 4733), and a step of the sender's clock by more than kLargestStepUs does not.

#include <cstddef>
#include <cstdint>
#include <span>

#include "alg/rtp_clocks.hpp"
#include "dataplane/ipc/meter.hpp"

namespace pinhole::dataplane {

/// More numbers missing than that: the sender has begun anew, if the next packet fits (RFC 3550 A.1,
/// MAX_DROPOUT).
inline constexpr std::uint16_t kLongestDropout = 3000;
/// So many numbers behind: the same (MAX_MISORDER).
inline constexpr std::uint16_t kFarthestBehind = 100;
inline constexpr std::int64_t kLargestStepUs = 5'000'000;

/// Takes a packet into account.
/// \param payload  of UDP; anything that is not RTP is left out
/// \param clocks   of the pinhole's streams
/// \param now_us   when it came; wraps
void measure(ipc::FlowMeter& meter, std::span<const std::byte> payload, const alg::RtpClocks& clocks,
             std::uint32_t now_us) noexcept;

}  // namespace pinhole::dataplane
