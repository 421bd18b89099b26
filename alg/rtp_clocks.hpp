// SPDX-License-Identifier: BSD-3-Clause
#pragma once
// The clocks of RTP timestamps, by payload type: those that RFC 3551 gives once and for all, and those that a
// session description gives to the types that it makes up (a=rtpmap, RFC 8866 section 6.6). Half a byte says
// which clock of a few it is, so that what there is to know of a stream is 16 bytes.

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>

namespace pinhole::alg {

/// A clock, by its place in kRtpClockRates.
using RtpClock = std::uint8_t;
/// In Hz. The first one is for payload types that nobody has told of: what most of telephony has.
inline constexpr std::array<std::uint32_t, 14> kRtpClockRates = {
    8000, 8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000, 90000, 96000, 192000, 1000};
inline constexpr RtpClock kUnknownClock = 0;

/// \return kUnknownClock for a rate that is none of kRtpClockRates
[[nodiscard]] constexpr RtpClock rtp_clock_of(std::uint32_t rate) noexcept {
  const auto* const found = std::find(kRtpClockRates.begin() + 1, kRtpClockRates.end(), rate);
  return found == kRtpClockRates.end() ? kUnknownClock
                                       : static_cast<RtpClock>(found - kRtpClockRates.begin());
}

/// Source: RFC 3551 section 6, tables 4 and 5.
[[nodiscard]] constexpr RtpClock static_rtp_clock(unsigned payload_type) noexcept {
  switch (payload_type) {
    case 6:  // DVI4
      return rtp_clock_of(16000);
    case 10:  // L16
    case 11:
      return rtp_clock_of(44100);
    case 16:  // DVI4
      return rtp_clock_of(11025);
    case 17:
      return rtp_clock_of(22050);
    case 14:  // MPA
    case 25:  // video from here on
    case 26:
    case 28:
    case 31:
    case 32:
    case 33:
    case 34:
      return rtp_clock_of(90000);
    default:
      return kUnknownClock;
  }
}

class RtpClocks {
 public:
  /// Those that a description may give a meaning to (RFC 3551 section 3).
  static constexpr unsigned kFirst = 96;
  static constexpr unsigned kEnd = 128;

  /// Other payload types are what RFC 3551 says, whoever says what.
  constexpr void set(unsigned payload_type, RtpClock clock) noexcept {
    if (payload_type < kFirst || payload_type >= kEnd) return;
    const unsigned place = payload_type - kFirst;
    words_[place / kPerWord] &= ~(std::uint64_t{0xf} << shift(place));
    words_[place / kPerWord] |= std::uint64_t{clock} << shift(place);
  }
  [[nodiscard]] constexpr RtpClock operator[](unsigned payload_type) const noexcept {
    if (payload_type < kFirst || payload_type >= kEnd) return static_rtp_clock(payload_type);
    const unsigned place = payload_type - kFirst;
    return static_cast<RtpClock>(words_[place / kPerWord] >> shift(place) & 0xfU);
  }
  /// Takes over what another description tells of.
  constexpr void add(const RtpClocks& told) noexcept {
    for (unsigned type = kFirst; type < kEnd; ++type) {
      if (told[type] != kUnknownClock) set(type, told[type]);
    }
  }
  [[nodiscard]] constexpr bool empty() const noexcept { return words_ == decltype(words_){}; }

  // For the way to another worker.
  [[nodiscard]] constexpr const std::array<std::uint64_t, 2>& words() const noexcept { return words_; }
  [[nodiscard]] static constexpr RtpClocks from_words(std::array<std::uint64_t, 2> words) noexcept {
    RtpClocks clocks;
    clocks.words_ = words;
    return clocks;
  }

  friend constexpr bool operator==(const RtpClocks&, const RtpClocks&) noexcept = default;

 private:
  static constexpr unsigned kPerWord = 16;
  [[nodiscard]] static constexpr unsigned shift(unsigned place) noexcept { return place % kPerWord * 4; }

  std::array<std::uint64_t, 2> words_{};
};
static_assert(kRtpClockRates.size() <= 16);

}  // namespace pinhole::alg
