// SPDX-License-Identifier: BSD-3-Clause
#pragma once
// Steering: which worker a packet belongs to. Built once from the number of workers, the pool, how its ports
// are given out, and the static forwards; constant afterwards, and read by all workers. A block of external
// ports belongs to one worker (nat/ownership.hpp; in mode deterministic to the owner of its subscriber),
// except that what is forwarded or mapped statically belongs to the owner of its inside host, wherever its
// port lies: such a block is marked mixed, and the few intervals of ports in it are looked up in a sorted
// list. A whole address is its host's with all its blocks.

#include <algorithm>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "dataplane/config/structs.hpp"
#include "nat/endpoint.hpp"
#include "nat/ownership.hpp"
#include "nat/port_plan.hpp"

namespace pinhole::dataplane {

class Steering {
 public:
  /// \param workers 1..127
  /// \param pool    up to 65,536 addresses, those of forwards counted in
  /// External addresses are numbered: the pool in its order first, then the addresses that only forwards
  /// and static mappings use.
  Steering(unsigned workers, std::span<const nat::Ipv4Address> pool,
           std::span<const config::PortForward> forwards,
           std::span<const config::StaticMapping> static_mappings = {}, const nat::PortPlan& plan = {},
           const nat::Subscribers& subscribers = {});

  /// The worker that owns an inside host. Cost: two multiplications.
  [[nodiscard]] unsigned owner_of_inside(nat::Ipv4Address address) const noexcept {
    return nat::owner_of_inside(address, workers_);
  }

  /// The worker that owns an external port. Cost: one load; in a block with a foreign forward a binary
  /// search.
  [[nodiscard]] unsigned owner_of_external(std::uint16_t pool_index, nat::Protocol protocol,
                                           std::uint16_t port) const noexcept {
    const std::uint8_t block = blocks_[pool_index * nat::kPortBlocks + nat::port_block(port)];
    if ((block & kMixed) != 0) [[unlikely]]
      return owner_in_mixed_block(pool_index, protocol, port, block & ~unsigned{kMixed});
    return block;
  }

  /// The number of an external address; none when the address is not ours. Cost: one multiplication and one
  /// probe, rarely two.
  [[nodiscard]] std::optional<std::uint16_t> pool_index(nat::Ipv4Address address) const noexcept {
    const std::uint32_t index = find(address);
    return index == kNotOurs ? std::nullopt : std::optional(static_cast<std::uint16_t>(index));
  }
  /// What find() says of an address that is not ours.
  static constexpr std::uint32_t kNotOurs = ~std::uint32_t{0};
  /// pool_index() as one number, for who asks for each packet: the parts of an optional go through memory.
  [[nodiscard, gnu::always_inline]] std::uint32_t find(nat::Ipv4Address address) const noexcept {
    for (std::uint32_t at = slot_of(address);; at = (at + 1) & slot_mask_) {
      const Slot& slot = slots_[at];
      if (slot.index == kNotOurs || slot.address == address) return slot.index;
    }
  }
  /// Whether an address is one of the external ones. Cost: one compare for one that lies elsewhere.
  [[nodiscard]] bool is_external(nat::Ipv4Address address) const noexcept {
    return address.host() - lowest_ <= span_ && find(address) != kNotOurs;
  }

  [[nodiscard]] unsigned workers() const noexcept { return workers_; }
  /// All external addresses by their number.
  [[nodiscard]] std::span<const nat::Ipv4Address> addresses() const noexcept { return addresses_; }
  /// How many of them, from the first on, are the pool that mappings are made from.
  [[nodiscard]] std::uint32_t pool_size() const noexcept { return pool_size_; }

 private:
  static constexpr std::uint8_t kMixed = 0x80;

  struct Slot {  // of an open-addressed hash table that is at most a quarter full
    nat::Ipv4Address address;
    std::uint32_t index = kNotOurs;  // empty
  };
  struct ForwardOwner {
    std::uint64_t key = 0;
    std::uint64_t last = 0;  // of the ports in a row
    std::uint8_t owner = 0;
  };

  [[nodiscard]] static constexpr std::uint64_t forward_key(std::uint16_t pool_index, nat::Protocol protocol,
                                                           std::uint16_t port) noexcept {
    return std::uint64_t{pool_index} << 24U | std::uint64_t{static_cast<std::uint8_t>(protocol)} << 16U |
           port;
  }
  /// Nobody but the operator chooses external addresses, so that one multiplication is hash enough.
  [[nodiscard]] std::uint32_t slot_of(nat::Ipv4Address address) const noexcept {
    return address.value.raw() * 0x9e3779b1U >> slot_shift_;  // 2^32 / golden ratio
  }
  [[nodiscard]] unsigned owner_in_mixed_block(std::uint16_t pool_index, nat::Protocol protocol,
                                              std::uint16_t port, unsigned block_owner) const noexcept;
  void add_address(nat::Ipv4Address address);
  void number_addresses();
  void deal_blocks(const nat::PortPlan& plan, const nat::Subscribers& subscribers);
  void give(nat::Protocol protocol, nat::Endpoint external, std::uint16_t last_port, nat::Ipv4Address inside);
  void give_whole(nat::Ipv4Address external, nat::Ipv4Address inside);

  unsigned workers_;
  std::uint32_t pool_size_;
  std::vector<nat::Ipv4Address> addresses_;
  std::uint32_t lowest_ = 0;  // of them, as numbers
  std::uint32_t span_ = 0;    // from the lowest to the highest
  std::uint32_t slot_mask_ = 0;
  unsigned slot_shift_ = 0;  // keeps as many bits as the mask has
  std::vector<Slot> slots_;
  std::vector<std::uint8_t> blocks_;   // [external address][block]: owner, with kMixed
  std::vector<ForwardOwner> foreign_;  // ports whose owner is not that of their block, sorted by key
};

// In the header, so that it is compiled with the packet path and under its rules.
inline unsigned Steering::owner_in_mixed_block(std::uint16_t pool_index, nat::Protocol protocol,
                                               std::uint16_t port, unsigned block_owner) const noexcept {
  const std::uint64_t key = forward_key(pool_index, protocol, port);
  const auto behind = std::ranges::upper_bound(foreign_, key, {}, &ForwardOwner::key);
  if (behind == foreign_.begin() || key > (behind - 1)->last) return block_owner;
  return (behind - 1)->owner;
}

}  // namespace pinhole::dataplane
