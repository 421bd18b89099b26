// SPDX-License-Identifier: BSD-3-Clause
#pragma once
// The way of a packet, as one figure: run_pipeline() is the calls below in this order, and each of them
// takes the whole burst. One a worker. A packet leaves the figure at the stage that drops it, answers it,
// parks it or hands it to another worker; what comes over from another worker starts at the first stage
// again, like a packet from a port, and finds that it is at home.
//
// Plain packets of established flows never get here: the express path (dataplane/express.hpp) takes them out
// of the burst before.
//
//     rx burst ─▶ parse ─▶ classify ─┬─▶ look up ─▶ inspect ─▶ translate ─▶ transmit ─▶ tx burst
//                                    ├─▶ slow path (ARP, echo, ICMP errors)           │
//                                    └─▶ another worker ◀───────────── hairpins ──────┘

#include "dataplane/burst.hpp"
#include "dataplane/context.hpp"

namespace pinhole::dataplane {

/// Finds the interface that each packet came in by, and what it is.
/// Drops what cannot be parsed or was not sent to us.
void parse(Burst& burst, WorkerContext& worker) noexcept;

/// Sorts the burst into lanes by direction, and finds the way out of outbound packets. What belongs to
/// another worker is handed over, what is for ourselves or not to be translated goes to the slow path.
void classify(Burst& burst, WorkerContext& worker) noexcept;

/// Finds the mapping of each packet; makes it for new outbound flows. Drops what has none or is not admitted.
void look_up(Burst& burst, WorkerContext& worker) noexcept;

/// Shows messages to their gateways, which edit them and open pinholes; one that another worker is to be
/// asked about is parked until it has answered.
void inspect(Burst& burst, WorkerContext& worker) noexcept;

/// Rewrites addresses, ports and checksums of what fits its way out, and notes on the mapping that it was
/// used.
void translate(Burst& burst, WorkerContext& worker) noexcept;

/// Gives the packets to the transmitter, and those for an external address of ours to whom they belong to.
void transmit(Burst& burst, WorkerContext& worker) noexcept;

/// Takes the burst's packets; none is left when this returns.
inline void run_pipeline(Burst& burst, WorkerContext& worker) noexcept {
  parse(burst, worker);
  classify(burst, worker);
  look_up(burst, worker);
  inspect(burst, worker);
  translate(burst, worker);
  transmit(burst, worker);
}

}  // namespace pinhole::dataplane
