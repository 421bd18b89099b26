// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/registration_table.hpp"

#include <catch2/catch.hpp>
#include <map>
#include <random>
#include <string>
#include <vector>

#include "tests/nat/table_memory.hpp"

using namespace pinhole;
using namespace pinhole::dataplane;

namespace {

constexpr nat::Endpoint phone(unsigned n) {
  return {nat::Ipv4Address::from_host(0x0a000000 + n), nat::Be16{5060}};
}
constexpr nat::Endpoint kExternal = {nat::Ipv4Address::from_host(0xcb007101), nat::Be16{40000}};
constexpr nat::Endpoint kRegistrar = {nat::Ipv4Address::from_host(0xc6336401), nat::Be16{5060}};

struct Registrations {
  explicit Registrations(std::uint32_t capacity = 8)
      : cards(capacity),
        memory(RegistrationTable::bytes_needed(capacity)),
        table(cards, 5, memory.span(), counters) {}

  CardIndex grant(std::string_view aor, nat::Endpoint inside, nat::Tick expires = 1000) {
    return table.grant({.aor = aor, .inside = inside, .external = kExternal, .registrar = kRegistrar},
                       expires);
  }
  std::vector<CardIndex> expire(nat::Tick now, std::uint32_t budget = 1024) {
    std::vector<CardIndex> expired;
    table.tick(now, budget, [&](CardIndex index) noexcept {
      expired.push_back(index);
      table.remove(index);
    });
    return expired;
  }

  std::vector<ipc::Shared<ipc::RegistrationCard>> cards;
  nat::TableMemory memory;
  nat::CounterBlock<WorkerCounter> counters;
  RegistrationTable table;
};

}  // namespace

TEST_CASE("a binding is found by address of record and inside endpoint", "[dataplane][registration_table]") {
  Registrations r;
  const auto index = r.grant("sip:alice@example.com", phone(1));
  CHECK(r.table.find("sip:alice@example.com", phone(1)) == index);
  CHECK(r.table.find("sip:alice@example.com", phone(2)) == kNoCard);
  CHECK(r.table.find("sip:bob@example.com", phone(1)) == kNoCard);
  const auto& card = r.table.card(index);
  CHECK(card.in_use);
  CHECK(card.aor.view() == "sip:alice@example.com");
  CHECK(card.external == kExternal);
  CHECK(card.registrar == kRegistrar);
  CHECK(r.counters.read(WorkerCounter::registration_live) == 1);
}

TEST_CASE("a binding is found by address of record and inside host, whatever its port",
          "[dataplane][registration_table]") {
  Registrations r;
  const nat::Endpoint other_port = {phone(1).address, nat::Be16{5062}};
  const auto index = r.grant("sip:alice@example.com", other_port);
  CHECK(r.table.find("sip:alice@example.com", phone(1)) == kNoCard);
  CHECK(r.table.find_on("sip:alice@example.com", phone(1).address) == index);
  CHECK(r.table.find_on("sip:bob@example.com", phone(1).address) == kNoCard);
  CHECK(r.table.find_on("sip:alice@example.com", phone(2).address) == kNoCard);
  r.table.remove(index);
  CHECK(r.table.find_on("sip:alice@example.com", phone(1).address) == kNoCard);
}

TEST_CASE("a refresh keeps the card and moves its end", "[dataplane][registration_table][AC-01]") {
  Registrations r;
  const auto index = r.grant("sip:alice@example.com", phone(1), 1000);
  const auto generation = r.table.card(index).generation;
  CHECK(r.grant("sip:alice@example.com", phone(1), 2000) == index);
  CHECK(r.table.card(index).generation == generation);
  CHECK(r.table.size() == 1);
  CHECK(r.expire(1999).empty());
  CHECK(r.expire(2000) == std::vector<CardIndex>{index});
  CHECK(r.table.size() == 0);
  CHECK(r.counters.read(WorkerCounter::registration_live) == 0);
}

TEST_CASE("an inside endpoint has bindings until the last one is gone", "[dataplane][registration_table]") {
  Registrations r;
  const auto alice = r.grant("sip:alice@example.com", phone(1));
  const auto bob = r.grant("sip:bob@example.com", phone(1));
  r.table.remove(alice);
  CHECK(r.table.has_any(phone(1)));
  r.table.remove(bob);
  CHECK_FALSE(r.table.has_any(phone(1)));
}

TEST_CASE("ways in of no binding are known until they end, and the first to end gives way to others",
          "[dataplane][registration_table]") {
  Registrations r(1);  // with room for five
  const auto way = [](unsigned host) { return Target{phone(host), nat::Protocol::udp}; };
  const auto is_kept = [&](Target of, nat::Tick now) { return r.table.way_until(of, now) != now; };
  for (unsigned host = 0; host < 5; ++host) r.table.note_way(way(host), 100 + 10 * host, 50);
  for (unsigned host = 0; host < 5; ++host) {
    CAPTURE(host);
    CHECK(is_kept(way(host), 99 + 10 * host));
    CHECK_FALSE(is_kept(way(host), 100 + 10 * host));
  }
  CHECK_FALSE(is_kept({phone(1), nat::Protocol::tcp}, 50));
  CHECK_FALSE(is_kept(way(5), 50));
  r.table.note_way(way(1), 90, 50);
  CHECK(is_kept(way(1), 109));
  r.table.note_way(way(1), 150, 50);
  CHECK(r.table.way_until(way(1), 149) == 150);
  r.table.note_way(way(5), 200, 50);
  CHECK_FALSE(is_kept(way(0), 50));
  for (unsigned host = 1; host <= 5; ++host) CHECK(is_kept(way(host), 50));
  r.table.note_way(way(6), 135, 125);  // in the place of one that has ended
  for (const unsigned host : {1U, 3U, 4U, 5U, 6U}) CHECK(is_kept(way(host), 125));
}

TEST_CASE("a full table of registrations refuses and counts, but still refreshes",
          "[dataplane][registration_table]") {
  Registrations r(2);
  r.grant("sip:1@example.com", phone(1));
  const auto second = r.grant("sip:2@example.com", phone(2));
  CHECK(r.grant("sip:3@example.com", phone(3)) == kNoCard);
  CHECK(r.counters.read(WorkerCounter::registration_table_full) == 1);
  CHECK(r.grant("sip:2@example.com", phone(2), 5000) == second);
  CHECK(r.counters.read(WorkerCounter::registration_table_full) == 1);
}

TEST_CASE("addresses of record that are longer than the card are told apart",
          "[dataplane][registration_table]") {
  Registrations r;
  const std::string beginning = "sip:" + std::string(120, 'a');
  const auto one = r.grant(beginning + "1", phone(1));
  const auto other = r.grant(beginning + "2", phone(1));
  CHECK(one != other);
  CHECK(r.table.find(beginning + "2", phone(1)) == other);
}

TEST_CASE("registrations agree with a map under random operations", "[dataplane][registration_table]") {
  const auto seed = std::random_device{}();
  INFO("seed " << seed);
  std::mt19937 random(seed);
  Registrations r(64);
  std::map<std::pair<std::string, unsigned>, CardIndex> oracle;
  for (int i = 0; i < 20'000; ++i) {
    const auto aor = "sip:" + std::to_string(random() % 12) + "@example.com";
    const auto host = static_cast<unsigned>(random() % 12);
    const auto known = oracle.find({aor, host});
    const auto found = r.table.find(aor, phone(host));
    REQUIRE(found == (known == oracle.end() ? kNoCard : known->second));
    if (found != kNoCard && random() % 2 == 0) {
      r.table.remove(found);
      oracle.erase(known);
    } else if (const auto index = r.grant(aor, phone(host)); index != kNoCard) {
      oracle[{aor, host}] = index;
    } else {
      REQUIRE(oracle.size() == 64);
    }
    bool any = false;
    for (const auto& [binding, index] : oracle) any = any || binding.second == host;
    REQUIRE(r.table.has_any(phone(host)) == any);
  }
}
