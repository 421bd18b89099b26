// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/stream_carrier.hpp"

#include <cstddef>

#include "dataplane/fragments.hpp"
#include "dataplane/hairpin.hpp"
#include "dataplane/mbuf_view.hpp"
#include "dataplane/own_packet.hpp"
#include "nat/rewrite.hpp"

namespace pinhole::dataplane {

namespace {

using alg::Verdict;
using alg::stream::OutSegment;
using alg::stream::Reading;
using alg::stream::Side;
using nat::DropReason;

}  // namespace

/// A message that waits once more keeps its first deadline.
bool StreamCarrier::park(nat::Tick& until) noexcept {
  const auto ticket = worker_.host.ticket();
  if (until == 0) until = worker_.clock.tick() + kParkingLimit;
  if (!worker_.parked_streams.park({&entry_, ticket, until})) return false;
  entry_.parked = true;
  worker_.stats.worker.add(WorkerCounter::parked);
  return true;
}

/// Whether nothing more of the connection is read: its gateway is switched off, or has ended.
bool StreamCarrier::is_unread(const Gateway& gateway) const noexcept {
  return gateway.spec().keeps_flows &&
         (entry_.flow.index == kNoFlow || !entry_.switched_on || gateway.is_stopped());
}

Reading StreamCarrier::read(Side from, std::string_view bytes) noexcept {
  using Says = Inspection::Verdict;
  auto& gateway = worker_.gateways.of(entry_.owner);
  auto& waits_until = entry_.waits_until[static_cast<std::size_t>(from)];
  const auto dropped = [&](DropReason reason) noexcept -> Reading {
    waits_until = 0;
    worker_.stats.drops.add(reason);
    return {Verdict::drop, nullptr};
  };
  GatewayFlow* const flow = worker_.gateways.flows.get(entry_.flow);
  if (flow == nullptr && entry_.flow.index != kNoFlow)  // its connection has ended, as far as anybody knows
    return dropped(DropReason::drop_gateway);
  if (is_unread(gateway)) {
    gateway.stats().host.add(ipc::GatewayCounter::switched_off);
    return {.leaves = true};
  }
  auto& mapping = worker_.translator[entry_.mapping];
  const alg::Message message{
      bytes,
      from == Side::inside ? alg::Direction::outbound : alg::Direction::inbound,
      {nat::Protocol::tcp, mapping.inside, mapping.external, entry_.remote, portless(mapping)},
      waits_until != 0,
      entry_.switched_on,
      mapping.realm,
      entry_.interfaces};
  const auto [verdict, answer] = worker_.inspection.show(gateway, flow, mapping, message);
  switch (verdict) {
    case Says::forward:
    case Says::leave:
      worker_.inspection.commit();
      if (flow != nullptr) flow->left = verdict == Says::leave;
      break;
    case Says::unread:
      gateway.stats().host.add(ipc::GatewayCounter::switched_off);
      break;
    case Says::wait:
      if (park(waits_until)) return {Verdict::wait, nullptr};
      return dropped(DropReason::drop_sip_parked_full);
    case Says::refuse:
      refuse(from, message, answer);
      return dropped(answer.reason);
    case Says::drop:
      return dropped(answer.reason);
  }
  waits_until = 0;
  return {Verdict::forward, &worker_.edits, verdict == Says::leave};
}

/// Answers a request by the other way of its connection.
void StreamCarrier::refuse(Side from, const alg::Message& message, const alg::Answer& answer) noexcept {
  const auto response = worker_.own_messages.answer_to(message, answer);
  if (response.empty()) return;
  if (engine_of(entry_, worker_).inject(entry_.stream, other(from), response, worker_.clock.tick(), *this)) {
    worker_.stats.worker.add(WorkerCounter::sip_refused);
  }
}

std::optional<Hop> StreamCarrier::hop_from(Side from) const noexcept {
  const auto& mapping = worker_.translator[entry_.mapping];
  if (from == Side::inside && mapping.realm == nat::Realm::translated &&
      worker_.network.steering.is_external(entry_.remote.address)) {
    return Hop{entry_.remote.address, kHairpinInterface};
  }
  const auto route =
      worker_.network.routes.find(from == Side::inside ? entry_.remote.address : mapping.inside.address);
  if (route.kind != RouteKind::forward) return std::nullopt;
  return Hop{route.next_hop, route.interface};
}

void StreamCarrier::send(Side from, const OutSegment& segment) noexcept {
  const auto& mapping = worker_.translator[entry_.mapping];
  if (mapping.generation.load(std::memory_order_relaxed) != entry_.generation) return;
  const auto hop = hop_from(from);
  if (!hop) return worker_.stats.drops.add(DropReason::drop_no_route);
  rte_mbuf* const mbuf = rte_pktmbuf_alloc(worker_.packets);
  if (mbuf == nullptr) return worker_.stats.drops.add(DropReason::drop_no_mbuf);
  const auto side = static_cast<std::size_t>(from);
  const bool outbound = from == Side::inside;
  const auto packet = write_segment(buffer_of(mbuf), segment, outbound ? mapping.inside : entry_.remote,
                                    outbound ? entry_.remote : mapping.external, entry_.ttl[side]);
  write_ip_header(bytes_of(mbuf), packet, entry_.type_of_service[side],
                  worker_.datagram_ids.next(packet.destination.address));
  finish_tcp(bytes_of(mbuf), packet);
  send_on(mbuf, packet, from, *hop);
}

void StreamCarrier::send_on(rte_mbuf* mbuf, const nat::Packet& packet, Side from, Hop hop) noexcept {
  const auto& mapping = worker_.translator[entry_.mapping];
  resize(mbuf, packet.ip_end);
  if (from == Side::inside) {
    nat::rewrite_outbound(bytes_of(mbuf), packet, mapping);
    worker_.stats.worker.add(WorkerCounter::translated_out);
  } else {
    nat::rewrite_inbound(bytes_of(mbuf), packet, mapping);
    worker_.stats.worker.add(WorkerCounter::translated_in);
  }
  if (hop.interface == kHairpinInterface) return hairpin(mbuf, packet, mapping.external.port, worker_);
  if (packet.ip_size() > worker_.network.mtu(hop.interface))
    return send_in_fragments(mbuf, packet, hop, worker_);
  worker_.transmitter.send(mbuf, packet.l3_offset, hop);
}

}  // namespace pinhole::dataplane
