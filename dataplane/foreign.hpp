// SPDX-License-Identifier: BSD-3-Clause
#pragma once
// What workers ask each other about inside hosts and external ports, one message of fixed size each, over one
// ring into each worker.
//
// Theory of operation. A SIP message may name an endpoint that another worker owns. The asker sends a
// question, notes it in its QuestionTable, and parks the message. The owner fills the question in and sends
// it back (answer()); the asker keeps the answer in the table and inspects the message again, which now finds
// it.
//
// A media pinhole opened for another worker's call is the owner's, but the call's card, with the asker, names
// it: the asker keeps it, asks whether it still is open, and closes it, by messages that nobody waits for.
// Whatever is lost on the way turns into a time-out: a question that is not answered is forgotten and its
// message dropped; a pinhole that nobody closes falls silent and expires. A pinhole that is shut gets another
// ref, but is known by the one from before as well: what the asker says of it meanwhile, or without having
// got the answer, counts.
//
// A pinhole that another call has is handed over when it is asked for, not with the commit of the message:
// the owner does not hear of that.

#include <array>
#include <cstddef>
#include <cstdint>
#include <type_traits>

#include "alg/host.hpp"
#include "dataplane/call_table.hpp"
#include "dataplane/local_endpoints.hpp"
#include "nat/endpoint.hpp"
#include "nat/tick.hpp"

namespace pinhole::dataplane {

/// Names a question that was asked; unique for as long as anybody may wait for it.
using Ticket = std::uint32_t;
inline constexpr Ticket kNoTicket = 0;

enum class PeerMessageType : std::uint8_t {
  // With an answer that a message waits for:
  external_of,   // `first` inside, `second` remote → `first` external; an echoed one is looked up
  candidate_of,  // `first` inside → `first` external, of media that is no pinhole
  inside_of,     // `first` external → `first` inside
  open_media,    // `first` and `second` inside RTP and RTCP → external, refs (over TCP: `first` alone)
  // With an answer that nobody waits for:
  probe_media,  // is the pinhole `first_ref` of the call `card` open?
  shut_media,   // shut the pinhole `first_ref` of the call `card` → `second_ref`, which it is from now on
  // Without answer:
  take_over_media,  // what open_media answered, `first_ref`, is now a pinhole of the call `call_hash`
  keep_media,       // keep the pinhole `first_ref` until `until` at least
  close_media,      // close the pinhole `first_ref`
  expect_media,     // the pinhole `first_ref` gets media from `first`; `first_fresh`: anew
  note_clocks,      // the media of the pinhole `first_ref` goes by the clocks that clocks_of() reads
  keep_signalling,  // keep the mapping of `first` until `until` and let `second` in; see LocalEndpoints
};

/// A question, or its answer: the same message with the blanks filled in.
struct PeerMessage {
  PeerMessageType type = PeerMessageType::external_of;
  bool is_answer = false;
  alg::LookupState state = alg::LookupState::none;  // of an answer
  bool first_fresh : 1 = false;                     // of an answer: see MediaPort
  bool second_fresh : 1 = false;
  bool follows : 1 = false;     // open_media: see MediaRequest
  bool is_pinhole : 1 = false;  // the answer to inside_of
  bool is_echoed : 1 = false;   // external_of: by alg::Claim
  nat::Protocol protocol = nat::Protocol::udp;
  std::uint8_t asker = 0;  // worker
  std::uint8_t owner = 0;  // worker that is asked
  Ticket ticket = kNoTicket;
  nat::Endpoint first;
  nat::Endpoint second;
  MappingRef first_ref;
  MappingRef second_ref;
  std::uint64_t call_hash = 0;  // open_media, take_over_media: the call, by its Call-ID
  CardIndex card = kNoCard;     // probe_media, shut_media: the asker's card
  std::uint32_t card_generation = 0;
  nat::Tick until = 0;
  nat::Realm realm = nat::Realm::translated;    // external_of, open_media
  alg::Written written = alg::Written::anyhow;  // external_of
  alg::Portless portless;                       // the answer to inside_of
};
static_assert(std::is_trivially_copyable_v<PeerMessage>);
static_assert(sizeof(PeerMessage) <= 64);

// The clocks of note_clocks, which names no call: they take the place of its hash, card and generation.

inline void set_clocks(PeerMessage& message, const alg::RtpClocks& clocks) noexcept {
  message.call_hash = clocks.words()[0];
  message.card = static_cast<CardIndex>(clocks.words()[1]);
  message.card_generation = static_cast<std::uint32_t>(clocks.words()[1] >> 32U);
}
[[nodiscard]] constexpr alg::RtpClocks clocks_of(const PeerMessage& message) noexcept {
  return alg::RtpClocks::from_words(
      {message.call_hash, std::uint64_t{message.card_generation} << 32U | message.card});
}

/// Sends a message to `message.owner`, or an answer to `message.asker`. Implemented by the worker over its
/// rings.
class PeerLink {
 public:
  /// \return false when the ring is full: the message is lost.
  [[nodiscard]] virtual bool send(const PeerMessage& message) noexcept = 0;

 protected:
  ~PeerLink() = default;
};

/// `Mapping::parent` of a pinhole without a card of its own worker: a call of another worker, or none. It is
/// the same for all pinholes of a Call-ID, and no index of a card.
inline constexpr std::uint32_t kGuestParent = 0x80000000U;
[[nodiscard]] constexpr std::uint32_t guest_parent(std::uint64_t call_hash) noexcept {
  return kGuestParent | static_cast<std::uint32_t>(call_hash >> 32U);
}

/// The owner's side: does what a question asks.
/// \return true when `message` is now an answer, to be sent back.
[[nodiscard]] bool answer(PeerMessage& message, LocalEndpoints& endpoints, nat::Tick now) noexcept;

/// The asker's side: what was asked, and what came back. Bounded; a question whose place is needed by older
/// ones is refused. Owned by one worker.
class QuestionTable {
 public:
  static constexpr std::uint32_t kCapacity = 512;
  /// How long a question may be open, and how long an answer is kept for the message that waits: as long as a
  /// message may be parked.
  static constexpr nat::Tick kLifetime = nat::ticks_from_s(2);

  enum class State : std::uint8_t {
    unknown,   // not asked, or forgotten
    asked,     // `ticket` says what to wait for
    answered,  // `answer`, valid until the table is changed
  };
  struct Found {
    State state = State::unknown;
    Ticket ticket = kNoTicket;
    const PeerMessage* answer = nullptr;
  };

  /// What became of the question that `message` would ask.
  [[nodiscard]] Found find(const PeerMessage& message, nat::Tick now) const noexcept;
  /// Notes a question and gives it its ticket. \return false when there is no place
  [[nodiscard]] bool add(PeerMessage& message, nat::Tick now) noexcept;
  /// Takes an answer. \return false when nobody waits for it any more
  [[nodiscard]] bool take(const PeerMessage& message, nat::Tick now) noexcept;
  /// Forgets a question, or an answer that was used.
  void forget(Ticket ticket) noexcept;

  /// Forgets what is too old. \param budget places looked at, at most
  /// \param on_unused `void(const PeerMessage&)`, noexcept: an answer that no message came for
  template <typename OnUnused>
  void expire(nat::Tick now, std::uint32_t budget, OnUnused&& on_unused) noexcept {
    for (; budget > 0 && size_ > 0; --budget) {
      auto& entry = entries_[cursor_];
      cursor_ = (cursor_ + 1) % kCapacity;
      if (entry.message.ticket == kNoTicket || !nat::reached(entry.deadline, now)) continue;
      if (entry.message.is_answer) on_unused(static_cast<const PeerMessage&>(entry.message));
      clear(entry);
    }
  }
  [[nodiscard]] std::uint32_t size() const noexcept { return size_; }

 private:
  // A question may lie in any of the places of its set.
  static constexpr std::uint32_t kWays = 8;
  static constexpr std::uint32_t kSets = kCapacity / kWays;
  static_assert((kCapacity & (kCapacity - 1)) == 0);

  struct Entry {
    PeerMessage message;        // its ticket is kNoTicket: free
    nat::Endpoint first_asked;  // as the question had them
    nat::Endpoint second_asked;
    nat::Tick deadline = 0;
  };

  [[nodiscard]] static std::uint32_t set_of(const PeerMessage& message) noexcept;
  [[nodiscard]] static bool asks_the_same(const Entry& entry, const PeerMessage& message) noexcept;
  void clear(Entry& entry) noexcept;

  std::array<Entry, kCapacity> entries_{};
  std::uint32_t size_ = 0;
  std::uint32_t cursor_ = 0;
  std::uint32_t sequence_ = 0;  // upper part of the last ticket
};

}  // namespace pinhole::dataplane
