// SPDX-License-Identifier: BSD-3-Clause
#include "alg/sip/scan.hpp"

#include <algorithm>
#include <catch2/catch.hpp>
#include <random>
#include <string>
#include <vector>

namespace pinhole::alg::sip {

namespace {

// Text of few characters, in a buffer that ends where it ends, so that a read past it is seen.
std::vector<char> random_text(std::mt19937& random, std::size_t size) {
  constexpr std::string_view kLetters = "a1.;,\"<>\n0:5";
  std::vector<char> text(size);
  for (auto& c : text) c = kLetters[random() % kLetters.size()];
  return text;
}

}  // namespace

TEST_CASE("marks are found where they are, in text of every size", "[alg][scan]") {
  std::mt19937 random(4475);
  for (std::size_t size = 0; size < 300; ++size) {
    for (int time = 0; time < 8; ++time) {
      const auto bytes = random_text(random, size);
      const std::string_view text(bytes.data(), bytes.size());
      CAPTURE(size, text);
      std::vector<std::size_t> expected;
      for (std::size_t i = 0; i < size; ++i) {
        if (text[i] == ',' || text[i] == '"') expected.push_back(i);
      }
      std::vector<std::size_t> found;
      MarkScanner<',', '"'> scanner(text);
      for (auto at = scanner.next(); at < size; at = scanner.next()) found.push_back(at);
      REQUIRE(found == expected);
      REQUIRE(scanner.next() == size);

      const auto from = size == 0 ? 0 : random() % size;
      const auto next = std::lower_bound(expected.begin(), expected.end(), from);
      REQUIRE(find_mark<',', '"'>(text, from) == (next == expected.end() ? size : *next));
      MarkScanner<',', '"'> skipping(text);
      skipping.skip_to(from);
      REQUIRE(skipping.next() == (next == expected.end() ? size : *next));
    }
  }
}

namespace {

template <char... kMarks>
void check_every_byte() {
  // As many as are looked at at once, one by one, and in overlapping looks.
  for (const std::size_t size : {1U, 7U, 8U, 15U, 16U, 31U, 32U, 63U, 64U, 100U}) {
    for (unsigned value = 0; value < 256; ++value) {
      const std::vector<char> text(size, static_cast<char>(value));
      CAPTURE(size, value);
      const std::size_t seen = std::min(size, kScanBlock);
      const std::uint64_t all = seen == 64 ? ~std::uint64_t{0} : (std::uint64_t{1} << seen) - 1;
      const bool is_mark = ((text[0] == kMarks) || ...);
      REQUIRE(marks_in<kMarks...>(text.data(), size) == (is_mark ? all : 0));
    }
  }
}

}  // namespace

TEST_CASE("of all bytes only the marks are marks, also where marks have halves in common", "[alg][scan]") {
  check_every_byte<'\n'>();
  check_every_byte<'\r', '\n'>();
  check_every_byte<',', '"', '\\', '<', '>'>();
  check_every_byte<';', '=', '"', '<', '>', ' ', '\t', '\r', '\n'>();
  check_every_byte<'@', ' ', '0', '\x10'>();
}

TEST_CASE("quoted strings are passed with what is escaped in them", "[alg][scan][AC-16]") {
  std::mt19937 random(3261);
  constexpr std::string_view kLetters = "a\"\\,aaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
  for (std::size_t size = 1; size < 300; ++size) {
    std::vector<char> bytes(size);
    for (auto& c : bytes) c = kLetters[random() % kLetters.size()];
    bytes.front() = '"';
    const std::string_view text(bytes.data(), bytes.size());
    CAPTURE(text);
    auto close = std::size_t{1};
    while (close < size && text[close] != '"') close += text[close] == '\\' ? 2U : 1U;
    const auto comma = close < size ? text.find(',', close) : std::string_view::npos;
    MarkScanner<',', '"', '\\'> scanner(text);
    REQUIRE(scanner.next() == 0);
    scanner.skip_quoted();
    auto at = scanner.next();
    while (at < size && text[at] != ',') at = scanner.next();
    REQUIRE(at == std::min(comma, size));
  }
}

TEST_CASE("whatever holds an IPv4 address is told to", "[alg][scan]") {
  std::mt19937 random(5118);
  for (std::size_t size = 7; size < 200; ++size) {
    for (const std::string_view address : {"1.2.3.4", "10.0.0.5", "192.168.100.200", "255.255.255.255"}) {
      if (address.size() > size) continue;
      std::vector<char> bytes(size, 'x');
      const auto at = random() % (size - address.size() + 1);
      std::copy(address.begin(), address.end(), bytes.begin() + static_cast<std::ptrdiff_t>(at));
      CAPTURE(size, address, at);
      REQUIRE(may_hold_ipv4({bytes.data(), bytes.size()}));
    }
  }
  for (const std::string_view text :
       {"", "1", "SIP/2.0/UDP host.example.com", "<sip:scscf01.ims.mnc001.mcc262.3gppnetwork.org:5060;lr>",
        "z9hG4bKa7c6.8d1f100000.0", "v1.2 and 3.4", "1..2", "a.b.c.d"}) {
    CAPTURE(text);
    CHECK_FALSE(may_hold_ipv4(text));
  }
}

}  // namespace pinhole::alg::sip
