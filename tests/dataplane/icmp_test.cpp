// SPDX-License-Identifier: BSD-3-Clause
// ICMP through the whole pipeline, requirement by requirement of RFC 5508: queries, errors in both
// directions, and errors of our own. Hairpins are in hairpin_test.cpp, want of resources in
// exhaustion_test.cpp.
#include <catch2/catch.hpp>

#include <set>

#include "tests/support/flows.hpp"
#include "tests/support/pipeline_lab.hpp"

using namespace pinhole;
using namespace pinhole::test;
using dataplane::WorkerCounter;
using nat::Be16;
using nat::DropReason;
using nat::Endpoint;
using nat::IcmpError;
using nat::Protocol;

namespace {

const nat::Ipv4Address kExternal = address("203.0.113.1");
const nat::Ipv4Address kGateway = address("203.0.113.254");
const nat::Ipv4Address kRouter = address("192.0.2.33");
const Endpoint kServer = endpoint("198.51.100.7", 443);
constexpr unsigned kInside = PipelineLab::kInside;
constexpr unsigned kOutside = PipelineLab::kOutside;
constexpr Protocol kAllProtocols[] = {Protocol::udp, Protocol::tcp, Protocol::icmp};

/// A flow of a host inside that has sent one packet, in a lab where its worker is not the one that receives.
struct Flow {
  explicit Flow(Protocol its_protocol, unsigned workers = 1, const config::Config* config = nullptr)
      : protocol(its_protocol), lab(config != nullptr ? *config : lab_config(workers)) {
    host = {lab.host_of(workers - 1), Be16{4000}};
    sent = outward(protocol, host, kServer);
    REQUIRE(lab.send(kInside, sent).size() == 1);
    external = lab.mapping(protocol, host).external;
  }
  /// The packet that left, and one that came in, as they are on both sides; with some hops less.
  [[nodiscard]] FrameSpec outside_view() const { return outward(protocol, external, kServer, 60); }
  [[nodiscard]] FrameSpec inside_view() const { return outward(protocol, host, kServer, 60); }
  [[nodiscard]] FrameSpec answer_outside() const { return inward(protocol, kServer, external, 60); }
  [[nodiscard]] FrameSpec answer_inside() const { return inward(protocol, kServer, host, 60); }
  /// An error from a router outside, and as it must reach the host.
  [[nodiscard]] FrameSpec error_in(IcmpError error, std::size_t quoted = 65535) const {
    return icmp_error(kRouter, external.address, error, datagram_of(outside_view(), quoted));
  }
  [[nodiscard]] FrameSpec error_arrived(IcmpError error, std::size_t quoted = 65535) const {
    return icmp_error(kRouter, host.address, error, datagram_of(inside_view(), quoted), 63);
  }

  Protocol protocol;
  PipelineLab lab;
  Endpoint host;
  Endpoint external;
  FrameSpec sent;
};

}  // namespace

TEST_CASE("pings pass, and an identifier has one external identifier for all destinations",
          "[dataplane][icmp][rfc5508-req1][rfc5508-req10]") {
  for (const unsigned workers : {1U, 2U}) {
    DYNAMIC_SECTION(workers << " workers") {
      PipelineLab lab(lab_config(workers));
      std::set<Endpoint> taken;
      for (unsigned n = 0; n < 4; ++n) {
        const Endpoint host{lab.host_of(n % workers, n), Be16{77}};
        std::set<Endpoint> seen;
        for (const char* remote : {"198.51.100.7", "198.51.100.8", "192.0.2.1"}) {
          const auto ping = outward(Protocol::icmp, host, endpoint(remote, 0));
          const auto out = lab.send(kInside, ping);
          const auto external = lab.mapping(Protocol::icmp, host).external;
          seen.insert(external);
          REQUIRE(out ==
                  std::vector{lab.leaves(kOutside, outward(Protocol::icmp, external, endpoint(remote, 0), 63),
                                         kGateway)});
          CHECK(lab.send(kOutside, inward(Protocol::icmp, endpoint(remote, 0), external)) ==
                std::vector{lab.leaves(kInside, inward(Protocol::icmp, endpoint(remote, 0), host, 63),
                                       host.address)});
        }
        CHECK(seen.size() == 1);
        CHECK(taken.insert(*seen.begin()).second);
      }
      CHECK(lab.drops().empty());
    }
  }
}

TEST_CASE("a ping may be answered for sixty seconds, or for as long as is configured",
          "[dataplane][icmp][rfc5508-req2][rfc7857-11]") {
  for (const std::uint32_t seconds : {60U, 90U}) {
    DYNAMIC_SECTION(seconds << " s") {
      auto config = lab_config();
      config.nat.timeouts.icmp_s = seconds;
      Flow flow(Protocol::icmp, 1, &config);
      flow.lab.pass_s(seconds - 3);
      CHECK(flow.lab.send(kOutside, flow.answer_outside()).size() == 1);
      flow.lab.pass_s(4);
      CHECK(flow.lab.send(kOutside, flow.answer_outside()).empty());
      CHECK(flow.lab.dropped(DropReason::drop_no_mapping) == 1);
    }
  }
}

TEST_CASE("errors whose checksums are wrong are dropped, whatever their quote says of its transport",
          "[dataplane][icmp][rfc5508-req3]") {
  for (const auto protocol : kAllProtocols) {
    DYNAMIC_SECTION(nat::name(protocol)) {
      Flow flow(protocol);
      auto& lab = flow.lab;
      const auto receive = [&](Frame frame) {
        const auto own = lab.own_mac(kOutside);
        std::copy(own.bytes.begin(), own.bytes.end(), reinterpret_cast<std::uint8_t*>(frame.data()));
        lab.receive_frame(kOutside, frame);
        return lab.run();
      };
      auto damaged = make_frame(flow.error_in(nat::kTtlExceeded));
      damaged.back() ^= std::byte{1};
      CHECK(receive(damaged).empty());
      CHECK(lab.dropped(DropReason::drop_icmp_error_checksum) == 1);

      auto error = flow.error_in(nat::kTtlExceeded);
      error.payload[8] ^= std::byte{4};  // the TTL, whose checksum was not mended
      CHECK(receive(make_frame(error)).empty());
      CHECK(lab.dropped(DropReason::drop_icmp_error_checksum) == 2);

      // A wrong checksum of the transport header that is quoted stays as wrong as it was.
      error = flow.error_in(nat::kTtlExceeded);
      error.payload.back() ^= std::byte{0x55};
      auto arrived = flow.error_arrived(nat::kTtlExceeded);
      arrived.payload.back() ^= std::byte{0x55};
      CHECK(receive(make_frame(error)) == std::vector{lab.leaves(kInside, arrived, flow.host.address)});
      CHECK(lab.drops().size() == 1);
    }
  }
}

TEST_CASE("quotes with IP options, cut ones and ones with extensions are translated",
          "[dataplane][icmp][rfc5508-req3][rfc4884]") {
  for (const auto protocol : kAllProtocols) {
    DYNAMIC_SECTION(nat::name(protocol)) {
      Flow flow(protocol);
      auto& lab = flow.lab;
      for (const std::uint8_t words : std::initializer_list<std::uint8_t>{0, 1, 10}) {
        const std::size_t least = 20 + std::size_t{4} * words + 8;
        for (const std::size_t quoted : {least, least + 4, std::size_t{65535}}) {
          INFO(int{words} << " words of options, " << quoted << " bytes");
          auto outer = flow.outside_view();
          auto inner = flow.inside_view();
          outer.ip_option_words = inner.ip_option_words = words;
          const auto error =
              icmp_error(kRouter, flow.external.address, nat::kHostUnreachable, datagram_of(outer, quoted));
          const auto arrived =
              icmp_error(kRouter, flow.host.address, nat::kHostUnreachable, datagram_of(inner, quoted), 63);
          CHECK(lab.send(kOutside, error) == std::vector{lab.leaves(kInside, arrived, flow.host.address)});
        }
      }
      CHECK(lab.drops().empty());
      // One byte less has no ports.
      CHECK(lab.send(kOutside, flow.error_in(nat::kHostUnreachable, 27)).empty());
      CHECK(lab.dropped(DropReason::drop_icmp_error_no_mapping) == 1);

      // An MPLS label behind 128 bytes of quote, padded with zeros (RFC 4884, RFC 4950).
      auto outer = flow.outside_view();
      auto inner = flow.inside_view();
      for (auto* const view : {&outer, &inner}) view->payload.resize(40);
      const auto with_extension = [](Frame quote) {
        quote.resize(128);
        for (const unsigned byte : {0x20U, 0U, 0x8aU, 0x1dU, 0U, 8U, 1U, 1U, 0x01U, 0x23U, 0x45U, 0x01U}) {
          quote.push_back(static_cast<std::byte>(byte));
        }
        return quote;
      };
      auto error =
          icmp_error(kRouter, flow.external.address, nat::kTtlExceeded, with_extension(datagram_of(outer)));
      auto arrived =
          icmp_error(kRouter, flow.host.address, nat::kTtlExceeded, with_extension(datagram_of(inner)), 63);
      // The length of the quote in words.
      error.destination.port = arrived.destination.port = Be16{128 / 4};
      CHECK(lab.send(kOutside, error) == std::vector{lab.leaves(kInside, arrived, flow.host.address)});
    }
  }
}

TEST_CASE("errors from outside reach the host that they are about, type and code as they were",
          "[dataplane][icmp][rfc5508-req4][rfc5508-req10][rfc4787-req12][rfc5382-req9]") {
  std::vector<IcmpError> errors = {{11, 0}, {11, 1}, {12, 0}, {12, 1}, nat::fragmentation_needed(1280)};
  for (std::uint8_t code = 0; code < 16; ++code) {
    if (code != 4) errors.push_back({3, code});
  }
  for (const unsigned workers : {1U, 2U}) {
    for (const auto protocol : kAllProtocols) {
      DYNAMIC_SECTION(nat::name(protocol) << ", " << workers << " workers") {
        Flow flow(protocol, workers);
        for (const auto error : errors) {
          INFO(int{error.type} << "/" << int{error.code});
          CHECK(flow.lab.send(kOutside, flow.error_in(error)) ==
                std::vector{flow.lab.leaves(kInside, flow.error_arrived(error), flow.host.address)});
        }
        CHECK(flow.lab.drops().empty());
        // About somebody else.
        auto stray = flow.outside_view();
        stray.source.port = Be16{static_cast<std::uint16_t>(flow.external.port.host() ^ 1U)};
        CHECK(
            flow.lab.send(kOutside, icmp_error(kRouter, kExternal, nat::kHostUnreachable, datagram_of(stray)))
                .empty());
        CHECK(flow.lab.dropped(DropReason::drop_icmp_error_no_mapping) == 1);
        CHECK(flow.lab.buffers_in_use() == 0);
      }
    }
  }
}

TEST_CASE("errors from inside leave by the external address, type and code as they were",
          "[dataplane][icmp][rfc5508-req5][rfc5508-req10]") {
  for (const unsigned workers : {1U, 2U}) {
    for (const auto protocol : kAllProtocols) {
      DYNAMIC_SECTION(nat::name(protocol) << ", " << workers << " workers") {
        Flow flow(protocol, workers);
        auto& lab = flow.lab;
        for (const auto error : {nat::kPortUnreachable, nat::kTtlExceeded, IcmpError{12, 0}}) {
          for (const auto& from :
               {flow.host.address, address("10.3.0.1")}) {  // the host, or a router before it
            const auto in = icmp_error(from, kServer.address, error, datagram_of(flow.answer_inside()), 64);
            const auto out =
                icmp_error(kExternal, kServer.address, error, datagram_of(flow.answer_outside()), 63);
            CHECK(lab.send(kInside, in) == std::vector{lab.leaves(kOutside, out, kGateway)});
          }
        }
        CHECK(lab.drops().empty());
        auto stray = flow.answer_inside();
        stray.destination.port = Be16{9};
        CHECK(lab.send(kInside, icmp_error(flow.host.address, kServer.address, nat::kPortUnreachable,
                                           datagram_of(stray)))
                  .empty());
        CHECK(lab.dropped(DropReason::drop_icmp_error_no_mapping) == 1);
      }
    }
  }
}

TEST_CASE("who has a whole external address complains by that", "[dataplane][icmp][static][rfc5508-req5]") {
  for (const unsigned workers : {1U, 2U}) {
    DYNAMIC_SECTION(workers << " workers") {
      auto config = lab_config(workers);
      const config::EndpointRange outside{{address("203.0.113.64"), 32}, 0, 0xffff};
      const config::EndpointRange inside{{address("10.3.0.1"), 32}, 0, 0xffff};
      config.nat.static_mappings = {{config::Protocols::all, outside, inside, nat::StaticDirection::both}};
      Flow flow(Protocol::udp, workers, &config);
      const auto complain = [&](const char* from) {
        return flow.lab.send(kInside, icmp_error(address(from), kServer.address, nat::kTtlExceeded,
                                                 datagram_of(flow.answer_inside())));
      };
      const auto expected = [&](const char* from) {
        const auto out = icmp_error(address(from), kServer.address, nat::kTtlExceeded,
                                    datagram_of(flow.answer_outside()), 63);
        return std::vector{flow.lab.leaves(kOutside, out, kGateway)};
      };
      CHECK(complain("10.3.0.1") == expected("203.0.113.64"));
      CHECK(complain("10.3.0.2") == expected("203.0.113.1"));
    }
  }
}

TEST_CASE("errors neither keep a mapping alive nor end it",
          "[dataplane][icmp][rfc5508-req6][rfc4787-req12][rfc5382-req10]") {
  for (const auto protocol : kAllProtocols) {
    DYNAMIC_SECTION(nat::name(protocol)) {
      Flow flow(protocol);
      auto& lab = flow.lab;
      const unsigned timeout = protocol == Protocol::udp ? 300 : protocol == Protocol::tcp ? 240 : 60;
      const auto complain = [&] {
        for (const auto error : {nat::kHostUnreachable, nat::kPortUnreachable, nat::kTtlExceeded}) {
          REQUIRE(lab.send(kOutside, flow.error_in(error)).size() == 1);
          REQUIRE(lab.send(kInside, icmp_error(flow.host.address, kServer.address, error,
                                               datagram_of(flow.answer_inside())))
                      .size() == 1);
        }
      };
      complain();
      lab.pass_s(timeout - 3);
      complain();
      CHECK(lab.count(nat::Counter::mapping_live) == 1);
      lab.pass_s(4);
      CHECK(lab.count(nat::Counter::mapping_live) == 0);
      CHECK(lab.send(kOutside, flow.error_in(nat::kHostUnreachable)).empty());
    }
  }
}

TEST_CASE("towards an interface that is to hear none, we make no ICMP, and that of others passes",
          "[dataplane][icmp][rfc5508-req9]") {
  for (const unsigned silent : {kInside, kOutside}) {
    DYNAMIC_SECTION((silent == kInside ? "inside" : "outside") << " is to hear none") {
      auto config = lab_config();
      config.interfaces[silent].icmp = false;
      config.interfaces[kOutside].mtu = 1400;
      Flow flow(Protocol::udp, 1, &config);
      auto& lab = flow.lab;
      const std::size_t told_inside = silent == kInside ? 0 : 1;
      const std::size_t told_outside = silent == kOutside ? 0 : 1;
      CHECK(lab.send(kInside, with_ttl(flow.sent, 1)).size() == told_inside);
      CHECK(lab.send(kOutside, with_ttl(flow.answer_outside(), 1)).size() == told_outside);
      auto large = flow.sent;
      large.payload.resize(1440);
      large.fragment = nat::Ipv4Header::kDontFragment;
      CHECK(lab.send(kInside, large).size() == told_inside);
      CHECK(lab.send(kInside, outward(Protocol::icmp, flow.host, endpoint("10.0.0.1", 0))).size() ==
            told_inside);
      CHECK(lab.send(kOutside, outward(Protocol::icmp, kServer, {kExternal, {}})).size() == told_outside);
      CHECK(lab.dropped(DropReason::drop_icmp_policy) == (silent == kInside ? 3 : 2));
      CHECK(lab.send(kOutside, flow.error_in(nat::kHostUnreachable)).size() == 1);
      CHECK(lab.buffers_in_use() == 0);
    }
  }
}

TEST_CASE("an error of our own is as RFC 1812 has it", "[dataplane][icmp][rfc5508-req10][rfc1812]") {
  Flow flow(Protocol::udp);
  auto& lab = flow.lab;
  auto dying = with_ttl(flow.sent, 1);
  dying.payload.resize(1000);  // more than is quoted
  const auto expected =
      own_error(address("10.0.0.1"), flow.host.address, nat::kTtlExceeded, datagram_of(dying));
  CHECK(lab.send(kInside, dying) == std::vector{lab.leaves(kInside, expected, flow.host.address)});
  // Not about errors, later fragments, nor frames to all.
  CHECK(lab.send(kOutside, with_ttl(flow.error_in(nat::kHostUnreachable), 1)).empty());
  CHECK(lab.count(WorkerCounter::icmp_error_out) == 1);
  auto frame = make_frame(dying);
  std::fill_n(frame.begin(), 6, std::byte{0xff});
  lab.receive_frame(kInside, frame);
  CHECK(lab.run().empty());
}
