// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/steering.hpp"

#include <algorithm>
#include <bit>
#include <cassert>

namespace pinhole::dataplane {

Steering::Steering(unsigned workers, std::span<const nat::Ipv4Address> pool,
                   std::span<const config::PortForward> forwards,
                   std::span<const config::StaticMapping> static_mappings, const nat::PortPlan& plan,
                   const nat::Subscribers& subscribers)
    : workers_(workers), pool_size_(static_cast<std::uint32_t>(pool.size())) {
  assert(workers >= 1 && workers < kMixed && pool.size() <= config::kMaxExternalAddresses);
  addresses_.assign(pool.begin(), pool.end());
  for (const auto& forward : forwards) add_address(forward.external.address);
  for (const auto& mapping : static_mappings) {
    if (mapping.is_opening()) continue;  // it has no address of ours
    for (std::uint32_t n = 0; n < mapping.external.addresses(); ++n) {
      add_address(mapping.external.endpoint(n).address);
    }
  }
  number_addresses();
  deal_blocks(plan, subscribers);
  for (const auto& mapping : static_mappings) {
    if (mapping.is_opening()) continue;  // it has no address of ours
    for (std::uint32_t n = 0; n < mapping.external.addresses(); ++n) {
      const auto external = mapping.external.endpoint(n);
      const auto inside = mapping.inside.endpoint(n).address;
      if (mapping.external.whole() && mapping.protocol == config::Protocols::all) {
        give_whole(external.address, inside);
        continue;
      }
      for (const auto protocol : config::protocols_of(mapping)) {
        give(protocol, external, mapping.external.last_port, inside);
      }
    }
  }
  for (const auto& forward : forwards) {
    give(forward.protocol, forward.external, forward.external.port.host(), forward.inside.address);
  }
  std::ranges::sort(foreign_, {}, &ForwardOwner::key);
}

void Steering::add_address(nat::Ipv4Address address) {
  if (std::ranges::find(addresses_, address) == addresses_.end()) addresses_.push_back(address);
}

void Steering::number_addresses() {
  slots_.assign(std::bit_ceil(4 * addresses_.size() + 2), Slot{});
  slot_mask_ = static_cast<std::uint32_t>(slots_.size() - 1);
  slot_shift_ = 32U - static_cast<unsigned>(std::countr_zero(slots_.size()));
  if (!addresses_.empty()) {
    const auto [lowest, highest] = std::ranges::minmax(addresses_, {}, &nat::Ipv4Address::host);
    lowest_ = lowest.host();
    span_ = highest.host() - lowest_;
  }
  for (std::size_t i = 0; i < addresses_.size(); ++i) {
    std::uint32_t at = slot_of(addresses_[i]);
    while (slots_[at].index != kNotOurs) at = (at + 1) & slot_mask_;
    slots_[at] = {.address = addresses_[i], .index = static_cast<std::uint32_t>(i)};
  }
}

void Steering::deal_blocks(const nat::PortPlan& plan, const nat::Subscribers& subscribers) {
  blocks_.resize(addresses_.size() * nat::kPortBlocks);
  for (std::size_t i = 0; i < blocks_.size(); ++i) {
    auto block = static_cast<std::uint32_t>(i % nat::kPortBlocks);
    // Dealt out are the blocks that hosts are given; below the first one, ports are forwarded at most.
    if (plan.mode != nat::PortMode::random)
      block = plan.block_of(static_cast<std::uint16_t>(block * nat::kPortBlock)).value_or(block);
    blocks_[i] = static_cast<std::uint8_t>(
        nat::owner_of_block(static_cast<std::uint16_t>(i / nat::kPortBlocks), block, workers_));
  }
  if (plan.mode != nat::PortMode::deterministic) return;
  subscribers.for_each([&](std::uint32_t number, nat::Ipv4Address host) {
    const auto block = nat::block_of_subscriber(plan, number);
    const auto begin = block.pool_index * nat::kPortBlocks + nat::port_block(block.first_port);
    std::fill_n(blocks_.begin() + static_cast<std::ptrdiff_t>(begin), plan.block_size / nat::kPortBlock,
                static_cast<std::uint8_t>(owner_of_inside(host)));
  });
}

/// Ports in a row, from that of `external` to `last_port`, are those of an inside host.
void Steering::give(nat::Protocol protocol, nat::Endpoint external, std::uint16_t last_port,
                    nat::Ipv4Address inside) {
  const std::uint16_t index = *pool_index(external.address);
  const auto owner = static_cast<std::uint8_t>(owner_of_inside(inside));
  const std::uint16_t first_port = external.port.host();
  bool is_foreign = false;
  for (std::uint32_t block = nat::port_block(first_port); block <= nat::port_block(last_port); ++block) {
    auto& dealt = blocks_[index * nat::kPortBlocks + block];
    if ((dealt & ~unsigned{kMixed}) == owner) continue;
    dealt |= kMixed;
    is_foreign = true;
  }
  if (!is_foreign) return;
  foreign_.push_back({.key = forward_key(index, protocol, first_port),
                      .last = forward_key(index, protocol, last_port),
                      .owner = owner});
}

/// Every port of every protocol.
void Steering::give_whole(nat::Ipv4Address external, nat::Ipv4Address inside) {
  const std::size_t index = *pool_index(external);
  const auto begin = blocks_.begin() + static_cast<std::ptrdiff_t>(index * nat::kPortBlocks);
  std::fill_n(begin, nat::kPortBlocks, static_cast<std::uint8_t>(owner_of_inside(inside)));
}

}  // namespace pinhole::dataplane
