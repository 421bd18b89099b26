// SPDX-License-Identifier: BSD-3-Clause
#pragma once
// One TCP connection through a mapping: its state, and what tells a segment of it from one that somebody made
// up who cannot see it. Half a cache line, kept in a SessionTable.
//
// What is known of each side is where it is (`next`: the number up to which it has acknowledged, so that the
// other side's segments begin there) and how much more it will take (`window`). A RST or FIN must lie in the
// window of the side that it goes to, and an acknowledgement in that of the side that it comes from, which
// acknowledges nothing that it has not offered to take; whatever else is translated like any other segment
// and changes nothing (RFC 7857 section 2.2). Data is not held to the window: its receiver does that.

#include <algorithm>
#include <array>
#include <cstdint>

#include "nat/endpoint.hpp"
#include "nat/mapping.hpp"
#include "nat/tcp_segment.hpp"
#include "nat/tcp_state.hpp"
#include "nat/tick.hpp"

namespace pinhole::nat {

struct alignas(32) TcpSession {
  MappingIndex mapping = kNoMapping;  // of the owner's; kNoMapping: this place is free
  std::uint32_t generation = 0;       // of the mapping: the session dies with it
  Endpoint remote;
  std::uint8_t state_and_known = 0;  // TcpState in the low four bits; a bit a side: `next` is known; kWatched
  std::uint8_t scales = kNoScales;   // what each side's SYN offered: inside in the low four bits
  Tick last_seen = 0;
  std::array<std::uint32_t, 2> next{};    // by TcpSide
  std::array<std::uint16_t, 2> window{};  // unscaled

  static constexpr std::uint8_t kWatched = 0x40;
  static constexpr std::uint8_t kNoScales = TcpSegment::kNoScale << 4U | TcpSegment::kNoScale;

  [[nodiscard]] TcpState state() const noexcept { return static_cast<TcpState>(state_and_known & 0x0fU); }
  void set_state(TcpState state) noexcept {
    state_and_known = static_cast<std::uint8_t>((state_and_known & 0xf0U) | static_cast<std::uint8_t>(state));
  }
  /// Whether somebody reads it from its SYN on, and nothing of it may pass that he has not read.
  [[nodiscard]] bool is_watched() const noexcept { return (state_and_known & kWatched) != 0; }
  void watch(bool watched) noexcept {
    state_and_known =
        static_cast<std::uint8_t>(watched ? state_and_known | kWatched : state_and_known & ~kWatched);
  }
};
static_assert(sizeof(TcpSession) == 32);

/// Index into the arrays of a session.
enum class TcpSide : std::uint8_t { inside, outside };
[[nodiscard]] constexpr TcpSide other(TcpSide side) noexcept {
  return side == TcpSide::inside ? TcpSide::outside : TcpSide::inside;
}

namespace tcp_detail {

/// A side that acknowledges in one step more than it was seen to offer, by a probe of a closed window for
/// one, is believed within this. It is what a window is without scaling.
inline constexpr std::uint32_t kLeastStep = 65535;

[[nodiscard]] constexpr unsigned index(TcpSide side) noexcept {
  return static_cast<unsigned>(side);
}
[[nodiscard]] inline bool knows(const TcpSession& session, TcpSide side) noexcept {
  return (session.state_and_known & (0x10U << index(side))) != 0;
}
inline void set_next(TcpSession& session, TcpSide side, std::uint32_t next) noexcept {
  session.next[index(side)] = next;
  session.state_and_known |= static_cast<std::uint8_t>(0x10U << index(side));
}
/// Windows are scaled when both SYNs offered it (RFC 7323 section 2.2). Where the SYNs were not seen they are
/// taken as they stand, which is too little rather than too much.
[[nodiscard]] inline unsigned shift(const TcpSession& session, TcpSide side) noexcept {
  const unsigned inside = session.scales & 0x0fU;
  const unsigned outside = session.scales >> 4U;
  if (inside == TcpSegment::kNoScale || outside == TcpSegment::kNoScale) return 0;
  return side == TcpSide::inside ? inside : outside;
}
/// Bytes that a side takes beyond `next`.
[[nodiscard]] inline std::uint32_t room(const TcpSession& session, TcpSide side) noexcept {
  return std::uint32_t{session.window[index(side)]} << shift(session, side);
}
inline void set_room(TcpSession& session, TcpSide side, std::uint32_t bytes) noexcept {
  const unsigned units = shift(session, side);
  const std::uint32_t rounded_up = (bytes >> units) + ((bytes & ((1U << units) - 1)) != 0 ? 1 : 0);
  session.window[index(side)] = static_cast<std::uint16_t>(std::min(rounded_up, std::uint32_t{0xffff}));
}

/// Whether a number lies where `side` takes it, the end of its window included.
[[nodiscard]] inline bool in_window(const TcpSession& session, TcpSide side, std::uint32_t number) noexcept {
  return number - session.next[index(side)] <= room(session, side);
}

/// The first SYN of a side, or one that is believed in its place: where this side's numbers begin, and what
/// it takes itself. The window of a SYN is never scaled.
inline void take_syn(TcpSession& session, const TcpSegment& segment, TcpSide from) noexcept {
  const TcpSide to = other(from);
  const std::uint32_t room_before = room(session, to);
  const unsigned nibble = 4 * index(from);
  session.scales =
      static_cast<std::uint8_t>((session.scales & ~(0x0fU << nibble)) | unsigned{segment.scale} << nibble);
  set_room(session, from, segment.window);
  // What a SYN brings along may be acknowledged at once (RFC 7413).
  set_room(session, to, std::max(room_before, std::uint32_t{segment.payload}));
  set_next(session, to, segment.sequence + 1);
}

/// An acknowledgement, and the window with it. \return false, and nothing done, for one that `from` cannot
/// have sent, or sent long ago
inline bool take_ack(TcpSession& session, const TcpSegment& segment, TcpSide from) noexcept {
  if (!knows(session, from)) {
    // The connection is older than the session: whatever comes is where it is. While a SYN waits for its
    // answer, nothing is where anybody could know.
    const TcpState state = session.state();
    if (state != TcpState::none && state != TcpState::answered_out) return false;
    set_next(session, from, segment.acknowledgement);
    session.window[index(from)] = segment.window;
    return true;
  }
  const std::uint32_t step = segment.acknowledgement - session.next[index(from)];
  const std::uint32_t offered = room(session, from);
  const bool begun = session.state() >= TcpState::established;
  if (step > (begun ? std::max(offered, kLeastStep) : offered)) return false;
  const unsigned units = shift(session, from);
  // The right edge of a window never moves back: what was offered may be on its way.
  const std::uint32_t left = offered > step ? offered - step : 0;
  session.next[index(from)] = segment.acknowledgement;
  session.window[index(from)] = static_cast<std::uint16_t>(
      std::clamp(left >> units, std::uint32_t{segment.window}, std::uint32_t{0xffff}));
  return true;
}

/// A RST goes where its receiver is; before a side has said where it is, the RST must answer its SYN
/// (RFC 9293 section 3.5.3).
[[nodiscard]] inline bool rst_fits(const TcpSession& session, const TcpSegment& segment,
                                   TcpSide from) noexcept {
  const TcpSide to = other(from);
  if (knows(session, to)) return in_window(session, to, segment.sequence);
  return segment.has(TcpHeader::kAck) && knows(session, from) &&
         in_window(session, from, segment.acknowledgement);
}
[[nodiscard]] inline bool fin_fits(const TcpSession& session, const TcpSegment& segment,
                                   TcpSide from) noexcept {
  const TcpSide to = other(from);
  return !knows(session, to) || in_window(session, to, segment.sequence + segment.payload);
}

}  // namespace tcp_detail

/// Takes a segment to account.
/// \return false when it does not fit the connection and changed nothing
/// Cost: a few cycles for data and acknowledgements of an established connection.
inline bool advance(TcpSession& session, const TcpSegment& segment, TcpSide from) noexcept {
  using namespace tcp_detail;
  const TcpState state = session.state();
  const TcpEvent event = tcp_event(segment.flags, from == TcpSide::inside);
  const TcpState next = next_state(state, event);
  switch (event) {
    case TcpEvent::ack_out:
    case TcpEvent::ack_in:
      if (!segment.has(TcpHeader::kAck) || !take_ack(session, segment, from)) return false;
      break;
    case TcpEvent::syn_out:
    case TcpEvent::syn_in:
      if (next == TcpState::syn_out || next == TcpState::syn_in) {
        // Another connection, or the same SYN again.
        session.state_and_known = 0;
        session.scales = TcpSession::kNoScales;
        session.window = {};
      } else if (next == state) {
        return true;  // sent again, or answered by its receiver with an acknowledgement (RFC 5961)
      }
      take_syn(session, segment, from);
      break;
    case TcpEvent::syn_ack_out:
    case TcpEvent::syn_ack_in:
      if (next == state) return true;
      if (!take_ack(session, segment, from)) return false;
      if (next != TcpState::established) take_syn(session, segment, from);
      break;
    case TcpEvent::fin_out:
    case TcpEvent::fin_in:
      if (!fin_fits(session, segment, from)) return false;
      static_cast<void>(take_ack(session, segment, from));
      break;
    case TcpEvent::rst_out:
    case TcpEvent::rst_in:
      if (!rst_fits(session, segment, from)) return false;
      break;
  }
  session.set_state(next);
  return true;
}

}  // namespace pinhole::nat
