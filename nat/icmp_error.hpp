// SPDX-License-Identifier: BSD-3-Clause
#pragma once
// ICMP that is about other packets. Building an error about a packet that we drop (RFC 792, RFC 1812
// section 4.3); answering an echo request; and translating an error that others sent about a packet of one of
// our flows: such an error quotes the packet as it was on that side, so the quote is translated as well (RFC
// 5508 REQ-3 to REQ-6). Everything works on bytes and a Packet; who sends it where is not decided here.

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "nat/endpoint.hpp"
#include "nat/mapping.hpp"
#include "nat/packet.hpp"

namespace pinhole::nat {

/// Type and code of an ICMP error, and the MTU that "fragmentation needed" tells (RFC 1191).
struct IcmpError {
  std::uint8_t type;
  std::uint8_t code;
  std::uint16_t mtu = 0;

  friend constexpr bool operator==(IcmpError, IcmpError) noexcept = default;
};
inline constexpr IcmpError kNetUnreachable{3, 0};
inline constexpr IcmpError kHostUnreachable{3, 1};
inline constexpr IcmpError kPortUnreachable{3, 3};
inline constexpr IcmpError kProhibited{
    3, 13};  // administratively: out of ports or against policy (RFC 5508 REQ-8)
inline constexpr IcmpError kTtlExceeded{11, 0};
[[nodiscard]] constexpr IcmpError fragmentation_needed(std::uint16_t mtu) noexcept {
  return {3, 4, mtu};
}

/// Of an IP datagram that we send on our own account (RFC 1700).
inline constexpr std::uint8_t kInitialTtl = 64;
/// The largest ICMP error: what every host can take (RFC 1812 section 4.3.2.3).
inline constexpr std::size_t kMaxIcmpError = 576;

/// False for what no error may be sent about: ICMP errors, ARP, what was dropped while parsing (bad addresses
/// are among it), fragments but the first, and frames to a group MAC address. A packet to a subnet's
/// broadcast address looks like any other here: the caller's routes know it. Source: RFC 1812
/// section 4.3.2.7.
[[nodiscard]] bool may_answer_with_error(const std::byte* frame, const Packet& packet) noexcept;

/// Writes an ICMP error about `packet` as an IPv4 datagram.
/// \param datagram  where to, at least kMaxIcmpError bytes; not overlapping the frame
/// \param source    the address of ours that it comes from; it goes to the packet's source
/// \return the datagram's size in bytes
[[nodiscard]] std::size_t build_icmp_error(std::span<std::byte> datagram, const std::byte* frame,
                                           const Packet& packet, IcmpError error,
                                           Ipv4Address source) noexcept;
/// The same about a datagram, or what is left of one: its IPv4 header at least, and bytes behind that.
[[nodiscard]] std::size_t build_icmp_error(std::span<std::byte> datagram, std::span<const std::byte> about,
                                           IcmpError error, Ipv4Address source) noexcept;

/// Makes the reply to an echo request out of the request, and `packet` to match. The Ethernet header is left
/// to whoever sends the reply. \param packet  of kind flow, ICMP, type echo request
void answer_echo_request(std::byte* frame, Packet& packet) noexcept;

/// The packet that an ICMP error is about, as the error quotes it. Ports as in Packet: an echo request has
/// its identifier as source port, a reply as destination port.
struct EmbeddedFlow {
  Protocol protocol;
  Endpoint source;
  Endpoint destination;
};

/// Whether the checksum of an ICMP error is right, and that of the IPv4 header that it quotes (RFC 5508 REQ-3
/// and REQ-3a); what is behind that header is as its sender made it (REQ-3c). \param packet  of kind
/// icmp_error
[[nodiscard]] bool error_checksums_right(const std::byte* frame, const Packet& packet) noexcept;

/// Reads the quote of an ICMP error.
/// \param packet  of kind icmp_error
/// \return none when the quote does not reach to the ports, is a later fragment, or is of a kind that no
///         mapping exists for
[[nodiscard]] std::optional<EmbeddedFlow> embedded_flow(const std::byte* frame,
                                                        const Packet& packet) noexcept;

/// An error from outside about a packet that the mapping sent out: the quoted source and the destination of
/// the error become the inside endpoint's; TTL one less (RFC 5508 REQ-4).
/// \param packet  embedded_flow() found its source to be the mapping's external endpoint; ttl > 1
void rewrite_icmp_error_inbound(std::byte* frame, const Packet& packet, const Mapping& mapping) noexcept;

/// An error from inside about a packet that the mapping let in: the quoted destination becomes the external
/// endpoint, the source of the error an external address; TTL one less (RFC 5508 REQ-5).
/// Where an application layer gateway translated the payload of that packet (MappingFlags::kSip), the quote
/// holds inside addresses; it is cut to the eight bytes behind the IP header that RFC 792 asks for.
/// \param packet  embedded_flow() found its destination to be the mapping's inside endpoint; ttl > 1
/// \param sender  the external address of who sent the error: the mapping's, but for a host or router that
///                has an address outside to itself (REQ-5c)
/// \return offset of the end of the IP datagram, ≤ packet.ip_end; the frame is to be cut there
[[nodiscard]] std::uint16_t rewrite_icmp_error_outbound(std::byte* frame, const Packet& packet,
                                                        const Mapping& mapping, Ipv4Address sender) noexcept;
[[nodiscard]] inline std::uint16_t rewrite_icmp_error_outbound(std::byte* frame, const Packet& packet,
                                                               const Mapping& mapping) noexcept {
  return rewrite_icmp_error_outbound(frame, packet, mapping, mapping.external.address);
}

}  // namespace pinhole::nat
