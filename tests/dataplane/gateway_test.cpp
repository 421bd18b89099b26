// SPDX-License-Identifier: BSD-3-Clause
// A gateway through the whole pipeline: what it is shown, what becomes of what it says, and its faults.
#include <catch2/catch.hpp>

#include <cstring>
#include <string>
#include <vector>

#include "tests/dataplane/gateway_lab.hpp"
#include "tests/dataplane/sip_scene.hpp"
#include "tests/dataplane/tcp_talk.hpp"

using namespace pinhole;
using namespace pinhole::test;
using ipc::GatewayCounter;
using nat::Endpoint;
using nat::Protocol;

namespace {

constexpr unsigned kInside = PipelineLab::kInside;
constexpr unsigned kOutside = PipelineLab::kOutside;

/// A client inside, a server outside, and the gateway between them.
class Scene {
 public:
  explicit Scene(std::uint32_t max_faults = 8, std::uint32_t budget_us = 100'000) {
    specs_[0].max_faults = max_faults;
    specs_[0].budget_us = budget_us;
    lab.add_neighbor(kOutside, address("203.0.113.254"));
    client = {lab.host_of(0), nat::Be16{40000}};
  }

  std::vector<SentText> out(const std::string& text) {
    return pass(kInside, {.source = client, .destination = server}, text);
  }
  std::vector<SentText> in(const std::string& text) {
    return pass(kOutside, {.source = server, .destination = lab.mapping(Protocol::udp, client).external},
                text);
  }
  [[nodiscard]] std::uint64_t count(GatewayCounter counter) {
    return lab.context(0).gateways.of(dataplane::kFirstGateway).stats().host.read(counter);
  }
  [[nodiscard]] std::uint64_t own(std::size_t counter) {
    return lab.context(0).gateways.of(dataplane::kFirstGateway).stats().own[counter].load();
  }
  [[nodiscard]] TcpTalk connect() {
    return {lab,
            {.interface = kInside, .self = client, .peer = tcp_server},
            {.interface = kOutside, .self = tcp_server}};
  }

 private:
  std::array<dataplane::GatewaySpec, 1> specs_ = {TestGateway::spec()};

 public:
  PipelineLab lab{lab_config(), specs_};
  Endpoint client;
  Endpoint server = endpoint("198.51.100.7", TestGateway::kUdpPort);
  Endpoint tcp_server = endpoint("198.51.100.7", TestGateway::kTcpPort);

 private:
  std::vector<SentText> pass(unsigned interface, FrameSpec spec, const std::string& text) {
    spec.payload.resize(text.size());
    std::memcpy(spec.payload.data(), text.data(), text.size());
    lab.receive(interface, spec);
    std::vector<SentText> texts;
    for (const auto& sent : lab.run()) texts.push_back(SentText::of(sent));
    return texts;
  }
};

}  // namespace

TEST_CASE("a gateway is shown the datagrams of its port both ways, and edits them", "[dataplane][gateway]") {
  Scene scene;
  TestGateway::read = [](pinhole_context* context, const pinhole_message& message) {
    CHECK(message.server == PINHOLE_OUTSIDE);
    CHECK(message.unchanged == 0);
    CHECK(message.protocol == PINHOLE_UDP);
    CHECK(message.inside.port == 40000);
    CHECK(message.remote.port == TestGateway::kUdpPort);
    auto* const memory = static_cast<std::uint64_t*>(message.flow);
    ++*memory;
    TestGateway::host->count(context, 1, 3);
    CHECK(TestGateway::replace(context, message, "name", "another name") == PINHOLE_OK);
    return *memory == 3 ? PINHOLE_LEAVE : PINHOLE_FORWARD;
  };
  CHECK(scene.out("my name, please").at(0).text == "my another name, please");
  CHECK(scene.in("your name is").at(0).text == "your another name is");
  CHECK(scene.out("name").at(0).text == "another name");
  CHECK(scene.out("name").at(0).text == "name");  // it has left the flow alone
  CHECK(TestGateway::shown.size() == 3);
  CHECK(scene.own(1) == 9);
  CHECK(scene.count(GatewayCounter::shown) == 3);
  CHECK(scene.count(GatewayCounter::left) == 1);
  CHECK(scene.lab.drops().empty());
}

TEST_CASE("a gateway reads the lines of a connection, and numbers stay right both ways",
          "[dataplane][gateway]") {
  Scene scene;
  TestGateway::read = [](pinhole_context* context, const pinhole_message& message) {
    TestGateway::replace(context, message, "name", message.from == PINHOLE_INSIDE ? "long name" : "n");
    return PINHOLE_FORWARD;
  };
  auto talk = scene.connect();
  REQUIRE(talk.open);
  talk.tell(talk.called, "220 name\r\n");
  talk.tell(talk.caller, "user na");
  talk.tell(talk.caller, "me\r\nname\r\nrest");
  talk.tell(talk.called, "331 name\r\n230 name\r\n");
  talk.tell(talk.caller, " name\r\n");
  talk.close();
  CHECK(talk.caller.heard == "220 n\r\n331 n\r\n230 n\r\n");
  CHECK(talk.called.heard == "user long name\r\nlong name\r\nrest long name\r\n");
  CHECK(talk.caller.saw_fin);
  CHECK(talk.called.saw_fin);
  CHECK(TestGateway::shown == std::vector<std::string>{"220 name\r\n", "user name\r\n", "name\r\n",
                                                       "331 name\r\n", "230 name\r\n", "rest name\r\n"});
  CHECK(scene.lab.drops().empty());
}

TEST_CASE("a worker's gateways end with it", "[dataplane][gateway]") {
  {
    const Scene scene;
    CHECK(TestGateway::states == 1);
  }
  CHECK(TestGateway::states == 0);
}
