// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/guard/ban_sweep.hpp"

#include <algorithm>

namespace pinhole::dataplane {

/// A mapping that is made from here on has no hop before the guard was asked.
void BanSweep::begin(const Guard& guard, const nat::Translator& translator) noexcept {
  seen_ = guard.strictness();
  left_ = end_ = translator.table().high_water().load(std::memory_order_relaxed);
}

void BanSweep::go_on(const Guard& guard, nat::Translator& translator, std::uint32_t budget) noexcept {
  for (std::uint32_t now = std::min(budget, left_); now > 0; --now, --left_) {
    if (next_ >= end_) next_ = 0;
    nat::Mapping& mapping = translator[next_++];
    if (mapping.hop_in != nat::kNoHop && guard.keeps_out(mapping)) mapping.hop_in = nat::kNoHop;
  }
}

}  // namespace pinhole::dataplane
