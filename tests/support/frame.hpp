// SPDX-License-Identifier: BSD-3-Clause
#pragma once
// Frames for tests, and what the product is checked against: checksums written down as the RFCs say it, a
// byte at a time, sharing no code with nat/checksum.hpp.

#include <cstddef>
#include <cstdint>
#include <random>
#include <string>
#include <vector>

#include "nat/checksum.hpp"
#include "nat/headers.hpp"
#include "nat/mapping.hpp"

namespace pinhole::test {

using Frame = std::vector<std::byte>;

/// What a frame is made of. Everything has a value that makes a plain UDP datagram.
struct FrameSpec {
  std::uint8_t protocol = nat::kIpProtocolUdp;
  nat::Endpoint source{nat::Ipv4Address::from_host(0x0a000002), nat::Be16{5060}};
  nat::Endpoint destination{nat::Ipv4Address::from_host(0xc6336407), nat::Be16{5062}};
  std::uint8_t ttl = 64;
  std::uint8_t type_of_service = 0xb8;
  std::uint8_t ip_option_words = 0;
  std::uint8_t tcp_option_words = 0;
  std::uint8_t tcp_flags = nat::TcpHeader::kAck;
  std::uint16_t tcp_mss = 0;  // of the maximum segment size option, behind the others; 0: there is none
  std::uint32_t tcp_sequence = 0x01020304;
  std::uint32_t tcp_acknowledgement = 0x0a0b0c0d;
  std::uint16_t tcp_urgent = 0;
  std::uint8_t icmp_type = nat::IcmpHeader::kEchoRequest;
  std::uint8_t icmp_code = 0;
  std::uint16_t icmp_sequence = 1;  // identifier: the source's port for a request, else the destination's
  std::uint16_t vlan = 0;
  std::uint16_t identification = 0x1234;
  std::uint16_t fragment = 0;  // the field as a number
  bool udp_checksum = true;
  std::size_t padding = 0;  // bytes behind the datagram
  Frame payload = Frame(20, std::byte{0x5a});
};

/// The whole frame with all checksums right.
[[nodiscard]] Frame make_frame(const FrameSpec& spec);

/// A UDP, TCP or echo packet with everything at random.
[[nodiscard]] FrameSpec random_spec(std::mt19937_64& random);

/// The Internet checksum by the book: 16-bit big-endian words, end-around carry after each, complement.
[[nodiscard]] std::uint16_t checksum_by_the_book(const std::byte* bytes, std::size_t size,
                                                 std::uint32_t start = 0);

/// True when the IPv4 header's and the transport's checksums of the datagram at `l3_offset` are right; a UDP
/// checksum of zero is right, and so is that of an ICMP message of zeros alone: one's complement has two
/// zeros.
[[nodiscard]] bool checksums_right(const Frame& frame, std::size_t l3_offset = 14);

/// A mapping between two endpoints with its deltas.
inline void set_endpoints(nat::Mapping& mapping, nat::Protocol protocol, nat::Endpoint inside,
                          nat::Endpoint external) {
  mapping.protocol = protocol;
  mapping.inside = inside;
  mapping.external = external;
  const auto deltas = nat::deltas_for(protocol, inside, external);
  mapping.ip_delta = deltas.ip;
  mapping.transport_delta = deltas.transport;
}

/// The fragments of an untagged frame's datagram, or of a fragment, cut by the book: without options in the
/// later ones. \param ends  of the pieces but the last, in its payload; multiples of 8
[[nodiscard]] std::vector<Frame> cut(const Frame& frame, const std::vector<std::size_t>& ends);

[[nodiscard]] nat::Endpoint endpoint(const std::string& address, std::uint16_t port);
[[nodiscard]] nat::Ipv4Address address(const std::string& text);

}  // namespace pinhole::test
