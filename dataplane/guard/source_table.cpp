// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/guard/source_table.hpp"

#include <algorithm>
#include <bit>

namespace pinhole::dataplane {

SourceTable::SourceTable(std::uint32_t capacity, std::uint64_t seed, nat::Carver& memory) noexcept
    : seed_(seed),
      sets_(memory.take<Set>(sets_of(capacity))),
      sources_(memory.take<Source>(sets_.size() * kWays)) {
}

/// All places are looked at, so that it is a few vectors' work.
std::size_t SourceTable::way_of(const Set& set, nat::Ipv4Address address) noexcept {
  if (address.is_unspecified()) return kWays;
  std::uint32_t hits = 0;
  for (std::size_t way = 0; way < kWays; ++way) hits |= std::uint32_t{set.addresses[way] == address} << way;
  return hits == 0 ? kWays : static_cast<std::size_t>(std::countr_zero(hits));
}

void SourceTable::fetch(nat::Ipv4Address address) const noexcept {
  const auto number = set_of(address);
  const auto way = way_of(sets_[number], address);
  if (way == kWays) return;
  constexpr std::size_t kLine = 64;
  const auto* const source = reinterpret_cast<const std::byte*>(&sources_[number * kWays + way]);
  for (std::size_t at = 0; at < sizeof(Source); at += kLine) nat::prefetch(source + at);
}

Source* SourceTable::find(nat::Ipv4Address address, nat::Tick now) noexcept {
  const auto number = set_of(address);
  auto& set = sets_[number];
  const auto way = way_of(set, address);
  if (way == kWays) return nullptr;
  auto& source = sources_[number * kWays + way];
  if (source.known && nat::reached(set.seen[way] + kKnownFor, now)) forget_known(source);
  set.seen[way] = now;
  return &source;
}

template <typename May>
std::size_t SourceTable::most_silent(std::size_t set, nat::Tick now, May&& may) const noexcept {
  std::size_t found = kWays;
  nat::Tick longest = 0;
  for (std::size_t way = 0; way < kWays; ++way) {
    const nat::Tick silent = now - sets_[set].seen[way];
    if (!may(sources_[set * kWays + way]) || (found != kWays && silent <= longest)) continue;
    found = way;
    longest = silent;
  }
  return found;
}

Source& SourceTable::add(nat::Ipv4Address address, nat::Tick now) noexcept {
  const auto number = set_of(address);
  auto& set = sets_[number];
  const auto* const free = std::find(set.addresses.begin(), set.addresses.end(), nat::Ipv4Address{});
  auto way = static_cast<std::size_t>(free - set.addresses.begin());
  if (way == kWays) {
    way = most_silent(number, now, [](const Source& source) noexcept { return !source.known; });
  } else {
    ++size_;
  }
  set.addresses[way] = address;
  set.seen[way] = now;
  auto& source = sources_[number * kWays + way];
  source = {};
  return source;
}

bool SourceTable::make_known(Source& source, nat::Tick now) noexcept {
  if (source.known) return true;
  const auto number = static_cast<std::size_t>(&source - sources_.data()) / kWays;
  const auto set = sources_.subspan(number * kWays, kWays);
  const auto known = std::ranges::count_if(set, [](const Source& each) { return each.known; });
  if (known >= static_cast<std::ptrdiff_t>(kMostKnown)) {
    const auto way = most_silent(number, now, [](const Source& each) noexcept { return each.known; });
    if (!nat::reached(sets_[number].seen[way] + kKnownSilence, now)) return false;
    forget_known(set[way]);
  }
  source.known = true;
  ++known_;
  return true;
}

void SourceTable::forget_known(Source& source) noexcept {
  source.known = source.both_ways = source.accepted = false;
  --known_;
}

}  // namespace pinhole::dataplane
