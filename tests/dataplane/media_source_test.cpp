// SPDX-License-Identifier: BSD-3-Clause
// Whose packets reach a phone's media port, from the wire to the wire.
#include <catch2/catch.hpp>

#include <string>

#include "tests/support/flows.hpp"
#include "tests/support/pipeline_lab.hpp"

using namespace pinhole;
using namespace pinhole::test;
using nat::Be16;
using nat::DropReason;
using nat::Endpoint;
using nat::MediaFrom;
using nat::Protocol;

namespace {

const Endpoint kProxy = endpoint("198.51.100.7", 5060);
const Endpoint kMedia = endpoint("198.51.100.9", 6000);
const Endpoint kAttacker = endpoint("192.0.2.66", 6000);
constexpr unsigned kInside = PipelineLab::kInside;
constexpr unsigned kOutside = PipelineLab::kOutside;

std::string text_of(nat::Ipv4Address address) {
  return std::string{nat::EndpointText{address}.view()};
}

/// A message of one call, with a description when `port` is not 0.
Frame message(const std::string& start, nat::Ipv4Address media, unsigned port) {
  const std::string sdp = port == 0 ? ""
                                    : "v=0\r\no=- 1 1 IN IP4 " + text_of(media) + "\r\ns=-\r\nc=IN IP4 " +
                                          text_of(media) + "\r\nt=0 0\r\nm=audio " + std::to_string(port) +
                                          " RTP/AVP 0\r\n";
  const std::string text =
      start +
      "\r\nVia: SIP/2.0/UDP phone.example.net;branch=z9hG4bK1\r\nFrom: <sip:alice@example.com>;tag=1\r\n"
      "To: <sip:bob@example.com>;tag=2\r\nCall-ID: media\r\nCSeq: 1 INVITE\r\nContent-Type: "
      "application/sdp\r\n"
      "Content-Length: " +
      std::to_string(sdp.size()) + "\r\n\r\n" + sdp;
  const auto* const bytes = reinterpret_cast<const std::byte*>(text.data());
  return {bytes, bytes + text.size()};
}

/// A phone that has offered media on port 30000.
class Call {
 public:
  explicit Call(MediaFrom from, unsigned workers = 1) : lab(with(from, workers)) {
    auto invite = outward(Protocol::udp, phone(), kProxy);
    invite.payload = message("INVITE sip:bob@example.com SIP/2.0", phone().address, 30000);
    REQUIRE(lab.send(kInside, invite).size() == 1);
  }
  void answer() {
    auto ok = inward(Protocol::udp, kProxy, lab.mapping(Protocol::udp, phone()).external);
    ok.payload = message("SIP/2.0 200 OK", kMedia.address, kMedia.port.host());
    REQUIRE(lab.send(kOutside, ok).size() == 1);
  }
  /// Whether a packet of media arrives at the phone.
  bool hears(Endpoint from) { return hears_at(media(), from); }
  bool hears_rtcp(Endpoint from) { return hears_at({media().address, Be16{30001}}, from); }
  bool sends(Endpoint to) { return lab.send(kInside, outward(Protocol::udp, media(), to)).size() == 1; }
  Endpoint phone() { return {lab.host_of(0), Be16{5060}}; }
  Endpoint media() { return {lab.host_of(0), Be16{30000}}; }

  PipelineLab lab;

 private:
  bool hears_at(Endpoint at, Endpoint from) {
    return lab.send(kOutside, inward(Protocol::udp, from, lab.mapping(Protocol::udp, at).external)).size() ==
           1;
  }
  static config::Config with(MediaFrom from, unsigned workers) {
    auto config = lab_config(workers);
    config.sip.media_from = from;
    return config;
  }
};

}  // namespace

TEST_CASE("an attacker's packet is dropped at a media port of a call, and counted",
          "[dataplane][AC-09][AC-23][rfc7362]") {
  for (const auto from : {MediaFrom::signalled, MediaFrom::latched}) {
    DYNAMIC_SECTION((from == MediaFrom::signalled ? "signalled" : "latched")) {
      Call call(from);
      call.answer();
      CHECK(call.hears(kMedia));
      CHECK_FALSE(call.hears(kAttacker));
      CHECK_FALSE(call.hears(kAttacker));
      CHECK(call.lab.dropped(DropReason::drop_media_source) == 2);
      CHECK(call.lab.dropped(DropReason::drop_filtered) == 0);
      CHECK(call.hears(kMedia));
    }
  }
}

TEST_CASE("media from anywhere reaches the phone when the policy says so", "[dataplane][AC-09]") {
  Call call(MediaFrom::anywhere);
  call.answer();
  CHECK(call.hears(kMedia));
  CHECK(call.hears(kAttacker));
  CHECK(call.lab.dropped(DropReason::drop_media_source) == 0);
}

TEST_CASE("early media before its description is heard by latching alone", "[dataplane][AC-09][rfc3264]") {
  SECTION("signalled") {
    Call call(MediaFrom::signalled);
    CHECK_FALSE(call.hears(kMedia));
    CHECK(call.lab.dropped(DropReason::drop_media_source) == 1);
    call.answer();
    CHECK(call.hears(kMedia));
  }
  SECTION("latched") {
    Call call(MediaFrom::latched);
    CHECK(call.hears(kMedia));
    CHECK_FALSE(call.hears(kAttacker));
    call.answer();
    CHECK(call.hears(kMedia));
    CHECK_FALSE(call.hears(kAttacker));
  }
}

TEST_CASE("a stranger who latched first is displaced by the one who was named",
          "[dataplane][AC-23][rfc7362]") {
  Call call(MediaFrom::latched);
  call.answer();
  CHECK(call.hears(kAttacker));
  CHECK(call.hears(kMedia));
  CHECK_FALSE(call.hears(kAttacker));
  CHECK(call.hears(kMedia));
}

TEST_CASE("of two strangers in one burst the first one latches", "[dataplane][AC-23][rfc7362]") {
  Call call(MediaFrom::latched);
  const auto port = call.lab.mapping(Protocol::udp, call.media()).external;
  call.lab.receive(kOutside, inward(Protocol::udp, kMedia, port));
  call.lab.receive(kOutside, inward(Protocol::udp, kAttacker, port));
  call.lab.run();
  CHECK(call.hears(kMedia));
  CHECK_FALSE(call.hears(kAttacker));
}

TEST_CASE("RTP and RTCP latch apart", "[dataplane][AC-09][rfc7362]") {
  Call call(MediaFrom::latched);
  const auto monitor = endpoint("198.51.100.10", 6001);
  CHECK(call.hears(kMedia));
  CHECK(call.hears_rtcp(monitor));
  CHECK_FALSE(call.hears(monitor));
  CHECK_FALSE(call.hears_rtcp(kAttacker));
  CHECK(call.hears(kMedia));
  CHECK(call.hears_rtcp(monitor));
  CHECK(call.lab.dropped(DropReason::drop_media_source) == 2);
}

TEST_CASE("only who is in sip.latch_from may latch", "[dataplane][AC-09][rfc7362]") {
  auto config = lab_config();
  config.sip.latch_from = {*nat::Prefix::parse("198.51.100.0/24")};
  PipelineLab lab(config);
  const Endpoint phone{lab.host_of(0), Be16{5060}};
  auto invite = outward(Protocol::udp, phone, kProxy);
  invite.payload = message("INVITE sip:bob@example.com SIP/2.0", phone.address, 30000);
  REQUIRE(lab.send(kInside, invite).size() == 1);
  const auto external = lab.mapping(Protocol::udp, {phone.address, Be16{30000}}).external;
  CHECK(lab.send(kOutside, inward(Protocol::udp, kAttacker, external)).empty());
  CHECK(lab.send(kOutside, inward(Protocol::udp, kMedia, external)).size() == 1);
}

TEST_CASE("established media takes the express path, whatever the policy", "[dataplane][AC-09]") {
  for (const auto from : {MediaFrom::signalled, MediaFrom::latched, MediaFrom::anywhere}) {
    DYNAMIC_SECTION(static_cast<unsigned>(from)) {
      Call call(from);
      call.answer();
      CHECK(call.hears(kMedia));
      CHECK(call.sends(kMedia));
      const auto before = call.lab.count(dataplane::WorkerCounter::express);
      for (int i = 0; i < 10; ++i) {
        CHECK(call.hears(kMedia));
        CHECK(call.sends(kMedia));
      }
      CHECK(call.lab.count(dataplane::WorkerCounter::express) == before + 20);
    }
  }
}
