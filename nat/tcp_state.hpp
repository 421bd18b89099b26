// SPDX-License-Identifier: BSD-3-Clause
#pragma once
// The states of a TCP connection as its translator sees them, and the table by which segments move them. It
// reads like the figure of RFC 9293 section 3.3.2 seen from the middle of the line: what each side has said,
// and not what it knows. Segments that do not fit the connection (nat/tcp_session.hpp) never get here.
// Source: RFC 5382 REQ-2 and REQ-5; RFC 7857 section 2.

#include <array>
#include <cstddef>
#include <cstdint>

#include "nat/headers.hpp"
#include "nat/mapping.hpp"

namespace pinhole::nat {

enum class TcpState : std::uint8_t {
  none,          // nothing was seen yet
  syn_out,       // a SYN from inside
  syn_in,        // a SYN from outside
  crossed,       // SYNs from both, neither acknowledged: a simultaneous open
  answered_in,   // SYNs from both, that of inside is acknowledged; inside has yet to acknowledge the other
  answered_out,  // the same with the sides exchanged: inside has answered, outside has yet to
  established,
  fin_out,    // half closed: a FIN from inside
  fin_in,     // half closed: a FIN from outside
  closing,    // FINs from both, or over before it began; TIME-WAIT is part of it
  reset_out,  // inside has reset an established connection
  reset_in,   // somebody outside has, or pretends to be who could
};
inline constexpr std::size_t kTcpStates = 12;

/// What a segment says, by its strongest flag, and which way it goes.
enum class TcpEvent : std::uint8_t {
  syn_out,
  syn_ack_out,
  ack_out,
  fin_out,
  rst_out,
  syn_in,
  syn_ack_in,
  ack_in,
  fin_in,
  rst_in
};
inline constexpr std::size_t kTcpEvents = 10;

[[nodiscard]] constexpr TcpEvent tcp_event(std::uint8_t flags, bool outbound) noexcept {
  std::uint8_t event = outbound ? 0 : 5;
  if ((flags & TcpHeader::kRst) != 0) {
    event += 4;
  } else if ((flags & TcpHeader::kFin) != 0) {
    event += 3;
  } else if ((flags & TcpHeader::kSyn) == 0) {
    event += 2;
  } else if ((flags & TcpHeader::kAck) != 0) {
    event += 1;
  }
  return static_cast<TcpEvent>(event);
}

/// The next state.
///
/// A connection is established when each side has acknowledged the other's SYN, and not before: a flood of
/// SYNs to a server inside, all of which it answers, makes nothing that lives long. A connection that is
/// older than its session begins with a plain segment from inside, and is established when the other side
/// answers. `closing` lasts until it is idle or a SYN begins the next connection on the same endpoints. After
/// a reset the word of the side that is said to have sent it proves that it was forged (RFC 7857 section 2.2,
/// with RFC 6146 section 3.5.2.2: back to established); the other side's segments may have crossed it on the
/// way.
[[nodiscard]] constexpr TcpState next_state(TcpState state, TcpEvent event) noexcept {
  using enum TcpState;
  using Row = std::array<TcpState, kTcpEvents>;
  // clang-format off
  constexpr std::array<Row, kTcpStates> kNext = {{
      //                   outbound                                                              inbound
      //                   SYN           SYN+ACK       ACK           FIN           RST           SYN           SYN+ACK       ACK           FIN           RST
      /* none         */ {{syn_out,      answered_out, answered_out, closing,      none,         syn_in,       none,         none,         none,         none}},
      /* syn_out      */ {{syn_out,      syn_out,      syn_out,      closing,      closing,      crossed,      answered_in,  syn_out,      syn_out,      closing}},
      /* syn_in       */ {{crossed,      answered_out, syn_in,       syn_in,       closing,      syn_in,       syn_in,       syn_in,       closing,      closing}},
      /* crossed      */ {{crossed,      answered_out, answered_out, closing,      closing,      crossed,      answered_in,  answered_in,  closing,      closing}},
      /* answered_in  */ {{answered_in,  established,  established,  fin_out,      closing,      answered_in,  answered_in,  answered_in,  fin_in,       closing}},
      /* answered_out */ {{answered_out, answered_out, answered_out, closing,      closing,      answered_out, established,  established,  fin_in,       closing}},
      /* established  */ {{established,  established,  established,  fin_out,      reset_out,    established,  established,  established,  fin_in,       reset_in}},
      /* fin_out      */ {{syn_out,      fin_out,      fin_out,      fin_out,      reset_out,    fin_out,      fin_out,      fin_out,      closing,      reset_in}},
      /* fin_in       */ {{syn_out,      fin_in,       fin_in,       closing,      reset_out,    fin_in,       fin_in,       fin_in,       fin_in,       reset_in}},
      /* closing      */ {{syn_out,      closing,      closing,      closing,      closing,      syn_in,       closing,      closing,      closing,      closing}},
      /* reset_out    */ {{syn_out,      reset_out,    established,  reset_out,    reset_out,    syn_in,       reset_out,    reset_out,    reset_out,    reset_out}},
      /* reset_in     */ {{syn_out,      reset_in,     reset_in,     reset_in,     reset_in,     syn_in,       reset_in,     established,  reset_in,     reset_in}},
  }};
  // clang-format on
  return kNext[static_cast<std::size_t>(state)][static_cast<std::size_t>(event)];
}

/// Whether a SYN begins a connection, and does not belong to one that is there.
[[nodiscard]] constexpr bool begins(TcpState state, bool outbound) noexcept {
  return next_state(state, outbound ? TcpEvent::syn_out : TcpEvent::syn_in) < TcpState::established;
}
/// A half-closed connection may still carry data one way for hours, so that it counts as established.
[[nodiscard]] constexpr bool counts_as_established(TcpState state) noexcept {
  return state == TcpState::established || state == TcpState::fin_out || state == TcpState::fin_in;
}
[[nodiscard]] constexpr bool counts_as_opening(TcpState state) noexcept {
  return state != TcpState::none && state < TcpState::established;
}
[[nodiscard]] constexpr TimeoutClass timeout_class_of(TcpState state) noexcept {
  if (counts_as_established(state)) return TimeoutClass::tcp_established;
  return state < TcpState::established ? TimeoutClass::tcp_opening : TimeoutClass::tcp_closing;
}
static_assert(TcpState::answered_out < TcpState::established && TcpState::closing > TcpState::established);

}  // namespace pinhole::nat
