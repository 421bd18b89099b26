// SPDX-License-Identifier: BSD-3-Clause
#include "nat/port_pool.hpp"

#include <algorithm>
#include <bit>
#include <cassert>

namespace pinhole::nat {

namespace {

constexpr std::uint32_t kLowPorts = 1024;  // the well-known ports of RFC 4787 REQ-3a
constexpr std::uint32_t kLowBlocks = kLowPorts / kPortBlock;
constexpr std::uint64_t kEven = 0x5555555555555555;
constexpr std::uint64_t kOdd = ~kEven;
static_assert(kPortBlock == 64, "a block is one word");

/// The even ports of a word whose odd neighbour is free too.
constexpr std::uint64_t pairs_of(std::uint64_t word) noexcept {
  return word & (word >> 1U) & kEven;
}

/// How many of `blocks` blocks, from block 0 on, belong to a worker whose first block is `first`.
constexpr std::uint32_t owned_below(std::uint32_t blocks, std::uint32_t first, unsigned workers) noexcept {
  return first < blocks ? (blocks - first + workers - 1) / workers : 0;
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

PortPool::PortPool(std::uint32_t pool_size, unsigned worker, unsigned workers, const Random& random,
                   std::span<std::byte> memory, Tick rest) noexcept
    : pool_size_(pool_size),
      worker_(worker),
      workers_(workers),
      rest_(rest == 0 ? 0 : rest + 2),
      random_(random),
      memory_(Carver(memory).take<std::uint64_t>(pool_size * kProtocols * words_per_set(workers))) {
  for (std::uint32_t address = 0; address < pool_size; ++address) {
    for (const Protocol protocol : {Protocol::udp, Protocol::tcp, Protocol::icmp}) {
      const Set set = set_of(protocol, static_cast<std::uint16_t>(address));
      for (std::uint32_t word = 0; word < set.word_count; ++word) {
        const bool has_port_0 = word == 0 && set.first_block == 0 && protocol != Protocol::icmp;
        set.words[word] = {
            .free = has_port_0 ? ~std::uint64_t{1} : ~std::uint64_t{0}, .fresh = 0, .rested = 0};
        summarise(set, word);
      }
    }
  }
}

PortPool::Set PortPool::set_number(std::size_t number) const noexcept {
  const std::size_t pool_index = number / kProtocols;
  assert(pool_index < pool_size_);
  std::uint64_t* const words = memory_.data() + number * words_per_set(workers_);
  std::uint64_t* const even = words + kWordSize * max_words(workers_);
  std::uint64_t* odd = even + summary_words(workers_);
  // The first block that owner_of_block() gives to this worker.
  const auto first = static_cast<std::uint32_t>((worker_ + workers_ - pool_index % workers_) % workers_);
  return {.words = reinterpret_cast<Word*>(words),
          .even = even,
          .odd = odd,
          .pair = odd + summary_words(workers_),
          .first_block = first,
          .low_words = owned_below(kLowBlocks, first, workers_),
          .word_count = owned_below(kPortBlocks, first, workers_)};
}

std::optional<PortPool::Place> PortPool::place_of(const Set& set, std::uint16_t port) const noexcept {
  const std::uint32_t block = port_block(port);
  if (block < set.first_block || (block - set.first_block) % workers_ != 0) return std::nullopt;
  return Place{.word = (block - set.first_block) / workers_, .bit = std::uint64_t{1} << (port % kPortBlock)};
}

void PortPool::summarise(const Set& set, std::uint32_t word) noexcept {
  const std::uint64_t free = set.words[word].free;
  assign(set.even, word, (free & kEven) != 0);
  assign(set.odd, word, (free & kOdd) != 0);
  assign(set.pair, word, pairs_of(free) != 0);
}

/// A random free port among the `wanted` bits of the words begin..end-1 that the summary names; not yet
/// taken.
std::optional<std::uint16_t> PortPool::choose(const Set& set, const std::uint64_t* summary,
                                              std::uint64_t wanted, std::uint32_t begin,
                                              std::uint32_t end) noexcept {
  if (begin >= end) return std::nullopt;
  const std::uint32_t start = begin + random_.below(end - begin);
  std::uint32_t word = next_set(summary, start, end);
  if (word == end) {
    word = next_set(summary, begin, start);
    if (word == start) return std::nullopt;
  }
  const std::uint64_t free = set.words[word].free;
  const std::uint64_t fit = (summary == set.pair ? pairs_of(free) : free) & wanted;
  const auto turn = static_cast<int>(random_.below(kPortBlock));
  const std::uint32_t bit = (static_cast<std::uint32_t>(std::countr_zero(std::rotr(fit, turn))) +
                             static_cast<std::uint32_t>(turn)) %
                            kPortBlock;
  const std::uint32_t block = set.first_block + word * workers_;
  return static_cast<std::uint16_t>(block * kPortBlock + bit);
}

std::optional<std::uint16_t> PortPool::choose_by_parity(const Set& set, bool odd, std::uint32_t begin,
                                                        std::uint32_t end) noexcept {
  const auto same = choose(set, odd ? set.odd : set.even, odd ? kOdd : kEven, begin, end);
  if (same) return same;
  return choose(set, odd ? set.even : set.odd, odd ? kEven : kOdd, begin, end);
}

std::optional<std::uint16_t> PortPool::take(Protocol protocol, std::uint16_t pool_index,
                                            std::uint16_t inside_port) noexcept {
  const Set set = set_of(protocol, pool_index);
  std::optional<std::uint16_t> port;
  if (protocol == Protocol::icmp) {
    port = choose_by_parity(set, (random_.next() & 1U) != 0, 0, set.word_count);
  } else {
    const bool odd = (inside_port & 1U) != 0;
    if (inside_port < kLowPorts) port = choose_by_parity(set, odd, 0, set.low_words);
    // A recommendation is not worth a flow: without a low port a low one may have a high one. The other way
    // would give any user a port that peers may trust as privileged.
    if (!port) port = choose_by_parity(set, odd, set.low_words, set.word_count);
  }
  if (port && !take_exactly(protocol, pool_index, *port)) return std::nullopt;
  return port;
}

std::optional<std::uint16_t> PortPool::take_pair(std::uint16_t pool_index) noexcept {
  const Set set = set_of(Protocol::udp, pool_index);
  const auto even = choose(set, set.pair, kEven, set.low_words, set.word_count);
  if (!even) return std::nullopt;
  const auto place = place_of(set, *even);
  set.words[place->word].free &= ~(place->bit | place->bit << 1U);
  summarise(set, place->word);
  in_use_ += 2;
  return even;
}

bool PortPool::take_exactly(Protocol protocol, std::uint16_t pool_index, std::uint16_t port) noexcept {
  const Set set = set_of(protocol, pool_index);
  const auto place = place_of(set, port);
  if (!place || (set.words[place->word].free & place->bit) == 0) return false;
  set.words[place->word].free &= ~place->bit;
  summarise(set, place->word);
  ++in_use_;
  return true;
}

void PortPool::reserve(Protocol protocol, std::uint16_t pool_index, std::uint16_t port) noexcept {
  if (pool_index >= pool_size_) return;
  if (take_exactly(protocol, pool_index, port)) {
    --in_use_;
    return;
  }
  const Set set = set_of(protocol, pool_index);
  const auto place = place_of(set, port);
  if (!place) return;
  Word& word = set.words[place->word];
  if (((word.fresh | word.rested) & place->bit) == 0) return;
  word.fresh &= ~place->bit;
  word.rested &= ~place->bit;
  --resting_;
}

void PortPool::give_back(Protocol protocol, std::uint16_t pool_index, std::uint16_t port) noexcept {
  if (rest_ == 0) return put_back(protocol, pool_index, port);
  const Set set = set_of(protocol, pool_index);
  const auto place = place_of(set, port);
  assert(place &&
         ((set.words[place->word].free | set.words[place->word].fresh | set.words[place->word].rested) &
          place->bit) == 0);
  if (!place) return;
  set.words[place->word].fresh |= place->bit;
  --in_use_;
  ++resting_;
}

void PortPool::put_back(Protocol protocol, std::uint16_t pool_index, std::uint16_t port) noexcept {
  const Set set = set_of(protocol, pool_index);
  const auto place = place_of(set, port);
  assert(place && (set.words[place->word].free & place->bit) == 0);
  if (!place) return;
  set.words[place->word].free |= place->bit;
  summarise(set, place->word);
  --in_use_;
}

void PortPool::sweep(Tick now, std::uint32_t budget) noexcept {
  if (rest_ == 0 || pool_size_ == 0) return;
  const std::uint64_t words = std::uint64_t{pool_size_} * kProtocols * max_words(workers_);
  if (now != swept_at_) {
    // A tick's worth, however much time has passed: were the sweep to make up for lost time, it would be back
    // at a word too early.
    const std::uint64_t due = sweep_debt_ + words;
    sweep_left_ = due / rest_;
    sweep_debt_ = due % rest_;
    swept_at_ = now;
  }
  for (; budget > 0 && sweep_left_ > 0; --budget, --sweep_left_) {
    if (resting_ > 0) age(sweep_next_);
    if (++sweep_next_ == words) sweep_next_ = 0;
  }
}

/// Moves the resting ports of one word on.
void PortPool::age(std::uint64_t word_number) noexcept {
  const Set set = set_number(word_number / max_words(workers_));
  const auto at = static_cast<std::uint32_t>(word_number % max_words(workers_));
  if (at >= set.word_count) return;
  Word& word = set.words[at];
  const std::uint64_t rested = word.rested;
  word.rested = word.fresh;
  word.fresh = 0;
  if (rested == 0) return;
  word.free |= rested;
  resting_ -= static_cast<std::uint32_t>(std::popcount(rested));
  summarise(set, at);
}

std::optional<std::uint16_t> PortPool::find_room(Protocol protocol, std::uint32_t tries) noexcept {
  if (pool_size_ == 0) return std::nullopt;
  std::uint32_t address = random_.below(pool_size_);
  for (tries = std::min(tries, pool_size_); tries > 0; --tries) {
    if (has_room(protocol, static_cast<std::uint16_t>(address))) return static_cast<std::uint16_t>(address);
    if (++address == pool_size_) address = 0;
  }
  return std::nullopt;
}

bool PortPool::has_room(Protocol protocol, std::uint16_t pool_index) const noexcept {
  const Set set = set_of(protocol, pool_index);
  const std::uint32_t begin = protocol == Protocol::icmp ? 0 : set.low_words;
  return next_set(set.even, begin, set.word_count) != set.word_count ||
         next_set(set.odd, begin, set.word_count) != set.word_count;
}

}  // namespace pinhole::nat
