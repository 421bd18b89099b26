// SPDX-License-Identifier: BSD-3-Clause
#pragma once
// The counters of a worker, as they lie in shared memory: one block a module, written by the worker, read by
// all.

#include "alg/counters.hpp"
#include "nat/counters.hpp"
#include "nat/drop_reason.hpp"

namespace pinhole::dataplane {

#define PINHOLE_WORKER_COUNTERS(X)                                                                    \
  X(rx_packets, "packets received from ports")                                                        \
  X(rx_bytes, "bytes of frames received from ports")                                                  \
  X(tx_packets, "packets handed to ports")                                                            \
  X(tx_bytes, "bytes of frames handed to ports")                                                      \
  X(handoff_out, "packets handed to the worker that owns their flow")                                 \
  X(handoff_in, "packets taken over from other workers")                                              \
  X(hairpinned, "packets turned around at an external address of ours")                               \
  X(fragment_in, "fragments whose flow was found")                                                    \
  X(fragment_out, "fragments made of packets over the MTU of their way out")                          \
  X(fragment_waiting, "fragments that wait for the first one of their datagram now")                  \
  X(sip_reassembled, "SIP messages that came in fragments, put together to be read")                  \
  X(sip_fragment_waiting, "fragments of SIP messages that wait for the others now")                   \
  X(sip_refused, "SIP requests that the policy refused and Pinhole answered")                         \
  X(sip_bye_sent, "BYEs that Pinhole sent to end a call")                                             \
  X(sip_bye_again, "BYEs that Pinhole sent again, because nobody had answered")                       \
  X(sip_bye_answered, "BYEs of Pinhole that were answered")                                           \
  X(sip_bye_impossible, "sides of ended calls that got no BYE: too little was known or kept of them") \
  X(translated_out, "packets translated from inside to outside")                                      \
  X(translated_in, "packets translated from outside to inside")                                       \
  X(express, "of the packets translated, those of established flows that took the express path")      \
  X(hop_live, "next hops that are ready for the express path now, 3072 at most")                      \
  X(hop_reclaimed, "next hops that had gone and were forgotten to make room for others")              \
  X(arp_request_in, "ARP requests for our addresses, answered")                                       \
  X(arp_reply_in, "ARP replies taken")                                                                \
  X(arp_ignored, "ARP requests for addresses that are not ours")                                      \
  X(arp_request_out, "ARP requests sent")                                                             \
  X(echo_answered, "ICMP echo requests to our own addresses, answered")                               \
  X(icmp_error_out, "ICMP errors sent")                                                               \
  X(syn_held, "unsolicited SYNs from outside that wait for their six seconds to pass now")            \
  X(syn_held_full, "unsolicited SYNs from outside that found no place to wait: never answered")       \
  X(call_opened, "calls seen for the first time")                                                     \
  X(call_closed, "calls closed")                                                                      \
  X(call_live, "calls that exist now")                                                                \
  X(call_active, "calls that have not ended now")                                                     \
  X(call_table_full, "calls that found no free card; their media is refused")                         \
  X(registration_live, "registrations that exist now")                                                \
  X(registration_table_full, "registrations that found no free card")                                 \
  X(pinhole_opened, "media ports opened for calls")                                                   \
  X(pinhole_live, "media ports open now")                                                             \
  X(stream_live, "TCP connections that a gateway reads now")                                          \
  X(stream_table_full, "TCP connections for a gateway that found no place: not read, of FTP dropped") \
  X(stream_keep_alive, "keep-alives sent to the ends of connections in the name of the other end")    \
  X(gateway_flow_live, "flows of gateways that keep any (SIP does not) that exist now")               \
  X(gateway_flow_full, "flows of such gateways that found no place: not read, of FTP dropped")        \
  X(expectation_made, "flows that gateways announced")                                                \
  X(expectation_met, "announced flows that came")                                                     \
  X(expectation_expired, "announced flows that did not come in time")                                 \
  X(expectation_ended, "announced flows that ended with the flow that had announced them")            \
  X(expectation_full, "flows that could not be announced: no place, or too many of one flow or host") \
  X(expectation_live, "announced flows that are waited for or run now")                               \
  X(parked, "SIP messages that waited for another worker")                                            \
  X(source_live, "outside sources of SIP, SYNs or fragments that are remembered now")                 \
  X(source_known, "of these, those that have shown that they are who they say")                       \
  X(source_warned, "times that a source, subscriber or server came near a limit of protection")       \
  X(ban_made, "bans that this worker imposed")                                                        \
  X(ban_live, "bans that hold now")                                                                   \
  X(event_sent, "events put on the ring to control")                                                  \
  X(event_lost, "events lost because the ring to control was full")                                   \
  X(record_sent, "NAT records put on the ring to control")                                            \
  X(record_lost, "NAT records lost because the ring to control was full")                             \
  X(command_done, "commands of control carried out")                                                  \
  X(command_stale, "commands that were about a card or a ban that was gone already")                  \
  X(command_refused, "commands that were torn or of another ABI version")                             \
  X(turns_busy, "turns of the worker loop that found packets")                                        \
  X(turns_idle, "turns of the worker loop that found none")

enum class WorkerCounter : std::uint8_t { PINHOLE_WORKER_COUNTERS(PINHOLE_COUNTER_ENUMERATOR) };

}  // namespace pinhole::dataplane

template <>
struct pinhole::nat::CounterTraits<pinhole::dataplane::WorkerCounter> {
  static constexpr std::array kInfo = {PINHOLE_WORKER_COUNTERS(PINHOLE_COUNTER_INFO)};
};

namespace pinhole::dataplane {

struct WorkerStats {
  nat::CounterBlock<nat::DropReason> drops;
  nat::CounterBlock<nat::Counter> nat;
  nat::CounterBlock<alg::Counter> alg;
  nat::CounterBlock<WorkerCounter> worker;
};

}  // namespace pinhole::dataplane
