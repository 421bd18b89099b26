// SPDX-License-Identifier: BSD-3-Clause
#include "alg/sip/body.hpp"

#include <catch2/catch.hpp>
#include <string>
#include <string_view>

#include "tests/support/sip_bench.hpp"

namespace pinhole::alg::sip {

namespace {

const auto kOffer = test::lines({"c=IN IP4 10.0.0.5", "m=audio 4000 RTP/AVP 0"});
const auto kOutside = test::lines({"c=IN IP4 203.0.113.10", "m=audio 9000 RTP/AVP 0"});

std::string request(const std::string& method, const std::string& headers, const std::string& body) {
  return method + " sip:bob@example.com SIP/2.0\r\nVia: SIP/2.0/UDP phone.example.net;branch=z9hG4bK1\r\n" +
         "From: <sip:a@b>;tag=1\r\nTo: <sip:c@d>\r\nCall-ID: 1\r\nCSeq: 1 " + method + "\r\n" + headers +
         "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body;
}

// The body on the other side; its length is right.
std::string pass(test::SipBench& bench, const std::string& message,
                 Direction direction = Direction::outbound) {
  const auto passed = bench.pass(direction, message);
  REQUIRE(passed.answer.verdict == Verdict::forward);
  const auto body = passed.text.find("\r\n\r\n") + 4;
  const auto length = "Content-Length: " + std::to_string(passed.text.size() - body) + "\r\n";
  CHECK(passed.text.substr(0, body).find(length) != std::string::npos);
  return passed.text.substr(body);
}

std::string part(const std::string& headers, const std::string& body) {
  return "Content-Length: " + std::to_string(body.size()) + "\r\n" + headers + "\r\n" + body;
}

}  // namespace

TEST_CASE("boundaries of all valid kinds are found", "[alg][body][rfc2046]") {
  struct Row {
    const char* name;
    const char* boundary;  // as the parameter says it
    std::string before;    // around the description
    std::string after;
  };
  const std::string head = "Content-Type: application/sdp\r\n\r\n";
  const Row rows[] = {
      {"plain", "x", "--x\r\n" + head, "\r\n--x--\r\n"},
      {"quoted", "\"x y:z\"", "--x y:z\r\n" + head, "\r\n--x y:z--\r\n"},
      {"quoted, with an escape", "\"x\\y\"", "--xy\r\n" + head, "\r\n--xy--\r\n"},
      {"a preamble and an epilogue", "x", "c=IN IP4 10.0.0.5\r\n--xx\r\n--x\r\n" + head,
       "\r\n--x--\r\nc=IN IP4 10.0.0.5\r\nm=audio 4000 RTP/AVP 0\r\n"},
      {"white space behind the delimiters", "x", "--x \t\r\n" + head, "\r\n--x--\t \r\n"},
      {"no line end behind the last one", "x", "--x\r\n" + head, "\r\n--x--"},
      {"no last one", "x", "--x\r\n" + head, ""},
      {"lines ended by LF", "x", "--x\nContent-Type: application/sdp\n\n", "\n--x--\n"},
      {"other parts around it", "x",
       "--x\r\n\r\nplain text, c=IN IP4 10.0.0.5\r\n--x\r\nContent-Type: "
       "image/png\r\n\r\n\x89PNG\r\n--x\r\n" +
           head,
       "\r\n--x\r\nContent-Type: text/plain\r\n\r\nc=IN IP4 10.0.0.5\r\n--x--\r\n"},
      {"a longer line that begins like the delimiter", "x",
       "--x\r\nContent-Type: text/plain\r\n\r\n--xtra\r\n--x-\r\n--x --\r\n--x\r\n" + head, "\r\n--x--\r\n"},
      {"a folded Content-Type of the part", "x", "--x\r\nContent-Type:\r\n application/sdp\r\n ;a=b\r\n\r\n",
       "\r\n--x--\r\n"},
      {"encodings that change nothing", "x",
       "--x\r\nContent-Transfer-Encoding: BINARY\r\nContent-Encoding: identity\r\n" + head, "\r\n--x--\r\n"},
  };
  for (const auto& row : rows) {
    for (const char* type : {"multipart/mixed", "Multipart/Alternative", "multipart/related;type=\"a/b\""}) {
      DYNAMIC_SECTION(row.name << ", " << type) {
        test::SipBench bench;
        const auto headers = std::string("Content-Type: ") + type + ";boundary=" + row.boundary + "\r\n";
        CHECK(pass(bench, request("INVITE", headers, row.before + kOffer + row.after)) ==
              row.before + kOutside + row.after);
        CHECK(bench.host.opened.size() == 1);
        CHECK(bench.host.announced.front().has_sdp);
      }
    }
  }
}

TEST_CASE("bodies that cannot be read pass as they are", "[alg][body][AC-04][AC-20]") {
  struct Row {
    const char* name;
    const char* headers;
    std::string body;
  };
  const auto in_x = [](const std::string& headers) {
    return "--x\r\n" + headers + "Content-Type: application/sdp\r\n\r\n" + kOffer + "\r\n--x--\r\n";
  };
  const Row rows[] = {
      {"encoded", "Content-Type: application/sdp\r\nContent-Encoding: gzip\r\n", kOffer},
      {"encoded, in compact form", "c: application/sdp\r\ne: deflate\r\n", kOffer},
      {"of another type", "Content-Type: application/sdpng\r\n", kOffer},
      {"of no type", "", kOffer},
      {"a part that is encoded", "Content-Type: multipart/mixed;boundary=x\r\n",
       in_x("Content-Encoding: gzip\r\n")},
      {"a part that is encoded for transfer", "Content-Type: multipart/mixed;boundary=x\r\n",
       in_x("Content-Transfer-Encoding: base64\r\n")},
      {"a part that is encoded for transfer, folded", "Content-Type: multipart/mixed;boundary=x\r\n",
       in_x("no colon\r\nX:\r\ncontent-transfer-encoding :\r\n quoted-printable\r\n")},
      {"a part whose headers do not end", "Content-Type: multipart/mixed;boundary=x\r\n",
       "--x\r\nContent-Type: application/sdp\r\n--x--\r\n"},
      {"signed", "Content-Type: multipart/signed;boundary=x;protocol=\"application/pkcs7-signature\"\r\n",
       in_x("")},
      {"encrypted", "Content-Type: multipart/encrypted;boundary=x\r\n", in_x("")},
      {"multipart without a boundary", "Content-Type: multipart/mixed\r\n", in_x("")},
      {"multipart with an empty boundary", "Content-Type: multipart/mixed;boundary=\"\"\r\n", in_x("")},
      {"multipart with another boundary", "Content-Type: multipart/mixed;boundary=y\r\n", in_x("")},
  };
  for (const auto& row : rows) {
    DYNAMIC_SECTION(row.name) {
      test::SipBench bench;
      CHECK(pass(bench, request("INVITE", row.headers, row.body)) == row.body);
      CHECK(bench.host.opened.empty());
      CHECK_FALSE(bench.host.announced.front().has_sdp);
    }
  }
}

TEST_CASE("parts inside of parts are read, and every length is kept right", "[alg][body][AC-06][rfc5621]") {
  // Long enough that a length gets another digit.
  const auto offer = [](const std::string& address, const char* port) {
    return test::lines({"c=IN IP4 " + address, std::string("m=audio ") + port + " RTP/AVP 0",
                        "a=fmtp:0 " + std::string(44, '1')});
  };
  const auto nested = [&](const std::string& address, const char* port) {
    const auto inner =
        "--xy\r\n" + part("Content-Type: application/sdp\r\n", offer(address, port)) + "\r\n--xy--\r\n";
    return "--x\r\n" + part("Content-Type: multipart/alternative;boundary=xy\r\n", inner) +
           "\r\n--x\r\nContent-Type: application/sdp\r\n\r\n" + offer(address, port) + "\r\n--x--\r\n";
  };
  test::SipBench bench;
  const auto before = nested("10.0.0.5", "4000");
  const auto after = nested("203.0.113.10", "9000");
  REQUIRE(offer("10.0.0.5", "4000").size() < 100);
  REQUIRE(offer("203.0.113.10", "9000").size() >= 100);
  CHECK(pass(bench, request("INVITE", "Content-Type: multipart/mixed;boundary=x\r\n", before)) == after);
  CHECK(bench.host.opened.size() == 2);
}

TEST_CASE("how deep parts are read is bounded", "[alg][body][AC-22]") {
  const auto nest = [](unsigned depth, const std::string& offer) {
    std::string text = "--b0\r\nContent-Type: application/sdp\r\n\r\n" + offer + "\r\n--b0--\r\n";
    for (unsigned i = 1; i < depth; ++i) {
      const auto inner = std::to_string(i - 1);
      const auto own = std::to_string(i);
      text = "--b" + own + "\r\nContent-Type: multipart/mixed;boundary=b" + inner + "\r\n\r\n" + text +
             "\r\n--b" + own + "--\r\n";
    }
    return text;
  };
  const auto headers = [](unsigned depth) {
    return "Content-Type: multipart/mixed;boundary=b" + std::to_string(depth - 1) + "\r\n";
  };
  for (unsigned depth = 1; depth <= Body::kMaxDepth; ++depth) {
    test::SipBench bench;
    CHECK(pass(bench, request("INVITE", headers(depth), nest(depth, kOffer))) == nest(depth, kOutside));
  }
  test::SipBench bench;
  const auto deep = nest(Body::kMaxDepth + 1, kOffer);
  CHECK(pass(bench, request("INVITE", headers(Body::kMaxDepth + 1), deep)) == deep);
}

TEST_CASE("more parts than can be held are refused", "[alg][body][AC-22]") {
  const auto repeat = [](const char* type, std::size_t times) {
    std::string text;
    for (std::size_t i = 0; i < times; ++i)
      text += std::string("--x\r\nContent-Type: ") + type + "\r\n\r\nx\r\n";
    return request("INVITE", "Content-Type: multipart/mixed;boundary=x\r\n", text + "--x--\r\n");
  };
  test::SipBench bench;
  CHECK(bench.out(repeat("application/sdp", Body::kMaxDescriptions)).answer.verdict == Verdict::forward);
  CHECK(bench.out(repeat("application/sdp", Body::kMaxDescriptions + 1)).answer.verdict == Verdict::drop);
  const char* const inner = "multipart/mixed;boundary=y";
  CHECK(bench.out(repeat(inner, Body::kMaxParts - 1)).answer.verdict == Verdict::forward);
  CHECK(bench.out(repeat(inner, Body::kMaxParts)).answer.verdict == Verdict::drop);
  CHECK(bench.out(repeat("text/plain", 5000)).answer.verdict == Verdict::forward);
}

TEST_CASE("descriptions set media up in the messages of offers and answers", "[alg][body][AC-19][rfc3264]") {
  for (const char* method : {"INVITE", "ACK", "PRACK", "UPDATE", "INFO"}) {
    test::SipBench bench;
    CAPTURE(method);
    CHECK(pass(bench, request(method, "Content-Type: application/sdp\r\n", kOffer)) == kOutside);
    CHECK(bench.host.opened.size() == 1);
  }
  for (const char* method : {"OPTIONS", "MESSAGE", "BYE", "REFER", "NOTIFY"}) {
    test::SipBench bench;
    CAPTURE(method);
    const auto hidden = test::lines({"c=IN IP4 203.0.113.10", "m=audio 4000 RTP/AVP 0"});
    CHECK(pass(bench, request(method, "Content-Type: application/sdp\r\n", kOffer)) == hidden);
    CHECK(bench.host.opened.empty());
  }
}

TEST_CASE("trickled candidates are translated like those of a description", "[alg][body][rfc8840]") {
  test::SipBench bench;
  const std::string headers =
      "Info-Package: trickle-ice\r\nContent-Disposition: Info-Package\r\n"
      "Content-Type: application/trickle-ice-sdpfrag\r\n";
  const auto fragment = [](const char* host, const char* waits) {
    return test::lines({"a=group:BUNDLE 1", "m=audio 9 RTP/AVP 0", "a=mid:1", "a=ice-ufrag:8hhY",
                        std::string("a=candidate:1 1 UDP 9 ") + host + " typ host",
                        std::string("a=candidate:2 1 TCP 8 ") + waits + " typ host tcptype passive",
                        "a=candidate:3 1 UDP 7 abcd.local 4000 typ host",
                        "a=candidate:4 1 UDP 6 2001:db8::5 4000 typ host", "a=end-of-candidates"});
  };
  const auto outside = fragment("203.0.113.10 9000", "203.0.113.10 9010");
  CHECK(pass(bench, request("INFO", headers, fragment("10.0.0.5 4000", "10.0.0.5 4010"))) == outside);
  REQUIRE(bench.host.opened.size() == 1);
  CHECK(bench.host.opened[0].protocol == nat::Protocol::tcp);
  CHECK(bench.host.described.empty());

  SECTION("candidates of the peer are told of, and left") {
    const auto theirs = fragment("198.51.100.30 4000", "198.51.100.30 4010");
    CHECK(pass(bench, request("INFO", headers, theirs), Direction::inbound) == theirs);
    REQUIRE(bench.host.expected.size() == 2);
    CHECK(bench.host.expected[0].rtp == test::endpoint("198.51.100.30:4000"));
  }
  SECTION("those of another phone inside are given back by policy only") {
    const auto local = fragment("10.0.0.6 4000", "10.0.0.6 4010");
    const auto back = pass(bench, request("INFO", headers, local));
    CHECK(back.find("10.0.0.6") == std::string::npos);
    CHECK(pass(bench, request("INFO", headers, back), Direction::inbound) == back);
    test::SipBench direct(test::direct_media());
    CHECK(pass(direct, request("INFO", headers, local)) == back);
    CHECK(pass(direct, request("INFO", headers, back), Direction::inbound) == local);
  }
}

TEST_CASE("a fragment of a message is translated like a message", "[alg][body][rfc3515][rfc3420]") {
  struct Row {
    const char* name;
    std::string before;
    std::string after;
  };
  using test::lines;
  const Row rows[] = {
      {"a status line", "SIP/2.0 200 OK\r\n", "SIP/2.0 200 OK\r\n"},
      {"a status line without its end", "SIP/2.0 100 Trying", "SIP/2.0 100 Trying"},
      {"a request line", lines({"INVITE sip:x@10.0.0.5 SIP/2.0"}),
       lines({"INVITE sip:x@203.0.113.10:10060 SIP/2.0"})},
      {"headers alone", lines({"To: <sip:x@10.0.0.5>", "Contact: <sip:x@10.0.0.5:5060>"}),
       lines({"To: <sip:x@10.0.0.5>", "Contact: <sip:x@203.0.113.10:10060>"})},
      {"all of a message",
       lines({"SIP/2.0 200 OK", "v: SIP/2.0/UDP 10.0.0.5;branch=z9hG4bK1", "Contact: <sip:x@10.0.0.5:5060>",
              "Content-Type: application/sdp", "Content-Length: 49", "", "c=IN IP4 10.0.0.5",
              "m=audio 4000 RTP/AVP 0", "a=x1"}),
       lines({"SIP/2.0 200 OK", "v: SIP/2.0/UDP 203.0.113.10:10060;branch=z9hG4bK1",
              "Contact: <sip:x@203.0.113.10:10060>", "Content-Type: application/sdp", "Content-Length: 53",
              "", "c=IN IP4 203.0.113.10", "m=audio 4000 RTP/AVP 0", "a=x1"})},
  };
  for (const auto& row : rows) {
    DYNAMIC_SECTION(row.name) {
      test::SipBench bench;
      const std::string headers = "Event: refer\r\nContent-Type: message/sipfrag;version=2.0\r\n";
      const auto outside = pass(bench, request("NOTIFY", headers, row.before));
      CHECK(outside == row.after);
      CHECK(bench.host.opened.empty());
    }
  }
}

}  // namespace pinhole::alg::sip
