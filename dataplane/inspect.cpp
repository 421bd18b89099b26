// SPDX-License-Identifier: BSD-3-Clause
// The stage inspect of dataplane/pipeline.hpp.
#include <cstddef>
#include <string_view>

#include "alg/alg.hpp"
#include "dataplane/flow_keys.hpp"
#include "dataplane/inspect_stream.hpp"
#include "dataplane/mbuf_view.hpp"
#include "dataplane/pipeline.hpp"
#include "nat/checksum.hpp"
#include "nat/headers.hpp"
#include "nat/rewrite.hpp"

namespace pinhole::dataplane {

namespace {

using alg::Direction;
using alg::Verdict;
using nat::DropReason;
using nat::MappingFlags;

bool wants_inspection(const nat::Packet& packet, const nat::Mapping& mapping, Direction direction,
                      const SipPorts& ports) noexcept {
  const auto remote_port = direction == Direction::outbound ? packet.destination.port : packet.source.port;
  return packet.protocol != nat::Protocol::icmp && ports.concern(mapping, remote_port);
}

std::uint16_t udp_checksum(const std::byte* frame, const nat::Packet& packet) noexcept {
  const std::size_t size = static_cast<std::size_t>(packet.payload_end - packet.l4_offset);
  return nat::transport_checksum(nat::Protocol::udp, packet.source.address, packet.destination.address,
                                 {frame + packet.l4_offset, size}, offsetof(nat::UdpHeader, checksum));
}

/// An edited datagram gets a new checksum, so a damaged one must not be edited: it would pass for sound.
bool is_damaged(const std::byte* frame, const nat::Packet& packet) noexcept {
  const auto stated = nat::header_at<nat::UdpHeader>(frame, packet.l4_offset).checksum.raw();
  return stated != 0 && stated != udp_checksum(frame, packet);
}

/// Applies the edits. \return false when the message does not fit its buffer; it is then unchanged.
bool apply_edits(rte_mbuf* mbuf, nat::Packet& packet, const alg::EditList& edits) noexcept {
  const auto buffer = buffer_of(mbuf).subspan(packet.payload_offset);
  const auto size =
      edits.apply({reinterpret_cast<char*>(buffer.data()), buffer.size()}, packet.payload_size());
  if (!size) return false;
  nat::finish_udp_payload(bytes_of(mbuf), packet, static_cast<std::uint16_t>(*size));
  resize(mbuf, packet.ip_end);
  return true;
}

/// A message that is larger than its way out afterwards goes no further: nobody could be told, because what
/// its sender sent did fit.
bool fits(rte_mbuf* mbuf, const nat::Packet& packet, const alg::EditList& edits, std::uint16_t mtu) noexcept {
  const std::ptrdiff_t room = static_cast<std::ptrdiff_t>(buffer_of(mbuf).size()) - packet.payload_end;
  return edits.growth() <= room && packet.ip_size() + edits.growth() <= mtu;
}

/// A message that waits once more keeps its first deadline.
bool park(rte_mbuf* mbuf, WorkerContext& worker) noexcept {
  const auto deadline = worker.resumed_deadline.value_or(worker.clock.tick() + kParkingLimit);
  if (!worker.parking.park({mbuf, worker.host.ticket(), deadline})) return false;
  worker.stats.worker.add(WorkerCounter::parked);
  return true;
}

/// \return true when the message goes on.
bool inspect_one(Burst& burst, unsigned place, Direction direction, WorkerContext& worker) noexcept {
  auto& packet = burst.packets[place];
  rte_mbuf* const mbuf = burst.mbufs[place];
  auto& mapping = worker.translator[burst.mappings[place]];
  if (is_damaged(bytes_of(mbuf), packet)) {
    worker.transmitter.drop(mbuf, DropReason::drop_bad_udp_checksum);
    return false;
  }

  const std::string_view payload(reinterpret_cast<const char*>(bytes_of(mbuf)) + packet.payload_offset,
                                 packet.payload_size());
  const auto remote = direction == Direction::outbound ? packet.destination : packet.source;
  const alg::Message message{payload, direction, {packet.protocol, mapping.inside, mapping.external, remote}};
  worker.edits.clear();
  worker.host.begin(message, worker.clock.tick(), mapping.realm);
  auto answer = worker.sip.inspect(message, worker.host, worker.edits);
  if (answer.recognised) nat::keep_to_regular_path(mapping, nat::MappingFlags::kSip);
  const auto mtu = worker.network.mtu(burst.hops[place].interface);
  if (answer.verdict == Verdict::forward && !worker.edits.empty() && !fits(mbuf, packet, worker.edits, mtu)) {
    answer.verdict = Verdict::drop;
    answer.reason = DropReason::drop_sip_too_big;
  }
  switch (answer.verdict) {
    case Verdict::forward:
      worker.host.commit(worker.edits.edits().size());
      if (worker.edits.empty() || apply_edits(mbuf, packet, worker.edits)) return true;
      answer.reason = DropReason::drop_sip_too_big;
      break;
    case Verdict::wait:
      if (park(mbuf, worker)) {
        worker.host.abandon();
        return false;
      }
      answer.reason = DropReason::drop_sip_parked_full;
      worker.host.abandon();
      break;
    case Verdict::drop:
      worker.host.abandon();
      break;
  }
  worker.transmitter.drop(mbuf, answer.reason);
  return false;
}

/// \return how many packets were inspected.
unsigned inspect_lane(Burst& burst, Lane& lane, Direction direction, WorkerContext& worker) noexcept {
  unsigned inspected = 0;
  lane.keep_if([&](unsigned place) noexcept {
    const auto& mapping = worker.translator[burst.mappings[place]];
    if (!wants_inspection(burst.packets[place], mapping, direction, worker.sip_ports)) [[likely]]
      return true;
    if (burst.packets[place].protocol == nat::Protocol::tcp) {
      ++inspected;
      return inspect_segment(burst, place, direction, worker);
    }
    // A message that may have to be edited has to be there as a whole.
    if (burst.packets[place].part != nat::FragmentPart::whole) {
      worker.transmitter.drop(burst.mbufs[place], DropReason::drop_sip_fragment);
      return false;
    }
    ++inspected;
    return inspect_one(burst, place, direction, worker);
  });
  return inspected;
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
  const unsigned inspected = inspect_lane(burst, burst.outbound, Direction::outbound, worker) +
                             inspect_lane(burst, burst.inbound, Direction::inbound, worker);
  if (inspected > 0) look_up_again(burst, worker);
}

}  // namespace pinhole::dataplane
