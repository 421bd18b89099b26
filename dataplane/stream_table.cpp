// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/stream_table.hpp"

namespace pinhole::dataplane {

StreamTable::StreamTable(StreamPlaces places, std::uint64_t seed, nat::Carver memory) noexcept
    : entries_(memory.take<StreamEntry>(places.all())),
      armed_(memory.take<std::uint32_t>(places.all())),
      index_(places.all(), seed, memory),
      chunks_{chunks_of(places.sip, memory), chunks_of(places.others, memory)},
      scratch_(memory.take<std::byte>(alg::stream::Engine::kMaxMessage)),
      places_(places) {
  first_free_ = {0, places.sip};
  for (std::uint32_t place = 0; place < places.all(); ++place) entries_[place].next_free = place + 1;
}

StreamEntry* StreamTable::find(nat::MappingIndex mapping, std::uint32_t generation,
                               nat::Endpoint remote) noexcept {
  for (auto place = index_.first(hash_of(mapping, remote)); place != nat::HashChains::kNone;
       place = index_.next(place)) {
    auto& entry = entries_[place];
    if (entry.mapping == mapping && entry.generation == generation && entry.remote == remote) return &entry;
  }
  return nullptr;
}

StreamEntry* StreamTable::add(nat::MappingIndex mapping, std::uint32_t generation, nat::Endpoint remote,
                              PortOwner owner) noexcept {
  if (!has_place_for(owner)) return nullptr;
  auto& first_free = first_free_[kind_of(owner)];
  const std::uint32_t place = first_free;
  auto& entry = entries_[place];
  first_free = entry.next_free;
  entry = {};
  entry.mapping = mapping;
  entry.generation = generation;
  entry.remote = remote;
  entry.owner = owner;
  index_.add(place, hash_of(mapping, remote));
  ++size_;
  return &entry;
}

void StreamTable::remove(StreamEntry& entry) noexcept {
  arm(entry, false);
  const std::uint32_t place = place_of(entry);
  index_.remove(place, hash_of(entry.mapping, entry.remote));
  entry.mapping = nat::kNoMapping;
  auto& first_free = first_free_[kind_of(entry.owner)];
  entry.next_free = first_free;
  first_free = place;
  --size_;
}

void StreamTable::arm(StreamEntry& entry, bool armed) noexcept {
  if (armed == (entry.armed_at != StreamEntry::kNotArmed)) return;
  if (armed) {
    entry.armed_at = armed_count_;
    armed_[armed_count_++] = place_of(entry);
    return;
  }
  const std::uint32_t last = armed_[--armed_count_];
  armed_[entry.armed_at] = last;
  entries_[last].armed_at = entry.armed_at;
  entry.armed_at = StreamEntry::kNotArmed;
}

}  // namespace pinhole::dataplane
