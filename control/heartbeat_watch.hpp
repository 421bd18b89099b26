// SPDX-License-Identifier: BSD-3-Clause
#pragma once
// Whether the data plane's heart beats. Time is a parameter.

#include <chrono>
#include <cstdint>

#include "control/worker_link.hpp"
#include "dataplane/ipc/layout.hpp"

namespace pinhole::control {

class HeartbeatWatch {
 public:
  static constexpr std::chrono::milliseconds kSilence{10 * ipc::kHeartbeatMs};

  HeartbeatWatch(std::uint64_t beats, Steady now) noexcept : beats_(beats), heard_(now) {}

  /// \param beats counted by the data plane so far. \return false after ten missed ones.
  bool look(std::uint64_t beats, Steady now) noexcept {
    if (beats != beats_) {
      beats_ = beats;
      heard_ = now;
    }
    return now - heard_ < kSilence;
  }

 private:
  std::uint64_t beats_;
  Steady heard_;
};

}  // namespace pinhole::control
