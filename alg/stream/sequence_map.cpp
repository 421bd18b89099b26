// SPDX-License-Identifier: BSD-3-Clause
#include "alg/stream/sequence_map.hpp"

#include <algorithm>

namespace pinhole::alg::stream {

void SequenceMap::replace(Sequence in, std::uint32_t removed, std::uint32_t added) noexcept {
  if (removed == added) return;
  const Sequence out = in + shift();
  add({in, out, true});
  add({in + removed, out + added, false});
}

void SequenceMap::add(Knot knot) noexcept {
  Knot& last = knots_[size_ - 1];
  if (last.in == knot.in && last.out == knot.out) {
    last.knotty = knot.knotty;
    return;
  }
  if (size_ == kMaxKnots) forget_one();
  knots_[size_++] = knot;
}

void SequenceMap::forget_one() noexcept {
  std::size_t best = 1;
  std::uint32_t least = ~std::uint32_t{0};
  for (std::size_t i = 1; i + 1 < size_; ++i) {
    const std::uint32_t loses = knots_[i + 1].in - knots_[i - 1].in + knots_[i + 1].out - knots_[i - 1].out;
    if (loses >= least) continue;
    least = loses;
    best = i;
  }
  knots_[best - 1].knotty = true;
  std::move(knots_.begin() + static_cast<std::ptrdiff_t>(best) + 1,
            knots_.begin() + static_cast<std::ptrdiff_t>(size_),
            knots_.begin() + static_cast<std::ptrdiff_t>(best));
  --size_;
}

void SequenceMap::fold(Sequence out) noexcept {
  std::size_t gone = 0;
  while (gone + 1 < size_ && !after(knots_[gone + 1].out, out)) ++gone;
  if (gone == 0) return;
  std::move(knots_.begin() + static_cast<std::ptrdiff_t>(gone),
            knots_.begin() + static_cast<std::ptrdiff_t>(size_), knots_.begin());
  size_ -= gone;
}

Sequence SequenceMap::out_floor(Sequence in) const noexcept {
  std::size_t i = size_ - 1;
  while (i > 0 && !before(knots_[i].in, in)) --i;  // the last knot before `in`, or the first one
  if (before(knots_[i].in, in) && i + 1 < size_ && knots_[i + 1].in == in) return knots_[i + 1].out;
  const Knot& knot = knots_[i];
  return knot.knotty && after(in, knot.in) ? knot.out : knot.out + (in - knot.in);
}

Sequence SequenceMap::out_ceil(Sequence in) const noexcept {
  std::size_t i = size_ - 1;
  while (i > 0 && after(knots_[i].in, in)) --i;  // the last knot that is not behind `in`
  const Knot& knot = knots_[i];
  return knot.knotty && after(in, knot.in) ? knots_[i + 1].out : knot.out + (in - knot.in);
}

Sequence SequenceMap::in_floor(Sequence out) const noexcept {
  std::size_t i = size_ - 1;
  while (i > 0 && after(knots_[i].out, out)) --i;
  const Knot& knot = knots_[i];
  return knot.knotty && after(out, knot.out) ? knot.in : knot.in + (out - knot.out);
}

Sequence SequenceMap::in_ceil(Sequence out) const noexcept {
  std::size_t i = size_ - 1;
  while (i > 0 && after(knots_[i].out, out)) --i;
  const Knot& knot = knots_[i];
  return knot.knotty && after(out, knot.out) ? knots_[i + 1].in : knot.in + (out - knot.out);
}

}  // namespace pinhole::alg::stream
