// SPDX-License-Identifier: BSD-3-Clause
// The stages translate and transmit of dataplane/pipeline.hpp.
#include "dataplane/mbuf_view.hpp"
#include "dataplane/pipeline.hpp"
#include "nat/rewrite.hpp"

namespace pinhole::dataplane {

namespace {

using nat::DropReason;

/// The packet is still as its sender made it, so that an answer quotes what the sender knows.
bool fits(Burst& burst, unsigned place, WorkerContext& worker) noexcept {
  const auto& packet = burst.packets[place];
  const auto mtu = worker.network.interfaces[burst.hops[place].interface].mtu;
  if (packet.ip_size() <= mtu) [[likely]]
    return true;
  worker.slow_path.too_big(burst.mbufs[place], packet, burst.arrival[place], mtu);
  return false;
}

void translate_outbound(Burst& burst, WorkerContext& worker) noexcept {
  const auto now = worker.clock.tick();
  burst.outbound.keep_if([&](unsigned place) noexcept {
    if (!fits(burst, place, worker)) return false;
    const auto& packet = burst.packets[place];
    const auto index = burst.mappings[place];
    worker.translator.touch_outbound(index, packet.destination, packet.ip_size(), packet.tcp_flags, now);
    nat::rewrite_outbound(bytes_of(burst.mbufs[place]), packet, worker.translator[index]);
    return true;
  });
  worker.stats.worker.add(WorkerCounter::translated_out, burst.outbound.size());
}

/// Inbound the way out is known only now: it depends on whom the mapping stands for.
void translate_inbound(Burst& burst, WorkerContext& worker) noexcept {
  const auto now = worker.clock.tick();
  burst.inbound.keep_if([&](unsigned place) noexcept {
    const auto& packet = burst.packets[place];
    rte_mbuf* const mbuf = burst.mbufs[place];
    const auto& mapping = worker.translator[burst.mappings[place]];
    if (packet.ttl <= 1) {
      worker.slow_path.ttl_expired(mbuf, packet, burst.arrival[place]);
      return false;
    }
    const auto route = worker.network.routes.find(mapping.inside.address);
    if (route.kind != RouteKind::forward) {
      worker.transmitter.drop(mbuf, DropReason::drop_no_route);
      return false;
    }
    burst.hops[place] = {route.next_hop, route.interface};
    if (!fits(burst, place, worker)) return false;
    worker.translator.touch_inbound(burst.mappings[place], packet.source, packet.ip_size(), packet.tcp_flags,
                                    now);
    nat::rewrite_inbound(bytes_of(mbuf), packet, mapping);
    return true;
  });
  worker.stats.worker.add(WorkerCounter::translated_in, burst.inbound.size());
}

void transmit_lane(Burst& burst, const Lane& lane, WorkerContext& worker) noexcept {
  for (const unsigned place : lane) {
    const auto& packet = burst.packets[place];
    rte_mbuf* const mbuf = burst.mbufs[place];
    resize(mbuf, packet.ip_end);  // Ethernet padding stays behind
    worker.transmitter.send(mbuf, packet.l3_offset, burst.hops[place]);
  }
}

}  // namespace

void translate(Burst& burst, WorkerContext& worker) noexcept {
  if (burst.outbound.size() > 0) translate_outbound(burst, worker);
  if (burst.inbound.size() > 0) translate_inbound(burst, worker);
}

void transmit(Burst& burst, WorkerContext& worker) noexcept {
  transmit_lane(burst, burst.outbound, worker);
  transmit_lane(burst, burst.inbound, worker);
}

}  // namespace pinhole::dataplane
