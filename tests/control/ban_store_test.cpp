// SPDX-License-Identifier: BSD-3-Clause
#include "control/ban_store.hpp"

#include <sys/stat.h>

#include <catch2/catch.hpp>

#include <filesystem>
#include <fstream>
#include <memory>

#include "tests/control/fake_link.hpp"
#include "tests/control/nat_log/temporary_directory.hpp"

using namespace pinhole;
using namespace pinhole::control;
using namespace pinhole::control::test;
using ipc::BanReason;
using ipc::CommandType;
using std::chrono::seconds;

namespace {

nat::Prefix prefix(const char* text) {
  return nat::Prefix::parse(text).value();
}
const nat::Prefix kStranger = prefix("198.51.100.66");

struct Scene {
  explicit Scene(const config::Protection& with = {}) : protection(with) { start(); }

  /// Control begins, or begins again.
  void start() { store = std::make_unique<BanStore>(protection, file(), link.moment); }
  void attach() { store->attach(link, 2, link.moment); }
  [[nodiscard]] std::string file() const { return (directory.path() / "deep/state.db").string(); }

  void banned(BanReason reason = BanReason::failed_auth, bool proven = true, const char* detail = "alice") {
    ipc::Event event;
    event.type = ipc::EventType::guard;
    event.guard = {
        .news = ipc::GuardNews::banned, .reason = reason, .proven = proven, .source = kStranger.address};
    event.guard.detail.assign(detail);
    store->on_event(event, link.moment);
    store->run(link.moment);
  }
  void pass(seconds time) {
    link.pass(time);
    store->run(link.moment);
  }
  [[nodiscard]] std::vector<BanRow> rows() const { return store->rows({}, link.moment).rows; }
  /// For how long the last ban of each worker was ordered; 0: none was.
  std::uint32_t ordered_s() {
    const auto sent = link.take(CommandType::ban);
    return sent.empty() ? 0 : sent.back().command.seconds;
  }

  config::Protection protection;
  TemporaryDirectory directory;
  FakeLink link{2, 1};
  std::unique_ptr<BanStore> store;
};

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

TEST_CASE("bans and allowed sources outlive control and the data plane", "[control][bans]") {
  Scene scene;
  scene.attach();
  scene.banned();
  REQUIRE(scene.store->add({.prefix = prefix("192.0.2.0/24"), .seconds = 7200, .note = "ticket 7"},
                           scene.link.moment));
  REQUIRE(scene.store->allow(prefix("203.0.113.9")));
  scene.link.pass(seconds(60));
  scene.link.sent.clear();

  scene.start();  // without any word of farewell to the one before
  const auto rows = scene.rows();
  REQUIRE(rows.size() == 2);
  CHECK(rows[0].prefix == prefix("192.0.2.0/24"));
  CHECK(rows[0].reason == BanReason::manual);
  CHECK(rows[0].detail == "ticket 7");
  CHECK(rows[1].prefix == kStranger);
  scene.attach();
  const auto sent = scene.link.take(CommandType::ban);
  CHECK(sent.size() == 4);
  for (const auto& one : sent) {
    CHECK(one.command.seconds == (one.command.ban.prefix == kStranger ? 240 : 7140));
  }
  REQUIRE(scene.link.take(CommandType::allow).size() == 2);
  // The next ban is longer, as it would have been without a restart.
  scene.pass(seconds(240));
  scene.banned();
  CHECK(scene.ordered_s() == 1200);
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

  REQUIRE(scene.store->allow(kStranger));
  REQUIRE(scene.store->allow(kStranger));
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

  REQUIRE(scene.store->disallow(kStranger));
  CHECK(scene.link.take(CommandType::disallow).size() == 2);
  CHECK(scene.store->disallow(kStranger).error().code == ErrorCode::not_found);
  CHECK(scene.store->disallow(prefix("203.0.113.0/24")).error().code == ErrorCode::conflict);
}

TEST_CASE("orders wait while a ring is full, and are sent in their order", "[control][bans]") {
  Scene scene;
  scene.attach();
  scene.link.ring_full = true;
  REQUIRE(scene.store->add({.prefix = kStranger, .seconds = 60, .note = {}}, scene.link.moment));
  REQUIRE(scene.store->lift(kStranger, scene.link.moment));
  CHECK(scene.link.sent.empty());
  scene.link.ring_full = false;
  scene.store->run(scene.link.moment);
  REQUIRE(scene.link.sent.size() == 4);
  CHECK(scene.link.sent[0].command.type == CommandType::ban);
  CHECK(scene.link.sent[1].command.type == CommandType::lift_ban);
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

TEST_CASE("a file that cannot be used costs the memory of bans and nothing else", "[control][bans]") {
  Scene scene;
  scene.store.reset();
  const std::string bad = (scene.directory.path() / "bad.db").string();
  {
    std::ofstream file(bad);
    file << std::string(4096, 'x');
  }
  BanStore store(scene.protection, bad, scene.link.moment);
  CHECK_FALSE(store.problem().empty());
  store.attach(scene.link, 2, scene.link.moment);
  REQUIRE(store.add({.prefix = kStranger, .seconds = 60, .note = {}}, scene.link.moment));
  CHECK(store.rows({}, scene.link.moment).rows.size() == 1);
}
