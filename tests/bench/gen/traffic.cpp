// SPDX-License-Identifier: BSD-3-Clause
#include "tests/bench/gen/traffic.hpp"

#include <algorithm>
#include <stdexcept>

#include "dataplane/mbuf_view.hpp"

#include <rte_cycles.h>

namespace pinhole::gen {

namespace {

constexpr unsigned kWarmUpRounds = 5;
constexpr unsigned kQuietMs = 50;    // nothing comes back any more
constexpr unsigned kDrainMs = 1000;  // and that is the end of it

}  // namespace

Traffic::Traffic(Parts parts)
    : parts_(std::move(parts)),
      hz_(static_cast<double>(rte_get_tsc_hz())),
      lanes_{Lane{.from = &parts_.inside,
                  .to = &parts_.outside,
                  .maker = &parts_.makers[0],
                  .checker = {Direction::outbound, parts_.device, parts_.makers[0].size(), parts_.flows},
                  .result = {}},
             Lane{.from = &parts_.outside,
                  .to = &parts_.inside,
                  .maker = &parts_.makers[1],
                  .checker = {Direction::inbound, parts_.device, parts_.makers[1].size(), parts_.flows},
                  .result = {}}},
      random_(0x9E3779B97F4A7C15) {
}

std::uint32_t Traffic::next_flow() noexcept {
  const auto flows = static_cast<std::uint32_t>(parts_.flows.size());
  if (parts_.order == Order::sequence) return next_in_order_++ % flows;
  random_ = random_ * 6364136223846793005U + 1442695040888963407U;  // Knuth's MMIX
  return static_cast<std::uint32_t>((random_ >> 32U) * flows >> 32U);
}

void Traffic::restart() noexcept {
  latest_cycles_ = 0;
  for (auto& lane : lanes_) {
    lane.checker.restart(lane.next_sequence);
    lane.due = 0;
    lane.result = {};
  }
}

void Traffic::write(Lane& lane, std::span<const std::uint32_t> numbers) {
  const auto mbufs = std::span(lane.pending).subspan(lane.pending_size, numbers.size());
  for (const std::uint32_t number : numbers) rte_prefetch0(&parts_.flows[number]);
  if (rte_pktmbuf_alloc_bulk(parts_.pool, mbufs.data(), static_cast<unsigned>(mbufs.size())) != 0) {
    throw std::runtime_error("out of packet buffers: the link does not give them back");
  }
  for (rte_mbuf* mbuf : mbufs) rte_prefetch0(dataplane::bytes_of(mbuf));
  const std::uint64_t stamp = rte_rdtsc();
  for (std::size_t i = 0; i < mbufs.size(); ++i) {
    dataplane::resize(mbufs[i], static_cast<std::uint16_t>(lane.maker->size()));
    lane.maker->write(dataplane::bytes_of(mbufs[i]), parts_.flows[numbers[i]], numbers[i],
                      lane.next_sequence++, stamp);
  }
  lane.pending_size += static_cast<unsigned>(numbers.size());
}

/// \param keep  what the link does not take waits for the next call; otherwise it is refused
void Traffic::send(Lane& lane, bool keep) noexcept {
  const auto pending = std::span(lane.pending).first(lane.pending_size);
  const unsigned taken = lane.from->send(pending);
  lane.result.sent += taken;
  if (keep) {
    std::ranges::move(pending.subspan(taken), lane.pending.begin());
    lane.pending_size -= taken;
    return;
  }
  lane.result.refused += pending.size() - taken;
  if (taken < pending.size()) {
    rte_pktmbuf_free_bulk(pending.data() + taken, static_cast<unsigned>(pending.size() - taken));
  }
  lane.pending_size = 0;
}

void Traffic::send_paced(Lane& lane, double pps, std::uint64_t elapsed) {
  const auto due = static_cast<std::uint64_t>(static_cast<double>(elapsed) * pps / hz_);
  if (due <= lane.due) return;
  std::uint64_t behind = due - lane.due;
  latest_cycles_ =
      std::max(latest_cycles_, static_cast<std::uint64_t>(static_cast<double>(behind) / pps * hz_));
  const auto most = static_cast<std::uint64_t>(pps * kMaxBehindMs / 1000) + kBurst;
  if (behind > most) {
    lane.result.skipped += behind - most;
    lane.due += behind - most;
    behind = most;
  }
  const auto size = static_cast<std::size_t>(std::min<std::uint64_t>(behind, kBurst));
  std::array<std::uint32_t, kBurst> numbers;
  for (std::size_t i = 0; i < size; ++i) numbers[i] = next_flow();
  lane.due += size;
  write(lane, std::span(numbers).first(size));
  send(lane, false);
}

void Traffic::receive(Lane& lane) noexcept {
  std::array<rte_mbuf*, kBurst> mbufs;
  const unsigned size = lane.to->receive(mbufs);
  if (size == 0) return;
  for (unsigned i = 0; i < size; ++i) {
    if (mbufs[i]->data_len >= kMinFrame) {
      rte_prefetch0(&parts_.flows[lane.checker.flow_of(dataplane::bytes_of(mbufs[i]))]);
    }
  }
  const std::uint64_t now = rte_rdtsc();
  for (unsigned i = 0; i < size; ++i) {
    const auto frame = dataplane::frame_of(mbufs[i]);
    if (lane.checker.take(frame)) lane.result.latency.add(now - Checker::stamp_of(frame));
  }
  rte_pktmbuf_free_bulk(mbufs.data(), size);
}

bool Traffic::all_back() const noexcept {
  return std::ranges::all_of(lanes_, [](const Lane& lane) {
    const auto& arrivals = lane.checker.arrivals();
    return arrivals.received + arrivals.faulty() >= lane.result.sent;
  });
}

void Traffic::drain() {
  const auto ms = static_cast<std::uint64_t>(hz_ / 1000);
  const std::uint64_t begin = rte_rdtsc();
  std::uint64_t heard = begin;
  std::uint64_t before = 0;
  while (!all_back()) {
    for (auto& lane : lanes_) receive(lane);
    const std::uint64_t now = rte_rdtsc();
    const std::uint64_t count = lanes_[0].checker.arrivals().received + lanes_[1].checker.arrivals().received;
    if (count != before) heard = now;
    before = count;
    if (now - heard > kQuietMs * ms || now - begin > kDrainMs * ms) break;
  }
  for (auto& lane : lanes_) {
    if (lane.pending_size > 0) rte_pktmbuf_free_bulk(lane.pending.data(), lane.pending_size);
    lane.pending_size = 0;
    lane.result.arrivals = lane.checker.arrivals();
  }
}

std::uint32_t Traffic::warm_up(double pps, TrialResult& result) {
  auto& lane = lanes_[static_cast<std::size_t>(Direction::outbound)];
  restart();
  for (unsigned round = 0; round < kWarmUpRounds; ++round) {
    std::vector<std::uint32_t> unknown;
    for (std::uint32_t i = 0; i < parts_.flows.size(); ++i) {
      if (!parts_.flows[i].known()) unknown.push_back(i);
    }
    if (unknown.empty()) break;
    const std::uint64_t begin = rte_rdtsc();
    for (std::size_t at = 0; at < unknown.size();) {
      const auto due = static_cast<double>(rte_rdtsc() - begin) * pps / hz_;
      const auto size = std::min<std::size_t>(unknown.size() - at, kBurst);
      for (auto& each : lanes_) receive(each);
      if (due < static_cast<double>(at + size)) continue;
      write(lane, std::span(unknown).subspan(at, size));
      send(lane, false);
      at += size;
    }
    drain();
  }
  for (std::size_t d = 0; d < kDirections; ++d) result.directions[d] = lanes_[d].result;
  return static_cast<std::uint32_t>(
      std::ranges::count_if(parts_.flows, [](const Flow& flow) { return !flow.known(); }));
}

TrialResult Traffic::run(const TrialPlan& plan) {
  restart();
  const auto length = static_cast<std::uint64_t>(plan.seconds * hz_);
  const std::uint64_t begin = rte_rdtsc();
  std::uint64_t elapsed = 0;
  std::array<std::uint32_t, kBurst> numbers;
  while ((elapsed = rte_rdtsc() - begin) < length) {
    for (std::size_t d = 0; d < kDirections; ++d) {
      Lane& lane = lanes_[d];
      if (plan.flood[d]) {
        const std::size_t room = kBurst - lane.pending_size;
        for (std::size_t i = 0; i < room; ++i) numbers[i] = next_flow();
        if (room > 0) write(lane, std::span(numbers).first(room));
        send(lane, true);
      } else if (plan.pps[d] > 0) {
        send_paced(lane, plan.pps[d], elapsed);
      }
    }
    for (auto& lane : lanes_) receive(lane);
  }
  drain();
  TrialResult result;
  result.seconds = static_cast<double>(elapsed) / hz_;
  result.latest_cycles = latest_cycles_;
  for (std::size_t d = 0; d < kDirections; ++d) result.directions[d] = lanes_[d].result;
  return result;
}

}  // namespace pinhole::gen
