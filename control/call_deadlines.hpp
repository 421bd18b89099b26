// SPDX-License-Identifier: BSD-3-Clause
#pragma once
// When a call that was answered is to end although its parties do not end it. Everything is read off the card
// and the pinholes on it, so that after a restart of control the time goes on from where it was.

#include <chrono>
#include <cstdint>
#include <optional>

#include "control/worker_link.hpp"
#include "dataplane/config/structs.hpp"
#include "dataplane/ipc/call_state.hpp"
#include "dataplane/ipc/card.hpp"
#include "nat/tick.hpp"

namespace pinhole::control {

/// Answered, but neither media nor signalling, whatever the configuration says: what RFC 5382 REQ-5 gives a
/// silent TCP connection.
inline constexpr std::chrono::seconds kSilence{7440};
/// A call on hold is silent by agreement.
inline constexpr std::chrono::seconds kHeldSilence{24 * 3600};
/// The session timer of a call has run out: it ends, unless media passed within this time, after which a
/// way of media is given up that nobody holds open (nat.timeouts.media_s).
inline constexpr std::chrono::seconds kMediaIdle{120};

struct Deadline {
  nat::Tick at = 0;
  ipc::EndReason reason = ipc::EndReason::none;
};

/// The first of all that an answered call has, if nothing happens until then; there is always one.
[[nodiscard]] Deadline deadline_of(const ipc::CallCard& card, const MediaActivity& media,
                                   const config::Calls& calls) noexcept;

/// When media that is to flow has been silent for calls.media_inactivity_s; none when it may be silent, and
/// when it is shut already.
[[nodiscard]] std::optional<nat::Tick> silent_at(const ipc::CallCard& card, const MediaActivity& media,
                                                 const config::Calls& calls) noexcept;

}  // namespace pinhole::control
