// SPDX-License-Identifier: BSD-3-Clause
#include "control/gateway_view.hpp"

#include <algorithm>
#include <string>
#include <vector>

#include "dataplane/ipc/policy.hpp"
#include "tests/control/shared_scene.hpp"

#include <catch2/catch.hpp>

namespace pinhole::control {

namespace {

using ipc::GatewayCounter;

struct Scene : test::SharedScene {
  Scene() {
    layout->gateway_count = 3;
    layout->gateways[0].name.assign("sip");
    layout->gateways[1].name.assign("ftp");
    layout->gateways[1].version.assign("1");
    auto& tftp = layout->gateways[2];
    tftp.name.assign("tftp");
    tftp.version.assign("1.0");
    tftp.file.assign("/lib/tftp.so");
    tftp.budget_us = 200;
    tftp.max_faults = 8;
    tftp.claim_count = 1;
    tftp.claims[0] = {nat::Protocol::udp, 69};
    tftp.counter_count = 1;
    tftp.counters[0].assign("read_request");
  }

  GatewayView view{*layout};
};

const CounterRow& find(const std::vector<CounterRow>& rows, const std::string& module,
                       const std::string& name) {
  const auto found = std::ranges::find_if(
      rows, [&](const CounterRow& row) { return row.module == module && row.name == name; });
  REQUIRE(found != rows.end());
  return *found;
}

}  // namespace

TEST_CASE("gateways are shown with what each worker has counted of them", "[control][gateway_view]") {
  const Scene scene;
  auto& first = scene.workers[0]->gateways[2];
  auto& second = scene.workers[1]->gateways[2];
  first.host.add(GatewayCounter::shown, 5);
  second.host.add(GatewayCounter::fault_argument, 3);
  second.host.add(GatewayCounter::fault_budget, 5);
  second.host.set(GatewayCounter::stopped, 1);
  second.own[0] = 7;
  const auto rows = scene.view.rows();
  REQUIRE(rows.size() == 3);
  CHECK(rows[1].name == "ftp");
  CHECK(rows[1].file.empty());
  CHECK(rows[1].claims.empty());
  CHECK(scene.view.plugin_files() == std::vector<std::string>{"/lib/tftp.so"});
  CHECK(rows[1].faults == 0);
  const auto& tftp = rows[2];
  CHECK(tftp.name == "tftp");
  CHECK(tftp.version == "1.0");
  CHECK(tftp.file == "/lib/tftp.so");
  REQUIRE(tftp.claims.size() == 1);
  CHECK(tftp.claims[0].port == 69);
  CHECK(tftp.faults == 8);
  CHECK(tftp.stopped_workers == std::vector<std::uint32_t>{1});
  CHECK(find(tftp.counters, "gateway", "shown").per_worker == std::vector<std::uint64_t>{5, 0});
  CHECK(find(tftp.counters, "tftp", "read_request").total == 7);
}

TEST_CASE("counters of gateways have names of their own among all counters", "[control][gateway_view]") {
  const Scene scene;
  scene.workers[0]->gateways[1].host.add(GatewayCounter::edited, 2);
  std::vector<CounterRow> rows;
  scene.view.append_counters(rows);
  CHECK(find(rows, "gateway", "ftp_edited").total == 2);
  CHECK(find(rows, "gateway", "tftp_edited").total == 0);
  CHECK(find(rows, "tftp", "read_request").per_worker.size() == 2);
}

TEST_CASE("gateways have numbers by their names, and SIP comes first", "[control][gateway_view][AC-24]") {
  const Scene scene;
  CHECK(scene.view.number_of("sip") == ipc::kSipGateway);
  CHECK(scene.view.number_of("tftp") == 2);
  CHECK_FALSE(scene.view.number_of("rtsp").has_value());
  CHECK(scene.view.name(1) == "ftp");
  CHECK(scene.view.name(3) == "?");
}

TEST_CASE("a worker that counts nothing of gateways is none's trouble", "[control][gateway_view]") {
  const Scene scene;
  scene.layout->workers[0].gateways = nullptr;
  scene.layout->gateway_count = 99;
  CHECK(scene.view.count() == ipc::kMaxGateways);
  CHECK(scene.view.rows().size() == ipc::kMaxGateways);
}

}  // namespace pinhole::control
