// SPDX-License-Identifier: BSD-3-Clause
#pragma once
// The workers' counter blocks, and control's own, as rows. Invariant: every counter of every list is there,
// in the order of its list, with its name and help. Nothing is kept.

#include <cstdint>
#include <vector>

#include "control/attach.hpp"
#include "control/counters.hpp"
#include "control/model.hpp"
#include "dataplane/stats.hpp"

namespace pinhole::control {

class StatsReader {
 public:
  /// Both outlive the reader.
  StatsReader(const Attachment& attachment, const ControlCounters& own) noexcept
      : attachment_(attachment), own_(own) {}

  [[nodiscard]] std::vector<CounterRow> counters() const;
  [[nodiscard]] std::vector<WorkerRow> workers() const;

  /// Over all workers.
  [[nodiscard]] std::uint64_t total(nat::Counter counter) const noexcept;
  [[nodiscard]] std::uint64_t total(dataplane::WorkerCounter counter) const noexcept;

 private:
  [[nodiscard]] std::uint32_t worker_count() const noexcept { return attachment_.layout->worker_count; }
  [[nodiscard]] const dataplane::WorkerStats& of(std::uint32_t worker) const noexcept {
    return *attachment_.layout->workers[worker].stats;
  }
  template <typename Enum>
  void append(std::vector<CounterRow>& rows, const char* module,
              nat::CounterBlock<Enum> dataplane::WorkerStats::* block) const;
  void append_gauges(std::vector<CounterRow>& rows) const;

  const Attachment& attachment_;
  const ControlCounters& own_;
};

}  // namespace pinhole::control
