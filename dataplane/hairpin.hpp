// SPDX-License-Identifier: BSD-3-Clause
#pragma once
// Hairpinning: one inside host reaches another by its external endpoint (RFC 4787 REQ-9, RFC 5382 REQ-8, RFC
// 5508 REQ-7).
//
// Theory of operation. A packet from inside to an external address of ours goes through the pipeline like any
// outbound packet, so its source becomes the sender's external endpoint (REQ-9a). In place of being sent it
// is marked and handed to the worker that owns the port it is for, by the ring that all packets between
// workers take, this worker's own included. There it counts as a packet from outside: it is filtered,
// inspected, translated and sent in like any other. Invariant: a packet goes round once, because what is
// marked goes in or is dropped; and it loses one hop in all.

#include <cstdint>

#include "dataplane/context.hpp"
#include "dataplane/mbuf_view.hpp"
#include "nat/headers.hpp"
#include "nat/packet.hpp"
#include "nat/rewrite.hpp"

namespace pinhole::dataplane {

[[nodiscard]] inline bool is_hairpinned(const rte_mbuf* mbuf) noexcept {
  return (mbuf->port & MbufMark::kHairpinned) != 0;
}

/// Replaces what lies before the IPv4 header by a plain Ethernet header, whose addresses nobody reads.
inline void set_plain_link_header(rte_mbuf* mbuf, std::uint8_t l3_offset) noexcept {
  constexpr std::uint8_t kLinkHeader = sizeof(nat::EthernetHeader);
  if (l3_offset > kLinkHeader) rte_pktmbuf_adj(mbuf, static_cast<std::uint16_t>(l3_offset - kLinkHeader));
  if (l3_offset < kLinkHeader) rte_pktmbuf_prepend(mbuf, static_cast<std::uint16_t>(kLinkHeader - l3_offset));
  auto& ethernet = nat::header_at<nat::EthernetHeader>(bytes_of(mbuf), 0);
  ethernet = {};
  ethernet.ether_type = nat::Be16{nat::kEtherTypeIpv4};
}

/// Takes an IPv4 packet for an external address of ours, and gives it to a worker as one from outside.
/// \param marks      beside kHairpinned
inline void turn_around(rte_mbuf* mbuf, std::uint8_t l3_offset, unsigned owner, WorkerContext& worker,
                        std::uint16_t marks = 0) noexcept {
  set_plain_link_header(mbuf, l3_offset);
  mbuf->port = MbufMark::kHairpinned | marks;
  worker.stats.worker.add(WorkerCounter::hairpinned);
  worker.handoff.add(owner, mbuf);
}

/// The same for a packet that rewrite_outbound() has translated. \param source_port  that it got
inline void hairpin(rte_mbuf* mbuf, const nat::Packet& packet, nat::Be16 source_port,
                    WorkerContext& worker) noexcept {
  nat::take_back_hop(bytes_of(mbuf), packet.l3_offset);
  // Pings are rare, and whose they are is found out when they are looked at again.
  if (packet.protocol == nat::Protocol::icmp)
    return turn_around(mbuf, packet.l3_offset, worker.index, worker);
  const auto& steering = worker.network.steering;
  const auto pool_index = steering.pool_index(packet.destination.address);
  const unsigned owner =
      steering.owner_of_external(*pool_index, packet.protocol, packet.destination.port.host());
  if (packet.part == nat::FragmentPart::whole) return turn_around(mbuf, packet.l3_offset, owner, worker);
  note_of(mbuf).flow = {source_port, packet.destination.port, packet.icmp_type, packet.identification};
  turn_around(mbuf, packet.l3_offset, owner, worker, MbufMark::kKnownFragment);
}

/// Takes an ICMP error of our own about a packet that was translated before it turned out that it cannot be
/// sent: from here on it is one that came in by the interface where the packet was to leave, so that it is
/// translated as such a one and finds the packet's sender. \param mbuf  holds the IPv4 datagram and no link
/// header
inline void bring_in(rte_mbuf* mbuf, std::uint8_t interface, WorkerContext& worker) noexcept {
  set_plain_link_header(mbuf, 0);
  mbuf->port = MbufMark::kOwn | interface;
  worker.handoff.add(worker.index, mbuf);
}

}  // namespace pinhole::dataplane
