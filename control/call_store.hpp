// SPDX-License-Identifier: BSD-3-Clause
#pragma once
// The calls. A worker tells of them by events and writes each down on a card; the store follows the events,
// reads the cards where events do not say enough (identity, pinholes) or were lost (resync), and decides what
// has a life of its own: that a call which ended is closed after its linger, that one which is answered keeps
// its ports however silent it is, that one which nobody will ever end is ended. Invariants: at most one live
// call for each card; a call leaves `live` only when its card is known to be gone, so that a command which
// got lost is sent again; ended calls are kept up to a bound, oldest dropped first. Thread: one. Time is a
// parameter.

#include <array>
#include <chrono>
#include <cstdint>
#include <deque>
#include <functional>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "control/counters.hpp"
#include "control/model.hpp"
#include "control/worker_link.hpp"
#include "dataplane/config/structs.hpp"
#include "dataplane/ipc/event.hpp"
#include "dataplane/ipc/layout.hpp"

namespace pinhole::control {

/// A call as control knows it, live or ended.
struct CallRecord {
  std::uint32_t worker = 0;
  std::uint32_t card = 0;
  std::uint32_t generation = 0;
  std::uint64_t hash = 0;
  ipc::CallStep step;
  bool outbound = false;
  std::string call_id;
  std::string from_tag;
  std::string to_tag;
  std::string from_uri;
  std::string to_uri;
  nat::Endpoint inside;
  nat::Endpoint external;
  nat::Endpoint remote;
  Time started;
  std::optional<Time> answered;
  std::optional<Time> ended;
  std::vector<LadderLine> ladder;
  std::uint64_t ladder_missing = 0;
  std::uint32_t pinholes = 0;  // on the card when it was last read
  EndedBy ended_by = EndedBy::unknown;
  std::vector<MediaRecord> media;
  bool is_told = false;  // that it is over
};

/// CallRow::id.
[[nodiscard]] std::string call_id(std::uint64_t hash);
/// Whether a card, if it could be read, is another call's by now, or nobody's.
[[nodiscard]] bool is_gone(const std::optional<ipc::CallCard>& card, const CallRecord& call) noexcept;

/// Neither its messages nor a worker have begun to end it.
[[nodiscard]] bool is_unended(ipc::CallState state) noexcept;
/// Why a call ended whose card is free, and not in use again; `lost` when that is unknown.
[[nodiscard]] ipc::EndReason left_on(const std::optional<ipc::CallCard>& card,
                                     const CallRecord& call) noexcept;

class CallStore {
 public:
  static constexpr std::size_t kLadderHead = 16;    // the first messages are kept whatever follows
  static constexpr std::size_t kLadderLines = 64;   // with the latest
  static constexpr std::size_t kEndedCalls = 1000;  // records of ended calls
  static constexpr std::size_t kWhyLines = 256;     // of a call, over all its messages
  static constexpr std::size_t kMediaRecords = 64;  // of a call; what comes later is not recorded
  /// A call whose BYE nobody answers is over after this; the BYE may have been repeated three times by then
  /// (RFC 3261 section 17.1.2.1, timer E).
  static constexpr std::chrono::seconds kByeAnswer{5};
  /// Each promise lasts for three rounds, so that a lost command or a restart of control costs nothing.
  static constexpr std::chrono::seconds kKeepEvery{60};
  static constexpr std::uint32_t kKeepFor_s = 180;
  /// A command that seems to have been lost is sent again.
  static constexpr std::chrono::seconds kCommandAgain{1};

  /// The ring was full.
  static constexpr std::chrono::milliseconds kRingFull{250};

  /// \param linger how long the ports of a call stay open after its end
  /// \param counters outlive the store.
  CallStore(config::Calls calls, std::chrono::seconds linger, ControlCounters& counters)
      : calls_(std::move(calls)), linger_(linger), counters_(counters) {}

  /// The configuration has changed; it holds from the next look at each call on.
  void use(const config::Calls& calls) { calls_ = calls; }
  /// Has `hear` called with the record of each call that is over, once.
  void on_ended(std::function<void(const CallRecord&)> hear) { hear_ended_ = std::move(hear); }

  /// From now on cards are read and commands are sent over `link`, which outlives the store. Live calls of an
  /// earlier data plane end as lost.
  void attach(WorkerLink& link, Moment now);

  /// \param when the event happened. An event from before the last resync of its worker adds to the ladder of
  /// a call that is known and does nothing else: the card was newer.
  void on_event(const ipc::Event& event, Time when, Moment now);

  /// Reads every card of the worker: what is there and unknown is taken in, what is known and gone ends.
  /// \param known_until TSC: whatever happened before is on the cards by now.
  void resync(std::uint32_t worker, std::uint64_t known_until, Moment now);

  /// Does what has become due: commands, and calls whose card is gone.
  void run(Moment now);

  /// Ends a call that lives, and tells both its sides if it was answered.
  /// \return false when there is none of this id, or it is ending already
  bool hang_up(std::string_view id, ipc::EndReason reason, Moment now);

  /// Live calls, those included that ended and whose ports linger.
  [[nodiscard]] std::size_t size() const noexcept { return live_.size(); }
  /// Calls that have not ended.
  [[nodiscard]] std::size_t unended() const noexcept;

  [[nodiscard]] Paged<CallRow> rows(const CallFilter& filter, Page page) const;
  [[nodiscard]] std::vector<CallRow> find(std::string_view prefix, std::size_t limit) const;
  /// The live call of this id, or the one that ended last. The pointer is good until the store changes.
  [[nodiscard]] const CallRecord* by_id(std::string_view id) const noexcept;
  [[nodiscard]] CallRow row(const CallRecord& call) const;
  /// What went through the media ports of a call until now, or until they were closed.
  [[nodiscard]] std::vector<MediaRecord> media(const CallRecord& call) const;
  /// Live calls in the order of worker and card. The pointers are good until the store changes.
  [[nodiscard]] std::vector<const CallRecord*> by_card() const;

  /// Every live call, and every record of an ended one, oldest first.
  [[nodiscard]] std::vector<CallRecord> records() const;
  /// Takes in what records() of an earlier process gave; before attach().
  void restore(std::vector<CallRecord> records);

 private:
  struct Live {
    CallRecord record;
    std::optional<Steady> due;
    Steady since;                                   // of the state
    Steady heard;                                   // last message
    std::optional<Steady> kept;                     // last promise
    bool closing = false;                           // close_call is on its way
    bool hanging_up = false;                        // hang_up is on its way
    ipc::EndReason verdict = ipc::EndReason::none;  // why control closes a call that has not ended by itself
  };
  using Key = std::uint64_t;  // worker and card
  [[nodiscard]] static constexpr Key key(std::uint32_t worker, std::uint32_t card) noexcept {
    return (Key{worker} << 32U) | card;
  }
  [[nodiscard]] static Key key(const CallRecord& call) noexcept { return key(call.worker, call.card); }

  void on_message(const ipc::Event& event, Time when, Moment now);
  void on_closed(const ipc::Event& event, Time when);
  void on_unknown_closed(const ipc::Event& event, Time when);
  void on_why(const ipc::Event& event);
  Live& open(const ipc::Event& event, Time when, Moment now);
  [[nodiscard]] Live* find_live(std::uint32_t worker, std::uint32_t card) noexcept;
  void take_in(std::uint32_t worker, std::uint32_t index, const ipc::CallCard& card, Moment now);
  void step(Live& call, ipc::CallStep next, Time when, Moment now);
  void refresh(CallRecord& call) const;
  [[nodiscard]] std::uint32_t open_pinholes(const CallRecord& call) const;
  void copy_card(CallRecord& call, const ipc::CallCard& card) const;
  void note_media(CallRecord& call, const ipc::CallCard& card) const;
  static void note_ender(CallRecord& call, const ipc::SipMessageEvent& message);
  static void add_to_ladder(CallRecord& call, const ipc::Event& event, Time when);

  void schedule(Live& call, std::optional<Steady> due);
  void decide(Live& call, Moment now);
  /// Promises an answered call alive, ends it, or shuts its media.
  void look_after(Live& call, const ipc::CallCard& card, Moment now);
  [[nodiscard]] bool keep(Live& call, Moment now);
  [[nodiscard]] bool shut(Live& call);
  [[nodiscard]] bool send(const Live& call, ipc::Command command);
  [[nodiscard]] Steady steady_at(nat::Tick tick, Moment now) const;
  void end(Live& call, ipc::EndReason why, Moment now);
  void close(Live& call, ipc::EndReason verdict, Moment now);
  void send_hang_up(Live& call, Moment now);
  void finish(Key gone, ipc::EndReason reported, Time when);
  void remember(CallRecord call);
  void keep_record(CallRecord call);
  [[nodiscard]] std::vector<const CallRecord*> newest_first(const CallFilter& filter) const;

  config::Calls calls_;
  std::chrono::seconds linger_;
  std::function<void(const CallRecord&)> hear_ended_;
  ControlCounters& counters_;
  WorkerLink* link_ = nullptr;
  std::unordered_map<Key, Live> live_;
  std::set<std::pair<Steady, Key>> due_;
  std::deque<CallRecord> ended_;  // oldest first
  std::array<std::uint64_t, ipc::kMaxWorkers> known_until_{};
};

}  // namespace pinhole::control
