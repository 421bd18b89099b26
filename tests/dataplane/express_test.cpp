// SPDX-License-Identifier: BSD-3-Clause
// The express path is held to the regular path: the same packet goes through one lab twice, by either path,
// and must come out the same and be counted the same.
#include <catch2/catch.hpp>

#include <cstring>
#include <random>
#include <set>
#include <tuple>
#include <utility>

#include "nat/headers.hpp"
#include "tests/support/pipeline_lab.hpp"

using namespace pinhole;
using namespace pinhole::test;
using dataplane::WorkerCounter;
using nat::Be16;
using nat::DropReason;
using nat::Endpoint;
using nat::MappingFlags;
using nat::Protocol;

namespace {

constexpr unsigned kInside = PipelineLab::kInside;
constexpr unsigned kOutside = PipelineLab::kOutside;
const Endpoint kServer = endpoint("198.51.100.7", 4000);

/// A lab with one established flow that has seen a packet each way.
struct Flow {
  explicit Flow(config::Config config = lab_config()) : lab(std::move(config)) {
    inside = {lab.host_of(0), Be16{20000}};
    lab.send(kInside, out());
    external = mapping().external;
    lab.send(kOutside, in());
  }
  [[nodiscard]] FrameSpec out() const { return {.source = inside, .destination = kServer}; }
  [[nodiscard]] FrameSpec in() const { return {.source = kServer, .destination = external}; }

  nat::Mapping& mapping() {
    auto& translator = lab.context(0).translator;
    const auto index = translator.find_outbound(Protocol::udp, inside);
    REQUIRE(index != nat::kNoMapping);
    return translator[index];
  }
  std::vector<Sent> by_regular(unsigned interface, const Frame& frame) {
    const std::pair hops{mapping().hop_out, mapping().hop_in};
    nat::keep_to_regular_path(mapping(), MappingFlags::kRegular);
    const auto before = lab.count(WorkerCounter::express);
    auto sent = by(interface, frame);
    CHECK(lab.count(WorkerCounter::express) == before);
    mapping().flags &= static_cast<std::uint8_t>(~MappingFlags::kRegular);
    std::tie(mapping().hop_out, mapping().hop_in) = hops;
    return sent;
  }
  std::vector<Sent> by_express(unsigned interface, const Frame& frame) {
    const auto before = lab.count(WorkerCounter::express);
    auto sent = by(interface, frame);
    CHECK(lab.count(WorkerCounter::express) == before + 1);
    return sent;
  }
  std::vector<Sent> by(unsigned interface, const Frame& frame) {
    lab.receive_frame(interface, frame);
    return lab.run();
  }
  Frame frame(unsigned interface, const FrameSpec& spec) {
    auto frame = make_frame(spec);
    nat::header_at<nat::EthernetHeader>(frame.data(), 0).destination = lab.own_mac(interface);
    return frame;
  }
  /// Packets in and out and bytes, of the mapping and the worker.
  std::array<std::uint64_t, 9> counts() {
    return {mapping().packets_in,
            mapping().packets_out,
            mapping().bytes,
            lab.count(WorkerCounter::rx_packets),
            lab.count(WorkerCounter::rx_bytes),
            lab.count(WorkerCounter::tx_packets),
            lab.count(WorkerCounter::tx_bytes),
            lab.count(WorkerCounter::translated_in),
            lab.count(WorkerCounter::translated_out)};
  }

  PipelineLab lab;
  Endpoint inside;
  Endpoint external;
};

std::array<std::uint64_t, 9> difference(std::array<std::uint64_t, 9> before,
                                        const std::array<std::uint64_t, 9>& after) {
  for (std::size_t i = 0; i < before.size(); ++i) before[i] = after[i] - before[i];
  return before;
}

}  // namespace

TEST_CASE("a packet of an established flow comes out of either path the same", "[dataplane][express]") {
  const auto seed = std::random_device{}();
  INFO("seed " << seed);
  std::mt19937 random(seed);
  Flow flow;
  for (unsigned round = 0; round < 2000; ++round) {
    const unsigned interface = random() % 2 == 0 ? kInside : kOutside;
    auto spec = interface == kInside ? flow.out() : flow.in();
    spec.payload.resize(random() % 1400);
    for (auto& byte : spec.payload) byte = static_cast<std::byte>(random());
    spec.ttl = static_cast<std::uint8_t>(2 + random() % 254);
    spec.fragment = random() % 2 == 0 ? nat::Ipv4Header::kDontFragment : 0;
    auto frame = flow.frame(interface, spec);
    auto& ip = nat::header_at<nat::Ipv4Header>(frame.data(), 14);
    ip.identification = Be16{static_cast<std::uint16_t>(random())};
    ip.type_of_service = static_cast<std::uint8_t>(random());
    ip.checksum = Be16{0};
    ip.checksum = Be16{checksum_by_the_book(frame.data() + 14, sizeof ip)};
    auto& udp = nat::header_at<nat::UdpHeader>(frame.data(), 34);
    switch (random() % 4) {
      case 0:
        udp.checksum = Be16{0};  // the sender computed none
        break;
      case 1:
        udp.checksum = Be16{static_cast<std::uint16_t>(random())};  // damaged, and stays so
        break;
      default:
        break;
    }
    if (random() % 3 == 0) frame.resize(frame.size() + random() % 20);  // Ethernet padding
    const auto before = flow.counts();
    const auto regular = flow.by_regular(interface, frame);
    const auto between = flow.counts();
    const auto express = flow.by_express(interface, frame);
    REQUIRE(regular.size() == 1);
    REQUIRE(express == regular);
    REQUIRE(difference(between, flow.counts()) == difference(before, between));
  }
}

TEST_CASE("both paths refresh a mapping alike", "[dataplane][express][rfc4787-req6]") {
  Flow flow;
  for (const unsigned interface : {kInside, kOutside}) {
    const auto frame = flow.frame(interface, interface == kInside ? flow.out() : flow.in());
    flow.lab.pass_s(10);
    const auto start = flow.mapping().last_seen;
    flow.by_regular(interface, frame);
    const auto regular = flow.mapping().last_seen - start;
    flow.lab.pass_s(10);
    const auto middle = flow.mapping().last_seen;
    flow.by_express(interface, frame);
    CHECK((flow.mapping().last_seen - middle > 0) == (regular > 0));
    CHECK((regular > 0) == (interface == kInside));
  }
}

TEST_CASE("what is not plain, or not of the known remote, takes the regular path", "[dataplane][express]") {
  Flow flow;
  const auto plain = flow.frame(kInside, flow.out());
  const auto stays_regular = [&](const char* what, const Frame& frame, std::size_t sent, DropReason reason) {
    INFO(what);
    const auto express = flow.lab.count(WorkerCounter::express);
    const auto dropped = flow.lab.dropped(reason);
    CHECK(flow.by(kInside, frame).size() == sent);
    CHECK(flow.lab.count(WorkerCounter::express) == express);
    CHECK(flow.lab.dropped(reason) == dropped + (sent == 0 ? 1 : 0));
  };
  const auto with = [&](auto&& change) {
    auto spec = flow.out();
    change(spec);
    return flow.frame(kInside, spec);
  };
  CHECK(flow.by_express(kInside, plain).size() == 1);  // the yardstick
  stays_regular("another remote port", with([](auto& spec) { spec.destination.port = Be16{4001}; }), 1,
                DropReason::none);
  stays_regular("another remote",
                with([](auto& spec) { spec.destination.address = address("198.51.100.8"); }), 1,
                DropReason::none);
  stays_regular("TCP", with([](auto& spec) { spec.protocol = nat::kIpProtocolTcp; }), 1, DropReason::none);
  {
    auto frame = plain;
    frame[24] ^= std::byte{1};
    stays_regular("a wrong header checksum", frame, 0, DropReason::drop_bad_ip_checksum);
  }
  {
    auto frame = plain;
    frame[0] ^= std::byte{4};
    stays_regular("another MAC address", frame, 0, DropReason::drop_not_for_us);
  }
  for (std::size_t size = 15; size < plain.size(); ++size) {
    auto frame = plain;
    frame.resize(size);
    stays_regular("cut short", frame, 0, DropReason::drop_truncated);
  }
}

TEST_CASE("a flow that is to be read keeps to the regular path", "[dataplane][express]") {
  Flow flow;
  const auto frame = flow.frame(kInside, flow.out());
  for (const std::uint8_t flag : {MappingFlags::kSip, MappingFlags::kRegular}) {
    const std::pair hops{flow.mapping().hop_out, flow.mapping().hop_in};
    nat::keep_to_regular_path(flow.mapping(), flag);
    const auto before = flow.lab.count(WorkerCounter::express);
    CHECK(flow.by(kInside, frame).size() == 1);
    CHECK(flow.lab.count(WorkerCounter::express) == before);
    CHECK(flow.mapping().hop_out == nat::kNoHop);  // the regular path does not admit it either
    flow.mapping().flags &= static_cast<std::uint8_t>(~flag);
    std::tie(flow.mapping().hop_out, flow.mapping().hop_in) = hops;
    flow.by_express(kInside, frame);
  }
}

TEST_CASE("packets to neighbours that do not answer use up no next hop", "[dataplane][express]") {
  Flow flow;
  auto& context = flow.lab.context(0);
  for (unsigned n = 1; n < 250; ++n) {  // on the link, and nobody there
    const FrameSpec spec{.source = {flow.inside.address, Be16{static_cast<std::uint16_t>(30000 + n)}},
                         .destination = {nat::Ipv4Address::from_host(0xcb007100 + n), Be16{4000}}};
    if (spec.destination.address == address("203.0.113.1")) continue;
    flow.lab.send(kInside, spec);
    const auto index = context.translator.find_outbound(Protocol::udp, spec.source);
    REQUIRE(index != nat::kNoMapping);
    const bool known = spec.destination.address == address("203.0.113.254");
    CHECK((context.translator[index].hop_out != nat::kNoHop) == known);
  }
  flow.by_express(kInside, flow.frame(kInside, flow.out()));
}

TEST_CASE("where the inside interface decides what is translated, outbound packets keep to the regular path",
          "[dataplane][express][route]") {
  for (const bool by_interface : {false, true}) {
    auto config = lab_config();
    config.interfaces.push_back({.name = "second",
                                 .device = "",
                                 .zone = config::Zone::inside,
                                 .address = *nat::Prefix::parse("192.168.50.1/24"),
                                 .gateway = {}});
    if (by_interface) config.nat.route = {{"second", "outside"}};
    Flow flow(config);
    const auto frame = flow.frame(kInside, flow.out());
    const auto before = flow.lab.count(WorkerCounter::express);
    CHECK(flow.by(kInside, frame).size() == 1);
    CHECK(flow.by(kInside, frame).size() == 1);
    CHECK(flow.lab.count(WorkerCounter::express) == before + (by_interface ? 0 : 2));
  }
}

TEST_CASE("a flow whose packet is over the MTU of its next hop keeps to the regular path",
          "[dataplane][express]") {
  Flow flow;
  auto spec = flow.out();
  spec.payload.resize(1500 - 28);
  flow.by_express(kInside, flow.frame(kInside, spec));
  spec.payload.resize(1501 - 28);  // over the MTU of the way out
  const auto before = flow.lab.count(WorkerCounter::express);
  flow.by(kInside, flow.frame(kInside, spec));
  CHECK(flow.lab.count(WorkerCounter::express) == before);
  flow.mapping().hop_out = nat::kNoHop;
  CHECK(flow.by(kInside, flow.frame(kInside, flow.out())).size() == 1);
  CHECK(flow.lab.count(WorkerCounter::express) == before);
  CHECK(flow.mapping().hop_out != nat::kNoHop);  // and learns it again
}

TEST_CASE("packets of many flows, in bursts of every size, all find their own mapping",
          "[dataplane][express]") {
  auto config = lab_config();
  config.nat.mappings_per_worker = 4096;
  PipelineLab lab(config);
  const auto host = lab.host_of(0);
  constexpr unsigned kFlows = 3000;
  const auto spec_of = [&](unsigned flow) {
    return FrameSpec{.source = {host, Be16{static_cast<std::uint16_t>(10'000 + flow)}},
                     .destination = kServer};
  };
  for (unsigned flow = 0; flow < kFlows; ++flow) lab.receive(kInside, spec_of(flow)), lab.run();
  std::mt19937 random(7);
  std::uint64_t express = 0;
  for (unsigned size = 1; size <= 200; ++size) {
    std::vector<unsigned> flows(size);
    for (auto& flow : flows) {
      flow = static_cast<unsigned>(random() % kFlows);
      lab.receive(kInside, spec_of(flow));
    }
    const auto sent = lab.run();
    REQUIRE(sent.size() == size);
    std::multiset<std::uint16_t> wanted, found;
    for (const auto flow : flows)
      wanted.insert(lab.mapping(Protocol::udp, spec_of(flow).source).external.port.host());
    for (const auto& frame : sent)
      found.insert(nat::header_at<nat::UdpHeader>(frame.frame.data(), 34).source_port.host());
    REQUIRE(found == wanted);
    express += size;
  }
  // All but those whose tag another flow has, too.
  CHECK(lab.count(WorkerCounter::express) > express * 99 / 100);
}
