// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/registration_table.hpp"

#include <cassert>

#include "dataplane/text_hash.hpp"

namespace pinhole::dataplane {

namespace {

constexpr std::size_t kAorCapacity =
    94;  // of RegistrationCard::aor; a longer one is identified by its hash too

constexpr std::uint64_t kMixer = 0xd6e8feb86659fd93U;  // odd, half its bits set

std::uint64_t inside_hash(nat::Endpoint inside) noexcept {
  const std::uint64_t key = inside.address.value.raw() | std::uint64_t{inside.port.raw()} << 32U;
  return key * kMixer;
}

/// The same for all ports of a host, so that find_on() sees them all.
std::uint64_t binding_hash(std::uint64_t aor_hash, nat::Ipv4Address host) noexcept {
  return aor_hash ^ host.value.raw() * kMixer;
}

bool is_bound(const ipc::RegistrationCard& card, std::uint64_t aor_hash, std::string_view aor) noexcept {
  return card.aor_hash == aor_hash && card.aor.view() == aor.substr(0, kAorCapacity);
}

}  // namespace

RegistrationTable::RegistrationTable(std::span<ipc::Shared<ipc::RegistrationCard>> cards, std::uint64_t seed,
                                     std::span<std::byte> memory,
                                     nat::CounterBlock<WorkerCounter>& counters) noexcept
    : RegistrationTable(cards, seed, nat::Carver(memory), counters) {
}

RegistrationTable::RegistrationTable(std::span<ipc::Shared<ipc::RegistrationCard>> cards, std::uint64_t seed,
                                     nat::Carver memory, nat::CounterBlock<WorkerCounter>& counters) noexcept
    : cards_(cards),
      by_binding_(static_cast<std::uint32_t>(cards.size()), seed, memory),
      by_inside_(static_cast<std::uint32_t>(cards.size()), seed, memory),
      free_(memory.take<CardIndex>(cards.size())),
      watches_(memory.take<Watch>(cards.size())),
      ways_(memory.take<WaySet>(way_sets(static_cast<std::uint32_t>(cards.size())))),
      counters_(counters),
      seed_(seed),
      free_count_(static_cast<std::uint32_t>(cards.size())) {
  for (std::uint32_t i = 0; i < free_count_; ++i) free_[i] = free_count_ - 1 - i;
}

CardIndex RegistrationTable::find(std::string_view aor, nat::Endpoint inside) const noexcept {
  const auto aor_hash = text_hash(aor);
  const auto hash = binding_hash(aor_hash, inside.address);
  for (CardIndex index = by_binding_.first(hash); index != kNoCard; index = by_binding_.next(index)) {
    if (card(index).inside == inside && is_bound(card(index), aor_hash, aor)) return index;
  }
  return kNoCard;
}

CardIndex RegistrationTable::find_on(std::string_view aor, nat::Ipv4Address host) const noexcept {
  const auto aor_hash = text_hash(aor);
  const auto hash = binding_hash(aor_hash, host);
  for (CardIndex index = by_binding_.first(hash); index != kNoCard; index = by_binding_.next(index)) {
    if (card(index).inside.address == host && is_bound(card(index), aor_hash, aor)) return index;
  }
  return kNoCard;
}

CardIndex RegistrationTable::find_unlisted(std::string_view aor, nat::Ipv4Address host,
                                           std::span<const nat::Endpoint> listed) const noexcept {
  const auto aor_hash = text_hash(aor);
  const auto hash = binding_hash(aor_hash, host);
  for (CardIndex index = by_binding_.first(hash); index != kNoCard; index = by_binding_.next(index)) {
    const auto inside = card(index).inside;
    if (inside.address == host && is_bound(card(index), aor_hash, aor) &&
        std::find(listed.begin(), listed.end(), inside) == listed.end())
      return index;
  }
  return kNoCard;
}

CardIndex RegistrationTable::grant(const Registration& registration, nat::Tick expires) noexcept {
  CardIndex index = find(registration.aor, registration.inside);
  const bool is_new = index == kNoCard;
  if (is_new) {
    if (free_count_ == 0) {
      counters_.add(WorkerCounter::registration_table_full);
      return kNoCard;
    }
    index = free_[--free_count_];
  }
  cards_[index].write([&](ipc::RegistrationCard& card) noexcept {
    if (is_new) {
      card.aor_hash = text_hash(registration.aor);
      ++card.generation;
      card.in_use = true;
      card.inside = registration.inside;
      card.aor.assign(registration.aor);
    }
    card.protocol = registration.protocol;
    card.external = registration.external;
    card.registrar = registration.registrar;
    card.expires = expires;
  });
  watches_[index] = {expires, true};
  if (is_new) {
    by_binding_.add(index, binding_hash(card(index).aor_hash, registration.inside.address));
    by_inside_.add(index, inside_hash(registration.inside));
    show_size();
  }
  return index;
}

void RegistrationTable::remove(CardIndex index) noexcept {
  assert(watches_[index].live);
  const auto& gone = card(index);
  by_binding_.remove(index, binding_hash(gone.aor_hash, gone.inside.address));
  by_inside_.remove(index, inside_hash(gone.inside));
  cards_[index].write([](ipc::RegistrationCard& card) noexcept { card.in_use = false; });
  watches_[index].live = false;
  free_[free_count_++] = index;
  show_size();
}

bool RegistrationTable::has_any(nat::Endpoint inside) const noexcept {
  for (CardIndex index = by_inside_.first(inside_hash(inside)); index != kNoCard;
       index = by_inside_.next(index)) {
    if (card(index).inside == inside) return true;
  }
  return false;
}

std::size_t RegistrationTable::set_of(Target way) const noexcept {
  return ((inside_hash(way.inside) ^ seed_) * kMixer >> 32U) % ways_.size();
}

void RegistrationTable::note_way(Target way, nat::Tick until, nat::Tick now) noexcept {
  auto& ways = ways_[set_of(way)].ways;
  auto place =
      std::ranges::find_if(ways, [&](const Way& known) { return known.until != 0 && known.target == way; });
  if (place != ways.end()) {
    if (nat::reached(place->until, until)) place->until = until;
    return;
  }
  // A place that is free or has ended, else that of the one that ends first.
  place = std::ranges::min_element(ways, {}, [now](const Way& known) {
    return known.until == 0 || nat::reached(known.until, now) ? 0 : known.until - now;
  });
  *place = {way, until};
}

nat::Tick RegistrationTable::way_until(Target way, nat::Tick now) const noexcept {
  const auto& ways = ways_[set_of(way)].ways;
  const auto place = std::ranges::find_if(ways, [&](const Way& known) {
    return known.until != 0 && known.target == way && !nat::reached(known.until, now);
  });
  return place == ways.end() ? now : place->until;
}

void RegistrationTable::show_size() noexcept {
  counters_.set(WorkerCounter::registration_live, size());
}

}  // namespace pinhole::dataplane
