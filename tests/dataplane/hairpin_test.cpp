// SPDX-License-Identifier: BSD-3-Clause
// Hairpinning through the real pipeline: whole frames in, whole frames out, with hosts of chosen workers.
#include <catch2/catch.hpp>

#include <map>
#include <random>
#include <set>

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
const Endpoint kServer = endpoint("198.51.100.7", 3478);
constexpr unsigned kInside = PipelineLab::kInside;

std::uint8_t number_of(Protocol protocol) {
  return nat::ip_protocol(protocol);
}

/// Who owns what: the worker that receives, that of the sender, and that of the host that is reached.
struct Owners {
  unsigned workers;
  unsigned receiver;
  unsigned sender;
  unsigned reached;
};
constexpr Owners kOwners[] = {{1, 0, 0, 0}, {2, 0, 0, 1}, {2, 1, 0, 1},
                              {3, 0, 0, 0}, {3, 0, 1, 2}, {3, 2, 1, 0}};

/// A lab with a static forward to a host inside, and another host.
struct Pair {
  explicit Pair(Owners owners, Protocol protocol = Protocol::udp) : lab(config(owners, protocol)) {
    sender = {lab.host_of(owners.sender), Be16{4000}};
    reached = {lab.host_of(owners.reached, 1), Be16{5061}};
  }
  static config::Config config(Owners owners, Protocol protocol) {
    auto config = lab_config(owners.workers);
    const PipelineLab probe(config);
    config.nat.forwards = {{protocol, {kExternal, Be16{6000}}, {host_in(probe, owners.reached), Be16{5061}}}};
    return config;
  }
  /// The second host that a worker owns, as PipelineLab::host_of() counts.
  static nat::Ipv4Address host_in(const PipelineLab& lab, unsigned worker) {
    for (std::uint32_t number = 0x0a000010, n = 0;; ++number) {
      const auto host = nat::Ipv4Address::from_host(number);
      if (lab.steering().owner_of_inside(host) == worker && n++ == 1) return host;
    }
  }

  PipelineLab lab;
  Endpoint sender;
  Endpoint reached;
  Endpoint forward{kExternal, Be16{6000}};
};

/// The IPv4 datagram of a frame.
Frame datagram_of(const FrameSpec& spec) {
  const auto frame = make_frame(spec);
  return {frame.begin() + 14, frame.end()};
}

FrameSpec flow(Protocol protocol, Endpoint source, Endpoint destination, std::uint8_t ttl = 64) {
  return {.protocol = number_of(protocol), .source = source, .destination = destination, .ttl = ttl};
}

/// An ICMP error that quotes a whole packet.
FrameSpec error(nat::Ipv4Address source, nat::Ipv4Address destination, nat::IcmpError error,
                const FrameSpec& about, std::uint8_t ttl) {
  FrameSpec spec{.protocol = nat::kIpProtocolIcmp,
                 .source = {source, {}},
                 .destination = {destination, {}},
                 .ttl = ttl,
                 .icmp_type = error.type,
                 .icmp_code = error.code,
                 .icmp_sequence = error.mtu,
                 .payload = datagram_of(about)};
  return spec;
}

}  // namespace

TEST_CASE("an inside host reaches another by its external endpoint, and is seen by its own",
          "[dataplane][hairpin][rfc4787-req9][rfc5382-req8]") {
  for (const auto owners : kOwners) {
    for (const auto protocol : {Protocol::udp, Protocol::tcp}) {
      DYNAMIC_SECTION(nat::name(protocol)
                      << " with " << owners.workers << " workers, received by " << owners.receiver
                      << ", from a host of " << owners.sender << " to one of " << owners.reached) {
        Pair pair(owners, protocol);
        auto& lab = pair.lab;
        auto there = flow(protocol, pair.sender, pair.forward);
        there.tcp_flags = nat::TcpHeader::kSyn;
        const auto out = lab.send(kInside, there, owners.receiver);
        const auto sender_external = lab.mapping(protocol, pair.sender).external;
        CHECK(sender_external.address == kExternal);
        auto expected = there;
        expected.source = sender_external;
        expected.destination = pair.reached;
        expected.ttl = 63;
        CHECK(out == std::vector{lab.leaves(kInside, expected, pair.reached.address)});

        auto back = flow(protocol, pair.reached, sender_external);
        back.tcp_flags = nat::TcpHeader::kSyn | nat::TcpHeader::kAck;
        const auto answer = lab.send(kInside, back, owners.receiver);
        expected = back;
        expected.source = pair.forward;
        expected.destination = pair.sender;
        expected.ttl = 63;
        CHECK(answer == std::vector{lab.leaves(kInside, expected, pair.sender.address)});

        CHECK(lab.drops().empty());
        CHECK(lab.count(WorkerCounter::hairpinned) == 2);
        CHECK(lab.count(WorkerCounter::translated_out) == 2);
        CHECK(lab.count(WorkerCounter::translated_in) == 2);
        CHECK(lab.buffers_in_use() == 0);
      }
    }
  }
}

TEST_CASE("what is turned around is filtered like what comes from outside",
          "[dataplane][hairpin][rfc4787-req8][rfc4787-req9]") {
  auto config = lab_config(2);
  config.nat.pool = {kExternal, address("203.0.113.2"), address("203.0.113.3"), address("203.0.113.4")};
  PipelineLab lab(config);
  const Endpoint first{lab.host_of(0), Be16{4000}};
  // A host whose external address is another one.
  Endpoint second{lab.host_of(1), Be16{4000}};
  const auto pool_index = [&](const Endpoint& host) { return nat::pool_index_of_inside(host.address, 4); };
  for (unsigned n = 1; pool_index(second) == pool_index(first); ++n) second.address = lab.host_of(1, n);

  lab.send(kInside, flow(Protocol::udp, first, kServer));
  lab.send(kInside, flow(Protocol::udp, second, kServer));
  const auto first_external = lab.mapping(Protocol::udp, first).external;
  const auto second_external = lab.mapping(Protocol::udp, second).external;

  CHECK(lab.send(kInside, flow(Protocol::udp, first, second_external)).empty());
  CHECK(lab.dropped(DropReason::drop_filtered) == 1);
  // The other way finds the door open now, and opens its own.
  CHECK(lab.send(kInside, flow(Protocol::udp, second, first_external)).size() == 1);
  CHECK(lab.send(kInside, flow(Protocol::udp, first, second_external)).size() == 1);
  CHECK(lab.drops().size() == 1);
}

TEST_CASE("a packet that is turned around loses one hop", "[dataplane][hairpin][rfc4787-req9]") {
  Pair pair({2, 0, 0, 1});
  auto& lab = pair.lab;
  const auto last = flow(Protocol::udp, pair.sender, pair.forward, 2);
  auto expected = last;
  expected.ttl = 1;
  const auto out = lab.send(kInside, last);
  expected.source = lab.mapping(Protocol::udp, pair.sender).external;
  expected.destination = pair.reached;
  CHECK(out == std::vector{lab.leaves(kInside, expected, pair.reached.address)});

  const auto dead = lab.send(kInside, flow(Protocol::udp, pair.sender, pair.forward, 1));
  REQUIRE(dead.size() == 1);
  CHECK(dead[0].frame[14 + 20] == std::byte{11});  // time exceeded
  CHECK(lab.dropped(DropReason::drop_ttl_expired) == 1);
}

TEST_CASE("external ports that stand for nobody stay silent from inside too", "[dataplane][hairpin]") {
  Pair pair({2, 0, 0, 1});
  auto& lab = pair.lab;
  for (const auto protocol : {Protocol::udp, Protocol::tcp}) {
    CHECK(lab.send(kInside, flow(protocol, pair.sender, {kExternal, Be16{6001}})).empty());
  }
  CHECK(lab.dropped(DropReason::drop_no_mapping) == 2);
  CHECK(lab.drops().size() == 1);
}

TEST_CASE("a host that sends to its own external endpoint hears itself, once", "[dataplane][hairpin]") {
  Pair pair({2, 1, 0, 1});
  auto& lab = pair.lab;
  lab.send(kInside, flow(Protocol::udp, pair.sender, kServer));
  const auto external = lab.mapping(Protocol::udp, pair.sender).external;
  const auto spec = flow(Protocol::udp, pair.sender, external);
  // Nothing was sent to the external address before; this packet opens the way for itself.
  auto expected = spec;
  expected.source = external;
  expected.destination = pair.sender;
  expected.ttl = 63;
  CHECK(lab.send(kInside, spec) == std::vector{lab.leaves(kInside, expected, pair.sender.address)});
  CHECK(lab.count(WorkerCounter::hairpinned) == 1);
}

TEST_CASE("the mark of a hairpin does not come in by the wire", "[dataplane][hairpin]") {
  Pair pair({1, 0, 0, 0});
  // From outside, to an external address, as a forged answer would come: there is no second round.
  CHECK(pair.lab.send(PipelineLab::kOutside, flow(Protocol::udp, kServer, {kExternal, Be16{7000}})).empty());
  CHECK(pair.lab.count(WorkerCounter::hairpinned) == 0);
}

TEST_CASE("a ping to an external address is answered by us", "[dataplane][hairpin][rfc5508-req7]") {
  Pair pair({2, 0, 1, 0});
  auto& lab = pair.lab;
  const auto ping = flow(Protocol::icmp, {pair.sender.address, Be16{77}}, {kExternal, {}});
  auto expected = ping;
  expected.icmp_type = nat::IcmpHeader::kEchoReply;
  expected.source = {kExternal, {}};
  expected.destination = {pair.sender.address, Be16{77}};
  CHECK(lab.send(kInside, ping) == std::vector{lab.leaves(kInside, expected, pair.sender.address)});
  CHECK(lab.count(WorkerCounter::hairpinned) == 0);
}

TEST_CASE("an ICMP error about a hairpinned packet finds its sender with every address translated",
          "[dataplane][hairpin][rfc5508-req7]") {
  for (const auto owners : kOwners) {
    DYNAMIC_SECTION(owners.workers << " workers, received by " << owners.receiver << ", from a host of "
                                   << owners.reached << " to one of " << owners.sender) {
      Pair pair(owners);
      auto& lab = pair.lab;
      const auto original = flow(Protocol::udp, pair.sender, pair.forward);
      REQUIRE(lab.send(kInside, original, owners.receiver).size() == 1);
      const auto external = lab.mapping(Protocol::udp, pair.sender).external;
      // The reached host complains about what it saw.
      const auto seen = flow(Protocol::udp, external, pair.reached, 63);
      const auto complaint = error(pair.reached.address, kExternal, nat::kPortUnreachable, seen, 64);
      const auto out = lab.send(kInside, complaint, owners.receiver);
      // Its sender is told about what it sent, by the address that it sent to.
      const auto sent = flow(Protocol::udp, pair.sender, pair.forward, 63);
      const auto expected = error(kExternal, pair.sender.address, nat::kPortUnreachable, sent, 63);
      CHECK(out == std::vector{lab.leaves(kInside, expected, pair.sender.address)});
      CHECK(lab.drops().empty());
      CHECK(lab.buffers_in_use() == 0);
    }
  }
}

TEST_CASE("a hairpinned packet that is too big for its way in is answered with the MTU of that way",
          "[dataplane][hairpin][rfc4787-req13][rfc5508-req7]") {
  for (const unsigned workers : {1U, 2U}) {
    DYNAMIC_SECTION(workers << " workers") {
      auto config = lab_config(workers);
      config.interfaces.push_back({.name = "narrow",
                                   .device = {},
                                   .zone = config::Zone::inside,
                                   .address = {address("192.168.0.1"), 24},
                                   .gateway = {},
                                   .mtu = 1000});
      const auto narrow = endpoint("192.168.0.9", 5061);
      const Endpoint forward{kExternal, Be16{6000}};
      config.nat.forwards = {{Protocol::udp, forward, narrow}};
      PipelineLab lab(config);
      lab.add_neighbor(2, narrow.address);
      const unsigned owner = lab.steering().owner_of_inside(narrow.address);
      const Endpoint sender{lab.host_of((owner + 1) % workers), Be16{4000}};
      auto big = flow(Protocol::udp, sender, forward);
      big.fragment = nat::Ipv4Header::kDontFragment;
      big.payload.assign(1200, std::byte{7});
      const auto out = lab.send(kInside, big);
      REQUIRE(out.size() == 1);
      CHECK(out[0].interface == kInside);
      const auto& frame = out[0].frame;
      CHECK(checksums_right(frame));
      const auto at16 = [&](std::size_t at) {
        return std::to_integer<unsigned>(frame[at]) << 8U | std::to_integer<unsigned>(frame[at + 1]);
      };
      CHECK(at16(34) == 0x0304);  // fragmentation needed
      CHECK(at16(40) == 1000);
      // To the sender, quoting its own endpoint.
      const auto address_at = [&](std::size_t at) {
        return nat::Ipv4Address::from_host(at16(at) << 16U | at16(at + 2));
      };
      CHECK(address_at(30) == sender.address);
      CHECK(address_at(42 + 12) == sender.address);
      CHECK(address_at(42 + 16) == kExternal);
      CHECK(at16(42 + 20) == sender.port.host());
      CHECK(at16(42 + 22) == 6000);
      CHECK(lab.buffers_in_use() == 0);
    }
  }
}

TEST_CASE("hairpinned traffic of many hosts agrees with a plain model",
          "[dataplane][hairpin][rfc4787-req9]") {
  const auto seed = std::random_device{}();
  INFO("seed " << seed);
  std::mt19937 random(seed);
  constexpr unsigned kWorkers = 3;
  auto config = lab_config(kWorkers);
  config.nat.pool = {kExternal, address("203.0.113.2"), address("203.0.113.3")};
  PipelineLab lab(config);
  const auto below = [&](unsigned bound) { return static_cast<unsigned>(random() % bound); };

  using Key = std::pair<Protocol, Endpoint>;
  std::map<Key, Endpoint> external;                          // inside endpoint → what it is seen by
  std::map<std::pair<Protocol, Endpoint>, Endpoint> inside;  // and back
  std::set<std::pair<Key, nat::Ipv4Address>> spoken;         // inside endpoint has sent to this address
  std::vector<Endpoint> hosts;
  for (unsigned i = 0; i < 12; ++i) {
    hosts.push_back({lab.host_of(i % kWorkers, i), Be16{static_cast<std::uint16_t>(2000 + below(3))}});
  }
  unsigned delivered = 0;
  unsigned refused = 0;
  for (unsigned step = 0; step < 3000; ++step) {
    const auto protocol = below(2) == 0 ? Protocol::udp : Protocol::tcp;
    const auto& from = hosts[below(static_cast<unsigned>(hosts.size()))];
    const auto& to = hosts[below(static_cast<unsigned>(hosts.size()))];
    const Key sender{protocol, from};
    const auto target = external.find({protocol, to});
    const auto destination = target == external.end() || below(20) == 0 ? kServer : target->second;
    auto spec = flow(protocol, from, destination, static_cast<std::uint8_t>(2 + below(200)));
    spec.payload.resize(below(300));
    const auto out = lab.send(kInside, spec, below(kWorkers));

    const auto now = lab.mapping(protocol, from).external;
    const auto [known, is_new] = external.try_emplace(sender, now);
    REQUIRE(known->second == now);
    if (is_new) REQUIRE(inside.try_emplace({protocol, now}, from).second);
    spoken.insert({sender, destination.address});
    auto expected = spec;
    expected.source = now;
    --expected.ttl;
    if (destination == kServer) {
      REQUIRE(out == std::vector{lab.leaves(PipelineLab::kOutside, expected, address("203.0.113.254"))});
    } else if (spoken.contains({{protocol, to}, now.address})) {
      expected.destination = to;
      REQUIRE(out == std::vector{lab.leaves(kInside, expected, to.address)});
      ++delivered;
    } else {
      REQUIRE(out.empty());
      ++refused;
    }
  }
  CHECK(delivered > 500);
  CHECK(refused > 0);
  CHECK(lab.dropped(DropReason::drop_filtered) == refused);
  CHECK(lab.drops().size() == 1);
  CHECK(lab.buffers_in_use() == 0);
}
