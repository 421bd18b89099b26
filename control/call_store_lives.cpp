// SPDX-License-Identifier: BSD-3-Clause
// What becomes of calls: what is due when, and how they end.
#include <algorithm>

#include "control/call_deadlines.hpp"
#include "control/call_store.hpp"

namespace pinhole::control {

namespace {

using ipc::CallState;
using ipc::CommandType;
using ipc::EndReason;

/// Whether nobody but Pinhole ends a call for this reason.
bool is_of_pinhole(EndReason reason) noexcept {
  switch (reason) {
    case EndReason::no_answer:
    case EndReason::no_ack:
    case EndReason::media_silence:
    case EndReason::max_duration:
    case EndReason::session_timer:
    case EndReason::by_operator:
      return true;
    case EndReason::none:
    case EndReason::bye:
    case EndReason::cancelled:
    case EndReason::failed:
    case EndReason::lost:
      break;
  }
  return false;
}

}  // namespace

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
  if (is_gone(card, call.record)) return finish(key(call.record), left_on(card, call.record), now.wall);
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
      return end(call, EndReason::no_answer, now);
    case CallState::answered:
    case CallState::confirmed:
      return card ? look_after(call, *card, now) : schedule(call, now.steady + kCommandAgain);
    case CallState::ending:
      return close(call, EndReason::bye, now);
    case CallState::ended:
      return close(call, EndReason::none, now);
  }
}

void CallStore::look_after(Live& call, const ipc::CallCard& card, Moment now) {
  const auto media = link_->media(card);
  const auto tick = link_->tick();
  const auto deadline = deadline_of(card, media, calls_);
  if (nat::reached(deadline.at, tick)) return end(call, deadline.reason, now);
  Steady next = steady_at(deadline.at, now);
  bool sent = true;
  if (calls_.media_inactivity == config::Inactivity::shut) {
    if (const auto silent = silent_at(card, media, calls_)) {
      if (nat::reached(*silent, tick)) {
        sent = shut(call);
      } else {
        next = std::min(next, steady_at(*silent, now));
      }
    }
  }
  if (!call.kept || now.steady - *call.kept >= kKeepEvery) sent = keep(call, now) && sent;
  next = std::min(next, call.kept.value_or(now.steady) + kKeepEvery);
  schedule(call, sent ? next : std::min(next, now.steady + kRingFull));
}

/// The promise lasts longer than control may be away, and as long as media may be silent.
bool CallStore::keep(Live& call, Moment now) {
  constexpr auto kSilence_s = static_cast<std::uint32_t>(kSilence.count());
  const auto silence_s = calls_.media_inactivity_s == 0 ? kSilence_s : calls_.media_inactivity_s;
  if (!send(call, {.type = CommandType::keep_call, .seconds = std::max(kKeepFor_s, silence_s)})) return false;
  call.kept = now.steady;
  return true;
}

bool CallStore::shut(Live& call) {
  const bool sent = send(call, {.type = CommandType::shut_media});
  if (sent) counters_.add(ControlCounter::call_media_shut);
  return sent;
}

bool CallStore::send(const Live& call, ipc::Command command) {
  command.card = call.record.card;
  command.card_generation = call.record.generation;
  const bool sent = link_->send(call.record.worker, command);
  counters_.add(sent ? ControlCounter::command_sent : ControlCounter::command_ring_full);
  return sent;
}

/// When a tick comes that has not come yet.
Steady CallStore::steady_at(nat::Tick tick, Moment now) const {
  constexpr std::chrono::milliseconds kTick{1000 / nat::kTicksPerSecond};
  return now.steady + kTick * static_cast<std::int32_t>(tick - link_->tick());
}

/// Pinhole ends a call that lives.
void CallStore::end(Live& call, EndReason why, Moment now) {
  if (!calls_.hang_up) return close(call, why, now);
  call.hanging_up = true;
  call.verdict = why;
  send_hang_up(call, now);
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
  const bool sent = send(call, {.type = CommandType::hang_up, .reason = call.verdict});
  schedule(call, now.steady + (sent ? Steady::duration(kCommandAgain) : kRingFull));
}

void CallStore::close(Live& call, EndReason verdict, Moment now) {
  if (call.closing) counters_.add(ControlCounter::command_again);
  call.closing = true;
  call.verdict = verdict;
  const bool sent = send(call, {.type = CommandType::close_call, .reason = verdict});
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
  record.step = {CallState::ended, reason};
  if (!record.ended) record.ended = when;
  record.pinholes = 0;
  live_.erase(found);
  remember(std::move(record));
}

void CallStore::remember(CallRecord call) {
  if (is_of_pinhole(call.step.reason)) {
    call.ended_by = EndedBy::pinhole;
    counters_.add(ControlCounter::call_ended);
  }
  if (call.step.reason == EndReason::lost) {
    call.ended_by = EndedBy::unknown;
    counters_.add(ControlCounter::call_lost);
  }
  if (hear_ended_) hear_ended_(call);
  call.is_told = true;
  keep_record(std::move(call));
}

void CallStore::keep_record(CallRecord call) {
  if (ended_.size() == kEndedCalls) ended_.pop_front();
  ended_.push_back(std::move(call));
}

}  // namespace pinhole::control
