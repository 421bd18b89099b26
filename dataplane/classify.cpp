// SPDX-License-Identifier: BSD-3-Clause
// The stage classify of dataplane/pipeline.hpp.
#include "dataplane/fragments.hpp"
#include "dataplane/pipeline.hpp"
#include "nat/headers.hpp"

namespace pinhole::dataplane {

namespace {

using nat::DropReason;
using nat::PacketKind;

/// True for a flow packet that a mapping can be made for or found by, seen from inside: replies to pings of
/// ours never are.
bool starts_outbound(const nat::Packet& packet) noexcept {
  return packet.protocol != nat::Protocol::icmp || packet.icmp_type == nat::IcmpHeader::kEchoRequest;
}
bool may_be_inbound(const nat::Packet& packet) noexcept {
  return packet.protocol != nat::Protocol::icmp || packet.icmp_type == nat::IcmpHeader::kEchoReply;
}

/// True for what an inside host may send to another one by its external endpoint. A ping to an external
/// address is for the translator itself: an identifier stands for nobody who could be pinged.
bool goes_round(const nat::Packet& packet) noexcept {
  return packet.protocol != nat::Protocol::icmp;
}

void classify_from_inside(Burst& burst, unsigned place, WorkerContext& worker) noexcept {
  const auto& packet = burst.packets[place];
  rte_mbuf* const mbuf = burst.mbufs[place];
  const unsigned owner = worker.network.steering.owner_of_inside(packet.source.address);
  if (owner != worker.index) return worker.handoff.add(owner, mbuf);

  const auto route = worker.network.routes.find(packet.destination.address);
  const bool external = worker.network.steering.pool_index(packet.destination.address).has_value();
  if (external && goes_round(packet)) {
    if (packet.ttl <= 1) return worker.slow_path.ttl_expired(mbuf, packet, burst.arrival[place]);
    burst.hops[place] = {packet.destination.address, kHairpinInterface};
    return burst.outbound.add(place);
  }
  if (external || route.kind == RouteKind::local) return worker.slow_path.for_ourselves(mbuf, packet);
  // A router passes no broadcasts on, nor complains about them (RFC 1812 section 5.3.5.2, RFC 2644).
  if (route.kind == RouteKind::broadcast) {
    return worker.transmitter.drop(mbuf, DropReason::drop_bad_address);
  }
  if (packet.ttl <= 1) return worker.slow_path.ttl_expired(mbuf, packet, burst.arrival[place]);
  if (route.kind == RouteKind::none) return worker.slow_path.no_route(mbuf, packet, burst.arrival[place]);
  burst.hops[place] = {route.next_hop, route.interface};
  if (worker.network.interfaces[route.interface].inside) {
    return worker.slow_path.forward_inside(mbuf, packet, burst.arrival[place], burst.hops[place]);
  }
  if (!starts_outbound(packet)) return worker.transmitter.drop(mbuf, DropReason::drop_not_translatable);
  burst.outbound.add(place);
}

void classify_from_outside(Burst& burst, unsigned place, WorkerContext& worker) noexcept {
  const auto& packet = burst.packets[place];
  rte_mbuf* const mbuf = burst.mbufs[place];
  const auto pool_index = worker.network.steering.pool_index(packet.destination.address);
  if (!pool_index || !may_be_inbound(packet)) {
    return worker.slow_path.for_ourselves(mbuf, packet);
  }
  const unsigned owner =
      worker.network.steering.owner_of_external(*pool_index, packet.protocol, packet.destination.port.host());
  if (owner != worker.index) return worker.handoff.add(owner, mbuf);
  burst.pool_index[place] = *pool_index;
  burst.inbound.add(place);
}

void classify_flow(Burst& burst, unsigned place, WorkerContext& worker) noexcept {
  if (worker.network.interfaces[burst.arrival[place]].inside) [[likely]] {
    classify_from_inside(burst, place, worker);
  } else {
    classify_from_outside(burst, place, worker);
  }
}

}  // namespace

void classify(Burst& burst, WorkerContext& worker) noexcept {
  burst.outbound.clear();
  burst.inbound.clear();
  for (unsigned place = 0; place < burst.size; ++place) {
    const auto& packet = burst.packets[place];
    rte_mbuf* const mbuf = burst.mbufs[place];
    switch (packet.kind) {
      case PacketKind::dropped:
        worker.transmitter.drop(mbuf, packet.drop);
        break;
      case PacketKind::arp:
        if (worker.index == kNeighborOwner) {
          worker.slow_path.arp(mbuf, packet, burst.arrival[place]);
        } else {
          worker.handoff.add(kNeighborOwner, mbuf);
        }
        break;
      case PacketKind::icmp_error:
        worker.slow_path.icmp_error(mbuf, packet, burst.arrival[place]);
        break;
      case PacketKind::fragment:
        take_fragment(burst, place, worker,
                      [&](unsigned known) noexcept { classify_flow(burst, known, worker); });
        break;
      case PacketKind::flow:
        classify_flow(burst, place, worker);
        break;
    }
  }
  worker.handoff.flush();
}

}  // namespace pinhole::dataplane
