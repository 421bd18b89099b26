// SPDX-License-Identifier: BSD-3-Clause
#pragma once
// The network that benchmarks put around the appliance, and the flows that they send through it: flow i is
// an inside endpoint that speaks to one remote.

#include <cstring>
#include <span>
#include <string>

#include "dataplane/config/structs.hpp"
#include "dataplane/mbuf_view.hpp"
#include "nat/checksum.hpp"
#include "nat/endpoint.hpp"
#include "nat/headers.hpp"

namespace pinhole::bench {

inline constexpr std::uint16_t kFrameSize = 60;  // 64 on the wire, with the frame check sequence
inline constexpr std::uint32_t kInsideHosts = 65'536;
inline constexpr nat::Ipv4Address kInsideNeighbor = nat::Ipv4Address::from_host(0xC0A80002);   // 192.168.0.2
inline constexpr nat::Ipv4Address kOutsideNeighbor = nat::Ipv4Address::from_host(0xCB007101);  // 203.0.113.1
inline constexpr nat::Endpoint kRemote{nat::Ipv4Address::from_host(0xC6336407), nat::Be16{4000}};
inline constexpr nat::MacAddress kInsideMac{{0x02, 0, 0, 0, 1, 2}};
inline constexpr nat::MacAddress kOutsideMac{{0x02, 0, 0, 0, 2, 2}};

/// Two interfaces on net_ring ports, inside hosts behind a router, and external addresses enough for
/// `mappings`.
inline config::Config config_for(std::uint32_t mappings, const std::string& file_prefix) {
  constexpr std::uint32_t kMappingsPerAddress = 32'768;
  constexpr std::uint64_t kBytesPerMapping = 128;
  config::Config config;
  config.dpdk.file_prefix = file_prefix;
  config.interfaces = {{.name = "inside",
                        .device = "net_ring_inside",
                        .zone = config::Zone::inside,
                        .address = *nat::Prefix::parse("192.168.0.1/24"),
                        .gateway = {}},
                       {.name = "outside",
                        .device = "net_ring_outside",
                        .zone = config::Zone::outside,
                        .address = *nat::Prefix::parse("203.0.113.2/24"),
                        .gateway = kOutsideNeighbor}};
  config.routes = {{*nat::Prefix::parse("10.0.0.0/8"), kInsideNeighbor}};
  const std::uint32_t addresses = mappings / kMappingsPerAddress + 1;
  for (std::uint32_t i = 0; i < addresses; ++i) {
    config.nat.pool.push_back(nat::Ipv4Address::from_host(0xC6120000 + i));  // 198.18.0.0 and on
  }
  config.nat.mappings_per_worker = mappings + mappings / 64 + 1000;
  const std::uint64_t bytes =
      config.nat.mappings_per_worker * kBytesPerMapping + addresses * (std::uint64_t{1} << 20U);
  config.dpdk.memory_mb = static_cast<unsigned>(160 + (bytes >> 20U));
  return config;
}

inline nat::Endpoint inside_endpoint(std::uint32_t flow) {
  return {nat::Ipv4Address::from_host(0x0A000000U + 256 + flow % kInsideHosts),
          nat::Be16{static_cast<std::uint16_t>(10'000 + flow / kInsideHosts)}};
}

inline constexpr std::size_t kPayload =
    sizeof(nat::EthernetHeader) + sizeof(nat::Ipv4Header) + sizeof(nat::UdpHeader);

/// The flow that a frame says it is of.
inline std::uint32_t flow_of(rte_mbuf* mbuf) {
  return nat::load<std::uint32_t>(dataplane::bytes_of(mbuf) + kPayload);
}

/// A UDP datagram with right checksums; its payload is the number of the flow and zeros.
inline void write_frame(rte_mbuf* mbuf, const nat::MacAddress& to, nat::Endpoint source,
                        nat::Endpoint destination, std::uint32_t flow) {
  dataplane::resize(mbuf, kFrameSize);
  std::byte* const frame = dataplane::bytes_of(mbuf);
  std::memset(frame, 0, kFrameSize);
  nat::store(frame + kPayload, flow);
  auto& ethernet = nat::header_at<nat::EthernetHeader>(frame, 0);
  ethernet.destination = to;
  ethernet.ether_type = nat::Be16{nat::kEtherTypeIpv4};
  auto& ip = nat::header_at<nat::Ipv4Header>(frame, sizeof ethernet);
  ip.version_and_length = nat::Ipv4Header::kVersionNoOptions;
  ip.total_length = nat::Be16{kFrameSize - sizeof ethernet};
  ip.ttl = 64;
  ip.protocol = nat::kIpProtocolUdp;
  ip.source = source.address;
  ip.destination = destination.address;
  const auto header = std::span<const std::byte>(frame + sizeof ethernet, sizeof ip);
  ip.checksum = nat::Be16::from_raw(nat::checksum(header));
  auto& udp = nat::header_at<nat::UdpHeader>(frame, sizeof ethernet + sizeof ip);
  udp.source_port = source.port;
  udp.destination_port = destination.port;
  const std::span<const std::byte> datagram(frame + sizeof ethernet + sizeof ip,
                                            kFrameSize - sizeof ethernet - sizeof ip);
  udp.length = nat::Be16{static_cast<std::uint16_t>(datagram.size())};
  udp.checksum = nat::Be16::from_raw(nat::transport_checksum(
      nat::Protocol::udp, source.address, destination.address, datagram, offsetof(nat::UdpHeader, checksum)));
}

/// Whether a frame carries what write_frame() wrote, between these endpoints and one hop further.
inline bool is_frame(rte_mbuf* mbuf, nat::Endpoint source, nat::Endpoint destination) {
  const std::byte* const frame = dataplane::bytes_of(mbuf);
  const auto& ip = nat::header_at<nat::Ipv4Header>(frame, sizeof(nat::EthernetHeader));
  const auto& udp = nat::header_at<nat::UdpHeader>(frame, sizeof(nat::EthernetHeader) + sizeof ip);
  const std::span<const std::byte> header(reinterpret_cast<const std::byte*>(&ip), sizeof ip);
  const std::span<const std::byte> datagram(reinterpret_cast<const std::byte*>(&udp),
                                            kFrameSize - sizeof(nat::EthernetHeader) - sizeof ip);
  return mbuf->data_len == kFrameSize && ip.ttl == 63 && ip.source == source.address &&
         ip.destination == destination.address && udp.source_port == source.port &&
         udp.destination_port == destination.port && nat::checksum(header) == 0 &&
         udp.checksum.raw() == nat::transport_checksum(nat::Protocol::udp, source.address,
                                                       destination.address, datagram,
                                                       offsetof(nat::UdpHeader, checksum));
}

}  // namespace pinhole::bench
