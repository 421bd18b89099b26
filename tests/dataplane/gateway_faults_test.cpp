// SPDX-License-Identifier: BSD-3-Clause
// Gateways that break rules, through the whole pipeline: traffic goes on, and they are switched off.
#include <catch2/catch.hpp>

#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

#include "tests/dataplane/gateway_lab.hpp"

#include <rte_cycles.h>
#include <rte_pause.h>

using namespace pinhole;
using namespace pinhole::test;
using ipc::GatewayCounter;

namespace {

using Scene = GatewayScene;

int take_10_us(pinhole_context*, const pinhole_message&) {
  const auto end = rte_rdtsc() + rte_get_tsc_hz() / 100'000;
  while (rte_rdtsc() < end) rte_pause();
  return PINHOLE_FORWARD;
}

}  // namespace

TEST_CASE("a gateway that breaks rules has not looked at the message, and is switched off when that goes on",
          "[dataplane][gateway][faults]") {
  struct Row {
    const char* what;
    TestGateway::Read read;
    GatewayCounter counter;
  };
  const auto* const& host = TestGateway::host;
  const auto burns = [](pinhole_context*, const pinhole_message&) {
    const auto until = std::chrono::steady_clock::now() + std::chrono::milliseconds(60);
    while (std::chrono::steady_clock::now() < until) {
    }
    return PINHOLE_FORWARD;
  };
  const std::vector<Row> rows = {
      {"an edit past the end",
       [&](pinhole_context* c, const pinhole_message& m) {
         CHECK(TestGateway::replace(c, m, "na", "xx") == PINHOLE_OK);
         CHECK(host->replace(c, m.length - 1, 2, "x", 1) == PINHOLE_FAULT);
         return PINHOLE_FORWARD;
       },
       GatewayCounter::fault_argument},
      {"an edit far behind",
       [&](pinhole_context* c, const pinhole_message&) {
         CHECK(host->replace(c, SIZE_MAX, 1, "x", 1) == PINHOLE_FAULT);
         CHECK(host->replace(c, 1, SIZE_MAX, "x", 1) == PINHOLE_FAULT);
         return PINHOLE_FORWARD;
       },
       GatewayCounter::fault_argument},
      {"an edit over another",
       [&](pinhole_context* c, const pinhole_message&) {
         CHECK(host->replace(c, 0, 3, "x", 1) == PINHOLE_OK);
         CHECK(host->replace(c, 2, 1, "y", 1) == PINHOLE_FAULT);
         return PINHOLE_FORWARD;
       },
       GatewayCounter::fault_argument},
      {"no text",
       [&](pinhole_context* c, const pinhole_message&) {
         CHECK(host->replace(c, 0, 0, nullptr, 3) == PINHOLE_FAULT);
         return PINHOLE_FORWARD;
       },
       GatewayCounter::fault_argument},
      {"a counter that there is not",
       [&](pinhole_context* c, const pinhole_message&) {
         CHECK(host->count(c, 2, 1) == PINHOLE_FAULT);
         return PINHOLE_FORWARD;
       },
       GatewayCounter::fault_argument},
      {"nowhere to put an endpoint",
       [&](pinhole_context* c, const pinhole_message&) {
         CHECK(host->reserve(c, PINHOLE_UDP, 5000, 1, nullptr) == PINHOLE_FAULT);
         return PINHOLE_FORWARD;
       },
       GatewayCounter::fault_argument},
      {"three ports",
       [&](pinhole_context* c, const pinhole_message&) {
         pinhole_endpoint external{};
         CHECK(host->reserve(c, PINHOLE_UDP, 5000, 3, &external) == PINHOLE_FAULT);
         return PINHOLE_FORWARD;
       },
       GatewayCounter::fault_argument},
      {"an unknown answer", [](pinhole_context*, const pinhole_message&) { return 3; },
       GatewayCounter::fault_verdict},
      {"a call that lasts too long", burns, GatewayCounter::fault_budget},
  };
  for (const auto& row : rows) {
    DYNAMIC_SECTION(row.what) {
      auto change = [](dataplane::GatewaySpec& spec) {
        spec.max_faults = 3;
        spec.budget_us = 30'000;
      };
      Scene scene(lab_config(), change);
      auto talk = scene.connect();
      TestGateway::read = row.read;
      CHECK(Scene::events().empty());
      CHECK(scene.out("name one").at(0).text == "name one");
      talk.tell(talk.caller, "name two\r\n");
      CHECK(talk.called.heard == "name two\r\n");
      CHECK(scene.count(row.counter) == 2);
      CHECK(scene.count(GatewayCounter::stopped) == 0);
      CHECK(Scene::events().empty());
      CHECK(scene.in("name three").at(0).text == "name three");
      CHECK(scene.count(GatewayCounter::stopped) == 1);
      const auto events = Scene::events();
      REQUIRE(events.size() == 1);
      CHECK(events[0].news == ipc::GatewayNews::stopped);
      CHECK(events[0].inside == scene.client);
      CHECK_FALSE(events[0].text.view().empty());
      // From here on it is not called, and traffic goes on.
      const auto shown = TestGateway::shown.size();
      CHECK(scene.out("name four").size() == 1);
      talk.tell(talk.called, "name five\r\n");
      talk.tell(talk.caller, "name six\r\n");
      talk.close();
      CHECK(talk.called.heard == "name two\r\nname six\r\n");
      CHECK(talk.caller.heard == "name five\r\n");
      CHECK(talk.called.saw_fin);
      CHECK(TestGateway::shown.size() == shown);
      CHECK(scene.count(row.counter) == 3);
      CHECK(scene.lab.drops().empty());
      CHECK(scene.lab.buffers_in_use() == 0);
    }
  }
}

TEST_CASE("too many edits, and too much text, are no fault", "[dataplane][gateway][faults]") {
  Scene scene;
  TestGateway::read = [](pinhole_context* context, const pinhole_message& message) {
    const std::string text(4097, 'x');
    CHECK(TestGateway::host->replace(context, 0, 0, text.data(), text.size()) == PINHOLE_FULL);
    int answer = PINHOLE_OK;
    for (std::size_t at = 0; at < message.length && answer == PINHOLE_OK; ++at)
      answer = TestGateway::host->replace(context, at, 1, "y", 1);
    CHECK(answer == PINHOLE_FULL);
    return PINHOLE_FORWARD;
  };
  CHECK(scene.out(std::string(200, 'x')).at(0).text == std::string(128, 'y') + std::string(72, 'x'));
  CHECK(ipc::faults(scene.stats()) == 0);
}

TEST_CASE("a gateway that cuts what cannot be leaves its connection alone", "[dataplane][gateway][faults]") {
  struct Row {
    const char* what;
    pinhole_frame frame;
    GatewayCounter counter;
  };
  const Row rows[] = {{"an unknown kind", {9, 3}, GatewayCounter::fault_verdict},
                      {"no bytes of a message", {PINHOLE_FRAME_MESSAGE, 0}, GatewayCounter::fault_verdict},
                      {"no bytes to skip", {PINHOLE_FRAME_SKIP, 0}, GatewayCounter::fault_verdict},
                      {"too large a message", {PINHOLE_FRAME_MESSAGE, 65536}, GatewayCounter::fault_verdict}};
  for (const auto& row : rows) {
    DYNAMIC_SECTION(row.what) {
      Scene scene(lab_config(), {},
                  [&](pinhole_framing&, std::string_view) -> pinhole_frame { return row.frame; });
      auto talk = scene.connect();
      talk.tell(talk.caller, "some\r\n");
      talk.tell(talk.called, "bytes\r\n");
      talk.tell(talk.caller, "more\r\n");
      CHECK(talk.called.heard == "some\r\nmore\r\n");
      CHECK(talk.caller.heard == "bytes\r\n");
      CHECK(scene.count(row.counter) == 1);
      CHECK(TestGateway::shown.empty());
    }
  }
}

TEST_CASE("a call that lasts too long now and then is forgiven", "[dataplane][gateway][faults]") {
  Scene scene(lab_config(), [](dataplane::GatewaySpec& spec) {
    spec.max_faults = 3;
    spec.budget_us = 1;
  });
  TestGateway::read = take_10_us;
  for (int i = 0; i < 8; ++i) {
    CHECK(scene.out("name").size() == 1);
    scene.lab.pass_s(11);
  }
  CHECK(scene.count(GatewayCounter::fault_budget) == 8);
  CHECK(scene.count(GatewayCounter::stopped) == 0);
  for (int i = 0; i < 3; ++i) scene.out("name");
  CHECK(scene.count(GatewayCounter::stopped) == 1);
}

TEST_CASE("late calls are forgiven one by one, and what is left of ten seconds counts towards the next",
          "[dataplane][gateway][faults]") {
  Scene scene(lab_config(), [](dataplane::GatewaySpec& spec) {
    spec.max_faults = 3;
    spec.budget_us = 1;
  });
  TestGateway::read = take_10_us;
  struct Row {
    unsigned pass_s;
    bool stopped;
  };
  // After 0, 0, 15, 21 and 31 s the first four are forgiven at 10, 20 and 30 s; one at 32 s is one too many.
  for (const auto& row :
       {Row{0, false}, Row{0, false}, Row{15, false}, Row{6, false}, Row{10, false}, Row{1, true}}) {
    if (row.pass_s > 0) scene.lab.pass_s(row.pass_s);
    scene.out("name");
    CHECK((scene.count(GatewayCounter::stopped) != 0) == row.stopped);
  }
  CHECK(scene.count(GatewayCounter::fault_budget) == 6);
}
