// SPDX-License-Identifier: BSD-3-Clause
#include "control/stats_reader.hpp"

#include <numeric>
#include <string>

#include <rte_ring.h>

namespace pinhole::control {

namespace {

using dataplane::WorkerCounter;
using dataplane::WorkerStats;

template <typename Enum>
constexpr std::size_t kCount = nat::CounterTraits<Enum>::kInfo.size();

template <typename Enum>
CounterRow named(const char* module, Enum counter) {
  const auto& info = nat::CounterTraits<Enum>::kInfo[static_cast<std::size_t>(counter)];
  return {.module = module,
          .name = std::string(info.name),
          .help = std::string(info.help),
          .total = 0,
          .per_worker = {}};
}

void sum(CounterRow& row) {
  row.total = std::accumulate(row.per_worker.begin(), row.per_worker.end(), std::uint64_t{0});
}

std::uint64_t all_drops(const WorkerStats& stats) noexcept {
  std::uint64_t drops = 0;
  for (std::size_t i = 1; i < kCount<nat::DropReason>; ++i) {
    drops += stats.drops.read(static_cast<nat::DropReason>(i));
  }
  return drops;
}

}  // namespace

template <typename Enum>
void StatsReader::append(std::vector<CounterRow>& rows, const char* module,
                         nat::CounterBlock<Enum> WorkerStats::* block) const {
  for (std::size_t i = 0; i < kCount<Enum>; ++i) {
    const auto counter = static_cast<Enum>(i);
    if constexpr (std::is_same_v<Enum, nat::DropReason>) {
      if (counter == nat::DropReason::none) continue;
    }
    auto& row = rows.emplace_back(named(module, counter));
    for (std::uint32_t worker = 0; worker < worker_count(); ++worker) {
      row.per_worker.push_back((of(worker).*block).read(counter));
    }
    sum(row);
  }
}

std::vector<CounterRow> StatsReader::counters() const {
  std::vector<CounterRow> rows;
  append(rows, "drop", &WorkerStats::drops);
  append(rows, "nat", &WorkerStats::nat);
  append(rows, "alg", &WorkerStats::alg);
  append(rows, "worker", &WorkerStats::worker);
  for (std::size_t i = 0; i < kCount<ControlCounter>; ++i) {
    auto& row = rows.emplace_back(named("control", static_cast<ControlCounter>(i)));
    row.total = own_.read(static_cast<ControlCounter>(i));
  }
  append_gauges(rows);
  return rows;
}

void StatsReader::append_gauges(std::vector<CounterRow>& rows) const {
  rows.push_back({.module = "control",
                  .name = "mbufs_in_use",
                  .help = "packet buffers taken from the pool now",
                  .total = attachment_.layout->mbufs_in_use.load(std::memory_order_relaxed),
                  .per_worker = {}});
  CounterRow events{.module = "control",
                    .name = "event_waiting",
                    .help = "events that wait on the rings now",
                    .total = 0,
                    .per_worker = {}};
  CounterRow commands{.module = "control",
                      .name = "command_waiting",
                      .help = "commands that wait on the rings now",
                      .total = 0,
                      .per_worker = {}};
  CounterRow records{.module = "control",
                     .name = "record_waiting",
                     .help = "NAT records that wait on the rings now",
                     .total = 0,
                     .per_worker = {}};
  for (std::uint32_t worker = 0; worker < worker_count(); ++worker) {
    events.per_worker.push_back(rte_ring_count(attachment_.events[worker]));
    commands.per_worker.push_back(rte_ring_count(attachment_.commands[worker]));
    const bool are_wanted = !attachment_.records.empty();
    records.per_worker.push_back(are_wanted ? rte_ring_count(attachment_.records[worker]) : 0);
  }
  sum(events);
  sum(commands);
  sum(records);
  rows.push_back(std::move(events));
  rows.push_back(std::move(commands));
  rows.push_back(std::move(records));
}

std::vector<WorkerRow> StatsReader::workers() const {
  std::vector<WorkerRow> rows;
  for (std::uint32_t worker = 0; worker < worker_count(); ++worker) {
    const auto& stats = of(worker);
    const auto& share = attachment_.layout->workers[worker];
    rows.push_back({.worker = worker,
                    .lcore = share.lcore,
                    .rx_packets = stats.worker.read(WorkerCounter::rx_packets),
                    .rx_bytes = stats.worker.read(WorkerCounter::rx_bytes),
                    .tx_packets = stats.worker.read(WorkerCounter::tx_packets),
                    .tx_bytes = stats.worker.read(WorkerCounter::tx_bytes),
                    .translated_out = stats.worker.read(WorkerCounter::translated_out),
                    .translated_in = stats.worker.read(WorkerCounter::translated_in),
                    .handoff_out = stats.worker.read(WorkerCounter::handoff_out),
                    .handoff_in = stats.worker.read(WorkerCounter::handoff_in),
                    .drops = all_drops(stats),
                    .mappings = stats.nat.read(nat::Counter::mapping_live),
                    .mapping_capacity = share.mapping_capacity,
                    .calls = stats.worker.read(WorkerCounter::call_live),
                    .pinholes = stats.worker.read(WorkerCounter::pinhole_live),
                    .registrations = stats.worker.read(WorkerCounter::registration_live),
                    .event_lost = stats.worker.read(WorkerCounter::event_lost),
                    .turns_busy = stats.worker.read(WorkerCounter::turns_busy),
                    .turns_idle = stats.worker.read(WorkerCounter::turns_idle)});
  }
  return rows;
}

std::uint64_t StatsReader::total(nat::Counter counter) const noexcept {
  std::uint64_t sum = 0;
  for (std::uint32_t worker = 0; worker < worker_count(); ++worker) sum += of(worker).nat.read(counter);
  return sum;
}

std::uint64_t StatsReader::total(WorkerCounter counter) const noexcept {
  std::uint64_t sum = 0;
  for (std::uint32_t worker = 0; worker < worker_count(); ++worker) sum += of(worker).worker.read(counter);
  return sum;
}

}  // namespace pinhole::control
