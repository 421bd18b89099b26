// SPDX-License-Identifier: BSD-3-Clause
#include "nat/filter.hpp"

#include <algorithm>
#include <cstdint>
#include <limits>

namespace pinhole::nat {

RemoteTable::RemoteTable(std::uint32_t places, std::span<std::byte> memory) noexcept
    : sets_(Carver(memory).take<Set>(sets_for(places))) {
}

/// Where a remote is remembered, or shall be.
RemoteTable::Remote& RemoteTable::place_for(MappingIndex index, std::uint32_t generation, Endpoint remote,
                                            Tick now) noexcept {
  auto& remotes = sets_[set_of(index, remote)].remotes;
  auto place =
      std::ranges::find_if(remotes, [&](const Remote& known) { return known.is(index, generation, remote); });
  if (place != remotes.end()) return *place;
  // An empty place, or else the one that was sent to longest ago; what is promised was sent to in the future.
  place = std::ranges::max_element(remotes, {}, [now](const Remote& known) {
    return known.mapping == kNoMapping ? std::numeric_limits<std::int32_t>::max()
                                       : static_cast<std::int32_t>(now - known.last_sent);
  });
  *place = {.mapping = index, .last_sent = now, .endpoint = remote, .generation = short_form(generation)};
  return *place;
}

void RemoteTable::remember(MappingIndex index, std::uint32_t generation, Endpoint remote, Tick now) noexcept {
  auto& place = place_for(index, generation, remote, now);
  if (reached(place.last_sent, now)) place.last_sent = now;
}

void RemoteTable::promise(MappingIndex index, std::uint32_t generation, Endpoint remote, Tick until,
                          Tick timeout, Tick now) noexcept {
  auto& place = place_for(index, generation, remote, now);
  if (reached(place.last_sent, until - timeout)) place.last_sent = until - timeout;
}

bool RemoteTable::knows(MappingIndex index, std::uint32_t generation, Endpoint remote, Tick timeout,
                        Tick now) const noexcept {
  return std::ranges::any_of(sets_[set_of(index, remote)].remotes, [&](const Remote& known) {
    return known.is(index, generation, remote) && !reached(known.last_sent + timeout, now);
  });
}

}  // namespace pinhole::nat
