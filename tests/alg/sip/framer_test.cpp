// SPDX-License-Identifier: BSD-3-Clause
#include "alg/sip/framer.hpp"

#include <catch2/catch.hpp>

#include <string>
#include <vector>

#include "alg/stream/engine.hpp"

namespace pinhole::alg::sip {

namespace {

using stream::Frame;
using stream::FramerState;

/// Feeds a text in pieces of one size. \return the first frame that is known, or `more`
Frame feed(std::string_view text, std::size_t piece) {
  const SipFramer framer;
  FramerState state;
  Frame frame;
  for (std::size_t at = 0; at < text.size() && frame.kind == Frame::Kind::more; at += piece) {
    frame = framer.feed(state, text.substr(at, piece));
  }
  return frame;
}

struct Case {
  const char* name;
  std::string text;
  Frame::Kind kind;
  std::size_t size;
};

const std::string kStart = "INVITE sip:bob@example.com SIP/2.0\r\n";

std::vector<Case> cases() {
  using enum Frame::Kind;
  return {
      {"no Content-Length: no body", kStart + "Via: x\r\n\r\n", message, 46},
      {"Content-Length", kStart + "Content-Length: 7\r\n\r\nabcdefgMORE", message, 64},
      {"in its compact form", kStart + "l:7\r\n\r\n", message, 50},
      {"in other letters, with white space", kStart + "cOnTeNt-LeNgTh \t : \t 7 \r\n\r\n", message, 70},
      {"folded", kStart + "l:\r\n 7\r\n\r\n", message, 53},
      {"folded behind its digits", kStart + "l: 7\r\n \r\n\r\n", message, 54},
      {"a name that goes on", kStart + "Content-Length-X: 9\r\nlx: 9\r\n\r\n", message, 66},
      {"a name that ends early", kStart + "Content: 9\r\nC: 9\r\n\r\n", message, 56},
      {"lines that end with LF alone", "OPTIONS sips:a SIP/2.0\nl: 3\n\nabc", message, 32},
      {"an answer", "SIP/2.0 200 OK\r\nl: 0\r\n\r\n", message, 24},
      {"a method that nobody knows", "FOO-1 tel:+1 SIP/2.0\r\n\r\n", message, 24},
      {"65,535 bytes", kStart + "l: 65489\r\n\r\n", message, 65535 + 2},
      {"line ends are skipped", "\r\n\r\nINVITE", skip, 4},
      {"zero bytes too", std::string(4, '\0'), skip, 4},
      {"TLS", "\x16\x03\x01", not_mine, 0},
      {"HTTP", "GET ", not_mine, 0},
      {"HTTP that names a SIP URI", "POST sip:a SIP/2.0\r\n\r\n", not_mine, 0},
      {"HTTP OPTIONS", "OPTIONS * HTTP/1.1\r\n\r\n", not_mine, 0},
      {"a method of SIP with HTTP", "REGISTER http://a/ HTTP/1.1\r\n", not_mine, 0},
      {"SSH", "SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n", not_mine, 0},
      {"a word without end", std::string(80, 'A'), not_mine, 0},
      {"a start line without end", "A sip:" + std::string(9000, 'a'), not_mine, 0},
      {"headers without end", kStart + "X: " + std::string(70000, 'a'), not_mine, 0},
      {"no number", kStart + "l: x\r\n\r\n", not_mine, 0},
      {"no digits", kStart + "l:\r\n\r\n", not_mine, 0},
      {"a huge number", kStart + "l: 99999999999999999999\r\n\r\n", not_mine, 0},
      {"two numbers", kStart + "l: 1 2\r\n\r\n", not_mine, 0},
      {"two lengths", kStart + "l: 1\r\nContent-Length: 2\r\n\r\n", not_mine, 0},
      {"not whole", kStart + "Via: x\r\n", more, 0},
      {"not whole in its first word", "INV", more, 0},
  };
}

}  // namespace

TEST_CASE("the end of a message is where Content-Length says, however its head is cut",
          "[alg][stream][sip][rfc3261][AC-06][AC-07][AC-20][AC-23]") {
  for (const auto& one : cases()) {
    for (const std::size_t piece : {std::size_t{1}, std::size_t{2}, std::size_t{7}, one.text.size()}) {
      DYNAMIC_SECTION(one.name << ", " << piece << " bytes at a time") {
        auto frame = feed(one.text, piece);
        auto kind = one.kind;
        auto size = one.size;
        if (kind == Frame::Kind::message && size > stream::Engine::kMaxMessage) kind = Frame::Kind::skip;
        if (kind == Frame::Kind::skip && one.size <= 4) size = std::min(size, piece);  // what there is of it
        CHECK(frame.kind == kind);
        CHECK(frame.size == size);
      }
    }
  }
}

TEST_CASE("only what a message of another protocol can be is held until its first line has ended",
          "[alg][stream][sip][AC-20]") {
  const SipFramer framer;
  FramerState state;
  CHECK(framer.feed(state, "INVITE ").kind == Frame::Kind::more);
  CHECK_FALSE(state.begun);
  CHECK(framer.feed(state, "sip:").kind == Frame::Kind::more);
  CHECK(state.begun);
}

}  // namespace pinhole::alg::sip
