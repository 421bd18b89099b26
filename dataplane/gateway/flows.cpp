// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/gateway/flows.hpp"

#include <algorithm>

#include "dataplane/inspect_stream.hpp"
#include "nat/tcp_state.hpp"

namespace pinhole::dataplane {

namespace {

using alg::Direction;

constexpr std::uint32_t kBudget = 256;  // flows a tick
/// A flow of datagrams that is silent for so long has ended.
constexpr nat::Tick kSilence = nat::ticks_from_s(300);

/// Whether a flow has ended: with its mapping, with its connection, or by silence.
bool is_over(const GatewayFlow& flow, const WorkerContext& worker, nat::Tick now) noexcept {
  const auto& translator = worker.translator;
  if (!translator.table().is_live(flow.mapping)) return true;
  if (translator[flow.mapping].generation.load(std::memory_order_relaxed) != flow.mapping_generation)
    return true;
  if (flow.protocol == nat::Protocol::udp) {
    return flow.children == 0 && nat::reached(flow.last_seen + std::max(kSilence, flow.keep), now);
  }
  const auto* const session = translator.session(flow.mapping, flow.remote, now);
  // A reset may be forged: the session is gone in a while, or goes on.
  return session == nullptr || session->state() == nat::TcpState::closing;
}

/// A flow that is to be kept for longer than its time-out says is as good as used meanwhile.
void keep(const GatewayFlow& flow, WorkerContext& worker, nat::Tick now) noexcept {
  const nat::Tick timeout = worker.translator.timeout_of(flow.mapping);
  if (flow.keep <= timeout) return;
  const nat::Tick last = flow.last_seen + flow.keep - timeout;
  worker.translator.refresh(flow.mapping, flow.remote, nat::reached(last, now) ? last : now, now);
}

/// While a child is busy, the connection that has announced it may be forgotten by others on the way.
void ask(GatewayFlow& flow, WorkerContext& worker, nat::Tick now) noexcept {
  const nat::Tick pause = nat::ticks_from_s(worker.gateways.of(owner_of(flow.gateway)).spec().keep_alive_s);
  if (pause == 0 || !nat::reached(flow.last_seen + pause, now) || !nat::reached(flow.spoken_at + pause, now))
    return;
  StreamEntry* const entry = worker.streams.find(flow.mapping, flow.mapping_generation, flow.remote);
  if (entry == nullptr) return;  // it is not read any more
  flow.spoken_at = now;
  worker.stats.worker.add(WorkerCounter::stream_keep_alive, ask_ends(*entry, worker));
}

}  // namespace

Attention attention_of(const Gateway& gateway, nat::Ipv4Address host, std::uint16_t interfaces,
                       const WorkerContext& worker) noexcept {
  const bool is_on = !gateway.is_stopped() && worker.policy.gateway(gateway.number()).is_on(host, interfaces);
  if (is_on) return Attention::all;
  const bool sees_through = gateway.number() == ipc::kSipGateway && worker.calls.size() > 0;
  return sees_through ? Attention::known_calls : Attention::none;
}

bool goes_to_server(const Burst& burst, unsigned place, Direction direction, PortOwner owner,
                    const WorkerContext& worker) noexcept {
  const auto& packet = burst.packets[place];
  const auto server = direction == Direction::outbound ? packet.destination.port
                                                       : worker.translator[burst.mappings[place]].inside.port;
  return worker.ports.owner(packet.protocol, server) == owner;
}

FlowRef begin_flow(const Burst& burst, unsigned place, Direction direction, PortOwner owner,
                   WorkerContext& worker) noexcept {
  const auto& packet = burst.packets[place];
  const auto index = burst.mappings[place];
  const auto remote = direction == Direction::outbound ? packet.destination : packet.source;
  const auto generation = worker.translator[index].generation.load(std::memory_order_relaxed);
  auto& flows = worker.gateways.flows;
  GatewayFlow* flow = flows.find(index, generation, remote);
  if (flow != nullptr) {
    flows.restart(*flow);
  } else {
    flow = flows.add(index, generation, remote, packet.protocol);
  }
  if (flow == nullptr) {
    worker.stats.worker.add(WorkerCounter::gateway_flow_full);
    return {};
  }
  flow->gateway = gateway_of(owner);
  flow->server = direction == Direction::outbound ? PINHOLE_OUTSIDE : PINHOLE_INSIDE;
  flow->last_seen = worker.clock.tick();
  return flows.ref(*flow);
}

void tick_gateways(WorkerContext& worker) noexcept {
  const nat::Tick now = worker.clock.tick();
  auto& flows = worker.gateways.flows;
  auto& walker = worker.gateways.flow_walker;
  for (std::uint32_t left = std::min(flows.size(), kBudget); left > 0 && flows.size() > 0; --left) {
    walker = walker == 0 || walker > flows.size() ? flows.size() - 1 : walker - 1;
    auto& flow = flows.live(walker);
    if (is_over(flow, worker, now)) {
      flows.remove(flow);
      continue;
    }
    if (flow.keep != 0) keep(flow, worker, now);
    if (flow.children > 0 && flow.protocol == nat::Protocol::tcp) ask(flow, worker, now);
  }
  worker.stats.worker.set(WorkerCounter::gateway_flow_live, flows.size());
  worker.gateways.expectations.tick(now);
}

}  // namespace pinhole::dataplane
