// SPDX-License-Identifier: BSD-3-Clause
// What the engine sends in the name of an end is as late as the latest that this end has sent itself: what is
// older than that the other end refuses to hear (PAWS, RFC 7323 section 5).
#include <catch2/catch.hpp>

#include <array>
#include <cstddef>
#include <string>
#include <vector>

#include "alg/sip/framer.hpp"
#include "alg/stream/engine.hpp"

namespace pinhole::alg::stream {

namespace {

constexpr Sequence kCaller = 5000;
constexpr Sequence kCalled = 7000;
constexpr std::uint32_t kChunks = 64;
constexpr std::uint32_t kCallersTime = 77;
const std::string kMessage = "OPTIONS sip:a@b SIP/2.0\r\nContent-Length: 0\r\n\r\n";
const auto kSize = static_cast<std::uint32_t>(kMessage.size());

/// A connection whose ends tell the time. The called one has answered, and says nothing of its own.
class Timed final : public StreamHost {
 public:
  Timed() {
    CHECK(take(Side::outside, kCaller, 0, TcpFlags::kSyn, kCallersTime) == Fate::forward);
    answers_syn(1000);
  }
  Reading read(Side, std::string_view) noexcept override { return {}; }
  void send(Side from, const OutSegment& segment) noexcept override {
    if (from == Side::inside) sent_at.push_back(segment.timestamps ? segment.timestamps->value : 0);
  }

  void answers_syn(std::uint32_t at) {
    constexpr std::uint8_t kFlags = TcpFlags::kSyn | TcpFlags::kAck;
    CHECK(take(Side::inside, kCalled, kCaller + 1, kFlags, at) == Fate::forward);
  }
  /// The caller says what stands from a place on.
  void says(std::uint32_t place, const std::string& text) {
    static_cast<void>(
        take(Side::outside, kCaller + 1 + place, kCalled + 1, TcpFlags::kAck, kCallersTime, text));
  }
  /// The called end has all up to a place, as it says at some time.
  void has(std::uint32_t place, std::uint32_t at) {
    static_cast<void>(take(Side::inside, kCalled + 1, kCaller + 1 + place, TcpFlags::kAck, at));
  }

  std::vector<std::uint32_t> sent_at;  // the times of what was sent in the name of the called end

 private:
  Fate take(Side from, Sequence sequence, Sequence acknowledgement, std::uint8_t flags, std::uint32_t at,
            const std::string& text = {}) {
    OutSegment stamped;
    stamped.timestamps = Timestamps{at, 0};
    std::array<std::byte, OutSegment::kMaxOptions> room{};
    const std::size_t size = stamped.write_options(room);
    Segment segment{
        sequence, acknowledgement, 8000, flags, std::span(room).first(size), std::as_bytes(std::span(text))};
    return engine_.take(stream_, from, segment, 1, *this).fate;
  }

  alg::sip::SipFramer framer_;
  nat::CounterBlock<alg::Counter> counters_;
  std::vector<std::byte> memory_ = std::vector<std::byte>(ChunkPool::bytes_needed(kChunks));
  std::vector<std::byte> scratch_ = std::vector<std::byte>(Engine::kMaxMessage);
  ChunkPool pool_{kChunks, memory_};
  Engine engine_{framer_, pool_, scratch_, counters_};
  Stream stream_;
};

struct Said {
  std::uint32_t place;  // of the caller's bytes: what it has
  std::uint32_t at;
};

}  // namespace

TEST_CASE("what is held is acknowledged with the latest time of its receiver, whatever was overtaken",
          "[alg][stream][AC-07][rfc7323]") {
  struct Row {
    const char* name;
    std::vector<Said> said;
    std::uint32_t latest;
  };
  const std::vector<Row> rows = {
      {"in order", {{kSize, 1010}, {2 * kSize, 1020}}, 1020},
      {"the same again, later", {{kSize, 1010}, {2 * kSize, 1020}, {2 * kSize, 1030}}, 1030},
      {"overtaken by what has more", {{2 * kSize, 1020}, {kSize, 1010}}, 1020},
      {"overtaken by what has as much", {{2 * kSize, 1020}, {2 * kSize, 1010}}, 1020},
      {"the clock wraps", {{kSize, 0x8000'0000U}, {2 * kSize, 5}}, 5},
      {"the clock has gone on beyond half its numbers",
       {{kSize, 1010}, {2 * kSize, 0x9000'0000U}},
       0x9000'0000U},
      {"of bytes that were never sent", {{2 * kSize, 1020}, {3 * kSize, 9999}}, 1020},
  };
  for (const auto& row : rows) {
    DYNAMIC_SECTION(row.name) {
      Timed connection;
      connection.says(0, kMessage);
      connection.says(kSize, kMessage);
      for (const auto& said : row.said) connection.has(said.place, said.at);
      connection.sent_at.clear();
      connection.says(2 * kSize, kMessage.substr(0, 20));
      CHECK(connection.sent_at == std::vector{row.latest});
    }
  }
}

TEST_CASE("the answer to a SYN tells the time each time that it is sent", "[alg][stream][rfc7323]") {
  const bool is_overtaken = GENERATE(false, true);
  CAPTURE(is_overtaken);
  Timed connection;
  connection.answers_syn(2000);
  if (is_overtaken) connection.answers_syn(1500);
  connection.says(0, kMessage.substr(0, 20));
  CHECK(connection.sent_at == std::vector{2000U});
}

}  // namespace pinhole::alg::stream
