// SPDX-License-Identifier: BSD-3-Clause
// The stage translate of dataplane/pipeline.hpp.
#include "dataplane/fragments.hpp"
#include "dataplane/hairpin.hpp"
#include "dataplane/mbuf_view.hpp"
#include "dataplane/pipeline.hpp"
#include "nat/rewrite.hpp"
#include "nat/tcp_segment.hpp"

namespace pinhole::dataplane {

namespace {

/// The packet is as its sender made it: what a gateway edited was found to fit by inspect(). What is too
/// large and may be fragmented is, when it is sent.
bool fits(Burst& burst, unsigned place, WorkerContext& worker) noexcept {
  const auto& packet = burst.packets[place];
  const auto mtu = worker.network.mtu(burst.hops[place].interface);
  if (packet.ip_size() <= mtu) [[likely]]
    return true;
  if (may_be_fragmented(bytes_of(burst.mbufs[place]), packet)) return true;
  worker.slow_path.too_big(burst.mbufs[place], packet, burst.arrival[place], mtu);
  return false;
}

bool has_tcp_header(const nat::Packet& packet) noexcept {
  return packet.protocol == nat::Protocol::tcp && packet.part != nat::FragmentPart::later;
}

bool is_syn(const nat::Packet& packet) noexcept {
  return (packet.tcp_flags & nat::TcpHeader::kSyn) != 0 && packet.part == nat::FragmentPart::whole;
}

/// Neither side is to send segments that do not fit the way between them; what is turned around has half of
/// that way before it, and half behind. \param packet  a SYN
void clamp_mss(rte_mbuf* mbuf, const nat::Packet& packet, std::uint8_t arrival, std::uint8_t way_out,
               const Network& network) noexcept {
  const auto way_in = is_hairpinned(mbuf) ? kHairpinInterface : arrival;
  nat::clamp_mss(bytes_of(mbuf), packet, network.mss_limit(way_in, way_out));
}

/// Measures what goes through pinholes. Not beside the translation, where each packet would have to ask.
void meter(const Lane& lane, bool outbound, const Burst& burst, WorkerContext& worker) noexcept {
  const auto now_us = worker.meters.time_us(worker.clock.tsc());
  for (const unsigned place : lane) {
    const auto& packet = burst.packets[place];
    const auto index = burst.mappings[place];
    const bool is_media = (worker.translator[index].flags & nat::MappingFlags::kPinhole) != 0;
    if (!is_media || packet.protocol != nat::Protocol::udp) continue;
    const auto size = packet.part != nat::FragmentPart::later ? packet.payload_size() : std::uint16_t{0};
    worker.meters.count(index, outbound, frame_of(burst.mbufs[place]).subspan(packet.payload_offset, size),
                        packet.ip_size(), now_us);
  }
}

void translate_outbound(Burst& burst, WorkerContext& worker) noexcept {
  const auto now = worker.clock.tick();
  burst.outbound.keep_if([&](unsigned place) noexcept {
    if (!fits(burst, place, worker)) return false;
    const auto& packet = burst.packets[place];
    const auto index = burst.mappings[place];
    if (has_tcp_header(packet)) {
      const auto refused =
          worker.translator.touch_tcp_outbound(index, packet.destination, packet.ip_size(),
                                               nat::tcp_segment(bytes_of(burst.mbufs[place]), packet), now);
      if (refused != nat::DropReason::none) [[unlikely]] {
        worker.slow_path.refused(burst.mbufs[place], packet, burst.arrival[place], refused);
        return false;
      }
    } else {
      worker.translator.touch_outbound(index, packet.destination, packet.ip_size(), now);
    }
    auto& mapping = worker.translator[index];
    if (is_syn(packet)) [[unlikely]] {
      clamp_mss(burst.mbufs[place], packet, burst.arrival[place], burst.hops[place].interface,
                worker.network);
      worker.held_syns.meet(packet.destination, mapping.external);
      if (worker.gateways.expectations.await_from_inside(nat::Protocol::tcp))
        worker.gateways.expectations.begun_inside(index, packet.destination, now);
    }
    worker.express.admit_outbound(mapping, packet.destination, burst.hops[place], worker);
    nat::rewrite_outbound(bytes_of(burst.mbufs[place]), packet, mapping);
    return true;
  });
  if (worker.meters.on()) [[unlikely]]
    meter(burst.outbound, true, burst, worker);
  worker.stats.worker.add(WorkerCounter::translated_out, burst.outbound.size());
}

void translate_inbound(Burst& burst, WorkerContext& worker) noexcept {
  const auto now = worker.clock.tick();
  burst.inbound.keep_if([&](unsigned place) noexcept {
    if (!fits(burst, place, worker)) return false;
    const auto& packet = burst.packets[place];
    const auto index = burst.mappings[place];
    if (has_tcp_header(packet)) {
      const auto refused =
          worker.translator.touch_tcp_inbound(index, packet.source, packet.ip_size(),
                                              nat::tcp_segment(bytes_of(burst.mbufs[place]), packet), now);
      if (refused != nat::DropReason::none) [[unlikely]] {
        worker.transmitter.drop(burst.mbufs[place], refused);
        return false;
      }
    } else {
      worker.translator.touch_inbound(index, packet.source, packet.ip_size(), now);
    }
    auto& mapping = worker.translator[index];
    if (is_syn(packet)) [[unlikely]] {
      clamp_mss(burst.mbufs[place], packet, burst.arrival[place], burst.hops[place].interface,
                worker.network);
    }
    if (!is_hairpinned(burst.mbufs[place])) {  // its source may not come from outside as well
      worker.express.admit_inbound(mapping, packet.source, burst.hops[place], worker);
    }
    nat::rewrite_inbound(bytes_of(burst.mbufs[place]), packet, mapping);
    return true;
  });
  if (worker.meters.on()) [[unlikely]]
    meter(burst.inbound, false, burst, worker);
  worker.stats.worker.add(WorkerCounter::translated_in, burst.inbound.size());
}

}  // namespace

void translate(Burst& burst, WorkerContext& worker) noexcept {
  if (burst.outbound.size() > 0) translate_outbound(burst, worker);
  if (burst.inbound.size() > 0) translate_inbound(burst, worker);
}

}  // namespace pinhole::dataplane
