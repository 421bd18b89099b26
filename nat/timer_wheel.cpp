// SPDX-License-Identifier: BSD-3-Clause
#include "nat/timer_wheel.hpp"

namespace pinhole::nat {

TimerWheel::TimerWheel(std::uint32_t capacity, Tick now, std::span<std::byte> memory) noexcept
    : capacity_(capacity), current_(now), links_(Carver(memory).take<Link>(std::size_t{capacity} + kSlots)) {
  for (MappingIndex i = 0; i < links_.size(); ++i) links_[i] = {.previous = i, .next = i};
}

}  // namespace pinhole::nat
