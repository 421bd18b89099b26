// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/capture_tap.hpp"

#include <rte_malloc.h>

namespace pinhole::dataplane {

namespace {

bool is_wanted(const ipc::CaptureSwitch& wish, std::uint64_t tsc) noexcept {
  const auto until = wish.until_tsc.load(std::memory_order_acquire);
  return until != 0 && static_cast<std::int64_t>(until - tsc) > 0;
}

}  // namespace

void CaptureTap::follow(std::uint64_t tsc) {
  using ipc::CaptureState;
  auto& state = layout_.capture->state;
  const auto now = state.load(std::memory_order_relaxed);
  if (!retired_.empty()) free_retired();
  if (is_wanted(*layout_.capture, tsc)) {
    if (now != CaptureState::off) return;
    const bool installed = install();
    if (!installed) take_away();
    state.store(installed ? CaptureState::on : CaptureState::refused, std::memory_order_release);
  } else if (now != CaptureState::off) {
    take_away();
    state.store(CaptureState::off, std::memory_order_release);
  }
}

bool CaptureTap::install() {
  for (unsigned index = 0; index < ports_.size(); ++index) {
    if (!install_on(ports_[index], index)) return false;
  }
  return true;
}

bool CaptureTap::install_on(const Port& port, unsigned index) {
  const unsigned workers = layout_.worker_count;
  for (std::uint16_t queue = 0; queue < port.rx_queues; ++queue) {
    const unsigned worker = receiver_of(index, queue, workers);
    if (!add({.port = port.id, .queue = queue, .sends = false}, worker)) return false;
  }
  for (std::uint16_t queue = 0; queue < port.tx_queues; ++queue) {
    const unsigned worker = port.shared_tx == nullptr ? queue : port.tx_owner;
    if (!add({.port = port.id, .queue = queue, .sends = true}, worker)) return false;
  }
  return true;
}

bool CaptureTap::add(Callback callback, unsigned worker) {
  void* const ring = layout_.workers[worker].capture;
  callback.handle = callback.sends
                        ? rte_eth_add_tx_callback(callback.port, callback.queue, copy_sent, ring)
                        : rte_eth_add_first_rx_callback(callback.port, callback.queue, copy_received, ring);
  if (callback.handle == nullptr) return false;
  installed_.push_back(callback);
  return true;
}

void CaptureTap::take_away() {
  for (const auto& callback : installed_) {
    if (callback.sends) {
      rte_eth_remove_tx_callback(callback.port, callback.queue, callback.handle);
    } else {
      rte_eth_remove_rx_callback(callback.port, callback.queue, callback.handle);
    }
    retired_.push_back(callback);
  }
  installed_.clear();
  retired_turns_ = turns();
}

/// A turn that has begun after the callback was taken away does not see it.
void CaptureTap::free_retired() {
  constexpr std::uint64_t kTurns = 2;
  const auto now = turns();
  for (std::size_t worker = 0; worker < now.size(); ++worker) {
    if (now[worker] - retired_turns_[worker] < kTurns) return;
  }
  for (const auto& callback : retired_) rte_free(const_cast<rte_eth_rxtx_callback*>(callback.handle));
  retired_.clear();
}

std::vector<std::uint64_t> CaptureTap::turns() const {
  std::vector<std::uint64_t> turns;
  for (unsigned worker = 0; worker < layout_.worker_count; ++worker) {
    const auto& counters = layout_.workers[worker].stats->worker;
    turns.push_back(counters.read(WorkerCounter::turns_busy) + counters.read(WorkerCounter::turns_idle));
  }
  return turns;
}

}  // namespace pinhole::dataplane
