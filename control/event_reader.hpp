// SPDX-License-Identifier: BSD-3-Clause
#pragma once
// The event ring of one worker, read in bursts. Invariant: control is the only one that pops, so the
// single-consumer form is used; it puts itself right after a control process that died in the middle of a
// pop. Events of another ABI version are skipped, and whatever is missing in the sequence is told as a gap,
// after which the worker's cards have to be read. Thread: one.

#include <array>
#include <cstdint>
#include <optional>
#include <span>

#include "control/counters.hpp"
#include "dataplane/ipc/event.hpp"

struct rte_ring;

namespace pinhole::control {

class EventReader {
 public:
  static constexpr std::size_t kBurst = 32;

  /// \param ring of ipc::Event; it and the counters outlive the reader.
  EventReader(rte_ring* ring, ControlCounters& counters) noexcept : ring_(ring), counters_(counters) {}

  /// The next events, good until the next call. \return empty when the ring is.
  [[nodiscard]] std::span<const ipc::Event> pop() noexcept;

  /// True once after events were found missing.
  [[nodiscard]] bool take_gap() noexcept;

 private:
  /// \return false for an event that is not to be used.
  bool admit(const ipc::Event& event) noexcept;

  rte_ring* ring_;
  ControlCounters& counters_;
  std::optional<std::uint32_t> expected_;  // the next sequence number; none before the first event
  bool gap_ = false;
  std::array<ipc::Event, kBurst> burst_{};
};

}  // namespace pinhole::control
