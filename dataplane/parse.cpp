// SPDX-License-Identifier: BSD-3-Clause
// The stage parse of dataplane/pipeline.hpp.
#include "dataplane/fragments.hpp"
#include "dataplane/hairpin.hpp"
#include "dataplane/mbuf_view.hpp"
#include "dataplane/pipeline.hpp"
#include "nat/headers.hpp"

#include <rte_prefetch.h>

namespace pinhole::dataplane {

namespace {

using nat::DropReason;
using nat::PacketKind;

/// How far ahead of the packet being parsed its successors' headers are fetched.
constexpr unsigned kPrefetchAhead = 8;

void refuse(nat::Packet& packet, DropReason reason) noexcept {
  packet.kind = PacketKind::dropped;
  packet.drop = reason;
}

std::uint8_t arrival_of_marked(const rte_mbuf* mbuf, std::span<const std::byte> frame,
                               const Network& network) noexcept {
  const auto port = static_cast<std::uint16_t>(mbuf->port & MbufMark::kPort);
  if (is_hairpinned(mbuf)) return network.hairpin_arrival;
  return is_own(mbuf) ? static_cast<std::uint8_t>(port) : network.arrival(port, frame);
}

/// A packet that another worker, or this one, has handed on with a mark; what is dropped by its frame never
/// got one.
void parse_marked(Burst& burst, unsigned place, const Network& network) noexcept {
  rte_mbuf* const mbuf = burst.mbufs[place];
  const auto frame = frame_of(mbuf);
  auto& packet = burst.packets[place];
  const auto arrival = arrival_of_marked(mbuf, frame, network);
  burst.arrival[place] = arrival;
  nat::parse(frame, is_from_wire(mbuf) ? network.interfaces[arrival].vlan : std::uint16_t{0}, packet);
  if (packet.kind == PacketKind::fragment && is_known_fragment(mbuf))
    nat::set_flow(packet, note_of(mbuf).flow);
}

void parse_one(Burst& burst, unsigned place, const Network& network) noexcept {
  const auto frame = frame_of(burst.mbufs[place]);
  auto& packet = burst.packets[place];
  const unsigned port = burst.mbufs[place]->port;
  if ((port & ~unsigned{MbufMark::kPort}) != 0) [[unlikely]]
    return parse_marked(burst, place, network);
  const auto arrival = network.arrival(static_cast<std::uint16_t>(port), frame);
  burst.arrival[place] = arrival;
  if (arrival == kNoInterface) return refuse(packet, DropReason::drop_not_ip);
  const auto& interface = network.interfaces[arrival];
  nat::parse(frame, interface.vlan, packet);
  if (packet.kind == PacketKind::dropped) return;
  const auto& destination = nat::header_at<nat::EthernetHeader>(frame.data(), 0).destination;
  const bool for_all = packet.kind == PacketKind::arp && destination == nat::kBroadcastMac;
  if (destination != interface.mac && !for_all) return refuse(packet, DropReason::drop_not_for_us);
  // A host that announces itself by ARP says its address twice.
  if (packet.source.address == packet.destination.address && packet.kind != PacketKind::arp) {
    refuse(packet, DropReason::drop_land);
  }
}

}  // namespace

void parse(Burst& burst, WorkerContext& worker) noexcept {
  for (unsigned place = 0; place < burst.size && place < kPrefetchAhead; ++place) {
    rte_prefetch0(bytes_of(burst.mbufs[place]));
  }
  for (unsigned place = 0; place < burst.size; ++place) {
    if (place + kPrefetchAhead < burst.size) rte_prefetch0(bytes_of(burst.mbufs[place + kPrefetchAhead]));
    parse_one(burst, place, worker.network);
  }
}

}  // namespace pinhole::dataplane
