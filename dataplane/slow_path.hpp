// SPDX-License-Identifier: BSD-3-Clause
#pragma once
// The slow path: packets for the appliance itself, and what it says to hosts on its own account: ARP, echo
// replies and ICMP errors. One a worker; only worker 0 gets ARP. Each function takes the packet.
//
// An error is about a packet as its sender sent it. Where the packet was translated before it turned out that
// it cannot go on (its next hop does not answer ARP), the error quotes what there is and comes in, marked
// MbufMark::kOwn, as if somebody behind that hop had sent it: then it is translated back like any other error
// and finds its way by the mapping, whoever owns that.

#include <cstddef>
#include <cstdint>
#include <span>

#include "dataplane/burst.hpp"
#include "dataplane/network.hpp"
#include "dataplane/transmitter.hpp"
#include "nat/drop_reason.hpp"
#include "nat/held_syn.hpp"
#include "nat/icmp_error.hpp"
#include "nat/packet.hpp"
#include "nat/rate_limit.hpp"

#include <rte_mempool.h>

namespace pinhole::dataplane {

struct WorkerContext;

class SlowPath {
 public:
  /// \param errors_per_s ICMP errors, echo replies and resets that this worker sends at most
  SlowPath(WorkerContext& worker, rte_mempool* packets, unsigned errors_per_s, std::uint64_t tsc_hz);

  /// Thread: worker 0.
  void arp(rte_mbuf* mbuf, const nat::Packet& packet, std::uint8_t arrival) noexcept;
  /// Sends an ARP request. Thread: worker 0.
  void ask_neighbor(const NeighborQuestion& question) noexcept;
  /// Answers an echo request; drops everything else.
  void for_ourselves(rte_mbuf* mbuf, const nat::Packet& packet, std::uint8_t arrival) noexcept;
  void ttl_expired(rte_mbuf* mbuf, const nat::Packet& packet, std::uint8_t arrival) noexcept;
  void no_route(rte_mbuf* mbuf, const nat::Packet& packet, std::uint8_t arrival) noexcept;
  /// A packet that may not be fragmented.
  void too_big(rte_mbuf* mbuf, const nat::Packet& packet, std::uint8_t arrival, std::uint16_t mtu) noexcept;
  /// A new flow that gets no mapping: its host is told when that is for want of ports (RFC 5508 REQ-8).
  void refused(rte_mbuf* mbuf, const nat::Packet& packet, std::uint8_t arrival,
               nat::DropReason reason) noexcept;
  /// A TCP segment of a connection that does not go on: its sender is told by a reset in the name of its
  /// receiver (RFC 9293 section 3.5.2).
  void reset(rte_mbuf* mbuf, const nat::Packet& packet, std::uint8_t arrival,
             nat::DropReason reason) noexcept;
  /// A packet on its way out whose next hop did not answer ARP (RFC 1812 section 4.3.3.1). Thread: worker 0.
  void neighbor_unresolved(rte_mbuf* mbuf) noexcept;
  /// A SYN that nobody asked for, after its six seconds (RFC 5382 REQ-4). The packet is gone already.
  void unsolicited(const nat::HeldSyn& syn) noexcept;
  /// Between two inside interfaces nothing is translated.
  void forward_inside(rte_mbuf* mbuf, const nat::Packet& packet, std::uint8_t arrival, Hop hop) noexcept;
  /// Translates an ICMP error about a packet of one of our flows, or hands it to the owner of that flow.
  void icmp_error(rte_mbuf* mbuf, const nat::Packet& packet, std::uint8_t arrival) noexcept;

 private:
  /// Drops a packet and tells its sender why, within the rate limit.
  void complain(rte_mbuf* mbuf, const nat::Packet& packet, std::uint8_t arrival, nat::DropReason reason,
                nat::IcmpError error) noexcept;
  void icmp_error_from_outside(rte_mbuf* mbuf, const nat::Packet& packet, std::uint8_t arrival) noexcept;
  void untranslated_icmp_error(rte_mbuf* mbuf, const nat::Packet& packet, const nat::EmbeddedFlow& about,
                               std::uint8_t arrival, bool inbound) noexcept;
  void icmp_error_from_inside(rte_mbuf* mbuf, const nat::Packet& packet, std::uint8_t arrival) noexcept;
  /// \param own  it is ours, so that the configuration may keep it from an interface (RFC 5508 REQ-9)
  void send_routed(rte_mbuf* mbuf, std::uint8_t l3_offset, nat::Ipv4Address destination, bool own) noexcept;
  /// An answer to a packet; one to an external address is for the host inside whose packet it was.
  void send_back(rte_mbuf* mbuf, std::uint8_t l3_offset, nat::Ipv4Address destination, bool own) noexcept;
  /// An ICMP error of ours, within the rate limit. \return nullptr when it may not be, or no buffer is free
  [[nodiscard]] rte_mbuf* make_error(std::span<const std::byte> about, nat::IcmpError error,
                                     std::uint8_t interface) noexcept;

  WorkerContext& worker_;
  rte_mempool* packets_;
  nat::RateLimit limit_;
  nat::RateLimit strangers_limit_;  // a part of the former, so that strangers cannot use it up
};

}  // namespace pinhole::dataplane
