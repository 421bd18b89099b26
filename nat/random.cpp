// SPDX-License-Identifier: BSD-3-Clause
#include "nat/random.hpp"

#include <bit>

namespace pinhole::nat {

namespace {

using State = std::array<std::uint32_t, 16>;

/// Source: RFC 8439 section 2.1.
void quarter_round(State& state, std::size_t a, std::size_t b, std::size_t c, std::size_t d) noexcept {
  state[a] += state[b];
  state[d] = std::rotl(state[d] ^ state[a], 16);
  state[c] += state[d];
  state[b] = std::rotl(state[b] ^ state[c], 12);
  state[a] += state[b];
  state[d] = std::rotl(state[d] ^ state[a], 8);
  state[c] += state[d];
  state[b] = std::rotl(state[b] ^ state[c], 7);
}

}  // namespace

std::array<std::uint32_t, 16> chacha_block(const RandomKey& key, std::uint32_t counter,
                                           const std::array<std::uint32_t, 3>& nonce,
                                           unsigned rounds) noexcept {
  State initial = {0x61707865, 0x3320646e, 0x79622d32, 0x6b206574};  // "expand 32-byte k"
  for (std::size_t i = 0; i < key.size(); ++i) initial[4 + i] = key[i];
  initial[12] = counter;
  for (std::size_t i = 0; i < nonce.size(); ++i) initial[13 + i] = nonce[i];

  State state = initial;
  for (unsigned round = 0; round < rounds; round += 2) {
    for (std::size_t column = 0; column < 4; ++column)
      quarter_round(state, column, column + 4, column + 8, column + 12);
    for (std::size_t diagonal = 0; diagonal < 4; ++diagonal)
      quarter_round(state, diagonal, 4 + (diagonal + 1) % 4, 8 + (diagonal + 2) % 4, 12 + (diagonal + 3) % 4);
  }
  for (std::size_t i = 0; i < state.size(); ++i) state[i] += initial[i];
  return state;
}

void Random::refill() noexcept {
  constexpr unsigned kRounds = 8;
  const auto high = static_cast<std::uint32_t>(blocks_ >> 32U);
  block_ = chacha_block(key_, static_cast<std::uint32_t>(blocks_), {high, stream_, 0}, kRounds);
  ++blocks_;
  used_ = 0;
}

}  // namespace pinhole::nat
