// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/foreign.hpp"

#include <catch2/catch.hpp>
#include <set>
#include <vector>

#include "tests/dataplane/calls_lab.hpp"

using namespace pinhole;
using namespace pinhole::dataplane;
using State = QuestionTable::State;

namespace {

PeerMessage question(unsigned host, PeerMessageType type = PeerMessageType::external_of) {
  PeerMessage message;
  message.type = type;
  message.first = endpoint(nat::Ipv4Address::from_host(0x0a000000 + host), 5060);
  return message;
}

PeerMessage answered(PeerMessage message) {
  message.is_answer = true;
  message.state = alg::LookupState::found;
  message.first = endpoint(kPoolAddress, 40000);
  return message;
}

}  // namespace

TEST_CASE("a question is asked once, and its answer is found by the same question", "[dataplane][foreign]") {
  QuestionTable table;
  auto asked = question(1);
  CHECK(table.find(asked, 10).state == State::unknown);
  REQUIRE(table.add(asked, 10));
  CHECK(asked.ticket != kNoTicket);
  CHECK(table.find(question(1), 11).state == State::asked);
  CHECK(table.find(question(1), 11).ticket == asked.ticket);
  REQUIRE(table.take(answered(asked), 12));
  const auto found = table.find(question(1), 13);
  REQUIRE(found.state == State::answered);
  CHECK(found.answer->first == endpoint(kPoolAddress, 40000));
  CHECK(table.find(question(1, PeerMessageType::inside_of), 13).state == State::unknown);
  CHECK(table.find(question(2), 13).state == State::unknown);
}

TEST_CASE("an answer that comes twice, late or to nobody is not taken", "[dataplane][foreign]") {
  QuestionTable table;
  auto asked = question(1);
  REQUIRE(table.add(asked, 10));
  REQUIRE(table.take(answered(asked), 11));
  CHECK_FALSE(table.take(answered(asked), 12));
  table.forget(asked.ticket);
  CHECK(table.find(question(1), 12).state == State::unknown);
  CHECK_FALSE(table.take(answered(asked), 12));
  auto again = question(1);
  REQUIRE(table.add(again, 13));
  CHECK(again.ticket != asked.ticket);
  CHECK_FALSE(table.take(answered(asked), 14));
  CHECK_FALSE(table.take(PeerMessage{}, 14));
}

TEST_CASE("a question without answer is forgotten after its time", "[dataplane][foreign]") {
  QuestionTable table;
  auto asked = question(1);
  REQUIRE(table.add(asked, 10));
  CHECK(table.find(question(1), 10 + QuestionTable::kLifetime).state == State::unknown);
  unsigned unused = 0;
  const auto count = [&](const PeerMessage&) noexcept { ++unused; };
  table.expire(10 + QuestionTable::kLifetime - 1, QuestionTable::kCapacity, count);
  CHECK(table.size() == 1);
  table.expire(10 + QuestionTable::kLifetime, QuestionTable::kCapacity, count);
  CHECK(table.size() == 0);
  CHECK(unused == 0);
}

TEST_CASE("an answer that no message came for is handed to whoever must undo it", "[dataplane][foreign]") {
  QuestionTable table;
  auto asked = question(1);
  REQUIRE(table.add(asked, 10));
  REQUIRE(table.take(answered(asked), 15));
  std::vector<Ticket> unused;
  const auto note = [&](const PeerMessage& message) noexcept { unused.push_back(message.ticket); };
  table.expire(14 + QuestionTable::kLifetime, QuestionTable::kCapacity, note);
  CHECK(unused.empty());
  table.expire(15 + QuestionTable::kLifetime, QuestionTable::kCapacity, note);
  CHECK(unused == std::vector<Ticket>{asked.ticket});
}

TEST_CASE("questions beyond the table's room are refused, and there is room again later",
          "[dataplane][foreign]") {
  QuestionTable table;
  std::set<Ticket> tickets;
  unsigned host = 0;
  for (;; ++host) {
    auto asked = question(host);
    if (!table.add(asked, 10)) break;
    CHECK(tickets.insert(asked.ticket).second);
    REQUIRE(host < QuestionTable::kCapacity);
  }
  CHECK(table.size() == tickets.size());
  CHECK(tickets.size() > QuestionTable::kCapacity / 4);
  auto refused = question(host);
  CHECK(table.add(refused, 10 + QuestionTable::kLifetime));
  CHECK(table.size() == tickets.size());
}

TEST_CASE("an owner answers out of its own translator", "[dataplane][foreign]") {
  Lab lab({.workers = 2});
  auto& owner = lab[1];
  PeerMessage ask;
  ask.type = PeerMessageType::external_of;
  ask.first = lab.phone_of(1);
  ask.second = kProvider;
  REQUIRE(answer(ask, owner.endpoints, lab.now));
  CHECK(ask.is_answer);
  REQUIRE(ask.state == alg::LookupState::found);
  const auto index = owner.translator.find_outbound(nat::Protocol::udp, lab.phone_of(1));
  REQUIRE(index != nat::kNoMapping);
  CHECK(owner.translator[index].external == ask.first);
  CHECK((owner.translator[index].flags & nat::MappingFlags::kSip) != 0);
  CHECK(owner.translator.admits(index, kProvider, lab.now));

  PeerMessage candidate;
  candidate.type = PeerMessageType::candidate_of;
  candidate.first = endpoint(lab.phone_of(1).address, 40000);
  REQUIRE(answer(candidate, owner.endpoints, lab.now));
  REQUIRE(candidate.state == alg::LookupState::found);
  const auto media =
      owner.translator.find_outbound(nat::Protocol::udp, endpoint(lab.phone_of(1).address, 40000));
  REQUIRE(media != nat::kNoMapping);
  CHECK(owner.translator[media].external == candidate.first);
  CHECK((owner.translator[media].flags & (nat::MappingFlags::kSip | nat::MappingFlags::kPinhole)) == 0);
  CHECK_FALSE(owner.translator.admits(media, kProvider, lab.now));

  PeerMessage back;
  back.type = PeerMessageType::inside_of;
  back.first = ask.first;
  REQUIRE(answer(back, owner.endpoints, lab.now));
  CHECK(back.state == alg::LookupState::found);
  CHECK(back.first == lab.phone_of(1));

  back.type = PeerMessageType::inside_of;
  back.first = endpoint(kProvider.address, 5060);
  REQUIRE(answer(back, owner.endpoints, lab.now));
  CHECK(back.state == alg::LookupState::none);

  PeerMessage close;
  close.type = PeerMessageType::close_media;
  CHECK_FALSE(answer(close, owner.endpoints, lab.now));
}
