// SPDX-License-Identifier: BSD-3-Clause
#pragma once
// The log of who had which external endpoint when: takes NAT records off the workers' rings, and writes them
// to a file and sends them to a collector, as the configuration says. Invariant: whatever the file does, the
// collector gets its records, and the other way round; a record that is lost on either way is counted, and
// what the file misses stands in it as soon as it can be written again. Thread: one.

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "control/counters.hpp"
#include "control/dataplane_clock.hpp"
#include "control/line_file.hpp"
#include "control/model.hpp"
#include "control/nat_log/ipfix.hpp"
#include "control/nat_log/json_lines.hpp"
#include "control/nat_log/record_reader.hpp"
#include "control/nat_log/udp_sender.hpp"
#include "control/worker_link.hpp"
#include "dataplane/config/structs.hpp"

namespace pinhole::control {

class NatLog {
 public:
  /// Of all workers in one drain(), so that clients are answered in a flood of records.
  static constexpr std::size_t kRecordsPerDrain = 8192;
  static constexpr int kLastDrains = 64;
  /// Lines that wait for the file. Beyond this records stay on the rings, or, when a collector wants them,
  /// are lost for the file.
  static constexpr std::size_t kMaxWaiting_bytes = std::size_t{16} << 20U;

  /// The counters outlive the log.
  NatLog(const config::Config& config, ControlCounters& counters);
  NatLog(const NatLog&) = delete;
  NatLog& operator=(const NatLog&) = delete;

  /// Begins to read, if anybody wants records: what nobody keeps stays on the rings, so that workers count
  /// what is lost. \param rings of ipc::NatRecord, one a worker; they outlive the log. None: the data plane
  /// records nothing. \param started when the data plane did.
  void attach(const std::vector<rte_ring*>& rings, Time started, Moment now);

  /// Writes and sends what waits on the rings.
  /// \return false when the rings are empty or have to wait for the file, true when there may be more at
  /// once.
  bool drain(const DataplaneClock& clock, Moment now);

  /// drain() until the rings are empty, but not more often than kLastDrains. For the end of the process.
  void drain_last(const DataplaneClock& clock, Moment now);

  /// Tries once more to write what waits, and says what is given up. For the end of the process.
  void close(Moment now);

  /// None when nobody wants records.
  [[nodiscard]] std::optional<NatLogRow> status() const;

 private:
  struct Worker {
    RecordReader reader;
    std::uint64_t lost = 0;  // that no line tells of yet
  };
  std::size_t drain(Worker& worker, const DataplaneClock& clock, Moment now, std::size_t limit);
  [[nodiscard]] bool is_waiting_for_file() const noexcept;
  void add_line(Worker& worker, const ipc::NatRecord& record, Time happened);
  void add_lost_lines(Moment now);
  void write_lines(Moment now);
  void tell_file_problem();
  void tell_collector_problem();

  ControlCounters& counters_;
  std::optional<LineFile> file_;
  JsonLines lines_;
  std::optional<UdpSender> sender_;
  std::optional<IpfixExporter> exporter_;
  std::vector<Worker> workers_;
  std::size_t first_ = 0;  // the worker whose turn it is to be first
  std::uint64_t failures_counted_ = 0;
  bool file_fails_ = false;  // as the log was told
  bool collector_fails_ = false;
};

}  // namespace pinhole::control
