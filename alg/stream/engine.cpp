// SPDX-License-Identifier: BSD-3-Clause
// Segments as they come: what they acknowledge, and how they are forwarded. Their bytes are read in
// engine_data.cpp; what the engine sends is sent in engine_send.cpp.
#include "alg/stream/engine.hpp"

#include <algorithm>

#include "alg/stream/timing.hpp"

namespace pinhole::alg::stream {

namespace {

/// A number of the sender as the receiver knows it, of a segment without data: what is held was never sent.
Sequence place_of(const Way& way, Sequence sequence) noexcept {
  if (way.passing) return way.map.out_floor(sequence);
  // A probe that the receiver is to answer.
  if (before(sequence, way.answered)) return way.out_acked - 1;
  if (before(sequence, way.in_start)) return way.map.out_floor(sequence);
  return way.ack_place();
}

/// Whether a number lies within what was sent, so that who acknowledges it has got that.
bool was_sent(const Way& way, Sequence acknowledged) noexcept {
  const Sequence begin = way.first + 1;
  return acknowledged - begin <= way.sent_end() - begin;
}

/// Notes the time that a segment bears, unless its sender has sent another one since: what the engine sends
/// in his name would be older than what the other end has seen, which refuses it (RFC 7323 section 5).
void note_timestamp(SideNotes& notes, const Way& back, const Segment& segment,
                    const TcpOptions& options) noexcept {
  if (!options.timestamps || !was_sent(back, segment.acknowledgement)) return;
  const std::uint32_t value = options.timestamps->value;
  // Who acknowledges more than ever may have been silent for so long that his clock has wrapped.
  const bool is_latest = segment.acknowledgement == back.out_acked
                             ? !before(value, notes.timestamp)
                             : after(segment.acknowledgement, back.out_acked);
  if (is_latest) notes.timestamp = value;
}

bool is_new_to_sender(const Way& way, std::uint16_t window) noexcept {
  return way.answered != way.told || window != way.told_window;
}

}  // namespace

Taken Engine::take(Stream& stream, Side from, Segment& segment, nat::Tick now, StreamHost& host) noexcept {
  if (stream.broken) return {Fate::drop, nat::DropReason::drop_stream_broken};
  const TcpOptions options = read_options(segment.options);
  if (segment.has(TcpFlags::kSyn)) return take_syn(stream, from, segment, options);
  Way& forth = stream.way(from);
  Way& back = stream.way(other(from));
  if (!forth.known || !back.known) {
    // Until both have begun, who says something says it on another connection than this one.
    const bool says = !segment.payload.empty() || segment.has(TcpFlags::kFin);
    return strict_ && says ? Taken{Fate::drop, nat::DropReason::drop_stream_unread} : Taken{};
  }
  if (segment.has(TcpFlags::kRst)) {
    take_reset(stream, from, segment);
    return {};
  }
  if (!segment.has(TcpFlags::kAck)) return {Fate::drop, nat::DropReason::drop_bad_tcp_flags};
  auto& notes = stream.side(from);
  // The answer to a forged SYN goes to somebody else. Who does not know it is not let speak in his name.
  notes.answers = notes.answers || was_sent(back, segment.acknowledgement);
  if (!notes.answers) return {Fate::drop, nat::DropReason::drop_stream_overlap};
  forth.begun_anew = false;  // it speaks on this connection still
  note_timestamp(notes, back, segment, options);
  notes.congestion = segment.flags & TcpFlags::kCongestion;
  const bool was_asked = notes.asked;
  notes.asked = false;

  const Sequence old_acked = back.out_acked;
  take_ack(stream, from, segment, now, host);
  const bool is_pure =
      segment.payload.empty() && !segment.has(TcpFlags::kFin) && !before(segment.sequence, forth.answered);
  const Outcome outcome = forth.passing ? take_passing(stream, from, segment, now, host)
                                        : take_data(stream, from, segment, now, host);
  Taken taken{Fate::consumed, nat::DropReason::none};
  if (outcome.drop != nat::DropReason::none) {
    taken = {Fate::drop, outcome.drop};
  } else if (outcome.sent == Sent::in_place) {
    // The sender was told of these bytes long ago: it would take this for a repetition. One that has begun
    // anew has to be told that its old connection is still there (RFC 5961 section 4).
    const bool stale = is_pure && !back.passing && !back.begun_anew && back.out_acked == old_acked &&
                       options.sacks.empty() && after(back.vouched, back.map.in_floor(back.out_acked)) &&
                       !is_new_to_sender(back, window_for(back));
    // The engine has asked for it.
    const bool is_own =
        was_asked && is_pure && back.out_acked == old_acked && !is_new_to_sender(back, window_for(back));
    if (!stale && !is_own) {
      answer(stream, from, segment, options);
      taken.fate = Fate::forward;
    }
  }
  if (taken.fate != Fate::forward && outcome.sent != Sent::emitted &&
      is_new_to_sender(back, window_for(back)))
    send_ack(stream, from, host);
  settle(stream, other(from), outcome.owes_ack, now, host);
  notes.congestion = 0;
  return taken;
}

/// Goes on with what waits in a way, now that its receiver has said something, or room has become free.
/// \param owes_ack  what came the other way has to be acknowledged
void Engine::settle(Stream& stream, Side from, bool owes_ack, nat::Tick now, StreamHost& host) noexcept {
  Way& way = stream.way(from);
  const Sequence answered = way.answered;
  if (way.stalled || way.passing) read_on(stream, from, now, host);
  vouch(way);
  const unsigned sent = pump(stream, from, now, host);
  if (owes_ack && sent == 0) send_ack(stream, from, host);
  if (way.answered != answered) send_ack(stream, other(from), host);
}

Taken Engine::take_syn(Stream& stream, Side from, Segment& segment, const TcpOptions& options) noexcept {
  leave_out_multipath(segment.options);
  Way& forth = stream.way(from);
  if (forth.known) {
    // Sent again; or it is of another connection, and its receiver says so.
    segment.payload = {};
    if (segment.sequence == forth.first) {
      auto& notes = stream.side(from);
      if (options.timestamps && !notes.answers && !before(options.timestamps->value, notes.timestamp))
        notes.timestamp = options.timestamps->value;
      return {};
    }
    forth.begun_anew = true;
    segment.sequence = place_of(forth, segment.sequence);
    return {};
  }
  Way& back = stream.way(other(from));
  const bool is_answer = back.known && segment.has(TcpFlags::kAck);
  // Data that comes with a SYN (RFC 7413) is left out: it is not acknowledged then, and sent again.
  segment.payload = {};
  // Who sent the SYN says what it thinks of an answer to another.
  if (is_answer && segment.acknowledgement != back.first + 1) return {};
  const Sequence begin = segment.sequence + 1;
  const std::uint16_t others_mss = forth.mss;
  const std::uint8_t others_scale = forth.scale;
  forth = {};
  forth.mss = others_mss;
  forth.scale = others_scale;
  forth.known = true;
  forth.first = segment.sequence;
  forth.answered = forth.vouched = forth.in_start = forth.in_next = forth.told = begin;
  forth.out_acked = forth.out_sent = forth.out_end = forth.own_end = begin;
  forth.input.start(begin);
  forth.output.start(begin);
  forth.map.start(begin, begin);
  forth.timeout = kFirstTimeout;
  auto& notes = stream.side(from);
  const auto& others = stream.side(other(from));
  notes = {};
  notes.timestamps = options.timestamps.has_value();
  notes.sack = options.sack_permitted;
  notes.scaled = options.scale.has_value();
  if (options.timestamps) notes.timestamp = options.timestamps->value;
  const std::uint16_t mss = options.mss.value_or(kDefaultMss);
  // What the other side sends is bounded by what this one takes.
  if (back.known) {
    back.mss = mss;
    back.scale = notes.scaled && others.scaled ? options.scale.value_or(0) : std::uint8_t{0};
    if (!notes.scaled) forth.scale = 0;
  } else {
    back.mss = mss;
    back.scale = options.scale.value_or(0);
  }
  if (is_answer) {
    back.edge = segment.acknowledgement + segment.window;
    back.has_edge = true;
  }
  return {};
}

void Engine::take_reset(Stream& stream, Side from, Segment& segment) noexcept {
  Way& forth = stream.way(from);
  Way& back = stream.way(other(from));
  segment.sequence = place_of(forth, segment.sequence);
  if (segment.has(TcpFlags::kAck)) segment.acknowledgement = back.map.in_floor(segment.acknowledgement);
  segment.payload = {};
}

void Engine::take_ack(Stream& stream, Side from, const Segment& segment, nat::Tick now,
                      StreamHost& host) noexcept {
  const Side sender = other(from);
  Way& way = stream.way(sender);
  const Sequence acked = earlier(segment.acknowledgement, way.sent_end());
  if (before(acked, way.out_acked)) return;  // an old one that was overtaken
  way.tries = 0;
  const Sequence edge = acked + (std::uint32_t{segment.window} << way.scale);
  const bool repeats =
      acked == way.out_acked && segment.payload.empty() && edge == way.edge && way.out_sent != way.out_acked;
  way.edge = edge;
  way.has_edge = true;
  if (after(acked, way.out_acked)) {
    way.repeats = 0;
    note_progress(way, acked, now);
    if (way.recovering && before(acked, way.recover_to)) {
      resend_first(stream, sender, host);  // RFC 6582: what follows the loss was lost as well
    } else {
      way.recovering = false;
    }
  } else if (repeats && ++way.repeats == kRepeatsOfLoss &&
             after(way.vouched, way.map.in_floor(way.out_acked)) && !way.recovering) {
    way.recovering = true;
    way.recover_to = way.out_sent;
    way.congestion = std::max((way.out_sent - way.out_acked) / 2, 2 * payload_limit(stream, sender));
    resend_first(stream, sender, host);
  }
}

/// The receiver has more than before.
void Engine::note_progress(Way& way, Sequence acked, nat::Tick now) noexcept {
  if (way.timing && !after(way.timed_end, acked)) {
    note_round_trip(way, now - way.timed_at);
    way.timing = false;
  }
  way.timeout = timeout_of(way);
  way.congestion = std::min(way.congestion + (acked - way.out_acked), kCapacity);
  way.timer_at = way.unanswered_at = now;
  way.held_at = now;  // as long as there is much to send, the sender is kept from sending more
  way.out_acked = acked;
  way.own_end = later(way.own_end, acked);
  if (way.passing) way.out_end = later(way.out_end, acked);
  way.out_sent = later(way.out_sent, earlier(acked, way.out_end));
  const Sequence has = way.map.in_floor(acked);
  way.output.drop_to(pool_, earlier(acked, way.out_end));
  way.map.fold(acked);
  way.input.drop_to(pool_, way.passing ? has : earlier(has, way.in_start));
  way.answered = later(way.answered, has);
}

/// Makes a segment that is forwarded say what the other side is to hear.
void Engine::answer(Stream& stream, Side from, Segment& segment, const TcpOptions& options) noexcept {
  Way& back = stream.way(other(from));
  translate_sacks(options.sacks, back.map, {back.answered, back.in_next});
  back.told = segment.acknowledgement = back.answered;
  back.told_window = segment.window = window_for(back);
}

void Engine::resume(Stream& stream, bool give_up, nat::Tick now, StreamHost& host) noexcept {
  for (const Side from : {Side::inside, Side::outside}) {
    Way& way = stream.way(from);
    if (!way.waiting) continue;
    way.waiting = false;
    if (give_up) {
      // Nothing of the message goes out. It is the gateway's to send it again.
      way.map.replace(way.in_start, way.frame.size, 0);
      way.in_start += way.frame.size;
      next_boundary(way);
    }
    read_on(stream, from, now, host);
    const Sequence answered = way.answered;
    vouch(way);
    static_cast<void>(pump(stream, from, now, host));
    if (way.answered != answered) send_ack(stream, other(from), host);
  }
}

bool Engine::is_transparent(const Stream& stream) noexcept {
  return std::all_of(stream.ways.begin(), stream.ways.end(), [](const Way& way) noexcept {
    return way.passing && way.map.shift() == 0 && way.in_start == way.pass_from &&
           !before(way.out_acked, way.out_end) && !after(way.vouched, way.out_acked);
  });
}

void Engine::release(Stream& stream) noexcept {
  for (auto& way : stream.ways) {
    way.input.clear(pool_);
    way.output.clear(pool_);
  }
  stream = {};
}

Range Engine::seen_by_other(const Stream& stream, Side from, Sequence sequence,
                            Sequence acknowledgement) noexcept {
  const Way& forth = stream.way(from);
  const Way& back = stream.way(other(from));
  return {forth.known ? forth.map.out_floor(sequence) : sequence,
          back.known ? back.map.in_floor(acknowledgement) : acknowledgement};
}

}  // namespace pinhole::alg::stream
