// SPDX-License-Identifier: BSD-3-Clause
// What is done with each of the 49 messages of RFC 4475 and the 12 of RFC 5118. The rule behind the table:
// what cannot be read as one message could be read in two ways, so nothing in it is translated; it passes
// untouched, counted as `sip_malformed`, or is dropped (`drop_sip_malformed`) where the policy is `malformed:
// drop`. All else is for the endpoints to judge, so it passes, translated where it names addresses of ours.
#include <catch2/catch.hpp>
#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "alg/sip/message.hpp"
#include "tests/support/sip_bench.hpp"
#include "tests/support/sip_vectors.hpp"

namespace pinhole::alg::sip {

namespace {

enum class Does : std::uint8_t { pass, refuse };

struct Row {
  const char* name;
  const char* section;
  Does does;
  const char* why;
};

constexpr Row kRfc4475[] = {
    {"wsinv", "3.1.1.1", Does::pass,
     "valid: white space, folding, odd case and lists wherever they may stand"},
    {"intmeth", "3.1.1.2", Does::pass, "valid: every character that may stand in its place"},
    {"esc01", "3.1.1.3", Does::pass, "valid: escaped characters are not taken for what they stand for"},
    {"escnull", "3.1.1.4", Does::pass, "valid: %00 is no end of a text"},
    {"esc02", "3.1.1.5", Does::pass, "valid: % is an ordinary character of methods and header names"},
    {"lwsdisp", "3.1.1.6", Does::pass, "valid: no space between display name and <"},
    {"longreq", "3.1.1.7", Does::pass, "valid: 34 Vias, long values"},
    {"dblreq", "3.1.1.8", Does::pass,
     "valid: what follows the body is no part of the message; it is left alone"},
    {"semiuri", "3.1.1.9", Does::pass, "valid: semicolons in the user part are no parameters"},
    {"transports", "3.1.1.10", Does::pass, "valid: transports that are not known"},
    {"mpart01", "3.1.1.11", Does::pass, "valid: a body of several parts, one of them binary"},
    {"unreason", "3.1.1.12", Does::pass, "valid: a reason in UTF-8"},
    {"noreason", "3.1.1.13", Does::pass, "valid: no reason"},
    {"badinv01", "3.1.2.1", Does::pass, "empty parameters and list items are passed over"},
    {"clerr", "3.1.2.2", Does::refuse, "the body is shorter than Content-Length says"},
    {"ncl", "3.1.2.3", Does::refuse, "Content-Length is no number"},
    {"scalar02", "3.1.2.4", Does::refuse, "CSeq is beyond 32 bits: the transaction has no number"},
    {"scalarlg", "3.1.2.5", Does::refuse, "CSeq is beyond 32 bits: the transaction has no number"},
    {"quotbal", "3.1.2.6", Does::pass, "To is not translated, so its quotes are for the receiver to judge"},
    {"ltgtruri", "3.1.2.7", Does::pass, "the Request-URI is none, and is left as it is"},
    {"lwsruri", "3.1.2.8", Does::pass, "the Request-URI ends where SIP/2.0 begins"},
    {"lwsstart", "3.1.2.9", Does::pass, "spaces are passed over"},
    {"trws", "3.1.2.10", Does::pass, "spaces are passed over"},
    {"escruri", "3.1.2.11", Does::pass, "headers in the Request-URI are not read"},
    {"baddate", "3.1.2.12", Does::pass, "Date is not read"},
    {"regbadct", "3.1.2.13", Does::pass, "a ? ends a URI without brackets"},
    {"badaspec", "3.1.2.14", Does::pass, "spaces in angle brackets are passed over"},
    {"baddn", "3.1.2.15", Does::pass, "a comma in a display name of From is no list"},
    {"badvers", "3.1.2.16", Does::pass, "an unknown version is answered by the server"},
    {"mismatch01", "3.1.2.17", Does::pass, "the request line names the method"},
    {"mismatch02", "3.1.2.18", Does::pass, "an unknown method opens no media, whatever CSeq says"},
    {"bigcode", "3.1.2.19", Does::refuse, "the status is no status"},
    {"badbranch", "3.2.1", Does::pass, "the branch is not read"},
    {"insuf", "3.3.1", Does::refuse, "From, To and Call-ID are missing"},
    {"unkscm", "3.3.2", Does::pass, "URIs of other schemes are left as they are"},
    {"novelsc", "3.3.3", Does::pass, "URIs of other schemes are left as they are"},
    {"unksm2", "3.3.4", Does::pass, "URIs of other schemes are left as they are"},
    {"bext01", "3.3.5", Does::pass, "extensions are a matter of the endpoints"},
    {"invut", "3.3.6", Does::pass, "a body of an unknown type is left as it is"},
    {"regaut01", "3.3.7", Does::pass, "credentials are not read"},
    {"multi01", "3.3.8", Does::refuse, "Call-ID, CSeq, From and To stand twice"},
    {"mcl01", "3.3.9", Does::refuse, "Content-Length stands twice"},
    {"bcast", "3.3.10", Does::pass, "a Via with the broadcast address is not ours"},
    {"zeromf", "3.3.11", Does::pass, "Max-Forwards is for proxies"},
    {"cparam01", "3.3.12", Does::pass, "unknown parameters stay"},
    {"cparam02", "3.3.13", Does::pass, "unknown parameters stay"},
    {"regescrt", "3.3.14", Does::pass, "escaped headers stay"},
    {"sdp01", "3.3.15", Does::pass, "Accept is not read"},
    {"inv2543", "3.4.1", Does::pass, "RFC 2543: no branch, no tag, no Content-Length"},
};

// IPv6 is never translated: what is asked for here is that it is not mistaken for anything else.
constexpr Row kRfc5118[] = {
    {"ipv6-good", "4.1", Does::pass, "valid: IPv6 references"},
    {"ipv6-bad", "4.2", Does::pass, "a Request-URI without brackets is none, and is left as it is"},
    {"port-ambiguous", "4.3", Does::pass, "valid: what looks like a port is a part of the address"},
    {"port-unambiguous", "4.4", Does::pass, "valid: a port after the brackets"},
    {"via-received-param-with-delim", "4.5", Does::pass, "received in brackets, as implementations write it"},
    {"via-received-param-no-delim", "4.5", Does::pass, "valid: received without brackets"},
    {"ipv6-in-sdp", "4.6", Does::pass, "valid: IN IP6"},
    {"mult-ip-in-header", "4.7", Does::pass, "valid: both families in Vias; received is of the other one"},
    {"mult-ip-in-sdp", "4.8", Does::pass, "valid: a stream of each family"},
    {"ipv4-mapped-ipv6", "4.9", Does::pass, "valid: an IPv4-mapped address is an IPv6 address"},
    {"ipv6-bug-abnf-3-colons", "4.10", Does::pass, "a colon too many inside the brackets"},
    {"ipv6-correct-abnf-2-colons", "4.10", Does::pass, "valid"},
};

struct Collection {
  std::string folder;
  std::vector<Row> rows;
};

std::vector<Collection> collections() {
  return {{"rfc4475", {std::begin(kRfc4475), std::end(kRfc4475)}},
          {"rfc5118", {std::begin(kRfc5118), std::end(kRfc5118)}}};
}

std::filesystem::path path_of(const std::string& folder, const std::string& name, const char* extension) {
  return test::vector_folder(folder) / (name + extension);
}

}  // namespace

TEST_CASE("there is a row for every torture message", "[alg][sip][AC-16][rfc4475][rfc5118]") {
  REQUIRE(std::size(kRfc4475) == 49);
  REQUIRE(std::size(kRfc5118) == 12);
  for (const auto& [folder, rows] : collections()) {
    std::vector<std::string> named;
    for (const auto& row : rows) named.emplace_back(row.name);
    std::sort(named.begin(), named.end());
    CHECK(test::vector_names(folder, ".sip") == named);
  }
}

TEST_CASE("torture messages that name none of ours pass bit for bit or are refused, both ways",
          "[alg][sip][AC-04][AC-16][AC-22][rfc4475][rfc5118]") {
  for (const auto& [folder, rows] : collections()) {
    for (const auto& row : rows) {
      DYNAMIC_SECTION(folder << " " << row.section << " " << row.name << ": " << row.why) {
        const auto bytes = test::file_bytes(path_of(folder, row.name, ".sip"));
        for (const auto direction : {Direction::outbound, Direction::inbound}) {
          test::SipBench bench;
          const auto passed = bench.pass(direction, bytes);
          CHECK(passed.edits == 0);
          CHECK(passed.answer.verdict == Verdict::forward);
          CHECK(passed.text == bytes);
          CHECK(bench.counters.read(Counter::sip_malformed) == (row.does == Does::refuse ? 1 : 0));
          CHECK(bench.host.opened.empty());
          CHECK(bench.host.granted.empty());

          Policy strict;
          strict.malformed = Malformed::drop;
          test::SipBench strict_bench(strict);
          const auto judged = strict_bench.pass(direction, bytes);
          CHECK(judged.edits == 0);
          if (row.does == Does::pass) {
            CHECK(judged.text == bytes);
          } else {
            CHECK(judged.answer.verdict == Verdict::drop);
            CHECK(judged.answer.reason == nat::DropReason::drop_sip_malformed);
          }
        }
      }
    }
  }
}

// NAME.out is what leaves, where it is not NAME.sip; NAME.back what that is when it comes in again, where it
// is not what it was.
TEST_CASE("torture messages whose addresses are ours are translated where they stand, and keep their meaning",
          "[alg][sip][AC-02][AC-03][AC-06][AC-16][rfc4475][rfc5118]") {
  for (const auto& [folder, rows] : collections()) {
    for (const auto& row : rows) {
      if (row.does == Does::refuse) continue;
      DYNAMIC_SECTION(folder << " " << row.section << " " << row.name) {
        test::SipBench bench("192.0.2.0/24", "192.0.2.5:5060", test::direct_media());
        bench.host.knows_repeated = true;  // each message stands alone
        const auto sent = test::file_bytes(path_of(folder, row.name, ".sip"));
        const auto out = path_of(folder, row.name, ".out");
        const auto back = path_of(folder, row.name, ".back");
        const auto passed = bench.out(sent);
        REQUIRE(passed.answer.verdict == Verdict::forward);
        CHECK(passed.text == (exists(out) ? test::file_bytes(out) : sent));
        CHECK(exists(out) == (passed.edits != 0));
        CHECK(bench.out(sent).text == passed.text);

        MessageView before;
        MessageView after;
        REQUIRE(before.parse(sent) == ParseResult::message);
        REQUIRE(after.parse(passed.text) == ParseResult::message);
        const auto was = before.summary();
        const auto is = after.summary();
        CHECK(is.method == was.method);
        CHECK(is.method_text == was.method_text);
        CHECK(is.status == was.status);
        CHECK(is.reason == was.reason);
        CHECK(is.cseq == was.cseq);
        CHECK(is.call_id == was.call_id);
        CHECK(is.from_tag == was.from_tag);
        CHECK(is.to_tag == was.to_tag);
        CHECK(is.from_uri == was.from_uri);
        CHECK(is.to_uri == was.to_uri);
        CHECK(after.headers().size() == before.headers().size());

        const auto returned = bench.in(passed.text);
        REQUIRE(returned.answer.verdict == Verdict::forward);
        CHECK(returned.text == (exists(back) ? test::file_bytes(back) : sent));
        if (exists(back)) CHECK(test::file_bytes(back) != sent);
        CHECK(bench.out(returned.text).text == passed.text);
      }
    }
  }
}

TEST_CASE("what else comes to a SIP port passes as it is, both ways",
          "[alg][sip][AC-01][AC-20][AC-23][rfc5389][rfc5626][rfc7118][rfc8489][rfc8656]") {
  using namespace std::string_literals;
  const std::pair<const char*, std::string> rows[] = {
      {"keep-alive of RFC 5626", "\r\n\r\n"},
      {"its answer", "\r\n"},
      {"keep-alive without bytes", ""},
      {"keep-alive of zero bytes", "\0\0\0\0"s},
      {"STUN binding request",
       "\0\1\0\0\x21\x12\xA4\x42"
       "0123456789ab"s},
      {"STUN answer that names an address",
       "\1\1\0\xC\x21\x12\xA4\x42"
       "0123456789ab\0\1\0\10\0\1\x13\xC4\12\0\0\5"s},
      {"TURN channel data",
       "\x40\0\0\10"
       "10.0.0.5"s},
      {"TLS hello",
       "\x16\3\1\0\x10\1\0\0\xC"
       "10.0.0.5:5060"s},
      {"DTLS hello",
       "\x16\xFE\xFF\0\0\0\0\0\0\0\0\0\x10"
       "10.0.0.5:5060"s},
      {"WebSocket",
       "GET / HTTP/1.1\r\nHost: 10.0.0.5:5060\r\nUpgrade: websocket\r\nSec-WebSocket-Protocol: sip\r\n\r\n"},
      {"a form of a browser",
       "POST / HTTP/1.1\r\nContent-Length: 44\r\n\r\nREGISTER sip:10.0.0.5:5060;transport=tcp SIP/2.0"},
      {"MSRP", "MSRP a786hjs2 SEND\r\nTo-Path: msrp://10.0.0.5:7654/x;tcp\r\n-------a786hjs2$\r\n"},
      {"RTP",
       "\x80\0\x12\x34\0\0\0\1\0\0\0\1"
       "10.0.0.5"s},
      {"text", "sip:alice@10.0.0.5:5060"},
  };
  for (const auto& [name, bytes] : rows) {
    DYNAMIC_SECTION(name) {
      for (const auto direction : {Direction::outbound, Direction::inbound}) {
        test::SipBench bench;
        const auto passed = bench.pass(direction, bytes);
        CHECK(passed.answer.verdict == Verdict::forward);
        CHECK(passed.text == bytes);
        CHECK(passed.edits == 0);
        CHECK(bench.host.announced.empty());
        CHECK(bench.host.opened.empty());
      }
    }
  }
}

}  // namespace pinhole::alg::sip
