// SPDX-License-Identifier: BSD-3-Clause
#pragma once
// Which frames a capture keeps. Invariant: a frame is kept if one of its ends is a wanted one: an address, or
// an endpoint of a protocol, talking to anybody or to one peer. What is wanted is only ever added to, so
// that a flow that ends during the capture is in it to its end. It reads any bytes.

#include <cstddef>
#include <cstdint>
#include <optional>
#include <set>
#include <span>
#include <tuple>

#include "nat/endpoint.hpp"
#include "nat/mapping.hpp"

namespace pinhole::control {

/// The two ends of a packet.
struct PacketEnds {
  nat::Ipv4Address source;
  nat::Ipv4Address target;
  std::uint16_t identification = 0;
  std::uint8_t protocol = 0;  // of the IPv4 header
  bool is_later_fragment = false;
  /// None: a fragment behind the first, a protocol without ports, or cut. Of an ICMP query both are its
  /// identifier. Of an ICMP error these are the ports, and `source` and `target` the addresses, of the packet
  /// that it is about, turned round.
  std::optional<std::uint16_t> source_port;
  std::optional<std::uint16_t> target_port;
};

/// \return none when the frame is not IPv4.
[[nodiscard]] std::optional<PacketEnds> ends_of(std::span<const std::byte> frame) noexcept;

class CaptureFilter {
 public:
  /// Every packet from or to an address.
  void want(nat::Ipv4Address address);
  /// Every packet from or to an endpoint; with `peer` only those between the two.
  void want(nat::Protocol protocol, nat::Endpoint endpoint, std::optional<nat::Endpoint> peer = std::nullopt);

  /// Notes the first fragment of a datagram, so that those behind it are kept too.
  [[nodiscard]] bool keeps(std::span<const std::byte> frame);

 private:
  using Flow = std::tuple<nat::Protocol, nat::Endpoint, std::optional<nat::Endpoint>>;
  using Datagram = std::tuple<nat::Ipv4Address, nat::Ipv4Address, std::uint16_t, std::uint8_t>;
  static constexpr std::size_t kMostDatagrams = 4096;

  [[nodiscard]] bool wants(const PacketEnds& ends) const;

  std::set<nat::Ipv4Address> addresses_;
  std::set<Flow> flows_;
  std::set<Datagram> datagrams_;
};

}  // namespace pinhole::control
