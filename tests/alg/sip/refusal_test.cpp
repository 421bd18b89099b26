// SPDX-License-Identifier: BSD-3-Clause
#include "alg/sip/refusal.hpp"

#include <array>
#include <string>

#include "tests/support/sip_bench.hpp"

#include <catch2/catch.hpp>

namespace pinhole::alg::sip {

namespace {

const nat::Endpoint kSource = test::endpoint("10.0.0.5:5060");

struct Answered {
  std::string text;
  bool read = false;  // of the request
};
Answered answer(const std::string& request, std::uint16_t status = 503, std::uint16_t retry_after_s = 0,
                nat::Endpoint source = kSource, std::size_t room = 1900) {
  MessageView view;
  const bool read = view.parse(request) == ParseResult::message;
  std::string to(room, '#');
  const std::string text(write_refusal(
      view, {.status = status, .retry_after_s = retry_after_s, .source = source, .to_tag = "own"}, to));
  // Nothing behind what was written is touched.
  if (!text.empty()) CHECK(to.find_first_not_of('#', text.size()) == std::string::npos);
  return {text, read};
}

std::string request(const std::string& vias, const std::string& method = "INVITE",
                    const std::string& to = "<sip:bob@example.com>") {
  return method + " sip:bob@example.com SIP/2.0\r\n" + vias +
         test::lines({"Max-Forwards: 70", "From: \"A\" <sip:a@example.com>;tag=1", "To: " + to,
                      "Call-ID: one@example.com", "CSeq: 7 " + method, "Contact: <sip:a@10.0.0.5>",
                      "Content-Length: 0", ""});
}
std::string response(const std::string& line, const std::string& vias, const std::string& more = {},
                     const std::string& method = "INVITE",
                     const std::string& to = "<sip:bob@example.com>;tag=own") {
  return "SIP/2.0 " + line + "\r\n" + vias +
         test::lines({"From: \"A\" <sip:a@example.com>;tag=1", "To: " + to, "Call-ID: one@example.com",
                      "CSeq: 7 " + method}) +
         more + "Content-Length: 0\r\n\r\n";
}

}  // namespace

TEST_CASE("a refusal repeats what a response has to repeat", "[alg][sip][refusal]") {
  const std::string via = "Via: SIP/2.0/UDP 10.0.0.5:5060;branch=z9hG4bK1\r\n";
  CHECK(answer(request(via)).text == response("503 Service Unavailable", via));
  CHECK(answer(request(via), 503, 30).text ==
        response("503 Service Unavailable", via, "Retry-After: 30\r\n"));
  CHECK(answer(request(via, "REGISTER"), 403).text == response("403 Forbidden", via, {}, "REGISTER"));
  CHECK(answer(request(via, "PING"), 501).text == response("501 Not Implemented", via, {}, "PING"));
  CHECK(answer(request(via), 699).text == response("699 Refused", via));
  SECTION("a To that has a tag keeps it") {
    const std::string to = "sip:bob@example.com;tag=theirs";
    CHECK(answer(request(via, "BYE", to), 403).text == response("403 Forbidden", via, {}, "BYE", to));
  }
}

TEST_CASE("the first Via of a refusal says where its request came from", "[alg][sip][refusal]") {
  struct Row {
    const char* name;
    std::string via;
    std::string answered;
    std::uint16_t port;  // where the answer goes
  };
  const Row rows[] = {
      {"as it came", "SIP/2.0/UDP 10.0.0.5:5060;branch=x", "SIP/2.0/UDP 10.0.0.5:5060;branch=x", 5060},
      {"another port without rport", "SIP/2.0/UDP 10.0.0.5:5999;branch=x",
       "SIP/2.0/UDP 10.0.0.5:5999;branch=x", 5999},
      {"rport", "SIP/2.0/UDP 10.0.0.5:5999;rport;branch=x",
       "SIP/2.0/UDP 10.0.0.5:5999;rport=5060;branch=x;received=10.0.0.5", 5060},
      {"rport at the end", "SIP/2.0/UDP 10.0.0.5;branch=x; RPORT",
       "SIP/2.0/UDP 10.0.0.5;branch=x; RPORT=5060;received=10.0.0.5", 5060},
      {"a name", "SIP/2.0/UDP phone.example.com;branch=x",
       "SIP/2.0/UDP phone.example.com;branch=x;received=10.0.0.5", 5060},
      {"another address", "SIP/2.0/UDP 192.0.2.9:5070;branch=x",
       "SIP/2.0/UDP 192.0.2.9:5070;branch=x;received=10.0.0.5", 5070},
      {"what was noted already", "SIP/2.0/UDP 192.0.2.9;received=10.0.0.5;rport=5060",
       "SIP/2.0/UDP 192.0.2.9;received=10.0.0.5;rport=5060", 5060},
      {"a list of two", "SIP/2.0/UDP 10.0.0.5;rport, SIP/2.0/UDP 10.0.0.9;rport",
       "SIP/2.0/UDP 10.0.0.5;rport=5060;received=10.0.0.5, SIP/2.0/UDP 10.0.0.9;rport", 5060},
      {"TLS and an odd spacing", "SIP / 2.0 / TLS 10.0.0.5 ; branch = x",
       "SIP / 2.0 / TLS 10.0.0.5 ; branch = x", 5061},
      {"IPv6", "SIP/2.0/UDP [2001:db8::1];branch=x", "SIP/2.0/UDP [2001:db8::1];branch=x;received=10.0.0.5",
       5060},
  };
  const std::string second = "Via: SIP/2.0/TCP 198.51.100.1;rport\r\n";
  for (const auto& row : rows) {
    DYNAMIC_SECTION(row.name) {
      const auto text = request("Via: " + row.via + "\r\n" + second);
      CHECK(answer(text, 400).text == response("400 Bad Request", "Via: " + row.answered + "\r\n" + second));
      MessageView view;
      REQUIRE(view.parse(text) == ParseResult::message);
      CHECK(reply_port(view, kSource.port) == nat::Be16{row.port});
    }
  }
}

TEST_CASE("what is not to be answered is not", "[alg][sip][refusal]") {
  const std::string via = "Via: SIP/2.0/UDP 10.0.0.5:5060;branch=z9hG4bK1\r\n";
  CHECK(answer(request(via, "ACK")).text.empty());
  CHECK(answer(response("200 OK", via)).text.empty());
  CHECK(answer(request("")).text.empty());
  CHECK(answer(request("Via: nonsense\r\n")).text.empty());
  CHECK(answer("").text.empty());
  CHECK(answer("hello").text.empty());
  CHECK(answer(request(via), 200).text.empty());
  CHECK(answer(request(via), 100).text.empty());
}

TEST_CASE("a request that could not be read as a whole is answered if the answer can be made of it",
          "[alg][sip][refusal]") {
  const std::string via = "Via: SIP/2.0/UDP 10.0.0.5:5060;branch=z9hG4bK1\r\n";
  auto cut = request(via);
  cut.replace(cut.find("Content-Length: 0"), 17, "Content-Length: 9");
  const auto answered = answer(cut, 400);
  CHECK_FALSE(answered.read);
  CHECK(answered.text == response("400 Bad Request", via));
  CHECK(answer("INVITE sip:b@c SIP/2.0\r\nVia: SIP/2.0/UDP 10.0.0.5\r\nCSeq: x\r\n\r\n", 400).text.empty());
}

TEST_CASE("a refusal that does not fit is none, whatever the room", "[alg][sip][refusal]") {
  const auto text = request("Via: SIP/2.0/UDP 192.0.2.9;rport;branch=x\r\nVia: SIP/2.0/UDP b\r\n");
  const auto whole = answer(text, 503, 60).text;
  REQUIRE_FALSE(whole.empty());
  for (std::size_t room = 0; room < whole.size(); ++room)
    CHECK(answer(text, 503, 60, kSource, room).text.empty());
  CHECK(answer(text, 503, 60, kSource, whole.size()).text == whole);
}

}  // namespace pinhole::alg::sip
