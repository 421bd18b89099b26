// SPDX-License-Identifier: BSD-3-Clause
// Forged, misdirected and impossible packets are dropped, each for its own reason, and nobody hears of them.
#include <catch2/catch.hpp>

#include <map>
#include <span>
#include <string>
#include <vector>

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
const Endpoint kForward{kExternal, Be16{6000}};
constexpr unsigned kInside = PipelineLab::kInside;
constexpr unsigned kOutside = PipelineLab::kOutside;
constexpr unsigned kSecond = 2;

/// Two inside interfaces, a forward for what comes from outside, and an external address that is nobody's
/// own.
struct SanityLab : PipelineLab {
  explicit SanityLab(unsigned workers) : PipelineLab(config(workers)) {
    add_neighbor(kInside, address("10.0.0.9"));
    add_neighbor(kSecond, address("172.20.0.9"));
  }
  static config::Config config(unsigned workers) {
    auto config = lab_config(workers);
    config.interfaces.push_back({.name = "second",
                                 .device = {},
                                 .zone = config::Zone::inside,
                                 .address = {address("172.20.0.1"), 16},
                                 .gateway = {}});
    config.routes = {{{address("192.168.50.0"), 24}, address("10.0.0.9")}};
    config.nat.pool = {kExternal, address("203.0.113.77")};
    config.nat.forwards = {{Protocol::udp, kForward, endpoint("10.0.0.9", 5061)},
                           {Protocol::tcp, kForward, endpoint("10.0.0.9", 5061)}};
    return config;
  }
};

struct Row {
  std::string what;
  unsigned interface;
  Frame frame;
  const char* reason;
};

/// Every frame is dropped for its reason, in silence, whichever worker receives it.
void expect_dropped(const std::vector<Row>& rows) {
  for (const unsigned workers : {1U, 2U}) {
    SanityLab lab(workers);
    std::map<std::string, std::uint64_t> drops;
    for (const auto& row : rows) {
      for (unsigned receiver = 0; receiver < workers; ++receiver) {
        INFO(row.what << ", " << workers << " workers, received by " << receiver);
        auto frame = row.frame;
        const auto own = lab.own_mac(row.interface);
        std::copy(own.bytes.begin(), own.bytes.end(), reinterpret_cast<std::uint8_t*>(frame.data()));
        lab.receive_frame(row.interface, frame, receiver);
        CHECK(lab.run().empty());
        ++drops[row.reason];
        REQUIRE(lab.drops() == drops);
      }
    }
    CHECK(lab.count(nat::Counter::mapping_created) == 2);  // the forwards
    CHECK(lab.count(WorkerCounter::icmp_error_out) == 0);
    CHECK(lab.buffers_in_use() == 0);
  }
}
void expect_dropped(unsigned interface, const Frame& frame, const char* reason) {
  expect_dropped({{reason, interface, frame, reason}});
}

FrameSpec udp(const char* from, const char* to, std::uint8_t ttl = 64) {
  return outward(Protocol::udp, endpoint(from, 4000), endpoint(to, 6000), ttl);
}
FrameSpec ping(const char* from, const char* to, std::uint8_t ttl = 64) {
  return outward(Protocol::icmp, endpoint(from, 4000), endpoint(to, 0), ttl);
}

struct SpecRow {
  const char* what;
  unsigned interface;
  FrameSpec spec;
  const char* reason;
};
std::vector<Row> frames_of(std::span<const SpecRow> rows) {
  std::vector<Row> frames;
  for (const auto& row : rows) {
    const std::string side = row.interface == kInside ? "inside: " : "outside: ";
    frames.push_back({side + row.what, row.interface, make_frame(row.spec), row.reason});
  }
  return frames;
}

}  // namespace

TEST_CASE("addresses that no host has, or that are on no wire, each have a reason",
          "[dataplane][sanity][rfc1812][rfc5508-req10]") {
  const SpecRow rows[] = {
      {"from nobody", kInside, udp("0.0.0.0", "198.51.100.7"), "drop_martian_source"},
      {"from loopback", kOutside, udp("127.0.0.1", "203.0.113.1"), "drop_martian_source"},
      {"from a group", kOutside, udp("224.0.0.5", "203.0.113.1"), "drop_martian_source"},
      {"from a reserved address", kOutside, udp("250.1.1.1", "203.0.113.1"), "drop_martian_source"},
      {"from the broadcast address", kOutside, udp("255.255.255.255", "203.0.113.1"), "drop_martian_source"},
      {"from a subnet's broadcast address", kOutside, udp("203.0.113.255", "203.0.113.1"),
       "drop_martian_source"},
      {"from a subnet's broadcast address inside", kInside, udp("10.255.255.255", "198.51.100.7"),
       "drop_martian_source"},
      {"to loopback", kInside, udp("10.0.0.9", "127.0.0.1"), "drop_martian_destination"},
      {"to 0.0.0.0/8", kInside, udp("10.0.0.9", "0.0.0.9"), "drop_martian_destination"},
      {"to a reserved address", kInside, udp("10.0.0.9", "240.0.0.1"), "drop_martian_destination"},
      {"to a group", kInside, udp("10.0.0.9", "239.255.255.250"), "drop_multicast"},
      {"to all", kInside, udp("10.0.0.9", "255.255.255.255"), "drop_broadcast"},
      {"by DHCP to all", kInside, udp("0.0.0.0", "255.255.255.255"), "drop_broadcast"},
      {"to all of a subnet inside", kInside, udp("10.0.0.9", "10.255.255.255"), "drop_broadcast"},
      {"to all of another subnet inside", kInside, udp("10.0.0.9", "172.20.255.255"), "drop_broadcast"},
      {"to all of the subnet outside", kInside, udp("10.0.0.9", "203.0.113.255"), "drop_broadcast"},
      {"from outside to all of its subnet", kOutside, udp("203.0.113.9", "203.0.113.255"), "drop_broadcast"},
      {"from outside to all of a subnet inside", kOutside, udp("198.51.100.7", "10.255.255.255"),
       "drop_broadcast"},
      {"a smurf", kOutside, ping("198.51.100.7", "203.0.113.255"), "drop_broadcast"},
  };
  expect_dropped(frames_of(rows));
}

TEST_CASE("sources that are forged or misrouted each have a reason, whatever would become of the packet",
          "[dataplane][sanity][rfc2827][rfc3704]") {
  const auto tcp = [](const char* from, const char* to) {
    auto spec = outward(Protocol::tcp, endpoint(from, 4000), endpoint(to, 6000));
    spec.tcp_flags = nat::TcpHeader::kSyn;
    return spec;
  };
  const SpecRow rows[] = {
      // From inside.
      {"a source outside", kInside, udp("198.51.100.8", "198.51.100.7"), "drop_spoofed_outside"},
      {"a source in the subnet outside", kInside, udp("203.0.113.9", "198.51.100.7"), "drop_spoofed_outside"},
      {"the gateway's", kInside, tcp("203.0.113.254", "198.51.100.7"), "drop_spoofed_outside"},
      {"our address inside", kInside, udp("10.0.0.1", "198.51.100.7"), "drop_spoofed_own"},
      {"our address on another interface inside", kInside, udp("172.20.0.1", "198.51.100.7"),
       "drop_spoofed_own"},
      {"our address outside", kInside, tcp("203.0.113.1", "198.51.100.7"), "drop_spoofed_own"},
      {"an address of the pool", kInside, udp("203.0.113.77", "198.51.100.7"), "drop_spoofed_own"},
      {"a ping of us by a stranger", kInside, ping("198.51.100.8", "10.0.0.1"), "drop_spoofed_outside"},
      {"a ping of us by ourselves", kInside, ping("203.0.113.1", "10.0.0.1"), "drop_spoofed_own"},
      {"a ping of an external address by a stranger", kInside, ping("198.51.100.8", "203.0.113.77"),
       "drop_spoofed_outside"},
      {"a traceroute of a stranger", kInside, udp("198.51.100.8", "198.51.100.7", 1), "drop_spoofed_outside"},
      {"to another interface inside", kInside, udp("198.51.100.8", "172.20.0.9"), "drop_spoofed_outside"},
      {"to an external endpoint", kInside, udp("198.51.100.8", "203.0.113.1"), "drop_spoofed_outside"},
      // From outside.
      {"a source inside", kOutside, udp("10.0.0.9", "203.0.113.1"), "drop_spoofed_inside"},
      {"a source behind a router inside", kOutside, tcp("192.168.50.4", "203.0.113.1"),
       "drop_spoofed_inside"},
      {"a source on another interface inside", kOutside, udp("172.20.3.4", "203.0.113.1"),
       "drop_spoofed_inside"},
      {"our address inside", kOutside, udp("10.0.0.1", "203.0.113.1"), "drop_spoofed_own"},
      {"another address of the pool", kOutside, udp("203.0.113.77", "203.0.113.1"), "drop_spoofed_own"},
      {"a ping of us in the name of a host inside", kOutside, ping("10.0.0.9", "203.0.113.1"),
       "drop_spoofed_inside"},
      {"a ping of the pool in our own name", kOutside, ping("203.0.113.1", "203.0.113.77"),
       "drop_spoofed_own"},
      {"a traceroute in the name of a host inside", kOutside, udp("10.0.0.9", "203.0.113.1", 1),
       "drop_spoofed_inside"},
      {"to a port of nobody", kOutside, outward(Protocol::udp, endpoint("10.0.0.9", 9), {kExternal, Be16{9}}),
       "drop_spoofed_inside"},
      // From and to the same.
      {"a land attack on a host inside", kInside, udp("10.0.0.9", "10.0.0.9"), "drop_land"},
      {"a land attack on us", kOutside, tcp("203.0.113.1", "203.0.113.1"), "drop_land"},
      {"a land attack that pings", kOutside, ping("203.0.113.77", "203.0.113.77"), "drop_land"},
  };
  expect_dropped(frames_of(rows));
}

TEST_CASE("errors in our own name are forged; routers may have what addresses they like",
          "[dataplane][sanity][rfc4787-req12]") {
  SanityLab lab(1);
  const Endpoint host{lab.host_of(0), Be16{4000}};
  const auto sent = outward(Protocol::udp, host, kServer);
  REQUIRE(lab.send(kInside, sent).size() == 1);
  const auto external = lab.mapping(Protocol::udp, host).external;
  const auto seen = outward(Protocol::udp, external, kServer, 60);
  const auto error_from = [&](const char* router) {
    return icmp_error(address(router), external.address, nat::kTtlExceeded, datagram_of(seen));
  };
  for (const char* router : {"192.0.2.1", "203.0.113.254", "10.77.0.1", "172.20.0.200", "192.168.50.1"}) {
    const auto expected =
        icmp_error(address(router), host.address, nat::kTtlExceeded, datagram_of(with_ttl(sent, 60)), 63);
    CHECK(lab.send(kOutside, error_from(router)) == std::vector{lab.leaves(kInside, expected, host.address)});
  }
  CHECK(lab.drops().empty());
  for (const char* own : {"203.0.113.1", "203.0.113.77", "10.0.0.1"}) {
    auto forged = error_from(own);
    // Towards another address than the source, else it is a land attack.
    if (address(own) == external.address) continue;
    CHECK(lab.send(kOutside, forged).empty());
  }
  CHECK(lab.dropped(DropReason::drop_spoofed_own) == 2);
  CHECK(lab.drops().size() == 1);
}

TEST_CASE("a router inside passes on what hosts behind it send", "[dataplane][sanity][rfc3704]") {
  SanityLab lab(2);
  const auto spec = outward(Protocol::udp, endpoint("192.168.50.4", 700), kServer);
  const auto out = lab.send(kInside, spec);
  REQUIRE(out.size() == 1);
  CHECK(out[0].interface == kOutside);
  // By whichever inside interface it comes.
  CHECK(lab.send(kSecond, spec).size() == 1);
  CHECK(lab.drops().empty());
}

TEST_CASE("headers that make no sense each have a reason", "[dataplane][sanity]") {
  struct Damage {
    const char* what;
    Protocol protocol;
    std::size_t at;  // in the frame
    std::vector<unsigned> bytes;
    const char* reason;
  };
  constexpr std::size_t kIp = 14;
  constexpr std::size_t kTransport = 34;
  const Damage rows[] = {
      {"an IP checksum", Protocol::udp, kIp + 10, {0, 0}, "drop_bad_ip_checksum"},
      {"IP version 5", Protocol::udp, kIp, {0x55}, "drop_bad_ip_header"},
      {"an IP header of 16 bytes", Protocol::udp, kIp, {0x44}, "drop_bad_ip_header"},
      {"an IP length beyond the frame", Protocol::udp, kIp + 2, {0x01, 0x00}, "drop_truncated"},
      {"a UDP length beyond the datagram",
       Protocol::udp,
       kTransport + 4,
       {0x01, 0x00},
       "drop_bad_udp_length"},
      {"a UDP length of 7", Protocol::udp, kTransport + 4, {0, 7}, "drop_bad_udp_length"},
      {"UDP to port 0", Protocol::udp, kTransport + 2, {0, 0}, "drop_port_zero"},
      {"TCP to port 0", Protocol::tcp, kTransport + 2, {0, 0}, "drop_port_zero"},
      {"TCP from port 0", Protocol::tcp, kTransport, {0, 0}, "drop_port_zero"},
      {"a TCP header of 16 bytes", Protocol::tcp, kTransport + 12, {0x40}, "drop_bad_tcp_header"},
      {"a TCP header of 60 bytes", Protocol::tcp, kTransport + 12, {0xf0}, "drop_bad_tcp_header"},
      {"a null scan", Protocol::tcp, kTransport + 13, {0x00}, "drop_bad_tcp_flags"},
      {"a FIN scan", Protocol::tcp, kTransport + 13, {0x01}, "drop_bad_tcp_flags"},
      {"a Christmas tree", Protocol::tcp, kTransport + 13, {0x29}, "drop_bad_tcp_flags"},
      {"SYN and FIN", Protocol::tcp, kTransport + 13, {0x03}, "drop_bad_tcp_flags"},
      {"SYN and RST", Protocol::tcp, kTransport + 13, {0x06}, "drop_bad_tcp_flags"},
      {"a timestamp query", Protocol::icmp, kTransport, {13}, "drop_unsupported_icmp"},
      {"a redirect", Protocol::icmp, kTransport, {5}, "drop_unsupported_icmp"},
      {"a source quench", Protocol::icmp, kTransport, {4}, "drop_unsupported_icmp"},
  };
  std::vector<Row> frames;
  for (const auto& row : rows) {
    for (const unsigned interface : {kInside, kOutside}) {
      auto frame =
          make_frame(interface == kInside ? outward(row.protocol, endpoint("10.0.0.9", 4000), kServer)
                                          : outward(row.protocol, kServer, kForward));
      for (std::size_t i = 0; i < row.bytes.size(); ++i) {
        frame[row.at + i] = static_cast<std::byte>(row.bytes[i]);
      }
      if (row.at >= kIp && row.at < kIp + 10) {
        frame[kIp + 10] = frame[kIp + 11] = std::byte{0};
        const auto sum = checksum_by_the_book(&frame[kIp], 20);
        frame[kIp + 10] = static_cast<std::byte>(sum >> 8U);
        frame[kIp + 11] = static_cast<std::byte>(sum & 0xffU);
      }
      frames.push_back({row.what, interface, frame, row.reason});
    }
  }
  expect_dropped(frames);
}

TEST_CASE("source routes are dropped from either side, other IP options pass",
          "[dataplane][sanity][rfc7126]") {
  const auto with_options = [](FrameSpec spec, const std::vector<unsigned>& options) {
    spec.ip_option_words = 2;
    auto frame = make_frame(spec);
    for (std::size_t i = 0; i < options.size(); ++i) frame[34 + i] = static_cast<std::byte>(options[i]);
    frame[24] = frame[25] = std::byte{0};
    const auto sum = checksum_by_the_book(&frame[14], 28);
    frame[24] = static_cast<std::byte>(sum >> 8U);
    frame[25] = static_cast<std::byte>(sum & 0xffU);
    return frame;
  };
  const auto out = outward(Protocol::udp, endpoint("10.0.0.9", 4000), kServer);
  const auto in = outward(Protocol::tcp, kServer, kForward);
  expect_dropped(kInside, with_options(out, {131, 7, 4, 192, 0, 2, 9, 0}), "drop_source_route");
  expect_dropped(kOutside, with_options(in, {137, 7, 4, 10, 0, 0, 9, 0}), "drop_source_route");
  expect_dropped(kOutside, with_options(in, {7, 9, 4, 0, 0, 0, 0, 0}), "drop_bad_ip_options");

  SanityLab lab(1);
  for (const auto& options :
       {std::vector<unsigned>{0x94, 4, 0, 0, 1, 1, 1, 1}, std::vector<unsigned>{7, 7, 4, 0, 0, 0, 0, 0},
        std::vector<unsigned>{136, 4, 0, 0, 1, 1, 1, 1}, std::vector<unsigned>{68, 8, 5, 0, 0, 0, 0, 0}}) {
    auto frame = with_options(in, options);
    const auto own = lab.own_mac(kOutside);
    std::copy(own.bytes.begin(), own.bytes.end(), reinterpret_cast<std::uint8_t*>(frame.data()));
    lab.receive_frame(kOutside, frame);
    const auto passed = lab.run();
    REQUIRE(passed.size() == 1);
    CHECK(checksums_right(passed[0].frame));
    for (std::size_t i = 0; i < options.size(); ++i) {
      CHECK(passed[0].frame[34 + i] == static_cast<std::byte>(options[i]));
    }
  }
  CHECK(lab.drops().empty());
}

TEST_CASE("transport checksums are the receiver's: a right one stays right, a wrong one wrong, none none",
          "[dataplane][sanity][rfc3022]") {
  SanityLab lab(1);
  const Endpoint host{lab.host_of(0), Be16{4000}};
  for (const auto protocol : {Protocol::udp, Protocol::tcp, Protocol::icmp}) {
    for (const unsigned damage : {0U, 1U}) {
      INFO(nat::name(protocol) << ", damage " << damage);
      auto frame = make_frame(outward(protocol, host, kServer));
      const auto own = lab.own_mac(kInside);
      std::copy(own.bytes.begin(), own.bytes.end(), reinterpret_cast<std::uint8_t*>(frame.data()));
      frame.back() ^= static_cast<std::byte>(damage);
      lab.receive_frame(kInside, frame);
      const auto out = lab.run();
      REQUIRE(out.size() == 1);
      CHECK(checksums_right(out[0].frame) == (damage == 0));
    }
  }
  auto none = outward(Protocol::udp, host, kServer);
  none.udp_checksum = false;
  auto expected = none;
  expected.source = lab.mapping(Protocol::udp, host).external;
  expected.ttl = 63;
  CHECK(lab.send(kInside, none) == std::vector{lab.leaves(kOutside, expected, kGateway)});
}
