// SPDX-License-Identifier: BSD-3-Clause
#include "alg/sip/event_state.hpp"

#include <catch2/catch.hpp>
#include <span>
#include <string>

#include "tests/support/sip_bench.hpp"

namespace pinhole::alg::sip {

namespace {

std::string notify(const std::string& type, const std::string& body) {
  return test::lines({"NOTIFY sip:bob@example.com SIP/2.0",
                      "Via: SIP/2.0/UDP phone.example.com;branch=z9hG4bK1", "From: <sip:a@b>;tag=1",
                      "To: <sip:c@d>;tag=2", "Call-ID: 1", "CSeq: 1 NOTIFY", "Event: dialog",
                      "Content-Type: " + type, "Content-Length: " + std::to_string(body.size()), ""}) +
         body;
}

}  // namespace

TEST_CASE("URIs of the sender in dialog-info and PIDF are translated, and come back as they were",
          "[alg][sip][AC-02][rfc3863][rfc4235]") {
  struct Row {
    const char* type;
    const char* before;
    const char* after;
  };
  const Row rows[] = {
      {"application/dialog-info+xml",
       "<local><identity>sip:alice@10.0.0.5:5060</identity>\r\n<target "
       "uri=\"sip:alice@10.0.0.5:5060\"/></local>",
       "<local><identity>sip:alice@203.0.113.10:10060</identity>\r\n"
       "<target uri=\"sip:alice@203.0.113.10:10060\"/></local>"},
      {"application/dialog-info+xml;charset=UTF-8",
       "<target uri='SIP:10.0.0.5:5060;ob?a=b&amp;c=sip:10.0.0.5:5060'/>",
       "<target uri='SIP:203.0.113.10:10060;ob?a=b&amp;c=sip:203.0.113.10:10060'/>"},
      {"application/pidf+xml", "<contact priority=\"0.8\">sip:alice@10.0.0.5:5060</contact>",
       "<contact priority=\"0.8\">sip:alice@203.0.113.10:10060</contact>"},
  };
  for (const auto& row : rows) {
    DYNAMIC_SECTION(row.before) {
      test::SipBench bench;
      const auto out = bench.out(notify(row.type, row.before));
      CHECK(out.text == notify(row.type, row.after));
      CHECK(out.rules.find("URI in dialog-info or PIDF") != std::string::npos);
      CHECK(bench.in(out.text).text == notify(row.type, row.before));
    }
  }
}

TEST_CASE("URIs of the sender in dialog-info lead to what stands for them, whatever transport they name",
          "[alg][sip][AC-02][AC-03][rfc4235]") {
  struct Row {
    const char* before;
    const char* after;
  };
  // The mappings of what it speaks by, of where it listens by UDP and of where by TCP.
  const Row by_udp[] = {
      {"10.0.0.5:5060", "203.0.113.10:10060"},
      {"10.0.0.5:5060;transport=udp", "203.0.113.10:10060;transport=udp"},
      {"10.0.0.5:5060;transport=tcp", "203.0.113.10:10060;transport=tcp"},  // by UDP alone: still the sender
      {"10.0.0.5:5070", "203.0.113.10:30070"},
      {"10.0.0.5:5080", "203.0.113.10:40080"},
      {"10.0.0.5:5080;transport=tcp", "203.0.113.10:40080;transport=tcp"},
      {"10.0.0.5:5061;transport=tls", "203.0.113.10:40061;transport=tls"},
  };
  const Row by_tcp[] = {
      {"10.0.0.5:5060", "203.0.113.10:10060"},
      {"10.0.0.5:5060;transport=tcp", "203.0.113.10:20060;transport=tcp"},
      {"10.0.0.5:49152", "203.0.113.10:20152"},
      {"10.0.0.5:49152;transport=tcp", "203.0.113.10:20152;transport=tcp"},
      {"10.0.0.5:5080", "203.0.113.10:40080"},
      {"10.0.0.5:5080;transport=tls", "203.0.113.10:40080;transport=tls"},
  };
  const auto check = [](test::SipBench& bench, std::span<const Row> rows) {
    const auto mappings = bench.host.mappings();
    for (const auto& row : rows) {
      CAPTURE(row.before);
      const auto with = [](const char* uri) {
        return notify("application/dialog-info+xml", std::string("<target uri=\"sip:alice@") + uri + "\"/>");
      };
      const auto out = bench.out(with(row.before)).text;
      CHECK(out == with(row.after));
      CHECK(bench.in(out).text == with(row.before));
    }
    CHECK(bench.host.mappings() == mappings);
  };
  const auto map = [](test::SipBench& bench, const char* inside, unsigned port, nat::Protocol protocol) {
    bench.host.forced[test::endpoint(inside)] = test::endpoint("203.0.113.10:" + std::to_string(port));
    bench.know(inside, protocol);
    bench.host.forced.clear();
  };
  test::SipBench bench;
  map(bench, "10.0.0.5:5070", 30070, nat::Protocol::udp);
  map(bench, "10.0.0.5:5080", 40080, nat::Protocol::tcp);
  map(bench, "10.0.0.5:5061", 40061, nat::Protocol::tcp);
  SECTION("by UDP") {
    check(bench, by_udp);
  }
  SECTION("by TCP") {
    map(bench, "10.0.0.5:5060", 20060, nat::Protocol::tcp);
    map(bench, "10.0.0.5:49152", 20152, nat::Protocol::tcp);
    bench.flow.inside = test::endpoint("10.0.0.5:49152");
    bench.speak(nat::Protocol::tcp);
    check(bench, by_tcp);
    // By UDP the same port stands for another host, and then that is meant.
    map(bench, "10.0.0.6:5060", 20060, nat::Protocol::udp);
    const auto names_neighbor = notify("application/pidf+xml", "sip:bob@203.0.113.10:20060");
    CHECK(bench.in(names_neighbor).text == names_neighbor);
  }
}

TEST_CASE("what is no sip URI of the sender stays in dialog-info, and opens nothing",
          "[alg][sip][AC-03][AC-23][rfc4235]") {
  test::SipBench bench;
  for (const std::string body :
       {"<target uri=\"sip:bob@10.0.0.6:5060\"/>", "<target uri=\"sip:alice@10.0.0.5:5062\"/>",
        "<target uri=\"sips:alice@10.0.0.5\"/>",
        "<note>gossip:10.0.0.5:5060 x-sip:10.0.0.5:5060 10.0.0.5:5060 http://10.0.0.5:5060/</note>",
        "<target uri=\"sip:\"/><target uri=\"sip:10.0.0.5.:5060\"/>sip:",
        "sip:203.0.113.9:5060 sip:192.0.2.1", ":"}) {
    CAPTURE(body);
    const auto text = notify("application/dialog-info+xml", body);
    CHECK(bench.out(text).text == text);
    CHECK(bench.in(text).text == text);
  }
  // Nor what comes in and stands for another endpoint: it is reached by what it says.
  const auto neighbor = bench.host.external_of(nat::Protocol::udp, test::endpoint("10.0.0.6:5060")).endpoint;
  const auto names_neighbor =
      notify("application/pidf+xml",
             "<contact>sip:bob@" + std::string(nat::EndpointText(neighbor).view()) + "</contact>");
  CHECK(bench.in(names_neighbor).text == names_neighbor);
  const auto other = notify("application/watcherinfo+xml", "<watcher>sip:alice@10.0.0.5:5060</watcher>");
  CHECK(bench.out(other).text == other);
  CHECK(bench.host.mappings() == 2);
}

TEST_CASE(
    "by policy a Call-ID in dialog-info is hidden like that of the dialog, so that a call can be picked up",
    "[alg][sip][AC-15][hiding][rfc3891][rfc4235]") {
  Policy policy;
  policy.hide_call_id = true;
  policy.tokens = HostTokens(HostTokens::Key{5, 6, 7, 8});
  const auto token = std::string(policy.tokens.name_of({test::address("10.0.0.5"), 1}).view());
  const auto type = "application/dialog-info+xml";
  const auto with = [&](const std::string& host) {
    return "<dialog id=\"1\" call-id=\"1@" + host + "\" local-tag=\"10.99.0.5\"><replaces\r\n call-id = '2@" +
           host + "' /><dialog\tcall-id='sip:10.0.0.6:5060@" + host + "'/></dialog>";
  };
  test::SipBench bench(policy);
  const auto out = bench.out(notify(type, with("10.0.0.5")));
  CHECK(out.text == notify(type, with(token)));
  CHECK(out.rules.find("Call-ID") != std::string::npos);
  // The server that is told so tells others inside: who picks up names the dialog as the server knows it.
  CHECK(bench.in(out.text).text == notify(type, with("10.0.0.5")));
  const auto replaces = [](const std::string& host) {
    return test::lines({"INVITE sip:bob@example.com SIP/2.0", "Via: SIP/2.0/UDP phone.example.com",
                        "From: <sip:a@b>;tag=1", "To: <sip:c@d>", "Call-ID: 3", "CSeq: 1 INVITE",
                        "Replaces: 1@" + host + ";to-tag=1;from-tag=2", ""});
  };
  CHECK(bench.out(replaces("10.0.0.5")).text == replaces(token));
  for (const std::string body :
       {"x-call-id=\"1@10.0.0.5\" call-ids=\"1@10.0.0.5\" id=\"1@10.0.0.5\"", " call-id=\"1@10.0.0.5",
        " call-id=\"1@10.0.0.5'", " call-id=1@10.0.0.5 ", " call-id=", " call-id", "call-id=\"1@10.0.0.5\"",
        " call-id=\"1@example.com\"", " call-id=\"10.0.0.5\"", "="}) {
    CAPTURE(body);
    CHECK(bench.out(notify(type, body)).text == notify(type, body));
  }
  test::SipBench plain;
  CHECK(plain.out(notify(type, with("10.99.0.5"))).text == notify(type, with("10.99.0.5")));
}

}  // namespace pinhole::alg::sip
