// SPDX-License-Identifier: BSD-3-Clause
// The stage classify of dataplane/pipeline.hpp.
#include <utility>

#include "dataplane/fragments.hpp"
#include "dataplane/mbuf_view.hpp"
#include "dataplane/pipeline.hpp"
#include "dataplane/source_check.hpp"
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

/// A ping to a whole address that is mapped statically is the host's, in either direction; its identifier
/// then stands on the host's side, as a port would.
bool is_static_ping(const nat::Packet& packet, const nat::StaticRules& rules) noexcept {
  if (packet.protocol != nat::Protocol::icmp || packet.icmp_type != nat::IcmpHeader::kEchoRequest)
    return false;
  const auto rule = rules.inside_of(packet.protocol, {packet.destination.address, packet.source.port});
  return rule && rule->direction != nat::StaticDirection::out;
}
/// The answer of such a host.
bool is_static_pong(const nat::Packet& packet, const nat::StaticRules& rules) noexcept {
  if (packet.protocol != nat::Protocol::icmp || packet.icmp_type != nat::IcmpHeader::kEchoReply) return false;
  return rules.external_of(packet.protocol, {packet.source.address, packet.destination.port}).has_value();
}

/// True for what an inside host may send to another one by its external endpoint. A ping to an external
/// address is for the translator itself, but where the whole address stands for a host: a mapped identifier
/// alone stands for nobody who could be pinged.
bool goes_round(const nat::Packet& packet, const WorkerContext& worker) noexcept {
  if (packet.protocol != nat::Protocol::icmp) return true;
  const auto rules = worker.network.statics.rules();
  return is_static_ping(packet, rules) || is_static_pong(packet, rules);
}

/// An answer to a ping that came in is of the mapping by which it came: the identifier is on the host's side.
void add_outbound(Burst& burst, unsigned place, nat::Realm realm) noexcept {
  burst.realms[place] = realm;
  auto& packet = burst.packets[place];
  if (packet.protocol == nat::Protocol::icmp && packet.icmp_type == nat::IcmpHeader::kEchoReply) {
    std::swap(packet.source.port, packet.destination.port);
  }
  burst.outbound.add(place);
}

nat::StaticRules rules_of(nat::Realm realm, const WorkerContext& worker) noexcept {
  const auto& statics = worker.network.statics;
  return realm == nat::Realm::translated ? statics.rules() : statics.openings();
}

nat::Realm realm_of_outbound(const nat::Packet& packet, std::uint8_t arrival, std::uint8_t way_out,
                             const Network& network) noexcept {
  if (network.untranslated.empty()) [[likely]]
    return nat::Realm::translated;
  const nat::Endpoint remote{packet.destination.address,
                             packet.protocol == nat::Protocol::icmp ? nat::Be16{} : packet.destination.port};
  const bool applies =
      network.untranslated.applies({packet.protocol, packet.source.address, remote, arrival, way_out});
  return applies ? nat::Realm::untranslated : nat::Realm::translated;
}

/// Drops a packet with a source that it cannot have, before anything is done or said on its account that no
/// mapping vouches for. \return whether it was dropped
bool drop_forged(Burst& burst, unsigned place, WorkerContext& worker) noexcept {
  rte_mbuf* const mbuf = burst.mbufs[place];
  if (!is_from_wire(mbuf)) return false;
  const bool from_inside = worker.network.interfaces[burst.arrival[place]].inside;
  const auto reason = wrong_source(burst.packets[place].source.address, from_inside, worker.network);
  if (reason == DropReason::none) return false;
  worker.transmitter.drop(mbuf, reason);
  return true;
}

/// From outside, and for no mapping: for ourselves, or for nobody.
void take_aside_from_outside(Burst& burst, unsigned place, WorkerContext& worker) noexcept {
  if (drop_forged(burst, place, worker)) return;
  worker.slow_path.for_ourselves(burst.mbufs[place], burst.packets[place], burst.arrival[place]);
}

/// From inside, and not to be translated: for ourselves, for another host inside, or for nobody.
void take_aside_from_inside(Burst& burst, unsigned place, const Route& route, bool for_ourselves,
                            WorkerContext& worker) noexcept {
  const auto& packet = burst.packets[place];
  rte_mbuf* const mbuf = burst.mbufs[place];
  const auto arrival = burst.arrival[place];
  if (drop_forged(burst, place, worker)) return;
  if (for_ourselves) return worker.slow_path.for_ourselves(mbuf, packet, arrival);
  // A router passes no broadcasts on, nor complains about them (RFC 1812 section 5.3.5.2, RFC 2644).
  if (route.kind == RouteKind::broadcast) return worker.transmitter.drop(mbuf, DropReason::drop_broadcast);
  if (packet.ttl <= 1) return worker.slow_path.ttl_expired(mbuf, packet, arrival);
  if (route.kind == RouteKind::none) return worker.slow_path.no_route(mbuf, packet, arrival);
  worker.slow_path.forward_inside(mbuf, packet, arrival, {route.next_hop, route.interface});
}

void classify_from_inside(Burst& burst, unsigned place, WorkerContext& worker) noexcept {
  auto& packet = burst.packets[place];
  rte_mbuf* const mbuf = burst.mbufs[place];
  const unsigned owner = worker.network.steering.owner_of_inside(packet.source.address);
  if (owner != worker.index) return worker.handoff.add(owner, mbuf);

  const auto route = worker.network.routes.find(packet.destination.address);
  const bool external = worker.network.steering.is_external(packet.destination.address);
  const bool round = external && goes_round(packet, worker);
  if (round && packet.ttl > 1) {
    burst.hops[place] = {packet.destination.address, kHairpinInterface};
    return add_outbound(burst, place, nat::Realm::translated);
  }
  const bool goes_out = !external && route.kind == RouteKind::forward && packet.ttl > 1 &&
                        !worker.network.interfaces[route.interface].inside;
  if (!goes_out) {
    const bool for_ourselves = !round && (external || route.kind == RouteKind::local);
    return take_aside_from_inside(burst, place, route, for_ourselves, worker);
  }
  burst.hops[place] = {route.next_hop, route.interface};
  const auto realm = realm_of_outbound(packet, burst.arrival[place], route.interface, worker.network);
  if (!starts_outbound(packet) && !is_static_pong(packet, rules_of(realm, worker))) {
    return worker.transmitter.drop(mbuf, DropReason::drop_not_translatable);
  }
  add_outbound(burst, place, realm);
}

/// From outside, to an address that is none of ours: a host inside towards which nothing is translated.
void classify_untranslated(Burst& burst, unsigned place, WorkerContext& worker) noexcept {
  auto& packet = burst.packets[place];
  rte_mbuf* const mbuf = burst.mbufs[place];
  const auto& network = worker.network;
  const auto route = network.routes.find(packet.destination.address);
  // A ping that was answered has its identifier where a port of the host would be.
  const nat::Endpoint remote{packet.source.address,
                             packet.protocol == nat::Protocol::icmp ? nat::Be16{} : packet.source.port};
  const bool goes_in = route.kind == RouteKind::forward && network.interfaces[route.interface].inside &&
                       network.untranslated.applies({packet.protocol, packet.destination.address, remote,
                                                     route.interface, burst.arrival[place]});
  if (!goes_in) return take_aside_from_outside(burst, place, worker);
  const unsigned owner = network.steering.owner_of_inside(packet.destination.address);
  if (owner != worker.index) return worker.handoff.add(owner, mbuf);
  if (!may_be_inbound(packet)) {
    if (!is_static_ping(packet, network.statics.openings())) {
      return worker.transmitter.drop(mbuf, DropReason::drop_no_mapping);
    }
    std::swap(packet.source.port, packet.destination.port);
  }
  burst.pool_index[place] = 0;
  burst.realms[place] = nat::Realm::untranslated;
  burst.inbound.add(place);
}

void classify_from_outside(Burst& burst, unsigned place, WorkerContext& worker) noexcept {
  auto& packet = burst.packets[place];
  rte_mbuf* const mbuf = burst.mbufs[place];
  const auto pool_index = worker.network.steering.pool_index(packet.destination.address);
  if (!pool_index && !worker.network.untranslated.empty()) return classify_untranslated(burst, place, worker);
  if (!pool_index || !may_be_inbound(packet)) {
    if (!pool_index || !is_static_ping(packet, worker.network.statics.rules())) {
      return take_aside_from_outside(burst, place, worker);
    }
    std::swap(packet.source.port, packet.destination.port);
  }
  const unsigned owner =
      worker.network.steering.owner_of_external(*pool_index, packet.protocol, packet.destination.port.host());
  if (owner != worker.index) return worker.handoff.add(owner, mbuf);
  burst.pool_index[place] = *pool_index;
  burst.realms[place] = nat::Realm::translated;
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
