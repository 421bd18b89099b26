// SPDX-License-Identifier: BSD-3-Clause
// What the engine sends: bytes for the first time, bytes again, acknowledgements; and what time brings.
#include <algorithm>

#include "alg/stream/engine.hpp"
#include "alg/stream/timing.hpp"

namespace pinhole::alg::stream {

namespace {

/// Whether the engine alone has to see to it that the receiver gets what was sent.
bool owes_bytes(const Way& way) noexcept {
  if (!before(way.out_acked, way.out_end)) return false;
  const Sequence has = way.map.in_floor(way.out_acked);
  // Messages of its own, bytes that it acknowledged for the receiver, and what an edit has put behind all
  // that the sender said: whose bytes are all acknowledged has nothing to send again.
  return after(way.own_end, way.out_acked) || after(way.vouched, has) || !before(has, way.in_start);
}

bool holds_bytes(const Way& way) noexcept {
  return !way.passing && !way.waiting && way.in_start != way.in_next;
}

}  // namespace

std::uint32_t Engine::payload_limit(const Stream& stream, Side from) noexcept {
  constexpr std::uint32_t kTimestampsRoom = 12;
  const bool stamped = stream.sides[0].timestamps && stream.sides[1].timestamps;
  const std::uint32_t mss = stream.way(from).mss;
  const std::uint32_t room = mss > kTimestampsRoom && stamped ? mss - kTimestampsRoom : mss;
  return std::clamp(room, kLeastPayload, ByteQueue::kMaxRead);
}

/// Up to where the sender may send. While a message is held that is what the message needs, whatever the
/// receiver takes.
Sequence Engine::edge_for(const Way& way) noexcept {
  Sequence edge = way.map.in_floor(way.edge);
  if (!way.passing) {
    if (!before(way.edge, way.out_end)) edge = way.in_start + (way.edge - way.out_end);
    if (way.in_start != way.in_next) {
      constexpr std::uint32_t kUnknown = 16384;  // while the size of the message in hand is not known
      const bool known = way.frame.kind == Frame::Kind::message;
      edge = later(edge, known ? way.in_start + way.frame.size : way.in_next + kUnknown);
    }
    edge = earlier(edge, way.input.begin() + kCapacity);
  }
  return edge;
}

/// What the sender may still send, as the receiver's header says it.
std::uint16_t Engine::window_for(const Way& way) noexcept {
  const Sequence edge = edge_for(way);
  std::uint32_t bytes = after(edge, way.answered) ? edge - way.answered : 0;
  // The rest of a message in hand may be less than a unit of the window. Were the sender told none, he would
  // wait for ever, as the message does for him; the little that he sends beyond it is held.
  const std::uint32_t unit = 1U << way.scale;
  const bool is_in_hand = !way.passing && !way.waiting && !way.stalled && way.in_start != way.in_next;
  if (is_in_hand && bytes > 0 && bytes < unit && edge != way.input.begin() + kCapacity) bytes = unit;
  return static_cast<std::uint16_t>(std::min(bytes >> way.scale, std::uint32_t{0xffff}));
}

void Engine::send(Stream& stream, Side from, Sequence sequence, std::uint8_t flags, std::uint32_t size,
                  StreamHost& host) noexcept {
  Way& back = stream.way(other(from));
  auto& notes = stream.side(from);
  OutSegment segment;
  segment.sequence = sequence;
  segment.flags = static_cast<std::uint8_t>(flags | TcpFlags::kAck | notes.congestion);
  notes.congestion = 0;
  back.told = segment.acknowledgement = back.answered;
  back.told_window = segment.window = window_for(back);
  if (stream.sides[0].timestamps && stream.sides[1].timestamps) {
    segment.timestamps = Timestamps{notes.timestamp, stream.side(other(from)).timestamp};
  }
  if (size > 0) {
    segment.payload = stream.way(from).output.pieces(pool_, sequence, size);
  } else if (back.ahead_count > 0 && stream.sides[0].sack && stream.sides[1].sack) {
    segment.sack_count = std::min<std::size_t>(back.ahead_count, OutSegment::kMaxSacks);
    std::copy_n(back.ahead.begin(), segment.sack_count, segment.sacks.begin());
  }
  host.send(from, segment);
}

void Engine::send_ack(Stream& stream, Side from, StreamHost& host) noexcept {
  send(stream, from, stream.way(from).ack_place(), 0, 0, host);
}

/// The sender of bytes into a closed window asks whether it has opened; when what it asks with goes no
/// further, the receiver has to be asked all the same. \return segments
unsigned Engine::probe(Stream& stream, Side from, StreamHost& host) noexcept {
  const Way& way = stream.way(from);
  if (after(way.edge, way.out_sent)) return 0;
  send(stream, from, way.out_acked - 1, 0, 0, host);
  return 1;
}

void Engine::note_sent(Way& way, Sequence end, nat::Tick now) noexcept {
  if (way.out_sent == way.out_acked) way.timer_at = now;
  if (!way.timing && after(end, way.out_sent)) {
    way.timing = true;
    way.timed_at = now;
    way.timed_end = end;
  }
  way.out_sent = later(way.out_sent, end);
}

/// Sends what may be sent. \return segments
unsigned Engine::pump(Stream& stream, Side from, nat::Tick now, StreamHost& host) noexcept {
  Way& way = stream.way(from);
  if (!way.known || !way.has_edge) return 0;
  const std::uint32_t limit = payload_limit(stream, from);
  if (way.congestion == 0) way.congestion = kFirstCongestion * limit;
  unsigned sent = 0;
  while (before(way.out_sent, way.out_end)) {
    const std::uint32_t wanted = std::min(way.out_end - way.out_sent, limit);
    const std::uint32_t on_way = way.out_sent - way.out_acked;
    const std::uint32_t taken = after(way.edge, way.out_sent) ? way.edge - way.out_sent : 0;
    const std::uint32_t size = std::min(wanted, taken);
    // Pieces of what would fit a segment only when nothing else brings an acknowledgement.
    if (size == 0 || (on_way > 0 && (size < wanted || on_way + size > way.congestion))) break;
    const Sequence begin = way.out_sent;
    const Sequence end = begin + size;
    if (on_way == 0) way.timer_at = now;
    note_sent(way, end, now);
    send(stream, from, begin, end == way.out_end ? TcpFlags::kPsh : std::uint8_t{0}, size, host);
    ++sent;
  }
  const bool ends = way.fin_seen && !way.fin_sent && way.out_sent == way.out_end &&
                    way.in_start == way.in_next && way.in_next == way.fin_at;
  if (!ends) return sent;
  way.fin_sent = true;
  if (way.passing) ++way.in_next;
  send(stream, from, way.out_end, TcpFlags::kFin, 0, host);
  return sent + 1;
}

/// Sends again what went out for bytes that their sender has sent again. \param range  of the sender's
/// numbers \return segments
unsigned Engine::resend(Stream& stream, Side from, Range range, StreamHost& host) noexcept {
  Way& way = stream.way(from);
  if (!before(range.begin, range.end)) return 0;
  Sequence at = later(way.map.out_floor(range.begin), way.out_acked);
  const Sequence end = earlier(way.map.out_ceil(range.end), earlier(way.out_sent, way.out_end));
  const std::uint32_t limit = payload_limit(stream, from);
  way.timing = false;  // which of the two is acknowledged nobody knows
  unsigned sent = 0;
  for (; before(at, end); ++sent) {
    const std::uint32_t size = std::min(end - at, limit);
    send(stream, from, at, TcpFlags::kPsh, size, host);
    at += size;
  }
  return sent;
}

/// The first bytes that the receiver does not have, again; where its window is closed, one to ask with.
void Engine::resend_first(Stream& stream, Side from, StreamHost& host) noexcept {
  Way& way = stream.way(from);
  if (!before(way.out_acked, way.out_end)) return;
  const std::uint32_t taken = after(way.edge, way.out_acked) ? way.edge - way.out_acked : 1;
  const std::uint32_t size = std::min({way.out_end - way.out_acked, taken, payload_limit(stream, from)});
  way.timing = false;
  way.out_sent = later(way.out_sent, way.out_acked + size);
  counters_.add(Counter::stream_sent_again);
  send(stream, from, way.out_acked, TcpFlags::kPsh, size, host);
}

unsigned Engine::keep_alive(Stream& stream, StreamHost& host) noexcept {
  unsigned sent = 0;
  for (const Side from : {Side::inside, Side::outside}) {
    const Way& way = stream.way(from);
    const Way& back = stream.way(other(from));
    const bool is_quiet = way.known && back.known && way.has_edge && !stream.broken && !way.fin_seen &&
                          !back.fin_seen && way.out_acked == way.sent_end();
    if (!is_quiet) continue;
    stream.side(other(from)).asked = true;
    send(stream, from, way.sent_end() - 1, 0, 0, host);
    ++sent;
  }
  return sent;
}

/// Nobody answers, or a message does not end: both ends are told, and nothing is kept.
void Engine::give_up(Stream& stream, StreamHost& host) noexcept {
  for (const Side from : {Side::inside, Side::outside}) {
    send(stream, from, stream.way(from).out_acked, TcpFlags::kRst, 0, host);
  }
  release(stream);
  stream.broken = true;
  counters_.add(Counter::stream_given_up);
}

bool Engine::wants_ticks(const Stream& stream) noexcept {
  return std::any_of(stream.ways.begin(), stream.ways.end(), [](const Way& way) noexcept {
    return before(way.out_acked, way.out_end) || holds_bytes(way) || way.stalled || way.ahead_count > 0 ||
           (way.passing && way.in_start != way.pass_from);
  });
}

void Engine::tick(Stream& stream, nat::Tick now, StreamHost& host) noexcept {
  for (const Side from : {Side::inside, Side::outside}) {
    if (!stream.broken) tick_way(stream, from, now, host);
  }
}

void Engine::tick_way(Stream& stream, Side from, nat::Tick now, StreamHost& host) noexcept {
  Way& way = stream.way(from);
  if (!way.known) return;
  note_if_answered(way, now);
  const nat::Tick limit = way.framer.begun || stream.proven ? kMessageLimit : kBeginningLimit;
  if (way.ahead_count > 0 && nat::reached(way.ahead_at + limit, now)) forget_ahead(way);
  if (holds_bytes(way) && !way.stalled && way.out_acked == way.out_end &&
      nat::reached(way.held_at + limit, now)) {
    if (strict_ && (way.framer.begun || stream.proven)) return give_up(stream, host);
    counters_.add(Counter::stream_not_whole);
    begin_passing(stream);
  }
  const bool is_scarce = pool_.free() < pool_.size() / 2;
  const auto is_long_since = [&](nat::Tick since) { return nat::reached(since + 2 * kMessageLimit, now); };
  // What finds no room to go out keeps others from theirs, and so does what its receiver does not
  // acknowledge.
  if (way.stalled && (way.passing || is_scarce) && is_long_since(way.held_at)) return give_up(stream, host);
  if (is_scarce && before(way.out_acked, way.out_end) && is_long_since(way.unanswered_at))
    return give_up(stream, host);
  if (way.stalled || way.passing) {
    read_on(stream, from, now, host);
    static_cast<void>(pump(stream, from, now, host));
  }
  if (!owes_bytes(way) || !nat::reached(way.timer_at + way.timeout, now)) return;
  if (++way.tries > kMaxTries) return give_up(stream, host);
  way.timer_at = now;
  way.timeout = std::min<std::uint16_t>(static_cast<std::uint16_t>(way.timeout * 2), kMaxTimeout);
  way.congestion = payload_limit(stream, from);
  way.recovering = true;
  way.recover_to = way.out_sent;
  resend_first(stream, from, host);
}

}  // namespace pinhole::alg::stream
