// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/gateway/datagrams.hpp"

#include "dataplane/datagram.hpp"
#include "dataplane/gateway/flows.hpp"
#include "dataplane/large_message.hpp"

namespace pinhole::dataplane {

namespace {

using alg::Direction;
using nat::DropReason;

/// Sends a message on. \return true when it is a packet that goes on with its burst
bool pass(rte_mbuf* message, WorkerContext& worker) noexcept {
  if (message->next == nullptr) return true;
  pass_message(message, worker);
  return false;
}

GatewayFlow* flow_of(const Burst& burst, unsigned place, Direction direction,
                     WorkerContext& worker) noexcept {
  const auto& packet = burst.packets[place];
  const auto index = burst.mappings[place];
  return worker.gateways.flows.find(index,
                                    worker.translator[index].generation.load(std::memory_order_relaxed),
                                    direction == Direction::outbound ? packet.destination : packet.source);
}

/// Shows a message, and does what its gateway says. \param packet  of the message, which begins at `frame`
bool show(Burst& burst, unsigned place, rte_mbuf* message, nat::Packet& packet, const std::byte* frame,
          Direction direction, GatewayFlow& flow, std::uint16_t interfaces, WorkerContext& worker) noexcept {
  const auto& mapping = worker.translator[burst.mappings[place]];
  const alg::Message shown{.bytes = payload_of(frame, packet),
                           .direction = direction,
                           .flow = {nat::Protocol::udp, mapping.inside, mapping.external, flow.remote, {}},
                           .realm = mapping.realm,
                           .interfaces = interfaces};
  auto& gateway = worker.gateways.of(static_cast<PortOwner>(kFirstGateway + flow.gateway));
  auto& inspection = worker.inspection;
  const auto verdict = inspection.show(gateway, flow, shown);
  if (verdict == Inspection::Verdict::drop) {
    drop_message(message, DropReason::drop_gateway, worker);
    return false;
  }
  flow.left = verdict == Inspection::Verdict::leave;
  const bool is_packet = message->next == nullptr;
  const auto mtu = worker.network.mtu(burst.hops[place].interface);
  if (!worker.edits.empty() && !(is_packet && fits(message, packet, worker.edits, mtu))) {
    send_edited(burst, place, message, packet, inspection, DropReason::drop_gateway_too_big, worker);
    return false;
  }
  inspection.commit();
  if (!worker.edits.empty()) apply_edits(message, packet, worker.edits);
  return pass(message, worker);
}

}  // namespace

bool inspect_datagram(Burst& burst, unsigned place, Direction direction, PortOwner owner,
                      std::uint16_t interfaces, WorkerContext& worker) noexcept {
  rte_mbuf* message = burst.mbufs[place];
  auto& packet = burst.packets[place];
  auto& gateway = worker.gateways.of(owner);
  GatewayFlow* const known = flow_of(burst, place, direction, worker);
  if (known == nullptr && !goes_to_server(burst, place, direction, owner, worker)) return true;
  if (known != nullptr && known->left) {
    known->last_seen = worker.clock.tick();
    return true;
  }
  if (!is_on(gateway, worker.translator[burst.mappings[place]].inside.address, interfaces, worker)) {
    gateway.stats().host.add(ipc::GatewayCounter::switched_off);
    return true;
  }
  const std::byte* frame = bytes_of(message);
  if (packet.part != nat::FragmentPart::whole) {
    message = gather_message(burst, place, direction, worker);
    if (message == nullptr) return false;
    const auto reason = write_whole(message, packet, worker);
    frame = worker.whole_message.data();
    if (reason != DropReason::none) {
      drop_message(message, reason, worker);
      return false;
    }
  }
  if (is_damaged(frame, packet)) {
    drop_message(message, DropReason::drop_bad_udp_checksum, worker);
    return false;
  }
  GatewayFlow* flow = flow_of(burst, place, direction, worker);
  if (flow == nullptr) flow = worker.gateways.flows.get(begin_flow(burst, place, direction, owner, worker));
  if (flow == nullptr) return pass(message, worker);
  flow->last_seen = worker.clock.tick();
  return show(burst, place, message, packet, frame, direction, *flow, interfaces, worker);
}

}  // namespace pinhole::dataplane
