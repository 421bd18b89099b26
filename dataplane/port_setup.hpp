// SPDX-License-Identifier: BSD-3-Clause
#pragma once
// Finding, configuring, starting and stopping ports. Thread: main; before the workers start and after they
// stopped.

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "dataplane/config/error.hpp"
#include "dataplane/port.hpp"

#include <rte_mempool.h>

namespace pinhole::dataplane {

/// Makes sure that the device exists, probing virtual ones.
/// Errors: names `path` when there is no such device.
/// Thread: main, after the EAL is up.
[[nodiscard]] config::Result<std::uint16_t> probe_port(const std::string& device, const std::string& path);

/// Configures and starts a port for `workers` workers.
/// \param index the port's place in the list of ports: spreads the only queues of small devices over workers.
[[nodiscard]] config::Result<Port> start_port(std::uint16_t id, const std::string& device, unsigned index,
                                              unsigned workers, std::uint16_t mtu, rte_mempool* packets);

/// Which queues of all ports a worker polls.
[[nodiscard]] std::vector<RxQueue> rx_queues_of(std::span<const Port> ports, unsigned worker,
                                                unsigned workers);

/// Stops and closes a port. Thread: main, after the workers have stopped.
void stop_port(const Port& port);

}  // namespace pinhole::dataplane
