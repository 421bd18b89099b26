// SPDX-License-Identifier: BSD-3-Clause
#pragma once
// The stream engine: it cuts messages out of a TCP connection, has a gateway read them, and carries on the
// connection with the bytes that the gateway has made of them, so that neither end notices.
//
// Theory of operation. What a side sends is kept until the other side has acknowledged what went out in its
// place; so whatever is sent again, cut as it may be, is answered with the bytes that went out the first
// time. Acknowledgements, SACK blocks and windows are translated on the way back. Where nothing was replaced
// and nothing is held, the segment itself is forwarded.
//
// A message that is not whole is held. Its sender may have to hear of it before it sends the rest, so the
// engine acknowledges it on its own account ("vouches"), and from then on it is the engine that sends again
// what gets lost on the way to the receiver. Where a message ends is the framer's to say. What is not its
// protocol's passes unread from there on, both ways; what came before stays translated.
//
// What is put in between two messages (inject()) is to its receiver like what a message was made longer by:
// it is the engine that sends it again, and nobody else hears of it.
//
// What comes before its turn is kept while there is much room, and for as long as a message is held. It was
// not acknowledged: what is dropped or given up of it comes again.
//
// Invariants: a byte goes out once the message that it belongs to was read, and as it went out the first
// time; the receiver's window is respected; nobody is told of bytes that were not sent; memory is the pool's,
// and a way holds at most kCapacity bytes each side.

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "alg/alg.hpp"
#include "alg/counters.hpp"
#include "alg/edit.hpp"
#include "alg/stream/chunk_pool.hpp"
#include "alg/stream/framer.hpp"
#include "alg/stream/segment.hpp"
#include "alg/stream/stream.hpp"
#include "nat/counters.hpp"
#include "nat/drop_reason.hpp"
#include "nat/tick.hpp"

namespace pinhole::alg::stream {

/// What a gateway makes of a message.
struct Reading {
  Verdict verdict = Verdict::forward;
  const EditList* edits = nullptr;  // with forward: to be applied. Valid until the next message is read
  bool leaves = false;              // with forward: nothing that follows is to be read, either way
};

/// What the engine asks of the place it runs in.
class StreamHost {
 public:
  /// Has a whole message read. With `wait`, resume() is called when it is to be read again; with `drop`
  /// nothing of it goes out.
  [[nodiscard]] virtual Reading read(Side from, std::string_view message) noexcept = 0;
  /// Sends a segment in the name of a side. Its payload is valid until this returns.
  virtual void send(Side from, const OutSegment& segment) noexcept = 0;

 protected:
  ~StreamHost() = default;
};

/// What becomes of a segment that came.
enum class Fate : std::uint8_t {
  forward,   // with what was changed in it
  consumed,  // what had to be sent in its place was sent
  drop,
};
struct Taken {
  Fate fate = Fate::forward;
  nat::DropReason reason = nat::DropReason::none;
};

class Engine {
 public:
  static constexpr std::uint32_t kMaxMessage = 65535;
  /// Bytes that a way holds of what came, and of what is to go out: a message, and the beginning of another.
  static constexpr std::uint32_t kCapacity = 72 * 1024;
  /// From the byte that a way waits for to the end of what it holds ahead of its turn.
  static constexpr std::uint32_t kAheadBytes = 16 * 1024;

  /// \param scratch  room for a message, kMaxMessage \param strict  nobody is to see a message that was not
  /// read as a whole: a connection whose message does not end in time is reset, and what a FIN cuts off is
  /// left out. Otherwise it passes unread
  Engine(const Framer& framer, ChunkPool& pool, std::span<std::byte> scratch,
         nat::CounterBlock<Counter>& counters, bool strict = false) noexcept
      : framer_(framer), pool_(pool), scratch_(scratch), counters_(counters), strict_(strict) {}
  Engine(const Engine&) = delete;
  Engine& operator=(const Engine&) = delete;

  /// Takes a segment of a stream. The first one is a SYN.
  [[nodiscard]] Taken take(Stream& stream, Side from, Segment& segment, nat::Tick now,
                           StreamHost& host) noexcept;
  /// The answer that a message waited for is there. \param give_up  it is not, and never will be
  void resume(Stream& stream, bool give_up, nat::Tick now, StreamHost& host) noexcept;
  /// Sends a message of the engine's own in the name of a side, between two messages of that side.
  /// \return false, and nothing sent, when that side has ended or is not read any more, the other one has not
  /// answered yet, or there is no room
  [[nodiscard]] bool inject(Stream& stream, Side from, std::string_view message, nat::Tick now,
                            StreamHost& host) noexcept;
  /// Asks both ends, each in the name of the other, whether they are still there (RFC 1122 section 4.2.3.6).
  /// Their answers do not go on. \return segments sent
  unsigned keep_alive(Stream& stream, StreamHost& host) noexcept;
  /// Does what time brings: sends again, lets pass what was held for too long.
  void tick(Stream& stream, nat::Tick now, StreamHost& host) noexcept;
  /// Whether tick() has anything to do before the next segment comes.
  [[nodiscard]] static bool wants_ticks(const Stream& stream) noexcept;
  /// Whether the stream does nothing any more: both ways pass unread and unchanged.
  [[nodiscard]] static bool is_transparent(const Stream& stream) noexcept;
  /// Forgets all of a stream and gives its memory back.
  void release(Stream& stream) noexcept;

  /// The numbers of a segment as the other side knows them, for who keeps account of the connection.
  [[nodiscard]] static Range seen_by_other(const Stream& stream, Side from, Sequence sequence,
                                           Sequence acknowledgement) noexcept;

 private:
  enum class Sent : std::uint8_t { in_place, emitted, nothing };
  struct Outcome {
    Sent sent = Sent::nothing;
    bool owes_ack = false;
    nat::DropReason drop = nat::DropReason::none;
  };

  // engine.cpp: segments.
  [[nodiscard]] Taken take_syn(Stream& stream, Side from, Segment& segment,
                               const TcpOptions& options) noexcept;
  void take_reset(Stream& stream, Side from, Segment& segment) noexcept;
  void take_ack(Stream& stream, Side from, const Segment& segment, nat::Tick now, StreamHost& host) noexcept;
  void note_progress(Way& way, Sequence acked, nat::Tick now) noexcept;
  /// Who has acknowledged all is given its time from now on for what comes next.
  static void note_if_answered(Way& way, nat::Tick now) noexcept {
    if (way.out_acked == way.out_end) way.unanswered_at = now;
  }
  void answer(Stream& stream, Side from, Segment& segment, const TcpOptions& options) noexcept;
  void settle(Stream& stream, Side from, bool owes_ack, nat::Tick now, StreamHost& host) noexcept;

  // engine_data.cpp: what comes, and what it is made into.
  [[nodiscard]] Outcome take_data(Stream& stream, Side from, Segment& segment, nat::Tick now,
                                  StreamHost& host) noexcept;
  [[nodiscard]] Outcome take_passing(Stream& stream, Side from, Segment& segment, nat::Tick now,
                                     StreamHost& host) noexcept;
  [[nodiscard]] Outcome take_old(Stream& stream, Side from, Segment& segment, nat::Tick now,
                                 StreamHost& host) noexcept;
  [[nodiscard]] bool agrees(const Way& way, Sequence begin,
                            std::span<const std::byte> payload) const noexcept;
  [[nodiscard]] bool may_grow(const Way& way, Sequence end) const noexcept;
  [[nodiscard]] bool may_come_ahead(const Way& way, Sequence begin, Sequence end) const noexcept;
  [[nodiscard]] bool store_ahead(Way& way, Sequence begin, std::span<const std::byte> payload) noexcept;
  void forget_ahead(Way& way) noexcept;
  /// \return whether all that went out is what came
  bool read_on(Stream& stream, Side from, nat::Tick now, StreamHost& host) noexcept;
  [[nodiscard]] bool find_frame(Way& way) noexcept;
  [[nodiscard]] bool read_message(Stream& stream, Side from, bool& untouched, StreamHost& host) noexcept;
  void append(Way& way, std::string_view message, const EditList& edits) noexcept;
  void write_out(Way& way, std::span<const std::byte> bytes) noexcept;
  [[nodiscard]] bool has_room(const Way& way, std::uint32_t size) const noexcept;
  [[nodiscard]] bool copy_through(Way& way, std::uint32_t size) noexcept;
  void next_boundary(Way& way) noexcept;
  void begin_passing(Stream& stream) noexcept;
  void flush_passing(Way& way) noexcept;
  void vouch(Way& way) noexcept;

  // engine_send.cpp: what goes out.
  unsigned pump(Stream& stream, Side from, nat::Tick now, StreamHost& host) noexcept;
  unsigned resend(Stream& stream, Side from, Range range, StreamHost& host) noexcept;
  void resend_first(Stream& stream, Side from, StreamHost& host) noexcept;
  void send(Stream& stream, Side from, Sequence sequence, std::uint8_t flags, std::uint32_t size,
            StreamHost& host) noexcept;
  void send_ack(Stream& stream, Side from, StreamHost& host) noexcept;
  unsigned probe(Stream& stream, Side from, StreamHost& host) noexcept;
  void note_sent(Way& way, Sequence end, nat::Tick now) noexcept;
  void give_up(Stream& stream, StreamHost& host) noexcept;
  void tick_way(Stream& stream, Side from, nat::Tick now, StreamHost& host) noexcept;
  [[nodiscard]] static std::uint32_t payload_limit(const Stream& stream, Side from) noexcept;
  [[nodiscard]] static Sequence edge_for(const Way& way) noexcept;
  [[nodiscard]] static std::uint16_t window_for(const Way& way) noexcept;

  const Framer& framer_;
  ChunkPool& pool_;
  std::span<std::byte> scratch_;
  nat::CounterBlock<Counter>& counters_;
  bool strict_;
};

}  // namespace pinhole::alg::stream
