// SPDX-License-Identifier: BSD-3-Clause
#pragma once
// Messages of gateways that are larger than a packet: those that come in fragments, and those that outgrow
// the MTU when they are edited (RFC 3261 section 18.1.1: up to 65,535 bytes over UDP).
//
// Theory of operation. The fragments of a message are known to be of its flow when they get to the stage
// inspect (dataplane/fragments.hpp), and wait there for each other (nat/reassembly.hpp). When all are there
// they become a list by rte_mbuf::next, which is how they are held, parked and dropped; a list is never sent.
// The message is written as one into the worker's own memory and shown to its gateway. If nothing is to be
// edited, the fragments go on as they came, bit for bit (AC-04). If something is, the edited message is cut
// again: into one packet if that fits the way out, else into fragments that are no larger than those that
// came.
//
// What goes on is marked MbufMark::kInspected and handed to this worker by the ring between workers, like
// fragments that had to wait for their flow: it starts at the first stage again, passes inspect() and is
// translated and sent like any packet.
//
// A message that came as one packet and outgrows its way out goes on in fragments if its sender allows it.
// If not, the sender is told an MTU with which its next try will fit (RFC 1191), unless sip.ignore_df says
// that phones are not to be trusted with that. Nothing is lost without somebody being told.

#include <span>

#include "alg/alg.hpp"
#include "dataplane/context.hpp"
#include "dataplane/mbuf_view.hpp"

namespace pinhole::dataplane {

/// Whether a packet is, or is part of, a message that a gateway has seen.
[[nodiscard]] inline bool is_inspected(const rte_mbuf* mbuf) noexcept {
  return (mbuf->port & MbufMark::kInspected) != 0;
}

/// Takes a fragment of a message. \return all of the message's, as a list, when they are there; else nullptr
[[nodiscard]] rte_mbuf* gather_message(Burst& burst, unsigned place, alg::Direction direction,
                                       WorkerContext& worker) noexcept;

/// Writes a message as one datagram, without a link header, into the worker's memory.
/// \param packet  on return: the datagram that lies there
/// Errors: the reason to drop a message that its fragments do not make
[[nodiscard]] nat::DropReason write_whole(const rte_mbuf* message, nat::Packet& packet,
                                          WorkerContext& worker) noexcept;

/// Sends the fragments of a message on as they came.
void pass_message(rte_mbuf* message, WorkerContext& worker) noexcept;

/// Applies the worker's edits to a message and sends it on, in as many packets as it takes. Ends the
/// inspection. \param message  a packet, or a list that write_whole() has written
/// \param place  in the burst: a packet of the message; its hop is that of the message
/// \param packet what is in the worker's memory, or of the burst
/// \param too_big  why it is dropped when it is too large for a datagram
void send_edited(Burst& burst, unsigned place, rte_mbuf* message, const nat::Packet& packet,
                 nat::DropReason too_big, WorkerContext& worker) noexcept;

/// Drops all fragments of a message, each of them counted.
void drop_message(rte_mbuf* message, nat::DropReason reason, WorkerContext& worker) noexcept;

/// Once a tick: gives up what has waited for the rest of its message for too long.
void expire_messages(WorkerContext& worker, std::uint32_t budget) noexcept;

}  // namespace pinhole::dataplane
