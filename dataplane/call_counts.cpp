// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/call_counts.hpp"

#include "nat/ownership.hpp"

namespace pinhole::dataplane {

namespace {

constexpr std::uint64_t word_of(nat::Ipv4Address address, std::uint32_t count) noexcept {
  return std::uint64_t{address.host()} << 32U | count;
}
constexpr std::uint32_t count_of(std::uint64_t word) noexcept {
  return static_cast<std::uint32_t>(word);
}
constexpr bool is_of(std::uint64_t word, nat::Ipv4Address address) noexcept {
  return count_of(word) != 0 && word >> 32U == address.host();
}

}  // namespace

std::span<AddressCounts::Place> AddressCounts::group_of(nat::Ipv4Address address) const noexcept {
  const auto groups = static_cast<std::uint32_t>(places_.size() / kGroup);
  return places_.subspan(nat::scale(nat::hash_address(address, seed_), groups) * kGroup, kGroup);
}

AddressCounts::Place* AddressCounts::place_of(nat::Ipv4Address address) const noexcept {
  for (auto& place : group_of(address)) {
    if (is_of(place.load(std::memory_order_relaxed), address)) return &place;
  }
  return nullptr;
}

std::uint32_t AddressCounts::count(nat::Ipv4Address address) const noexcept {
  for (const auto& place : group_of(address)) {
    const auto word = place.load(std::memory_order_relaxed);
    if (is_of(word, address)) return count_of(word);
  }
  return 0;
}

bool AddressCounts::has_room(nat::Ipv4Address address) const noexcept {
  for (const auto& place : group_of(address)) {
    const auto word = place.load(std::memory_order_relaxed);
    if (count_of(word) == 0 || is_of(word, address)) return true;
  }
  return false;
}

void AddressCounts::add(nat::Ipv4Address address) noexcept {
  if (Place* const known = place_of(address)) {
    known->store(known->load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
    return;
  }
  for (auto& place : group_of(address)) {
    if (count_of(place.load(std::memory_order_relaxed)) != 0) continue;
    place.store(word_of(address, 1), std::memory_order_relaxed);
    return;
  }
}

void AddressCounts::remove(nat::Ipv4Address address) noexcept {
  if (Place* const known = place_of(address))
    known->store(known->load(std::memory_order_relaxed) - 1, std::memory_order_relaxed);
}

void CallCounts::begin(nat::Ipv4Address host, nat::Ipv4Address server) noexcept {
  active_.store(active() + 1, std::memory_order_relaxed);
  hosts_.add(host);
  servers_.add(server);
}

void CallCounts::end(nat::Ipv4Address host, nat::Ipv4Address server) noexcept {
  active_.store(active() - 1, std::memory_order_relaxed);
  hosts_.remove(host);
  servers_.remove(server);
}

}  // namespace pinhole::dataplane
