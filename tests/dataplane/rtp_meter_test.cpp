// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/rtp_meter.hpp"

#include <algorithm>
#include <catch2/catch.hpp>
#include <cmath>
#include <cstdlib>
#include <random>
#include <string>
#include <vector>

using namespace pinhole;
using namespace pinhole::dataplane;
using ipc::FlowMeter;

namespace {

constexpr std::uint32_t kFrame_us = 20'000;

/// One packet that comes.
struct Rtp {
  std::uint16_t sequence = 0;
  std::uint32_t timestamp = 0;
  std::uint32_t at_us = 0;
  std::uint32_t ssrc = 7;
  std::uint8_t payload_type = 0;
  std::uint8_t first_byte = 0x80;
};

std::vector<std::byte> bytes_of(const Rtp& rtp, std::size_t size = 172) {
  std::vector<std::byte> bytes(size);
  const auto put = [&](std::size_t at, std::size_t count, std::uint32_t value) {
    for (std::size_t i = 0; i < count && at + i < size; ++i)
      bytes[at + i] = static_cast<std::byte>(value >> (8 * (count - 1 - i)));
  };
  put(0, 1, rtp.first_byte);
  put(1, 1, rtp.payload_type);
  put(2, 2, rtp.sequence);
  put(4, 4, rtp.timestamp);
  put(8, 4, rtp.ssrc);
  return bytes;
}

void take(FlowMeter& meter, const Rtp& rtp, const alg::RtpClocks& clocks = {}) {
  measure(meter, bytes_of(rtp), clocks, rtp.at_us);
}

double jitter_us(const FlowMeter& meter) {
  return meter.jitter / 16.0;
}

}  // namespace

TEST_CASE("loss is what is missing of the numbers, whatever comes twice or late",
          "[dataplane][rtp][rfc3550]") {
  struct Row {
    const char* name;
    std::vector<int> sequence;  // in the order in which they come; from 65536 on wrapped
    std::uint32_t packets;
    std::uint32_t lost;
    std::uint32_t repeated;
    unsigned sources = 1;
  };
  std::vector<int> long_run;
  for (int i = 0; i < 200'000; ++i) {
    if (i % 10 != 3) long_run.push_back(i);
  }
  const std::vector<Row> rows = {
      {"one packet", {5}, 1, 0, 0},
      {"in order", {5, 6, 7, 8}, 4, 0, 0},
      {"one is missing", {5, 6, 8}, 3, 1, 0},
      {"several are missing", {5, 10, 20}, 3, 13, 0},
      {"over the end of the numbers", {65534, 65535, 65536, 65537}, 4, 0, 0},
      {"missing over the end of the numbers", {65534, 65538}, 2, 3, 0},
      {"two change places", {5, 7, 6, 8}, 4, 0, 0},
      {"change places over the end of the numbers", {65534, 65536, 65535, 65537}, 4, 0, 0},
      {"twice", {5, 6, 6, 7}, 3, 0, 1},
      {"twice and late", {5, 6, 7, 8, 6}, 4, 0, 1},
      {"twice makes up for no lost one", {5, 6, 6, 8}, 3, 1, 1},
      {"late twice", {5, 7, 6, 6}, 3, 0, 1},
      {"the first one comes late", {5, 4}, 2, 0, 0},
      {"from before the first one, with one missing", {5, 3}, 2, 1, 0},
      {"from before the first one, all the same", {5, 3, 4}, 3, 0, 0},
      {"63 late", {5, 69, 6, 7}, 4, 61, 0},
      {"64 late is lost", {5, 70, 6}, 2, 64, 1},
      {"100 late is lost", {500, 400}, 1, 0, 1},
      {"a long outage", {5, 2999 + 5}, 2, 2998, 0},
      {"one stray number", {5, 30000, 6}, 2, 0, 0},
      {"a sender that begins anew", {5, 6, 30000, 30001, 30002}, 5, 0, 0, 2},
      {"a sender that begins anew behind itself", {30000, 5, 6}, 3, 0, 0, 2},
      {"two strays that do not fit together", {5, 30000, 31000, 6}, 2, 0, 0},
      {"one in ten of 200,000", long_run, 180'000, 20'000, 0},
  };
  for (const auto& row : rows) {
    DYNAMIC_SECTION(row.name) {
      FlowMeter meter;
      for (const auto number : row.sequence) take(meter, {.sequence = static_cast<std::uint16_t>(number)});
      CHECK(meter.packets == row.packets);
      CHECK(meter.lost == row.lost);
      CHECK(meter.repeated == row.repeated);
      CHECK(meter.sources == row.sources);
    }
  }
}

TEST_CASE("under random loss, order and repetition the sums are those of a list", "[dataplane][rtp]") {
  const auto seed = std::random_device{}();
  INFO("seed " << seed);
  std::mt19937 random(seed);
  FlowMeter meter;
  // Nothing goes further than the window from its place, so that the sums are exact.
  constexpr unsigned kCount = 50'000;
  constexpr unsigned kBlock = 30;
  const auto first = static_cast<std::uint16_t>(random());
  unsigned came = 0;
  unsigned repeated = 0;
  for (unsigned block = 0; block < kCount; block += kBlock) {
    std::vector<unsigned> order;
    for (unsigned i = 0; i < kBlock; ++i) {
      // The ends are there, or nobody could know of them.
      const bool is_end = block + i == 0 || block + i + 1 >= kCount;
      if (!is_end && random() % 5 == 0) continue;
      ++came;
      order.push_back(block + i);
      if (random() % 7 != 0) continue;
      ++repeated;
      order.push_back(block + i);
    }
    std::shuffle(order.begin(), order.end(), random);
    for (const auto number : order) take(meter, {.sequence = static_cast<std::uint16_t>(first + number)});
  }
  CHECK(meter.packets == came);
  CHECK(meter.repeated == repeated);
  CHECK(meter.packets + meter.lost == (kCount + kBlock - 1) / kBlock * kBlock);
  CHECK(meter.sources == 1);
}

TEST_CASE("another source begins a measurement that adds to the sums", "[dataplane][rtp]") {
  FlowMeter meter;
  take(meter, {.sequence = 10, .timestamp = 0, .at_us = 0, .ssrc = 1});
  take(meter, {.sequence = 12, .timestamp = 320, .at_us = 60'000, .ssrc = 1});
  CHECK(meter.lost == 1);
  CHECK(jitter_us(meter) > 0);
  const auto jitter_max = meter.jitter_max;
  take(meter, {.sequence = 50'000, .timestamp = 123'456, .at_us = 900'000, .ssrc = 2});
  CHECK(jitter_us(meter) == 0);
  take(meter, {.sequence = 50'003, .timestamp = 123'456 + 480, .at_us = 960'000, .ssrc = 2});
  CHECK(meter.packets == 4);
  CHECK(meter.lost == 3);
  CHECK(meter.sources == 2);
  CHECK(meter.jitter_max == jitter_max);
  CHECK(meter.gap_max_us == 60'000);  // what lies between two sources is nobody's
}

TEST_CASE("jitter is that of the known series", "[dataplane][rtp][rfc3550]") {
  struct Row {
    const char* name;
    unsigned rate;
    std::uint8_t payload_type;
    alg::RtpClock told;  // by a description
  };
  const auto row =
      GENERATE(Row{"G.711", 8000, 0, 0}, Row{"told 8000", 8000, 101, alg::rtp_clock_of(8000)},
               Row{"nobody has told", 8000, 111, 0}, Row{"Opus", 48'000, 111, alg::rtp_clock_of(48'000)},
               Row{"AMR-WB", 16'000, 97, alg::rtp_clock_of(16'000)},
               Row{"H.264", 90'000, 127, alg::rtp_clock_of(90'000)}, Row{"H.263", 90'000, 34, 0},
               Row{"L16", 44'100, 11, 0});
  DYNAMIC_SECTION(row.name) {
    alg::RtpClocks clocks;
    clocks.set(row.payload_type, row.told);
    FlowMeter meter;
    std::mt19937 random(20'261'127);
    // Both clocks wrap on the way.
    const auto first_timestamp = ~std::uint32_t{0} - 100 * row.rate / 50;
    const std::uint32_t first_us = ~std::uint32_t{0} - 200 * kFrame_us;
    double expected = 0;
    double most = 0;
    double transit_before = 0;
    for (unsigned i = 0; i < 1000; ++i) {
      const auto late = static_cast<std::uint32_t>(random() % 15'000);
      take(meter,
           {.sequence = static_cast<std::uint16_t>(i),
            .timestamp = first_timestamp + i * (row.rate / 50),
            .at_us = first_us + i * kFrame_us + late,
            .payload_type = row.payload_type},
           clocks);
      if (i > 0) expected += (std::abs(late - transit_before) - expected) / 16;
      most = std::max(most, expected);
      transit_before = late;
    }
    CHECK(jitter_us(meter) == Approx(expected).margin(2));
    CHECK(meter.jitter_max / 16.0 == Approx(most).margin(2));
    CHECK(meter.lost == 0);
  }
}

TEST_CASE("what is no jitter is not counted as such", "[dataplane][rtp]") {
  FlowMeter meter;
  take(meter, {.sequence = 1, .timestamp = 1000, .at_us = 0});
  SECTION("packets of one timestamp: a key that is held, a picture in parts") {
    for (std::uint16_t i = 1; i <= 10; ++i)
      take(meter, {.sequence = static_cast<std::uint16_t>(1 + i), .timestamp = 1160, .at_us = i * kFrame_us});
    take(meter, {.sequence = 12, .timestamp = 1160 + 1600, .at_us = 11 * kFrame_us});
    CHECK(jitter_us(meter) == 0);
    CHECK(meter.packets == 12);
  }
  SECTION("silence that is not sent") {
    take(meter, {.sequence = 2, .timestamp = 1000 + 80'000, .at_us = 10'000'000});
    CHECK(jitter_us(meter) == 0);
    CHECK(meter.gap_max_us == 10'000'000);
  }
  SECTION("a step of the sender's clock") {
    take(meter, {.sequence = 2, .timestamp = 0x4000'0000, .at_us = kFrame_us});
    take(meter, {.sequence = 3, .timestamp = 0x4000'0000 + 160, .at_us = 2 * kFrame_us});
    CHECK(jitter_us(meter) == 0);
  }
}

TEST_CASE("the longest gap is between any two packets of a source", "[dataplane][rtp]") {
  FlowMeter meter;
  std::uint32_t at = 0;
  std::uint16_t sequence = 0;
  for (const std::uint32_t gap : {20'000U, 20'000U, 55'000U, 1'000U, 20'000U}) {
    take(meter, {.sequence = sequence++, .timestamp = 0, .at_us = at});
    at += gap;
  }
  take(meter, {.sequence = sequence, .timestamp = 0, .at_us = at});
  CHECK(meter.gap_max_us == 55'000);
}

TEST_CASE("what is not RTP is not measured", "[dataplane][rtp][rfc7983][rfc5761]") {
  struct Row {
    const char* name;
    std::uint8_t first_byte;
    std::uint8_t second_byte;
    std::size_t size;
    bool is_rtp;
  };
  const auto row = GENERATE(
      Row{"RTP", 0x80, 0, 12, true}, Row{"RTP with a marker", 0x80, 0x80 | 8, 172, true},
      Row{"RTP with padding, extension and sources", 0xbf, 96, 172, true},
      Row{"SRTP", 0x90, 0x80 | 111, 60, true}, Row{"too short", 0x80, 0, 11, false},
      Row{"nothing", 0x80, 0, 0, false}, Row{"a keep-alive", 0x0d, 0, 4, false},
      Row{"STUN", 0x00, 0x01, 40, false}, Row{"STUN's answer", 0x01, 0x01, 40, false},
      Row{"DTLS", 22, 0xfe, 100, false}, Row{"ZRTP", 0x10, 0, 40, false}, Row{"TURN", 0x40, 0, 100, false},
      Row{"version 3", 0xc0, 0, 172, false}, Row{"RTCP on the same port", 0x80, 200, 28, false},
      Row{"RTCP feedback", 0x81, 206, 16, false}, Row{"the last of RTCP", 0x80, 223, 28, false},
      Row{"the first dynamic one", 0x80, 96, 28, true});
  DYNAMIC_SECTION(row.name) {
    FlowMeter meter;
    measure(meter, bytes_of({.payload_type = row.second_byte, .first_byte = row.first_byte}, row.size), {},
            0);
    CHECK(meter.packets == (row.is_rtp ? 1 : 0));
    CHECK(meter.sources == (row.is_rtp ? 1 : 0));
  }
}

TEST_CASE("what descriptions tell of clocks comes together, the last word counting", "[dataplane][rtp]") {
  alg::RtpClocks clocks;
  CHECK(clocks.empty());
  clocks.set(96, alg::rtp_clock_of(48'000));
  clocks.set(127, alg::rtp_clock_of(90'000));
  clocks.set(0, alg::rtp_clock_of(48'000));  // says RFC 3551
  clocks.set(200, alg::rtp_clock_of(48'000));
  alg::RtpClocks later;
  later.set(96, alg::rtp_clock_of(8000));
  later.set(101, alg::rtp_clock_of(16'000));
  later.set(102, alg::rtp_clock_of(12'345));  // no clock that is known
  clocks.add(later);
  const auto rate = [&](unsigned type) { return alg::kRtpClockRates[clocks[type]]; };
  CHECK(rate(96) == 8000);
  CHECK(rate(101) == 16'000);
  CHECK(rate(102) == 8000);
  CHECK(rate(127) == 90'000);
  CHECK(rate(0) == 8000);
  CHECK(rate(9) == 8000);
  CHECK(rate(33) == 90'000);
  CHECK(clocks == alg::RtpClocks::from_words(clocks.words()));
}
