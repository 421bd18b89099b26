// SPDX-License-Identifier: BSD-3-Clause
#pragma once
// A set of external ports, a bit a port that is free, in words of 64 consecutive ports. Above the words lie
// three summaries, which words have a free even port, a free odd port, a free pair, so that a choice looks at
// a few words however full the set is. The words are those of one external address and protocol that a worker
// owns, or those of one block.
//
// Choice: a random word to start from, the next one that has what is asked for, a random port in it (RFC 6056
// section 3.3.1, applied to words).
//
// Invariant: the summaries agree with the words. A view: whoever owns the memory says what the set is.

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>

#include "nat/ownership.hpp"
#include "nat/prefetch.hpp"
#include "nat/random.hpp"

namespace pinhole::nat {

/// The random number that a choice takes: its upper bits pick the word, its last ones the port in it.
using Draw = std::uint32_t;

class PortSet {
 public:
  /// Which ports the words stand for.
  struct Shape {
    std::uint32_t first_block = 0;  // of 64 ports: that of the first word
    std::uint32_t step = 1;         // from the block of a word to that of the next
    std::uint32_t words = 0;
  };

  /// Numbers of 64 bits that a set of up to `capacity` words takes.
  [[nodiscard]] static constexpr std::size_t memory_needed(std::uint32_t capacity) noexcept {
    return capacity + kSummaries * std::size_t{summary_size(capacity)};
  }
  /// \param memory  memory_needed(capacity) of them; zero: no port is free
  PortSet(std::uint64_t* memory, std::uint32_t capacity, Shape shape) noexcept
      : free_(memory), summaries_(memory + capacity), shape_(shape) {}

  /// Makes all ports free.
  void fill() const noexcept;

  [[nodiscard]] std::uint32_t words() const noexcept { return shape_.words; }

  /// Where a port of the set lies.
  struct Place {
    std::uint32_t word = kNowhere;
    std::uint32_t bit = 0;

    [[nodiscard]] constexpr explicit operator bool() const noexcept { return word != kNowhere; }
  };

  /// A random free port of a parity in the words begin..end-1, or nowhere; not yet taken.
  [[nodiscard]] Place choose(bool odd, std::uint32_t begin, std::uint32_t end, Draw draw) const noexcept {
    // No branch: which it is nobody can foresee.
    static_assert(static_cast<int>(What::even) == 0 && static_cast<int>(What::odd) == 1);
    return choose_from(static_cast<What>(odd), begin, end, draw);
  }
  /// The same of the parity if that can be, else of the other.
  [[nodiscard]] Place choose_like(bool odd, std::uint32_t begin, std::uint32_t end,
                                  Draw draw) const noexcept {
    const Place same = choose(odd, begin, end, draw);
    return same ? same : choose(!odd, begin, end, draw);
  }
  /// An even port whose next one is free too.
  [[nodiscard]] Place choose_pair(std::uint32_t begin, std::uint32_t end, Draw draw) const noexcept {
    return choose_from(What::pairs, begin, end, draw);
  }
  /// Fetches what a choice will probably read, and who takes what was chosen write.
  void prefetch(std::uint32_t begin, std::uint32_t end, Draw draw) const noexcept {
    const std::uint32_t word = begin + scale(draw, end - begin);
    nat::prefetch(&free_[word]);
    nat::prefetch(&summary(What::even, word / 64));
  }
  [[nodiscard]] std::uint16_t port_at(Place place) const noexcept {
    return static_cast<std::uint16_t>((shape_.first_block + place.word * shape_.step) * kPortBlock +
                                      place.bit);
  }

  [[nodiscard]] bool is_free(Place place) const noexcept {
    return (free_[place.word] >> place.bit & 1U) != 0;
  }
  /// Takes a port that was chosen.
  void take(Place place) const noexcept { take(place.word, std::uint64_t{1} << place.bit); }
  /// Takes an even port and the next one. Precondition: choose_pair() gave it
  void take_pair(Place even) const noexcept { take(even.word, std::uint64_t{3} << even.bit); }
  /// \return false when the port is not free, or not of the set
  [[nodiscard]] bool take(std::uint16_t port) const noexcept;
  /// Makes a port free. Precondition: it is of the set and not free
  void put(std::uint16_t port) const noexcept;
  /// Makes ports of one word free.
  void put(std::uint32_t word, std::uint64_t bits) const noexcept {
    free_[word] |= bits;
    summarise(word);
  }

  /// Whether any port of the words begin..end-1 is free.
  [[nodiscard]] bool has_room(std::uint32_t begin, std::uint32_t end) const noexcept {
    return next_with(What::even, begin, end) != end || next_with(What::odd, begin, end) != end;
  }
  /// Where a port lies; nowhere when it is not of the set.
  [[nodiscard]] Place place_of(std::uint16_t port) const noexcept;

 private:
  static constexpr std::uint32_t kNowhere = ~std::uint32_t{0};
  static constexpr std::uint64_t kEven = 0x5555555555555555;
  static constexpr std::uint64_t kOdd = ~kEven;
  static_assert(kPortBlock == 64, "a block is one word");
  static_assert(kPortBlocks * kPortBlock <= std::uint64_t{1} << 32U, "one draw has bits for both");

  /// What a summary tells of each word. The words of all summaries about the same 64 words lie together, so
  /// that taking a port touches one line of them.
  enum class What : std::uint8_t { even, odd, pairs };
  static constexpr std::size_t kSummaries = 4;  // one is not used

  [[nodiscard]] std::uint64_t& summary(What what, std::uint32_t number) const noexcept {
    return summaries_[kSummaries * number + static_cast<std::size_t>(what)];
  }
  [[nodiscard]] static constexpr std::uint32_t summary_size(std::uint32_t words) noexcept {
    return (words + 63) / 64;
  }
  /// The even ports of a word whose odd neighbour is free too.
  [[nodiscard]] static constexpr std::uint64_t pairs_of(std::uint64_t word) noexcept {
    return word & (word >> 1U) & kEven;
  }
  /// The first of the words begin..end-1 that a summary names, or `end`. Cost: a step for 64 words.
  [[nodiscard]] std::uint32_t next_with(What what, std::uint32_t begin, std::uint32_t end) const noexcept {
    while (begin < end) {
      const std::uint64_t rest = summary(what, begin / 64) >> (begin % 64);
      if (rest != 0) return std::min(end, begin + static_cast<std::uint32_t>(std::countr_zero(rest)));
      begin = (begin / 64 + 1) * 64;
    }
    return end;
  }
  /// A random free port of a kind in the words begin..end-1.
  [[nodiscard]] Place choose_from(What what, std::uint32_t begin, std::uint32_t end,
                                  Draw draw) const noexcept {
    if (begin >= end) return {};
    const std::uint32_t start = begin + scale(draw, end - begin);
    std::uint32_t word = next_with(what, start, end);
    if (word == end) {
      word = next_with(what, begin, start);
      if (word == start) return {};
    }
    const std::uint64_t free = free_[word];
    const std::uint64_t fit =
        what == What::pairs ? pairs_of(free) : free & kEven << static_cast<unsigned>(what);
    const std::uint32_t turn = draw % kPortBlock;
    const auto bit =
        static_cast<std::uint32_t>(std::countr_zero(std::rotr(fit, static_cast<int>(turn)))) + turn;
    return {.word = word, .bit = bit % kPortBlock};
  }
  void take(std::uint32_t word, std::uint64_t bits) const noexcept {
    const std::uint64_t free = free_[word] & ~bits;
    free_[word] = free;
    // A word with a pair has something of each kind, as it had before.
    if (pairs_of(free) == 0) [[unlikely]]
      summarise(word);
  }
  void summarise(std::uint32_t word) const noexcept {
    const std::uint64_t free = free_[word];
    const std::uint64_t bit = std::uint64_t{1} << (word % 64);
    const auto note = [&](What what, bool any) noexcept {
      std::uint64_t& bits = summary(what, word / 64);
      bits = any ? bits | bit : bits & ~bit;
    };
    note(What::even, (free & kEven) != 0);
    note(What::odd, (free & kOdd) != 0);
    note(What::pairs, pairs_of(free) != 0);
  }

  std::uint64_t* free_;
  std::uint64_t* summaries_;
  Shape shape_;
};

}  // namespace pinhole::nat
