// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/guard/evidence.hpp"

#include <catch2/catch.hpp>

#include <string>

using namespace pinhole;

TEST_CASE("a message is read for who its sender says he is", "[guard][evidence]") {
  const std::string text =
      "REGISTER sip:a SIP/2.0\r\nuser-AGENT :  friendly-scanner \r\nAuthorization: Digest nonce=\"n1\"\r\n"
      "Proxy-Authorization: Digest nonce=\"n2\"\r\nProxy-Authenticate: Digest nonce=n3\r\n\r\n"
      "WWW-Authenticate: in the body";
  const auto evidence = dataplane::read_evidence(text);
  CHECK(evidence.user_agent == "friendly-scanner");
  CHECK(evidence.credentials == "Digest nonce=\"n1\"");
  CHECK(evidence.challenge == "Digest nonce=n3");
}

TEST_CASE("a message that ends anywhere is read as far as it goes", "[guard][evidence]") {
  const std::string text =
      "REGISTER sip:a SIP/2.0\r\nUser-Agent: x\r\nAuthorization: Digest nonce=\"n\"\r\n\r\n";
  for (std::size_t size = 0; size <= text.size(); ++size) {
    const std::string cut = text.substr(0, size);  // its end is the end of its memory
    const auto evidence = dataplane::read_evidence(cut);
    CHECK((evidence.user_agent.empty() || evidence.user_agent == "x"));
    static_cast<void>(dataplane::digest_param(evidence.credentials, "nonce"));
  }
}

TEST_CASE("a parameter of a digest is told from others like it", "[guard][evidence]") {
  struct Row {
    const char* value;
    const char* nonce;
  };
  const auto row =
      GENERATE(Row{"Digest nonce=\"abc\"", "abc"}, Row{"Digest realm=\"a, nonce=b\", NONCE = \"c\"", "c"},
               Row{"Digest cnonce=\"x\",nonce=y", "y"}, Row{"Digest", ""}, Row{"", ""},
               Row{"Digest nonce", ""}, Row{"Digest nonce=", ""}, Row{"Digest nonce=\"", "\""});
  CHECK(dataplane::digest_param(row.value, "nonce") == row.nonce);
}

TEST_CASE("a text is found in another in whatever case", "[guard][evidence]") {
  CHECK(dataplane::AnyCase("x Friendly-Scanner/1").contains("friendly-SCANNER"));
  CHECK(dataplane::AnyCase("frfriendly-scanner").contains("friendly-scanner"));
  CHECK_FALSE(dataplane::AnyCase("friendly").contains("friendly-scanner"));
  CHECK_FALSE(dataplane::AnyCase("").contains("a"));
  CHECK(dataplane::AnyCase(std::string(255, 'x') + "yz").contains("xY"));
  CHECK_FALSE(dataplane::AnyCase(std::string(255, 'x') + "yz").contains("yz"));  // it is cut
}

TEST_CASE("a subscriber is who a URI names", "[guard][evidence]") {
  CHECK(dataplane::subscriber_of("sip:alice@example.com;user=phone?x=y") == "alice@example.com");
  CHECK(dataplane::subscriber_of("tel:+4930123") == "+4930123");
  CHECK(dataplane::subscriber_of("") == "");
}
