// SPDX-License-Identifier: BSD-3-Clause
#pragma once
// How far two CPUs are from each other: cycles until a cache line that one has written is written by the
// other and back again. On virtual machines it changes while they run, and all that two CPUs do together
// changes with it; so whoever measures two CPUs measures this before and after.

#include <pthread.h>
#include <sched.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdint>
#include <stdexcept>
#include <thread>

#include <x86intrin.h>

namespace pinhole::bench {

inline void run_on(unsigned cpu) {
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET(cpu, &set);
  if (pthread_setaffinity_np(pthread_self(), sizeof set, &set) != 0)
    throw std::runtime_error("there is no such CPU");
}

/// \return the median of 101 rounds of 100 trips there and back, in TSC cycles
/// Thread: any; it is moved to CPU `one`.
inline double ping_pong_cycles(unsigned one, unsigned other) {
  constexpr std::uint32_t kTrips = 100;
  constexpr std::size_t kRounds = 101;
  alignas(64) std::atomic<std::uint32_t> ball{0};
  std::atomic<bool> moved{false};
  std::thread partner([&] {
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(other, &set);
    pthread_setaffinity_np(pthread_self(), sizeof set, &set);
    moved = true;
    for (std::uint32_t turn = 0; turn < kTrips * kRounds; ++turn) {
      while (ball.load(std::memory_order_acquire) != 2 * turn + 1) {
      }
      ball.store(2 * turn + 2, std::memory_order_release);
    }
  });
  run_on(one);
  while (!moved) sched_yield();
  std::array<double, kRounds> rounds{};
  std::uint32_t turn = 0;
  for (double& cycles : rounds) {
    const std::uint64_t begin = __rdtsc();
    for (std::uint32_t trip = 0; trip < kTrips; ++trip, ++turn) {
      ball.store(2 * turn + 1, std::memory_order_release);
      while (ball.load(std::memory_order_acquire) != 2 * turn + 2) {
      }
    }
    cycles = static_cast<double>(__rdtsc() - begin) / kTrips;
  }
  partner.join();
  std::ranges::nth_element(rounds, rounds.begin() + kRounds / 2);
  return rounds[kRounds / 2];
}

}  // namespace pinhole::bench
