// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/hop_table.hpp"

#include <algorithm>
#include <array>
#include <atomic>

#include "nat/headers.hpp"

namespace pinhole::dataplane {

HopTable::HopTable(const Network& network) noexcept
    : network_(network), chains_([this] {
        nat::Carver memory(chain_memory_);
        // No secret: who has a neighbour's place has a host on the link, and there are few.
        return nat::HashChains(kPlaces, 0, memory);
      }()) {
}

nat::HopNumber HopTable::look_up(Hop hop) noexcept {
  if (hop.interface >= network_.interfaces.size() || network_.interfaces[hop.interface].vlan != 0) {
    return nat::kNoHop;
  }
  for (auto place = chains_.first(hash_of(hop)); place != nat::HashChains::kNone;
       place = chains_.next(place)) {
    if (hops_[place].hop == hop) return doomed_[place] ? nat::kNoHop : static_cast<nat::HopNumber>(place);
  }
  if (network_.neighbors->find_raw(hop.interface, hop.next_hop) == NeighborTable::kUnknown)
    return nat::kNoHop;
  const nat::HopNumber number = take_number();
  if (number == nat::kNoHop) return nat::kNoHop;
  hops_[number].hop = hop;
  chains_.add(number, hash_of(hop));
  make_ready(hops_[number]);
  return number;
}

nat::HopNumber HopTable::take_number() noexcept {
  if (size_ == kMaxHops) return nat::kNoHop;
  ++size_;
  return freed_count_ > 0 ? freed_[--freed_count_] : static_cast<nat::HopNumber>(fresh_++);
}

void HopTable::refresh(nat::Translator& translator) noexcept {
  for (unsigned left = std::min(fresh_ - 1, kRefreshedAtOnce); left > 0; --left) {
    if (next_ >= fresh_) next_ = 1;
    const unsigned number = next_++;
    if (!hops_[number].hop.next_hop.is_unspecified() && !doomed_[number]) make_ready(hops_[number]);
  }
  if (is_reclaiming_) return forget(translator);
  if (size_ >= kReclaimFrom && size_ - ready_ >= kWorthwhile) doom();
}

void HopTable::doom() noexcept {
  for (unsigned number = 1; number < fresh_; ++number) {
    ReadyHop& hop = hops_[number];
    if (hop.hop.next_hop.is_unspecified()) continue;
    make_ready(hop);
    doomed_[number] = hop.mtu == 0;
  }
  last_hop_ = {};
  last_number_ = nat::kNoHop;
  is_reclaiming_ = true;
  next_mapping_ = 0;
}

/// Goes through a part of the mappings, which forget doomed hops. A mapping that is made meanwhile gets none.
void HopTable::forget(nat::Translator& translator) noexcept {
  const nat::MappingIndex high_water = translator.table().high_water().load(std::memory_order_relaxed);
  const nat::MappingIndex end = std::min(high_water, next_mapping_ + kMappingsAtOnce);
  for (; next_mapping_ < end; ++next_mapping_) {
    if (!translator.table().is_live(next_mapping_)) continue;
    nat::Mapping& mapping = translator[next_mapping_];
    if (doomed_[mapping.hop_out]) mapping.hop_out = nat::kNoHop;
    if (doomed_[mapping.hop_in]) mapping.hop_in = nat::kNoHop;
  }
  if (next_mapping_ == high_water) take_back();
}

void HopTable::take_back() noexcept {
  for (unsigned number = 1; number < fresh_; ++number) {
    if (!doomed_[number]) continue;
    chains_.remove(number, hash_of(hops_[number].hop));
    hops_[number] = {};
    freed_[freed_count_++] = static_cast<nat::HopNumber>(number);
    --size_;
    ++reclaimed_;
  }
  doomed_.reset();
  is_reclaiming_ = false;
}

void HopTable::make_ready(ReadyHop& hop) noexcept {
  const std::uint64_t mac = network_.neighbors->find_raw(hop.hop.interface, hop.hop.next_hop);
  if (hop.mtu != 0) --ready_;
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
  ++ready_;
}

}  // namespace pinhole::dataplane
