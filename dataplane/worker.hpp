// SPDX-License-Identifier: BSD-3-Clause
#pragma once
// A worker: one thread on its own lcore that takes packets from its queues through the pipeline, and between
// bursts does what time and the other threads ask of it. It shares nothing that it writes with another
// worker.

#include <atomic>
#include <span>

#include "dataplane/burst.hpp"
#include "dataplane/context.hpp"
#include "dataplane/port.hpp"

namespace pinhole::dataplane {

class Worker {
 public:
  /// \param queues outlive the worker.
  /// \param yields give the CPU away in idle turns (a lab), or spin (bare metal).
  Worker(WorkerContext& context, std::span<const RxQueue> queues, bool yields) noexcept;

  /// Runs until `stop` is set. Thread: the worker's own.
  void run(const std::atomic<bool>& stop) noexcept;

  /// One turn of the loop: every queue once, what other workers handed over, and a share of the housekeeping.
  /// \return packets taken, and frames sent for other workers.
  unsigned turn() noexcept;

 private:
  unsigned take_from_ports() noexcept;
  unsigned take_from_workers() noexcept;
  void rest() noexcept;

  WorkerContext& context_;
  std::span<const RxQueue> queues_;
  bool yields_;
  unsigned idle_turns_ = 0;
  Burst burst_;
};

}  // namespace pinhole::dataplane
