// SPDX-License-Identifier: BSD-3-Clause
#include "control/nat_log/record_reader.hpp"

#include <algorithm>

#include "dataplane/ipc/layout.hpp"

#include <rte_ring.h>
#include <rte_ring_peek.h>

namespace pinhole::control {

RecordReader::RecordReader(rte_ring* ring, std::uint32_t worker, ControlCounters& counters)
    : ring_(ring), worker_(worker), counters_(counters), burst_(kBurst) {
  // A control that was killed between peek() and done() left the ring half read; this gives it back whole.
  rte_ring_dequeue_elem_finish(ring_, 0);
}

std::span<const ipc::NatRecord> RecordReader::peek(std::size_t limit) noexcept {
  // A burst in which nothing can be used is not the end of the ring.
  while (true) {
    const auto wanted = static_cast<unsigned>(std::min(limit, burst_.size()));
    held_ = rte_ring_dequeue_burst_elem_start(ring_, burst_.data(), sizeof(ipc::NatRecord), wanted, nullptr);
    if (held_ == 0) return {};
    const auto end = burst_.begin() + held_;
    const auto used =
        std::remove_if(burst_.begin(), end, [this](const auto& record) { return !makes_sense(record); });
    const auto count = static_cast<std::size_t>(used - burst_.begin());
    counters_.add(ControlCounter::record_received, count);
    counters_.add(ControlCounter::record_refused, held_ - count);
    if (count > 0) return std::span(burst_).first(count);
    done();
  }
}

void RecordReader::done() noexcept {
  rte_ring_dequeue_elem_finish(ring_, held_);
  held_ = 0;
}

std::uint32_t RecordReader::missing_before(const ipc::NatRecord& record) noexcept {
  const auto missing = expected_ ? record.sequence - *expected_ : 0;
  expected_ = record.sequence + 1;
  counters_.add(ControlCounter::record_gap, missing);
  return missing;
}

bool RecordReader::makes_sense(const ipc::NatRecord& record) const noexcept {
  return record.abi_version == ipc::kAbiVersion && record.worker == worker_ &&
         record.record.type <= nat::RecordType::quota_exceeded &&
         static_cast<std::size_t>(record.record.protocol) < nat::kProtocols;
}

}  // namespace pinhole::control
