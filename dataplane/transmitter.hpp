// SPDX-License-Identifier: BSD-3-Clause
#pragma once
// The last stage: the neighbour's MAC address, the link header, and a burst a port handed to the device. One
// a worker. Frames for a device without enough queues go over its ring to the worker that owns its only
// queue; packets whose neighbour is not known go to worker 0, which asks for it.

#include <array>
#include <cstdint>
#include <span>

#include "dataplane/burst.hpp"
#include "dataplane/network.hpp"
#include "dataplane/stats.hpp"

namespace pinhole::dataplane {

class Transmitter {
 public:
  Transmitter(unsigned worker, const Network& network, WorkerStats& stats);

  /// Takes the packet. It must fit the interface's MTU, and its IPv4 header starts at l3_offset.
  void send(rte_mbuf* mbuf, std::uint8_t l3_offset, Hop hop) noexcept;
  /// The same for a neighbour that is known already. \param destination MacAddress::raw()
  void send_to(rte_mbuf* mbuf, std::uint8_t l3_offset, std::uint8_t interface,
               std::uint64_t destination) noexcept;
  /// A whole frame, its link header included.
  void send_frame(rte_mbuf* mbuf, std::uint8_t interface) noexcept;

  /// The same by the port's index.
  void push(unsigned port, rte_mbuf* mbuf) noexcept {
    auto& queue = queues_[port];
    queue.mbufs[queue.size++] = mbuf;
    queue.bytes += mbuf->pkt_len;
    if (queue.size == kBurst) flush(port);
  }

  /// The same for many frames. \param bytes  of all of them
  void push(unsigned port, std::span<rte_mbuf* const> mbufs, std::uint32_t bytes) noexcept;

  /// Hands everything to the devices. Called at the end of each turn.
  /// \return frames that were sent for other workers
  unsigned flush() noexcept;

  /// Frees a packet and counts why.
  void drop(rte_mbuf* mbuf, nat::DropReason reason) noexcept {
    stats_.drops.add(reason);
    rte_pktmbuf_free(mbuf);
  }

 private:
  struct Queue {
    std::uint16_t size = 0;
    std::uint32_t bytes = 0;
    std::array<rte_mbuf*, kBurst> mbufs;
  };
  void flush(unsigned port) noexcept;
  [[nodiscard]] unsigned drain_shared(const Port& port) noexcept;
  /// \param bytes  of all the frames
  void hand_to_device(std::uint16_t port, std::uint16_t queue, rte_mbuf** mbufs, std::uint16_t size,
                      std::uint64_t bytes) noexcept;
  void drop_all(rte_mbuf** mbufs, unsigned size, nat::DropReason reason) noexcept;

  unsigned worker_;
  const Network& network_;
  WorkerStats& stats_;
  std::array<Queue, kMaxPorts> queues_{};  // by port index
};

}  // namespace pinhole::dataplane
