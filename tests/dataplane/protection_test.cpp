// SPDX-License-Identifier: BSD-3-Clause
// Rules for messages, seen on the wire: from the configuration at start, and from an image that is put in the
// place of another while calls live.
#include <catch2/catch.hpp>

#include <cstring>
#include <string>
#include <vector>

#include "dataplane/config/policy.hpp"
#include "dataplane/ipc/event.hpp"
#include "tests/support/pipeline_lab.hpp"
#include "tests/support/policy_talk.hpp"

using namespace pinhole;
using namespace pinhole::test;
using alg::sip::Defect;
using alg::sip::Method;
using alg::sip::RuleAction;
using dataplane::WorkerCounter;
using nat::DropReason;
using nat::Endpoint;

namespace {

constexpr unsigned kInside = PipelineLab::kInside;
constexpr unsigned kOutside = PipelineLab::kOutside;
const Endpoint kProxy = endpoint("198.51.100.7", 5060);

std::string message(const std::string& start, const std::string& method, const std::string& more = "") {
  return start +
         "\r\nVia: SIP/2.0/UDP 10.0.0.77:5060;branch=z9hG4bK1\r\nFrom: <sip:alice@example.com>;tag=1\r\n"
         "To: <sip:bob@example.com>\r\nCall-ID: call@example.com\r\nCSeq: 1 " +
         method + "\r\n" + more + "\r\n";
}
std::string request(const std::string& method, const std::string& more = "") {
  return message(method + " sip:bob@example.com SIP/2.0", method, more);
}

config::Rule rule(const char* name, RuleAction action) {
  config::Rule made;
  made.name = name;
  made.action = action;
  return made;
}

struct Scene {
  explicit Scene(config::Protection protection, unsigned workers = 1, bool routes = false)
      : config(with(std::move(protection), workers, routes)), lab(config) {
    lab.add_neighbor(kOutside, address("203.0.113.254"));
    phone = {lab.host_of(0), nat::Be16{5060}};
    // A mapping, by what no rule is asked about.
    CHECK(out("\r\n\r\n"));
    external = routes ? phone : lab.mapping(nat::Protocol::udp, phone).external;
  }
  static config::Config with(config::Protection protection, unsigned workers, bool routes) {
    auto config = lab_config(workers);
    config.protection = std::move(protection);
    if (routes) config.nat.route = {{"inside", "outside"}};
    return config;
  }
  static FrameSpec datagram(Endpoint from, Endpoint to, const std::string& text) {
    FrameSpec spec{.source = from, .destination = to};
    spec.payload.resize(text.size());
    std::memcpy(spec.payload.data(), text.data(), text.size());
    return spec;
  }

  /// Whether a message passes.
  bool out(const std::string& text) { return passes(kInside, kOutside, datagram(phone, kProxy, text)); }
  bool in(const std::string& text) { return passes(kOutside, kInside, datagram(kProxy, external, text)); }
  /// An answer of Pinhole's own goes the other way.
  bool passes(unsigned from, unsigned to, const FrameSpec& spec) {
    const auto sent = lab.send(from, spec);
    return sent.size() == 1 && sent.front().interface == to;
  }
  /// Puts other rules in the place of those that hold.
  void reload(config::Protection protection) {
    config.protection = std::move(protection);
    talk.put([&](ipc::PolicyImage& image) { REQUIRE(config::write_policy(config, image).has_value()); });
  }

  config::Config config;
  PipelineLab lab;
  PolicyTalk talk{lab};
  Endpoint phone;
  Endpoint external;
};

/// Rules, and no limits.
config::Protection only_rules(std::vector<config::Rule> rules, const config::UnknownByMode& unknown = {}) {
  config::Protection protection;
  protection.enabled = false;
  protection.rules = std::move(rules);
  protection.unknown = unknown;
  return protection;
}

config::Protection dropping(Method method) {
  auto one = rule("one", RuleAction::drop);
  one.methods = {method};
  return only_rules({one});
}

}  // namespace

TEST_CASE("limits come and go with the policy", "[dataplane][policy][protection]") {
  Scene scene(only_rules({}));
  const auto passed = [&] {
    int count = 0;
    for (int i = 0; i < 20; ++i) count += scene.in(request("OPTIONS")) ? 1 : 0;
    return count;
  };
  CHECK(passed() == 20);
  config::Protection limited;
  limited.limits.sources.unknown = {.per_s = 1, .burst = 5};
  limited.limits.sources.known = limited.limits.sources.unknown;
  scene.reload(limited);
  CHECK(passed() == 5);
  scene.reload(only_rules({}));
  CHECK(passed() == 20);
}

TEST_CASE("what a rule drops or refuses is dropped under a reason of its own, and counted by the rule",
          "[dataplane][policy][rules]") {
  auto scanner = rule("scanner", RuleAction::drop);
  scanner.user_agents = {"*scan*"};
  scanner.direction = config::Direction::in;
  auto registering = rule("registering", RuleAction::refuse);
  registering.methods = {Method::register_};
  auto by_lan = rule("by-lan", RuleAction::drop);
  by_lan.interfaces = {"inside"};
  by_lan.methods = {Method::info};
  Scene scene(only_rules({scanner, registering, by_lan}));

  const auto scan = request("OPTIONS", "User-Agent: friendly-scanner\r\n");
  CHECK(scene.out(scan));
  CHECK_FALSE(scene.in(scan));
  CHECK(scene.lab.dropped(DropReason::drop_sip_rule) == 1);
  CHECK_FALSE(scene.out(request("REGISTER")));
  CHECK(scene.lab.dropped(DropReason::drop_sip_refused) == 1);
  CHECK_FALSE(scene.in(message("SIP/2.0 200 OK", "REGISTER")));
  CHECK(scene.lab.dropped(DropReason::drop_sip_refused) == 1);
  CHECK_FALSE(scene.out(request("INFO")));
  CHECK_FALSE(scene.in(request("INFO")));
  CHECK(scene.lab.dropped(DropReason::drop_sip_rule) == 4);
  CHECK(scene.talk.hits(0) == 1);
  CHECK(scene.talk.hits(1) == 2);
  CHECK(scene.talk.hits(2) == 2);
  CHECK(scene.out(request("OPTIONS")));
  CHECK(scene.lab.buffers_in_use() == 0);
}

TEST_CASE("what is dropped opens nothing and makes no call", "[dataplane][policy][rules]") {
  Scene scene(dropping(Method::invite));
  CHECK_FALSE(scene.out(request("INVITE")));
  CHECK(scene.lab.count(WorkerCounter::call_live) == 0);
}

TEST_CASE(
    "messages that nobody understands have a policy where addresses are translated, and another where "
    "they are not",
    "[dataplane][policy][rules][unknown]") {
  const auto strange = request("FROBNICATE");
  const std::string broken = "OPTIONS sip:a@b SIP/2.0\r\nVia: SIP/2.0/UDP h\r\n\r\n";
  config::UnknownByMode unknown;
  unknown.nat = {
      .methods = config::Unknown::drop, .not_sip = config::Unknown::drop, .malformed = config::Unknown::drop};
  for (const bool routes : {false, true}) {
    DYNAMIC_SECTION((routes ? "route" : "nat")) {
      Scene scene(only_rules({}, unknown), 1, routes);
      for (const auto& text : {strange, broken, std::string("hello")}) CHECK(scene.out(text) == routes);
      CHECK(scene.lab.dropped(DropReason::drop_sip_rule) == (routes ? 0 : 3));
      CHECK(scene.out(request("OPTIONS")));
      std::swap(unknown.nat, unknown.route);
      scene.reload(only_rules({}, unknown));
      for (const auto& text : {strange, broken, std::string("hello")}) CHECK(scene.out(text) == !routes);
    }
  }
}

TEST_CASE(
    "another policy holds from one message to the next, a call that lives goes on, and rules that stay "
    "count on",
    "[dataplane][policy][rules]") {
  Scene scene(dropping(Method::options), 2);
  CHECK(scene.out(request("INVITE")));
  CHECK(scene.lab.count(WorkerCounter::call_live) == 1);
  CHECK_FALSE(scene.out(request("OPTIONS")));
  CHECK(scene.out(request("INFO")));

  auto next = dropping(Method::info);
  next.rules[0].name = "other";
  next.rules.push_back(dropping(Method::options).rules[0]);
  scene.reload(next);
  CHECK_FALSE(scene.out(request("INFO")));
  CHECK_FALSE(scene.out(request("OPTIONS")));
  CHECK(scene.talk.hits(0) == 1);
  CHECK(scene.talk.hits(1) == 2);
  CHECK(scene.lab.count(WorkerCounter::call_live) == 1);
  CHECK(scene.in(message("SIP/2.0 200 OK", "INVITE")));

  scene.reload({});
  CHECK(scene.out(request("INFO")));
  CHECK(scene.out(request("OPTIONS")));
  CHECK(scene.lab.count(WorkerCounter::call_live) == 1);
}

TEST_CASE("where the gateway is switched off no rule is asked, of calls that it sees through neither",
          "[dataplane][policy][rules][AC-24]") {
  Scene scene(dropping(Method::info));
  CHECK(scene.out(request("INVITE")));
  scene.talk.turn({.scope = ipc::SwitchScope::all, .on = false});
  CHECK(scene.out(request("INFO")));
  CHECK(scene.talk.hits(0) == 0);
  scene.talk.turn({.scope = ipc::SwitchScope::all, .on = true});
  CHECK_FALSE(scene.out(request("INFO")));
}

TEST_CASE("control is told of what a rule logs, some of it", "[dataplane][policy][rules]") {
  Scene scene(only_rules({rule("all", RuleAction::log)}));
  constexpr unsigned kMessages = 200;
  for (unsigned i = 0; i < kMessages; ++i) CHECK(scene.out("what\x1bis this\r\nno more"));
  CHECK(scene.talk.hits(0) == kMessages);
  rte_ring* const ring = rte_ring_lookup("pinhole_event_0");
  std::vector<ipc::Event> events(256);
  const auto count = rte_ring_dequeue_burst_elem(ring, events.data(), sizeof(ipc::Event), 256, nullptr);
  REQUIRE(count > 0);
  CHECK(count < kMessages);
  const auto& told = events[0];
  CHECK(told.type == ipc::EventType::rule);
  CHECK(told.rule.rule.view() == "all");
  CHECK(told.rule.start.view() == "what\x1bis this");
  CHECK(told.rule.direction == alg::Direction::outbound);
  CHECK(told.rule.inside == scene.phone);
  CHECK(told.rule.external == scene.external);
  CHECK(told.rule.remote == kProxy);
}
