// SPDX-License-Identifier: BSD-3-Clause
#pragma once
// One capture: from the workers' rings of copies, through the filter, into a pcapng file. Invariant: the data
// plane copies only while a capture runs: it is promised a little time again and again, so that it stops by
// itself when control is killed. A capture ends by its time, its number of packets, the size of its file, a
// word, when nobody asks after it who said that somebody would, and with control. Thread: control's.

#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "control/capture/filter.hpp"
#include "control/dataplane_clock.hpp"
#include "control/model.hpp"
#include "control/worker_link.hpp"
#include "dataplane/ipc/layout.hpp"

namespace pinhole::control {

class Capture {
 public:
  /// How long the data plane goes on when control does not.
  static constexpr std::chrono::seconds kPromise{2};
  /// A capture that somebody attends ends when nobody asks for so long.
  static constexpr std::chrono::seconds kUnattended{10};
  /// Copies that wait for the filter to be looked after.
  static constexpr std::size_t kMostWaiting = std::size_t{32} << 20U;

  /// Adds to the filter what belongs to it now: a flow may be made by the very packet that is looked at.
  using Refresh = std::function<void(CaptureFilter&)>;

  /// Everything outlives the capture. Ends what an earlier control has left.
  Capture(const ipc::Layout& layout, const DataplaneClock& clock) noexcept;
  Capture(const Capture&) = delete;
  Capture& operator=(const Capture&) = delete;
  ~Capture();

  /// \param refresh null: everything is kept.
  /// Errors: conflict when one runs or the file exists; range for a file that cannot be made; unavailable.
  Result<void> start(const CaptureOrder& order, Refresh refresh, Moment now);
  /// Writes what there is, and ends.
  void stop(Moment now);

  /// Takes copies off the rings. Called as often as events are.
  void drain(Moment now);
  /// Writes them, and looks whether it is over. Called a few times a second.
  void run(Moment now);

  /// \param now at which somebody asks after it.
  [[nodiscard]] CaptureRow row(Moment now);

 private:
  struct Frame {
    std::uint64_t tsc = 0;
    std::size_t number = 0;  // of those that wait
    std::uint32_t interface = 0;
    std::uint32_t frame_bytes = 0;
    bool sent = false;
    std::vector<std::byte> bytes;
  };

  [[nodiscard]] bool is_running() const noexcept { return file_ >= 0; }
  Result<void> open(const std::string& path);
  bool begin_file();
  void take(const ipc::CapturedFrame& frame);
  [[nodiscard]] std::optional<std::uint32_t> interface_of(const ipc::CapturedFrame& frame) const;
  void write_waiting(Moment now);
  bool write(const std::string& bytes);
  void promise(std::chrono::seconds time) noexcept;
  [[nodiscard]] std::uint64_t lost() const noexcept;
  void end(const char* why, Moment now);

  const ipc::Layout& layout_;
  const DataplaneClock& clock_;
  CaptureOrder order_;
  Refresh refresh_;
  CaptureFilter filter_;
  CaptureRow row_;
  int file_ = -1;
  std::vector<Frame> waiting_;
  std::size_t waiting_bytes_ = 0;
  std::uint64_t begun_tsc_ = 0;
  std::uint64_t lost_before_ = 0;
  Steady begun_{};
  Steady asked_{};
};

}  // namespace pinhole::control
