// SPDX-License-Identifier: BSD-3-Clause
#pragma once
// One worker between two ring ports, in the thread of the benchmark, for what is not the steady state: new
// flows, expiry, memory. Packets go out in batches; only the turns of the worker are timed.

#include <array>
#include <memory>
#include <span>
#include <stdexcept>
#include <vector>

#include "dataplane/appliance.hpp"
#include "dataplane/gateway/built_in.hpp"
#include "tests/bench/flows.hpp"
#include "tests/bench/ring_port.hpp"

#include <rte_cycles.h>

#include <fmt/format.h>

namespace pinhole::bench {

class StateLab {
 public:
  static constexpr unsigned kBatch = 1024;

  /// The EAL is up. \param config  of config_for()
  explicit StateLab(const config::Config& config)
      : inside_(make_ring_port("inside", 2 * kBatch)), outside_(make_ring_port("outside", 2 * kBatch)) {
    auto built = dataplane::Appliance::build(config, "bench", dataplane::built_in_gateways(config));
    if (!built) throw std::runtime_error(built.error().message);
    appliance_ = std::move(*built);
    learn_neighbors();
    mbufs_.resize(kBatch);
    if (rte_pktmbuf_alloc_bulk(appliance_->packets(), mbufs_.data(), kBatch) != 0) {
      throw std::runtime_error("too few mbufs");
    }
  }

  /// Sends a packet of each flow out. \param flows  up to kBatch
  /// \return what Now counts, spent in the worker's turns: TSC cycles
  template <std::uint64_t (*Now)() = rte_rdtsc_precise>
  std::uint64_t send(std::span<const std::uint32_t> flows) {
    return send<Now>(flows, [](rte_mbuf*, std::uint32_t) {});
  }
  /// The same. \param write  `void(rte_mbuf*, std::uint32_t flow)`: writes over what a packet carries
  template <std::uint64_t (*Now)() = rte_rdtsc_precise, typename Write>
  std::uint64_t send(std::span<const std::uint32_t> flows, Write&& write) {
    const auto size = static_cast<unsigned>(flows.size());
    for (unsigned i = 0; i < size; ++i) {
      write_frame(mbufs_[i], appliance_->network().interfaces[0].mac, inside_endpoint(flows[i]), kRemote,
                  flows[i]);
      write(mbufs_[i], flows[i]);
    }
    if (rte_ring_enqueue_bulk(inside_.rx, reinterpret_cast<void**>(mbufs_.data()), size, nullptr) != size) {
      throw std::runtime_error("receive ring full");
    }
    const std::uint64_t begin = Now();
    while (!rte_ring_empty(inside_.rx)) worker().turn();
    const std::uint64_t end = Now();
    if (rte_ring_dequeue_bulk(outside_.tx, reinterpret_cast<void**>(mbufs_.data()), size, nullptr) != size) {
      throw std::runtime_error(fmt::format("packets were lost on the way at {} mappings", this->size()));
    }
    return end - begin;
  }

  /// Makes mappings for the flows from `first` to before `last`.
  void grow(std::uint32_t first, std::uint32_t last) {
    std::vector<std::uint32_t> flows;
    for (std::uint32_t flow = first; flow < last; ++flow) {
      flows.push_back(flow);
      if (flows.size() < kBatch && flow + 1 < last) continue;
      send(flows);
      flows.clear();
    }
  }

  /// Time passes at once for the worker; neighbours stay known.
  void pass_s(unsigned seconds) {
    passed_s_ += seconds;
    const std::uint64_t start = start_tsc_ - passed_s_ * rte_get_tsc_hz();
    context().clock = dataplane::Clock(start, rte_get_tsc_hz());
    context().clock.update();
    learn_neighbors();
  }

  [[nodiscard]] std::uint32_t size() { return context().translator.table().size(); }
  [[nodiscard]] dataplane::Worker& worker() { return *appliance_->workers()[0]; }
  [[nodiscard]] dataplane::WorkerContext& context() { return appliance_->context(0); }

 private:
  void learn_neighbors() {
    auto& neighbors = *appliance_->network().neighbors;
    const auto nobody_waits = [](void*) noexcept {};
    const auto tick = context().clock.tick();
    neighbors.learn(0, kInsideNeighbor, kInsideMac, true, tick, nobody_waits);
    neighbors.learn(1, kOutsideNeighbor, kOutsideMac, true, tick, nobody_waits);
  }

  RingPort inside_;
  RingPort outside_;
  std::uint64_t start_tsc_ = rte_rdtsc();
  std::uint64_t passed_s_ = 0;
  std::unique_ptr<dataplane::Appliance> appliance_;
  std::vector<rte_mbuf*> mbufs_;
};

}  // namespace pinhole::bench
