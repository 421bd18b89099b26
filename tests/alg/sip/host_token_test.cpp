// SPDX-License-Identifier: BSD-3-Clause
#include "alg/sip/host_token.hpp"

#include <catch2/catch.hpp>
#include <cctype>
#include <random>
#include <set>
#include <string>

#include "tests/support/sip_bench.hpp"

namespace pinhole::alg::sip {

namespace {

constexpr HostTokens::Key kKey = {0x03020100, 0x0b0a0908, 0x13121110, 0x1b1a1918};

}  // namespace

TEST_CASE("the permutation is SPECK 64/128", "[alg][host_token]") {
  // The test vector of the paper, appendix C.
  const HostTokens tokens(kKey);
  const HostTokens::Block text{0x3b726574, 0x7475432d};
  const HostTokens::Block cipher{0x8c6fa548, 0x454e028b};
  CHECK(tokens.encrypt(text) == cipher);
  CHECK(tokens.decrypt(cipher) == text);
}

TEST_CASE("an address and its steps are read back out of a token, and out of no other text",
          "[alg][host_token][AC-15]") {
  const HostTokens tokens(kKey);
  const HostTokens others(HostTokens::Key{1, 2, 3, 4});
  std::mt19937 random(3261);
  std::set<std::string> names;
  for (int time = 0; time < 2000; ++time) {
    const HiddenHost host{nat::Ipv4Address::from_host(static_cast<std::uint32_t>(random())),
                          static_cast<std::int8_t>(time % 2 == 0 ? 1 + time % 127 : -1)};
    const std::string name(tokens.name_of(host).view());
    const std::string ipv6(tokens.ipv6_of(host).view());
    CAPTURE(name, ipv6);
    REQUIRE(name.size() == HostTokens::kNameSize);
    REQUIRE(tokens.read_name(name) == host);
    REQUIRE(tokens.read_ipv6(ipv6) == host);
    REQUIRE_FALSE(tokens.read_name(ipv6));
    REQUIRE_FALSE(tokens.read_ipv6(name));
    REQUIRE(names.insert(name).second);
    REQUIRE_FALSE(others.read_name(name));
    auto changed = name;
    changed[random() % 16] = 'g';
    REQUIRE_FALSE(tokens.read_name(changed));
    changed = name;
    auto& digit = changed[random() % 16];
    digit = digit == '0' ? '1' : '0';
    REQUIRE_FALSE(tokens.read_name(changed));
  }
}

TEST_CASE("a token is written in one way", "[alg][host_token][AC-15]") {
  const HostTokens tokens(kKey);
  const std::string name(tokens.name_of({test::address("10.0.0.5"), 1}).view());
  const std::string ipv6(tokens.ipv6_of({test::address("10.0.0.5"), 1}).view());
  const std::string itself(tokens.name_of({test::address("10.0.0.5"), 0}).view());
  const auto capitals = [](std::string text) {
    for (auto& c : text) c = static_cast<char>(std::toupper(c));
    return text;
  };
  for (const std::string& text :
       {std::string(), name.substr(1), name + ".", "x" + name, capitals(name), capitals(ipv6), itself,
        std::string("10.0.0.5"), std::string("100::1"), std::string("100::0000:0000:")}) {
    CAPTURE(text);
    CHECK_FALSE(tokens.read_name(text));
    CHECK_FALSE(tokens.read_ipv6(text));
  }
}

TEST_CASE("every step out is taken back by one in, all the way round", "[alg][host_token][AC-15]") {
  HiddenHost host{test::address("10.0.0.5")};
  std::set<std::int8_t> steps;
  for (int step = 0; step < 256; ++step) {
    CHECK(host.beyond(Direction::outbound).beyond(Direction::inbound) == host);
    CHECK(steps.insert(host.steps).second);
    host = host.beyond(Direction::outbound);
  }
  CHECK(host.steps == 0);
}

}  // namespace pinhole::alg::sip
