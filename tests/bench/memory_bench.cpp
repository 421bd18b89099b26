// SPDX-License-Identifier: BSD-3-Clause
// Bytes a mapping, and that many mappings made: each piece of memory that a data plane reserves is looked at,
// and what does not grow with the table of mappings is summed up apart, by name. Without huge pages, of which
// few machines have enough for ten million.
#include <array>
#include <map>
#include <string_view>

#include "tests/bench/own_process.hpp"
#include "tests/bench/rows.hpp"
#include "tests/bench/state_lab.hpp"

#include <rte_eal.h>
#include <rte_memzone.h>

namespace pinhole::bench {

namespace {

constexpr std::array<std::uint32_t, 2> kSizes = {1'000'000, 10'000'000};
constexpr double kMostBytes = 128;

/// Of a data plane, but for the packet buffers.
bool is_table(std::string_view zone) {
  return zone.starts_with("pinhole");
}

/// Other tables have sizes of their own: neighbours, calls, SIP over TCP, protection, and what control reads.
bool grows_with_mappings(std::string_view zone) {
  constexpr std::array<std::string_view, 13> kFixed = {
      "pinhole_layout", "pinhole_neighbors", "_stats", "capture", "calls",     "call_index", "dialogs",
      "registration",   "streams",           "guard",  "bans",    "rule_hits", "policy"};
  return std::ranges::none_of(kFixed, [&](std::string_view name) { return zone.find(name) != zone.npos; });
}

std::map<std::string, std::size_t> reserved() {
  std::map<std::string, std::size_t> zones;
  rte_memzone_walk(
      [](const rte_memzone* zone, void* map) {
        (*static_cast<std::map<std::string, std::size_t>*>(map))[static_cast<const char*>(zone->name)] =
            zone->len;
      },
      &zones);
  return zones;
}

void start_eal(unsigned memory_mb) {
  std::vector<std::string> arguments = {
      "memory_bench",   "--no-huge",         "--no-shconf", "--no-pci", "-m", std::to_string(memory_mb),
      "--no-telemetry", "--log-level=error", "--lcores=0@0"};
  std::vector<char*> argv;
  for (auto& argument : arguments) argv.push_back(argument.data());
  if (rte_eal_init(static_cast<int>(argv.size()), argv.data()) < 0)
    throw std::runtime_error("the EAL did not start");
}

struct Bytes {
  double mapping = 0;  // of what grows with the table, each
  double others = 0;   // of all other tables together
};

/// After all were made.
Bytes bytes_of(std::uint32_t mappings) {
  auto config = config_for(mappings, "pinhole_memory_bench");
  config.nat.mappings_per_worker = mappings;  // and not one more
  start_eal(config.dpdk.memory_mb + 512);
  StateLab lab(config);
  std::size_t bytes = 0;
  std::size_t others = 0;
  for (const auto& [zone, size] : reserved()) {
    if (!is_table(zone)) continue;
    (grows_with_mappings(zone) ? bytes : others) += size;
    fmt::print("  {:>10}  {:<30} {:>14} bytes\n", mappings, zone, size);
  }
  lab.grow(0, mappings);
  if (lab.size() != mappings)
    throw std::runtime_error(fmt::format("{} mappings were not all made", mappings));
  return {static_cast<double>(bytes) / mappings, static_cast<double>(others)};
}

std::vector<Row> measure() {
  std::vector<Row> rows;
  for (const auto mappings : kSizes) {
    const auto bytes =
        in_own_process(fmt::format("{} mappings", mappings), [=] { return bytes_of(mappings); });
    rows.push_back({fmt::format("{} mappings", mappings), bytes.mapping, "bytes a mapping", kMostBytes});
    rows.push_back({"  and all other tables together", bytes.others / 1e6, "MB", {}});
  }
  return rows;
}

}  // namespace

}  // namespace pinhole::bench

int main(int argc, char** argv) {
  return pinhole::bench::run_benchmark("memory", argc, argv, pinhole::bench::measure);
}
