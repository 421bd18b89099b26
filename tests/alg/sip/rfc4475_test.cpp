// SPDX-License-Identifier: BSD-3-Clause
// The valid messages of RFC 4475 section 3.1.1, in tests/vectors/sip/rfc4475.
#include <catch2/catch.hpp>
#include <fstream>
#include <iterator>
#include <string>

#include "alg/sip/message.hpp"
#include "tests/support/sip_bench.hpp"

namespace pinhole::alg::sip {

namespace {

std::string torture(const std::string& name) {
  std::ifstream file(PINHOLE_SOURCE_DIR "/tests/vectors/sip/rfc4475/" + name + ".sip", std::ios::binary);
  REQUIRE(file.good());
  return {std::istreambuf_iterator<char>(file), {}};
}

std::size_t count(const MessageView& view, HeaderId id) {
  std::size_t found = 0;
  for (const auto& header : view.headers()) found += header.id == id ? 1 : 0;
  return found;
}

}  // namespace

TEST_CASE("the valid torture messages are read for what they say", "[alg][sip][AC-16][rfc4475]") {
  struct Row {
    const char* name;
    Method method;
    std::uint16_t status;
    std::uint32_t cseq;
    const char* from_tag;
    const char* to_uri;
    std::size_t vias;
    std::size_t contacts;
    bool has_body;
  };
  const Row rows[] = {
      {"wsinv", Method::invite, 0, 9, "98asjd8", "sip:vivekg@chair-dnrc.example.com", 2, 1, true},
      {"intmeth", Method::other, 0, 139122385, "_token~1'+`*%!-.",
       "sip:1_unusual.URI~(to-be!sure)&isn't+it$/crazy?,/;;*@example.com", 1, 0, false},
      {"esc01", Method::invite, 0, 234234, "938", "sip:%75se%72@example.com", 1, 1, true},
      {"escnull", Method::register_, 0, 14398234, "839923423", "sip:null-%00-null@example.com", 1, 2, false},
      {"esc02", Method::other, 0, 29344, "f232jadfj23", "sip:resource@example.com", 1, 2, false},
      {"lwsdisp", Method::options, 0, 60, "323", "sip:user@example.com", 1, 0, false},
      {"longreq", Method::invite, 0, 3882340, nullptr, "sip:user@example.com:6000", 34, 1, true},
      {"dblreq", Method::register_, 0, 8, "43251j3j324", "sip:j.user@example.com", 1, 1, false},
      {"semiuri", Method::options, 0, 8, "33242", "sip:j_user@example.com", 1, 0, false},
      {"transports", Method::options, 0, 60, "323", "sip:user@example.com", 5, 0, false},
      {"mpart01", Method::message, 0, 1, "2fb0dcc9", "sip:kumiko@example.org", 1, 1, true},
      {"unreason", Method::invite, 200, 35, "11141343", "sip:user@example.edu", 1, 1, true},
      {"noreason", Method::invite, 100, 35, "39ansfi3", "sip:user@example.edu", 1, 1, false},
  };
  for (const auto& row : rows) {
    DYNAMIC_SECTION(row.name) {
      const auto bytes = torture(row.name);
      MessageView view;
      REQUIRE(view.parse(bytes) == ParseResult::message);
      const auto summary = view.summary();
      CHECK(summary.method == row.method);
      CHECK(summary.status == row.status);
      CHECK(summary.cseq == row.cseq);
      if (row.from_tag != nullptr) CHECK(summary.from_tag == row.from_tag);
      CHECK(summary.to_uri == row.to_uri);
      CHECK(summary.call_id.starts_with(row.name) == (std::string_view("mpart01") != row.name));
      CHECK(count(view, HeaderId::via) == row.vias);
      CHECK(count(view, HeaderId::contact) == row.contacts);
      CHECK(view.body().empty() != row.has_body);
    }
  }
}

TEST_CASE("torture messages that name none of ours pass bit for bit", "[alg][sip][AC-04][AC-16][rfc4475]") {
  for (const std::string name : {"wsinv", "intmeth", "esc01", "escnull", "esc02", "lwsdisp", "longreq",
                                 "dblreq", "semiuri", "transports", "mpart01", "unreason", "noreason"}) {
    DYNAMIC_SECTION(name) {
      test::SipBench bench;
      const auto bytes = torture(name);
      CHECK(bench.out(bytes).text == bytes);
      CHECK(bench.in(bytes).text == bytes);
    }
  }
}

TEST_CASE("a torture message with our addresses in it is translated where they stand",
          "[alg][sip][AC-03][rfc4475]") {
  // Every address of wsinv belongs to the inside now.
  const auto moved = [](std::string text, const std::string& from, const std::string& to) {
    for (auto at = text.find(from); at != std::string::npos; at = text.find(from, at + to.size())) {
      text.replace(at, from.size(), to);
    }
    return text;
  };
  test::SipBench bench;
  const auto inside =
      moved(moved(moved(torture("wsinv"), "192.0.2.2;", "10.0.0.5;"), "192.168.255.111", "10.0.0.6"),
            "192.0.2.4", "10.0.99.5");
  auto expected = moved(moved(moved(inside, "10.0.0.5;branch", "203.0.113.10:10060;branch"), "10.0.0.6   ;",
                              "203.0.113.10:11060   ;"),
                        "IP4 10.0.99.5", "IP4 203.0.113.10");
  expected = moved(moved(expected, "audio 49217", "audio 54217"), "video 3227", "video 8227");
  const auto body = expected.substr(expected.find("\r\n\r\n") + 4);
  const auto passed = bench.out(inside);
  // The one line that cannot be said beforehand is the length.
  const auto length = "Content-Length   : " + std::to_string(body.size()) + "\r\n";
  const auto at = expected.find("Content-Length   : ");
  expected.replace(at, expected.find("\r\n", at) + 2 - at, length);
  CHECK(passed.text == expected);
}

}  // namespace pinhole::alg::sip
