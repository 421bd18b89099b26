// SPDX-License-Identifier: BSD-3-Clause
#pragma once
// A gateway of alg/plugin.h that does what a test says, in the real pipeline: lines on TCP port 2121, and
// datagrams on UDP port 6900.

#include <array>
#include <cstdint>
#include <cstring>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "alg/plugin.h"
#include "dataplane/gateway/gateway.hpp"
#include "dataplane/ipc/event.hpp"
#include "tests/dataplane/sip_scene.hpp"
#include "tests/dataplane/tcp_talk.hpp"
#include "tests/support/pipeline_lab.hpp"

#include <rte_ring_elem.h>

namespace pinhole::test {

class TestGateway {
 public:
  static constexpr std::uint16_t kTcpPort = 2121;
  static constexpr std::uint16_t kUdpPort = 6900;
  static constexpr ipc::GatewayNumber kNumber = 1;  // behind SIP

  using Read = std::function<int(pinhole_context*, const pinhole_message&)>;
  using Cut = std::function<pinhole_frame(pinhole_framing&, std::string_view)>;

  /// What it does with a message, and what it was shown.
  static inline Read read;
  static inline Cut cut;  // where its messages end; without one they are lines
  static inline std::vector<std::string> shown;
  static inline const pinhole_host* host = nullptr;
  static inline unsigned states = 0;

  [[nodiscard]] static dataplane::GatewaySpec spec(const Cut& cuts = nullptr) {
    read = nullptr;
    cut = cuts;
    shown.clear();
    const auto& plugin = cuts ? cutting() : in_lines();
    return {.plugin = &plugin,
            .claims = {plugin.claims, plugin.claims + plugin.claim_count},
            .options = {},
            // Tests run beside builds, and without optimisation.
            .budget_us = 100'000,
            .file = {}};
  }

  static nat::Endpoint endpoint_of(const pinhole_endpoint& plain) {
    return {nat::Ipv4Address::from_host(plain.address), nat::Be16{plain.port}};
  }
  /// A text of the message that is replaced by another.
  static int replace(pinhole_context* context, const pinhole_message& message, std::string_view from,
                     std::string_view to) {
    const auto at = std::string_view{message.bytes, message.length}.find(from);
    if (at == std::string_view::npos) return PINHOLE_REFUSED;
    return host->replace(context, at, from.size(), to.data(), to.size());
  }
  [[nodiscard]] static pinhole_expectation expectation(const pinhole_message& message, unsigned protocol,
                                                       unsigned from, unsigned flags, std::uint16_t port,
                                                       std::uint16_t remote_port, std::uint32_t seconds) {
    return {.size = sizeof(pinhole_expectation),
            .protocol = static_cast<std::uint8_t>(protocol),
            .from = static_cast<std::uint8_t>(from),
            .flags = static_cast<std::uint16_t>(flags),
            .inside = {message.inside.address, port, 0},
            .remote = {message.remote.address, remote_port, 0},
            .seconds = seconds,
            .unused = 0};
  }

 private:
  static int init(const pinhole_host* given, std::uint32_t, const char*, void** state) {
    host = given;
    ++states;
    *state = &states;
    return 0;
  }
  static void fini(void*) { --states; }
  static int inspect(void*, pinhole_context* context, const pinhole_message* message) {
    shown.emplace_back(message->bytes, message->length);
    return read ? read(context, *message) : PINHOLE_FORWARD;
  }
  static pinhole_frame frame(void*, pinhole_framing* framing, const char* fresh, std::size_t length) {
    return cut(*framing, {fresh, length});
  }
  static const pinhole_plugin& cutting() {
    static const pinhole_plugin kPlugin = [] {
      auto plugin = in_lines();
      plugin.frame = frame;
      return plugin;
    }();
    return kPlugin;
  }
  static const pinhole_plugin& in_lines() {
    static constexpr std::array<pinhole_claim, 2> kClaims = {
        {{PINHOLE_TCP, 0, kTcpPort}, {PINHOLE_UDP, 0, kUdpPort}}};
    static constexpr std::array<const char*, 2> kCounters = {"apples", "pears"};
    static const pinhole_plugin kPlugin{.size = sizeof(pinhole_plugin),
                                        .major = PINHOLE_PLUGIN_MAJOR,
                                        .minor = PINHOLE_PLUGIN_MINOR,
                                        .name = "test",
                                        .version = "1",
                                        .claims = kClaims.data(),
                                        .claim_count = kClaims.size(),
                                        .counter_count = kCounters.size(),
                                        .counters = kCounters.data(),
                                        .flow_bytes = 16,
                                        .unused = 0,
                                        .worker_init = init,
                                        .worker_fini = fini,
                                        .frame = nullptr,
                                        .inspect = inspect};
    return kPlugin;
  }
};

/// A client inside, a server outside, and the gateway between them.
class GatewayScene {
 public:
  static constexpr unsigned kInside = PipelineLab::kInside;
  static constexpr unsigned kOutside = PipelineLab::kOutside;

  explicit GatewayScene(const config::Config& config = lab_config(),
                        const std::function<void(dataplane::GatewaySpec&)>& change = {},
                        const TestGateway::Cut& cut = {})
      : specs_(specs(change, cut)), lab(config, specs_) {
    lab.add_neighbor(kOutside, address("203.0.113.254"));
    client = {lab.host_of(0), nat::Be16{40000}};
  }

  // What leaves when a datagram comes.

  std::vector<SentText> out(const std::string& text) {
    return pass(kInside, {.source = client, .destination = server}, text);
  }
  std::vector<SentText> in(const std::string& text) {
    return pass(kOutside, {.source = server, .destination = lab.mapping(nat::Protocol::udp, client).external},
                text);
  }
  std::vector<SentText> datagram(unsigned interface, nat::Endpoint from, nat::Endpoint to,
                                 const std::string& text = "data") {
    return pass(interface, {.source = from, .destination = to}, text);
  }
  /// Whether the first segment of a connection passes.
  bool knock(unsigned interface, nat::Endpoint from, nat::Endpoint to) {
    FrameSpec spec{.protocol = nat::kIpProtocolTcp, .source = from, .destination = to};
    spec.tcp_flags = nat::TcpHeader::kSyn;
    spec.payload.clear();
    for (const auto& sent : lab.send(interface, spec)) {
      if (sent.frame[23] == std::byte{nat::kIpProtocolTcp}) return true;
    }
    return false;
  }

  /// Whether an answer of an inside endpoint to knock() passes.
  bool answer(unsigned flags, nat::Endpoint from, nat::Endpoint to) {
    FrameSpec spec{.protocol = nat::kIpProtocolTcp, .source = from, .destination = to};
    spec.tcp_flags = static_cast<std::uint8_t>(flags);
    spec.tcp_acknowledgement = FrameSpec{}.tcp_sequence + 1;
    spec.payload.clear();
    const auto sent = lab.send(kInside, spec);
    return sent.size() == 1 && sent[0].interface == kOutside;
  }

  [[nodiscard]] TcpTalk connect() {
    return {lab,
            {.interface = kInside, .self = client, .peer = tcp_server},
            {.interface = kOutside, .self = tcp_server}};
  }
  /// A connection from the server to a port that stands for one of the client.
  [[nodiscard]] TcpTalk connect_back(std::uint16_t from, nat::Endpoint to, std::uint16_t port) {
    return {lab,
            {.interface = kOutside, .self = {server.address, nat::Be16{from}}, .peer = to},
            {.interface = kInside, .self = {client.address, nat::Be16{port}}}};
  }

  [[nodiscard]] ipc::GatewayStats& stats() {
    return lab.context(0).gateways.of(dataplane::owner_of(TestGateway::kNumber)).stats();
  }
  [[nodiscard]] std::uint64_t count(ipc::GatewayCounter counter) { return stats().host.read(counter); }
  [[nodiscard]] std::uint64_t count(dataplane::WorkerCounter counter) const { return lab.count(counter); }
  [[nodiscard]] std::uint64_t own(std::size_t counter) { return stats().own.at(counter).load(); }
  /// What control hears of gateways.
  [[nodiscard]] static std::vector<ipc::GatewayEvent> events() {
    std::vector<ipc::GatewayEvent> all;
    ipc::Event event;
    while (rte_ring_dequeue_elem(rte_ring_lookup("pinhole_event_0"), &event, sizeof event) == 0) {
      if (event.type == ipc::EventType::gateway) all.push_back(event.gateway);
    }
    return all;
  }

 private:
  static std::array<dataplane::GatewaySpec, 1> specs(
      const std::function<void(dataplane::GatewaySpec&)>& change, const TestGateway::Cut& cut) {
    auto spec = TestGateway::spec(cut);
    if (change) change(spec);
    return {spec};
  }
  std::vector<SentText> pass(unsigned interface, FrameSpec spec, const std::string& text) {
    spec.payload.resize(text.size());
    std::memcpy(spec.payload.data(), text.data(), text.size());
    lab.receive(interface, spec);
    std::vector<SentText> texts;
    for (const auto& sent : lab.run()) {
      if (sent.frame[23] == std::byte{nat::kIpProtocolUdp}) texts.push_back(SentText::of(sent));
    }
    return texts;
  }

  std::array<dataplane::GatewaySpec, 1> specs_;

 public:
  PipelineLab lab;
  nat::Endpoint client;
  nat::Endpoint server = endpoint("198.51.100.7", TestGateway::kUdpPort);
  nat::Endpoint tcp_server = endpoint("198.51.100.7", TestGateway::kTcpPort);
  nat::Endpoint stranger = endpoint("198.51.100.66", 20);
};

}  // namespace pinhole::test
