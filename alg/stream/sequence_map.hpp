// SPDX-License-Identifier: BSD-3-Clause
#pragma once
// Which number of the sender is which number of the receiver, while bytes between them were replaced by more
// or by fewer. It is a list of knots, each a pair of numbers that stand for one another. Between two knots
// the bytes are the same, one for one, or they are a knotty piece, of which only the ends correspond; behind
// the last knot they are the same. What the receiver has acknowledged is folded into the first knot.
//
// Invariant: both numbers ascend (weakly), and memory is bounded: when there are too many knots, the one
// whose going loses least goes, and its two pieces become one that is knotty.

#include <array>
#include <cstddef>
#include <cstdint>

#include "alg/stream/sequence.hpp"

namespace pinhole::alg::stream {

class SequenceMap {
 public:
  static constexpr std::size_t kMaxKnots = 32;

  void start(Sequence in, Sequence out) noexcept {
    knots_[0] = {in, out, false};
    size_ = 1;
  }
  /// The sender's bytes [in, in + removed) are replaced by `added` bytes. Behind all that was replaced
  /// before.
  void replace(Sequence in, std::uint32_t removed, std::uint32_t added) noexcept;
  /// The receiver has all before `out`: what maps before is no longer asked for exactly.
  void fold(Sequence out) noexcept;

  // A number inside of a knotty piece becomes that of its beginning (floor) or end (ceil). Of bytes that were
  // removed altogether, out_floor() and out_ceil() give the one place that is left of them, and in_floor()
  // the end: who has all before has them too. Of bytes that were inserted, in_… give their one place,
  // out_floor() the beginning and out_ceil() the end.

  [[nodiscard]] Sequence out_floor(Sequence in) const noexcept;
  [[nodiscard]] Sequence out_ceil(Sequence in) const noexcept;
  [[nodiscard]] Sequence in_floor(Sequence out) const noexcept;
  [[nodiscard]] Sequence in_ceil(Sequence out) const noexcept;

  /// By how much the receiver's numbers are ahead behind the last knot.
  [[nodiscard]] Sequence shift() const noexcept { return knots_[size_ - 1].out - knots_[size_ - 1].in; }
  /// The sender's number from which on all is linear.
  [[nodiscard]] Sequence last_in() const noexcept { return knots_[size_ - 1].in; }

 private:
  struct Knot {
    Sequence in = 0;
    Sequence out = 0;
    bool knotty = false;  // what follows, up to the next knot
  };
  void add(Knot knot) noexcept;
  void forget_one() noexcept;

  std::array<Knot, kMaxKnots> knots_{};
  std::size_t size_ = 1;
};

}  // namespace pinhole::alg::stream
