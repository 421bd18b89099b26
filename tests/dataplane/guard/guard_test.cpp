// SPDX-License-Identifier: BSD-3-Clause
// What the guard lets pass, and what leads to a ban.
#include "dataplane/guard/guard.hpp"

#include <catch2/catch.hpp>

#include "tests/dataplane/guard/guard_lab.hpp"

using namespace pinhole;
using namespace pinhole::test;
using alg::Direction;
using alg::Verdict;
using ipc::BanReason;
using ipc::GuardNews;
using ipc::LimitKind;
using nat::DropReason;

namespace {

const auto kStranger = address("198.51.100.66");
const auto kPhone = address("198.51.100.7");

unsigned passing(GuardLab& lab, nat::Ipv4Address source, unsigned tries, const RequestSpec& spec = {}) {
  unsigned count = 0;
  for (unsigned i = 0; i < tries; ++i) count += lab.passes(source, spec);
  return count;
}

}  // namespace

TEST_CASE("a guard that is switched off lets everything pass", "[guard]") {
  auto limits = no_limits();
  limits.enabled = false;
  limits.sources.unknown = {1, 1};
  GuardLab lab(limits);
  CHECK(passing(lab, kStranger, 100, {.user_agent = "friendly-scanner"}) == 100);
  CHECK(lab.guard().admits_flow(kStranger));
  // But for whom an operator has banned.
  REQUIRE(lab.guard().ban({.prefix = {kStranger, 32}}, 10));
  CHECK(lab.ask(kStranger).reason == DropReason::drop_banned);
}

TEST_CASE("each limit stops what it counts and nothing else", "[guard][limits]") {
  auto limits = no_limits();
  RequestSpec other{.from = "bob", .to = "carol"};
  LimitKind kind = LimitKind::source;
  bool also_other = false;  // whether the other request is stopped with it
  SECTION("of a source") {
    limits.sources.unknown = {1, 10};
    also_other = true;
  }
  SECTION("of a method") {
    limits.methods[static_cast<std::size_t>(alg::sip::Method::register_)] = {1, 10};
    other.method = "OPTIONS";
    kind = LimitKind::method;
  }
  SECTION("of an unknown method") {
    limits.methods[0] = {1, 10};
    kind = LimitKind::method;
  }
  SECTION("of who asks or is asked for") {
    limits.subscribers.unknown = {1, 10};
    kind = LimitKind::subscriber;
  }
  SECTION("of a server") {
    limits.servers.unknown = {1, 10};
    kind = LimitKind::server;
    also_other = true;
  }
  SECTION("of all strangers") {
    limits.sources.all_unknown = {1, 10};
    kind = LimitKind::unknown_sources;
    also_other = true;
  }
  GuardLab lab(limits);
  const RequestSpec spec{.method = limits.methods[0].per_s > 0 ? "PUZZLE" : "REGISTER"};
  CHECK(passing(lab, kStranger, 30, spec) == 10);
  CHECK(lab.ask(kStranger, spec).reason == DropReason::drop_sip_rate);
  CHECK(lab.passes(kStranger, other) != also_other);
  REQUIRE_FALSE(lab.events().news.empty());
  CHECK(lab.events().news.back().news == GuardNews::over_limit);
  CHECK(lab.events().news.back().limit == kind);
  CHECK(lab.events().news.back().source == kStranger);
  lab.pass(5);
  CHECK(passing(lab, kStranger, 30, spec) >= 4);
}

TEST_CASE("retransmissions count, and a message that comes back from waiting does not", "[guard][limits]") {
  auto limits = no_limits();
  limits.sources.unknown = {1, 3};
  GuardLab lab(limits);
  const auto text = GuardLab::request({});
  CHECK(lab.judge(text, Direction::inbound, kStranger, nat::Protocol::udp).verdict == Verdict::forward);
  for (int i = 0; i < 10; ++i) {
    CHECK(lab.judge(text, Direction::inbound, kStranger, nat::Protocol::udp, true).verdict ==
          Verdict::forward);
  }
  CHECK(passing(lab, kStranger, 10) == 2);
}

TEST_CASE("a warning is told before the limit, once a second", "[guard][limits]") {
  auto limits = no_limits();
  limits.sources.unknown = {1, 100};
  GuardLab lab(limits);
  CHECK(passing(lab, kStranger, 100) == 100);
  CHECK(lab.events().count(GuardNews::near_limit) == 1);
  CHECK(lab.events().count(GuardNews::over_limit) == 0);
  CHECK(lab.count(dataplane::WorkerCounter::source_warned) == 20);
  CHECK(passing(lab, kStranger, 100) == 0);
  CHECK(lab.events().count(GuardNews::over_limit) == 1);
  lab.pass(1);
  static_cast<void>(passing(lab, kStranger, 100));
  CHECK(lab.events().count(GuardNews::over_limit) == 2);
}

TEST_CASE("over a limit a request of somebody who is there is answered, if so configured",
          "[guard][limits]") {
  auto limits = no_limits();
  limits.refuses = true;
  limits.retry_after_s = 7;
  limits.sources.unknown = limits.sources.known = {1, 20};
  limits.inside = {1, 2};
  GuardLab lab(limits);
  lab.make_known(kPhone);
  static_cast<void>(passing(lab, kPhone, 30));
  const auto refused = lab.ask(kPhone);
  CHECK(refused.verdict == Verdict::refuse);
  CHECK(refused.reason == DropReason::drop_sip_refused);
  CHECK(refused.status == 503);
  CHECK(refused.retry_after_s == 7);
  CHECK(lab.ask(kPhone, {.method = "ACK"}).verdict == Verdict::drop);
  // An answer to a stranger would go to whoever he says that he is.
  static_cast<void>(passing(lab, kStranger, 30));
  CHECK(lab.ask(kStranger).verdict == Verdict::drop);
  static_cast<void>(lab.ask_out(kPhone));
  static_cast<void>(lab.ask_out(kPhone));
  CHECK(lab.ask_out(kPhone).verdict == Verdict::refuse);
}

TEST_CASE("an inside host is limited by itself, and its answers are not", "[guard][limits]") {
  auto limits = no_limits();
  limits.inside = {1, 5};
  limits.sources.all_unknown = {1, 1};
  GuardLab lab(limits);
  unsigned passed = 0;
  for (int i = 0; i < 20; ++i) passed += lab.ask_out(kPhone).verdict == Verdict::forward;
  CHECK(passed == 5);
  for (int i = 0; i < 20; ++i) CHECK(lab.answer(kPhone).verdict == Verdict::forward);
}

TEST_CASE("strangers use up nothing that is for those who are known", "[guard][limits]") {
  auto limits = no_limits();
  limits.subscribers = {.known = {10, 50}, .unknown = {10, 50}, .all_unknown = {}};
  limits.servers = {.known = {10, 50}, .unknown = {10, 50}, .all_unknown = {}};
  GuardLab lab(limits);
  lab.make_known(kPhone);
  static_cast<void>(passing(lab, kStranger, 1000));
  CHECK_FALSE(lab.passes(kStranger));
  CHECK(passing(lab, kPhone, 20) == 20);
}

TEST_CASE("a scanner is banned with its first request, and comes in no more", "[guard][bans]") {
  GuardLab lab;
  CHECK(lab.ask(kStranger, {.user_agent = "Friendly-Scanner"}).reason == DropReason::drop_sip_scanner);
  CHECK(lab.ask(kStranger).reason == DropReason::drop_banned);
  CHECK(lab.judge("garbage", Direction::inbound, kStranger, nat::Protocol::udp).reason ==
        DropReason::drop_banned);
  CHECK(lab.guard().is_banned(kStranger));
  CHECK_FALSE(lab.guard().is_banned(kPhone));
  REQUIRE(lab.events().count(GuardNews::banned) == 1);
  const auto& news = lab.events().news.back();
  CHECK(news.reason == BanReason::scanner);
  CHECK_FALSE(news.proven);
  CHECK(news.detail.view() == "Friendly-Scanner");
  CHECK(news.server == address("10.0.0.5"));
  lab.pass(301);
  CHECK(lab.passes(kStranger));
}

TEST_CASE("nobody can have a known source banned by sending in its name", "[guard][bans]") {
  GuardLab lab;
  lab.make_known(kPhone);
  CHECK(lab.ask(kPhone, {.user_agent = "friendly-scanner"}).reason == DropReason::drop_sip_scanner);
  for (int i = 0; i < 100; ++i) {
    const auto who = std::to_string(i);
    static_cast<void>(lab.ask(kPhone, {.to = who, .nonce = "made up"}));
    static_cast<void>(
        lab.answer(kPhone, {.status = i % 2 == 0 ? 401U : 404U, .to = who, .nonce = "n" + who}));
  }
  CHECK(lab.passes(kPhone));
  CHECK(lab.events().count(GuardNews::banned) == 0);
  CHECK(lab.events().count(GuardNews::denied) == 0);
  // A ban that another worker imposed without proof spares it as well; one with proof does not.
  CHECK_FALSE(lab.guard().ban({.prefix = {kPhone, 32}, .reason = BanReason::scanner}, 10));
  CHECK(lab.guard().ban({.prefix = {kPhone, 32}, .reason = BanReason::failed_auth, .proven = true}, 10));
  CHECK_FALSE(lab.passes(kPhone));
}

TEST_CASE("a challenge that is answered rightly is no failure, however often", "[guard][bans]") {
  GuardLab lab;
  for (int i = 0; i < 50; ++i) {
    lab.make_known(kPhone);
    lab.pass(1);
  }
  CHECK(lab.events().news.empty());
}

TEST_CASE("wrong passwords lead to a ban, by proof when the nonce was the source's", "[guard][bans]") {
  GuardLab lab;
  bool proven = true;
  SECTION("of a stranger with the nonces that he got") {
  }
  SECTION("of a known source") {
    lab.make_known(kStranger);
  }
  SECTION("of a stranger with nonces of his own") {
    proven = false;
  }
  for (int i = 0; i < 4; ++i) {
    const auto nonce = "n" + std::to_string(i);
    CHECK(lab.passes(kStranger));
    static_cast<void>(lab.answer(kStranger, {.status = 401, .nonce = nonce}));
    if (i == 3) break;
    CHECK(lab.passes(kStranger, {.nonce = proven ? nonce : "mine"}));
    static_cast<void>(lab.answer(kStranger, {.status = 401, .nonce = nonce + "x"}));
    if (i == 2) break;
  }
  REQUIRE(lab.events().count(GuardNews::banned) == 1);
  CHECK(lab.events().news.back().reason == BanReason::failed_auth);
  CHECK(lab.events().news.back().proven == proven);
  CHECK(lab.ask(kStranger).reason == DropReason::drop_banned);
}

TEST_CASE("credentials that were only old are no failure", "[guard][bans]") {
  GuardLab lab;
  for (int i = 0; i < 20; ++i) {
    CHECK(lab.passes(kPhone, {.nonce = "old"}));
    static_cast<void>(lab.answer(kPhone, {.status = 401, .nonce = "new", .stale = true}));
  }
  CHECK(lab.events().news.empty());
}

TEST_CASE("who asks for many addresses that nobody has is banned, and who asks for one is denied",
          "[guard][bans]") {
  GuardLab lab;
  SECTION("many") {
    int asked = 0;
    for (; asked < 20 && lab.passes(kStranger, {.method = "OPTIONS", .to = std::to_string(asked)}); ++asked) {
      static_cast<void>(
          lab.answer(kStranger, {.status = 404, .method = "OPTIONS", .to = std::to_string(asked)}));
    }
    CHECK(asked >= 5);
    CHECK(asked <= 8);  // two addresses may have one bit
    REQUIRE(lab.events().count(GuardNews::banned) == 1);
    CHECK(lab.events().news.back().reason == BanReason::harvest);
  }
  SECTION("one") {
    int asked = 0;
    for (; asked < 20 && lab.passes(kStranger, {.method = "INVITE", .to = "nobody"}); ++asked) {
      const AnswerSpec refusal{
          .status = 404, .method = "INVITE", .to = "nobody", .to_tag = asked % 2 == 0 ? "even" : "odd"};
      static_cast<void>(lab.answer(kStranger, refusal));
    }
    CHECK(asked == 4);
    CHECK(lab.events().count(GuardNews::banned) == 0);
    CHECK(lab.events().count(GuardNews::denied) == 1);
    CHECK(lab.ask(kStranger).reason == DropReason::drop_sip_denied);
    CHECK(lab.passes(kStranger, {.method = "BYE", .to_tag = "of-a-call"}));
    for (const char* const method : {"REGISTER", "OPTIONS"}) {
      CHECK(lab.ask(kStranger, {.method = method, .to_tag = "made-up"}).reason ==
            DropReason::drop_sip_denied);
    }
    lab.pass(60);
    CHECK(lab.passes(kStranger));
  }
}

TEST_CASE("a known source is denied for refusals that it has acknowledged", "[guard][bans]") {
  GuardLab lab;
  lab.make_known(kPhone);
  for (int i = 0; i < 4; ++i) {
    const auto tag = "t" + std::to_string(i);
    CHECK(lab.passes(kPhone, {.method = "INVITE"}));
    static_cast<void>(lab.answer(kPhone, {.status = 403, .method = "INVITE", .to_tag = tag}));
    CHECK(lab.passes(kPhone, {.method = "ACK", .to_tag = tag}));
  }
  CHECK(lab.ask(kPhone, {.method = "INVITE"}).reason == DropReason::drop_sip_denied);
}

TEST_CASE("a refusal that is sent again until it is acknowledged counts once", "[guard][bans]") {
  GuardLab lab;
  CHECK(lab.passes(kStranger, {.method = "INVITE"}));
  for (int i = 0; i < 11; ++i) {
    static_cast<void>(lab.answer(kStranger, {.status = 403, .method = "INVITE", .to_tag = "same"}));
  }
  CHECK(lab.events().count(GuardNews::denied) == 0);
  CHECK(lab.passes(kStranger, {.method = "INVITE"}));
  // Those of a server that gives no tags cannot be told apart.
  for (int i = 0; i < 3; ++i) {
    static_cast<void>(lab.answer(kStranger, {.status = 403, .method = "INVITE", .to_tag = {}}));
  }
  CHECK(lab.events().count(GuardNews::denied) == 1);
}

TEST_CASE("a scanner is found by any User-Agent of its request", "[guard][bans]") {
  const std::size_t phones = GENERATE(1U, 3U, 20U);
  CAPTURE(phones);
  GuardLab lab;
  std::string agents = "Phone/1.0";
  for (std::size_t i = 1; i < phones; ++i) agents += "\r\nUser-Agent: Phone/1.0";
  CHECK(lab.passes(kPhone, {.user_agent = "Phone/1.0\r\nUser-Agent: Phone/1.0"}));
  CHECK(lab.ask(kStranger, {.user_agent = agents + "\r\nUser-Agent: sipcli/v1"}).reason ==
        DropReason::drop_sip_scanner);
  CHECK(lab.ask(kStranger).reason == DropReason::drop_banned);
  REQUIRE(lab.events().count(GuardNews::banned) == 1);
  if (phones < 4) CHECK(lab.events().news.back().detail.view() == "sipcli/v1");
}

TEST_CASE("an order that is damaged does nothing", "[guard][bans]") {
  GuardLab lab;
  const nat::Prefix too_long{kStranger, 33};
  CHECK_FALSE(lab.guard().ban({.prefix = too_long}, 10));
  CHECK_FALSE(lab.guard().ban({.prefix = {kStranger, 32}, .reason = static_cast<BanReason>(5)}, 10));
  CHECK_FALSE(lab.guard().allow(too_long));
  CHECK_FALSE(lab.guard().disallow(too_long));
  CHECK_FALSE(lab.guard().lift({.prefix = too_long}));
  CHECK(lab.passes(kStranger));
  CHECK(lab.guard().ban({.prefix = {kStranger, 32}, .reason = BanReason::rule}, 10));
}

TEST_CASE("over TCP a source is who it says", "[guard][bans]") {
  GuardLab lab;
  lab.make_known(kPhone);
  CHECK(lab.ask(kPhone, {.user_agent = "sipcli/1"}, nat::Protocol::tcp).reason ==
        DropReason::drop_sip_scanner);
  CHECK(lab.ask(kPhone).reason == DropReason::drop_banned);
  CHECK(lab.events().news.back().proven);
}

TEST_CASE("who answers inside is known, by the Call-ID that only he can have got", "[guard][sources]") {
  GuardLab lab;
  static_cast<void>(lab.ask_out(kPhone, {.call_id = "secret"}));
  static_cast<void>(lab.answer_in(kPhone, {.call_id = "guessed"}));
  lab.pass(1);
  CHECK(lab.count(dataplane::WorkerCounter::source_known) == 0);
  static_cast<void>(lab.answer_in(kPhone, {.call_id = "secret"}));
  lab.pass(1);
  CHECK(lab.count(dataplane::WorkerCounter::source_known) == 1);
}

TEST_CASE("a caller is known when he acknowledges the answer that he got", "[guard][sources]") {
  GuardLab lab;
  const bool right = GENERATE(true, false);
  static_cast<void>(lab.ask(kPhone, {.method = "INVITE"}));
  static_cast<void>(lab.answer(kPhone, {.status = 200, .method = "INVITE", .to_tag = "tag"}));
  static_cast<void>(lab.ask(kPhone, {.method = "ACK", .to_tag = right ? "tag" : "made-up"}));
  lab.pass(1);
  CHECK(lab.count(dataplane::WorkerCounter::source_known) == (right ? 1 : 0));
}

TEST_CASE("allow lists win over bans and over limits by source", "[guard][allow]") {
  auto limits = no_limits();
  limits.sources.unknown = {1, 1};
  limits.flows.unknown = {1, 1};
  const bool configured = GENERATE(true, false);
  if (configured) {
    limits.allowed[0] = {kStranger, 32};
    limits.allowed_count = 1;
  }
  GuardLab lab(limits);
  if (!configured) {
    REQUIRE(lab.guard().ban({.prefix = {kStranger, 32}}, 1000));
    CHECK_FALSE(lab.passes(kStranger));
    REQUIRE(lab.guard().allow({kStranger, 32}));
  }
  CHECK(passing(lab, kStranger, 100) == 100);
  CHECK(lab.guard().admits_flow(kStranger));
  CHECK(lab.guard().admits_flow(kStranger));
  CHECK_FALSE(lab.guard().is_banned(kStranger));
  // What a scanner behind the same address sends gets nowhere all the same.
  CHECK(lab.ask(kStranger, {.user_agent = "friendly-scanner"}).reason == DropReason::drop_sip_scanner);
  CHECK(lab.passes(kStranger));
  if (configured) return;
  CHECK(lab.guard().disallow({kStranger, 32}));
  CHECK_FALSE(lab.guard().disallow({kStranger, 32}));
  CHECK_FALSE(lab.passes(kStranger));
}

TEST_CASE("what comes from an address of our own was turned around, and is let be", "[guard][allow]") {
  auto limits = no_limits();
  limits.sources.unknown = {1, 1};
  GuardLab lab(limits);
  const auto own = address("203.0.113.1");
  CHECK(passing(lab, own, 100) == 100);
  CHECK(lab.ask(own, {.user_agent = "friendly-scanner"}).reason == DropReason::drop_sip_scanner);
  CHECK(lab.passes(own));
}

TEST_CASE("a ban of control ends by time or when it is lifted", "[guard][bans]") {
  GuardLab lab;
  REQUIRE(lab.guard().ban({.prefix = *nat::Prefix::parse("198.51.100.0/24")}, 10));
  CHECK_FALSE(lab.passes(kStranger));
  lab.pass(10);
  CHECK(lab.passes(kStranger));
  REQUIRE(lab.guard().ban({.prefix = {kStranger, 32}}, 1000));
  CHECK_FALSE(lab.passes(kStranger));
  CHECK(lab.guard().lift({.prefix = {kStranger, 32}}));
  CHECK(lab.passes(kStranger));
}

TEST_CASE("floods of malformed messages, SYNs and fragments are cut, each by itself", "[guard][limits]") {
  auto limits = no_limits();
  limits.malformed.unknown = limits.flows.unknown = limits.fragments.unknown = {1, 10};
  GuardLab lab(limits);
  unsigned malformed = 0;
  unsigned flows = 0;
  unsigned fragments = 0;
  for (int i = 0; i < 50; ++i) {
    malformed += lab.judge("INVITE sip:a SIP/2.0\r\n\r\n", Direction::inbound, kStranger, nat::Protocol::udp)
                     .verdict == Verdict::forward;
    flows += lab.guard().admits_flow(kStranger);
    fragments += lab.guard().admits_fragment(kStranger);
  }
  CHECK(malformed == 10);
  CHECK(flows == 10);
  CHECK(fragments == 10);
  CHECK(lab.passes(kStranger));
  // What is no SIP at all is somebody else's.
  for (int i = 0; i < 50; ++i) {
    CHECK(lab.judge("\x80garbage", Direction::inbound, kStranger, nat::Protocol::udp).verdict ==
          Verdict::forward);
  }
}
