// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/fragments.hpp"

#include <array>
#include <cstdint>
#include <span>

#include "nat/fragmentation.hpp"
#include "nat/rewrite.hpp"

namespace pinhole::dataplane {

namespace {

/// The largest packet that a buffer holds, in fragments for the smallest MTU that can be configured.
constexpr std::size_t kMaxFragments = 32;

}  // namespace

void send_in_fragments(rte_mbuf* mbuf, const nat::Packet& packet, Hop hop, WorkerContext& worker) noexcept {
  // A fragment has its number already.
  if (packet.part == nat::FragmentPart::whole && !worker.network.interfaces[hop.interface].inside) {
    nat::renumber(bytes_of(mbuf), packet.l3_offset, worker.datagram_ids.next(packet.destination.address));
  }
  const std::span<const std::byte> datagram{bytes_of(mbuf) + packet.l3_offset, packet.ip_size()};
  const auto mtu = worker.network.mtu(hop.interface);
  std::array<rte_mbuf*, kMaxFragments> fragments;
  std::size_t count = 0;
  // All or nothing: a datagram with a hole is of no use to anybody.
  for (std::uint16_t from = 0; count == 0 || from != 0; ++count) {
    rte_mbuf* const fragment = count < kMaxFragments ? rte_pktmbuf_alloc(worker.packets) : nullptr;
    if (fragment == nullptr) {
      rte_pktmbuf_free_bulk(fragments.data(), static_cast<unsigned>(count));
      return worker.transmitter.drop(mbuf, nat::DropReason::drop_no_mbuf);
    }
    const auto piece = nat::write_piece(buffer_of(fragment), datagram, from, mtu);
    resize(fragment, piece.size);
    fragments[count] = fragment;
    from = piece.next;
  }
  for (std::size_t i = 0; i < count; ++i) worker.transmitter.send(fragments[i], 0, hop);
  worker.stats.worker.add(WorkerCounter::fragment_out, count);
  rte_pktmbuf_free(mbuf);
}

}  // namespace pinhole::dataplane
