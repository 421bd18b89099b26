// SPDX-License-Identifier: BSD-3-Clause
// What the descriptions of a call make of its ports, from the words on the wire to the packets that get in.
#include <catch2/catch.hpp>

#include <string>
#include <utility>
#include <vector>

#include "tests/dataplane/sip_scene.hpp"

using namespace pinhole;
using namespace pinhole::test;
using dataplane::WorkerCounter;
using nat::Endpoint;

namespace {

constexpr const char* kServerMedia = "198.51.100.9";

std::string lines(std::initializer_list<std::string> list) {
  std::string text;
  for (const auto& line : list) text += line + "\r\n";
  return text;
}

/// The port of an m= line of a description.
unsigned port_of(const std::string& sdp, unsigned section = 0) {
  auto at = sdp.find("m=");
  for (; section > 0; --section) at = sdp.find("\nm=", at) + 1;
  return static_cast<unsigned>(std::stoul(sdp.substr(sdp.find(' ', at))));
}

/// A call of the phone with a server outside.
class Talk {
 public:
  /// An INVITE of the phone, the 2xx to it and its ACK. \return the offer as the server got it
  std::string offers(unsigned cseq, const std::string& offer, const std::string& answer) {
    const auto told = out(message("INVITE sip:b@198.51.100.7 SIP/2.0", cseq, "INVITE", true, offer));
    in(message("SIP/2.0 200 OK", cseq, "INVITE", true, answer));
    out(message("ACK sip:b@198.51.100.7 SIP/2.0", cseq, "ACK", true, ""));
    return told;
  }
  /// An INVITE of the server, the 2xx to it and its ACK. \return the answer as the server got it
  std::string answers(unsigned cseq, const std::string& offer, const std::string& answer) {
    const auto uri = "sip:a@" + SipScene::text_of(scene.external()) + " SIP/2.0";
    in(message("INVITE " + uri, cseq, "INVITE", false, offer));
    const auto told = out(message("SIP/2.0 200 OK", cseq, "INVITE", false, answer));
    in(message("ACK " + uri, cseq, "ACK", false, ""));
    return told;
  }

  /// A description of the phone, with lines of its own for where media goes.
  [[nodiscard]] std::string from_phone(const std::string& media) const {
    return lines({"v=0", "o=- 1 1 IN IP4 " + phone(), "s=-"}) + media;
  }
  [[nodiscard]] static std::string from_server(const std::string& media) {
    return lines({"v=0", "o=- 1 1 IN IP4 198.51.100.9", "s=-", "c=IN IP4 198.51.100.9"}) + media;
  }
  [[nodiscard]] std::string phone() const {
    return std::string(nat::EndpointText(scene.phone.address).view());
  }

  /// Whether what the server sends to an external port gets in.
  bool hears(unsigned port, const char* from = kServerMedia) {
    const auto sent = scene.lab.send(
        SipScene::kOutside,
        {.source = endpoint(from, 6000),
         .destination = {scene.external().address, nat::Be16{static_cast<std::uint16_t>(port)}}});
    return sent.size() == 1 && sent[0].interface == SipScene::kInside;
  }
  /// The external port that the phone sends from.
  unsigned sends(unsigned port) {
    const auto sent = scene.lab.send(
        SipScene::kInside, {.source = {scene.phone.address, nat::Be16{static_cast<std::uint16_t>(port)}},
                            .destination = endpoint(kServerMedia, 6000)});
    REQUIRE(sent.size() == 1);
    return SentText::of(sent[0]).source.port.host();
  }
  std::uint64_t pinholes() { return scene.lab.count(WorkerCounter::pinhole_live); }

  SipScene scene;

 private:
  /// \param from_phone  whose request it is, or is about
  std::string message(const std::string& start, unsigned cseq, const std::string& method, bool from_phone,
                      const std::string& sdp) {
    const auto [from, to] = from_phone ? std::pair("phone", "server") : std::pair("server", "phone");
    const bool opens = cseq == 1 && start.starts_with("INVITE");
    const auto sender = from_phone ? phone() : std::string("198.51.100.7");
    return lines({start, "Via: SIP/2.0/UDP " + sender + ":5060;branch=z9hG4bK" + std::to_string(cseq),
                  std::string("From: <sip:a@example.com>;tag=") + from,
                  std::string("To: <sip:b@example.com>") + (opens ? "" : ";tag=") + (opens ? "" : to),
                  "Call-ID: talk", "CSeq: " + std::to_string(cseq) + " " + method,
                  "Content-Type: application/sdp", "Content-Length: " + std::to_string(sdp.size()), ""}) +
           sdp;
  }
  std::string out(const std::string& text) { return body_of(scene.out(text)); }
  void in(const std::string& text) { body_of(scene.in(text)); }
  static std::string body_of(const std::vector<SentText>& sent) {
    REQUIRE(sent.size() == 1);
    return sent[0].text.substr(sent[0].text.find("\r\n\r\n") + 4);
  }
};

}  // namespace

TEST_CASE("a stream that is held without an address has its ports again when it goes on",
          "[dataplane][sip][media][AC-14][AC-27]") {
  struct Row {
    const char* session;
    const char* stream;
  };
  const auto row = GENERATE(Row{"c=IN IP4 0.0.0.0\r\n", "m=audio 4000 RTP/AVP 0\r\n"},
                            Row{"", "m=audio 4000 RTP/AVP 0\r\nc=IN IP4 0.0.0.0\r\na=sendonly\r\n"},
                            Row{"c=IN IP6 ::\r\n", "m=audio 4000 RTP/AVP 0\r\na=inactive\r\n"},
                            Row{"", "m=audio 9 RTP/AVP 0\r\nc=IN IP6 ::\r\na=sendonly\r\n"});
  const bool offers = GENERATE(true, false);
  DYNAMIC_SECTION((offers ? "offer " : "answer ") << row.session << row.stream) {
    Talk talk;
    const auto own = talk.from_phone("c=IN IP4 " + talk.phone() + "\r\nm=audio 4000 RTP/AVP 0\r\n");
    const auto theirs = Talk::from_server("m=audio 6000 RTP/AVP 0\r\n");
    const auto held = talk.from_phone(std::string(row.session) + row.stream);
    const auto port = port_of(talk.offers(1, own, theirs));
    REQUIRE(talk.hears(port));
    if (offers) {
      talk.offers(2, held, theirs);
    } else {
      talk.answers(70, theirs, held);
    }
    for (int minute = 0; minute < 20; ++minute) talk.scene.lab.pass_s(60);
    CHECK(talk.pinholes() == 2);
    CHECK(port_of(talk.offers(3, own, theirs)) == port);
    CHECK(talk.hears(port));
    CHECK(talk.sends(4000) == port);
  }
}

TEST_CASE("a call whose streams are all rejected is on hold, and one with a stream left is not",
          "[dataplane][sip][media][AC-14][AC-27][rfc3264]") {
  struct Row {
    const char* name;
    const char* media;
    bool is_held;
  };
  const auto row = GENERATE(
      Row{"all", "m=audio 0 RTP/AVP 0\r\nm=video 0 RTP/AVP 31\r\n", true},
      Row{"all, with a direction", "a=inactive\r\nm=audio 0 RTP/AVP 0\r\nm=video 0 RTP/AVP 31\r\n", true},
      Row{"the second, with a direction", "m=audio 4000 RTP/AVP 0\r\nm=video 0 RTP/AVP 31\r\na=inactive\r\n",
          false});
  const bool offers = GENERATE(true, false);
  DYNAMIC_SECTION(row.name << (offers ? ", in an offer" : ", in an answer")) {
    Talk talk;
    const auto connection = "c=IN IP4 " + talk.phone() + "\r\n";
    const auto own = talk.from_phone(connection + "m=audio 4000 RTP/AVP 0\r\nm=video 4002 RTP/AVP 31\r\n");
    const auto theirs = Talk::from_server("m=audio 6000 RTP/AVP 0\r\nm=video 6002 RTP/AVP 31\r\n");
    const auto rejects = talk.from_phone(connection + row.media);
    const auto port = port_of(talk.offers(1, own, theirs));
    if (offers) {
      talk.offers(2, rejects, theirs);
    } else {
      talk.answers(70, theirs, rejects);
    }
    for (int minute = 0; minute < 60; ++minute) talk.scene.lab.pass_s(60);
    CHECK(talk.scene.lab.count(WorkerCounter::call_active) == (row.is_held ? 1 : 0));
    if (!row.is_held) return;
    CHECK(port_of(talk.offers(3, own, theirs)) == port);
    CHECK(talk.hears(port));
  }
}

TEST_CASE("a stream that moves to IPv6 leaves its ports", "[dataplane][sip][media][rfc3264]") {
  Talk talk;
  const auto theirs = Talk::from_server("m=audio 6000 RTP/AVP 0\r\n");
  const std::string stream = "m=audio 4000 RTP/AVP 0\r\n";
  talk.offers(1, talk.from_phone("c=IN IP4 " + talk.phone() + "\r\n" + stream), theirs);
  talk.offers(2, talk.from_phone("c=IN IP6 2001:db8::1\r\n" + stream), theirs);
  talk.scene.lab.pass_s(15);
  CHECK(talk.pinholes() == 0);
}

TEST_CASE("of several streams on one port the one that is taken has its media",
          "[dataplane][sip][media][AC-14][rfc8843]") {
  struct Row {
    const char* name;
    const char* offer;
    const char* answer;
    unsigned section;
    unsigned port;
  };
  const auto row =
      GENERATE(Row{"with keys or without, the other side without",
                   "m=audio 4000 RTP/SAVP 0\r\nm=audio 4000 RTP/AVP 0\r\n",
                   "m=audio 0 RTP/SAVP 0\r\nm=audio 6000 RTP/AVP 0\r\n", 1, 4000},
               Row{"with keys or without, the other side with keys",
                   "m=audio 4000 RTP/SAVP 0\r\nm=audio 4000 RTP/AVP 0\r\n",
                   "m=audio 6000 RTP/SAVP 0\r\nm=audio 0 RTP/AVP 0\r\n", 0, 4000},
               Row{"a bundle of which audio is rejected",
                   "m=audio 4000 RTP/AVP 0\r\na=rtcp-mux\r\nm=video 4000 RTP/AVP 31\r\na=rtcp-mux\r\n",
                   "m=audio 0 RTP/AVP 0\r\nm=video 6000 RTP/AVP 31\r\na=rtcp-mux\r\n", 1, 4000},
               Row{"ports that follow, and RTCP on the same ones",
                   "m=audio 4000 RTP/AVP 0\r\na=rtcp-mux\r\nm=video 4001 RTP/AVP 31\r\na=rtcp-mux\r\n",
                   "m=audio 0 RTP/AVP 0\r\nm=video 6000 RTP/AVP 31\r\na=rtcp-mux\r\n", 1, 4001});
  DYNAMIC_SECTION(row.name) {
    Talk talk;
    const auto own = talk.from_phone("c=IN IP4 " + talk.phone() + "\r\n" + row.offer);
    const auto port = port_of(talk.offers(1, own, Talk::from_server(row.answer)), row.section);
    for (int seconds = 0; seconds < 60; seconds += 20) {
      CHECK(talk.hears(port));
      CHECK(talk.sends(row.port) == port);
      talk.scene.lab.pass_s(20);
    }
  }
}
