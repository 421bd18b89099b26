// SPDX-License-Identifier: BSD-3-Clause
// Who speaks before he has shown that the answer to his SYN came to him is not listened to.
#include <catch2/catch.hpp>

#include <string>
#include <vector>

#include "alg/sip/framer.hpp"
#include "alg/stream/engine.hpp"

namespace pinhole::alg::stream {

namespace {

constexpr Sequence kCaller = 5000;
constexpr std::uint32_t kChunks = 64;
const std::string kMessage = "OPTIONS sip:a@b SIP/2.0\r\nContent-Length: 0\r\n\r\n";

/// A connection of which the SYNs of both sides have passed.
class Opened final : public StreamHost {
 public:
  explicit Opened(Sequence called) : called_(called) {
    calls();
    CHECK(answers_syn());
  }
  /// What answers another SYN comes before the right answer.
  Opened(Sequence called, Sequence old_answer) : called_(called) {
    calls();
    Segment old{old_answer, kCaller - 10, 8000, TcpFlags::kSyn | TcpFlags::kAck, {}, {}};
    CHECK(engine_.take(stream_, Side::inside, old, 1, *this).fate == Fate::forward);
    CHECK(old.sequence == old_answer);
    CHECK(answers_syn());
  }
  Reading read(Side, std::string_view) noexcept override {
    ++read_;
    return {};
  }
  void send(Side, const OutSegment&) noexcept override { ++sent_; }

  [[nodiscard]] bool answers_syn() {
    constexpr std::uint8_t kFlags = TcpFlags::kSyn | TcpFlags::kAck;
    return takes(Side::inside, {called_, kCaller + 1, 8000, kFlags, {}, {}});
  }
  [[nodiscard]] bool calls_anew() {
    return takes(Side::outside, {kCaller + 700'000, 0, 8000, TcpFlags::kSyn, {}, {}});
  }
  [[nodiscard]] Fate fate_of(Side from, Sequence acknowledgement) {
    Segment pure{called_ + 1, acknowledgement, 8000, TcpFlags::kAck, {}, {}};
    return engine_.take(stream_, from, pure, 1, *this).fate;
  }
  [[nodiscard]] bool says(Side from, Sequence acknowledgement, const std::string& text,
                          std::uint8_t flags = TcpFlags::kAck) {
    const Sequence sequence = (from == Side::outside ? kCaller : called_) + 1;
    return takes(from, {sequence, acknowledgement, 8000, flags, {}, std::as_bytes(std::span(text))});
  }
  [[nodiscard]] unsigned read() const { return read_; }
  [[nodiscard]] unsigned sent() const { return sent_; }

 private:
  void calls() { CHECK(takes(Side::outside, {kCaller, 0, 8000, TcpFlags::kSyn, {}, {}})); }
  [[nodiscard]] bool takes(Side from, Segment segment) {
    return engine_.take(stream_, from, segment, 1, *this).fate != Fate::drop;
  }

  Sequence called_;
  alg::sip::SipFramer framer_;
  nat::CounterBlock<alg::Counter> counters_;
  std::vector<std::byte> memory_ = std::vector<std::byte>(ChunkPool::bytes_needed(kChunks));
  std::vector<std::byte> scratch_ = std::vector<std::byte>(Engine::kMaxMessage);
  ChunkPool pool_{kChunks, memory_};
  Engine engine_{framer_, pool_, scratch_, counters_};
  Stream stream_;
  unsigned read_ = 0;
  unsigned sent_ = 0;
};

}  // namespace

TEST_CASE("a side is read once it acknowledges what only it can have got", "[alg][stream]") {
  const Sequence called = GENERATE(7000U, 0xffffffffU, 0xfffffffeU, 0x7fffffffU);
  const Sequence wrong = GENERATE(0U, 2U, 100U, 0x7fffffffU, 0x80000000U, 0x80000001U, 0xffffffffU);
  CAPTURE(called, wrong);
  Opened connection(called);
  for (const std::string& text : {kMessage, std::string{}}) {
    CHECK_FALSE(connection.says(Side::outside, called + wrong, text));
    CHECK_FALSE(connection.says(Side::outside, called + wrong, text, TcpFlags::kAck | TcpFlags::kFin));
  }
  CHECK(connection.read() == 0);
  CHECK(connection.sent() == 0);
  SECTION("in the segment itself, and from then on") {
    CHECK(connection.says(Side::outside, called + 1, kMessage));
    CHECK(connection.read() == 1);
    CHECK(connection.says(Side::outside, called + 1, kMessage));  // sent again
  }
  SECTION("before it") {
    CHECK(connection.says(Side::outside, called + 1, ""));
    CHECK(connection.says(Side::outside, called + 1, kMessage));
    CHECK(connection.read() == 1);
  }
  SECTION("when the answer to its SYN had to be sent again") {
    CHECK(connection.answers_syn());
    CHECK(connection.says(Side::outside, called + 1, kMessage));
  }
}

TEST_CASE("a side that is called shows that it is there like the one that calls", "[alg][stream]") {
  Opened connection(7000);
  CHECK_FALSE(connection.says(Side::inside, kCaller + 2, kMessage));
  CHECK(connection.read() == 0);
  CHECK(connection.says(Side::inside, kCaller + 1, kMessage));
  CHECK(connection.read() == 1);
  CHECK(connection.says(Side::outside, 7001, kMessage));
  CHECK(connection.read() == 2);
}

TEST_CASE("what answers the SYN of another connection is not the beginning of this one", "[alg][stream]") {
  Opened talk(9000, 777);
  CHECK(talk.says(Side::outside, 9001, kMessage));
  CHECK(talk.read() == 1);
}

TEST_CASE("who begins anew with half a message held is told that his old connection is there",
          "[alg][stream]") {
  // The answer to his SYN acknowledges what he was told long ago: he resets the old connection by it (RFC
  // 5961).
  const bool anew = GENERATE(false, true);
  CAPTURE(anew);
  Opened connection(7000);
  CHECK(connection.says(Side::inside, kCaller + 1, ""));
  CHECK(connection.says(Side::outside, 7001, kMessage.substr(0, 20)));
  if (anew) CHECK(connection.calls_anew());
  CHECK(connection.fate_of(Side::inside, kCaller + 1) == (anew ? Fate::forward : Fate::consumed));
}

TEST_CASE("a forged SYN is of no account once its alleged sender goes on", "[alg][stream][rfc5961]") {
  Opened connection(7000);
  const auto half = kMessage.substr(0, 20);
  CHECK(connection.says(Side::inside, kCaller + 1, ""));
  CHECK(connection.says(Side::outside, 7001, half));
  CHECK(connection.calls_anew());
  CHECK(connection.says(Side::outside, 7001, half));
  CHECK(connection.fate_of(Side::inside, kCaller + 1) == Fate::consumed);
}

TEST_CASE("a reset passes whatever it acknowledges", "[alg][stream]") {
  Opened connection(7000);
  CHECK(connection.says(Side::outside, 0, "", TcpFlags::kRst));
}

}  // namespace pinhole::alg::stream
