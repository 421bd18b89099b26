// SPDX-License-Identifier: BSD-3-Clause
#include "tests/bench/gen/report.hpp"

#include <algorithm>

#include <fmt/format.h>

namespace pinhole::gen {

namespace {

constexpr std::array<const char*, kDirections> kDirectionNames = {"outbound", "inbound"};

struct Percentile {
  const char* key;
  double share;
};
constexpr std::array<Percentile, 5> kPercentiles = {
    {{"p50", 0.5}, {"p90", 0.9}, {"p99", 0.99}, {"p99_9", 0.999}, {"p99_99", 0.9999}}};

double microseconds(std::uint64_t cycles, double tsc_hz) {
  return static_cast<double>(cycles) / tsc_hz * 1e6;
}

nlohmann::json latency_of(const Histogram& histogram, double tsc_hz) {
  nlohmann::json latency = nlohmann::json::object();
  for (const auto& percentile : kPercentiles) {
    latency[percentile.key] = microseconds(histogram.percentile(percentile.share), tsc_hz);
  }
  latency["max"] = microseconds(histogram.max(), tsc_hz);
  return latency;
}

nlohmann::json faults_of(const Arrivals& arrivals) {
  nlohmann::json faults = nlohmann::json::object();
  for (std::size_t fault = 1; fault < kFaults; ++fault) {
    faults[std::string(key_of(static_cast<Fault>(fault)))] = arrivals.faults[fault];
  }
  return faults;
}

std::uint64_t sum(const TrialResult& result, auto&& of) {
  std::uint64_t total = 0;
  for (const auto& direction : result.directions) total += of(direction);
  return total;
}

std::uint64_t received(const TrialResult& result) {
  return sum(result, [](const DirectionResult& direction) { return direction.arrivals.received; });
}

}  // namespace

std::uint64_t missing(const TrialResult& result) noexcept {
  return sum(result, [](const DirectionResult& direction) { return direction.lost() + direction.refused; });
}

bool kept_pace(const TrialResult& result) noexcept {
  const auto skipped = sum(result, [](const DirectionResult& direction) { return direction.skipped; });
  const auto issued =
      sum(result, [](const DirectionResult& direction) { return direction.sent + direction.refused; });
  return skipped * 100 <= issued;
}

std::optional<std::string> damage_in(const TrialResult& result) {
  for (std::size_t d = 0; d < kDirections; ++d) {
    const auto& faults = result.directions[d].arrivals.faults;
    for (std::size_t fault = 1; fault < kFaults; ++fault) {
      if (faults[fault] == 0) continue;
      return fmt::format("{} of {} packets {}: {}", faults[fault], result.directions[d].sent,
                         kDirectionNames[d], text_of(static_cast<Fault>(fault)));
    }
  }
  return std::nullopt;
}

std::optional<std::string> error_of(const StepResult& step, double tolerance) {
  if (auto damage = damage_in(step.result)) return damage;
  if (step.may_lose) return std::nullopt;
  const std::uint64_t lost = missing(step.result);
  const std::uint64_t issued = lost + received(step.result);
  if (issued == 0) return fmt::format("no packet was sent at {:.0f} packets a second", step.pps);
  if (static_cast<double>(lost) <= tolerance * static_cast<double>(issued)) return std::nullopt;
  return fmt::format("{} of {} packets were lost at {:.0f} packets a second", lost, issued, step.pps);
}

nlohmann::json to_json(const StepResult& step, double tsc_hz) {
  nlohmann::json json = {{"step", step.name},
                         {"asked_pps", step.pps},
                         {"trials", step.trials},
                         {"pace_kept", step.pace_kept},
                         {"seconds", step.result.seconds},
                         {"received_pps", static_cast<double>(received(step.result)) / step.result.seconds},
                         {"missing", missing(step.result)},
                         {"latest_us", microseconds(step.result.latest_cycles, tsc_hz)}};
  for (std::size_t d = 0; d < kDirections; ++d) {
    const auto& direction = step.result.directions[d];
    json[kDirectionNames[d]] = {{"sent", direction.sent},
                                {"refused", direction.refused},
                                {"skipped", direction.skipped},
                                {"received", direction.arrivals.received},
                                {"lost", direction.lost()},
                                {"reordered", direction.arrivals.reordered},
                                {"stale", direction.arrivals.stale},
                                {"faults", faults_of(direction.arrivals)},
                                {"latency_us", latency_of(direction.latency, tsc_hz)}};
  }
  return json;
}

void print(const StepResult& step, double tsc_hz) {
  const double pps = static_cast<double>(received(step.result)) / step.result.seconds;
  fmt::print("{:<8} {:>9.3f} Mpps back, {} missing", step.name, pps / 1e6, missing(step.result));
  if (step.name == "search") fmt::print(", {} trials", step.trials);
  if (!step.pace_kept) fmt::print(", THE PACE WAS NOT KEPT");
  fmt::print("\n");
  for (std::size_t d = 0; d < kDirections; ++d) {
    const auto& latency = step.result.directions[d].latency;
    if (latency.count() == 0) continue;
    fmt::print("  {:<9} {:>11} packets; latency us:", kDirectionNames[d], latency.count());
    for (const auto& percentile : kPercentiles) {
      fmt::print(" {} {:.1f}", percentile.key, microseconds(latency.percentile(percentile.share), tsc_hz));
    }
    fmt::print(" max {:.1f}\n", microseconds(latency.max(), tsc_hz));
  }
}

}  // namespace pinhole::gen
