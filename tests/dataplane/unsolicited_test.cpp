// SPDX-License-Identifier: BSD-3-Clause
// SYNs from outside that nobody asked for: silence for six seconds, then ICMP 3/3, unless the connection
// opens from inside meanwhile.
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
using nat::TcpHeader;

namespace {

const nat::Ipv4Address kExternal = address("203.0.113.1");
const nat::Ipv4Address kGateway = address("203.0.113.254");
const Endpoint kServer = endpoint("198.51.100.7", 443);
const Endpoint kStranger = endpoint("198.51.100.8", 50000);
constexpr unsigned kInside = PipelineLab::kInside;
constexpr unsigned kOutside = PipelineLab::kOutside;

FrameSpec segment(Endpoint from, Endpoint to, unsigned flags, std::uint8_t ttl = 64) {
  auto spec = outward(Protocol::tcp, from, to, ttl);
  spec.tcp_flags = static_cast<std::uint8_t>(flags);
  return spec;
}
FrameSpec syn(Endpoint from, Endpoint to, std::uint8_t ttl = 64) {
  return segment(from, to, TcpHeader::kSyn, ttl);
}

/// The answer to a SYN as it leaves towards its sender.
Sent refusal(const PipelineLab& lab, const FrameSpec& about) {
  return lab.leaves(kOutside,
                    own_error(kExternal, about.source.address, nat::kPortUnreachable,
                              datagram_of(about, nat::HeldSyn::kQuoted)),
                    kGateway);
}

/// What is sent while seconds pass.
std::vector<Sent> while_passing(PipelineLab& lab, unsigned seconds) {
  lab.pass_s(seconds);
  return lab.run();
}

}  // namespace

TEST_CASE("a SYN to a port that stands for nobody is answered after six seconds, once",
          "[dataplane][unsolicited][rfc5382-req4]") {
  for (const unsigned workers : {1U, 2U, 3U}) {
    DYNAMIC_SECTION(workers << " workers") {
      PipelineLab lab(lab_config(workers));
      unsigned drops = 0;
      for (const std::uint16_t port : {std::uint16_t{80}, std::uint16_t{5061}, std::uint16_t{64000}}) {
        const auto asked = syn(kStranger, {kExternal, Be16{port}}, 57);
        CHECK(lab.send(kOutside, asked, port % workers).empty());
        CHECK(while_passing(lab, 3).empty());
        CHECK(lab.send(kOutside, asked, port % workers).empty());  // again, as TCP does
        CHECK(while_passing(lab, 1).empty());
        CHECK(lab.count(WorkerCounter::syn_held) == 1);
        CHECK(while_passing(lab, 3) == std::vector{refusal(lab, asked)});
        CHECK(while_passing(lab, 20).empty());
        CHECK(lab.count(WorkerCounter::syn_held) == 0);
        drops += 2;
        CHECK(lab.dropped(DropReason::drop_no_mapping) == drops);
      }
      CHECK(lab.drops().size() == 1);
      CHECK(lab.count(WorkerCounter::icmp_error_out) == 3);
      CHECK(lab.buffers_in_use() == 0);
    }
  }
}

TEST_CASE("a SYN that a filter keeps out is answered like one to nobody",
          "[dataplane][unsolicited][rfc5382-req4][rfc5382-req3]") {
  for (const unsigned workers : {1U, 2U}) {
    DYNAMIC_SECTION(workers << " workers") {
      PipelineLab lab(lab_config(workers));
      const Endpoint host{lab.host_of(workers - 1), Be16{4000}};
      REQUIRE(lab.send(kInside, syn(host, kServer)).size() == 1);
      auto asked = syn(kStranger, lab.mapping(Protocol::tcp, host).external);
      asked.payload.resize(300);  // more than is quoted
      CHECK(lab.send(kOutside, asked).empty());
      CHECK(lab.dropped(DropReason::drop_filtered) == 1);
      CHECK(while_passing(lab, 4).empty());
      CHECK(while_passing(lab, 3) == std::vector{refusal(lab, asked)});
      // The mapping lets in whom it let in before.
      auto answer = segment(kServer, asked.destination, TcpHeader::kSyn | TcpHeader::kAck);
      CHECK(lab.send(kOutside, answer).size() == 1);
    }
  }
}

TEST_CASE("SYNs that cross open the connection, and the one that came too early is never answered",
          "[dataplane][unsolicited][rfc5382-req2][rfc5382-req4]") {
  for (const unsigned workers : {1U, 2U, 3U}) {
    DYNAMIC_SECTION(workers << " workers") {
      PipelineLab lab(lab_config(workers));
      const Endpoint host{lab.host_of(workers - 1), Be16{4000}};
      REQUIRE(lab.send(kInside, syn(host, kServer)).size() == 1);
      const auto external = lab.mapping(Protocol::tcp, host).external;
      const auto early = syn(kStranger, external);
      CHECK(lab.send(kOutside, early).empty());
      CHECK(lab.dropped(DropReason::drop_filtered) == 1);
      CHECK(while_passing(lab, 4).empty());
      // The other half.
      CHECK(lab.send(kInside, syn(host, kStranger)) ==
            std::vector{lab.leaves(kOutside, syn(external, kStranger, 63), kGateway)});
      // The peer sends its SYN again, and now it is one of a simultaneous open.
      CHECK(lab.send(kOutside, early) ==
            std::vector{lab.leaves(kInside, syn(kStranger, host, 63), host.address)});
      const auto& translator = lab.context(lab.steering().owner_of_inside(host.address)).translator;
      const auto index = translator.find_outbound(Protocol::tcp, host);
      const auto now = lab.context(0).clock.tick();
      REQUIRE(translator.session(index, kStranger, now) != nullptr);
      CHECK(translator.session(index, kStranger, now)->state() == nat::TcpState::crossed);
      CHECK(while_passing(lab, 30).empty());
      CHECK(lab.count(WorkerCounter::icmp_error_out) == 0);
    }
  }
}

TEST_CASE("only what asks for a connection is answered", "[dataplane][unsolicited][rfc5382-req4]") {
  PipelineLab lab(lab_config());
  const Endpoint closed{kExternal, Be16{4000}};
  constexpr unsigned kSyn = TcpHeader::kSyn;
  constexpr unsigned kAck = TcpHeader::kAck;
  for (const unsigned flags :
       {kAck, kSyn | kAck, unsigned{TcpHeader::kRst}, TcpHeader::kFin | kAck, TcpHeader::kRst | kAck}) {
    CHECK(lab.send(kOutside, segment(kStranger, closed, flags)).empty());
  }
  CHECK(lab.send(kOutside, outward(Protocol::udp, kStranger, closed)).empty());
  // A fragment of a SYN, whole but for its last byte.
  auto cut_syn = syn(kStranger, closed);
  cut_syn.fragment = nat::Ipv4Header::kMoreFragments;
  cut_syn.payload.resize(12);
  CHECK(lab.send(kOutside, cut_syn).empty());
  CHECK(lab.count(WorkerCounter::syn_held) == 0);
  CHECK(while_passing(lab, 10).empty());
  CHECK(lab.dropped(DropReason::drop_no_mapping) == 7);
}

TEST_CASE("an administrator may keep silence", "[dataplane][unsolicited][rfc5382-req4][rfc5508-req9]") {
  SECTION("about SYNs") {
    auto config = lab_config();
    config.nat.tcp.answer_unsolicited = false;
    PipelineLab lab(config);
    CHECK(lab.send(kOutside, syn(kStranger, {kExternal, Be16{80}})).empty());
    CHECK(lab.count(WorkerCounter::syn_held) == 0);
    CHECK(while_passing(lab, 10).empty());
    CHECK(lab.drops() == std::map<std::string, std::uint64_t>{{"drop_no_mapping", 1}});
  }
  SECTION("towards an interface") {
    auto config = lab_config();
    config.interfaces[kOutside].icmp = false;
    PipelineLab lab(config);
    CHECK(lab.send(kOutside, syn(kStranger, {kExternal, Be16{80}})).empty());
    CHECK(while_passing(lab, 10).empty());
    CHECK(lab.drops() ==
          std::map<std::string, std::uint64_t>{{"drop_no_mapping", 1}, {"drop_icmp_policy", 1}});
    CHECK(lab.buffers_in_use() == 0);
  }
}

TEST_CASE("a forged SYN is not answered", "[dataplane][unsolicited][rfc5382-req4][rfc2827]") {
  PipelineLab lab(lab_config());
  for (const char* forged : {"10.0.0.9", "203.0.113.1", "203.0.113.255"}) {
    CHECK(lab.send(kOutside, syn(endpoint(forged, 700), {kExternal, Be16{80}})).empty());
  }
  CHECK(lab.count(WorkerCounter::syn_held) == 0);
  CHECK(while_passing(lab, 10).empty());
  CHECK(lab.dropped(DropReason::drop_no_mapping) == 0);
}

TEST_CASE("a flood of SYNs takes no buffer, and leaves ICMP to others",
          "[dataplane][unsolicited][rfc5382-req4][rfc5508-req10]") {
  auto config = lab_config();
  config.icmp.errors_per_s = 40;
  PipelineLab lab(config);
  for (std::uint32_t n = 0; n < 2000; ++n) {
    const Endpoint from{nat::Ipv4Address::from_host(0xc6336400 + n), Be16{700}};
    REQUIRE(lab.send(kOutside, syn(from, {kExternal, Be16{80}})).empty());
  }
  CHECK(lab.buffers_in_use() == 0);
  CHECK(while_passing(lab, 0).empty());
  CHECK(lab.count(WorkerCounter::syn_held) == nat::HeldSyns::kCapacity);
  CHECK(lab.count(WorkerCounter::syn_held_full) == 2000 - nat::HeldSyns::kCapacity);
  // All of them are due at once; a quarter of the limit is for them: five, and then one a tick.
  constexpr unsigned kSeconds = 7;
  const auto begin = lab.context(0).clock.tick();
  auto answers = while_passing(lab, kSeconds).size();
  for (unsigned again = 0; again < 20; ++again) answers += while_passing(lab, 0).size();
  const auto passed = lab.context(0).clock.tick() - begin - nat::ticks_from_s(kSeconds);
  CHECK(answers >= 5);
  CHECK(answers <= 5 + passed + 2);
  CHECK(lab.count(WorkerCounter::syn_held) == 0);
  const auto host = lab.host_of(0);
  CHECK(lab.send(kInside, outward(Protocol::udp, {host, Be16{4000}}, kServer, 1)).size() == 1);
}

TEST_CASE("a host that asks another one's external endpoint in vain is told, too",
          "[dataplane][unsolicited][hairpin][rfc5382-req4][rfc5382-req8]") {
  for (const unsigned workers : {1U, 2U, 3U}) {
    DYNAMIC_SECTION(workers << " workers") {
      auto config = lab_config(workers);
      config.interfaces[kOutside].icmp = false;  // it is not this one that the answer leaves by
      PipelineLab lab(config);
      const Endpoint asker{lab.host_of(0), Be16{4000}};
      const Endpoint asked{lab.host_of(workers - 1, 1), Be16{5000}};
      REQUIRE(lab.send(kInside, syn(asked, kServer)).size() == 1);
      const auto external = lab.mapping(Protocol::tcp, asked).external;
      const auto attempt = syn(asker, external);
      CHECK(lab.send(kInside, attempt).empty());
      CHECK(lab.dropped(DropReason::drop_filtered) == 1);
      CHECK(while_passing(lab, 4).empty());
      SECTION("nobody answers") {
        const auto expected = own_error(kExternal, asker.address, nat::kPortUnreachable,
                                        datagram_of(attempt, nat::HeldSyn::kQuoted), 63);
        CHECK(while_passing(lab, 3) == std::vector{lab.leaves(kInside, expected, asker.address)});
      }
      SECTION("the other one asks as well") {
        const auto back = syn(asked, lab.mapping(Protocol::tcp, asker).external);
        CHECK(lab.send(kInside, back).size() == 1);
        CHECK(while_passing(lab, 10).empty());
      }
      CHECK(lab.drops().size() == 1);
      CHECK(lab.buffers_in_use() == 0);
    }
  }
}

TEST_CASE("in route mode a SYN to a host that did not ask is answered alike",
          "[dataplane][unsolicited][untranslated][route][rfc5382-req4]") {
  for (const unsigned workers : {1U, 3U}) {
    DYNAMIC_SECTION(workers << " workers") {
      auto config = lab_config(workers);
      config.nat.route = {{"inside", "outside"}};
      PipelineLab lab(config);
      const Endpoint host{lab.host_of(workers - 1), Be16{4000}};
      const auto asked = syn(kStranger, host);
      CHECK(lab.send(kOutside, asked).empty());
      CHECK(while_passing(lab, 4).empty());
      SECTION("nobody asks back") {
        CHECK(while_passing(lab, 3) == std::vector{refusal(lab, asked)});
      }
      SECTION("the host asks as well") {
        CHECK(lab.send(kInside, syn(host, kStranger)) ==
              std::vector{lab.leaves(kOutside, syn(host, kStranger, 63), kGateway)});
        CHECK(lab.send(kOutside, asked) ==
              std::vector{lab.leaves(kInside, with_ttl(asked, 63), host.address)});
        CHECK(while_passing(lab, 10).empty());
      }
    }
  }
}
