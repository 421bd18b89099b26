// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/call_limits.hpp"

#include <algorithm>

namespace pinhole::dataplane {

CallLimits::CallLimits(const config::CallLimits& limits, const std::vector<const CallCounts*>& workers,
                       const CallCounts& own) noexcept
    : limits_(limits), workers_(workers), own_(own), credit_(full()) {
}

std::int64_t CallLimits::full() const noexcept {
  const std::int64_t calls = limits_.burst == 0 ? limits_.per_s : limits_.burst;
  return calls * nat::kTicksPerSecond;
}

bool CallLimits::admits(nat::Ipv4Address host, nat::Ipv4Address server, bool is_new, nat::Tick now) noexcept {
  if (!limits_.any()) [[likely]]
    return true;
  const auto& hosts = own_.hosts();
  const auto& servers = own_.servers();
  if (limits_.per_host != 0 && (hosts.count(host) >= limits_.per_host || !hosts.has_room(host))) return false;
  std::uint64_t active = 0;
  std::uint64_t of_server = 0;
  for (const CallCounts* const worker : workers_) {
    active += worker->active();
    if (limits_.per_server != 0) of_server += worker->servers().count(server);
  }
  if (limits_.total != 0 && active >= limits_.total) return false;
  if (limits_.per_server != 0 && (of_server >= limits_.per_server || !servers.has_room(server))) return false;
  if (!is_new || limits_.per_s == 0) return true;
  tick(now);
  return credit_ >= std::int64_t{nat::kTicksPerSecond};
}

void CallLimits::tick(nat::Tick now) noexcept {
  if (limits_.per_s == 0) return;
  std::uint32_t begun = 0;
  for (const CallCounts* const worker : workers_) begun += worker->begun();
  const std::int64_t spent = begun - begun_seen_;
  const std::int64_t passed = now - seen_at_;
  credit_ += passed * limits_.per_s - spent * nat::kTicksPerSecond;
  // A debt is what began at the same moment, or calls that nobody was asked about.
  credit_ = std::clamp(credit_, -full(), full());
  begun_seen_ = begun;
  seen_at_ = now;
}

}  // namespace pinhole::dataplane
