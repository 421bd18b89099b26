// SPDX-License-Identifier: BSD-3-Clause
#pragma once
// DPDK's environment abstraction layer, started from the configuration instead of a command line.

#include <string>
#include <vector>

#include "dataplane/config/error.hpp"
#include "dataplane/config/structs.hpp"

namespace pinhole::dataplane {

/// The CPU of each worker: as configured, or 1, 2, ... wrapping over the CPUs that there are.
[[nodiscard]] std::vector<unsigned> worker_cpus(const config::Workers& workers, unsigned cpu_count);

/// True when workers should give the CPU away in idle turns: told so, or two threads share a CPU.
[[nodiscard]] bool yields_when_idle(const config::Workers& workers, unsigned cpu_count);

/// The arguments that rte_eal_init() gets: lcore 0 for main, lcore n+1 for worker n.
[[nodiscard]] std::vector<std::string> eal_arguments(const config::Config& config, unsigned cpu_count);

/// Starts the EAL as the primary process. DPDK's own log is kept in memory while starting and goes nowhere
/// afterwards, so that stderr holds our sentences alone; with `verbose` it goes to stderr.
/// Errors: says what the EAL refused, with its own last words.
/// Thread: main, once in a process.
[[nodiscard]] config::Result<void> start_eal(const config::Config& config, bool verbose);

}  // namespace pinhole::dataplane
