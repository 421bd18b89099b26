// SPDX-License-Identifier: BSD-3-Clause
#include "control/ban_store.hpp"

#include <catch2/catch.hpp>

#include <memory>

#include "tests/control/ban_scene.hpp"

using namespace pinhole;
using namespace pinhole::control;
using namespace pinhole::control::test;
using ipc::BanReason;
using ipc::CommandType;
using std::chrono::seconds;

namespace {

nat::Prefix subnet(std::uint32_t number) {
  return {nat::Ipv4Address::from_host(0x14000000 + (number << 8U)), 24};
}

}  // namespace

TEST_CASE("what one worker bans all workers are told of", "[control][bans]") {
  Scene scene;
  scene.attach();
  scene.banned();
  const auto sent = scene.link.take(CommandType::ban);
  REQUIRE(sent.size() == 2);
  CHECK(sent[0].worker == 0);
  CHECK(sent[1].worker == 1);
  CHECK(sent[1].command.seconds == 300);
  CHECK(sent[1].command.ban.prefix == kStranger);
  CHECK(sent[1].command.ban.reason == BanReason::failed_auth);
  CHECK(sent[1].command.ban.proven);
  const auto rows = scene.rows();
  REQUIRE(rows.size() == 1);
  CHECK(rows[0].detail == "alice");
  CHECK(rows[0].level == 0);
}

TEST_CASE("each further ban of a source is longer, up to the longest, and is forgotten in the end",
          "[control][bans]") {
  Scene scene;
  scene.attach();
  for (const std::uint32_t expected : {300U, 1200U, 4800U, 19200U, 76800U, 86400U, 86400U}) {
    scene.banned();
    CHECK(scene.ordered_s() == expected);
    scene.pass(seconds(expected));
    CHECK(scene.rows().empty());
  }
  scene.pass(seconds(scene.protection.bans.forget_s));
  scene.banned();
  CHECK(scene.ordered_s() == 300);
}

TEST_CASE("a ban without proof gets no longer, unless so configured", "[control][bans]") {
  config::Protection protection;
  protection.bans.escalate_unproven = GENERATE(false, true);
  Scene scene(protection);
  scene.attach();
  scene.banned(BanReason::scanner, false);
  CHECK(scene.ordered_s() == 300);
  scene.pass(seconds(300));
  scene.banned(BanReason::scanner, false);
  CHECK(scene.ordered_s() == (protection.bans.escalate_unproven ? 1200 : 300));
}

TEST_CASE("a second word of the same ban makes it no longer", "[control][bans]") {
  Scene scene;
  scene.attach();
  scene.banned();
  scene.pass(seconds(100));
  static_cast<void>(scene.ordered_s());
  scene.banned();
  CHECK(scene.ordered_s() == 200);
  CHECK(scene.rows()[0].level == 0);
}

TEST_CASE("an operator bans, lifts and allows; allow lists win", "[control][bans]") {
  config::Protection protection;
  protection.allow = {prefix("203.0.113.0/24")};
  Scene scene(protection);
  scene.attach();
  const auto moment = scene.link.moment;
  REQUIRE(scene.store->add({.prefix = kStranger, .seconds = 60, .note = {}}, moment));
  CHECK(scene.store->add({.prefix = prefix("198.51.100.66/24"), .seconds = 60, .note = {}}, moment)
            .error()
            .code == ErrorCode::range);
  CHECK(scene.ordered_s() == 60);
  REQUIRE(scene.store->lift(kStranger, moment));
  CHECK(scene.link.take(CommandType::lift_ban).size() == 2);
  CHECK(scene.store->lift(kStranger, moment).error().code == ErrorCode::not_found);
  CHECK(scene.link.take(CommandType::lift_ban).size() == 2);

  REQUIRE(scene.store->allow(kStranger, moment));
  REQUIRE(scene.store->allow(kStranger, moment));
  CHECK(scene.link.take(CommandType::allow).size() == 2);
  CHECK(scene.store->allow_list().size() == 2);
  // A worker that has not heard of it yet bans in vain.
  scene.banned();
  CHECK(scene.rows().empty());
  CHECK(scene.link.take(CommandType::lift_ban).size() == 2);
  CHECK(scene.ordered_s() == 0);
  // An operator may ban all the same; the list says that it does nothing.
  REQUIRE(scene.store->add({.prefix = kStranger, .seconds = 60, .note = {}}, moment));
  CHECK(scene.rows()[0].allowed);

  REQUIRE(scene.store->disallow(kStranger, moment));
  CHECK(scene.link.take(CommandType::disallow).size() == 2);
  CHECK(scene.store->disallow(kStranger, moment).error().code == ErrorCode::not_found);
  CHECK(scene.store->disallow(prefix("203.0.113.0/24"), moment).error().code == ErrorCode::conflict);
}

TEST_CASE("orders wait while a ring is full, and say what holds when they are sent", "[control][bans]") {
  Scene scene;
  scene.attach();
  scene.link.ring_full = true;
  const auto lifted = prefix("192.0.2.9");
  const auto over = prefix("192.0.2.10");
  REQUIRE(scene.store->add(order(kStranger, 60), scene.link.moment));
  REQUIRE(scene.store->add(order(over, 5), scene.link.moment));
  REQUIRE(scene.store->add(order(lifted, 60), scene.link.moment));
  REQUIRE(scene.store->lift(lifted, scene.link.moment));
  scene.pass(seconds(20));
  CHECK(scene.link.sent.empty());
  scene.link.ring_full = false;
  scene.store->run(scene.link.moment);
  REQUIRE(scene.link.sent.size() == 6);
  CHECK(scene.link.sent[0].command.type == CommandType::lift_ban);
  CHECK(scene.link.sent[1].command.type == CommandType::lift_ban);
  CHECK(scene.link.sent[2].command.type == CommandType::ban);
  CHECK(scene.link.sent[2].command.seconds == 40);
}

TEST_CASE("a worker gets so many orders at a time, and in the end all that hold", "[control][bans]") {
  Scene scene;
  for (std::uint32_t i = 0; i < 100; ++i) {
    const auto host = nat::Prefix{nat::Ipv4Address::from_host(0x14000000 + i), 32};
    REQUIRE(scene.store->add(order(host), scene.link.moment));
  }
  scene.attach();
  CHECK(scene.link.sent.size() == 2 * BanStore::kOrdersPerRun);
  REQUIRE(scene.store->add(order(kStranger), scene.link.moment));
  CHECK(scene.link.sent.size() == 2 * BanStore::kOrdersPerRun);
  for (std::size_t run = 2; run <= 3; ++run) {
    scene.store->run(scene.link.moment);
    CHECK(scene.link.sent.size() == 2 * run * BanStore::kOrdersPerRun);
  }
  scene.store->run(scene.link.moment);
  CHECK(scene.link.take(CommandType::ban).size() == std::size_t{2} * 101);
}

TEST_CASE("a worker that takes no orders costs little memory", "[control][bans]") {
  config::Protection protection;
  Scene scene(protection);
  scene.store = std::make_unique<BanStore>(protection, "", scene.link.moment);
  scene.attach();
  scene.link.ring_full = true;
  for (std::uint32_t i = 0; i < 2 * BanStore::kMaxRecords + 100; ++i) {
    const auto host = nat::Prefix{nat::Ipv4Address::from_host(0x14000000 + i), 32};
    REQUIRE(scene.store->add(order(host), scene.link.moment));
  }
  // Nor may allowances be taken back that it will not hear of.
  CHECK(scene.store->allow(kStranger, scene.link.moment).error().code == ErrorCode::unavailable);
  scene.link.ring_full = false;
  for (int i = 0; i < 1000; ++i) scene.store->run(scene.link.moment);
  CHECK(scene.link.take(CommandType::ban).size() == 2 * BanStore::kMaxRecords);
  CHECK(scene.link.take(CommandType::lift_ban).size() == 2 * BanStore::kMaxRecords);
  CHECK(scene.store->allow(kStranger, scene.link.moment));
}

TEST_CASE("an allowance that is taken back makes room before the next one comes", "[control][bans]") {
  Scene scene;
  scene.attach();
  REQUIRE(scene.store->allow(prefix("203.0.113.9"), scene.link.moment));
  scene.link.sent.clear();
  scene.link.ring_full = true;
  REQUIRE(scene.store->allow(prefix("192.0.2.1"), scene.link.moment));
  REQUIRE(scene.store->disallow(prefix("203.0.113.9"), scene.link.moment));
  scene.link.ring_full = false;
  scene.store->run(scene.link.moment);
  REQUIRE(scene.link.sent.size() == 4);
  CHECK(scene.link.sent[0].command.type == CommandType::disallow);
  CHECK(scene.link.sent[1].command.type == CommandType::allow);
}

TEST_CASE("setting the wall clock makes no ban longer or shorter", "[control][bans]") {
  const auto jump = GENERATE(std::chrono::hours(-48), std::chrono::hours(48));
  Scene scene;
  scene.attach();
  scene.banned();
  scene.link.moment.wall += jump;
  scene.pass(seconds(100));
  CHECK(scene.store->size(scene.link.moment) == 1);
  REQUIRE(scene.rows().size() == 1);
  CHECK(scene.rows()[0].until == scene.link.moment.wall + seconds(200));
  static_cast<void>(scene.ordered_s());
  scene.banned();
  CHECK(scene.ordered_s() == 200);
  scene.pass(seconds(199));
  CHECK(scene.rows().size() == 1);
  CHECK(scene.link.take(CommandType::lift_ban).empty());
  scene.pass(seconds(1));
  CHECK(scene.rows().empty());
  CHECK(scene.link.take(CommandType::lift_ban).size() == 2);
  scene.pass(seconds(1));
  CHECK(scene.link.take(CommandType::lift_ban).empty());
}

TEST_CASE("no ban is longer than a worker can count", "[control][bans]") {
  Scene scene;
  scene.attach();
  const auto row = scene.store->add(order(kStranger, ~std::uint32_t{0}), scene.link.moment);
  REQUIRE(row);
  CHECK(row->until == scene.link.moment.wall + BanStore::kLongest);
  CHECK(scene.ordered_s() == 31'536'000);
}

TEST_CASE("a ban that only a worker knows of can be lifted", "[control][bans]") {
  Scene scene;
  scene.attach();
  auto& slot = scene.link.ban_slots.emplace_back(4)[2];
  slot.address.store(kStranger.address.value.raw());
  CHECK(scene.store->lift(kStranger, scene.link.moment).error().code == ErrorCode::not_found);
  // It may have banned since it was looked at.
  CHECK(scene.link.take(CommandType::lift_ban).size() == 2);
  slot.until.store(1);
  CHECK(scene.store->lift(kStranger, scene.link.moment));
  CHECK(scene.link.take(CommandType::lift_ban).size() == 2);
}

TEST_CASE("as many subnets can be banned as workers have room for", "[control][bans]") {
  Scene scene;
  scene.attach();
  const auto moment = scene.link.moment;
  REQUIRE(scene.store->add(order(subnet(0), 5), moment));
  for (std::uint32_t i = 1; i < ipc::kBanPrefixes; ++i) REQUIRE(scene.store->add(order(subnet(i)), moment));
  const auto refused = scene.store->add(order(subnet(64)), moment);
  REQUIRE_FALSE(refused);
  CHECK(refused.error().code == ErrorCode::range);
  CHECK(
      refused.error().message ==
      "prefix: 64 subnets are banned already, which is as many as workers have room for; lift one, or give a "
      "shorter prefix");
  CHECK(scene.store->add(order(subnet(1), 600), moment));
  CHECK(scene.store->add(order(kStranger), moment));
  scene.pass(seconds(5));
  CHECK(scene.store->add(order(subnet(64)), scene.link.moment));
}

TEST_CASE("an operator's ban does not make up for what a source did before", "[control][bans]") {
  Scene scene;
  scene.attach();
  for (const std::uint32_t expected : {300U, 1200U}) {
    scene.banned();
    scene.pass(seconds(expected));
  }
  REQUIRE(scene.store->add(order(kStranger), scene.link.moment));
  scene.pass(seconds(60));
  scene.banned();
  CHECK(scene.ordered_s() == 4800);
}

TEST_CASE("an operator's ban does not count against a source", "[control][bans]") {
  Scene scene;
  scene.attach();
  REQUIRE(scene.store->add(order(kStranger), scene.link.moment));
  scene.pass(seconds(60));
  scene.banned();
  CHECK(scene.ordered_s() == 300);
}

TEST_CASE("hits are summed over the workers", "[control][bans]") {
  Scene scene;
  scene.attach();
  scene.banned();
  for (std::uint32_t worker = 0; worker < 2; ++worker) {
    auto& slots = scene.link.ban_slots.emplace_back(4);
    slots[worker].address.store(kStranger.address.value.raw());
    slots[worker].until.store(1);
    slots[worker].hits.store(10 + worker);
    slots[3].address.store(kStranger.address.value.raw());  // a free place
    slots[3].hits.store(1000);
  }
  CHECK(scene.rows()[0].hits == 21);
}

TEST_CASE("there are so many bans and no more, and those of operators go last", "[control][bans]") {
  config::Protection protection;
  Scene scene(protection);
  scene.store = std::make_unique<BanStore>(protection, "", scene.link.moment);
  scene.attach();
  REQUIRE(scene.store->add({.prefix = kStranger, .seconds = 1, .note = {}}, scene.link.moment));
  ipc::Event event;
  event.type = ipc::EventType::guard;
  for (std::uint32_t i = 0; i < BanStore::kMaxRecords + 100; ++i) {
    event.guard = {.news = ipc::GuardNews::banned,
                   .reason = BanReason::scanner,
                   .source = nat::Ipv4Address::from_host(0x14000000 + i)};
    scene.store->on_event(event, scene.link.moment);
  }
  CHECK(scene.store->size(scene.link.moment) == BanStore::kMaxRecords);
  CHECK(scene.store->lift(kStranger, scene.link.moment));
}
