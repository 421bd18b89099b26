// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/guard/evidence.hpp"

#include "alg/sip/uri.hpp"

#include <catch2/catch.hpp>

#include <cstdint>
#include <random>
#include <string>
#include <string_view>

using namespace pinhole;

TEST_CASE("a message is read for who its sender says he is", "[guard][evidence]") {
  const std::string text =
      "REGISTER sip:a SIP/2.0\r\nuser-AGENT :  friendly-scanner \r\nAuthorization: Digest nonce=\"n1\"\r\n"
      "Proxy-Authorization: Digest nonce=\"n2\"\r\nProxy-Authenticate: Digest nonce=n3\r\n\r\n"
      "WWW-Authenticate: in the body";
  const auto evidence = dataplane::read_evidence(text);
  CHECK(evidence.user_agents[0] == "friendly-scanner");
  CHECK(evidence.user_agents[1].empty());
  CHECK(evidence.credentials == "Digest nonce=\"n1\"");
  CHECK(evidence.challenge == "Digest nonce=n3");
}

TEST_CASE("every User-Agent of a message is read, and that there are too many is told", "[guard][evidence]") {
  constexpr std::size_t kMost = dataplane::Evidence::kMostAgents;
  const std::size_t count = GENERATE(0U, 1U, 2U, 4U, 5U, 9U);
  CAPTURE(count);
  std::string text = "REGISTER sip:a SIP/2.0\r\nUser-Agent:\r\n";  // an empty one says nothing
  for (std::size_t i = 0; i < count; ++i) text += "User-Agent: x" + std::to_string(i) + "\r\nTo: a\r\n";
  text += "\r\n";
  const auto evidence = dataplane::read_evidence(text);
  for (std::size_t i = 0; i < kMost; ++i) {
    CHECK(evidence.user_agents[i] == (i < count ? "x" + std::to_string(i) : std::string{}));
  }
  CHECK(evidence.too_many_agents == (count > kMost));
}

TEST_CASE("a message that ends anywhere is read as far as it goes", "[guard][evidence]") {
  const std::string text =
      "REGISTER sip:a SIP/2.0\r\nUser-Agent: x\r\nAuthorization: Digest nonce=\"n\"\r\n\r\n";
  for (std::size_t size = 0; size <= text.size(); ++size) {
    const std::string cut = text.substr(0, size);  // its end is the end of its memory
    const auto evidence = dataplane::read_evidence(cut);
    const auto agent = evidence.user_agents[0];
    CHECK((agent.empty() || agent == "x"));
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

TEST_CASE("a subscriber is what a URI has between its scheme and its parameters", "[guard][evidence]") {
  const std::uint64_t seed = std::random_device{}();
  INFO("seed " << seed);
  std::mt19937_64 random(seed);
  constexpr std::string_view kSchemes[] = {"sip:", "SIP:", "sips:", "tel:", ":", ""};
  constexpr std::string_view kCharacters = "@;?:ab=";
  for (int round = 0; round < 20000; ++round) {
    const auto scheme = random() % 6;
    std::string uri(kSchemes[scheme]);
    // Some are longer than what is looked at together.
    const auto size = random() % (round % 8 == 0 ? 200 : 24);
    const bool is_plain = round % 2 == 0;
    for (std::size_t i = 0; i < size; ++i) {
      uri += is_plain && random() % 16 != 0 ? 'a' : kCharacters[random() % kCharacters.size()];
    }
    INFO(uri);
    if (scheme < 3) {
      const auto rest = uri.substr(kSchemes[scheme].size());
      const auto at = rest.find('@');  // ends the user
      const auto end = rest.find_first_of(";?", at == std::string::npos ? 0 : at);
      REQUIRE(dataplane::subscriber_of(uri) == rest.substr(0, end));
    } else {
      const auto bare = alg::sip::without_params(uri);
      const auto colon = bare.find(':');
      REQUIRE(dataplane::subscriber_of(uri) ==
              (colon == std::string_view::npos ? bare : bare.substr(colon + 1)));
    }
  }
}
