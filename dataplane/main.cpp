// SPDX-License-Identifier: BSD-3-Clause
// pinhole-dataplane: reads the configuration, builds the appliance, runs the workers until SIGTERM or SIGINT.
#include <signal.h>
#include <time.h>

#include <atomic>
#include <cstdio>
#include <exception>
#include <string>

#include "dataplane/appliance.hpp"
#include "dataplane/config/load.hpp"
#include "dataplane/eal.hpp"
#include "dataplane/gateway/built_in.hpp"
#include "dataplane/gateway/load.hpp"
#include "dataplane/options.hpp"
#include "dataplane/ready_file.hpp"

#include <rte_eal.h>
#include <rte_launch.h>

#include <fmt/format.h>

namespace pinhole::dataplane {

namespace {

struct WorkerThread {
  Worker* worker = nullptr;
  const std::atomic<bool>* stop = nullptr;
};

int run_worker(void* argument) {
  const auto& thread = *static_cast<const WorkerThread*>(argument);
  thread.worker->run(*thread.stop);
  return 0;
}

/// Beats the heart of the shared layout until a signal asks to stop.
void beat_until_signal(Appliance& appliance, const sigset_t& signals) {
  constexpr timespec kBeat{0, ipc::kHeartbeatMs * 1'000'000L};
  while (sigtimedwait(&signals, nullptr, &kBeat) < 0) appliance.beat();
}

config::Result<void> run(const Options& options, const config::Config& config, const sigset_t& signals) {
  auto gateways = load_plugins(config, built_in_gateways(config));
  if (!gateways) return gateways.error();
  if (auto started = start_eal(config, options.log_level == config::LogLevel::debug); !started)
    return started;
  auto appliance = Appliance::build(config, options.config_path, std::move(*gateways));
  if (!appliance) return appliance.error();

  std::atomic<bool> stop{false};
  std::vector<WorkerThread> threads;
  for (auto& worker : (*appliance)->workers()) threads.push_back({worker.get(), &stop});
  for (unsigned i = 0; i < threads.size(); ++i) {
    if (rte_eal_remote_launch(run_worker, &threads[i], lcore_of_worker(i)) != 0) {
      stop = true;  // the workers before it use what is about to go
      rte_eal_mp_wait_lcore();
      return config::Error{config::ErrorCode::system, fmt::format("worker {} did not start on its lcore", i)};
    }
  }
  (*appliance)->publish();
  if (!lock_ready_file(rte_eal_get_runtime_dir())) {
    stop = true;
    rte_eal_mp_wait_lcore();
    return config::Error{config::ErrorCode::system,
                         fmt::format("{}/{} cannot be locked: control would never attach",
                                     rte_eal_get_runtime_dir(), ipc::kReadyFile)};
  }
  fmt::print(stderr, "info event=ready workers={} interfaces={} config={}\n", threads.size(),
             config.interfaces.size(), options.config_path);
  beat_until_signal(**appliance, signals);
  stop = true;
  rte_eal_mp_wait_lcore();
  fmt::print(stderr, "info event=stopped\n");
  return {};
}

/// The one boundary where errors end: a sentence on stderr and an exit status.
int run_to_exit_status(int argc, char** argv) {
  const auto options = parse_options(argc, argv);
  if (!options) return report(options.error());
  if (options->done) return 0;
  const auto config = config::load(options->config_path);
  if (!config) return report(config.error());
  if (options->check) return 0;

  // Blocked before the EAL makes its threads, so that only sigtimedwait() above sees them.
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGINT);
  sigaddset(&signals, SIGTERM);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  if (const auto result = run(*options, *config, signals); !result) return report(result.error());
  rte_eal_cleanup();
  return 0;
}

}  // namespace

}  // namespace pinhole::dataplane

int main(int argc, char** argv) {
  try {
    return pinhole::dataplane::run_to_exit_status(argc, argv);
  } catch (const std::exception& bug) {
    std::fprintf(stderr, "pinhole-dataplane: internal error: %s\n", bug.what());
    return 1;
  }
}
