// SPDX-License-Identifier: BSD-3-Clause
// Media that is measured, from the wire to the meter, on both paths of a packet.
#include <catch2/catch.hpp>

#include <cstring>
#include <initializer_list>
#include <string>

#include "tests/dataplane/sip_scene.hpp"
#include "tests/support/flows.hpp"

using namespace pinhole;
using namespace pinhole::test;
using dataplane::WorkerCounter;
using nat::Be16;
using nat::Endpoint;
using nat::Protocol;

namespace {

constexpr std::size_t kRtpHeader = 12;
constexpr std::size_t kHeaders = 20 + 8;
const Endpoint kMedia = endpoint("198.51.100.9", 6000);

config::Config with_measuring(unsigned workers, bool measures) {
  auto config = lab_config(workers);
  config.calls.measure = measures;
  return config;
}

Frame rtp(std::uint16_t sequence, std::size_t size) {
  Frame payload(size, std::byte{0xd5});
  payload[0] = std::byte{0x80};
  payload[1] = std::byte{8};
  nat::store(payload.data() + 2, Be16{sequence});
  nat::store(payload.data() + 4, nat::Be32{sequence * 160U});
  nat::store(payload.data() + 8, nat::Be32{77});
  return payload;
}

/// A call whose phone has its media port at 30000; all packets arrive at worker 0.
class Call {
 public:
  explicit Call(unsigned workers = 1, unsigned owner = 0, bool measures = true)
      : scene(with_measuring(workers, measures), owner) {
    scene.lab.add_neighbor(SipScene::kOutside, kMedia.address);
    REQUIRE(
        scene.out(message("INVITE sip:bob@example.com SIP/2.0", {scene.phone.address, Be16{30000}})).size() ==
        1);
    REQUIRE(scene.in(message("SIP/2.0 200 OK", kMedia)).size() == 1);
  }

  /// A packet of RTP passes. \return whether it came out
  bool speaks(std::uint16_t sequence, std::size_t size = 172) {
    return passes(outward(Protocol::udp, media(), kMedia), rtp(sequence, size));
  }
  bool hears(std::uint16_t sequence, std::size_t size = 172) {
    return passes(inward(Protocol::udp, kMedia, scene.lab.mapping(Protocol::udp, media()).external),
                  rtp(sequence, size));
  }
  bool passes(FrameSpec spec, Frame payload) {
    spec.payload = std::move(payload);
    return scene.lab.send(is_inside(spec) ? SipScene::kInside : SipScene::kOutside, spec).size() == 1;
  }
  [[nodiscard]] Endpoint media() const { return {scene.phone.address, Be16{30000}}; }
  [[nodiscard]] dataplane::WorkerContext& owner() {
    return scene.lab.context(scene.lab.steering().owner_of_inside(media().address));
  }
  const ipc::MediaMeter& meter(Endpoint inside) {
    const auto index = owner().translator.find_outbound(Protocol::udp, inside);
    REQUIRE(index != nat::kNoMapping);
    return owner().meters[index];
  }
  const ipc::MediaMeter& meter() { return meter(media()); }

  SipScene scene;

 private:
  static bool is_inside(const FrameSpec& spec) { return (spec.source.address.host() >> 24U) == 10; }
  static std::string message(const std::string& start, Endpoint media) {
    const auto address = std::string(nat::EndpointText(media.address).view());
    const std::string sdp = "v=0\r\no=- 1 1 IN IP4 " + address + "\r\ns=-\r\nc=IN IP4 " + address +
                            "\r\nt=0 0\r\nm=audio " + std::to_string(media.port.host()) + " RTP/AVP 8\r\n";
    return start +
           "\r\nVia: SIP/2.0/UDP phone.example.net;branch=z9hG4bK1\r\nFrom: <sip:alice@example.com>;tag=1\r\n"
           "To: <sip:bob@example.com>;tag=2\r\nCall-ID: measured\r\nCSeq: 1 INVITE\r\nContent-Type: "
           "application/sdp\r\nContent-Length: " +
           std::to_string(sdp.size()) + "\r\n\r\n" + sdp;
  }
};

}  // namespace

TEST_CASE("media of a call is measured each way, whoever it arrives at", "[dataplane][rtp][rfc3550]") {
  struct Row {
    const char* name;
    unsigned workers;
    unsigned owner;
  };
  const auto row = GENERATE(Row{"one worker", 1, 0}, Row{"the worker that owns the phone", 2, 0},
                            Row{"another worker, which hands packets over", 2, 1});
  DYNAMIC_SECTION(row.name) {
    Call call(row.workers, row.owner);
    const auto by_express = call.scene.lab.count(WorkerCounter::express);
    for (const auto number : std::initializer_list<std::uint16_t>{65533, 65534, 65535, 1, 2, 3, 3})
      CHECK(call.speaks(number));
    for (const auto number : std::initializer_list<std::uint16_t>{10, 12, 11, 13, 20})
      CHECK(call.hears(number, 72));
    const auto& [out, in] = call.meter();
    CHECK(out.packets == 6);
    CHECK(out.lost == 1);
    CHECK(out.repeated == 1);
    CHECK(out.bytes == 7 * (kHeaders + 172));
    CHECK(in.packets == 5);
    CHECK(in.lost == 6);
    CHECK(in.repeated == 0);
    CHECK(in.bytes == 5 * (kHeaders + 72));
    // The first packet of each way went by the regular path, the others by the express path.
    CHECK(call.scene.lab.count(WorkerCounter::express) - by_express == 6 + 4);
  }
}

TEST_CASE("packets that have to take the regular path are measured there", "[dataplane][rtp]") {
  Call call;
  FrameSpec spec = outward(Protocol::udp, call.media(), kMedia);
  SECTION("with options of IP") {
    spec.ip_option_words = 1;
    for (const auto number : std::initializer_list<std::uint16_t>{1, 2, 4})
      CHECK(call.passes(spec, rtp(number, 172)));
    CHECK(call.meter().out.packets == 3);
    CHECK(call.meter().out.lost == 1);
    CHECK(call.meter().out.bytes == 3 * (4 + kHeaders + 172));
  }
  SECTION("in fragments, of which the first has the header of RTP") {
    spec.fragment = 0;
    auto& lab = call.scene.lab;
    for (const auto number : std::initializer_list<std::uint16_t>{1, 3}) {
      spec.payload = rtp(number, 1500);
      Frame whole = make_frame(spec);
      const auto own = lab.own_mac(SipScene::kInside);
      std::memcpy(whole.data(), own.bytes.data(), own.bytes.size());
      for (const auto& piece : cut(whole, {504, 1008})) lab.receive_frame(SipScene::kInside, piece);
      CHECK(lab.run().size() == 3);
    }
    CHECK(call.meter().out.packets == 2);
    CHECK(call.meter().out.lost == 1);
    CHECK(call.meter().out.repeated == 0);
    CHECK(call.meter().out.bytes == 2 * (3 * 20 + 8 + 1500));
  }
}

TEST_CASE("what is not RTP, not of a call, or not to be measured is left out", "[dataplane][rtp]") {
  SECTION("RTCP and STUN count as bytes alone") {
    Call call;
    for (const auto first : {std::byte{0}, std::byte{0x80}}) {
      Frame payload(28, std::byte{200});
      payload[0] = first;
      CHECK(call.passes(outward(Protocol::udp, call.media(), kMedia), payload));
    }
    CHECK(call.meter().out.packets == 0);
    CHECK(call.meter().out.bytes == 2 * (kHeaders + 28));
  }
  SECTION("an RTP header that is cut off") {
    Call call;
    CHECK(call.speaks(1, kRtpHeader));
    CHECK(call.passes(outward(Protocol::udp, call.media(), kMedia), Frame(kRtpHeader - 1, std::byte{0x80})));
    CHECK(call.passes(outward(Protocol::udp, call.media(), kMedia), Frame()));
    CHECK(call.meter().out.packets == 1);
  }
  SECTION("a flow that is no pinhole") {
    Call call;
    const Endpoint other{call.media().address, Be16{40000}};
    for (unsigned i = 0; i < 3; ++i)
      CHECK(call.passes(outward(Protocol::udp, other, kMedia), Frame(172, std::byte{0x80})));
    CHECK(call.meter(other).out.bytes == 0);
  }
  SECTION("with measuring off") {
    Call call(1, 0, false);
    CHECK_FALSE(call.owner().meters.on());
    const auto by_express = call.scene.lab.count(WorkerCounter::express);
    for (const auto number : std::initializer_list<std::uint16_t>{1, 2, 3}) CHECK(call.speaks(number));
    CHECK(call.scene.lab.count(WorkerCounter::express) - by_express == 2);
  }
}
