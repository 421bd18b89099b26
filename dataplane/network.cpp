// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/network.hpp"

namespace pinhole::dataplane {

std::uint8_t Network::arrival_by_vlan(std::uint16_t port, std::span<const std::byte> frame) const noexcept {
  std::uint16_t vlan = 0;
  if (frame.size() >= sizeof(nat::EthernetHeader) + sizeof(nat::VlanTag) &&
      nat::header_at<nat::EthernetHeader>(frame.data(), 0).ether_type == nat::Be16{nat::kEtherTypeVlan}) {
    const auto& tag = nat::header_at<nat::VlanTag>(frame.data(), sizeof(nat::EthernetHeader));
    vlan = tag.control.host() & nat::VlanTag::kIdMask;
  }
  for (std::uint8_t index = 0; index < interfaces.size(); ++index) {
    const auto& interface = interfaces[index];
    if (ports[interface.port].id == port && interface.vlan == vlan) return index;
  }
  return kNoInterface;
}

}  // namespace pinhole::dataplane
