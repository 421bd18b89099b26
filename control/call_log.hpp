// SPDX-License-Identifier: BSD-3-Clause
#pragma once
// The log of calls: a line of JSON for every call that is over. Invariant: a record is written whole, or
// waits for a file that fails, up to a bound, or is counted as lost. Thread: one.

#include <cstdint>
#include <optional>
#include <string>

#include "control/call_store.hpp"
#include "control/counters.hpp"
#include "control/line_file.hpp"
#include "dataplane/config/structs.hpp"

namespace pinhole::control {

/// The line of a call that is over, with its end. Shape: docs/operations.md.
[[nodiscard]] std::string call_line(const CallRecord& call);

class CallLog {
 public:
  /// Lines that wait for a file that cannot be written.
  static constexpr std::size_t kMaxWaiting_bytes = std::size_t{16} << 20U;

  /// The counters outlive the log.
  CallLog(const config::CallLog& config, ControlCounters& counters);
  CallLog(const CallLog&) = delete;
  CallLog& operator=(const CallLog&) = delete;

  void add(const CallRecord& call);
  /// Writes what waits. To be called after every round in which there may be new records.
  void write(Steady now);
  /// Tries once more, and says what is given up. For the end of the process.
  void close(Steady now);

 private:
  void tell_problem();

  ControlCounters& counters_;
  std::optional<LineFile> file_;
  std::string lines_;
  std::uint64_t failures_counted_ = 0;
  bool fails_ = false;  // as the process log was told
};

}  // namespace pinhole::control
