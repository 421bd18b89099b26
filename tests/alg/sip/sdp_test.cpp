// SPDX-License-Identifier: BSD-3-Clause
#include "alg/sip/sdp.hpp"

#include <algorithm>
#include <catch2/catch.hpp>
#include <random>
#include <string>
#include <string_view>
#include <vector>

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

TEST_CASE("a=rtpmap tells the clock of a payload type", "[alg][sdp][rfc8866]") {
  struct Row {
    const char* value;
    unsigned payload_type;
    std::uint32_t rate;
  };
  const auto row =
      GENERATE(Row{"96 opus/48000/2", 96, 48'000}, Row{"97 AMR-WB/16000", 97, 16'000},
               Row{"127 H264/90000", 127, 90'000}, Row{"101 telephone-event/8000", 101, 8000},
               Row{"0 PCMU/16000", 0, 8000}, Row{"9 G722/8000", 9, 8000}, Row{"96 opus/48001", 96, 8000},
               Row{"96 opus/99999999999999999999", 96, 8000}, Row{"96 opus/", 96, 8000},
               Row{"96 opus", 96, 8000}, Row{"96", 96, 8000}, Row{"x opus/48000", 96, 8000},
               Row{"128 opus/48000", 96, 8000}, Row{"99999 opus/48000", 96, 8000}, Row{"", 96, 8000});
  DYNAMIC_SECTION(row.value) {
    RtpClocks clocks;
    read_rtpmap(row.value, clocks);
    CHECK(kRtpClockRates[clocks[row.payload_type]] == row.rate);
  }
}

TEST_CASE("a section has the clocks of its own payload types", "[alg][sdp][rfc8866]") {
  SessionDescription description;
  REQUIRE(
      parse_sdp("v=0\r\na=rtpmap:98 L16/44100\r\nm=audio 4000 RTP/AVP 96 0\r\na=rtpmap:96 opus/48000/2\r\n"
                "a=rtpmap:97 AMR-WB/16000\r\nm=video 4002 RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\n",
                description));
  REQUIRE(description.media.size() == 2);
  const auto rate = [&](std::size_t section, unsigned type) {
    return kRtpClockRates[description.media[section].clocks[type]];
  };
  CHECK(rate(0, 96) == 48'000);
  CHECK(rate(0, 97) == 16'000);
  CHECK(rate(1, 96) == 90'000);
  CHECK(description.media[1].clocks[97] == kUnknownClock);
  CHECK(description.media[0].clocks[98] == kUnknownClock);
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

TEST_CASE("an active TCP candidate is told from those that wait", "[alg][sdp][rfc6544]") {
  CHECK(parse_candidate("1 1 TCP 1 10.0.0.5 9 typ host tcptype active")->connects);
  CHECK_FALSE(parse_candidate("1 1 TCP 1 10.0.0.5 4000 typ host tcptype passive")->connects);
  CHECK_FALSE(parse_candidate("1 1 tcp 1 10.0.0.5 4000 typ host tcptype so")->connects);
  CHECK_FALSE(parse_candidate("1 1 UDP 1 10.0.0.5 4000 typ host generation 0")->connects);
}

TEST_CASE("an MSRP URI is read for where it leads", "[alg][sdp][rfc4975]") {
  struct Row {
    const char* text;
    bool valid;
    const char* address;
    unsigned port;
  };
  const Row rows[] = {
      {"msrp://10.0.0.5:7777/iau39soe2843z;tcp", true, "10.0.0.5", 7777},
      {"msrps://alice@10.0.0.5:9/s;tcp;x=1", true, "10.0.0.5", 9},
      {"MSRP://10.0.0.5/s;tcp", true, "10.0.0.5", 2855},
      {"msrp://10.0.0.5;tcp", true, "10.0.0.5", 2855},
      {"msrp://relay.example.com:2855/s;tcp", true, "", 2855},
      {"msrp://[2001:db8::5]:2855/s;tcp", true, "", 2855},
      {"msrp://10.0.0.5:65536/s;tcp", false, "", 0},
      {"msrp://10.0.0.5:/s;tcp", false, "", 0},
      {"sip://10.0.0.5:5060/s", false, "", 0},
      {"10.0.0.5:5060", false, "", 0},
      {"", false, "", 0},
  };
  for (const auto& row : rows) {
    DYNAMIC_SECTION("\"" << row.text << "\"") {
      const auto uri = parse_msrp_uri(row.text);
      REQUIRE(uri.has_value() == row.valid);
      if (!uri) continue;
      CHECK((uri->address ? std::string(uri->address->token) : "") == row.address);
      CHECK(uri->port.value == row.port);
    }
  }
}

namespace {

struct LineText {
  std::string line;
  std::string end;
  friend bool operator==(const LineText&, const LineText&) = default;
};

std::vector<LineText> lines_of(std::string_view text) {
  std::vector<LineText> lines;
  CHECK(for_each_line(text, [&lines](SdpLine line) noexcept {
    lines.push_back({line.type() + ("=" + std::string(line.value())), std::string(line.line_end())});
    CHECK(line.rest() == std::string(line.value()).append(line.line_end()));
    CHECK(line.end() == line.line_end().data() + line.line_end().size());
    return true;
  }));
  return lines;
}

// Character by character.
std::vector<LineText> plain_lines_of(std::string_view text) {
  std::vector<LineText> lines;
  while (!text.empty()) {
    const auto size = std::min(text.find_first_of("\r\n"), text.size());
    auto next = std::min(size + 1, text.size());
    if (text.substr(size).starts_with("\r\n")) ++next;
    if (size >= 2 && text[1] == '=')
      lines.push_back({std::string(text.substr(0, size)), std::string(text.substr(size, next - size))});
    text.remove_prefix(next);
  }
  return lines;
}

}  // namespace

TEST_CASE("lines end with CRLF, LF or CR", "[alg][sdp][rfc8866]") {
  const auto lines = lines_of("v=0\r\nno line\ns=-\n\r\ra=x\rm=audio 1 a b\n\rt=0");
  CHECK(lines == std::vector<LineText>{
                     {"v=0", "\r\n"}, {"s=-", "\n"}, {"a=x", "\r"}, {"m=audio 1 a b", "\n"}, {"t=0", ""}});
}

TEST_CASE("whoever reads lines may end it", "[alg][sdp]") {
  for (const auto* const last : {"b=", "b=\n"}) {
    std::string seen;
    CHECK_FALSE(for_each_line("a=\n" + std::string(last), [&seen](SdpLine line) noexcept {
      seen += line.type();
      return line.type() != 'b';
    }));
    CHECK(seen == "ab");
  }
}

TEST_CASE("lines are the same wherever they lie", "[alg][sdp][rfc8866]") {
  INFO("seed " << Catch::rngSeed());
  std::mt19937 random(Catch::rngSeed());
  constexpr std::string_view kCharacters = "\r\n\r\n\na==bcd";
  for (int round = 0; round < 20'000; ++round) {
    std::string text(random() % 300, ' ');
    // Some texts have few line ends, and blocks without any.
    const auto few = random() % 3;
    for (auto& c : text) c = kCharacters[random() % 16 < few * 7 ? 5 + random() % 6 : random() % 11];
    INFO("\"" << text << "\"");
    const auto lines = lines_of(text);
    const auto plain = plain_lines_of(text);
    REQUIRE(lines == plain);
  }
}

TEST_CASE("a description is cut into its sections", "[alg][sdp]") {
  const auto text =
      test::lines({"v=0", "c=IN IP4 10.0.0.5", "not a line", "a=sendonly", "m=audio 4000 RTP/AVP 0",
                   "i=title", "a=rtcp:4009", "a=setup:active", "m=video 4002/2 rtp/avp 31", "c=IN IP6 ::1",
                   "a=inactive", "a=bundle-only", "m=broken"});
  SessionDescription description;
  REQUIRE(parse_sdp(text, description));
  REQUIRE(description.media.size() == 3);
  CHECK(description.connection.address->value == test::address("10.0.0.5"));
  const auto& audio = description.media[0];
  CHECK(audio.line.port.value == 4000);
  CHECK(std::string_view(audio.after_title, 6) == "a=rtcp");
  CHECK(std::string_view(audio.after_lines, 7) == "m=video");
  CHECK(audio.rtcp->port.value == 4009);
  CHECK(audio.direction == StreamDirection::sendonly);
  CHECK(audio.connects);
  CHECK_FALSE(audio.has_connection);
  const auto& video = description.media[1];
  CHECK(video.has_rtcp);
  CHECK(video.line.port_count == 2);
  CHECK(video.has_connection);
  CHECK(video.connection.is_ip6);
  CHECK_FALSE(video.connection.address.has_value());
  CHECK(video.direction == StreamDirection::inactive);
  CHECK(video.bundle_only);
  CHECK_FALSE(video.connects);
  CHECK(description.media[2].line.port.value == 0);

  std::string notes;
  for (const auto& note : description.notes) {
    notes.append(std::to_string(note.section)).append(" ").append(note.value).append(";");
  }
  CHECK(notes == "255 IN IP4 10.0.0.5;0 4009;1 IN IP6 ::1;");
}

TEST_CASE("what carries a stream is told by the beginning of its protocol", "[alg][sdp][AC-26]") {
  const auto transport = [](const std::string& media) {
    SessionDescription description;
    REQUIRE(parse_sdp("m=" + media + "\r\n", description));
    return description.media[0].transport;
  };
  for (const char* udp :
       {"audio 4000 RTP/AVP 0", "audio 4000 UDP/TLS/RTP/SAVPF 0", "image 4000 udptl t38",
        "application 4000 UDP/DTLS/SCTP x", "application 4000 DTLS/SCTP 5000", "x 4000 y z"})
    CHECK(transport(udp) == Transport::udp);
  for (const char* tcp : {"message 4000 TCP/MSRP *", "image 4000 tcp t38", "image 4000 TCPTL t38",
                          "audio 4000 TCP/TLS/RTP/SAVP 0"})
    CHECK(transport(tcp) == Transport::tcp);
  for (const char* unknown : {"application 4000 SCTP x", "audio 4000 DCCP/RTP/AVP 0"})
    CHECK(transport(unknown) == Transport::unknown);
}

TEST_CASE("more sections or addresses than can be held are refused", "[alg][sdp][AC-22]") {
  SessionDescription description;
  const auto repeat = [](const char* line, std::size_t times) {
    std::string text = "v=0\r\n";
    for (std::size_t i = 0; i < times; ++i) text += line;
    return text;
  };
  const char* const media = "m=audio 4000 RTP/AVP 0\r\n";
  CHECK(parse_sdp(repeat(media, SessionDescription::kMaxMedia), description));
  CHECK_FALSE(parse_sdp(repeat(media, SessionDescription::kMaxMedia + 1), description));
  const char* const candidate = "a=candidate:1 1 UDP 1 192.0.2.1 9 typ host\r\n";
  CHECK(parse_sdp(repeat(candidate, SessionDescription::kMaxNotes), description));
  CHECK_FALSE(parse_sdp(repeat(candidate, SessionDescription::kMaxNotes + 1), description));
  CHECK(parse_sdp(repeat("a=rtpmap:0 PCMU/8000\r\n", 5000), description));
}

}  // namespace pinhole::alg::sip
