// SPDX-License-Identifier: BSD-3-Clause
// A call between two phones inside whose signalling goes by a proxy outside, through the real pipeline.
#include <catch2/catch.hpp>

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "tests/support/pipeline_lab.hpp"

using namespace pinhole;
using namespace pinhole::test;
using alg::sip::LocalMedia;
using dataplane::WorkerCounter;
using nat::Endpoint;
using nat::Protocol;

namespace {

constexpr unsigned kInside = PipelineLab::kInside;
constexpr unsigned kOutside = PipelineLab::kOutside;
const Endpoint kProxy = endpoint("198.51.100.7", 5060);

std::string message(const std::string& start, Endpoint contact, const std::string& sdp) {
  const std::string tag = start.starts_with("INVITE") ? "" : ";tag=2";
  return start + "\r\nVia: SIP/2.0/UDP proxy.example.com;branch=z9hG4bK1\r\n" +
         "From: <sip:a@example.com>;tag=1\r\nTo: <sip:b@example.com>" + tag + "\r\nCall-ID: local\r\n" +
         "CSeq: 1 INVITE\r\nContact: <sip:x@" + std::string(nat::EndpointText(contact).view()) + ">\r\n" +
         "Content-Type: application/sdp\r\nContent-Length: " + std::to_string(sdp.size()) + "\r\n\r\n" + sdp;
}

std::string description(Endpoint media) {
  const nat::EndpointText address(media.address);
  return "v=0\r\nc=IN IP4 " + std::string(address.view()) + "\r\nm=audio " +
         std::to_string(media.port.host()) + " RTP/AVP 0\r\n";
}

Frame bytes(const std::string& text) {
  const auto* const begin = reinterpret_cast<const std::byte*>(text.data());
  return {begin, begin + text.size()};
}

std::string text_of(const Sent& sent) {
  constexpr std::size_t kHeaders = 14 + 20 + 8;
  return {reinterpret_cast<const char*>(sent.frame.data()) + kHeaders, sent.frame.size() - kHeaders};
}
std::string body_of(const std::string& text) {
  return text.substr(text.find("\r\n\r\n") + 4);
}

/// Two phones, their owners as given, and the proxy that they call each other by.
struct House {
  House(unsigned workers, LocalMedia policy, std::vector<config::PortForward> forwards = {})
      : lab(config(workers, policy, std::move(forwards))) {
    alice.address = lab.host_of(0);
    bob.address = lab.host_of(workers - 1, 1);
    lab.add_neighbor(kOutside, address("203.0.113.254"));
  }
  static config::Config config(unsigned workers, LocalMedia policy,
                               std::vector<config::PortForward> forwards) {
    auto config = lab_config(workers);
    config.sip.local_media = policy;
    config.nat.forwards = std::move(forwards);
    return config;
  }

  /// What the proxy gets of a message of a phone.
  std::string out(Endpoint phone, const std::string& text) {
    const auto sent = lab.send(kInside, {.source = phone, .destination = kProxy, .payload = bytes(text)});
    REQUIRE(sent.size() == 1);
    REQUIRE(sent[0].interface == kOutside);
    return text_of(sent[0]);
  }
  /// What a phone gets of a message of the proxy.
  std::string in(Endpoint phone, const std::string& text) {
    const auto external = lab.mapping(Protocol::udp, phone).external;
    const auto sent = lab.send(kOutside, {.source = kProxy, .destination = external, .payload = bytes(text)});
    REQUIRE(sent.size() == 1);
    REQUIRE(sent[0].interface == kInside);
    return text_of(sent[0]);
  }
  Endpoint external_of(Endpoint media) { return lab.mapping(Protocol::udp, media).external; }

  PipelineLab lab;
  Endpoint alice = endpoint("10.0.0.2", 5060);
  Endpoint bob = endpoint("10.0.0.3", 5060);
};

/// Both phones have told each other where they want media; \return what each was told.
struct Told {
  std::string bob;
  std::string alice;
};
Told call(House& house, Endpoint alice_media, Endpoint bob_media) {
  static_cast<void>(house.out(house.bob, message("OPTIONS sip:example.com SIP/2.0", house.bob, "")));
  const auto offer = house.out(
      house.alice, message("INVITE sip:b@example.com SIP/2.0", house.alice, description(alice_media)));
  CHECK(body_of(offer) == description(house.external_of(alice_media)));
  Told told;
  told.bob = body_of(house.in(house.bob, offer));
  const auto answer = house.out(house.bob, message("SIP/2.0 200 OK", house.bob, description(bob_media)));
  CHECK(body_of(answer) == description(house.external_of(bob_media)));
  told.alice = body_of(house.in(house.alice, answer));
  return told;
}

}  // namespace

TEST_CASE("media of a call between two phones inside hairpin", "[dataplane][hairpin][rfc4787-req9][AC-09]") {
  for (const unsigned workers : {1U, 2U}) {
    DYNAMIC_SECTION(workers << " workers") {
      House house(workers, LocalMedia::hairpin);
      auto& lab = house.lab;
      const Endpoint alice_media{house.alice.address, nat::Be16{40000}};
      const Endpoint bob_media{house.bob.address, nat::Be16{50000}};
      const auto told = call(house, alice_media, bob_media);
      const auto alice_outside = house.external_of(alice_media);
      const auto bob_outside = house.external_of(bob_media);
      CHECK(told.bob == description(alice_outside));
      CHECK(told.alice == description(bob_outside));

      const auto hears = [&](Endpoint from, Endpoint to, Endpoint seen_as, Endpoint at) {
        const FrameSpec there{.source = from, .destination = to};
        auto expected = there;
        expected.source = seen_as;
        expected.destination = at;
        expected.ttl = static_cast<std::uint8_t>(there.ttl - 1);
        CHECK(lab.send(kInside, there) == std::vector{lab.leaves(kInside, expected, at.address)});
      };
      for (int packet = 0; packet < 3; ++packet) {
        hears(bob_media, alice_outside, bob_outside, alice_media);
        hears(alice_media, bob_outside, alice_outside, bob_media);
      }
      CHECK(lab.count(WorkerCounter::hairpinned) == 6);
      CHECK(lab.drops().empty());
      CHECK(lab.buffers_in_use() == 0);
    }
  }
}

TEST_CASE("only media is put back to the inside endpoints of another host", "[dataplane][AC-09][AC-23]") {
  for (const unsigned workers : {1U, 2U}) {
    DYNAMIC_SECTION(workers << " workers") {
      House house(workers, LocalMedia::direct);
      const Endpoint plain{house.alice.address, nat::Be16{7000}};
      static_cast<void>(house.out(house.alice, message("OPTIONS sip:e SIP/2.0", house.alice, "")));
      static_cast<void>(house.out(house.bob, message("OPTIONS sip:e SIP/2.0", house.bob, "")));
      house.lab.send(kInside, {.source = plain, .destination = endpoint("198.51.100.9", 53)});
      for (const auto& named : {house.alice, plain}) {
        const auto offer = description(house.external_of(named));
        CHECK(body_of(house.in(house.bob, message("INVITE sip:b@e SIP/2.0", kProxy, offer))) == offer);
      }
      CHECK(house.lab.drops().empty());
    }
  }
}

TEST_CASE("by policy two phones inside are told each other's inside endpoints",
          "[dataplane][rfc4787-req9][AC-09]") {
  for (const unsigned workers : {1U, 2U}) {
    DYNAMIC_SECTION(workers << " workers") {
      House house(workers, LocalMedia::direct);
      const Endpoint alice_media{house.alice.address, nat::Be16{40000}};
      const Endpoint bob_media{house.bob.address, nat::Be16{50000}};
      const auto told = call(house, alice_media, bob_media);
      CHECK(told.bob == description(alice_media));
      CHECK(told.alice == description(bob_media));
      CHECK(house.lab.drops().empty());
      CHECK(house.lab.buffers_in_use() == 0);
    }
  }
}

TEST_CASE("a call whose media goes from host to host is not ended for its silence",
          "[dataplane][rfc4787-req9][AC-09][AC-27]") {
  for (const auto policy : {LocalMedia::direct, LocalMedia::hairpin}) {
    DYNAMIC_SECTION((policy == LocalMedia::direct ? "direct" : "hairpin")) {
      House house(1, policy);
      const Endpoint alice_media{house.alice.address, nat::Be16{40000}};
      const Endpoint bob_media{house.bob.address, nat::Be16{50000}};
      call(house, alice_media, bob_media);
      REQUIRE(house.lab.count(WorkerCounter::call_live) == 2);
      for (int minute = 0; minute < 20; ++minute) house.lab.pass_s(60);
      const bool lives = policy == LocalMedia::direct;
      CHECK(house.lab.count(WorkerCounter::call_live) == (lives ? 2 : 0));
      CHECK(house.lab.count(WorkerCounter::pinhole_live) == (lives ? 4 : 0));
    }
  }
}

TEST_CASE("by policy phones inside are told each other's inside endpoints on forwarded ports, too",
          "[dataplane][rfc4787-req9][AC-09]") {
  for (const unsigned workers : {1U, 2U}) {
    DYNAMIC_SECTION(workers << " workers") {
      const auto bob = House(workers, LocalMedia::direct).bob.address;
      const Endpoint bob_media{bob, nat::Be16{50000}};
      const Endpoint bob_rtcp{bob, nat::Be16{50001}};
      House house(workers, LocalMedia::direct,
                  {{Protocol::udp, endpoint("203.0.113.1", 50000), bob_media},
                   {Protocol::udp, endpoint("203.0.113.1", 50001), bob_rtcp},
                   {Protocol::udp, endpoint("203.0.113.1", 5060), {bob, nat::Be16{5060}}}});
      const auto told = call(house, {house.alice.address, nat::Be16{40000}}, bob_media);
      CHECK(told.alice == description(bob_media));
      // Where a forward carries signalling, it is not media.
      const auto names_signalling = description(house.external_of(house.bob));
      CHECK(body_of(house.in(house.alice, message("INVITE sip:a@e SIP/2.0", kProxy, names_signalling))) ==
            names_signalling);
      CHECK(house.lab.drops().empty());
    }
  }
}
