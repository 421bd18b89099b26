// SPDX-License-Identifier: BSD-3-Clause
#pragma once
// The ring of NAT records of one worker. Invariant: records stay on the ring until the caller is done with
// them, so that what a killed control had read and not written is read again by the next one; twice is
// better than never. Records of another ABI version, or that make no sense, are skipped and counted.
// Thread: one.

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "control/counters.hpp"
#include "dataplane/ipc/nat_record.hpp"

struct rte_ring;

namespace pinhole::control {

class RecordReader {
 public:
  static constexpr std::size_t kBurst = 2048;

  /// \param ring of ipc::NatRecord with a single consumer; it and the counters outlive the reader.
  RecordReader(rte_ring* ring, std::uint32_t worker, ControlCounters& counters);

  /// The next records, good until done(). \return empty when the ring is.
  [[nodiscard]] std::span<const ipc::NatRecord> peek(std::size_t limit = kBurst) noexcept;
  /// Takes from the ring what peek() gave.
  void done() noexcept;

  /// How many records are missing in front of this one, the next in order. The first may have any number.
  [[nodiscard]] std::uint32_t missing_before(const ipc::NatRecord& record) noexcept;

  [[nodiscard]] std::uint32_t worker() const noexcept { return worker_; }

 private:
  [[nodiscard]] bool makes_sense(const ipc::NatRecord& record) const noexcept;

  rte_ring* ring_;
  std::uint32_t worker_;
  ControlCounters& counters_;
  std::optional<std::uint32_t> expected_;  // the next sequence number
  std::uint32_t held_ = 0;                 // records that peek() has read and that are still on the ring
  std::vector<ipc::NatRecord> burst_;
};

}  // namespace pinhole::control
