// SPDX-License-Identifier: BSD-3-Clause
// What it costs that a packet arrives at a worker that does not own it, and what two workers share.
//
// Two workers on one CPU take turns: the same packets arrive at their owner's queue, and at the other's,
// who parses them and hands them over; the difference is the cost of a handoff without the distance between
// two CPUs. Then two threads on two CPUs pass packets through the ring of the appliance, with the ping-pong
// of a cache line between these CPUs before and after. At last the memory that each worker writes for each
// packet is looked at: none of it may share a cache line with the other's.
#include <atomic>
#include <numeric>
#include <thread>

#include "dataplane/appliance.hpp"
#include "dataplane/eal.hpp"
#include "dataplane/gateway/built_in.hpp"
#include "tests/bench/flows.hpp"
#include "tests/bench/ping_pong.hpp"
#include "tests/bench/rows.hpp"

#include <rte_cycles.h>
#include <rte_eth_ring.h>

namespace pinhole::bench {

namespace {

constexpr unsigned kWorkers = 2;
constexpr unsigned kFlows = 1024;  // few, so that what differs is the handoff
constexpr unsigned kRounds = 401;
constexpr double kMostCycles = 60;

/// A port of rings with a queue for each worker.
struct Wire {
  std::array<rte_ring*, kWorkers> rx{};
  std::array<rte_ring*, kWorkers> tx{};

  explicit Wire(const std::string& name) {
    for (unsigned queue = 0; queue < kWorkers; ++queue) {
      rx[queue] = rte_ring_create(fmt::format("{}_rx{}", name, queue).c_str(), 4096, SOCKET_ID_ANY, 0);
      tx[queue] = rte_ring_create(fmt::format("{}_tx{}", name, queue).c_str(), 4096, SOCKET_ID_ANY, 0);
    }
    if (rte_eth_from_rings(name.c_str(), rx.data(), kWorkers, tx.data(), kWorkers, 0) < 0) {
      throw std::runtime_error("net_ring port " + name + " was not made");
    }
  }
};

class Lab {
 public:
  explicit Lab(const config::Config& config) : inside_("inside"), outside_("outside") {
    auto built = dataplane::Appliance::build(config, "bench", dataplane::built_in_gateways(config));
    if (!built) throw std::runtime_error(built.error().message);
    appliance_ = std::move(*built);
    auto& neighbors = *appliance_->network().neighbors;
    const auto nobody_waits = [](void*) noexcept {};
    neighbors.learn(0, kInsideNeighbor, kInsideMac, true, 0, nobody_waits);
    neighbors.learn(1, kOutsideNeighbor, kOutsideMac, true, 0, nobody_waits);
    for (std::uint32_t flow = 0; flows_.size() < kFlows; ++flow) {
      if (owner(inside_endpoint(flow).address) == 1) flows_.push_back(flow);
    }
  }

  /// Cycles a packet for a burst that arrives at `queue`; worker 1 owns its flows.
  double burst(unsigned queue, unsigned size) {
    std::array<rte_mbuf*, dataplane::kBurst> mbufs;
    if (rte_pktmbuf_alloc_bulk(appliance_->packets(), mbufs.data(), size) != 0) {
      throw std::runtime_error("too few mbufs");
    }
    for (unsigned i = 0; i < size; ++i) {
      const std::uint32_t flow = flows_[next_++ % kFlows];
      write_frame(mbufs[i], appliance_->network().interfaces[0].mac, inside_endpoint(flow), kRemote, flow);
    }
    rte_ring_enqueue_bulk(inside_.rx[queue], reinterpret_cast<void**>(mbufs.data()), size, nullptr);
    const std::uint64_t begin = rte_rdtsc_precise();
    appliance_->workers()[0]->turn();
    appliance_->workers()[1]->turn();
    const std::uint64_t cycles = rte_rdtsc_precise() - begin;
    const unsigned sent = rte_ring_dequeue_burst(outside_.tx[1], reinterpret_cast<void**>(mbufs.data()),
                                                 dataplane::kBurst, nullptr);
    rte_pktmbuf_free_bulk(mbufs.data(), sent);
    if (sent != size) throw std::runtime_error("packets were lost on the way");
    return static_cast<double>(cycles) / size;
  }

  /// Cycles that one more packet in a wrong queue costs.
  double handoff(unsigned size) {
    std::vector<double> home;
    std::vector<double> away;
    for (unsigned i = 0; i < kFlows; ++i) burst(1, size);  // everything is made and known
    for (unsigned round = 0; round < kRounds; ++round) {
      home.push_back(burst(1, size));
      away.push_back(burst(0, size));
    }
    return median(away) - median(home);
  }

  /// Cycles a packet through the ring from one CPU to another, both at work on nothing else.
  double ring(unsigned burst_size, unsigned from_cpu, unsigned to_cpu) {
    constexpr std::uint32_t kBursts = 100;  // a round; the median counts, since CPUs are taken away at times
    constexpr std::uint32_t kRingRounds = 201;
    rte_ring* const ring = appliance_->network().rings[1].packets;
    std::atomic<bool> ready{false};
    std::thread taker([&] {
      run_on(to_cpu);
      std::array<void*, dataplane::kBurst> taken;
      ready = true;
      for (std::uint32_t left = kRingRounds * kBursts * burst_size; left > 0;) {
        left -= rte_ring_dequeue_burst(ring, taken.data(), dataplane::kBurst, nullptr);
      }
    });
    run_on(from_cpu);
    while (!ready) sched_yield();
    std::array<void*, dataplane::kBurst> packets;
    packets.fill(this);  // nobody looks into them
    std::vector<double> rounds;
    for (std::uint32_t round = 0; round < kRingRounds; ++round) {
      const std::uint64_t begin = rte_rdtsc_precise();
      for (std::uint32_t sent = 0; sent < kBursts; ++sent) {
        for (unsigned left = burst_size; left > 0;) {
          left -= rte_ring_enqueue_burst(ring, packets.data(), left, nullptr);
        }
      }
      rounds.push_back(static_cast<double>(rte_rdtsc_precise() - begin) / (kBursts * burst_size));
    }
    taker.join();
    return median(std::move(rounds));
  }

  /// Cache lines that both workers write for each packet: their contexts with bursts and queues, and
  /// counters.
  unsigned shared_lines() {
    constexpr std::uintptr_t kLine = 64;
    std::vector<std::uintptr_t> lines;
    const auto add = [&](const void* at, std::size_t size) {
      const auto begin = reinterpret_cast<std::uintptr_t>(at) / kLine;
      const auto end = (reinterpret_cast<std::uintptr_t>(at) + size - 1) / kLine;
      for (auto line = begin; line <= end; ++line) lines.push_back(line);
    };
    for (unsigned worker = 0; worker < kWorkers; ++worker) {
      auto& context = appliance_->context(worker);
      add(&context, sizeof context);
      add(&context.stats, sizeof context.stats);
      add(appliance_->workers()[worker].get(), sizeof(dataplane::Worker));
    }
    std::ranges::sort(lines);
    unsigned shared = 0;
    for (std::size_t i = 1; i < lines.size(); ++i) shared += lines[i] == lines[i - 1] ? 1 : 0;
    return shared;
  }

 private:
  [[nodiscard]] unsigned owner(nat::Ipv4Address address) const {
    return appliance_->network().steering.owner_of_inside(address);
  }

  Wire inside_;
  Wire outside_;
  std::unique_ptr<dataplane::Appliance> appliance_;
  std::vector<std::uint32_t> flows_;  // of worker 1
  unsigned next_ = 0;
};

std::vector<Row> measure() {
  auto config = config_for(65'536, "pinhole_handoff_bench");
  config.workers.count = kWorkers;
  if (const auto started = dataplane::start_eal(config, false); !started) {
    throw std::runtime_error(started.error().message);
  }
  Lab lab(config);
  std::vector<Row> rows;
  for (const unsigned size : {32U, 64U}) {
    rows.push_back({fmt::format("handoff on one CPU, burst {}", size), lab.handoff(size), "cycles a packet",
                    kMostCycles});
  }
  if (std::thread::hardware_concurrency() > 1) {
    rows.push_back({"ping-pong of CPUs 0 and 1, before", ping_pong_cycles(0, 1), "cycles", {}});
    for (const unsigned size : {32U, 64U}) {
      rows.push_back({fmt::format("ring between CPUs 0 and 1, burst {}", size), lab.ring(size, 0, 1),
                      "cycles a packet", kMostCycles});
    }
    rows.push_back({"ping-pong of CPUs 0 and 1, after", ping_pong_cycles(0, 1), "cycles", {}});
  }
  const unsigned shared = lab.shared_lines();
  if (shared > 0) throw std::runtime_error(fmt::format("workers write {} cache lines in common", shared));
  rows.push_back({"cache lines written by two workers", static_cast<double>(shared), "lines", 0});
  return rows;
}

}  // namespace

}  // namespace pinhole::bench

int main(int argc, char** argv) {
  return pinhole::bench::run_benchmark("handoff", argc, argv, pinhole::bench::measure);
}
