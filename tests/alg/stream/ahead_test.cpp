// SPDX-License-Identifier: BSD-3-Clause
// Bytes that come before their turn: how many are kept, for how long, and what is left for others.
#include <catch2/catch.hpp>

#include <array>
#include <string>
#include <vector>

#include "alg/sip/framer.hpp"
#include "alg/stream/engine.hpp"
#include "alg/stream/timing.hpp"

namespace pinhole::alg::stream {

namespace {

constexpr std::uint32_t kChunks = 512;
constexpr Sequence kFirst = 0xffffff00U;  // of the caller: it wraps
constexpr Sequence kCalled = 7000;
const std::string kMessage = "OPTIONS sip:a@b SIP/2.0\r\nContent-Length: 0\r\n\r\n";

std::string message_of(std::size_t body) {
  return "MESSAGE sip:a@b SIP/2.0\r\nContent-Length: " + std::to_string(body) + "\r\n\r\n" +
         std::string(body, 'x');
}

/// Connections of one pool, opened by a caller inside. What he says stands at a place from his SYN on.
class Connections final : public StreamHost {
 public:
  explicit Connections(std::size_t count, std::uint16_t window = 65535) : streams_(count) {
    for (std::size_t i = 0; i < count; ++i) {
      CHECK(take(i, Side::inside, {kFirst, 0, window, TcpFlags::kSyn, {}, {}}) == Fate::forward);
      constexpr std::uint8_t kAnswer = TcpFlags::kSyn | TcpFlags::kAck;
      CHECK(take(i, Side::outside, {kCalled, kFirst + 1, window, kAnswer, {}, {}}) == Fate::forward);
    }
  }
  Reading read(Side, std::string_view message) noexcept override {
    messages.emplace_back(message);
    return {};
  }
  void send(Side from, const OutSegment& segment) noexcept override {
    if (from == Side::outside) acknowledgements.push_back(segment.acknowledgement - kFirst - 1);
  }
  Fate say(std::size_t i, std::uint32_t place, const std::string& text) {
    return take(i, Side::inside,
                {kFirst + 1 + place, kCalled + 1, 65535, TcpFlags::kAck, {}, std::as_bytes(std::span(text))});
  }
  /// All of a text, in segments. \return whether all were taken
  bool say_all(std::size_t i, const std::string& text) {
    bool taken = true;
    for (std::size_t at = 0; at < text.size(); at += 1400)
      taken = say(i, static_cast<std::uint32_t>(at), text.substr(at, 1400)) != Fate::drop && taken;
    return taken;
  }
  void pass(nat::Tick ticks) {
    for (; ticks > 0; --ticks) {
      ++now;
      for (auto& stream : streams_) {
        if (Engine::wants_ticks(stream)) engine_.tick(stream, now, *this);
      }
    }
  }
  [[nodiscard]] std::uint32_t held() const { return kChunks - pool_.free(); }

  std::vector<std::string> messages;
  std::vector<std::uint32_t> acknowledgements;  // to the caller
  nat::Tick now = 1;

 private:
  Fate take(std::size_t i, Side from, Segment segment) {
    return engine_.take(streams_[i], from, segment, now, *this).fate;
  }

  alg::sip::SipFramer framer_;
  nat::CounterBlock<alg::Counter> counters_;
  std::vector<std::byte> memory_ = std::vector<std::byte>(ChunkPool::bytes_needed(kChunks));
  std::vector<std::byte> scratch_ = std::vector<std::byte>(Engine::kMaxMessage);
  ChunkPool pool_{kChunks, memory_};
  Engine engine_{framer_, pool_, scratch_, counters_};
  std::vector<Stream> streams_;
};

}  // namespace

TEST_CASE("a byte ahead of its turn takes one chunk, wherever it stands, and the gap before it none",
          "[alg][stream][ahead]") {
  const std::uint32_t place = GENERATE(1U, 2047U, 2048U, 9000U, Engine::kAheadBytes - 1);
  Connections one(1);
  CHECK(one.say(0, place, "x") == Fate::consumed);
  CHECK(one.held() == 1);
  CHECK(one.acknowledgements == std::vector<std::uint32_t>{0});
}

TEST_CASE("what is too far ahead of its turn is dropped, and its sender told what is missing",
          "[alg][stream][ahead]") {
  struct Row {
    std::uint16_t window;
    std::uint32_t last;  // the last byte that may come
  };
  for (const auto& [window, last] : {Row{65535, Engine::kAheadBytes - 1}, Row{4000, 3999}}) {
    DYNAMIC_SECTION("the receiver offers " << window) {
      Connections one(1, window);
      CHECK(one.say(0, last + 1, "x") == Fate::drop);
      CHECK(one.say(0, last, "xy") == Fate::drop);
      CHECK(one.held() == 0);
      CHECK(one.acknowledgements == std::vector<std::uint32_t>{0, 0});
      CHECK(one.say(0, last, "x") == Fate::consumed);
    }
  }
}

TEST_CASE("bytes ahead of their turn are read in their turn, however they come", "[alg][stream][ahead]") {
  const std::string text = message_of(12000) + kMessage;
  for (const std::size_t size : {700U, 1400U, 2048U, 5000U}) {
    DYNAMIC_SECTION("in segments of " << size) {
      Connections one(1);
      const auto begin = static_cast<std::uint32_t>(size);
      for (std::size_t at = begin; at < text.size(); at += size)
        CHECK(one.say(0, static_cast<std::uint32_t>(at), text.substr(at, size)) == Fate::consumed);
      CHECK(one.messages.empty());
      CHECK(one.say(0, 0, text.substr(0, begin)) != Fate::drop);
      CHECK((one.messages == std::vector<std::string>{message_of(12000), kMessage}));
    }
  }
}

TEST_CASE("two hundred connections with bytes ahead of their turn leave others their memory",
          "[alg][stream][ahead]") {
  constexpr std::size_t kMany = 200;
  struct Row {
    const char* name;
    std::vector<std::uint32_t> places;
    std::size_t bytes;
  };
  const Row rows[] = {{"one byte each", {Engine::kAheadBytes - 1}, 1},
                      {"one byte here and there", {2000, 6000, 10000, 14000}, 1},
                      {"as many as there may be", {1, 4097, 8193, 12289}, 4095}};
  for (const auto& row : rows) {
    DYNAMIC_SECTION(row.name) {
      Connections all(kMany + 1);
      for (std::size_t i = 0; i < kMany; ++i) {
        for (const auto place : row.places) static_cast<void>(all.say(i, place, std::string(row.bytes, 'x')));
      }
      CHECK(all.held() <= kChunks / 2);
      const std::string large = message_of(60000);
      CHECK(all.say_all(kMany, large));
      CHECK((all.messages == std::vector<std::string>{large}));
    }
  }
}

TEST_CASE("what is ahead of its turn is given up when that does not come, and read when all comes again",
          "[alg][stream][ahead]") {
  const bool proven = GENERATE(false, true);
  Connections one(1);
  const std::string talk = (proven ? kMessage : "") + message_of(6000);
  const std::uint32_t begin = proven ? static_cast<std::uint32_t>(kMessage.size()) : 0;
  if (proven) CHECK(one.say(0, 0, kMessage) != Fate::drop);
  one.acknowledgements.clear();
  const auto held = one.held();
  const auto limit = proven ? kMessageLimit : kBeginningLimit;
  CHECK(one.say(0, begin + 3000, talk.substr(begin + 3000)) == Fate::consumed);
  CHECK(one.held() > held);
  one.pass(limit - 1);
  // Who says more that is ahead does not keep what there is.
  CHECK(one.say(0, begin + 2000, talk.substr(begin + 2000, 1000)) == Fate::consumed);
  CHECK(one.held() > held);
  one.pass(1);
  CHECK(one.held() == held);
  one.messages.clear();
  CHECK(one.say_all(0, talk));
  CHECK((one.messages == std::vector<std::string>{message_of(6000)}));
}

TEST_CASE("as long as their turn comes closer bytes ahead are kept", "[alg][stream][ahead]") {
  Connections one(1);
  const std::string text = message_of(6000);
  CHECK(one.say(0, 5000, text.substr(5000)) == Fate::consumed);
  for (std::uint32_t at = 0; at < 5000; at += 1000) {
    one.pass(kBeginningLimit - 1);
    CHECK(one.messages.empty());
    CHECK(one.say(0, at, text.substr(at, 1000)) != Fate::drop);
  }
  CHECK((one.messages == std::vector<std::string>{text}));
}

}  // namespace pinhole::alg::stream
