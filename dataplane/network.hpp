// SPDX-License-Identifier: BSD-3-Clause
#pragma once
// What all workers share: ports, interfaces, routes, steering, and the rings by which workers hand things to
// each other. Built by main before the workers start and constant while they run; the neighbour table has one
// writer (worker 0) and lock-free readers.

#include <algorithm>
#include <array>
#include <cstdint>
#include <span>
#include <vector>

#include "dataplane/arp.hpp"
#include "dataplane/call_counts.hpp"
#include "dataplane/config/structs.hpp"
#include "dataplane/neighbor.hpp"
#include "dataplane/port.hpp"
#include "dataplane/route.hpp"
#include "dataplane/static_table.hpp"
#include "dataplane/steering.hpp"
#include "dataplane/untranslated.hpp"
#include "nat/headers.hpp"
#include "nat/port_plan.hpp"

#include <rte_ring.h>

namespace pinhole::dataplane {

struct Interface {
  std::uint16_t port = 0;  // index into Network::ports
  std::uint16_t vlan = 0;  // 0: untagged
  std::uint16_t mtu = 1500;
  bool inside = false;
  bool icmp = true;  // ICMP of our own goes out by it
  nat::MacAddress mac;
  nat::Prefix address;
};

/// The rings into one worker; any other worker pushes, it alone pops.
struct WorkerRings {
  rte_ring* packets = nullptr;     // rte_mbuf*: packets whose flow it owns, from the Ethernet header on
  rte_ring* unresolved = nullptr;  // rte_mbuf*: worker 0 only; packets that wait for a neighbour (PacketNote)
  rte_ring* peers = nullptr;       // PeerMessage: questions and answers of other workers
};

/// Worker 0 answers and resolves ARP for all.
inline constexpr unsigned kNeighborOwner = 0;
inline constexpr std::uint8_t kNoInterface = 0xff;
/// In a hop: out by none, but in again as if from outside (dataplane/hairpin.hpp).
inline constexpr std::uint8_t kHairpinInterface = 0xfe;
/// Each interface may have a port of its own.
inline constexpr std::size_t kMaxPorts = RouteTable::kMaxInterfaces;

struct Network {
  std::vector<Port> ports;
  std::vector<Interface> interfaces;
  RouteTable routes;
  ArpAnswers arp_answers;
  std::vector<nat::SubscriberRange> subscribers;  // of mode deterministic
  std::vector<nat::Prefix> latch_from{};          // see config::Sip
  Steering steering;
  StaticTable statics;
  Untranslated untranslated;
  NeighborTable* neighbors = nullptr;
  std::vector<WorkerRings> rings;
  std::vector<const CallCounts*> call_counts{};  // of each worker
  config::Tcp tcp;
  std::uint8_t hairpin_arrival = 0;  // an outside interface: what is turned around counts as arrived by it
  // By DPDK port number: the only interface of the port, or kNoInterface where VLANs share it.
  std::array<std::uint8_t, RTE_MAX_ETHPORTS> only_interface{};

  /// The largest IP packet that may leave by a hop's interface; what is turned around is measured when it
  /// goes in.
  [[nodiscard]] std::uint16_t mtu(std::uint8_t interface) const noexcept {
    return interface == kHairpinInterface ? std::uint16_t{0xffff} : interfaces[interface].mtu;
  }

  /// The largest TCP segment that a SYN may announce on its way from one interface to another.
  [[nodiscard]] std::uint16_t mss_limit(std::uint8_t way_in, std::uint8_t way_out) const noexcept {
    constexpr std::uint16_t kHeaders = sizeof(nat::Ipv4Header) + sizeof(nat::TcpHeader);  // RFC 6691
    if (tcp.mss.bytes != config::Mss::kAuto) return tcp.mss.bytes;
    return static_cast<std::uint16_t>(std::min(mtu(way_in), mtu(way_out)) - kHeaders);
  }

  /// The interface that a frame came in by. \return kNoInterface for a VLAN that nobody has.
  [[nodiscard]] std::uint8_t arrival(std::uint16_t port, std::span<const std::byte> frame) const noexcept {
    const auto only = only_interface[port];
    if (only != kNoInterface) [[likely]]
      return only;
    return arrival_by_vlan(port, frame);
  }

 private:
  [[nodiscard]] std::uint8_t arrival_by_vlan(std::uint16_t port,
                                             std::span<const std::byte> frame) const noexcept;
};

}  // namespace pinhole::dataplane
