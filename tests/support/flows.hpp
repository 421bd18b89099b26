// SPDX-License-Identifier: BSD-3-Clause
#pragma once
// Packets of flows that began inside, and ICMP errors about them: what the tests of the whole pipeline send
// and expect.

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "nat/icmp_error.hpp"
#include "tests/support/frame.hpp"

namespace pinhole::test {

/// A packet of a flow that began inside; for ICMP an echo request.
[[nodiscard]] inline FrameSpec outward(nat::Protocol protocol, nat::Endpoint from, nat::Endpoint to,
                                       std::uint8_t ttl = 64) {
  if (protocol == nat::Protocol::icmp) to.port = {};
  return {.protocol = nat::ip_protocol(protocol), .source = from, .destination = to, .ttl = ttl};
}

/// Its answer; for ICMP an echo reply.
[[nodiscard]] inline FrameSpec inward(nat::Protocol protocol, nat::Endpoint from, nat::Endpoint to,
                                      std::uint8_t ttl = 64) {
  if (protocol == nat::Protocol::icmp) from.port = {};
  return {.protocol = nat::ip_protocol(protocol),
          .source = from,
          .destination = to,
          .ttl = ttl,
          .icmp_type = nat::IcmpHeader::kEchoReply};
}

[[nodiscard]] inline FrameSpec with_ttl(FrameSpec spec, std::uint8_t ttl) {
  spec.ttl = ttl;
  return spec;
}

/// The IPv4 datagram of a frame without VLAN, cut to `size` bytes.
[[nodiscard]] inline Frame datagram_of(const FrameSpec& spec, std::size_t size = 65535) {
  const auto frame = make_frame(spec);
  Frame datagram(frame.begin() + 14, frame.end());
  datagram.resize(std::min(size, datagram.size()));
  return datagram;
}

/// An ICMP error that quotes a datagram.
[[nodiscard]] inline FrameSpec icmp_error(nat::Ipv4Address from, nat::Ipv4Address to, nat::IcmpError error,
                                          Frame about, std::uint8_t ttl = 64) {
  return {.protocol = nat::kIpProtocolIcmp,
          .source = {from, {}},
          .destination = {to, {}},
          .ttl = ttl,
          .icmp_type = error.type,
          .icmp_code = error.code,
          .icmp_sequence = error.mtu,
          .payload = std::move(about)};
}

/// The same as we make it (RFC 1812 section 4.3.2.5: precedence 6).
[[nodiscard]] inline FrameSpec own_error(nat::Ipv4Address from, nat::Ipv4Address to, nat::IcmpError error,
                                         Frame about, std::uint8_t ttl = 64) {
  about.resize(std::min<std::size_t>(about.size(), nat::kMaxIcmpError - 28));
  auto spec = icmp_error(from, to, error, std::move(about), ttl);
  spec.type_of_service = 0xc0;
  spec.identification = 0;
  spec.fragment = nat::Ipv4Header::kDontFragment;
  return spec;
}

}  // namespace pinhole::test
