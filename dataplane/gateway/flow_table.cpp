// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/gateway/flow_table.hpp"

namespace pinhole::dataplane {

FlowTable::FlowTable(std::uint32_t flows, std::uint64_t seed, nat::Carver& memory) noexcept
    : flows_(memory.take<GatewayFlow>(flows)),
      live_(memory.take<FlowIndex>(flows)),
      index_(flows, seed, memory) {
  for (std::uint32_t place = 0; place < flows; ++place) flows_[place].next_free = place + 1;
}

GatewayFlow* FlowTable::find(nat::MappingIndex mapping, std::uint32_t generation,
                             nat::Endpoint remote) noexcept {
  for (auto place = index_.first(hash_of(mapping, remote)); place != nat::HashChains::kNone;
       place = index_.next(place)) {
    auto& flow = flows_[place];
    if (flow.mapping == mapping && flow.mapping_generation == generation && flow.remote == remote)
      return &flow;
  }
  return nullptr;
}

GatewayFlow* FlowTable::add(nat::MappingIndex mapping, std::uint32_t generation, nat::Endpoint remote,
                            nat::Protocol protocol) noexcept {
  if (first_free_ == flows_.size() || !has_place_for(protocol)) return nullptr;
  const std::uint32_t place = first_free_;
  auto& flow = flows_[place];
  first_free_ = flow.next_free;
  const std::uint32_t its_generation = flow.generation;
  flow = {};
  flow.generation = its_generation;
  flow.mapping = mapping;
  flow.mapping_generation = generation;
  flow.remote = remote;
  flow.protocol = protocol;
  datagrams_ += protocol == nat::Protocol::udp ? 1 : 0;
  flow.live_at = size_;
  live_[size_++] = place;
  index_.add(place, hash_of(mapping, remote));
  return &flow;
}

void FlowTable::remove(GatewayFlow& flow) noexcept {
  const FlowIndex place = index_of(flow);
  index_.remove(place, hash_of(flow.mapping, flow.remote));
  const FlowIndex last = live_[--size_];
  live_[flow.live_at] = last;
  flows_[last].live_at = flow.live_at;
  datagrams_ -= flow.protocol == nat::Protocol::udp ? 1 : 0;
  flow.mapping = nat::kNoMapping;
  ++flow.generation;
  flow.next_free = first_free_;
  first_free_ = place;
}

void FlowTable::restart(GatewayFlow& flow) noexcept {
  ++flow.generation;
  flow.memory = {};
  flow.left = false;
  flow.announced = 0;
  flow.children = 0;
  flow.keep = 0;
}

}  // namespace pinhole::dataplane
