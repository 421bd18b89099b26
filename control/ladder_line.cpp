// SPDX-License-Identifier: BSD-3-Clause
#include "control/ladder_line.hpp"

#include <string>

namespace pinhole::control {

LadderLine ladder_line(const ipc::Event& event, Time when) {
  const auto& message = event.sip;
  return {.time = when,
          .direction = message.direction,
          .status = message.status,
          .start = std::string(message.start.view()),
          .cseq = message.cseq,
          .has_sdp = message.has_sdp,
          .edits = message.edits,
          .inside = message.inside,
          .external = message.external,
          .remote = message.remote,
          .event = event.sequence,
          .why = {},
          .why_told = message.why};
}

void add_why(std::vector<WhyLine>& why, const ipc::SipWhyEvent& told, std::size_t room) {
  told.records.for_each([&](const ipc::WhyRecord& record) {
    if (room == 0) return;
    --room;
    why.push_back({.kind = record.kind,
                   .rule = record.rule,
                   .before = std::string(record.before),
                   .after = std::string(record.after)});
  });
}

}  // namespace pinhole::control
