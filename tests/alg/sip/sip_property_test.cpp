// SPDX-License-Identifier: BSD-3-Clause
// What holds of every valid message, shown over random ones. PINHOLE_SEED in the environment begins
// elsewhere.
#include <algorithm>
#include <catch2/catch.hpp>
#include <cstdlib>
#include <map>
#include <string>
#include <vector>

#include "alg/sip/message.hpp"
#include "tests/support/sip_bench.hpp"
#include "tests/support/sip_generator.hpp"
#include "tests/support/sip_invariants.hpp"

namespace pinhole::alg::sip {

namespace {

constexpr std::uint64_t kMessages = 4000;

std::uint64_t first_seed() {
  const char* const text = std::getenv("PINHOLE_SEED");
  return text != nullptr ? std::strtoull(text, nullptr, 10) : 20260725;
}

nat::Endpoint as_it_is(const test::Named& named) {
  return named.endpoint;
}

/// Renames by the mappings of a bench; they are there after a message has gone out.
test::Rename outside_of(test::SipBench& bench) {
  return [&bench](const test::Named& named) {
    return bench.host.external_of(named.protocol, named.endpoint).endpoint;
  };
}

struct Case {
  test::SipBench bench{test::direct_media()};
  test::Template message;
  std::string inside;

  explicit Case(std::uint64_t seed) : message(test::SipGenerator(seed).message()) {
    inside = message.render(as_it_is);
    bench.host.knows_repeated = true;
    // A message in three comes over TCP.
    if (seed % 3 == 0) bench.speak(nat::Protocol::tcp);
  }
};

template <typename Check>
void for_each_message(const Check& check) {
  const auto seed = first_seed();
  for (std::uint64_t i = 0; i < kMessages; ++i) {
    INFO("PINHOLE_SEED=" << seed + i);
    Case each(seed + i);
    INFO(each.inside);
    check(each);
  }
}

}  // namespace

TEST_CASE("of a random valid message exactly the tokens of ours are replaced, and its lengths",
          "[alg][sip][property][AC-02][AC-03][AC-06][AC-16][AC-19][rfc2046][rfc3261][rfc3311]"
          "[rfc4145][rfc5245][rfc5621][rfc6223][rfc6544][rfc8445]") {
  std::size_t edited = 0;
  for_each_message([&edited](Case& each) {
    const auto passed = each.bench.out(each.inside);
    REQUIRE(passed.answer.verdict == Verdict::forward);
    REQUIRE(passed.text == each.message.render(outside_of(each.bench)));
    edited += passed.edits != 0 ? 1 : 0;
  });
  CHECK(edited > kMessages / 2);
}

TEST_CASE(
    "what a random valid message repeats of others makes no mapping, and is looked up alike when it is sent "
    "again",
    "[alg][sip][property][AC-23]") {
  for_each_message([](Case& each) {
    REQUIRE_FALSE(test::echoes_make_mappings(each.inside, test::direct_media()));
    each.bench.host.knows_repeated = false;
    const auto passed = each.bench.out(each.inside);
    REQUIRE(passed.answer.verdict == Verdict::forward);
    const auto mappings = each.bench.host.mappings();
    REQUIRE(each.bench.out(each.inside).text == passed.text);
    REQUIRE(each.bench.host.mappings() == mappings);
  });
}

TEST_CASE("no inside address leaves in a random valid message", "[alg][sip][property][AC-02]") {
  for_each_message(
      [](Case& each) { REQUIRE(each.bench.out(each.inside).text.find("10.0.0.") == std::string::npos); });
}

TEST_CASE("a random valid message that leaves and comes back is what it was",
          "[alg][sip][property][AC-02][AC-10]") {
  for_each_message([](Case& each) {
    const auto out = each.bench.out(each.inside).text;
    REQUIRE(each.bench.in(out).text == each.inside);
    REQUIRE(each.bench.out(each.inside).text == out);
  });
}

TEST_CASE("a random valid message that names nothing of ours is not touched", "[alg][sip][property][AC-04]") {
  for_each_message([](Case& each) {
    const auto foreign = each.message.render([](const test::Named& named) {
      return nat::Endpoint{nat::Ipv4Address::from_host(0xC6336400U + (named.endpoint.address.host() & 0xFFU)),
                           named.endpoint.port};
    });
    for (const auto direction : {Direction::outbound, Direction::inbound}) {
      const auto passed = each.bench.pass(direction, foreign);
      REQUIRE(passed.edits == 0);
      REQUIRE(passed.text == foreign);
    }
    REQUIRE(each.bench.host.opened.empty());
  });
}

TEST_CASE("the length of a random valid message is right after it was translated",
          "[alg][sip][property][AC-06]") {
  for_each_message([](Case& each) {
    MessageView before;
    MessageView after;
    const auto out = each.bench.out(each.inside).text;
    REQUIRE(before.parse(each.inside) == ParseResult::message);
    REQUIRE(after.parse(out) == ParseResult::message);
    const auto end = out.find("\r\n\r\n") + 4;
    REQUIRE(after.body().size() == out.size() - end);
    REQUIRE(after.value(HeaderId::content_length).empty() == before.value(HeaderId::content_length).empty());
  });
}

TEST_CASE("a random valid message with its identities hidden names no host of the inside, and comes back",
          "[alg][sip][property][hiding][AC-02][AC-15]") {
  auto policy = test::direct_media();
  policy.hide_parties = policy.hide_call_id = true;
  policy.tokens = HostTokens(HostTokens::Key{1, 2, 3, 4});
  for_each_message([&policy](Case& each) {
    test::SipBench bench(policy);
    bench.host.knows_repeated = true;
    bench.speak(each.bench.flow.protocol);
    const auto out = bench.out(each.inside).text;
    REQUIRE(out.find("10.0.0.") == std::string::npos);
    MessageView view;
    REQUIRE(view.parse(out) == ParseResult::message);
    // Texts that are shown to people stay.
    for (const auto* const host :
         {"alice@10.99.", "bob@10.99.0.6", "k1@10.", "k1%4010.", "k2@10.", "k3@10.", "399 10."})
      REQUIRE(out.find(host) == std::string::npos);
    REQUIRE(view.value(HeaderId::call_id).find("10.99") == std::string_view::npos);
    REQUIRE(bench.in(out).text == each.inside);
    REQUIRE(bench.out(each.inside).text == out);
  });
}

TEST_CASE("hosts with equal ports never get each other's endpoints", "[alg][sip][property][AC-17]") {
  // All messages through one gateway: every phone of the house at once.
  test::SipBench bench(test::direct_media());
  bench.host.knows_repeated = true;
  std::map<std::pair<nat::Protocol, nat::Endpoint>, nat::Endpoint> owner;  // external to inside
  const auto seed = first_seed();
  for (std::uint64_t i = 0; i < kMessages; ++i) {
    INFO("PINHOLE_SEED=" << seed + i);
    const auto message = test::SipGenerator(seed + i).message();
    const auto inside = message.render(as_it_is);
    INFO(inside);
    bench.speak((seed + i) % 3 == 0 ? nat::Protocol::tcp : nat::Protocol::udp);
    const auto out = bench.out(inside).text;
    REQUIRE(out == message.render(outside_of(bench)));
    std::vector<test::Named> named;
    message.collect(named);
    for (const auto& each : named) {
      const auto external = bench.host.external_of(each.protocol, each.endpoint).endpoint;
      const auto [place, fresh] = owner.insert({{each.protocol, external}, each.endpoint});
      REQUIRE(place->second == each.endpoint);
    }
    // A host that leaves its default port out in one message and not in the next gets both back in one way.
    REQUIRE(bench.out(bench.in(out).text).text == out);
  }
  CHECK(owner.size() > 100);
}

}  // namespace pinhole::alg::sip
