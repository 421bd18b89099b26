// SPDX-License-Identifier: BSD-3-Clause
#pragma once
// Whether one more call may begin. Each worker asks the numbers of all: what begins at the same moment on
// several of them may overshoot a limit by one a worker. An inside host belongs to one worker, so its limit
// is exact. Calls a second are one bucket for all, too, of which each worker keeps its own account by what
// all have begun. Owned by one worker.

#include <cstdint>
#include <vector>

#include "dataplane/call_counts.hpp"
#include "dataplane/config/structs.hpp"
#include "nat/endpoint.hpp"
#include "nat/tick.hpp"

namespace pinhole::dataplane {

class CallLimits {
 public:
  /// \param workers the numbers of all workers, complete before the first question; `own` is among them
  CallLimits(const config::CallLimits& limits, const std::vector<const CallCounts*>& workers,
             const CallCounts& own) noexcept;

  /// \param host inside \param server outside
  /// \param is_new false: of a call that had ended and is tried again, which costs nothing of calls a second
  [[nodiscard]] bool admits(nat::Ipv4Address host, nat::Ipv4Address server, bool is_new,
                            nat::Tick now) noexcept;
  /// To be called every tick, so that a pause is told from one in which others were busy.
  void tick(nat::Tick now) noexcept;

 private:
  [[nodiscard]] std::int64_t full() const noexcept;

  const config::CallLimits limits_;
  const std::vector<const CallCounts*>& workers_;
  const CallCounts& own_;
  std::int64_t credit_;           // of calls a second, in calls × ticks a second
  std::uint32_t begun_seen_ = 0;  // by all
  nat::Tick seen_at_ = 0;
};

}  // namespace pinhole::dataplane
