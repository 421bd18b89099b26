// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/negotiation.hpp"

#include <catch2/catch.hpp>
#include <string>
#include <vector>

using namespace pinhole;
using namespace pinhole::dataplane;
using alg::Direction;
using alg::sip::Method;
using ipc::PinholeUse;

namespace {

constexpr std::uint16_t kLeg = 7;
constexpr std::uint16_t kOtherLeg = 8;

nat::Endpoint remote(unsigned n) {
  return {nat::Ipv4Address::from_host(0xc6336400U + n), nat::Be16{static_cast<std::uint16_t>(6000)}};
}

/// A call between the inside, whose streams have the pinholes of ports that are told, and one remote party.
struct Call {
  ipc::Negotiation state;
  std::vector<ipc::PinholeRef> pinholes;

  /// A message from inside. \param ports of its streams, by section; 0 rejects one; none: no description
  void out(Method method, std::uint16_t status, std::uint32_t cseq, const std::vector<unsigned>& ports = {},
           bool held = false) {
    MediaMessage message{.direction = Direction::outbound,
                         .method = method,
                         .status = status,
                         .cseq = cseq,
                         .leg = kLeg,
                         .described = !ports.empty(),
                         .held = held};
    for (unsigned section = 0; section < ports.size(); ++section) {
      if (ports[section] == 0) {
        message.rejected |= 1U << section;
      } else {
        name(section, ports[section]);
      }
    }
    negotiate(message, state, pinholes);
  }

  /// A message from outside. \param remotes where its streams are, by section; 0 rejects one
  void in(Method method, std::uint16_t status, std::uint32_t cseq, const std::vector<unsigned>& remotes = {},
          std::uint16_t leg = kLeg) {
    MediaMessage message{.direction = Direction::inbound,
                         .method = method,
                         .status = status,
                         .cseq = cseq,
                         .leg = leg,
                         .described = !remotes.empty()};
    std::vector<ipc::MediaSource> sources;
    for (unsigned section = 0; section < remotes.size(); ++section) {
      if (remotes[section] == 0) {
        message.rejected |= 1U << section;
      } else {
        const auto from = remote(remotes[section]);
        sources.push_back({.rtp = from, .rtcp = from, .section = static_cast<std::uint8_t>(section)});
      }
    }
    message.sources = sources;
    negotiate(message, state, pinholes);
  }

  /// "4000 agreed <- 1 2, 4002 offered"
  std::string shows() const {
    std::string text;
    for (const auto& pinhole : pinholes) {
      constexpr const char* kUses[] = {"offered", "agreed", "reserved", "leaving"};
      if (!text.empty()) text += ", ";
      text += std::to_string(pinhole.inside.port.host()) + " " + kUses[static_cast<unsigned>(pinhole.use)];
      const auto expected = expected_by(pinhole, state);
      for (std::size_t i = 0; i < expected.size; ++i) {
        text += (i == 0 ? " <- " : " ") + std::to_string(expected.remotes[i].address.host() & 0xff);
      }
    }
    return text;
  }

 private:
  void name(unsigned section, unsigned port) {
    const nat::Endpoint inside{nat::Ipv4Address::from_host(0x0a000005),
                               nat::Be16{static_cast<std::uint16_t>(port)}};
    const auto number = static_cast<std::uint8_t>(state.descriptions + 1);
    for (auto& pinhole : pinholes) {
      if (pinhole.inside != inside) continue;
      pinhole.sections = bit_of(section) | (pinhole.description == number ? pinhole.sections : 0);
      pinhole.description = number;
      if (pinhole.use != PinholeUse::agreed) pinhole.use = PinholeUse::offered;
      return;
    }
    const ipc::PinholeRef named{.inside = inside, .description = number, .sections = bit_of(section)};
    pinholes.push_back(named);
  }
};

/// A call from inside that was answered: audio, and video if there is a port for it.
Call established(std::vector<unsigned> ports = {4000}, const std::vector<unsigned>& remotes = {1}) {
  Call call;
  call.out(Method::invite, 0, 1, ports);
  call.in(Method::invite, 200, 1, remotes);
  call.out(Method::ack, 0, 1);
  return call;
}

}  // namespace

TEST_CASE("an offer in INVITE is agreed on by the 2xx", "[dataplane][negotiation][AC-19][rfc3264]") {
  Call call;
  call.out(Method::invite, 0, 1, {4000});
  CHECK(call.shows() == "4000 offered");
  CHECK_FALSE(is_settled(call.state));
  call.in(Method::invite, 183, 1, {1});
  CHECK(call.shows() == "4000 offered <- 1");
  call.in(Method::invite, 200, 1, {1});
  CHECK(call.shows() == "4000 agreed <- 1");
  CHECK(is_settled(call.state));
}

TEST_CASE("an offer from outside is agreed on by what the phone answers", "[dataplane][negotiation][AC-19]") {
  Call call;
  call.in(Method::invite, 0, 1, {1});
  call.out(Method::invite, 200, 1, {4000});
  CHECK(call.shows() == "4000 agreed <- 1");
}

TEST_CASE("a 2xx that is sent again answers no later offer",
          "[dataplane][negotiation][AC-12][AC-19][rfc3264]") {
  Call call;
  call.out(Method::invite, 0, 1, {4000});
  call.in(Method::invite, 200, 1, {1});
  call.out(Method::invite, 0, 2, {4002});
  call.in(Method::invite, 200, 1, {1});
  CHECK(call.shows() == "4000 agreed <- 1, 4002 offered <- 1");
  call.in(Method::invite, 488, 2);
  CHECK(call.shows() == "4000 agreed <- 1, 4002 leaving <- 1");
}

TEST_CASE("a delayed offer is agreed on by the ACK", "[dataplane][negotiation][AC-19][rfc6337]") {
  SECTION("that comes from outside") {
    Call call;
    call.in(Method::invite, 0, 1);
    call.out(Method::invite, 200, 1, {4000});
    CHECK(call.shows() == "4000 offered");
    call.in(Method::ack, 0, 1, {1});
    CHECK(call.shows() == "4000 agreed <- 1");
  }
  SECTION("that comes from inside") {
    Call call;
    call.out(Method::invite, 0, 1);
    call.in(Method::invite, 200, 1, {1});
    call.out(Method::ack, 0, 1, {4000});
    CHECK(call.shows() == "4000 agreed <- 1");
  }
}

TEST_CASE("an offer in a reliable 18x is agreed on by the PRACK",
          "[dataplane][negotiation][AC-19][rfc3262]") {
  Call call;
  call.out(Method::invite, 0, 1);
  call.in(Method::invite, 183, 1, {1});
  call.out(Method::prack, 0, 2, {4000});
  CHECK(call.shows() == "4000 agreed <- 1");
  call.in(Method::prack, 200, 2);
  call.in(Method::invite, 200, 1);
  CHECK(call.shows() == "4000 agreed <- 1");
}

TEST_CASE("an offer in a PRACK is agreed on by its answer", "[dataplane][negotiation][AC-19][rfc3262]") {
  Call call;
  call.out(Method::invite, 0, 1, {4000});
  call.in(Method::invite, 183, 1, {1});
  call.out(Method::prack, 0, 2, {4002});
  CHECK(call.shows() == "4000 offered <- 1, 4002 offered <- 1");
  call.in(Method::prack, 200, 2, {2});
  CHECK(call.shows() == "4000 leaving <- 2, 4002 agreed <- 2");
}

TEST_CASE("a 2xx without a description takes what the same party said before",
          "[dataplane][negotiation][AC-19][rfc6337]") {
  Call call;
  call.out(Method::invite, 0, 1, {4000});
  call.in(Method::invite, 183, 1, {1}, kLeg);
  call.in(Method::invite, 183, 1, {2}, kOtherLeg);
  CHECK(call.shows() == "4000 offered <- 1 2");
  call.in(Method::invite, 200, 1, {}, kOtherLeg);
  CHECK(call.shows() == "4000 agreed <- 2");
}

TEST_CASE("of several forks the one that accepts is chosen", "[dataplane][negotiation][AC-19]") {
  Call call;
  call.out(Method::invite, 0, 1, {4000});
  call.in(Method::invite, 183, 1, {1}, kLeg);
  call.in(Method::invite, 183, 1, {2}, kOtherLeg);
  call.in(Method::invite, 200, 1, {3}, kOtherLeg);
  CHECK(call.shows() == "4000 agreed <- 3");
}

TEST_CASE("old media stays until the new is accepted", "[dataplane][negotiation][AC-13][rfc3264]") {
  auto call = established();
  call.out(Method::invite, 0, 2, {4002});
  CHECK(call.shows() == "4000 agreed <- 1, 4002 offered <- 1");
  SECTION("and goes then") {
    call.in(Method::invite, 200, 2, {2});
    CHECK(call.shows() == "4000 leaving <- 2, 4002 agreed <- 2");
  }
  SECTION("and stays when it is refused") {
    const auto status =
        GENERATE(std::uint16_t{488}, std::uint16_t{491}, std::uint16_t{401}, std::uint16_t{500});
    call.in(Method::invite, status, 2);
    CHECK(call.shows() == "4000 agreed <- 1, 4002 leaving <- 1");
    CHECK(is_settled(call.state));
  }
  SECTION("and the same ports are named again after a challenge") {
    call.in(Method::invite, 407, 2);
    call.out(Method::invite, 0, 3, {4002});
    call.in(Method::invite, 200, 3, {2});
    CHECK(call.shows() == "4000 leaving <- 2, 4002 agreed <- 2");
  }
}

TEST_CASE("an offer from outside that is refused leaves what was agreed on",
          "[dataplane][negotiation][rfc3264]") {
  auto call = established();
  call.in(Method::invite, 0, 9, {2});
  CHECK(call.shows() == "4000 agreed <- 1 2");
  call.out(Method::invite, 488, 9);
  CHECK(call.shows() == "4000 agreed <- 1");
}

TEST_CASE("UPDATE changes media before the answer and after it", "[dataplane][negotiation][AC-19][rfc3311]") {
  SECTION("before") {
    Call call;
    call.out(Method::invite, 0, 1, {4000});
    call.in(Method::invite, 183, 1, {1});
    call.out(Method::prack, 0, 2);
    call.out(Method::update, 0, 3, {4000});
    call.in(Method::update, 200, 3, {2});
    CHECK(call.shows() == "4000 agreed <- 2");
    call.in(Method::invite, 200, 1);
    CHECK(call.shows() == "4000 agreed <- 2");
  }
  SECTION("after, from outside") {
    auto call = established();
    call.in(Method::update, 0, 9, {2});
    call.out(Method::update, 200, 9, {4000});
    CHECK(call.shows() == "4000 agreed <- 2");
  }
}

TEST_CASE("offers that cross each other are both refused and change nothing",
          "[dataplane][negotiation][rfc3261]") {
  auto call = established();
  call.out(Method::invite, 0, 2, {4002});
  call.in(Method::invite, 0, 9, {2});
  call.in(Method::invite, 491, 2);
  call.out(Method::invite, 491, 9);
  CHECK(call.shows() == "4000 agreed <- 1, 4002 leaving <- 1");
  CHECK(is_settled(call.state));
}

TEST_CASE("a stream that is rejected at first goes, one that had been agreed on keeps its port",
          "[dataplane][negotiation][AC-14][rfc3264]") {
  SECTION("at first") {
    const auto call = established({4000, 4002}, {1, 0});
    CHECK(call.shows() == "4000 agreed <- 1, 4002 leaving");
  }
  SECTION("by the inside, after it was agreed on") {
    auto call = established({4000, 4002}, {1, 2});
    call.out(Method::invite, 0, 2, {4000, 0});
    CHECK(call.shows() == "4000 agreed <- 1, 4002 agreed <- 2");
    call.in(Method::invite, 200, 2, {1, 0});
    CHECK(call.shows() == "4000 agreed <- 1, 4002 reserved");
    call.out(Method::invite, 0, 3, {4000, 4002});
    call.in(Method::invite, 200, 3, {1, 2});
    CHECK(call.shows() == "4000 agreed <- 1, 4002 agreed <- 2");
  }
  SECTION("by the outside, after it was agreed on") {
    auto call = established({4000, 4002}, {1, 2});
    call.in(Method::invite, 0, 9, {1, 0});
    call.out(Method::invite, 200, 9, {4000, 0});
    CHECK(call.shows() == "4000 agreed <- 1, 4002 reserved");
  }
}

TEST_CASE("of several streams on one port that stays which is taken",
          "[dataplane][negotiation][AC-14][rfc8843]") {
  CHECK(established({4000, 4000}, {1, 2}).shows() == "4000 agreed <- 1 2");
  CHECK(established({4000, 4000}, {1, 0}).shows() == "4000 agreed <- 1");
  CHECK(established({4000, 4000}, {0, 2}).shows() == "4000 agreed <- 2");
  CHECK(established({4000, 4000}, {0, 0}).shows() == "4000 leaving");
  CHECK(established({4000, 4002, 4000}, {0, 2, 3}).shows() == "4000 agreed <- 3, 4002 agreed <- 2");
  auto call = established({4000, 4000}, {1, 2});
  call.out(Method::invite, 0, 2, {4000, 0});
  call.in(Method::invite, 200, 2, {1, 0});
  CHECK(call.shows() == "4000 agreed <- 1");
}

TEST_CASE("a call on hold is known to be", "[dataplane][negotiation][AC-27]") {
  auto call = established();
  CHECK_FALSE(call.state.held);
  call.out(Method::invite, 0, 2, {4000}, true);
  CHECK_FALSE(call.state.held);
  call.in(Method::invite, 200, 2, {1});
  CHECK(call.state.held);
  CHECK(call.shows() == "4000 agreed <- 1");
  call.out(Method::invite, 0, 3, {4000});
  call.in(Method::invite, 200, 3, {1});
  CHECK_FALSE(call.state.held);
}

TEST_CASE("an INVITE that failed is tried again with the same ports", "[dataplane][negotiation][AC-18]") {
  Call call;
  call.out(Method::invite, 0, 1, {4000});
  call.in(Method::invite, 183, 1, {5});
  call.in(Method::invite, 407, 1);
  CHECK(call.shows() == "4000 offered");
  call.out(Method::invite, 0, 2, {4000});
  call.in(Method::invite, 200, 2, {1});
  CHECK(call.shows() == "4000 agreed <- 1");
}

TEST_CASE("a session that is refreshed expects the same as before",
          "[dataplane][negotiation][AC-13][rfc4028]") {
  auto call = established();
  const auto before = expected_by(call.pinholes[0], call.state).hash;
  call.in(Method::invite, 0, 9, {1});
  call.out(Method::invite, 200, 9, {4000});
  CHECK(expected_by(call.pinholes[0], call.state).hash == before);
  for (std::uint32_t cseq = 10; cseq < 60; ++cseq) {  // and the list of sources does not grow
    call.in(Method::invite, 0, cseq, {1});
    call.out(Method::invite, 200, cseq, {4000});
  }
  CHECK(call.state.source_count == 1);
}

TEST_CASE("more sources than there is room for displace what was agreed on", "[dataplane][negotiation]") {
  Call call;
  for (std::uint32_t cseq = 1; cseq < 4; ++cseq) {
    MediaMessage message{.direction = Direction::inbound,
                         .method = Method::invite,
                         .cseq = cseq,
                         .leg = kLeg,
                         .described = true};
    std::vector<ipc::MediaSource> sources(12);
    for (unsigned i = 0; i < 12; ++i) sources[i].rtp = remote(12 * cseq + i);
    message.sources = sources;
    negotiate(message, call.state, call.pinholes);
    call.out(Method::invite, 200, cseq, {4000});
    const auto expected = expected_by(call.pinholes[0], call.state);
    REQUIRE(expected.size >= 12);
    CHECK(expected.remotes[expected.size - 1] == remote(12 * cseq + 11));
  }
}
