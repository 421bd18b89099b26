// SPDX-License-Identifier: BSD-3-Clause
#pragma once
// A timing wheel over mapping indices. A packet only stores its tick in its mapping; the wheel comes by at
// the deadline that was known when the index was put in, and asks again (lazily): the visitor answers with a
// later deadline, or lets go. Deadlines beyond the wheel's horizon are visited at the horizon, and so come
// round again.
//
// Each slot is a ring of links; an index has one link, so that it is in the wheel at most once and can be
// taken out at once, and what is freed early leaves nothing behind that could later hit whoever has the index
// next. Owned by one worker; memory is fixed: 8 bytes an index, 32 KiB for the slots.

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "nat/mapping.hpp"
#include "nat/memory.hpp"
#include "nat/prefetch.hpp"
#include "nat/tick.hpp"

namespace pinhole::nat {

class TimerWheel {
 public:
  /// Slots of one tick each: a horizon of 409 s, past all time-outs but that of established TCP.
  static constexpr std::uint32_t kSlots = 4096;

  [[nodiscard]] static constexpr std::size_t bytes_needed(std::uint32_t capacity) noexcept {
    return carved_bytes<Link>(std::size_t{capacity} + kSlots);
  }
  TimerWheel(std::uint32_t capacity, Tick now, std::span<std::byte> memory) noexcept;

  /// Fetches what set() will read of an index.
  void prefetch(MappingIndex index) const noexcept { nat::prefetch(&links_[index]); }
  /// Puts an index in, or moves it, to be visited at `deadline`; one that has passed is visited next.
  void set(MappingIndex index, Tick deadline) noexcept;
  /// Takes an index out; nothing happens when it is not in.
  void remove(MappingIndex index) noexcept;
  [[nodiscard]] bool contains(MappingIndex index) const noexcept { return links_[index].next != index; }

  /// Visits what is due. \param visit  `std::optional<Tick>(MappingIndex)`, noexcept: the index is out of the
  /// wheel when it is called; a tick puts it in again. It may set() and remove() any index.
  /// \param upcoming  `void(MappingIndex)`: will be visited next, a chance to prefetch.
  /// \param budget  visits plus empty slots passed, so that the time taken is bounded
  /// \return how much of the budget was used; all of it: call again soon
  template <typename Visit, typename Upcoming>
  std::uint32_t advance(Tick now, std::uint32_t budget, Visit&& visit, Upcoming&& upcoming) noexcept {
    std::uint32_t used = 0;
    while (used < budget && reached(current_, now)) {
      const MappingIndex head = slot_of(current_);
      const MappingIndex index = links_[head].next;
      ++used;
      if (index == head) {
        ++current_;
        continue;
      }
      remove(index);
      if (links_[head].next != head) upcoming(links_[head].next);
      if (const std::optional<Tick> later = visit(index)) set(index, *later);
    }
    return used;
  }

 private:
  struct Link {
    MappingIndex previous = 0;
    MappingIndex next = 0;  // itself: not in the wheel; of a slot: empty
  };
  static_assert((kSlots & (kSlots - 1)) == 0);

  /// Links from capacity_ on are the heads of the slots.
  [[nodiscard]] MappingIndex slot_of(Tick tick) const noexcept { return capacity_ + (tick & (kSlots - 1)); }

  std::uint32_t capacity_;
  Tick current_;  // the tick whose slot is visited next
  std::span<Link> links_;
};

inline void TimerWheel::set(MappingIndex index, Tick deadline) noexcept {
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

inline void TimerWheel::remove(MappingIndex index) noexcept {
  const Link link = links_[index];
  links_[link.previous].next = link.next;
  links_[link.next].previous = link.previous;
  links_[index] = {.previous = index, .next = index};
}

}  // namespace pinhole::nat
