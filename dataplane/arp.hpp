// SPDX-License-Identifier: BSD-3-Clause
#pragma once
// ARP (RFC 826): reading messages, answering requests in place, writing requests, and knowing for which
// addresses we answer: our own on each interface, and external addresses that lie in the subnet of an outside
// interface, which nobody else there can answer for.

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "dataplane/config/structs.hpp"
#include "nat/headers.hpp"
#include "nat/packet.hpp"

namespace pinhole::dataplane {

struct ArpMessage {
  bool request = false;
  nat::MacAddress sender_mac;
  nat::Ipv4Address sender;  // unspecified in a probe (RFC 5227): there is nothing to learn from it
  nat::Ipv4Address target;
};

/// \param packet  of kind arp: its size, hardware and protocol are right
/// \return none when it is neither request nor reply, or its sender's MAC address is a group's
[[nodiscard]] std::optional<ArpMessage> read_arp(const std::byte* frame, const nat::Packet& packet) noexcept;

/// Makes the reply to a request out of the request: `own` has the address that was asked for. The frame keeps
/// its size and its VLAN tag and is ready to go out by the interface that it came in by.
void answer_arp_request(std::byte* frame, const nat::Packet& packet, const nat::MacAddress& own) noexcept;

/// The shortest Ethernet frame without its check sequence (IEEE 802.3).
inline constexpr std::size_t kArpFrame = 60;

/// What a request is made of.
struct ArpRequest {
  nat::MacAddress own_mac;
  nat::Ipv4Address own_address;
  nat::Ipv4Address target;
  nat::MacAddress to = nat::kBroadcastMac;  // or a known MAC address, to confirm it
  std::uint16_t vlan = 0;                   // 0: untagged
};

/// Writes a request, padded to kArpFrame. \param frame  at least kArpFrame bytes
/// \return the frame's size
std::size_t build_arp_request(std::span<std::byte> frame, const ArpRequest& request) noexcept;

/// For which addresses an interface answers. Constant after it was built. Cost: a compare an address; ARP is
/// rare.
class ArpAnswers {
 public:
  // 16 interfaces' own addresses; 256 items of the pool, which are disjoint, as are subnets, so that no more
  // than 16 of them count twice; 256 static mappings likewise; forwards use addresses of the others.
  static constexpr std::size_t kMaxEntries = 576;

  ArpAnswers() noexcept = default;
  /// \param config  valid
  explicit ArpAnswers(const config::Config& config) noexcept;

  [[nodiscard]] bool answers(std::uint8_t interface, nat::Ipv4Address target) const noexcept;
  /// What was said by ARP may be learnt: a host of the interface's subnet, and not one of our addresses
  /// (which somebody else claims).
  [[nodiscard]] bool may_learn(std::uint8_t interface, nat::Ipv4Address sender) const noexcept;

 private:
  struct Entry {
    std::uint8_t interface = 0;
    nat::Prefix addresses;  // those of the subnet that a host may have
  };
  void add(std::size_t interface, nat::Prefix addresses) noexcept;

  std::array<Entry, kMaxEntries> entries_;
  std::size_t size_ = 0;
  std::array<nat::Prefix, 16> subnets_{};  // by interface
  std::size_t interfaces_ = 0;
};

}  // namespace pinhole::dataplane
