// SPDX-License-Identifier: BSD-3-Clause
#include "alg/sip/glob.hpp"

#include <catch2/catch.hpp>

#include <string>

namespace pinhole::alg::sip {

TEST_CASE("a pattern fits the whole of a text, whatever its case", "[alg][glob]") {
  struct Row {
    const char* pattern;
    const char* text;
    bool fits;
  };
  const Row rows[] = {
      {"abc", "ABC", true},    {"abc", "abcd", false},
      {"abc", "ab", false},    {"", "", true},
      {"", "a", false},        {"*", "", true},
      {"*", "anything", true}, {"?", "", false},
      {"?", "x", true},        {"a?c", "abc", true},
      {"a*c", "ac", true},     {"a*c", "abbbc", true},
      {"a*c", "abcd", false},  {"*b*", "abc", true},
      {"*b*", "aac", false},   {"a*b*c", "aXbYbZc", true},
      {"*ab", "aab", true},    {"*aab", "aaaab", true},
      {"**", "x", true},       {"a**b", "ab", true},
      {"*a?", "xaay", true},   {"sip*vicious", "SIPvicious", true},
  };
  for (const auto& row : rows) {
    INFO(row.pattern << " on " << row.text);
    CHECK(fits_glob(row.text, row.pattern) == row.fits);
  }
}

TEST_CASE("of a URI case counts in the user part alone", "[alg][glob][rfc3261-19.1.4]") {
  CHECK(fits_uri_glob("sip:Bob@Example.com", "SIP:Bob@example.COM"));
  CHECK_FALSE(fits_uri_glob("sip:Bob@Example.com", "sip:bob@example.com"));
  CHECK(fits_uri_glob("sip:Example.com", "sip:example.com"));
  CHECK(fits_uri_glob("sip:+4930*@x", "sip:+49*@X"));
}

TEST_CASE("the work of a pattern is bounded, however long the text", "[alg][glob]") {
  const std::string text(1'000'000, 'a');
  CHECK(fits_glob(text, "a*"));
  CHECK_FALSE(fits_glob(text, "*aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaab"));
  // What stands behind the bound is not seen.
  CHECK_FALSE(fits_glob(text + "b", "*b"));
}

}  // namespace pinhole::alg::sip
