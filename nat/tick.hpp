// SPDX-License-Identifier: BSD-3-Clause
#pragma once
// The coarse clock of the packet path. One tick is 100 ms; the worker reads the TSC once a turn and hands the
// tick down. Ticks count from the start of the data plane and wrap after 13 years.

#include <cstdint>

namespace pinhole::nat {

using Tick = std::uint32_t;
inline constexpr std::uint32_t kTicksPerSecond = 10;

[[nodiscard]] constexpr Tick ticks_from_s(std::uint32_t seconds) noexcept {
  return seconds * kTicksPerSecond;
}

/// True when `deadline` is `now` or earlier, across a wrap.
[[nodiscard]] constexpr bool reached(Tick deadline, Tick now) noexcept {
  return static_cast<std::int32_t>(now - deadline) >= 0;
}

}  // namespace pinhole::nat
