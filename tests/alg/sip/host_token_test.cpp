// SPDX-License-Identifier: BSD-3-Clause
#include "alg/sip/host_token.hpp"

#include <catch2/catch.hpp>
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

TEST_CASE("an address is read back out of its token, and out of no other text", "[alg][host_token][AC-15]") {
  const HostTokens tokens(kKey);
  const HostTokens others(HostTokens::Key{1, 2, 3, 4});
  std::mt19937 random(3261);
  std::set<std::string> names;
  for (int time = 0; time < 2000; ++time) {
    const auto address = nat::Ipv4Address::from_host(static_cast<std::uint32_t>(random()));
    const std::string name(tokens.name_of(address).view());
    const std::string ipv6(tokens.ipv6_of(address).view());
    CAPTURE(name, ipv6);
    REQUIRE(name.size() == HostTokens::kNameSize);
    REQUIRE(tokens.read(name) == address);
    REQUIRE(tokens.read(ipv6) == address);
    REQUIRE(names.insert(name).second);
    REQUIRE_FALSE(others.read(name));
    auto changed = name;
    changed[random() % 16] = 'g';
    REQUIRE_FALSE(tokens.read(changed));
    changed = name;
    auto& digit = changed[random() % 16];
    digit = digit == '0' ? '1' : '0';
    REQUIRE_FALSE(tokens.read(changed));
  }
  const std::string name(tokens.name_of(test::address("10.0.0.5")).view());
  std::string capitals = name;
  for (auto& c : capitals) c = static_cast<char>(std::toupper(c));
  CHECK(tokens.read(capitals) == test::address("10.0.0.5"));
  for (const std::string& text :
       {std::string(), name.substr(1), name + ".", "x" + name, std::string("10.0.0.5"), std::string("100::1"),
        std::string("100::0000:0000:")}) {
    CAPTURE(text);
    CHECK_FALSE(tokens.read(text));
  }
}

}  // namespace pinhole::alg::sip
