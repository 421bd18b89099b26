// SPDX-License-Identifier: BSD-3-Clause
#include "alg/sip/sdp.hpp"

#include <catch2/catch.hpp>
#include <string>

#include "tests/support/sip_bench.hpp"

namespace pinhole::alg::sip {

TEST_CASE("an m= line is read with its port and count", "[alg][sdp][AC-26]") {
  struct Row {
    const char* text;
    bool valid;
    const char* kind;
    unsigned port;
    unsigned count;
    const char* protocol;
  };
  const Row rows[] = {
      {"audio 4000 RTP/AVP 0 8", true, "audio", 4000, 1, "RTP/AVP"},
      {"audio 4000/2 RTP/AVP 0", true, "audio", 4000, 2, "RTP/AVP"},
      {"video 0 RTP/AVP 31", true, "video", 0, 1, "RTP/AVP"},
      {"image  5004  udptl t38", true, "image", 5004, 1, "udptl"},
      {"future 9 X/Y", true, "future", 9, 1, "X/Y"},
      {"audio 65536 RTP/AVP 0", false, "", 0, 0, ""},
      {"audio RTP/AVP 0", false, "", 0, 0, ""},
      {"audio 4000", false, "", 0, 0, ""},
      {"", false, "", 0, 0, ""},
  };
  for (const auto& row : rows) {
    DYNAMIC_SECTION("\"" << row.text << "\"") {
      const auto media = parse_media(row.text);
      REQUIRE(media.has_value() == row.valid);
      if (!media) continue;
      CHECK(media->kind == row.kind);
      CHECK(media->port.value == row.port);
      CHECK(media->port_count == row.count);
      CHECK(media->protocol == row.protocol);
    }
  }
}

TEST_CASE("addresses of c= and o= are read when they are IPv4", "[alg][sdp]") {
  CHECK(parse_connection("IN IP4 10.0.0.5")->value == test::address("10.0.0.5"));
  CHECK(parse_connection("IN IP4 224.2.1.1/127/3")->token == "224.2.1.1");
  CHECK_FALSE(parse_connection("IN IP6 2001:db8::1").has_value());
  CHECK_FALSE(parse_connection("IN IP4 media.example.com").has_value());
  CHECK_FALSE(parse_connection("IN IP4").has_value());
  CHECK_FALSE(parse_connection("").has_value());
  CHECK(parse_origin("- 1 2 IN IP4 10.0.0.5")->value == test::address("10.0.0.5"));
  CHECK_FALSE(parse_origin("- 1 2 IN IP6 ::1").has_value());
  CHECK_FALSE(parse_origin("- 1 IN IP4 10.0.0.5").has_value());
}

TEST_CASE("a=rtcp is read with and without an address", "[alg][sdp][rfc3605]") {
  const auto port_only = parse_rtcp("53020");
  REQUIRE(port_only.has_value());
  CHECK(port_only->port.value == 53020);
  CHECK_FALSE(port_only->address.has_value());
  CHECK_FALSE(port_only->foreign);
  const auto full = parse_rtcp("53020 IN IP4 10.0.0.5");
  REQUIRE(full.has_value());
  CHECK(full->address->value == test::address("10.0.0.5"));
  const auto six = parse_rtcp("53020 IN IP6 2001:2345:6789:ABCD:EF01:2345:6789:ABCD");
  REQUIRE(six.has_value());
  CHECK(six->foreign);
  CHECK_FALSE(parse_rtcp("x").has_value());
  CHECK_FALSE(parse_rtcp("").has_value());
}

TEST_CASE("a candidate is read with its related address", "[alg][sdp][rfc8839]") {
  const auto host = parse_candidate("1 1 UDP 2130706431 10.0.1.1 8998 typ host");
  REQUIRE(host.has_value());
  CHECK(host->address->value == test::address("10.0.1.1"));
  CHECK(host->port.value == 8998);
  CHECK(host->protocol == nat::Protocol::udp);
  CHECK_FALSE(host->related_address.has_value());
  const auto learnt = parse_candidate(
      "2 1 TCP 1694498815 192.0.2.3 45664 typ srflx raddr 10.0.1.1 rport 8998 tcptype active");
  REQUIRE(learnt.has_value());
  CHECK(learnt->protocol == nat::Protocol::tcp);
  CHECK(learnt->related_address->value == test::address("10.0.1.1"));
  CHECK(learnt->related_port.value == 8998);
  CHECK_FALSE(parse_candidate("1 1 UDP 1 2001:db8::1 8998 typ host")->address.has_value());
  CHECK_FALSE(parse_candidate("1 1 UDP 1 name.local").has_value());
}

TEST_CASE("a description is cut into its sections", "[alg][sdp]") {
  const auto text =
      test::lines({"v=0", "c=IN IP4 10.0.0.5", "not a line", "m=audio 4000 RTP/AVP 0", "i=title",
                   "a=rtcp:4009", "m=video 4002 RTP/AVP 31", "c=IN IP6 ::1", "m=broken"});
  SessionDescription description;
  REQUIRE(parse_sdp(text, description));
  REQUIRE(description.media().size() == 3);
  CHECK(description.connection->value == test::address("10.0.0.5"));
  const auto& audio = description.media()[0];
  CHECK(audio.text == "m=audio 4000 RTP/AVP 0\r\ni=title\r\na=rtcp:4009\r\n");
  CHECK(std::string_view(audio.after_title, 6) == "a=rtcp");
  CHECK(audio.rtcp->port.value == 4009);
  CHECK_FALSE(audio.has_connection);
  const auto& video = description.media()[1];
  CHECK(video.has_connection);
  CHECK_FALSE(video.connection.has_value());
  CHECK(description.media()[2].line.port.value == 0);
}

TEST_CASE("more sections than can be held are refused", "[alg][sdp][AC-22]") {
  std::string text = "v=0\r\n";
  SessionDescription description;
  for (std::size_t i = 0; i < SessionDescription::kMaxMedia; ++i) text += "m=audio 4000 RTP/AVP 0\r\n";
  CHECK(parse_sdp(text, description));
  text += "m=audio 4000 RTP/AVP 0\r\n";
  CHECK_FALSE(parse_sdp(text, description));
}

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

}  // namespace

TEST_CASE("offers of all kinds are opened and rewritten", "[alg][sdp][AC-09][AC-14][AC-26]") {
  struct Row {
    const char* name;
    std::string before;
    std::string after;
    std::vector<std::pair<const char*, const char*>> opened;  // RTP, RTCP
  };
  using test::lines;
  const Row rows[] = {
      {"address by media",
       lines({"c=IN IP4 192.0.2.1", "m=audio 4000 RTP/AVP 0", "c=IN IP4 10.0.0.5"}),
       lines({"c=IN IP4 192.0.2.1", "m=audio 9000 RTP/AVP 0", "c=IN IP4 203.0.113.10"}),
       {{"10.0.0.5:4000", "10.0.0.5:4001"}}},
      {"audio and video",
       lines({"c=IN IP4 10.0.0.5", "m=audio 4000 RTP/AVP 0", "m=video 4002 RTP/SAVPF 96"}),
       lines({"c=IN IP4 203.0.113.10", "m=audio 9000 RTP/AVP 0", "m=video 9002 RTP/SAVPF 96"}),
       {{"10.0.0.5:4000", "10.0.0.5:4001"}, {"10.0.0.5:4002", "10.0.0.5:4003"}}},
      {"RTCP on a port of its own",
       lines({"c=IN IP4 10.0.0.5", "m=audio 4000 RTP/AVP 0", "a=rtcp:4010"}),
       lines({"c=IN IP4 203.0.113.10", "m=audio 9000 RTP/AVP 0", "a=rtcp:9010"}),
       {{"10.0.0.5:4000", "10.0.0.5:4010"}}},
      {"RTCP at another host",
       lines({"c=IN IP4 10.0.0.5", "m=audio 4000 RTP/AVP 0", "a=rtcp:4010 IN IP4 10.0.0.6"}),
       lines({"c=IN IP4 203.0.113.10", "m=audio 9000 RTP/AVP 0", "a=rtcp:10010 IN IP4 203.0.113.10"}),
       {{"10.0.0.5:4000", "10.0.0.6:4010"}}},
      {"RTCP in RTP's port",
       lines({"c=IN IP4 10.0.0.5", "m=audio 4000 RTP/AVP 0", "a=rtcp:4000", "a=rtcp-mux"}),
       lines({"c=IN IP4 203.0.113.10", "m=audio 9000 RTP/AVP 0", "a=rtcp:9000", "a=rtcp-mux"}),
       {{"10.0.0.5:4000", "10.0.0.5:4000"}}},
      {"RTCP at a port that is never opened",
       lines({"c=IN IP4 10.0.0.5", "m=audio 4000 RTP/AVP 0", "a=rtcp:53 IN IP4 10.0.0.5"}),
       lines({"c=IN IP4 203.0.113.10", "m=audio 9000 RTP/AVP 0", "a=rtcp:53 IN IP4 203.0.113.10"}),
       {{"10.0.0.5:4000", "10.0.0.5:4000"}}},
      {"fax has no RTCP",
       lines({"c=IN IP4 10.0.0.5", "m=image 4000 udptl t38", "a=T38FaxVersion:0"}),
       lines({"c=IN IP4 203.0.113.10", "m=image 9000 udptl t38", "a=T38FaxVersion:0"}),
       {{"10.0.0.5:4000", "10.0.0.5:4000"}}},
      {"TCP makes a TCP mapping, no pinhole",
       lines({"c=IN IP4 10.0.0.5", "m=message 2855 TCP/MSRP *"}),
       lines({"c=IN IP4 203.0.113.10", "m=message 7855 TCP/MSRP *"}),
       {}},
      {"an unknown kind",
       lines({"c=IN IP4 10.0.0.5", "m=hologram 4000 UDP/X y"}),
       lines({"c=IN IP4 203.0.113.10", "m=hologram 9000 UDP/X y"}),
       {{"10.0.0.5:4000", "10.0.0.5:4000"}}},
      {"port 0 stays 0, its own address goes",
       lines({"c=IN IP4 10.0.0.5", "m=audio 4000 RTP/AVP 0", "m=video 0 RTP/AVP 31", "c=IN IP4 10.0.0.6"}),
       lines({"c=IN IP4 203.0.113.10", "m=audio 9000 RTP/AVP 0", "m=video 0 RTP/AVP 31",
              "c=IN IP4 203.0.113.10"}),
       {{"10.0.0.5:4000", "10.0.0.5:4001"}}},
      {"nothing but rejected media",
       lines({"c=IN IP4 10.0.0.5", "m=audio 0 RTP/AVP 0"}),
       lines({"c=IN IP4 203.0.113.10", "m=audio 0 RTP/AVP 0"}),
       {}},
      {"a port below 1024 is never opened",
       lines({"c=IN IP4 10.0.0.5", "m=audio 22 RTP/AVP 0", "m=video 4002 RTP/AVP 31"}),
       lines({"c=IN IP4 203.0.113.10", "m=audio 22 RTP/AVP 0", "m=video 9002 RTP/AVP 31"}),
       {{"10.0.0.5:4002", "10.0.0.5:4003"}}},
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
       {{"10.0.0.5:4000", "10.0.0.5:4001"}, {"10.0.0.5:4000", "10.0.0.5:4001"}}},
      {"two ports for one stream: the count stays, the first pair is opened",
       lines({"c=IN IP4 10.0.0.5", "m=video 4000/2 RTP/AVP 31"}),
       lines({"c=IN IP4 203.0.113.10", "m=video 9000/2 RTP/AVP 31"}),
       {{"10.0.0.5:4000", "10.0.0.5:4001"}}},
      {"the last port has no next",
       lines({"c=IN IP4 10.0.0.5", "m=audio 65535 RTP/AVP 0"}),
       lines({"c=IN IP4 203.0.113.10", "m=audio 4999 RTP/AVP 0"}),
       {{"10.0.0.5:65535", "10.0.0.5:65535"}}},
      {"the last line has no end",
       "c=IN IP4 10.0.0.5\nm=audio 4000 RTP/AVP 0",
       "c=IN IP4 203.0.113.10\nm=audio 9000 RTP/AVP 0",
       {{"10.0.0.5:4000", "10.0.0.5:4001"}}},
  };
  for (const auto& row : rows) {
    DYNAMIC_SECTION(row.name) {
      test::SipBench bench;
      CHECK(pass(bench, Direction::outbound, row.before) == row.after);
      std::vector<std::pair<nat::Endpoint, nat::Endpoint>> opened, expected;
      for (const auto& request : bench.host.opened) opened.emplace_back(request.rtp, request.rtcp);
      for (const auto& [rtp, rtcp] : row.opened)
        expected.emplace_back(test::endpoint(rtp), test::endpoint(rtcp));
      CHECK(opened == expected);
      CHECK(bench.counters.read(Counter::sip_media_opened) == opened.size());
    }
  }
}

TEST_CASE("lines are added where the original could do without", "[alg][sdp][rfc3605]") {
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
  SECTION("both in one place") {
    bench.host.forced[test::endpoint("10.0.0.5:4002")] = test::endpoint("203.0.113.11:9002");
    bench.host.forced[test::endpoint("10.0.0.5:4003")] = test::endpoint("203.0.113.11:7777");
    CHECK(pass(bench, Direction::outbound,
               lines({"c=IN IP4 10.0.0.5", "m=audio 4000 RTP/AVP 0", "m=video 4002 RTP/AVP 31"})) ==
          lines({"c=IN IP4 203.0.113.10", "m=audio 9000 RTP/AVP 0", "m=video 9002 RTP/AVP 31",
                 "c=IN IP4 203.0.113.11", "a=rtcp:7777"}));
  }
}

TEST_CASE("a description that comes back to another phone inside is restored", "[alg][sdp][rfc4787-req9]") {
  using test::lines;
  test::SipBench bench;
  const auto offer = lines({"o=- 1 1 IN IP4 10.0.0.6", "c=IN IP4 10.0.0.6", "m=audio 4000 RTP/AVP 0",
                            "a=rtcp:4007 IN IP4 10.0.0.6", "m=video 4002 RTP/AVP 31",
                            "a=candidate:1 1 UDP 5 10.0.0.6 4002 typ host"});
  const auto outside = pass(bench, Direction::outbound, offer);
  CHECK(outside.find("10.0.0.") == std::string::npos);
  CHECK(pass(bench, Direction::inbound, outside) == offer);
}

TEST_CASE("media of strangers that come in are left alone", "[alg][sdp][AC-04]") {
  using test::lines;
  test::SipBench bench;
  const auto answer = lines({"o=- 1 1 IN IP4 10.9.9.9", "c=IN IP4 198.51.100.30", "m=audio 4000 RTP/AVP 0",
                             "m=video 4002 RTP/AVP 31", "c=IN IP4 203.0.113.12"});
  CHECK(pass(bench, Direction::inbound, answer) == answer);
  CHECK(bench.host.opened.empty());
}

TEST_CASE("candidates go with the default, or all are left", "[alg][sdp][AC-05]") {
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
                      "a=candidate:5 1 UDP 4 192.0.2.7 4000 typ relay raddr 10.0.0.5 rport 4000"})) ==
          lines({"c=IN IP4 203.0.113.10", "m=audio 9000 RTP/AVP 0",
                 "a=candidate:1 1 UDP 9 203.0.113.10 9000 typ host",
                 "a=candidate:1 2 UDP 8 203.0.113.10 9001 typ host",
                 "a=candidate:2 1 UDP 7 203.0.113.10 10000 typ host",
                 "a=candidate:3 1 TCP 6 203.0.113.10 9 typ host tcptype active",
                 "a=candidate:4 1 UDP 5 abcd.local 4000 typ host",
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
  SECTION("the external endpoint of another phone is not opened for this one") {
    REQUIRE(bench.host.external_of(nat::Protocol::udp, test::endpoint("10.0.0.6:4000")).endpoint ==
            test::endpoint("203.0.113.10:10000"));
    const auto offer = lines({"c=IN IP4 203.0.113.10", "m=audio 10000 RTP/AVP 0"});
    CHECK(pass(bench, Direction::outbound, offer) == offer);
    CHECK(bench.host.opened.empty());
  }
  SECTION("candidates without a default of ours are left") {
    const auto offer = lines({"c=IN IP4 0.0.0.0", "m=audio 9 UDP/TLS/RTP/SAVPF 0", "a=rtcp:9 IN IP4 0.0.0.0",
                              "a=candidate:1 1 UDP 9 10.0.0.5 4000 typ host"});
    CHECK(pass(bench, Direction::outbound, offer) == offer);
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

}  // namespace pinhole::alg::sip
