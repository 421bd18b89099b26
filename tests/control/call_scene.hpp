// SPDX-License-Identifier: BSD-3-Clause
#pragma once
// A store of calls between a worker that tells it things and the commands that come of them.

#include <cctype>
#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "control/call_store.hpp"
#include "tests/control/fake_link.hpp"

#include <fmt/format.h>
#include <catch2/catch.hpp>

namespace pinhole::control {

using namespace std::chrono_literals;
using ipc::CallState;
using ipc::CommandType;
using ipc::EndReason;

inline constexpr std::chrono::seconds kLinger{4};
inline constexpr std::uint32_t kCards = 8;

/// A store, the worker it hears, and the messages of calls between them.
class Scene {
 public:
  /// \param hangs_up  what control ends is hung up; otherwise it is closed, whatever `calls` says
  explicit Scene(config::Calls calls = {}, bool hangs_up = false)
      : store((calls.hang_up = hangs_up, std::move(calls)), kLinger, counters) {
    store.on_ended([this](const CallRecord& call) { told.push_back(call); });
    store.attach(link, link.moment);
  }

  ipc::CallCard& card(std::uint32_t index, std::uint32_t worker = 0) { return link.calls[worker][index]; }

  /// The worker opens a card for a call.
  void open(std::uint32_t index, std::uint64_t hash, CallState state = CallState::inviting,
            std::uint32_t worker = 0) {
    auto& opened = card(index, worker);
    const auto generation = opened.generation + 1;
    opened = {};
    opened.call_hash = hash;
    opened.generation = generation;
    opened.step.state = state;
    opened.in_use = true;
    opened.outbound = true;
    opened.created = opened.last_message = link.now_tick;
    opened.call_id.assign(fmt::format("{:x}@test", hash));
    opened.from_uri.assign("sip:alice@in");
    opened.to_uri.assign("sip:bob@out");
    opened.from_tag.assign("from");
  }

  /// A message passes: the worker steps the card and tells of it.
  void message(std::uint32_t index, const char* start, CallState state, EndReason reason = EndReason::none,
               std::uint32_t worker = 0) {
    auto& stepped = card(index, worker);
    stepped.step = {state, reason};
    stepped.last_message = link.now_tick;
    if (state == CallState::answered && stepped.answered == 0) stepped.answered = link.now_tick;
    auto event = event_of(index, start, worker);
    event.sip.method = method_of(start);
    event.sip.status = status_of(start);
    event.sip.direction = direction;
    tell(event);
  }

  /// \return 0 for a request
  static std::uint16_t status_of(const char* start) {
    return static_cast<std::uint16_t>(std::isdigit(static_cast<unsigned char>(*start)) ? std::stoi(start)
                                                                                       : 0);
  }
  static alg::sip::Method method_of(std::string_view start) {
    using alg::sip::Method;
    if (start == "BYE") return Method::bye;
    if (start == "CANCEL") return Method::cancel;
    if (start == "ACK") return Method::ack;
    return Method::invite;
  }

  /// The event of a message that left the card as it is now.
  ipc::Event event_of(std::uint32_t index, const char* start, std::uint32_t worker = 0) {
    ipc::Event event;
    event.abi_version = ipc::kAbiVersion;
    event.type = ipc::EventType::sip_message;
    event.worker = static_cast<std::uint8_t>(worker);
    event.tsc = tsc();
    event.sip.call_hash = card(index, worker).call_hash;
    event.sip.card = index;
    event.sip.card_generation = card(index, worker).generation;
    event.sip.step = card(index, worker).step;
    event.sip.start.assign(start);
    return event;
  }
  void tell(const ipc::Event& event) { store.on_event(event, link.moment.wall, link.moment); }

  /// The worker obeys a command, or its backstop acts.
  void close(std::uint32_t index, EndReason reason, std::uint32_t worker = 0) {
    auto& closed = card(index, worker);
    closed.in_use = false;
    ipc::Event event;
    event.type = ipc::EventType::call_closed;
    event.worker = static_cast<std::uint8_t>(worker);
    event.tsc = tsc();
    event.closed = {
        .call_hash = closed.call_hash, .card = index, .card_generation = closed.generation, .reason = reason};
    tell(event);
  }

  void answer_call(std::uint32_t index, std::uint64_t hash) {
    open(index, hash);
    message(index, "INVITE", CallState::inviting);
    message(index, "180 Ringing", CallState::ringing);
    message(index, "200 OK", CallState::answered);
    message(index, "ACK", CallState::confirmed);
  }

  void resync(std::uint32_t worker = 0) { store.resync(worker, tsc(), link.moment); }

  /// Time passes in housekeeping rounds.
  void wait(std::chrono::milliseconds duration) {
    constexpr auto kRound = 100ms;
    for (auto passed = 0ms; passed < duration; passed += kRound) {
      link.pass(kRound);
      store.run(link.moment);
    }
  }

  std::vector<CallRow> rows(bool live_only) {
    return store.rows({.live_only = live_only, .inside = {}, .party = {}}, {.offset = 0, .limit = 10'000})
        .rows;
  }
  /// How the call that ended last ended.
  EndReason last_end() {
    const auto records = store.records();
    REQUIRE_FALSE(records.empty());
    REQUIRE(store.size() == 0);
    REQUIRE(records.back().step.state == CallState::ended);
    return records.back().step.reason;
  }
  std::uint64_t count(ControlCounter counter) const { return counters.read(counter); }

  alg::Direction direction = alg::Direction::outbound;  // of messages that pass
  test::FakeLink link{2, kCards};
  ControlCounters counters;
  CallStore store;
  std::vector<CallRecord> told;  // that they are over

 private:
  /// As many as there are milliseconds.
  [[nodiscard]] std::uint64_t tsc() const {
    return static_cast<std::uint64_t>(
        std::chrono::duration_cast<std::chrono::milliseconds>(link.moment.wall.time_since_epoch()).count());
  }
};

inline std::vector<std::string> ladder(const CallRecord& call) {
  std::vector<std::string> lines;
  for (const auto& line : call.ladder) lines.push_back(line.start);
  return lines;
}

}  // namespace pinhole::control
