// SPDX-License-Identifier: BSD-3-Clause
#pragma once
// A connection through the stream engine of which one end speaks and the other listens: what is said stands
// at a place, and what arrives is put together. What has arrived once has to arrive as the same bytes again.

#include <catch2/catch.hpp>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "alg/sip/framer.hpp"
#include "alg/stream/engine.hpp"

namespace pinhole::test {

/// A connection of which one end speaks. What it says stands at a place from its SYN on.
class Speaker final : public alg::stream::StreamHost {
 public:
  using Side = alg::stream::Side;
  using Reading = alg::stream::Reading;
  using Taken = alg::stream::Taken;

  explicit Speaker(Side speaks) : speaks_(speaks) { open(); }
  /// Goes on with another connection.
  void open() {
    engine_.release(stream_);
    messages.clear();
    arrived.clear();
    acknowledged = 0;
    constexpr std::uint8_t kAnswer = TcpFlags::kSyn | TcpFlags::kAck;
    CHECK(take(speaks_, {kFirst, 0, 65535, TcpFlags::kSyn, {}, {}}).fate == alg::stream::Fate::forward);
    CHECK(take(other(speaks_), {kOther, kFirst + 1, 65535, kAnswer, {}, {}}).fate ==
          alg::stream::Fate::forward);
    CHECK(say(0, "").fate == alg::stream::Fate::forward);
  }
  Reading read(Side, std::string_view message) noexcept override {
    if (waits) return {.verdict = alg::Verdict::wait};
    messages.emplace_back(message);
    return reads ? reads(message) : Reading{};
  }
  void send(Side from, const alg::stream::OutSegment& segment) noexcept override {
    std::string text;
    for (std::size_t i = 0; i < segment.payload.count; ++i) {
      const auto piece = segment.payload.pieces[i];
      text.append(reinterpret_cast<const char*>(piece.data()), piece.size());
    }
    arrive(from, segment.sequence, text);
    if (from != speaks_) acknowledged = segment.acknowledgement - kFirst - 1;
  }

  Taken say(std::uint32_t place, const std::string& text, bool fin = false) {
    const auto flags = static_cast<std::uint8_t>(TcpFlags::kAck | (fin ? TcpFlags::kFin : 0));
    return take(speaks_, {kFirst + 1 + place, kOther + 1, 65535, flags, {}, std::as_bytes(std::span(text))});
  }
  /// The other end has all up to a place.
  void acknowledge(std::uint32_t place) {
    static_cast<void>(take(other(speaks_), {kOther + 1, kFirst + 1 + place, 65535, TcpFlags::kAck, {}, {}}));
  }
  void resume() {
    waits = false;
    engine_.resume(stream_, false, 1, *this);
  }

  std::function<Reading(std::string_view)> reads;  // the gateway; none: nothing is changed
  bool waits = false;                              // what is read waits for resume()
  std::vector<std::string> messages;
  std::string arrived;             // at the other end
  std::uint32_t acknowledged = 0;  // to the speaker

 private:
  using ChunkPool = alg::stream::ChunkPool;
  using Engine = alg::stream::Engine;
  using Segment = alg::stream::Segment;
  using Sequence = alg::stream::Sequence;
  using TcpFlags = alg::stream::TcpFlags;

  static constexpr Sequence kFirst = 0xffffffc0U;  // of the speaker: it wraps within the first message
  static constexpr Sequence kOther = 7000;
  static constexpr std::uint32_t kChunks = 64;

  Taken take(Side from, Segment segment) {
    const auto taken = engine_.take(stream_, from, segment, 1, *this);
    if (taken.fate != alg::stream::Fate::forward) return taken;
    arrive(from, segment.sequence,
           {reinterpret_cast<const char*>(segment.payload.data()), segment.payload.size()});
    if (from != speaks_ && segment.has(TcpFlags::kAck)) acknowledged = segment.acknowledgement - kFirst - 1;
    return taken;
  }
  void arrive(Side from, Sequence sequence, const std::string& text) {
    if (from != speaks_ || text.empty()) return;
    const std::uint32_t place = sequence - kFirst - 1;
    REQUIRE(place <= arrived.size());
    const auto known = arrived.substr(place, text.size());
    CHECK(text.starts_with(known));  // what has left once leaves as the same bytes
    arrived += text.substr(known.size());
  }

  Side speaks_;
  alg::sip::SipFramer framer_;
  nat::CounterBlock<alg::Counter> counters_;
  std::vector<std::byte> memory_ = std::vector<std::byte>(ChunkPool::bytes_needed(kChunks));
  std::vector<std::byte> scratch_ = std::vector<std::byte>(Engine::kMaxMessage);
  ChunkPool pool_{kChunks, memory_};
  Engine engine_{framer_, pool_, scratch_, counters_};
  alg::stream::Stream stream_;
};

}  // namespace pinhole::test
