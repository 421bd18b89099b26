// SPDX-License-Identifier: BSD-3-Clause
// What one protocol has or does says nothing of another, and what no gateway is asked to read is not read.
#include <catch2/catch.hpp>

#include <set>
#include <string>

#include "tests/support/flows.hpp"
#include "tests/support/pipeline_lab.hpp"

using namespace pinhole;
using namespace pinhole::test;
using nat::Be16;
using nat::Endpoint;
using nat::Filter;
using nat::Protocol;

namespace {

const nat::Ipv4Address kGateway = address("203.0.113.254");
const Endpoint kServer = endpoint("198.51.100.7", 5060);
const Endpoint kStranger = endpoint("198.51.100.8", 5060);
constexpr unsigned kInside = PipelineLab::kInside;
constexpr unsigned kOutside = PipelineLab::kOutside;
constexpr Protocol kAllProtocols[] = {Protocol::udp, Protocol::tcp, Protocol::icmp};

/// An INVITE that offers media, as a phone inside sends it.
Frame invite_of(Endpoint phone) {
  const std::string at{nat::EndpointText{phone.address}.view()};
  const std::string sdp = "v=0\r\no=- 1 1 IN IP4 " + at + "\r\ns=-\r\nc=IN IP4 " + at +
                          "\r\nt=0 0\r\nm=audio 30000 RTP/AVP 0\r\n";
  const std::string text =
      "INVITE sip:bob@example.com SIP/2.0\r\nVia: SIP/2.0/UDP " + at +
      ":5060;branch=z9hG4bK1\r\nMax-Forwards: 70\r\nFrom: <sip:alice@example.com>;tag=1\r\n"
      "To: <sip:bob@example.com>\r\nCall-ID: protocols\r\nCSeq: 1 INVITE\r\nContact: "
      "<sip:alice@" +
      at + ":5060>\r\nContent-Type: application/sdp\r\nContent-Length: " + std::to_string(sdp.size()) +
      "\r\n\r\n" + sdp;
  const auto* const bytes = reinterpret_cast<const std::byte*>(text.data());
  return {bytes, bytes + text.size()};
}

}  // namespace

TEST_CASE("each protocol has mappings of its own for one inside endpoint", "[dataplane][rfc7857-5]") {
  for (const unsigned workers : {1U, 2U}) {
    DYNAMIC_SECTION(workers << " workers") {
      PipelineLab lab(lab_config(workers));
      std::set<std::pair<Protocol, Endpoint>> seen;
      std::set<std::uint16_t> ports;
      for (unsigned n = 0; n < 8; ++n) {
        const Endpoint host{lab.host_of(n % workers, n), Be16{4000}};
        for (const auto protocol : kAllProtocols) {
          REQUIRE(lab.send(kInside, outward(protocol, host, kServer)).size() == 1);
          const auto external = lab.mapping(protocol, host).external;
          CHECK(seen.insert({protocol, external}).second);
          ports.insert(external.port.host());
        }
      }
      CHECK(ports.size() > 8);  // a port of one protocol is not chosen for being another's
      CHECK(lab.count(nat::Counter::port_in_use) == 24);
    }
  }
}

TEST_CASE("a remote that was spoken to by one protocol is let in by no other, and each has its filter",
          "[dataplane][rfc7857-6][rfc5382-req3][rfc4787-req8]") {
  for (const auto open : kAllProtocols) {
    DYNAMIC_SECTION(nat::name(open) << " lets everybody in") {
      auto config = lab_config();
      const auto filter_of = [open](Protocol protocol) {
        return protocol == open ? Filter::endpoint_independent : Filter::address_dependent;
      };
      config.nat.filtering = {filter_of(Protocol::udp), filter_of(Protocol::tcp), filter_of(Protocol::icmp)};
      PipelineLab lab(config);
      const Endpoint host{lab.host_of(0), Be16{4000}};
      for (const auto protocol : kAllProtocols) lab.send(kInside, outward(protocol, host, kServer));
      // A stranger is spoken to by the next protocol.
      const auto spoken = kAllProtocols[(static_cast<unsigned>(open) + 1) % 3];
      lab.send(kInside, outward(spoken, host, kStranger));
      for (const auto protocol : kAllProtocols) {
        const auto external = lab.mapping(protocol, host).external;
        const bool comes_in = !lab.send(kOutside, inward(protocol, kStranger, external)).empty();
        CHECK(comes_in == (protocol == open || protocol == spoken));
      }
    }
  }
}

TEST_CASE("with sip.tcp off SIP over TCP passes as it is: no gateway reads TCP",
          "[dataplane][rfc5382-req6][AC-24]") {
  auto config = lab_config();
  config.sip.tcp = false;
  PipelineLab lab(config);
  const Endpoint phone{lab.host_of(0), Be16{5060}};
  auto invite = outward(Protocol::tcp, phone, kServer);
  invite.payload = invite_of(phone);
  const auto out = lab.send(kInside, invite);
  auto expected = invite;
  expected.source = lab.mapping(Protocol::tcp, phone).external;
  expected.ttl = 63;
  CHECK(out == std::vector{lab.leaves(kOutside, expected, kGateway)});
  CHECK(lab.count(dataplane::WorkerCounter::pinhole_live) == 0);
}

TEST_CASE("the SIP gateway can be switched off: messages pass byte for byte, and open nothing",
          "[dataplane][AC-24][rfc4787-req10]") {
  for (const bool enabled : {true, false}) {
    DYNAMIC_SECTION((enabled ? "on" : "off")) {
      auto config = lab_config();
      config.sip.enabled = enabled;
      PipelineLab lab(config);
      const Endpoint phone{lab.host_of(0), Be16{5060}};
      auto invite = outward(Protocol::udp, phone, kServer);
      invite.payload = invite_of(phone);
      const auto out = lab.send(kInside, invite);
      auto expected = invite;
      expected.source = lab.mapping(Protocol::udp, phone).external;
      expected.ttl = 63;
      CHECK((out == std::vector{lab.leaves(kOutside, expected, kGateway)}) != enabled);
      CHECK(lab.count(dataplane::WorkerCounter::pinhole_live) == (enabled ? 2 : 0));
    }
  }
}
