// SPDX-License-Identifier: BSD-3-Clause
#include "nat/port_set.hpp"

#include <cassert>

namespace pinhole::nat {

void PortSet::fill() const noexcept {
  for (std::uint32_t word = 0; word < shape_.words; ++word) put(word, ~std::uint64_t{0});
}

PortSet::Place PortSet::place_of(std::uint16_t port) const noexcept {
  const std::uint32_t block = port_block(port);
  if (block < shape_.first_block || (block - shape_.first_block) % shape_.step != 0) return {};
  const std::uint32_t word = (block - shape_.first_block) / shape_.step;
  if (word >= shape_.words) return {};
  return {.word = word, .bit = port % kPortBlock};
}

bool PortSet::take(std::uint16_t port) const noexcept {
  const Place place = place_of(port);
  if (!place || !is_free(place)) return false;
  take(place);
  return true;
}

void PortSet::put(std::uint16_t port) const noexcept {
  const Place place = place_of(port);
  assert(place && !is_free(place));
  if (place) put(place.word, std::uint64_t{1} << place.bit);
}

}  // namespace pinhole::nat
