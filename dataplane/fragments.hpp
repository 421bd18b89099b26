// SPDX-License-Identifier: BSD-3-Clause
#pragma once
// Fragments in the pipeline (RFC 4787 REQ-14): how those of one datagram meet, and how they go on.
//
// Theory of operation. From inside, all fragments of a datagram go to the owner of their source, like any
// packet. From outside they go to a worker that is computed from what they have in common, because nothing
// else is known of a later one. That worker's table (nat/fragment.hpp) tells their ports; they are written in
// the packet's note, the packet is marked, and from then on it is a packet of its flow, at home with the
// owner of that flow. What had to wait for its first fragment is marked likewise and handed to the owner by
// the ring between workers, behind the first one, even if the owner is this worker.
//
// The mark is in mbuf->port, which receiving sets anew, so that no frame can bring it.

#include "dataplane/context.hpp"
#include "dataplane/mbuf_view.hpp"
#include "nat/fragment.hpp"
#include "nat/headers.hpp"
#include "nat/ownership.hpp"

namespace pinhole::dataplane {

[[nodiscard]] inline bool is_known_fragment(const rte_mbuf* mbuf) noexcept {
  return (mbuf->port & MbufMark::kKnownFragment) != 0;
}
/// Marks a fragment with the flow that it belongs to.
inline void mark_known(rte_mbuf* mbuf, const nat::FragmentFlow& flow) noexcept {
  note_of(mbuf).flow = flow;
  mbuf->port |= MbufMark::kKnownFragment;
}

/// The worker where fragments of a datagram meet.
[[nodiscard]] inline unsigned owner_of_fragment(const nat::Packet& packet, bool from_inside,
                                                const Steering& steering) noexcept {
  if (from_inside) return steering.owner_of_inside(packet.source.address);
  return nat::owner_of_fragment(packet.source.address, packet.destination.address, packet.identification,
                                steering.workers());
}

/// The worker that a fragment which had to wait goes to.
[[nodiscard]] inline unsigned owner_of_flow(const nat::DatagramKey& key, const nat::FragmentFlow& flow,
                                            const WorkerContext& worker) noexcept {
  const auto& steering = worker.network.steering;
  const auto pool_index = key.from_inside ? std::nullopt : steering.pool_index(key.destination);
  if (!pool_index) return worker.index;
  return steering.owner_of_external(*pool_index, key.protocol, flow.destination_port.host());
}

/// Takes a fragment whose flow is not known yet. If it becomes known, `go_on(place)` is called, and the
/// packet in the place is of kind flow; otherwise the packet waits, is with another worker, or was dropped.
template <typename GoOn>
void take_fragment(Burst& burst, unsigned place, WorkerContext& worker, GoOn&& go_on) noexcept {
  auto& packet = burst.packets[place];
  rte_mbuf* const mbuf = burst.mbufs[place];
  const bool from_inside = worker.network.interfaces[burst.arrival[place]].inside;
  const unsigned owner = owner_of_fragment(packet, from_inside, worker.network.steering);
  if (owner != worker.index) return worker.handoff.add(owner, mbuf);

  if (!from_inside && !worker.guard.admits_fragment(packet.source.address))
    return worker.transmitter.drop(mbuf, nat::DropReason::drop_fragment_rate);
  const nat::DatagramKey key{packet.source.address, packet.destination.address, packet.identification,
                             packet.protocol, from_inside};
  const auto range = nat::fragment_range(nat::header_at<nat::Ipv4Header>(bytes_of(mbuf), packet.l3_offset));
  const auto pass = [&](void* passing, const nat::FragmentFlow& flow) noexcept {
    auto* const passing_mbuf = static_cast<rte_mbuf*>(passing);
    worker.stats.worker.add(WorkerCounter::fragment_in);
    mark_known(passing_mbuf, flow);
    if (passing_mbuf != mbuf) return worker.handoff.add(owner_of_flow(key, flow, worker), passing_mbuf);
    nat::set_flow(packet, flow);
    go_on(place);
  };
  const auto drop = [&](void* dropped, nat::DropReason reason) noexcept {
    worker.transmitter.drop(static_cast<rte_mbuf*>(dropped), reason);
  };
  const auto now = worker.clock.tick();
  if (packet.part == nat::FragmentPart::first) {
    const nat::FragmentFlow flow{packet.source.port, packet.destination.port, packet.icmp_type, {}};
    worker.fragments.take_first(key, range, flow, mbuf, now, pass, drop);
  } else {
    worker.fragments.take_later(key, range, mbuf, now, pass, drop);
  }
}

/// Once a tick: drops what has waited for too long.
inline void expire_fragments(WorkerContext& worker, std::uint32_t budget) noexcept {
  worker.fragments.expire(worker.clock.tick(), budget, [&](void* packet, nat::DropReason reason) noexcept {
    worker.transmitter.drop(static_cast<rte_mbuf*>(packet), reason);
  });
}

[[nodiscard]] inline bool may_be_fragmented(const std::byte* frame, const nat::Packet& packet) noexcept {
  const auto& ip = nat::header_at<nat::Ipv4Header>(frame, packet.l3_offset);
  return (ip.fragment.host() & nat::Ipv4Header::kDontFragment) == 0;
}

/// Sends a packet that is larger than the MTU of its way out as fragments (RFC 791 section 3.2, RFC 4787
/// REQ-13a). \param packet  of `mbuf`; it may be fragmented
void send_in_fragments(rte_mbuf* mbuf, const nat::Packet& packet, Hop hop, WorkerContext& worker) noexcept;

}  // namespace pinhole::dataplane
