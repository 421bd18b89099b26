// SPDX-License-Identifier: BSD-3-Clause
#include "alg/ftp/line.hpp"

#include <catch2/catch.hpp>

#include <string>
#include <string_view>
#include <vector>

using namespace pinhole::alg::ftp;

namespace {

/// The pieces that a stream is cut into when it comes in parts of `step` bytes.
std::vector<std::string> cut(std::string_view stream, std::size_t step) {
  std::vector<std::string> pieces;
  std::size_t begin = 0;
  pinhole_framing framing{};
  for (std::size_t come = 0; begin < stream.size();) {
    if (begin + framing.scanned == come) {
      if (come == stream.size()) break;
      come = std::min(come + step, stream.size());
    }
    const auto fresh = stream.substr(begin + framing.scanned, come - begin - framing.scanned);
    const auto frame = frame_line(framing, fresh);
    if (frame.kind == PINHOLE_FRAME_MORE) {
      framing.scanned += static_cast<std::uint32_t>(fresh.size());
      continue;
    }
    REQUIRE(frame.length > 0);
    REQUIRE(begin + frame.length <= come);
    REQUIRE(frame.kind == PINHOLE_FRAME_MESSAGE);
    pieces.emplace_back(stream.substr(begin, frame.length));
    begin += frame.length;
    framing = {};
  }
  return pieces;
}

}  // namespace

TEST_CASE("lines end with LF, however they come", "[alg][ftp]") {
  const std::string_view stream =
      "USER a\r\npass b\n\r\n\xFF\xF4\xFF\xF2"
      "ABOR\r\n";
  const std::vector<std::string> lines{"USER a\r\n", "pass b\n", "\r\n",
                                       "\xFF\xF4\xFF\xF2"
                                       "ABOR\r\n"};
  for (std::size_t step = 1; step <= stream.size(); ++step) CHECK(cut(stream, step) == lines);
}

TEST_CASE("what begins like no text is held by nobody", "[alg][ftp]") {
  CHECK(cut("\x16\x03\x01hello", 8) == std::vector<std::string>{"\x16\x03\x01hello"});
  CHECK(cut("\x16\x03\nQUIT\r\n", 100) == std::vector<std::string>{"\x16\x03\n", "QUIT\r\n"});
}

TEST_CASE("a line longer than there is room for is cut", "[alg][ftp]") {
  const std::string stream = "STOR " + std::string(kMaxLine, 'a') + "\r\nQUIT\r\n";
  for (const std::size_t step : {1U, 7U, 4095U, 4096U, 4097U, 9000U}) {
    const auto pieces = cut(stream, step);
    REQUIRE(pieces.size() == 3);
    CHECK(pieces[0].size() == kMaxLine);
    CHECK(pieces[1] == "aaaaa\r\n");
    CHECK(pieces[2] == "QUIT\r\n");
  }
}

TEST_CASE("a reply is a code and a mark", "[alg][ftp]") {
  struct Row {
    std::string_view line;
    std::uint16_t code;
    bool goes_on;
  };
  for (const Row row :
       {Row{"220 hello\r\n", 220, false}, Row{"220-hello\r\n", 220, true}, Row{"220\r\n", 220, false},
        Row{"220\n", 220, false}, Row{"2200\r\n", 0, false}, Row{"22 a\r\n", 0, false},
        Row{" 220 a\r\n", 0, false}, Row{"099 a\r\n", 0, false}, Row{"700 a\r\n", 0, false},
        Row{"\xFF\xFB\x01"
            "220 hello\r\n",
            220, false},
        Row{"\xFF", 0, false}, Row{"", 0, false}}) {
    INFO(row.line);
    const auto reply = read_reply(row.line);
    CHECK(reply.code == row.code);
    CHECK(reply.goes_on == row.goes_on);
  }
}
