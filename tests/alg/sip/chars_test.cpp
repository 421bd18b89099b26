// SPDX-License-Identifier: BSD-3-Clause
#include "alg/sip/chars.hpp"

#include <catch2/catch.hpp>
#include <string>
#include <vector>

namespace pinhole::alg::sip {

namespace {

// Whether a text equals a literal, asked for a copy that ends where it ends, so that a read past it is seen.
template <std::size_t kSize>
bool is_equal(std::string_view text, const char (&literal)[kSize]) {
  const std::vector<char> copy(text.begin(), text.end());
  return equals({copy.data(), copy.size()}, literal);
}

// The literal itself and in capitals is equal; with any one character changed, or one more or less, it is
// not.
template <std::size_t kSize>
void check(const char (&literal)[kSize]) {
  const std::string text(literal);
  CAPTURE(text);
  CHECK(is_equal(text, literal));
  std::string capitals = text;
  for (auto& c : capitals) {
    if (c >= 'a' && c <= 'z') c = static_cast<char>(c - 'a' + 'A');
  }
  CHECK(is_equal(capitals, literal));
  for (std::size_t i = 0; i < text.size(); ++i) {
    for (unsigned bit = 0; bit < 8; ++bit) {
      auto other = text;
      other[i] = static_cast<char>(static_cast<unsigned char>(other[i]) ^ 1U << bit);
      CAPTURE(i, bit);
      CHECK(is_equal(other, literal) == (bit == 5 && is(text[i], chars::kAlpha)));
    }
  }
  CHECK_FALSE(is_equal(text + "x", literal));
  CHECK_FALSE(is_equal(slice(text, 0, text.size() - 1), literal));
}

}  // namespace

TEST_CASE("a text equals a literal in any case, and no other text does", "[alg][chars]") {
  check("x");
  check("in");
  check("sip");
  check("sip/");
  check("rport");
  check("method");
  check("7bit-it");
  check("received");
  check("transport");
  check("application/sdp");
  check("application/pidf");
  check("content-transfer-encoding");
}

}  // namespace pinhole::alg::sip
