// SPDX-License-Identifier: BSD-3-Clause
// The stage parse of dataplane/pipeline.hpp.
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

void parse_one(Burst& burst, unsigned place, const Network& network) noexcept {
  const auto frame = frame_of(burst.mbufs[place]);
  auto& packet = burst.packets[place];
  if (is_hairpinned(burst.mbufs[place])) [[unlikely]] {
    burst.arrival[place] = network.hairpin_arrival;
    return nat::parse(frame, 0, packet);
  }
  const auto arrival = network.arrival(burst.mbufs[place]->port, frame);
  burst.arrival[place] = arrival;
  if (arrival == kNoInterface) return refuse(packet, DropReason::drop_not_ip);
  const auto& interface = network.interfaces[arrival];
  nat::parse(frame, interface.vlan, packet);
  if (packet.kind == PacketKind::dropped) return;
  const auto& destination = nat::header_at<nat::EthernetHeader>(frame.data(), 0).destination;
  const bool for_all = packet.kind == PacketKind::arp && destination == nat::kBroadcastMac;
  if (destination != interface.mac && !for_all) refuse(packet, DropReason::drop_not_for_us);
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
