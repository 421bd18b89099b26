// SPDX-License-Identifier: BSD-3-Clause
#include "control/mapping_view.hpp"

#include <atomic>
#include <thread>

#include "tests/control/shared_scene.hpp"

#include <catch2/catch.hpp>

namespace pinhole::control {

namespace {

constexpr nat::Tick kNow = 10'000;
constexpr Page kAll{.offset = 0, .limit = 1000};

struct Scene : test::SharedScene {
  Paged<MappingRow> rows(const MappingFilter& filter = {}, Page page = kAll) {
    return view.rows(filter, page, kNow);
  }
  MappingView view{*layout, config::Timeouts{}};
};

TEST_CASE("lines that are free, changing or above the high water are left out", "[control][mapping_view]") {
  Scene scene;
  scene.open(0, 0);
  scene.open(0, 1).generation.store(3);
  scene.open(1, 2);
  scene.open(1, 7);
  scene.workers[1]->high_water = 7;
  const auto rows = scene.rows();
  REQUIRE(rows.total == 2);
  CHECK(rows.rows[0].worker == 0);
  CHECK(rows.rows[0].inside.port.host() == 1000);
  CHECK(rows.rows[1].worker == 1);
  CHECK(rows.rows[1].inside.port.host() == 1002);
}

TEST_CASE("a high water that is out of bounds is not followed", "[control][mapping_view]") {
  Scene scene;
  scene.open(0, 0);
  scene.workers[0]->high_water = 1'000'000;
  CHECK(scene.rows().total == 1);
}

TEST_CASE("rows come in pages and the total is of all", "[control][mapping_view]") {
  Scene scene;
  for (nat::MappingIndex i = 0; i < 5; ++i) scene.open(0, i);
  const auto page = scene.rows({}, {.offset = 3, .limit = 10});
  CHECK(page.total == 5);
  REQUIRE(page.rows.size() == 2);
  CHECK(page.rows[0].inside.port.host() == 1003);
  CHECK(scene.rows({}, {.offset = 9, .limit = 10}).rows.empty());
}

TEST_CASE("mappings are filtered by protocol and endpoints", "[control][mapping_view]") {
  Scene scene;
  scene.open(0, 1).protocol = nat::Protocol::tcp;
  auto& with_remote = scene.open(0, 2);
  with_remote.remote = {nat::Ipv4Address::from_host(0xc6336401), nat::Be16{5060}};
  with_remote.flags = nat::MappingFlags::kHasRemote;
  scene.open(0, 3);

  CHECK(scene.rows({.protocol = nat::Protocol::tcp, .inside = {}, .external = {}, .remote = {}}).total == 1);
  const EndpointFilter inside{.prefix = *nat::Prefix::parse("10.0.0.3"), .port = 1003};
  CHECK(scene.rows({.protocol = {}, .inside = inside, .external = {}, .remote = {}}).total == 1);
  const EndpointFilter external{.prefix = *nat::Prefix::parse("203.0.113.0/24"), .port = {}};
  CHECK(scene.rows({.protocol = {}, .inside = {}, .external = external, .remote = {}}).total == 3);
  const EndpointFilter anyone{.prefix = *nat::Prefix::parse("0.0.0.0/0"), .port = {}};
  const auto remote = scene.rows({.protocol = {}, .inside = {}, .external = {}, .remote = anyone});
  REQUIRE(remote.total == 1);
  CHECK(remote.rows[0].remote == with_remote.remote);
}

TEST_CASE("a row says how long the mapping has been idle and when it expires", "[control][mapping_view]") {
  struct Case {
    const char* name;
    nat::TimeoutClass timeout_class;
    std::uint8_t flags;
    nat::Tick last_seen;
    nat::Tick keep_until;
    std::uint32_t idle_s;
    std::optional<std::uint32_t> expires_s;
    MappingKind kind;
  };
  using enum nat::TimeoutClass;
  const Case cases[] = {
      {"UDP", udp, 0, kNow - 100, 0, 10, 290, MappingKind::dynamic},
      {"TCP", tcp_established, 0, kNow, 0, 0, 7440, MappingKind::dynamic},
      {"TCP that opens", tcp_opening, 0, kNow - 100, 0, 10, 230, MappingKind::dynamic},
      {"TCP that is closed", tcp_closing, 0, kNow - 200, 0, 20, 220, MappingKind::dynamic},
      {"a pinhole", media, nat::MappingFlags::kPinhole, kNow - 200, 0, 20, 100, MappingKind::pinhole},
      {"a pinhole that is kept", media, nat::MappingFlags::kPinhole, kNow - 200, kNow + 1800, 20, 180,
       MappingKind::pinhole},
      {"a promise shorter than the time-out", udp, 0, kNow, kNow + 10, 0, 300, MappingKind::dynamic},
      {"a forward", permanent, nat::MappingFlags::kStatic, kNow - 100, 0, 10, std::nullopt,
       MappingKind::forward},
      {"overdue", icmp, 0, kNow - 5000, 0, 500, 0, MappingKind::dynamic},
      {"seen after the clock was read", udp, 0, kNow + 3, 0, 0, 300, MappingKind::dynamic},
  };
  for (const auto& row : cases) {
    DYNAMIC_SECTION(row.name) {
      Scene scene;
      auto& line = scene.open(0, 0, row.last_seen);
      line.timeout_class = row.timeout_class;
      line.flags = row.flags;
      line.keep_until = row.keep_until;
      const auto shown = scene.rows().rows.at(0);
      CHECK(shown.idle_s == row.idle_s);
      CHECK(shown.expires_s == row.expires_s);
      CHECK(shown.kind == row.kind);
    }
  }
}

TEST_CASE("what a pinhole's meter says is read with it, when there are meters",
          "[control][mapping_view][rtp]") {
  Scene scene;
  auto& line = scene.open(1, 3);
  ipc::PinholeRef open{
      .inside = line.inside, .external = line.external, .mapping = 3, .generation = 2, .worker = 1};
  CHECK_FALSE(scene.view.state(open)->usage.measured);

  scene.layout->workers[1].meters = scene.workers[1]->meters.data();
  scene.workers[1]->meters[3] = {.out = {.bytes = 10, .packets = 1},
                                 .in = {.bytes = 20,
                                        .packets = 2,
                                        .lost = 3,
                                        .repeated = 4,
                                        .jitter = 5 * 16 + 15,
                                        .jitter_max = 6 * 16,
                                        .gap_max_us = 7,
                                        .sources = 8}};
  const auto state = scene.view.state(open);
  REQUIRE(state);
  REQUIRE(state->usage.measured);
  const auto& measured = *state->usage.measured;
  CHECK(measured.bytes_out == 10);
  CHECK(measured.bytes_in == 20);
  REQUIRE((measured.rtp_out && measured.rtp_in));
  CHECK(measured.rtp_out->packets == 1);
  CHECK(measured.rtp_in->packets == 2);
  CHECK(measured.rtp_in->lost == 3);
  CHECK(measured.rtp_in->repeated == 4);
  CHECK(measured.rtp_in->jitter_us == 5);
  CHECK(measured.rtp_in->jitter_max_us == 6);
  CHECK(measured.rtp_in->gap_max_us == 7);
  CHECK(measured.rtp_in->sources == 8);

  open.is_rtcp = true;
  CHECK(scene.view.state(open)->usage.measured->bytes_in == 20);
  CHECK_FALSE(scene.view.state(open)->usage.measured->rtp_in);
  open.protocol = nat::Protocol::tcp;
  CHECK_FALSE(scene.view.state(open)->usage.measured);
  line.generation.store(4);
  CHECK_FALSE(scene.view.state(open));
}

TEST_CASE("a pinhole is shown while its mapping is the one that was opened", "[control][mapping_view]") {
  Scene scene;
  auto& line = scene.open(1, 3, kNow - 50);
  line.packets_in = 5;
  const ipc::PinholeRef open{
      .inside = line.inside, .external = line.external, .mapping = 3, .generation = 2, .worker = 1};
  const auto row = scene.view.pinhole(open, "id", kNow);
  REQUIRE(row);
  CHECK(row->call == "id");
  CHECK(row->worker == 1);
  CHECK(row->idle_s == 5);
  CHECK(row->packets_in == 5);
  CHECK(scene.view.last_seen(open) == kNow - 50);

  line.generation.store(4);
  CHECK_FALSE(scene.view.pinhole(open, "id", kNow));
  CHECK_FALSE(scene.view.last_seen(open));
  ipc::PinholeRef nowhere = open;
  nowhere.mapping = nat::kNoMapping;
  CHECK_FALSE(scene.view.last_seen(nowhere));
  nowhere = open;
  nowhere.worker = 2;
  CHECK_FALSE(scene.view.last_seen(nowhere));
}

TEST_CASE("a copy is never of two mappings, whatever the worker does", "[control][mapping_view]") {
  Scene scene;
  auto& line = scene.open(0, 0);
  std::atomic<bool> stop{false};
  std::thread worker([&] {
    // As a worker: odd, change, even. The port and the address say the same.
    for (std::uint32_t round = 0; !stop; ++round) {
      const auto generation = line.generation.load(std::memory_order_relaxed);
      line.generation.store(generation + 1, std::memory_order_relaxed);
      std::atomic_thread_fence(std::memory_order_release);
      const auto value = static_cast<std::uint16_t>(round);
      line.inside = {nat::Ipv4Address::from_host(value), nat::Be16{value}};
      line.packets_in = value;
      line.generation.store(generation + 2, std::memory_order_release);
    }
  });
  nat::Mapping copy;
  int copied = 0;
  int torn = 0;
  for (int i = 0; i < 200'000 || copied == 0; ++i) {
    if (!copy_mapping(line, copy)) continue;
    ++copied;
    // The line that open() wrote has these two apart.
    if (copy.generation.load() == 2) continue;
    if (copy.inside.address.host() != copy.inside.port.host() || copy.packets_in != copy.inside.port.host()) {
      ++torn;
    }
  }
  stop = true;
  worker.join();
  CHECK(torn == 0);
}

}  // namespace

}  // namespace pinhole::control
