// SPDX-License-Identifier: BSD-3-Clause
#pragma once
// What pinhole-gen says of its trials: JSON for programs, lines for people, and the one sentence that fails a
// run.

#include <optional>
#include <string>
#include <vector>

#include "tests/bench/gen/options.hpp"
#include "tests/bench/gen/traffic.hpp"

#include <nlohmann/json.hpp>

namespace pinhole::gen {

/// A step done.
struct StepResult {
  std::string name;
  double pps = 0;         // asked for; 0: flood
  bool may_lose = false;  // a flood
  unsigned trials = 1;
  bool pace_kept = true;  // else the figure is the generator's, not the device's
  TrialResult result;
};

/// Why a run fails, in one sentence; none when nothing is wrong. Damage is wrong at any pace, loss only where
/// it may not be. \param tolerance  share of packets that may be lost
[[nodiscard]] std::optional<std::string> error_of(const StepResult& step, double tolerance);
/// Faults alone.
[[nodiscard]] std::optional<std::string> damage_in(const TrialResult& result);

/// Packets that did not come back whole, of those that should have: lost or refused.
[[nodiscard]] std::uint64_t missing(const TrialResult& result) noexcept;
/// True when at most a hundredth of the packets was left out because the generator was late.
[[nodiscard]] bool kept_pace(const TrialResult& result) noexcept;

[[nodiscard]] nlohmann::json to_json(const StepResult& step, double tsc_hz);
void print(const StepResult& step, double tsc_hz);

}  // namespace pinhole::gen
