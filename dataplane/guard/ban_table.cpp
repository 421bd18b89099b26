// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/guard/ban_table.hpp"

#include <algorithm>

namespace pinhole::dataplane {

namespace {

constexpr auto kRelaxed = std::memory_order_relaxed;

// "0.0.0.0/0" is a prefix, too, so that the address does not tell.
bool is_free(const ipc::BanSlot& slot) noexcept {
  return slot.until.load(kRelaxed) == 0;
}

nat::Prefix prefix_of(const ipc::BanSlot& slot) noexcept {
  return {{nat::Be32::from_raw(slot.address.load(kRelaxed))}, slot.length.load(kRelaxed)};
}

bool is_over(const ipc::BanSlot& slot, nat::Tick now) noexcept {
  return nat::reached(slot.until.load(kRelaxed), now);
}

bool is_manual(const ipc::BanSlot& slot) noexcept {
  return slot.reason.load(kRelaxed) == ipc::BanReason::manual;
}

void count_hit(ipc::BanSlot& slot) noexcept {
  slot.hits.store(slot.hits.load(kRelaxed) + 1, kRelaxed);
}

}  // namespace

std::span<ipc::BanSlot> BanTable::set_of(nat::Ipv4Address address) const noexcept {
  const std::uint64_t hash = (address.value.raw() ^ seed_) * 0x9e3779b97f4a7c15U;  // 2^64 / golden ratio
  const std::size_t sets = addresses_.size() / kWays;
  return addresses_.subspan(static_cast<std::size_t>((hash >> 32U) * sets >> 32U) * kWays, kWays);
}

std::span<ipc::BanSlot> BanTable::places_of(nat::Prefix prefix) noexcept {
  return prefix.length == 32 ? set_of(prefix.address) : prefixes_;
}

bool BanTable::hits(nat::Ipv4Address source, nat::Tick now, Bans which) noexcept {
  auto* const slot = find_for(source, now, which);
  if (slot != nullptr) count_hit(*slot);
  return slot != nullptr;
}

ipc::BanSlot* BanTable::find_for(nat::Ipv4Address source, nat::Tick now, Bans which) const noexcept {
  if (empty() || (which == Bans::of_operators && manual_count_ == 0)) [[likely]]
    return nullptr;
  const auto look = [&](std::span<ipc::BanSlot> slots) noexcept -> ipc::BanSlot* {
    for (auto& slot : slots) {
      if (is_free(slot) || !prefix_of(slot).contains(source) || is_over(slot, now)) continue;
      if (which == Bans::all || is_manual(slot)) return &slot;
    }
    return nullptr;
  };
  auto* const slot = look(set_of(source));
  return slot != nullptr || prefix_count_ == 0 ? slot : look(prefixes_);
}

bool BanTable::ban(nat::Prefix prefix, ipc::BanReason reason, nat::Tick until, nat::Tick now) noexcept {
  auto* slot = find(prefix);
  if (slot == nullptr) {
    slot = place_for(prefix, reason, now);
    if (slot == nullptr) return false;
  } else {
    const bool is_longer = is_manual(*slot) || !nat::reached(slot->until.load(kRelaxed), until);
    if (reason != ipc::BanReason::manual && !is_over(*slot, now) && is_longer) return true;
    if (is_manual(*slot)) --manual_count_;
  }
  slot->address.store(prefix.address.value.raw(), kRelaxed);
  slot->length.store(prefix.length, kRelaxed);
  slot->reason.store(reason, kRelaxed);
  if (reason == ipc::BanReason::manual) ++manual_count_;
  slot->until.store(until == 0 ? 1 : until, kRelaxed);
  ++begun_;
  return true;
}

ipc::BanSlot* BanTable::find(nat::Prefix prefix) noexcept {
  const auto slots = places_of(prefix);
  const auto found = std::ranges::find_if(
      slots, [&](const ipc::BanSlot& slot) { return !is_free(slot) && prefix_of(slot) == prefix; });
  return found == slots.end() ? nullptr : &*found;
}

/// A free place, or that of the ban that would end first.
ipc::BanSlot* BanTable::place_for(nat::Prefix prefix, ipc::BanReason reason, nat::Tick now) noexcept {
  const auto slots = places_of(prefix);
  auto place = std::ranges::find_if(slots, is_free);
  if (place == slots.end()) {
    const auto left = [&](const ipc::BanSlot& slot) noexcept {
      const bool stays = is_manual(slot) && !is_over(slot, now) && reason != ipc::BanReason::manual;
      return stays ? ~std::uint32_t{0} : is_over(slot, now) ? 0 : slot.until.load(kRelaxed) - now;
    };
    place = std::ranges::min_element(slots, {}, left);
    if (left(*place) == ~std::uint32_t{0}) return nullptr;
    free(*place);
  }
  ++size_;
  if (prefix.length < 32) ++prefix_count_;
  place->hits.store(0, kRelaxed);
  return &*place;
}

bool BanTable::lift(nat::Prefix prefix) noexcept {
  auto* const slot = find(prefix);
  if (slot == nullptr) return false;
  free(*slot);
  return true;
}

void BanTable::free(ipc::BanSlot& slot) noexcept {
  if (slot.length.load(kRelaxed) < 32) --prefix_count_;
  if (is_manual(slot)) --manual_count_;
  --size_;
  slot.until.store(0, kRelaxed);
}

void BanTable::expire(nat::Tick now, std::uint32_t budget) noexcept {
  const auto capacity = static_cast<std::uint32_t>(addresses_.size() + prefixes_.size());
  for (std::uint32_t left = std::min(budget, capacity); left > 0 && size_ > 0; --left) {
    cursor_ = cursor_ + 1 < capacity ? cursor_ + 1 : 0;
    auto& slot = cursor_ < addresses_.size() ? addresses_[cursor_] : prefixes_[cursor_ - addresses_.size()];
    if (!is_free(slot) && is_over(slot, now)) free(slot);
  }
}

}  // namespace pinhole::dataplane
