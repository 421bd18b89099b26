// SPDX-License-Identifier: BSD-3-Clause
#pragma once
// The frames of pinhole-gen: Ethernet, IPv4, UDP, and a payload that says which flow and packet it is and
// when it was sent. Everything that all packets of a direction share is written once into a template with the
// sums of its words; a packet is the template, the words that differ, and both checksums made from the sums.

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "nat/headers.hpp"
#include "tests/bench/gen/flow.hpp"

namespace pinhole::gen {

/// The first bytes of each payload; what follows is filler. 18 bytes, so that it fits the shortest frame.
struct Payload {
  nat::Be32 flow;
  nat::Be32 sequence;              // counts the packets of its direction
  std::array<std::byte, 8> stamp;  // TSC when it was written, native
  nat::Be16 mark;                  // says that it is ours, and the direction
};
static_assert(sizeof(Payload) == 18 && alignof(Payload) == 1);

inline constexpr std::size_t kIpOffset = sizeof(nat::EthernetHeader);
inline constexpr std::size_t kUdpOffset = kIpOffset + sizeof(nat::Ipv4Header);
inline constexpr std::size_t kPayloadOffset = kUdpOffset + sizeof(nat::UdpHeader);
inline constexpr std::uint8_t kTtl = 64;

/// Bytes of a frame without its check sequence.
inline constexpr std::size_t kMinFrame = kPayloadOffset + sizeof(Payload);
inline constexpr std::size_t kMaxFrame = 1514;
static_assert(kMinFrame == 60);

[[nodiscard]] constexpr nat::Be16 mark_of(Direction direction) noexcept {
  return nat::Be16{static_cast<std::uint16_t>(direction == Direction::outbound ? 0x5068 : 0x4968)};
}
/// The filler at a distance from the start of the payload, so that a shifted or cut payload is found.
[[nodiscard]] constexpr std::byte filler(std::size_t at) noexcept {
  return static_cast<std::byte>(at * 7 + 3);
}

/// Where the frames of a direction come from and go to.
struct Macs {
  nat::MacAddress source;
  nat::MacAddress destination;
};

class FrameMaker {
 public:
  /// \param size  from kMinFrame to kMaxFrame
  FrameMaker(Direction direction, std::size_t size, const Macs& macs);

  [[nodiscard]] std::size_t size() const noexcept { return template_.size(); }
  /// \param frame  has room for size()
  /// \param flow   known when the direction is inbound
  void write(std::byte* frame, const Flow& flow, std::uint32_t number, std::uint32_t sequence,
             std::uint64_t stamp) const noexcept;

 private:
  Direction direction_;
  std::vector<std::byte> template_;
  std::uint64_t ip_sum_ = 0;   // of the header without addresses and checksum
  std::uint64_t udp_sum_ = 0;  // of pseudo header, header and payload without what differs
};

}  // namespace pinhole::gen
