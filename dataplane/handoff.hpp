// SPDX-License-Identifier: BSD-3-Clause
#pragma once
// Handing packets to the worker that owns their flow: collected while a burst is classified, pushed at its
// end, one ring operation a worker.

#include <array>
#include <utility>

#include "dataplane/ipc/layout.hpp"
#include "dataplane/network.hpp"
#include "dataplane/transmitter.hpp"

namespace pinhole::dataplane {

class Handoff {
 public:
  Handoff(const Network& network, WorkerStats& stats) noexcept : network_(network), stats_(stats) {}

  void add(unsigned worker, rte_mbuf* mbuf) noexcept {
    auto& queue = queues_[worker];
    queue.mbufs[queue.size++] = mbuf;
    pending_ = true;
    if (queue.size == kBurst) flush(worker);
  }
  void flush() noexcept {
    if (!pending_) return;
    for (unsigned worker = 0; worker < network_.rings.size(); ++worker) {
      if (queues_[worker].size > 0) flush(worker);
    }
    pending_ = false;
  }

 private:
  struct Queue {
    unsigned size = 0;
    std::array<rte_mbuf*, kBurst> mbufs;
  };
  void flush(unsigned worker) noexcept {
    auto& queue = queues_[worker];
    const unsigned size = std::exchange(queue.size, 0U);
    const unsigned taken = rte_ring_enqueue_burst(
        network_.rings[worker].packets, reinterpret_cast<void**>(queue.mbufs.data()), size, nullptr);
    stats_.worker.add(WorkerCounter::handoff_out, taken);
    if (taken == size) return;
    stats_.drops.add(nat::DropReason::drop_handoff_full, size - taken);
    rte_pktmbuf_free_bulk(queue.mbufs.data() + taken, size - taken);
  }

  const Network& network_;
  WorkerStats& stats_;
  std::array<Queue, ipc::kMaxWorkers> queues_{};  // by worker
  bool pending_ = false;
};

}  // namespace pinhole::dataplane
