// SPDX-License-Identifier: BSD-3-Clause
// Bytes as they come, and what they are made into: put in order, cut into messages, read, edited.
#include <algorithm>

#include "alg/stream/engine.hpp"

namespace pinhole::alg::stream {

namespace {

std::span<const std::byte> as_bytes(std::string_view text) noexcept {
  return {reinterpret_cast<const std::byte*>(text.data()), text.size()};
}
std::string_view as_text(std::span<const std::byte> bytes) noexcept {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

/// Takes in what came ahead and is next now.
void absorb(Way& way) noexcept {
  for (std::size_t i = 0; i < way.ahead_count;) {
    if (after(way.ahead[i].begin, way.in_next)) {
      ++i;
      continue;
    }
    way.in_next = later(way.in_next, way.ahead[i].end);
    way.ahead[i] = way.ahead[--way.ahead_count];
    i = 0;
  }
}

/// Whether a segment says something else about where the stream ends than what came before it.
bool passes_end(const Way& way, Sequence end, bool fin) noexcept {
  if (way.fin_seen) return after(end, way.fin_at) || (fin && end != way.fin_at);
  if (!fin) return false;
  Sequence come = way.in_next;
  for (std::size_t i = 0; i < way.ahead_count; ++i) come = later(come, way.ahead[i].end);
  return before(end, come);
}

/// Leaves out of a segment what stands beyond `limit`: it comes again.
void trim(Segment& segment, Sequence limit) noexcept {
  segment.payload = segment.payload.first(limit - segment.sequence);
  segment.flags = static_cast<std::uint8_t>(segment.flags & ~TcpFlags::kFin);
}

void note_fin(Way& way, Sequence end, bool fin) noexcept {
  if (!fin) return;
  way.fin_seen = true;
  way.fin_at = end;
}

}  // namespace

Engine::Outcome Engine::take_data(Stream& stream, Side from, Segment& segment, nat::Tick now,
                                  StreamHost& host) noexcept {
  Way& way = stream.way(from);
  const Sequence begin = segment.sequence;
  // Whoever keeps to the window may still send a whole segment that begins within what a way can hold.
  const Sequence limit = way.input.begin() + kCapacity;
  if (before(begin, limit) && after(begin + static_cast<std::uint32_t>(segment.payload.size()), limit))
    trim(segment, limit);
  const auto size = static_cast<std::uint32_t>(segment.payload.size());
  const Sequence end = begin + size;
  const bool fin = segment.has(TcpFlags::kFin);
  const bool brings = size > 0 || fin;
  if (!brings || !after(end + (fin ? 1 : 0), way.answered)) return take_old(stream, from, segment, now, host);
  if (!agrees(way, begin, segment.payload) || passes_end(way, end, fin))
    return {.drop = nat::DropReason::drop_stream_overlap};
  if (after(end, limit)) return {.owes_ack = true, .drop = nat::DropReason::drop_stream_full};
  if (after(begin, way.in_next)) {
    if (size > 0) {
      const bool is_first = way.ahead_count == 0;
      if (!may_come_ahead(way, begin, end) || !store_ahead(way, begin, segment.payload))
        return {.owes_ack = true, .drop = nat::DropReason::drop_stream_full};
      if (is_first) way.ahead_at = now;
    }
    note_fin(way, end, fin);
    counters_.add(Counter::stream_reordered);
    return {.owes_ack = true};
  }

  const bool clear = begin == way.in_next && way.in_start == way.in_next && way.out_sent == way.out_end &&
                     way.ahead_count == 0;
  const Sequence in_before = way.in_next;
  const Sequence out_before = way.out_end;
  const Sequence answered = way.answered;
  if (after(end, way.in_next)) {
    const auto fresh = segment.payload.subspan(way.in_next - begin);
    if (!may_grow(way, end) || !way.input.write(pool_, way.in_next, fresh))
      return {.drop = nat::DropReason::drop_stream_full};
    // A strict gateway's messages have to end in time, however slowly they grow; others where little is free.
    if ((!strict_ && pool_.free() > pool_.size() / 2) || way.in_start == way.in_next) way.held_at = now;
    way.in_next = end;
    absorb(way);
    way.ahead_at = now;
  }
  note_fin(way, end, fin);
  const Sequence held_from = way.in_start;
  const bool untouched = read_on(stream, from, now, host);
  if (way.in_start != held_from) way.held_at = now;
  if (clear && untouched && way.in_start == end && !after(way.out_end, way.edge)) {
    segment.sequence = out_before;
    if (fin && way.passing && !way.fin_sent) ++way.in_next;
    way.fin_sent = way.fin_sent || fin;
    note_sent(way, way.out_end, now);
    return {.sent = Sent::in_place};
  }
  // What was in order before has come again, so it may be what the receiver lacks.
  unsigned sent =
      resend(stream, from, {later(begin, answered), earlier(end, earlier(in_before, way.in_start))}, host);
  sent += pump(stream, from, now, host);
  const bool again = fin && way.fin_sent && sent == 0;
  if (again) {
    send(stream, from, way.out_end, TcpFlags::kFin, 0, host);
    ++sent;
  }
  if (sent == 0) sent = probe(stream, from, host);
  vouch(way);
  return {.sent = sent > 0 ? Sent::emitted : Sent::nothing,
          .owes_ack = way.answered != answered || before(begin, answered)};
}

/// A segment that brings nothing: an acknowledgement, a probe, or bytes that its sender was acknowledged.
Engine::Outcome Engine::take_old(Stream& stream, Side from, Segment& segment, nat::Tick now,
                                 StreamHost& host) noexcept {
  Way& way = stream.way(from);
  const Sequence begin = segment.sequence;
  if (!before(begin, way.answered)) {  // an acknowledgement and no more
    segment.sequence = way.ack_place();
    return {.sent = Sent::in_place};
  }
  if (segment.has(TcpFlags::kFin) && way.fin_sent) {
    send(stream, from, way.out_end, TcpFlags::kFin, 0, host);
    return {.sent = Sent::emitted};
  }
  if (after(way.answered, way.map.in_floor(way.out_acked))) {
    // Acknowledged by the engine alone: the receiver would not know what this is about.
    static_cast<void>(pump(stream, from, now, host));
    return {.owes_ack = true};
  }
  // The receiver has these bytes as they went out, and as they came nobody is to see them: it is only asked
  // to say again what it has.
  segment.sequence = way.out_acked - (way.answered - begin);
  segment.payload = {};
  segment.flags = static_cast<std::uint8_t>(segment.flags & ~(TcpFlags::kFin | TcpFlags::kPsh));
  return {.sent = Sent::in_place};
}

/// A segment of a way that is no longer read.
Engine::Outcome Engine::take_passing(Stream& stream, Side from, Segment& segment, nat::Tick now,
                                     StreamHost& host) noexcept {
  Way& way = stream.way(from);
  const Sequence begin = segment.sequence;
  const Sequence end = begin + static_cast<std::uint32_t>(segment.payload.size());
  const bool fin = segment.has(TcpFlags::kFin);
  if (!segment.payload.empty() && before(begin, way.pass_from)) {
    if (!after(end + (fin ? 1 : 0), way.answered)) return take_old(stream, from, segment, now, host);
    unsigned sent = resend(stream, from, {later(begin, way.answered), earlier(end, way.in_start)}, host);
    sent += pump(stream, from, now, host);
    if (sent == 0) sent = probe(stream, from, host);
    return {.sent = sent > 0 ? Sent::emitted : Sent::nothing, .owes_ack = before(begin, way.answered)};
  }
  segment.sequence = segment.payload.empty() && !fin && before(begin, way.answered)
                         ? way.out_acked - (way.answered - begin)
                         : way.map.out_floor(begin);
  // While messages were held the sender was promised more than the receiver takes now. With a byte more it
  // may be asked.
  if (!segment.payload.empty() && after(segment.sequence, way.edge))
    return {.drop = nat::DropReason::drop_stream_full};
  const Sequence limit = way.edge + 1;
  if (!segment.payload.empty() && after(segment.sequence + (end - begin), limit)) {
    trim(segment, limit);
    way.in_next = later(way.in_next, begin + (limit - segment.sequence));
    return {.sent = Sent::in_place};
  }
  way.in_next = later(way.in_next, end + (fin ? 1 : 0));
  return {.sent = Sent::in_place};
}

/// Whether bytes that came before are the same now, as far as they are still known.
bool Engine::agrees(const Way& way, Sequence begin, std::span<const std::byte> payload) const noexcept {
  const Sequence end = begin + static_cast<std::uint32_t>(payload.size());
  const auto same = [&](Sequence from, Sequence to) noexcept {
    from = later(from, begin);
    to = earlier(to, end);
    return !before(from, to) || way.input.equals(pool_, from, payload.subspan(from - begin, to - from));
  };
  if (!same(way.answered, way.in_next)) return false;
  return std::all_of(way.ahead.begin(), way.ahead.begin() + way.ahead_count,
                     [&](const Range& range) noexcept { return same(range.begin, range.end); });
}

/// Whether there is room for bytes that came before their turn: what is whole has precedence, and the sender
/// keeps to what it was told, too.
bool Engine::may_come_ahead(const Way& way, Sequence begin, Sequence end) const noexcept {
  if (!way.has_edge || after(end, edge_for(way)) || end - way.in_next > kAheadBytes) return false;
  const std::uint32_t missing = way.input.chunks_missing(pool_, begin, end);
  return missing == 0 || missing + pool_.size() / 2 <= pool_.free();
}

/// Whether more of a stream may be held: what comes first while any chunk is free, what is little while an
/// eighth of the pool is, and all else while a quarter is. Who does not grow is given up.
bool Engine::may_grow(const Way& way, Sequence end) const noexcept {
  const std::uint32_t missing = way.input.chunks_missing(pool_, way.in_next, end);
  const bool is_little = end - way.input.begin() <= 4 * ChunkPool::kBytes;
  return way.input.begin() == way.in_next || missing == 0 ||
         missing + pool_.size() / (is_little ? 8 : 4) <= pool_.free();
}

/// Keeps bytes that came before their turn. \return false when there is no room for them
bool Engine::store_ahead(Way& way, Sequence begin, std::span<const std::byte> payload) noexcept {
  Range added{begin, begin + static_cast<std::uint32_t>(payload.size())};
  const auto touches = [&](const Range& range) noexcept {
    return !before(range.end, added.begin) && !after(range.begin, added.end);
  };
  const auto all_end = way.ahead.begin() + way.ahead_count;
  if (std::none_of(way.ahead.begin(), all_end, touches) && way.ahead_count == Way::kMaxAhead) return false;
  if (!way.input.write(pool_, begin, payload)) return false;
  for (std::size_t i = 0; i < way.ahead_count;) {
    if (!touches(way.ahead[i])) {
      ++i;
      continue;
    }
    added = {earlier(added.begin, way.ahead[i].begin), later(added.end, way.ahead[i].end)};
    way.ahead[i] = way.ahead[--way.ahead_count];
    i = 0;
  }
  // The newest first, as SACK wants it.
  std::move_backward(way.ahead.begin(), way.ahead.begin() + way.ahead_count,
                     way.ahead.begin() + way.ahead_count + 1);
  way.ahead[0] = added;
  ++way.ahead_count;
  return true;
}

/// It was not acknowledged, so it comes again.
void Engine::forget_ahead(Way& way) noexcept {
  way.ahead_count = 0;
  way.input.cut(pool_, way.in_next);
}

bool Engine::read_on(Stream& stream, Side from, nat::Tick now, StreamHost& host) noexcept {
  Way& way = stream.way(from);
  note_if_answered(way, now);
  way.stalled = false;
  bool untouched = true;
  while (!way.passing && !way.waiting && !way.stalled && way.in_start != way.in_next) {
    if (!find_frame(way)) break;
    if (way.frame.kind == Frame::Kind::not_mine) {
      counters_.add(Counter::stream_not_mine);
      begin_passing(stream);
    } else if (way.frame.kind == Frame::Kind::skip) {
      const std::uint32_t size = std::min(way.frame.size, way.in_next - way.in_start);
      if (!copy_through(way, size)) break;
      way.frame.size -= size;
      if (way.frame.size == 0) next_boundary(way);
    } else if (!read_message(stream, from, untouched, host)) {
      break;
    }
    way.held_at = now;
  }
  if (way.passing) flush_passing(way);
  const bool ended = !way.passing && way.fin_seen && way.in_next == way.fin_at;
  if (ended && !way.waiting && !way.stalled && way.in_start != way.in_next) {
    // The rest of a message will never come. Its receiver is to see what there is, unless it was to be read.
    const std::uint32_t rest = way.in_next - way.in_start;
    if (strict_) {
      untouched = false;
      way.map.replace(way.in_start, rest, 0);
      way.in_start += rest;
      next_boundary(way);
    } else if (copy_through(way, rest)) {
      next_boundary(way);
    }
  }
  return untouched;
}

/// \return false when more has to come before it is known what is at the boundary
bool Engine::find_frame(Way& way) noexcept {
  while (way.frame.kind == Frame::Kind::more) {
    const Sequence at = way.in_start + way.framer.scanned;
    if (at == way.in_next) return false;
    const auto fresh = way.input.pieces(pool_, at, std::min(way.in_next - at, ByteQueue::kMaxRead));
    for (std::size_t i = 0; i < fresh.count && way.frame.kind == Frame::Kind::more; ++i) {
      way.frame = framer_.feed(way.framer, as_text(fresh.pieces[i]));
    }
  }
  return true;
}

/// \return false when it is not whole yet, or cannot be read now
bool Engine::read_message(Stream& stream, Side from, bool& untouched, StreamHost& host) noexcept {
  Way& way = stream.way(from);
  const std::uint32_t size = way.frame.size;
  if (way.in_next - way.in_start < size) return false;
  if (!has_room(way, size + EditList::kMaxText)) {
    way.stalled = true;
    return false;
  }
  std::span<const std::byte> message = scratch_.first(size);
  const auto pieces = way.input.pieces(pool_, way.in_start, std::min(size, ByteQueue::kMaxRead));
  if (pieces.pieces[0].size() >= size) {
    message = pieces.pieces[0].first(size);
  } else {
    way.input.read(pool_, way.in_start, scratch_.first(size));
  }
  const Reading reading = host.read(from, as_text(message));
  if (reading.verdict == Verdict::wait) {
    way.waiting = true;
    return false;
  }
  stream.proven = true;
  if (reading.verdict == Verdict::drop) {
    untouched = false;
    way.map.replace(way.in_start, size, 0);
    way.in_start += size;
  } else if (reading.edits == nullptr || reading.edits->empty()) {
    write_out(way, message);
    way.in_start += size;
  } else {
    untouched = false;
    append(way, as_text(message), *reading.edits);
  }
  next_boundary(way);
  if (reading.leaves) begin_passing(stream);
  return true;
}

/// Puts an edited message into what is to go out.
void Engine::append(Way& way, std::string_view message, const EditList& edits) noexcept {
  const auto bytes = as_bytes(message);
  std::size_t done = 0;
  for (const Edit& edit : edits.edits()) {
    write_out(way, bytes.subspan(done, edit.offset - done));
    const auto text = as_bytes(edits.text(edit));
    way.map.replace(way.in_start + edit.offset, edit.removed, edit.text_size);
    write_out(way, text);
    done = std::size_t{edit.offset} + edit.removed;
  }
  write_out(way, bytes.subspan(done));
  way.in_start += static_cast<std::uint32_t>(message.size());
}

bool Engine::inject(Stream& stream, Side from, std::string_view message, nat::Tick now,
                    StreamHost& host) noexcept {
  Way& way = stream.way(from);
  // What lies in `output` ends with a message, unless it is what need not be read and has not come whole. A
  // message that is held begins behind.
  // Nor is the middle of a line end a place for one.
  const bool at_boundary = way.frame.kind != Frame::Kind::skip && way.out_last != std::byte{'\r'};
  // Before the other side has answered the connection may not stand: bytes would take the place of its SYN.
  const bool stands = way.known && way.has_edge && stream.side(other(from)).answers;
  const bool is_open = stands && !stream.broken && !way.passing && !way.fin_seen;
  const auto size = static_cast<std::uint32_t>(message.size());
  if (!is_open || !at_boundary || !has_room(way, size)) return false;
  note_if_answered(way, now);
  way.map.replace(way.in_start, 0, size);
  write_out(way, as_bytes(message));
  way.own_end = way.out_end;
  if (way.out_sent == way.out_acked) way.timer_at = now;
  static_cast<void>(pump(stream, from, now, host));
  return true;
}

/// There is room for it: has_room() was asked.
void Engine::write_out(Way& way, std::span<const std::byte> bytes) noexcept {
  if (bytes.empty() || !way.output.write(pool_, way.out_end, bytes)) return;
  way.out_end += static_cast<std::uint32_t>(bytes.size());
  way.out_last = bytes.back();
}

bool Engine::has_room(const Way& way, std::uint32_t size) const noexcept {
  const Sequence end = way.out_end + size;
  return end - way.output.begin() <= kCapacity + EditList::kMaxText &&
         way.output.chunks_missing(pool_, way.out_end, end) <= pool_.free();
}

/// Lets bytes go out as they came. \return false, and nothing done, when there is no room for them
bool Engine::copy_through(Way& way, std::uint32_t size) noexcept {
  if (!has_room(way, size)) {
    way.stalled = true;
    return false;
  }
  while (size > 0) {
    const auto pieces = way.input.pieces(pool_, way.in_start, std::min(size, ByteQueue::kMaxRead));
    for (std::size_t i = 0; i < pieces.count; ++i) {
      write_out(way, pieces.pieces[i]);
      way.in_start += static_cast<std::uint32_t>(pieces.pieces[i].size());
      size -= static_cast<std::uint32_t>(pieces.pieces[i].size());
    }
  }
  return true;
}

void Engine::next_boundary(Way& way) noexcept {
  way.framer = {};
  way.frame = {};
}

/// From here on nothing is read any more, either way.
void Engine::begin_passing(Stream& stream) noexcept {
  for (auto& way : stream.ways) {
    if (way.passing) continue;
    way.passing = true;
    way.waiting = false;
    way.pass_from = way.in_next;
    forget_ahead(way);
    if (way.fin_seen && way.in_next == way.fin_at && way.fin_sent) ++way.in_next;
    flush_passing(way);
  }
}

/// Lets go what was held when passing began.
void Engine::flush_passing(Way& way) noexcept {
  if (way.in_start == way.pass_from) return;
  const std::uint32_t size = way.pass_from - way.in_start;
  const std::uint32_t missing = way.output.chunks_missing(pool_, way.out_end, way.out_end + size);
  const bool leaves_others_room = missing <= 1 || missing + pool_.size() / 8 <= pool_.free();
  way.stalled = !leaves_others_room || !copy_through(way, size);
}

/// Acknowledges to the sender what is held, so that it sends the rest; and what nothing was made of.
void Engine::vouch(Way& way) noexcept {
  // What nothing was made of is not acknowledged by anybody else, and never sent again: its sender would go
  // on saying it, whatever is spoken behind it.
  const Sequence has = earlier(way.map.in_floor(way.out_acked), way.in_start);
  way.answered = later(way.answered, has);
  way.input.drop_to(pool_, has);
  if (way.passing || way.waiting || way.stalled) return;
  if (way.in_start != way.in_next) way.answered = way.in_next;
  if (after(way.answered, has)) way.vouched = way.answered;
}

}  // namespace pinhole::alg::stream
