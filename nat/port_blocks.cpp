// SPDX-License-Identifier: BSD-3-Clause
#include "nat/port_blocks.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <cassert>

namespace pinhole::nat {

namespace {

constexpr std::array kAllProtocols = {Protocol::udp, Protocol::tcp, Protocol::icmp};

}  // namespace

std::uint32_t PortBlocks::slot_count(const Deal& deal) noexcept {
  if (deal.plan.mode == PortMode::random) return 0;
  if (deal.plan.mode == PortMode::blocks) return deal.pool_size * slots_of_address(deal);
  std::uint32_t count = 0;
  deal.subscribers.for_each([&](std::uint32_t, Ipv4Address address) noexcept {
    if (owner_of_inside(address, deal.workers) == deal.worker) ++count;
  });
  return count;
}

std::size_t PortBlocks::bytes_needed(const Deal& deal) noexcept {
  const std::size_t slots = slot_count(deal);
  return carved_bytes<Block>(slots) +
         carved_bytes<std::uint32_t>(deal.plan.mode == PortMode::deterministic ? slots : 0) +
         carved_bytes<std::uint64_t>(std::size_t{deal.pool_size} * free_words(deal)) +
         carved_bytes<std::uint64_t>(room_words(deal)) +
         carved_bytes<std::uint64_t>(slots * kProtocols * memory_per_set(deal));
}

PortBlocks::PortBlocks(const Deal& deal, Carver memory) noexcept
    : deal_(deal),
      slots_of_address_(slots_of_address(deal)),
      free_words_(free_words(deal)),
      memory_per_set_(memory_per_set(deal)),
      blocks_(memory.take<Block>(slot_count(deal))),
      numbers_(memory.take<std::uint32_t>(deal.plan.mode == PortMode::deterministic ? blocks_.size() : 0)),
      free_(memory.take<std::uint64_t>(std::size_t{deal.pool_size} * free_words_)),
      rooms_(memory.take<std::uint64_t>(room_words(deal))),
      sets_(memory.take<std::uint64_t>(blocks_.size() * kProtocols * memory_per_set_)) {
  if (deal.plan.mode == PortMode::deterministic) {
    place_subscribers();
  } else if (deal.plan.mode == PortMode::blocks) {
    place_blocks();
  }
}

void PortBlocks::place_subscribers() noexcept {
  Slot slot = 0;
  deal_.subscribers.for_each([&](std::uint32_t number, Ipv4Address address) noexcept {
    if (owner_of_inside(address, deal_.workers) == deal_.worker) numbers_[slot++] = number;
  });
  std::ranges::sort(numbers_);  // ranges come in the order of their addresses
  for (slot = 0; slot < numbers_.size(); ++slot) {
    const PortBlock block = block_of_subscriber(deal_.plan, numbers_[slot]);
    blocks_[slot] = {.pool_index = block.pool_index, .first_port = block.first_port};
    for (const Protocol protocol : kAllProtocols) set_of(slot, protocol).fill();
  }
}

void PortBlocks::place_blocks() noexcept {
  for (Slot slot = 0; slot < blocks_.size(); ++slot) {
    const auto pool_index = static_cast<std::uint16_t>(slot / slots_of_address_);
    // The first block that owner_of_block() gives to this worker, and each one `workers` further.
    const std::uint32_t first = (deal_.worker + deal_.workers - pool_index % deal_.workers) % deal_.workers;
    const std::uint32_t block = first + slot % slots_of_address_ * deal_.workers;
    if (block >= deal_.plan.blocks_per_address()) continue;
    blocks_[slot] = {.pool_index = pool_index,
                     .first_port = block_number(deal_.plan, pool_index, block).first_port};
    for (const Protocol protocol : kAllProtocols) set_of(slot, protocol).fill();
    mark(slot, true);
  }
}

PortBlock PortBlocks::at(Slot slot) const noexcept {
  const Block& block = blocks_[slot];
  return {.pool_index = block.pool_index,
          .first_port = block.first_port,
          .last_port = static_cast<std::uint16_t>(block.first_port + deal_.plan.block_size - 1)};
}

PortBlocks::Slot PortBlocks::find(std::uint16_t pool_index, std::uint16_t port) const noexcept {
  if (pool_index >= deal_.pool_size) return kNone;
  const auto block = deal_.plan.block_of(port);
  if (!block) return kNone;
  if (deal_.plan.mode == PortMode::deterministic)
    return find_subscriber(pool_index * deal_.plan.blocks_per_address() + *block);
  if (owner_of_block(pool_index, *block, deal_.workers) != deal_.worker) return kNone;
  return pool_index * slots_of_address_ + *block / deal_.workers;
}

PortBlocks::Slot PortBlocks::find_subscriber(std::uint32_t number) const noexcept {
  const auto place = std::ranges::lower_bound(numbers_, number);
  if (place == numbers_.end() || *place != number) return kNone;
  return static_cast<Slot>(place - numbers_.begin());
}

PortSet PortBlocks::set_of(Slot slot, Protocol protocol) const noexcept {
  const std::uint32_t words = deal_.plan.block_size / kPortBlock;
  const std::size_t number = std::size_t{slot} * kProtocols + static_cast<std::size_t>(protocol);
  return {sets_.data() + number * memory_per_set_,
          words,
          {.first_block = port_block(blocks_[slot].first_port), .step = 1, .words = words}};
}

bool PortBlocks::has_every_protocol(Slot slot) const noexcept {
  return std::ranges::all_of(kAllProtocols, [&](Protocol protocol) noexcept {
    const PortSet set = set_of(slot, protocol);
    return set.has_room(0, set.words());
  });
}

void PortBlocks::mark(Slot slot, bool free) noexcept {
  const auto note = [](std::span<std::uint64_t> bits, std::uint32_t at, bool value) noexcept {
    const std::uint64_t bit = std::uint64_t{1} << (at % 64);
    const bool before = (bits[at / 64] & bit) != 0;
    bits[at / 64] = value ? bits[at / 64] | bit : bits[at / 64] & ~bit;
    return before;
  };
  const std::uint16_t pool_index = blocks_[slot].pool_index;
  const bool was_free = note(free_of(pool_index), slot % slots_of_address_, free);
  free_blocks_ += static_cast<std::uint32_t>(free) - static_cast<std::uint32_t>(was_free);
  note(rooms_, pool_index, has_free(pool_index));
}

bool PortBlocks::has_free(std::uint16_t pool_index) const noexcept {
  return std::ranges::any_of(free_of(pool_index), [](std::uint64_t word) { return word != 0; });
}

std::optional<std::uint16_t> PortBlocks::find_room(Random& random) const noexcept {
  if (free_blocks_ == 0) return std::nullopt;
  const std::uint32_t start = random.below(deal_.pool_size);
  const std::uint64_t before = (std::uint64_t{1} << (start % 64)) - 1;  // comes last, when all has come round
  for (std::size_t step = 0; step <= rooms_.size(); ++step) {
    const std::size_t at = (start / 64 + step) % rooms_.size();
    std::uint64_t rooms = rooms_[at];
    if (step == 0) rooms &= ~before;
    if (rooms != 0)
      return static_cast<std::uint16_t>(at * 64 + static_cast<std::size_t>(std::countr_zero(rooms)));
  }
  return std::nullopt;
}

PortBlocks::Slot PortBlocks::assign(std::uint16_t pool_index, Random& random) noexcept {
  const auto free = free_of(pool_index);
  std::uint32_t count = 0;
  for (const std::uint64_t word : free) count += static_cast<std::uint32_t>(std::popcount(word));
  if (count == 0) return kNone;
  std::uint32_t skip = random.below(count);
  std::uint32_t at = 0;
  for (; skip >= static_cast<std::uint32_t>(std::popcount(free[at])); ++at)
    skip -= static_cast<std::uint32_t>(std::popcount(free[at]));
  std::uint64_t word = free[at];
  for (; skip > 0; --skip) word &= word - 1;
  const Slot slot =
      pool_index * slots_of_address_ + at * 64 + static_cast<std::uint32_t>(std::countr_zero(word));
  mark(slot, false);
  blocks_[slot].next = kNone;
  ++assigned_;
  return slot;
}

void PortBlocks::release(Slot slot) noexcept {
  assert(blocks_[slot].ports_in_use == 0);
  --assigned_;
  if (deal_.rest == 0) return mark(slot, has_every_protocol(slot));
  ++resting_;
  blocks_[slot].next = kNone;
  (newest_ == kNone ? oldest_ : blocks_[newest_].next) = slot;
  newest_ = slot;
  if (unstamped_ == kNone) unstamped_ = slot;
}

void PortBlocks::sweep(Tick now, std::uint32_t budget) noexcept {
  // The clock of whoever gave it back may have stood still for long; this one is right.
  for (; budget > 0 && unstamped_ != kNone; --budget) {
    blocks_[unstamped_].rests_since = now;
    unstamped_ = blocks_[unstamped_].next;
  }
  for (; budget > 0 && oldest_ != unstamped_; --budget) {
    const Slot slot = oldest_;
    // A tick more than asked for: this one may have been late in its tick.
    if (!reached(blocks_[slot].rests_since + deal_.rest + 1, now)) return;
    oldest_ = blocks_[slot].next;
    if (oldest_ == kNone) newest_ = kNone;
    --resting_;
    mark(slot, has_every_protocol(slot));
  }
}

std::optional<std::uint16_t> PortBlocks::take(Slot slot, Protocol protocol, bool odd,
                                              Random& random) noexcept {
  const PortSet set = set_of(slot, protocol);
  const auto place = set.choose(odd, 0, set.words(), random.next());
  if (!place) return std::nullopt;
  set.take(place);
  ++blocks_[slot].ports_in_use;
  ++ports_in_use_;
  return set.port_at(place);
}

std::optional<std::uint16_t> PortBlocks::take_pair(Slot slot, Random& random, Protocol protocol) noexcept {
  const PortSet set = set_of(slot, protocol);
  const auto even = set.choose_pair(0, set.words(), random.next());
  if (!even) return std::nullopt;
  set.take_pair(even);
  blocks_[slot].ports_in_use = static_cast<std::uint16_t>(blocks_[slot].ports_in_use + 2);
  ports_in_use_ += 2;
  return set.port_at(even);
}

bool PortBlocks::take_exactly(Slot slot, Protocol protocol, std::uint16_t port) noexcept {
  if (!set_of(slot, protocol).take(port)) return false;
  ++blocks_[slot].ports_in_use;
  ++ports_in_use_;
  return true;
}

bool PortBlocks::put_back(Slot slot, Protocol protocol, std::uint16_t port) noexcept {
  set_of(slot, protocol).put(port);
  --ports_in_use_;
  return --blocks_[slot].ports_in_use == 0;
}

void PortBlocks::reserve(Protocol protocol, std::uint16_t pool_index, std::uint16_t port) noexcept {
  const Slot slot = find(pool_index, port);
  if (slot == kNone || !set_of(slot, protocol).take(port)) return;
  if (deal_.plan.mode == PortMode::blocks && !has_every_protocol(slot)) mark(slot, false);
}

}  // namespace pinhole::nat
