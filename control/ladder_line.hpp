// SPDX-License-Identifier: BSD-3-Clause
#pragma once
// What events tell of a message, as the value that is kept and shown (LadderLine in model.hpp).

#include <cstddef>
#include <vector>

#include "control/model.hpp"
#include "dataplane/ipc/event.hpp"

namespace pinhole::control {

/// \param event  of type sip_message
[[nodiscard]] LadderLine ladder_line(const ipc::Event& event, Time when);

/// Adds what was done to a message. \param room  records that there may be more, at most
void add_why(std::vector<WhyLine>& why, const ipc::SipWhyEvent& told, std::size_t room);

}  // namespace pinhole::control
