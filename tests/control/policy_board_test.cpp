// SPDX-License-Identifier: BSD-3-Clause
#include "control/policy_board.hpp"

#include "tests/control/fake_link.hpp"

#include <catch2/catch.hpp>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <memory>
#include <set>
#include <string>
#include <vector>

using namespace pinhole;
using namespace pinhole::control;
using control::test::FakeLink;

namespace {

constexpr std::uint32_t kWorkers = 3;
const ipc::SwitchChange kOff{.scope = ipc::SwitchScope::all, .on = false};

/// Workers that read their commands when time passes, but for those that are deaf.
struct Bench {
  FakeLink link{kWorkers, 1};
  std::set<std::uint32_t> deaf;
  std::set<std::uint32_t> deaf_to_prepare;
  std::set<std::uint32_t> deaf_to_commit;
  std::set<std::uint32_t> refusing;
  std::chrono::milliseconds slept{0};
  std::chrono::milliseconds longest{0};  // of one sleep
  PolicyBoard board{link, kWorkers, [this](std::chrono::milliseconds time) { pass(time); }};

  void pass(std::chrono::milliseconds time) {
    slept += time;
    longest = std::max(longest, time);
    while (!link.sent.empty()) {
      const auto [worker, command] = link.sent.front();
      link.sent.erase(link.sent.begin());
      obey(worker, command);
    }
  }
  /// A worker's part, in the order in which commands came.
  void obey(std::uint32_t worker, const ipc::Command& command) {
    auto& card = link.policies[worker];
    switch (command.type) {
      case ipc::CommandType::announce_policy:
        if (!deaf.contains(worker)) card.announced = command.generation;
        break;
      case ipc::CommandType::prepare_policy:
        if (deaf.contains(worker) || deaf_to_prepare.contains(worker)) break;
        CHECK(command.slot != card.slot);
        card.prepared = refusing.contains(worker) ? 0 : command.generation;
        if (refusing.contains(worker)) card.refused = command.generation;
        card.next_slot = command.slot;
        break;
      case ipc::CommandType::commit_policy:
        if (deaf_to_commit.contains(worker) || card.prepared != command.generation) break;
        card.generation = command.generation;
        card.prepared = 0;
        card.slot = card.next_slot;
        break;
      default:
        FAIL("a command that is of no policy");
    }
  }
  unsigned switched_off() const {
    unsigned count = 0;
    for (const auto& card : link.policies)
      count += link.policy(card.slot).switches[ipc::kSipGateway].on() ? 0 : 1;
    return count;
  }
};

}  // namespace

TEST_CASE("a turn of the switch is taken by all workers as one generation", "[control][alg_switch][AC-24]") {
  Bench bench;
  const auto state = bench.board.turn(ipc::kSipGateway, kOff);
  REQUIRE(state.has_value());
  CHECK(state->generation == 1);
  CHECK(state->settled);
  CHECK_FALSE(state->image->switches[ipc::kSipGateway].on());
  CHECK(bench.switched_off() == kWorkers);
  CHECK(bench.slept < std::chrono::milliseconds(50));
  CHECK(bench.board.turn(ipc::kSipGateway, {.scope = ipc::SwitchScope::all, .on = true})->generation == 2);
  CHECK(bench.switched_off() == 0);
}

TEST_CASE("if one worker does not answer nothing has changed", "[control][alg_switch][AC-24]") {
  Bench bench;
  SECTION("it is deaf") {
    bench.deaf = {1};
    const auto state = bench.board.turn(ipc::kSipGateway, kOff);
    REQUIRE_FALSE(state.has_value());
    CHECK(state.error().code == ErrorCode::unavailable);
    CHECK(bench.slept <= PolicyBoard::kPatience);
  }
  SECTION("it is deaf in the middle") {
    bench.deaf_to_prepare = {1};
    CHECK(bench.board.turn(ipc::kSipGateway, kOff).error().code == ErrorCode::unavailable);
  }
  SECTION("it finds the image damaged") {
    bench.refusing = {1};
    const auto state = bench.board.turn(ipc::kSipGateway, kOff);
    REQUIRE_FALSE(state.has_value());
    CHECK(state.error().code == ErrorCode::internal);
    CHECK(bench.slept < std::chrono::milliseconds(50));
  }
  SECTION("its ring is full") {
    bench.link.ring_full = true;
    CHECK(bench.board.turn(ipc::kSipGateway, kOff).error().code == ErrorCode::unavailable);
    bench.link.ring_full = false;
  }
  CHECK(bench.switched_off() == 0);
  CHECK(bench.board.state()->generation == 0);
  CHECK(bench.board.state()->settled);

  // What was prepared in vain does not stand in the way, nor does it come back.
  bench.deaf.clear();
  bench.deaf_to_prepare.clear();
  bench.refusing.clear();
  bench.board.run();
  bench.pass({});
  CHECK(bench.switched_off() == 0);
  const auto next = bench.board.turn(ipc::kSipGateway, kOff);
  REQUIRE(next.has_value());
  CHECK(bench.switched_off() == kWorkers);
}

TEST_CASE("a worker that missed the last word is told again, by the next control too",
          "[control][alg_switch][AC-24]") {
  Bench bench;
  bench.deaf_to_commit = {2};
  const auto state = bench.board.turn(ipc::kSipGateway, kOff);
  REQUIRE(state.has_value());
  CHECK_FALSE(state->settled);
  CHECK(bench.switched_off() == kWorkers - 1);
  CHECK_FALSE(bench.board.state()->settled);
  CHECK(bench.board.turn(ipc::kSipGateway, {.scope = ipc::SwitchScope::all, .on = true}).error().code ==
        ErrorCode::unavailable);

  bench.deaf_to_commit.clear();
  PolicyBoard next(bench.link, kWorkers, [&](std::chrono::milliseconds time) { bench.pass(time); });
  next.run();
  bench.pass({});
  CHECK(bench.switched_off() == kWorkers);
  CHECK(next.state()->settled);
  next.run();
  CHECK(bench.link.sent.empty());
}

TEST_CASE("control that dies at any step of a change leaves a policy that all workers have",
          "[control][policy]") {
  for (std::uint32_t heard = 0; heard <= 3 * kWorkers; ++heard) {
    DYNAMIC_SECTION("after " << heard << " commands") {
      Bench bench;
      std::uint32_t passed = 0;
      PolicyBoard dying(bench.link, kWorkers, [&](std::chrono::milliseconds) {
        std::vector<FakeLink::Sent> sent;
        sent.swap(bench.link.sent);
        for (const auto& one : sent) {
          if (passed < heard) bench.obey(one.worker, one.command);
          if (passed == heard) bench.link.ring_full = true;  // what is sent from now on was never sent
          ++passed;
        }
      });
      static_cast<void>(dying.turn(ipc::kSipGateway, kOff));
      bench.link.ring_full = false;
      bench.link.sent.clear();

      PolicyBoard next(bench.link, kWorkers, [&](std::chrono::milliseconds time) { bench.pass(time); });
      next.run();
      bench.pass({});
      REQUIRE(next.state().has_value());
      CHECK(next.state()->settled);
      const auto off = bench.switched_off();
      CHECK((off == 0 || off == kWorkers));
      CHECK((off == kWorkers) == (heard > 2 * kWorkers));
      const auto turned = next.turn(ipc::kSipGateway, {.scope = ipc::SwitchScope::all, .on = off != 0});
      REQUIRE(turned.has_value());
      CHECK(bench.switched_off() == (off == 0 ? kWorkers : 0));
    }
  }
}

TEST_CASE("the image that a worker may still be told to use is not written over", "[control][policy]") {
  Bench bench;
  // Control died when its last word was on the ring of one worker.
  REQUIRE(bench.board.turn(ipc::kSipGateway, kOff).has_value());
  for (std::uint32_t worker = 0; worker < kWorkers; ++worker) {
    bench.obey(worker, {.type = ipc::CommandType::prepare_policy, .slot = 0, .generation = 7});
  }
  bench.link.sent.push_back({1, {.type = ipc::CommandType::commit_policy, .generation = 7}});
  bench.link.written.clear();

  const auto turned = bench.board.turn(ipc::kSipGateway, {.scope = ipc::SwitchScope::all, .on = true});
  REQUIRE_FALSE(turned.has_value());
  CHECK(turned.error().code == ErrorCode::unavailable);
  CHECK(bench.link.written.empty());
  CHECK(bench.link.policies[1].generation == 7);
  bench.board.run();
  bench.pass({});
  CHECK(bench.board.state()->settled);
  CHECK(bench.board.state()->generation == 7);
  CHECK(bench.board.turn(ipc::kSipGateway, {.scope = ipc::SwitchScope::all, .on = false}).has_value());
  CHECK(bench.link.written == std::vector<std::uint8_t>{1});
}

TEST_CASE("a policy is put in the place of another whole, and a turn of the switch keeps its rules",
          "[control][policy]") {
  Bench bench;
  const auto image = std::make_unique<ipc::PolicyImage>();
  image->rules.rule_count = 2;
  image->rules.rules[1].action = alg::sip::RuleAction::drop;
  const auto put = bench.board.put(*image);
  REQUIRE(put.has_value());
  CHECK(put->settled);
  CHECK(put->slot == 1);
  CHECK(put->image->rules.rule_count == 2);
  const auto turned = bench.board.turn(ipc::kSipGateway, kOff);
  REQUIRE(turned.has_value());
  CHECK(turned->slot == 0);
  CHECK_FALSE(turned->image->switches[ipc::kSipGateway].on());
  CHECK(turned->image->rules.rules[1].action == alg::sip::RuleAction::drop);
}

TEST_CASE("however long workers are waited for, the rings can be drained meanwhile",
          "[control][alg_switch][AC-24]") {
  Bench bench;
  bench.deaf_to_commit = {2};
  REQUIRE(bench.board.turn(ipc::kSipGateway, kOff).has_value());
  CHECK(bench.slept >= PolicyBoard::kPatience);
  CHECK(bench.longest <= PolicyBoard::kLookEvery);
}

TEST_CASE("a card that cannot be read is told from a change on its way", "[control][alg_switch][AC-24]") {
  Bench bench;
  bench.link.torn_policies = {1};
  const auto torn = bench.board.turn(ipc::kSipGateway, kOff);
  REQUIRE_FALSE(torn.has_value());
  CHECK(torn.error().code == ErrorCode::unavailable);
  CHECK(torn.error().message.find("just now") != std::string::npos);
  CHECK(bench.link.sent.empty());

  bench.link.torn_policies.clear();
  bench.deaf_to_commit = {2};
  REQUIRE(bench.board.turn(ipc::kSipGateway, kOff).has_value());
  const auto early = bench.board.turn(ipc::kSipGateway, kOff);
  REQUIRE_FALSE(early.has_value());
  CHECK(early.error().message.find("the last change") != std::string::npos);
}

TEST_CASE("the log can say for whom the switch was turned", "[control][alg_switch][AC-24]") {
  CHECK(scope_text({.on = false, .interface = {}, .hosts = {}}) == "all");
  CHECK(scope_text({.on = false, .interface = "wan", .hosts = {}}) == "interface wan");
  CHECK(scope_text({.on = true, .interface = {}, .hosts = nat::Prefix::parse("10.0.0.64/26")}) ==
        "hosts 10.0.0.64/26");
}

TEST_CASE("one rule too many is refused before anybody is told", "[control][alg_switch][AC-24]") {
  Bench bench;
  ipc::SwitchChange change{.scope = ipc::SwitchScope::hosts, .on = false};
  for (std::uint32_t i = 0; i <= ipc::AlgSwitch::kMaxRules; ++i) {
    change.hosts = {nat::Ipv4Address::from_host(0x0a000000U + i), 32};
    const auto state = bench.board.turn(ipc::kSipGateway, change);
    CHECK(state.has_value() == (i < ipc::AlgSwitch::kMaxRules));
    if (!state) CHECK(state.error().code == ErrorCode::range);
  }
  CHECK(bench.link.sent.empty());
}
