// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/hop_table.hpp"

#include <algorithm>
#include <array>
#include <cstring>

#include "nat/headers.hpp"
#include "nat/ownership.hpp"

namespace pinhole::dataplane {

std::size_t HopTable::home_of(Hop hop) noexcept {
  return nat::hash_address(hop.next_hop, hop.interface) % kCapacity;
}

nat::HopNumber HopTable::look_up(Hop hop) noexcept {
  if (hop.interface >= network_.interfaces.size() || network_.interfaces[hop.interface].vlan != 0) {
    return nat::kNoHop;
  }
  for (std::size_t at = home_of(hop);; at = (at + 1) % kCapacity) {
    if (at == nat::kNoHop) continue;
    ReadyHop& known = hops_[at];
    const auto number = static_cast<nat::HopNumber>(at);
    if (known.hop.next_hop == hop.next_hop && known.hop.interface == hop.interface) return number;
    if (!known.hop.next_hop.is_unspecified()) continue;  // a place that is used: nobody is 0.0.0.0
    if (size_ == kMaxHops ||
        network_.neighbors->find_raw(hop.interface, hop.next_hop) == NeighborTable::kUnknown)
      return nat::kNoHop;
    known.hop = hop;
    used_[size_++] = number;
    make_ready(known);
    return number;
  }
}

void HopTable::refresh() noexcept {
  for (unsigned left = std::min(size_, kRefreshedAtOnce); left > 0; --left) {
    if (next_ >= size_) next_ = 0;
    make_ready(hops_[used_[next_++]]);
  }
}

void HopTable::make_ready(ReadyHop& hop) noexcept {
  const std::uint64_t mac = network_.neighbors->find_raw(hop.hop.interface, hop.hop.next_hop);
  hop.mtu = 0;
  if (mac == NeighborTable::kUnknown) return;
  const auto& interface = network_.interfaces[hop.hop.interface];
  std::array<std::byte, sizeof(nat::EthernetHeader)> header;
  auto& ethernet = nat::header_at<nat::EthernetHeader>(header.data(), 0);
  ethernet.destination.set(mac);
  ethernet.source = interface.mac;
  ethernet.ether_type = nat::Be16{nat::kEtherTypeIpv4};
  hop.header_begin = nat::load<std::uint64_t>(header.data());
  hop.header_end = nat::load<std::uint64_t>(header.data() + header.size() - sizeof hop.header_end);
  hop.port = interface.port;
  hop.mtu = interface.mtu;
}

}  // namespace pinhole::dataplane
