// SPDX-License-Identifier: BSD-3-Clause
// What a pool of chunks holds: bytes that come before their turn and messages that do not end. How much of
// them is kept, for how long, and what is left for others.
#include <catch2/catch.hpp>

#include <algorithm>
#include <array>
#include <span>
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
  /// \param scale  of the windows of both sides; 0: none is offered
  explicit Connections(std::size_t count, std::uint16_t window = 65535, std::uint8_t scale = 0)
      : streams_(count) {
    std::array options = {std::byte{1}, std::byte{3}, std::byte{3}, std::byte{scale}};
    const std::span<std::byte> offered(options.data(), scale == 0 ? 0 : options.size());
    for (std::size_t i = 0; i < count; ++i) {
      CHECK(take(i, Side::inside, {kFirst, 0, window, TcpFlags::kSyn, offered, {}}) == Fate::forward);
      constexpr std::uint8_t kAnswer = TcpFlags::kSyn | TcpFlags::kAck;
      CHECK(take(i, Side::outside, {kCalled, kFirst + 1, window, kAnswer, offered, {}}) == Fate::forward);
    }
  }
  Reading read(Side, std::string_view message) noexcept override {
    messages.emplace_back(message);
    return {drops ? Verdict::drop : Verdict::forward, edits};
  }
  void send(Side from, const OutSegment& segment) noexcept override {
    if (from == Side::outside) {
      acknowledgements.push_back(segment.acknowledgement - kFirst - 1);
      windows.push_back(segment.window);
    }
    if (from != Side::inside) return;
    const std::uint32_t place = segment.sequence - kFirst - 1;
    (segment.payload.size() > 0 ? sent : answered).push_back(place);
  }
  /// What the called end says first, and has of the caller up to a place.
  Fate answer(std::size_t i, std::uint32_t place, const std::string& text, std::uint16_t window = 65535) {
    const Sequence at = kCalled + 1 + answered_;
    answered_ += static_cast<std::uint32_t>(text.size());
    return take(i, Side::outside,
                {at, kFirst + 1 + place, window, TcpFlags::kAck, {}, std::as_bytes(std::span(text))});
  }
  /// The called end says again that it has all up to a place.
  void acknowledge(std::size_t i, std::uint32_t place, std::uint16_t window) {
    static_cast<void>(
        take(i, Side::outside, {kCalled + 1, kFirst + 1 + place, window, TcpFlags::kAck, {}, {}}));
  }
  void take_all_chunks() {
    while (pool_.free() > 0) taken_.push_back(pool_.take(0));
    pool_.give_back(taken_.back());  // for what the called end says
    taken_.pop_back();
  }
  void give_back_chunks() {
    for (const Chunk chunk : taken_) pool_.give_back(chunk);
    taken_.clear();
  }
  Fate say(std::size_t i, std::uint32_t place, const std::string& text) {
    return take(i, Side::inside,
                {kFirst + 1 + place, kCalled + 1, 65535, TcpFlags::kAck, {}, std::as_bytes(std::span(text))});
  }
  /// The last bytes that the caller says, as he thinks.
  Fate finish(std::size_t i, std::uint32_t place, const std::string& text) {
    constexpr std::uint8_t kEnd = TcpFlags::kAck | TcpFlags::kFin;
    return take(i, Side::inside,
                {kFirst + 1 + place, kCalled + 1, 65535, kEnd, {}, std::as_bytes(std::span(text))});
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
  [[nodiscard]] std::uint64_t count(Counter counter) const { return counters_.read(counter); }
  [[nodiscard]] std::uint32_t held() const { return kChunks - pool_.free(); }

  std::vector<std::string> messages;
  std::vector<std::uint32_t> acknowledgements;  // to the caller
  std::vector<std::uint16_t> windows;           // as the headers of these say them
  std::vector<std::uint32_t> sent;              // to the called: where each segment stands
  std::vector<std::uint32_t> answered;          // to the called: where those without data stand
  nat::Tick now = 1;
  bool drops = false;               // what is read goes no further
  const EditList* edits = nullptr;  // of each message

 private:
  Fate take(std::size_t i, Side from, Segment segment) {
    const bool answers = from == Side::inside && segment.payload.empty() && segment.has(TcpFlags::kAck);
    const auto fate = engine_.take(streams_[i], from, segment, now, *this).fate;
    if (answers && fate == Fate::forward) answered.push_back(segment.sequence - kFirst - 1);
    return fate;
  }

  alg::sip::SipFramer framer_;
  nat::CounterBlock<alg::Counter> counters_;
  std::vector<std::byte> memory_ = std::vector<std::byte>(ChunkPool::bytes_needed(kChunks));
  std::vector<std::byte> scratch_ = std::vector<std::byte>(Engine::kMaxMessage);
  ChunkPool pool_{kChunks, memory_};
  Engine engine_{framer_, pool_, scratch_, counters_};
  std::vector<Stream> streams_;
  std::vector<Chunk> taken_;
  std::uint32_t answered_ = 0;
};

}  // namespace

TEST_CASE("the rest of a message in hand is asked for, however coarse windows are",
          "[alg][stream][rfc7323]") {
  const auto scale = GENERATE(std::uint8_t{1}, std::uint8_t{7}, std::uint8_t{14});
  const auto rest = GENERATE(1U, 50U, 127U, 128U, 5000U);
  Connections one(1, 65535, scale);
  one.acknowledge(0, 0, 0);  // the receiver takes nothing
  const std::string message = message_of(6000);
  CHECK(one.say_all(0, message.substr(0, message.size() - rest)));
  REQUIRE_FALSE(one.windows.empty());
  CHECK(one.acknowledgements.back() == message.size() - rest);
  // Whole units of it, and one if there is less.
  CHECK(one.windows.back() == std::max(1U, rest >> scale));
  CHECK(one.say(0, static_cast<std::uint32_t>(message.size()) - rest,
                message.substr(message.size() - rest)) != Fate::drop);
  CHECK(one.messages == std::vector{message});
}

TEST_CASE("of a segment that crosses what a way may hold as much is held as fits", "[alg][stream]") {
  constexpr std::uint32_t kJumbo = 8900;
  Connections one(1);
  const std::string text = message_of(60000) + message_of(60000);
  one.acknowledge(0, 0, 0);  // the receiver takes nothing
  std::uint32_t place = 0;
  for (; place < Engine::kCapacity; place += kJumbo) {
    CAPTURE(place);
    const bool crosses = place + kJumbo > Engine::kCapacity;
    const auto part = text.substr(place, kJumbo);
    // An end that is cut off with what is in front of it is none.
    CHECK((crosses ? one.finish(0, place, part) : one.say(0, place, part)) != Fate::drop);
  }
  CHECK(one.acknowledgements.back() == Engine::kCapacity);
  CHECK(one.windows.back() == 0);
  // What comes again is cut again, and there is nothing new in it.
  CHECK(one.say(0, place - kJumbo, text.substr(place - kJumbo, kJumbo)) != Fate::drop);
  CHECK(one.acknowledgements.back() == Engine::kCapacity);
  const auto answers = one.acknowledgements.size();
  CHECK(one.say(0, place, text.substr(place, kJumbo)) == Fate::drop);
  REQUIRE(one.acknowledgements.size() == answers + 1);
  CHECK(one.acknowledgements.back() == Engine::kCapacity);

  // The receiver gets the first message bit by bit, and the sender goes on where he was told.
  const auto first = static_cast<std::uint32_t>(message_of(60000).size());
  for (int i = 0; i < 60; ++i) one.acknowledge(0, first, 65535);
  for (place = Engine::kCapacity; place < text.size(); place += kJumbo)
    CHECK(one.say(0, place, text.substr(place, kJumbo)) != Fate::drop);
  CHECK((one.messages == std::vector(2, message_of(60000))));
}

TEST_CASE("a message that is dropped is acknowledged, whatever follows it", "[alg][stream]") {
  const bool ends_otherwise = GENERATE(false, true);
  CAPTURE(ends_otherwise);
  Connections one(1);
  one.drops = true;
  const std::string message = message_of(3000);
  const auto half = static_cast<std::uint32_t>(message.size() / 2);
  const std::string more = ends_otherwise ? "\x16\x03\x01 and no more of SIP" : kMessage;
  CHECK(one.say(0, 0, message.substr(0, half)) != Fate::drop);
  CHECK(one.acknowledgements.back() == half);
  CHECK(one.say(0, half, message.substr(half) + more) != Fate::drop);
  // What comes behind it, and is not read, is its receiver's to acknowledge.
  CHECK(one.acknowledgements.back() == message.size() + (ends_otherwise ? 0 : more.size()));
  CHECK(one.sent == std::vector<std::uint32_t>(ends_otherwise ? 1 : 0, 0));
}

TEST_CASE("what an edit puts behind a message is sent again until its receiver has it", "[alg][stream]") {
  const std::string message = message_of(100);
  const std::string line = "a=rtcp:4711\r\n";
  const auto end = static_cast<std::uint32_t>(message.size());
  EditList edits;
  REQUIRE(edits.replace(end, 0, line));
  Connections one(1);
  one.edits = &edits;
  CHECK(one.say(0, 0, message) != Fate::drop);
  one.acknowledge(0, end, 65535);  // all that its sender said, and nothing behind it
  one.sent.clear();
  one.pass(2 * kFirstTimeout);
  REQUIRE_FALSE(one.sent.empty());
  CHECK(one.sent.front() == end);
  one.acknowledge(0, end + static_cast<std::uint32_t>(line.size()), 65535);
  one.sent.clear();
  one.pass(kMaxTimeout);
  CHECK(one.sent.empty());
}

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

TEST_CASE("who takes no more bytes hears what he is acknowledged", "[alg][stream][AC-07]") {
  const std::uint32_t window = GENERATE(0U, 10U);
  CAPTURE(window);
  Connections one(1);
  const auto size = static_cast<std::uint32_t>(kMessage.size());
  CHECK(one.say(0, 0, kMessage.substr(0, 20)) == Fate::consumed);
  one.acknowledge(0, 0, static_cast<std::uint16_t>(window));
  CHECK(one.say(0, 20, kMessage.substr(20)) == Fate::consumed);
  one.acknowledge(0, window, 0);
  one.pass(kFirstTimeout);
  CHECK(one.sent.back() == window);  // a byte beyond, to ask
  one.answered.clear();
  SECTION("by the engine") {
    CHECK(one.answer(0, window, kMessage.substr(0, 20), 0) == Fate::consumed);
  }
  SECTION("by the other end") {
    CHECK(one.say(0, size, "") == Fate::forward);
  }
  CHECK((one.answered == std::vector{window}));
}

TEST_CASE("what does not become a message in time passes unread, and is counted", "[alg][stream]") {
  struct Row {
    const char* name;
    std::string before;  // whole messages
    std::string begun;
    nat::Tick limit;
  };
  const std::vector<Row> rows = {
      {"of what may be SIP", "", "OPTIO", kBeginningLimit},
      {"of what is SIP", "", kMessage.substr(0, kMessage.size() - 2), kMessageLimit},
      {"where SIP was spoken", kMessage, "OPTIO", kMessageLimit},
  };
  for (const auto& row : rows) {
    DYNAMIC_SECTION(row.name) {
      Connections one(1);
      const auto place = static_cast<std::uint32_t>(row.before.size());
      if (place > 0) CHECK(one.say(0, 0, row.before) == Fate::forward);
      one.acknowledge(0, place, 65535);
      CHECK(one.say(0, place, row.begun) == Fate::consumed);
      one.pass(row.limit - 1);
      CHECK(one.count(Counter::stream_not_whole) == 0);
      CHECK(one.sent.empty());
      one.pass(1);
      CHECK(one.count(Counter::stream_not_whole) == 1);
      CHECK(one.count(Counter::stream_not_mine) == 0);
      CHECK((one.sent == std::vector{place}));
    }
  }
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

TEST_CASE("who has said something and is silent holds nothing", "[alg][stream][ahead]") {
  Connections one(1);
  std::uint32_t place = 0;
  for (int i = 0; i < 3; ++i) {
    CHECK(one.say(0, place, kMessage) == Fate::forward);
    place += static_cast<std::uint32_t>(kMessage.size());
    one.answer(0, place, "");
    CHECK(one.held() == 0);
  }
}

TEST_CASE("messages that grow and do not end leave others their memory, and are given up",
          "[alg][stream][ahead]") {
  constexpr std::size_t kMany = 20;
  Connections all(kMany + 1);
  const auto message = message_of(65000).substr(0, 64000);
  std::array<std::uint32_t, kMany> places{};
  for (std::size_t i = 0; i < kMany; ++i) {
    for (std::size_t at = 0; at < message.size(); at += 1400) {
      const auto part = message.substr(at, 1400);
      if (all.say(i, places[i], part) == Fate::drop) break;
      places[i] += static_cast<std::uint32_t>(part.size());
    }
  }
  std::uint32_t place = 0;
  for (int minute = 0; minute < 10; ++minute) {
    for (std::size_t i = 0; i < kMany; ++i) {
      if (all.say(i, places[i], "x") != Fate::drop) ++places[i];
    }
    CHECK(all.say(kMany, place, kMessage) != Fate::drop);
    place += static_cast<std::uint32_t>(kMessage.size());
    all.answer(kMany, place, "");
    all.pass(nat::ticks_from_s(30));
  }
  all.pass(nat::ticks_from_s(300));
  CHECK(all.held() == 0);
}

TEST_CASE(
    "messages of some chunks get through beside those that do not end, and those that nobody acknowledges",
    "[alg][stream][ahead]") {
  const bool ends = GENERATE(false, true);
  CAPTURE(ends);
  constexpr std::size_t kMany = 90;
  constexpr std::size_t kRounds = 20;
  Connections all(kMany + kRounds);
  std::array<std::uint32_t, kMany + kRounds> places{};
  // What is dropped comes again.
  const auto say = [&](std::size_t i, const std::string& text, int tries) {
    for (std::size_t at = 0; at < text.size() && tries > 0; at += 1400) {
      const auto part = text.substr(at, 1400);
      while (all.say(i, places[i], part) == Fate::drop && --tries > 0) all.pass(nat::ticks_from_s(10));
      places[i] += tries > 0 ? static_cast<std::uint32_t>(part.size()) : 0;
    }
  };
  const auto bad = ends ? message_of(14000) : message_of(65000).substr(0, 64000);
  for (std::size_t i = 0; i < kMany; ++i) say(i, bad, 1);
  std::size_t through = 0;
  for (std::size_t round = 0; round < kRounds; ++round) {
    for (std::size_t i = 0; i < kMany && !ends; ++i) say(i, "x", 1);
    const auto before = all.messages.size();
    say(kMany + round, message_of(3000), 3);
    through += all.messages.size() > before ? 1 : 0;
    all.answer(kMany + round, places[kMany + round], "");
    all.pass(nat::ticks_from_s(30));
  }
  CHECK(through >= kRounds - 3);
}

TEST_CASE("whole messages that find no room to go out do not wait for one another for ever",
          "[alg][stream][ahead]") {
  Connections all(kChunks + 1);
  const auto message = message_of(1000);
  const auto last = static_cast<std::uint32_t>(message.size()) - 1;
  for (std::size_t i = 0; i < kChunks; ++i) REQUIRE(all.say(i, 0, message.substr(0, last)) != Fate::drop);
  REQUIRE(all.held() == kChunks);
  for (std::size_t i = 0; i < kChunks; ++i) static_cast<void>(all.say(i, last, message.substr(last)));
  CHECK(all.messages.empty());
  all.pass(2 * kMessageLimit);
  CHECK(all.held() <= kChunks / 2);
  CHECK(all.say(kChunks, 0, kMessage) != Fate::drop);
  CHECK(std::ranges::count(all.messages, kMessage) == 1);
}

TEST_CASE("whoever keeps a connection busy and acknowledges nothing leaves others their memory",
          "[alg][stream][ahead]") {
  struct Row {
    const char* name;
    std::uint16_t window;
    std::string begun;  // behind the message that is not acknowledged
    std::string more;   // every minute
  };
  const Row rows[] = {{"the receiver repeats itself, and takes nothing", 0, "O", ""},
                      {"the receiver repeats itself, and takes more", 30000, "O", ""},
                      {"the sender keeps alive", 65535, "", "\r\n\r\n"}};
  for (const auto& [name, window, begun, more] : rows) {
    DYNAMIC_SECTION(name) {
      constexpr std::size_t kMany = kChunks / 2;
      constexpr std::size_t kRounds = 40;
      Connections all(kMany + kRounds);
      const std::string first = kMessage + begun;
      for (std::size_t i = 0; i < kMany; ++i) static_cast<void>(all.say(i, 0, first));
      REQUIRE(all.held() >= kChunks - 2);
      auto place = static_cast<std::uint32_t>(first.size());
      std::size_t through = 0;
      for (std::size_t round = 0; round < kRounds; ++round) {
        for (std::size_t i = 0; i < kMany; ++i) {
          all.acknowledge(i, 0, window);
          if (round % 2 == 0) static_cast<void>(all.say(i, place, more));
        }
        if (round % 2 == 0) place += static_cast<std::uint32_t>(more.size());
        const auto before = all.messages.size();
        static_cast<void>(all.say(kMany + round, 0, kMessage));
        through += all.messages.size() > before ? 1 : 0;
        all.answer(kMany + round, static_cast<std::uint32_t>(kMessage.size()), "");
        all.pass(nat::ticks_from_s(30));
      }
      CHECK(through >= kRounds - 3);
      CHECK(all.held() <= kChunks / 2);
    }
  }
}

TEST_CASE("who acknowledges what was held and never sent is not believed", "[alg][stream][ahead]") {
  const std::size_t held = GENERATE(std::size_t{1000}, std::size_t{5000});
  Connections two(2);
  REQUIRE(two.say_all(0, message_of(65000).substr(0, held)));
  // Nothing is free when both sides turn out to speak something else; something is when that is acknowledged.
  two.take_all_chunks();
  CHECK(two.answer(0, 0, "HTTP/1.1 200 OK\r\n\r\n") != Fate::drop);
  two.give_back_chunks();
  two.sent.clear();
  two.answer(0, static_cast<std::uint32_t>(held), "");
  two.pass(nat::ticks_from_s(60));
  // All of it goes out, once it can, from its first byte on.
  REQUIRE_FALSE(two.sent.empty());
  CHECK(two.sent.front() == 0);
}

}  // namespace pinhole::alg::stream
