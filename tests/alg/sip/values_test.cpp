// SPDX-License-Identifier: BSD-3-Clause
#include "alg/sip/values.hpp"

#include <catch2/catch.hpp>
#include <string>
#include <vector>

namespace pinhole::alg::sip {

TEST_CASE("a list is cut at its own commas only", "[alg][values][AC-16]") {
  struct Row {
    const char* text;
    std::vector<std::string> items;
  };
  const Row rows[] = {
      {"", {}},
      {"a", {"a"}},
      {"a,b", {"a", "b"}},
      {" a ,\r\n\t b , ", {"a", "b"}},
      {",,a,,", {"a"}},
      {"\"x, y\" <sip:a@b>, c", {"\"x, y\" <sip:a@b>", "c"}},
      {"\"x \\\" , y\" <sip:a@b>,c", {"\"x \\\" , y\" <sip:a@b>", "c"}},
      {"<sip:a,b@c>;p=1,<sip:d@e>", {"<sip:a,b@c>;p=1", "<sip:d@e>"}},
      {"\"never closed, <sip:a@b>", {"\"never closed, <sip:a@b>"}},
      {"<sip:never, closed", {"<sip:never, closed"}},
  };
  for (const auto& row : rows) {
    DYNAMIC_SECTION("\"" << row.text << "\"") {
      std::vector<std::string> items;
      ListReader reader(row.text);
      while (const auto item = reader.next()) items.emplace_back(*item);
      CHECK(items == row.items);
    }
  }
}

TEST_CASE("a name-addr gives its URI and the parameters of the header", "[alg][values]") {
  struct Row {
    const char* text;
    const char* uri;
    const char* params;
  };
  const Row rows[] = {
      {"<sip:a@b;lr>;expires=5", "sip:a@b;lr", "expires=5"},
      {"Alice <sip:a@b>", "sip:a@b", ""},
      {"\"A <sip:x@y>\" <sip:a@b> ; q=1", "sip:a@b", " q=1"},
      {"sip:a@b;expires=5", "sip:a@b", "expires=5"},
      {"sip:a@b ;expires=5", "sip:a@b", "expires=5"},
      {"< sip:a@b >", "sip:a@b", ""},
      {"\"unbalanced <sip:a@b>", nullptr, nullptr},
      {"<sip:a@b", nullptr, nullptr},
      {"*", nullptr, nullptr},
      {"", nullptr, nullptr},
  };
  for (const auto& row : rows) {
    DYNAMIC_SECTION("\"" << row.text << "\"") {
      const auto address = parse_name_addr(row.text);
      REQUIRE(address.has_value() == (row.uri != nullptr));
      if (!address) continue;
      CHECK(address->uri == row.uri);
      CHECK(address->params == row.params);
    }
  }
}

TEST_CASE("of a list the first URI is that of its first item", "[alg][values]") {
  struct Row {
    const char* list;
    const char* uri;
  };
  const Row rows[] = {
      {"<sip:a@b>", "sip:a@b"},
      {"<sip:a@b>, <sip:c@d>", "sip:a@b"},
      {"< sip:a@b >;expires=1,<sip:c@d>", "sip:a@b"},
      {"<sip:a,b@c>;q=0.5", "sip:a,b@c"},
      {"\"x, <y>\" <sip:a@b>, <sip:c@d>", "sip:a@b"},
      {"sip:a@b;expires=1, <sip:c@d>", "sip:a@b"},
      {"A <tel:1>", "tel:1"},
      {"<sip:a@b", ""},
      {"<nobody>, <sip:c@d>", ""},
      {"*", ""},
      {"", ""},
  };
  for (const auto& row : rows) {
    DYNAMIC_SECTION(row.list) {
      CHECK(first_uri(row.list) == row.uri);
    }
  }
}

TEST_CASE("a Via is read however it is spaced", "[alg][values][AC-16]") {
  struct Row {
    const char* text;
    bool valid;
    const char* host;
    const char* port;
    const char* received;
    const char* rport;
  };
  const Row rows[] = {
      {"SIP/2.0/UDP 10.0.0.5", true, "10.0.0.5", "", "", ""},
      {"SIP/2.0/UDP 10.0.0.5:5060;branch=z9hG4bK1;rport", true, "10.0.0.5", "5060", "", ""},
      {"SIP / 2.0\r\n /UDP\r\n  10.0.0.5 : 5060 ; received = 192.0.2.1 ;rport= 7", true, "10.0.0.5", "5060",
       "192.0.2.1", "7"},
      {"SIP/2.0/TLS host.example.com ;branch=x", true, "host.example.com", "", "", ""},
      {"SIP/2.0/UDP [2001:db8::9:1]:5060;received=[2001:db8::9:255]", true, "[2001:db8::9:1]", "5060",
       "[2001:db8::9:255]", ""},
      {"SIP/2.0/UDP", false, "", "", "", ""},
      {"SIP/2.0 10.0.0.5", false, "", "", "", ""},
      {"SIP/2.0/UDP10.0.0.5", false, "", "", "", ""},
      {"SIP/2.0/UDP 10.0.0.5 junk", false, "", "", "", ""},
      {"SIP/2.0/UDP 10.0.0.5:70000", false, "", "", "", ""},
      {"", false, "", "", "", ""},
  };
  for (const auto& row : rows) {
    DYNAMIC_SECTION("\"" << row.text << "\"") {
      const auto via = parse_via(row.text);
      REQUIRE(via.has_value() == row.valid);
      if (!via) continue;
      CHECK(via->sent_by.host == row.host);
      CHECK(via->sent_by.port == row.port);
      CHECK(via->received == row.received);
      CHECK(via->rport == row.rport);
    }
  }
}

TEST_CASE("a parameter is found by its name in any case", "[alg][values]") {
  const std::string params = " a=1 ; B = \"x;y\" ;flag; c=";
  REQUIRE(find_param(params, "a").has_value());
  CHECK(find_param(params, "a")->value == "1");
  REQUIRE(find_param(params, "b").has_value());
  CHECK(find_param(params, "b")->value == "\"x;y\"");
  REQUIRE(find_param(params, "flag").has_value());
  CHECK(find_param(params, "flag")->value.empty());
  CHECK(find_param(params, "c")->value.empty());
  CHECK_FALSE(find_param(params, "y").has_value());
}

TEST_CASE("what is quoted or in angle brackets ends no parameter", "[alg][values]") {
  ParamReader params("a=<b;c=d>;e=\"f;g=h\"; =i;;j = ;k");
  std::string seen;
  Param param;
  while (params.next(param)) seen.append(param.name).append("|").append(param.value).append(" ");
  CHECK(seen == "a|<b;c=d> e|\"f;g=h\" |i j| k| ");
}

TEST_CASE("a CSeq is a number and a method", "[alg][values]") {
  REQUIRE(parse_cseq("0009\r\n  INVITE").has_value());
  CHECK(parse_cseq("0009\r\n  INVITE")->number == 9);
  CHECK(parse_cseq("0009\r\n  INVITE")->method == "INVITE");
  for (const char* text :
       {"", "9", "INVITE", "9INVITE", "x 9", "36893488147419103232 REGISTER", "9 IN VITE", "-1 ACK"}) {
    DYNAMIC_SECTION("\"" << text << "\"") {
      CHECK_FALSE(parse_cseq(text).has_value());
    }
  }
}

}  // namespace pinhole::alg::sip
