// SPDX-License-Identifier: BSD-3-Clause
#pragma once
// The external ports that a worker may hand out: for each address of the pool and each protocol a bitmap of
// the blocks that the worker owns (nat/ownership.hpp), one 64-bit word a block. Above the words lie three
// summaries, which words have a free even port, a free odd port, a free pair, so that a choice looks at a few
// words however full the pool is.
//
// Choice: a random block to start from, the next one that has what is asked for, a random port in it (RFC
// 6056 section 3.3.1, applied to blocks). Invariant: a port is free, taken or reserved; reserved ports
// (static forwards) are never handed out. Owned by one worker.

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "nat/endpoint.hpp"
#include "nat/memory.hpp"
#include "nat/ownership.hpp"
#include "nat/random.hpp"

namespace pinhole::nat {

class PortPool {
 public:
  /// \param pool_size  external addresses, 0..65536
  [[nodiscard]] static constexpr std::size_t bytes_needed(std::uint32_t pool_size,
                                                          unsigned workers) noexcept {
    return carved_bytes<std::uint64_t>(pool_size * kProtocols * words_per_set(workers));
  }
  PortPool(std::uint32_t pool_size, unsigned worker, unsigned workers, const Random& random,
           std::span<std::byte> memory) noexcept;

  /// A free port of an external address, or none. For UDP and TCP it keeps the parity of the inside port if
  /// that can be (RFC 4787 REQ-4) and its range (REQ-3a): a port from 1024 on never gets one below, a port
  /// below 1024 gets one above only when no other is left. Port 0 is never given. ICMP identifiers are any.
  /// Cost: bounded; some 20 words are read when nearly all ports are taken.
  [[nodiscard]] std::optional<std::uint16_t> take(Protocol protocol, std::uint16_t pool_index,
                                                  std::uint16_t inside_port) noexcept;
  /// An even UDP port from 1024 on, with the next one taken too (RTP and its RTCP), or none.
  [[nodiscard]] std::optional<std::uint16_t> take_pair(std::uint16_t pool_index) noexcept;
  /// Takes exactly this port. \return false when it is taken, reserved or another worker's
  [[nodiscard]] bool take_exactly(Protocol protocol, std::uint16_t pool_index, std::uint16_t port) noexcept;
  /// Takes a port out of the pool for good. Nothing happens when it is not of this pool and worker.
  void reserve(Protocol protocol, std::uint16_t pool_index, std::uint16_t port) noexcept;
  /// Gives back a port that take(), take_pair() or take_exactly() gave.
  void give_back(Protocol protocol, std::uint16_t pool_index, std::uint16_t port) noexcept;

  /// Ports handed out now; the same port of two protocols counts twice.
  [[nodiscard]] std::uint32_t in_use() const noexcept { return in_use_; }

 private:
  /// One address and protocol: the words of the owned blocks, then the three summaries.
  struct Set {
    std::uint64_t* words;
    std::uint64_t* even;
    std::uint64_t* odd;
    std::uint64_t* pair;
    std::uint32_t first_block;  // block of words[0]; the others follow in steps of the number of workers
    std::uint32_t low_words;    // how many lie below port 1024
    std::uint32_t word_count;
  };
  struct Place {
    std::uint32_t word;
    std::uint64_t bit;
  };

  [[nodiscard]] static constexpr std::uint32_t max_words(unsigned workers) noexcept {
    return (kPortBlocks + workers - 1) / workers;
  }
  [[nodiscard]] static constexpr std::uint32_t summary_words(unsigned workers) noexcept {
    return (max_words(workers) + 63) / 64;
  }
  [[nodiscard]] static constexpr std::size_t words_per_set(unsigned workers) noexcept {
    return max_words(workers) + 3 * std::size_t{summary_words(workers)};
  }

  [[nodiscard]] Set set_of(Protocol protocol, std::uint16_t pool_index) const noexcept;
  [[nodiscard]] std::optional<Place> place_of(const Set& set, std::uint16_t port) const noexcept;
  [[nodiscard]] std::optional<std::uint16_t> choose(const Set& set, const std::uint64_t* summary,
                                                    std::uint64_t wanted, std::uint32_t begin,
                                                    std::uint32_t end) noexcept;
  [[nodiscard]] std::optional<std::uint16_t> choose_by_parity(const Set& set, bool odd, std::uint32_t begin,
                                                              std::uint32_t end) noexcept;
  static void summarise(const Set& set, std::uint32_t word) noexcept;

  std::uint32_t pool_size_;
  unsigned worker_;
  unsigned workers_;
  std::uint32_t in_use_ = 0;
  Random random_;
  std::span<std::uint64_t> memory_;
};

}  // namespace pinhole::nat
