// SPDX-License-Identifier: BSD-3-Clause
#pragma once
// What a frame is, found once. parse() checks every bound that the packet path relies on; after it, the
// offsets in Packet are the only way into the frame and need no further check. Invariant of every kind but
// `dropped`:
//   l3_offset ≤ l4_offset ≤ payload_offset ≤ payload_end ≤ ip_end ≤ size of the frame.
// The Packet belongs to whoever parsed; it holds no pointer, so the frame may move.

#include <cstddef>
#include <cstdint>
#include <span>

#include "nat/drop_reason.hpp"
#include "nat/endpoint.hpp"

namespace pinhole::nat {

enum class PacketKind : std::uint8_t {
  dropped,     // `drop` says why
  flow,        // UDP, TCP, or an ICMP echo request or reply: what a mapping can be made for
  fragment,    // of such a flow; the first one has its ports, the others have none (nat/fragment.hpp)
  icmp_error,  // ICMP types 3, 11 and 12: about another packet (nat/icmp_error.hpp)
  arp,         // ARP for IPv4 over Ethernet; source and destination are the protocol addresses
};

/// Which part of its datagram a packet is. Only `later` ones have no transport header.
enum class FragmentPart : std::uint8_t { whole, first, later };

/// A parsed frame. Half a cache line, so that a burst of 64 stays in the first-level cache.
struct alignas(32) Packet {
  PacketKind kind = PacketKind::dropped;
  DropReason drop = DropReason::none;
  Protocol protocol = Protocol::udp;
  std::uint8_t ttl = 0;
  std::uint8_t l3_offset = 0;       // of the IPv4 header or the ARP packet
  std::uint8_t l4_offset = 0;       // of the transport header
  std::uint8_t payload_offset = 0;  // of what follows the transport header
  std::uint8_t tcp_flags = 0;       // TcpHeader::kSyn and so on
  std::uint8_t icmp_type = 0;
  FragmentPart part = FragmentPart::whole;
  Be16 identification;  // of fragments: with which they leave
  // Offsets of the ends. Behind ip_end there may be Ethernet padding; between payload_end and ip_end there is
  // what a UDP length leaves over, normally nothing.
  std::uint16_t payload_end = 0;
  std::uint16_t ip_end = 0;
  // An ICMP echo request has its identifier as source port and 0 as destination port, a reply the other way
  // round: the port is always on the side that the mapping stands for. ICMP errors have no ports, and later
  // fragments those of the first as soon as they are known: then their kind is flow.
  Endpoint source;
  Endpoint destination;

  [[nodiscard]] constexpr std::uint16_t ip_size() const noexcept {
    return static_cast<std::uint16_t>(ip_end - l3_offset);
  }
  [[nodiscard]] constexpr std::uint16_t payload_size() const noexcept {
    return static_cast<std::uint16_t>(payload_end - payload_offset);
  }
};
static_assert(sizeof(Packet) == 32);

/// An address that no packet comes from or goes to: 0/8 and 127/8 never leave a host, and from 224/4 on
/// addresses are multicast, reserved or broadcast.
/// Source: RFC 1122 section 3.2.1.3; RFC 1812 section 5.3.7.
[[nodiscard]] constexpr bool is_martian(Ipv4Address address) noexcept {
  const std::uint32_t first = address.value.raw() & 0xffU;
  return first - 1U >= 223U || first == 127U;
}

/// Classifies a frame and finds its parts. Transport checksums are not looked at: they are end to end, and
/// what is fixed up by difference stays wrong if it was.
/// \param frame  from the Ethernet header on, contiguous
/// \param vlan   the VLAN of the interface, or 0: untagged (or tagged for priority only, with VLAN 0)
/// Thread: any. Cost: about 15 cycles on a warm line.
/// It is written in place: a copy right after would wait for its small stores to leave the store buffer.
void parse(std::span<const std::byte> frame, std::uint16_t vlan, Packet& packet) noexcept;
[[nodiscard]] inline Packet parse(std::span<const std::byte> frame, std::uint16_t vlan) noexcept {
  Packet packet;
  parse(frame, vlan, packet);
  return packet;
}

}  // namespace pinhole::nat
