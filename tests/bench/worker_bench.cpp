// SPDX-License-Identifier: BSD-3-Clause
// Cycles a packet of the real worker loop, beside two loops that know nothing, in one run on one core: the
// swap loop and the limit loop (tests/bench/limit_loop.hpp).
//
// Packets are made outside the timed part, 1,024 at a time (a NIC's ring), put on the receive rings of two
// net_ring ports, and taken through Worker::turn() until the rings are empty; only the turns are timed:
// receive, parse, look up, rewrite, transmit, counters, clock and housekeeping, all of it. Flows come in
// random order. After each batch every packet is checked: endpoints, TTL and both checksums. Rounds of all
// loops alternate; a round is its median batch, the figure is the median round.
//
//     worker_bench [--json FILE] [MAPPINGS...]
#include <algorithm>
#include <array>
#include <charconv>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <random>
#include <stdexcept>
#include <string>
#include <vector>

#include "dataplane/appliance.hpp"
#include "dataplane/eal.hpp"
#include "dataplane/gateway/built_in.hpp"
#include "dataplane/shared_memory.hpp"
#include "tests/bench/flows.hpp"
#include "tests/bench/limit_loop.hpp"
#include "tests/bench/own_process.hpp"
#include "tests/bench/ring_port.hpp"

#include <rte_cycles.h>
#include <rte_lcore.h>
#include <rte_malloc.h>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace pinhole::bench {

namespace {

using dataplane::Appliance;
using nat::Endpoint;

constexpr unsigned kBatch = 1024;          // packets made and timed at a time
constexpr unsigned kBatchesPerRound = 64;  // 65,536 packets a round
constexpr unsigned kRounds = 9;
const std::vector<std::uint32_t> kDefaultSizes = {1, 1'000, 65'536, 1'000'000};

enum class Loop { swap, limit, worker };
enum class Way { outbound, inbound, both };
constexpr std::array<const char*, 3> kWayNames = {"outbound", "inbound", "both"};

double median(std::vector<double> values) {
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

/// The tables of the limit loop: random lines in huge pages, like the product's.
class LimitTables {
 public:
  explicit LimitTables(std::uint32_t mappings) {
    // Outbound: ten places a line, half of them empty. Inbound: four bytes for each port of the pool.
    const std::uint32_t outbound_lines = mappings / 5 + 1;
    const std::uint32_t inbound_lines = (mappings / 32'768 + 1) * (65'536 / 16);
    mappings_ = make("bench_limit_mappings", mappings);
    outbound_ = make("bench_limit_outbound", outbound_lines);
    inbound_ = make("bench_limit_inbound", inbound_lines);
  }
  ~LimitTables() {
    for (const auto lines : {mappings_, outbound_, inbound_}) rte_free(lines.data());
  }
  LimitTables(const LimitTables&) = delete;
  LimitTables& operator=(const LimitTables&) = delete;

  void turn(Way way, std::uint16_t from, std::uint16_t to) const {
    if (way == Way::outbound) {
      LimitLoop(outbound_, mappings_).turn<true>(from, to);
    } else {
      LimitLoop(inbound_, mappings_).turn<false>(from, to);
    }
  }

 private:
  static std::span<LimitLoop::Line> make(const char* name, std::size_t lines) {
    auto* const memory = static_cast<LimitLoop::Line*>(rte_malloc(name, lines * sizeof(LimitLoop::Line), 64));
    if (memory == nullptr) throw std::runtime_error("too little memory for the limit loop");
    std::mt19937_64 random(lines);
    for (std::size_t i = 0; i < lines; ++i) {
      for (auto& word : memory[i].words) word = random();
    }
    return {memory, lines};
  }

  std::span<LimitLoop::Line> mappings_;
  std::span<LimitLoop::Line> outbound_;
  std::span<LimitLoop::Line> inbound_;
};

class Bench {
 public:
  explicit Bench(const config::Config& config)
      : inside_(make_ring_port("inside", 2 * kBatch)), outside_(make_ring_port("outside", 2 * kBatch)) {
    auto built = Appliance::build(config, "worker_bench", dataplane::built_in_gateways(config));
    if (!built) throw std::runtime_error(built.error().message);
    appliance_ = std::move(*built);
    auto& neighbors = *appliance_->network().neighbors;
    const auto nobody_waits = [](void*) noexcept {};
    neighbors.learn(0, kInsideNeighbor, kInsideMac, true, 0, nobody_waits);
    neighbors.learn(1, kOutsideNeighbor, kOutsideMac, true, 0, nobody_waits);
    mbufs_.resize(kBatch);
    flows_.resize(kBatch);
    if (rte_pktmbuf_alloc_bulk(appliance_->packets(), mbufs_.data(), kBatch) != 0) {
      throw std::runtime_error("too few mbufs");
    }
  }

  /// Grows the table to `size` mappings, each of which has seen a packet both ways.
  void grow(std::uint32_t size) {
    const std::uint32_t before = flows();
    externals_.resize(size);
    for (std::uint32_t first = before; first < size; first += kBatch) {
      const unsigned batch = std::min<std::uint32_t>(kBatch, size - first);
      for (unsigned i = 0; i < batch; ++i) flows_[i] = first + i;
      write(Way::outbound, batch);
      take_through(Way::outbound, batch, [&] { worker().turn(); });
      const auto& table = worker_context().translator.table();
      for (std::uint32_t flow = first; flow < first + batch; ++flow) {
        externals_[flow] = table[table.find(nat::Protocol::udp, inside_endpoint(flow))].external;
      }
      check(Way::outbound, batch);
      write(Way::inbound, batch);
      take_through(Way::inbound, batch, [&] { worker().turn(); });
      check(Way::inbound, batch);
    }
    if (worker_context().translator.table().size() != size) throw std::runtime_error("mappings are missing");
  }

  /// Cycles a packet of one round.
  double round(Way way, Loop loop, const LimitTables& limit) {
    std::vector<double> batches;
    std::uniform_int_distribution<std::uint32_t> any_flow(0, flows() - 1);
    for (unsigned batch = 0; batch < kBatchesPerRound; ++batch) {
      for (auto& flow : flows_) flow = any_flow(random_);
      const auto cycles = way == Way::both ? mixed_batch(loop, limit) : batch_of(way, loop, limit, kBatch);
      batches.push_back(static_cast<double>(cycles) / kBatch);
    }
    return median(std::move(batches));
  }

 private:
  [[nodiscard]] dataplane::Worker& worker() { return *appliance_->workers()[0]; }
  [[nodiscard]] dataplane::WorkerContext& worker_context() { return appliance_->context(0); }
  [[nodiscard]] std::uint32_t flows() const { return static_cast<std::uint32_t>(externals_.size()); }
  [[nodiscard]] const RingPort& from(Way way) const { return way == Way::outbound ? inside_ : outside_; }
  [[nodiscard]] const RingPort& to(Way way) const { return way == Way::outbound ? outside_ : inside_; }

  std::uint64_t batch_of(Way way, Loop loop, const LimitTables& limit, unsigned size) {
    write(way, size);
    const auto in = from(way).id;
    const auto out = to(way).id;
    switch (loop) {
      case Loop::swap:
        return take_through(way, size, [&] { swap_turn(in, out); });
      case Loop::limit:
        return take_through(way, size, [&] { limit.turn(way, in, out); });
      case Loop::worker:
        break;
    }
    const auto cycles = take_through(way, size, [&] { worker().turn(); });
    check(way, size);
    return cycles;
  }

  /// Half of the packets each way; a turn of the worker takes a burst of both ports, so the others do, too.
  std::uint64_t mixed_batch(Loop loop, const LimitTables& limit) {
    constexpr unsigned kHalf = kBatch / 2;
    write(Way::outbound, kHalf);
    write(Way::inbound, kHalf, kHalf);
    put(Way::outbound, kHalf);
    put(Way::inbound, kHalf, kHalf);
    const auto in = inside_.id;
    const auto out = outside_.id;
    const std::uint64_t begin = rte_rdtsc_precise();
    while (!rte_ring_empty(inside_.rx) || !rte_ring_empty(outside_.rx)) {
      switch (loop) {
        case Loop::swap:
          swap_turn(in, out);
          swap_turn(out, in);
          break;
        case Loop::limit:
          limit.turn(Way::outbound, in, out);
          limit.turn(Way::inbound, out, in);
          break;
        case Loop::worker:
          worker().turn();
          break;
      }
    }
    const std::uint64_t end = rte_rdtsc_precise();
    take(Way::outbound, kHalf);
    take(Way::inbound, kHalf, kHalf);
    if (loop == Loop::worker) {
      check(Way::outbound, kHalf);
      check(Way::inbound, kHalf, kHalf);
    }
    return end - begin;
  }

  void write(Way way, unsigned size, unsigned first = 0) {
    const auto& mac = appliance_->network().interfaces[way == Way::outbound ? 0 : 1].mac;
    for (unsigned i = first; i < first + size; ++i) {
      if (way == Way::outbound) {
        write_frame(mbufs_[i], mac, inside_endpoint(flows_[i]), kRemote, flows_[i]);
      } else {
        write_frame(mbufs_[i], mac, kRemote, externals_[flows_[i]], flows_[i]);
      }
    }
  }
  /// Packets of different flows may have overtaken each other, so each says which flow it is of.
  void check(Way way, unsigned size, unsigned first = 0) {
    for (unsigned i = first; i < first + size; ++i) {
      const std::uint32_t flow = flow_of(mbufs_[i]);
      if (flow >= flows()) throw std::runtime_error("a packet came out with another payload");
      const bool right = way == Way::outbound ? is_frame(mbufs_[i], externals_[flow], kRemote)
                                              : is_frame(mbufs_[i], kRemote, inside_endpoint(flow));
      if (!right) throw std::runtime_error(fmt::format("a packet of flow {} came out wrong", flow));
    }
  }
  void put(Way way, unsigned size, unsigned first = 0) {
    auto** const mbufs = reinterpret_cast<void**>(mbufs_.data() + first);
    if (rte_ring_enqueue_bulk(from(way).rx, mbufs, size, nullptr) != size) {
      throw std::runtime_error("receive ring full");
    }
  }
  void take(Way way, unsigned size, unsigned first = 0) {
    auto** const mbufs = reinterpret_cast<void**>(mbufs_.data() + first);
    if (rte_ring_dequeue_bulk(to(way).tx, mbufs, size, nullptr) != size) {
      throw std::runtime_error("packets were lost on the way: " + drops());
    }
  }

  /// Puts packets on one port's receive ring, runs `turn` until they are gone, and takes them from the
  /// other's transmit ring. \return cycles spent in `turn`
  template <typename Turn>
  std::uint64_t take_through(Way way, unsigned size, Turn&& turn) {
    put(way, size);
    const std::uint64_t begin = rte_rdtsc_precise();
    while (!rte_ring_empty(from(way).rx)) turn();
    const std::uint64_t end = rte_rdtsc_precise();
    take(way, size);
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

  RingPort inside_;
  RingPort outside_;
  std::unique_ptr<Appliance> appliance_;
  std::vector<rte_mbuf*> mbufs_;
  std::vector<std::uint32_t> flows_;  // of each packet that is sent
  std::vector<Endpoint> externals_;   // by flow
  std::mt19937 random_{20'250'101};
};

/// Cycles a packet, of one size and direction.
struct Figures {
  double worker = 0;
  double worker_min = 0;
  double worker_max = 0;
  double limit = 0;
  double swap = 0;
};
using Row = std::array<Figures, kWayNames.size()>;

Figures measure_way(Bench& bench, const LimitTables& limit, Way way) {
  std::array<std::vector<double>, 3> cycles;
  for (unsigned round = 0; round < kRounds; ++round) {
    for (const auto loop : {Loop::swap, Loop::limit, Loop::worker}) {
      cycles[static_cast<std::size_t>(loop)].push_back(bench.round(way, loop, limit));
    }
  }
  const auto& worker = cycles[static_cast<std::size_t>(Loop::worker)];
  return {.worker = median(worker),
          .worker_min = *std::min_element(worker.begin(), worker.end()),
          .worker_max = *std::max_element(worker.begin(), worker.end()),
          .limit = median(cycles[static_cast<std::size_t>(Loop::limit)]),
          .swap = median(cycles[static_cast<std::size_t>(Loop::swap)])};
}

Row measure_here(std::uint32_t size) {
  auto config = config_for(size, "pinhole_bench");
  // The tables of the limit loop lie beside those of the product.
  config.dpdk.memory_mb += size / 10'000 + size / 32'768 + 64;
  if (const auto started = dataplane::start_eal(config, false); !started) {
    throw std::runtime_error(started.error().message);
  }
  Bench bench(config);
  bench.grow(size);
  const LimitTables limit(size);
  Row row;
  for (const auto way : {Way::outbound, Way::inbound, Way::both}) {
    row[static_cast<std::size_t>(way)] = measure_way(bench, limit, way);
  }
  return row;
}

/// The row of one size: the tables are as large as they have to be and no larger.
Row measure(std::uint32_t size) {
  return in_own_process(fmt::format("{} mappings", size), [size] { return measure_here(size); });
}

nlohmann::json to_json(const Figures& figures) {
  nlohmann::json json;
  json["worker_cycles"] = figures.worker;
  json["worker_min"] = figures.worker_min;
  json["worker_max"] = figures.worker_max;
  json["limit_cycles"] = figures.limit;
  json["swap_cycles"] = figures.swap;
  json["times_limit"] = figures.worker / figures.limit;
  json["times_swap"] = figures.worker / figures.swap;
  return json;
}

void print_head() {
  fmt::print("{:>9}  {:<9} {:>8} {:>8} {:>8} {:>8} {:>8}  {}\n", "mappings", "direction", "worker", "limit",
             "swap", "x limit", "x swap", "worker min..max");
}

void print_row(std::uint32_t size, const Row& row) {
  for (std::size_t way = 0; way < row.size(); ++way) {
    const auto& figures = row[way];
    fmt::print("{:>9}  {:<9} {:>8.1f} {:>8.1f} {:>8.1f} {:>8.2f} {:>8.2f}  {:.1f}..{:.1f}\n", size,
               kWayNames[way], figures.worker, figures.limit, figures.swap, figures.worker / figures.limit,
               figures.worker / figures.swap, figures.worker_min, figures.worker_max);
  }
  std::fflush(stdout);
}

struct Options {
  const char* json_path = nullptr;
  std::vector<std::uint32_t> sizes;
};

Options read_options(int argc, char** argv) {
  Options options;
  for (int i = 1; i < argc; ++i) {
    const std::string argument = argv[i];
    if (argument == "--json" && i + 1 < argc) {
      options.json_path = argv[++i];
      continue;
    }
    std::uint32_t size = 0;
    const auto* const end = argument.data() + argument.size();
    const auto [rest, error] = std::from_chars(argument.data(), end, size);
    if (error != std::errc{} || rest != end || size == 0) {
      throw std::runtime_error("'" + argument + "' is neither --json FILE nor a number of mappings");
    }
    options.sizes.push_back(size);
  }
  if (options.sizes.empty()) options.sizes = kDefaultSizes;
  std::sort(options.sizes.begin(), options.sizes.end());
  return options;
}

int run(const Options& options) {
  nlohmann::json report;
  report["benchmark"] = "worker";
  report["unit"] = "TSC cycles a packet";
  report["frame_bytes"] = kFrameSize + 4;
  report["burst"] = dataplane::kBurst;
  report["rounds"] = kRounds;
  report["packets_a_round"] = kBatch * kBatchesPerRound;
  report["rows"] = nlohmann::json::array();
  print_head();
  for (const auto size : options.sizes) {
    const Row measured = measure(size);
    print_row(size, measured);
    nlohmann::json row;
    row["mappings"] = size;
    for (std::size_t way = 0; way < measured.size(); ++way) row[kWayNames[way]] = to_json(measured[way]);
    report["rows"].push_back(std::move(row));
  }
  if (options.json_path != nullptr) {
    std::FILE* const file = std::fopen(options.json_path, "w");
    if (file == nullptr) throw std::runtime_error(std::string("cannot write ") + options.json_path);
    fmt::print(file, "{}\n", report.dump(2));
    std::fclose(file);
  }
  return 0;
}

}  // namespace

}  // namespace pinhole::bench

int main(int argc, char** argv) {
  try {
    return pinhole::bench::run(pinhole::bench::read_options(argc, argv));
  } catch (const std::exception& error) {
    fmt::print(stderr, "worker_bench: {}\n", error.what());
    return 1;
  }
}
