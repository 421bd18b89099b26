// SPDX-License-Identifier: BSD-3-Clause
#include "control/capture/filter.hpp"

#include <catch2/catch.hpp>

#include <array>
#include <cstring>
#include <vector>

using namespace pinhole;
using namespace pinhole::control;

namespace {

using Bytes = std::vector<std::byte>;

void put16(Bytes& bytes, std::size_t at, std::uint16_t value) {
  bytes[at] = static_cast<std::byte>(value >> 8U);
  bytes[at + 1] = static_cast<std::byte>(value);
}

nat::Endpoint endpoint(const char* address, std::uint16_t port) {
  return {nat::Ipv4Address::parse(address).value(), nat::Be16{port}};
}

/// An IPv4 packet with eight bytes that begin with the ports.
Bytes packet(std::uint8_t protocol, nat::Endpoint source, nat::Endpoint target, std::uint16_t fragment = 0) {
  Bytes bytes(28);
  bytes[0] = std::byte{0x45};
  put16(bytes, 2, 28);
  put16(bytes, 4, 77);
  put16(bytes, 6, fragment);
  bytes[9] = static_cast<std::byte>(protocol);
  std::memcpy(&bytes[12], &source.address, 4);
  std::memcpy(&bytes[16], &target.address, 4);
  std::memcpy(&bytes[20], &source.port, 2);
  std::memcpy(&bytes[22], &target.port, 2);
  return bytes;
}

Bytes frame(const Bytes& packet, bool tagged = false) {
  Bytes bytes(tagged ? 18 : 14);
  put16(bytes, 12, tagged ? 0x8100 : 0x0800);
  if (tagged) put16(bytes, 16, 0x0800);
  bytes.insert(bytes.end(), packet.begin(), packet.end());
  return bytes;
}

Bytes udp(nat::Endpoint source, nat::Endpoint target) {
  return frame(packet(17, source, target));
}

/// Destination unreachable, about a packet.
Bytes error_about(const Bytes& about, const char* source, const char* target) {
  auto bytes = packet(1, endpoint(source, 0x0303), endpoint(target, 0));
  bytes.insert(bytes.end(), about.begin(), about.end());
  return frame(bytes);
}

const auto kInside = endpoint("10.0.0.5", 5060);
const auto kExternal = endpoint("198.51.100.1", 40000);
const auto kRemote = endpoint("203.0.113.9", 5060);

}  // namespace

TEST_CASE("a capture of an address keeps what comes from it and goes to it, of any protocol",
          "[control][capture][AC-25]") {
  CaptureFilter filter;
  filter.want(kInside.address);
  for (const auto protocol : std::array<std::uint8_t, 4>{1, 6, 17, 47}) {
    CHECK(filter.keeps(frame(packet(protocol, kInside, kRemote))));
    CHECK(filter.keeps(frame(packet(protocol, kRemote, kInside), true)));
    CHECK_FALSE(filter.keeps(frame(packet(protocol, kExternal, kRemote))));
  }
}

TEST_CASE("a capture of an endpoint keeps its packets of its protocol only", "[control][capture][AC-25]") {
  CaptureFilter filter;
  filter.want(nat::Protocol::udp, kExternal);
  CHECK(filter.keeps(udp(kExternal, kRemote)));
  CHECK(filter.keeps(udp(kRemote, kExternal)));
  CHECK_FALSE(filter.keeps(frame(packet(6, kExternal, kRemote))));
  CHECK_FALSE(filter.keeps(udp(endpoint("198.51.100.1", 40001), kRemote)));
  SECTION("an ICMP error about one of them too, whoever it is from") {
    const auto about = packet(17, kExternal, kRemote);
    CHECK(filter.keeps(error_about(about, "192.0.2.1", "198.51.100.1")));
    CHECK_FALSE(filter.keeps(error_about(packet(6, kExternal, kRemote), "192.0.2.1", "198.51.100.1")));
  }
  SECTION("an ICMP query by its identifier") {
    filter.want(nat::Protocol::icmp, endpoint("198.51.100.1", 7));
    auto echo = packet(1, endpoint("198.51.100.1", 0x0800), kRemote);
    put16(echo, 24, 7);
    CHECK(filter.keeps(frame(echo)));
    put16(echo, 24, 8);
    CHECK_FALSE(filter.keeps(frame(echo)));
  }
}

TEST_CASE("a capture of a flow does not keep its end's packets with others", "[control][capture][AC-25]") {
  CaptureFilter filter;
  filter.want(nat::Protocol::udp, kInside, kRemote);
  CHECK(filter.keeps(udp(kInside, kRemote)));
  CHECK(filter.keeps(udp(kRemote, kInside)));
  CHECK_FALSE(filter.keeps(udp(kInside, endpoint("203.0.113.10", 5060))));
}

TEST_CASE("the fragments behind a first one that is kept are kept", "[control][capture][AC-25]") {
  constexpr std::uint16_t kMore = 0x2000;
  constexpr std::uint16_t kBehind = 185;
  CaptureFilter filter;
  filter.want(nat::Protocol::udp, kExternal);
  const auto behind = frame(packet(17, kExternal, kRemote, kBehind));
  CHECK_FALSE(filter.keeps(behind));
  CHECK(filter.keeps(frame(packet(17, kExternal, kRemote, kMore))));
  CHECK(filter.keeps(behind));
  CHECK_FALSE(filter.keeps(frame(packet(17, kExternal, kInside, kBehind))));
}

TEST_CASE("frames that are cut anywhere or are not IPv4 are not kept, and do no harm",
          "[control][capture][AC-25]") {
  CaptureFilter filter;
  filter.want(nat::Protocol::udp, kExternal);
  const auto whole = error_about(packet(17, kExternal, kRemote), "192.0.2.1", "198.51.100.1");
  for (std::size_t size = 0; size < whole.size(); ++size) {
    CHECK_FALSE(filter.keeps(Bytes(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(size))));
  }
  auto arp = udp(kExternal, kRemote);
  put16(arp, 12, 0x0806);
  CHECK_FALSE(filter.keeps(arp));
  auto long_header = udp(kExternal, kRemote);
  long_header[14] = std::byte{0x4f};
  CHECK_FALSE(filter.keeps(long_header));
}
