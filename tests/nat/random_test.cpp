// SPDX-License-Identifier: BSD-3-Clause
#include "nat/random.hpp"

#include <catch2/catch.hpp>

#include <set>

using namespace pinhole::nat;

TEST_CASE("the key stream is that of ChaCha", "[nat][random][rfc8439]") {
  // Source: RFC 8439 section 2.3.2.
  const RandomKey key = {0x03020100, 0x07060504, 0x0b0a0908, 0x0f0e0d0c,
                         0x13121110, 0x17161514, 0x1b1a1918, 0x1f1e1d1c};
  const std::array<std::uint32_t, 16> expected = {
      0xe4e7f110, 0x15593bd1, 0x1fdd0f50, 0xc47120a3, 0xc7f4d1c7, 0x0368c033, 0x9aaa2204, 0x4e6cd4c3,
      0x466482d2, 0x09aa9f07, 0x05d7c214, 0xa2028bd9, 0xd19c12b5, 0xb94e16de, 0xe883d0cb, 0x4e3c50a2};
  CHECK(chacha_block(key, 1, {0x09000000, 0x4a000000, 0}, 20) == expected);
}

TEST_CASE("one key gives one sequence, and each stream another", "[nat][random]") {
  Random first({1, 2, 3}, 0);
  Random same({1, 2, 3}, 0);
  Random other({1, 2, 3}, 1);
  std::set<std::uint32_t> seen;
  for (int i = 0; i < 1000; ++i) {
    const std::uint32_t number = first.next();
    CHECK(number == same.next());
    seen.insert(number);
    seen.insert(other.next());
  }
  CHECK(seen.size() > 1995);  // 2000 numbers, but for a chance meeting: blocks do not repeat
}

TEST_CASE("below() stays below and reaches all", "[nat][random]") {
  Random random({7});
  for (const std::uint32_t count : {1U, 2U, 3U, 64U, 1000U}) {
    std::set<std::uint32_t> seen;
    for (std::uint32_t i = 0; i < 20 * count; ++i) {
      const std::uint32_t number = random.below(count);
      REQUIRE(number < count);
      seen.insert(number);
    }
    CHECK(seen.size() == count);
  }
}
