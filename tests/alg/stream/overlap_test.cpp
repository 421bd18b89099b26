// SPDX-License-Identifier: BSD-3-Clause
// Bytes that come again as other bytes, and ends that contradict one another: the first version counts, and
// the second goes nowhere (requirement AC-07).
#include <catch2/catch.hpp>

#include <optional>
#include <string>
#include <vector>

#include "tests/alg/stream/speaker.hpp"

namespace pinhole::alg::stream {

namespace {

using test::Speaker;

const std::string kMessage = "MESSAGE sip:a@b SIP/2.0\r\nContent-Length: 100\r\n\r\n" + std::string(100, 'x');
const auto kEnd = static_cast<std::uint32_t>(kMessage.size());
constexpr std::uint32_t kPart = 80;  // within the body

std::string part(std::uint32_t begin, std::uint32_t end) {
  return kMessage.substr(begin, end - begin);
}
/// What somebody else would have there.
std::string forged(std::uint32_t begin, std::uint32_t end) {
  auto text = part(begin, end);
  text.back() = 'y';
  return text;
}

struct Said {
  std::uint32_t place = 0;
  std::string text;
  bool fin = false;
};

}  // namespace

TEST_CASE("bytes that contradict what came before are refused, and the first version arrives",
          "[alg][stream][AC-07]") {
  struct Row {
    const char* name;
    Said first;
    Said second;
    std::optional<Said> rest;
    bool waits = false;
  };
  const Row rows[] = {
      {"a message that waits to be read", {0, kMessage}, {0, forged(0, kEnd)}, {}, true},
      {"one that went out and is not acknowledged", {0, kMessage}, {0, forged(0, kEnd)}, {}},
      {"the end of one, and new bytes behind it", {0, kMessage}, {kEnd - 9, "xxxxxxxxyOPTIONS "}, {}},
      {"a range ahead", {kPart, part(kPart, kEnd)}, {kPart, forged(kPart, kEnd)}, Said{0, part(0, kPart)}},
      {"new bytes, and some of a range ahead",
       {kPart, part(kPart, kEnd)},
       {0, forged(0, kPart + 5)},
       Said{0, part(0, kPart)}},
      {"bytes ahead that reach into a range",
       {kPart, part(kPart, kEnd)},
       {kPart - 9, forged(kPart - 9, kPart + 1)},
       Said{0, part(0, kPart)}},
      {"bytes behind the end", {0, kMessage, true}, {kEnd, "OPTIONS "}, {}},
      {"bytes that cross an end that came ahead",
       {kPart, part(kPart, kEnd), true},
       {kEnd - 9, "xxxxxxxxxOPTIONS "},
       Said{0, part(0, kPart)}},
      {"an end before one that came",
       {kPart, part(kPart, kEnd), true},
       {0, part(0, kPart), true},
       Said{0, part(0, kPart)}},
      {"an end behind one that came", {0, kMessage, true}, {0, kMessage + "x", true}, {}},
      {"an end before bytes that came",
       {kPart, part(kPart, kEnd)},
       {0, part(0, kPart), true},
       Said{0, part(0, kPart)}},
  };
  for (const Side side : {Side::inside, Side::outside}) {
    for (const auto& row : rows) {
      DYNAMIC_SECTION((side == Side::inside ? "inside: " : "outside: ") << row.name) {
        Speaker speaker(side);
        speaker.waits = row.waits;
        CHECK(speaker.say(row.first.place, row.first.text, row.first.fin).fate != Fate::drop);
        const auto arrived = speaker.arrived;
        const auto messages = speaker.messages;
        const auto taken = speaker.say(row.second.place, row.second.text, row.second.fin);
        CHECK(taken.fate == Fate::drop);
        CHECK(taken.reason == nat::DropReason::drop_stream_overlap);
        CHECK(speaker.arrived == arrived);
        CHECK(speaker.messages == messages);

        if (row.waits) speaker.resume();
        if (row.rest) CHECK(speaker.say(row.rest->place, row.rest->text).fate != Fate::drop);
        CHECK(speaker.messages == std::vector{kMessage});
        CHECK(speaker.arrived == kMessage);
      }
    }
  }
}

TEST_CASE("bytes that their sender was acknowledged go nowhere as others, whoever acknowledged them",
          "[alg][stream][AC-07]") {
  struct Row {
    const char* name;
    std::uint32_t come;   // of the message
    bool receiver_has;    // it acknowledges them; else the engine does alone
    std::uint32_t begin;  // of what comes as other bytes
    std::uint32_t end;
    Fate fate;           // an empty segment is forwarded so that the receiver says again what it has
    std::string more{};  // right bytes behind
  };
  const Row rows[] = {
      {"held, and all of it again", kPart, false, 0, kPart, Fate::consumed},
      {"held, and a part of it again", kPart, false, 20, 60, Fate::consumed},
      {"held, and new bytes behind it", kPart, false, 20, kPart, Fate::consumed, part(kPart, kEnd - 5)},
      {"the receiver has them", kEnd, true, 0, kEnd, Fate::forward},
      {"the receiver has a part of what comes", kEnd, true, kEnd - 9, kEnd, Fate::consumed, "\r\n\r\n"},
  };
  for (const Side side : {Side::inside, Side::outside}) {
    for (const auto& row : rows) {
      DYNAMIC_SECTION((side == Side::inside ? "inside: " : "outside: ") << row.name) {
        Speaker speaker(side);
        CHECK(speaker.say(0, part(0, row.come)).fate != Fate::drop);
        if (row.receiver_has) speaker.acknowledge(row.come);
        CHECK(speaker.acknowledged == row.come);
        const auto arrived = speaker.arrived;
        CHECK(speaker.say(row.begin, forged(row.begin, row.end) + row.more).fate == row.fate);
        CHECK(speaker.acknowledged >= row.come);
        CHECK(speaker.arrived == arrived + (row.receiver_has ? row.more : ""));

        const auto next =
            row.end == row.come ? row.come + static_cast<std::uint32_t>(row.more.size()) : row.come;
        if (next < kEnd) CHECK(speaker.say(next, part(next, kEnd)).fate != Fate::drop);
        CHECK(speaker.messages == std::vector{kMessage});
        CHECK(speaker.arrived == kMessage + (row.receiver_has ? row.more : ""));
      }
    }
  }
}

}  // namespace pinhole::alg::stream
