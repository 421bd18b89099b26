// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/gateway/datagrams.hpp"

#include "dataplane/datagram.hpp"
#include "dataplane/gateway/flows.hpp"
#include "dataplane/large_message.hpp"

namespace pinhole::dataplane {

namespace {

using alg::Direction;
using nat::DropReason;

/// A message of one datagram, or of its fragments.
struct Datagram {
  rte_mbuf* message;       // the packet, or the fragments as a list
  const std::byte* frame;  // where it begins
  nat::Packet& packet;     // of the message
};

/// Sends a message on. \return true when it is a packet that goes on with its burst
bool pass(rte_mbuf* message, WorkerContext& worker) noexcept {
  if (message->next == nullptr) return true;
  pass_message(message, worker);
  return false;
}

/// Sends a message on as it came, unread.
bool leave_alone(rte_mbuf* message, Gateway& gateway, WorkerContext& worker) noexcept {
  gateway.stats().host.add(ipc::GatewayCounter::switched_off);
  return pass(message, worker);
}

bool drop(rte_mbuf* message, DropReason reason, WorkerContext& worker) noexcept {
  drop_message(message, reason, worker);
  return false;
}

/// A message that waits once more keeps its first deadline.
bool park(rte_mbuf* message, WorkerContext& worker) noexcept {
  const auto deadline = worker.resumed_deadline.value_or(worker.clock.tick() + kParkingLimit);
  if (!worker.parking.park({message, worker.host.ticket(), deadline})) return false;
  worker.stats.worker.add(WorkerCounter::parked);
  return true;
}

GatewayFlow* flow_of(const Burst& burst, unsigned place, Direction direction,
                     WorkerContext& worker) noexcept {
  const auto& packet = burst.packets[place];
  const auto index = burst.mappings[place];
  return worker.gateways.flows.find(index,
                                    worker.translator[index].generation.load(std::memory_order_relaxed),
                                    direction == Direction::outbound ? packet.destination : packet.source);
}

/// Sends a message on with the worker's edits. \return true when it is a packet that goes on with its burst
bool send(Burst& burst, unsigned place, const Datagram& datagram, DropReason too_big,
          WorkerContext& worker) noexcept {
  rte_mbuf* const message = datagram.message;
  auto& packet = datagram.packet;
  const bool is_packet = message->next == nullptr;
  const auto mtu = worker.network.mtu(burst.hops[place].interface);
  if (!worker.edits.empty() && !(is_packet && fits(message, packet, worker.edits, mtu))) {
    send_edited(burst, place, message, packet, too_big, worker);
    return false;
  }
  worker.inspection.commit();
  if (!worker.edits.empty()) apply_edits(message, packet, worker.edits);
  return pass(message, worker);
}

/// Shows a message, and does what its gateway says. \param flow  nullptr: the gateway keeps none
bool show(Burst& burst, unsigned place, const Datagram& datagram, Direction direction, Gateway& gateway,
          GatewayFlow* flow, Attention attention, std::uint16_t interfaces, WorkerContext& worker) noexcept {
  using Verdict = Inspection::Verdict;
  const auto& packet = datagram.packet;
  auto& mapping = worker.translator[burst.mappings[place]];
  const auto remote = direction == Direction::outbound ? packet.destination : packet.source;
  const alg::Message shown{payload_of(datagram.frame, packet),
                           direction,
                           {packet.protocol, mapping.inside, mapping.external, remote, portless(mapping)},
                           worker.resumed_deadline.has_value(),
                           attention == Attention::all,
                           mapping.realm,
                           interfaces};
  const auto [verdict, answer] = worker.inspection.show(gateway, flow, mapping, shown);
  const auto too_big =
      gateway.number() == ipc::kSipGateway ? DropReason::drop_sip_too_big : DropReason::drop_gateway_too_big;
  switch (verdict) {
    case Verdict::forward:
    case Verdict::leave:
      if (flow != nullptr) flow->left = verdict == Verdict::leave;
      return send(burst, place, datagram, too_big, worker);
    case Verdict::unread:
      return leave_alone(datagram.message, gateway, worker);
    case Verdict::wait:
      if (park(datagram.message, worker)) return false;
      return drop(datagram.message, DropReason::drop_sip_parked_full, worker);
    case Verdict::refuse:
      worker.own_messages.refuse(shown, answer);
      break;
    case Verdict::drop:
      break;
  }
  return drop(datagram.message, answer.reason, worker);
}

/// Where a flow is kept. \return nullptr when there is no room for it
GatewayFlow* flow_at(Burst& burst, unsigned place, Direction direction, PortOwner owner,
                     WorkerContext& worker) noexcept {
  GatewayFlow* flow = flow_of(burst, place, direction, worker);
  if (flow == nullptr) flow = worker.gateways.flows.get(begin_flow(burst, place, direction, owner, worker));
  if (flow != nullptr) flow->last_seen = worker.clock.tick();
  return flow;
}

}  // namespace

bool inspect_datagram(Burst& burst, unsigned place, Direction direction, PortOwner owner,
                      std::uint16_t interfaces, WorkerContext& worker) noexcept {
  Datagram datagram{burst.mbufs[place], bytes_of(burst.mbufs[place]), burst.packets[place]};
  auto& gateway = worker.gateways.of(owner);
  const bool keeps_flows = gateway.spec().keeps_flows;
  if (keeps_flows) {
    GatewayFlow* const known = flow_of(burst, place, direction, worker);
    if (known == nullptr && !goes_to_server(burst, place, direction, owner, worker)) return true;
    if (known != nullptr && known->left) {
      known->last_seen = worker.clock.tick();
      return true;
    }
  }
  const auto host = worker.translator[burst.mappings[place]].inside.address;
  const auto attention = attention_of(gateway, host, interfaces, worker);
  if (attention == Attention::none) return leave_alone(datagram.message, gateway, worker);
  if (datagram.packet.part != nat::FragmentPart::whole) {
    datagram.message = gather_message(burst, place, direction, worker);
    if (datagram.message == nullptr) return false;
    const auto reason = write_whole(datagram.message, datagram.packet, worker);
    datagram.frame = worker.whole_message.data();
    if (reason != DropReason::none) return drop(datagram.message, reason, worker);
  }
  if (is_damaged(datagram.frame, datagram.packet)) {
    if (attention == Attention::known_calls) return leave_alone(datagram.message, gateway, worker);
    return drop(datagram.message, DropReason::drop_bad_udp_checksum, worker);
  }
  GatewayFlow* const flow = keeps_flows ? flow_at(burst, place, direction, owner, worker) : nullptr;
  if (keeps_flows && flow == nullptr) return pass(datagram.message, worker);
  return show(burst, place, datagram, direction, gateway, flow, attention, interfaces, worker);
}

}  // namespace pinhole::dataplane
