// SPDX-License-Identifier: BSD-3-Clause
#pragma once
// TCP in the stage inspect: connections on ports of gateways go through the stream engine
// (alg/stream/engine.hpp). Their segments leave the burst here: what goes on is accounted for, translated and
// sent at once, in the order in which the engine says so, whether it came or was made. The session of a
// connection keeps account in the numbers that the inside knows, whichever way a segment goes.
//
// A connection is read from its SYN on. One that turned out to be something else passes like any other TCP;
// so does one that was met in the middle or found no place, unless its gateway is strict: then it is answered
// with a reset, or does not begin.

#include "dataplane/burst.hpp"
#include "dataplane/context.hpp"

namespace pinhole::dataplane {

/// \param place  of a TCP packet on the port of a gateway \param owner  whose
/// \param interfaces  by which it comes in and goes out, a bit each. Where the gateway is switched off a
/// connection that begins now is not read, and of one that is being read only what belongs to calls that live
/// \return whether the packet goes on in the burst; otherwise it was taken
bool inspect_segment(Burst& burst, unsigned place, alg::Direction direction, PortOwner owner,
                     std::uint16_t interfaces, WorkerContext& worker) noexcept;

/// Goes on with the connections that waited for an answer of another worker.
void resume_streams(Ticket ticket, WorkerContext& worker) noexcept;

/// Asks both ends of a connection that is read whether they are there. \return segments sent
unsigned ask_ends(StreamEntry& entry, WorkerContext& worker) noexcept;

/// What time brings: bytes that are sent again, messages that waited for too long, connections that are over.
void tick_streams(WorkerContext& worker) noexcept;

}  // namespace pinhole::dataplane
