// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/call_table.hpp"

#include <algorithm>
#include <cassert>
#include <memory>
#include <utility>

#include "dataplane/negotiation.hpp"
#include "dataplane/text_hash.hpp"
#include "nat/timeouts.hpp"

namespace pinhole::dataplane {

namespace {

/// Whether a text is the one that was written down, which may have been cut.
template <std::size_t Capacity>
bool same_text(const ipc::Text<Capacity>& written, std::string_view text) noexcept {
  return written.view() == text.substr(0, Capacity);
}

/// Whether a message within a dialog belongs to the dialog of a card, seen from either end.
bool same_dialog(const ipc::CallCard& card, const CallKey& key) noexcept {
  if (key.to_tag.empty()) return false;
  return same_text(card.from_tag, key.from_tag) || same_text(card.from_tag, key.to_tag);
}

/// Whether a message begins another call with the Call-ID of one that is over.
bool is_successor(const ipc::CallCard& card, const CallKey& key) noexcept {
  return card.step.state == ipc::CallState::ended && key.to_tag.empty() &&
         !same_text(card.from_tag, key.from_tag);
}

/// Whether for a message it is the other one of the parties that is inside: it is of the other side of a call
/// that went out and has come back.
bool is_of_other_side(const ipc::CallCard& card, const CallKey& key) noexcept {
  if (card.from_tag.view().empty()) return false;
  const bool is_from = same_text(card.from_tag, key.from_tag);
  const bool is_to = !key.to_tag.empty() && same_text(card.from_tag, key.to_tag);
  return is_from != is_to && (is_from == key.from_inside) != card.outbound;
}

bool accepts_call(const alg::sip::Summary& message) noexcept {
  return message.method == alg::sip::Method::invite && message.status >= 200 && message.status < 300;
}

/// Whether a message says for how long a session is to live (RFC 4028 section 7).
bool accepts_session(const alg::sip::Summary& message) noexcept {
  return accepts_call(message) ||
         (message.method == alg::sip::Method::update && message.status >= 200 && message.status < 300);
}

/// The tag of the end that was called, whichever side a message is from.
std::string_view called_tag(const ipc::CallCard& card, const alg::sip::Summary& message) noexcept {
  return same_text(card.from_tag, message.to_tag) ? message.from_tag : message.to_tag;
}

Fork::Name fork_name(std::string_view tag) noexcept {
  return static_cast<Fork::Name>(text_hash(tag));
}

std::uint32_t session_s(const alg::sip::Summary& message) noexcept {
  return std::min(message.session_expires_s, nat::Timeouts::kMaxSeconds / 2);
}

}  // namespace

std::optional<ipc::EndReason> overdue(const ipc::CallCard& card, nat::Tick ended, bool media_live,
                                      nat::Tick ringing, nat::Tick now) noexcept {
  const auto silent_for = [&](nat::Tick limit) noexcept {
    return nat::reached(card.last_message + limit, now);
  };
  if (card.step.state == ipc::CallState::ended)
    return nat::reached(ended + kEndedLinger, now) ? std::optional(card.step.reason) : std::nullopt;
  if (card.keep_until != 0 && !nat::reached(card.keep_until, now)) return std::nullopt;
  switch (card.step.state) {
    case ipc::CallState::ending:
      if (silent_for(kEndedLinger))
        return card.step.reason == ipc::EndReason::none ? ipc::EndReason::bye : card.step.reason;
      break;
    case ipc::CallState::inviting:
    case ipc::CallState::ringing:
      // An announcement may be played for longer, as early media.
      if (!media_live && silent_for(ringing + kUnansweredMargin)) return ipc::EndReason::no_answer;
      break;
    case ipc::CallState::answered:
    case ipc::CallState::confirmed:
      if (media_live || ipc::is_promised(card, now)) break;
      if (card.session_until != 0) return ipc::EndReason::session_timer;
      if (card.media.held) {
        if (silent_for(kHeldLimit)) return ipc::EndReason::lost;
        break;
      }
      if (card.pinhole_count == 0) {
        if (silent_for(kUnheardLimit)) return ipc::EndReason::lost;
      } else if (silent_for(kEndedLinger)) {
        return ipc::EndReason::media_silence;
      }
      break;
    case ipc::CallState::ended:
      break;
  }
  return std::nullopt;
}

CallTable::CallTable(std::span<ipc::Shared<ipc::CallCard>> cards, std::uint64_t seed,
                     std::span<std::byte> memory, nat::CounterBlock<WorkerCounter>& counters,
                     nat::Tick ringing) noexcept
    : CallTable(cards, seed, nat::Carver(memory), counters, ringing) {
}

CallTable::CallTable(std::span<ipc::Shared<ipc::CallCard>> cards, std::uint64_t seed, nat::Carver memory,
                     nat::CounterBlock<WorkerCounter>& counters, nat::Tick ringing) noexcept
    : cards_(cards),
      chains_(static_cast<std::uint32_t>(cards.size()), seed, memory),
      free_(memory.take<CardIndex>(cards.size())),
      watches_(memory.take<Watch>(cards.size())),
      peers_(memory.take<DialogPeer>(cards.size())),
      branches_(memory.take<InviteBranches>(cards.size())),
      counts_(static_cast<std::uint32_t>(cards.size()), seed, memory),
      ringing_(ringing),
      counters_(counters),
      free_count_(static_cast<std::uint32_t>(cards.size())) {
  for (std::uint32_t i = 0; i < free_count_; ++i) free_[i] = free_count_ - 1 - i;
}

CardIndex CallTable::find(const CallKey& key) const noexcept {
  CardIndex other_side = kNoCard;
  CardIndex other_host = kNoCard;
  for (CardIndex index = chains_.first(key.hash); index != kNoCard; index = chains_.next(index)) {
    const auto& candidate = card(index);
    if (candidate.call_hash != key.hash || !same_text(candidate.call_id, key.call_id) ||
        is_successor(candidate, key))
      continue;
    if (candidate.inside.address == key.inside) {
      if (!is_of_other_side(candidate, key)) return index;
      if (other_side == kNoCard && !key.begins) other_side = index;
    } else if (other_host == kNoCard && same_dialog(candidate, key)) {
      other_host = index;
    }
  }
  return other_side != kNoCard ? other_side : other_host;
}

CardIndex CallTable::next_free() noexcept {
  if (free_count_ > 0) return free_[free_count_ - 1];
  counters_.add(WorkerCounter::call_table_full);
  return kNoCard;
}

CardIndex CallTable::open(const CallOpening& opening, nat::Tick now) noexcept {
  assert(free_count_ > 0);
  const CardIndex index = free_[--free_count_];
  cards_[index].write([&](ipc::CallCard& card) noexcept {
    const auto generation = card.generation + 1;
    std::construct_at(&card);  // in place, which an assignment is not
    card.call_hash = opening.key.hash;
    card.generation = generation;
    card.step = opening.step;
    card.in_use = true;
    card.outbound = opening.outbound;
    card.protocol = opening.protocol;
    card.inside = opening.inside;
    card.external = opening.external;
    card.remote = opening.remote;
    card.created = card.last_message = now;
    card.call_id.assign(opening.key.call_id);
    card.from_tag.assign(opening.key.from_tag);
    card.to_tag.assign(opening.key.to_tag);
    card.from_uri.assign(opening.from_uri);
    card.to_uri.assign(opening.to_uri);
  });
  chains_.add(index, opening.key.hash);
  watches_[index].live = true;
  peers_[index] = {};
  branches_[index] = {};
  if (opening.message != nullptr && opening.message->method == alg::sip::Method::invite)
    branches_[index].note(*opening.message);
  counts_.count_new();
  counts_.begin(opening.inside.address, opening.remote.address);
  watch_step(index, ipc::CallState::inviting, opening.step.state, now);
  counters_.add(WorkerCounter::call_opened);
  return index;
}

bool CallTable::is_of_other_fork(CardIndex index, const alg::sip::Summary& message) const noexcept {
  const auto& own = card(index);
  if (own.answered == 0 || message.to_tag.empty()) return false;
  const auto has = [&message](const auto& tag) noexcept {
    return same_text(tag, message.from_tag) || same_text(tag, message.to_tag);
  };
  if (!has(own.from_tag)) return false;
  if (!own.to_tag.view().empty()) return !has(own.to_tag);
  // It has turned to a fork of which nothing was heard since.
  const auto current = peers_[index].forks.current();
  return current != Fork::kNone && current != fork_name(called_tag(own, message));
}

/// Notes what a message says of the fork that it is of. Who has called confirms, and who was called accepts:
/// neither can do the other's part.
void CallTable::note_fork(CardIndex index, const alg::sip::Summary& message, bool from_inside) noexcept {
  const auto& own = card(index);
  auto& forks = peers_[index].forks;
  const auto name = fork_name(called_tag(own, message));
  const bool from_caller = from_inside == own.outbound;
  if (accepts_call(message) && !from_caller) forks.accept(name);
  if (!message.is_request()) return;
  if (message.method == alg::sip::Method::ack && from_caller) forks.confirm(name);
  if (message.method == alg::sip::Method::bye) forks.end(name);
}

/// A call whose fork was ended by a BYE, or not confirmed yet, goes on as another one that is. \return
/// whether it does
bool CallTable::turn_to_fork(CardIndex index, ipc::CallStep step) noexcept {
  const bool is_over = (step.state == ipc::CallState::ending || step.state == ipc::CallState::ended) &&
                       step.reason == ipc::EndReason::bye;
  const bool is_open = step.state == ipc::CallState::answered;
  auto& peer = peers_[index];
  if ((!is_over && !is_open) || !peer.forks.turn(is_over ? Fork::State::over : Fork::State::accepted))
    return false;
  const bool is_addressed = peer.forked_name == peer.forks.current();
  peer.addressed = is_addressed ? std::exchange(peer.forked, {}) : nat::Endpoint{};
  if (card(index).outbound) peer.accepted = {};
  return true;
}

/// Whether a message does what only the other side can: who was called accepts, and who has called
/// acknowledges that.
bool CallTable::is_others_part(CardIndex index, const alg::sip::Summary& message,
                               bool from_inside) const noexcept {
  const bool from_caller = from_inside == card(index).outbound;
  const auto state = card(index).step.state;
  const bool acknowledges = message.is_request() && message.method == alg::sip::Method::ack;
  if (state == ipc::CallState::confirmed) return false;  // of a re-INVITE, by either side
  return from_caller ? accepts_call(message) : acknowledges && state == ipc::CallState::answered;
}

ipc::CallStep CallTable::step(CardIndex index, const alg::sip::Summary& message, bool from_inside,
                              nat::Tick now) noexcept {
  const auto before = card(index).step;
  const bool is_aside = is_of_other_fork(index, message);
  const bool is_void = !is_aside && is_others_part(index, message, from_inside);
  const bool sets_up = message.method == alg::sip::Method::invite && card(index).answered == 0 && !is_void;
  const auto branches = sets_up ? branches_[index].note(message) : ipc::Branches{};
  auto after = is_aside || is_void ? before : ipc::next(before, message, branches);
  if (is_aside) note_fork(index, message, from_inside);
  const bool is_turned = turn_to_fork(index, after);
  if (is_turned) after = {ipc::CallState::confirmed, ipc::EndReason::none};
  auto& forks = peers_[index].forks;
  const bool was_turned = !is_turned && forks.current() != Fork::kNone && card(index).to_tag.view().empty() &&
                          !message.to_tag.empty() &&
                          forks.current() == fork_name(called_tag(card(index), message));
  cards_[index].write([&](ipc::CallCard& card) noexcept {
    card.step = after;
    card.last_message = now;
    if (accepts_session(message) && !is_aside && !is_void) {
      card.session_until =
          message.session_expires_s == 0 ? 0 : now + nat::ticks_from_s(session_s(message)) + kEndedLinger;
    }
    // The first answer names the callee; of several that rang, the one that accepts.
    const bool accepted = accepts_call(message) && card.answered == 0 && !is_void;
    const bool answers =
        !message.is_request() && card.to_tag.view().empty() && forks.current() == Fork::kNone;
    if (accepted || answers || was_turned) card.to_tag.assign(called_tag(card, message));
    if (accepted) {
      card.answered = now;
      if (!message.to_tag.empty()) forks.begin(fork_name(called_tag(card, message)));
    }
    if (is_turned) {
      card.to_tag.clear();  // it is known by the next message
      card.session_until = 0;
    }
  });
  watch_step(index, before.state, after.state, now);
  return after;
}

void CallTable::put_step(CardIndex index, ipc::CallStep step, nat::Tick now) noexcept {
  const auto before = card(index).step.state;
  cards_[index].write([&](ipc::CallCard& card) noexcept {
    card.step = step;
    card.last_message = now;
    card.keep_until = 0;
  });
  watch_step(index, before, step.state, now);
}

void CallTable::set_pinholes(CardIndex index, std::span<const ipc::PinholeRef> pinholes) noexcept {
  assert(pinholes.size() <= ipc::kMaxPinholes);
  cards_[index].write([&](ipc::CallCard& card) noexcept {
    std::copy(pinholes.begin(), pinholes.end(), card.pinholes.begin());
    card.pinhole_count = static_cast<std::uint8_t>(pinholes.size());
  });
}

void CallTable::set_media(CardIndex index, std::span<const ipc::PinholeRef> pinholes,
                          const ipc::Negotiation& media) noexcept {
  assert(pinholes.size() <= ipc::kMaxPinholes);
  cards_[index].write([&](ipc::CallCard& card) noexcept {
    card.media_shut = card.media_shut && !is_settled(media);
    std::copy(pinholes.begin(), pinholes.end(), card.pinholes.begin());
    card.pinhole_count = static_cast<std::uint8_t>(pinholes.size());
    card.media = media;
  });
}

void CallTable::set_shut(CardIndex index, std::span<const ipc::PinholeRef> pinholes) noexcept {
  set_pinholes(index, pinholes);
  cards_[index].write([](ipc::CallCard& card) noexcept { card.media_shut = true; });
}

void CallTable::keep(CardIndex index, nat::Tick until) noexcept {
  cards_[index].write([until](ipc::CallCard& card) noexcept { card.keep_until = until; });
}

void CallTable::invite_peer(CardIndex index, std::uint32_t cseq, nat::Endpoint peer) noexcept {
  auto& known = peers_[index];
  if (!known.invited.address.is_unspecified() && known.cseq == cseq) return;
  known.invited = peer;
  known.cseq = cseq;
}

bool CallTable::accept_peer(CardIndex index, std::uint32_t cseq) noexcept {
  auto& known = peers_[index];
  if (known.invited.address.is_unspecified() || known.cseq != cseq) return false;
  known.accepted = known.invited;
  return true;
}

bool CallTable::address_peer(CardIndex index, nat::Endpoint peer) noexcept {
  return std::exchange(peers_[index].addressed, peer) != peer;
}

bool CallTable::address_fork(CardIndex index, const alg::sip::Summary& message, nat::Endpoint peer) noexcept {
  auto& known = peers_[index];
  known.forked_name = fork_name(called_tag(card(index), message));
  return std::exchange(known.forked, peer) != peer;
}

void CallTable::describe_fork(CardIndex index, const alg::sip::Summary& message,
                              std::uint8_t description) noexcept {
  peers_[index].forks.describe(fork_name(called_tag(card(index), message)), description);
}

void CallTable::add_target(CardIndex index, Target target) noexcept {
  const bool is_on_card = target == Target{card(index).inside, card(index).protocol};
  if (!is_on_card) peers_[index].targets.add(target);
}

void CallTable::close(CardIndex index) noexcept {
  assert(watches_[index].live);
  const auto& closing = card(index);
  if (closing.step.state != ipc::CallState::ended)
    counts_.end(closing.inside.address, closing.remote.address);
  chains_.remove(index, card(index).call_hash);
  cards_[index].write([](ipc::CallCard& card) noexcept {
    card.in_use = false;
    card.pinhole_count = 0;
  });
  watches_[index].live = false;
  free_[free_count_++] = index;
  counters_.add(WorkerCounter::call_closed);
  show_size();
}

void CallTable::watch_step(CardIndex index, ipc::CallState before, ipc::CallState after,
                           nat::Tick now) noexcept {
  auto& watch = watches_[index];
  const auto& stepped = card(index);
  if (after != ipc::CallState::ended) {
    watch.due = now + kRecheck;
    if (before == ipc::CallState::ended) counts_.begin(stepped.inside.address, stepped.remote.address);
  } else if (before != ipc::CallState::ended) {
    watch.ended = now;
    watch.due = now + kEndedLinger;
    counts_.end(stepped.inside.address, stepped.remote.address);
  }
  show_size();
}

void CallTable::show_size() noexcept {
  counters_.set(WorkerCounter::call_live, size());
  counters_.set(WorkerCounter::call_active, counts_.active());
}

}  // namespace pinhole::dataplane
