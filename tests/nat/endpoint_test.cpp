// SPDX-License-Identifier: BSD-3-Clause
#include "nat/endpoint.hpp"

#include "nat/dotted_quad.hpp"

#include <catch2/catch.hpp>
#include <random>
#include <string>
#include <vector>

namespace pinhole::nat {

TEST_CASE("an IPv4 address is read only when it is a dotted quad and nothing else", "[nat][endpoint]") {
  struct Row {
    const char* text;
    bool valid;
    std::uint32_t host;
  };
  const Row rows[] = {
      {"192.0.2.1", true, 0xC0000201},
      {"0.0.0.0", true, 0},
      {"255.255.255.255", true, 0xFFFFFFFF},
      {"1.2.3.4", true, 0x01020304},
      {"1.2.3.40", true, 0x01020328},
      {"1.20.3.40", true, 0x01140328},
      {"10.2.30.45", true, 0x0A021E2D},
      {"100.2.30.45", true, 0x64021E2D},
      {"10.20.30.123", true, 0x0A141E7B},
      {"10.200.30.123", true, 0x0AC81E7B},
      {"101.200.30.123", true, 0x65C81E7B},
      {"192.0.2", false, 0},
      {"192.0.2.256", false, 0},
      {"192.0.2.01", false, 0},
      {"192.0.2.1 ", false, 0},
      {" 192.0.2.1", false, 0},
      {"192.0.2.1.5", false, 0},
      {"", false, 0},
      {"a.b.c.d", false, 0},
      {"1..2.3", false, 0},
      {"-1.0.2.3", false, 0},
  };
  for (const auto& row : rows) {
    DYNAMIC_SECTION("\"" << row.text << "\"") {
      const auto address = Ipv4Address::parse(row.text);
      REQUIRE(address.has_value() == row.valid);
      if (address) CHECK(address->host() == row.host);
    }
  }
}

TEST_CASE("an IPv4 address is read at the beginning of a text", "[nat][endpoint]") {
  struct Row {
    const char* text;
    std::size_t size;
  };
  const Row rows[] = {
      {"192.0.2.1:5060", 9}, {"192.0.2.1", 9}, {"192.0.2.1.5", 9},  {"192.0.2.1000", 11},
      {"192.0.2.01", 0},     {"192.0.2.", 0},  {"192.0.2.256;", 0}, {"example.com", 0},
  };
  for (const auto& row : rows) {
    DYNAMIC_SECTION("\"" << row.text << "\"") {
      auto address = Ipv4Address::from_host(7);
      REQUIRE(Ipv4Address::read(row.text, address) == row.size);
      if (row.size == 0) CHECK(address.host() == 7);
    }
  }
}

TEST_CASE("an address prints with each value of each octet, and is read back", "[nat][endpoint]") {
  for (unsigned octet = 0; octet < 4; ++octet) {
    for (std::uint32_t value = 0; value < 256; ++value) {
      const auto address = Ipv4Address::from_host(0x0A6405FFU ^ value << (8 * octet));
      std::string text;
      for (unsigned i = 4; i-- > 0;) {
        text += std::to_string(address.host() >> (8 * i) & 0xffU) + (i > 0 ? "." : "");
      }
      REQUIRE(std::string(EndpointText(address).view()) == text);
      REQUIRE(Ipv4Address::parse(text) == address);
    }
  }
}

namespace {

// In a buffer that ends where it ends, so that a read past it is seen.
void check_against_loop(std::string_view written) {
  const std::vector<char> bytes(written.begin(), written.end());
  const std::string_view text(bytes.data(), bytes.size());
  CAPTURE(written);
  const auto expected = dotted_quad::read_by_loop(text);
  const auto quad = dotted_quad::read(text);
  REQUIRE(quad.size == expected.size);
  REQUIRE(quad.raw == expected.raw);
}

}  // namespace

TEST_CASE("a quad is read as it is digit by digit, whatever it is made of", "[nat][endpoint]") {
  const char* const octets[] = {"0",   "9",  "10", "99",  "100",  "255", "256",
                                "999", "00", "01", "012", "1234", "",    "a"};
  for (const std::string first : octets) {
    for (const std::string second : octets) {
      for (const std::string third : octets) {
        for (const std::string fourth : octets) {
          const auto quad = first + "." + second + "." + third + "." + fourth;
          for (const char* const behind : {"", ".", "0", ";", ":5060", ";transport=udp;lr"})
            check_against_loop(quad + behind);
        }
      }
    }
  }
}

TEST_CASE("a quad is read as it is digit by digit in any text", "[nat][endpoint]") {
  std::mt19937 random(791);
  constexpr std::string_view kLetters = "0123456789012345....../:a\xb1";
  for (int time = 0; time < 400'000; ++time) {
    std::string text(random() % 20, ' ');
    for (auto& c : text) c = kLetters[random() % kLetters.size()];
    check_against_loop(text);
  }
}

TEST_CASE("a prefix contains exactly its addresses", "[nat][endpoint]") {
  const auto prefix = Prefix::parse("192.0.2.130/25");
  REQUIRE(prefix);
  CHECK(prefix->contains(*Ipv4Address::parse("192.0.2.128")));
  CHECK(prefix->contains(*Ipv4Address::parse("192.0.2.255")));
  CHECK_FALSE(prefix->contains(*Ipv4Address::parse("192.0.2.127")));
  CHECK(Prefix::parse("0.0.0.0/0")->contains(*Ipv4Address::parse("203.0.113.9")));
  CHECK_FALSE(Prefix::parse("192.0.2.0/33"));
  CHECK_FALSE(Prefix::parse("192.0.2.0/"));
  CHECK(Prefix::parse("10.0.0.0/8")->overlaps(*Prefix::parse("10.9.0.0/16")));
  CHECK(Prefix::parse("10.9.0.0/16")->overlaps(*Prefix::parse("10.0.0.0/8")));
  CHECK_FALSE(Prefix::parse("10.8.0.0/16")->overlaps(*Prefix::parse("10.9.0.0/16")));
}

TEST_CASE("an endpoint prints as address:port", "[nat][endpoint]") {
  const Endpoint endpoint{*Ipv4Address::parse("203.0.113.10"), Be16{5060}};
  CHECK(std::string(EndpointText(endpoint).view()) == "203.0.113.10:5060");
  CHECK(std::string(EndpointText(endpoint.address).view()) == "203.0.113.10");
  const Endpoint longest{*Ipv4Address::parse("255.255.255.255"), Be16{65535}};
  CHECK(std::string(EndpointText(longest).view()) == "255.255.255.255:65535");
  for (unsigned port = 0; port <= 65535; ++port) {
    const Endpoint with_port{endpoint.address, Be16{static_cast<std::uint16_t>(port)}};
    REQUIRE(std::string(EndpointText(with_port).view()) == "203.0.113.10:" + std::to_string(port));
  }
}

}  // namespace pinhole::nat
