// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/worker.hpp"

#include <sched.h>
#include <time.h>

#include "dataplane/housekeeping.hpp"
#include "dataplane/pipeline.hpp"

#include <rte_ethdev.h>
#include <rte_pause.h>
#include <rte_ring.h>

namespace pinhole::dataplane {

namespace {

/// Idle turns before a yielding worker sleeps, and for how long: short against the 20 ms between RTP packets.
constexpr unsigned kTurnsBeforeSleep = 32;
constexpr long kSleepNs = 100'000;

}  // namespace

Worker::Worker(WorkerContext& context, std::span<const RxQueue> queues, bool yields) noexcept
    : context_(context), queues_(queues), yields_(yields) {
}

void Worker::run(const std::atomic<bool>& stop) noexcept {
  while (!stop.load(std::memory_order_relaxed)) {
    const bool busy = turn() > 0;
    context_.stats.worker.add(busy ? WorkerCounter::turns_busy : WorkerCounter::turns_idle);
    if (busy) {
      idle_turns_ = 0;
    } else {
      rest();
    }
  }
}

unsigned Worker::turn() noexcept {
  const bool tick_began = context_.clock.update();
  const unsigned taken = take_from_ports() + take_from_workers();
  answer_workers(burst_, context_);
  if (tick_began) begin_tick(context_);
  keep_house(context_);
  return taken + context_.transmitter.flush();
}

unsigned Worker::take_from_ports() noexcept {
  unsigned taken = 0;
  for (const auto& queue : queues_) {
    burst_.size = rte_eth_rx_burst(queue.port, queue.queue, burst_.mbufs.data(), kBurst);
    if (burst_.size == 0) continue;
    context_.stats.worker.add(WorkerCounter::rx_packets, burst_.size);
    taken += burst_.size;
    context_.express.forward_received(burst_, queue.port, context_);
    if (burst_.size > 0) run_pipeline(burst_, context_);
  }
  return taken;
}

unsigned Worker::take_from_workers() noexcept {
  rte_ring* const ring = context_.network.rings[context_.index].packets;
  burst_.size = static_cast<std::uint16_t>(
      rte_ring_dequeue_burst(ring, reinterpret_cast<void**>(burst_.mbufs.data()), kBurst, nullptr));
  if (burst_.size == 0) return 0;
  const unsigned taken = burst_.size;
  context_.stats.worker.add(WorkerCounter::handoff_in, taken);
  context_.express.forward_handed_over(burst_, context_);
  if (burst_.size > 0) run_pipeline(burst_, context_);
  return taken;
}

void Worker::rest() noexcept {
  if (!yields_) return rte_pause();
  if (++idle_turns_ < kTurnsBeforeSleep) {
    sched_yield();
    return;
  }
  const timespec nap{0, kSleepNs};
  nanosleep(&nap, nullptr);
}

}  // namespace pinhole::dataplane
