// SPDX-License-Identifier: BSD-3-Clause
// What software runs inside is told to nobody outside, by policy: User-Agent and Server of what leaves. Whole
// messages before and after are in tests/vectors/sip/policies.
#include <catch2/catch.hpp>
#include <cstdint>
#include <cstdlib>
#include <string>

#include "alg/sip/chars.hpp"
#include "alg/sip/message.hpp"
#include "tests/support/sip_bench.hpp"
#include "tests/support/sip_generator.hpp"

namespace pinhole::alg::sip {

namespace {

using test::SipBench;

constexpr std::string_view kName = "Example SBC 1.0";

Policy with(Software software) {
  auto policy = test::direct_media();
  policy.software = software;
  policy.software_name = kName;
  return policy;
}

std::string request(const std::string& headers, const std::string& body = {}) {
  return test::lines({"NOTIFY sip:bob@example.com SIP/2.0", "Via: SIP/2.0/UDP phone.example.com",
                      "From: <sip:a@b>;tag=1", "To: <sip:c@d>", "Call-ID: 1", "CSeq: 1 NOTIFY"}) +
         headers + "\r\n" + body;
}

std::string fragment(const std::string& text, const std::string& length) {
  return request("Content-Type: message/sipfrag\r\nContent-Length: " + length + "\r\n", text);
}

// The same done by hand: a model that reads line by line, and shares no code with the gateway.
std::string by_hand(const std::string& text, Software software) {
  std::string out;
  const auto head = text.find("\r\n\r\n") + 2;
  for (std::size_t at = 0; at < head;) {
    auto end = text.find("\r\n", at) + 2;
    while (end < head && (text[end] == ' ' || text[end] == '\t')) end = text.find("\r\n", end) + 2;
    auto line = text.substr(at, end - at);
    at = end;
    auto name = line.substr(0, std::min(line.find(':'), line.size()));
    name.erase(name.find_last_not_of(" \t\r\n") + 1);
    const auto colon = line.find(':');
    if (equals(name, "user-agent") || equals(name, "server")) {
      if (software == Software::strip) continue;
      const auto begin = line.find_first_not_of(" \t\r\n", colon + 1);
      const auto last = line.find_last_not_of(" \t\r\n");
      if (begin != std::string::npos) line.replace(begin, last + 1 - begin, kName);
    }
    out += line;
  }
  return out + text.substr(head);
}

std::uint64_t first_seed() {
  const char* const text = std::getenv("PINHOLE_SEED");
  return text != nullptr ? std::strtoull(text, nullptr, 10) : 20261127;
}

}  // namespace

TEST_CASE("of a random valid message User-Agent and Server are hidden, and nothing else is changed for it",
          "[alg][sip][property][hiding]") {
  std::size_t hidden = 0;
  const auto seed = first_seed();
  for (std::uint64_t i = 0; i < 2000; ++i) {
    INFO("PINHOLE_SEED=" << seed + i);
    auto text = test::SipGenerator(seed + i).message().render(
        [](const test::Named& named) { return named.endpoint; });
    // The generator makes no Server.
    if (const auto at = text.find("\r\nUser-Agent"); i % 2 == 0 && at != std::string::npos)
      text.replace(at + 2, 10, "sErver");
    CAPTURE(text);
    SipBench plain(test::direct_media());
    const auto usual = plain.out(text).text;
    for (const auto software : {Software::replace, Software::strip}) {
      SipBench bench(with(software));
      const auto out = bench.out(text).text;
      REQUIRE(out == by_hand(usual, software));
      REQUIRE(bench.out(text).text == out);
      REQUIRE(bench.out(bench.in(out).text).text == out);
      hidden += out != usual ? 1 : 0;
    }
  }
  CHECK(hidden > 400);
}

TEST_CASE("software is hidden from the outside only, and by policy only", "[alg][sip][hiding]") {
  for (const std::string header : {"User-Agent: Acme/1.0\r\n", "Server: Acme/1.0\r\n"}) {
    const auto text = request(header);
    SipBench plain;
    CHECK(plain.out(text).text == text);
    for (const auto software : {Software::replace, Software::strip}) {
      SipBench bench(with(software));
      CHECK(bench.in(text).text == text);
      const auto out = bench.out(text);
      CHECK(out.text == by_hand(text, software));
      CHECK(out.rules == header.substr(0, header.find(':')));
    }
  }
}

TEST_CASE("software is hidden in a fragment of a message, whose lines stay where they are",
          "[alg][sip][hiding][rfc3420]") {
  struct Row {
    std::string before, replaced, stripped;
  };
  const Row rows[] = {
      {"SIP/2.0 200 OK\r\nServer: Acme\r\n", "SIP/2.0 200 OK\r\nServer: Example SBC 1.0\r\n",
       "SIP/2.0 200 OK\r\nServer: \r\n"},
      // What stands behind the first line is no start line, here and on the way back.
      {"User-Agent: Acme\r\nINVITE sip:10.99.0.5 SIP/2.0\r\n",
       "User-Agent: Example SBC 1.0\r\nINVITE sip:10.99.0.5 SIP/2.0\r\n",
       "User-Agent: \r\nINVITE sip:10.99.0.5 SIP/2.0\r\n"},
      {"Server:\r\n", "Server:\r\n", "Server:\r\n"},
  };
  for (const auto& row : rows) {
    CAPTURE(row.before);
    const auto before = fragment(row.before, std::to_string(row.before.size()));
    SipBench replaces(with(Software::replace));
    CHECK(replaces.out(before).text == fragment(row.replaced, std::to_string(row.replaced.size())));
    SipBench strips(with(Software::strip));
    CHECK(strips.out(before).text == fragment(row.stripped, std::to_string(row.stripped.size())));
  }
}

TEST_CASE("a line that is taken out of a fragment ends with it, whatever follows the body",
          "[alg][sip][rfc3325][rfc3420]") {
  Policy policy;
  policy.asserted_identity = AssertedIdentity::strip;
  SipBench bench(policy);
  const std::string kept = "SIP/2.0 200 OK\r\n";
  const auto taken = kept + "P-Asserted-Identity: <sip:a@b>\r\n";
  const std::string beyond = " what a datagram has behind its body\r\n";
  CHECK(bench.out(fragment(taken, std::to_string(taken.size())) + beyond).text ==
        fragment(kept, std::to_string(kept.size())) + beyond);
}

TEST_CASE("what a URI asks its reader to send as User-Agent stays", "[alg][sip][hiding]") {
  for (const auto software : {Software::replace, Software::strip}) {
    SipBench bench(with(software));
    const auto text = request("Refer-To: <sip:carol@example.com?User-Agent=Acme&Server=Acme>\r\n");
    CHECK(bench.out(text).text == text);
  }
}

TEST_CASE("a message with more User-Agents than can be replaced does not leave with some of them",
          "[alg][sip][hiding][AC-22]") {
  std::string header;
  for (std::size_t lines = 1; lines <= 150; ++lines) {
    header += "User-Agent: Acme\r\n";
    CAPTURE(lines);
    SipBench bench(with(Software::replace));
    const auto out = bench.out(request(header));
    const bool is_whole = out.text == by_hand(request(header), Software::replace);
    const bool is_refused = out.answer.reason == nat::DropReason::drop_sip_malformed;
    CHECK(is_whole != is_refused);
    if (lines <= 60) CHECK(is_whole);
  }
}

}  // namespace pinhole::alg::sip
