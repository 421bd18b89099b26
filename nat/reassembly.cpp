// SPDX-License-Identifier: BSD-3-Clause
#include "nat/reassembly.hpp"

#include <cassert>

#include "nat/ownership.hpp"

namespace pinhole::nat {

std::size_t Reassembly::bytes_needed(const ReassemblyLimits& limits) noexcept {
  return HashChains::bytes_needed(limits.datagrams) + carved_bytes<Datagram>(limits.datagrams) +
         carved_bytes<Piece>(limits.pieces) + carved_bytes<SourceShare>(kSourceBuckets);
}

Reassembly::Reassembly(const ReassemblyLimits& limits, std::uint64_t seed,
                       std::span<std::byte> memory) noexcept
    : Reassembly(limits, seed, Carver(memory)) {
}

Reassembly::Reassembly(const ReassemblyLimits& limits, std::uint64_t seed, Carver memory) noexcept
    : limits_(limits),
      seed_(seed),
      chains_(limits.datagrams, seed, memory),
      table_(memory.take<Datagram>(limits.datagrams)),
      places_(memory.take<Piece>(limits.pieces)),
      shares_(memory.take<SourceShare>(kSourceBuckets)) {
  assert(limits.datagrams > 0 && limits.datagrams < kNone && limits.pieces > 0 && limits.pieces < kNone);
  for (std::size_t i = table_.size(); i-- > 0; free_datagram_ = static_cast<Index>(i)) {
    table_[i].newer = free_datagram_;
  }
  for (std::size_t i = places_.size(); i-- > 0; free_place_ = static_cast<Index>(i)) {
    places_[i].next = free_place_;
  }
}

Reassembly::Joined Reassembly::join(const ReassemblyKey& key, FragmentRange range, Tick now) noexcept {
  const std::uint64_t hash = hash_of(key);
  const Index known = find(key, hash);
  Joined joined{.at = known};
  if (known != kNone) {
    const Place place = place_for(table_[known], range);
    if (place.fit == Fit::repeated) return {.reason = DropReason::drop_fragment_overlap};
    if (place.fit == Fit::overlaps) {
      return {.reason = DropReason::drop_fragment_overlap, .refused = forget(known)};
    }
    joined.behind = place.behind;
  }

  constexpr Joined kRefused{.reason = DropReason::drop_sip_fragment_overflow};
  const auto& share = share_of(key.source.address);
  if (share.pieces >= limits_.pieces_of_source) return kRefused;
  if (known == kNone && share.datagrams >= limits_.datagrams_of_source) return kRefused;
  if (known != kNone && table_[known].pieces >= limits_.pieces_of_datagram) return kRefused;
  if (free_place_ == kNone || (known == kNone && free_datagram_ == kNone)) {
    if (oldest_ == known) return kRefused;
    joined.displaced = forget(oldest_);
  }
  if (known == kNone) joined.at = add(key, hash, now);
  return joined;
}

Reassembly::Place Reassembly::place_for(const Datagram& datagram, FragmentRange range) const noexcept {
  const Piece& last = places_[datagram.last];
  const bool end_differs = range.is_last && datagram.total != 0 && range.end != datagram.total;
  const bool beyond =
      range.is_last ? last.end > range.end : datagram.total != 0 && range.end > datagram.total;
  if (end_differs || beyond) return {.fit = Fit::overlaps};
  if (range.begin >= last.end) return {.behind = datagram.last};
  Index behind = kNone;
  Index next = datagram.first;
  for (; places_[next].begin < range.begin; next = places_[next].next) {
    behind = next;
    if (next == datagram.last) return {.fit = Fit::overlaps};
  }
  if (places_[next].begin == range.begin && places_[next].end == range.end) return {.fit = Fit::repeated};
  const bool is_free =
      range.end <= places_[next].begin && (behind == kNone || places_[behind].end <= range.begin);
  return {.fit = is_free ? Fit::free : Fit::overlaps, .behind = behind};
}

/// \return the pieces of the datagram, if it is whole now
Reassembly::Index Reassembly::insert(Index at, Index behind, FragmentRange range, void* packet) noexcept {
  const Index place = free_place_;
  free_place_ = places_[place].next;
  auto& datagram = table_[at];
  Index& link = behind == kNone ? datagram.first : places_[behind].next;
  places_[place] = {packet, range.begin, range.end, link};
  link = place;
  if (behind == datagram.last) datagram.last = place;
  if (range.is_last) datagram.total = range.end;
  datagram.units = static_cast<std::uint16_t>(datagram.units + range.end - range.begin);
  ++datagram.pieces;
  ++share_of(datagram.key.source.address).pieces;
  ++pieces_;
  return datagram.units == datagram.total ? forget(at) : kNone;
}

std::uint64_t Reassembly::hash_of(const ReassemblyKey& key) const noexcept {
  const std::uint64_t kind = std::uint64_t{key.identification.raw()} << 16U | (key.from_inside ? 1U : 0U);
  const std::uint64_t ports = std::uint64_t{key.source.port.raw()} << 16U | key.destination.port.raw();
  const std::uint64_t salt = std::uint64_t{hash_address(key.destination.address, seed_ + kind)} << 32U;
  return salt | hash_address(key.source.address, salt ^ seed_ ^ ports);
}

Reassembly::SourceShare& Reassembly::share_of(Ipv4Address source) noexcept {
  return shares_[hash_address(source, seed_) % kSourceBuckets];
}

Reassembly::Index Reassembly::find(const ReassemblyKey& key, std::uint64_t hash) const noexcept {
  auto at = chains_.first(hash);
  while (at != HashChains::kNone && table_[at].key != key) at = chains_.next(at);
  return at == HashChains::kNone ? kNone : static_cast<Index>(at);
}

Reassembly::Index Reassembly::add(const ReassemblyKey& key, std::uint64_t hash, Tick now) noexcept {
  const Index at = free_datagram_;
  free_datagram_ = table_[at].newer;
  table_[at] = {};
  table_[at].key = key;
  table_[at].since = now;
  table_[at].older = newest_;
  (newest_ == kNone ? oldest_ : table_[newest_].newer) = at;
  newest_ = at;
  chains_.add(at, hash);
  ++share_of(key.source.address).datagrams;
  ++datagrams_;
  return at;
}

/// \return its pieces, which are to be given back
Reassembly::Index Reassembly::forget(Index at) noexcept {
  const auto& datagram = table_[at];
  (datagram.older == kNone ? oldest_ : table_[datagram.older].newer) = datagram.newer;
  (datagram.newer == kNone ? newest_ : table_[datagram.newer].older) = datagram.older;
  chains_.remove(at, hash_of(datagram.key));
  auto& share = share_of(datagram.key.source.address);
  --share.datagrams;
  share.pieces = static_cast<std::uint16_t>(share.pieces - datagram.pieces);
  --datagrams_;
  pieces_ -= datagram.pieces;
  table_[at].newer = free_datagram_;
  free_datagram_ = at;
  return datagram.first;
}

}  // namespace pinhole::nat
