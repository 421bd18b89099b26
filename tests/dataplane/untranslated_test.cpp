// SPDX-License-Identifier: BSD-3-Clause
// Exemptions and route mode through the real pipeline: what is not translated leaves as it came but for its
// hop, and has state, filters and pinholes all the same.
#include <catch2/catch.hpp>

#include <algorithm>
#include <random>
#include <set>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>

#include "tests/support/pipeline_lab.hpp"

using namespace pinhole;
using namespace pinhole::test;
using dataplane::WorkerCounter;
using nat::Be16;
using nat::DropReason;
using nat::Endpoint;
using nat::Protocol;
using nat::Realm;
using nat::StaticDirection;

namespace {

const nat::Ipv4Address kGateway = address("203.0.113.254");
const Endpoint kServer = endpoint("198.51.100.7", 3478);
const Endpoint kBranch = endpoint("172.16.5.5", 3478);
const Endpoint kStranger = endpoint("198.51.100.8", 1234);
constexpr unsigned kInside = PipelineLab::kInside;
constexpr unsigned kOutside = PipelineLab::kOutside;
constexpr Protocol kAllProtocols[] = {Protocol::udp, Protocol::tcp, Protocol::icmp};

config::Config exempt_config(unsigned workers) {
  auto config = lab_config(workers);
  config.nat.exempt = {{.to = {address("172.16.0.0"), 12}, .ports = {}}};
  return config;
}
config::Config route_config(unsigned workers) {
  auto config = lab_config(workers);
  config.nat.route = {{"inside", "outside"}};
  return config;
}

/// A packet of a flow that began inside, and its answer; for ICMP an echo request and reply.
FrameSpec outward(Protocol protocol, Endpoint inside, Endpoint remote, std::uint8_t ttl = 64) {
  if (protocol == Protocol::icmp) remote.port = {};
  return {.protocol = nat::ip_protocol(protocol), .source = inside, .destination = remote, .ttl = ttl};
}
FrameSpec answer(Protocol protocol, Endpoint remote, Endpoint inside, std::uint8_t ttl = 64) {
  auto spec = outward(protocol, remote, inside, ttl);
  if (protocol != Protocol::icmp) return spec;
  spec.icmp_type = nat::IcmpHeader::kEchoReply;
  spec.source = {remote.address, {}};
  spec.destination = inside;
  return spec;
}
FrameSpec with_ttl(FrameSpec spec, std::uint8_t ttl) {
  spec.ttl = ttl;
  return spec;
}

std::string text_of(nat::Ipv4Address address) {
  return std::string{nat::EndpointText{address}.view()};
}

/// A packet with an INVITE of a phone to its provider.
FrameSpec invite_of(Endpoint phone, const std::string& sdp) {
  const auto ip = text_of(phone.address);
  const std::string message =
      "INVITE sip:bob@example.com SIP/2.0\r\nVia: SIP/2.0/UDP " + ip +
      ":5060;branch=z9hG4bK1\r\nMax-Forwards: 70\r\nFrom: <sip:alice@example.com>;tag=1\r\n"
      "To: <sip:bob@example.com>\r\nCall-ID: route-mode\r\nCSeq: 1 INVITE\r\nContact: <sip:alice@" +
      ip + ":5060>\r\nContent-Type: application/sdp\r\nContent-Length: " + std::to_string(sdp.size()) +
      "\r\n\r\n" + sdp;
  auto invite = outward(Protocol::udp, phone, {kServer.address, Be16{5060}});
  const auto* const bytes = reinterpret_cast<const std::byte*>(message.data());
  invite.payload.assign(bytes, bytes + message.size());
  return invite;
}

}  // namespace

TEST_CASE("towards an exempt prefix nothing is translated, while the same source port is towards others",
          "[dataplane][untranslated][rfc6888-req6]") {
  for (const unsigned workers : {1U, 3U}) {
    for (const auto protocol : kAllProtocols) {
      DYNAMIC_SECTION(nat::name(protocol) << ", " << workers << " workers") {
        PipelineLab lab(exempt_config(workers));
        for (unsigned n = 0; n < 6; ++n) {
          const Endpoint host{lab.host_of(n % workers, n), Be16{4000}};
          const unsigned receiver = (n + 1) % workers;
          const auto plain = outward(protocol, host, kBranch);
          REQUIRE(lab.send(kInside, plain, receiver) ==
                  std::vector{lab.leaves(kOutside, with_ttl(plain, 63), kGateway)});
          const auto other = outward(protocol, host, kServer);
          const auto out = lab.send(kInside, other, receiver);
          const auto external = lab.mapping(protocol, host).external;
          REQUIRE(external.address != host.address);
          REQUIRE(out ==
                  std::vector{lab.leaves(kOutside, outward(protocol, external, kServer, 63), kGateway)});

          const auto back = answer(protocol, kBranch, host);
          REQUIRE(lab.send(kOutside, back, receiver) ==
                  std::vector{lab.leaves(kInside, with_ttl(back, 63), host.address)});
          REQUIRE(lab.send(kOutside, answer(protocol, kServer, external), receiver) ==
                  std::vector{lab.leaves(kInside, answer(protocol, kServer, host, 63), host.address)});
        }
        CHECK(lab.drops().empty());
        CHECK(lab.count(nat::Counter::mapping_live) == 12);
        CHECK(lab.count(nat::Counter::port_in_use) == 6);
        CHECK(lab.buffers_in_use() == 0);
      }
    }
  }
}

TEST_CASE("an exemption may be of some hosts, a protocol and ports",
          "[dataplane][untranslated][rfc6888-req6]") {
  auto config = lab_config(2);
  config.nat.exempt = {{.from = {address("10.0.0.0"), 24},
                        .to = {address("172.16.0.0"), 12},
                        .protocol = config::Protocols::udp,
                        .ports = {5000, 5100}}};
  PipelineLab lab(config);
  const auto host = lab.host_of(0);
  const auto other = address("10.1.0.9");
  const struct {
    const char* what;
    Protocol protocol;
    nat::Ipv4Address from;
    const char* to;
    std::uint16_t port;
    bool exempt;
  } rows[] = {
      {"first port", Protocol::udp, host, "172.16.0.1", 5000, true},
      {"last port", Protocol::udp, host, "172.31.255.254", 5100, true},
      {"below", Protocol::udp, host, "172.16.0.1", 4999, false},
      {"above", Protocol::udp, host, "172.16.0.1", 5101, false},
      {"another protocol", Protocol::tcp, host, "172.16.0.1", 5000, false},
      {"a ping", Protocol::icmp, host, "172.16.0.1", 5000, false},
      {"another host", Protocol::udp, other, "172.16.0.1", 5000, false},
      {"another destination", Protocol::udp, host, "172.32.0.1", 5000, false},
  };
  for (const auto& row : rows) {
    DYNAMIC_SECTION(row.what) {
      const Endpoint inside{row.from, Be16{777}};
      const auto spec = outward(row.protocol, inside, endpoint(row.to, row.port));
      const auto out = lab.send(kInside, spec);
      REQUIRE(out.size() == 1);
      CHECK((out[0] == lab.leaves(kOutside, with_ttl(spec, 63), kGateway)) == row.exempt);
    }
  }
}

TEST_CASE("in route mode flows are tracked and filtered, and nobody unsolicited comes in",
          "[dataplane][untranslated][route]") {
  for (const unsigned workers : {1U, 3U}) {
    for (const auto protocol : kAllProtocols) {
      DYNAMIC_SECTION(nat::name(protocol) << ", " << workers << " workers") {
        PipelineLab lab(route_config(workers));
        const Endpoint host{lab.host_of(workers - 1), Be16{4000}};
        // Unsolicited.
        CHECK(lab.send(kOutside, answer(protocol, kServer, host)).empty());
        CHECK(lab.dropped(DropReason::drop_no_mapping) == 1);
        const auto plain = outward(protocol, host, kServer);
        CHECK(lab.send(kInside, plain) == std::vector{lab.leaves(kOutside, with_ttl(plain, 63), kGateway)});
        const auto back = answer(protocol, kServer, host);
        CHECK(lab.send(kOutside, back) == std::vector{lab.leaves(kInside, with_ttl(back, 63), host.address)});
        // Somebody else, and another port.
        CHECK(lab.send(kOutside, answer(protocol, kStranger, host)).empty());
        CHECK(lab.dropped(DropReason::drop_filtered) == 1);
        CHECK(lab.send(kOutside, answer(protocol, kServer, {host.address, Be16{4001}})).empty());
        CHECK(lab.dropped(DropReason::drop_no_mapping) == 2);
        // It idles out like any other.
        lab.pass_s(protocol == Protocol::tcp ? 7441 : 301);
        CHECK(lab.send(kOutside, back).empty());
        CHECK(lab.dropped(DropReason::drop_no_mapping) == 3);
        CHECK(lab.count(nat::Counter::mapping_live) == 0);
        CHECK(lab.count(nat::Counter::port_in_use) == 0);
        CHECK(lab.drops().size() == 2);
        CHECK(lab.buffers_in_use() == 0);
      }
    }
  }
}

TEST_CASE("route mode is between the interfaces and prefixes that it names",
          "[dataplane][untranslated][route]") {
  auto config = lab_config(1);
  config.nat.route = {{"10.2.0.0/16", "outside"}, {"inside", "172.16.0.0/12"}};
  PipelineLab lab(config);
  const auto routed = [&](const char* from, const Endpoint& to) {
    const auto spec = outward(Protocol::udp, endpoint(from, 700), to);
    const auto out = lab.send(kInside, spec);
    REQUIRE(out.size() == 1);
    return out[0] == lab.leaves(kOutside, with_ttl(spec, 63), kGateway);
  };
  CHECK(routed("10.2.3.4", kServer));
  CHECK_FALSE(routed("10.3.3.4", kServer));
  CHECK(routed("10.3.3.4", kBranch));
}

TEST_CASE("hosts in route mode are opened by static mappings of themselves",
          "[dataplane][untranslated][route]") {
  for (const auto direction : {StaticDirection::both, StaticDirection::in, StaticDirection::out}) {
    for (const unsigned workers : {1U, 3U}) {
      DYNAMIC_SECTION("direction " << static_cast<int>(direction) << ", " << workers << " workers") {
        auto config = route_config(workers);
        const config::EndpointRange whole{{address("10.0.0.80"), 32}, 0, 0xffff};
        const config::EndpointRange web{{address("10.0.0.81"), 32}, 80, 81};
        config.nat.static_mappings = {{config::Protocols::all, whole, whole, direction},
                                      {config::Protocols::tcp, web, web, direction}};
        PipelineLab lab(config);
        lab.add_neighbor(kInside, address("10.0.0.80"));
        lab.add_neighbor(kInside, address("10.0.0.81"));
        const bool open = direction != StaticDirection::out;
        const auto arrives = [&](const FrameSpec& spec) {
          const auto out = lab.send(kOutside, spec);
          if (out.empty()) return false;
          REQUIRE(out == std::vector{lab.leaves(kInside, with_ttl(spec, 63), spec.destination.address)});
          return true;
        };
        const auto server = endpoint("10.0.0.80", 5000);
        CHECK(arrives(outward(Protocol::udp, kStranger, server)) == open);
        CHECK(arrives(outward(Protocol::tcp, kStranger, endpoint("10.0.0.81", 80))) == open);
        CHECK(arrives({.protocol = nat::kIpProtocolIcmp,
                       .source = {kStranger.address, Be16{9}},
                       .destination = {server.address, {}}}) == open);
        CHECK_FALSE(arrives(outward(Protocol::tcp, kStranger, endpoint("10.0.0.81", 82))));
        CHECK_FALSE(arrives(outward(Protocol::udp, kStranger, endpoint("10.0.0.81", 80))));
        if (open) {
          const auto pong = answer(Protocol::icmp, server, {kStranger.address, Be16{9}});
          CHECK(lab.send(kInside, pong) == std::vector{lab.leaves(kOutside, with_ttl(pong, 63), kGateway)});
        }
        // What it begins itself.
        const auto begun = lab.send(kInside, outward(Protocol::udp, server, kServer));
        REQUIRE(begun.size() == 1);
        CHECK((begun[0].interface == kOutside) == (direction != StaticDirection::in));
        CHECK(lab.dropped(DropReason::drop_static_direction) == (direction == StaticDirection::in ? 1 : 0));
      }
    }
  }
}

TEST_CASE("in route mode a host over its quota is refused with ICMP 3/13, and what it has goes on",
          "[dataplane][untranslated][route][rfc6888-req5][rfc5508-req8]") {
  for (const unsigned workers : {1U, 3U}) {
    DYNAMIC_SECTION(workers << " workers") {
      auto config = route_config(workers);
      config.nat.quotas.udp = 2;
      PipelineLab lab(config);
      const auto host = lab.host_of(workers - 1);
      const auto plain = [&](unsigned port) {
        return outward(Protocol::udp, {host, Be16{static_cast<std::uint16_t>(port)}}, kServer);
      };
      for (const unsigned port : {4000U, 4001U}) {
        CHECK(lab.send(kInside, plain(port)) ==
              std::vector{lab.leaves(kOutside, with_ttl(plain(port), 63), kGateway)});
      }
      const auto refused = lab.send(kInside, plain(4002));
      REQUIRE(refused.size() == 1);
      CHECK(refused[0].interface == kInside);
      CHECK(refused[0].frame[34] == std::byte{3});
      CHECK(refused[0].frame[35] == std::byte{13});
      CHECK(lab.dropped(DropReason::drop_quota_mappings) == 1);
      CHECK(lab.count(nat::Counter::host_live) == 1);
      for (const unsigned port : {4000U, 4001U}) CHECK(lab.send(kInside, plain(port)).size() == 1);
      lab.pass_s(301);
      CHECK(lab.count(nat::Counter::host_live) == 0);
      CHECK(lab.send(kInside, plain(4002)) ==
            std::vector{lab.leaves(kOutside, with_ttl(plain(4002), 63), kGateway)});
      CHECK(lab.buffers_in_use() == 0);
    }
  }
}

TEST_CASE("ICMP errors about untranslated flows pass as they are, and no others do",
          "[dataplane][untranslated][route][rfc5508-req4][rfc5508-req5]") {
  const auto error = [](const nat::Ipv4Address& source, const nat::Ipv4Address& destination,
                        const FrameSpec& about, std::uint8_t ttl) {
    const auto quoted = make_frame(about);
    return FrameSpec{.protocol = nat::kIpProtocolIcmp,
                     .source = {source, {}},
                     .destination = {destination, {}},
                     .ttl = ttl,
                     .icmp_type = 3,
                     .icmp_code = 1,
                     .icmp_sequence = 0,
                     .payload = {quoted.begin() + 14, quoted.end()}};
  };
  for (const unsigned workers : {1U, 3U}) {
    for (const auto protocol : kAllProtocols) {
      DYNAMIC_SECTION(nat::name(protocol) << ", " << workers << " workers") {
        PipelineLab lab(route_config(workers));
        const Endpoint host{lab.host_of(workers - 1), Be16{4000}};
        const auto sent = outward(protocol, host, kServer, 60);
        const auto router = address("192.0.2.9");
        const auto complaint = error(router, host.address, sent, 64);
        CHECK(lab.send(kOutside, complaint).empty());  // about a flow that there is not
        REQUIRE(lab.send(kInside, with_ttl(sent, 64)).size() == 1);
        CHECK(lab.send(kOutside, complaint) ==
              std::vector{lab.leaves(kInside, with_ttl(complaint, 63), host.address)});
        const auto came = answer(protocol, kServer, host, 60);
        const auto inside_complaint = error(host.address, kServer.address, came, 64);
        CHECK(lab.send(kInside, inside_complaint) ==
              std::vector{lab.leaves(kOutside, with_ttl(inside_complaint, 63), kGateway)});
        CHECK(lab.dropped(DropReason::drop_icmp_error_no_mapping) == 1);
        CHECK(lab.drops().size() == 1);
      }
    }
  }
}

TEST_CASE("a SIP offer in route mode passes byte for byte and opens its media ports",
          "[dataplane][untranslated][route][sip]") {
  for (const unsigned workers : {1U, 3U}) {
    for (const bool own_media : {true, false}) {
      DYNAMIC_SECTION(workers << " workers, media of " << (own_media ? "the phone" : "another host")) {
        PipelineLab lab(route_config(workers));
        const Endpoint phone{lab.host_of(0), Be16{5060}};
        const auto media = own_media ? phone.address : lab.host_of(workers - 1, 3);
        const std::string sdp = "v=0\r\no=- 1 1 IN IP4 " + text_of(phone.address) + "\r\ns=-\r\nc=IN IP4 " +
                                text_of(media) + "\r\nt=0 0\r\nm=audio 30000 RTP/AVP 0\r\n";
        const auto invite = invite_of(phone, sdp);
        CHECK(lab.send(kInside, invite) == std::vector{lab.leaves(kOutside, with_ttl(invite, 63), kGateway)});
        CHECK(lab.count(WorkerCounter::pinhole_live) == 2);
        CHECK(lab.count(WorkerCounter::call_live) == 1);
        for (const std::uint16_t port : {std::uint16_t{30000}, std::uint16_t{30001}}) {
          const auto rtp = outward(Protocol::udp, kStranger, {media, Be16{port}});
          CHECK(lab.send(kOutside, rtp) == std::vector{lab.leaves(kInside, with_ttl(rtp, 63), media)});
        }
        CHECK(lab.send(kOutside, outward(Protocol::udp, kStranger, {media, Be16{30002}})).empty());
        CHECK(lab.count(nat::Counter::port_in_use) == 0);
        CHECK(lab.drops().size() == 1);
        CHECK(lab.buffers_in_use() == 0);
      }
    }
  }
}

TEST_CASE("in route mode an offer with IPv6 in it passes byte for byte, and opens its IPv4 streams alone",
          "[dataplane][untranslated][route][sip][rfc8866]") {
  struct Row {
    const char* name;
    const char* origin;
    const char* session;  // its c=
    const char* audio;    // that of the stream, if it has one
    const char* video;
    bool audio_opens;
    bool video_opens;
  };
  constexpr const char* kIp6 = "IN IP6 2001:db8::5";
  constexpr const char* kIp4 = "IN IP4 HOST";
  const Row rows[] = {{"all of IPv6", kIp6, kIp6, "", "", false, false},
                      {"its origin of IPv6", kIp6, kIp4, "", "", true, true},
                      {"its origin of IPv4", kIp4, kIp6, "", "", false, false},
                      {"a stream of IPv4 among IPv6", kIp6, kIp6, "", kIp4, false, true},
                      {"a stream of IPv6 among IPv4", kIp4, kIp4, "", kIp6, true, false},
                      {"each stream of its own", kIp4, "", kIp6, kIp4, false, true},
                      {"IPv4 in IPv6", kIp6, "IN IP6 ::ffff:10.0.0.2", "", "", false, false}};
  for (const auto& row : rows) {
    DYNAMIC_SECTION(row.name) {
      PipelineLab lab(route_config(2));
      const Endpoint phone{lab.host_of(0), Be16{5060}};
      const auto line = [&](const char* letter, std::string value) {
        if (value.empty()) return std::string{};
        if (const auto at = value.find("HOST"); at != std::string::npos)
          value.replace(at, 4, text_of(phone.address));
        return letter + value + "\r\n";
      };
      const auto invite =
          invite_of(phone, "v=0\r\n" + line("o=- 1 1 ", row.origin) + "s=-\r\n" + line("c=", row.session) +
                               "t=0 0\r\nm=audio 30000 RTP/AVP 0\r\n" + line("c=", row.audio) +
                               "m=video 30010 RTP/AVP 31\r\n" + line("c=", row.video));
      CHECK(lab.send(kInside, invite) == std::vector{lab.leaves(kOutside, with_ttl(invite, 63), kGateway)});
      CHECK(lab.count(WorkerCounter::call_live) == 1);
      CHECK(lab.count(WorkerCounter::pinhole_live) ==
            (row.audio_opens ? 2U : 0U) + (row.video_opens ? 2U : 0U));
      CHECK(lab.drops().empty());
      for (const auto& [first, opens] :
           {std::pair{std::uint16_t{30000}, row.audio_opens}, {std::uint16_t{30010}, row.video_opens}}) {
        for (const std::uint16_t port : {first, static_cast<std::uint16_t>(first + 1)}) {
          const auto rtp = outward(Protocol::udp, kStranger, {phone.address, Be16{port}});
          CHECK(lab.send(kOutside, rtp).size() == (opens ? 1 : 0));
        }
      }
    }
  }
}

TEST_CASE("packets of IPv6 are dropped, in route mode too", "[dataplane][untranslated][route]") {
  PipelineLab lab(route_config(1));
  for (const unsigned interface : {kInside, kOutside}) {
    auto frame = make_frame(outward(Protocol::udp, {lab.host_of(0), Be16{30000}}, kServer));
    const auto own = lab.own_mac(interface);
    std::copy(own.bytes.begin(), own.bytes.end(), reinterpret_cast<std::uint8_t*>(frame.data()));
    frame[12] = std::byte{0x86};
    frame[13] = std::byte{0xdd};
    frame[14] = std::byte{0x60};
    lab.receive_frame(interface, frame);
    CHECK(lab.run().empty());
  }
  CHECK(lab.dropped(DropReason::drop_not_ip) == 2);
}

TEST_CASE("translated and untranslated flows of many hosts agree with a plain model",
          "[dataplane][untranslated]") {
  const auto seed = std::random_device{}();
  INFO("seed " << seed);
  std::mt19937 random(seed);
  const auto below = [&](unsigned bound) { return static_cast<unsigned>(random() % bound); };
  constexpr unsigned kWorkers = 3;
  PipelineLab lab(exempt_config(kWorkers));
  std::set<std::tuple<Protocol, Endpoint, nat::Ipv4Address>> spoken;
  std::vector<Endpoint> hosts;
  for (unsigned n = 0; n < 12; ++n) {
    hosts.push_back({lab.host_of(n % kWorkers, n), Be16{static_cast<std::uint16_t>(2000 + n)}});
  }
  unsigned passed = 0;
  unsigned refused = 0;
  for (unsigned step = 0; step < 4000; ++step) {
    const auto protocol = kAllProtocols[below(3)];
    const auto& host = hosts[below(static_cast<unsigned>(hosts.size()))];
    const bool exempt = below(2) == 0;
    const Endpoint remote{nat::Ipv4Address::from_host((exempt ? 0xac100000U : 0xc6336400U) + 1 + below(6)),
                          Be16{static_cast<std::uint16_t>(1 + below(60000))}};
    const auto receiver = below(kWorkers);
    auto& translator = lab.context(lab.steering().owner_of_inside(host.address)).translator;
    const auto realm = exempt ? Realm::untranslated : Realm::translated;
    const auto known = translator.find_outbound({host, protocol, realm});
    if (below(2) == 0) {
      const auto out = lab.send(kInside, outward(protocol, host, remote), receiver);
      const auto index = translator.find_outbound({host, protocol, realm});
      REQUIRE(index != nat::kNoMapping);
      const auto seen = translator[index].external;
      REQUIRE((seen == host) == exempt);
      REQUIRE(out == std::vector{lab.leaves(kOutside, outward(protocol, seen, remote, 63), kGateway)});
      spoken.insert({protocol, host, remote.address});
    } else if (exempt || known != nat::kNoMapping) {
      const auto to = exempt ? host : translator[known].external;
      const auto in = lab.send(kOutside, answer(protocol, remote, to), receiver);
      if (spoken.contains({protocol, host, remote.address})) {
        REQUIRE(in == std::vector{lab.leaves(kInside, answer(protocol, remote, host, 63), host.address)});
        ++passed;
      } else {
        REQUIRE(in.empty());
        ++refused;
      }
    }
  }
  CHECK(passed > 300);
  CHECK(refused > 50);
  CHECK(lab.dropped(DropReason::drop_filtered) + lab.dropped(DropReason::drop_no_mapping) == refused);
  CHECK(lab.buffers_in_use() == 0);
}
