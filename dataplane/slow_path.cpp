// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/slow_path.hpp"

#include "dataplane/arp.hpp"
#include "dataplane/context.hpp"
#include "dataplane/fragments.hpp"
#include "dataplane/hairpin.hpp"
#include "dataplane/mbuf_view.hpp"
#include "dataplane/own_packet.hpp"
#include "dataplane/source_check.hpp"
#include "nat/headers.hpp"
#include "nat/rewrite.hpp"

namespace pinhole::dataplane {

namespace {

using nat::DropReason;

/// Answers that may follow each other at once after a pause: a traceroute's three probes for a few hops.
constexpr std::uint32_t kIcmpBurst = 20;
/// Of all answers, those to SYNs that nobody asked for are one in so many at most.
constexpr std::uint32_t kShareOfSyns = 4;
constexpr std::uint8_t kResetTtl = 64;

/// The inside host's end of a quoted packet: its source when it went out, so that the error came in. A ping
/// has its identifier on one side only.
nat::Endpoint inside_end(const nat::EmbeddedFlow& about, bool went_out) noexcept {
  const auto& end = went_out ? about.source : about.destination;
  if (about.protocol != nat::Protocol::icmp || end.port != nat::Be16{}) return end;
  return {end.address, (went_out ? about.destination : about.source).port};
}

bool is_untranslated(const nat::EmbeddedFlow& about, bool went_out, std::uint8_t inside_interface,
                     std::uint8_t outside_interface, const Network& network) noexcept {
  auto remote = went_out ? about.destination : about.source;
  if (about.protocol == nat::Protocol::icmp) remote.port = {};
  return network.untranslated.applies(
      {about.protocol, inside_end(about, went_out).address, remote, inside_interface, outside_interface});
}

}  // namespace

SlowPath::SlowPath(WorkerContext& worker, rte_mempool* packets, unsigned errors_per_s, std::uint64_t tsc_hz)
    : worker_(worker),
      packets_(packets),
      limit_(errors_per_s, kIcmpBurst, tsc_hz),
      strangers_limit_((errors_per_s + kShareOfSyns - 1) / kShareOfSyns, kIcmpBurst / kShareOfSyns, tsc_hz) {
}

void SlowPath::arp(rte_mbuf* mbuf, const nat::Packet& packet, std::uint8_t arrival) noexcept {
  const auto& network = worker_.network;
  auto& counters = worker_.stats.worker;
  const auto message = read_arp(bytes_of(mbuf), packet);
  if (!message) return worker_.transmitter.drop(mbuf, DropReason::drop_not_ip);
  const bool for_us = network.arp_answers.answers(arrival, message->target);
  if (network.arp_answers.may_learn(arrival, message->sender)) {
    network.neighbors->learn(arrival, message->sender, message->sender_mac, for_us, worker_.clock.tick(),
                             [&](void* waiting) noexcept {
                               auto* const packet_that_waited = static_cast<rte_mbuf*>(waiting);
                               const auto note = note_of(packet_that_waited);
                               worker_.transmitter.send_to(packet_that_waited, note.l3_offset,
                                                           note.hop.interface, message->sender_mac.raw());
                             });
  }
  if (!message->request) counters.add(WorkerCounter::arp_reply_in);
  if (!message->request || !for_us) {
    if (message->request) counters.add(WorkerCounter::arp_ignored);
    rte_pktmbuf_free(mbuf);  // it has done its work
    return;
  }
  counters.add(WorkerCounter::arp_request_in);
  answer_arp_request(bytes_of(mbuf), packet, network.interfaces[arrival].mac);
  worker_.transmitter.send_frame(mbuf, arrival);
}

void SlowPath::ask_neighbor(const NeighborQuestion& question) noexcept {
  rte_mbuf* const mbuf = rte_pktmbuf_alloc(packets_);
  if (mbuf == nullptr) return worker_.stats.drops.add(DropReason::drop_no_mbuf);
  const auto& interface = worker_.network.interfaces[question.interface];
  const auto size = build_arp_request(buffer_of(mbuf), {.own_mac = interface.mac,
                                                        .own_address = interface.address.address,
                                                        .target = question.address,
                                                        .to = question.known,
                                                        .vlan = interface.vlan});
  resize(mbuf, static_cast<std::uint16_t>(size));
  worker_.stats.worker.add(WorkerCounter::arp_request_out);
  worker_.transmitter.send_frame(mbuf, question.interface);
}

void SlowPath::for_ourselves(rte_mbuf* mbuf, const nat::Packet& packet, std::uint8_t arrival) noexcept {
  auto& transmitter = worker_.transmitter;
  const auto route = worker_.network.routes.find(packet.destination.address);
  if (route.kind != RouteKind::local && !worker_.network.steering.is_external(packet.destination.address)) {
    // Only what comes from outside gets here: a packet for an address behind us that nobody may reach so.
    return transmitter.drop(
        mbuf, route.kind == RouteKind::broadcast ? DropReason::drop_broadcast : DropReason::drop_no_mapping);
  }
  if (packet.part != nat::FragmentPart::whole) return transmitter.drop(mbuf, DropReason::drop_fragment);
  if (packet.protocol != nat::Protocol::icmp || packet.icmp_type != nat::IcmpHeader::kEchoRequest) {
    return transmitter.drop(mbuf, DropReason::drop_for_own_address);
  }
  if (!worker_.network.interfaces[arrival].icmp) {
    return transmitter.drop(mbuf, DropReason::drop_icmp_policy);
  }
  if (!limit_.take(worker_.clock.tsc())) return transmitter.drop(mbuf, DropReason::drop_icmp_rate);
  nat::Packet reply = packet;
  nat::answer_echo_request(bytes_of(mbuf), reply);
  worker_.stats.worker.add(WorkerCounter::echo_answered);
  resize(mbuf, reply.ip_end);
  send_routed(mbuf, reply.l3_offset, reply.destination.address, true);
}

void SlowPath::ttl_expired(rte_mbuf* mbuf, const nat::Packet& packet, std::uint8_t arrival) noexcept {
  complain(mbuf, packet, arrival, DropReason::drop_ttl_expired, nat::kTtlExceeded);
}

void SlowPath::no_route(rte_mbuf* mbuf, const nat::Packet& packet, std::uint8_t arrival) noexcept {
  complain(mbuf, packet, arrival, DropReason::drop_no_route, nat::kNetUnreachable);
}

void SlowPath::too_big(rte_mbuf* mbuf, const nat::Packet& packet, std::uint8_t arrival,
                       std::uint16_t mtu) noexcept {
  complain(mbuf, packet, arrival, DropReason::drop_too_big, nat::fragmentation_needed(mtu));
}

void SlowPath::refused(rte_mbuf* mbuf, const nat::Packet& packet, std::uint8_t arrival,
                       DropReason reason) noexcept {
  complain(mbuf, packet, arrival, reason, nat::kProhibited);
}

void SlowPath::reset(rte_mbuf* mbuf, const nat::Packet& packet, std::uint8_t arrival,
                     DropReason reason) noexcept {
  const bool is_answered =
      packet.part == nat::FragmentPart::whole &&
      (packet.tcp_flags & (nat::TcpHeader::kAck | nat::TcpHeader::kRst)) == nat::TcpHeader::kAck;
  const bool is_stranger = !is_hairpinned(mbuf) && !worker_.network.interfaces[arrival].inside;
  if (is_answered && (!is_stranger || strangers_limit_.take(worker_.clock.tsc())) &&
      limit_.take(worker_.clock.tsc())) {
    if (rte_mbuf* const answer = rte_pktmbuf_alloc(packets_); answer != nullptr) {
      const auto& tcp = nat::header_at<nat::TcpHeader>(bytes_of(mbuf), packet.l4_offset);
      alg::stream::OutSegment segment;
      segment.sequence = tcp.acknowledgement.host();
      segment.flags = nat::TcpHeader::kRst;
      const auto written =
          write_segment(buffer_of(answer), segment, packet.destination, packet.source, kResetTtl);
      write_ip_header(bytes_of(answer), written, 0, worker_.datagram_ids.next(packet.source.address));
      finish_tcp(bytes_of(answer), written);
      resize(answer, written.ip_end);
      send_back(answer, written.l3_offset, packet.source.address, false);
    }
  }
  worker_.transmitter.drop(mbuf, reason);
}

void SlowPath::forward_inside(rte_mbuf* mbuf, const nat::Packet& packet, std::uint8_t arrival,
                              Hop hop) noexcept {
  const auto mtu = worker_.network.interfaces[hop.interface].mtu;
  const bool fits = packet.ip_size() <= mtu;
  if (is_own(mbuf) && !worker_.network.interfaces[hop.interface].icmp) {
    return worker_.transmitter.drop(mbuf, DropReason::drop_icmp_policy);
  }
  if (!fits && !may_be_fragmented(bytes_of(mbuf), packet)) return too_big(mbuf, packet, arrival, mtu);
  nat::forward_untranslated(bytes_of(mbuf), packet);
  if (!fits) return send_in_fragments(mbuf, packet, hop, worker_);
  resize(mbuf, packet.ip_end);
  worker_.transmitter.send(mbuf, packet.l3_offset, hop);
}

void SlowPath::complain(rte_mbuf* mbuf, const nat::Packet& packet, std::uint8_t arrival, DropReason reason,
                        nat::IcmpError error) noexcept {
  const std::byte* const frame = bytes_of(mbuf);
  if (nat::may_answer_with_error(frame, packet)) {
    rte_mbuf* const answer = make_error({frame + packet.l3_offset, packet.ip_size()}, error, arrival);
    if (answer != nullptr) send_back(answer, 0, packet.source.address, true);
  }
  worker_.transmitter.drop(mbuf, reason);
}

void SlowPath::neighbor_unresolved(rte_mbuf* mbuf) noexcept {
  const auto note = note_of(mbuf);
  set_plain_link_header(mbuf, note.l3_offset);
  auto packet = nat::parse(frame_of(mbuf), 0);
  if (packet.kind == nat::PacketKind::fragment) packet.kind = nat::PacketKind::flow;  // it has left as one
  // An echo reply may be our own, and its identifier that of somebody else's mapping.
  const bool is_pong =
      packet.protocol == nat::Protocol::icmp && packet.icmp_type == nat::IcmpHeader::kEchoReply;
  const bool for_stranger = worker_.network.interfaces[note.hop.interface].inside;
  if (nat::may_answer_with_error(bytes_of(mbuf), packet) && !is_pong &&
      (!for_stranger || strangers_limit_.take(worker_.clock.tsc()))) {
    rte_mbuf* const error = make_error({bytes_of(mbuf) + packet.l3_offset, packet.ip_size()},
                                       nat::kHostUnreachable, note.hop.interface);
    if (error != nullptr) bring_in(error, note.hop.interface, worker_);
  }
  worker_.transmitter.drop(mbuf, DropReason::drop_neighbor_unresolved);
}

void SlowPath::unsolicited(const nat::HeldSyn& syn) noexcept {
  if (!strangers_limit_.take(worker_.clock.tsc())) return;
  rte_mbuf* const error = make_error(syn.quote(), nat::kPortUnreachable, syn.interface);
  if (error != nullptr) send_back(error, 0, syn.remote.address, true);
}

rte_mbuf* SlowPath::make_error(std::span<const std::byte> about, nat::IcmpError error,
                               std::uint8_t interface) noexcept {
  if (!limit_.take(worker_.clock.tsc())) return nullptr;
  rte_mbuf* const mbuf = rte_pktmbuf_alloc(packets_);
  if (mbuf == nullptr) return nullptr;
  const auto own_address = worker_.network.interfaces[interface].address.address;
  const auto size = nat::build_icmp_error(buffer_of(mbuf), about, error, own_address);
  resize(mbuf, static_cast<std::uint16_t>(size));
  worker_.stats.worker.add(WorkerCounter::icmp_error_out);
  return mbuf;
}

void SlowPath::icmp_error(rte_mbuf* mbuf, const nat::Packet& packet, std::uint8_t arrival) noexcept {
  if (packet.ttl <= 1) return worker_.transmitter.drop(mbuf, DropReason::drop_ttl_expired);
  if (!nat::error_checksums_right(bytes_of(mbuf), packet)) {
    return worker_.transmitter.drop(mbuf, DropReason::drop_icmp_error_checksum);
  }
  const bool inside = worker_.network.interfaces[arrival].inside;
  if (is_from_wire(mbuf)) {
    const auto reason = wrong_source(packet.source.address, inside, worker_.network);
    // Routers on the way have what addresses they like (RFC 4787 REQ-12a).
    if (reason == DropReason::drop_spoofed_own || reason == DropReason::drop_martian_source) {
      return worker_.transmitter.drop(mbuf, reason);
    }
  }
  if (inside) {
    icmp_error_from_inside(mbuf, packet, arrival);
  } else {
    icmp_error_from_outside(mbuf, packet, arrival);
  }
}

/// An error about a flow that is not translated passes as it is, where there is such a flow.
void SlowPath::untranslated_icmp_error(rte_mbuf* mbuf, const nat::Packet& packet,
                                       const nat::EmbeddedFlow& about, std::uint8_t arrival,
                                       bool inbound) noexcept {
  const auto& network = worker_.network;
  const auto drop = [&] { worker_.transmitter.drop(mbuf, DropReason::drop_icmp_error_no_mapping); };
  const auto route = network.routes.find(packet.destination.address);
  if (route.kind != RouteKind::forward || network.interfaces[route.interface].inside != inbound)
    return drop();
  if (!inbound && is_from_wire(mbuf) && !worker_.zones.is_inside(packet.source.address)) {
    return worker_.transmitter.drop(mbuf, DropReason::drop_spoofed_outside);
  }
  const auto inside = inside_end(about, inbound);
  if (inbound && (inside.address != packet.destination.address ||
                  !is_untranslated(about, true, route.interface, arrival, network))) {
    return drop();
  }
  const unsigned owner = network.steering.owner_of_inside(inside.address);
  if (owner != worker_.index) return worker_.handoff.add(owner, mbuf);
  if (worker_.translator.find_outbound({inside, about.protocol, nat::Realm::untranslated}) ==
      nat::kNoMapping) {
    return drop();
  }
  forward_inside(mbuf, packet, arrival, {route.next_hop, route.interface});
}

void SlowPath::icmp_error_from_outside(rte_mbuf* mbuf, const nat::Packet& packet,
                                       std::uint8_t arrival) noexcept {
  const auto& steering = worker_.network.steering;
  const auto about = nat::embedded_flow(bytes_of(mbuf), packet);
  const auto pool_index = steering.pool_index(packet.destination.address);
  if (about && !pool_index && !worker_.network.untranslated.empty()) {
    return untranslated_icmp_error(mbuf, packet, *about, arrival, true);
  }
  if (!about || !pool_index || about->source.address != packet.destination.address) {
    return worker_.transmitter.drop(mbuf, DropReason::drop_icmp_error_no_mapping);
  }
  const auto port = inside_end(*about, true).port.host();
  const unsigned owner = steering.owner_of_external(*pool_index, about->protocol, port);
  if (owner != worker_.index) return worker_.handoff.add(owner, mbuf);
  const auto index = worker_.translator.find_inbound({*pool_index, port, about->protocol});
  if (index == nat::kNoMapping) {
    return worker_.transmitter.drop(mbuf, DropReason::drop_icmp_error_no_mapping);
  }
  // It neither refreshes nor ends the mapping (RFC 4787 REQ-12, RFC 5508 REQ-6).
  const auto& mapping = worker_.translator[index];
  nat::rewrite_icmp_error_inbound(bytes_of(mbuf), packet, mapping);
  resize(mbuf, packet.ip_end);
  send_routed(mbuf, packet.l3_offset, mapping.inside.address, is_own(mbuf));
}

void SlowPath::icmp_error_from_inside(rte_mbuf* mbuf, const nat::Packet& packet,
                                      std::uint8_t arrival) noexcept {
  const auto route = worker_.network.routes.find(packet.destination.address);
  if (route.kind == RouteKind::forward && worker_.network.interfaces[route.interface].inside) {
    return forward_inside(mbuf, packet, arrival, {route.next_hop, route.interface});
  }
  const auto about = nat::embedded_flow(bytes_of(mbuf), packet);
  if (!about) return worker_.transmitter.drop(mbuf, DropReason::drop_icmp_error_no_mapping);
  if (!worker_.network.untranslated.empty() &&
      is_untranslated(*about, false, arrival, route.interface, worker_.network)) {
    return untranslated_icmp_error(mbuf, packet, *about, arrival, false);
  }
  // The error may come from a router; the flow is that of the host that the quoted packet was for.
  const unsigned owner = worker_.network.steering.owner_of_inside(about->destination.address);
  if (owner != worker_.index) return worker_.handoff.add(owner, mbuf);
  const auto index = worker_.translator.find_outbound(about->protocol, inside_end(*about, false));
  if (index == nat::kNoMapping) {
    return worker_.transmitter.drop(mbuf, DropReason::drop_icmp_error_no_mapping);
  }
  const auto& mapping = worker_.translator[index];
  // Who has an external address to himself complains by that (RFC 5508 REQ-5c).
  const auto of_sender =
      worker_.network.statics.rules().external_of(nat::Protocol::icmp, {packet.source.address, {}});
  const auto sender = of_sender ? of_sender->endpoint.address : mapping.external.address;
  resize(mbuf, nat::rewrite_icmp_error_outbound(bytes_of(mbuf), packet, mapping, sender));
  if (worker_.network.steering.is_external(packet.destination.address)) {
    nat::take_back_hop(bytes_of(mbuf), packet.l3_offset);
  }
  send_back(mbuf, packet.l3_offset, packet.destination.address, is_own(mbuf));
}

void SlowPath::send_back(rte_mbuf* mbuf, std::uint8_t l3_offset, nat::Ipv4Address destination,
                         bool own) noexcept {
  if (!worker_.network.steering.is_external(destination))
    return send_routed(mbuf, l3_offset, destination, own);
  // Whose packet it is about will be found when it is looked at as one from outside (RFC 5508 REQ-7 for
  // errors).
  turn_around(mbuf, l3_offset, worker_.index, worker_, own ? MbufMark::kOwn : std::uint16_t{0});
}

void SlowPath::send_routed(rte_mbuf* mbuf, std::uint8_t l3_offset, nat::Ipv4Address destination,
                           bool own) noexcept {
  const auto route = worker_.network.routes.find(destination);
  if (route.kind != RouteKind::forward) {
    return worker_.transmitter.drop(mbuf, DropReason::drop_no_route);
  }
  if (own && !worker_.network.interfaces[route.interface].icmp) {
    return worker_.transmitter.drop(mbuf, DropReason::drop_icmp_policy);
  }
  worker_.transmitter.send(mbuf, l3_offset, {route.next_hop, route.interface});
}

}  // namespace pinhole::dataplane
