// SPDX-License-Identifier: BSD-3-Clause
// Fragments through the real pipeline: whole frames in, whole frames out, received by workers in turn.
#include <algorithm>
#include <catch2/catch.hpp>

#include <cstring>
#include <set>

#include "dataplane/context.hpp"
#include "tests/support/pipeline_lab.hpp"

using namespace pinhole;
using namespace pinhole::test;
using dataplane::WorkerCounter;
using nat::Be16;
using nat::DropReason;
using nat::Endpoint;
using nat::Protocol;

namespace {

const Endpoint kServer = endpoint("198.51.100.7", 3478);
const Endpoint kStranger = endpoint("198.51.100.99", 3478);
const nat::Ipv4Address kGateway = address("203.0.113.254");
constexpr unsigned kInside = PipelineLab::kInside;
constexpr unsigned kOutside = PipelineLab::kOutside;
// Three pieces of about the same size.
constexpr std::size_t kPayload = 1500;
const std::vector<std::size_t> kThirds = {504, 1008};

FrameSpec flow(Protocol protocol, Endpoint source, Endpoint destination, std::uint16_t identification = 7) {
  FrameSpec spec{.protocol = nat::ip_protocol(protocol), .source = source, .destination = destination};
  spec.identification = identification;
  spec.payload.resize(kPayload);
  for (std::size_t i = 0; i < kPayload; ++i) spec.payload[i] = static_cast<std::byte>(i * 31 >> 3U);
  if (protocol == Protocol::icmp) spec.destination.port = {};
  return spec;
}
/// What comes back, seen from outside.
FrameSpec reply(Protocol protocol, Endpoint external, std::uint16_t identification = 9) {
  auto spec = flow(protocol, kServer, external, identification);
  if (protocol == Protocol::icmp) {
    spec.source.port = {};
    spec.destination.port = external.port;
    spec.icmp_type = nat::IcmpHeader::kEchoReply;
  }
  return spec;
}

/// Puts a frame on the wire, from whomever to us.
void receive(PipelineLab& lab, unsigned interface, Frame frame, unsigned worker) {
  const auto own = lab.own_mac(interface);
  std::memcpy(frame.data(), own.bytes.data(), own.bytes.size());
  lab.receive_frame(interface, frame, worker);
}
/// The fragments of a frame as they must leave.
std::vector<Sent> leave(const PipelineLab& lab, unsigned interface, const FrameSpec& spec,
                        nat::Ipv4Address neighbor, const std::vector<std::size_t>& ends) {
  std::vector<Sent> all;
  for (auto& piece : cut(lab.leaves(interface, spec, neighbor).frame, ends)) {
    all.push_back({interface, std::move(piece)});
  }
  return all;
}
std::uint16_t identification_of(const Frame& frame) {
  return static_cast<std::uint16_t>(std::to_integer<unsigned>(frame[18]) << 8U |
                                    std::to_integer<unsigned>(frame[19]));
}
/// The first fragment leaves first; of the others, those that had to wait may be behind those that had not.
bool same(const std::vector<Sent>& sent, const std::vector<Sent>& expected) {
  return !sent.empty() && sent.front() == expected.front() && std::ranges::is_permutation(sent, expected);
}
bool has_icmp_error(const std::vector<Sent>& sent) {
  return std::ranges::any_of(sent, [](const Sent& each) {
    return each.frame[23] == std::byte{nat::kIpProtocolIcmp} && each.frame[34] == std::byte{3};
  });
}

/// An inside host of the last worker, with the mapping that a small packet made.
struct Scene {
  explicit Scene(unsigned workers, Protocol protocol = Protocol::udp, config::Config config = lab_config())
      : lab(with_workers(std::move(config), workers)), host{lab.host_of(workers - 1), Be16{4000}} {
    auto opening = flow(protocol, host, kServer);
    opening.payload.resize(20);
    opening.tcp_flags = nat::TcpHeader::kSyn;
    REQUIRE(lab.send(kInside, opening).size() == 1);
    external = lab.mapping(protocol, host).external;
    if (protocol != Protocol::tcp) return;
    auto answer = reply(protocol, external);
    answer.payload.resize(0);
    answer.tcp_flags = nat::TcpHeader::kSyn | nat::TcpHeader::kAck;
    REQUIRE(lab.send(kOutside, answer).size() == 1);
  }
  static config::Config with_workers(config::Config config, unsigned workers) {
    config.workers.count = workers;
    return config;
  }

  PipelineLab lab;
  Endpoint host;
  Endpoint external;
};

}  // namespace

TEST_CASE("three fragments pass both ways in any order, whichever workers receive them",
          "[dataplane][fragments][rfc4787-req14]") {
  for (const unsigned workers : {1U, 3U}) {
    for (const auto protocol : {Protocol::udp, Protocol::tcp, Protocol::icmp}) {
      DYNAMIC_SECTION(nat::name(protocol) << " with " << workers << " workers") {
        Scene scene(workers, protocol);
        auto& lab = scene.lab;
        std::vector<int> order = {0, 1, 2};
        std::uint16_t identification = 100;
        std::set<std::uint16_t> numbers;
        do {
          INFO("order " << order[0] << order[1] << order[2]);
          const auto there = flow(protocol, scene.host, kServer, ++identification);
          const auto pieces = cut(make_frame(there), kThirds);
          for (unsigned i = 0; i < 3; ++i) {
            receive(lab, kInside, pieces[static_cast<std::size_t>(order[i])], (identification + i) % workers);
          }
          const auto out = lab.run();
          REQUIRE(out.size() == 3);
          auto expected = there;
          expected.source = scene.external;
          expected.ttl = 63;
          expected.identification = identification_of(out[0].frame);  // new, the same in all three
          CHECK(numbers.insert(expected.identification).second);
          CHECK(same(out, leave(lab, kOutside, expected, kGateway, kThirds)));

          const auto back = reply(protocol, scene.external, identification);
          const auto back_pieces = cut(make_frame(back), kThirds);
          for (unsigned i = 0; i < 3; ++i) {
            receive(lab, kOutside, back_pieces[static_cast<std::size_t>(order[i])],
                    (identification + i) % workers);
          }
          expected = back;
          expected.destination = scene.host;
          expected.ttl = 63;
          CHECK(same(lab.run(), leave(lab, kInside, expected, scene.host.address, kThirds)));
        } while (std::ranges::next_permutation(order).found);
        CHECK(lab.drops().empty());
        CHECK(lab.count(WorkerCounter::fragment_in) == 36);
        CHECK(lab.buffers_in_use() == 0);
      }
    }
  }
}

TEST_CASE("the first fragment makes a mapping", "[dataplane][fragments][rfc4787-req1]") {
  PipelineLab lab(lab_config(3));
  const Endpoint host{lab.host_of(1), Be16{4000}};
  const auto pieces = cut(make_frame(flow(Protocol::udp, host, kServer)), kThirds);
  for (const unsigned which : {2U, 1U, 0U}) receive(lab, kInside, pieces[which], which % 3);
  CHECK(lab.run().size() == 3);
  CHECK(lab.count(nat::Counter::mapping_created) == 1);
  const auto& mapping = lab.mapping(Protocol::udp, host);
  CHECK(mapping.remote == kServer);
  CHECK(mapping.packets_out == 3);
}

TEST_CASE("fragments are filtered like whole packets", "[dataplane][fragments][rfc4787-req8]") {
  Scene scene(3);
  auto& lab = scene.lab;
  const auto send = [&](Endpoint from, Endpoint to) {
    auto spec = flow(Protocol::udp, from, to);
    const auto pieces = cut(make_frame(spec), kThirds);
    for (const unsigned which : {1U, 0U, 2U}) receive(lab, kOutside, pieces[which], which);
    return lab.run().size();
  };
  CHECK(send(kServer, scene.external) == 3);
  CHECK(send(kStranger, scene.external) == 0);
  CHECK(lab.dropped(DropReason::drop_filtered) == 3);
  const Endpoint nobody{scene.external.address,
                        Be16{static_cast<std::uint16_t>(scene.external.port.host() ^ 2U)}};
  CHECK(send(kServer, nobody) == 0);
  CHECK(lab.dropped(DropReason::drop_no_mapping) == 3);
  CHECK(lab.buffers_in_use() == 0);
}

TEST_CASE("a datagram that gets no port is refused once", "[dataplane][fragments][rfc5508-req8]") {
  auto config = lab_config();
  config.nat.mappings_per_worker = 64;
  PipelineLab lab(config);
  const auto host = lab.host_of(0);
  for (std::uint16_t port = 1; port <= 64; ++port) {
    auto spec = flow(Protocol::udp, {host, Be16{static_cast<std::uint16_t>(4000 + port)}}, kServer);
    spec.payload.resize(20);
    REQUIRE(lab.send(kInside, spec).size() == 1);
  }
  for (const auto& piece : cut(make_frame(flow(Protocol::udp, {host, Be16{3000}}, kServer)), kThirds)) {
    receive(lab, kInside, piece, 0);
  }
  const auto sent = lab.run();
  REQUIRE(sent.size() == 1);
  CHECK(sent[0].interface == kInside);
  CHECK(has_icmp_error(sent));
  CHECK(lab.dropped(DropReason::drop_table_full) == 1);
  CHECK(lab.dropped(DropReason::drop_no_mapping) == 2);
}

TEST_CASE("fragments whose first one does not come are dropped and counted, and hold no buffer",
          "[dataplane][fragments][rfc4787-req14a]") {
  for (const unsigned workers : {1U, 3U}) {
    Scene scene(workers);
    auto& lab = scene.lab;
    for (std::uint16_t id = 0; id < 10; ++id) {
      receive(lab, kOutside, cut(make_frame(reply(Protocol::udp, scene.external, id)), kThirds)[1],
              id % workers);
    }
    CHECK(lab.run().empty());
    CHECK(lab.buffers_in_use() == 10);
    lab.pass_s(3);
    CHECK(lab.dropped(DropReason::drop_fragment_timeout) == 10);
    CHECK(lab.buffers_in_use() == 0);
    CHECK(lab.count(WorkerCounter::fragment_waiting) == 0);
  }
}

TEST_CASE("a flood of fragments takes no more buffers than it may, and hurts nobody else",
          "[dataplane][fragments][rfc4787-req14a]") {
  Scene scene(3);
  auto& lab = scene.lab;
  const auto victim = cut(make_frame(reply(Protocol::udp, scene.external)), kThirds);
  receive(lab, kOutside, victim[2], 0);
  // Many times what may wait, and made in far less than a fragment waits.
  for (unsigned i = 0; i < 3000; ++i) {
    auto flood = reply(Protocol::udp, scene.external, static_cast<std::uint16_t>(i));
    flood.source = kStranger;
    flood.payload.resize(200);
    receive(lab, kOutside, cut(make_frame(flood), {104})[1], i % 3);
    if (i % 500 == 0) CHECK(lab.run().empty());
  }
  lab.run();
  CHECK(lab.buffers_in_use() == 3 * dataplane::kFragmentLimits.waiting_of_source + 1);
  receive(lab, kOutside, victim[0], 1);
  receive(lab, kOutside, victim[1], 2);
  CHECK(lab.run().size() == 3);
  lab.pass_s(3);
  CHECK(lab.buffers_in_use() == 0);
}

TEST_CASE("a host reaches another by its external endpoint with fragments, too",
          "[dataplane][fragments][hairpin][rfc4787-req9]") {
  for (const unsigned workers : {1U, 3U}) {
    auto config = lab_config();
    config.nat.filtering.udp = nat::Filter::endpoint_independent;
    Scene scene(workers, Protocol::udp, config);
    auto& lab = scene.lab;
    const Endpoint sender{lab.host_of(0, 1), Be16{4000}};
    std::vector<int> order = {0, 1, 2};
    std::uint16_t identification = 50;
    do {
      const auto there = flow(Protocol::udp, sender, scene.external, ++identification);
      const auto pieces = cut(make_frame(there), kThirds);
      for (unsigned i = 0; i < 3; ++i) {
        receive(lab, kInside, pieces[static_cast<std::size_t>(order[i])], i % workers);
      }
      const auto sent = lab.run();
      REQUIRE(sent.size() == 3);
      auto expected = there;
      expected.source = lab.mapping(Protocol::udp, sender).external;
      expected.destination = scene.host;
      expected.ttl = 63;
      expected.identification = identification_of(sent[0].frame);
      CHECK(same(sent, leave(lab, kInside, expected, scene.host.address, kThirds)));
    } while (std::ranges::next_permutation(order).found);
    CHECK(lab.drops().empty());
    CHECK(lab.buffers_in_use() == 0);
  }
}

TEST_CASE("fragments of what is for ourselves are dropped with a reason of their own",
          "[dataplane][fragments]") {
  Scene scene(1);
  auto& lab = scene.lab;
  const auto send = [&](const FrameSpec& spec) {
    for (const auto& piece : cut(make_frame(spec), kThirds)) receive(lab, kInside, piece, 0);
    return lab.run().size();
  };
  CHECK(send(flow(Protocol::icmp, scene.host, endpoint("10.0.0.1", 0))) == 0);
  CHECK(lab.dropped(DropReason::drop_fragment) == 3);
  CHECK(lab.buffers_in_use() == 0);
}

TEST_CASE("what is larger than its way out is fragmented, both ways and with a number of its own",
          "[dataplane][fragments][rfc4787-req13][rfc6864][rfc7857-10]") {
  for (const unsigned workers : {1U, 3U}) {
    auto config = lab_config();
    config.interfaces[kInside].mtu = 1000;
    config.interfaces[kOutside].mtu = 1200;
    Scene scene(workers, Protocol::udp, config);
    auto& lab = scene.lab;
    std::set<std::uint16_t> numbers;
    for (int round = 0; round < 3; ++round) {
      const auto there = flow(Protocol::udp, scene.host, kServer);
      const auto out = lab.send(kInside, there, workers - 1);
      REQUIRE(out.size() == 2);
      auto expected = there;
      expected.source = scene.external;
      expected.ttl = 63;
      expected.identification = identification_of(out[0].frame);
      CHECK(numbers.insert(expected.identification).second);
      CHECK(out == leave(lab, kOutside, expected, kGateway, {1176}));
    }
    const auto back = reply(Protocol::udp, scene.external);
    auto expected = back;
    expected.destination = scene.host;
    expected.ttl = 63;
    CHECK(lab.send(kOutside, back) == leave(lab, kInside, expected, scene.host.address, {976}));

    // A fragment is cut further, and stays a fragment of its datagram.
    for (const auto& piece : cut(make_frame(back), {1200})) receive(lab, kOutside, piece, 0);
    CHECK(lab.run() == leave(lab, kInside, expected, scene.host.address, {976, 1200}));
    CHECK(lab.drops().empty());
    CHECK(lab.count(WorkerCounter::fragment_out) == 6 + 2 + 2);
    CHECK(lab.buffers_in_use() == 0);
  }
}

TEST_CASE("what may not be fragmented is refused with the MTU of its way out",
          "[dataplane][fragments][rfc4787-req13][rfc1191]") {
  auto config = lab_config();
  config.interfaces[kInside].mtu = 1000;
  config.interfaces[kOutside].mtu = 1200;
  Scene scene(3, Protocol::udp, config);
  auto& lab = scene.lab;
  struct Way {
    unsigned from;
    FrameSpec spec;
    nat::Ipv4Address own;
    nat::Ipv4Address neighbor;
    std::uint16_t mtu;
  };
  auto there = flow(Protocol::udp, scene.host, kServer);
  auto back = reply(Protocol::udp, scene.external);
  there.fragment = back.fragment = nat::Ipv4Header::kDontFragment;
  for (const Way& way : {Way{kInside, there, address("10.0.0.1"), scene.host.address, 1200},
                         Way{kOutside, back, address("203.0.113.1"), kGateway, 1000}}) {
    const auto sent = lab.send(way.from, way.spec, 1);
    REQUIRE(sent.size() == 1);
    CHECK(sent[0].interface == way.from);
    const auto frame = make_frame(way.spec);
    FrameSpec expected{.protocol = nat::kIpProtocolIcmp,
                       .source = {way.own, {}},
                       .destination = {way.spec.source.address, {}}};
    expected.icmp_type = 3;
    expected.icmp_code = 4;
    expected.icmp_sequence = way.mtu;
    const std::size_t quoted = 576 - 28;
    expected.payload.assign(frame.begin() + 14, frame.begin() + 14 + quoted);
    // All but type of service and identification, which are the sender's choice.
    auto error = lab.leaves(way.from, expected, way.neighbor).frame;
    CHECK(Frame(sent[0].frame.begin() + 26, sent[0].frame.end()) == Frame(error.begin() + 26, error.end()));
    CHECK(checksums_right(sent[0].frame));
  }
  CHECK(lab.dropped(DropReason::drop_too_big) == 2);

  // Nobody is told of a later fragment (RFC 1812 section 4.3.2.7).
  auto pieces = cut(make_frame(there), {8});
  receive(lab, kInside, pieces[0], 0);
  REQUIRE(lab.run().size() == 1);
  receive(lab, kInside, pieces[1], 0);
  CHECK(lab.run().empty());
  CHECK(lab.dropped(DropReason::drop_too_big) == 3);
}

TEST_CASE("an error about a fragment of ours finds its way to the host inside",
          "[dataplane][fragments][rfc5508-req4][rfc1191]") {
  Scene scene(3);
  auto& lab = scene.lab;
  const auto there = flow(Protocol::udp, scene.host, kServer);
  for (const auto& piece : cut(make_frame(there), kThirds)) receive(lab, kInside, piece, 0);
  const auto out = lab.run();
  REQUIRE(out.size() == 3);
  const auto error_about = [](const Frame& frame, nat::Ipv4Address to) {
    FrameSpec spec{
        .protocol = nat::kIpProtocolIcmp, .source = {address("192.0.2.77"), {}}, .destination = {to, {}}};
    spec.icmp_type = 3;
    spec.icmp_code = 4;
    spec.icmp_sequence = 1000;
    spec.payload.assign(frame.begin() + 14, frame.begin() + 14 + 48);
    return spec;
  };
  const auto in = lab.send(kOutside, error_about(out[0].frame, scene.external.address), 1);
  // It quotes the fragment as the host has sent it, but for the number and one hop.
  auto as_sent = there;
  as_sent.ttl = 63;
  as_sent.identification = identification_of(out[0].frame);
  auto expected = error_about(cut(make_frame(as_sent), kThirds)[0], scene.host.address);
  expected.ttl = 63;
  CHECK(in == std::vector{lab.leaves(kInside, expected, scene.host.address)});

  // A later fragment has no ports by which its host could be found.
  CHECK(lab.send(kOutside, error_about(out[1].frame, scene.external.address), 1).empty());
  CHECK(lab.dropped(DropReason::drop_icmp_error_no_mapping) == 1);
}
