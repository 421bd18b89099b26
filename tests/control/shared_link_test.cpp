// SPDX-License-Identifier: BSD-3-Clause
#include "control/shared_link.hpp"

#include <chrono>

#include "control/heartbeat_watch.hpp"
#include "tests/control/shared_scene.hpp"

#include <catch2/catch.hpp>

#include <fmt/format.h>

namespace pinhole::control {

namespace {

using namespace std::chrono_literals;

constexpr std::uint64_t kHz = 1'000'000'000;
constexpr std::uint64_t kStart = 5 * kHz;

struct Scene : test::SharedScene {
  Scene() { clock.sample(kStart + 100 * kHz, wall); }
  Time wall{std::chrono::hours(1000)};
  DataplaneClock clock{kStart, kHz};
  MappingView mappings{*layout, config::Timeouts{}};
  SharedLink link{attachment, clock, mappings};
};

TEST_CASE("a command comes to the ring of its worker, whole and numbered", "[control][shared_link]") {
  Scene scene;
  CHECK(scene.link.send(
      1, {.type = ipc::CommandType::keep_call, .card = 3, .card_generation = 9, .seconds = 180}));
  CHECK(scene.link.send(1, {.type = ipc::CommandType::close_call, .card = 4, .card_generation = 1}));
  ipc::Command command;
  CHECK_FALSE(scene.workers[0]->commands.pop(command));
  REQUIRE(scene.workers[1]->commands.pop(command));
  CHECK(command.type == ipc::CommandType::keep_call);
  CHECK(command.abi_version == ipc::kAbiVersion);
  CHECK(command.card == 3);
  CHECK(command.card_generation == 9);
  CHECK(command.seconds == 180);
  CHECK(command.sequence == command.sequence_again);
  const auto first = command.sequence;
  REQUIRE(scene.workers[1]->commands.pop(command));
  CHECK(command.sequence == first + 1);
}

TEST_CASE("a full ring and a worker that does not exist take no command", "[control][shared_link]") {
  Scene scene;
  for (unsigned i = 0; i + 1 < test::SharedScene::kRingSize; ++i) CHECK(scene.link.send(0, {}));
  CHECK_FALSE(scene.link.send(0, {}));
  CHECK_FALSE(scene.link.send(2, {}));
}

TEST_CASE("cards are read within bounds only", "[control][shared_link]") {
  Scene scene;
  scene.workers[0]->calls[1].write([](ipc::CallCard& card) { card.call_hash = 42; });
  CHECK(scene.link.call_card(0, 1)->call_hash == 42);
  CHECK_FALSE(scene.link.call_card(0, test::SharedScene::kCards));
  CHECK_FALSE(scene.link.call_card(2, 0));
  CHECK(scene.link.registration_card(1, 0));
  CHECK_FALSE(scene.link.registration_card(1, test::SharedScene::kCards));
  CHECK(scene.link.call_capacity(2) == 0);
}

TEST_CASE("a card whose worker is stuck in a write is not read", "[control][shared_link]") {
  Scene scene;
  scene.workers[0]->calls[1].write([&](ipc::CallCard&) { CHECK_FALSE(scene.link.call_card(0, 1)); });
  CHECK(scene.link.call_card(0, 1));
}

TEST_CASE("media is what the open pinholes of a card last saw", "[control][shared_link]") {
  Scene scene;
  ipc::CallCard card;
  CHECK(scene.link.media(card).open == 0);
  scene.open(0, 0, 500);
  scene.open(1, 1, 700);
  scene.open(0, 2, 900).generation.store(8);  // another mapping has the place
  card.pinhole_count = 3;
  card.pinholes[0] = {.inside = {}, .external = {}, .mapping = 0, .generation = 2, .worker = 0};
  card.pinholes[1] = {.inside = {}, .external = {}, .mapping = 1, .generation = 2, .worker = 1};
  card.pinholes[2] = {.inside = {}, .external = {}, .mapping = 2, .generation = 2, .worker = 0};
  const auto media = scene.link.media(card);
  CHECK(media.open == 2);
  CHECK(media.last_seen == 700);
}

TEST_CASE("ticks and TSC are told as wall time", "[control][dataplane_clock]") {
  const Scene scene;
  CHECK(scene.link.tick() == 1000);
  CHECK(scene.link.time_of(1000) == scene.wall);
  CHECK(scene.link.time_of(950) == scene.wall - 5s);
  CHECK(scene.link.time_of(1050) == scene.wall + 5s);
  CHECK(scene.clock.at_tsc(kStart + 98 * kHz) == scene.wall - 2s);
  CHECK(scene.clock.at_tsc(kStart + 101 * kHz) == scene.wall + 1s);
}

TEST_CASE("ten missed beats are a heart that stopped", "[control][heartbeat]") {
  const Steady start{1h};
  HeartbeatWatch heart(5, start);
  CHECK(heart.look(5, start + 900ms));
  CHECK(heart.look(6, start + 950ms));
  CHECK(heart.look(6, start + 1900ms));
  CHECK_FALSE(heart.look(6, start + 1950ms));
  CHECK(heart.look(7, start + 2000ms));
}

TEST_CASE("a layout of another version is refused in one sentence that names both", "[control][attach]") {
  const Scene scene;
  CHECK(check_layout(*scene.layout));
  scene.layout->abi_version = ipc::kAbiVersion + 1;
  const auto refused = check_layout(*scene.layout);
  REQUIRE_FALSE(refused);
  CHECK(config::exit_status(refused.error().code) == 2);
  CHECK(refused.error().message.find(fmt::format("ABI version {} and this control speaks {}",
                                                 ipc::kAbiVersion + 1, ipc::kAbiVersion)) !=
        std::string::npos);
  scene.layout->abi_version = ipc::kAbiVersion;
  scene.layout->magic = 1;
  CHECK_FALSE(check_layout(*scene.layout));
}

TEST_CASE("nobody is the primary of a prefix that nobody uses", "[control][attach]") {
  CHECK_FALSE(find_primary(primary_config_path("pinhole-test-nobody")));
}

}  // namespace

}  // namespace pinhole::control
