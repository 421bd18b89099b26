// SPDX-License-Identifier: BSD-3-Clause
// Protection on the wire: what a worker lets in from outside, to a server inside that anybody may reach.
#include <algorithm>
#include <catch2/catch.hpp>

#include <cstring>
#include <string>
#include <string_view>

#include "dataplane/context.hpp"
#include "tests/support/pipeline_lab.hpp"

using namespace pinhole;
using namespace pinhole::test;
using nat::DropReason;
using nat::Endpoint;
using nat::Protocol;

namespace {

constexpr unsigned kInside = PipelineLab::kInside;
constexpr unsigned kOutside = PipelineLab::kOutside;
const Endpoint kServer = endpoint("10.0.0.5", 5060);
const Endpoint kExternal = endpoint("203.0.113.1", 5060);
const Endpoint kStranger = endpoint("198.51.100.66", 5060);
const Endpoint kPhone = endpoint("198.51.100.7", 5060);

std::string request(const std::string& method, const std::string& agent = "Phone", unsigned number = 1) {
  const auto id = std::to_string(number);
  return method + " sip:alice@203.0.113.1 SIP/2.0\r\nVia: SIP/2.0/UDP 198.51.100.66:5060;branch=z9hG4bK" +
         id + "\r\nFrom: <sip:bob@example.com>;tag=b\r\nTo: <sip:alice@example.com>\r\nCall-ID: c" + id +
         "\r\nCSeq: 1 " + method + "\r\nUser-Agent: " + agent + "\r\n\r\n";
}

config::Config guarded(unsigned workers = 1) {
  auto config = lab_config(workers);
  config.protection = {};
  config.protection.sources_per_worker = 64;
  config.nat.forwards = {{.protocol = Protocol::udp, .external = kExternal, .inside = kServer},
                         {.protocol = Protocol::tcp, .external = kExternal, .inside = kServer}};
  return config;
}

class Lab {
 public:
  explicit Lab(const config::Config& config = guarded()) : pipeline_(config) {
    pipeline_.add_neighbor(kOutside, address("203.0.113.254"));
    pipeline_.add_neighbor(kInside, kServer.address);
  }
  PipelineLab& pipeline() { return pipeline_; }

  /// \return whether the server gets it
  bool gets(Endpoint source, const std::string& text, Endpoint destination = kExternal) {
    FrameSpec spec{.source = source, .destination = destination};
    spec.payload.resize(text.size());
    std::memcpy(spec.payload.data(), text.data(), text.size());
    return !pipeline_.send(kOutside, spec).empty();
  }
  bool gets_syn(Endpoint source) {
    FrameSpec spec{.source = source, .destination = kExternal};
    spec.protocol = nat::kIpProtocolTcp;
    spec.tcp_flags = nat::TcpHeader::kSyn;
    return !pipeline_.send(kOutside, spec).empty();
  }
  /// A segment of a connection of a source with the server. \return whether it arrives
  bool passes(Endpoint source, bool from_server, std::uint32_t sequence, std::uint32_t acknowledgement,
              unsigned flags, const std::string& text = {}) {
    FrameSpec spec{.protocol = nat::kIpProtocolTcp,
                   .source = from_server ? kServer : source,
                   .destination = from_server ? source : kExternal};
    spec.tcp_sequence = sequence;
    spec.tcp_acknowledgement = acknowledgement;
    spec.tcp_flags = static_cast<std::uint8_t>(flags);
    spec.payload.resize(text.size());
    if (!text.empty()) std::memcpy(spec.payload.data(), text.data(), text.size());
    const auto sent = pipeline_.send(from_server ? kInside : kOutside, spec);
    const auto there = from_server ? kOutside : kInside;  // what goes the other way is an answer
    return std::ranges::any_of(sent, [&](const Sent& each) {
      const std::string_view bytes(reinterpret_cast<const char*>(each.frame.data()), each.frame.size());
      return each.interface == there && bytes.find(text) != std::string_view::npos;
    });
  }
  dataplane::Guard& guard() { return pipeline_.context(0).guard; }

 private:
  PipelineLab pipeline_;
};

}  // namespace

TEST_CASE("a scanner gets to the server with nothing, by whatever way", "[pipeline][guard]") {
  Lab lab;
  CHECK(lab.gets(kStranger, request("OPTIONS")));
  CHECK_FALSE(lab.gets(kStranger, request("OPTIONS", "friendly-scanner")));
  CHECK(lab.pipeline().dropped(DropReason::drop_sip_scanner) == 1);
  CHECK_FALSE(lab.gets(kStranger, request("OPTIONS")));
  CHECK_FALSE(lab.gets(kStranger, "no SIP at all"));
  CHECK_FALSE(lab.gets_syn(kStranger));
  CHECK_FALSE(lab.gets(kStranger, "x", endpoint("203.0.113.1", 7)));
  CHECK(lab.pipeline().dropped(DropReason::drop_banned) == 4);
  CHECK(lab.gets(kPhone, request("OPTIONS")));
  CHECK(lab.pipeline().count(dataplane::WorkerCounter::ban_made) == 1);
  lab.pipeline().pass_s(301);
  CHECK(lab.gets(kStranger, request("OPTIONS")));
  CHECK(lab.pipeline().buffers_in_use() == 0);
}

TEST_CASE("nobody has another one banned by a forged connection", "[pipeline][guard]") {
  using nat::TcpHeader;
  Lab lab;
  const auto message = request("OPTIONS", "friendly-scanner");
  constexpr std::uint32_t kFirst = 5000;
  constexpr std::uint32_t kServerFirst = 7000;
  REQUIRE(lab.passes(kPhone, false, kFirst, 0, TcpHeader::kSyn));
  REQUIRE(lab.passes(kPhone, true, kServerFirst, kFirst + 1, TcpHeader::kSyn | TcpHeader::kAck));
  for (const std::uint32_t guess : {0U, kServerFirst, kServerFirst + 2, kServerFirst + 0x40000000U}) {
    CHECK_FALSE(lab.passes(kPhone, false, kFirst + 1, guess, TcpHeader::kAck));
    CHECK_FALSE(lab.passes(kPhone, false, kFirst + 1, guess, TcpHeader::kAck, message));
  }
  CHECK(lab.pipeline().dropped(DropReason::drop_sip_scanner) == 0);
  CHECK(lab.pipeline().count(dataplane::WorkerCounter::ban_made) == 0);
  CHECK(lab.gets(kPhone, request("OPTIONS")));
  // Who has got the answer to his SYN is who he says.
  CHECK_FALSE(lab.passes(kPhone, false, kFirst + 1, kServerFirst + 1, TcpHeader::kAck, message));
  CHECK(lab.pipeline().dropped(DropReason::drop_sip_scanner) == 1);
  CHECK(lab.pipeline().count(dataplane::WorkerCounter::ban_made) == 1);
}

TEST_CASE("who is banned still answers what inside asked him for", "[pipeline][guard]") {
  Lab lab;
  const auto host = lab.pipeline().host_of(0);
  const Endpoint web{kStranger.address, nat::Be16{9000}};
  const Endpoint inside{host, nat::Be16{4000}};
  REQUIRE(lab.pipeline().send(kInside, {.source = inside, .destination = web}).size() == 1);
  const auto external = lab.pipeline().mapping(Protocol::udp, inside).external;
  REQUIRE(lab.guard().ban({.prefix = {kStranger.address, 32}, .reason = ipc::BanReason::scanner}, 1000));
  CHECK(lab.gets(web, "answer", external));
  CHECK_FALSE(lab.gets(web, "question"));
  // But for who is banned by an operator.
  REQUIRE(lab.guard().ban({.prefix = {kStranger.address, 32}}, 1000));
  lab.pipeline().run();
  CHECK_FALSE(lab.gets(web, "answer", external));
}

TEST_CASE("SIP over a limit is dropped, and what else comes in by the flow is not", "[pipeline][guard]") {
  auto config = guarded();
  config.protection.limits.sources.unknown = {.per_s = 1, .burst = 10};
  Lab lab(config);
  unsigned passed = 0;
  for (unsigned i = 0; i < 50; ++i) passed += lab.gets(kStranger, request("OPTIONS", "Phone", i));
  CHECK(passed == 10);
  CHECK(lab.pipeline().dropped(DropReason::drop_sip_rate) == 40);
  CHECK(lab.gets(kStranger, "\r\n\r\n"));
  CHECK(lab.gets(kPhone, request("OPTIONS")));
}

TEST_CASE("floods of SYNs, fragments and malformed messages are cut", "[pipeline][guard]") {
  auto config = guarded();
  auto& limits = config.protection.limits;
  limits.flows.unknown = limits.fragments.unknown = limits.malformed.unknown = {.per_s = 1, .burst = 5};
  Lab lab(config);
  for (unsigned i = 0; i < 20; ++i) {
    static_cast<void>(lab.gets_syn({kStranger.address, nat::Be16{static_cast<std::uint16_t>(2000 + i)}}));
    static_cast<void>(lab.gets(kStranger, "INVITE sip:a SIP/2.0\r\n\r\n"));
    FrameSpec later{.source = kStranger, .destination = kExternal};
    later.identification = static_cast<std::uint16_t>(77 + i);
    later.fragment = 8;  // in units of eight bytes: its first fragment never comes
    lab.pipeline().send(kOutside, later);
  }
  CHECK(lab.pipeline().dropped(DropReason::drop_flow_rate) == 15);
  CHECK(lab.pipeline().dropped(DropReason::drop_malformed_rate) == 15);
  CHECK(lab.pipeline().dropped(DropReason::drop_fragment_rate) == 15);
}

TEST_CASE("what a flood brings along costs no memory that is not given back", "[pipeline][guard]") {
  Lab lab;
  for (std::uint32_t i = 0; i < 5000; ++i) {
    const Endpoint source{nat::Ipv4Address::from_host(0x14000000 + i), nat::Be16{5060}};
    static_cast<void>(lab.gets(source, request("INVITE", i % 2 == 0 ? "sipcli" : "Phone", i)));
  }
  lab.pipeline().pass_s(1);
  CHECK(lab.pipeline().buffers_in_use() == 0);
  CHECK(lab.pipeline().count(dataplane::WorkerCounter::source_live) <= 64);
  CHECK(lab.pipeline().count(dataplane::WorkerCounter::ban_live) <= 110);
}
