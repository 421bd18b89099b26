// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/worker_policy.hpp"

#include <algorithm>
#include <utility>

namespace pinhole::dataplane {

namespace {

bool is_sound(const ipc::PolicyImage& image) noexcept {
  return std::ranges::all_of(image.switches, [](const auto& each) { return each.is_sound(); }) &&
         alg::sip::is_sound(image.rules) && ipc::is_sound(image.rates);
}

}  // namespace

void WorkerPolicy::use(std::uint8_t slot) noexcept {
  image_ = &memory_.images[slot];
  guard_.use(image_->rates);
  rules_.use(image_->rules, memory_.hits[slot]);
}

void WorkerPolicy::announce(std::uint32_t generation) noexcept {
  // What was prepared before may be written over from now on.
  memory_.card.write([&](ipc::PolicyCard& card) noexcept {
    card.announced = generation;
    card.prepared = 0;
  });
}

bool WorkerPolicy::prepare(std::uint32_t generation, std::uint8_t slot) noexcept {
  const bool usable =
      slot < ipc::kPolicySlots && slot != memory_.card.own().slot && is_sound(memory_.images[slot]);
  memory_.card.write([&](ipc::PolicyCard& card) noexcept {
    card.prepared = usable ? generation : 0;
    card.next_slot = slot;
    if (!usable) card.refused = generation;
  });
  return usable;
}

bool WorkerPolicy::commit(std::uint32_t generation) noexcept {
  const auto& card = memory_.card.own();
  if (generation == 0 || card.prepared != generation) return false;
  const auto next = card.next_slot;
  alg::sip::carry_over(image_->rules, memory_.hits[card.slot], memory_.images[next].rules,
                       memory_.hits[next]);
  use(next);
  memory_.card.write([&](ipc::PolicyCard& mine) noexcept {
    mine.generation = std::exchange(mine.prepared, 0U);
    mine.slot = next;
  });
  return true;
}

}  // namespace pinhole::dataplane
