// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/hop_table.hpp"

#include <catch2/catch.hpp>

#include <memory>
#include <random>
#include <set>
#include <vector>

#include "tests/nat/test_nat.hpp"

namespace pinhole::dataplane {

namespace {

using nat::HopNumber;
using nat::Ipv4Address;
using nat::kNoHop;
using nat::MappingIndex;
using nat::Tick;

constexpr std::uint32_t kMany = HopTable::kMaxHops;

constexpr Ipv4Address neighbor(std::uint32_t n) {
  return Ipv4Address::from_host(0x0a000001 + n);
}
constexpr Hop hop(std::uint32_t n) {
  return {.next_hop = neighbor(n), .interface = 0};
}

/// A table of hops, with the neighbours that it asks and the mappings that hold its numbers.
class HopLab {
 public:
  explicit HopLab(std::uint32_t mappings = 100)
      : memory_(NeighborTable::bytes_needed()), table_(memory_.span()), nat({.mappings = mappings}) {
    network_.interfaces.resize(2);
    network_.interfaces[0].mtu = 1400;
    network_.interfaces[1].vlan = 7;
    network_.neighbors = &table_;
    hops = std::make_unique<HopTable>(network_);
  }

  void learn(std::uint32_t n) {
    const nat::MacAddress mac{{2, 0, 0, 0, static_cast<std::uint8_t>(n >> 8U), static_cast<std::uint8_t>(n)}};
    REQUIRE(table_.learn(0, neighbor(n), mac, true, now_, [](void*) {}));
  }
  /// Neighbours that are not among those that stay are forgotten.
  void forget_all_but(std::uint32_t first, std::uint32_t end) {
    const Tick until = now_ + nat::ticks_from_s(2 * NeighborTable::kFresh_s);
    for (; now_ < until; ++now_) {
      if (now_ % nat::ticks_from_s(10) == 0)
        for (std::uint32_t n = first; n < end; ++n) learn(n);
      table_.tick(now_, [](const NeighborQuestion&) {}, [](void*) {});
    }
    REQUIRE(table_.size() == end - first);
  }
  void refresh(unsigned ticks) {
    for (; ticks > 0; --ticks) hops->refresh(nat.nat);
  }
  /// A mapping that holds the number of a hop.
  MappingIndex open(std::uint16_t port, std::uint32_t n) {
    const MappingIndex index = nat.open(nat::Protocol::udp, nat::inside(1, port));
    nat.nat[index].hop_out = hops->number_of(hop(n));
    return index;
  }
  [[nodiscard]] bool is_ready(HopNumber number) const { return (*hops)[number].mtu != 0; }

 private:
  nat::TableMemory memory_;
  NeighborTable table_;
  Network network_{.ports = {},
                   .interfaces = {},
                   .routes = {},
                   .arp_answers = {},
                   .subscribers = {},
                   .steering = {1, {}, {}, {}, {}, {}},
                   .statics = {},
                   .untranslated = {},
                   .rings = {},
                   .tcp = {}};
  Tick now_ = 1;

 public:
  nat::TestNat nat;
  std::unique_ptr<HopTable> hops;
};

}  // namespace

TEST_CASE("a hop has one number, and only one that leads somewhere has any", "[dataplane][hop_table]") {
  HopLab lab;
  CHECK(lab.hops->number_of(hop(1)) == kNoHop);  // nobody has answered
  lab.learn(1);
  lab.learn(2);
  const HopNumber first = lab.hops->number_of(hop(1));
  const HopNumber second = lab.hops->number_of(hop(2));
  CHECK(first != kNoHop);
  CHECK(second != kNoHop);
  CHECK(first != second);
  CHECK(lab.hops->number_of(hop(1)) == first);
  CHECK((*lab.hops)[first].hop == hop(1));
  CHECK((*lab.hops)[first].mtu == 1400);
  CHECK(lab.hops->number_of({.next_hop = neighbor(1), .interface = 1}) == kNoHop);  // tagged
  CHECK(lab.hops->number_of({.next_hop = neighbor(1), .interface = 2}) == kNoHop);  // there is no such
  CHECK(lab.hops->size() == 2);
}

TEST_CASE("a hop whose neighbour has gone fits no packet until it is back, under its number",
          "[dataplane][hop_table]") {
  HopLab lab;
  lab.learn(1);
  const HopNumber number = lab.hops->number_of(hop(1));
  lab.forget_all_but(0, 0);
  lab.refresh(1);
  CHECK_FALSE(lab.is_ready(number));
  lab.learn(1);
  lab.refresh(1);
  CHECK(lab.is_ready(number));
  CHECK(lab.hops->number_of(hop(1)) == number);
  CHECK(lab.hops->reclaimed() == 0);  // there is room
}

TEST_CASE("a full table has no number for another hop, and takes back those of hops that have gone",
          "[dataplane][hop_table]") {
  HopLab lab;
  std::set<HopNumber> numbers;
  for (std::uint32_t n = 0; n < kMany; ++n) {
    lab.learn(n);
    numbers.insert(lab.hops->number_of(hop(n)));
  }
  CHECK(numbers.size() == kMany);
  CHECK_FALSE(numbers.contains(kNoHop));
  CHECK(lab.hops->size() == kMany);
  const MappingIndex stays = lab.open(1000, 5);
  const MappingIndex goes = lab.open(1001, kMany - 1);
  lab.nat.nat[goes].hop_in = lab.hops->number_of(hop(7));
  lab.nat.nat[stays].hop_in = lab.hops->number_of(hop(kMany - 2));
  lab.refresh(10);
  CHECK(lab.hops->reclaimed() == 0);  // all of them live

  constexpr std::uint32_t kStay = kMany / 2;
  lab.forget_all_but(0, kStay);
  lab.learn(kMany);
  CHECK(lab.hops->number_of(hop(kMany)) == kNoHop);
  const HopNumber before = lab.nat.nat[stays].hop_out;
  lab.refresh(10);
  CHECK(lab.hops->reclaimed() == kMany - kStay);
  CHECK(lab.hops->size() == kStay);
  CHECK(lab.nat.nat[stays].hop_out == before);
  CHECK(lab.nat.nat[stays].hop_in == kNoHop);
  CHECK(lab.nat.nat[goes].hop_out == kNoHop);
  CHECK(lab.nat.nat[goes].hop_in == lab.hops->number_of(hop(7)));
  for (std::uint32_t n = 0; n < kStay; ++n) {
    const HopNumber number = lab.hops->number_of(hop(n));
    REQUIRE((*lab.hops)[number].hop == hop(n));
    REQUIRE(lab.is_ready(number));
  }
  // There is room for as many again.
  std::set<HopNumber> given;
  for (std::uint32_t n = kMany; n < kMany + kMany - kStay; ++n) {
    lab.learn(n);
    const HopNumber number = lab.hops->number_of(hop(n));
    REQUIRE(number != kNoHop);
    REQUIRE((*lab.hops)[number].hop == hop(n));
    given.insert(number);
  }
  CHECK(given.size() == kMany - kStay);
  CHECK(lab.hops->size() == kMany);
}

TEST_CASE("while mappings are gone through, a hop that has come back gets no number",
          "[dataplane][hop_table]") {
  constexpr std::uint32_t kTicks = 5;
  constexpr std::uint32_t kMappings = kTicks * HopTable::kMappingsAtOnce;
  HopLab lab(kMappings + 10);
  for (std::uint32_t n = 0; n < kMany; ++n) {
    lab.learn(n);
    REQUIRE(lab.hops->number_of(hop(n)) != kNoHop);
  }
  for (std::uint32_t n = 0; n < kMappings; ++n) lab.open(static_cast<std::uint16_t>(1024 + n), n % kMany);
  lab.forget_all_but(0, 1);
  lab.refresh(1);
  for (std::uint32_t tick = 1; tick < kTicks; ++tick) {
    lab.learn(9);
    CHECK(lab.hops->number_of(hop(9)) == kNoHop);
    CHECK(lab.hops->number_of(hop(0)) != kNoHop);
    lab.refresh(1);
    CHECK(lab.hops->reclaimed() == 0);
  }
  lab.refresh(1);
  CHECK(lab.hops->reclaimed() == kMany - 1);
  const HopNumber number = lab.hops->number_of(hop(9));
  CHECK(number != kNoHop);
  for (MappingIndex index = 0; index < kMappings; ++index) {
    const HopNumber held = lab.nat.nat[index].hop_out;
    REQUIRE((held == kNoHop || (*lab.hops)[held].hop == hop(0)));
  }
}

TEST_CASE("no mapping ever names a hop that is not its own", "[dataplane][hop_table]") {
  const auto seed = Catch::rngSeed();
  CAPTURE(seed);
  std::mt19937 random(seed);
  constexpr std::uint32_t kFlows = 3000;
  HopLab lab(kFlows + 10);
  struct Flow {
    MappingIndex mapping;
    std::uint32_t neighbor;
  };
  std::vector<Flow> flows;
  lab.learn(0);
  for (std::uint16_t i = 0; i < kFlows; ++i)
    flows.push_back(
        {lab.nat.open(nat::Protocol::udp, nat::inside(1, static_cast<std::uint16_t>(1024 + i))), 0});
  std::uint32_t first = 0;
  for (unsigned round = 0; round < 8; ++round) {
    const auto stay = static_cast<std::uint32_t>(random() % 1500);
    for (std::uint32_t n = first; n < first + kMany; ++n) lab.learn(n);
    for (auto& flow : flows) {
      // A flow that moves says so, as one does whose remote changes.
      if (random() % 3 != 0) {
        flow.neighbor = first + static_cast<std::uint32_t>(random() % kMany);
        lab.nat.nat[flow.mapping].hop_out = kNoHop;
      }
      auto& mapping = lab.nat.nat[flow.mapping];
      if (mapping.hop_out == kNoHop) mapping.hop_out = lab.hops->number_of(hop(flow.neighbor));
    }
    for (unsigned step = 0; step < 12; ++step) {
      if (step == 3) lab.forget_all_but(first, first + stay);
      lab.refresh(1);
      for (const auto& flow : flows) {
        const HopNumber number = lab.nat.nat[flow.mapping].hop_out;
        if (number == kNoHop || !lab.is_ready(number)) continue;
        REQUIRE((*lab.hops)[number].hop == hop(flow.neighbor));
      }
    }
    lab.forget_all_but(0, 0);
    first += kMany;
  }
  CHECK(lab.hops->reclaimed() > kMany);
}

}  // namespace pinhole::dataplane
