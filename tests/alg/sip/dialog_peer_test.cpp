// SPDX-License-Identifier: BSD-3-Clause
#include "alg/sip/dialog_peer.hpp"

#include <catch2/catch.hpp>
#include <string>
#include <vector>

#include "tests/support/sip_bench.hpp"

namespace pinhole::alg::sip {

namespace {

std::string message(const std::string& start, const std::string& method, const std::string& headers) {
  return start + "\r\n" +
         test::lines({"Via: SIP/2.0/UDP 198.51.100.20;branch=z9hG4bK1", "From: <sip:c@d>;tag=1",
                      "To: <sip:a@b>", "Call-ID: 1", "CSeq: 1 " + method}) +
         headers + "\r\n";
}

std::string request(const std::string& method, const std::string& headers) {
  return message(method + " sip:alice@203.0.113.10:10060 SIP/2.0", method, headers);
}

const std::string kContact = "Contact: <sip:c@198.51.100.30:5070>\r\n";

}  // namespace

TEST_CASE("a dialog from outside goes on from its nearest proxy, or from the caller", "[alg][sip][AC-12]") {
  struct Row {
    const char* name;
    const char* method;
    std::string headers;
    const char* peer;  // nullptr: nobody is told of
  };
  const Row rows[] = {
      {"the caller", "INVITE", kContact, "198.51.100.30:5070"},
      {"without a port", "INVITE", "m: sip:c@198.51.100.30\r\n", "198.51.100.30:5060"},
      {"a proxy", "INVITE", "Record-Route: <sip:198.51.100.40;lr>\r\n" + kContact, "198.51.100.40:5060"},
      {"the nearest of two", "INVITE",
       "Record-Route: <sip:198.51.100.41:5080;lr>, <sip:198.51.100.40;lr>\r\n" + kContact,
       "198.51.100.41:5080"},
      {"another phone of the same inside", "INVITE", "Contact: <sip:c@203.0.113.10:7060>\r\n",
       "203.0.113.10:7060"},
      {"names", "INVITE", "Contact: <sip:c@host.example.com>\r\n", nullptr},
      {"a proxy with a name", "INVITE", "Record-Route: <sip:proxy.example.com;lr>\r\n" + kContact, nullptr},
      {"IPv6", "INVITE", "Contact: <sip:c@[2001:db8::1]>\r\n", nullptr},
      {"another scheme", "INVITE", "Contact: <tel:+123>\r\n", nullptr},
      {"nothing", "INVITE", "", nullptr},
      {"no dialog", "OPTIONS", kContact, nullptr},
      {"a change that is not answered by an ACK", "UPDATE", kContact, nullptr},
  };
  for (const auto& row : rows) {
    DYNAMIC_SECTION(row.name) {
      test::SipBench bench;
      CHECK(bench.in(request(row.method, row.headers)).answer.verdict == Verdict::forward);
      std::vector<nat::Endpoint> peers;
      if (row.peer != nullptr) peers.push_back(test::endpoint(row.peer));
      CHECK(bench.host.peers == peers);
    }
  }
}

TEST_CASE("an answer to a subscription tells of the proxy next to us, or of the notifier",
          "[alg][sip][rfc6665][rfc3515]") {
  const std::string ok = "SIP/2.0 200 OK";
  const std::string ours = "Record-Route: <sip:203.0.113.10:7060;lr>\r\n";
  struct Row {
    const char* name;
    std::string start;
    const char* method;
    std::string headers;
    const char* peer;  // nullptr: nobody is told of
  };
  const Row rows[] = {
      {"the notifier", ok, "SUBSCRIBE", kContact, "198.51.100.30:5070"},
      {"who was referred", "SIP/2.0 202 Accepted", "REFER", kContact, "198.51.100.30:5070"},
      {"a proxy", ok, "SUBSCRIBE", "Record-Route: <sip:198.51.100.40;lr>\r\n" + kContact,
       "198.51.100.40:5060"},
      {"the nearest of two", ok, "SUBSCRIBE",
       "Record-Route: <sip:198.51.100.41:5080;lr>, <sip:198.51.100.40;lr>\r\n" + kContact,
       "198.51.100.40:5060"},
      {"before a proxy of ours", ok, "SUBSCRIBE",
       "Record-Route: <sip:198.51.100.41:5080;lr>\r\n" + ours + kContact, "198.51.100.41:5080"},
      {"a proxy of ours alone", ok, "SUBSCRIBE", ours + kContact, "198.51.100.30:5070"},
      {"a proxy with a name", ok, "SUBSCRIBE",
       "Record-Route: <sip:198.51.100.41;lr>, <sip:proxy.example.com;lr>\r\n" + ours + kContact, nullptr},
      {"a name", ok, "SUBSCRIBE", "Contact: <sip:c@host.example.com>\r\n", nullptr},
      {"nothing", ok, "SUBSCRIBE", "", nullptr},
      {"a refusal", "SIP/2.0 403 Forbidden", "SUBSCRIBE", kContact, nullptr},
      {"of another kind", ok, "OPTIONS", kContact, nullptr},
  };
  for (const auto& row : rows) {
    DYNAMIC_SECTION(row.name) {
      test::SipBench bench;
      const auto answer = message(row.start, row.method, row.headers);
      CHECK(bench.in(answer).answer.verdict == Verdict::forward);
      std::vector<nat::Endpoint> peers;
      if (row.peer != nullptr) peers.push_back(test::endpoint(row.peer));
      CHECK(bench.host.peers == peers);
      test::SipBench leaving;
      CHECK(leaving.out(answer).answer.verdict == Verdict::forward);
      CHECK(leaving.host.peers.empty());
    }
  }
}

TEST_CASE("what goes out, and what answers, tells of nobody: who is spoken to is let in",
          "[alg][sip][AC-12]") {
  test::SipBench bench;
  CHECK(bench.out(request("INVITE", kContact)).answer.verdict == Verdict::forward);
  CHECK(bench.in(message("SIP/2.0 200 OK", "INVITE", kContact)).answer.verdict == Verdict::forward);
  CHECK(bench.host.peers.empty());
}

TEST_CASE("what leaves says where requests get to its sender, unless it repeats what it was told",
          "[alg][sip][AC-12][AC-23]") {
  struct Row {
    const char* name;
    const char* start;
    std::string headers;
    std::vector<const char*> targets;
  };
  const std::string route = "Record-Route: <sip:10.0.0.7;lr>\r\n";
  const std::string contact = "Contact: <sip:c@10.0.0.6:5070>\r\n";
  const Row rows[] = {
      {"INVITE",
       "INVITE sip:a@b SIP/2.0",
       "Via: SIP/2.0/UDP 10.0.0.8\r\n" + route + contact,
       {"10.0.0.7:5060", "10.0.0.6:5070"}},
      {"its own endpoint", "INVITE sip:a@b SIP/2.0", "Contact: <sip:c@10.0.0.5>\r\n", {"10.0.0.5:5060"}},
      {"200", "SIP/2.0 200 OK", route + contact, {"10.0.0.6:5070"}},
      {"302", "SIP/2.0 302 Moved", contact, {}},
      {"who else it names", "INVITE sip:a@b SIP/2.0", "Refer-To: <sip:c@10.0.0.6>\r\n", {}},
      {"a name", "INVITE sip:a@b SIP/2.0", "Contact: <sip:c@host.example.com>\r\n", {}},
  };
  for (const auto& row : rows) {
    DYNAMIC_SECTION(row.name) {
      test::SipBench bench;
      bench.know("10.0.0.6:5070");
      bench.know("10.0.0.7:5060");
      CHECK(bench.out(message(row.start, "INVITE", row.headers)).answer.verdict == Verdict::forward);
      std::vector<nat::Endpoint> targets;
      for (const char* const target : row.targets) targets.push_back(test::endpoint(target));
      CHECK(bench.host.targets == targets);
    }
  }
  test::SipBench bench;
  CHECK(bench.in(request("INVITE", "Contact: <sip:c@203.0.113.10:10060>\r\n")).answer.verdict ==
        Verdict::forward);
  CHECK(bench.host.targets.empty());
}

TEST_CASE("what makes or refreshes a dialog tells how to get to its sender, in its own words",
          "[alg][sip][hangup]") {
  struct Row {
    const char* name;
    const char* start;
    const char* method;
    std::string headers;
    bool tells;
    const char* contact;
    std::vector<std::string> routes;
  };
  const std::string routes = "Record-Route: <sip:10.0.0.1;lr>, \"x,y\" <sip:p2;lr>\r\n";
  const Row rows[] = {
      {"INVITE",
       "INVITE sip:a@b SIP/2.0",
       "INVITE",
       routes + "Record-Route: <sip:p3>\r\n" + kContact,
       true,
       "sip:c@198.51.100.30:5070",
       {"<sip:10.0.0.1;lr>", "\"x,y\" <sip:p2;lr>", "<sip:p3>"}},
      {"200", "SIP/2.0 200 OK", "INVITE", kContact, true, "sip:c@198.51.100.30:5070", {}},
      {"UPDATE", "UPDATE sip:a@b SIP/2.0", "UPDATE", "m: sip:c@10.0.0.5;x=y\r\n", true, "sip:c@10.0.0.5", {}},
      {"200 to UPDATE", "SIP/2.0 202 Accepted", "UPDATE", kContact, true, "sip:c@198.51.100.30:5070", {}},
      {"no Contact", "INVITE sip:a@b SIP/2.0", "INVITE", "", true, "", {}},
      {"180", "SIP/2.0 180 Ringing", "INVITE", kContact, false, "", {}},
      {"302", "SIP/2.0 302 Moved", "INVITE", kContact, false, "", {}},
      {"BYE", "BYE sip:a@b SIP/2.0", "BYE", kContact, false, "", {}},
  };
  for (const auto& row : rows) {
    DYNAMIC_SECTION(row.name) {
      test::SipBench bench;
      CHECK(bench.out(message(row.start, row.method, row.headers)).answer.verdict == Verdict::forward);
      REQUIRE(bench.host.dialogs.size() == (row.tells ? 1 : 0));
      if (!row.tells) return;
      CHECK(bench.host.dialogs[0].contact == row.contact);
      CHECK(bench.host.dialogs[0].routes == row.routes);
      CHECK_FALSE(bench.host.dialogs[0].too_many_routes);
    }
  }
  SECTION("more proxies than are kept") {
    test::SipBench bench;
    std::string many = "Record-Route: <sip:p;lr>";
    for (std::size_t i = 0; i < DialogFacts::kMaxRoutes; ++i) many += ", <sip:p;lr>";
    CHECK(bench.out(request("INVITE", many + "\r\n" + kContact)).answer.verdict == Verdict::forward);
    CHECK(bench.host.dialogs.at(0).too_many_routes);
    CHECK(bench.host.dialogs.at(0).routes.size() == DialogFacts::kMaxRoutes);
  }
}

}  // namespace pinhole::alg::sip
