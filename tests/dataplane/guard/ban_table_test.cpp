// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/guard/ban_table.hpp"

#include <catch2/catch.hpp>

#include <cstdint>
#include <map>
#include <random>
#include <vector>

#include "tests/support/sip_bench.hpp"

using namespace pinhole;
using namespace pinhole::test;
using dataplane::BanTable;
using ipc::BanReason;

namespace {

struct Table {
  std::vector<ipc::BanSlot> slots{BanTable::kCapacity};
  BanTable table{slots, 99};

  bool ban(const char* prefix, BanReason reason = BanReason::scanner, nat::Tick until = 100,
           nat::Tick now = 1) {
    return table.ban(*nat::Prefix::parse(prefix), reason, until, now);
  }
  bool hits(const char* source, nat::Tick now = 1) { return table.hits(address(source), now); }
};

}  // namespace

TEST_CASE("who is banned is hit until the ban ends, and nobody else is", "[guard][ban]") {
  Table bans;
  CHECK(bans.table.empty());
  REQUIRE(bans.ban("192.0.2.7"));
  CHECK(bans.hits("192.0.2.7"));
  CHECK_FALSE(bans.hits("192.0.2.8"));
  CHECK(bans.hits("192.0.2.7", 99));
  CHECK_FALSE(bans.hits("192.0.2.7", 100));
  CHECK(bans.table.size() == 1);
  bans.table.expire(100, BanTable::kCapacity);
  CHECK(bans.table.empty());
}

TEST_CASE("a prefix bans all of its hosts, and is lifted as a whole", "[guard][ban]") {
  Table bans;
  REQUIRE(bans.ban("198.51.100.0/24", BanReason::manual));
  REQUIRE(bans.ban("0.0.0.0/0", BanReason::manual));
  CHECK(bans.hits("198.51.100.255"));
  CHECK(bans.hits("8.8.8.8"));
  CHECK_FALSE(bans.table.lift(*nat::Prefix::parse("198.51.100.0/25")));
  CHECK(bans.table.lift(*nat::Prefix::parse("0.0.0.0/0")));
  CHECK_FALSE(bans.hits("8.8.8.8"));
  CHECK(bans.hits("198.51.100.1"));
  CHECK(bans.table.lift(*nat::Prefix::parse("198.51.100.0/24")));
  CHECK_FALSE(bans.table.lift(*nat::Prefix::parse("198.51.100.0/24")));
  CHECK(bans.table.empty());
}

TEST_CASE("a ban that is given again has a new end and keeps its hits", "[guard][ban]") {
  Table bans;
  REQUIRE(bans.ban("192.0.2.7"));
  CHECK(bans.hits("192.0.2.7"));
  REQUIRE(bans.ban("192.0.2.7", BanReason::failed_auth, 500));
  CHECK(bans.table.size() == 1);
  CHECK(bans.hits("192.0.2.7", 400));
  const auto slot = std::find_if(bans.slots.begin(), bans.slots.end(),
                                 [](const ipc::BanSlot& each) { return each.until.load() != 0; });
  REQUIRE(slot != bans.slots.end());
  CHECK(slot->hits.load() == 2);
  CHECK(slot->reason.load() == BanReason::failed_auth);
}

TEST_CASE("a ban of a worker changes none of an operator, and makes none end earlier", "[guard][ban]") {
  struct Row {
    const char* what;
    BanReason first;
    nat::Tick first_until;
    BanReason second;
    nat::Tick second_until;
    nat::Tick until;  // of what there is then
    BanReason reason;
  };
  using enum BanReason;
  const nat::Tick now = GENERATE(10U, 0xfffffff0U);  // ticks wrap
  const auto row = GENERATE(Row{"an operator's", manual, 500, scanner, 100, 500, manual},
                            Row{"an operator's that is shorter", manual, 100, scanner, 500, 100, manual},
                            Row{"one that is longer", failed_auth, 500, scanner, 100, 500, failed_auth},
                            Row{"one that is shorter", failed_auth, 100, scanner, 500, 500, scanner},
                            Row{"a longer one by an operator", scanner, 500, manual, 100, 100, manual},
                            Row{"an operator's by an operator", manual, 500, manual, 100, 100, manual},
                            Row{"an operator's that is over", manual, 0, scanner, 100, 100, scanner});
  CAPTURE(row.what, now);
  Table bans;
  REQUIRE(bans.ban("192.0.2.7", row.first, now + row.first_until, now));
  REQUIRE(bans.ban("192.0.2.7", row.second, now + row.second_until, now));
  CHECK(bans.table.size() == 1);
  CHECK(bans.hits("192.0.2.7", now + row.until - 1));
  CHECK_FALSE(bans.hits("192.0.2.7", now + row.until));
  const auto slot = std::find_if(bans.slots.begin(), bans.slots.end(),
                                 [](const ipc::BanSlot& each) { return each.until.load() != 0; });
  REQUIRE(slot != bans.slots.end());
  CHECK(slot->reason.load() == row.reason);
}

TEST_CASE("bans of operators are told from those of workers, and each one that begins is counted",
          "[guard][ban]") {
  Table bans;
  const auto holds = [&](const char* source, dataplane::Bans which) {
    return bans.table.holds(address(source), 1, which);
  };
  REQUIRE(bans.ban("192.0.2.7", BanReason::scanner));
  REQUIRE(bans.ban("198.51.100.0/24", BanReason::manual));
  CHECK(bans.table.begun() == 2);
  CHECK(holds("192.0.2.7", dataplane::Bans::all));
  CHECK_FALSE(holds("192.0.2.7", dataplane::Bans::of_operators));
  CHECK(holds("198.51.100.9", dataplane::Bans::of_operators));
  CHECK_FALSE(holds("192.0.2.8", dataplane::Bans::all));
  // A worker's ban of a host does not hide that of its subnet.
  REQUIRE(bans.ban("198.51.100.9", BanReason::scanner));
  CHECK(holds("198.51.100.9", dataplane::Bans::of_operators));
  REQUIRE(bans.ban("192.0.2.7", BanReason::manual));
  CHECK(holds("192.0.2.7", dataplane::Bans::of_operators));
  CHECK(bans.table.begun() == 4);
  REQUIRE(bans.ban("192.0.2.7", BanReason::scanner, 50));  // changes nothing
  REQUIRE(bans.table.lift(*nat::Prefix::parse("192.0.2.7/32")));
  CHECK(bans.table.begun() == 4);
  for (const auto& slot : bans.slots) CHECK(slot.hits.load() == 0);
}

TEST_CASE("a full table gives up what would end first, and nothing of an operator for a worker",
          "[guard][ban]") {
  Table bans;
  REQUIRE(bans.ban("192.0.2.7", BanReason::manual, 50));
  for (std::uint32_t i = 0; i < 100'000; ++i) {
    const nat::Prefix prefix{nat::Ipv4Address::from_host(0x14000000 + i), 32};
    REQUIRE(bans.table.ban(prefix, BanReason::scanner, 1000 + i, 1));
  }
  CHECK(bans.table.size() <= BanTable::kCapacity);
  CHECK(bans.hits("192.0.2.7"));
  CHECK(bans.table.hits(nat::Ipv4Address::from_host(0x14000000 + 99'999), 1));
  CHECK_FALSE(bans.table.hits(nat::Ipv4Address::from_host(0x14000000), 1));
}

TEST_CASE("there is room for so many prefixes, and no more", "[guard][ban]") {
  Table bans;
  for (std::uint32_t i = 0; i <= BanTable::kPrefixes; ++i) {
    const nat::Prefix prefix{nat::Ipv4Address::from_host(0x14000000 + (i << 8)), 24};
    CHECK(bans.table.ban(prefix, BanReason::manual, 1000 + i, 1));
  }
  CHECK(bans.table.size() == BanTable::kPrefixes);
  CHECK_FALSE(bans.hits("20.0.0.1"));  // the one that would have ended first
  CHECK(bans.hits("20.0.1.1"));
}

TEST_CASE("whatever is banned, lifted and over, operators' bans are told from those of workers",
          "[guard][ban]") {
  struct Model {
    bool manual;
    nat::Tick until;
  };
  const auto seed = std::random_device{}();
  CAPTURE(seed);
  std::mt19937 random(seed);
  const auto below = [&](std::uint32_t end) { return static_cast<std::uint32_t>(random() % end); };
  Table bans;
  std::map<std::uint32_t, Model> model;
  nat::Tick now = 1;
  for (int step = 0; step < 20'000; ++step) {
    // Few enough that no set is ever full.
    const std::uint32_t host = 0xc0000200U + below(4);
    const nat::Prefix prefix{nat::Ipv4Address::from_host(host), 32};
    const auto known = model.find(host);
    const bool holds = known != model.end() && !nat::reached(known->second.until, now);
    switch (below(8)) {
      case 0:
      case 1: {
        const nat::Tick until = now + 1 + below(50);
        REQUIRE(bans.table.ban(prefix, BanReason::manual, until, now));
        model[host] = {true, until};
        break;
      }
      case 2:
      case 3: {
        const nat::Tick until = now + 1 + below(50);
        REQUIRE(bans.table.ban(prefix, BanReason::scanner, until, now));
        if (!holds || (!known->second.manual && known->second.until <= until)) model[host] = {false, until};
        break;
      }
      case 4:
        bans.table.lift(prefix);
        model.erase(host);
        break;
      case 5:
        bans.table.expire(now, BanTable::kCapacity);
        break;
      default:
        now += below(10);
        break;
    }
    for (std::uint32_t i = 0; i < 4; ++i) {
      const auto source = nat::Ipv4Address::from_host(0xc0000200U + i);
      const auto each = model.find(source.host());
      const bool is_banned = each != model.end() && !nat::reached(each->second.until, now);
      REQUIRE(bans.table.holds(source, now, dataplane::Bans::all) == is_banned);
      REQUIRE(bans.table.holds(source, now, dataplane::Bans::of_operators) ==
              (is_banned && each->second.manual));
    }
  }
}
