// SPDX-License-Identifier: BSD-3-Clause
// The valid messages of RFC 4475 section 3.1.1 are read for what they say. What is done with them and with
// the invalid ones is in torture_test.cpp.
#include <catch2/catch.hpp>
#include <string>

#include "alg/sip/message.hpp"
#include "alg/sip/uri.hpp"
#include "tests/support/sip_vectors.hpp"

namespace pinhole::alg::sip {

namespace {

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
      const auto bytes = test::file_bytes(test::vector_folder("rfc4475") / (std::string(row.name) + ".sip"));
      MessageView view;
      REQUIRE(view.parse(bytes) == ParseResult::message);
      const auto summary = view.summary();
      CHECK(summary.method == row.method);
      CHECK(summary.status == row.status);
      CHECK(summary.cseq == row.cseq);
      if (row.from_tag != nullptr) CHECK(summary.from_tag == row.from_tag);
      CHECK(without_params(summary.to_uri) == row.to_uri);
      CHECK(summary.call_id.starts_with(row.name) == (std::string_view("mpart01") != row.name));
      CHECK(count(view, HeaderId::via) == row.vias);
      CHECK(count(view, HeaderId::contact) == row.contacts);
      CHECK(view.body().empty() != row.has_body);
    }
  }
}

}  // namespace pinhole::alg::sip
