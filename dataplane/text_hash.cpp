// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/text_hash.hpp"

#include <bit>
#include <cstddef>
#include <cstring>

namespace pinhole::dataplane {

namespace {

struct State {
  std::uint64_t v0, v1, v2, v3;

  void rounds(int count) noexcept {
    for (int i = 0; i < count; ++i) {
      v0 += v1;
      v2 += v3;
      v1 = std::rotl(v1, 13) ^ v0;
      v3 = std::rotl(v3, 16) ^ v2;
      v0 = std::rotl(v0, 32);
      v2 += v1;
      v0 += v3;
      v1 = std::rotl(v1, 17) ^ v2;
      v3 = std::rotl(v3, 21) ^ v0;
      v2 = std::rotl(v2, 32);
    }
  }
  void take(std::uint64_t word) noexcept {
    v3 ^= word;
    rounds(2);
    v0 ^= word;
  }
};

}  // namespace

std::uint64_t sip_hash(std::string_view text, SipHashKey key) noexcept {
  // The initial words spell "somepseudorandomlygeneratedbytes".
  State state{key[0] ^ 0x736f6d6570736575U, key[1] ^ 0x646f72616e646f6dU, key[0] ^ 0x6c7967656e657261U,
              key[1] ^ 0x7465646279746573U};
  std::size_t at = 0;
  for (; text.size() - at >= 8; at += 8) {
    std::uint64_t word = 0;
    std::memcpy(&word, text.data() + at, 8);
    state.take(word);
  }
  std::uint64_t last = std::uint64_t{text.size()} << 56U;
  if (at < text.size()) {
    std::uint64_t rest = 0;
    std::memcpy(&rest, text.data() + at, text.size() - at);
    last |= rest;
  }
  state.take(last);
  state.v2 ^= 0xffU;
  state.rounds(4);
  return state.v0 ^ state.v1 ^ state.v2 ^ state.v3;
}

}  // namespace pinhole::dataplane
