// SPDX-License-Identifier: BSD-3-Clause
#include "control/event_reader.hpp"

#include <utility>

#include "dataplane/ipc/layout.hpp"

#include <rte_ring.h>
#include <rte_ring_elem.h>

namespace pinhole::control {

std::span<const ipc::Event> EventReader::pop() noexcept {
  // A burst in which nothing can be used is not the end of the ring.
  while (true) {
    const unsigned count =
        rte_ring_sc_dequeue_burst_elem(ring_, burst_.data(), sizeof(ipc::Event), kBurst, nullptr);
    if (count == 0) return {};
    std::size_t used = 0;
    for (unsigned i = 0; i < count; ++i) {
      if (!admit(burst_[i])) continue;
      if (used != i) burst_[used] = burst_[i];
      ++used;
    }
    if (used > 0) return std::span(burst_).first(used);
  }
}

bool EventReader::admit(const ipc::Event& event) noexcept {
  if (event.abi_version != ipc::kAbiVersion) {
    counters_.add(ControlCounter::event_refused);
    gap_ = true;
    return false;
  }
  counters_.add(ControlCounter::event_received);
  if (expected_ && event.sequence != *expected_) {
    counters_.add(ControlCounter::event_gap, event.sequence - *expected_);
    gap_ = true;
  }
  expected_ = event.sequence + 1;
  return true;
}

bool EventReader::take_gap() noexcept {
  return std::exchange(gap_, false);
}

}  // namespace pinhole::control
