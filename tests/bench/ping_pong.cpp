// SPDX-License-Identifier: BSD-3-Clause
// Prints the cycles of a cache line's way from one CPU to another and back.
#include "tests/bench/ping_pong.hpp"

#include <cstdio>
#include <cstdlib>
#include <exception>
#include <thread>

int main(int argc, char** argv) {
  try {
    const unsigned cpus = std::thread::hardware_concurrency();
    const auto one = argc == 3 ? static_cast<unsigned>(std::strtoul(argv[1], nullptr, 10)) : cpus;
    const auto other = argc == 3 ? static_cast<unsigned>(std::strtoul(argv[2], nullptr, 10)) : cpus;
    if (one == other || one >= cpus || other >= cpus) {
      std::fprintf(stderr, "ping_pong: give two different CPUs of the %u here\n", cpus);
      return 1;
    }
    std::printf("%.0f\n", pinhole::bench::ping_pong_cycles(one, other));
    return 0;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "ping_pong: %s\n", error.what());
    return 1;
  }
}
