// SPDX-License-Identifier: BSD-3-Clause
#pragma once
// The headers of Ethernet, VLAN, ARP, IPv4, UDP, TCP and ICMP as they are on the wire. Every member is made
// of bytes and has alignment 1, so a pointer to any of them may be laid over a frame at any offset; whoever
// does so has checked the bounds first (nat/packet.hpp does it once for the whole packet path).

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>

#include "nat/byte_order.hpp"
#include "nat/endpoint.hpp"

namespace pinhole::nat {

struct MacAddress {
  std::array<std::uint8_t, 6> bytes{};

  /// The address in the low 48 bits, first byte lowest: for atomics and comparison, not for people.
  [[nodiscard]] std::uint64_t raw() const noexcept {
    // Two loads put together in a register: through a variable in memory the second would wait for the store
    // buffer.
    std::uint32_t low = 0;
    std::uint16_t high = 0;
    std::memcpy(&low, bytes.data(), sizeof low);
    std::memcpy(&high, bytes.data() + sizeof low, sizeof high);
    return std::uint64_t{high} << 32U | low;
  }
  /// The upper 16 bits of `raw` are ignored.
  [[nodiscard]] static MacAddress from_raw(std::uint64_t raw) noexcept {
    MacAddress address;
    address.set(raw);
    return address;
  }
  /// Writes the address of raw() in place. The upper 16 bits of `raw` are ignored.
  void set(std::uint64_t raw) noexcept {
    const auto low = static_cast<std::uint32_t>(raw);
    const auto high = static_cast<std::uint16_t>(raw >> 32U);
    std::memcpy(bytes.data(), &low, sizeof low);
    std::memcpy(bytes.data() + sizeof low, &high, sizeof high);
  }
  /// Multicast and broadcast: the group bit.
  [[nodiscard]] constexpr bool is_group() const noexcept { return (bytes[0] & 1U) != 0; }

  friend bool operator==(const MacAddress& a, const MacAddress& b) noexcept { return a.raw() == b.raw(); }
};
inline constexpr MacAddress kBroadcastMac{{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}};

inline constexpr std::uint16_t kEtherTypeIpv4 = 0x0800;
inline constexpr std::uint16_t kEtherTypeArp = 0x0806;
inline constexpr std::uint16_t kEtherTypeVlan = 0x8100;

struct EthernetHeader {
  MacAddress destination;
  MacAddress source;
  Be16 ether_type;
};

struct VlanTag {
  static constexpr std::uint16_t kIdMask = 0x0fff;
  Be16 control;     // priority, drop eligibility, VLAN id
  Be16 ether_type;  // of what follows
};

struct ArpPacket {
  static constexpr std::uint16_t kHardwareEthernet = 1;
  static constexpr std::uint16_t kRequest = 1;
  static constexpr std::uint16_t kReply = 2;
  Be16 hardware_type;
  Be16 protocol_type;
  std::uint8_t hardware_size;
  std::uint8_t protocol_size;
  Be16 operation;
  MacAddress sender_mac;
  Ipv4Address sender_address;
  MacAddress target_mac;
  Ipv4Address target_address;
};

struct Ipv4Header {
  static constexpr std::uint8_t kVersionNoOptions = 0x45;  // version 4, header of five words
  static constexpr std::uint16_t kDontFragment = 0x4000;
  static constexpr std::uint16_t kMoreFragments = 0x2000;
  static constexpr std::uint16_t kFragmentOffset = 0x1fff;
  static constexpr std::uint16_t kFragmentUnit = 8;  // bytes that offsets of fragments count
  std::uint8_t version_and_length;
  std::uint8_t type_of_service;
  Be16 total_length;
  Be16 identification;
  Be16 fragment;
  std::uint8_t ttl;
  std::uint8_t protocol;
  Be16 checksum;
  Ipv4Address source;
  Ipv4Address destination;

  [[nodiscard]] constexpr std::size_t header_size() const noexcept {
    return (version_and_length & 0x0fU) * std::size_t{4};
  }
};

struct UdpHeader {
  Be16 source_port;
  Be16 destination_port;
  Be16 length;
  Be16 checksum;  // zero: the sender computed none
};

struct TcpHeader {
  static constexpr std::uint8_t kFin = 0x01;
  static constexpr std::uint8_t kSyn = 0x02;
  static constexpr std::uint8_t kRst = 0x04;
  static constexpr std::uint8_t kPsh = 0x08;
  static constexpr std::uint8_t kAck = 0x10;
  static constexpr std::uint8_t kUrg = 0x20;
  Be16 source_port;
  Be16 destination_port;
  Be32 sequence;
  Be32 acknowledgement;
  std::uint8_t data_offset;  // upper four bits: header length in words
  std::uint8_t flags;
  Be16 window;
  Be16 checksum;
  Be16 urgent;
};

struct IcmpHeader {
  static constexpr std::uint8_t kEchoReply = 0;
  static constexpr std::uint8_t kUnreachable = 3;
  static constexpr std::uint8_t kEchoRequest = 8;
  static constexpr std::uint8_t kTimeExceeded = 11;
  static constexpr std::uint8_t kParameterProblem = 12;
  std::uint8_t type;
  std::uint8_t code;
  Be16 checksum;
  Be16 identifier;  // of queries; errors use these four bytes otherwise
  Be16 sequence;    // of queries; the next-hop MTU of "fragmentation needed" (RFC 1191)
};

static_assert(sizeof(MacAddress) == 6 && alignof(MacAddress) == 1);
static_assert(sizeof(EthernetHeader) == 14 && alignof(EthernetHeader) == 1);
static_assert(sizeof(VlanTag) == 4 && alignof(VlanTag) == 1);
static_assert(sizeof(ArpPacket) == 28 && alignof(ArpPacket) == 1);
static_assert(sizeof(Ipv4Header) == 20 && alignof(Ipv4Header) == 1);
static_assert(sizeof(UdpHeader) == 8 && alignof(UdpHeader) == 1);
static_assert(sizeof(TcpHeader) == 20 && alignof(TcpHeader) == 1);
static_assert(sizeof(IcmpHeader) == 8 && alignof(IcmpHeader) == 1);

/// IANA protocol numbers of what is translated.
inline constexpr std::uint8_t kIpProtocolIcmp = 1;
inline constexpr std::uint8_t kIpProtocolTcp = 6;
inline constexpr std::uint8_t kIpProtocolUdp = 17;

[[nodiscard]] constexpr std::uint8_t ip_protocol(Protocol protocol) noexcept {
  constexpr std::array<std::uint8_t, kProtocols> kNumbers = {kIpProtocolUdp, kIpProtocolTcp, kIpProtocolIcmp};
  return kNumbers[static_cast<std::size_t>(protocol)];
}

/// The reverse. \return none for a protocol that is not translated
[[nodiscard]] constexpr std::optional<Protocol> protocol_from(std::uint8_t number) noexcept {
  switch (number) {
    case kIpProtocolUdp:
      return Protocol::udp;
    case kIpProtocolTcp:
      return Protocol::tcp;
    case kIpProtocolIcmp:
      return Protocol::icmp;
    default:
      return std::nullopt;
  }
}

/// A header laid over bytes. \param bytes  start of a buffer that has sizeof(Header) bytes at `offset`
template <typename Header>
[[nodiscard]] inline Header& header_at(std::byte* bytes, std::size_t offset) noexcept {
  static_assert(alignof(Header) == 1);
  return *reinterpret_cast<Header*>(bytes + offset);
}
template <typename Header>
[[nodiscard]] inline const Header& header_at(const std::byte* bytes, std::size_t offset) noexcept {
  static_assert(alignof(Header) == 1);
  return *reinterpret_cast<const Header*>(bytes + offset);
}

/// A native word from bytes at any alignment, and back.
template <typename Word>
[[nodiscard]] inline Word load(const std::byte* bytes) noexcept {
  Word word;
  std::memcpy(&word, bytes, sizeof word);
  return word;
}
template <typename Word>
inline void store(std::byte* bytes, Word word) noexcept {
  std::memcpy(bytes, &word, sizeof word);
}

}  // namespace pinhole::nat
