// SPDX-License-Identifier: BSD-3-Clause
#pragma once
// The state of a TCP connection as its translator sees it: enough to know which of two time-outs it deserves
// (RFC 5382 REQ-5), and no more. Sequence numbers are not followed; a forged RST therefore does not end a
// mapping, it only shortens its idle time (RFC 7857 section 2.2).

#include <array>
#include <cstddef>
#include <cstdint>

#include "nat/headers.hpp"
#include "nat/mapping.hpp"

namespace pinhole::nat {

/// What a segment says: its strongest flag and where it goes.
enum class TcpEvent : std::uint8_t { syn_out, ack_out, fin_out, rst_out, syn_in, ack_in, fin_in, rst_in };
inline constexpr std::size_t kTcpEvents = 8;
inline constexpr std::size_t kTcpStates = 8;

/// SYN+ACK is an acknowledgement: it answers a SYN and opens nothing.
[[nodiscard]] constexpr TcpEvent tcp_event(std::uint8_t flags, bool outbound) noexcept {
  std::uint8_t event = outbound ? 0 : 4;
  if ((flags & TcpHeader::kRst) != 0) {
    event += 3;
  } else if ((flags & TcpHeader::kFin) != 0) {
    event += 2;
  } else if ((flags & (TcpHeader::kSyn | TcpHeader::kAck)) != TcpHeader::kSyn) {
    event += 1;
  }
  return static_cast<TcpEvent>(event);
}

/// The next state. A connection that was under way before its mapping existed starts with a plain segment and
/// is taken for half open: an answer establishes it. `closing` and `reset` last until the mapping expires or
/// a new SYN comes by.
[[nodiscard]] constexpr TcpState next_state(TcpState state, TcpEvent event) noexcept {
  using enum TcpState;
  // clang-format off
  constexpr std::array<std::array<TcpState, kTcpEvents>, kTcpStates> kNext = {{
      //                  outbound                                      inbound
      //                  SYN          ACK          FIN      RST        SYN          ACK          FIN      RST
      /* none        */ {{syn_out,     syn_out,     closing, reset,     syn_in,      syn_in,      closing, reset}},
      /* syn_out     */ {{syn_out,     syn_out,     closing, reset,     syn_in,      established, closing, reset}},
      /* syn_in      */ {{syn_out,     established, closing, reset,     syn_in,      syn_in,      closing, reset}},
      /* established */ {{established, established, fin_out, reset,     established, established, fin_in,  reset}},
      /* fin_out     */ {{syn_out,     fin_out,     fin_out, reset,     fin_out,     fin_out,     closing, reset}},
      /* fin_in      */ {{syn_out,     fin_in,      closing, reset,     fin_in,      fin_in,      fin_in,  reset}},
      /* closing     */ {{syn_out,     closing,     closing, closing,   syn_in,      closing,     closing, closing}},
      /* reset       */ {{syn_out,     reset,       reset,   reset,     syn_in,      reset,       reset,   reset}},
  }};
  // clang-format on
  return kNext[static_cast<std::size_t>(state)][static_cast<std::size_t>(event)];
}

/// A half-closed connection may still carry data one way for hours, so that it counts as established.
[[nodiscard]] constexpr TimeoutClass timeout_class_of(TcpState state) noexcept {
  switch (state) {
    case TcpState::established:
    case TcpState::fin_out:
    case TcpState::fin_in:
      return TimeoutClass::tcp_established;
    case TcpState::none:
    case TcpState::syn_out:
    case TcpState::syn_in:
    case TcpState::closing:
    case TcpState::reset:
      break;
  }
  return TimeoutClass::tcp_transitory;
}

}  // namespace pinhole::nat
