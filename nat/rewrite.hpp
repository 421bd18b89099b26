// SPDX-License-Identifier: BSD-3-Clause
#pragma once
// Translation of one packet in place: address, port or identifier, TTL, and both checksums by difference; of
// fragments that leave, the identification. The first fragment has the checksum of the whole datagram, which
// changes by the same difference; later ones have none.
// Nothing is decided here; the mapping says what becomes of the packet. Invariant: no byte outside the fields
// named above changes, and a right checksum stays right (nat/checksum.hpp).

#include <array>
#include <cassert>
#include <cstddef>
#include <cstdint>

#include "nat/checksum.hpp"
#include "nat/headers.hpp"
#include "nat/mapping.hpp"
#include "nat/packet.hpp"

namespace pinhole::nat {

namespace rewrite_detail {

// Where a transport header keeps what translation changes, so that the protocol is an index and not a branch.
struct Fields {
  std::uint8_t source;       // port, or identifier
  std::uint8_t destination;  // port, or identifier
  std::uint8_t checksum;
};
inline constexpr std::array<Fields, kProtocols> kFields = {{
    {offsetof(UdpHeader, source_port), offsetof(UdpHeader, destination_port), offsetof(UdpHeader, checksum)},
    {offsetof(TcpHeader, source_port), offsetof(TcpHeader, destination_port), offsetof(TcpHeader, checksum)},
    {offsetof(IcmpHeader, identifier), offsetof(IcmpHeader, identifier), offsetof(IcmpHeader, checksum)},
}};
constexpr const Fields& fields_of(Protocol protocol) noexcept {
  return kFields[static_cast<std::size_t>(protocol)];
}

// TTL is the low byte of its 16-bit word as a little-endian machine loads it, so one hop less is one less in
// that word, and ~1 = 0xfffe in one's complement.
inline constexpr std::uint16_t kTtlDelta = 0xfffe;

/// TTL, protocol and checksum are the third word of the header. It is loaded once and stored once: a byte
/// store into it with a word load behind would wait for the store to leave the store buffer.
/// The change of the sum is taken away from the checksum, which is its complement, and one is added for the
/// hop; what is missing at the top of the upper half is taken from its bottom.
/// \param address_delta  not zero: what changes nothing is kNoChange (nat/checksum.hpp)
inline std::uint32_t next_hop(std::uint32_t ttl_protocol_checksum, std::uint16_t address_delta) noexcept {
  assert(address_delta != 0);
  // The hop: one more in the upper half, one less in the TTL.
  const std::uint64_t less =
      std::uint64_t{ttl_protocol_checksum} + 0x10000U - 1U - (std::uint64_t{address_delta} << 16U);
  const auto borrowed = static_cast<std::uint32_t>(less >> 32U);  // 0 or all ones
  return static_cast<std::uint32_t>(less) + (borrowed << 16U);
}

inline void fix_transport(std::byte* checksum, Protocol protocol, std::uint16_t change) noexcept {
  const auto raw = load<std::uint16_t>(checksum);
  store(checksum, protocol == Protocol::udp ? apply_udp(raw, change) : apply(raw, change));
}

}  // namespace rewrite_detail

/// Another identification, so that the fragments of a datagram are told from those of others behind the same
/// address (nat/identification.hpp).
inline void renumber(std::byte* frame, std::size_t l3_offset, Be16 identification) noexcept {
  auto& ip = header_at<Ipv4Header>(frame, l3_offset);
  ip.checksum = Be16::from_raw(apply(ip.checksum.raw(), delta(ip.identification, identification)));
  ip.identification = identification;
}

/// From inside to outside: the source becomes the mapping's external endpoint, and the TTL one less.
/// \param packet  of kind flow, of the mapping's protocol, from its inside endpoint, ttl > 1; one of ICMP is
///                an echo request
/// Cost: about 10 cycles on warm lines.
inline void rewrite_outbound(std::byte* frame, const Packet& packet, const Mapping& mapping) noexcept {
  using namespace rewrite_detail;
  assert(packet.kind == PacketKind::flow && packet.protocol == mapping.protocol && packet.ttl > 1);
  std::byte* const third_word = frame + packet.l3_offset + offsetof(Ipv4Header, ttl);
  store(third_word, next_hop(load<std::uint32_t>(third_word), mapping.ip_delta));
  store(frame + packet.l3_offset + offsetof(Ipv4Header, source), mapping.external.address.value.raw());
  if (packet.part != FragmentPart::whole) [[unlikely]] {
    renumber(frame, packet.l3_offset, packet.identification);
    if (packet.part == FragmentPart::later) return;
  }

  std::byte* const transport = frame + packet.l4_offset;
  const Fields& fields = fields_of(packet.protocol);
  store(transport + fields.source, mapping.external.port.raw());
  fix_transport(transport + fields.checksum, packet.protocol, mapping.transport_delta);
}

/// From outside to inside: the destination becomes the mapping's inside endpoint, and the TTL one less.
/// \param packet  of kind flow, of the mapping's protocol, to its external endpoint, ttl > 1 (an ICMP packet
/// is
///                an echo reply)
/// Cost: about 10 cycles on warm lines.
inline void rewrite_inbound(std::byte* frame, const Packet& packet, const Mapping& mapping) noexcept {
  using namespace rewrite_detail;
  assert(packet.kind == PacketKind::flow && packet.protocol == mapping.protocol && packet.ttl > 1);
  std::byte* const third_word = frame + packet.l3_offset + offsetof(Ipv4Header, ttl);
  store(third_word, next_hop(load<std::uint32_t>(third_word), inverse(mapping.ip_delta)));
  store(frame + packet.l3_offset + offsetof(Ipv4Header, destination), mapping.inside.address.value.raw());
  if (packet.part == FragmentPart::later) [[unlikely]]
    return;

  std::byte* const transport = frame + packet.l4_offset;
  const Fields& fields = fields_of(packet.protocol);
  store(transport + fields.destination, mapping.inside.port.raw());
  fix_transport(transport + fields.checksum, packet.protocol, inverse(mapping.transport_delta));
}

/// Takes back the hop that rewrite_outbound() counted: the packet has not left, and one hop is counted when
/// it does.
inline void take_back_hop(std::byte* frame, std::size_t l3_offset) noexcept {
  std::byte* const third_word = frame + l3_offset + offsetof(Ipv4Header, ttl);
  const auto word = load<std::uint32_t>(third_word);
  const auto checksum = static_cast<std::uint16_t>(word >> 16U);
  const std::uint16_t changed = apply(checksum, inverse(rewrite_detail::kTtlDelta));
  store(third_word, (word & 0xffffU) + 1U + (std::uint32_t{changed} << 16U));
}

/// Routed without translation: the TTL one less and the header checksum with it. \param packet  ttl > 1
inline void forward_untranslated(std::byte* frame, const Packet& packet) noexcept {
  assert(packet.ttl > 1);
  std::byte* const third_word = frame + packet.l3_offset + offsetof(Ipv4Header, ttl);
  store(third_word, rewrite_detail::next_hop(load<std::uint32_t>(third_word), kNoChange));
}

/// After the UDP payload was changed or its size: lengths of IP and UDP, the IP header checksum, the UDP
/// checksum in full (zero stays zero), and `packet` to match. Works before or after translation.
/// \param packet        of kind flow, UDP
/// \param payload_size  new size of the payload, which lies at payload_offset already; IP size ≤ 65535
/// Cost: of a sum over the payload.
void finish_udp_payload(std::byte* frame, Packet& packet, std::uint16_t payload_size) noexcept;

}  // namespace pinhole::nat
