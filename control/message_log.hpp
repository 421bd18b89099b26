// SPDX-License-Identifier: BSD-3-Clause
#pragma once
// The last SIP messages that belong to no call, or were dropped: workers tell of them while sip.why is set.
// They are kept by nothing else, and are gone with control. Thread: one.

#include <cstddef>
#include <deque>

#include "control/ladder_line.hpp"
#include "control/model.hpp"
#include "dataplane/ipc/event.hpp"

namespace pinhole::control {

class MessageLog {
 public:
  static constexpr std::size_t kKept = 1000;
  static constexpr std::size_t kWhyLines = 128;  // of a message

  void on_event(const ipc::Event& event, Time when);

  /// \return the newest first
  [[nodiscard]] Paged<MessageRow> rows(const MessageFilter& filter, Page page) const;

 private:
  void on_message(const ipc::Event& event, Time when);
  void on_why(const ipc::Event& event);

  std::deque<MessageRow> rows_;  // the oldest first
};

}  // namespace pinhole::control
