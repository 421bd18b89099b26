// SPDX-License-Identifier: BSD-3-Clause
// How many calls there may be: the numbers that workers keep, and what is refused by them.
#include "dataplane/call_limits.hpp"

#include <catch2/catch.hpp>
#include <random>
#include <string>
#include <unordered_map>
#include <vector>

#include "tests/dataplane/calls_lab.hpp"

using namespace pinhole;
using namespace pinhole::dataplane;
using alg::Verdict;
using alg::sip::Method;

namespace {

nat::Ipv4Address address(std::uint32_t number) {
  return nat::Ipv4Address::from_host(number);
}

TestMessage invite(nat::Endpoint phone, const std::string& call_id) {
  TestMessage message;
  message.phone = phone;
  message.call_id = call_id;
  message.media = {{endpoint(phone.address, 4000), endpoint(phone.address, 4001)}};
  return message;
}

TestMessage answer(const TestMessage& invite, std::uint16_t status) {
  TestMessage message;
  message.phone = invite.phone;
  message.call_id = invite.call_id;
  message.status = status;
  message.to_tag = "callee";
  message.direction = alg::Direction::inbound;
  return message;
}

TestMessage bye(const TestMessage& invite) {
  TestMessage message;
  message.phone = invite.phone;
  message.call_id = invite.call_id;
  message.method = Method::bye;
  message.to_tag = "callee";
  return message;
}

void hang_up(Lab& lab, unsigned worker, const TestMessage& invite) {
  lab.inspect(worker, bye(invite));
  auto done = answer(invite, 200);
  done.method = Method::bye;
  lab.inspect(worker, done);
}

bool begins(Lab& lab, unsigned worker, const TestMessage& message) {
  return lab.inspect(worker, message).verdict == Verdict::forward;
}

std::uint32_t live(const CallTable& calls) {
  return calls.counts().active();
}

}  // namespace

TEST_CASE("numbers by address are what was counted", "[dataplane][call_limits]") {
  constexpr std::uint32_t kAddresses = 200;
  const auto seed = GENERATE(take(3, random(0U, ~0U)));
  CAPTURE(seed);
  nat::TableMemory memory(AddressCounts::bytes_needed(kAddresses));
  nat::Carver carver(memory.span());
  AddressCounts counts(kAddresses, seed, carver);
  std::mt19937 random(seed);
  std::unordered_map<std::uint32_t, std::uint32_t> oracle;
  for (int step = 0; step < 20'000; ++step) {
    const auto which = static_cast<std::uint32_t>(random() % kAddresses);
    if (random() % 2 == 0 || oracle[which] == 0) {
      counts.add(address(which));
      ++oracle[which];
    } else {
      counts.remove(address(which));
      --oracle[which];
    }
    REQUIRE(counts.count(address(which)) == oracle[which]);
    REQUIRE(counts.has_room(address(which)));
  }
  for (const auto& [which, count] : oracle) CHECK(counts.count(address(which)) == count);
  CHECK(counts.count(address(kAddresses)) == 0);
}

TEST_CASE("an address that finds no place is not counted, and does no harm", "[dataplane][call_limits]") {
  nat::TableMemory memory(AddressCounts::bytes_needed(1));
  nat::Carver carver(memory.span());
  AddressCounts counts(1, 7, carver);  // one group
  for (std::uint32_t i = 0; i < AddressCounts::kGroup; ++i) counts.add(address(i));
  CHECK_FALSE(counts.has_room(address(99)));
  CHECK(counts.has_room(address(3)));
  counts.add(address(99));
  CHECK(counts.count(address(99)) == 0);
  counts.remove(address(99));
  counts.remove(address(3));
  CHECK(counts.has_room(address(99)));
}

TEST_CASE("a host has as many calls as it may, until one of them has ended", "[dataplane][call_limits]") {
  Lab lab({.limits = {.per_host = 2}});
  const auto phone = lab.phone_of(0);
  const auto first = invite(phone, "1");
  REQUIRE(begins(lab, 0, first));
  REQUIRE(begins(lab, 0, invite(phone, "2")));
  const auto events = lab[0].events.size();
  CHECK_FALSE(begins(lab, 0, invite(phone, "3")));
  CHECK(lab[0].calls.size() == 2);
  CHECK(lab[0].events.size() == events);
  CHECK(lab[0].stats.worker.read(WorkerCounter::call_active) == 2);
  SECTION("another host may") {
    CHECK(begins(lab, 0, invite(lab.phone_of(0, 1), "4")));
  }
  SECTION("what belongs to a call that lives passes") {
    CHECK(begins(lab, 0, first));  // sent again
    lab.inspect(0, answer(first, 200));
    auto again = invite(phone, "1");
    again.to_tag = "callee";
    again.cseq = 2;
    CHECK(begins(lab, 0, again));
    CHECK(lab.inspect(0, bye(first)).verdict == Verdict::forward);
  }
  SECTION("while the ports of a call linger, the next may begin") {
    lab.inspect(0, answer(first, 200));
    hang_up(lab, 0, first);
    CHECK(lab[0].calls.size() == 2);
    CHECK(live(lab[0].calls) == 1);
    CHECK(begins(lab, 0, invite(phone, "3")));
  }
  SECTION("a call that is closed in the middle counts no more") {
    for (CardIndex card = 0; card < lab[0].calls.capacity(); ++card) {
      if (lab[0].calls.card(card).call_id.view() == "1")
        REQUIRE(lab[0].host.close_call(card, lab[0].calls.card(card).generation, ipc::EndReason::lost));
    }
    CHECK(begins(lab, 0, invite(phone, "3")));
  }
}

TEST_CASE("a To tag that no call has lets nobody over a limit", "[dataplane][call_limits]") {
  Lab lab({.limits = {.per_host = 1}});
  const auto phone = lab.phone_of(0);
  auto made_up = invite(phone, "1");
  made_up.to_tag = "made-up";
  REQUIRE(begins(lab, 0, made_up));
  made_up.call_id = "2";
  CHECK_FALSE(begins(lab, 0, made_up));
  CHECK(live(lab[0].calls) == 1);
}

TEST_CASE("a call that is tried again counts as one, and is asked about again", "[dataplane][call_limits]") {
  Lab lab({.limits = {.per_host = 1}});
  const auto phone = lab.phone_of(0);
  const auto first = invite(phone, "1");
  REQUIRE(begins(lab, 0, first));
  lab.inspect(0, answer(first, 407));
  CHECK(live(lab[0].calls) == 0);
  auto again = first;
  again.cseq = 2;
  again.to_tag = GENERATE("", "made-up");
  CAPTURE(again.to_tag);
  SECTION("as long as there is room") {
    CHECK(begins(lab, 0, again));
    CHECK(live(lab[0].calls) == 1);
    CHECK_FALSE(begins(lab, 0, invite(phone, "2")));
  }
  SECTION("and not when another has begun meanwhile") {
    REQUIRE(begins(lab, 0, invite(phone, "2")));
    CHECK_FALSE(begins(lab, 0, again));
    CHECK(live(lab[0].calls) == 1);
  }
}

TEST_CASE("the calls of all workers count, in all and by server", "[dataplane][call_limits]") {
  config::CallLimits limits;
  SECTION("in all") {
    limits.total = 3;
  }
  SECTION("by server") {
    limits.per_server = 3;
  }
  Lab lab({.workers = 2, .limits = limits});
  const auto first = invite(lab.phone_of(0), "1");
  REQUIRE(begins(lab, 0, first));
  REQUIRE(begins(lab, 1, invite(lab.phone_of(1), "2")));
  REQUIRE(begins(lab, 1, invite(lab.phone_of(1, 1), "3")));
  CHECK_FALSE(begins(lab, 0, invite(lab.phone_of(0, 1), "4")));
  CHECK_FALSE(begins(lab, 1, invite(lab.phone_of(1, 2), "5")));
  lab.inspect(0, answer(first, 486));
  CHECK(begins(lab, 1, invite(lab.phone_of(1, 2), "5")));
  CHECK_FALSE(begins(lab, 0, invite(lab.phone_of(0, 1), "4")));
}

TEST_CASE("a limit by server leaves other servers alone", "[dataplane][call_limits]") {
  nat::TableMemory memory(CallCounts::bytes_needed(8));
  nat::Carver carver(memory.span());
  CallCounts own(8, 1, carver);
  const std::vector<const CallCounts*> all = {&own};
  CallLimits limits({.per_server = 1}, all, own);
  own.begin(address(1), address(100));
  CHECK_FALSE(limits.admits(address(2), address(100), true, 1));
  CHECK(limits.admits(address(2), address(101), true, 1));
  own.end(address(1), address(100));
  CHECK(limits.admits(address(2), address(100), true, 1));
}

TEST_CASE("calls a second are one bucket for all workers", "[dataplane][call_limits]") {
  Lab lab({.workers = 2, .limits = {.per_s = 2, .burst = 4}});
  int number = 0;
  const auto try_one = [&](unsigned worker) {
    const auto id = std::to_string(number);
    return begins(lab, worker, invite(lab.phone_of(worker, static_cast<unsigned>(number++)), id));
  };
  const auto try_many = [&](int calls) {
    int begun = 0;
    for (int i = 0; i < calls; ++i) begun += try_one(static_cast<unsigned>(i % 2)) ? 1 : 0;
    return begun;
  };
  lab.pass_s(1);
  CHECK(try_many(10) == 4);
  lab.pass_s(1);
  CHECK(try_many(10) == 2);
  // A worker that has nothing to do does not save up what the other one uses.
  int begun = 0;
  for (int second = 0; second < 10; ++second) {
    lab.pass_s(1);
    for (int i = 0; i < 5; ++i) begun += try_one(0) ? 1 : 0;
  }
  CHECK(begun == 20);
  CHECK_FALSE(try_one(1));
  lab.pass_s(60);
  CHECK(try_many(10) == 4);
}

TEST_CASE("a call that is tried again takes nothing from calls a second", "[dataplane][call_limits]") {
  Lab lab({.limits = {.per_s = 1}});
  const auto phone = lab.phone_of(0);
  lab.pass_s(1);
  const auto first = invite(phone, "1");
  REQUIRE(begins(lab, 0, first));
  CHECK_FALSE(begins(lab, 0, invite(phone, "2")));
  lab.inspect(0, answer(first, 407));
  CHECK(begins(lab, 0, first));
}
