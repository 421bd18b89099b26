// SPDX-License-Identifier: BSD-3-Clause
#include "alg/sip/event_state.hpp"

#include <catch2/catch.hpp>
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

TEST_CASE("of the sender are the URIs of the protocol that it speaks", "[alg][sip][AC-02][AC-03][rfc4235]") {
  const std::string begin = "<target uri=\"sip:alice@";
  struct Row {
    const char* params;
    nat::Protocol protocol;
  };
  for (const auto protocol : {nat::Protocol::udp, nat::Protocol::tcp}) {
    for (const auto& row : {Row{"", nat::Protocol::udp},
                            {";transport=udp", nat::Protocol::udp},
                            {";transport=tcp", nat::Protocol::tcp},
                            {";transport=tls", nat::Protocol::tcp}}) {
      DYNAMIC_SECTION(nat::name(protocol) << ": " << row.params) {
        test::SipBench bench;
        bench.speak(protocol);
        const auto mappings = bench.host.mappings();
        const auto end = std::string(row.params) + "\"/>";
        const auto text = notify("application/dialog-info+xml", begin + "10.0.0.5:5060" + end);
        const auto made = notify("application/dialog-info+xml", begin + "203.0.113.10:10060" + end);
        const auto out = bench.out(text).text;
        CHECK(out == (row.protocol == protocol ? made : text));
        CHECK(bench.in(out).text == text);
        CHECK(bench.host.mappings() == mappings);
      }
    }
  }
}

TEST_CASE("what is no sip URI of the sender stays in dialog-info, and opens nothing",
          "[alg][sip][AC-03][AC-23][rfc4235]") {
  test::SipBench bench;
  for (const std::string body :
       {"<target uri=\"sip:bob@10.0.0.6:5060\"/>", "<target uri=\"sip:alice@10.0.0.5:5062\"/>",
        "<target uri=\"sips:alice@10.0.0.5\"/>", "<target uri=\"sip:alice@10.0.0.5:5060;transport=tcp\"/>",
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
