// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/neighbor.hpp"

#include "nat/memory.hpp"

namespace pinhole::dataplane {

std::size_t NeighborTable::bytes_needed() noexcept {
  return nat::carved_bytes<Slot>(kCapacity) + nat::carved_bytes<Record>(kCapacity);
}

NeighborTable::NeighborTable(std::span<std::byte> memory) noexcept {
  nat::Carver carver(memory);
  slots_ = carver.take<Slot>(kCapacity);
  records_ = carver.take<Record>(kCapacity);
  for (std::uint16_t i = 0; i + 1U < kMaxPending; ++i) pool_[i].next = static_cast<std::uint16_t>(i + 1);
}

Enqueued NeighborTable::enqueue(std::uint8_t interface, nat::Ipv4Address address, void* packet,
                                nat::Tick now) noexcept {
  const std::uint64_t key = key_of(interface, address);
  std::uint16_t at = slot_of(key);
  if (at != kNone && state_of(slots_[at].value.load(std::memory_order_relaxed)) == State::reachable) {
    return Enqueued::resolved;
  }
  if (free_ == kNone || (at != kNone && records_[at].waiting == kMaxPendingOfOne)) return Enqueued::full;
  const bool is_new = at == kNone;
  if (is_new) at = add(key, State::incomplete, {}, now);
  if (at == kNone) return Enqueued::full;

  const std::uint16_t node = free_;
  free_ = pool_[node].next;
  pool_[node] = {packet, kNone};
  auto& record = records_[at];
  if (record.waiting == 0) {
    record.first = node;
  } else {
    pool_[record.last].next = node;
  }
  record.last = node;
  ++record.waiting;
  ++pending_;
  if (!is_new) return Enqueued::queued;
  record.asked = 1;
  record.asked_at = now;
  return Enqueued::ask;
}

std::uint16_t NeighborTable::learn_slot(std::uint8_t interface, nat::Ipv4Address address,
                                        const nat::MacAddress& mac, bool add_new, nat::Tick now) noexcept {
  if (mac.is_group() || mac.raw() == 0) return kNone;
  const std::uint64_t key = key_of(interface, address);
  const std::uint16_t at = slot_of(key);
  if (at == kNone) return add_new ? add(key, State::reachable, mac, now) : kNone;
  set(at, State::reachable, mac);
  records_[at].since = now;
  records_[at].asked = 0;
  return at;
}

NeighborTable::Care NeighborTable::look_after(std::uint16_t at, nat::Tick now) noexcept {
  const std::uint64_t value = slots_[at].value.load(std::memory_order_relaxed);
  auto& record = records_[at];
  switch (state_of(value)) {
    case State::none:
      return Care::none;
    case State::incomplete:
      if (nat::reached(record.since + nat::ticks_from_s(kResolve_s), now)) return Care::forget;
      break;
    case State::reachable:
      if (!nat::reached(record.since + nat::ticks_from_s(kFresh_s), now)) return Care::none;
      break;
  }
  if (record.asked > 0 && !nat::reached(record.asked_at + kAskEvery, now)) return Care::none;
  if (record.asked == kMaxAsked) {
    // An incomplete one is forgotten by its age above, so that its packets wait as long as promised.
    return state_of(value) == State::reachable ? Care::forget : Care::none;
  }
  ++record.asked;
  record.asked_at = now;
  return Care::ask;
}

NeighborQuestion NeighborTable::question_about(std::uint16_t at) const noexcept {
  const std::uint64_t key = slots_[at].key.load(std::memory_order_relaxed);
  const std::uint64_t value = slots_[at].value.load(std::memory_order_relaxed);
  // The last question goes to everybody: the neighbour may have got another MAC address.
  const bool poll = state_of(value) == State::reachable && records_[at].asked < kMaxAsked;
  return {static_cast<std::uint8_t>(key >> 32U),
          {nat::Be32::from_raw(static_cast<std::uint32_t>(key))},
          poll ? nat::MacAddress::from_raw(value) : nat::kBroadcastMac};
}

std::uint16_t NeighborTable::slot_of(std::uint64_t key) const noexcept {
  for (std::size_t at = home_of(key);; at = next(at)) {
    const std::uint64_t found = slots_[at].key.load(std::memory_order_relaxed);
    if (found == kEmpty) return kNone;
    if ((found & ~kGenerationInKey) == key) return static_cast<std::uint16_t>(at);
  }
}

std::uint16_t NeighborTable::add(std::uint64_t key, State state, const nat::MacAddress& mac,
                                 nat::Tick now) noexcept {
  if (size_ == kMaxNeighbors) return kNone;
  std::size_t at = home_of(key);
  while (slots_[at].key.load(std::memory_order_relaxed) != kEmpty) at = next(at);
  const std::uint16_t generation = records_[at].generation;
  records_[at] = {};
  records_[at].since = now;
  records_[at].generation = generation;
  write(at, key, std::uint64_t{static_cast<std::uint8_t>(state)} << kStateShift | mac.raw());
  ++size_;
  return static_cast<std::uint16_t>(at);
}

// The words of a new generation, key first: until the value follows, a reader sees that they do not match.
void NeighborTable::write(std::size_t at, std::uint64_t key, std::uint64_t state_and_mac) noexcept {
  auto& generation = records_[at].generation;
  generation = static_cast<std::uint16_t>((generation + 1U) & kGenerationMask);
  const std::uint64_t number = generation;
  slots_[at].key.store((key & ~kGenerationInKey) | number << kKeyShift, std::memory_order_release);
  slots_[at].value.store((state_and_mac & ~kGenerationInValue) | number << kValueShift,
                         std::memory_order_release);
}

// The same neighbour with another state or MAC address: one word, so readers need no new generation.
void NeighborTable::set(std::size_t at, State state, const nat::MacAddress& mac) noexcept {
  const std::uint64_t number = records_[at].generation;
  slots_[at].value.store(
      std::uint64_t{static_cast<std::uint8_t>(state)} << kStateShift | number << kValueShift | mac.raw(),
      std::memory_order_release);
}

// Moves back what probing would no longer find, last hole last: no slot in the middle of a run is ever empty
// for a reader (Knuth, The Art of Computer Programming 6.4, algorithm R).
void NeighborTable::erase(std::uint16_t at) noexcept {
  std::size_t hole = at;
  for (std::size_t from = next(hole);; from = next(from)) {
    const std::uint64_t key = slots_[from].key.load(std::memory_order_relaxed);
    if (key == kEmpty) break;
    const std::size_t distance_to_home = (from - home_of(key)) % kCapacity;
    const std::size_t distance_to_hole = (from - hole) % kCapacity;
    if (distance_to_home < distance_to_hole) continue;  // it would come before its home
    const std::uint16_t generation = records_[hole].generation;
    records_[hole] = records_[from];
    records_[hole].generation = generation;
    write(hole, key, slots_[from].value.load(std::memory_order_relaxed));
    hole = from;
  }
  const std::uint16_t generation = records_[hole].generation;
  records_[hole] = {};
  records_[hole].generation = generation;
  slots_[hole].value.store(0, std::memory_order_release);
  slots_[hole].key.store(kEmpty, std::memory_order_release);
  --size_;
}

std::uint16_t NeighborTable::take_pending(std::uint16_t at) noexcept {
  auto& record = records_[at];
  const std::uint16_t first = record.first;
  record.first = record.last = kNone;
  record.waiting = 0;
  return first;
}

}  // namespace pinhole::dataplane
