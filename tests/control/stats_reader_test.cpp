// SPDX-License-Identifier: BSD-3-Clause
#include "control/stats_reader.hpp"

#include <algorithm>
#include <set>
#include <string>

#include "tests/control/shared_scene.hpp"

#include <catch2/catch.hpp>

namespace pinhole::control {

namespace {

struct Scene : test::SharedScene {
  CounterRow row(const std::string& module, const std::string& name) const {
    const auto rows = reader.counters();
    const auto found = std::ranges::find_if(
        rows, [&](const CounterRow& one) { return one.module == module && one.name == name; });
    REQUIRE(found != rows.end());
    return *found;
  }
  ControlCounters own;
  StatsReader reader{attachment, own};
};

TEST_CASE("every counter of every list is a row with its help", "[control][stats_reader]") {
  const Scene scene;
  const auto rows = scene.reader.counters();
  const std::size_t lists = nat::CounterTraits<nat::DropReason>::kInfo.size() - 1 +
                            nat::CounterTraits<nat::Counter>::kInfo.size() +
                            nat::CounterTraits<alg::Counter>::kInfo.size() +
                            nat::CounterTraits<dataplane::WorkerCounter>::kInfo.size() +
                            nat::CounterTraits<ControlCounter>::kInfo.size();
  constexpr std::size_t kGauges = 4;
  CHECK(rows.size() == lists + kGauges);
  std::set<std::pair<std::string, std::string>> names;
  for (const auto& row : rows) {
    CHECK_FALSE(row.help.empty());
    CHECK(row.name != "none");
    names.emplace(row.module, row.name);
  }
  CHECK(names.size() == rows.size());
}

TEST_CASE("a counter is shown by worker and in total", "[control][stats_reader]") {
  Scene scene;
  scene.workers[0]->stats.drops.add(nat::DropReason::drop_filtered, 3);
  scene.workers[1]->stats.drops.add(nat::DropReason::drop_filtered, 4);
  scene.workers[1]->stats.alg.add(alg::Counter::sip_untouched, 9);
  scene.own.add(ControlCounter::event_gap, 2);
  CHECK(scene.row("drop", "drop_filtered").total == 7);
  CHECK(scene.row("drop", "drop_filtered").per_worker == std::vector<std::uint64_t>{3, 4});
  CHECK(scene.row("alg", "sip_untouched").per_worker == std::vector<std::uint64_t>{0, 9});
  CHECK(scene.row("control", "event_gap").total == 2);
  CHECK(scene.row("control", "event_gap").per_worker.empty());
}

TEST_CASE("the rings and the packet pool are gauges", "[control][stats_reader]") {
  Scene scene;
  scene.layout->mbufs_in_use = 77;
  scene.workers[1]->events.push({});
  scene.workers[1]->events.push({});
  scene.workers[0]->commands.push({});
  scene.workers[0]->records.push({});
  CHECK(scene.row("control", "mbufs_in_use").total == 77);
  CHECK(scene.row("control", "event_waiting").per_worker == std::vector<std::uint64_t>{0, 2});
  CHECK(scene.row("control", "command_waiting").total == 1);
  CHECK(scene.row("control", "record_waiting").per_worker == std::vector<std::uint64_t>{1, 0});
  scene.attachment.records.clear();  // of a data plane without nat.log
  CHECK(scene.row("control", "record_waiting").per_worker == std::vector<std::uint64_t>{0, 0});
}

TEST_CASE("a worker's row sums all drop reasons but none", "[control][stats_reader]") {
  Scene scene;
  auto& stats = scene.workers[1]->stats;
  stats.drops.add(nat::DropReason::none, 100);
  stats.drops.add(nat::DropReason::drop_truncated, 1);
  stats.drops.add(nat::DropReason::drop_sip_parked_timeout, 2);
  stats.worker.add(dataplane::WorkerCounter::rx_packets, 5);
  stats.nat.set(nat::Counter::mapping_live, 6);
  const auto rows = scene.reader.workers();
  REQUIRE(rows.size() == 2);
  CHECK(rows[0].drops == 0);
  CHECK(rows[1].drops == 3);
  CHECK(rows[1].rx_packets == 5);
  CHECK(rows[1].mappings == 6);
  CHECK(rows[1].lcore == 2);
  CHECK(rows[1].mapping_capacity == test::SharedScene::kMappings);
  CHECK(scene.reader.total(nat::Counter::mapping_live) == 6);
  CHECK(scene.reader.total(dataplane::WorkerCounter::rx_packets) == 5);
}

}  // namespace

}  // namespace pinhole::control
