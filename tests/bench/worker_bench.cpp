// SPDX-License-Identifier: BSD-3-Clause
// Cycles a packet of the real worker loop, beside the same loop that only swaps MAC addresses, in one run.
//
// One core does everything. Packets are made outside the timed part, 4,096 at a time, put on the receive
// rings of two net_ring ports, and taken through Worker::turn() until the rings are empty; only the turns are
// timed: receive, parse, classify, look up, rewrite, transmit, counters, clock and housekeeping, all of it.
// The swap loop receives from and transmits to the same ports. Flows come in random order. Rounds of all
// loops alternate, and the median round counts.
#include <algorithm>
#include <array>
#include <cstdio>
#include <cstring>
#include <memory>
#include <random>
#include <stdexcept>
#include <string>
#include <vector>

#include "dataplane/appliance.hpp"
#include "dataplane/eal.hpp"
#include "dataplane/mbuf_view.hpp"
#include "nat/checksum.hpp"
#include "nat/headers.hpp"

#include <rte_cycles.h>
#include <rte_eth_ring.h>
#include <rte_ethdev.h>
#include <rte_lcore.h>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace pinhole::dataplane {

namespace {

using nat::Be16;
using nat::Endpoint;
using nat::Ipv4Address;

constexpr unsigned kBatch = 4096;          // packets made and timed at a time
constexpr unsigned kBatchesPerRound = 32;  // 131,072 packets a round
constexpr unsigned kRounds = 9;
constexpr std::uint32_t kMaxMappings = 1'000'000;
constexpr std::array<std::uint32_t, 4> kSizes = {1, 1'000, 65'536, kMaxMappings};
constexpr std::uint32_t kInsideHosts = 65'536;
constexpr std::uint16_t kFrameSize = 60;  // 64 on the wire, with the frame check sequence
constexpr unsigned kPoolAddresses = 32;   // a million mappings need 16 at least

const Ipv4Address kInsideNeighbor = *Ipv4Address::parse("192.168.0.2");
const Ipv4Address kOutsideNeighbor = *Ipv4Address::parse("203.0.113.1");
const Endpoint kRemote{*Ipv4Address::parse("198.51.100.7"), Be16{4000}};
constexpr nat::MacAddress kInsideMac{{0x02, 0, 0, 0, 1, 2}};
constexpr nat::MacAddress kOutsideMac{{0x02, 0, 0, 0, 2, 2}};

/// A net_ring port: what is put on `rx` is received, what is transmitted lies on `tx`.
struct RingPort {
  rte_ring* rx = nullptr;
  rte_ring* tx = nullptr;
  std::uint16_t id = 0;
};

RingPort make_ring_port(const std::string& name) {
  RingPort port;
  const unsigned flags = RING_F_SP_ENQ | RING_F_SC_DEQ;
  port.rx = rte_ring_create((name + "_rx").c_str(), 2 * kBatch, SOCKET_ID_ANY, flags);
  port.tx = rte_ring_create((name + "_tx").c_str(), 2 * kBatch, SOCKET_ID_ANY, flags);
  const int id =
      port.rx != nullptr && port.tx != nullptr
          ? rte_eth_from_rings(name.c_str(), &port.rx, 1, &port.tx, 1, static_cast<unsigned>(SOCKET_ID_ANY))
          : -1;
  if (id < 0) throw std::runtime_error("net_ring port " + name + " was not made");
  port.id = static_cast<std::uint16_t>(id);
  return port;
}

config::Config bench_config() {
  config::Config config;
  config.dpdk.file_prefix = "pinhole_bench";
  config.dpdk.memory_mb = 768;
  config.interfaces = {{.name = "inside",
                        .device = "net_ring_inside",
                        .zone = config::Zone::inside,
                        .address = *nat::Prefix::parse("192.168.0.1/24"),
                        .gateway = {}},
                       {.name = "outside",
                        .device = "net_ring_outside",
                        .zone = config::Zone::outside,
                        .address = *nat::Prefix::parse("203.0.113.2/24"),
                        .gateway = kOutsideNeighbor}};
  config.routes = {{*nat::Prefix::parse("10.0.0.0/8"), kInsideNeighbor}};
  for (unsigned i = 0; i < kPoolAddresses; ++i) {
    config.nat.pool.push_back(Ipv4Address::from_host(0xCB007140 + i));  // 203.0.113.64 and on
  }
  config.nat.mappings_per_worker = kMaxMappings + 1000;
  return config;
}

/// The flow number i: its inside endpoint.
Endpoint inside_endpoint(std::uint32_t i) {
  return {Ipv4Address::from_host(0x0A000000U + 256 + i % kInsideHosts),
          Be16{static_cast<std::uint16_t>(10'000 + i / kInsideHosts)}};
}

void write_frame(rte_mbuf* mbuf, const nat::MacAddress& to, Endpoint source, Endpoint destination) {
  resize(mbuf, kFrameSize);
  std::byte* const frame = bytes_of(mbuf);
  std::memset(frame, 0, kFrameSize);
  auto& ethernet = nat::header_at<nat::EthernetHeader>(frame, 0);
  ethernet.destination = to;
  ethernet.ether_type = Be16{nat::kEtherTypeIpv4};
  auto& ip = nat::header_at<nat::Ipv4Header>(frame, sizeof ethernet);
  ip.version_and_length = nat::Ipv4Header::kVersionNoOptions;
  ip.total_length = Be16{kFrameSize - sizeof ethernet};
  ip.ttl = 64;
  ip.protocol = nat::kIpProtocolUdp;
  ip.source = source.address;
  ip.destination = destination.address;
  const auto header = std::span<const std::byte>(frame + sizeof ethernet, sizeof ip);
  ip.checksum = Be16::from_raw(static_cast<std::uint16_t>(~nat::fold(nat::sum_bytes(header))));
  auto& udp = nat::header_at<nat::UdpHeader>(frame, sizeof ethernet + sizeof ip);
  udp.source_port = source.port;
  udp.destination_port = destination.port;
  udp.length = Be16{kFrameSize - sizeof ethernet - sizeof ip};
  udp.checksum = Be16{0x1234};  // nobody looks; what counts is that it is not zero and is fixed up
}

double median(std::vector<double> values) {
  std::nth_element(values.begin(), values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2),
                   values.end());
  return values[values.size() / 2];
}

class Bench {
 public:
  Bench() : inside_(make_ring_port("inside")), outside_(make_ring_port("outside")) {
    auto built = Appliance::build(bench_config(), "worker_bench");
    if (!built) throw std::runtime_error(built.error().message);
    appliance_ = std::move(*built);
    auto& neighbors = *appliance_->network().neighbors;
    const auto nobody_waits = [](void*) noexcept {};
    neighbors.learn(0, kInsideNeighbor, kInsideMac, true, 0, nobody_waits);
    neighbors.learn(1, kOutsideNeighbor, kOutsideMac, true, 0, nobody_waits);
    mbufs_.resize(kBatch);
    if (rte_pktmbuf_alloc_bulk(appliance_->packets(), mbufs_.data(), kBatch) != 0) {
      throw std::runtime_error("too few mbufs");
    }
  }

  /// Grows the table to `size` mappings.
  void grow(std::uint32_t size) {
    while (mappings_ < size) {
      const unsigned batch = std::min<std::uint32_t>(kBatch, size - mappings_);
      for (unsigned i = 0; i < batch; ++i) {
        write_frame(mbufs_[i], mac(inside_), inside_endpoint(mappings_ + i), kRemote);
      }
      take_through(inside_, outside_, batch, [&] { worker().turn(); });
      mappings_ += batch;
    }
    if (worker_context().translator.table().size() != size) throw std::runtime_error("mappings are missing");
    externals_.resize(size);
    const auto& table = worker_context().translator.table();
    for (std::uint32_t i = 0; i < size; ++i) {
      externals_[i] = table[table.find(nat::Protocol::udp, inside_endpoint(i))].external;
    }
  }

  /// Cycles a packet of one round.
  double outbound(bool swap_only) {
    return round(inside_, outside_, swap_only, [&](rte_mbuf* mbuf, std::uint32_t flow) {
      write_frame(mbuf, mac(inside_), inside_endpoint(flow), kRemote);
    });
  }
  double inbound(bool swap_only) {
    return round(outside_, inside_, swap_only, [&](rte_mbuf* mbuf, std::uint32_t flow) {
      write_frame(mbuf, mac(outside_), kRemote, externals_[flow]);
    });
  }

 private:
  Worker& worker() { return *appliance_->workers()[0]; }
  WorkerContext& worker_context() { return appliance_->context(0); }
  [[nodiscard]] nat::MacAddress mac(const RingPort& port) const {
    return appliance_->network().interfaces[&port == &inside_ ? 0 : 1].mac;
  }

  /// \return the median batch, so that a batch in which the machine ran something else does not count.
  template <typename Write>
  double round(const RingPort& from, const RingPort& to, bool swap_only, Write&& write) {
    std::vector<double> batches;
    for (unsigned batch = 0; batch < kBatchesPerRound; ++batch) {
      std::uniform_int_distribution<std::uint32_t> any_flow(0, mappings_ - 1);
      for (auto* mbuf : mbufs_) write(mbuf, any_flow(random_));
      const std::uint64_t cycles = swap_only ? take_through(from, from, kBatch, [&] { swap(from.id); })
                                             : take_through(from, to, kBatch, [&] { worker().turn(); });
      batches.push_back(static_cast<double>(cycles) / kBatch);
    }
    return median(std::move(batches));
  }

  /// Puts the first `size` packets on one port's receive ring, runs `turn` until they are gone, and takes
  /// them from the other's transmit ring. \return cycles spent in `turn`
  template <typename Turn>
  std::uint64_t take_through(const RingPort& from, const RingPort& to, unsigned size, Turn&& turn) {
    if (rte_ring_enqueue_bulk(from.rx, reinterpret_cast<void**>(mbufs_.data()), size, nullptr) != size) {
      throw std::runtime_error("receive ring full");
    }
    const std::uint64_t begin = rte_rdtsc_precise();
    while (!rte_ring_empty(from.rx)) turn();
    const std::uint64_t end = rte_rdtsc_precise();
    if (rte_ring_dequeue_bulk(to.tx, reinterpret_cast<void**>(mbufs_.data()), size, nullptr) != size) {
      throw std::runtime_error("packets were lost on the way: " + drops());
    }
    return end - begin;
  }

  /// The drop reasons that are not zero.
  std::string drops() {
    std::string text;
    const auto& info = nat::CounterTraits<nat::DropReason>::kInfo;
    for (std::size_t i = 0; i < info.size(); ++i) {
      const auto count = worker_context().stats.drops.read(static_cast<nat::DropReason>(i));
      if (count > 0) text += fmt::format("{} {} ", info[i].name, count);
    }
    return text;
  }

  static void swap(std::uint16_t port) {
    std::array<rte_mbuf*, kBurst> mbufs;
    const std::uint16_t size = rte_eth_rx_burst(port, 0, mbufs.data(), kBurst);
    for (unsigned i = 0; i < size && i < 8; ++i) rte_prefetch0(bytes_of(mbufs[i]));
    for (unsigned i = 0; i < size; ++i) {
      if (i + 8 < size) rte_prefetch0(bytes_of(mbufs[i + 8]));
      auto& ethernet = nat::header_at<nat::EthernetHeader>(bytes_of(mbufs[i]), 0);
      std::swap(ethernet.source, ethernet.destination);
    }
    rte_eth_tx_burst(port, 0, mbufs.data(), size);
  }

  RingPort inside_;
  RingPort outside_;
  std::unique_ptr<Appliance> appliance_;
  std::vector<rte_mbuf*> mbufs_;
  std::vector<Endpoint> externals_;
  std::uint32_t mappings_ = 0;
  std::mt19937 random_{20'250'101};
};

nlohmann::json figures(const std::vector<double>& worker, const std::vector<double>& swap) {
  nlohmann::json row;
  row["worker_cycles"] = median(worker);
  row["swap_cycles"] = median(swap);
  row["ratio"] = median(worker) / median(swap);
  row["worker_min"] = *std::min_element(worker.begin(), worker.end());
  row["worker_max"] = *std::max_element(worker.begin(), worker.end());
  return row;
}

nlohmann::json measure(Bench& bench, std::uint32_t size) {
  bench.grow(size);
  std::vector<double> out_swap, out, in_swap, in;
  for (unsigned round = 0; round < kRounds; ++round) {
    out_swap.push_back(bench.outbound(true));
    out.push_back(bench.outbound(false));
    in_swap.push_back(bench.inbound(true));
    in.push_back(bench.inbound(false));
  }
  nlohmann::json row;
  row["mappings"] = size;
  row["outbound"] = figures(out, out_swap);
  row["inbound"] = figures(in, in_swap);
  return row;
}

void print_table(const nlohmann::json& report) {
  fmt::print("{:>9}  {:<9} {:>14} {:>12} {:>7} {:>15}\n", "mappings", "direction", "worker cycles",
             "swap cycles", "ratio", "min..max");
  for (const auto& row : report.at("rows")) {
    for (const auto* direction : {"outbound", "inbound"}) {
      const auto& result = row.at(direction);
      fmt::print("{:>9}  {:<9} {:>14.1f} {:>12.1f} {:>7.2f} {:>7.1f}..{:.1f}\n",
                 row.at("mappings").get<std::uint32_t>(), direction, result.at("worker_cycles").get<double>(),
                 result.at("swap_cycles").get<double>(), result.at("ratio").get<double>(),
                 result.at("worker_min").get<double>(), result.at("worker_max").get<double>());
    }
  }
}

int run(const char* json_path) {
  const auto config = bench_config();
  if (const auto started = start_eal(config, false); !started) {
    fmt::print(stderr, "worker_bench: {}\n", started.error().message);
    return config::exit_status(started.error().code);
  }
  Bench bench;
  nlohmann::json report;
  report["benchmark"] = "worker";
  report["unit"] = "TSC cycles a packet";
  report["tsc_hz"] = rte_get_tsc_hz();
  report["frame_bytes"] = kFrameSize + 4;
  report["burst"] = kBurst;
  report["rounds"] = kRounds;
  report["packets_a_round"] = kBatch * kBatchesPerRound;
  report["rows"] = nlohmann::json::array();
  for (const auto size : kSizes) report["rows"].push_back(measure(bench, size));
  print_table(report);
  if (json_path != nullptr) {
    std::FILE* const file = std::fopen(json_path, "w");
    if (file == nullptr) throw std::runtime_error(std::string("cannot write ") + json_path);
    fmt::print(file, "{}\n", report.dump(2));
    std::fclose(file);
  }
  return 0;
}

}  // namespace

}  // namespace pinhole::dataplane

int main(int argc, char** argv) {
  try {
    return pinhole::dataplane::run(argc > 1 ? argv[1] : nullptr);
  } catch (const std::exception& error) {
    fmt::print(stderr, "worker_bench: {}\n", error.what());
    return 1;
  }
}
