// SPDX-License-Identifier: BSD-3-Clause
#include "nat/fragment.hpp"

#include <algorithm>
#include <cassert>

#include "nat/ownership.hpp"

namespace pinhole::nat {

void Coverage::add(FragmentRange range) noexcept {
  if (range.is_last) total_ = range.end;
  // Ranges that the new one touches become part of it; the others touch neither it nor each other.
  std::uint8_t kept = 0;
  for (std::uint8_t i = 0; i < size_; ++i) {
    const Range known = ranges_[i];
    if (range.begin <= known.end && known.begin <= range.end) {
      range.begin = std::min(range.begin, known.begin);
      range.end = std::max(range.end, known.end);
    } else {
      ranges_[kept++] = known;
    }
  }
  if (kept < kRanges) ranges_[kept++] = {range.begin, range.end};
  size_ = kept;
}

std::size_t FragmentTable::bytes_needed(const FragmentLimits& limits) noexcept {
  return HashChains::bytes_needed(limits.datagrams) + carved_bytes<Datagram>(limits.datagrams) +
         carved_bytes<Waiting>(limits.waiting) + carved_bytes<SourceShare>(kSourceBuckets);
}

FragmentTable::FragmentTable(const FragmentLimits& limits, std::uint64_t seed, DatagramIds& ids,
                             std::span<std::byte> memory) noexcept
    : FragmentTable(limits, seed, ids, Carver(memory)) {
}

FragmentTable::FragmentTable(const FragmentLimits& limits, std::uint64_t seed, DatagramIds& ids,
                             Carver memory) noexcept
    : limits_(limits),
      seed_(seed),
      ids_(ids),
      chains_(limits.datagrams, seed, memory),
      table_(memory.take<Datagram>(limits.datagrams)),
      places_(memory.take<Waiting>(limits.waiting)),
      shares_(memory.take<SourceShare>(kSourceBuckets)) {
  assert(limits.datagrams > 0 && limits.datagrams < kNone && limits.waiting > 0 && limits.waiting < kNone);
  for (std::size_t i = table_.size(); i-- > 0; free_datagram_ = static_cast<Index>(i)) {
    table_[i].newer = free_datagram_;
  }
  for (std::size_t i = places_.size(); i-- > 0; free_place_ = static_cast<Index>(i)) {
    places_[i].next = free_place_;
  }
}

FragmentTable::Learned FragmentTable::learn(const DatagramKey& key, FragmentRange range, FragmentFlow flow,
                                            Tick now) noexcept {
  const std::uint64_t hash = hash_of(key);
  Index at = find(key, hash);
  Learned learned{.flow = flow};
  if (at != kNone && table_[at].is_known && table_[at].flow.source_port == flow.source_port &&
      table_[at].flow.destination_port == flow.destination_port) {
    learned.flow = table_[at].flow;  // the first fragment came twice
  } else {
    learned.flow.identification = key.from_inside ? ids_.next(key.destination) : key.identification;
    if (at == kNone) {
      if (shares_[bucket_of(key.source)].datagrams >= limits_.datagrams_of_source) return learned;
      learned.displaced = make_room();
      at = add(key, hash, true, now);
    } else {
      // What waits has its flow now. If there is another flow, another datagram has the number already.
      if (table_[at].is_known) table_[at].coverage = {};
      learned.released = take_waiting(at);
      unlink(at);
      table_[at].is_known = true;
      table_[at].since = now;
      link_newest(at);
    }
    table_[at].flow = learned.flow;
    table_[at].first_end = range.end;
  }
  table_[at].coverage.add(range);
  if (table_[at].coverage.complete()) (void)forget(at);
  return learned;
}

FragmentTable::Joined FragmentTable::join(const DatagramKey& key, FragmentRange range, Tick now) noexcept {
  const std::uint64_t hash = hash_of(key);
  Index at = find(key, hash);
  if (at != kNone && table_[at].is_known) {
    // What begins inside of the first fragment would write over the ports that were looked at (RFC 1858).
    if (range.begin < table_[at].first_end) return {.flow = {}, .reason = DropReason::drop_fragment_overlap};
    const Joined joined{.flow = table_[at].flow};
    table_[at].coverage.add(range);
    if (table_[at].coverage.complete()) (void)forget(at);
    return joined;
  }

  constexpr Joined kRefused{.flow = {}, .reason = DropReason::drop_fragment_overflow};
  const auto& share = shares_[bucket_of(key.source)];
  if (share.waiting >= limits_.waiting_of_source) return kRefused;
  if (at == kNone && share.datagrams >= limits_.datagrams_of_source) return kRefused;
  if (at != kNone && table_[at].waiting >= limits_.waiting_of_datagram) return kRefused;
  Joined joined;
  if (free_place_ == kNone) {
    if (waiting_list_.oldest == at) return kRefused;
    joined.displaced = forget(waiting_list_.oldest);  // there is a free datagram then, too
  }
  if (at == kNone) {
    if (joined.displaced == kNone) joined.displaced = make_room();
    at = add(key, hash, false, now);
  }
  table_[at].coverage.add(range);
  joined.waits_at = at;
  return joined;
}

FragmentTable::Expired FragmentTable::forget_oldest(Tick now) noexcept {
  const auto is_over = [&](const AgeList& list, Tick lifetime) noexcept {
    return list.oldest != kNone && reached(table_[list.oldest].since + lifetime, now);
  };
  if (is_over(waiting_list_, kWait)) return {.any = true, .packets = forget(waiting_list_.oldest)};
  if (is_over(known_list_, kRemember)) return {.any = true, .packets = forget(known_list_.oldest)};
  return {};
}

std::uint64_t FragmentTable::hash_of(const DatagramKey& key) const noexcept {
  const std::uint64_t kind = std::uint64_t{key.identification.raw()} << 16U |
                             std::uint64_t{static_cast<std::uint8_t>(key.protocol)} << 8U |
                             (key.from_inside ? 1U : 0U);
  const std::uint64_t salt = std::uint64_t{hash_address(key.destination, seed_ + kind)} << 32U;
  return salt | hash_address(key.source, salt ^ seed_);
}

std::size_t FragmentTable::bucket_of(Ipv4Address source) const noexcept {
  return hash_address(source, seed_) % kSourceBuckets;
}

FragmentTable::Index FragmentTable::find(const DatagramKey& key, std::uint64_t hash) const noexcept {
  auto at = chains_.first(hash);
  while (at != HashChains::kNone && table_[at].key != key) at = chains_.next(at);
  return at == HashChains::kNone ? kNone : static_cast<Index>(at);
}

/// Sees to it that there is a free datagram. \return packets of the one that gave way
FragmentTable::Index FragmentTable::make_room() noexcept {
  if (free_datagram_ != kNone) return kNone;
  // One that is known has passed most of its fragments by now, and holds no packet.
  return forget(known_list_.oldest != kNone ? known_list_.oldest : waiting_list_.oldest);
}

FragmentTable::Index FragmentTable::add(const DatagramKey& key, std::uint64_t hash, bool is_known,
                                        Tick now) noexcept {
  const Index at = free_datagram_;
  free_datagram_ = table_[at].newer;
  table_[at] = {};
  table_[at].key = key;
  table_[at].is_known = is_known;
  table_[at].since = now;
  chains_.add(at, hash);
  link_newest(at);
  ++shares_[bucket_of(key.source)].datagrams;
  ++datagrams_;
  return at;
}

/// \return the packets that waited in it
FragmentTable::Index FragmentTable::forget(Index at) noexcept {
  const Index packets = take_waiting(at);
  unlink(at);
  chains_.remove(at, hash_of(table_[at].key));
  --shares_[bucket_of(table_[at].key.source)].datagrams;
  --datagrams_;
  table_[at].newer = free_datagram_;
  free_datagram_ = at;
  return packets;
}

FragmentTable::Index FragmentTable::take_waiting(Index at) noexcept {
  auto& datagram = table_[at];
  const Index first = datagram.first_waiting;
  auto& share = shares_[bucket_of(datagram.key.source)];
  share.waiting = static_cast<std::uint16_t>(share.waiting - datagram.waiting);
  waiting_ -= datagram.waiting;
  datagram.waiting = 0;
  datagram.first_waiting = datagram.last_waiting = kNone;
  return first;
}

void FragmentTable::wait(Index at, FragmentRange range, void* packet) noexcept {
  const Index place = free_place_;
  free_place_ = places_[place].next;
  places_[place] = {packet, range.begin, kNone};
  auto& datagram = table_[at];
  if (datagram.first_waiting == kNone) {
    datagram.first_waiting = place;
  } else {
    places_[datagram.last_waiting].next = place;
  }
  datagram.last_waiting = place;
  ++datagram.waiting;
  ++shares_[bucket_of(datagram.key.source)].waiting;
  ++waiting_;
}

void FragmentTable::link_newest(Index at) noexcept {
  auto& list = list_of(table_[at]);
  table_[at].older = list.newest;
  table_[at].newer = kNone;
  (list.newest == kNone ? list.oldest : table_[list.newest].newer) = at;
  list.newest = at;
}

void FragmentTable::unlink(Index at) noexcept {
  auto& list = list_of(table_[at]);
  const auto& datagram = table_[at];
  (datagram.older == kNone ? list.oldest : table_[datagram.older].newer) = datagram.newer;
  (datagram.newer == kNone ? list.newest : table_[datagram.newer].older) = datagram.older;
}

}  // namespace pinhole::nat
