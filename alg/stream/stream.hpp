// SPDX-License-Identifier: BSD-3-Clause
#pragma once
// What is kept of one TCP connection whose bytes a gateway reads: for each way (the bytes that one side sends
// and the other receives) what has come, what has gone out in its place, and how the numbers of the two
// correspond. Plain data in a table of the worker; the chunks that it holds are the engine's to give back.
//
//     sender's numbers      answered ≤ … in_start ≤ in_next      (acknowledged, read by the gateway, come)
//     receiver's numbers    out_acked ≤ out_sent ≤ out_end       (acknowledged, sent, ready to be sent)
//
// in_start and out_end stand for one another: what lies before is in `output`, what lies between in_start and
// in_next is a message that is not whole yet.

#include <array>
#include <cstddef>
#include <cstdint>

#include "alg/stream/byte_queue.hpp"
#include "alg/stream/framer.hpp"
#include "alg/stream/segment.hpp"
#include "alg/stream/sequence_map.hpp"
#include "nat/tick.hpp"

namespace pinhole::alg::stream {

struct Way {
  static constexpr std::size_t kMaxAhead = 4;

  // What the sender has sent.
  Sequence first = 0;     // the number of its SYN
  Sequence answered = 0;  // acknowledged to it, by the receiver or on the engine's own account
  Sequence vouched = 0;   // as far as the engine has acknowledged on its own account
  Sequence in_start = 0;
  Sequence in_next = 0;
  Sequence fin_at = 0;
  Sequence pass_from = 0;                // while `passing`: the engine holds nothing from here on
  ByteQueue input;                       // from what the receiver has, to in_next; and what came ahead
  std::array<Range, kMaxAhead> ahead{};  // what came before its turn
  FramerState framer;
  Frame frame;

  // What the receiver gets.
  Sequence out_acked = 0;
  Sequence out_sent = 0;
  Sequence out_end = 0;
  Sequence edge = 0;        // the receiver takes bytes up to here
  Sequence own_end = 0;     // behind the last message of the engine's own
  Sequence recover_to = 0;  // while `recovering`: what was sent before a loss was noticed
  ByteQueue output;         // [out_acked, out_end)
  SequenceMap map;

  // Sending on the engine's own account (RFC 5681, RFC 6298).
  std::uint32_t congestion = 0;  // bytes that may be on their way
  nat::Tick timer_at = 0;        // when the timer was started
  nat::Tick held_at = 0;         // when the message in hand last grew
  nat::Tick unanswered_at = 0;   // since when the receiver has acknowledged nothing new
  nat::Tick ahead_at = 0;        // when what is ahead last came closer to its turn
  nat::Tick timed_at = 0;        // when the byte before timed_end was sent
  Sequence timed_end = 0;
  std::uint16_t round_trip = 0;   // smoothed, in eighths of a tick
  std::uint16_t variation = 0;    // in quarters of a tick
  std::uint16_t timeout = 0;      // ticks
  std::uint16_t told_window = 0;  // with `told`: what the sender last heard of the receiver
  Sequence told = 0;

  std::uint16_t mss = 0;   // that the receiver takes
  std::uint8_t scale = 0;  // of the receiver's windows
  std::uint8_t tries = 0;
  std::uint8_t repeats = 0;  // acknowledgements in a row that said nothing new
  std::byte out_last{};      // the byte before out_end
  std::uint8_t ahead_count = 0;
  bool known : 1 = false;  // the sender's SYN was seen
  bool has_edge : 1 = false;
  bool passing : 1 = false;  // bytes are forwarded unread
  bool waiting : 1 = false;  // the gateway waits for an answer about the message in hand
  bool stalled : 1 = false;  // no room for what would have to be sent
  bool recovering : 1 = false;
  bool timing : 1 = false;
  bool fin_seen : 1 = false;
  bool fin_sent : 1 = false;
  bool begun_anew : 1 = false;  // its sender has sent a SYN of another connection

  /// The end of what was sent, a FIN included: what the receiver expects next when it has all.
  [[nodiscard]] Sequence sent_end() const noexcept {
    if (passing && in_start == pass_from) return later(out_sent, in_next + map.shift());
    return fin_sent ? out_end + 1 : out_sent;
  }
  /// Where a segment without data stands for the receiver. What was sent to ask a closed window lies beyond
  /// it, and so would an acknowledgement there, which is not heard (RFC 9293 section 3.10.7.4).
  [[nodiscard]] Sequence ack_place() const noexcept {
    return has_edge ? earlier(sent_end(), later(edge, out_acked)) : sent_end();
  }
};

struct SideNotes {
  std::uint32_t timestamp = 0;  // the latest that it sent
  std::uint8_t congestion = 0;  // ECE and CWR of the segment in hand
  bool timestamps : 1 = false;  // its SYN offered them
  bool sack : 1 = false;
  bool scaled : 1 = false;
  bool asked : 1 = false;    // by keep_alive(), and has not said anything since
  bool answers : 1 = false;  // it has acknowledged what only it can have got
};

struct Stream {
  std::array<Way, 2> ways;  // by the side that sends
  std::array<SideNotes, 2> sides;
  bool proven = false;  // a message was read: it is of the gateway's protocol
  bool broken = false;  // given up: nothing passes any more

  [[nodiscard]] Way& way(Side from) noexcept { return ways[static_cast<std::size_t>(from)]; }
  [[nodiscard]] const Way& way(Side from) const noexcept { return ways[static_cast<std::size_t>(from)]; }
  [[nodiscard]] SideNotes& side(Side side) noexcept { return sides[static_cast<std::size_t>(side)]; }
  [[nodiscard]] const SideNotes& side(Side side) const noexcept {
    return sides[static_cast<std::size_t>(side)];
  }
};

}  // namespace pinhole::alg::stream
