// SPDX-License-Identifier: BSD-3-Clause
#pragma once
// What a worker does between bursts: answers other workers, obeys control, frees what has expired. Everything
// has a budget, so that no turn is long: what does not fit waits for the next turn.

#include "dataplane/burst.hpp"
#include "dataplane/context.hpp"

namespace pinhole::dataplane {

/// Takes questions and answers of other workers, and inspects again the messages that waited for them.
/// \param burst free to use
void answer_workers(Burst& burst, WorkerContext& worker) noexcept;

/// Each turn: expired mappings, and on worker 0 the packets that wait for a neighbour.
void keep_house(WorkerContext& worker) noexcept;

/// Once a tick: the commands of control, calls and registrations that are overdue, parked messages that
/// waited too long, ARP.
void begin_tick(WorkerContext& worker) noexcept;

}  // namespace pinhole::dataplane
