// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/gateway/expectations.hpp"

#include <algorithm>

#include "nat/headers.hpp"
#include "nat/tcp_state.hpp"

namespace pinhole::dataplane {

namespace {

using nat::Filter;
using nat::MappingFlags;
using nat::Protocol;
using nat::TcpState;

constexpr std::uint32_t kBudget = 256;  // a tick
/// A flow of UDP that is silent for so long is over, whatever else its mapping is used for.
constexpr nat::Tick kSilence = nat::ticks_from_s(300);

bool fits(nat::Endpoint wanted, nat::Endpoint remote) noexcept {
  return wanted.address == remote.address && (wanted.port == nat::Be16{} || wanted.port == remote.port);
}

/// A SYN that asks for a connection.
bool is_opening(const nat::Packet& packet) noexcept {
  constexpr std::uint8_t kOpening = nat::TcpHeader::kSyn | nat::TcpHeader::kAck;
  return packet.part != nat::FragmentPart::later && (packet.tcp_flags & kOpening) == nat::TcpHeader::kSyn;
}

/// Whether a SYN from outside is of the connection that is there, and does not begin another.
bool is_same_connection(TcpState state) noexcept {
  return state != TcpState::none && state < TcpState::closing;
}

}  // namespace

Expectations::Expectations(std::uint32_t places, std::uint64_t seed, nat::Carver& memory,
                           nat::Translator& translator, FlowTable& flows,
                           nat::CounterBlock<WorkerCounter>& counters) noexcept
    : translator_(translator),
      flows_(flows),
      counters_(counters),
      places_(memory.take<Expectation>(places)),
      live_(memory.take<std::uint32_t>(places)),
      of_hosts_(memory.take<std::uint16_t>(places)),
      index_(places, seed, memory),
      seed_(seed) {
  for (std::uint32_t place = 0; place < places; ++place) places_[place].next_free = place + 1;
}

Expectations::Expectation* Expectations::find(const Announcement& announcement) noexcept {
  for (auto place = index_.first(hash_of(announcement)); place != nat::HashChains::kNone;
       place = index_.next(place)) {
    if (places_[place].what.has_ends_of(announcement)) return &places_[place];
  }
  return nullptr;
}

std::size_t Expectations::count_of_pair(const Announcement& announcement) const noexcept {
  std::size_t count = 0;
  for (auto place = index_.first(hash_of(announcement)); place != nat::HashChains::kNone;
       place = index_.next(place)) {
    const auto& other = places_[place].what;
    count += other.protocol == announcement.protocol && other.inside.address == announcement.inside.address &&
             other.remote.address == announcement.remote.address;
  }
  return count;
}

void Expectations::announce(const Announcement& announcement, GatewayFlow& flow, nat::MappingIndex mapping,
                            nat::Tick now) noexcept {
  Expectation* each = find(announcement);
  if (each != nullptr && each->parent != flows_.ref(flow)) {
    remove(*each);  // another flow has announced the same
    each = nullptr;
  }
  if (each == nullptr) {
    if (first_free_ == places_.size()) return counters_.add(WorkerCounter::expectation_full);
    const std::uint32_t place = first_free_;
    each = &places_[place];
    first_free_ = each->next_free;
    *each = {};
    each->live_at = size_;
    live_[size_++] = place;
    each->parent = flows_.ref(flow);
    ++flow.announced;
    ++of_hosts_[host_slot(announcement.inside.address)];
    index_.add(place, hash_of(announcement));
  }
  const bool keeps = each->keeps;
  set_waits(*each, false);
  set_keeps(*each, false);
  each->what = announcement;
  each->deadline = now + nat::ticks_from_s(announcement.seconds);
  each->knocks = false;
  set_waits(*each, true);
  set_keeps(*each, keeps);
  counters_.add(WorkerCounter::expectation_made);
  if (!announcement.from_outside) return;
  each->mapping = {mapping, translator_[mapping].generation.load(std::memory_order_relaxed)};
  // Whatever the filter is that the configuration has for others. The connections that there are go on.
  if (announcement.protocol == Protocol::tcp) translator_.make_strict(mapping);
  if (!nat::reached(each->deadline, translator_[mapping].keep_until))
    translator_.keep(mapping, each->deadline);
}

bool Expectations::lets_in(nat::MappingIndex index, const nat::Packet& packet, nat::Tick now) noexcept {
  const auto& mapping = translator_[index];
  const auto remote = packet.source;
  if (mapping.protocol == Protocol::icmp) return false;
  if (mapping.protocol == Protocol::udp) {
    return (mapping.filter == Filter::expected && translator_.admits(index, remote, now)) ||
           meet(index, remote, now);
  }
  const auto* const session = translator_.session(index, remote, now);
  if (!is_opening(packet)) {
    if (session != nullptr && !nat::counts_as_established(session->state())) connected(index, remote);
    return session != nullptr;
  }
  return (session != nullptr && is_same_connection(session->state())) || meet(index, remote, now);
}

/// Whether somebody who comes is waited for, or has come by an expectation before.
bool Expectations::meet(nat::MappingIndex index, nat::Endpoint remote, nat::Tick now) noexcept {
  const auto& mapping = translator_[index];
  for (auto place = index_.first(hash_of(mapping.protocol, mapping.inside.address, remote.address));
       place != nat::HashChains::kNone; place = index_.next(place)) {
    auto& each = places_[place];
    const auto& what = each.what;
    const bool is_here = what.from_outside && what.protocol == mapping.protocol &&
                         what.realm == mapping.realm && what.inside == mapping.inside;
    if (!is_here || (what.child && flows_.get(each.parent) == nullptr)) continue;
    if (what.protocol == Protocol::udp && each.runs && each.peer == remote) return true;
    if (nat::reached(each.deadline, now) || !fits(what.remote, remote)) continue;
    if (!each.waits && !may_come_again(each, remote, now)) continue;
    came(each, index, remote, now);
    return true;
  }
  return false;
}

/// Whether the one connection that was let in is none yet, and does not become one beside the next: it is the
/// same, or inside has refused it.
bool Expectations::may_come_again(const Expectation& each, nat::Endpoint remote,
                                  nat::Tick now) const noexcept {
  if (!each.knocks || each.peer == remote) return each.knocks;
  // The session of who was let in with the same burst is that of before.
  if (each.burst == burst_ || !is_current(each.mapping)) return false;
  const auto* const session = translator_.session(each.mapping.mapping, each.peer, now);
  return session != nullptr && session->state() == TcpState::closing;
}

/// Somebody has said more than a SYN. He may have a connection now: whatever he says counts as that.
void Expectations::connected(nat::MappingIndex index, nat::Endpoint remote) noexcept {
  const auto& mapping = translator_[index];
  for (auto place = index_.first(hash_of(Protocol::tcp, mapping.inside.address, remote.address));
       place != nat::HashChains::kNone; place = index_.next(place)) {
    auto& each = places_[place];
    if (each.mapping.mapping == index && is_current(each.mapping) &&
        each.what.remote.address == remote.address)
      each.knocks = false;
  }
}

void Expectations::begun_inside(nat::MappingIndex index, nat::Endpoint remote, nat::Tick now) noexcept {
  const auto& mapping = translator_[index];
  if (mapping.protocol == Protocol::icmp) return;
  for (auto place = index_.first(hash_of(mapping.protocol, mapping.inside.address, remote.address));
       place != nat::HashChains::kNone; place = index_.next(place)) {
    auto& each = places_[place];
    const auto& what = each.what;
    const bool is_meant = !what.from_outside && each.waits && what.protocol == mapping.protocol &&
                          what.realm == mapping.realm && fits(what.inside, mapping.inside) &&
                          fits(what.remote, remote);
    const bool is_late =
        nat::reached(each.deadline, now) || (what.child && flows_.get(each.parent) == nullptr);
    if (is_meant && !is_late) return came(each, index, remote, now);
  }
}

void Expectations::came(Expectation& each, nat::MappingIndex index, nat::Endpoint remote,
                        nat::Tick now) noexcept {
  if (!each.knocks) counters_.add(WorkerCounter::expectation_met);
  // Where the filter is another, packets of a connection come in without a question.
  each.knocks = each.what.from_outside && each.what.protocol == Protocol::tcp && each.what.once &&
                translator_[index].filter == Filter::expected;
  each.peer = remote;
  each.mapping = {index, translator_[index].generation.load(std::memory_order_relaxed)};
  each.seen = now;
  each.burst = burst_;
  const bool for_more = each.what.from_outside && each.what.protocol == Protocol::tcp && !each.what.once;
  if (!for_more) set_waits(each, false);
  // Of TCP a connection that is nobody's child lives by itself from here.
  const bool is_needed = each.what.child || (each.what.from_outside && each.what.protocol == Protocol::udp);
  if (is_needed) each.runs = true;                                    // else tick() removes it
  set_keeps(each, each.runs && each.what.protocol == Protocol::udp);  // of TCP a SYN is no connection yet
}

void Expectations::tick(nat::Tick now) noexcept {
  for (std::uint32_t left = std::min(size_, kBudget); left > 0 && size_ > 0; --left) {
    walker_ = walker_ == 0 || walker_ > size_ ? size_ - 1 : walker_ - 1;
    visit(places_[live_[walker_]], now);
  }
  counters_.set(WorkerCounter::expectation_live, size_);
}

void Expectations::visit(Expectation& each, nat::Tick now) noexcept {
  GatewayFlow* const parent = flows_.get(each.parent);
  if (each.what.child && parent == nullptr) return end_with_parent(each);
  if (each.waits && nat::reached(each.deadline, now)) {
    counters_.add(WorkerCounter::expectation_expired);
    set_waits(each, false);
  }
  if (nat::reached(each.deadline, now)) each.knocks = false;
  look_for(each, now);
  nat::Tick used = each.seen;
  const Life life = each.runs ? life_of(each, used, now) : Life::over;
  each.runs = life != Life::over;
  set_keeps(each, life == Life::lives);
  if (used != each.seen) {
    each.seen = used;
    if (each.what.child) translator_.refresh(parent->mapping, parent->remote, used, now);
  }
  if (!each.waits && !each.runs && !each.knocks) remove(each);
}

Expectations::Life Expectations::life_of(const Expectation& each, nat::Tick& used,
                                         nat::Tick now) const noexcept {
  if (!is_current(each.mapping)) return Life::over;
  const auto index = each.mapping.mapping;
  const auto& mapping = translator_[index];
  if (each.what.protocol == Protocol::udp) {
    if (nat::reached(mapping.last_seen + kSilence, now)) return Life::over;
    used = mapping.last_seen;
    return Life::lives;
  }
  const auto* const session = translator_.session(index, each.peer, now);
  if (session == nullptr || session->state() == TcpState::closing) return Life::over;
  if (nat::counts_as_opening(session->state())) return Life::knocks;
  used = session->last_seen;
  return Life::lives;
}

bool Expectations::is_current(const MappingRef& ref) const noexcept {
  return translator_.table().is_live(ref.mapping) &&
         translator_[ref.mapping].generation.load(std::memory_order_relaxed) == ref.generation;
}

/// A flow of UDP that is to begin inside may have begun on the express path, which tells nobody.
void Expectations::look_for(Expectation& each, nat::Tick now) noexcept {
  const auto& what = each.what;
  if (what.from_outside || !each.waits || what.protocol != Protocol::udp || what.inside.port == nat::Be16{})
    return;
  const auto index = translator_.find_outbound({what.inside, what.protocol, what.realm});
  if (index == nat::kNoMapping) return;
  const auto& mapping = translator_[index];
  if ((mapping.flags & MappingFlags::kHasRemote) != 0 && fits(what.remote, mapping.remote))
    came(each, index, mapping.remote, now);
}

void Expectations::end_with_parent(Expectation& each) noexcept {
  if (each.waits) counters_.add(WorkerCounter::expectation_ended);
  const auto [index, generation] = each.mapping;
  const bool closes = each.what.from_outside && each.what.protocol == Protocol::udp &&
                      translator_.table().is_live(index) && translator_[index].filter == Filter::expected;
  if (closes) static_cast<void>(translator_.close(index, generation));
  remove(each);
}

void Expectations::set_waits(Expectation& each, bool waits) noexcept {
  if (each.waits == waits) return;
  each.waits = waits;
  const auto& what = each.what;
  const bool has_to_be_told =
      !what.from_outside && (what.protocol == Protocol::tcp || what.inside.port == nat::Be16{});
  if (has_to_be_told) from_inside_[static_cast<std::size_t>(what.protocol)] += waits ? 1U : ~0U;
}

void Expectations::set_keeps(Expectation& each, bool keeps) noexcept {
  if (each.keeps == keeps) return;
  each.keeps = keeps;
  GatewayFlow* const parent = each.what.child ? flows_.get(each.parent) : nullptr;
  if (parent != nullptr) parent->children = static_cast<std::uint16_t>(parent->children + (keeps ? 1 : -1));
}

void Expectations::remove(Expectation& each) noexcept {
  set_waits(each, false);
  set_keeps(each, false);
  if (GatewayFlow* const parent = flows_.get(each.parent)) --parent->announced;
  --of_hosts_[host_slot(each.what.inside.address)];
  const auto place = static_cast<std::uint32_t>(&each - places_.data());
  index_.remove(place, hash_of(each.what));
  const std::uint32_t last = live_[--size_];
  live_[each.live_at] = last;
  places_[last].live_at = each.live_at;
  each.next_free = first_free_;
  first_free_ = place;
}

}  // namespace pinhole::dataplane
