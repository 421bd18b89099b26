// SPDX-License-Identifier: BSD-3-Clause
#pragma once
// Ports: the DPDK devices that packets come from and go to. Set up once by main (dataplane/port_setup.hpp),
// constant while workers run. A worker sends on a queue of its own where the device has enough of them; on
// other devices it hands its frames to the worker that owns the only queue, over a ring.

#include <cstdint>
#include <string>

#include "nat/headers.hpp"

#include <rte_ring.h>

namespace pinhole::dataplane {

/// Largest number of packets that go through the pipeline at once; pays the latency of memory once a burst.
inline constexpr std::uint16_t kBurst = 64;

/// A queue that a worker polls.
struct RxQueue {
  std::uint16_t port = 0;
  std::uint16_t queue = 0;
};

/// The worker that polls a receive queue. \param port its place in the list of ports: spreads the queues of
/// small devices.
[[nodiscard]] constexpr unsigned receiver_of(unsigned port, unsigned queue, unsigned workers) noexcept {
  return (port + queue) % workers;
}

struct Port {
  std::uint16_t id = 0;  // DPDK's number
  std::string device;
  std::uint16_t rx_queues = 0;
  std::uint16_t tx_queues = 0;
  unsigned tx_owner = 0;          // the worker that drains `shared_tx`
  rte_ring* shared_tx = nullptr;  // null where each worker has a transmit queue of its own
  nat::MacAddress mac;
};

}  // namespace pinhole::dataplane
