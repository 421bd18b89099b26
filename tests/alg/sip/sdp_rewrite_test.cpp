// SPDX-License-Identifier: BSD-3-Clause
#include "alg/sip/sdp_rewrite.hpp"

#include <algorithm>
#include <catch2/catch.hpp>
#include <string>
#include <utility>
#include <vector>

#include "tests/support/sip_bench.hpp"

namespace pinhole::alg::sip {

namespace {

// What becomes of a description in an INVITE on its way.
std::string pass(test::SipBench& bench, Direction direction, const std::string& sdp,
                 const char* method = "INVITE") {
  const std::string name(method);
  const auto message = test::with_sdp(
      {name + " sip:bob@example.com SIP/2.0", "Via: SIP/2.0/UDP phone.example.net;branch=z9hG4bK1",
       "From: <sip:a@b>;tag=1", "To: <sip:c@d>", "Call-ID: 1", "CSeq: 1 " + name},
      sdp);
  const auto passed = bench.pass(direction, message);
  CHECK(passed.answer.verdict == Verdict::forward);
  const auto body = passed.text.find("\r\n\r\n");
  REQUIRE(body != std::string::npos);
  const auto length = "Content-Length: " + std::to_string(passed.text.size() - body - 4) + "\r\n";
  CHECK(passed.text.find(length) != std::string::npos);
  return passed.text.substr(body + 4);
}

// The media that were opened: RTP, RTCP, and what else was asked for.
std::vector<std::string> opened(const test::SipBench& bench) {
  std::vector<std::string> list;
  for (const auto& request : bench.host.opened) {
    std::string text(nat::EndpointText(request.rtp).view());
    text.append(" ").append(nat::EndpointText(request.rtcp).view());
    if (request.protocol == nat::Protocol::tcp) text.append(" tcp");
    if (request.follows) text.append(" follows");
    list.push_back(text);
  }
  return list;
}

}  // namespace

TEST_CASE("offers of all kinds are opened and rewritten",
          "[alg][sdp][AC-09][AC-14][AC-21][AC-26][rfc3362][rfc4145][rfc4568][rfc4570]"
          "[rfc4975][rfc5761][rfc6714][rfc6947][rfc8843]") {
  struct Row {
    const char* name;
    std::string before;
    std::string after;
    std::vector<std::string> opened;  // RTP, RTCP
  };
  using test::lines;
  const Row rows[] = {
      {"address by media",
       lines({"c=IN IP4 192.0.2.1", "m=audio 4000 RTP/AVP 0", "c=IN IP4 10.0.0.5"}),
       lines({"c=IN IP4 192.0.2.1", "m=audio 9000 RTP/AVP 0", "c=IN IP4 203.0.113.10"}),
       {"10.0.0.5:4000 10.0.0.5:4001"}},
      {"audio and video",
       lines({"c=IN IP4 10.0.0.5", "m=audio 4000 RTP/AVP 0", "m=video 4002 RTP/SAVPF 96"}),
       lines({"c=IN IP4 203.0.113.10", "m=audio 9000 RTP/AVP 0", "m=video 9002 RTP/SAVPF 96"}),
       {"10.0.0.5:4000 10.0.0.5:4001", "10.0.0.5:4002 10.0.0.5:4003"}},
      {"RTCP on a port of its own",
       lines({"c=IN IP4 10.0.0.5", "m=audio 4000 RTP/AVP 0", "a=rtcp:4010"}),
       lines({"c=IN IP4 203.0.113.10", "m=audio 9000 RTP/AVP 0", "a=rtcp:9010"}),
       {"10.0.0.5:4000 10.0.0.5:4010"}},
      {"RTCP at another host",
       lines({"c=IN IP4 10.0.0.5", "m=audio 4000 RTP/AVP 0", "a=rtcp:4010 IN IP4 10.0.0.6"}),
       lines({"c=IN IP4 203.0.113.10", "m=audio 9000 RTP/AVP 0", "a=rtcp:10010 IN IP4 203.0.113.10"}),
       {"10.0.0.5:4000 10.0.0.6:4010"}},
      {"RTCP in RTP's port",
       lines({"c=IN IP4 10.0.0.5", "m=audio 4000 RTP/AVP 0", "a=rtcp:4000", "a=rtcp-mux"}),
       lines({"c=IN IP4 203.0.113.10", "m=audio 9000 RTP/AVP 0", "a=rtcp:9000", "a=rtcp-mux"}),
       {"10.0.0.5:4000 10.0.0.5:4000"}},
      {"RTCP at a port that is never opened",
       lines({"c=IN IP4 10.0.0.5", "m=audio 4000 RTP/AVP 0", "a=rtcp:53 IN IP4 10.0.0.5"}),
       lines({"c=IN IP4 203.0.113.10", "m=audio 9000 RTP/AVP 0", "a=rtcp:53 IN IP4 203.0.113.10"}),
       {"10.0.0.5:4000 10.0.0.5:4000"}},
      {"fax has no RTCP",
       lines({"c=IN IP4 10.0.0.5", "m=image 4000 udptl t38", "a=T38FaxVersion:0"}),
       lines({"c=IN IP4 203.0.113.10", "m=image 9000 udptl t38", "a=T38FaxVersion:0"}),
       {"10.0.0.5:4000 10.0.0.5:4000"}},
      {"a fax over TCP that is connected to",
       lines({"c=IN IP4 10.0.0.5", "m=image 4000 TCP t38", "a=setup:passive"}),
       lines({"c=IN IP4 203.0.113.10", "m=image 9000 TCP t38", "a=setup:passive"}),
       {"10.0.0.5:4000 10.0.0.5:4000 tcp"}},
      {"TCP that may be connected to",
       lines({"c=IN IP4 10.0.0.5", "m=application 4000 TCP/TLS/BFCP *", "a=setup:actpass"}),
       lines({"c=IN IP4 203.0.113.10", "m=application 9000 TCP/TLS/BFCP *", "a=setup:actpass"}),
       {"10.0.0.5:4000 10.0.0.5:4000 tcp"}},
      {"TCP that connects itself, from a port that it says",
       lines({"c=IN IP4 10.0.0.5", "m=image 4000 TCP t38", "a=setup:active"}),
       lines({"c=IN IP4 203.0.113.10", "m=image 9000 TCP t38", "a=setup:active"}),
       {}},
      {"TCP that connects itself, from any port",
       lines({"c=IN IP4 10.0.0.5", "m=image 9 TCP t38", "a=setup:active", "a=connection:new"}),
       lines({"c=IN IP4 203.0.113.10", "m=image 9 TCP t38", "a=setup:active", "a=connection:new"}),
       {}},
      {"TCP that connects itself, as the session says of all streams that do not",
       lines({"c=IN IP4 10.0.0.5", "a=setup:active", "m=image 4000 TCP t38", "m=image 4002 TCP t38",
              "a=setup:passive"}),
       lines({"c=IN IP4 203.0.113.10", "a=setup:active", "m=image 9000 TCP t38", "m=image 9002 TCP t38",
              "a=setup:passive"}),
       {"10.0.0.5:4002 10.0.0.5:4002 tcp"}},
      {"RTP over TCP",
       lines({"c=IN IP4 10.0.0.5", "m=audio 4000 TCP/RTP/AVP 0", "a=setup:passive"}),
       lines({"c=IN IP4 203.0.113.10", "m=audio 9000 TCP/RTP/AVP 0", "a=setup:passive"}),
       {"10.0.0.5:4000 10.0.0.5:4000 tcp"}},
      {"MSRP: the URI goes with the port",
       lines({"c=IN IP4 10.0.0.5", "m=message 2855 TCP/MSRP *", "a=accept-types:text/plain",
              "a=path:msrp://10.0.0.5:2855/s8723;tcp"}),
       lines({"c=IN IP4 203.0.113.10", "m=message 7855 TCP/MSRP *", "a=accept-types:text/plain",
              "a=path:msrp://203.0.113.10:7855/s8723;tcp"}),
       {"10.0.0.5:2855 10.0.0.5:2855 tcp"}},
      {"MSRP: the default port, a user, and a second URI",
       lines({"c=IN IP4 10.0.0.5", "m=message 2855 TCP/TLS/MSRP *",
              "a=path:msrps://al@10.0.0.5/s8723;tcp msrps://10.0.0.6:4000/x;tcp "
              "msrps://r.example.com:9/y;tcp"}),
       lines({"c=IN IP4 203.0.113.10", "m=message 7855 TCP/TLS/MSRP *",
              "a=path:msrps://al@203.0.113.10:7855/s8723;tcp msrps://203.0.113.10:10000/x;tcp "
              "msrps://r.example.com:9/y;tcp"}),
       {"10.0.0.5:2855 10.0.0.5:2855 tcp"}},
      {"MSRP with CEMA: the URI is a name, c= and m= say where to",
       lines({"c=IN IP4 10.0.0.5", "m=message 2855 TCP/MSRP *", "a=path:msrp://10.0.0.5:2855/s8723;tcp",
              "a=msrp-cema"}),
       lines({"c=IN IP4 203.0.113.10", "m=message 7855 TCP/MSRP *", "a=path:msrp://10.0.0.5:2855/s8723;tcp",
              "a=msrp-cema"}),
       {"10.0.0.5:2855 10.0.0.5:2855 tcp"}},
      {"MSRP at a relay outside is left",
       lines({"c=IN IP4 198.51.100.9", "m=message 2855 TCP/MSRP *",
              "a=path:msrp://198.51.100.9:2855/r;tcp msrp://10.0.0.5:2855/s8723;tcp"}),
       lines({"c=IN IP4 198.51.100.9", "m=message 2855 TCP/MSRP *",
              "a=path:msrp://198.51.100.9:2855/r;tcp msrp://10.0.0.5:2855/s8723;tcp"}),
       {}},
      {"an alternative that is the default goes with it",
       lines({"c=IN IP4 10.0.0.5", "m=audio 4000 RTP/AVP 0", "a=rtcp:4007", "a=altc:1 IP6 2001:db8::5 4000",
              "a=altc:2 IP4 10.0.0.5 4000/4007"}),
       lines({"c=IN IP4 203.0.113.10", "m=audio 9000 RTP/AVP 0", "a=rtcp:9007",
              "a=altc:1 IP6 2001:db8::5 4000", "a=altc:2 IP4 203.0.113.10 9000/9007"}),
       {"10.0.0.5:4000 10.0.0.5:4007"}},
      {"an alternative to IPv6 is opened as the default would be",
       lines({"c=IN IP6 2001:db8::5", "m=audio 4000 RTP/AVP 0", "a=altc:1 IP6 2001:db8::5 4000",
              "a=altc:2 IP4 10.0.0.5 4002", "m=image 4004 udptl t38", "a=altc:1 IP4 10.0.0.6 4004"}),
       lines({"c=IN IP6 2001:db8::5", "m=audio 4000 RTP/AVP 0", "a=altc:1 IP6 2001:db8::5 4000",
              "a=altc:2 IP4 203.0.113.10 9002", "m=image 4004 udptl t38", "a=altc:1 IP4 203.0.113.10 10004"}),
       {"10.0.0.5:4002 10.0.0.5:4003", "10.0.0.6:4004 10.0.0.6:4004"}},
      {"an alternative of a rejected stream, below 1024, or of no stream is hidden",
       lines({"a=altc:1 IP4 10.0.0.5 4000", "c=IN IP4 10.0.0.5", "m=audio 0 RTP/AVP 0",
              "a=altc:1 IP4 10.0.0.5 4002", "m=audio 4000 RTP/AVP 0", "a=altc:1 IP4 10.0.0.6 1023",
              "a=altc:2 IP4 198.51.100.9 4000"}),
       lines({"a=altc:1 IP4 203.0.113.10 4000", "c=IN IP4 203.0.113.10", "m=audio 0 RTP/AVP 0",
              "a=altc:1 IP4 203.0.113.10 4002", "m=audio 9000 RTP/AVP 0", "a=altc:1 IP4 203.0.113.10 1023",
              "a=altc:2 IP4 198.51.100.9 4000"}),
       {"10.0.0.5:4000 10.0.0.5:4001"}},
      {"a filter names the address of c=, whose sources are those of others",
       lines({"c=IN IP4 10.0.0.5", "a=source-filter: incl IN IP4 10.0.0.5 198.51.100.9",
              "m=audio 4000 RTP/AVP 0", "a=source-filter: excl IN IP4 10.0.0.5 198.51.100.9",
              "a=source-filter: incl IN IP4 * 10.99.0.5"}),
       lines({"c=IN IP4 203.0.113.10", "a=source-filter: incl IN IP4 203.0.113.10 198.51.100.9",
              "m=audio 9000 RTP/AVP 0", "a=source-filter: excl IN IP4 203.0.113.10 198.51.100.9",
              "a=source-filter: incl IN IP4 * 10.99.0.5"}),
       {"10.0.0.5:4000 10.0.0.5:4001"}},
      {"a transport that is not known: hidden, not opened",
       lines({"c=IN IP4 10.0.0.5", "m=audio 4000 DCCP/RTP/AVP 0", "m=application 4002 SCTP x"}),
       lines({"c=IN IP4 203.0.113.10", "m=audio 4000 DCCP/RTP/AVP 0", "m=application 4002 SCTP x"}),
       {}},
      {"a data channel",
       lines(
           {"c=IN IP4 10.0.0.5", "m=application 4000 UDP/DTLS/SCTP webrtc-datachannel", "a=sctp-port:5000"}),
       lines({"c=IN IP4 203.0.113.10", "m=application 9000 UDP/DTLS/SCTP webrtc-datachannel",
              "a=sctp-port:5000"}),
       {"10.0.0.5:4000 10.0.0.5:4000"}},
      {"keys and fingerprints are left",
       lines({"c=IN IP4 10.0.0.5", "m=audio 4000 RTP/SAVP 0",
              "a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:d0RmdmcmVCspeEc3QGZiNWpVLFJhQX1cfHAwJSoj|2^20|1:32",
              "a=fingerprint:sha-256 4A:AD:B9:B1:3F:82:18:3B:54:02:12:DF:3E:5D:49:6B", "a=setup:actpass",
              "a=tls-id:1", "a=alt:1 1 : x y 10.0.0.5 4000", "a=X-nat:10.0.0.5"}),
       lines({"c=IN IP4 203.0.113.10", "m=audio 9000 RTP/SAVP 0",
              "a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:d0RmdmcmVCspeEc3QGZiNWpVLFJhQX1cfHAwJSoj|2^20|1:32",
              "a=fingerprint:sha-256 4A:AD:B9:B1:3F:82:18:3B:54:02:12:DF:3E:5D:49:6B", "a=setup:actpass",
              "a=tls-id:1", "a=alt:1 1 : x y 10.0.0.5 4000", "a=X-nat:10.0.0.5"}),
       {"10.0.0.5:4000 10.0.0.5:4001"}},
      {"fax versions and sizes are left",
       lines({"c=IN IP4 10.0.0.5", "m=image 4000 UDPTL t38", "a=T38FaxVersion:0", "a=T38MaxBitRate:14400",
              "a=T38FaxUdpEC:t38UDPRedundancy"}),
       lines({"c=IN IP4 203.0.113.10", "m=image 9000 UDPTL t38", "a=T38FaxVersion:0", "a=T38MaxBitRate:14400",
              "a=T38FaxUdpEC:t38UDPRedundancy"}),
       {"10.0.0.5:4000 10.0.0.5:4000"}},
      {"several c=, and a TTL behind one",
       lines({"c=IN IP4 192.0.2.1/127", "c=IN IP4 10.0.0.6", "m=audio 4000 RTP/AVP 0",
              "c=IN IP4 10.0.0.5/127", "c=IN IP4 10.0.0.7", "c=IN IP4 224.2.1.1/127/3"}),
       lines({"c=IN IP4 192.0.2.1/127", "c=IN IP4 203.0.113.10", "m=audio 9000 RTP/AVP 0",
              "c=IN IP4 203.0.113.10/127", "c=IN IP4 203.0.113.10", "c=IN IP4 224.2.1.1/127/3"}),
       {"10.0.0.5:4000 10.0.0.5:4001"}},
      {"on hold by 0.0.0.0, and RTCP goes on",
       lines({"c=IN IP4 10.0.0.5", "m=audio 4000 RTP/AVP 0", "c=IN IP4 0.0.0.0",
              "a=rtcp:4001 IN IP4 10.0.0.5"}),
       lines({"c=IN IP4 203.0.113.10", "m=audio 4000 RTP/AVP 0", "c=IN IP4 0.0.0.0",
              "a=rtcp:9001 IN IP4 203.0.113.10"}),
       {"10.0.0.5:4001 10.0.0.5:4001"}},
      {"on hold by 0.0.0.0, RTCP without an address of its own",
       lines({"c=IN IP4 0.0.0.0", "m=audio 4000 RTP/AVP 0", "a=rtcp:4001", "a=inactive"}),
       lines({"c=IN IP4 0.0.0.0", "m=audio 4000 RTP/AVP 0", "a=rtcp:4001", "a=inactive"}),
       {}},
      {"port 0 that another stream carries (bundle-only)",
       lines({"c=IN IP4 10.0.0.5", "a=group:BUNDLE 1 2", "m=audio 4000 RTP/SAVPF 0", "a=rtcp-mux", "a=mid:1",
              "m=video 0 RTP/SAVPF 96", "a=bundle-only", "a=mid:2"}),
       lines({"c=IN IP4 203.0.113.10", "a=group:BUNDLE 1 2", "m=audio 9000 RTP/SAVPF 0", "a=rtcp-mux",
              "a=mid:1", "m=video 0 RTP/SAVPF 96", "a=bundle-only", "a=mid:2"}),
       {"10.0.0.5:4000 10.0.0.5:4001"}},
      {"lines ended by CR",
       "v=0\rc=IN IP4 10.0.0.5\rm=audio 4000 RTP/AVP 0\ra=rtcp:4005\r",
       "v=0\rc=IN IP4 203.0.113.10\rm=audio 9000 RTP/AVP 0\ra=rtcp:9005\r",
       {"10.0.0.5:4000 10.0.0.5:4005"}},
      {"lines ended by LF",
       "v=0\nc=IN IP4 10.0.0.5\nm=audio 4000 RTP/AVP 0\na=rtcp:4005\n",
       "v=0\nc=IN IP4 203.0.113.10\nm=audio 9000 RTP/AVP 0\na=rtcp:9005\n",
       {"10.0.0.5:4000 10.0.0.5:4005"}},
      {"an unknown kind",
       lines({"c=IN IP4 10.0.0.5", "m=hologram 4000 UDP/X y"}),
       lines({"c=IN IP4 203.0.113.10", "m=hologram 9000 UDP/X y"}),
       {"10.0.0.5:4000 10.0.0.5:4000"}},
      {"port 0 stays 0, its own address goes",
       lines({"c=IN IP4 10.0.0.5", "m=audio 4000 RTP/AVP 0", "m=video 0 RTP/AVP 31", "c=IN IP4 10.0.0.6"}),
       lines({"c=IN IP4 203.0.113.10", "m=audio 9000 RTP/AVP 0", "m=video 0 RTP/AVP 31",
              "c=IN IP4 203.0.113.10"}),
       {"10.0.0.5:4000 10.0.0.5:4001"}},
      {"nothing but rejected media",
       lines({"c=IN IP4 10.0.0.5", "m=audio 0 RTP/AVP 0"}),
       lines({"c=IN IP4 203.0.113.10", "m=audio 0 RTP/AVP 0"}),
       {}},
      {"a port below 1024 is never opened",
       lines({"c=IN IP4 10.0.0.5", "m=audio 22 RTP/AVP 0", "m=video 4002 RTP/AVP 31"}),
       lines({"c=IN IP4 203.0.113.10", "m=audio 22 RTP/AVP 0", "m=video 9002 RTP/AVP 31"}),
       {"10.0.0.5:4002 10.0.0.5:4003"}},
      {"on hold by 0.0.0.0",
       lines({"c=IN IP4 0.0.0.0", "m=audio 4000 RTP/AVP 0"}),
       lines({"c=IN IP4 0.0.0.0", "m=audio 4000 RTP/AVP 0"}),
       {}},
      {"no c= at all",
       lines({"v=0", "m=audio 4000 RTP/AVP 0"}),
       lines({"v=0", "m=audio 4000 RTP/AVP 0"}),
       {}},
      {"no media at all", lines({"o=- 1 1 IN IP4 10.0.0.5"}), lines({"o=- 1 1 IN IP4 203.0.113.10"}), {}},
      {"IPv6 is left",
       lines({"o=- 1 1 IN IP6 2001:db8::5", "c=IN IP6 2001:db8::5", "m=audio 4000 RTP/AVP 0"}),
       lines({"o=- 1 1 IN IP6 2001:db8::5", "c=IN IP6 2001:db8::5", "m=audio 4000 RTP/AVP 0"}),
       {}},
      {"an address of another realm is left",
       lines({"c=IN IP4 192.0.2.1", "m=audio 4000 RTP/AVP 0"}),
       lines({"c=IN IP4 192.0.2.1", "m=audio 4000 RTP/AVP 0"}),
       {}},
      {"several streams in one port (BUNDLE)",
       lines({"a=group:BUNDLE 1 2", "m=audio 4000 RTP/SAVPF 0", "c=IN IP4 10.0.0.5", "a=rtcp-mux",
              "m=video 4000 RTP/SAVPF 96", "c=IN IP4 10.0.0.5", "a=rtcp-mux"}),
       lines({"a=group:BUNDLE 1 2", "m=audio 9000 RTP/SAVPF 0", "c=IN IP4 203.0.113.10", "a=rtcp-mux",
              "m=video 9000 RTP/SAVPF 96", "c=IN IP4 203.0.113.10", "a=rtcp-mux"}),
       {"10.0.0.5:4000 10.0.0.5:4001", "10.0.0.5:4000 10.0.0.5:4001"}},
      {"the last port has no next",
       lines({"c=IN IP4 10.0.0.5", "m=audio 65535 RTP/AVP 0"}),
       lines({"c=IN IP4 203.0.113.10", "m=audio 4999 RTP/AVP 0"}),
       {"10.0.0.5:65535 10.0.0.5:65535"}},
      {"the last line has no end",
       "c=IN IP4 10.0.0.5\nm=audio 4000 RTP/AVP 0",
       "c=IN IP4 203.0.113.10\nm=audio 9000 RTP/AVP 0",
       {"10.0.0.5:4000 10.0.0.5:4001"}},
  };
  for (const auto& row : rows) {
    DYNAMIC_SECTION(row.name) {
      test::SipBench bench;
      CHECK(pass(bench, Direction::outbound, row.before) == row.after);
      CHECK(opened(bench) == row.opened);
    }
  }
}

TEST_CASE("lines are added where the original could do without", "[alg][sdp][rfc3605][rfc8858]") {
  using test::lines;
  test::SipBench bench;
  SECTION("RTCP got a port that is not the next") {
    bench.host.forced[test::endpoint("10.0.0.5:4001")] = test::endpoint("203.0.113.10:7777");
    CHECK(
        pass(bench, Direction::outbound,
             lines({"c=IN IP4 10.0.0.5", "m=audio 4000 RTP/AVP 0", "a=sendrecv", "m=video 0 RTP/AVP 31"})) ==
        lines({"c=IN IP4 203.0.113.10", "m=audio 9000 RTP/AVP 0", "a=sendrecv", "a=rtcp:7777",
               "m=video 0 RTP/AVP 31"}));
  }
  SECTION("the same, and the last line has no end") {
    bench.host.forced[test::endpoint("10.0.0.5:4001")] = test::endpoint("203.0.113.10:7777");
    CHECK(pass(bench, Direction::outbound, "c=IN IP4 10.0.0.5\r\nm=audio 4000 RTP/AVP 0") ==
          "c=IN IP4 203.0.113.10\r\nm=audio 9000 RTP/AVP 0\r\na=rtcp:7777");
  }
  SECTION("RTCP got another address") {
    bench.host.forced[test::endpoint("10.0.0.5:4001")] = test::endpoint("203.0.113.11:9001");
    CHECK(pass(bench, Direction::outbound, lines({"c=IN IP4 10.0.0.5", "m=audio 4000 RTP/AVP 0"})) ==
          lines({"c=IN IP4 203.0.113.10", "m=audio 9000 RTP/AVP 0", "a=rtcp:9001 IN IP4 203.0.113.11"}));
  }
  SECTION("a=rtcp is there, without the address that it needs now") {
    bench.host.forced[test::endpoint("10.0.0.5:4005")] = test::endpoint("203.0.113.11:9005");
    CHECK(pass(bench, Direction::outbound,
               lines({"c=IN IP4 10.0.0.5", "m=audio 4000 RTP/AVP 0", "a=rtcp:4005"})) ==
          lines({"c=IN IP4 203.0.113.10", "m=audio 9000 RTP/AVP 0", "a=rtcp:9005 IN IP4 203.0.113.11"}));
  }
  SECTION("one of two streams got another address than the session") {
    bench.host.forced[test::endpoint("10.0.0.5:4002")] = test::endpoint("203.0.113.11:9002");
    bench.host.forced[test::endpoint("10.0.0.5:4003")] = test::endpoint("203.0.113.11:9003");
    CHECK(pass(bench, Direction::outbound,
               lines({"c=IN IP4 10.0.0.5", "m=audio 4000 RTP/AVP 0", "m=video 4002 RTP/AVP 31", "i=film",
                      "b=AS:64"})) ==
          lines({"c=IN IP4 203.0.113.10", "m=audio 9000 RTP/AVP 0", "m=video 9002 RTP/AVP 31", "i=film",
                 "c=IN IP4 203.0.113.11", "b=AS:64"}));
  }
  SECTION("with rtcp-mux-only there is no second port") {
    bench.host.forced[test::endpoint("10.0.0.5:4001")] = test::endpoint("203.0.113.10:9007");
    CHECK(pass(bench, Direction::outbound,
               lines({"c=IN IP4 10.0.0.5", "m=audio 4000 RTP/SAVPF 0", "a=rtcp-mux", "a=rtcp-mux-only",
                      "m=audio 5000 RTP/SAVPF 0", "a=rtcp:5000", "a=rtcp-mux-only"})) ==
          lines({"c=IN IP4 203.0.113.10", "m=audio 9000 RTP/SAVPF 0", "a=rtcp-mux", "a=rtcp-mux-only",
                 "m=audio 10000 RTP/SAVPF 0", "a=rtcp:10000", "a=rtcp-mux-only"}));
    CHECK(opened(bench) ==
          std::vector<std::string>{"10.0.0.5:4000 10.0.0.5:4000", "10.0.0.5:5000 10.0.0.5:5000"});
  }
  SECTION("both in one place") {
    bench.host.forced[test::endpoint("10.0.0.5:4002")] = test::endpoint("203.0.113.11:9002");
    bench.host.forced[test::endpoint("10.0.0.5:4003")] = test::endpoint("203.0.113.11:7777");
    CHECK(pass(bench, Direction::outbound,
               lines({"c=IN IP4 10.0.0.5", "m=audio 4000 RTP/AVP 0", "m=video 4002 RTP/AVP 31"})) ==
          lines({"c=IN IP4 203.0.113.10", "m=audio 9000 RTP/AVP 0", "m=video 9002 RTP/AVP 31",
                 "c=IN IP4 203.0.113.11", "a=rtcp:7777"}));
  }
}

TEST_CASE("a stream with several ports gets them in turn", "[alg][sdp][rfc4566][rfc8866]") {
  using test::lines;
  struct Row {
    const char* name;
    const char* before;
    const char* after;
    std::vector<std::pair<const char*, const char*>> forced;
    std::vector<std::string> opened;
  };
  const Row rows[] = {
      {"two pairs",
       "m=video 4000/2 RTP/AVP 31",
       "m=video 9000/2 RTP/AVP 31",
       {},
       {"10.0.0.5:4000 10.0.0.5:4001", "10.0.0.5:4002 10.0.0.5:4003 follows"}},
      {"three single ports",
       "m=x 4000/3 udp y",
       "m=x 9000/3 udp y",
       {},
       {"10.0.0.5:4000 10.0.0.5:4000", "10.0.0.5:4001 10.0.0.5:4001 follows",
        "10.0.0.5:4002 10.0.0.5:4002 follows"}},
      {"the third pair does not follow: as many as do are told of",
       "m=video 4000/4 RTP/AVP 31",
       "m=video 9000/2 RTP/AVP 31",
       {{"10.0.0.5:4004", "203.0.113.10:7000"}},
       {"10.0.0.5:4000 10.0.0.5:4001", "10.0.0.5:4002 10.0.0.5:4003 follows",
        "10.0.0.5:4004 10.0.0.5:4005 follows"}},
      {"the second pair does not follow: one port",
       "m=video 4000/2 RTP/AVP 31",
       "m=video 9000 RTP/AVP 31",
       {{"10.0.0.5:4003", "203.0.113.10:7000"}},
       {"10.0.0.5:4000 10.0.0.5:4001", "10.0.0.5:4002 10.0.0.5:4003 follows"}},
      {"more than are opened for one stream",
       "m=video 4000/100 RTP/AVP 31",
       "m=video 9000/4 RTP/AVP 31",
       {},
       {"10.0.0.5:4000 10.0.0.5:4001", "10.0.0.5:4002 10.0.0.5:4003 follows",
        "10.0.0.5:4004 10.0.0.5:4005 follows", "10.0.0.5:4006 10.0.0.5:4007 follows"}},
      {"a count of one",
       "m=video 4000/1 RTP/AVP 31",
       "m=video 9000/1 RTP/AVP 31",
       {},
       {"10.0.0.5:4000 10.0.0.5:4001"}},
      {"the last ports",
       "m=video 65532/3 RTP/AVP 31",
       "m=video 20000/2 RTP/AVP 31",
       {{"10.0.0.5:65532", "203.0.113.10:20000"},
        {"10.0.0.5:65533", "203.0.113.10:20001"},
        {"10.0.0.5:65534", "203.0.113.10:20002"},
        {"10.0.0.5:65535", "203.0.113.10:20003"}},
       {"10.0.0.5:65532 10.0.0.5:65533", "10.0.0.5:65534 10.0.0.5:65535 follows"}},
  };
  for (const auto& row : rows) {
    DYNAMIC_SECTION(row.name) {
      test::SipBench bench;
      for (const auto& [inside, external] : row.forced)
        bench.host.forced[test::endpoint(inside)] = test::endpoint(external);
      CHECK(pass(bench, Direction::outbound, lines({"c=IN IP4 10.0.0.5", row.before})) ==
            lines({"c=IN IP4 203.0.113.10", row.after}));
      CHECK(opened(bench) == row.opened);
      CHECK(bench.counters.read(Counter::sip_media_opened) == 1);
    }
  }
}

TEST_CASE("what an earlier offer opened is found again after each kind of hold", "[alg][sdp][AC-14]") {
  using test::lines;
  test::SipBench bench;
  const auto offer = lines({"c=IN IP4 10.0.0.5", "m=audio 4000 RTP/AVP 0"});
  const auto outside = pass(bench, Direction::outbound, offer);
  for (const auto& held : {lines({"c=IN IP4 10.0.0.5", "m=audio 4000 RTP/AVP 0", "a=sendonly"}),
                           lines({"c=IN IP4 10.0.0.5", "m=audio 4000 RTP/AVP 0", "a=inactive"}),
                           lines({"c=IN IP4 0.0.0.0", "m=audio 4000 RTP/AVP 0"}),
                           lines({"c=IN IP4 10.0.0.5", "m=audio 0 RTP/AVP 0"})}) {
    CAPTURE(held);
    static_cast<void>(pass(bench, Direction::outbound, held));
    CHECK(pass(bench, Direction::outbound, offer) == outside);
  }
}

namespace {

const auto kLocalOffer = test::lines(
    {"o=- 1 1 IN IP4 10.0.0.6", "c=IN IP4 10.0.0.6", "m=audio 4000 RTP/AVP 0", "a=rtcp:4007 IN IP4 10.0.0.6",
     "m=video 4002 RTP/AVP 31", "a=candidate:1 1 UDP 5 10.0.0.6 4002 typ host",
     "a=candidate:2 1 UDP 4 10.0.0.6 4012 typ host", "m=message 2855 TCP/MSRP *",
     "a=path:msrp://10.0.0.6:2855/s;tcp"});

}  // namespace

TEST_CASE("media of a call between two phones inside go by their external endpoints",
          "[alg][sdp][rfc4787-req9]") {
  test::SipBench bench;
  const auto outside = pass(bench, Direction::outbound, kLocalOffer);
  CHECK(outside.find("10.0.0.") == std::string::npos);
  CHECK(pass(bench, Direction::inbound, outside) == outside);
  CHECK(std::ranges::none_of(bench.host.described, &MediaStream::held));
  REQUIRE(bench.host.expected.size() == 5);
  CHECK(bench.host.expected[0].rtp == test::endpoint("203.0.113.10:10000"));
  CHECK(bench.host.expected[0].rtcp == test::endpoint("203.0.113.10:10007"));
}

TEST_CASE("a phone gets its own endpoints back", "[alg][sdp][AC-04]") {
  test::SipBench bench;
  const auto own = test::lines({"o=- 1 1 IN IP4 10.0.0.5", "c=IN IP4 10.0.0.5", "m=audio 4000 RTP/AVP 0",
                                "a=rtcp:4007", "a=candidate:1 1 UDP 5 10.0.0.5 4002 typ host",
                                "m=message 2855 TCP/MSRP *", "a=path:msrp://10.0.0.5:2855/s;tcp"});
  CHECK(pass(bench, Direction::inbound, pass(bench, Direction::outbound, own)) == own);
}

TEST_CASE("what a phone gets back keeps the RTCP of another host as the outside knows it",
          "[alg][sdp][AC-04][rfc3605]") {
  test::SipBench bench;
  const auto media = [](const char* address, const char* port, const char* rtcp) {
    return test::lines(
        {std::string("c=IN IP4 ") + address, std::string("m=audio ") + port + " RTP/AVP 0", rtcp});
  };
  const auto out = pass(bench, Direction::outbound, media("10.0.0.5", "4000", "a=rtcp:4010 IN IP4 10.0.0.6"));
  REQUIRE(out == media("203.0.113.10", "9000", "a=rtcp:10010 IN IP4 203.0.113.10"));
  SECTION("with its address") {
    const auto in = pass(bench, Direction::inbound, out);
    CHECK(in == media("10.0.0.5", "4000", "a=rtcp:10010 IN IP4 203.0.113.10"));
    CHECK(pass(bench, Direction::outbound, in) == out);
  }
  SECTION("or without, which it then needs") {
    CHECK(pass(bench, Direction::inbound, media("203.0.113.10", "9000", "a=rtcp:10010")) ==
          media("10.0.0.5", "4000", "a=rtcp:10010 IN IP4 203.0.113.10"));
  }
}

TEST_CASE("RTCP of a stream that is held is put back where it is the phone's, and else left",
          "[alg][sdp][AC-04][rfc3605]") {
  test::SipBench bench;
  const auto streams = [](const char* address, const char* port, const char* rtcp) {
    return test::lines({std::string("m=audio ") + port + " RTP/AVP 0", std::string("c=IN IP4 ") + address,
                        "m=video 5000 RTP/AVP 31", "c=IN IP4 0.0.0.0", rtcp});
  };
  const auto own = streams("10.0.0.5", "4000", "a=rtcp:4001 IN IP4 10.0.0.5");
  const auto out = pass(bench, Direction::outbound, own);
  REQUIRE(out == streams("203.0.113.10", "9000", "a=rtcp:9001 IN IP4 203.0.113.10"));
  CHECK(pass(bench, Direction::inbound, out) == own);
  // The address alone would make another endpoint of it, which may be one of the phone's.
  const auto others = streams("203.0.113.10", "9000", "a=rtcp:4001 IN IP4 203.0.113.10");
  CHECK(pass(bench, Direction::inbound, others) ==
        streams("10.0.0.5", "4000", "a=rtcp:4001 IN IP4 203.0.113.10"));
}

TEST_CASE("by policy two phones inside are given each other's inside endpoints", "[alg][sdp][rfc4787-req9]") {
  test::SipBench bench(test::direct_media());
  auto offer = kLocalOffer;
  const auto outside = pass(bench, Direction::outbound, offer);
  CHECK(outside.find("10.0.0.") == std::string::npos);
  CHECK(std::ranges::none_of(bench.host.described, &MediaStream::held));
  bench.host.described.clear();
  CHECK(pass(bench, Direction::inbound, outside) == offer);
  CHECK(std::ranges::all_of(bench.host.described, &MediaStream::held));

  SECTION("but none that is no media") {
    bench.host.no_media = {test::endpoint("10.0.0.6:4012")};
    const auto kept = offer.find("10.0.0.6 4012");
    CHECK(pass(bench, Direction::inbound, outside) == offer.replace(kept, 13, "203.0.113.10 10012"));
  }

  SECTION("and what the one chose of the other's is told it by its own name") {
    const auto answer = [](const char* remote) {
      return test::lines({"c=IN IP4 10.0.0.5", "m=video 4002 RTP/AVP 31", remote});
    };
    const auto passed = pass(bench, Direction::outbound, answer("a=remote-candidates:1 10.0.0.6 4002"));
    CHECK(passed.find("a=remote-candidates:1 203.0.113.10 10002") != std::string::npos);
    CHECK(pass(bench, Direction::inbound, passed) == answer("a=remote-candidates:1 10.0.0.6 4002"));
  }
}

TEST_CASE("media of strangers that come in are left alone", "[alg][sdp][AC-04]") {
  using test::lines;
  test::SipBench bench;
  const auto answer = lines({"o=- 1 1 IN IP4 10.9.9.9", "c=IN IP4 198.51.100.30", "m=audio 4000 RTP/AVP 0",
                             "m=video 4002 RTP/AVP 31", "c=IN IP4 203.0.113.12"});
  CHECK(pass(bench, Direction::inbound, answer) == answer);
  CHECK(bench.host.opened.empty());
}

TEST_CASE("a c= that a stream needs on the way in is the last change, whatever lines end with",
          "[alg][sdp][AC-04]") {
  // The second stream is left, so that it cannot do with the c= of the session any more. Found by
  // sip_alg_fuzz, where the lines of the second stream end with CR alone.
  for (const std::string end : {"\r\n", "\n", "\r"}) {
    test::SipBench bench;
    const auto own = "c=IN IP4 10.0.0.5\r\nm=audio 4000 RTP/AVP 0\r\nm=video 5 RTP/AVP 31" + end;
    const auto out = pass(bench, Direction::outbound, own);
    CHECK(out == "c=IN IP4 203.0.113.10\r\nm=audio 9000 RTP/AVP 0\r\nm=video 5 RTP/AVP 31" + end);
    const auto in = pass(bench, Direction::inbound, out);
    CHECK(in == own + "c=IN IP4 203.0.113.10" + end);
    const auto again = pass(bench, Direction::outbound, in);
    CHECK(again == out + "c=IN IP4 203.0.113.10" + end);
    CHECK(pass(bench, Direction::inbound, again) == in);
  }
}

TEST_CASE("alternatives come back as they were, and media is expected from those of others",
          "[alg][sdp][AC-04][rfc6947]") {
  test::SipBench bench;
  bench.host.forced[test::endpoint("10.0.0.5:4001")] = test::endpoint("203.0.113.10:20001");
  const std::string own = test::lines({"c=IN IP6 2001:db8::5", "m=audio 4000 RTP/AVP 0",
                                       "a=altc:1 IP6 2001:db8::5 4000", "a=altc:2 IP4 10.0.0.5 4000"});
  const auto out = pass(bench, Direction::outbound, own);
  // RTCP did not get the port after RTP, so that it is told.
  CHECK(out.find("a=altc:2 IP4 203.0.113.10 9000/20001\r\n") != std::string::npos);
  const auto in = pass(bench, Direction::inbound, out);
  CHECK(in.find("a=altc:2 IP4 10.0.0.5 4000/4001\r\n") != std::string::npos);
  CHECK(pass(bench, Direction::outbound, in) == out);

  bench.host.expected.clear();
  const std::string theirs =
      test::lines({"c=IN IP4 198.51.100.9", "m=audio 4000 RTP/AVP 0", "a=altc:1 IP4 198.51.100.10 5000",
                   "a=altc:2 IP4 198.51.100.11 6000/6007", "a=altc:3 IP4 198.51.100.12 0",
                   "a=altc:4 IP6 2001:db8::9 4000"});
  CHECK(pass(bench, Direction::inbound, theirs) == theirs);
  REQUIRE(bench.host.expected.size() == 3);
  CHECK(bench.host.expected[1].rtp == test::endpoint("198.51.100.10:5000"));
  CHECK(bench.host.expected[1].rtcp == test::endpoint("198.51.100.10:5001"));
  CHECK(bench.host.expected[2].rtcp == test::endpoint("198.51.100.11:6007"));
}

TEST_CASE("candidates go with the default, or all are left", "[alg][sdp][AC-05][rfc6544][rfc8445][rfc8839]") {
  using test::lines;
  test::SipBench bench;
  SECTION("every candidate of ours is translated with the default") {
    CHECK(pass(bench, Direction::outbound,
               lines({"c=IN IP4 10.0.0.5", "m=audio 4000 RTP/AVP 0",
                      "a=candidate:1 1 UDP 9 10.0.0.5 4000 typ host",
                      "a=candidate:1 2 UDP 8 10.0.0.5 4001 typ host",
                      "a=candidate:2 1 UDP 7 10.0.0.6 4000 typ host",
                      "a=candidate:3 1 TCP 6 10.0.0.5 9 typ host tcptype active",
                      "a=candidate:4 1 UDP 5 abcd.local 4000 typ host",
                      "a=candidate:6 1 UDP 3 192.0.2.7 4002 typ relay raddr 10.0.0.5",
                      "a=candidate:5 1 UDP 4 192.0.2.7 4000 typ relay raddr 10.0.0.5 rport 4000"})) ==
          lines({"c=IN IP4 203.0.113.10", "m=audio 9000 RTP/AVP 0",
                 "a=candidate:1 1 UDP 9 203.0.113.10 9000 typ host",
                 "a=candidate:1 2 UDP 8 203.0.113.10 9001 typ host",
                 "a=candidate:2 1 UDP 7 203.0.113.10 10000 typ host",
                 "a=candidate:3 1 TCP 6 203.0.113.10 9 typ host tcptype active",
                 "a=candidate:4 1 UDP 5 abcd.local 4000 typ host",
                 "a=candidate:6 1 UDP 3 192.0.2.7 4002 typ relay raddr 203.0.113.10",
                 "a=candidate:5 1 UDP 4 192.0.2.7 4000 typ relay raddr 203.0.113.10 rport 9000"}));
  }
  SECTION("a default that was learnt by STUN is opened, and nothing is changed") {
    REQUIRE(bench.host.external_of(nat::Protocol::udp, test::endpoint("10.0.0.5:4000")).endpoint ==
            test::endpoint("203.0.113.10:9000"));
    const auto offer = lines({"c=IN IP4 203.0.113.10", "m=audio 9000 RTP/AVP 0",
                              "a=candidate:1 1 UDP 9 10.0.0.5 4000 typ host",
                              "a=candidate:2 1 UDP 9 203.0.113.10 9000 typ srflx raddr 10.0.0.5 rport 4000"});
    CHECK(pass(bench, Direction::outbound, offer) == offer);
    REQUIRE(bench.host.opened.size() == 1);
    CHECK(bench.host.opened[0].rtp == test::endpoint("10.0.0.5:4000"));
  }
  SECTION("RTCP that was learnt is where it is said to be") {
    bench.host.forced[test::endpoint("10.0.0.5:4001")] = test::endpoint("203.0.113.10:9007");
    bench.know("10.0.0.5:4000");
    bench.know("10.0.0.5:4001");
    const auto opened_by = [&](const char* line) {
      const auto offer = lines({"c=IN IP4 203.0.113.10", "m=audio 9000 RTP/AVP 0", line});
      CHECK(pass(bench, Direction::outbound, offer) == offer);
      return opened(bench).back();
    };
    CHECK(opened_by("a=rtcp:9007") == "10.0.0.5:4000 10.0.0.5:4001");
    CHECK(opened_by("a=rtcp:9007 IN IP4 203.0.113.10") == "10.0.0.5:4000 10.0.0.5:4001");
    CHECK(opened_by("a=rtcp:9007 IN IP4 198.51.100.9") == "10.0.0.5:4000 10.0.0.5:4000");
    CHECK(opened_by("a=rtcp:9007 IN IP6 2001:db8::1") == "10.0.0.5:4000 10.0.0.5:4000");
    CHECK(opened_by("a=x") == "10.0.0.5:4000 10.0.0.5:4000");
  }
  SECTION("the external endpoint of another phone is not opened for this one") {
    REQUIRE(bench.host.external_of(nat::Protocol::udp, test::endpoint("10.0.0.6:4000")).endpoint ==
            test::endpoint("203.0.113.10:10000"));
    const auto offer = lines({"c=IN IP4 203.0.113.10", "m=audio 10000 RTP/AVP 0"});
    CHECK(pass(bench, Direction::outbound, offer) == offer);
    CHECK(bench.host.opened.empty());
  }
  SECTION("candidates beside a default of others are left") {
    for (const char* connection : {"c=IN IP4 198.51.100.9", "c=IN IP4 turn.example.com", "c=IN X y"}) {
      const auto offer =
          lines({connection, "m=audio 4000 UDP/TLS/RTP/SAVPF 0", "a=rtcp:4001 IN IP4 10.0.0.5",
                 "a=candidate:1 1 UDP 9 10.0.0.5 4000 typ host",
                 "a=candidate:2 1 UDP 9 198.51.100.9 4000 typ relay raddr 10.0.0.5 rport 4000"});
      CHECK(pass(bench, Direction::outbound, offer) == offer);
    }
  }
  SECTION("no default contradicts none") {
    for (const char* connection : {"c=IN IP4 0.0.0.0", "c=IN IP6 ::", "c=IN IP6 2001:db8::5"}) {
      CHECK(pass(bench, Direction::outbound,
                 lines({connection, "m=audio 9 UDP/TLS/RTP/SAVPF 0", "a=rtcp:9 IN IP4 0.0.0.0",
                        "a=candidate:1 1 UDP 9 10.0.0.5 4000 typ host",
                        "a=candidate:2 1 UDP 8 2001:db8::5 4000 typ host"})) ==
            lines({connection, "m=audio 9 UDP/TLS/RTP/SAVPF 0", "a=rtcp:9 IN IP4 0.0.0.0",
                   "a=candidate:1 1 UDP 9 203.0.113.10 9000 typ host",
                   "a=candidate:2 1 UDP 8 2001:db8::5 4000 typ host"}));
    }
  }
  SECTION("TCP candidates: who connects has no port, who waits is let in") {
    CHECK(
        pass(bench, Direction::outbound,
             lines(
                 {"c=IN IP4 10.0.0.5", "m=audio 4000 RTP/AVP 0",
                  "a=candidate:1 1 TCP 9 10.0.0.5 9 typ host tcptype active",
                  "a=candidate:2 1 TCP 8 10.0.0.5 4000 typ host tcptype passive",
                  "a=candidate:3 1 TCP 7 10.0.0.5 4010 typ host tcptype so",
                  "a=candidate:4 1 TCP 6 203.0.113.10 9 typ srflx raddr 10.0.0.5 rport 9 tcptype active"})) ==
        lines({"c=IN IP4 203.0.113.10", "m=audio 9000 RTP/AVP 0",
               "a=candidate:1 1 TCP 9 203.0.113.10 9 typ host tcptype active",
               "a=candidate:2 1 TCP 8 203.0.113.10 9000 typ host tcptype passive",
               "a=candidate:3 1 TCP 7 203.0.113.10 9010 typ host tcptype so",
               "a=candidate:4 1 TCP 6 203.0.113.10 9 typ srflx raddr 203.0.113.10 rport 9 tcptype active"}));
    CHECK(opened(bench) == std::vector<std::string>{"10.0.0.5:4000 10.0.0.5:4001",
                                                    "10.0.0.5:4000 10.0.0.5:4000 tcp",
                                                    "10.0.0.5:4010 10.0.0.5:4010 tcp"});
  }
  SECTION("attributes of ICE that name no endpoint are left") {
    CHECK(pass(bench, Direction::outbound,
               lines({"c=IN IP4 10.0.0.5", "a=ice-lite", "a=ice-options:trickle", "m=audio 4000 RTP/AVP 0",
                      "a=ice-ufrag:8hhY", "a=ice-pwd:asd88fgpdd777uzjYhagZg", "a=ice-mismatch",
                      "a=end-of-candidates"})) ==
          lines({"c=IN IP4 203.0.113.10", "a=ice-lite", "a=ice-options:trickle", "m=audio 9000 RTP/AVP 0",
                 "a=ice-ufrag:8hhY", "a=ice-pwd:asd88fgpdd777uzjYhagZg", "a=ice-mismatch",
                 "a=end-of-candidates"}));
  }
  SECTION("what the peer chose of ours is restored") {
    REQUIRE(bench.host.external_of(nat::Protocol::udp, test::endpoint("10.0.0.5:4000")).state ==
            LookupState::found);
    CHECK(pass(bench, Direction::inbound,
               lines({"c=IN IP4 198.51.100.30", "m=audio 4000 RTP/AVP 0",
                      "a=remote-candidates:1 203.0.113.10 9000 2 192.0.2.1 5"})) ==
          lines({"c=IN IP4 198.51.100.30", "m=audio 4000 RTP/AVP 0",
                 "a=remote-candidates:1 10.0.0.5 4000 2 192.0.2.1 5"}));
  }
}

TEST_CASE("a description that sets nothing up hides addresses and opens nothing", "[alg][sdp]") {
  using test::lines;
  test::SipBench bench;
  CHECK(pass(bench, Direction::outbound,
             lines({"o=- 1 1 IN IP4 10.0.0.5", "c=IN IP4 10.0.0.5", "m=audio 4000 RTP/AVP 0"}), "OPTIONS") ==
        lines({"o=- 1 1 IN IP4 203.0.113.10", "c=IN IP4 203.0.113.10", "m=audio 4000 RTP/AVP 0"}));
  CHECK(bench.host.opened.empty());
}

TEST_CASE("where nothing is translated a description is left, and its media are opened",
          "[alg][sdp][AC-04]") {
  using test::lines;
  test::SipBench bench;
  bench.flow.external = bench.flow.inside;
  for (const char* text : {"10.0.0.5:4000", "10.0.0.5:4001", "10.0.0.6:4010", "10.0.0.6:4011"})
    bench.host.forced[test::endpoint(text)] = test::endpoint(text);
  const auto offer = lines({"o=- 1 1 IN IP4 10.0.0.7", "c=IN IP4 10.0.0.5", "m=audio 4000 RTP/AVP 0",
                            "m=audio 0 RTP/AVP 0", "c=IN IP4 10.0.0.8", "m=video 4010 RTP/AVP 31",
                            "c=IN IP4 10.0.0.6", "m=audio 22 RTP/AVP 0", "c=IN IP4 10.0.0.9"});
  CHECK(pass(bench, Direction::outbound, offer) == offer);
  CHECK(opened(bench) ==
        std::vector<std::string>{"10.0.0.5:4000 10.0.0.5:4001", "10.0.0.6:4010 10.0.0.6:4011"});
}

TEST_CASE("a changed port count is told by the rule of its line", "[alg][sdp][AC-25]") {
  test::SipBench bench;
  const auto passed = bench.out(test::with_sdp(
      {"INVITE sip:bob@example.com SIP/2.0", "Via: SIP/2.0/UDP phone.example.net;branch=z9hG4bK1",
       "From: <sip:a@b>;tag=1", "To: <sip:c@d>", "Call-ID: 1", "CSeq: 1 INVITE"},
      test::lines({"c=IN IP4 10.0.0.5", "m=message 2855 TCP/MSRP *", "a=path:msrp://10.0.0.5:2855/s;tcp"})));
  CHECK(passed.rules == "Content-Length, SDP c=, SDP m=, SDP a=path, SDP a=path");
}

}  // namespace pinhole::alg::sip
