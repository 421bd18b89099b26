// SPDX-License-Identifier: BSD-3-Clause
#pragma once
// The data plane's two clocks, TSC and tick, as wall time. A moment is told by its distance from a sample of
// both clocks that is at most a housekeeping round old, so a wall clock that is set while the data plane runs
// is followed.

#include <chrono>
#include <cstdint>

#include "control/model.hpp"
#include "nat/tick.hpp"

namespace pinhole::control {

class DataplaneClock {
 public:
  DataplaneClock(std::uint64_t start_tsc, std::uint64_t tsc_hz) noexcept
      : start_tsc_(start_tsc), tsc_hz_(tsc_hz), tsc_(start_tsc) {}

  /// Notes that TSC and wall clock show these values at the same moment.
  void sample(std::uint64_t tsc, Time wall) noexcept {
    tsc_ = tsc;
    wall_ = wall;
  }

  /// The tick of the sample.
  [[nodiscard]] nat::Tick tick() const noexcept {
    return static_cast<nat::Tick>((tsc_ - start_tsc_) / (tsc_hz_ / nat::kTicksPerSecond));
  }
  [[nodiscard]] std::uint64_t tsc() const noexcept { return tsc_; }
  [[nodiscard]] Time wall() const noexcept { return wall_; }

  /// When the TSC had or will have this value.
  [[nodiscard]] Time at_tsc(std::uint64_t tsc) const noexcept {
    const auto distance = static_cast<double>(static_cast<std::int64_t>(tsc - tsc_));
    const std::chrono::duration<double> seconds(distance / static_cast<double>(tsc_hz_));
    return wall_ + std::chrono::duration_cast<Time::duration>(seconds);
  }

  /// When the tick was or will be, within half of the 13 years that ticks wrap after.
  [[nodiscard]] Time at_tick(nat::Tick tick) const noexcept {
    const auto distance = static_cast<std::int32_t>(tick - this->tick());
    return wall_ + std::chrono::milliseconds(1000 / nat::kTicksPerSecond) * distance;
  }

 private:
  std::uint64_t start_tsc_;
  std::uint64_t tsc_hz_;
  std::uint64_t tsc_;
  Time wall_{};
};

}  // namespace pinhole::control
