// SPDX-License-Identifier: BSD-3-Clause
#pragma once
// What a worker has to know of a call to speak in its dialog in place of one end: for each side the words
// that it uses itself (it knows its own and the other's address by them, on its side of the translation), the
// way to it, and the numbers that it has heard. One entry a call card, at the same place.
//
// What a side says of itself is taken from its own messages, before they are translated: so nothing has to be
// translated when it is spoken to. The way to it is its Contact, and by Record-Route the proxies between it
// and Pinhole alone: those that the INVITE has passed on the caller's side; of those in the 2xx, the ones
// that are not among them on the callee's.
//
// Invariant: memory is bounded; what does not fit makes its side one that cannot be spoken to. Private to its
// worker, and lost with it: a call that is met in the middle cannot be spoken in.

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "alg/alg.hpp"
#include "alg/sip/summary.hpp"
#include "dataplane/text_pack.hpp"
#include "nat/endpoint.hpp"
#include "nat/mapping.hpp"
#include "nat/memory.hpp"
#include "nat/prefetch.hpp"
#include "nat/tick.hpp"

namespace pinhole::dataplane {

/// The side that sends what goes in a direction.
[[nodiscard]] constexpr std::size_t speaker(alg::Direction direction) noexcept {
  return direction == alg::Direction::outbound ? 0 : 1;
}
[[nodiscard]] constexpr std::size_t other_side(std::size_t side) noexcept {
  return 1 - side;
}
inline constexpr std::size_t kInsideSide = 0;
inline constexpr std::size_t kOutsideSide = 1;

/// What is written for every message comes first, on one line.
struct alignas(nat::kCacheLine) Dialog {
  static constexpr std::size_t kTextSize = 640;
  enum Word : std::uint8_t { call_id, self, peer, target, routes };
  static constexpr std::size_t kWords = std::size_t{routes} + 1;

  struct Side {
    std::uint32_t heard_cseq = 0;  // the highest number of a request that it was sent
    nat::Endpoint inside;          // ends of the flow that its last message came by
    nat::Endpoint remote;
    nat::Protocol protocol = nat::Protocol::udp;
    bool spoke = false;
    bool lacks_words = false;  // something of it does not fit, or cannot be written down
  };
  /// A BYE of Pinhole's to a side.
  struct Farewell {
    std::uint32_t cseq = 0;
    bool waits = false;  // it was sent and not answered yet
  };

  std::array<Side, 2> sides;
  nat::Realm realm = nat::Realm::translated;
  std::uint8_t calling = 0;         // the side that called
  std::uint8_t calling_routes = 0;  // proxies between it and Pinhole
  bool invited = false;
  bool established = false;
  std::uint32_t invited_cseq = 0;  // of the INVITE that `calling` is from
  std::uint8_t tries = 0;
  std::uint32_t farewell_of = 0;  // generation of the card that BYEs were sent for
  nat::Tick again_at = 0;         // when they are sent again
  std::array<Farewell, 2> farewells;
  TextPack<2 * kWords, kTextSize> words;

  [[nodiscard]] std::string_view word(std::size_t side, Word which) const noexcept {
    const auto own = words.get(side * kWords + which);
    // Unless something is hidden, both sides have one Call-ID.
    return own.empty() && which == call_id ? words.get(other_side(side) * kWords + which) : own;
  }
  /// Whether a side can be spoken to.
  [[nodiscard]] bool knows(std::size_t side) const noexcept {
    return established && sides[side].spoke && !sides[side].lacks_words && !word(side, target).empty();
  }
};

static_assert(sizeof(Dialog) == 768);
static_assert(offsetof(Dialog, invited_cseq) + sizeof(Dialog::invited_cseq) <= nat::kCacheLine);

/// A message of a call, as it came.
struct DialogMessage {
  const alg::sip::Summary& summary;
  const alg::sip::DialogFacts* facts = nullptr;  // none, unless it is of a kind that has some
  alg::Direction direction = alg::Direction::outbound;
  const alg::Flow& flow;
  nat::Realm realm = nat::Realm::translated;
};

class DialogTable {
 public:
  [[nodiscard]] static constexpr std::size_t bytes_needed(std::uint32_t calls) noexcept {
    return nat::carved_bytes<Dialog>(calls) + nat::carved_bytes<std::uint32_t>(calls);
  }
  DialogTable(std::uint32_t calls, std::span<std::byte> memory) noexcept
      : DialogTable(calls, nat::Carver(memory)) {}
  DialogTable(const DialogTable&) = delete;
  DialogTable& operator=(const DialogTable&) = delete;

  /// A card was opened.
  void open(std::uint32_t card) noexcept;
  /// The dialog is over while its call goes on in another one, of which nothing is known.
  void end(std::uint32_t card) noexcept { dialogs_[card].established = dialogs_[card].invited = false; }
  /// A message of the call goes on.
  void note(std::uint32_t card, const DialogMessage& message) noexcept;
  [[nodiscard]] Dialog& operator[](std::uint32_t card) noexcept { return dialogs_[card]; }
  /// Fetches what note() writes for every message.
  void fetch(std::uint32_t card) const noexcept { nat::prefetch(&dialogs_[card]); }

  // The cards whose BYEs may have to be sent again.

  /// \return false when the list is full
  bool watch(std::uint32_t card) noexcept;
  /// Calls `still(card)`, noexcept, for some of them, going round; those for which it gives false are taken
  /// off.
  template <typename Still>
  void walk(std::uint32_t budget, Still&& still) noexcept {
    for (std::uint32_t left = budget < watched_count_ ? budget : watched_count_; left > 0; --left) {
      if (cursor_ >= watched_count_) cursor_ = 0;
      if (still(watched_[cursor_])) {
        ++cursor_;
      } else {
        watched_[cursor_] = watched_[--watched_count_];
      }
    }
  }

 private:
  DialogTable(std::uint32_t calls, nat::Carver memory) noexcept
      : dialogs_(memory.take<Dialog>(calls)), watched_(memory.take<std::uint32_t>(calls)) {}

  static void invite(Dialog& dialog, const DialogMessage& message) noexcept;
  static void establish(Dialog& dialog, const DialogMessage& message) noexcept;
  static void refresh(Dialog& dialog, const DialogMessage& message) noexcept;

  std::span<Dialog> dialogs_;
  std::span<std::uint32_t> watched_;
  std::uint32_t watched_count_ = 0;
  std::uint32_t cursor_ = 0;
};

}  // namespace pinhole::dataplane
