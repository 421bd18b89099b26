// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/text_hash.hpp"

#include <catch2/catch.hpp>
#include <set>
#include <string>
#include <string_view>
#include <vector>

using namespace pinhole::dataplane;

TEST_CASE("the hash of a text is SipHash-2-4", "[dataplane][text_hash]") {
  // The key of the paper's appendix A is the bytes 00..0f, the message the bytes 00, 01, ... of the given
  // length.
  constexpr SipHashKey kKey = {0x0706050403020100U, 0x0f0e0d0c0b0a0908U};
  struct Case {
    std::size_t size;
    std::uint64_t hash;
  };
  const auto row = GENERATE(Case{0, 0x726fdb47dd0e0e31U}, Case{1, 0x74f839c593dc67fdU},
                            Case{8, 0x93f5f5799a932462U}, Case{15, 0xa129ca6149be45e5U});
  DYNAMIC_SECTION("of " << row.size << " bytes") {
    std::string text;
    for (std::size_t i = 0; i < row.size; ++i) text.push_back(static_cast<char>(i));
    CHECK(sip_hash(text, kKey) == row.hash);
  }
}

TEST_CASE("the hash of a Call-ID is the same on every node and in every run", "[dataplane][text_hash]") {
  CHECK(text_hash("a84b4c76e66710@pc33.atlanta.example.com") ==
        text_hash(std::string("a84b4c76e66710@") + "pc33.atlanta.example.com"));
  CHECK(text_hash("a") != text_hash("b"));
  CHECK(text_hash("") != text_hash(std::string(1, '\0')));
}

TEST_CASE("texts of any size have hashes of their own under a secret, and others under another",
          "[dataplane][text_hash]") {
  const SecretHash hash(1);
  const SecretHash other(2);
  std::set<std::uint64_t> seen;
  std::size_t count = 0;
  for (std::size_t size = 0; size <= 40; ++size) {
    for (const char c : {'\0', 'a'}) {
      if (size == 0 && c != 'a') continue;
      // In a buffer that ends where it ends, so that a read past it is seen.
      std::vector<char> text(size, c);
      const std::string_view view(text.data(), text.size());
      CHECK(hash(view) == SecretHash(1)(view));
      CHECK(hash(view) != other(view));
      seen.insert(hash(view));
      ++count;
      for (std::size_t at = 0; at < size; ++at) {
        text[at] ^= 1;
        seen.insert(hash(view));
        ++count;
        text[at] ^= 1;
      }
    }
  }
  CHECK(seen.size() == count);
}
