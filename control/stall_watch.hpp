// SPDX-License-Identifier: BSD-3-Clause
#pragma once
// Control does one thing after the other; what takes long keeps its clients and the data plane's events
// waiting. That is told to the log, with what it was.

#include <chrono>
#include <string_view>
#include <utility>

#include "control/log.hpp"

namespace pinhole::control {

inline constexpr std::chrono::seconds kLongStep{2};

inline void tell_if_long(std::string_view step, std::chrono::steady_clock::duration took) {
  if (took < kLongStep) return;
  log_warning("held_up",
              {{"by", step}, {"ms", std::chrono::duration_cast<std::chrono::milliseconds>(took).count()}});
}

/// Does something, and tells when it took long.
template <typename Step>
auto watched(std::string_view step, Step&& does) {
  const auto begun = std::chrono::steady_clock::now();
  struct End {
    std::string_view step;
    std::chrono::steady_clock::time_point begun;
    ~End() { tell_if_long(step, std::chrono::steady_clock::now() - begun); }
  } const end{step, begun};
  return std::forward<Step>(does)();
}

}  // namespace pinhole::control
