// SPDX-License-Identifier: BSD-3-Clause
#include "tests/bench/gen/link.hpp"

#include <array>
#include <cstring>
#include <stdexcept>

#include "dataplane/arp.hpp"
#include "dataplane/mbuf_view.hpp"
#include "nat/packet.hpp"

#include <rte_bus.h>
#include <rte_cycles.h>
#include <rte_dev.h>
#include <rte_eal.h>
#include <rte_errno.h>
#include <rte_ethdev.h>

#include <fmt/format.h>

namespace pinhole::gen {

namespace {

constexpr unsigned kPoolSize = 8191;
constexpr unsigned kPoolCache = 256;
constexpr std::uint16_t kDescriptors = 1024;
constexpr unsigned kWaitMs = 100;

std::string name_of(const std::string& device) {
  return device.substr(0, device.find(','));
}

bool is_pci_address(const std::string& device) {
  return name_of(device).find(':') != std::string::npos;
}

std::runtime_error failure(const std::string& device, const char* what, int code) {
  return std::runtime_error(fmt::format("port '{}': {} failed: {}", device, what, rte_strerror(-code)));
}

std::uint16_t find_port(const std::string& device) {
  const auto name = name_of(device);
  std::uint16_t id = 0;
  if (!is_pci_address(device)) rte_dev_probe(device.c_str());
  if (rte_eth_dev_get_port_by_name(name.c_str(), &id) != 0) {
    throw std::runtime_error(fmt::format(
        "there is no port '{}'; give the PCI address of a NIC bound to a DPDK driver, or a virtual "
        "device such as 'net_memif0,role=client,id=0,socket=/run/memif.sock'",
        device));
  }
  return id;
}

/// A client of memif cannot start before its server has. \return 0 or the last refusal of DPDK
int start(std::uint16_t id) {
  constexpr unsigned kAttempts = 100;
  int code = 0;
  for (unsigned attempt = 0; attempt < kAttempts; ++attempt) {
    code = rte_eth_dev_start(id);
    if (code == 0) break;
    rte_delay_us_sleep(1000 * kWaitMs);
  }
  return code;
}

}  // namespace

void start_eal(const EalOptions& options) {
  std::vector<std::string> arguments = {"pinhole-gen",
                                        "--no-telemetry",
                                        "--log-level=error",
                                        "-l",
                                        std::to_string(options.cpu),
                                        "-m",
                                        std::to_string(options.memory_mb)};
  // Nothing is shared with other processes but the memory of memif, which is the driver's own.
  arguments.emplace_back(options.huge_pages ? "--in-memory" : "--no-huge");
  if (!options.huge_pages) arguments.emplace_back("--no-shconf");
  bool any_pci = false;
  for (const auto& device : options.devices) {
    if (!is_pci_address(device)) continue;
    arguments.insert(arguments.end(), {"-a", device});
    any_pci = true;
  }
  if (!any_pci) arguments.emplace_back("--no-pci");
  std::vector<char*> argv;
  for (auto& argument : arguments) argv.push_back(argument.data());
  if (rte_eal_init(static_cast<int>(argv.size()), argv.data()) < 0) {
    throw std::runtime_error(fmt::format("DPDK's EAL did not start: {}", rte_strerror(rte_errno)));
  }
}

rte_mempool* make_pool() {
  rte_mempool* const pool = rte_pktmbuf_pool_create("gen_packets", kPoolSize, kPoolCache, 0,
                                                    RTE_MBUF_DEFAULT_BUF_SIZE, SOCKET_ID_ANY);
  if (pool == nullptr) throw std::runtime_error("there is no memory for packet buffers; give more memory");
  return pool;
}

Link::Link(const std::string& device, rte_mempool* pool)
    : device_(device), pool_(pool), id_(find_port(device)) {
  rte_eth_conf settings{};
  if (const int code = rte_eth_dev_configure(id_, 1, 1, &settings); code != 0) {
    throw failure(device, "configuring it", code);
  }
  std::uint16_t rx = kDescriptors;
  std::uint16_t tx = kDescriptors;
  rte_eth_dev_adjust_nb_rx_tx_desc(id_, &rx, &tx);
  const int socket = rte_eth_dev_socket_id(id_);
  const auto node = socket < 0 ? static_cast<unsigned>(SOCKET_ID_ANY) : static_cast<unsigned>(socket);
  if (const int code = rte_eth_rx_queue_setup(id_, 0, rx, node, nullptr, pool); code != 0) {
    throw failure(device, "setting up its receive queue", code);
  }
  if (const int code = rte_eth_tx_queue_setup(id_, 0, tx, node, nullptr); code != 0) {
    throw failure(device, "setting up its transmit queue", code);
  }
  if (const int code = start(id_); code != 0) throw failure(device, "starting it", code);
  rte_ether_addr address{};
  if (const int code = rte_eth_macaddr_get(id_, &address); code != 0) {
    throw failure(device, "reading its MAC address", code);
  }
  std::memcpy(mac_.bytes.data(), &address, sizeof address);
}

Link::~Link() {
  rte_eth_dev_stop(id_);
  rte_eth_dev_close(id_);
}

bool Link::is_up() const {
  rte_eth_link link{};
  return rte_eth_link_get_nowait(id_, &link) == 0 && link.link_status == RTE_ETH_LINK_UP;
}

void Link::wait_up() const {
  constexpr unsigned kAttempts = 100;
  for (unsigned attempt = 0; attempt < kAttempts; ++attempt) {
    if (is_up()) return;
    rte_delay_us_sleep(1000 * kWaitMs);
  }
  throw std::runtime_error(
      fmt::format("the link of port '{}' is not up after {} s", device_, kAttempts * kWaitMs / 1000));
}

void Link::wait_down() const {
  constexpr unsigned kAttempts = 600;
  for (unsigned attempt = 0; attempt < kAttempts && is_up(); ++attempt) rte_delay_us_sleep(1000 * kWaitMs);
}

unsigned Link::send(std::span<rte_mbuf*> mbufs) noexcept {
  return rte_eth_tx_burst(id_, 0, mbufs.data(), static_cast<std::uint16_t>(mbufs.size()));
}

unsigned Link::receive(std::span<rte_mbuf*, kBurst> mbufs) noexcept {
  const unsigned size = rte_eth_rx_burst(id_, 0, mbufs.data(), kBurst);
  for (unsigned i = 0; i < size; ++i) rte_prefetch0(dataplane::bytes_of(mbufs[i]));
  unsigned kept = 0;
  for (unsigned i = 0; i < size; ++i) {
    const auto frame = dataplane::frame_of(mbufs[i]);
    const bool ipv4 =
        frame.size() >= sizeof(nat::EthernetHeader) &&
        nat::header_at<nat::EthernetHeader>(frame.data(), 0).ether_type == nat::Be16{nat::kEtherTypeIpv4};
    // What else a network says (IPv6, LLDP) is none of our business.
    if (ipv4) {
      mbufs[kept++] = mbufs[i];
    } else if (!take_arp(mbufs[i])) {
      rte_pktmbuf_free(mbufs[i]);
    }
  }
  return kept;
}

bool Link::take_arp(rte_mbuf* mbuf) noexcept {
  std::byte* const frame = dataplane::bytes_of(mbuf);
  const auto packet = nat::parse(dataplane::frame_of(mbuf), 0);
  if (packet.kind != nat::PacketKind::arp) return false;
  const auto message = dataplane::read_arp(frame, packet);
  if (!message) return false;
  if (message->sender == asked_) {
    answer_ = message->sender_mac;
    answered_ = true;
  }
  // A gratuitous request asks for its sender's own address.
  if (!message->request || message->target == message->sender) return false;
  dataplane::answer_arp_request(frame, packet, mac_);
  return rte_eth_tx_burst(id_, 0, &mbuf, 1) == 1;
}

nat::MacAddress Link::resolve(nat::Ipv4Address own, nat::Ipv4Address target) {
  constexpr unsigned kAttempts = 50;
  asked_ = target;
  answered_ = false;
  std::array<rte_mbuf*, kBurst> mbufs;
  for (unsigned attempt = 0; attempt < kAttempts; ++attempt) {
    rte_mbuf* request = rte_pktmbuf_alloc(pool_);
    if (request == nullptr) throw std::runtime_error("out of packet buffers");
    dataplane::resize(request, dataplane::kArpFrame);
    dataplane::build_arp_request(dataplane::frame_of(request),
                                 {.own_mac = mac_, .own_address = own, .target = target});
    if (rte_eth_tx_burst(id_, 0, &request, 1) == 0) rte_pktmbuf_free(request);
    for (unsigned wait = 0; wait < kWaitMs && !answered_; ++wait) {
      rte_delay_us_sleep(1000);
      rte_pktmbuf_free_bulk(mbufs.data(), receive(mbufs));
    }
    if (answered_) return answer_;
  }
  throw std::runtime_error(fmt::format("nobody answers ARP for {} on port '{}' within {} s",
                                       nat::EndpointText(target).view(), device_,
                                       kAttempts * kWaitMs / 1000));
}

}  // namespace pinhole::gen
