// SPDX-License-Identifier: BSD-3-Clause
// The stage inspect of dataplane/pipeline.hpp.
#include <algorithm>
#include <cstddef>
#include <string_view>

#include "alg/alg.hpp"
#include "dataplane/datagram.hpp"
#include "dataplane/flow_keys.hpp"
#include "dataplane/gateway/datagrams.hpp"
#include "dataplane/hairpin.hpp"
#include "dataplane/inspect_stream.hpp"
#include "dataplane/large_message.hpp"
#include "dataplane/mbuf_view.hpp"
#include "dataplane/pipeline.hpp"
#include "nat/checksum.hpp"
#include "nat/headers.hpp"
#include "nat/prefetch.hpp"
#include "nat/rewrite.hpp"

namespace pinhole::dataplane {

namespace {

using alg::Direction;
using alg::Verdict;
using nat::DropReason;
using nat::MappingFlags;

/// Who looks at a packet.
PortOwner owner_of(const nat::Packet& packet, const nat::Mapping& mapping, Direction direction,
                   const WorkerContext& worker) noexcept {
  const bool outbound = direction == Direction::outbound;
  return worker.ports.owner(mapping, outbound ? packet.destination.port : packet.source.port, outbound);
}

/// By which interfaces a message comes in and goes out, a bit each. What is turned around arrives and leaves
/// by one interface.
std::uint16_t interfaces_of(const Burst& burst, unsigned place) noexcept {
  std::uint16_t interfaces = 0;
  if (!is_hairpinned(burst.mbufs[place])) interfaces |= ipc::AlgSwitch::bit_of(burst.arrival[place]);
  const auto way_out = burst.hops[place].interface;
  if (way_out != kHairpinInterface) interfaces |= ipc::AlgSwitch::bit_of(way_out);
  return interfaces;
}

/// A message that waits once more keeps its first deadline.
bool park(rte_mbuf* mbuf, WorkerContext& worker) noexcept {
  const auto deadline = worker.resumed_deadline.value_or(worker.clock.tick() + kParkingLimit);
  if (!worker.parking.park({mbuf, worker.host.ticket(), deadline})) return false;
  worker.stats.worker.add(WorkerCounter::parked);
  return true;
}

/// Sends a message on as it came. \return true when it is a packet that goes on with its burst
bool leave_alone(rte_mbuf* message, WorkerContext& worker) noexcept {
  worker.stats.worker.add(WorkerCounter::sip_switched_off);
  if (message->next == nullptr) return true;
  pass_message(message, worker);
  return false;
}

/// What SIP has decided beside the edits.
class HostTransaction final : public Transaction {
 public:
  explicit HostTransaction(WorkerContext& worker) noexcept : worker_(worker) {}
  void commit() noexcept override { worker_.host.commit(worker_.edits); }
  void abandon() noexcept override { worker_.host.abandon(); }

 private:
  WorkerContext& worker_;
};

/// Shows a message to SIP, and does what it says.
/// \param message  the packet, or the fragments of the message as a list
/// \param packet   of the message, which begins at `frame`
/// \return true when the packet goes on with its burst
bool inspect_message(Burst& burst, unsigned place, rte_mbuf* message, nat::Packet& packet,
                     const std::byte* frame, Direction direction, Concern concern,
                     WorkerContext& worker) noexcept {
  auto& mapping = worker.translator[burst.mappings[place]];
  const bool is_packet = message->next == nullptr;
  const auto remote = direction == Direction::outbound ? packet.destination : packet.source;
  const alg::Message shown{payload_of(frame, packet),
                           direction,
                           {packet.protocol, mapping.inside, mapping.external, remote, portless(mapping)},
                           worker.resumed_deadline.has_value(),
                           concern == Concern::all,
                           mapping.realm,
                           interfaces_of(burst, place)};
  worker.edits.clear();
  worker.host.begin(shown, worker.clock.tick(), mapping.realm, concern);
  auto answer = worker.sip.inspect(shown, worker.host, worker.edits);
  const bool ends_here = answer.reason == DropReason::drop_sip_own;
  if (!worker.host.is_concerned() && !ends_here) {
    worker.host.abandon();
    return leave_alone(message, worker);
  }
  if (answer.recognised) nat::keep_to_regular_path(mapping, nat::MappingFlags::kSip);
  switch (answer.verdict) {
    case Verdict::forward:
      if (!worker.edits.empty() && !(is_packet && fits(message, packet, worker.edits,
                                                       worker.network.mtu(burst.hops[place].interface)))) {
        HostTransaction transaction(worker);
        send_edited(burst, place, message, packet, transaction, DropReason::drop_sip_too_big, worker);
        return false;
      }
      worker.host.commit(worker.edits);
      if (!worker.edits.empty()) apply_edits(message, packet, worker.edits);
      if (!is_packet) pass_message(message, worker);
      return is_packet;
    case Verdict::wait:
      if (park(message, worker)) {
        worker.host.abandon();
        return false;
      }
      answer.reason = DropReason::drop_sip_parked_full;
      break;
    case Verdict::refuse:
      worker.own_messages.refuse(shown, answer);
      break;
    case Verdict::drop:
      break;
  }
  worker.host.abandon();
  drop_message(message, answer.reason, worker);
  return false;
}

/// \return true when the packet goes on with its burst.
bool inspect_one(Burst& burst, unsigned place, Direction direction, WorkerContext& worker) noexcept {
  rte_mbuf* message = burst.mbufs[place];
  const std::byte* frame = bytes_of(message);
  auto& packet = burst.packets[place];
  const auto host = worker.translator[burst.mappings[place]].inside.address;
  const bool switched_on = worker.policy.sip().is_on(host, interfaces_of(burst, place));
  if (!switched_on && worker.calls.size() == 0) return leave_alone(message, worker);
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
    if (!switched_on) return leave_alone(message, worker);
    drop_message(message, DropReason::drop_bad_udp_checksum, worker);
    return false;
  }
  const auto concern = switched_on ? Concern::all : Concern::known_calls;
  return inspect_message(burst, place, message, packet, frame, direction, concern, worker);
}

/// Asks for the beginning of a message that comes soon: its rest is fetched by the processor, which sees how
/// it is read.
void fetch_message(rte_mbuf* mbuf, const nat::Packet& packet) noexcept {
  constexpr unsigned kLine = 64;
  constexpr unsigned kMostBytes = 12 * kLine;  // a core waits for some twenty lines at a time
  const unsigned end = std::min<unsigned>(packet.payload_end, packet.payload_offset + kMostBytes);
  for (unsigned at = packet.payload_offset; at < end; at += kLine) nat::prefetch(bytes_of(mbuf) + at);
  nat::prefetch(static_cast<const void*>(&mbuf->next));  // the second line of the mbuf
}

void inspect_lane(Burst& burst, Lane& lane, Direction direction, WorkerContext& worker) noexcept {
  const auto owner = [&](unsigned place) noexcept {
    return owner_of(burst.packets[place], worker.translator[burst.mappings[place]], direction, worker);
  };
  const auto stays = [&](unsigned place) noexcept {
    const PortOwner whose = owner(place);
    if (whose == kUnowned) [[likely]]
      return true;
    if (burst.packets[place].protocol == nat::Protocol::tcp) {
      return inspect_segment(burst, place, direction, whose, interfaces_of(burst, place), worker);
    }
    if (is_inspected(burst.mbufs[place])) return true;
    if (whose == kSipOwner) return inspect_one(burst, place, direction, worker);
    return inspect_datagram(burst, place, direction, whose, interfaces_of(burst, place), worker);
  };
  const auto far = [&](unsigned place) noexcept {
    const PortOwner whose = owner(place);
    if (whose == kUnowned) return;
    const auto& packet = burst.packets[place];
    fetch_message(burst.mbufs[place], packet);
    if (whose != kSipOwner) return;
    worker.guard.fetch_sets(
        worker.translator[burst.mappings[place]].inside.address,
        direction == Direction::outbound ? packet.destination.address : packet.source.address);
  };
  const auto near = [&](unsigned place) noexcept {
    const auto& packet = burst.packets[place];
    const bool is_message = packet.protocol == nat::Protocol::udp &&
                            packet.part == nat::FragmentPart::whole && owner(place) == kSipOwner;
    if (!is_message) return;
    worker.host.foresee(payload_of(bytes_of(burst.mbufs[place]), packet));
    const auto& mapping = worker.translator[burst.mappings[place]];
    worker.guard.fetch_sender(
        direction == Direction::outbound ? mapping.inside.address : packet.source.address, direction);
  };
  lane.keep_if(stays, far, near);
}

/// A message may have closed a mapping that a packet behind it in the burst was found to have, and another
/// may have taken its place.
void look_up_again(Burst& burst, WorkerContext& worker) noexcept {
  const auto still_there = [&](unsigned place, nat::MappingIndex mapping) noexcept {
    burst.mappings[place] = mapping;
    if (mapping != nat::kNoMapping) return true;
    worker.transmitter.drop(burst.mbufs[place], DropReason::drop_no_mapping);
    return false;
  };
  burst.outbound.keep_if([&](unsigned place) noexcept {
    return still_there(place, worker.translator.find_outbound(outbound_key(burst, place)));
  });
  burst.inbound.keep_if([&](unsigned place) noexcept {
    return still_there(place, find_inbound(burst, place, worker.translator));
  });
}

}  // namespace

void inspect(Burst& burst, WorkerContext& worker) noexcept {
  const auto closings = worker.endpoints.closings();
  inspect_lane(burst, burst.outbound, Direction::outbound, worker);
  inspect_lane(burst, burst.inbound, Direction::inbound, worker);
  if (worker.endpoints.closings() != closings) look_up_again(burst, worker);
}

}  // namespace pinhole::dataplane
