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

#include <cstddef>
#include <cstdint>
#include <optional>

#include "nat/ownership.hpp"
#include "nat/random.hpp"

namespace pinhole::nat {

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
    return capacity + 3 * std::size_t{summary_size(capacity)};
  }
  /// \param memory  memory_needed(capacity) of them; zero: no port is free
  PortSet(std::uint64_t* memory, std::uint32_t capacity, Shape shape) noexcept
      : free_(memory),
        even_(memory + capacity),
        odd_(even_ + summary_size(capacity)),
        pair_(odd_ + summary_size(capacity)),
        shape_(shape) {}

  /// Makes all ports free.
  void fill() const noexcept;

  [[nodiscard]] std::uint32_t words() const noexcept { return shape_.words; }

  /// A random free port of a parity in the words begin..end-1, or none; not yet taken.
  [[nodiscard]] std::optional<std::uint16_t> choose(bool odd, std::uint32_t begin, std::uint32_t end,
                                                    Random& random) const noexcept;
  /// The same of the parity if that can be, else of the other.
  [[nodiscard]] std::optional<std::uint16_t> choose_like(bool odd, std::uint32_t begin, std::uint32_t end,
                                                         Random& random) const noexcept {
    const auto same = choose(odd, begin, end, random);
    return same ? same : choose(!odd, begin, end, random);
  }
  /// An even port whose next one is free too.
  [[nodiscard]] std::optional<std::uint16_t> choose_pair(std::uint32_t begin, std::uint32_t end,
                                                         Random& random) const noexcept;

  /// \return false when the port is not free, or not of the set
  [[nodiscard]] bool take(std::uint16_t port) const noexcept;
  /// Takes an even port and the next one. Precondition: choose_pair() gave it
  void take_pair(std::uint16_t even) const noexcept;
  /// Makes a port free. Precondition: it is of the set and not free
  void put(std::uint16_t port) const noexcept;
  /// Makes ports of one word free.
  void put(std::uint32_t word, std::uint64_t bits) const noexcept {
    free_[word] |= bits;
    summarise(word);
  }

  /// Whether any port of the words begin..end-1 is free.
  [[nodiscard]] bool has_room(std::uint32_t begin, std::uint32_t end) const noexcept;

  struct Place {
    std::uint32_t word;
    std::uint64_t bit;
  };
  /// Where a port lies; none when it is not of the set.
  [[nodiscard]] std::optional<Place> place_of(std::uint16_t port) const noexcept;

 private:
  [[nodiscard]] static constexpr std::uint32_t summary_size(std::uint32_t words) noexcept {
    return (words + 63) / 64;
  }
  [[nodiscard]] std::optional<std::uint16_t> choose_from(const std::uint64_t* summary, std::uint64_t wanted,
                                                         std::uint32_t begin, std::uint32_t end,
                                                         Random& random) const noexcept;
  void summarise(std::uint32_t word) const noexcept;

  std::uint64_t* free_;
  std::uint64_t* even_;
  std::uint64_t* odd_;
  std::uint64_t* pair_;
  Shape shape_;
};

}  // namespace pinhole::nat
