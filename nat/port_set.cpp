// SPDX-License-Identifier: BSD-3-Clause
#include "nat/port_set.hpp"

#include <algorithm>
#include <bit>
#include <cassert>

namespace pinhole::nat {

namespace {

constexpr std::uint64_t kEven = 0x5555555555555555;
constexpr std::uint64_t kOdd = ~kEven;
static_assert(kPortBlock == 64, "a block is one word");

/// The even ports of a word whose odd neighbour is free too.
constexpr std::uint64_t pairs_of(std::uint64_t word) noexcept {
  return word & (word >> 1U) & kEven;
}

/// The first set bit of begin..end-1, or `end`. Cost: a step for 64 bits.
std::uint32_t next_set(const std::uint64_t* bits, std::uint32_t begin, std::uint32_t end) noexcept {
  while (begin < end) {
    const std::uint64_t rest = bits[begin / 64] >> (begin % 64);
    if (rest != 0) return std::min(end, begin + static_cast<std::uint32_t>(std::countr_zero(rest)));
    begin = (begin / 64 + 1) * 64;
  }
  return end;
}

void assign(std::uint64_t* bits, std::uint32_t at, bool value) noexcept {
  const std::uint64_t bit = std::uint64_t{1} << (at % 64);
  bits[at / 64] = value ? bits[at / 64] | bit : bits[at / 64] & ~bit;
}

}  // namespace

void PortSet::fill() const noexcept {
  for (std::uint32_t word = 0; word < shape_.words; ++word) put(word, ~std::uint64_t{0});
}

std::optional<PortSet::Place> PortSet::place_of(std::uint16_t port) const noexcept {
  const std::uint32_t block = port_block(port);
  if (block < shape_.first_block || (block - shape_.first_block) % shape_.step != 0) return std::nullopt;
  const std::uint32_t word = (block - shape_.first_block) / shape_.step;
  if (word >= shape_.words) return std::nullopt;
  return Place{.word = word, .bit = std::uint64_t{1} << (port % kPortBlock)};
}

void PortSet::summarise(std::uint32_t word) const noexcept {
  const std::uint64_t free = free_[word];
  assign(even_, word, (free & kEven) != 0);
  assign(odd_, word, (free & kOdd) != 0);
  assign(pair_, word, pairs_of(free) != 0);
}

/// A random free port among the `wanted` bits of the words begin..end-1 that the summary names.
std::optional<std::uint16_t> PortSet::choose_from(const std::uint64_t* summary, std::uint64_t wanted,
                                                  std::uint32_t begin, std::uint32_t end,
                                                  Random& random) const noexcept {
  if (begin >= end) return std::nullopt;
  const std::uint32_t start = begin + random.below(end - begin);
  std::uint32_t word = next_set(summary, start, end);
  if (word == end) {
    word = next_set(summary, begin, start);
    if (word == start) return std::nullopt;
  }
  const std::uint64_t free = free_[word];
  const std::uint64_t fit = (summary == pair_ ? pairs_of(free) : free) & wanted;
  const auto turn = static_cast<int>(random.below(kPortBlock));
  const std::uint32_t bit = (static_cast<std::uint32_t>(std::countr_zero(std::rotr(fit, turn))) +
                             static_cast<std::uint32_t>(turn)) %
                            kPortBlock;
  const std::uint32_t block = shape_.first_block + word * shape_.step;
  return static_cast<std::uint16_t>(block * kPortBlock + bit);
}

std::optional<std::uint16_t> PortSet::choose(bool odd, std::uint32_t begin, std::uint32_t end,
                                             Random& random) const noexcept {
  return choose_from(odd ? odd_ : even_, odd ? kOdd : kEven, begin, end, random);
}

std::optional<std::uint16_t> PortSet::choose_pair(std::uint32_t begin, std::uint32_t end,
                                                  Random& random) const noexcept {
  return choose_from(pair_, kEven, begin, end, random);
}

bool PortSet::take(std::uint16_t port) const noexcept {
  const auto place = place_of(port);
  if (!place || (free_[place->word] & place->bit) == 0) return false;
  free_[place->word] &= ~place->bit;
  summarise(place->word);
  return true;
}

void PortSet::take_pair(std::uint16_t even) const noexcept {
  const auto place = place_of(even);
  assert(place && (pairs_of(free_[place->word]) & place->bit) != 0);
  if (!place) return;
  free_[place->word] &= ~(place->bit | place->bit << 1U);
  summarise(place->word);
}

void PortSet::put(std::uint16_t port) const noexcept {
  const auto place = place_of(port);
  assert(place && (free_[place->word] & place->bit) == 0);
  if (place) put(place->word, place->bit);
}

bool PortSet::has_room(std::uint32_t begin, std::uint32_t end) const noexcept {
  return next_set(even_, begin, end) != end || next_set(odd_, begin, end) != end;
}

}  // namespace pinhole::nat
