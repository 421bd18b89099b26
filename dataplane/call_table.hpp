// SPDX-License-Identifier: BSD-3-Clause
#pragma once
// The calls of one worker: cards in shared memory, and the private index that finds them.
//
// A card is found by Call-ID and inside host, so that two phones which happen to use one Call-ID, or the two
// sides of a call that an outside proxy sends back in, do not end each other. When it is sent back to the
// host that it came from, the sides are told apart by who of the parties is outside. A message of the call
// that comes from another inside host (a phone that speaks past its proxy) is recognised by the tags.
//
// Invariant: a card that is in use is in the index; one that is not is on the free list. A call ends here by
// close() alone; whatever control forgets or never hears of, tick() finds overdue, so that a lost message
// turns into a time-out and never into a leak. Written by its worker only; control reads the cards.

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "alg/sip/summary.hpp"
#include "dataplane/call_counts.hpp"
#include "dataplane/forks.hpp"
#include "dataplane/invite_branches.hpp"
#include "dataplane/ipc/call_state.hpp"
#include "dataplane/ipc/card.hpp"
#include "dataplane/stats.hpp"
#include "dataplane/targets.hpp"
#include "nat/endpoint.hpp"
#include "nat/hash_chains.hpp"
#include "nat/memory.hpp"
#include "nat/prefetch.hpp"
#include "nat/tick.hpp"

namespace pinhole::dataplane {

/// A place in the table of calls or of registrations of a worker.
using CardIndex = std::uint32_t;
inline constexpr CardIndex kNoCard = nat::HashChains::kNone;

/// What a call is looked up by.
struct CallKey {
  std::uint64_t hash = 0;  // text_hash() of the whole Call-ID
  std::string_view call_id;
  nat::Ipv4Address inside;  // host of the signalling flow
  std::string_view from_tag;
  std::string_view to_tag;   // empty: the request that begins a dialog
  bool from_inside = false;  // who is named in From is inside, seen from here
  bool begins = false;       // an INVITE that begins a dialog
};

/// What is written down when a call is seen for the first time.
struct CallOpening {
  CallKey key;
  ipc::CallStep step;
  bool outbound = false;
  nat::Protocol protocol = nat::Protocol::udp;
  nat::Endpoint inside;
  nat::Endpoint external;
  nat::Endpoint remote;
  std::string_view from_uri;
  std::string_view to_uri;
  const alg::sip::Summary* message = nullptr;  // that it is seen by; null: none
};

/// From where else than its card says the requests of a call come, once it is accepted: a proxy that leaves
/// the way leaves them to the caller (requirement AC-12). And where else they go to.
struct DialogPeer {
  nat::Endpoint invited;    // in the INVITE that is not answered yet; unspecified: nobody is named
  nat::Endpoint accepted;   // in the one that was accepted last
  std::uint32_t cseq = 0;   // of the former
  nat::Endpoint addressed;  // whom the inside host spoke to last in the dialog, if not who is on the card
  nat::Endpoint forked;     // and in that of another fork
  Fork::Name forked_name = Fork::kNone;
  Targets targets;
  Forks forks;
};

/// Backstops: how long a worker lets a call be when nobody tells it anything.
/// 64*T1 (RFC 3261 section 17): nothing of a transaction, hence of an ended call, comes later.
inline constexpr nat::Tick kEndedLinger = nat::ticks_from_s(32);
/// For an unanswered call beyond the time that control gives it: 64*T1 for the answer to a CANCEL.
inline constexpr nat::Tick kUnansweredMargin = nat::ticks_from_s(32);
/// A call without media of ours costs nothing but its card: four times the session interval that RFC 4028
/// section 4 recommends.
inline constexpr nat::Tick kUnheardLimit = nat::ticks_from_s(4 * 1800);
/// A call on hold is silent by agreement.
inline constexpr nat::Tick kHeldLimit = nat::ticks_from_s(24 * 3600);

/// Whether a call is to be closed although nobody asked for it, and why.
/// \param ended when it ended; read in state `ended` only
/// \param media_live whether a pinhole of the call is open
/// \param ringing how long control lets a call wait for its answer
[[nodiscard]] std::optional<ipc::EndReason> overdue(const ipc::CallCard& card, nat::Tick ended,
                                                    bool media_live, nat::Tick ringing,
                                                    nat::Tick now) noexcept;

class CallTable {
 public:
  /// Bytes of private memory beside the cards.
  [[nodiscard]] static constexpr std::size_t bytes_needed(std::uint32_t capacity) noexcept {
    return nat::HashChains::bytes_needed(capacity) + nat::carved_bytes<CardIndex>(capacity) +
           nat::carved_bytes<Watch>(capacity) + nat::carved_bytes<DialogPeer>(capacity) +
           nat::carved_bytes<InviteBranches>(capacity) + CallCounts::bytes_needed(capacity);
  }
  /// \param cards at least one, none in use
  /// \param memory bytes_needed(cards.size()), aligned to a cache line
  /// \param ringing see overdue()
  CallTable(std::span<ipc::Shared<ipc::CallCard>> cards, std::uint64_t seed, std::span<std::byte> memory,
            nat::CounterBlock<WorkerCounter>& counters, nat::Tick ringing = nat::ticks_from_s(180)) noexcept;
  CallTable(const CallTable&) = delete;
  CallTable& operator=(const CallTable&) = delete;

  /// The newest call that a message belongs to. \return kNoCard when there is none. Cost: the calls of one
  /// Call-ID.
  [[nodiscard]] CardIndex find(const CallKey& key) const noexcept;
  /// The card that open() will take next; kNoCard, which is counted, when all are in use.
  [[nodiscard]] CardIndex next_free() noexcept;
  /// Opens a card; there is a free one.
  CardIndex open(const CallOpening& opening, nat::Tick now) noexcept;
  /// A message of the call passed. When the fork that the call was is ended by a BYE, or was not acknowledged
  /// yet, and another one is confirmed, the call is that one from now on, and goes on.
  /// \return where the call stands now
  ipc::CallStep step(CardIndex index, const alg::sip::Summary& message, bool from_inside,
                     nat::Tick now) noexcept;
  /// The call is ended by Pinhole: whatever was promised of it is over.
  void put_step(CardIndex index, ipc::CallStep step, nat::Tick now) noexcept;
  /// Replaces the list of pinholes. \param pinholes at most ipc::kMaxPinholes
  void set_pinholes(CardIndex index, std::span<const ipc::PinholeRef> pinholes) noexcept;
  /// The same, with what has been negotiated.
  void set_media(CardIndex index, std::span<const ipc::PinholeRef> pinholes,
                 const ipc::Negotiation& media) noexcept;
  /// The same, of a call whose media control has shut.
  void set_shut(CardIndex index, std::span<const ipc::PinholeRef> pinholes) noexcept;
  /// The call is not to be closed for silence before `until`.
  void keep(CardIndex index, nat::Tick until) noexcept;
  /// An INVITE from outside names who sends what follows. Of several with one number the first counts.
  void invite_peer(CardIndex index, std::uint32_t cseq, nat::Endpoint peer) noexcept;
  /// The inside host has accepted the INVITE with that number, or asked for an answer to a provisional
  /// response. \return whether anybody was named in it
  [[nodiscard]] bool accept_peer(CardIndex index, std::uint32_t cseq) noexcept;
  /// The inside host sends a request of the dialog to another one than is on the card: who answered it past
  /// a proxy. \return false when that was known
  bool address_peer(CardIndex index, nat::Endpoint peer) noexcept;
  /// The same, in the dialog of another fork.
  bool address_fork(CardIndex index, const alg::sip::Summary& message, nat::Endpoint peer) noexcept;
  /// Who was accepted last, and who was addressed; unspecified: nobody.
  [[nodiscard]] std::array<nat::Endpoint, 3> peers(CardIndex index) const noexcept {
    return {peers_[index].accepted, peers_[index].addressed, peers_[index].forked};
  }
  /// Whether a message is of a dialog that another fork has made than the one that the call is. What is said
  /// there is not said of the call: the caller ends it by a BYE of its own (RFC 3261 section 13.2.2.4).
  [[nodiscard]] bool is_of_other_fork(CardIndex index, const alg::sip::Summary& message) const noexcept;
  /// A message of another fork from inside has described media.
  void describe_fork(CardIndex index, const alg::sip::Summary& message, std::uint8_t description) noexcept;
  /// The fork that the call is, with what is noted of it; Fork::kNone by name: none has accepted it.
  [[nodiscard]] Fork fork(CardIndex index) const noexcept {
    const auto& forks = peers_[index].forks;
    auto fork = forks.find(forks.current());
    fork.name = forks.current();
    return fork;
  }
  /// The inside host of the call says where its requests get to it.
  void add_target(CardIndex index, Target target) noexcept;
  /// What it has said, but for what is on the card.
  [[nodiscard]] std::span<const Target> targets(CardIndex index) const noexcept {
    return peers_[index].targets.view();
  }
  /// Frees a card that is in use.
  void close(CardIndex index) noexcept;

  /// True when the place is in use and was not used again since `generation` was read.
  [[nodiscard]] bool is_current(CardIndex index, std::uint32_t generation) const noexcept {
    return index < capacity() && watches_[index].live && card(index).generation == generation;
  }
  [[nodiscard]] const ipc::CallCard& card(CardIndex index) const noexcept { return cards_[index].own(); }
  /// Fetches what fetch() will read.
  void fetch_place(std::uint64_t hash) const noexcept { chains_.prefetch(hash); }
  /// Fetches what find() and fetch_media() will read, if there is such a call.
  void fetch(std::uint64_t hash) const noexcept {
    const auto index = chains_.first(hash);
    if (index == kNoCard) return;
    constexpr std::size_t kMostCallIds = 48;
    constexpr std::size_t kMostPinholes = 2;  // audio alone
    const auto& fetched = card(index);
    fetch_bytes(&cards_[index], offsetof(ipc::CallCard, call_id) + kMostCallIds);
    fetch_bytes(&fetched.pinholes, kMostPinholes * sizeof fetched.pinholes[0]);
  }
  /// Fetches what a description will be compared with.
  void fetch_media(CardIndex index) const noexcept {
    fetch_bytes(&card(index).media, sizeof(ipc::Negotiation));
  }
  /// Of the calls that have not ended.
  [[nodiscard]] const CallCounts& counts() const noexcept { return counts_; }
  [[nodiscard]] std::uint32_t size() const noexcept { return capacity() - free_count_; }
  [[nodiscard]] std::uint32_t capacity() const noexcept { return static_cast<std::uint32_t>(cards_.size()); }

  /// How long a call that nothing happens to is not looked at.
  static constexpr nat::Tick kRecheck = nat::ticks_from_s(5);

  /// Applies the backstops to some cards, going round; call it again and again.
  /// \param budget cards looked at, at most
  /// \param media_live `bool(CardIndex)`, noexcept: whether a pinhole of the call is open
  /// \param on_live `void(CardIndex)`, noexcept: the call goes on; at least once in kRecheck and a round
  /// \param on_close `void(CardIndex, ipc::EndReason)`, noexcept: is to close() the card
  template <typename MediaLive, typename OnLive, typename OnClose>
  void tick(nat::Tick now, std::uint32_t budget, MediaLive&& media_live, OnLive&& on_live,
            OnClose&& on_close) noexcept {
    if (size() == 0) return;
    for (std::uint32_t left = std::min(budget, capacity()); left > 0; --left) {
      const CardIndex index = cursor_;
      cursor_ = index + 1 == capacity() ? 0 : index + 1;
      auto& watch = watches_[index];
      if (!watch.live || !nat::reached(watch.due, now)) continue;
      const bool ended = card(index).step.state == ipc::CallState::ended;
      if (const auto reason = overdue(card(index), watch.ended, !ended && media_live(index), ringing_, now)) {
        on_close(index, *reason);
      } else {
        watch.due = now + kRecheck;
        if (!ended) on_live(index);
      }
    }
  }

 private:
  /// Cards begin anywhere on a line: each that some bytes are on is fetched.
  static void fetch_bytes(const void* begin, std::size_t size) noexcept {
    constexpr std::size_t kLine = 64;
    const auto* const bytes = static_cast<const std::byte*>(begin);
    for (std::size_t at = 0; at < size; at += kLine) nat::prefetch(bytes + at);
    nat::prefetch(bytes + size - 1);
  }

  /// What tick() reads, apart from the cards: a sweep over calls that are not due stays off their lines.
  struct Watch {
    nat::Tick due = 0;
    nat::Tick ended = 0;
    bool live = false;
  };

  CallTable(std::span<ipc::Shared<ipc::CallCard>> cards, std::uint64_t seed, nat::Carver memory,
            nat::CounterBlock<WorkerCounter>& counters, nat::Tick ringing) noexcept;
  void note_fork(CardIndex index, const alg::sip::Summary& message, bool from_inside) noexcept;
  [[nodiscard]] bool turn_to_fork(CardIndex index, ipc::CallStep step) noexcept;
  [[nodiscard]] bool is_others_part(CardIndex index, const alg::sip::Summary& message,
                                    bool from_inside) const noexcept;
  void watch_step(CardIndex index, ipc::CallState before, ipc::CallState after, nat::Tick now) noexcept;
  void show_size() noexcept;

  std::span<ipc::Shared<ipc::CallCard>> cards_;
  nat::HashChains chains_;
  std::span<CardIndex> free_;  // a stack: the first free_count_ are free
  std::span<Watch> watches_;
  std::span<DialogPeer> peers_;
  std::span<InviteBranches> branches_;
  CallCounts counts_;
  nat::Tick ringing_;
  nat::CounterBlock<WorkerCounter>& counters_;
  std::uint32_t free_count_;
  CardIndex cursor_ = 0;
};

}  // namespace pinhole::dataplane
