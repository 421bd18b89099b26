// SPDX-License-Identifier: BSD-3-Clause
// The stage transmit of dataplane/pipeline.hpp.
#include "dataplane/fragments.hpp"
#include "dataplane/hairpin.hpp"
#include "dataplane/mbuf_view.hpp"
#include "dataplane/pipeline.hpp"

namespace pinhole::dataplane {

namespace {

void transmit_lane(Burst& burst, const Lane& lane, WorkerContext& worker) noexcept {
  for (const unsigned place : lane) {
    const auto& packet = burst.packets[place];
    rte_mbuf* const mbuf = burst.mbufs[place];
    resize(mbuf, packet.ip_end);  // Ethernet padding stays behind
    if (burst.hops[place].interface == kHairpinInterface) [[unlikely]] {
      hairpin(mbuf, packet, worker.translator[burst.mappings[place]].external.port, worker);
      continue;
    }
    if (packet.ip_size() > worker.network.mtu(burst.hops[place].interface)) [[unlikely]] {
      send_in_fragments(mbuf, packet, burst.hops[place], worker);
      continue;
    }
    worker.transmitter.send(mbuf, packet.l3_offset, burst.hops[place]);
  }
}

}  // namespace

void transmit(Burst& burst, WorkerContext& worker) noexcept {
  transmit_lane(burst, burst.outbound, worker);
  transmit_lane(burst, burst.inbound, worker);
  worker.handoff.flush();
}

}  // namespace pinhole::dataplane
