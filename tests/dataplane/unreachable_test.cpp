// SPDX-License-Identifier: BSD-3-Clause
// Packets whose next hop does not answer ARP: their sender is told that the host cannot be reached, about the
// packet as it was before it was translated.
#include <catch2/catch.hpp>

#include "tests/support/flows.hpp"
#include "tests/support/pipeline_lab.hpp"

using namespace pinhole;
using namespace pinhole::test;
using dataplane::WorkerCounter;
using nat::Be16;
using nat::DropReason;
using nat::Endpoint;
using nat::Protocol;

namespace {

const nat::Ipv4Address kExternal = address("203.0.113.1");
const nat::Ipv4Address kGateway = address("203.0.113.254");
const Endpoint kServer = endpoint("198.51.100.7", 443);
// Behind a router that is not there.
const Endpoint kLost = endpoint("198.18.0.7", 443);
const nat::Ipv4Address kLostHost = address("10.0.0.77");
constexpr unsigned kInside = PipelineLab::kInside;
constexpr unsigned kOutside = PipelineLab::kOutside;
constexpr Protocol kAllProtocols[] = {Protocol::udp, Protocol::tcp, Protocol::icmp};

config::Config config_with(unsigned workers) {
  auto config = lab_config(workers);
  config.routes = {{{address("198.18.0.0"), 15}, address("203.0.113.200")}};
  return config;
}

/// What is sent when the neighbour has not answered: it is asked for three seconds, and its turn to be looked
/// at comes every fourth tick.
std::vector<Sent> give_up(PipelineLab& lab) {
  std::vector<Sent> all;
  for (unsigned second = 0; second < 8; ++second) {
    lab.pass_s(1);
    for (auto& sent : lab.run()) all.push_back(std::move(sent));
  }
  return all;
}

}  // namespace

TEST_CASE("an inside host is told that the way out is dead", "[dataplane][unreachable][rfc1812]") {
  for (const unsigned workers : {1U, 3U}) {
    for (const auto protocol : kAllProtocols) {
      DYNAMIC_SECTION(nat::name(protocol) << ", " << workers << " workers") {
        PipelineLab lab(config_with(workers));
        const Endpoint host{lab.host_of(workers - 1), Be16{4000}};
        const auto sent = outward(protocol, host, kLost);
        CHECK(lab.send(kInside, sent).empty());
        const auto expected =
            own_error(kExternal, host.address, nat::kHostUnreachable, datagram_of(with_ttl(sent, 63)), 63);
        CHECK(give_up(lab) == std::vector{lab.leaves(kInside, expected, host.address)});
        CHECK(lab.drops() == std::map<std::string, std::uint64_t>{{"drop_neighbor_unresolved", 1}});
        CHECK(lab.count(WorkerCounter::icmp_error_out) == 1);
        CHECK(lab.buffers_in_use() == 0);
        // The mapping is as it was.
        CHECK(lab.mapping(protocol, host).packets_out == 1);
      }
    }
  }
}

TEST_CASE("a host outside is told that the host behind its external endpoint is gone",
          "[dataplane][unreachable][rfc1812][rfc5508-req5]") {
  for (const unsigned workers : {1U, 3U}) {
    for (const auto protocol : {Protocol::udp, Protocol::tcp}) {
      DYNAMIC_SECTION(nat::name(protocol) << ", " << workers << " workers") {
        auto config = config_with(workers);
        const Endpoint forward{kExternal, Be16{6000}};
        config.nat.forwards = {{protocol, forward, {kLostHost, Be16{5061}}}};
        PipelineLab lab(config);
        const auto sent = outward(protocol, kServer, forward);
        CHECK(lab.send(kOutside, sent, workers - 1).empty());
        const auto expected =
            own_error(kExternal, kServer.address, nat::kHostUnreachable, datagram_of(with_ttl(sent, 63)), 63);
        CHECK(give_up(lab) == std::vector{lab.leaves(kOutside, expected, kGateway)});
        CHECK(lab.drops() == std::map<std::string, std::uint64_t>{{"drop_neighbor_unresolved", 1}});
        CHECK(lab.buffers_in_use() == 0);
      }
    }
  }
}

TEST_CASE("a host that reaches for another by its external endpoint is told so, too",
          "[dataplane][unreachable][hairpin][rfc5508-req7]") {
  for (const unsigned workers : {1U, 3U}) {
    DYNAMIC_SECTION(workers << " workers") {
      auto config = config_with(workers);
      const Endpoint forward{kExternal, Be16{6000}};
      config.nat.forwards = {{Protocol::udp, forward, {kLostHost, Be16{5061}}}};
      PipelineLab lab(config);
      const Endpoint host{lab.host_of(workers - 1), Be16{4000}};
      const auto sent = outward(Protocol::udp, host, forward);
      CHECK(lab.send(kInside, sent).empty());
      const auto expected =
          own_error(kExternal, host.address, nat::kHostUnreachable, datagram_of(with_ttl(sent, 63)), 63);
      CHECK(give_up(lab) == std::vector{lab.leaves(kInside, expected, host.address)});
      CHECK(lab.drops() == std::map<std::string, std::uint64_t>{{"drop_neighbor_unresolved", 1}});
      CHECK(lab.buffers_in_use() == 0);
    }
  }
}

TEST_CASE("where nothing is translated, the quote is what was sent, less a hop",
          "[dataplane][unreachable][untranslated][rfc1812]") {
  for (const unsigned workers : {1U, 3U}) {
    DYNAMIC_SECTION(workers << " workers") {
      auto config = config_with(workers);
      config.interfaces.push_back({.name = "second",
                                   .device = {},
                                   .zone = config::Zone::inside,
                                   .address = {address("172.20.0.1"), 16},
                                   .gateway = {}});
      config.nat.route = {{"inside", "outside"}};
      const config::EndpointRange opening{{kLostHost, 32}, 0, 0xffff};
      config.nat.static_mappings = {{config::Protocols::all, opening, opening, nat::StaticDirection::both}};
      PipelineLab lab(config);
      const Endpoint host{lab.host_of(workers - 1), Be16{4000}};
      SECTION("between two interfaces inside") {
        const auto sent = outward(Protocol::tcp, host, endpoint("172.20.0.9", 80));
        CHECK(lab.send(kInside, sent).empty());
        const auto expected = own_error(address("172.20.0.1"), host.address, nat::kHostUnreachable,
                                        datagram_of(with_ttl(sent, 63)), 63);
        CHECK(give_up(lab) == std::vector{lab.leaves(kInside, expected, host.address)});
      }
      SECTION("out in route mode") {
        const auto sent = outward(Protocol::udp, host, kLost);
        CHECK(lab.send(kInside, sent).empty());
        const auto expected =
            own_error(kExternal, host.address, nat::kHostUnreachable, datagram_of(with_ttl(sent, 63)), 63);
        CHECK(give_up(lab) == std::vector{lab.leaves(kInside, expected, host.address)});
      }
      SECTION("in in route mode") {
        const auto sent = outward(Protocol::tcp, kServer, {kLostHost, Be16{80}});
        CHECK(lab.send(kOutside, sent).empty());
        const auto expected = own_error(address("10.0.0.1"), kServer.address, nat::kHostUnreachable,
                                        datagram_of(with_ttl(sent, 63)), 63);
        CHECK(give_up(lab) == std::vector{lab.leaves(kOutside, expected, kGateway)});
      }
      CHECK(lab.drops() == std::map<std::string, std::uint64_t>{{"drop_neighbor_unresolved", 1}});
      CHECK(lab.buffers_in_use() == 0);
    }
  }
}

TEST_CASE("of a datagram in fragments the first one is complained about", "[dataplane][unreachable]") {
  auto config = config_with(2);
  config.interfaces[kOutside].mtu = 576;
  PipelineLab lab(config);
  const Endpoint host{lab.host_of(1), Be16{4000}};
  auto sent = outward(Protocol::udp, host, kLost);
  sent.payload.resize(1000);
  CHECK(lab.send(kInside, sent).empty());
  const auto out = give_up(lab);
  REQUIRE(out.size() == 1);
  CHECK(out[0].interface == kInside);
  CHECK(checksums_right(out[0].frame));
  // Its quote has the ports of the host.
  const auto inner = make_frame(sent);
  CHECK(std::equal(inner.begin() + 26, inner.begin() + 38, out[0].frame.begin() + 42 + 12));
  CHECK(lab.dropped(DropReason::drop_neighbor_unresolved) == 2);
  CHECK(lab.buffers_in_use() == 0);
}

TEST_CASE("nothing is said about errors and about answers to pings", "[dataplane][unreachable][rfc1812]") {
  PipelineLab lab(config_with(1));
  const Endpoint host{lab.host_of(0), Be16{4000}};
  SECTION("an error from inside") {
    // A packet of the lost network came in before its router went away.
    REQUIRE(lab.send(kInside, outward(Protocol::udp, host, kLost)).empty());
    const auto external = lab.mapping(Protocol::udp, host).external;
    const auto came = outward(Protocol::udp, kLost, external);
    REQUIRE(lab.send(kOutside, came).size() == 1);
    give_up(lab);
    const auto before = lab.count(WorkerCounter::icmp_error_out);
    const auto seen = outward(Protocol::udp, kLost, host, 63);
    const auto error = icmp_error(host.address, kLost.address, nat::kPortUnreachable, datagram_of(seen));
    CHECK(lab.send(kInside, error).empty());
    CHECK(give_up(lab).empty());
    CHECK(lab.count(WorkerCounter::icmp_error_out) == before);
  }
  SECTION("our own answer to a ping") {
    const auto ping = outward(Protocol::icmp, {kLost.address, Be16{7}}, {kExternal, {}});
    CHECK(lab.send(kOutside, ping).empty());
    CHECK(give_up(lab).empty());
    CHECK(lab.count(WorkerCounter::icmp_error_out) == 0);
    CHECK(lab.dropped(DropReason::drop_neighbor_unresolved) == 1);
  }
  CHECK(lab.buffers_in_use() == 0);
}

TEST_CASE("an interface that is to hear no ICMP of ours does not hear this either",
          "[dataplane][unreachable][rfc5508-req9]") {
  for (const unsigned silent : {kInside, kOutside}) {
    DYNAMIC_SECTION("interface " << silent) {
      auto config = config_with(2);
      config.interfaces[silent].icmp = false;
      PipelineLab lab(config);
      const Endpoint host{lab.host_of(1), Be16{4000}};
      CHECK(lab.send(kInside, outward(Protocol::udp, host, kLost)).empty());
      CHECK(give_up(lab).size() == (silent == kInside ? 0 : 1));
      CHECK(lab.dropped(DropReason::drop_icmp_policy) == (silent == kInside ? 1 : 0));
      CHECK(lab.buffers_in_use() == 0);
    }
  }
}

TEST_CASE("complaints about dead neighbours keep to the rate limit", "[dataplane][unreachable][rfc1812]") {
  auto config = config_with(1);
  config.icmp.errors_per_s = 0;
  PipelineLab lab(config);
  const Endpoint host{lab.host_of(0), Be16{4000}};
  CHECK(lab.send(kInside, outward(Protocol::udp, host, kLost)).empty());
  CHECK(give_up(lab).empty());
  CHECK(lab.dropped(DropReason::drop_neighbor_unresolved) == 1);
}
