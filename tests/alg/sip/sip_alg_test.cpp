// SPDX-License-Identifier: BSD-3-Clause
#include "alg/sip/sip_alg.hpp"

#include <catch2/catch.hpp>
#include <string>

#include "tests/support/sip_bench.hpp"

namespace pinhole::alg::sip {

namespace {

using test::SipBench;

// A message with one header in question; the others name nobody.
std::string with_header(const std::string& header,
                        const std::string& start = "OPTIONS sip:example.com SIP/2.0") {
  return test::lines({start, "Via: SIP/2.0/UDP phone.example.net;branch=z9hG4bK1", "From: <sip:a@b>;tag=1",
                      "To: <sip:c@d>", "Call-ID: 1", "CSeq: 1 OPTIONS", header}) +
         "\r\n";
}

std::string header_of(const std::string& message) {
  const std::string before = "CSeq: 1 OPTIONS\r\n";
  const auto begin = message.find(before) + before.size();
  return message.substr(begin, message.find("\r\n\r\n") - begin);
}

const std::string kOffer = "c=IN IP4 10.0.0.5\r\nm=audio 4000 RTP/AVP 0\r\n";

std::string invite() {
  return test::with_sdp(
      {"INVITE sip:bob@example.com SIP/2.0", "Via: SIP/2.0/UDP 10.0.0.5:5060;branch=z9hG4bK1;rport",
       "From: \"A\" <sip:alice@example.com>;tag=from", "To: <sip:bob@example.com;user=phone>",
       "Call-ID: call", "CSeq: 4 INVITE", "Contact: <sip:alice@10.0.0.5:5060>"},
      kOffer);
}

}  // namespace

TEST_CASE("own addresses in headers are translated on the way out",
          "[alg][sip][AC-02][AC-10][AC-11][rfc3581]") {
  struct Row {
    const char* before;
    const char* after;
  };
  const Row rows[] = {
      {"Contact: <sip:alice@10.0.0.5>", "Contact: <sip:alice@203.0.113.10:10060>"},
      {"Contact: <sip:alice@10.0.0.5:5060>", "Contact: <sip:alice@203.0.113.10:10060>"},
      {"Contact: sip:alice@10.0.0.5;expires=9", "Contact: sip:alice@203.0.113.10:10060;expires=9"},
      {"Contact: <sips:alice@10.0.0.5>", "Contact: <sips:alice@203.0.113.10:10061>"},
      {"Contact: <sip:alice@10.0.0.5;transport=tcp>",
       "Contact: <sip:alice@203.0.113.10:10060;transport=tcp>"},
      {"Contact: <sip:alice@10.0.0.7:5060>", "Contact: <sip:alice@203.0.113.10:5060>"},
      {"Contact: <sip:alice@10.0.0.8>", "Contact: <sip:alice@203.0.113.10>"},
      {"Contact: *", "Contact: *"},
      {"Contact: <sip:alice@192.168.1.5>", "Contact: <sip:alice@192.168.1.5>"},
      {"Contact: <sip:alice@203.0.113.10:10060>", "Contact: <sip:alice@203.0.113.10:10060>"},
      {"Contact: <tel:+1555>, <sip:[::ffff:10.0.0.5]>", "Contact: <tel:+1555>, <sip:[::ffff:10.0.0.5]>"},
      {"Contact: <sip:host.example.com;maddr=10.0.0.5>",
       "Contact: <sip:host.example.com:10060;maddr=203.0.113.10>"},
      {"Contact: <sip:10.0.0.5:5062;maddr=10.0.0.5>", "Contact: <sip:203.0.113.10:10062;maddr=203.0.113.10>"},
      {"Contact: <sip:alice@10.0.0.5", "Contact: <sip:alice@10.0.0.5"},
      {"Route: <sip:10.0.0.6;lr>", "Route: <sip:203.0.113.10:11060;lr>"},
      {"Path: <sip:10.0.0.6;lr>", "Path: <sip:203.0.113.10:11060;lr>"},
      {"Service-Route: <sip:10.0.0.6;lr>", "Service-Route: <sip:203.0.113.10:11060;lr>"},
      {"Refer-To: <sip:x@10.0.0.6?Replaces=y>", "Refer-To: <sip:x@203.0.113.10:11060?Replaces=y>"},
      {"Referred-By: sip:x@10.0.0.6", "Referred-By: sip:x@203.0.113.10:11060"},
      {"Reply-To: sip:x@10.0.0.6", "Reply-To: sip:x@203.0.113.10:11060"},
      {"P-Preferred-Identity: <sip:x@10.0.0.6>", "P-Preferred-Identity: <sip:x@203.0.113.10:11060>"},
      {"Remote-Party-ID: <sip:x@10.0.0.6>;party=calling",
       "Remote-Party-ID: <sip:x@203.0.113.10:11060>;party=calling"},
      {"Diversion: <sip:x@10.0.0.6>;reason=busy", "Diversion: <sip:x@203.0.113.10:11060>;reason=busy"},
      {"Authorization: Digest uri=\"sip:10.0.0.5:5060\"", "Authorization: Digest uri=\"sip:10.0.0.5:5060\""},
      {"Via: SIP/2.0/UDP 10.0.0.5", "Via: SIP/2.0/UDP 203.0.113.10:10060"},
      {"Via: SIP/2.0/TLS 10.0.0.5", "Via: SIP/2.0/TLS 203.0.113.10:10061"},
      {"Via: SIP/2.0/UDP 10.0.0.5;maddr=10.0.0.5", "Via: SIP/2.0/UDP 203.0.113.10:10060;maddr=203.0.113.10"},
      {"Via: SIP/2.0/UDP 10.0.0.5:5060;rport=40000;received=10.0.0.5",
       "Via: SIP/2.0/UDP 203.0.113.10:10060;rport=45000;received=203.0.113.10"},
      {"Via: SIP/2.0/UDP 10.0.0.5:5060;rport=40000", "Via: SIP/2.0/UDP 203.0.113.10:10060;rport=45000"},
      {"Via: SIP/2.0/UDP 10.0.0.5;received=10.0.0.5",
       "Via: SIP/2.0/UDP 203.0.113.10:10060;received=203.0.113.10"},
      {"Via: SIP/2.0/UDP phone.local;received=10.0.0.5",
       "Via: SIP/2.0/UDP phone.local:10060;received=203.0.113.10"},
      {"Via: SIP/2.0/UDP phone.local:5070;received=10.0.0.5",
       "Via: SIP/2.0/UDP phone.local:10070;received=203.0.113.10"},
      {"Via: SIP/2.0/UDP 192.0.2.1;received=192.0.2.2;rport=10.0.0.5",
       "Via: SIP/2.0/UDP 192.0.2.1;received=192.0.2.2;rport=10.0.0.5"},
      {"Via: SIP/2.0/UDP 10.0.0.5:99999", "Via: SIP/2.0/UDP 10.0.0.5:99999"},
  };
  for (const auto& row : rows) {
    DYNAMIC_SECTION(row.before) {
      SipBench bench;
      bench.host.forced[test::endpoint("10.0.0.7:5060")] = test::endpoint("203.0.113.10:5060");
      bench.host.forced[test::endpoint("10.0.0.8:5060")] = test::endpoint("203.0.113.10:5060");
      bench.know("10.0.0.6:5060");
      const auto passed = bench.out(with_header(row.before));
      CHECK(header_of(passed.text) == row.after);
    }
  }
}

TEST_CASE("what a message repeats is looked up, and opens nothing", "[alg][sip][AC-23][rfc3261][rfc3327]") {
  const std::string ok = "SIP/2.0 200 OK";
  const std::string bye = "BYE sip:example.com SIP/2.0";
  struct Row {
    std::string start;
    std::string header;
  };
  const Row rows[] = {
      {ok, "Via: SIP/2.0/UDP 10.0.0.9:1610;branch=1"},
      {ok, "Via: SIP/2.0/UDP host;received=10.0.0.9;rport=1610"},
      {ok, "Via: SIP/2.0/UDP host:1610;maddr=10.0.0.9"},
      {ok, "Record-Route: <sip:10.0.0.9:1610;transport=tcp;lr>"},
      {ok, "Record-Route: <sip:10.0.0.5:1610;lr>"},
      {ok, "Path: <sip:host:1610;maddr=10.0.0.9>"},
      {"SIP/2.0 302 Moved Temporarily",
       "Contact: <sip:x@10.0.0.9:1610>, <sip:y@10.0.0.9:1610;transport=tcp>"},
      {bye, "Route: <sip:198.51.100.9;lr>, <sip:10.0.0.9:1610;lr>"},
      {bye, "Referred-By: <sip:x@10.0.0.9:1610>"},
      {bye, "Diversion: <sip:x@10.0.0.9:1610>;reason=busy"},
      {bye, "History-Info: <sip:x@10.0.0.9:1610>;index=1, <sip:y@10.0.0.9:1610;transport=tcp>;index=1.1"},
      {bye, "P-Asserted-Identity: <sip:x@host:1610;maddr=10.0.0.9>"},
      {bye, "P-Preferred-Identity: <sip:x@10.0.0.9:1610>"},
      {bye, "P-Served-User: <sip:x@10.0.0.9:1610>"},
      {bye, "Remote-Party-ID: <sip:x@10.0.0.9:1610;transport=tcp>;party=calling"},
      {ok, "P-Associated-URI: <sip:x@10.0.0.9:1610>"},
      {ok, "P-Called-Party-ID: <sip:x@10.0.0.9:1610>"},
      {ok, "Contact: <sip:host?Referred-By=%3Csip:10.0.0.9:1610%3E>"},
      {bye,
       "History-Info: <sip:host?Record-Route=%3Csip:10.0.0.9:1610%3E&Route=%3Csip:10.0.0.9:1610%3E>;index=1"},
      {bye, "Diversion: <sip:x@198.51.100.9?Contact=%3Csip:10.0.0.9:1610%3Btransport%3Dtcp%3E>"},
      {"BYE sip:10.0.0.9:1610 SIP/2.0", "X: y"},
      {"BYE sip:10.0.0.9:1610;transport=tcp SIP/2.0", "X: y"},
  };
  for (const auto& row : rows) {
    DYNAMIC_SECTION(row.start << " " << row.header) {
      SipBench bench;
      const auto message = with_header(row.header, row.start);
      const auto mappings = bench.host.mappings();
      CHECK(bench.out(message).text == message);
      CHECK(bench.host.mappings() == mappings);
      // What is there already stands for what it stands for.
      for (const auto protocol : {nat::Protocol::udp, nat::Protocol::tcp}) {
        for (const char* const named : {"10.0.0.9:1610", "10.0.0.5:1610"})
          static_cast<void>(bench.host.external_of(protocol, test::endpoint(named)));
      }
      const auto known = bench.out(message).text;
      CHECK(known.find("203.0.113.") != std::string::npos);
      CHECK(known.find("10.0.0.") == std::string::npos);
      CHECK(bench.in(known).text == message);
    }
  }
}

TEST_CASE("the Via of somebody beyond, whose network is numbered like ours, is his own",
          "[alg][sip][AC-02][rfc3261][rfc3581]") {
  // By `received` of neither side of ours it is told that he is beyond it (RFC 3261 section 18.1.2: he would
  // not take the response for his with another sent-by).
  const std::string request = "OPTIONS sip:example.com SIP/2.0";
  const std::string ok = "SIP/2.0 200 OK";
  struct Row {
    std::string start;
    std::string via;
    bool is_his;
  };
  const Row rows[] = {
      {ok, "10.0.0.5:5060;received=192.0.2.77;rport=40001", true},
      {ok, "10.0.0.5;received=192.0.2.77", true},
      {ok, "host;maddr=10.0.0.5;received=192.0.2.77", true},
      {request, "10.0.0.5:5060;received=192.0.2.77;rport=40001", true},
      {ok, "10.0.0.5:5060;received=10.0.0.5;rport=5060", false},
      {ok, "10.0.0.5:5060;received=203.0.113.1;rport=1", false},
      {ok, "10.0.0.5:5060;received=2001:db8::1;rport=1", false},
      {ok, "10.0.0.5:5060;rport=1", false},
      {request, "10.0.0.5:5060", false},
  };
  for (const auto& row : rows) {
    DYNAMIC_SECTION(row.start << " " << row.via) {
      SipBench bench;
      static_cast<void>(bench.host.external_of(nat::Protocol::udp, test::endpoint("10.0.0.5:5060")));
      const auto message = with_header("Via: SIP/2.0/UDP " + row.via + ";branch=z9hG4bKhis", row.start);
      const auto out = bench.out(message).text;
      CHECK((out.find(row.via) != std::string::npos) == row.is_his);
      // What has left changed comes back as it was, also with what another NAT on the way has said of us.
      CHECK(bench.in(out).text == message);
    }
  }
  SipBench bench;
  const auto sent =
      bench.out(with_header("Via: SIP/2.0/UDP 10.0.0.5:5060;rport;branch=z9hG4bKours", request));
  auto answer = sent.text;
  answer.replace(0, request.size(), ok);
  answer.replace(answer.find(";rport"), 6, ";received=192.0.2.99;rport=4444");
  CHECK(bench.in(answer).text.find("10.0.0.5:5060;received=192.0.2.99;rport=4444") != std::string::npos);
}

TEST_CASE("what somebody beyond says of himself is his own where a proxy inside passes it on",
          "[alg][sip][AC-02][AC-23][rfc3261]") {
  struct Row {
    const char* name;
    std::string via;  // behind that of the proxy
    std::string named;
    bool is_his;
  };
  const Row rows[] = {
      {"he", "10.0.0.9:5062;received=192.0.2.77;rport=40001", "10.0.0.9:5062", true},
      {"with the default port", "10.0.0.9;received=192.0.2.77", "10.0.0.9:5060", true},
      {"a phone inside", "10.0.0.9:5062;received=10.0.0.9;rport=5062", "10.0.0.9:5062", false},
      {"who is seen as he writes", "10.0.0.9:5062", "10.0.0.9:5062", false},
      {"another port", "10.0.0.9:5062;received=192.0.2.77", "10.0.0.9:5064", false},
      {"the proxy, which is called alike", "10.0.0.5:5060;received=192.0.2.77", "10.0.0.5:5060", false},
  };
  for (const auto& row : rows) {
    for (const std::string name : {"Contact", "Record-Route"}) {
      DYNAMIC_SECTION(name << ", " << row.name) {
        SipBench bench;
        auto message = with_header(name + ": <sip:" + row.named + ">");
        message.insert(message.find("\r\n", message.find("\r\nVia: ") + 2),
                       "\r\nVia: SIP/2.0/UDP " + row.via + ";branch=z9hG4bKhis");
        const auto out = bench.out(message).text;
        CHECK((out.find("<sip:" + row.named + ">") != std::string::npos) == row.is_his);
        CHECK(bench.host.targets.empty() == row.is_his);
      }
    }
  }
}

TEST_CASE("what a registrar inside lists is what others have told it", "[alg][sip][AC-23][rfc3261]") {
  SipBench bench;
  auto listed = with_header("Contact: <sip:x@10.0.0.9:22;transport=tcp>;expires=60", "SIP/2.0 200 OK");
  listed.replace(listed.find("OPTIONS"), 7, "REGISTER");
  const auto mappings = bench.host.mappings();
  CHECK(bench.out(listed).text == listed);
  CHECK(bench.host.mappings() == mappings);
}

TEST_CASE("who a phone says it is is its own word of its own host", "[alg][sip][AC-10][AC-23]") {
  SipBench bench;
  for (const std::string name : {"P-Preferred-Identity", "Remote-Party-ID", "Referred-By", "Diversion"}) {
    const auto passed =
        bench.out(with_header(name + ": <sip:alice@10.0.0.5:5062?Route=%3Csip:10.0.0.5:5064%3E>")).text;
    CHECK(header_of(passed) == name + ": <sip:alice@203.0.113.10:10062?Route=%3Csip:203.0.113.10:10064%3E>");
  }
}

TEST_CASE("a message that is sent again finds no more than the first one", "[alg][sip][AC-23]") {
  for (const std::string name : {"Record-Route", "Route", "P-Asserted-Identity"}) {
    DYNAMIC_SECTION(name) {
      SipBench bench;
      const auto message = with_header(name + ": <sip:10.0.0.6:5070;lr>\r\nContact: <sip:x@10.0.0.6:5070>",
                                       name == "Route" ? "BYE sip:a SIP/2.0" : "SIP/2.0 200 OK");
      const auto first = bench.out(message).text;
      CHECK(first.find("10.0.0.6") == std::string::npos);
      CHECK(bench.out(message).text == first);
    }
  }
}

TEST_CASE("how an endpoint is written is not learnt from what a response repeats, but of a proxy's own",
          "[alg][sip][AC-10][AC-23]") {
  const std::string ok = "SIP/2.0 200 OK";
  SipBench bench;
  const auto known = with_header("Via: SIP/2.0/UDP 10.0.0.5");
  const auto outside = bench.out(known).text;
  static_cast<void>(bench.out(with_header("Via: SIP/2.0/UDP 10.0.0.5:5060", ok)));
  CHECK(bench.in(outside).text == known);
  const auto routed = with_header("Record-Route: <sip:10.0.0.5;lr>", ok);
  const auto told = bench.out(routed).text;
  CHECK(bench.in(told).text == routed);
}

TEST_CASE("a message that is none of the gateway's passes as it came, and nothing is asked for it",
          "[alg][sip][AC-24]") {
  SipBench bench;
  bench.host.welcome = alg::Welcome::none;
  const auto mappings = bench.host.mappings();
  const auto passed = bench.out(invite());
  CHECK(passed.answer.verdict == Verdict::forward);
  CHECK_FALSE(passed.answer.recognised);
  CHECK(passed.text == invite());
  CHECK(bench.host.mappings() == mappings);
  CHECK(bench.host.opened.empty());
}

TEST_CASE("a call over a limit is refused, and nothing is opened for it", "[alg][sip][call_limits]") {
  SipBench bench;
  bench.host.welcome = alg::Welcome::too_many;
  const auto mappings = bench.host.mappings();
  const auto refused = bench.out(invite());
  CHECK(refused.answer.verdict == Verdict::refuse);
  CHECK(refused.answer.reason == nat::DropReason::drop_call_limit);
  CHECK(refused.answer.status == 503);
  CHECK(refused.answer.retry_after_s > 0);
  CHECK(bench.host.mappings() == mappings);
  CHECK(bench.host.opened.empty());
}

TEST_CASE("a mapped port that is the default is written when a port was", "[alg][sip][AC-10]") {
  SipBench bench;
  bench.host.forced[test::endpoint("10.0.0.7:5070")] = test::endpoint("203.0.113.10:5060");
  const auto passed = bench.out(with_header("Contact: <sip:alice@10.0.0.7:5070>"));
  CHECK(header_of(passed.text) == "Contact: <sip:alice@203.0.113.10:5060>");
}

TEST_CASE("the Request-URI is translated like any URI", "[alg][sip][AC-10]") {
  SipBench bench;
  const auto in = bench.in(with_header("X: y", "OPTIONS sip:alice@203.0.113.10:10060;ob SIP/2.0"));
  CHECK(in.text.starts_with("OPTIONS sip:alice@10.0.0.5:5060;ob SIP/2.0\r\n"));
  const auto stranger = bench.in(with_header("X: y", "OPTIONS sip:alice@203.0.113.10:33333 SIP/2.0"));
  CHECK(stranger.edits == 0);
  bench.know("10.0.0.6:5060");
  const auto out = bench.out(with_header("X: y", "OPTIONS sip:alice@10.0.0.6 SIP/2.0"));
  CHECK(out.text.starts_with("OPTIONS sip:alice@203.0.113.10:11060 SIP/2.0\r\n"));
  const auto name = bench.out(with_header("X: y", "OPTIONS sip:alice@example.com SIP/2.0"));
  CHECK(name.edits == 0);
}

TEST_CASE("what went out comes back as it was", "[alg][sip][AC-02]") {
  for (const std::string header :
       {"Via: SIP/2.0/UDP 10.0.0.5:5062;branch=1;received=10.0.0.6;rport=7000, SIP/2.0/UDP 10.0.0.9:5060",
        "Record-Route: <sip:10.0.0.6:5060;lr>,<sip:10.0.0.7:5080;transport=tcp;lr>",
        "Contact: <sip:host.example.com:5061;maddr=10.0.0.5>",
        "Via: SIP/2.0/UDP phone.local:5070;received=10.0.0.5",
        "Service-Route: \"x\" <sip:u@10.1.2.3:1024;lr>"}) {
    DYNAMIC_SECTION(header) {
      SipBench bench;
      const auto message = with_header(header);
      const auto outside = bench.out(message);
      CHECK(outside.text != message);
      CHECK(bench.in(outside.text).text == message);
    }
  }
}

TEST_CASE("a port in rport goes with its address or not at all", "[alg][sip][AC-11]") {
  SipBench bench;
  // 203.0.113.10:10060 stands for the phone, 203.0.113.10:11060 for nobody.
  const auto stranger = bench.in(with_header("Via: SIP/2.0/UDP 203.0.113.10:11060;branch=1;rport=10060"));
  CHECK(stranger.edits == 0);
  const auto phone = bench.in(with_header("Via: SIP/2.0/UDP 203.0.113.10:10060;branch=1;rport=10060"));
  CHECK(header_of(phone.text) == "Via: SIP/2.0/UDP 10.0.0.5:5060;branch=1;rport=5060");
}

TEST_CASE("what else a session border controller does is off, and has a switch of its own",
          "[alg][sip][hiding][rfc5853]") {
  const auto text =
      test::lines({"INVITE sip:bob@example.com SIP/2.0", "Via: SIP/2.0/UDP phone.example.com;branch=z9hG4bK1",
                   "Max-Forwards: 70", "From: <sip:alice@10.0.0.5>;tag=a", "To: <sip:bob@example.com>",
                   "Call-ID: 1@10.0.0.5", "CSeq: 1 INVITE", "User-Agent: Acme Desk/7.1",
                   "P-Asserted-Identity: <sip:alice@example.com>", "Content-Type: application/sdp", ""}) +
      test::lines({"v=0", "o=- 1 1 IN IP4 pc.example.com", "s=-", "c=IN IP4 192.0.2.9", "t=0 0",
                   "m=audio 4000 RTP/AVP 0 8 96", "a=rtpmap:96 opus/48000/2"});
  struct Row {
    const char* rules;  // of what is changed
    void (*turn_on)(Policy&);
  };
  const Row rows[] = {
      {"", [](Policy&) {}},
      {"From", [](Policy& policy) { policy.hide_parties = true; }},
      {"Call-ID", [](Policy& policy) { policy.hide_call_id = true; }},
      {"User-Agent", [](Policy& policy) { policy.software = Software::strip; }},
      {"P-Asserted-Identity",
       [](Policy& policy) { policy.asserted_identity = AssertedIdentity::strip_outbound; }},
  };
  for (const auto& row : rows) {
    DYNAMIC_SECTION("\"" << row.rules << "\"") {
      Policy policy;
      row.turn_on(policy);
      SipBench bench(policy);
      const auto passed = bench.out(text);
      CHECK(passed.rules == row.rules);
      CHECK((passed.text == text) == passed.rules.empty());
    }
  }
}

TEST_CASE("a message that needs no translation is forwarded bit for bit", "[alg][sip][AC-04]") {
  SipBench bench;
  const auto message = with_header("Contact: <sip:alice@phone.example.net>");
  const auto passed = bench.out(message);
  CHECK(passed.edits == 0);
  CHECK(passed.text == message);
  CHECK(bench.counters.read(Counter::sip_untouched) == 1);
}

TEST_CASE("what is not SIP passes untouched and is counted", "[alg][sip][AC-01][AC-20]") {
  SipBench bench;
  for (const auto& keepalive : {std::string("\r\n\r\n"), std::string(), std::string(4, '\0')}) {
    const auto passed = bench.out(keepalive);
    CHECK(passed.answer.verdict == Verdict::forward);
    CHECK(passed.text == keepalive);
  }
  CHECK(bench.counters.read(Counter::sip_keepalive) == 3);
  const std::string tls = "\x16\x03\x01 10.0.0.5";
  CHECK(bench.out(tls).text == tls);
  CHECK(bench.counters.read(Counter::sip_not_sip) == 1);
  CHECK(bench.host.announced.empty());
}

TEST_CASE("what begins like SIP but cannot be read goes on untouched, or is dropped by policy",
          "[alg][sip][AC-16][AC-20][AC-22]") {
  const std::string broken = "INVITE sip:bob@example.com SIP/2.0\r\nVia: SIP/2.0/UDP 10.0.0.5\r\n";
  SipBench bench;
  const auto passed = bench.out(broken);
  CHECK(passed.answer.verdict == Verdict::forward);
  CHECK_FALSE(passed.answer.recognised);
  CHECK(passed.text == broken);
  CHECK(bench.counters.read(Counter::sip_malformed) == 1);
  CHECK(bench.host.announced.empty());

  Policy strict;
  strict.malformed = Malformed::drop;
  SipBench strict_bench(strict);
  const auto judged = strict_bench.out(broken);
  CHECK(judged.answer.verdict == Verdict::drop);
  CHECK(judged.answer.reason == nat::DropReason::drop_sip_malformed);
  CHECK(strict_bench.host.announced.empty());
}

TEST_CASE("more to replace than the list holds is refused whole, and no more is mapped for it",
          "[alg][sip][AC-22]") {
  SipBench bench;
  std::string contacts = "Contact: <sip:a@10.0.0.5>";
  for (std::size_t i = 0; i < 10 * EditList::kMaxEdits; ++i) {
    contacts += ",<sip:a@10.0.0.5:" + std::to_string(2000 + i) + ">";
  }
  const auto passed = bench.out(with_header(contacts));
  CHECK(passed.answer.verdict == Verdict::drop);
  CHECK(passed.answer.reason == nat::DropReason::drop_sip_malformed);
  CHECK(passed.edits == 0);
  CHECK(bench.host.mappings() <= EditList::kMaxEdits + 1);
}

TEST_CASE("only so many descriptions are read in one message", "[alg][sip][AC-22]") {
  const auto with_parts = [](int count) {
    std::string text =
        test::lines({"INVITE sip:b@example.com SIP/2.0", "Via: SIP/2.0/UDP h;branch=1", "f: <sip:a@b>;tag=1",
                     "t: <sip:b@c>", "i: 1", "CSeq: 1 INVITE", "c: multipart/mixed;boundary=x", ""});
    for (int i = 0; i < count; ++i)
      text += test::lines({"--x", "Content-Type: application/sdp", ""}) + kOffer;
    return text + "--x--\r\n";
  };
  SipBench bench;
  CHECK(bench.out(with_parts(8)).answer.verdict == Verdict::forward);
  CHECK(bench.host.opened.size() == 8);
  CHECK(bench.out(with_parts(9)).answer.verdict == Verdict::drop);
}

TEST_CASE("a body's length is right also where it gets another digit", "[alg][sip][AC-06]") {
  SipBench bench;
  std::size_t grown_by_a_digit = 0;
  for (std::size_t padding = 0; padding < 60; ++padding) {
    const auto sdp = kOffer + "a=" + std::string(padding, 'x') + "\r\n";
    const auto message = test::with_sdp({"INVITE sip:b@example.com SIP/2.0", "Via: SIP/2.0/UDP h;branch=1",
                                         "f: <sip:a@b>;tag=1", "t: <sip:b@c>", "i: 1", "CSeq: 1 INVITE"},
                                        sdp);
    const auto text = bench.out(message).text;
    const auto body = text.substr(text.find("\r\n\r\n") + 4);
    CHECK(body.size() == sdp.size() + 4);
    CHECK(text.find("Content-Length: " + std::to_string(body.size()) + "\r\n") != std::string::npos);
    grown_by_a_digit += sdp.size() < 100 && body.size() >= 100 ? 1 : 0;
  }
  CHECK(grown_by_a_digit > 0);
}

TEST_CASE("a message is announced once, before its media are opened", "[alg][sip]") {
  SipBench bench;
  REQUIRE(bench.out(invite()).answer.verdict == Verdict::forward);
  REQUIRE(bench.host.announced.size() == 1);
  const auto& announced = bench.host.announced[0];
  CHECK(announced.method == Method::invite);
  CHECK(announced.status == 0);
  CHECK(announced.has_sdp);
  CHECK(announced.call_id == "call");
  CHECK(announced.from_tag == "from");
  CHECK(announced.to_tag.empty());
  CHECK(announced.from_uri == "sip:alice@example.com");
  CHECK(announced.to_uri == "sip:bob@example.com;user=phone");
  CHECK(bench.host.opened.size() == 1);
  CHECK(bench.counters.read(Counter::sip_request) == 1);
  CHECK(bench.counters.read(Counter::sip_untouched) == 0);
}

TEST_CASE("while the host waits the message waits, and then is read from the start", "[alg][sip]") {
  SipBench bench;
  bench.host.waits = true;
  const auto waiting = bench.out(invite());
  CHECK(waiting.answer.verdict == Verdict::wait);
  CHECK(waiting.edits == 0);
  CHECK(bench.counters.read(Counter::sip_request) == 0);
  bench.host.waits = false;
  const auto passed = bench.out(invite());
  CHECK(passed.answer.verdict == Verdict::forward);
  CHECK(passed.text.find("203.0.113.10:10060") != std::string::npos);
}

TEST_CASE("without a port to be had the message is dropped", "[alg][sip]") {
  SipBench bench;
  bench.host.exhausted = true;
  const auto passed = bench.out(invite());
  CHECK(passed.answer.verdict == Verdict::drop);
  CHECK(passed.answer.reason == nat::DropReason::drop_sip_no_port);
  CHECK(passed.edits == 0);
}

namespace {

std::string register_ok(const std::string& headers, const std::string& status = "200 OK") {
  return "SIP/2.0 " + status +
         "\r\nVia: SIP/2.0/UDP 203.0.113.10:10060;branch=z9hG4bK1\r\nFrom: "
         "<sip:alice@example.com>;tag=1\r\nTo: \"A\" "
         "<sip:alice@example.com;user=phone>;tag=2\r\nCall-ID: r\r\nCSeq: 9 REGISTER\r\n" +
         headers + "\r\n";
}

}  // namespace

TEST_CASE("a granted binding is told with its time", "[alg][sip][AC-01]") {
  struct Row {
    const char* name;
    std::string message;
    std::vector<std::pair<const char*, std::uint32_t>> granted;  // inside endpoint, seconds
  };
  const std::string ours = "<sip:alice@203.0.113.10:10060>";
  const Row rows[] = {
      {"by the contact",
       register_ok("Expires: 100\r\nContact: " + ours + ";expires=300\r\n"),
       {{"10.0.0.5:5060", 300}}},
      {"by the message", register_ok("Contact: " + ours + "\r\nExpires: 100\r\n"), {{"10.0.0.5:5060", 100}}},
      {"by default", register_ok("Contact: " + ours + "\r\n"), {{"10.0.0.5:5060", 3600}}},
      {"by default, when it is no number",
       register_ok("Contact: " + ours + ";expires=soon\r\n"),
       {{"10.0.0.5:5060", 3600}}},
      {"among others",
       register_ok("Contact: <sip:x@192.0.2.1>;expires=1, " + ours + ";expires=60\r\n"),
       {{"10.0.0.5:5060", 60}}},
      {"of two phones",
       register_ok("m: " + ours + ";expires=60\r\nContact: <sip:alice@203.0.113.10:11060>;expires=50\r\n"),
       {{"10.0.0.5:5060", 60}, {"10.0.0.6:5060", 50}}},
      {"of another phone only",
       register_ok("Contact: <sip:alice@203.0.113.10:11060>;expires=50\r\n"),
       {{"10.0.0.6:5060", 50}, {"10.0.0.5:5060", 0}}},
      {"none left", register_ok(""), {{"10.0.0.5:5060", 0}}},
      {"ended by the contact", register_ok("Contact: " + ours + ";expires=0\r\n"), {{"10.0.0.5:5060", 0}}},
      {"refused", register_ok("Contact: " + ours + "\r\n", "403 Forbidden"), {}},
      {"not yet", register_ok("Contact: " + ours + "\r\n", "100 Trying"), {}},
  };
  for (const auto& row : rows) {
    DYNAMIC_SECTION(row.name) {
      SipBench bench;
      REQUIRE(bench.host.external_of(nat::Protocol::udp, test::endpoint("10.0.0.6:5060")).endpoint ==
              test::endpoint("203.0.113.10:11060"));
      REQUIRE(bench.in(row.message).answer.verdict == Verdict::forward);
      REQUIRE(bench.host.granted.size() == row.granted.size());
      for (std::size_t i = 0; i < row.granted.size(); ++i) {
        const auto& granted = bench.host.granted[i];
        CHECK(granted.inside == test::endpoint(row.granted[i].first));
        CHECK(granted.expires_s == row.granted[i].second);
        CHECK(granted.aor == "sip:alice@example.com");
        CHECK(granted.registrar == bench.flow.remote);
      }
    }
  }
}

TEST_CASE("an outbound REGISTER grants and ends nothing", "[alg][sip][AC-01]") {
  SipBench bench;
  const auto message = test::lines({"REGISTER sip:example.com SIP/2.0", "Via: SIP/2.0/UDP 10.0.0.5;branch=1",
                                    "From: <sip:a@b>;tag=1", "To: <sip:a@b>", "Call-ID: r",
                                    "CSeq: 1 REGISTER", "Contact: *", "Expires: 0"}) +
                       "\r\n";
  CHECK(bench.out(message).answer.verdict == Verdict::forward);
  CHECK(bench.host.granted.empty());
}

TEST_CASE("every edit says by which rule it was made", "[alg][sip][AC-25]") {
  SipBench bench;
  bench.know("10.0.0.9:5060");
  const auto message = test::with_sdp(
      {"INVITE sip:bob@10.0.0.9 SIP/2.0", "Via: SIP/2.0/UDP 10.0.0.5:5060;branch=z9hG4bK1",
       "From: <sip:a@b>;tag=1", "To: <sip:c@d>", "Call-ID: 1", "CSeq: 1 INVITE",
       "Contact: <sip:alice@10.0.0.5:5060>", "Route: <sip:10.0.0.9;lr>"},
      "o=- 1 1 IN IP4 10.0.0.5\r\nc=IN IP4 10.0.0.5\r\nm=audio 4000 RTP/AVP 0\r\na=rtcp:4001\r\n"
      "a=candidate:1 1 UDP 1 10.0.0.5 4000 typ host\r\n");
  CHECK(bench.out(message).rules ==
        "Request-URI, Via, Contact, Route, Content-Length, SDP o=, SDP c=, SDP m=, SDP a=rtcp, "
        "SDP a=candidate, SDP a=candidate");
}

TEST_CASE("an offer or answer from outside says where its media will come from", "[alg][sip][AC-09]") {
  SipBench bench;
  const auto expected_of = [&](const std::string& sdp) {
    bench.host.expected.clear();
    bench.host.described.clear();
    (void)bench.in(test::with_sdp(
        {"INVITE sip:alice@203.0.113.10:10060 SIP/2.0", "Via: SIP/2.0/UDP 198.51.100.7:5060;branch=z9hG4bK1",
         "From: <sip:a@b>;tag=1", "To: <sip:c@d>", "Call-ID: 1", "CSeq: 1 INVITE"},
        sdp));
    return bench.host.expected;
  };
  using Expected = test::FakeAlgHost::Expected;
  const auto at = [](std::uint16_t port) {
    return nat::Endpoint{test::address("198.51.100.7"), nat::Be16{port}};
  };
  const nat::Endpoint elsewhere{test::address("198.51.100.8"), nat::Be16{9000}};
  const std::string c = "c=IN IP4 198.51.100.7\r\n";

  CHECK(expected_of(c + "m=audio 6000 RTP/AVP 0\r\n") == std::vector<Expected>{{0, at(6000), at(6001)}});
  CHECK(expected_of(c + "m=audio 6000 RTP/AVP 0\r\na=rtcp:9000 IN IP4 198.51.100.8\r\n") ==
        std::vector<Expected>{{0, at(6000), elsewhere}});
  CHECK(expected_of(c + "m=image 6000 udptl t38\r\n") == std::vector<Expected>{{0, at(6000), at(6000)}});
  CHECK(expected_of(c + "m=audio 0 RTP/AVP 0\r\nm=video 6002 RTP/AVP 31\r\n") ==
        std::vector<Expected>{{1, at(6002), at(6003)}});
  CHECK(expected_of("c=IN IP4 0.0.0.0\r\nm=audio 6000 RTP/AVP 0\r\n").empty());
  CHECK(expected_of(c + "m=audio 6000 RTP/AVP 0\r\na=candidate:1 1 UDP 1 198.51.100.8 9000 typ host\r\n") ==
        std::vector<Expected>{{0, at(6000), at(6001)}, {0, elsewhere, elsewhere}});
}

TEST_CASE("each stream of an offer or answer is described to the host", "[alg][sip][AC-14][AC-27]") {
  struct Row {
    const char* sdp;
    bool rejected;
    bool held;
    bool nowhere = false;
  };
  const Row rows[] = {
      {"c=IN IP4 10.0.0.5\r\nm=audio 4000 RTP/AVP 0\r\n", false, false},
      {"c=IN IP4 10.0.0.5\r\nm=audio 4000 RTP/AVP 0\r\na=sendonly\r\n", false, true},
      {"c=IN IP4 10.0.0.5\r\na=inactive\r\nm=audio 4000 RTP/AVP 0\r\n", false, true},
      {"c=IN IP4 10.0.0.5\r\na=inactive\r\nm=audio 4000 RTP/AVP 0\r\na=sendrecv\r\n", false, false},
      {"c=IN IP4 0.0.0.0\r\nm=audio 4000 RTP/AVP 0\r\n", false, true, true},
      {"m=audio 4000 RTP/AVP 0\r\nc=IN IP6 ::\r\na=sendonly\r\n", false, true, true},
      {"c=IN IP6 2001:db8::1\r\nm=audio 4000 RTP/AVP 0\r\n", false, false},
      {"c=IN IP4 10.0.0.5\r\nm=audio 0 RTP/AVP 0\r\n", true, false},
      {"c=IN IP4 10.0.0.5\r\nm=audio 0 RTP/AVP 0\r\na=inactive\r\n", true, false},
      {"c=IN IP4 0.0.0.0\r\nm=audio 0 RTP/AVP 0\r\n", true, false},
      {"c=IN IP4 10.0.0.5\r\nm=audio 0 RTP/AVP 0\r\na=bundle-only\r\n", false, false},
  };
  for (const auto& row : rows) {
    DYNAMIC_SECTION(row.sdp) {
      SipBench bench;
      (void)bench.out(test::with_sdp(
          {"INVITE sip:bob@example.com SIP/2.0", "Via: SIP/2.0/UDP 10.0.0.5:5060;branch=z9hG4bK1",
           "From: <sip:a@b>;tag=1", "To: <sip:c@d>", "Call-ID: 1", "CSeq: 1 INVITE"},
          row.sdp));
      REQUIRE(bench.host.described.size() == 1);
      CHECK(bench.host.described[0].section == 0);
      CHECK(bench.host.described[0].rejected == row.rejected);
      CHECK(bench.host.described[0].held == row.held);
      CHECK(bench.host.described[0].nowhere == row.nowhere);
    }
  }
}

}  // namespace pinhole::alg::sip
