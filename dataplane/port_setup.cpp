// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/port_setup.hpp"

#include <algorithm>
#include <cstring>

#include <rte_dev.h>
#include <rte_errno.h>
#include <rte_ethdev.h>

#include <fmt/format.h>

namespace pinhole::dataplane {

namespace {

using config::Error;
using config::ErrorCode;

constexpr std::uint16_t kRxDescriptors = 1024;
constexpr std::uint16_t kTxDescriptors = 1024;
constexpr unsigned kSharedTxSize = 4096;

/// The name by which DPDK knows a device: what stands before the first comma of its arguments.
std::string device_name(const std::string& device) {
  return device.substr(0, device.find(','));
}

Error failure(const std::string& device, const char* what, int code) {
  return {ErrorCode::device, fmt::format("device '{}': {} failed: {}", device, what, rte_strerror(-code))};
}

rte_eth_conf port_settings(const rte_eth_dev_info& info, std::uint16_t rx_queues) {
  rte_eth_conf settings{};
  if (rx_queues > 1 && info.flow_type_rss_offloads != 0) {
    settings.rxmode.mq_mode = RTE_ETH_MQ_RX_RSS;
    settings.rx_adv_conf.rss_conf.rss_hf = RTE_ETH_RSS_IP & info.flow_type_rss_offloads;
  }
  return settings;
}

/// \return 0, or the code with which DPDK refused.
int set_up_queues(const Port& port, const rte_eth_dev_info& info, rte_mempool* packets) {
  std::uint16_t rx = kRxDescriptors;
  std::uint16_t tx = kTxDescriptors;
  if (const int code = rte_eth_dev_adjust_nb_rx_tx_desc(port.id, &rx, &tx); code != 0) return code;
  const int socket = rte_eth_dev_socket_id(port.id);
  const auto node = socket < 0 ? static_cast<unsigned>(SOCKET_ID_ANY) : static_cast<unsigned>(socket);
  for (std::uint16_t queue = 0; queue < port.rx_queues; ++queue) {
    rte_eth_rxconf settings = info.default_rxconf;
    if (const int code = rte_eth_rx_queue_setup(port.id, queue, rx, node, &settings, packets); code != 0) {
      return code;
    }
  }
  for (std::uint16_t queue = 0; queue < port.tx_queues; ++queue) {
    rte_eth_txconf settings = info.default_txconf;
    if (const int code = rte_eth_tx_queue_setup(port.id, queue, tx, node, &settings); code != 0) return code;
  }
  return 0;
}

}  // namespace

config::Result<std::uint16_t> probe_port(const std::string& device, const std::string& path) {
  const auto name = device_name(device);
  std::uint16_t id = 0;
  if (rte_eth_dev_get_port_by_name(name.c_str(), &id) == 0) return id;
  // PCI devices were probed with the EAL; what is left is a virtual device that wants to be made.
  if (name.find(':') == std::string::npos && rte_dev_probe(device.c_str()) == 0 &&
      rte_eth_dev_get_port_by_name(name.c_str(), &id) == 0) {
    return id;
  }
  return Error{ErrorCode::device,
               fmt::format("{}: there is no port '{}'; give the PCI address of a NIC bound to a DPDK driver "
                           "(dpdk-devbind.py --status lists them) or a virtual device such as "
                           "'net_af_packet0,iface=eth1' whose interface exists",
                           path, device)};
}

config::Result<Port> start_port(std::uint16_t id, const std::string& device, unsigned index, unsigned workers,
                                std::uint16_t mtu, rte_mempool* packets) {
  rte_eth_dev_info info{};
  if (const int code = rte_eth_dev_info_get(id, &info); code != 0) return failure(device, "reading it", code);
  Port port;
  port.id = id;
  port.device = device;
  port.rx_queues = static_cast<std::uint16_t>(std::min<unsigned>(workers, info.max_rx_queues));
  const bool own_queues = info.max_tx_queues >= workers;
  port.tx_queues = own_queues ? static_cast<std::uint16_t>(workers) : std::uint16_t{1};
  const auto settings = port_settings(info, port.rx_queues);
  if (const int code = rte_eth_dev_configure(id, port.rx_queues, port.tx_queues, &settings); code != 0) {
    return failure(device, "configuring it", code);
  }
  // Virtual devices may not know MTUs; their frames are bounded by our buffers and by the check before
  // sending.
  if (const int code = rte_eth_dev_set_mtu(id, mtu); code != 0 && code != -ENOTSUP && mtu > 1500) {
    return failure(device, fmt::format("setting the MTU to {}", mtu).c_str(), code);
  }
  if (const int code = set_up_queues(port, info, packets); code != 0) {
    return failure(device, "setting up its queues", code);
  }
  if (!own_queues) {
    port.tx_owner = index % workers;
    const auto name = fmt::format("pinhole_tx_{}", id);
    port.shared_tx = rte_ring_create(name.c_str(), kSharedTxSize, SOCKET_ID_ANY, RING_F_SC_DEQ);
    if (port.shared_tx == nullptr) return failure(device, "making its transmit ring", -rte_errno);
  }
  if (const int code = rte_eth_dev_start(id); code != 0) return failure(device, "starting it", code);
  // A router takes only frames sent to it; devices that filter by address do not need to be told more than
  // ARP.
  rte_eth_allmulticast_disable(id);
  rte_ether_addr address{};
  if (const int code = rte_eth_macaddr_get(id, &address); code != 0) {
    return failure(device, "reading its MAC address", code);
  }
  static_assert(sizeof port.mac == sizeof address);
  std::memcpy(port.mac.bytes.data(), &address, sizeof address);
  return port;
}

std::vector<RxQueue> rx_queues_of(std::span<const Port> ports, unsigned worker, unsigned workers) {
  std::vector<RxQueue> queues;
  for (unsigned index = 0; index < ports.size(); ++index) {
    const auto& port = ports[index];
    for (std::uint16_t queue = 0; queue < port.rx_queues; ++queue) {
      if (receiver_of(index, queue, workers) == worker) queues.push_back({port.id, queue});
    }
  }
  return queues;
}

void stop_port(const Port& port) {
  rte_eth_dev_stop(port.id);
  rte_eth_dev_close(port.id);
  rte_ring_free(port.shared_tx);
}

}  // namespace pinhole::dataplane
