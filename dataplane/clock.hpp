// SPDX-License-Identifier: BSD-3-Clause
#pragma once
// The worker's clock: reads the TSC once a turn and counts coarse ticks without a division.

#include <cstdint>

#include "nat/tick.hpp"

#include <rte_cycles.h>

namespace pinhole::dataplane {

class Clock {
 public:
  /// \param start_tsc the moment of tick 0, the same for every worker.
  Clock(std::uint64_t start_tsc, std::uint64_t tsc_hz) noexcept
      : tsc_(start_tsc), next_tick_tsc_(start_tsc), tsc_per_tick_(tsc_hz / nat::kTicksPerSecond) {}

  /// Reads the time. \return true when at least one tick has begun since the last call.
  bool update() noexcept {
    tsc_ = rte_rdtsc();
    // By difference, because a test that lets time pass begins before the machine did.
    if (static_cast<std::int64_t>(tsc_ - next_tick_tsc_) < 0) return false;
    // After a long pause (a debugger, a suspended machine) the lost ticks are caught up with at once.
    const std::uint64_t ticks = 1 + (tsc_ - next_tick_tsc_) / tsc_per_tick_;
    tick_ += static_cast<nat::Tick>(ticks);
    next_tick_tsc_ += ticks * tsc_per_tick_;
    return true;
  }

  [[nodiscard]] nat::Tick tick() const noexcept { return tick_; }
  [[nodiscard]] std::uint64_t tsc() const noexcept { return tsc_; }

 private:
  std::uint64_t tsc_;
  std::uint64_t next_tick_tsc_;
  std::uint64_t tsc_per_tick_;
  nat::Tick tick_ = 0;
};

}  // namespace pinhole::dataplane
