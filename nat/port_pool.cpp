// SPDX-License-Identifier: BSD-3-Clause
#include "nat/port_pool.hpp"

#include <algorithm>
#include <bit>
#include <cassert>

namespace pinhole::nat {

namespace {

constexpr std::uint32_t kLowBlocks = kLowPorts / kPortBlock;

/// How many of a number of blocks, from block 0 on, are every so many-th from the first on.
constexpr std::uint32_t owned(std::uint32_t blocks, std::uint32_t first, unsigned workers) noexcept {
  return blocks / workers + (first < blocks % workers ? 1 : 0);
}

}  // namespace

PortPool::PortPool(std::uint32_t pool_size, unsigned worker, unsigned workers, const Random& random,
                   std::span<std::byte> memory, Tick rest) noexcept
    : pool_size_(pool_size),
      workers_(workers),
      reciprocal_(((std::uint64_t{1} << 32U) + workers - 1) / workers),
      capacity_(max_words(workers)),
      resting_at_(PortSet::memory_needed(capacity_)),
      memory_per_set_(memory_per_set(workers)),
      rest_(rest == 0 ? 0 : rest + 2),
      random_(random),
      memory_(Carver(memory).take<std::uint64_t>(pool_size * kProtocols * memory_per_set(workers))) {
  assert(worker < workers && workers <= kMaxWorkers);
  for (unsigned turn = 0; turn < workers; ++turn) {
    const std::uint32_t first = (worker + workers - turn) % workers;
    shares_[turn] = {
        .shape = {.first_block = first, .step = workers, .words = owned(kPortBlocks, first, workers)},
        .low_words = owned(kLowBlocks, first, workers)};
  }
  for (auto& draw : draws_) draw = random_.next();
  for (std::uint32_t address = 0; address < pool_size; ++address) {
    for (const Protocol protocol : {Protocol::udp, Protocol::tcp, Protocol::icmp}) {
      const Ports ports = ports_of(protocol, static_cast<std::uint16_t>(address));
      ports.free.fill();
      if (protocol != Protocol::icmp) static_cast<void>(ports.free.take(0));
    }
  }
}

/// A port that was guessed is not free any more. Not inline, so that guesses that come true pay nothing for
/// it.
std::uint32_t PortPool::take_another(Protocol protocol, std::uint16_t inside_port,
                                     const Guess& guess) noexcept {
  return take_or_none(ports_of(guess.set), protocol, inside_port);
}

std::optional<std::uint16_t> PortPool::take_pair(std::uint16_t pool_index, Protocol protocol) noexcept {
  const Ports ports = ports_of(protocol, pool_index);
  const auto even = ports.free.choose_pair(ports.low_words, ports.free.words(), random_.next());
  if (!even) return std::nullopt;
  ports.free.take_pair(even);
  in_use_ += 2;
  return ports.free.port_at(even);
}

bool PortPool::take_exactly(Protocol protocol, std::uint16_t pool_index, std::uint16_t port) noexcept {
  if (!ports_of(protocol, pool_index).free.take(port)) return false;
  ++in_use_;
  return true;
}

void PortPool::reserve(Protocol protocol, std::uint16_t pool_index, std::uint16_t port) noexcept {
  if (pool_index >= pool_size_) return;
  const Ports ports = ports_of(protocol, pool_index);
  const auto place = ports.free.place_of(port);
  if (!place || ports.free.take(port)) return;
  Resting& word = ports.resting[place.word];
  const std::uint64_t bit = std::uint64_t{1} << place.bit;
  if (((word.fresh | word.rested) & bit) == 0) return;
  word.fresh &= ~bit;
  word.rested &= ~bit;
  --resting_;
}

void PortPool::give_back(Protocol protocol, std::uint16_t pool_index, std::uint16_t port) noexcept {
  if (rest_ == 0) return put_back(protocol, pool_index, port);
  const Ports ports = ports_of(protocol, pool_index);
  const auto place = ports.free.place_of(port);
  assert(place);
  if (!place) return;
  Resting& word = ports.resting[place.word];
  const std::uint64_t bit = std::uint64_t{1} << place.bit;
  assert(((word.fresh | word.rested) & bit) == 0);
  word.fresh |= bit;
  --in_use_;
  ++resting_;
}

void PortPool::put_back(Protocol protocol, std::uint16_t pool_index, std::uint16_t port) noexcept {
  ports_of(protocol, pool_index).free.put(port);
  --in_use_;
}

void PortPool::sweep(Tick now, std::uint32_t budget) noexcept {
  if (rest_ == 0 || pool_size_ == 0) return;
  const std::uint64_t words = std::uint64_t{pool_size_} * kProtocols * capacity_;
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
  const std::uint64_t set = word_number / capacity_;
  const auto at = static_cast<std::uint32_t>(word_number % capacity_);
  const Ports ports =
      ports_of(static_cast<Protocol>(set % kProtocols), static_cast<std::uint16_t>(set / kProtocols));
  if (at >= ports.free.words()) return;
  Resting& word = ports.resting[at];
  const std::uint64_t rested = word.rested;
  word.rested = word.fresh;
  word.fresh = 0;
  if (rested == 0) return;
  resting_ -= static_cast<std::uint32_t>(std::popcount(rested));
  ports.free.put(at, rested);
}

std::optional<std::uint16_t> PortPool::find_room(Protocol protocol, std::uint32_t& at,
                                                 std::uint32_t tries) const noexcept {
  for (tries = std::min(tries, pool_size_); tries > 0; --tries) {
    const auto address = static_cast<std::uint16_t>(at);
    if (++at == pool_size_) at = 0;
    if (has_room(protocol, address)) return address;
  }
  return std::nullopt;
}

bool PortPool::has_room(Protocol protocol, std::uint16_t pool_index) const noexcept {
  const Ports ports = ports_of(protocol, pool_index);
  return ports.free.has_room(protocol == Protocol::icmp ? 0 : ports.low_words, ports.free.words());
}

}  // namespace pinhole::nat
