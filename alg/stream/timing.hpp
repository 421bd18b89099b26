// SPDX-License-Identifier: BSD-3-Clause
#pragma once
// The numbers by which the engine sends on its own account, and the time-out of RFC 6298.

#include <algorithm>
#include <cstdint>

#include "alg/stream/stream.hpp"
#include "nat/tick.hpp"

namespace pinhole::alg::stream {

inline constexpr std::uint16_t kDefaultMss = 536;                     // RFC 9293 section 3.7.1
inline constexpr std::uint32_t kLeastPayload = 64;                    // of a segment, whatever a SYN says
inline constexpr std::uint32_t kFirstCongestion = 10;                 // segments: RFC 6928
inline constexpr std::uint8_t kRepeatsOfLoss = 3;                     // RFC 5681
inline constexpr std::uint8_t kMaxTries = 8;                          // three minutes in all
inline constexpr std::uint16_t kFirstTimeout = nat::ticks_from_s(1);  // RFC 6298 section 2
inline constexpr std::uint16_t kMaxTimeout = nat::ticks_from_s(60);

// For how long bytes are held that do not become a message: SIP gives up after 64*T1; of a protocol that only
// begins like it, somebody waits for an answer.
inline constexpr nat::Tick kMessageLimit = nat::ticks_from_s(32);
inline constexpr nat::Tick kBeginningLimit = nat::ticks_from_s(2);

inline void note_round_trip(Way& way, nat::Tick measured) noexcept {
  const int sample = static_cast<int>(std::min<nat::Tick>(measured, kMaxTimeout));
  if (way.round_trip == 0 && way.variation == 0) {
    way.round_trip = static_cast<std::uint16_t>(sample * 8);
    way.variation = static_cast<std::uint16_t>(sample * 2);
    return;
  }
  const int error = sample - way.round_trip / 8;
  way.variation = static_cast<std::uint16_t>(way.variation + std::abs(error) - way.variation / 4);
  way.round_trip = static_cast<std::uint16_t>(way.round_trip + error);
}

[[nodiscard]] inline std::uint16_t timeout_of(const Way& way) noexcept {
  const int ticks = way.round_trip / 8 + std::max(1, int{way.variation});
  return static_cast<std::uint16_t>(std::clamp(ticks, int{kFirstTimeout}, int{kMaxTimeout}));
}

}  // namespace pinhole::alg::stream
