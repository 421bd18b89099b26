// SPDX-License-Identifier: BSD-3-Clause
#include "control/message_log.hpp"

#include <algorithm>
#include <ranges>
#include <string>

namespace pinhole::control {

void MessageLog::on_event(const ipc::Event& event, Time when) {
  if (event.type == ipc::EventType::sip_message && event.sip.card == ipc::kNoCard) on_message(event, when);
  if (event.type == ipc::EventType::sip_why && event.why.card == ipc::kNoCard) on_why(event);
}

void MessageLog::on_message(const ipc::Event& event, Time when) {
  if (rows_.size() == kKept) rows_.pop_front();
  rows_.push_back({.line = ladder_line(event, when), .worker = event.worker, .drop = event.sip.drop});
}

/// What was done to a message comes right after it, but for what other workers tell meanwhile.
void MessageLog::on_why(const ipc::Event& event) {
  const auto newest_first = std::views::reverse(rows_);
  const auto found =
      std::ranges::find_if(newest_first, [&](const MessageRow& row) { return row.worker == event.worker; });
  if (found == newest_first.end() || found->line.event != event.why.message) return;
  add_why(found->line.why, event.why, kWhyLines - found->line.why.size());
}

Paged<MessageRow> MessageLog::rows(const MessageFilter& filter, Page page) const {
  Paged<MessageRow> paged;
  for (const auto& row : std::views::reverse(rows_)) {
    if (filter.dropped_only && row.drop == nat::DropReason::none) continue;
    if (filter.inside && !filter.inside->matches(row.line.inside)) continue;
    if (filter.remote && !filter.remote->matches(row.line.remote)) continue;
    if (paged.total++ < page.offset || paged.rows.size() == page.limit) continue;
    paged.rows.push_back(row);
  }
  return paged;
}

}  // namespace pinhole::control
