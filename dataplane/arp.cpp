// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/arp.hpp"

#include <algorithm>
#include <cassert>
#include <cstring>

namespace pinhole::dataplane {

using nat::ArpPacket;
using nat::Be16;
using nat::header_at;

std::optional<ArpMessage> read_arp(const std::byte* frame, const nat::Packet& packet) noexcept {
  assert(packet.kind == nat::PacketKind::arp);
  const auto& arp = header_at<ArpPacket>(frame, packet.l3_offset);
  const bool request = arp.operation == Be16{ArpPacket::kRequest};
  if (!request && arp.operation != Be16{ArpPacket::kReply}) return std::nullopt;
  if (arp.sender_mac.is_group()) return std::nullopt;
  return ArpMessage{request, arp.sender_mac, arp.sender_address, arp.target_address};
}

void answer_arp_request(std::byte* frame, const nat::Packet& packet, const nat::MacAddress& own) noexcept {
  auto& arp = header_at<ArpPacket>(frame, packet.l3_offset);
  const nat::Ipv4Address asked_for = arp.target_address;
  arp.operation = Be16{ArpPacket::kReply};
  arp.target_mac = arp.sender_mac;
  arp.target_address = arp.sender_address;
  arp.sender_mac = own;
  arp.sender_address = asked_for;
  auto& ethernet = header_at<nat::EthernetHeader>(frame, 0);
  ethernet.destination = arp.target_mac;
  ethernet.source = own;
}

std::size_t build_arp_request(std::span<std::byte> frame, const ArpRequest& request) noexcept {
  assert(frame.size() >= kArpFrame);
  std::memset(frame.data(), 0, kArpFrame);
  auto& ethernet = header_at<nat::EthernetHeader>(frame.data(), 0);
  ethernet.destination = request.to;
  ethernet.source = request.own_mac;
  ethernet.ether_type = Be16{nat::kEtherTypeArp};
  std::size_t offset = sizeof(nat::EthernetHeader);
  if (request.vlan != 0) {
    ethernet.ether_type = Be16{nat::kEtherTypeVlan};
    auto& tag = header_at<nat::VlanTag>(frame.data(), offset);
    tag.control = Be16{request.vlan};
    tag.ether_type = Be16{nat::kEtherTypeArp};
    offset += sizeof(nat::VlanTag);
  }
  auto& arp = header_at<ArpPacket>(frame.data(), offset);
  arp.hardware_type = Be16{ArpPacket::kHardwareEthernet};
  arp.protocol_type = Be16{nat::kEtherTypeIpv4};
  arp.hardware_size = sizeof(nat::MacAddress);
  arp.protocol_size = sizeof(nat::Ipv4Address);
  arp.operation = Be16{ArpPacket::kRequest};
  arp.sender_mac = request.own_mac;
  arp.sender_address = request.own_address;
  arp.target_address = request.target;
  return kArpFrame;
}

ArpAnswers::ArpAnswers(const config::Config& config) noexcept {
  assert(config.interfaces.size() <= subnets_.size());
  interfaces_ = std::min(config.interfaces.size(), subnets_.size());
  for (std::size_t number = 0; number < interfaces_; ++number) {
    const auto& interface = config.interfaces[number];
    subnets_[number] = interface.address;
    add(number, {interface.address.address, 32});
    if (interface.zone != config::Zone::outside) continue;
    for (const auto& item : config.nat.pool) add(number, item.prefix);
    for (const auto& forward : config.nat.forwards) add(number, {forward.external.address, 32});
    for (const auto& mapping : config.nat.static_mappings) {
      if (mapping.external.whole() && !mapping.is_opening()) add(number, mapping.external.prefix);
    }
  }
}

void ArpAnswers::add(std::size_t interface, nat::Prefix addresses) noexcept {
  const auto number = static_cast<std::uint8_t>(interface);
  if (!subnets_[interface].overlaps(addresses)) return;
  if (addresses.length == 32 && answers(number, addresses.address)) return;
  assert(size_ < kMaxEntries);
  if (size_ < kMaxEntries) entries_[size_++] = {number, addresses};
}

bool ArpAnswers::answers(std::uint8_t interface, nat::Ipv4Address target) const noexcept {
  return std::any_of(entries_.begin(), entries_.begin() + size_, [&](const Entry& entry) {
    return entry.interface == interface && entry.addresses.contains(target) &&
           subnets_[interface].has_host(target);
  });
}

bool ArpAnswers::may_learn(std::uint8_t interface, nat::Ipv4Address sender) const noexcept {
  return interface < interfaces_ && subnets_[interface].contains(sender) && !answers(interface, sender);
}

}  // namespace pinhole::dataplane
