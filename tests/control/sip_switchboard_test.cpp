// SPDX-License-Identifier: BSD-3-Clause
#include "control/sip_switchboard.hpp"

#include "tests/control/fake_link.hpp"

#include <catch2/catch.hpp>

#include <chrono>
#include <cstdint>
#include <set>

using namespace pinhole;
using namespace pinhole::control;
using control::test::FakeLink;

namespace {

constexpr std::uint32_t kWorkers = 3;
const ipc::SipChange kOff{.scope = ipc::SipScope::all, .on = false};

/// Workers that read their commands when time passes, but for those that are deaf.
struct Bench {
  FakeLink link{kWorkers, 1};
  std::set<std::uint32_t> deaf;
  std::set<std::uint32_t> deaf_to_commit;
  std::chrono::milliseconds slept{0};
  SipSwitchboard board{link, kWorkers, [this](std::chrono::milliseconds time) { pass(time); }};

  void pass(std::chrono::milliseconds time) {
    slept += time;
    for (const auto& [worker, command] : link.take(ipc::CommandType::prepare_sip)) {
      if (deaf.contains(worker)) continue;
      auto& card = link.sip[worker];
      const auto next = card.current.after(command.sip);
      if (!next) continue;
      card.prepared = command.generation;
      card.next = *next;
    }
    for (const auto& [worker, command] : link.take(ipc::CommandType::commit_sip)) {
      auto& card = link.sip[worker];
      if (deaf_to_commit.contains(worker) || card.prepared != command.generation) continue;
      card.generation = command.generation;
      card.prepared = 0;
      card.current = card.next;
    }
  }
  unsigned switched_off() const {
    unsigned count = 0;
    for (const auto& card : link.sip) count += card.current.on() ? 0 : 1;
    return count;
  }
};

}  // namespace

TEST_CASE("a turn of the switch is taken by all workers as one generation", "[control][sip_switch][AC-24]") {
  Bench bench;
  const auto state = bench.board.turn(kOff);
  REQUIRE(state.has_value());
  CHECK(state->generation == 1);
  CHECK(state->settled);
  CHECK_FALSE(state->now.on());
  CHECK(bench.switched_off() == kWorkers);
  CHECK(bench.slept < std::chrono::milliseconds(50));
  CHECK(bench.board.turn({.scope = ipc::SipScope::all, .on = true})->generation == 2);
  CHECK(bench.switched_off() == 0);
}

TEST_CASE("if one worker does not answer nothing has changed", "[control][sip_switch][AC-24]") {
  Bench bench;
  SECTION("it is deaf") {
    bench.deaf = {1};
    const auto state = bench.board.turn(kOff);
    REQUIRE_FALSE(state.has_value());
    CHECK(state.error().code == ErrorCode::unavailable);
    CHECK(bench.slept <= SipSwitchboard::kPatience);
  }
  SECTION("its ring is full") {
    bench.link.ring_full = true;
    CHECK(bench.board.turn(kOff).error().code == ErrorCode::unavailable);
    bench.link.ring_full = false;
  }
  CHECK(bench.switched_off() == 0);
  CHECK(bench.board.state()->generation == 0);
  CHECK(bench.board.state()->settled);

  // What was prepared in vain does not stand in the way, nor does it come back.
  bench.deaf.clear();
  bench.board.run();
  bench.pass({});
  CHECK(bench.switched_off() == 0);
  const auto next = bench.board.turn(kOff);
  REQUIRE(next.has_value());
  CHECK(bench.switched_off() == kWorkers);
}

TEST_CASE("a worker that missed the last word is told again, by the next control too",
          "[control][sip_switch][AC-24]") {
  Bench bench;
  bench.deaf_to_commit = {2};
  const auto state = bench.board.turn(kOff);
  REQUIRE(state.has_value());
  CHECK_FALSE(state->settled);
  CHECK(bench.switched_off() == kWorkers - 1);
  CHECK_FALSE(bench.board.state()->settled);
  CHECK(bench.board.turn({.scope = ipc::SipScope::all, .on = true}).error().code == ErrorCode::unavailable);

  bench.deaf_to_commit.clear();
  SipSwitchboard next(bench.link, kWorkers, [&](std::chrono::milliseconds time) { bench.pass(time); });
  next.run();
  bench.pass({});
  CHECK(bench.switched_off() == kWorkers);
  CHECK(next.state()->settled);
  next.run();
  CHECK(bench.link.sent.empty());
}

TEST_CASE("one rule too many is refused before anybody is told", "[control][sip_switch][AC-24]") {
  Bench bench;
  ipc::SipChange change{.scope = ipc::SipScope::hosts, .on = false};
  for (std::uint32_t i = 0; i <= ipc::SipSwitch::kMaxRules; ++i) {
    change.hosts = {nat::Ipv4Address::from_host(0x0a000000U + i), 32};
    const auto state = bench.board.turn(change);
    CHECK(state.has_value() == (i < ipc::SipSwitch::kMaxRules));
    if (!state) CHECK(state.error().code == ErrorCode::range);
  }
  CHECK(bench.link.sent.empty());
}
