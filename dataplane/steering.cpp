// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/steering.hpp"

#include <algorithm>
#include <bit>
#include <cassert>

namespace pinhole::dataplane {

Steering::Steering(unsigned workers, std::span<const nat::Ipv4Address> pool,
                   std::span<const config::PortForward> forwards)
    : workers_(workers), pool_size_(static_cast<std::uint32_t>(pool.size())) {
  assert(workers >= 1 && workers < kMixed && pool.size() <= config::kMaxExternalAddresses);
  addresses_.assign(pool.begin(), pool.end());
  number_addresses(forwards);
  deal_blocks(forwards);
}

void Steering::number_addresses(std::span<const config::PortForward> forwards) {
  for (const config::PortForward& forward : forwards) {
    if (std::ranges::find(addresses_, forward.external.address) == addresses_.end())
      addresses_.push_back(forward.external.address);
  }
  slots_.assign(std::bit_ceil(4 * addresses_.size() + 1), Slot{});
  slot_mask_ = static_cast<std::uint32_t>(slots_.size() - 1);
  for (std::size_t i = 0; i < addresses_.size(); ++i) {
    std::uint32_t at = slot_of(addresses_[i]);
    while (slots_[at].index != kEmpty) at = (at + 1) & slot_mask_;
    slots_[at] = {.address = addresses_[i], .index = static_cast<std::uint32_t>(i)};
  }
}

void Steering::deal_blocks(std::span<const config::PortForward> forwards) {
  blocks_.resize(addresses_.size() * nat::kPortBlocks);
  for (std::size_t i = 0; i < blocks_.size(); ++i) {
    blocks_[i] = static_cast<std::uint8_t>(
        nat::owner_of_block(static_cast<std::uint16_t>(i / nat::kPortBlocks),
                            static_cast<std::uint32_t>(i % nat::kPortBlocks), workers_));
  }
  for (const config::PortForward& forward : forwards) {
    const std::uint16_t port = forward.external.port.host();
    const std::uint16_t index = *pool_index(forward.external.address);
    const unsigned owner = owner_of_inside(forward.inside.address);
    std::uint8_t& block = blocks_[index * nat::kPortBlocks + nat::port_block(port)];
    if ((block & ~unsigned{kMixed}) == owner) continue;
    block |= kMixed;
    foreign_.push_back(
        {.key = forward_key(index, forward.protocol, port), .owner = static_cast<std::uint8_t>(owner)});
  }
  std::ranges::sort(foreign_, {}, &ForwardOwner::key);
}

}  // namespace pinhole::dataplane
