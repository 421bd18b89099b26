// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/transmitter.hpp"

#include <algorithm>
#include <utility>

#include "dataplane/mbuf_view.hpp"

#include <rte_ethdev.h>

namespace pinhole::dataplane {

namespace {

/// Makes the bytes before the IPv4 header exactly the link header of the interface, and writes it.
void write_link_header(rte_mbuf* mbuf, std::uint8_t l3_offset, const Interface& interface,
                       std::uint64_t destination) noexcept {
  const std::size_t wanted = sizeof(nat::EthernetHeader) + (interface.vlan == 0 ? 0 : sizeof(nat::VlanTag));
  if (wanted < l3_offset) {
    rte_pktmbuf_adj(mbuf, static_cast<std::uint16_t>(l3_offset - wanted));
  } else if (wanted > l3_offset) {
    // The headroom of a fresh packet is 128 bytes, and a tag is added at most once.
    rte_pktmbuf_prepend(mbuf, static_cast<std::uint16_t>(wanted - l3_offset));
  }
  std::byte* const frame = bytes_of(mbuf);
  auto& ethernet = nat::header_at<nat::EthernetHeader>(frame, 0);
  ethernet.destination.set(destination);
  ethernet.source.set(interface.mac.raw());
  if (interface.vlan == 0) {
    ethernet.ether_type = nat::Be16{nat::kEtherTypeIpv4};
    return;
  }
  ethernet.ether_type = nat::Be16{nat::kEtherTypeVlan};
  auto& tag = nat::header_at<nat::VlanTag>(frame, sizeof(nat::EthernetHeader));
  tag.control = nat::Be16{interface.vlan};
  tag.ether_type = nat::Be16{nat::kEtherTypeIpv4};
}

}  // namespace

Transmitter::Transmitter(unsigned worker, const Network& network, WorkerStats& stats)
    : worker_(worker), network_(network), stats_(stats) {
}

void Transmitter::send(rte_mbuf* mbuf, std::uint8_t l3_offset, Hop hop) noexcept {
  const std::uint64_t mac = network_.neighbors->find_raw(hop.interface, hop.next_hop);
  if (mac != NeighborTable::kUnknown) [[likely]]
    return send_to(mbuf, l3_offset, hop.interface, mac);
  note_of(mbuf) = {.hop = hop, .l3_offset = l3_offset, .flow = {}};
  if (rte_ring_enqueue(network_.rings[kNeighborOwner].unresolved, mbuf) != 0) {
    drop(mbuf, nat::DropReason::drop_neighbor_queue_full);
  }
}

void Transmitter::send_to(rte_mbuf* mbuf, std::uint8_t l3_offset, std::uint8_t interface,
                          std::uint64_t destination) noexcept {
  const auto& way_out = network_.interfaces[interface];
  write_link_header(mbuf, l3_offset, way_out, destination);
  push(way_out.port, mbuf);
}

void Transmitter::send_frame(rte_mbuf* mbuf, std::uint8_t interface) noexcept {
  push(network_.interfaces[interface].port, mbuf);
}

void Transmitter::push(unsigned port, std::span<rte_mbuf* const> mbufs, std::uint32_t bytes) noexcept {
  auto& queue = queues_[port];
  while (!mbufs.empty()) {
    const std::size_t part = std::min<std::size_t>(mbufs.size(), kBurst - queue.size);
    std::uint32_t part_bytes = bytes;
    if (part < mbufs.size()) {
      part_bytes = 0;
      for (const rte_mbuf* const mbuf : mbufs.first(part)) part_bytes += mbuf->pkt_len;
    }
    std::copy_n(mbufs.begin(), part, queue.mbufs.begin() + queue.size);
    queue.size = static_cast<std::uint16_t>(queue.size + part);
    queue.bytes += part_bytes;
    bytes -= part_bytes;
    mbufs = mbufs.subspan(part);
    if (queue.size == kBurst) flush(port);
  }
}

unsigned Transmitter::flush() noexcept {
  unsigned drained = 0;
  for (unsigned port = 0; port < network_.ports.size(); ++port) {
    if (queues_[port].size > 0) flush(port);
    const auto& device = network_.ports[port];
    if (device.shared_tx != nullptr && device.tx_owner == worker_) drained += drain_shared(device);
  }
  return drained;
}

void Transmitter::flush(unsigned port) noexcept {
  auto& queue = queues_[port];
  const auto& device = network_.ports[port];
  const std::uint16_t size = std::exchange(queue.size, std::uint16_t{0});
  const std::uint32_t bytes = std::exchange(queue.bytes, 0U);
  if (device.shared_tx == nullptr) {
    return hand_to_device(device.id, static_cast<std::uint16_t>(worker_), queue.mbufs.data(), size, bytes);
  }
  if (device.tx_owner == worker_) return hand_to_device(device.id, 0, queue.mbufs.data(), size, bytes);
  const unsigned taken =
      rte_ring_enqueue_burst(device.shared_tx, reinterpret_cast<void**>(queue.mbufs.data()), size, nullptr);
  drop_all(queue.mbufs.data() + taken, size - taken, nat::DropReason::drop_tx_full);
}

unsigned Transmitter::drain_shared(const Port& port) noexcept {
  constexpr unsigned kMaxBursts = 4;  // a turn stays short; what is left counts as work for the next
  unsigned drained = 0;
  std::array<rte_mbuf*, kBurst> mbufs;
  for (unsigned burst = 0; burst < kMaxBursts; ++burst) {
    const unsigned size =
        rte_ring_dequeue_burst(port.shared_tx, reinterpret_cast<void**>(mbufs.data()), kBurst, nullptr);
    if (size == 0) break;
    std::uint64_t bytes = 0;
    for (unsigned i = 0; i < size; ++i) bytes += mbufs[i]->pkt_len;
    hand_to_device(port.id, 0, mbufs.data(), static_cast<std::uint16_t>(size), bytes);
    drained += size;
  }
  return drained;
}

void Transmitter::hand_to_device(std::uint16_t port, std::uint16_t queue, rte_mbuf** mbufs,
                                 std::uint16_t size, std::uint64_t bytes) noexcept {
  const std::uint16_t sent = rte_eth_tx_burst(port, queue, mbufs, size);
  // What was sent may be gone already, so the bytes of what was not are taken off again.
  for (unsigned i = sent; i < size; ++i) bytes -= mbufs[i]->pkt_len;
  stats_.worker.add(WorkerCounter::tx_packets, sent);
  stats_.worker.add(WorkerCounter::tx_bytes, bytes);
  drop_all(mbufs + sent, static_cast<unsigned>(size - sent), nat::DropReason::drop_tx_full);
}

void Transmitter::drop_all(rte_mbuf** mbufs, unsigned size, nat::DropReason reason) noexcept {
  if (size == 0) return;
  stats_.drops.add(reason, size);
  rte_pktmbuf_free_bulk(mbufs, size);
}

}  // namespace pinhole::dataplane
