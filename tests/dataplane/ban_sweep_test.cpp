// SPDX-License-Identifier: BSD-3-Clause
// A ban holds for flows that were there before it, although the express path asks nobody; and who is let in
// again comes back to the express path.
#include <catch2/catch.hpp>

#include <string>
#include <vector>

#include "dataplane/context.hpp"
#include "tests/support/pipeline_lab.hpp"

using namespace pinhole;
using namespace pinhole::test;
using dataplane::Bans;
using dataplane::WorkerCounter;
using ipc::BanReason;
using nat::Be16;
using nat::DropReason;
using nat::Endpoint;
using nat::Filter;
using nat::MappingFlags;
using nat::Protocol;

namespace {

constexpr unsigned kInside = PipelineLab::kInside;
constexpr unsigned kOutside = PipelineLab::kOutside;
const Endpoint kRemote = endpoint("198.51.100.66", 9000);
constexpr std::uint32_t kLong_s = 100'000;

config::Config with(Filter filter, unsigned workers) {
  auto config = lab_config(workers);
  config.nat.filtering.udp = filter;
  return config;
}

/// A flow that inside began, established on the express path both ways, of a host of the last worker.
struct Scene {
  explicit Scene(Filter filter = Filter::address_dependent, unsigned workers = 1)
      : lab(with(filter, workers)) {
    lab.add_neighbor(kOutside, address("203.0.113.254"));
    inside = {lab.host_of(workers - 1), Be16{4000}};
    REQUIRE(goes_out());
    external = lab.mapping(Protocol::udp, inside).external;
    REQUIRE(comes_in());
    REQUIRE(comes_in_by_express());
  }
  bool goes_out() { return lab.send(kInside, {.source = inside, .destination = kRemote}).size() == 1; }
  bool comes_in() { return lab.send(kOutside, {.source = kRemote, .destination = external}).size() == 1; }
  bool comes_in_by_express() {
    const auto before = lab.count(WorkerCounter::express);
    return comes_in() && lab.count(WorkerCounter::express) == before + 1;
  }
  dataplane::Guard& guard() { return lab.context(lab.workers() - 1).guard; }
  void ban(const char* prefix, BanReason reason) {
    REQUIRE(guard().ban({.prefix = *nat::Prefix::parse(prefix), .reason = reason}, kLong_s));
    lab.run();  // a few turns, as there always are
  }
  void lift(const char* prefix) { REQUIRE(guard().lift({.prefix = *nat::Prefix::parse(prefix)})); }

  PipelineLab lab;
  Endpoint inside;
  Endpoint external;
};

}  // namespace

TEST_CASE("an operator's ban holds at once for a flow that is established, and what is lifted comes back",
          "[pipeline][guard][express]") {
  for (const unsigned workers : {1U, 2U}) {
    for (const char* const prefix : {"198.51.100.66/32", "198.51.100.0/24"}) {
      CAPTURE(workers, prefix);
      Scene scene(Filter::address_dependent, workers);
      scene.ban(prefix, BanReason::manual);
      const auto before = scene.lab.count(WorkerCounter::express);
      CHECK_FALSE(scene.comes_in());
      CHECK_FALSE(scene.comes_in());
      CHECK(scene.lab.dropped(DropReason::drop_banned) == 2);
      CHECK(scene.lab.count(WorkerCounter::express) == before);
      CHECK(scene.goes_out());  // inside is not who is banned
      CHECK_FALSE(scene.comes_in());
      scene.lift(prefix);
      CHECK(scene.comes_in());
      CHECK(scene.comes_in_by_express());
      CHECK(scene.lab.buffers_in_use() == 0);
    }
  }
}

TEST_CASE("who is allowed comes in whatever ban there is, and who is allowed no more does not",
          "[pipeline][guard][express]") {
  Scene scene;
  const auto remote = *nat::Prefix::parse("198.51.100.66/32");
  REQUIRE(scene.guard().allow(remote));
  scene.ban("198.51.100.0/24", BanReason::manual);
  CHECK(scene.comes_in_by_express());
  REQUIRE(scene.guard().disallow(remote));
  scene.lab.run();
  CHECK_FALSE(scene.comes_in());
  REQUIRE(scene.guard().allow(remote));
  CHECK(scene.comes_in());
  CHECK(scene.comes_in_by_express());
}

TEST_CASE("a ban that ends by itself lets the flow back", "[pipeline][guard][express]") {
  Scene scene;
  REQUIRE(scene.guard().ban({.prefix = {kRemote.address, 32}}, 5));
  scene.lab.run();
  CHECK_FALSE(scene.comes_in());
  scene.lab.pass_s(6);
  CHECK(scene.comes_in());
  CHECK(scene.comes_in_by_express());
}

TEST_CASE("a ban that can be provoked cuts what stands open, and not what inside asked for",
          "[pipeline][guard][express]") {
  for (const auto reason :
       {BanReason::scanner, BanReason::failed_auth, BanReason::harvest, BanReason::rule}) {
    CAPTURE(static_cast<int>(reason));
    {
      Scene open(Filter::endpoint_independent);
      open.ban("198.51.100.66/32", reason);
      CHECK_FALSE(open.comes_in());
      CHECK(open.lab.dropped(DropReason::drop_banned) == 1);
    }
    Scene asked(Filter::address_dependent);
    asked.ban("198.51.100.66/32", reason);
    CHECK(asked.comes_in_by_express());
    // What he begins, he does not.
    CHECK(asked.lab.send(kOutside, {.source = kRemote, .destination = endpoint("203.0.113.1", 5)}).empty());
    CHECK(asked.lab.dropped(DropReason::drop_banned) == 1);
  }
}

TEST_CASE("which bans keep out of a mapping depends on whom it lets in", "[guard][express]") {
  struct Row {
    std::uint8_t flags;
    Filter filter;
    Bans bans;
  };
  for (const auto& row : {Row{0, Filter::endpoint_independent, Bans::all},
                          Row{0, Filter::address_dependent, Bans::of_operators},
                          Row{0, Filter::address_and_port_dependent, Bans::of_operators},
                          Row{MappingFlags::kStatic, Filter::address_dependent, Bans::all},
                          Row{MappingFlags::kPinhole, Filter::endpoint_independent, Bans::of_operators},
                          Row{MappingFlags::kPinhole, Filter::address_dependent, Bans::of_operators}}) {
    nat::Mapping mapping;
    mapping.flags = row.flags;
    mapping.filter = row.filter;
    CHECK(dataplane::bans_on(mapping) == row.bans);
  }
}

TEST_CASE("of thousands of flows those of who is banned are cut, and no others, while bans go on and on",
          "[pipeline][guard][express]") {
  auto config = lab_config();
  config.nat.mappings_per_worker = 4096;
  PipelineLab lab(config);
  lab.add_neighbor(kOutside, address("203.0.113.254"));
  auto& worker = lab.context(0);
  constexpr std::uint32_t kFlows = 3000;
  std::vector<Endpoint> inside;
  for (std::uint32_t i = 0; i < kFlows; ++i) {
    inside.push_back({lab.host_of(0, i / 100), Be16{static_cast<std::uint16_t>(10000 + i % 100)}});
    const Endpoint remote{nat::Ipv4Address::from_host(0xc6336400U + i % 200), Be16{9000}};
    REQUIRE(lab.send(kInside, {.source = inside[i], .destination = remote}).size() == 1);
    const auto external = lab.mapping(Protocol::udp, inside[i]).external;
    REQUIRE(lab.send(kOutside, {.source = remote, .destination = external}).size() == 1);
  }
  const auto cut = [&] {
    std::uint32_t count = 0;
    for (const auto& host : inside) count += lab.mapping(Protocol::udp, host).hop_in == nat::kNoHop;
    return count;
  };
  REQUIRE(cut() == 0);
  // A new ban with every turn: whoever provokes them keeps no mapping from being looked at.
  for (std::uint32_t turn = 0; turn < 100; ++turn) {
    const auto banned = nat::Ipv4Address::from_host(turn < 10 ? 0xc6336400U + turn : 0xc0000200U + turn);
    REQUIRE(worker.guard.ban({.prefix = {banned, 32}}, kLong_s));
    lab.turn(0);
  }
  CHECK(cut() == 10 * kFlows / 200);
  for (const auto& host : inside) {
    const auto& mapping = lab.mapping(Protocol::udp, host);
    const bool is_banned = mapping.remote.address.host() < 0xc6336400U + 10;
    REQUIRE((mapping.hop_in == nat::kNoHop) == is_banned);
    REQUIRE(mapping.hop_out != nat::kNoHop);
  }
}

TEST_CASE("mappings that are made while others are gone through are not left out when the next ban begins",
          "[guard][express]") {
  PipelineLab lab;
  auto& guard = lab.context(0).guard;
  auto& translator = lab.context(0).translator;
  std::vector<nat::MappingIndex> all;
  /// Flows on the express path, every tenth of them with each remote.
  const auto begin_flows = [&](std::uint32_t count) {
    for (std::uint32_t i = 0; i < count; ++i) {
      const auto number = static_cast<std::uint32_t>(all.size());
      const Endpoint remote{nat::Ipv4Address::from_host(0xc6336400U + number % 10), Be16{9000}};
      const Endpoint inside{lab.host_of(0, number / 100),
                            Be16{static_cast<std::uint16_t>(10000 + number % 100)}};
      const auto made = translator.create(Protocol::udp, inside, remote, 1);
      REQUIRE(made.reason == DropReason::none);
      translator[made.index].hop_in = 1;
      all.push_back(made.index);
    }
  };
  const auto is_cut = [&](std::uint32_t number) { return translator[all[number]].hop_in == nat::kNoHop; };
  const auto ban = [&](std::uint32_t number) {
    const nat::Prefix remote{nat::Ipv4Address::from_host(0xc6336400U + number), 32};
    REQUIRE(guard.ban({.prefix = remote, .reason = BanReason::manual}, kLong_s));
  };
  dataplane::BanSweep sweep;
  begin_flows(200);
  ban(0);
  sweep.run(guard, translator, 130);
  CHECK(is_cut(120));
  CHECK_FALSE(is_cut(130));
  begin_flows(300);
  ban(1);
  for (int piece = 0; piece < 4; ++piece) {
    sweep.run(guard, translator, 90);
    begin_flows(20);
  }
  sweep.run(guard, translator, 140);
  for (std::uint32_t number = 0; number < 500; ++number) {
    CAPTURE(number);
    REQUIRE(is_cut(number) == (number % 10 < 2));
  }
}
