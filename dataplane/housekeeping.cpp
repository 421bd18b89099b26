// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/housekeeping.hpp"

#include <algorithm>
#include <utility>

#include "dataplane/fragments.hpp"
#include "dataplane/gateway/flows.hpp"
#include "dataplane/inspect_stream.hpp"
#include "dataplane/ipc/command.hpp"
#include "dataplane/ipc/layout.hpp"
#include "dataplane/large_message.hpp"
#include "dataplane/mbuf_view.hpp"
#include "dataplane/pipeline.hpp"

#include <rte_ring_elem.h>

namespace pinhole::dataplane {

namespace {

using nat::DropReason;

// Budgets. An expired mapping costs about two cache misses, so a turn's worth is a few microseconds; with a
// turn of about 10 µs that frees more than a million mappings a second.
constexpr std::uint32_t kExpiryBudget = 32;
constexpr std::uint32_t kRestBudget = 64;  // words of the port pool
constexpr std::uint32_t kSweepBudget =
    64;  // mappings, one after the other: a new ban holds for a million in 0.2 s
constexpr unsigned kPeerBudget = 32;
constexpr unsigned kCommandBudget = 64;
constexpr std::uint32_t kFragmentBudget = 512;                   // datagrams a tick
constexpr std::uint32_t kSynBudget = 64;                         // a tick
constexpr std::uint32_t kCardBudget = 256;                       // a tick, at least
constexpr std::uint32_t kTicksPerRound = nat::ticks_from_s(30);  // in which every card is looked at

void resume(rte_mbuf* mbuf, nat::Tick deadline, Burst& burst, WorkerContext& worker) noexcept {
  burst.size = 1;
  burst.mbufs[0] = mbuf;
  worker.resumed_deadline = deadline;
  worker.resumed_rest = std::exchange(mbuf->next, nullptr);
  run_pipeline(burst, worker);
  worker.resumed_deadline.reset();
  // The first fragment was dropped, or nobody looks for messages here any more: the others fare alike.
  pass_message(std::exchange(worker.resumed_rest, nullptr), worker);
}

/// Who closes a call for no reason of his own has seen it end: it may have been tried again since.
bool close_call(const ipc::Command& command, WorkerContext& worker) noexcept {
  const auto& calls = worker.calls;
  const bool lives = calls.is_current(command.card, command.card_generation) &&
                     calls.card(command.card).step.state != ipc::CallState::ended;
  if (lives && command.reason == ipc::EndReason::none) return false;
  return worker.host.close_call(command.card, command.card_generation, command.reason);
}

void obey(const ipc::Command& command, WorkerContext& worker) noexcept {
  auto& counters = worker.stats.worker;
  const bool whole = command.sequence == command.sequence_again && command.abi_version == ipc::kAbiVersion;
  if (!whole) return counters.add(WorkerCounter::command_refused);
  bool done = false;
  switch (command.type) {
    case ipc::CommandType::close_call:
      done = close_call(command, worker);
      break;
    case ipc::CommandType::shut_media:
      done = worker.host.shut_call(command.card, command.card_generation);
      break;
    case ipc::CommandType::keep_call:
      done = worker.host.keep_call(command.card, command.card_generation,
                                   worker.clock.tick() + nat::ticks_from_s(command.seconds));
      break;
    case ipc::CommandType::announce_policy:
      worker.policy.announce(command.generation);
      done = true;
      break;
    case ipc::CommandType::prepare_policy:
      done = worker.policy.prepare(command.generation, command.slot);
      break;
    case ipc::CommandType::commit_policy:
      done = worker.policy.commit(command.generation);
      break;
    case ipc::CommandType::ban:
      done = worker.guard.ban(command.ban, command.seconds);
      break;
    case ipc::CommandType::lift_ban:
      done = worker.guard.lift(command.ban);
      break;
    case ipc::CommandType::allow:
      done = worker.guard.allow(command.ban.prefix);
      break;
    case ipc::CommandType::disallow:
      done = worker.guard.disallow(command.ban.prefix);
      break;
    case ipc::CommandType::hang_up:
      done = worker.hang_ups.hang_up(command.card, command.card_generation, command.reason);
      break;
    default:
      return counters.add(WorkerCounter::command_refused);
  }
  counters.add(done ? WorkerCounter::command_done : WorkerCounter::command_stale);
}

/// Worker 0: packets whose next hop had no MAC address when they were to be sent.
void resolve(WorkerContext& worker) noexcept {
  auto& neighbors = *worker.network.neighbors;
  std::array<rte_mbuf*, kBurst> mbufs;
  rte_ring* const ring = worker.network.rings[kNeighborOwner].unresolved;
  const unsigned size = rte_ring_dequeue_burst(ring, reinterpret_cast<void**>(mbufs.data()), kBurst, nullptr);
  for (unsigned i = 0; i < size; ++i) {
    const auto note = note_of(mbufs[i]);
    switch (neighbors.enqueue(note.hop.interface, note.hop.next_hop, mbufs[i], worker.clock.tick())) {
      case Enqueued::queued:
        break;
      case Enqueued::ask:
        worker.slow_path.ask_neighbor({note.hop.interface, note.hop.next_hop, nat::kBroadcastMac});
        break;
      case Enqueued::full:
        worker.transmitter.drop(mbufs[i], DropReason::drop_neighbor_queue_full);
        break;
      case Enqueued::resolved:
        worker.transmitter.send(mbufs[i], note.l3_offset, note.hop);
        break;
    }
  }
}

void look_after_neighbors(WorkerContext& worker) noexcept {
  worker.network.neighbors->tick(
      worker.clock.tick(),
      [&](const NeighborQuestion& question) noexcept { worker.slow_path.ask_neighbor(question); },
      [&](void* packet) noexcept { worker.slow_path.neighbor_unresolved(static_cast<rte_mbuf*>(packet)); });
}

}  // namespace

void answer_workers(Burst& burst, WorkerContext& worker) noexcept {
  PeerMessage message;
  for (unsigned left = kPeerBudget; left > 0 && worker.peers.receive(message); --left) {
    const Ticket ticket = worker.host.take(message, worker.clock.tick());
    if (ticket == kNoTicket) continue;
    while (const auto parked = worker.parking.take_ready(ticket)) {
      resume(parked->packet, parked->deadline, burst, worker);
    }
    resume_streams(ticket, worker);
  }
}

void keep_house(WorkerContext& worker) noexcept {
  worker.translator.expire(worker.clock.tick(), kExpiryBudget,
                           [&](nat::MappingIndex, const nat::Mapping& mapping) noexcept {
                             worker.endpoints.mapping_expired(mapping);
                           });
  worker.translator.rest_ports(worker.clock.tick(), kRestBudget);
  worker.ban_sweep.run(worker.guard, worker.translator, kSweepBudget);
  if (worker.index == kNeighborOwner) resolve(worker);
}

void begin_tick(WorkerContext& worker) noexcept {
  worker.guard.tick(worker.clock.tick());
  ipc::Command command;
  for (unsigned left = kCommandBudget;
       left > 0 && rte_ring_dequeue_elem(worker.commands, &command, sizeof command) == 0; --left) {
    obey(command, worker);
  }
  const auto cards = std::max(worker.calls.capacity(), worker.registrations.capacity());
  worker.host.tick(worker.clock.tick(), std::max(kCardBudget, cards / kTicksPerRound + 1));
  worker.hang_ups.tick();
  worker.express.refresh(worker.translator);
  worker.stats.worker.set(WorkerCounter::hop_live, worker.express.hops().size());
  worker.stats.worker.set(WorkerCounter::hop_reclaimed, worker.express.hops().reclaimed());
  while (const auto parked = worker.parking.take_expired(worker.clock.tick())) {
    drop_message(parked->packet, DropReason::drop_sip_parked_timeout, worker);
  }
  tick_streams(worker);
  tick_gateways(worker);
  expire_fragments(worker, kFragmentBudget);
  worker.stats.worker.set(WorkerCounter::fragment_waiting, worker.fragments.waiting());
  expire_messages(worker, kFragmentBudget);
  worker.stats.worker.set(WorkerCounter::sip_fragment_waiting, worker.reassembly.pieces());
  worker.held_syns.expire(worker.clock.tick(), kSynBudget,
                          [&](const nat::HeldSyn& syn) noexcept { worker.slow_path.unsolicited(syn); });
  worker.stats.worker.set(WorkerCounter::syn_held, worker.held_syns.size());
  if (worker.index == kNeighborOwner) look_after_neighbors(worker);
  worker.handoff.flush();  // errors that have to find the host they are for
}

}  // namespace pinhole::dataplane
