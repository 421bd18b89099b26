// SPDX-License-Identifier: BSD-3-Clause
#pragma once
// Latencies by their logarithm: 32 steps for each doubling, so a percentile is right to about 3 %.

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>

namespace pinhole::gen {

class Histogram {
 public:
  void add(std::uint64_t value) noexcept {
    ++counts_[bucket_of(value)];
    ++count_;
    if (value > max_) max_ = value;
  }
  void reset() noexcept { *this = {}; }
  [[nodiscard]] std::uint64_t count() const noexcept { return count_; }
  [[nodiscard]] std::uint64_t max() const noexcept { return max_; }

  /// The value that a share of all values does not exceed, rounded up to its step; 0 when there is none.
  /// \param share  above 0, up to 1
  [[nodiscard]] std::uint64_t percentile(double share) const noexcept {
    const double wanted = share * static_cast<double>(count_);
    std::uint64_t below = 0;
    for (std::size_t bucket = 0; bucket < counts_.size(); ++bucket) {
      below += counts_[bucket];
      if (below > 0 && static_cast<double>(below) >= wanted) {
        const std::uint64_t top = top_of(bucket);
        return top < max_ ? top : max_;
      }
    }
    return max_;
  }

 private:
  static constexpr unsigned kStepBits = 5;
  static constexpr std::uint64_t kSteps = 1U << kStepBits;

  static constexpr std::size_t bucket_of(std::uint64_t value) noexcept {
    if (value < kSteps) return value;
    const auto shift = static_cast<unsigned>(std::bit_width(value)) - kStepBits - 1;
    return (std::size_t{shift} << kStepBits) + (value >> shift);
  }
  static constexpr std::uint64_t top_of(std::size_t bucket) noexcept {
    if (bucket < 2 * kSteps) return bucket;
    const auto shift = static_cast<unsigned>((bucket >> kStepBits) - 1);
    return (((bucket & (kSteps - 1)) | kSteps) << shift) + (std::uint64_t{1} << shift) - 1;
  }

  std::array<std::uint64_t, (64 - kStepBits + 1) * kSteps> counts_{};
  std::uint64_t count_ = 0;
  std::uint64_t max_ = 0;
};

}  // namespace pinhole::gen
