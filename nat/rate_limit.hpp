// SPDX-License-Identifier: BSD-3-Clause
#pragma once
// A token bucket: so many of something a second, and a burst at most. It counts time in whatever unit its
// owner counts in (ticks, TSC cycles). Exact: credit is kept in tokens × units a second, so nothing is lost
// to rounding. One owner, no clock of its own.

#include <algorithm>
#include <cstdint>

namespace pinhole::nat {

class RateLimit {
 public:
  /// Starts full. \param rate_per_s   tokens a second; 0: none, ever
  /// \param burst         tokens that may be taken at once after a pause
  /// \param units_per_s   of the clock whose readings take() is given, at least 1
  /// Shape: burst × units_per_s, rate_per_s × units_per_s and (burst + rate_per_s) × units_per_s < 2^63
  constexpr RateLimit(std::uint32_t rate_per_s, std::uint32_t burst, std::uint64_t units_per_s) noexcept
      : rate_(rate_per_s),
        token_(units_per_s),
        full_(rate_per_s == 0 ? 0 : burst * units_per_s),
        units_to_fill_(rate_per_s == 0 ? 0 : full_ / rate_per_s + 1),
        credit_(full_) {}

  /// Takes a token if there is one. \param now  never less than at the last call
  [[nodiscard]] constexpr bool take(std::uint64_t now) noexcept {
    // A pause is cut at what fills the bucket, so that the product cannot overflow.
    const std::uint64_t passed = std::min(now - last_, units_to_fill_);
    last_ = now;
    credit_ = std::min(credit_ + passed * rate_, full_);
    if (credit_ < token_) return false;
    credit_ -= token_;
    return true;
  }

 private:
  std::uint64_t rate_;
  std::uint64_t token_;  // what one token costs
  std::uint64_t full_;
  std::uint64_t units_to_fill_;
  std::uint64_t credit_;
  std::uint64_t last_ = 0;
};

}  // namespace pinhole::nat
