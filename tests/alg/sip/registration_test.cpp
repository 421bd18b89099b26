// SPDX-License-Identifier: BSD-3-Clause
#include "alg/sip/registration.hpp"

#include <catch2/catch.hpp>
#include <string>
#include <vector>

#include "tests/support/sip_bench.hpp"

namespace pinhole::alg::sip {

namespace {

/// "10.0.0.5:5060 60" for each binding that a 2xx to REGISTER grants.
std::vector<std::string> granted(
    test::SipBench& bench, const std::string& contacts, const std::string& to = "<sip:alice@example.com>",
    const std::string& via = "Via: SIP/2.0/UDP phone.example.net;branch=z9hG4bK1\r\n") {
  bench.host.granted.clear();
  const auto passed =
      bench.in("SIP/2.0 200 OK\r\n" + via + "From: <sip:alice@example.com>;tag=1\r\nTo: " + to +
               ";tag=2\r\nCall-ID: 1\r\nCSeq: 1 REGISTER\r\n" + contacts + "\r\n");
  REQUIRE(passed.answer.verdict == Verdict::forward);
  std::vector<std::string> list;
  for (const auto& binding : bench.host.granted) {
    list.push_back(std::string(nat::EndpointText(binding.inside).view()) + " " +
                   std::to_string(binding.expires_s));
  }
  return list;
}

using Bindings = std::vector<std::string>;

}  // namespace

TEST_CASE("each contact of a 2xx to REGISTER is granted for its own time", "[alg][sip][AC-01]") {
  test::SipBench bench;
  static_cast<void>(bench.host.external_of(nat::Protocol::udp, test::endpoint("10.0.0.5:5070")));
  const std::string own = "Contact: <sip:alice@203.0.113.10:10060>";
  CHECK(granted(bench, own + ";expires=60\r\n") == Bindings{"10.0.0.5:5060 60"});
  CHECK(granted(bench, own + "\r\nExpires: 90\r\n") == Bindings{"10.0.0.5:5060 90"});
  CHECK(granted(bench, own + ";expires=60\r\nExpires: 90\r\n") == Bindings{"10.0.0.5:5060 60"});
  CHECK(granted(bench, own + ";q=0.7;expires=60;+sip.instance=\"<urn:uuid:1>\"\r\n") ==
        Bindings{"10.0.0.5:5060 60"});
  CHECK(granted(bench, own + "\r\n") == Bindings{"10.0.0.5:5060 3600"});
  CHECK(granted(bench, own + ";expires=60, <sip:alice@203.0.113.10:10070>;expires=120\r\n") ==
        Bindings{"10.0.0.5:5060 60", "10.0.0.5:5070 120"});
  CHECK(granted(bench, own + ";expires=60\r\nm: <sip:alice@203.0.113.10:10070>;expires=120\r\n") ==
        Bindings{"10.0.0.5:5060 60", "10.0.0.5:5070 120"});
  CHECK(granted(bench, "Contact: <sip:alice@192.0.2.9>;expires=60, " + own.substr(9) + ";expires=30\r\n") ==
        Bindings{"10.0.0.5:5060 30"});
}

TEST_CASE("a 2xx that lists no contact of the phone ends its binding", "[alg][sip][AC-01]") {
  test::SipBench bench;
  CHECK(granted(bench, "") == Bindings{"10.0.0.5:5060 0"});
  CHECK(granted(bench, "Contact: <sip:alice@192.0.2.9>;expires=60\r\n") == Bindings{"10.0.0.5:5060 0"});
}

TEST_CASE("a contact that another NAT made of the phone's is the phone's", "[alg][sip][AC-01]") {
  struct Row {
    const char* name;
    const char* via;  // parameters
    const char* contacts;
    Bindings granted;
  };
  const Row rows[] = {
      {"by rport",
       ";received=192.0.2.99;rport=4444",
       "Contact: <sip:a@192.0.2.99:4444>;expires=60\r\n",
       {"10.0.0.5:5060 60"}},
      {"by the port of the phone",
       ";received=192.0.2.99",
       "Contact: <sip:a@192.0.2.99:10060>;expires=60\r\n",
       {"10.0.0.5:5060 60"}},
      {"for the time of Expires",
       ";received=192.0.2.99;rport=4444",
       "Contact: <sip:a@192.0.2.8>;expires=9\r\nContact: <sip:a@192.0.2.99:4444>\r\nExpires: 90\r\n",
       {"10.0.0.5:5060 90"}},
      {"withdrawn",
       ";received=192.0.2.99;rport=4444",
       "Contact: <sip:a@192.0.2.99:4444>;expires=0\r\n",
       {"10.0.0.5:5060 0"}},
      {"another port",
       ";received=192.0.2.99;rport=4444",
       "Contact: <sip:a@192.0.2.99:4445>;expires=60\r\n",
       {"10.0.0.5:5060 0"}},
      {"another host",
       ";received=192.0.2.99;rport=4444",
       "Contact: <sip:a@192.0.2.98:4444>;expires=60\r\n",
       {"10.0.0.5:5060 0"}},
      {"not seen", ";rport=4444", "Contact: <sip:a@192.0.2.99:4444>;expires=60\r\n", {"10.0.0.5:5060 0"}},
      {"beside one of ours",
       ";received=192.0.2.99;rport=4444",
       "Contact: <sip:a@192.0.2.99:4444>;expires=60, <sip:a@203.0.113.10:10060>;expires=30\r\n",
       {"10.0.0.5:5060 30"}},
  };
  for (const auto& row : rows) {
    DYNAMIC_SECTION(row.name) {
      test::SipBench bench;
      const auto via = std::string("Via: SIP/2.0/UDP 203.0.113.10:10060") + row.via + ";branch=z9hG4bK1\r\n";
      CHECK(granted(bench, row.contacts, "<sip:alice@example.com>", via) == row.granted);
    }
  }
}

TEST_CASE("a bulk contact without a user part is granted like any other", "[alg][sip][AC-01][rfc6140]") {
  test::SipBench bench;
  CHECK(granted(bench, "Contact: <sip:203.0.113.10:10060;bnc>;expires=7200\r\n", "<sip:ssp.example.com>") ==
        Bindings{"10.0.0.5:5060 7200"});
  CHECK(bench.host.granted[0].aor == "sip:ssp.example.com");
}

TEST_CASE("a registration by a third party is of whom it names", "[alg][sip][AC-01]") {
  test::SipBench bench;
  static_cast<void>(bench.host.external_of(nat::Protocol::udp, test::endpoint("10.0.0.6:5060")));
  const auto list =
      granted(bench, "Contact: <sip:bob@203.0.113.10:11060>;expires=60\r\n", "<sip:bob@example.com>");
  REQUIRE(!list.empty());
  CHECK(list[0] == "10.0.0.6:5060 60");
  CHECK(bench.host.granted[0].aor == "sip:bob@example.com");
}

TEST_CASE("a contact over TCP is granted as such", "[alg][sip][AC-01]") {
  test::SipBench bench;
  const auto external = bench.host.external_of(nat::Protocol::tcp, test::endpoint("10.0.0.5:5060")).endpoint;
  CHECK(granted(bench, "Contact: <sip:alice@" + std::string(nat::EndpointText(external).view()) +
                           ";transport=tcp>;expires=60\r\n") == Bindings{"10.0.0.5:5060 60"});
  CHECK(bench.host.granted[0].protocol == nat::Protocol::tcp);
}

TEST_CASE("a 2xx over TCP that lists no contact of the phone ends the binding of its connection",
          "[alg][sip][AC-01]") {
  for (const auto protocol : {nat::Protocol::udp, nat::Protocol::tcp}) {
    DYNAMIC_SECTION(nat::name(protocol)) {
      test::SipBench bench;
      bench.speak(protocol);
      CHECK(granted(bench, "Contact: <sip:alice@192.0.2.9>;expires=60\r\n") == Bindings{"10.0.0.5:5060 0"});
      CHECK(bench.host.granted[0].protocol == protocol);
      CHECK(bench.host.granted[0].external == bench.flow.external);
    }
  }
}

}  // namespace pinhole::alg::sip
