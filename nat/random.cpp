// SPDX-License-Identifier: BSD-3-Clause
#include "nat/random.hpp"

#include <cstring>

namespace pinhole::nat {

namespace {

/// A row of the state, which is four by four words: what is done to the columns is done to all at once.
using Row = std::uint32_t __attribute__((vector_size(16)));

template <unsigned kBits>
Row rotl(Row row) noexcept {
  return row << kBits | row >> (32 - kBits);
}
/// The words of a row, moved to the front by so many places, round and round.
template <int kPlaces>
Row turn(Row row) noexcept {
  return __builtin_shufflevector(row, row, kPlaces, (kPlaces + 1) % 4, (kPlaces + 2) % 4, (kPlaces + 3) % 4);
}

/// The four quarter rounds of the columns. Source: RFC 8439 section 2.1.
[[gnu::always_inline]] inline void quarter_rounds(Row& a, Row& b, Row& c, Row& d) noexcept {
  a += b;
  d = rotl<16>(d ^ a);
  c += d;
  b = rotl<12>(b ^ c);
  a += b;
  d = rotl<8>(d ^ a);
  c += d;
  b = rotl<7>(b ^ c);
}

}  // namespace

std::array<std::uint32_t, 16> chacha_block(const RandomKey& key, std::uint32_t counter,
                                           const std::array<std::uint32_t, 3>& nonce,
                                           unsigned rounds) noexcept {
  const Row first = {0x61707865, 0x3320646e, 0x79622d32, 0x6b206574};  // "expand 32-byte k"
  const Row second = {key[0], key[1], key[2], key[3]};
  const Row third = {key[4], key[5], key[6], key[7]};
  const Row last = {counter, nonce[0], nonce[1], nonce[2]};

  Row a = first;
  Row b = second;
  Row c = third;
  Row d = last;
  for (unsigned round = 0; round < rounds; round += 2) {
    quarter_rounds(a, b, c, d);
    // Turned like this, the diagonals are the columns.
    b = turn<1>(b);
    c = turn<2>(c);
    d = turn<3>(d);
    quarter_rounds(a, b, c, d);
    b = turn<3>(b);
    c = turn<2>(c);
    d = turn<1>(d);
  }
  const std::array<Row, 4> sums = {a + first, b + second, c + third, d + last};
  std::array<std::uint32_t, 16> block;
  static_assert(sizeof block == sizeof sums);
  std::memcpy(block.data(), sums.data(), sizeof block);
  return block;
}

void Random::refill() noexcept {
  constexpr unsigned kRounds = 8;
  const auto high = static_cast<std::uint32_t>(blocks_ >> 32U);
  block_ = chacha_block(key_, static_cast<std::uint32_t>(blocks_), {high, stream_, 0}, kRounds);
  ++blocks_;
  used_ = 0;
}

}  // namespace pinhole::nat
