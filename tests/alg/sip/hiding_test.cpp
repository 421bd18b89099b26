// SPDX-License-Identifier: BSD-3-Clause
// What is done by policy: hiding, stripping, transparent peers. And what comes back as it was written.
#include "alg/sip/hiding.hpp"

#include <catch2/catch.hpp>
#include <string>

#include "tests/support/sip_bench.hpp"

namespace pinhole::alg::sip {

namespace {

using test::SipBench;

Policy hiding() {
  Policy policy;
  policy.hide_parties = policy.hide_call_id = true;
  policy.tokens = HostTokens(HostTokens::Key{5, 6, 7, 8});
  return policy;
}

std::string token(const char* address) {
  return std::string(hiding().tokens.name_of(test::address(address)).view());
}

// "@5" stands for 10.0.0.5 and "@6" for 10.0.0.6.
std::string with(std::string text, const std::string& five, const std::string& six) {
  for (const auto& [mark, value] : {std::pair{"@5", five}, std::pair{"@6", six}}) {
    for (auto at = text.find(mark); at != std::string::npos; at = text.find(mark, at + value.size()))
      text.replace(at, 2, value);
  }
  return text;
}

std::string message(const std::string& call_id, const std::string& header) {
  return test::lines({"REFER sip:bob@example.com SIP/2.0",
                      "Via: SIP/2.0/UDP phone.example.net;branch=z9hG4bK1",
                      "From: \"10.99.0.5\" <sip:alice@@5;user=phone>;tag=10.99.0.5", "To: <sip:bob@@6:5070>",
                      "Call-ID: " + call_id, "CSeq: 1 REFER", header}) +
         "\r\n";
}

}  // namespace

TEST_CASE("hidden hosts leave as tokens and come back as they were, wherever they identify something",
          "[alg][sip][AC-15][rfc3891][rfc3911][rfc4538]") {
  const std::string bodies[] = {
      message("a84b4c76e66710@@5", "Subject: call of 10.99.0.5"),
      message("a84b4c76e66710@@5:5060", "Replaces: x@@6;to-tag=1;from-tag=10.99.0.5"),
      message("no-host-10.99.0.5", "Join: x@@6 ;from-tag=2;to-tag=1"),
      message("1@example.com", "Target-Dialog: x@@5;local-tag=1;remote-tag=2"),
      message("1@10.99.0.300", "In-Reply-To: x@@5, y@@6 ,z@example.com,@5@@5"),
      message("1@@5", "Refer-To: <sip:bob@example.com?Replaces=x%40@5%3Bto-tag%3D1&Subject=%4010.99.0.5>"),
      message("1@@5",
              "Refer-To: <sip:bob@example.com?Replaces=x@@5%3Bfrom-tag%3D1>, <sip:c@example.com?Join=%40@6>"),
      message("1@@5", "Warning: 399 @5 \"sip:alice@10.99.0.5\", 307 @6:5060 \"x, y\""),
  };
  for (const auto& text : bodies) {
    DYNAMIC_SECTION(text.substr(text.find("CSeq"))) {
      SipBench bench(hiding());
      bench.host.inside_prefix = *nat::Prefix::parse("10.0.0.0/24");
      // The user of the last In-Reply-To is no host.
      auto before = with(text, "10.0.0.5", "10.0.0.6");
      auto after = with(text, token("10.0.0.5"), token("10.0.0.6"));
      const auto user = after.find("," + token("10.0.0.5") + "@");
      if (user != std::string::npos) after.replace(user + 1, HostTokens::kNameSize, "10.0.0.5");
      const auto out = bench.out(before);
      CHECK(out.text == after);
      CHECK(bench.in(out.text).text == before);
      CHECK(bench.host.mappings() == 1);  // nothing is opened for it
      // Both sides name one call: what is told of it is what the inside knows.
      REQUIRE(bench.host.announced.size() == 2);
      CHECK(bench.host.announced[0].call_id == bench.host.announced[1].call_id);
      CHECK(bench.host.announced[0].call_id.find("invalid") == std::string::npos);
    }
  }
}

TEST_CASE("without a policy nobody's identity is touched", "[alg][sip][AC-15]") {
  SipBench bench;
  const auto text = with(message("1@@5", "Replaces: x@@6;to-tag=1;from-tag=2"), "10.0.0.5", "10.0.0.6");
  CHECK(bench.out(text).text == text);
  SipBench other(hiding());
  const auto hidden = other.out(text).text;
  CHECK(hidden != text);
  CHECK(bench.in(hidden).text == hidden);
}

TEST_CASE("a token of another key, or of an address that is none of ours, stays as it is",
          "[alg][sip][AC-15]") {
  SipBench bench(hiding());
  const HostTokens strange(HostTokens::Key{9, 9, 9, 9});
  for (const auto& host :
       {std::string(strange.name_of(test::address("10.0.0.5")).view()), token("192.0.2.1")}) {
    const auto text = with(message("1@@5", "Subject: x"), host, host);
    CHECK(bench.in(text).text == text);
    CHECK(bench.out(text).text == text);
  }
}

TEST_CASE("an Identity that signs what is hidden is counted as broken", "[alg][sip][rfc8224]") {
  for (const bool hides : {false, true}) {
    SipBench bench(hides ? hiding() : Policy{});
    static_cast<void>(
        bench.out(with(message("1", "Identity: eyJ.eyJ.x;info=<https://a/b>"), "10.0.0.5", "b")));
    CHECK(bench.counters.read(Counter::sip_identity_broken) == (hides ? 1 : 0));
    static_cast<void>(bench.out(with(message("1", "Identity: \"signed by RFC 4474\""), "b", "c")));
    CHECK(bench.counters.read(Counter::sip_identity_broken) == (hides ? 1 : 0));
    static_cast<void>(bench.out(
        test::lines({"OPTIONS sip:b SIP/2.0", "Via: SIP/2.0/UDP 10.0.0.5", "From: <sip:a@b>;tag=1",
                     "To: <sip:c@d>", "Call-ID: 1", "CSeq: 1 OPTIONS", "y: \"signed by RFC 4474\"", ""})));
    CHECK(bench.counters.read(Counter::sip_identity_broken) == (hides ? 2 : 1));
  }
}

TEST_CASE("asserted identities are taken out where the policy says", "[alg][sip][rfc3325]") {
  const std::string with_identity = test::lines(
      {"INVITE sip:b SIP/2.0", "Via: SIP/2.0/UDP phone", "From: <sip:a@b>;tag=1",
       "P-Asserted-Identity: \"A, B\" <sip:a@10.0.0.5>", "To: <sip:c@d>", "Call-ID: 1",
       "p-asserted-identity :\r\n <tel:+1>,\r\n\t<sip:x@y>", "CSeq: 1 INVITE", "P-Asserted-Identity:", ""});
  const std::string without =
      test::lines({"INVITE sip:b SIP/2.0", "Via: SIP/2.0/UDP phone", "From: <sip:a@b>;tag=1", "To: <sip:c@d>",
                   "Call-ID: 1", "CSeq: 1 INVITE", ""});
  struct Row {
    AssertedIdentity policy;
    bool out;
    bool in;
  };
  for (const auto row :
       {Row{AssertedIdentity::keep, false, false}, Row{AssertedIdentity::strip_outbound, true, false},
        Row{AssertedIdentity::strip_inbound, false, true}, Row{AssertedIdentity::strip, true, true}}) {
    Policy policy;
    policy.asserted_identity = row.policy;
    SipBench bench(policy);
    CHECK((bench.out(with_identity).text == without) == row.out);
    CHECK((bench.in(with_identity).text == without) == row.in);
    CHECK((bench.in(with_identity).text == with_identity) == !row.in);
  }
}

TEST_CASE("messages of a transparent peer are not touched", "[alg][sip][AC-04]") {
  const nat::Prefix peers[] = {*nat::Prefix::parse("198.51.100.0/24")};
  Policy policy;
  policy.transparent = peers;
  const auto text =
      test::with_sdp({"INVITE sip:b SIP/2.0", "Via: SIP/2.0/UDP 10.0.0.5:5060", "From: <sip:a@b>;tag=1",
                      "To: <sip:c@d>", "Call-ID: 1", "CSeq: 1 INVITE", "Contact: <sip:a@10.0.0.5>"},
                     "c=IN IP4 10.0.0.5\r\nm=audio 4000 RTP/AVP 0\r\n");
  SipBench bench(policy);
  const auto passed = bench.out(text);
  CHECK(passed.text == text);
  CHECK_FALSE(passed.answer.recognised);
  CHECK(bench.host.announced.empty());
  CHECK(bench.host.opened.empty());
  CHECK(bench.counters.read(Counter::sip_transparent) == 1);
  bench.flow.remote = test::endpoint("198.51.101.1:5060");
  CHECK(bench.out(text).edits > 0);
}

TEST_CASE("an endpoint comes back with its port or without, as its host wrote it",
          "[alg][sip][AC-10][AC-11]") {
  struct Row {
    const char* via;
    const char* contact;
  };
  const Row rows[] = {
      {"10.0.0.5", "<sip:alice@10.0.0.5>"},
      {"10.0.0.5:5060", "<sip:alice@10.0.0.5>"},
      {"10.0.0.5", "<sip:alice@10.0.0.5:5060>"},
      {"10.0.0.5:5060", "<sip:alice@10.0.0.5:5060>"},
      {"10.0.0.5 : 5060", "<sip:10.0.0.5;transport=udp>"},
      {"10.0.0.5:5062", "<sips:alice@10.0.0.5>"},
      {"10.0.0.5:40000", "<sips:alice@10.0.0.5:5061>"},
      {"10.0.0.5", "<sip:alice@host.example.com;maddr=10.0.0.5>, <sip:alice@10.0.0.6>"},
      {"10.0.0.5", "<sip:alice@10.0.0.6:5060;maddr=10.0.0.5>"},
      {"10.0.0.5;maddr=10.0.0.6", "<sip:alice@10.0.0.6;maddr=10.0.0.5>"},
      {"10.0.0.5:5060;maddr=10.0.0.6;received=10.0.0.7;rport", "<sip:10.0.0.5>"},
      {"10.0.0.5;received=10.0.0.6", "<sip:10.0.0.5>"},
      {"10.0.0.5:5070;received=10.0.0.6;rport", "<sip:10.0.0.5>"},
      {"10.0.0.5;received=10.0.0.6;rport=5060", "<sip:10.0.0.5>"},
      {"phone.example.com;received=10.0.0.6", "<sip:10.0.0.5>"},
      {"phone.example.com:5060;received=10.0.0.6", "<sip:10.0.0.5>"},
      {"192.0.2.1;received=10.0.0.6", "<sip:10.0.0.5>"},
  };
  for (const auto& row : rows) {
    DYNAMIC_SECTION(row.via << " " << row.contact) {
      const auto text = test::lines({"REGISTER sip:b SIP/2.0", std::string("Via: SIP/2.0/UDP ") + row.via,
                                     "From: <sip:a@b>;tag=1", "To: <sip:c@d>", "Call-ID: 1",
                                     "CSeq: 1 REGISTER", std::string("Contact: ") + row.contact, ""});
      SipBench bench;
      const auto passed = bench.out(text);
      REQUIRE(passed.answer.verdict == Verdict::forward);
      CHECK(passed.text.find("10.0.0.") == std::string::npos);
      CHECK(bench.in(passed.text).text == text);
      CHECK(bench.out(text).text == passed.text);
    }
  }
}

TEST_CASE("a Request-URI has a port or none, as the Contact that it was made of", "[alg][sip][AC-10]") {
  for (const std::string contact : {"sip:alice@10.0.0.5", "sip:alice@10.0.0.5:5060"}) {
    SipBench bench;
    static_cast<void>(bench.out(
        test::lines({"REGISTER sip:b SIP/2.0", "Via: SIP/2.0/UDP 10.0.0.5:5060", "From: <sip:a@b>;tag=1",
                     "To: <sip:c@d>", "Call-ID: 1", "CSeq: 1 REGISTER", "Contact: <" + contact + ">", ""})));
    const auto invite = [](const std::string& uri) {
      return test::lines({"INVITE " + uri + " SIP/2.0", "Via: SIP/2.0/UDP 192.0.2.1", "From: <sip:a@b>;tag=1",
                          "To: <sip:c@d>", "Call-ID: 2", "CSeq: 1 INVITE", ""});
    };
    CHECK(bench.in(invite("sip:alice@203.0.113.10:10060")).text == invite(contact));
  }
}

TEST_CASE("both the source and the sent-by of a request are reachable when they differ",
          "[alg][sip][AC-11]") {
  SipBench bench;
  bench.flow.inside = test::endpoint("10.0.0.5:45000");
  bench.flow.external = bench.host.external_of(nat::Protocol::udp, bench.flow.inside).endpoint;
  static_cast<void>(bench.out(
      test::lines({"REGISTER sip:b SIP/2.0", "Via: SIP/2.0/UDP 10.0.0.5:5060;rport", "From: <sip:a@b>;tag=1",
                   "To: <sip:c@d>", "Call-ID: 1", "CSeq: 1 REGISTER", ""})));
  CHECK(bench.host.inside_of(nat::Protocol::udp, bench.flow.external).endpoint == bench.flow.inside);
  CHECK(bench.host.inside_of(nat::Protocol::udp, test::endpoint("203.0.113.10:10060")).endpoint ==
        test::endpoint("10.0.0.5:5060"));
}

TEST_CASE("addresses in escaped headers of a URI are translated where they are written",
          "[alg][sip][AC-02][AC-14][rfc3515]") {
  struct Row {
    const char* before;
    const char* after;
  };
  const Row rows[] = {
      {"<sip:b@example.com?Route=%3Csip:10.0.0.6;lr%3E>",
       "<sip:b@example.com?Route=%3Csip:203.0.113.10:11060;lr%3E>"},
      {"<sip:b@example.com?Route=%3Csip%3A10%2E0.0.6%3A5060%3E&Contact=sip%3ax%4010.0.0.5>",
       "<sip:b@example.com?Route=%3Csip%3A203.0.113.10:11060%3E&Contact=sip%3ax%40203.0.113.10:10060>"},
      {"<sip:b@10.0.0.6?Record-Route=%3Csip:10.0.0.5%3E,%3Csip:[::1]%3E>",
       "<sip:b@203.0.113.10:11060?Record-Route=%3Csip:203.0.113.10:10060%3E,%3Csip:[::1]%3E>"},
      {"<sip:b@example.com?Refer-To=%3Csip:a%3FRoute=10.99.0.5%3E&Subject=10.99.0.5&body=10.99.0.5>",
       "<sip:b@example.com?Refer-To=%3Csip:a%3FRoute=10.99.0.5%3E&Subject=10.99.0.5&body=10.99.0.5>"},
      {"<sip:b@example.com?Route=%3Csip:10.99.0.300%3E&%zz=%&Route&=&&>",
       "<sip:b@example.com?Route=%3Csip:10.99.0.300%3E&%zz=%&Route&=&&>"},
  };
  for (const auto& row : rows) {
    DYNAMIC_SECTION(row.before) {
      const auto refer = [](const std::string& to) {
        return test::lines({"REFER sip:b SIP/2.0", "Via: SIP/2.0/UDP phone", "From: <sip:a@b>;tag=1",
                            "To: <sip:c@d>", "Call-ID: 1", "CSeq: 1 REFER", "Refer-To: " + to, ""});
      };
      SipBench bench;
      CHECK(bench.out(refer(row.before)).text == refer(row.after));
    }
  }
}

}  // namespace pinhole::alg::sip
