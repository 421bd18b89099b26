// SPDX-License-Identifier: BSD-3-Clause
// A flood in the names of a hundred thousand others, beside a hundred who are good.
#include <catch2/catch.hpp>

#include <string>

#include "tests/dataplane/guard/guard_lab.hpp"

using namespace pinhole;
using namespace pinhole::test;
using alg::Direction;
using alg::Verdict;
using dataplane::WorkerCounter;
using ipc::GuardNews;

namespace {

constexpr std::uint32_t kGood = 100;
constexpr std::uint32_t kFaked = 100'000;

nat::Ipv4Address good(std::uint32_t n) {
  return nat::Ipv4Address::from_host(0xc6336400 + n);
}
nat::Ipv4Address faked(std::uint32_t n) {
  return nat::Ipv4Address::from_host(0x14000000 + n * 37);
}

ipc::RateLimits usual_limits() {
  auto limits = no_limits();
  limits.sources = {.known = {500, 5000}, .unknown = {50, 500}, .all_unknown = {1000, 5000}};
  limits.methods[static_cast<std::size_t>(alg::sip::Method::register_)] = {100, 1000};
  limits.subscribers = {.known = {200, 2000}, .unknown = {20, 200}, .all_unknown = {}};
  limits.servers = {.known = {2000, 20000}, .unknown = {500, 5000}, .all_unknown = {}};
  limits.flows = {.known = {1000, 5000}, .unknown = {100, 500}, .all_unknown = {5000, 10000}};
  limits.fragments = {.known = {2000, 10000}, .unknown = {500, 2000}, .all_unknown = {10000, 20000}};
  limits.malformed = {.known = {10, 100}, .unknown = {5, 50}, .all_unknown = {100, 500}};
  return limits;
}

}  // namespace

TEST_CASE("of a flood from 100,000 faked sources no good one is limited, pushed out or banned",
          "[guard][fairness]") {
  GuardLab lab(usual_limits());
  for (std::uint32_t i = 0; i < kGood; ++i) lab.make_known(good(i));
  const RequestSpec flood = GENERATE(RequestSpec{.method = "INVITE", .from = "x", .to = "alice"},
                                     RequestSpec{.method = "REGISTER", .from = "alice", .nonce = "made up"},
                                     RequestSpec{.method = "OPTIONS", .user_agent = "friendly-scanner"});
  const auto text = GuardLab::request(flood);
  const auto refusal = GuardLab::response({.status = 404, .method = flood.method});
  const std::string phone_text = GuardLab::request({.method = "INVITE", .from = "alice", .to = "bob"});
  std::uint32_t let_in = 0;
  std::uint32_t limited = 0;
  // A minute; each good source calls twice a second.
  constexpr unsigned kTicks = 600;
  for (unsigned tick = 0; tick < kTicks; ++tick) {
    lab.pass_ticks(1);
    for (std::uint32_t i = 0; i < 2 * kFaked / kTicks; ++i) {
      const auto source = faked((tick * 7919 + i) % kFaked);
      const auto answer = lab.judge(text, Direction::inbound, source, nat::Protocol::udp);
      if (answer.verdict != Verdict::forward) continue;
      ++let_in;
      static_cast<void>(lab.judge(refusal, Direction::outbound, source, nat::Protocol::udp));
    }
    if (tick % 5 != 0) continue;
    for (std::uint32_t i = 0; i < kGood; ++i) {
      if (lab.judge(phone_text, Direction::inbound, good(i), nat::Protocol::udp).verdict != Verdict::forward)
        ++limited;
    }
  }
  lab.pass(1);
  CHECK(limited == 0);
  CHECK(lab.count(WorkerCounter::source_known) == kGood);
  CHECK(let_in <= 5000 + 60 * 1000);
  for (const auto& news : lab.events().news) {
    if (news.news != GuardNews::banned && news.news != GuardNews::denied) continue;
    CHECK(news.source.host() >> 24U == 0x14U);
  }
  CHECK(lab.events().count(GuardNews::banned) <= 100 + 60 * 10);
  CHECK(lab.count(WorkerCounter::source_live) <= 16384);
}

TEST_CASE("a flood in the names of the good themselves bans none of them", "[guard][fairness]") {
  GuardLab lab(usual_limits());
  for (std::uint32_t i = 0; i < kGood; ++i) lab.make_known(good(i));
  for (std::uint32_t i = 0; i < 50'000; ++i) {
    const auto victim = good(i % kGood);
    if (i % 1000 == 0) lab.pass_ticks(1);
    static_cast<void>(lab.ask(
        victim, {.to = std::to_string(i), .user_agent = i % 3 == 0 ? "sipcli" : "x", .nonce = "made up"}));
    static_cast<void>(lab.answer(
        victim,
        {.status = i % 2 == 0 ? 404U : 401U, .to = std::to_string(i), .nonce = "n" + std::to_string(i)}));
  }
  for (std::uint32_t i = 0; i < kGood; ++i) CHECK_FALSE(lab.guard().is_banned(good(i)));
  CHECK(lab.events().count(GuardNews::banned) == 0);
  CHECK(lab.events().count(GuardNews::denied) == 0);
}

TEST_CASE("SYNs and fragments of strangers leave room for those who are known", "[guard][fairness]") {
  GuardLab lab(usual_limits());
  for (std::uint32_t i = 0; i < kGood; ++i) lab.make_known(good(i));
  std::uint32_t syns = 0;
  std::uint32_t fragments = 0;
  for (std::uint32_t i = 0; i < kFaked; ++i) {
    syns += lab.guard().admits_flow(faked(i));
    fragments += lab.guard().admits_fragment(faked(i));
  }
  CHECK(syns == 10'000);
  CHECK(fragments == 20'000);
  for (std::uint32_t i = 0; i < kGood; ++i) {
    CHECK(lab.guard().admits_flow(good(i)));
    CHECK(lab.guard().admits_fragment(good(i)));
  }
}
