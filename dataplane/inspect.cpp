// SPDX-License-Identifier: BSD-3-Clause
// The stage inspect of dataplane/pipeline.hpp.
#include <algorithm>
#include <array>

#include "alg/alg.hpp"
#include "dataplane/datagram.hpp"
#include "dataplane/flow_keys.hpp"
#include "dataplane/gateway/datagrams.hpp"
#include "dataplane/hairpin.hpp"
#include "dataplane/inspect_stream.hpp"
#include "dataplane/large_message.hpp"
#include "dataplane/mbuf_view.hpp"
#include "dataplane/pipeline.hpp"
#include "nat/prefetch.hpp"

namespace pinhole::dataplane {

namespace {

using alg::Direction;
using nat::DropReason;

/// Who looks at a packet.
PortOwner reader_of(const nat::Packet& packet, const nat::Mapping& mapping, Direction direction,
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

/// Asks for the beginning of a message that comes soon: its rest is fetched by the processor, which sees how
/// it is read.
void fetch_message(rte_mbuf* mbuf, const nat::Packet& packet) noexcept {
  constexpr unsigned kLine = 64;
  constexpr unsigned kMostBytes = 12 * kLine;  // a core waits for some twenty lines at a time
  const std::byte* at = bytes_of(mbuf) + packet.payload_offset;
  const std::byte* const end = at + std::min<unsigned>(packet.payload_size(), kMostBytes);
  for (; at < end; at += kLine) nat::prefetch(at);
  nat::prefetch(static_cast<const void*>(&mbuf->next));  // the second line of the mbuf
}

void inspect_lane(Burst& burst, Lane& lane, Direction direction, WorkerContext& worker) noexcept {
  const auto owner = [&](unsigned place) noexcept {
    return reader_of(burst.packets[place], worker.translator[burst.mappings[place]], direction, worker);
  };
  const auto stays = [&](unsigned place) noexcept {
    const PortOwner whose = owner(place);
    if (whose == kUnowned) [[likely]]
      return true;
    if (burst.packets[place].protocol == nat::Protocol::tcp) {
      return inspect_segment(burst, place, direction, whose, interfaces_of(burst, place), worker);
    }
    if (is_inspected(burst.mbufs[place])) return true;
    return inspect_datagram(burst, place, direction, whose, interfaces_of(burst, place), worker);
  };
  std::array<PortOwner, kBurst> foreseen;  // by place; a message in front of it may still change it
  const auto far = [&](unsigned place) noexcept {
    const PortOwner whose = foreseen[place] = owner(place);
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
                            packet.part == nat::FragmentPart::whole && foreseen[place] == kSipOwner;
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
