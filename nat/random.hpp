// SPDX-License-Identifier: BSD-3-Clause
#pragma once
// Random numbers that nobody outside can guess: external ports are chosen by them (RFC 6056 section 3.1: the
// point is that an attacker cannot predict the next port from those that he has seen), and so are the seeds
// of hash tables. They are the key stream of ChaCha (RFC 8439 section 2.3), with 8 rounds instead of 20: no
// attack comes near 8 rounds at these volumes, and one block of 16 numbers costs about as much as a cache
// miss. The same key gives the same numbers, which is what tests want; the data plane takes its key from the
// kernel.

#include <array>
#include <cstddef>
#include <cstdint>

#include "nat/ownership.hpp"

namespace pinhole::nat {

using RandomKey = std::array<std::uint32_t, 8>;

/// One block of the key stream. Source: RFC 8439 section 2.3, with the nonce as a parameter.
[[nodiscard]] std::array<std::uint32_t, 16> chacha_block(const RandomKey& key, std::uint32_t counter,
                                                         const std::array<std::uint32_t, 3>& nonce,
                                                         unsigned rounds) noexcept;

class Random {
 public:
  /// \param stream  gives independent numbers under one key: the number of the worker
  explicit Random(const RandomKey& key, std::uint32_t stream = 0) noexcept : key_(key), stream_(stream) {}

  [[nodiscard]] std::uint32_t next() noexcept {
    if (used_ == block_.size()) refill();
    return block_[used_++];
  }
  [[nodiscard]] std::uint64_t next64() noexcept {
    const std::uint64_t high = next();
    return high << 32U | next();
  }
  /// Evenly from 0..count-1, count at least 1; the bias is below count / 2^32.
  [[nodiscard]] std::uint32_t below(std::uint32_t count) noexcept { return scale(next(), count); }

 private:
  void refill() noexcept;

  RandomKey key_;
  std::uint32_t stream_;
  std::uint64_t blocks_ = 0;
  std::array<std::uint32_t, 16> block_{};
  std::size_t used_ = 16;
};

}  // namespace pinhole::nat
