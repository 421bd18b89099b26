// SPDX-License-Identifier: BSD-3-Clause
#include "tests/support/frame.hpp"

#include <algorithm>
#include <stdexcept>

namespace pinhole::test {
namespace {

void put8(Frame& frame, unsigned value) {
  frame.push_back(static_cast<std::byte>(value & 0xffU));
}
void put16(Frame& frame, unsigned value) {
  put8(frame, value >> 8U);
  put8(frame, value);
}
void put32(Frame& frame, std::uint32_t value) {
  put16(frame, value >> 16U);
  put16(frame, value & 0xffffU);
}
void set16(Frame& frame, std::size_t at, unsigned value) {
  frame[at] = static_cast<std::byte>(value >> 8U & 0xffU);
  frame[at + 1] = static_cast<std::byte>(value & 0xffU);
}
unsigned get16(const Frame& frame, std::size_t at) {
  return std::to_integer<unsigned>(frame[at]) << 8U | std::to_integer<unsigned>(frame[at + 1]);
}
unsigned get8(const Frame& frame, std::size_t at) {
  return std::to_integer<unsigned>(frame[at]);
}

std::uint32_t pseudo_header(const Frame& frame, std::size_t l3, std::size_t length) {
  std::uint32_t sum = get8(frame, l3 + 9) + static_cast<std::uint32_t>(length);
  for (std::size_t at = l3 + 12; at < l3 + 20; at += 2) sum += get16(frame, at);
  return sum;
}

Frame transport_of(const FrameSpec& spec) {
  Frame segment;
  switch (spec.protocol) {
    case nat::kIpProtocolUdp:
      put16(segment, spec.source.port.host());
      put16(segment, spec.destination.port.host());
      put16(segment, static_cast<unsigned>(8 + spec.payload.size()));
      put16(segment, 0);
      break;
    case nat::kIpProtocolTcp:
      put16(segment, spec.source.port.host());
      put16(segment, spec.destination.port.host());
      put32(segment, spec.tcp_sequence);
      put32(segment, spec.tcp_acknowledgement);
      put8(segment, (5U + spec.tcp_option_words + (spec.tcp_mss != 0 ? 1U : 0U)) << 4U);
      put8(segment, spec.tcp_flags);
      put16(segment, 0x2000);
      put16(segment, 0);
      put16(segment, spec.tcp_urgent);
      for (unsigned i = 0; i < spec.tcp_option_words; ++i) put32(segment, 0x01010101);
      if (spec.tcp_mss != 0) put32(segment, 0x02040000U | spec.tcp_mss);
      break;
    case nat::kIpProtocolIcmp: {
      const bool request = spec.icmp_type == nat::IcmpHeader::kEchoRequest;
      put8(segment, spec.icmp_type);
      put8(segment, spec.icmp_code);
      put16(segment, 0);
      put16(segment, (request ? spec.source : spec.destination).port.host());
      put16(segment, spec.icmp_sequence);
      break;
    }
    default:
      break;
  }
  segment.insert(segment.end(), spec.payload.begin(), spec.payload.end());
  return segment;
}

std::size_t checksum_offset(unsigned protocol) {
  return protocol == nat::kIpProtocolUdp ? 6 : protocol == nat::kIpProtocolTcp ? 16 : 2;
}
bool is_known(unsigned protocol) {
  return protocol == nat::kIpProtocolUdp || protocol == nat::kIpProtocolTcp ||
         protocol == nat::kIpProtocolIcmp;
}

}  // namespace

std::uint16_t checksum_by_the_book(const std::byte* bytes, std::size_t size, std::uint32_t start) {
  std::uint32_t sum = start;
  for (std::size_t i = 0; i < size; i += 2) {
    const auto high = std::to_integer<std::uint32_t>(bytes[i]);
    const auto low = i + 1 < size ? std::to_integer<std::uint32_t>(bytes[i + 1]) : 0U;
    sum += high << 8U | low;
    while (sum > 0xffff) sum = (sum & 0xffffU) + (sum >> 16U);
  }
  while (sum > 0xffff) sum = (sum & 0xffffU) + (sum >> 16U);
  return static_cast<std::uint16_t>(~sum);
}

Frame make_frame(const FrameSpec& spec) {
  Frame frame;
  for (const unsigned byte : {2U, 0U, 0U, 0U, 0U, 1U, 2U, 0U, 0U, 0U, 0U, 2U}) put8(frame, byte);
  if (spec.vlan != 0) {
    put16(frame, nat::kEtherTypeVlan);
    put16(frame, 0x6000U | spec.vlan);
  }
  put16(frame, nat::kEtherTypeIpv4);

  const std::size_t l3 = frame.size();
  const Frame segment = transport_of(spec);
  const std::size_t header = 20 + std::size_t{4} * spec.ip_option_words;
  put8(frame, static_cast<unsigned>(0x40U | header / 4));
  put8(frame, spec.type_of_service);
  put16(frame, static_cast<unsigned>(header + segment.size()));
  put16(frame, spec.identification);
  put16(frame, spec.fragment);
  put8(frame, spec.ttl);
  put8(frame, spec.protocol);
  put16(frame, 0);
  put32(frame, spec.source.address.host());
  put32(frame, spec.destination.address.host());
  for (unsigned i = 0; i < spec.ip_option_words; ++i) put32(frame, 0x01010100);
  set16(frame, l3 + 10, checksum_by_the_book(&frame[l3], header));

  const std::size_t l4 = frame.size();
  frame.insert(frame.end(), segment.begin(), segment.end());
  if (is_known(spec.protocol)) {
    const std::uint32_t start =
        spec.protocol == nat::kIpProtocolIcmp ? 0 : pseudo_header(frame, l3, segment.size());
    unsigned checksum = checksum_by_the_book(&frame[l4], segment.size(), start);
    if (spec.protocol == nat::kIpProtocolUdp) {
      if (checksum == 0) checksum = 0xffff;
      if (!spec.udp_checksum) checksum = 0;
    }
    set16(frame, l4 + checksum_offset(spec.protocol), checksum);
  }
  frame.resize(frame.size() + spec.padding, std::byte{0xee});
  return frame;
}

FrameSpec random_spec(std::mt19937_64& random) {
  const auto below = [&](std::uint64_t bound) { return static_cast<std::uint32_t>(random() % bound); };
  const auto host = [&] {
    // 1.0.0.0 to 223.255.255.255 without 127/8
    std::uint32_t first = 1 + below(223);
    if (first == 127) first = 10;
    return nat::Ipv4Address::from_host(first << 24U | below(1U << 24U));
  };
  FrameSpec spec;
  constexpr std::uint8_t kProtocolNumbers[] = {nat::kIpProtocolUdp, nat::kIpProtocolTcp,
                                               nat::kIpProtocolIcmp};
  spec.protocol = kProtocolNumbers[below(3)];
  const auto port = [&] { return nat::Be16{static_cast<std::uint16_t>(1 + below(65535))}; };
  spec.source = {host(), port()};
  spec.destination = {host(), port()};
  spec.ttl = static_cast<std::uint8_t>(2 + below(254));
  spec.ip_option_words = static_cast<std::uint8_t>(below(4) == 0 ? below(11) : 0);
  spec.tcp_option_words = static_cast<std::uint8_t>(below(11));
  // Of a segment that somebody would take.
  constexpr std::uint8_t kFlags[] = {0x02, 0x12, 0x10, 0x18, 0x11, 0x19, 0x04, 0x14, 0x30, 0xc2, 0x52, 0x90};
  spec.tcp_flags = kFlags[below(12)];
  spec.icmp_type = below(2) == 0 ? nat::IcmpHeader::kEchoRequest : nat::IcmpHeader::kEchoReply;
  spec.icmp_sequence = static_cast<std::uint16_t>(random());
  spec.vlan = static_cast<std::uint16_t>(below(3) == 0 ? 1 + below(4094) : 0);
  spec.fragment = below(2) == 0 ? nat::Ipv4Header::kDontFragment : 0;
  spec.udp_checksum = below(8) != 0;
  spec.padding = below(3) == 0 ? below(20) : 0;
  spec.payload.resize(below(600));
  for (auto& byte : spec.payload) byte = static_cast<std::byte>(random());
  return spec;
}

bool checksums_right(const Frame& frame, std::size_t l3_offset) {
  const std::size_t header = (get8(frame, l3_offset) & 0x0fU) * std::size_t{4};
  const std::size_t total = get16(frame, l3_offset + 2);
  if (checksum_by_the_book(&frame[l3_offset], header) != 0) return false;
  const unsigned protocol = get8(frame, l3_offset + 9);
  if (!is_known(protocol)) return true;
  const std::size_t l4 = l3_offset + header;
  std::size_t length = total - header;
  if (protocol == nat::kIpProtocolUdp) {
    length = get16(frame, l4 + 4);
    if (get16(frame, l4 + 6) == 0) return true;
  }
  const bool icmp = protocol == nat::kIpProtocolIcmp;
  const auto* const message = &frame[l4];
  if (icmp && std::all_of(message, message + length, [](std::byte byte) { return byte == std::byte{0}; })) {
    return true;
  }
  const std::uint32_t start = icmp ? 0 : pseudo_header(frame, l3_offset, length);
  return checksum_by_the_book(&frame[l4], length, start) == 0;
}

std::vector<Frame> cut(const Frame& frame, const std::vector<std::size_t>& ends) {
  constexpr std::size_t kL3 = 14;
  const std::size_t header = (get8(frame, kL3) & 0x0fU) * std::size_t{4};
  const std::size_t payload = get16(frame, kL3 + 2) - header;
  const unsigned field = get16(frame, kL3 + 6);
  std::vector<Frame> pieces;
  for (std::size_t begin = 0, i = 0; begin < payload; ++i) {
    const std::size_t end = i < ends.size() ? ends[i] : payload;
    const std::size_t own_header = begin == 0 ? header : 20;
    const auto from = frame.begin() + static_cast<std::ptrdiff_t>(kL3 + header);
    Frame piece(frame.begin(), frame.begin() + static_cast<std::ptrdiff_t>(kL3 + own_header));
    piece.insert(piece.end(), from + static_cast<std::ptrdiff_t>(begin),
                 from + static_cast<std::ptrdiff_t>(end));
    piece[kL3] = static_cast<std::byte>(0x40U | own_header / 4);
    set16(piece, kL3 + 2, static_cast<unsigned>(own_header + end - begin));
    set16(piece, kL3 + 6, static_cast<unsigned>((field + begin / 8) | (end < payload ? 0x2000U : 0U)));
    set16(piece, kL3 + 10, 0);
    set16(piece, kL3 + 10, checksum_by_the_book(&piece[kL3], own_header));
    pieces.push_back(std::move(piece));
    begin = end;
  }
  return pieces;
}

nat::Ipv4Address address(const std::string& text) {
  const auto parsed = nat::Ipv4Address::parse(text);
  if (!parsed) throw std::invalid_argument(text);
  return *parsed;
}

nat::Endpoint endpoint(const std::string& text, std::uint16_t port) {
  return {address(text), nat::Be16{port}};
}

}  // namespace pinhole::test
