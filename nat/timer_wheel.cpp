// SPDX-License-Identifier: BSD-3-Clause
#include "nat/timer_wheel.hpp"

namespace pinhole::nat {

TimerWheel::TimerWheel(std::uint32_t capacity, Tick now, std::span<std::byte> memory) noexcept
    : capacity_(capacity), current_(now), links_(Carver(memory).take<Link>(std::size_t{capacity} + kSlots)) {
  for (MappingIndex i = 0; i < links_.size(); ++i) links_[i] = {.previous = i, .next = i};
}

void TimerWheel::set(MappingIndex index, Tick deadline) noexcept {
  if (contains(index)) remove(index);
  const auto ahead = static_cast<std::int32_t>(deadline - current_);
  Tick visit = deadline;
  if (ahead < 0) visit = current_;
  if (ahead >= static_cast<std::int32_t>(kSlots)) visit = current_ + kSlots - 1;
  // At the end of the slot: one that is put back while its slot is visited comes after all others.
  const MappingIndex head = slot_of(visit);
  const MappingIndex last = links_[head].previous;
  links_[index] = {.previous = last, .next = head};
  links_[last].next = index;
  links_[head].previous = index;
}

void TimerWheel::remove(MappingIndex index) noexcept {
  const Link link = links_[index];
  links_[link.previous].next = link.next;
  links_[link.next].previous = link.previous;
  links_[index] = {.previous = index, .next = index};
}

}  // namespace pinhole::nat
