// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/arp.hpp"

#include "tests/support/frame.hpp"

#include <catch2/catch.hpp>

namespace pinhole::dataplane {

namespace {

using config::Zone;
using test::address;

constexpr nat::MacAddress kOwn{{2, 0, 0, 0, 0, 1}};
constexpr nat::MacAddress kPeer{{2, 0, 0, 0, 0, 2}};

test::Frame request(std::uint16_t vlan = 0) {
  test::Frame frame(kArpFrame, std::byte{0xcc});
  const auto size =
      build_arp_request(frame, {kPeer, address("10.0.0.2"), address("10.0.0.1"), nat::kBroadcastMac, vlan});
  frame.resize(size);
  return frame;
}

}  // namespace

TEST_CASE("a request is what RFC 826 draws, padded to the shortest frame", "[dataplane][arp][rfc826]") {
  const unsigned drawn[] = {
      0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2,  0, 0, 0, 0, 2, 0x08, 0x06,  // Ethernet
      0,    1,    0x08, 0,    6,    4,    0,  1,                          // request
      2,    0,    0,    0,    0,    2,    10, 0, 0, 2,                    // sender
      0,    0,    0,    0,    0,    0,    10, 0, 0, 1,                    // target
  };
  test::Frame expected;
  for (const unsigned byte : drawn) expected.push_back(static_cast<std::byte>(byte));
  expected.resize(60);
  CHECK(request() == expected);
}

TEST_CASE("a request is read back", "[dataplane][arp]") {
  for (const auto vlan : {std::uint16_t{0}, std::uint16_t{100}}) {
    DYNAMIC_SECTION("VLAN " << vlan) {
      const auto frame = request(vlan);
      const auto packet = nat::parse(frame, vlan);
      REQUIRE(packet.kind == nat::PacketKind::arp);
      const auto message = read_arp(frame.data(), packet);
      REQUIRE(message);
      CHECK(message->request);
      CHECK(message->sender_mac == kPeer);
      CHECK(message->sender == address("10.0.0.2"));
      CHECK(message->target == address("10.0.0.1"));
    }
  }
}

TEST_CASE("a request becomes its reply", "[dataplane][arp][rfc826]") {
  for (const auto vlan : {std::uint16_t{0}, std::uint16_t{100}}) {
    DYNAMIC_SECTION("VLAN " << vlan) {
      auto frame = request(vlan);
      const auto packet = nat::parse(frame, vlan);
      answer_arp_request(frame.data(), packet, kOwn);

      const auto& ethernet = nat::header_at<nat::EthernetHeader>(frame.data(), 0);
      CHECK(ethernet.destination == kPeer);
      CHECK(ethernet.source == kOwn);
      CHECK(frame.size() == 60);
      const auto again = nat::parse(frame, vlan);
      REQUIRE(again.kind == nat::PacketKind::arp);
      const auto& arp = nat::header_at<nat::ArpPacket>(frame.data(), again.l3_offset);
      CHECK(arp.operation.host() == 2);
      CHECK(arp.sender_mac == kOwn);
      CHECK(arp.sender_address == address("10.0.0.1"));
      CHECK(arp.target_mac == kPeer);
      CHECK(arp.target_address == address("10.0.0.2"));
      const auto message = read_arp(frame.data(), again);
      REQUIRE(message);
      CHECK_FALSE(message->request);
    }
  }
}

TEST_CASE("a message of another kind, or from a group, is not read", "[dataplane][arp]") {
  auto frame = request();
  const auto packet = nat::parse(frame, 0);
  auto& arp = nat::header_at<nat::ArpPacket>(frame.data(), packet.l3_offset);
  for (const unsigned operation : {0U, 3U, 8U, 0x0100U}) {
    arp.operation = nat::Be16{static_cast<std::uint16_t>(operation)};
    CHECK_FALSE(read_arp(frame.data(), packet));
  }
  arp.operation = nat::Be16{1};
  CHECK(read_arp(frame.data(), packet));
  arp.sender_mac = nat::kBroadcastMac;
  CHECK_FALSE(read_arp(frame.data(), packet));
}

TEST_CASE("an interface answers for itself, and outside for external addresses of its subnet",
          "[dataplane][arp]") {
  config::Config config;
  config.interfaces.resize(3);
  config.interfaces[0].zone = Zone::inside;
  config.interfaces[0].address = *nat::Prefix::parse("10.0.0.1/24");
  config.interfaces[1].zone = Zone::outside;
  config.interfaces[1].address = *nat::Prefix::parse("203.0.113.10/28");
  config.interfaces[2].zone = Zone::outside;
  config.interfaces[2].address = *nat::Prefix::parse("198.51.100.2/24");
  config.nat.pool = {address("203.0.113.11"),
                     address("203.0.113.12"),
                     address("192.0.2.1"),
                     address("10.0.0.77"),
                     *nat::Prefix::parse("203.0.113.14/31"),
                     *nat::Prefix::parse("198.51.100.128/25")};
  config.nat.forwards = {
      {nat::Protocol::udp, test::endpoint("198.51.100.5", 5060), test::endpoint("10.0.0.2", 5060)}};
  const ArpAnswers answers(config);

  struct Row {
    unsigned interface;
    const char* target;
    bool answered;
  };
  const Row rows[] = {
      {0, "10.0.0.1", true},        {0, "10.0.0.2", false},
      {0, "203.0.113.10", false},  // another interface's address
      {0, "10.0.0.77", false},     // an external address that lies inside: not ours to answer for there
      {1, "203.0.113.10", true},    {1, "203.0.113.11", true},
      {1, "203.0.113.12", true},    {1, "203.0.113.13", false},
      {1, "192.0.2.1", false},  // routed to us, not in the subnet
      {1, "198.51.100.5", false},   {2, "198.51.100.5", true},
      {2, "198.51.100.2", true},    {2, "203.0.113.11", false},
      {3, "203.0.113.11", false},   {1, "203.0.113.14", true},
      {1, "203.0.113.15", false},  // the last of the subnet: everybody's
      {2, "198.51.100.128", true},  {2, "198.51.100.254", true},
      {2, "198.51.100.255", false}, {2, "198.51.100.127", false},
  };
  for (const auto& row : rows) {
    DYNAMIC_SECTION("interface " << row.interface << ", " << row.target) {
      CHECK(answers.answers(static_cast<std::uint8_t>(row.interface), address(row.target)) == row.answered);
    }
  }

  CHECK(answers.may_learn(0, address("10.0.0.2")));
  CHECK_FALSE(answers.may_learn(0, address("10.0.0.1")));      // ours
  CHECK_FALSE(answers.may_learn(1, address("203.0.113.12")));  // ours
  CHECK_FALSE(answers.may_learn(0, address("192.0.2.9")));     // not of the subnet
  CHECK_FALSE(answers.may_learn(0, address("0.0.0.0")));       // a probe (RFC 5227)
  CHECK_FALSE(answers.may_learn(3, address("10.0.0.2")));      // no such interface
}

}  // namespace pinhole::dataplane
