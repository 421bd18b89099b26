// SPDX-License-Identifier: BSD-3-Clause
// The longest turn of the worker loop while a million mappings expire at once and a burst of 64 packets of
// other flows comes in each turn, in time of the CPU that the thread had: what the kernel gives to others is
// not counted. A hypervisor may still take the CPU away, but at random, and what the code does comes back in
// each round. So the figure is the shortest of the rounds' longest turns, and the same loop with nothing to
// expire is beside it.
#include <time.h>

#include <algorithm>
#include <numeric>

#include "dataplane/eal.hpp"
#include "tests/bench/rows.hpp"
#include "tests/bench/state_lab.hpp"

namespace pinhole::bench {

namespace {

constexpr std::uint32_t kExpiring = 1'000'000;
constexpr unsigned kRounds = 5;
constexpr unsigned kIdleS = 400;  // longer than nat.timeouts.udp_s
constexpr unsigned kCalmTurns = 30'000;
constexpr double kLongestUs = 200;

std::uint64_t cpu_ns() {
  timespec now{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<std::uint64_t>(now.tv_sec) * 1'000'000'000U + static_cast<std::uint64_t>(now.tv_nsec);
}

struct Turns {
  std::uint64_t longest = 0;
  std::uint64_t total = 0;
  std::uint64_t count = 0;

  void add(std::uint64_t ns) {
    longest = std::max(longest, ns);
    total += ns;
    ++count;
  }
};

double microseconds(double ns) {
  return ns / 1000;
}

std::vector<Row> measure() {
  auto config = config_for(kExpiring + dataplane::kBurst, "pinhole_expiry_bench");
  // The ports of one round rest while the next ones go on.
  const auto addresses = config.nat.pool.size();
  for (std::uint32_t i = 0; i < addresses * (kRounds - 1); ++i) {
    config.nat.pool.emplace_back(nat::Ipv4Address::from_host(0xC6130000 + i));  // 198.19.0.0 and on
  }
  config.dpdk.memory_mb += static_cast<unsigned>(config.nat.pool.size());
  if (const auto started = dataplane::start_eal(config, false); !started) {
    throw std::runtime_error(started.error().message);
  }
  StateLab lab(config);
  std::vector<std::uint32_t> steady(dataplane::kBurst);
  std::iota(steady.begin(), steady.end(), kExpiring);

  std::uint64_t longest = ~std::uint64_t{0};
  std::uint64_t calm_longest = ~std::uint64_t{0};
  Turns all;
  for (unsigned round = 0; round < kRounds; ++round) {
    lab.grow(0, kExpiring);
    lab.send(steady);
    Turns calm;
    for (unsigned turn = 0; turn < kCalmTurns; ++turn) calm.add(lab.send<cpu_ns>(steady));
    lab.pass_s(kIdleS);
    Turns busy;
    while (lab.size() > steady.size()) {
      busy.add(lab.send<cpu_ns>(steady));
      if (busy.count > 100 * kExpiring) throw std::runtime_error("mappings do not expire");
    }
    longest = std::min(longest, busy.longest);
    calm_longest = std::min(calm_longest, calm.longest);
    all.total += busy.total;
    all.count += busy.count;
  }
  const double turn = static_cast<double>(all.total) / static_cast<double>(all.count);
  const double turns = static_cast<double>(all.count) / kRounds;
  return {
      {"longest turn while a million expire", microseconds(static_cast<double>(longest)), "us", kLongestUs},
      {"longest turn with nothing to expire", microseconds(static_cast<double>(calm_longest)), "us", {}},
      {"mean turn while a million expire", microseconds(turn), "us", {}},
      {"all are gone after", microseconds(turn * turns) / 1000, "ms", {}}};
}

}  // namespace

}  // namespace pinhole::bench

int main(int argc, char** argv) {
  return pinhole::bench::run_benchmark("expiry", argc, argv, pinhole::bench::measure);
}
