// SPDX-License-Identifier: BSD-3-Clause
#include "nat/filter.hpp"

#include <algorithm>

namespace pinhole::nat {

RemoteTable::RemoteTable(std::uint32_t places, std::span<std::byte> memory) noexcept
    : sets_(Carver(memory).take<Set>(sets_for(places))) {
}

void RemoteTable::remember(MappingIndex index, std::uint32_t generation, Endpoint remote, Tick now) noexcept {
  auto& remotes = sets_[set_of(index, remote)].remotes;
  auto place =
      std::ranges::find_if(remotes, [&](const Remote& known) { return known.is(index, generation, remote); });
  if (place == remotes.end()) {
    // An empty place, or else the one that was sent to longest ago.
    place = std::ranges::max_element(remotes, {}, [now](const Remote& known) {
      return known.mapping == kNoMapping ? ~Tick{0} : now - known.last_sent;
    });
    *place = {.mapping = index, .last_sent = now, .endpoint = remote, .generation = short_form(generation)};
  }
  place->last_sent = now;
}

bool RemoteTable::knows(MappingIndex index, std::uint32_t generation, Endpoint remote, Tick timeout,
                        Tick now) const noexcept {
  return std::ranges::any_of(sets_[set_of(index, remote)].remotes, [&](const Remote& known) {
    return known.is(index, generation, remote) && now - known.last_sent < timeout;
  });
}

}  // namespace pinhole::nat
