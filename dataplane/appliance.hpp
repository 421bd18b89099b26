// SPDX-License-Identifier: BSD-3-Clause
#pragma once
// The appliance: everything that the configuration asks for, built in the right order and owned in one place.
// Once built it only moves: nothing is added or taken away while workers run.

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "dataplane/capture_tap.hpp"
#include "dataplane/config/error.hpp"
#include "dataplane/config/structs.hpp"
#include "dataplane/context.hpp"
#include "dataplane/ipc/layout.hpp"
#include "dataplane/network.hpp"
#include "dataplane/worker.hpp"

#include <rte_mempool.h>

namespace pinhole::dataplane {

/// Worker n runs on lcore n + 1; lcore 0 is main's.
[[nodiscard]] constexpr unsigned lcore_of_worker(unsigned worker) noexcept {
  return worker + 1;
}

class Appliance {
 public:
  /// Starts the ports and builds the workers. The EAL is up.
  /// Errors: a device that does not exist or does not start, memory that cannot be had.
  /// \param gateways  SIP first, at most ipc::kMaxGateways
  [[nodiscard]] static config::Result<std::unique_ptr<Appliance>> build(const config::Config& config,
                                                                        const std::string& config_path,
                                                                        std::vector<GatewaySpec> gateways);
  ~Appliance();
  Appliance(const Appliance&) = delete;
  Appliance& operator=(const Appliance&) = delete;

  [[nodiscard]] std::span<const std::unique_ptr<Worker>> workers() const noexcept { return workers_; }
  [[nodiscard]] WorkerContext& context(unsigned worker) noexcept { return *contexts_[worker]; }
  [[nodiscard]] const Network& network() const noexcept { return *network_; }
  [[nodiscard]] rte_mempool* packets() const noexcept { return packets_; }

  /// Lets control attach. Called when the workers run.
  void publish() noexcept;
  /// Tells control that the data plane lives, and copies frames for it or not, as it wishes. Thread: main,
  /// every ipc::kHeartbeatMs.
  void beat();

 private:
  Appliance() = default;
  config::Result<void> make_packet_pool(const config::Config& config);
  config::Result<void> start_ports(const config::Config& config);
  config::Result<void> make_network(const config::Config& config);
  config::Result<void> make_rings(unsigned workers);
  config::Result<void> make_workers(const config::Config& config);
  config::Result<std::unique_ptr<WorkerContext>> make_context(const config::Config& config, unsigned worker,
                                                              nat::InboundIndex inbound,
                                                              const nat::RandomKey& key);
  void set_sip_policy(const config::Sip& sip);
  config::Result<void> add_forwards(const config::Config& config);
  config::Result<void> make_policies(const config::Config& config);
  config::Result<void> make_layout(const config::Config& config, const std::string& config_path);
  config::Result<void> make_capture();
  void name_gateways();
  config::Result<void> start_gateways();

  std::vector<GatewaySpec> gateways_;
  rte_mempool* packets_ = nullptr;
  std::vector<Port> ports_;
  std::unique_ptr<Network> network_;
  std::vector<nat::Prefix> transparent_peers_;
  std::string software_name_;
  alg::sip::Policy sip_policy_;
  std::span<ipc::PolicyImage> policies_;
  std::vector<std::unique_ptr<WorkerContext>> contexts_;
  std::vector<std::vector<RxQueue>> rx_queues_;  // by worker
  std::vector<std::unique_ptr<Worker>> workers_;
  ipc::Layout* layout_ = nullptr;
  std::optional<CaptureTap> capture_;
};

}  // namespace pinhole::dataplane
