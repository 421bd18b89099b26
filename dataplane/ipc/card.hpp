// SPDX-License-Identifier: BSD-3-Clause
#pragma once
// Cards: what a worker writes down of a live call or registration, in shared memory. Invariant: a card is
// written by its worker only, between begin() and end() of its sequence lock; control reads copies. After a
// restart control has every call back by reading the cards; between restarts it follows the events.

#include <array>
#include <atomic>
#include <cstdint>
#include <cstring>
#include <optional>
#include <type_traits>

#include "alg/alg.hpp"
#include "dataplane/ipc/call_state.hpp"
#include "dataplane/ipc/text.hpp"
#include "nat/endpoint.hpp"
#include "nat/mapping.hpp"
#include "nat/tick.hpp"

namespace pinhole::ipc {

/// What a pinhole is for, as offer and answer have it (RFC 3264).
enum class PinholeUse : std::uint8_t {
  offered,   // described from inside, and nothing has been agreed on yet
  agreed,    // of the media that both sides have agreed on
  reserved,  // its stream was rejected after it had been agreed on: shut, its port kept for when it comes
             // back
  leaving,   // no stream has it any more: closed soon
};

/// One pinhole: an RTP or RTCP mapping of a call.
struct PinholeRef {
  nat::Endpoint inside{};
  nat::Endpoint external{};
  nat::MappingIndex mapping = nat::kNoMapping;
  std::uint32_t generation = 0;  // of the mapping when it was opened
  std::uint32_t told = 0;        // of whom the mapping expects media, as a hash; 0: nobody was told to it
  std::uint32_t heir = ~0U;      // the call that had the pinhole before, and has it again after this one
  std::uint32_t heir_generation = 0;
  std::uint8_t worker : 7 = 0;  // that owns the mapping: the inside host of the media may not be the call's
  bool is_rtcp : 1 = false;     // and nothing else
  nat::Protocol protocol = nat::Protocol::udp;
  std::uint8_t description = 0;  // number of the last description from inside that named it
  PinholeUse use = PinholeUse::offered;
  std::uint32_t sections = 0;  // a bit for each m= line that named it there
};
static_assert(sizeof(PinholeRef) == 40);

inline constexpr std::size_t kMaxPinholes = 16;  // eight streams with RTCP

/// Where the media of a stream comes from, as a description from outside says.
struct MediaSource {
  nat::Endpoint rtp{};
  nat::Endpoint rtcp{};
  std::uint16_t leg = 0;  // which remote party says so: of the forks of a call there may be several
  std::uint8_t section = 0;
  bool agreed = false;  // until then, what was agreed on before holds beside it

  friend constexpr bool operator==(const MediaSource&, const MediaSource&) noexcept = default;
};

inline constexpr std::size_t kMaxSources = 16;

/// An offer that was not answered for good yet.
struct OpenOffer {
  std::uint32_t cseq = 0;
  std::uint32_t rejected = 0;    // a bit for each section that it rejects
  std::uint32_t nowhere = 0;     // and for each that keeps what it had, and names nothing
  std::uint8_t description = 0;  // its number, when it is from inside
  bool open = false;
  bool held = false;
};

/// What the sides of a call have said of its media.
struct Negotiation {
  std::array<OpenOffer, 2> offers{};  // by alg::Direction of their messages
  std::uint32_t invite_cseq = 0;      // of the last INVITE
  alg::Direction invite_from = alg::Direction::outbound;
  bool invite_offers = false;     // it came with a description
  bool agreed = false;            // something has been agreed on
  bool held = false;              // by what was agreed on, media is silent
  std::uint8_t descriptions = 0;  // from inside
  std::uint8_t source_count = 0;
  std::array<MediaSource, kMaxSources> sources{};
};

struct CallCard {
  std::uint64_t call_hash = 0;   // of the whole Call-ID; identifies the call, with its text
  std::uint32_t generation = 0;  // grows each time that this place is used again
  CallStep step;
  bool in_use = false;
  bool outbound = false;                        // the first INVITE came from inside
  nat::Protocol protocol = nat::Protocol::udp;  // of the signalling flow
  std::uint8_t pinhole_count = 0;
  nat::Endpoint inside;  // of the signalling flow
  nat::Endpoint external;
  nat::Endpoint remote;
  nat::Tick created = 0;
  nat::Tick answered = 0;  // 0: not yet
  nat::Tick last_message = 0;
  nat::Tick keep_until = 0;     // until when control promised the call alive; 0: no promise
  nat::Tick session_until = 0;  // until when its parties promised it alive (RFC 4028); 0: no promise
  bool media_shut = false;      // by control, until media is agreed on anew
  Text<126> call_id;
  Text<62> from_tag;
  Text<62> to_tag;
  Text<94> from_uri;
  Text<94> to_uri;
  std::array<PinholeRef, kMaxPinholes> pinholes{};
  Negotiation media;
};
static_assert(std::is_trivially_copyable_v<CallCard>);

/// The parties of a call have promised it alive, by a session timer that has not run out.
[[nodiscard]] constexpr bool is_promised(const CallCard& card, nat::Tick now) noexcept {
  return card.session_until != 0 && !nat::reached(card.session_until, now);
}

struct RegistrationCard {
  std::uint64_t aor_hash = 0;
  std::uint32_t generation = 0;
  bool in_use = false;
  nat::Protocol protocol = nat::Protocol::udp;  // that the binding was made over
  nat::Endpoint inside;
  nat::Endpoint external;
  nat::Endpoint registrar;
  nat::Tick expires = 0;
  Text<94> aor;
};
static_assert(std::is_trivially_copyable_v<RegistrationCard>);

/// A card behind a sequence lock. Thread: begin/end/edit by the owner, read by anyone in any process.
template <typename Card>
class Shared {
 public:
  /// The owner's own view; call through write() to change it.
  [[nodiscard]] const Card& own() const noexcept { return card_; }

  template <typename Change>
  void write(Change&& change) noexcept {
    const auto sequence = sequence_.load(std::memory_order_relaxed);
    sequence_.store(sequence + 1, std::memory_order_relaxed);
    std::atomic_thread_fence(std::memory_order_release);
    change(card_);
    sequence_.store(sequence + 2, std::memory_order_release);
  }

  /// \return a copy that no write tore; none when the owner kept writing (try again later).
  [[nodiscard]] std::optional<Card> read() const noexcept {
    for (int attempt = 0; attempt < 16; ++attempt) {
      const auto before = sequence_.load(std::memory_order_acquire);
      if (before & 1U) continue;
      Card copy;
      std::memcpy(static_cast<void*>(&copy), &card_, sizeof copy);
      std::atomic_thread_fence(std::memory_order_acquire);
      if (sequence_.load(std::memory_order_relaxed) == before) return copy;
    }
    return std::nullopt;
  }

 private:
  std::atomic<std::uint32_t> sequence_{0};
  Card card_;
};

}  // namespace pinhole::ipc
