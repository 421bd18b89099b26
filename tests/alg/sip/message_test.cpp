// SPDX-License-Identifier: BSD-3-Clause
#include "alg/sip/message.hpp"

#include <catch2/catch.hpp>
#include <iterator>
#include <random>
#include <string>
#include <vector>

namespace pinhole::alg::sip {

namespace {

// A message made of a start line, the headers that every message has, and what a case adds.
std::string message(const std::string& start, const std::string& more) {
  return start +
         "\r\nVia: SIP/2.0/UDP 10.0.0.5;branch=z9hG4bK1\r\nFrom: <sip:a@b>;tag=1\r\nTo: "
         "<sip:c@d>\r\nCall-ID: "
         "x@y\r\nCSeq: 7 INVITE\r\n" +
         more;
}

const std::string kInvite = "INVITE sip:c@d SIP/2.0";

}  // namespace

TEST_CASE("a datagram is told to be SIP, a keep-alive, something else, or broken SIP",
          "[alg][message][AC-20]") {
  struct Row {
    const char* name;
    std::string bytes;
    ParseResult result;
  };
  const Row rows[] = {
      {"request", message(kInvite, "\r\n"), ParseResult::message},
      {"response", message("SIP/2.0 180 Ringing", "\r\n"), ParseResult::message},
      {"response without a reason", message("SIP/2.0 180", "\r\n"), ParseResult::message},
      {"line ends before it", "\r\n\r\n" + message(kInvite, "\r\n"), ParseResult::message},
      {"LF alone",
       "OPTIONS sip:a@b SIP/2.0\nv: SIP/2.0/UDP h\nf: <sip:a@b>\nt: <sip:c@d>\ni: x\nCSeq: 1 OPTIONS\n\n",
       ParseResult::message},
      {"a header without a colon", message(kInvite, "what is this\r\n\r\n"), ParseResult::message},
      {"empty", "", ParseResult::keepalive},
      {"CRLF", "\r\n", ParseResult::keepalive},
      {"double CRLF", "\r\n\r\n", ParseResult::keepalive},
      {"zero bytes", std::string(4, '\0'), ParseResult::keepalive},
      {"STUN", std::string("\0\1\0\0\x21\x12\xA4\x42", 8) + std::string(12, 'x'), ParseResult::keepalive},
      {"TLS", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", ParseResult::not_sip},
      {"HTTP", "GET / HTTP/1.1\r\nHost: x\r\n\r\n", ParseResult::not_sip},
      {"text", "hello", ParseResult::not_sip},
      {"a start line alone", kInvite, ParseResult::malformed},
      {"no empty line", message(kInvite, ""), ParseResult::malformed},
      {"a status out of range", message("SIP/2.0 4294967301 better not break", "\r\n"),
       ParseResult::malformed},
      {"no mandatory header", "INVITE sip:a@b SIP/2.0\r\nVia: SIP/2.0/UDP h\r\n\r\n", ParseResult::malformed},
      {"two Call-IDs", message(kInvite, "i: z\r\n\r\n"), ParseResult::malformed},
      {"body shorter than it says", message(kInvite, "Content-Length: 5\r\n\r\nabcd"),
       ParseResult::malformed},
      {"a negative length", message(kInvite, "Content-Length: -9\r\n\r\nabcd"), ParseResult::malformed},
      {"a length beyond all numbers", message(kInvite, "l: 99999999999999999999\r\n\r\n"),
       ParseResult::malformed},
      {"two lengths", message(kInvite, "l: 0\r\nContent-Length: 0\r\n\r\n"), ParseResult::malformed},
  };
  for (const auto& row : rows) {
    DYNAMIC_SECTION(row.name) {
      MessageView view;
      CHECK(view.parse(row.bytes) == row.result);
    }
  }
}

TEST_CASE("the body is what Content-Length says, or all that is left", "[alg][message][AC-06]") {
  MessageView view;
  const auto with = message(kInvite, "Content-Length : 3\r\n\r\nabcdef");
  REQUIRE(view.parse(with) == ParseResult::message);
  CHECK(view.body() == "abc");
  const auto without = message(kInvite, "\r\nabcdef");
  REQUIRE(view.parse(without) == ParseResult::message);
  CHECK(view.body() == "abcdef");
}

TEST_CASE("headers are known by long and compact names, folded and oddly spaced", "[alg][message][AC-16]") {
  MessageView view;
  const std::string bytes =
      "SUBSCRIBE  sip:c@d   SIP/2.0\r\nv :SIP/2.0/UDP h\r\nFROM\t:\r\n  <sip:a@b>\r\n "
      ";tag=1\r\nt:<sip:c@d>;tag = "
      "2\r\ni:x\r\nCsEq:1 \r\n SUBSCRIBE\r\nM:<sip:e@f>\r\n\r\n";
  REQUIRE(view.parse(bytes) == ParseResult::message);
  CHECK(view.request_uri() == "sip:c@d");
  CHECK(view.value(HeaderId::via) == "SIP/2.0/UDP h");
  CHECK(view.value(HeaderId::contact) == "<sip:e@f>");
  CHECK(view.value(HeaderId::route).empty());
  const auto summary = view.summary();
  CHECK(summary.method == Method::subscribe);
  CHECK(summary.is_request());
  CHECK(summary.cseq == 1);
  CHECK(summary.call_id == "x");
  CHECK(summary.from_tag == "1");
  CHECK(summary.to_tag == "2");
  CHECK(summary.from_uri == "sip:a@b");
  CHECK(summary.to_uri == "sip:c@d");
}

TEST_CASE("the tag of a party is found however its parameters are written", "[alg][message][AC-16]") {
  struct Row {
    const char* to;
    const char* tag;
  };
  const Row rows[] = {
      {"<sip:c@d>", ""},
      {"<sip:c@d>;tag=", ""},
      {"<sip:c@d>;tag=1928-a.b", "1928-a.b"},
      {"<sip:c@d>;TAG=x", "x"},
      {"<sip:c@d>; tag = x ", "x"},
      {"<sip:c@d>;tag=x ;a=b", "x"},
      {"<sip:c@d>;tag=x;tag=y", "x"},
      {"<sip:c@d>;a=\";tag=z\";tag=x", "x"},
      {"<sip:c@d>;tag=x\r\n ;a", "x"},
      {"<sip:c@d>;tagged=x", ""},
      {"<sip:c@d;tag=inside>;tag", ""},
      {"\"a \\\" <sip:e@f>;tag=z\" <sip:c@d>;tag=x", "x"},
      {"sip:c@d;tag=x", "x"},
  };
  for (const auto& row : rows) {
    DYNAMIC_SECTION(row.to) {
      const auto bytes =
          std::string("ACK sip:c@d SIP/2.0\r\nVia: SIP/2.0/UDP h\r\nFrom: <sip:a@b>;tag=1\r\nTo: ") + row.to +
          "\r\nCall-ID: x@y\r\nCSeq: 7 ACK\r\n\r\n";
      MessageView view;
      REQUIRE(view.parse(bytes) == ParseResult::message);
      const auto summary = view.summary();
      CHECK(summary.to_tag == row.tag);
      CHECK(summary.to_uri.starts_with("sip:c@d"));
    }
  }
}

TEST_CASE("how long something is to last is read from Expires and Session-Expires",
          "[alg][message][AC-01][AC-13][rfc4028][rfc6665]") {
  struct Row {
    const char* value;
    std::uint32_t seconds;
  };
  const Row rows[] = {{"600", 600},
                      {" 600 ", 600},
                      {"\r\n 600", 600},
                      {"600 \r\n\t", 600},
                      {"90 ;refresher=uas", 90},
                      {"1800;refresher=uac;x=1", 1800},
                      {"90\r\n ;refresher=uas", 90},
                      {"0", 0},
                      {"4294967295", 4294967295},
                      {"4294967296", 0},
                      {"-1", 0},
                      {"ten", 0},
                      {"600 s", 0},
                      {"600, 700", 0},
                      {";refresher=uas", 0},
                      {"", 0}};
  struct Name {
    const char* text;
    std::uint32_t Summary::* seconds;
  };
  const Name names[] = {{"Expires", &Summary::expires_s},
                        {"eXPIRES", &Summary::expires_s},
                        {"Session-Expires", &Summary::session_expires_s},
                        {"x", &Summary::session_expires_s}};
  for (const auto& name : names) {
    for (const auto& row : rows) {
      DYNAMIC_SECTION(name.text << ": " << row.value) {
        MessageView view;
        const auto bytes = message("SIP/2.0 200 OK", std::string(name.text) + ":" + row.value + "\r\n\r\n");
        REQUIRE(view.parse(bytes) == ParseResult::message);
        const auto summary = view.summary();
        CHECK(summary.*name.seconds == row.seconds);
        CHECK(summary.expires_s + summary.session_expires_s == row.seconds);  // and the other one is absent
      }
    }
  }
  MessageView view;
  const auto neither = message("SIP/2.0 200 OK", "Min-Expires: 60\r\nMin-SE: 90\r\n\r\n");
  REQUIRE(view.parse(neither) == ParseResult::message);
  CHECK(view.summary().expires_s == 0);
  CHECK(view.summary().session_expires_s == 0);
}

TEST_CASE("the name of a header is told as a whole and in any case", "[alg][message]") {
  struct Row {
    std::string_view name;
    HeaderId id;
  };
  const Row rows[] = {
      {"Via", HeaderId::via},
      {"VIA", HeaderId::via},
      {"v", HeaderId::via},
      {"p-PREFERRED-identity", HeaderId::p_preferred_identity},
      {"Content-Encoding", HeaderId::content_encoding},
      {"", HeaderId::other},
      {"Vi", HeaderId::other},
      {"Vias", HeaderId::other},
      {"Via:", HeaderId::other},
      {"Via:x", HeaderId::other},
      {"Call_ID", HeaderId::other},
      {"Call\rID", HeaderId::other},
      {"P-Preferred-Identity-Also", HeaderId::other},
  };
  for (const auto& row : rows) {
    DYNAMIC_SECTION('"' << row.name << '"') {
      CHECK(header_id(row.name) == row.id);
    }
  }
}

TEST_CASE("a Call-ID is guessed from the beginnings of lines", "[alg][message]") {
  struct Row {
    const char* name;
    std::string bytes;
    const char* call_id;
  };
  const Row rows[] = {
      {"by its name", message(kInvite, "\r\n"), "x@y"},
      {"by its short name", "ACK sip:c@d SIP/2.0\r\nContact: <sip:a@b>\r\ni:  short \r\nCSeq: 1 ACK\r\n\r\n",
       "short"},
      {"in any case, with line feeds alone", "BYE sip:c@d SIP/2.0\nCALL-ID:x\nCSeq: 1 BYE\n", "x"},
      {"in the last line, which does not end", "BYE sip:c@d SIP/2.0\r\nCall-ID: unended", "unended"},
      {"an empty one", "BYE sip:c@d SIP/2.0\r\nCall-ID:\r\nCSeq: 1 BYE\r\n", ""},
      {"none", "BYE sip:c@d SIP/2.0\r\nCall-Info: <sip:a@b>\r\n\r\n", ""},
      {"a line that is cut", "BYE sip:c@d SIP/2.0\r\nCall-I", ""},
      {"no lines at all", "\r\n\r\n", ""},
      {"nothing", "", ""},
  };
  for (const auto& row : rows) {
    DYNAMIC_SECTION(row.name) {
      // In a buffer that ends where it ends, so that a read past it is seen.
      const std::vector<char> bytes(row.bytes.begin(), row.bytes.end());
      CHECK(guess_call_id({bytes.data(), bytes.size()}) == row.call_id);
    }
  }
}

TEST_CASE("a response belongs to the method of its CSeq", "[alg][message]") {
  MessageView view;
  const auto bytes = message("SIP/2.0 486 Busy Here", "\r\n");
  REQUIRE(view.parse(bytes) == ParseResult::message);
  const auto summary = view.summary();
  CHECK(summary.method == Method::invite);
  CHECK(summary.method_text == "INVITE");
  CHECK(summary.status == 486);
  CHECK(summary.reason == "Busy Here");
  CHECK_FALSE(summary.is_request());
}

TEST_CASE("more headers than can be noted are refused, others do not count", "[alg][message][AC-22]") {
  std::string many;
  for (std::size_t i = 0; i < 5000; ++i) many += "X-Any: " + std::to_string(i) + "\r\n";
  MessageView view;
  const auto harmless = message(kInvite, many + "\r\n");
  CHECK(view.parse(harmless) == ParseResult::message);
  std::string routes;
  for (std::size_t i = 0; i < MessageView::kMaxHeaders; ++i) routes += "Route: <sip:a@b>\r\n";
  const auto too_many = message(kInvite, routes + "\r\n");
  CHECK(view.parse(too_many) == ParseResult::malformed);
}

namespace {

struct PlainHeader {
  std::string name;
  std::string value;
};

std::string plain_trim(std::string text) {
  const auto begin = text.find_first_not_of(" \t\r\n");
  if (begin == std::string::npos) return {};
  return text.substr(begin, text.find_last_not_of(" \t\r\n") + 1 - begin);
}

// Header lines as RFC 3261 section 7.3.1 tells of them, a byte at a time.
std::vector<PlainHeader> read_plainly(const std::string& text) {
  std::vector<PlainHeader> headers;
  for (std::size_t begin = 0; begin < text.size();) {
    auto end = text.find('\n', begin);
    const auto line = text.substr(begin, end - begin);
    if (line.empty() || line == "\r") break;
    while (end != std::string::npos && end + 1 < text.size() &&
           (text[end + 1] == ' ' || text[end + 1] == '\t'))
      end = text.find('\n', end + 1);
    if (end == std::string::npos) break;
    const auto whole = text.substr(begin, end - begin);
    const auto colon = whole.find(':');
    headers.push_back(colon == std::string::npos ? PlainHeader{{}, plain_trim(whole)}
                                                 : PlainHeader{plain_trim(whole.substr(0, colon)),
                                                               plain_trim(whole.substr(colon + 1))});
    begin = end + 1;
  }
  return headers;
}

}  // namespace

TEST_CASE("header lines are read as they are byte by byte, whatever is in them", "[alg][message]") {
  constexpr const char* kPieces[] = {"Via",
                                     "v",
                                     "Call-ID",
                                     "Content-Length",
                                     "X-Made-Up",
                                     "P-Charging-Function-Addresses",
                                     ":",
                                     ": ",
                                     " : ",
                                     "\t",
                                     " ",
                                     "\r\n",
                                     "\n",
                                     "\r\n ",
                                     "a",
                                     "SIP/2.0/UDP 10.0.0.5;branch=z9hG4bK",
                                     "\r\n",
                                     ": 0\r\n",
                                     "                              "};
  std::mt19937 random(731);
  for (int time = 0; time < 20'000; ++time) {
    std::string text;
    for (auto pieces = random() % 24; pieces > 0; --pieces) text += kPieces[random() % std::size(kPieces)];
    // A first line that begins with a blank is not folded, and its name is not always told.
    if (!text.empty() && (text.front() == ' ' || text.front() == '\t')) continue;
    CAPTURE(text);
    const std::vector<char> bytes(text.begin(), text.end());
    HeaderReader reader({bytes.data(), bytes.size()});
    Header header;
    for (const auto& [name, value] : read_plainly(text)) {
      REQUIRE(reader.next(header));
      REQUIRE(std::string(header.value) == value);
      REQUIRE(header.id == header_id(name));
    }
    REQUIRE_FALSE(reader.next(header));
  }
}

}  // namespace pinhole::alg::sip
