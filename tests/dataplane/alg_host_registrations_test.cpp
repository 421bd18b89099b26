// SPDX-License-Identifier: BSD-3-Clause
// The registrations and subscriptions of one worker, and the ways in that they keep.
#include <catch2/catch.hpp>

#include <string_view>
#include <vector>

#include "dataplane/alg_host.hpp"
#include "tests/dataplane/calls_lab.hpp"

using namespace pinhole;
using namespace pinhole::dataplane;
using alg::sip::Method;
using ipc::EventType;

namespace {

alg::sip::Binding binding(nat::Endpoint phone, std::string_view aor, std::uint32_t expires_s) {
  return {.aor = aor,
          .inside = phone,
          .external = endpoint(kPoolAddress, 40000),
          .registrar = kProvider,
          .expires_s = expires_s};
}

TestMessage registered(nat::Endpoint phone, std::string_view aor, std::uint32_t expires_s) {
  TestMessage message;
  message.phone = phone;
  message.method = Method::register_;
  message.status = 200;
  message.direction = alg::Direction::inbound;
  message.bindings = {binding(phone, aor, expires_s)};
  return message;
}
}  // namespace

TEST_CASE("a registration keeps the way in open for as long as it was granted",
          "[dataplane][alg_host][AC-01]") {
  Lab lab;
  const auto phone = lab.phone_of(0);
  lab.inspect(0, registered(phone, "sip:alice@example.com", 3600));
  REQUIRE(lab[0].events.size() == 1);
  CHECK(lab[0].events[0].type == EventType::registration);
  CHECK(lab[0].events[0].registration.expires_s == 3600);
  lab.pass_s(3599);
  CHECK(lab[0].registrations.size() == 1);
  CHECK(lab[0].translator.find_outbound(nat::Protocol::udp, phone) != nat::kNoMapping);
  lab.pass_s(1);
  CHECK(lab[0].registrations.size() == 0);
  CHECK(lab[0].events.back().registration.expires_s == 0);
  lab.pass_s(31);  // a refresh may be late
  CHECK(lab[0].translator.find_outbound(nat::Protocol::udp, phone) != nat::kNoMapping);
  lab.pass_s(2);
  CHECK(lab[0].translator.find_outbound(nat::Protocol::udp, phone) == nat::kNoMapping);
}

TEST_CASE("a contact that is withdrawn lets its way in go", "[dataplane][alg_host][AC-01]") {
  Lab lab;
  const auto phone = lab.phone_of(0);
  lab.inspect(0, registered(phone, "sip:alice@example.com", 3600));
  lab.pass_s(600);
  lab.inspect(0, registered(phone, "sip:alice@example.com", 0));
  CHECK(lab[0].registrations.size() == 0);
  CHECK(lab[0].events.back().registration.expires_s == 0);
  CHECK(lab[0].events.back().registration.card_generation == lab[0].events[0].registration.card_generation);
  lab.pass_s(299);
  CHECK(lab[0].translator.find_outbound(nat::Protocol::udp, phone) != nat::kNoMapping);
  lab.pass_s(2);
  CHECK(lab[0].translator.find_outbound(nat::Protocol::udp, phone) == nat::kNoMapping);
  const auto events = lab[0].events.size();
  lab.inspect(0, registered(phone, "sip:nobody@example.com", 0));
  CHECK(lab[0].events.size() == events);
}

TEST_CASE("a phone that listens elsewhere than it sends from withdraws its contact all the same",
          "[dataplane][alg_host][AC-11]") {
  Lab lab;
  const auto phone = lab.phone_of(0);
  auto message = registered(phone, "sip:alice@example.com", 3600);
  message.bindings[0].inside = endpoint(phone.address, 5062);
  lab.inspect(0, message);
  lab.inspect(0, registered(lab.phone_of(0, 1), "sip:alice@example.com", 3600));
  CHECK(lab[0].registrations.size() == 2);
  lab.inspect(0, registered(phone, "sip:alice@example.com", 0));
  CHECK(lab[0].registrations.size() == 1);
  CHECK(lab[0].registrations.find("sip:alice@example.com", lab.phone_of(0, 1)) != kNoCard);
}

TEST_CASE("of two accounts on a phone, one that leaves does not shut out the other",
          "[dataplane][alg_host][AC-01][AC-17]") {
  Lab lab;
  const auto phone = lab.phone_of(0);
  lab.inspect(0, registered(phone, "sip:alice@example.com", 3600));
  lab.inspect(0, registered(phone, "sip:bob@example.com", 60));
  CHECK(lab[0].registrations.size() == 2);
  lab.pass_s(61);
  CHECK(lab[0].registrations.size() == 1);
  lab.pass_s(3000);
  CHECK(lab[0].translator.find_outbound(nat::Protocol::udp, phone) != nat::kNoMapping);
}

TEST_CASE("a registration without a free card still keeps its way in open", "[dataplane][alg_host]") {
  Lab lab({.registrations = 1});
  lab.inspect(0, registered(lab.phone_of(0, 0), "sip:alice@example.com", 3600));
  lab.inspect(0, registered(lab.phone_of(0, 1), "sip:bob@example.com", 3600));
  CHECK(lab[0].events.size() == 1);
  CHECK(lab[0].stats.worker.read(WorkerCounter::registration_table_full) == 1);
  lab.pass_s(3000);
  CHECK(lab[0].translator.find_outbound(nat::Protocol::udp, lab.phone_of(0, 1)) != nat::kNoMapping);
}

TEST_CASE("ten thousand phones with one inside port and user part are each reached for as long as granted",
          "[dataplane][alg_host][AC-01][AC-17]") {
  constexpr unsigned kPhones = 10'000;
  Lab lab({.registrations = 16384, .mappings = 16384});
  const auto phone_of = [](unsigned n) {
    return endpoint(nat::Ipv4Address::from_host(0x0a010000U + n), 5060);
  };
  for (unsigned n = 0; n < kPhones; ++n)
    lab.inspect(0, registered(phone_of(n), "sip:alice@" + std::to_string(n) + ".example.com", 3600));
  CHECK(lab[0].registrations.size() == kPhones);
  lab.pass_s(3599);
  CHECK(lab[0].registrations.size() == kPhones);
  std::vector<bool> seen(65536);
  unsigned reached = 0;
  for (unsigned n = 0; n < kPhones; ++n) {
    const auto index = lab[0].translator.find_outbound(nat::Protocol::udp, phone_of(n));
    if (index == nat::kNoMapping || !lab[0].translator.admits(index, kProvider, lab.now)) continue;
    const auto port = lab[0].translator[index].external.port.host();
    if (!seen[port]) ++reached;
    seen[port] = true;
  }
  CHECK(reached == kPhones);
  lab.pass_s(400);
  CHECK(lab[0].registrations.size() == 0);
  CHECK(lab[0].translator.table().size() == 0);
}

TEST_CASE("the registrar gets in for as long as was granted, whoever the phone spoke to first",
          "[dataplane][alg_host][AC-01]") {
  Lab lab;
  const auto phone = lab.phone_of(0);
  const auto first = endpoint(nat::Ipv4Address::from_host(0xc6336433), 3478);  // a STUN server, say
  REQUIRE(lab[0].translator.create(nat::Protocol::udp, phone, first, lab.now).index != nat::kNoMapping);
  lab.inspect(0, registered(phone, "sip:alice@example.com", 3600));
  lab.pass_s(3600);
  const auto index = lab[0].translator.find_outbound(nat::Protocol::udp, phone);
  REQUIRE(index != nat::kNoMapping);
  CHECK(lab[0].translator.admits(index, kProvider, lab.now));
}

TEST_CASE("a contact that the registrar no longer lists is gone", "[dataplane][alg_host][AC-01]") {
  Lab lab;
  const auto phone = lab.phone_of(0);
  const auto other = endpoint(phone.address, 5070);
  auto both = registered(phone, "sip:alice@example.com", 3600);
  both.bindings.push_back(binding(other, "sip:alice@example.com", 3600));
  lab.inspect(0, both);
  CHECK(lab[0].registrations.size() == 2);
  lab.inspect(0, registered(lab.phone_of(0, 1), "sip:alice@example.com", 3600));  // another phone of hers
  CHECK(lab[0].registrations.size() == 3);
  lab.inspect(0, registered(phone, "sip:alice@example.com", 3600));
  CHECK(lab[0].registrations.size() == 2);
  CHECK(lab[0].registrations.find("sip:alice@example.com", other) == kNoCard);
}

TEST_CASE("of a long list of contacts, those of the phone that asked are kept",
          "[dataplane][alg_host][AC-01][AC-17]") {
  constexpr unsigned kPhones = 20;  // of one address of record; 16 contacts of an answer are kept
  const auto aor = "sip:alice@example.com";
  for (const bool has_two : {false, true}) {
    DYNAMIC_SECTION((has_two ? "two contacts each" : "one contact each")) {
      Lab lab;
      std::vector<alg::sip::Binding> all;
      for (unsigned n = 0; n < kPhones; ++n) {
        const auto phone = lab.phone_of(0, n);
        all.push_back(binding(phone, aor, 3600));
        if (has_two) all.push_back(binding(endpoint(phone.address, 5070), aor, 3600));
        auto message = registered(phone, aor, 3600);
        message.bindings = all;
        lab.inspect(0, message);
      }
      CHECK(lab[0].registrations.size() == all.size());
      lab.pass_s(3000);
      for (unsigned n = 0; n < kPhones; ++n) {
        INFO(n);
        CHECK(lab[0].translator.find_outbound(nat::Protocol::udp, lab.phone_of(0, n)) != nat::kNoMapping);
      }
    }
  }
}

TEST_CASE("a subscription keeps its way in for as long as was granted", "[dataplane][alg_host][rfc6665]") {
  Lab lab;
  TestMessage accepted;
  accepted.phone = lab.phone_of(0);
  accepted.direction = alg::Direction::inbound;
  accepted.method = Method::subscribe;
  accepted.status = 200;
  accepted.expires_s = 3600;
  lab.inspect(0, accepted);
  lab.pass_s(3600);
  const auto index = lab[0].translator.find_outbound(nat::Protocol::udp, accepted.phone);
  REQUIRE(index != nat::kNoMapping);
  CHECK(lab[0].translator.admits(index, kProvider, lab.now));
  lab.pass_s(100);
  CHECK(lab[0].translator.find_outbound(nat::Protocol::udp, accepted.phone) == nat::kNoMapping);
}
