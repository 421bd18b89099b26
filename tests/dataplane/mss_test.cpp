// SPDX-License-Identifier: BSD-3-Clause
// The maximum segment size that SYNs announce is lowered to what fits the way between both hosts.
#include <catch2/catch.hpp>

#include "tests/support/flows.hpp"
#include "tests/support/pipeline_lab.hpp"

using namespace pinhole;
using namespace pinhole::test;
using nat::Be16;
using nat::Endpoint;
using nat::Protocol;
using nat::TcpHeader;

namespace {

const nat::Ipv4Address kExternal = address("203.0.113.1");
const nat::Ipv4Address kGateway = address("203.0.113.254");
const Endpoint kServer = endpoint("198.51.100.7", 443);
constexpr unsigned kInside = PipelineLab::kInside;
constexpr unsigned kOutside = PipelineLab::kOutside;
constexpr unsigned kSyn = TcpHeader::kSyn;
constexpr unsigned kSynAck = TcpHeader::kSyn | TcpHeader::kAck;

/// A segment that announces a size; 0: none.
FrameSpec segment(Endpoint from, Endpoint to, unsigned flags, std::uint16_t mss, std::uint8_t ttl = 64) {
  auto spec = outward(Protocol::tcp, from, to, ttl);
  spec.tcp_flags = static_cast<std::uint8_t>(flags);
  spec.tcp_mss = mss;
  spec.payload.clear();
  return spec;
}

config::Config config_with(std::uint16_t inside_mtu, std::uint16_t outside_mtu, unsigned workers = 1) {
  auto config = lab_config(workers);
  config.interfaces[kInside].mtu = inside_mtu;
  config.interfaces[kOutside].mtu = outside_mtu;
  return config;
}

/// Opens a connection in which both hosts announce `mss`, and expects both to be told `told`.
void open(PipelineLab& lab, Endpoint host, std::uint16_t mss, std::uint16_t told, std::uint8_t words = 0) {
  const auto with_options = [words](FrameSpec spec) {
    spec.tcp_option_words = words;
    return spec;
  };
  const auto out = lab.send(kInside, with_options(segment(host, kServer, kSyn, mss)));
  const auto external = lab.mapping(Protocol::tcp, host).external;
  CHECK(out == std::vector{
                   lab.leaves(kOutside, with_options(segment(external, kServer, kSyn, told, 63)), kGateway)});
  CHECK(lab.send(kOutside, with_options(segment(kServer, external, kSynAck, mss))) ==
        std::vector{
            lab.leaves(kInside, with_options(segment(kServer, host, kSynAck, told, 63)), host.address)});
}

}  // namespace

TEST_CASE("both hosts hear of the smaller MTU, whichever side has it", "[dataplane][mss][rfc6691]") {
  struct Row {
    std::uint16_t inside_mtu;
    std::uint16_t outside_mtu;
    std::uint16_t mss;
    std::uint16_t told;
  };
  for (const auto& row : {Row{1500, 1400, 1460, 1360},
                          {1400, 1500, 1460, 1360},
                          {9000, 1500, 8960, 1460},
                          {1500, 1500, 1460, 1460},
                          {1500, 1400, 1360, 1360},
                          {1500, 1400, 536, 536},
                          {1500, 1400, 0, 0}}) {
    for (const unsigned workers : {1U, 2U}) {
      DYNAMIC_SECTION(row.inside_mtu << " and " << row.outside_mtu << ", " << row.mss << " announced, "
                                     << workers << " workers") {
        PipelineLab lab(config_with(row.inside_mtu, row.outside_mtu, workers));
        open(lab, {lab.host_of(workers - 1), Be16{4000}}, row.mss, row.told);
        CHECK(lab.drops().empty());
      }
    }
  }
}

TEST_CASE("the option is found behind others", "[dataplane][mss]") {
  PipelineLab lab(config_with(1500, 1400));
  for (const std::uint8_t words : std::initializer_list<std::uint8_t>{1, 2, 9}) {
    open(lab, {lab.host_of(0), Be16{static_cast<std::uint16_t>(4000 + words)}}, 1460, 1360, words);
  }
}

TEST_CASE("what the hosts then send fits, and nobody has to complain", "[dataplane][mss]") {
  PipelineLab lab(config_with(1500, 1400));
  const Endpoint host{lab.host_of(0), Be16{4000}};
  open(lab, host, 1460, 1360);
  const auto external = lab.mapping(Protocol::tcp, host).external;
  auto data = segment(host, kServer, TcpHeader::kAck, 0);
  data.fragment = nat::Ipv4Header::kDontFragment;
  data.payload.resize(1360);
  auto expected = data;
  expected.source = external;
  expected.ttl = 63;
  CHECK(lab.send(kInside, data) == std::vector{lab.leaves(kOutside, expected, kGateway)});
  CHECK(lab.drops().empty());
}

TEST_CASE("the size may be chosen, or left to the hosts", "[dataplane][mss]") {
  auto config = config_with(1500, 1400);
  SECTION("1200") {
    config.nat.tcp.mss = {1200};
    PipelineLab lab(config);
    open(lab, {lab.host_of(0), Be16{4000}}, 1460, 1200);
    open(lab, {lab.host_of(0), Be16{4001}}, 1199, 1199);
  }
  SECTION("off") {
    config.nat.tcp.mss = {config::Mss::kOff};
    PipelineLab lab(config);
    open(lab, {lab.host_of(0), Be16{4000}}, 1460, 1460);
    open(lab, {lab.host_of(0), Be16{4001}}, 65535, 65535);
  }
}

TEST_CASE("segments without SYN, and pieces of those with it, stay as they are", "[dataplane][mss]") {
  PipelineLab lab(config_with(1500, 1400));
  const Endpoint host{lab.host_of(0), Be16{4000}};
  open(lab, host, 1460, 1360);
  const auto external = lab.mapping(Protocol::tcp, host).external;
  CHECK(lab.send(kInside, segment(host, kServer, TcpHeader::kAck, 1460)) ==
        std::vector{lab.leaves(kOutside, segment(external, kServer, TcpHeader::kAck, 1460, 63), kGateway)});

  auto whole = segment(host, kServer, kSyn, 1460);
  whole.payload.resize(64);
  const auto pieces = cut(make_frame(whole), {40});
  for (const auto& piece : pieces) {
    auto frame = piece;
    const auto own = lab.own_mac(kInside);
    std::copy(own.bytes.begin(), own.bytes.end(), reinterpret_cast<std::uint8_t*>(frame.data()));
    lab.receive_frame(kInside, frame);
  }
  const auto out = lab.run();
  REQUIRE(out.size() == 2);
  CHECK(out[0].frame[14 + 20 + 22] == std::byte{1460 >> 8});
  CHECK(out[0].frame[14 + 20 + 23] == std::byte{1460 & 0xff});
}

TEST_CASE("between two hosts inside, their own interfaces count", "[dataplane][mss][hairpin]") {
  for (const unsigned workers : {1U, 2U}) {
    for (const std::uint16_t narrow : {std::uint16_t{1500}, std::uint16_t{1300}}) {
      DYNAMIC_SECTION(workers << " workers, an MTU of " << narrow) {
        auto config = config_with(1500, 1400, workers);
        config.interfaces.push_back({.name = "second",
                                     .device = {},
                                     .zone = config::Zone::inside,
                                     .address = {address("172.20.0.1"), 16},
                                     .gateway = {},
                                     .mtu = narrow});
        const auto server = endpoint("172.20.0.9", 443);
        config.nat.forwards = {{Protocol::tcp, {kExternal, Be16{443}}, server}};
        PipelineLab lab(config);
        lab.add_neighbor(2, server.address);
        const Endpoint host{lab.host_of(0), Be16{4000}};
        const std::uint16_t told = narrow == 1500 ? 1460 : 1260;
        const auto in = lab.send(kInside, segment(host, {kExternal, Be16{443}}, kSyn, 1460));
        const auto external = lab.mapping(Protocol::tcp, host).external;
        CHECK(in == std::vector{lab.leaves(2, segment(external, server, kSyn, told, 63), server.address)});
        const auto back = lab.send(2, segment(server, external, kSynAck, 1460));
        const auto expected = segment({kExternal, Be16{443}}, host, kSynAck, told, 63);
        CHECK(back == std::vector{lab.leaves(kInside, expected, host.address)});
      }
    }
  }
}

TEST_CASE("in route mode, too", "[dataplane][mss][untranslated][route]") {
  auto config = config_with(1500, 1400);
  config.nat.route = {{"inside", "outside"}};
  PipelineLab lab(config);
  const Endpoint host{lab.host_of(0), Be16{4000}};
  CHECK(lab.send(kInside, segment(host, kServer, kSyn, 1460)) ==
        std::vector{lab.leaves(kOutside, segment(host, kServer, kSyn, 1360, 63), kGateway)});
  CHECK(lab.send(kOutside, segment(kServer, host, kSynAck, 1460)) ==
        std::vector{lab.leaves(kInside, segment(kServer, host, kSynAck, 1360, 63), host.address)});
}
