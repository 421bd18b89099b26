// SPDX-License-Identifier: BSD-3-Clause
#include "alg/sip/bye.hpp"

#include <string>

#include "alg/sip/message.hpp"
#include "tests/support/sip_bench.hpp"

#include <catch2/catch.hpp>

namespace pinhole::alg::sip {

namespace {

Bye sample() {
  return {.target = "sip:bob@198.51.100.9:5070;transport=udp",
          .routes = {},
          .from = "<sip:alice@example.com>;tag=a",
          .to = "<sip:bob@example.com>;tag=b",
          .call_id = "one@example.com",
          .cseq = 8,
          .protocol = nat::Protocol::udp,
          .sent_by = test::endpoint("203.0.113.1:40000"),
          .branch = "z9hG4bK77"};
}
std::string written(const Bye& bye, std::size_t room = 1900) {
  std::string to(room, '#');
  const std::string text(write_bye(bye, to));
  if (!text.empty()) CHECK(to.find_first_not_of('#', text.size()) == std::string::npos);
  return text;
}
std::string expected(const std::string& request_uri, const std::string& route,
                     const std::string& protocol = "UDP") {
  return test::lines({"BYE " + request_uri + " SIP/2.0",
                      "Via: SIP/2.0/" + protocol + " 203.0.113.1:40000;branch=z9hG4bK77"}) +
         route +
         test::lines({"Max-Forwards: 70", "From: <sip:alice@example.com>;tag=a",
                      "To: <sip:bob@example.com>;tag=b", "Call-ID: one@example.com", "CSeq: 8 BYE",
                      "Content-Length: 0", ""});
}

}  // namespace

TEST_CASE("a BYE goes along the route to the target", "[alg][sip][bye]") {
  struct Row {
    const char* name;
    const char* routes;
    const char* target;
    std::string request_uri;
    std::string route;
    const char* next_hop;  // nullptr: a name
  };
  const Row rows[] = {
      {"no route", "", "sip:bob@198.51.100.9:5070", "sip:bob@198.51.100.9:5070", "", "198.51.100.9:5070"},
      {"a target with the default port", "", "sip:bob@198.51.100.9", "sip:bob@198.51.100.9", "",
       "198.51.100.9:5060"},
      {"a name", "", "sip:bob@phone.example.com", "sip:bob@phone.example.com", "", nullptr},
      {"sips is left as it is", "", "sips:bob@198.51.100.9", "sips:bob@198.51.100.9", "",
       "198.51.100.9:5061"},
      {"loose routing", "<sip:198.51.100.1;lr>, \"P, 2\" <sip:p2.example.com;lr;x=y>", "sip:bob@198.51.100.9",
       "sip:bob@198.51.100.9", "Route: <sip:198.51.100.1;lr>, \"P, 2\" <sip:p2.example.com;lr;x=y>\r\n",
       "198.51.100.1:5060"},
      {"strict routing", "<sip:198.51.100.1:5080>, <sip:p2.example.com;lr>", "sip:bob@198.51.100.9",
       "sip:198.51.100.1:5080", "Route: <sip:p2.example.com;lr>, <sip:bob@198.51.100.9>\r\n",
       "198.51.100.1:5080"},
      {"a strict router alone", "<sip:198.51.100.1>", "sip:bob@198.51.100.9", "sip:198.51.100.1",
       "Route: <sip:bob@198.51.100.9>\r\n", "198.51.100.1:5060"},
      {"a route that cannot be read is kept", "<nonsense>", "sip:bob@198.51.100.9", "sip:bob@198.51.100.9",
       "Route: <nonsense>\r\n", "198.51.100.9:5060"},
  };
  for (const auto& row : rows) {
    DYNAMIC_SECTION(row.name) {
      auto bye = sample();
      bye.routes = row.routes;
      bye.target = row.target;
      const auto text = written(bye);
      CHECK(text == expected(row.request_uri, row.route));
      MessageView view;
      CHECK(view.parse(text) == ParseResult::message);
      CHECK(view.method() == Method::bye);
      const auto hop = next_hop_of(row.routes, row.target);
      if (row.next_hop == nullptr) CHECK_FALSE(hop.has_value());
      if (row.next_hop != nullptr) CHECK(hop == test::endpoint(row.next_hop));
    }
  }
}

TEST_CASE("a BYE over TCP says so", "[alg][sip][bye]") {
  auto bye = sample();
  bye.protocol = nat::Protocol::tcp;
  CHECK(written(bye) == expected("sip:bob@198.51.100.9:5070;transport=udp", "", "TCP"));
}

TEST_CASE("a BYE that does not fit is none, whatever the room", "[alg][sip][bye]") {
  auto bye = sample();
  bye.routes = "<sip:198.51.100.1>, <sip:p2.example.com;lr>";
  const auto whole = written(bye);
  for (std::size_t room = 0; room < whole.size(); ++room) CHECK(written(bye, room).empty());
  CHECK(written(bye, whole.size()) == whole);
}

TEST_CASE("what would end a line is no word and no line", "[alg][sip][bye]") {
  CHECK(is_one_word("sip:bob@example.com;x=\x80"));
  CHECK(is_one_line("\"A B\" <sip:a@b>\t;x"));
  for (const std::string_view text :
       {std::string_view("a\r\nb"), std::string_view("a\nb"), std::string_view("a\rb"),
        std::string_view("a\x7f"), std::string_view("a\0b", 3)}) {
    CHECK_FALSE(is_one_line(text));
    CHECK_FALSE(is_one_word(text));
  }
  for (const char* const text : {"a b", "a\tb", "a>b", "<a", "a\"b"}) CHECK_FALSE(is_one_word(text));
}

}  // namespace pinhole::alg::sip
