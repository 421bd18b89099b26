// SPDX-License-Identifier: BSD-3-Clause
#include "control/call_store.hpp"

#include <algorithm>
#include <span>
#include <unordered_set>

#include "control/ladder_line.hpp"

namespace pinhole::control {

namespace {

using alg::Direction;
using alg::sip::Method;
using ipc::CallState;
using ipc::EndReason;

bool is_answered(CallState state) noexcept {
  return state == CallState::answered || state == CallState::confirmed;
}

/// \return what has passed since. Both are read while packets pass, so that a sum may seem to have shrunk.
std::uint64_t since(std::uint64_t total, std::uint64_t before) noexcept {
  return total - std::min(total, before);
}

std::optional<RtpRow> since(std::optional<RtpRow> total, const std::optional<RtpRow>& before) noexcept {
  if (!total || !before) return total;
  total->packets = since(total->packets, before->packets);
  total->lost = since(total->lost, before->lost);
  total->repeated = since(total->repeated, before->repeated);
  total->sources = total->sources - std::min(total->sources, before->sources);
  return total;
}

MediaUsage since(const MediaUsage& total, const MediaUsage& before) noexcept {
  MediaUsage usage{.packets_out = total.packets_out - before.packets_out,
                   .packets_in = total.packets_in - before.packets_in,
                   .bytes = since(total.bytes, before.bytes),
                   .measured = total.measured};
  if (!usage.measured || !before.measured) return usage;
  usage.measured->bytes_out = since(total.measured->bytes_out, before.measured->bytes_out);
  usage.measured->bytes_in = since(total.measured->bytes_in, before.measured->bytes_in);
  usage.measured->rtp_out = since(total.measured->rtp_out, before.measured->rtp_out);
  usage.measured->rtp_in = since(total.measured->rtp_in, before.measured->rtp_in);
  return usage;
}

}  // namespace

bool is_unended(CallState state) noexcept {
  return state != CallState::ending && state != CallState::ended;
}

bool is_gone(const std::optional<ipc::CallCard>& card, const CallRecord& call) noexcept {
  return card && (!card->in_use || card->generation != call.generation);
}

EndReason left_on(const std::optional<ipc::CallCard>& card, const CallRecord& call) noexcept {
  const bool is_there = card && card->generation == call.generation && card->step.state == CallState::ended;
  return is_there ? card->step.reason : EndReason::lost;
}

void CallStore::attach(WorkerLink& link, Moment now) {
  link_ = nullptr;  // what is finished now has no card in the new data plane
  while (!live_.empty()) finish(live_.begin()->first, EndReason::lost, now.wall);
  link_ = &link;
  known_until_.fill(0);
}

void CallStore::on_event(const ipc::Event& event, Time when, Moment now) {
  if (event.worker >= ipc::kMaxWorkers) return;
  if (event.type == ipc::EventType::sip_message && event.sip.card != ipc::kNoCard)
    on_message(event, when, now);
  if (event.type == ipc::EventType::call_closed) on_closed(event, when);
  if (event.type == ipc::EventType::sip_why) on_why(event);
}

void CallStore::on_message(const ipc::Event& event, Time when, Moment now) {
  const auto& message = event.sip;
  const bool old = event.tsc < known_until_[event.worker];
  Live* call = find_live(event.worker, message.card);
  if (call != nullptr && call->record.generation != message.card_generation) {
    if (old) return;
    // The card is in use again, so its last call is over and the event that said so was lost.
    finish(key(call->record), EndReason::none, when);
    call = nullptr;
  }
  if (call == nullptr) {
    if (old) return;
    call = &open(event, when, now);
  }
  add_to_ladder(call->record, event, when);
  note_ender(call->record, message);
  if (old) return;
  call->heard = now.steady;
  refresh(call->record);
  step(*call, message.step, when, now);
}

/// Who ends a call: who says BYE, who takes an INVITE back, who refuses it.
void CallStore::note_ender(CallRecord& call, const ipc::SipMessageEvent& message) {
  const bool is_outbound = message.direction == Direction::outbound;
  const auto sender = is_outbound ? EndedBy::inside : EndedBy::outside;
  const auto receiver = is_outbound ? EndedBy::outside : EndedBy::inside;
  const bool is_request = message.status == 0;
  switch (message.step.state) {
    case CallState::inviting:
    case CallState::ringing:
      // Tried again it has not ended, and a CANCEL may come too late.
      if (is_request && message.method == Method::invite) call.ended_by = EndedBy::unknown;
      if (is_request && message.method == Method::cancel) call.ended_by = sender;
      return;
    case CallState::answered:
    case CallState::confirmed:
      call.ended_by = EndedBy::unknown;
      return;
    case CallState::ending:
      if (is_request && message.method == Method::bye && call.ended_by == EndedBy::unknown)
        call.ended_by = sender;
      return;
    case CallState::ended:
      if (call.ended_by != EndedBy::unknown) return;
      if (message.step.reason == EndReason::failed) call.ended_by = sender;
      if (message.step.reason == EndReason::cancelled) call.ended_by = receiver;
      return;
  }
}

void CallStore::on_closed(const ipc::Event& event, Time when) {
  const auto& closed = event.closed;
  const Live* const call = find_live(event.worker, closed.card);
  if (call == nullptr || call->record.generation != closed.card_generation) {
    return on_unknown_closed(event, when);
  }
  finish(key(call->record), closed.reason, when);
}

/// A call is over that this process never knew: it began and ended while there was no control, or the events
/// of its life were lost. Its card still says what it was, unless it is in use again.
void CallStore::on_unknown_closed(const ipc::Event& event, Time when) {
  const auto& closed = event.closed;
  const bool is_recorded = std::any_of(ended_.rbegin(), ended_.rend(), [&](const CallRecord& call) {
    return call.worker == event.worker && call.card == closed.card &&
           call.generation == closed.card_generation && call.hash == closed.call_hash;
  });
  if (is_recorded || link_ == nullptr) return;
  CallRecord record;
  record.worker = event.worker;
  record.card = closed.card;
  record.generation = closed.card_generation;
  record.hash = closed.call_hash;
  record.started = when;
  record.ended = when;
  record.step = {CallState::ended, closed.reason == EndReason::none ? EndReason::lost : closed.reason};
  const auto card = link_->call_card(event.worker, closed.card);
  if (card && card->generation == closed.card_generation && card->call_hash == closed.call_hash) {
    copy_card(record, *card);
    record.started = link_->time_of(card->created);
    if (card->answered != 0) record.answered = link_->time_of(card->answered);
  }
  counters_.add(ControlCounter::call_found);
  remember(std::move(record));
}

CallStore::Live& CallStore::open(const ipc::Event& event, Time when, Moment now) {
  Live& call = live_[key(event.worker, event.sip.card)];
  auto& record = call.record;
  record.worker = event.worker;
  record.card = event.sip.card;
  record.generation = event.sip.card_generation;
  record.hash = event.sip.call_hash;
  record.outbound = event.sip.direction == alg::Direction::outbound;
  record.inside = event.sip.inside;
  record.external = event.sip.external;
  record.remote = event.sip.remote;
  record.started = when;
  call.since = now.steady;
  call.heard = now.steady;
  return call;
}

CallStore::Live* CallStore::find_live(std::uint32_t worker, std::uint32_t card) noexcept {
  const auto found = live_.find(key(worker, card));
  return found == live_.end() ? nullptr : &found->second;
}

void CallStore::resync(std::uint32_t worker, std::uint64_t known_until, Moment now) {
  if (link_ == nullptr || worker >= ipc::kMaxWorkers) return;
  counters_.add(ControlCounter::resync);
  known_until_[worker] = known_until;
  std::unordered_set<std::uint32_t> present;
  for (std::uint32_t index = 0; index < link_->call_capacity(worker); ++index) {
    const auto card = link_->call_card(worker, index);
    if (!card) {
      present.insert(index);  // being written this very moment: an event will tell
    } else if (card->in_use) {
      take_in(worker, index, *card, now);
      present.insert(index);
    }
  }
  std::vector<std::pair<Key, EndReason>> gone;
  for (const auto& [known, call] : live_) {
    if (call.record.worker != worker || present.contains(call.record.card)) continue;
    gone.emplace_back(known, left_on(link_->call_card(worker, call.record.card), call.record));
  }
  for (const auto& [known, reason] : gone) finish(known, reason, now.wall);
}

void CallStore::take_in(std::uint32_t worker, std::uint32_t index, const ipc::CallCard& card, Moment now) {
  const Key known = key(worker, index);
  const auto found = live_.find(known);
  if (found != live_.end() && found->second.record.generation != card.generation) {
    finish(known, EndReason::lost, now.wall);
  }
  const auto [place, is_new] = live_.try_emplace(known);
  Live& call = place->second;
  const Time heard = link_->time_of(card.last_message);
  if (is_new) {
    counters_.add(ControlCounter::call_found);
    call.record.worker = worker;
    call.record.card = index;
    call.record.generation = card.generation;
    call.record.hash = card.call_hash;
    call.record.started = link_->time_of(card.created);
    call.since = now.steady;
  }
  if (card.answered != 0 && !call.record.answered) call.record.answered = link_->time_of(card.answered);
  call.heard = now.steady - std::max(now.wall - heard, Time::duration::zero());
  copy_card(call.record, card);
  step(call, card.step, heard, now);
}

void CallStore::step(Live& call, ipc::CallStep next, Time when, Moment now) {
  auto& record = call.record;
  const CallState before = record.step.state;
  const bool changed = next.state != before || !call.due;
  record.step = next;
  if (is_answered(next.state) && !record.answered) record.answered = when;
  if (next.state != CallState::ended) {
    record.ended.reset();
  } else if (!record.ended) {
    record.ended = when;
  }
  if (changed) {
    // A message that waited in the ring, or was found on a card, is as old as it is.
    call.since = now.steady - std::max(now.wall - when, Time::duration::zero());
    call.closing = false;
    // An answer may have come while the worker was being asked to end the call.
    if (!is_unended(next.state)) call.hanging_up = false;
    if (!call.hanging_up) call.verdict = EndReason::none;
  }
  switch (next.state) {
    case CallState::inviting:
    case CallState::ringing:
      return schedule(call, call.heard + std::chrono::seconds(calls_.ringing_s));
    case CallState::answered:
    case CallState::confirmed:
      return schedule(call, now.steady);
    case CallState::ending:
      if (changed) schedule(call, call.since + kByeAnswer + linger_);
      return;
    case CallState::ended:
      if (changed) schedule(call, call.since + linger_);
      return;
  }
}

void CallStore::refresh(CallRecord& call) const {
  if (link_ == nullptr) return;
  const auto card = link_->call_card(call.worker, call.card);
  if (card && !is_gone(card, call)) copy_card(call, *card);
}

void CallStore::copy_card(CallRecord& call, const ipc::CallCard& card) const {
  call.outbound = card.outbound;
  call.call_id = card.call_id.view();
  call.from_tag = card.from_tag.view();
  call.to_tag = card.to_tag.view();
  call.from_uri = card.from_uri.view();
  call.to_uri = card.to_uri.view();
  call.inside = card.inside;
  call.external = card.external;
  call.remote = card.remote;
  call.pinholes = card.pinhole_count;
  note_media(call, card);
}

/// Reads what went through the pinholes of a call: they do not outlive it.
void CallStore::note_media(CallRecord& call, const ipc::CallCard& card) const {
  const auto count = std::min<std::size_t>(card.pinhole_count, ipc::kMaxPinholes);
  for (const auto& pinhole : std::span(card.pinholes).first(count)) {
    const auto state = link_->pinhole(pinhole);
    if (!state) continue;
    const auto& total = state->usage;
    const auto is_same = [&](const MediaRecord& known) {
      // Fewer packets than before: the port was closed, and opened again.
      return known.inside == pinhole.inside && known.external == pinhole.external &&
             known.protocol == pinhole.protocol &&
             total.packets_out >= known.before.packets_out + known.usage.packets_out &&
             total.packets_in >= known.before.packets_in + known.usage.packets_in;
    };
    auto found = std::ranges::find_if(call.media, is_same);
    if (found == call.media.end()) {
      if (call.media.size() == kMediaRecords) continue;
      const bool was_of_another = pinhole.heir != ipc::PinholeRef{}.heir;
      found = call.media.insert(found, {.inside = pinhole.inside,
                                        .external = pinhole.external,
                                        .remote = {},
                                        .protocol = pinhole.protocol,
                                        .is_rtcp = pinhole.is_rtcp,
                                        .before = was_of_another ? total : MediaUsage{},
                                        .usage = {}});
    }
    if (state->remote) found->remote = state->remote;
    found->usage = since(total, found->before);
  }
}

std::vector<MediaRecord> CallStore::media(const CallRecord& call) const {
  if (call.step.state == CallState::ended && call.is_told) return call.media;
  CallRecord now = call;
  refresh(now);
  return std::move(now.media);
}

/// What was done to a message belongs to its line of the ladder, and comes right after it.
void CallStore::on_why(const ipc::Event& event) {
  Live* const call = find_live(event.worker, event.why.card);
  if (call == nullptr || call->record.generation != event.why.card_generation) return;
  auto& ladder = call->record.ladder;
  if (ladder.empty() || ladder.back().event != event.why.message) return;
  std::size_t kept = 0;
  for (const auto& line : ladder) kept += line.why.size();
  add_why(ladder.back().why, event.why, kWhyLines - kept);
}

void CallStore::add_to_ladder(CallRecord& call, const ipc::Event& event, Time when) {
  if (call.ladder.size() == kLadderLines) {
    call.ladder.erase(call.ladder.begin() + kLadderHead);
    ++call.ladder_missing;
  }
  call.ladder.push_back(ladder_line(event, when));
}

std::vector<CallRecord> CallStore::records() const {
  std::vector<CallRecord> records(ended_.begin(), ended_.end());
  for (const auto& [known, call] : live_) records.push_back(call.record);
  return records;
}

void CallStore::restore(std::vector<CallRecord> records) {
  for (auto& record : records) {
    if (record.is_told) {
      keep_record(std::move(record));
    } else if (record.step.state == CallState::ended) {
      remember(std::move(record));
    } else {
      Live& call = live_[key(record)];
      call.record = std::move(record);
    }
  }
}

}  // namespace pinhole::control
