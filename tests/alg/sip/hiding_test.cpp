// SPDX-License-Identifier: BSD-3-Clause
// What is done by policy: hiding, stripping, transparent peers. And what comes back as it was written.
#include "alg/sip/hiding.hpp"

#include <catch2/catch.hpp>
#include <cstdint>
#include <initializer_list>
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

// \param steps how often it has left
std::string token(const char* address, std::int8_t steps = 1) {
  return std::string(hiding().tokens.name_of({test::address(address), steps}).view());
}
std::string ipv6_token(const char* address, std::int8_t steps = 1) {
  return std::string(hiding().tokens.ipv6_of({test::address(address), steps}).view());
}

// "$5" stands for 10.0.0.5 and "$6" for 10.0.0.6.
std::string with(std::string text, const std::string& five, const std::string& six) {
  for (const auto& [mark, value] : {std::pair{"$5", five}, std::pair{"$6", six}}) {
    for (auto at = text.find(mark); at != std::string::npos; at = text.find(mark, at + value.size()))
      text.replace(at, 2, value);
  }
  return text;
}

std::string message(const std::string& call_id, const std::string& header) {
  return test::lines({"REFER sip:bob@example.com SIP/2.0",
                      "Via: SIP/2.0/UDP phone.example.net;branch=z9hG4bK1",
                      "From: \"10.99.0.5\" <sip:alice@$5;user=phone>;tag=10.99.0.5", "To: <sip:bob@$6:5070>",
                      "Call-ID: " + call_id, "CSeq: 1 REFER", header}) +
         "\r\n";
}

}  // namespace

TEST_CASE("hidden hosts leave as tokens and come back as they were, wherever they identify something",
          "[alg][sip][AC-15][rfc3891][rfc3911][rfc4235][rfc4538]") {
  const std::string bodies[] = {
      message("a84b4c76e66710@$5", "Subject: call of 10.99.0.5"),
      message("a84b4c76e66710@$5:5060", "Replaces: x@$6;to-tag=1;from-tag=10.99.0.5"),
      message("no-host-10.99.0.5", "Join: x@$6 ;from-tag=2;to-tag=1"),
      message("1@example.com", "Target-Dialog: x@$5;local-tag=1;remote-tag=2"),
      message("1@$5", "Event: dialog;call-id=\"x@$6\";to-tag=1;from-tag=\"y@10.99.0.5\""),
      message("1@$5", "o: dialog ; Call-ID = x@$5:5060;sla"),
      message("1@$5", "Event: dialog;x=\";call-id=10.99.0.5\""),
      message("1@10.99.0.300", "In-Reply-To: x@$5, y@$6 ,z@example.com,$5@$5"),
      message("1@$5", "Refer-To: <sip:bob@example.com?Replaces=x%40$5%3Bto-tag%3D1&Subject=%4010.99.0.5>"),
      message("1@$5",
              "Refer-To: <sip:bob@example.com?Replaces=x@$5%3Bfrom-tag%3D1>, <sip:c@example.com?Join=%40$6>"),
      message("1@$5", "Warning: 399 $5 \"sip:alice@10.99.0.5\", 307 $6:5060 \"x, y\""),
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

TEST_CASE("without a policy nobody's identity is touched", "[alg][sip][AC-15][rfc5853]") {
  SipBench bench;
  const auto text = with(message("1@$5", "Replaces: x@$6;to-tag=1;from-tag=2"), "10.0.0.5", "10.0.0.6");
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
       {std::string(strange.name_of({test::address("10.0.0.5"), 1}).view()), token("192.0.2.1")}) {
    const auto text = with(message("1@$5", "Subject: x"), host, host);
    CHECK(bench.in(text).text == text);
    CHECK(bench.out(text).text == text);
  }
}

TEST_CASE("an address that an outside party wrote is answered as it was written, and is its call inside",
          "[alg][sip][AC-15]") {
  // His network has the same addresses as ours, which is common.
  SipBench bench(hiding());
  const auto text = [](const std::string& start, const std::string& host) {
    return test::lines({start, "Via: SIP/2.0/UDP 198.51.100.20;branch=z9hG4bK1",
                        "From: <sip:bob@" + host + ">;tag=1", "To: <sip:alice@example.com>",
                        "Call-ID: 1@" + host, "CSeq: 1 INVITE",
                        "Replaces: 2@" + host + ";to-tag=1;from-tag=2", ""});
  };
  const std::string request = "INVITE sip:alice@example.com SIP/2.0";
  const std::string response = "SIP/2.0 200 OK";
  CHECK(bench.in(text(request, "10.0.0.5")).text == text(request, token("10.0.0.5", -1)));
  CHECK(bench.out(text(response, token("10.0.0.5", -1))).text == text(response, "10.0.0.5"));
  REQUIRE(bench.host.announced.size() == 2);
  CHECK(bench.host.announced[0].call_id == bench.host.announced[1].call_id);
  CHECK(bench.host.mappings() == 1);
}

TEST_CASE("whatever stands where hosts are hidden has one text for each side", "[alg][sip][AC-15]") {
  const std::string hosts[] = {"10.0.0.5",
                               "10.0.0.255",
                               "192.0.2.1",
                               "010.0.0.5",
                               "10.0.0.5.",
                               "example.com",
                               token("10.0.0.5"),
                               token("10.0.0.5", 2),
                               token("10.0.0.5", 127),
                               token("10.0.0.5", -128),
                               token("10.0.0.5", -2),
                               token("10.0.0.5", -1),
                               token("10.0.0.5", 0),
                               token("192.0.2.1"),
                               "x" + token("10.0.0.5"),
                               token("10.0.0.5") + ".",
                               "0B1F6C2E8A94D7E3.INVALID",
                               ipv6_token("10.0.0.5"),
                               "[" + ipv6_token("10.0.0.5") + "]"};
  const std::string calls[] = {"1@$5", "1@$5:5060", "1@2@$5", "1@$5;x=1", "@$5", "$5"};
  const std::string headers[] = {"Replaces: x@$5;to-tag=1;from-tag=$5", "Join: $5;from-tag=x@$5",
                                 "In-Reply-To: x@$5,$5 , y@$5:1 ,@$5",
                                 "Refer-To: <sip:b@example.com?Replaces=x%40$5%3Bto-tag%3D1&In-Reply-To=@$5>",
                                 "Warning: 399 $5 \"x\", 399$5 \"y\", $5, 1 $5:5060"};
  for (const auto& host : hosts) {
    for (const auto& call : calls) {
      for (const auto& header : headers) {
        const auto text = with(message(call, header), host, "b.example.com");
        CAPTURE(text);
        SipBench bench(hiding());
        CHECK(bench.in(bench.out(text).text).text == text);
        CHECK(bench.out(bench.in(text).text).text == text);
        REQUIRE(bench.host.announced.size() == 4);
        CHECK(bench.host.announced[0].call_id == bench.host.announced[1].call_id);
        CHECK(bench.host.announced[2].call_id == bench.host.announced[3].call_id);
      }
    }
  }
}

TEST_CASE("a Call-ID is hidden on both sides or on none, however long it is", "[alg][sip][AC-15]") {
  for (std::size_t rest = InsideCallId::kMaxRest - 2; rest <= InsideCallId::kMaxRest + 2; ++rest) {
    for (const char* const host : {"10.0.0.5", "10.255.255.255"}) {
      CAPTURE(rest, host);
      const auto text =
          message(std::string(rest - 1, 'i') + "@" + host, "Replaces: " + std::string(rest - 1, 'i') + "@" +
                                                               host + ";to-tag=" + std::string(200, 't'));
      SipBench bench(hiding());
      const auto out = bench.out(text).text;
      // From, Call-ID and Replaces, or From alone.
      CHECK((out.find(host) == std::string::npos) == (rest <= InsideCallId::kMaxRest));
      CHECK(bench.in(out).text == text);
      REQUIRE(bench.host.announced.size() == 2);
      CHECK(bench.host.announced[0].call_id == bench.host.announced[1].call_id);
    }
  }
}

TEST_CASE("a token that an inside host writes beside an address comes back to it as its own",
          "[alg][sip][AC-10][AC-11]") {
  const std::string vias[] = {"10.0.0.5;received=$5",
                              "10.0.0.5;received=$5;rport=5070",
                              "phone.example.com;received=$5",
                              "10.0.0.5;maddr=10.0.0.6;received=$5",
                              "$6;maddr=10.0.0.6",
                              "$6;received=$6"};
  for (const auto& via : vias) {
    for (const auto steps : std::initializer_list<std::int8_t>{1, 2, 127, -128, -2}) {
      const auto text = with(test::lines({"REGISTER sip:b SIP/2.0", "Via: SIP/2.0/UDP " + via,
                                          "From: <sip:a@b>;tag=1", "To: <sip:c@d>", "Call-ID: 1",
                                          "CSeq: 1 REGISTER", "Contact: <sip:a@$6;maddr=10.0.0.6>", ""}),
                             ipv6_token("10.0.0.5", steps), token("10.0.0.5", steps));
      CAPTURE(text);
      SipBench bench(hiding());
      const auto out = bench.out(text);
      CHECK(out.text != text);
      CHECK(bench.in(out.text).text == text);
      CHECK(bench.out(text).text == out.text);
    }
  }
  // Nobody inside was ever told of one that would leave as an address.
  SipBench bench(hiding());
  const auto last = bench.out(test::lines(
      {"REGISTER sip:b SIP/2.0", "Via: SIP/2.0/UDP 10.0.0.5;received=" + ipv6_token("10.0.0.5", -1),
       "From: <sip:a@b>;tag=1", "To: <sip:c@d>", "Call-ID: 1", "CSeq: 1 REGISTER", ""}));
  CHECK(last.answer.reason == nat::DropReason::drop_sip_malformed);
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
      {"<sip:b@example.com?Route=%3Csip:10%2E0%2e0%2E6;lr%3E>",
       "<sip:b@example.com?Route=%3Csip:203.0.113.10:11060;lr%3E>"},
      {"<sip:b@example.com?Contact=sip:a%40%31%30%2E%30%2E%30%2E%35%3A%35%30%36%30>",
       "<sip:b@example.com?Contact=sip:a%40203.0.113.10:10060>"},
      {"<sip:b@10%2E99.0.5?Route=%3Csip:10%2E99%2E0%2E300%3E>",
       "<sip:b@10%2E99.0.5?Route=%3Csip:10%2E99%2E0%2E300%3E>"},
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

TEST_CASE("headers of a URI are translated however long they are", "[alg][sip][AC-02][AC-14][rfc3515]") {
  // Without a plain address anywhere, with an endpoint at either end.
  const auto refer = [](const std::string& first, const std::string& last, std::size_t between) {
    std::string route = first + "%2C";
    while (route.size() < between) route += "%3Csip%3Aproxy%2Eexample%2Ecom%3Blr%3E%2C";
    return test::lines({"REFER sip:b SIP/2.0", "Via: SIP/2.0/UDP phone", "From: <sip:a@b>;tag=1",
                        "To: <sip:c@d>", "Call-ID: 1", "CSeq: 1 REFER",
                        "Refer-To: <sip:b@example.com?Route=" + route + last + "&Subject=x>", ""});
  };
  for (const std::size_t between : {100U, 1000U, 1040U, 3000U, 60000U}) {
    SipBench bench;
    const auto text = refer("%3Csip%3A10%2E0%2E0%2E6%3E", "%3Csip%3A10%2E0%2E0%2E5%3E", between);
    const auto out = bench.out(text).text;
    CHECK(out.find("203.0.113.10:11060%3E") != std::string::npos);
    CHECK(out.find("203.0.113.10:10060%3E&Subject=x>") != std::string::npos);
    CHECK(bench.out(bench.in(out).text).text == out);
  }
}

}  // namespace pinhole::alg::sip
