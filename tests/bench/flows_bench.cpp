// SPDX-License-Identifier: BSD-3-Clause
// What the first packet of a flow costs, beside a packet of a flow that is there, with a million mappings:
// the whole worker loop on one core, outbound, flows in random order.
#include <numeric>
#include <random>

#include "dataplane/eal.hpp"
#include "tests/bench/rows.hpp"
#include "tests/bench/state_lab.hpp"

namespace pinhole::bench {

namespace {

constexpr std::uint32_t kLive = 1'000'000;
constexpr unsigned kBatches = 64;
constexpr double kMostTimesAHit = 4;

std::vector<Row> measure() {
  const auto config = config_for(kLive + kBatches * StateLab::kBatch, "pinhole_flows_bench");
  if (const auto started = dataplane::start_eal(config, false); !started) {
    throw std::runtime_error(started.error().message);
  }
  StateLab lab(config);
  lab.grow(0, kLive);

  std::mt19937 random(20'250'101);
  std::uniform_int_distribution<std::uint32_t> any(0, kLive - 1);
  // New flows in random order, too: hosts and ports of neighbours in the order would share lines.
  std::vector<std::uint32_t> fresh(kBatches * StateLab::kBatch);
  std::iota(fresh.begin(), fresh.end(), kLive);
  std::ranges::shuffle(fresh, random);
  std::vector<double> hits;
  std::vector<double> news;
  std::vector<std::uint32_t> flows(StateLab::kBatch);
  for (unsigned batch = 0; batch < kBatches; ++batch) {
    for (auto& flow : flows) flow = any(random);
    hits.push_back(static_cast<double>(lab.send(flows)) / StateLab::kBatch);
    const auto some = std::span(fresh).subspan(batch * StateLab::kBatch, StateLab::kBatch);
    news.push_back(static_cast<double>(lab.send(some)) / StateLab::kBatch);
  }
  if (lab.size() != kLive + fresh.size()) throw std::runtime_error("mappings are missing");
  const double hit = median(hits);
  const double fresh_cycles = median(news);
  return {{"a packet of a live flow", hit, "cycles", {}},
          {"the first packet of a flow", fresh_cycles, "cycles", hit * kMostTimesAHit},
          {"the first against another", fresh_cycles / hit, "times", kMostTimesAHit}};
}

}  // namespace

}  // namespace pinhole::bench

int main(int argc, char** argv) {
  return pinhole::bench::run_benchmark("flows", argc, argv, pinhole::bench::measure);
}
