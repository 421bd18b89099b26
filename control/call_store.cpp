// SPDX-License-Identifier: BSD-3-Clause
#include "control/call_store.hpp"

#include <algorithm>
#include <charconv>
#include <unordered_set>

#include <fmt/format.h>

namespace pinhole::control {

namespace {

using ipc::CallState;
using ipc::EndReason;

bool is_answered(CallState state) noexcept {
  return state == CallState::answered || state == CallState::confirmed;
}

/// Neither its messages nor a worker have begun to end it.
bool is_unended(CallState state) noexcept {
  return state != CallState::ending && state != CallState::ended;
}

std::optional<std::uint64_t> hash_of(std::string_view id) noexcept {
  std::uint64_t hash = 0;
  const auto [end, error] = std::from_chars(id.data(), id.data() + id.size(), hash, 16);
  if (id.size() != 16 || error != std::errc{} || end != id.data() + id.size()) return std::nullopt;
  return hash;
}

bool is_gone(const std::optional<ipc::CallCard>& card, const CallRecord& call) noexcept {
  return card && (!card->in_use || card->generation != call.generation);
}

bool matches(const CallRecord& call, const CallFilter& filter) {
  if (filter.live_only && call.step.state == CallState::ended) return false;
  if (filter.inside && !filter.inside->matches(call.inside)) return false;
  return filter.party.empty() || call.from_uri.find(filter.party) != std::string::npos ||
         call.to_uri.find(filter.party) != std::string::npos;
}

}  // namespace

std::string call_id(std::uint64_t hash) {
  return fmt::format("{:016x}", hash);
}

void CallStore::attach(WorkerLink& link, Moment now) {
  link_ = nullptr;  // what is finished now has no card in the new data plane
  while (!live_.empty()) finish(live_.begin()->first, EndReason::lost, now.wall);
  link_ = &link;
  known_until_.fill(0);
}

void CallStore::on_event(const ipc::Event& event, Time when, Moment now) {
  if (event.worker >= ipc::kMaxWorkers) return;
  if (event.type == ipc::EventType::sip_message) on_message(event, when, now);
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
  if (old) return;
  call->heard = now.steady;
  refresh(call->record);
  step(*call, message.step, when, now);
}

void CallStore::on_closed(const ipc::Event& event, Time when) {
  const auto& closed = event.closed;
  const Live* const call = find_live(event.worker, closed.card);
  if (call == nullptr || call->record.generation != closed.card_generation) return;
  finish(key(call->record), closed.reason, when);
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
  std::vector<Key> gone;
  for (const auto& [known, call] : live_) {
    if (call.record.worker == worker && !present.contains(call.record.card)) gone.push_back(known);
  }
  for (const Key known : gone) finish(known, EndReason::lost, now.wall);
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
      return schedule(call, call.heard + kNoAnswer);
    case CallState::answered:
    case CallState::confirmed:
      if (changed && !(is_answered(before) && call.due)) schedule(call, now.steady);
      return;
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

void CallStore::copy_card(CallRecord& call, const ipc::CallCard& card) {
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
}

/// What was done to a message belongs to its line of the ladder, and comes right after it.
void CallStore::on_why(const ipc::Event& event) {
  Live* const call = find_live(event.worker, event.why.card);
  if (call == nullptr || call->record.generation != event.why.card_generation) return;
  auto& ladder = call->record.ladder;
  if (ladder.empty() || ladder.back().event != event.why.message) return;
  std::size_t kept = 0;
  for (const auto& line : ladder) kept += line.why.size();
  event.why.records.for_each([&](const ipc::WhyRecord& record) {
    if (kept++ >= kWhyLines) return;
    ladder.back().why.push_back({.kind = record.kind,
                                 .rule = record.rule,
                                 .before = std::string(record.before),
                                 .after = std::string(record.after)});
  });
}

void CallStore::add_to_ladder(CallRecord& call, const ipc::Event& event, Time when) {
  const auto& message = event.sip;
  if (call.ladder.size() == kLadderLines) {
    call.ladder.erase(call.ladder.begin() + kLadderHead);
    ++call.ladder_missing;
  }
  call.ladder.push_back({.time = when,
                         .direction = message.direction,
                         .status = message.status,
                         .start = std::string(message.start.view()),
                         .cseq = message.cseq,
                         .has_sdp = message.has_sdp,
                         .edits = message.edits,
                         .inside = message.inside,
                         .external = message.external,
                         .remote = message.remote,
                         .event = event.sequence,
                         .why = {},
                         .why_told = message.why});
}

void CallStore::schedule(Live& call, std::optional<Steady> due) {
  const Key known = key(call.record);
  if (call.due) due_.erase({*call.due, known});
  call.due = due;
  if (due) due_.insert({*due, known});
}

void CallStore::run(Moment now) {
  if (link_ == nullptr) return;
  // What is decided is scheduled after now, so that this ends.
  while (!due_.empty() && due_.begin()->first <= now.steady) {
    decide(live_.at(due_.begin()->second), now);
  }
}

void CallStore::decide(Live& call, Moment now) {
  const auto card = link_->call_card(call.record.worker, call.record.card);
  if (is_gone(card, call.record)) return finish(key(call.record), EndReason::lost, now.wall);
  if (card) {
    copy_card(call.record, *card);
    // An event was lost, or is still on its way: decide on what the worker knows.
    if (card->step.state != call.record.step.state) {
      return step(call, card->step, link_->time_of(card->last_message), now);
    }
  }
  if (call.closing) return close(call, call.verdict, now);
  if (call.hanging_up) return send_hang_up(call, now);
  switch (call.record.step.state) {
    case CallState::inviting:
    case CallState::ringing:
      return close(call, EndReason::no_answer, now);
    case CallState::answered:
    case CallState::confirmed:
      return card ? keep(call, *card, now) : schedule(call, now.steady + kCommandAgain);
    case CallState::ending:
      return close(call, EndReason::bye, now);
    case CallState::ended:
      return close(call, EndReason::none, now);
  }
}

void CallStore::keep(Live& call, const ipc::CallCard& card, Moment now) {
  const auto media = link_->media(card).last_seen;
  const bool idle =
      !media ||
      nat::reached(*media + nat::ticks_from_s(static_cast<std::uint32_t>(kMediaIdle.count())), link_->tick());
  // Its parties promised it alive and nobody has renewed that (RFC 4028 section 10).
  if (idle && card.session_until != 0 && !ipc::is_promised(card, link_->tick())) {
    return close(call, EndReason::lost, now);
  }
  const nat::Tick heard = card.last_message;
  const nat::Tick silent_since = media && nat::reached(heard, *media) ? *media : heard;
  const auto limit = card.media.held ? kHeldSilence : kSilence;
  const bool silent = nat::reached(
      silent_since + nat::ticks_from_s(static_cast<std::uint32_t>(limit.count())), link_->tick());
  if (silent && !ipc::is_promised(card, link_->tick())) {
    return close(call, media ? EndReason::media_silence : EndReason::lost, now);
  }
  const bool sent = link_->send(call.record.worker, {.type = ipc::CommandType::keep_call,
                                                     .card = call.record.card,
                                                     .card_generation = call.record.generation,
                                                     .seconds = kKeepFor_s});
  counters_.add(sent ? ControlCounter::command_sent : ControlCounter::command_ring_full);
  schedule(call, now.steady + (sent ? Steady::duration(kKeepEvery) : kRingFull));
}

void CallStore::close(Live& call, EndReason verdict, Moment now) {
  if (call.closing) counters_.add(ControlCounter::command_again);
  call.closing = true;
  call.verdict = verdict;
  const bool sent = link_->send(call.record.worker, {.type = ipc::CommandType::close_call,
                                                     .card = call.record.card,
                                                     .card_generation = call.record.generation});
  counters_.add(sent ? ControlCounter::command_sent : ControlCounter::command_ring_full);
  schedule(call, now.steady + (sent ? Steady::duration(kCommandAgain) : kRingFull));
}

bool CallStore::hang_up(std::string_view id, EndReason reason, Moment now) {
  const auto* const record = by_id(id);
  if (link_ == nullptr || record == nullptr || !is_unended(record->step.state)) return false;
  Live* const call = find_live(record->worker, record->card);
  if (call == nullptr) return false;
  call->hanging_up = true;
  call->verdict = reason;
  send_hang_up(*call, now);
  return true;
}

void CallStore::send_hang_up(Live& call, Moment now) {
  const bool sent = link_->send(call.record.worker, {.type = ipc::CommandType::hang_up,
                                                     .reason = call.verdict,
                                                     .card = call.record.card,
                                                     .card_generation = call.record.generation});
  counters_.add(sent ? ControlCounter::command_sent : ControlCounter::command_ring_full);
  schedule(call, now.steady + (sent ? Steady::duration(kCommandAgain) : kRingFull));
}

void CallStore::finish(Key gone, EndReason reported, Time when) {
  const auto found = live_.find(gone);
  Live& call = found->second;
  schedule(call, std::nullopt);
  CallRecord record = std::move(call.record);
  // The messages know best why a call ended, then control's own decision, then the worker that freed it.
  EndReason reason = record.step.reason;
  if (reason == EndReason::none) reason = call.verdict;
  if (reason == EndReason::none && record.step.state == CallState::ending) reason = EndReason::bye;
  if (reason == EndReason::none) reason = reported;
  if (reason == EndReason::none) reason = EndReason::lost;
  if (reason == EndReason::lost) counters_.add(ControlCounter::call_lost);
  record.step = {CallState::ended, reason};
  if (!record.ended) record.ended = when;
  record.pinholes = 0;
  live_.erase(found);
  remember(std::move(record));
}

void CallStore::remember(CallRecord call) {
  if (ended_.size() == kEndedCalls) ended_.pop_front();
  ended_.push_back(std::move(call));
}

std::size_t CallStore::unended() const noexcept {
  return static_cast<std::size_t>(std::ranges::count_if(
      live_, [](const auto& entry) { return entry.second.record.step.state != CallState::ended; }));
}

CallRow CallStore::row(const CallRecord& call) const {
  return {.id = call_id(call.hash),
          .call_id = call.call_id,
          .step = call.step,
          .outbound = call.outbound,
          .worker = call.worker,
          .from_uri = call.from_uri,
          .to_uri = call.to_uri,
          .inside = call.inside,
          .external = call.external,
          .remote = call.remote,
          .started = call.started,
          .answered = call.answered,
          .ended = call.ended,
          .pinholes = open_pinholes(call)};
}

std::uint32_t CallStore::open_pinholes(const CallRecord& call) const {
  if (link_ == nullptr) return call.pinholes;
  const auto card = link_->call_card(call.worker, call.card);
  if (is_gone(card, call)) return 0;
  return card ? link_->media(*card).open : call.pinholes;
}

std::vector<const CallRecord*> CallStore::by_card() const {
  std::vector<const CallRecord*> calls;
  for (const auto& [known, call] : live_) calls.push_back(&call.record);
  std::ranges::sort(calls, {}, [](const CallRecord* call) { return key(*call); });
  return calls;
}

std::vector<const CallRecord*> CallStore::newest_first(const CallFilter& filter) const {
  std::vector<const CallRecord*> calls;
  for (const auto& [known, call] : live_) {
    if (matches(call.record, filter)) calls.push_back(&call.record);
  }
  if (!filter.live_only) {
    for (const auto& call : ended_) {
      if (matches(call, filter)) calls.push_back(&call);
    }
  }
  std::ranges::sort(calls, [](const CallRecord* a, const CallRecord* b) {
    return a->started != b->started ? a->started > b->started : a->hash < b->hash;
  });
  return calls;
}

Paged<CallRow> CallStore::rows(const CallFilter& filter, Page page) const {
  const auto calls = newest_first(filter);
  Paged<CallRow> rows{.rows = {}, .total = calls.size()};
  for (std::size_t i = page.offset; i < calls.size() && rows.rows.size() < page.limit; ++i) {
    rows.rows.push_back(row(*calls[i]));
  }
  return rows;
}

std::vector<CallRow> CallStore::find(std::string_view prefix, std::size_t limit) const {
  std::vector<CallRow> found;
  std::unordered_set<std::uint64_t> seen;
  for (const CallRecord* const call : newest_first({.live_only = false, .inside = {}, .party = {}})) {
    const std::string id = call_id(call->hash);
    const bool exact = id == prefix || call->call_id == prefix;
    if (!exact && !id.starts_with(prefix) && !call->call_id.starts_with(prefix)) continue;
    if (exact) return {row(*by_id(id))};
    if (found.size() < limit && seen.insert(call->hash).second) found.push_back(row(*by_id(id)));
  }
  return found;
}

const CallRecord* CallStore::by_id(std::string_view id) const noexcept {
  const auto hash = hash_of(id);
  if (!hash) return nullptr;
  const CallRecord* newest = nullptr;
  for (const auto& [known, call] : live_) {
    if (call.record.hash != *hash) continue;
    if (newest == nullptr || call.record.started > newest->started) newest = &call.record;
  }
  if (newest != nullptr) return newest;
  const auto ended = std::find_if(ended_.rbegin(), ended_.rend(),
                                  [&](const CallRecord& call) { return call.hash == *hash; });
  return ended == ended_.rend() ? nullptr : &*ended;
}

std::vector<CallRecord> CallStore::records() const {
  std::vector<CallRecord> records(ended_.begin(), ended_.end());
  for (const auto& [known, call] : live_) records.push_back(call.record);
  return records;
}

void CallStore::restore(std::vector<CallRecord> records) {
  for (auto& record : records) {
    if (record.step.state == CallState::ended) {
      remember(std::move(record));
    } else {
      Live& call = live_[key(record)];
      call.record = std::move(record);
    }
  }
}

}  // namespace pinhole::control
