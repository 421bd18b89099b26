// SPDX-License-Identifier: BSD-3-Clause
#pragma once
// The highest pace that passes, by halving (RFC 2544 section 26.1: from the top, down when packets are lost,
// up when none is).

#include <concepts>

namespace pinhole::gen {

struct SearchPlan {
  double highest = 0;        // tried first
  double resolution = 0.01;  // as a share of `highest`
};

/// \param passes  a trial at a pace
/// \return the highest pace that passed; 0 when none did down to the resolution
/// Cost: about log2(1 / resolution) trials.
template <std::predicate<double> Passes>
double search(const SearchPlan& plan, Passes&& passes) {
  if (passes(plan.highest)) return plan.highest;
  double good = 0;
  double bad = plan.highest;
  while (bad - good > plan.resolution * plan.highest) {
    const double middle = (good + bad) / 2;
    (passes(middle) ? good : bad) = middle;
  }
  return good;
}

}  // namespace pinhole::gen
