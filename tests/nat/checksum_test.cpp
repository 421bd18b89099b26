// SPDX-License-Identifier: BSD-3-Clause
#include "nat/checksum.hpp"

#include "tests/support/frame.hpp"

#include <catch2/catch.hpp>
#include <random>
#include <vector>

namespace pinhole::nat {

namespace {

std::vector<std::byte> random_bytes(std::mt19937_64& random, std::size_t size) {
  std::vector<std::byte> bytes(size);
  for (auto& byte : bytes) byte = static_cast<std::byte>(random());
  return bytes;
}

}  // namespace

TEST_CASE("the example of RFC 1071 sums up as printed there", "[nat][checksum][rfc1071]") {
  std::vector<std::byte> bytes;
  for (const unsigned byte : {0x00U, 0x01U, 0xf2U, 0x03U, 0xf4U, 0xf5U, 0xf6U, 0xf7U}) {
    bytes.push_back(static_cast<std::byte>(byte));
  }
  CHECK(Be16::from_raw(fold(sum_bytes(bytes))).host() == 0xddf2);
}

TEST_CASE("a checksum is the same as by the book for every size", "[nat][checksum][rfc1071]") {
  std::mt19937_64 random(20240511);
  for (std::size_t size = 0; size <= 200; ++size) {
    auto bytes = random_bytes(random, size);
    INFO("size " << size);
    REQUIRE(Be16::from_raw(checksum(bytes)).host() == test::checksum_by_the_book(bytes.data(), bytes.size()));
  }
  for (const std::size_t size : {std::size_t{65504}, std::size_t{65535}, std::size_t{1} << 20U}) {
    for (const auto byte : {std::byte{0x00}, std::byte{0x7f}, std::byte{0x80}, std::byte{0xff}}) {
      const std::vector<std::byte> bytes(size, byte);
      INFO("size " << size << ", byte " << static_cast<int>(byte));
      CHECK(Be16::from_raw(checksum(bytes)).host() == test::checksum_by_the_book(bytes.data(), bytes.size()));
    }
  }
}

TEST_CASE("the example of RFC 1624 comes out as printed there", "[nat][checksum][rfc1624]") {
  // Section 4: HC = 0xDD2F, m = 0x5555, m' = 0x3285; the new checksum is 0x0000 by equation 3.
  const auto change = delta(Be16{0x5555}, Be16{0x3285});
  CHECK(Be16::from_raw(apply(Be16{0xdd2f}.raw(), change)).host() == 0x0000);
}

TEST_CASE("an incremental update is the same as a new sum", "[nat][checksum][rfc1624]") {
  const std::uint64_t seed = std::random_device{}();
  INFO("seed " << seed);
  std::mt19937_64 random(seed);
  for (int round = 0; round < 20000; ++round) {
    auto bytes = random_bytes(random, 20);
    // Words of all zeros and all ones are where one's complement has two zeros.
    if (round % 3 == 0) {
      const std::size_t at = random() % 9 * 2 + 2;
      bytes[at] = bytes[at + 1] = static_cast<std::byte>(round % 2 == 0 ? 0x00 : 0xff);
    }
    bytes[0] = std::byte{0x45};  // as in any header: not all zeros
    const std::uint16_t before = checksum(bytes);
    const std::size_t at = random() % 9 * 2 + 2;
    const auto old_word = load<std::uint16_t>(&bytes[at]);
    const auto new_word = static_cast<std::uint16_t>(random() % 4 == 0 ? random() % 2 * 0xffff : random());
    store(&bytes[at], new_word);
    REQUIRE(apply(before, delta(old_word, new_word)) == checksum(bytes));
    REQUIRE(apply(checksum(bytes), inverse(delta(old_word, new_word))) == before);
  }
}

TEST_CASE("changes of addresses and endpoints are the changes of their words", "[nat][checksum]") {
  const auto inside = test::endpoint("10.0.0.2", 5060);
  const auto external = test::endpoint("203.0.113.10", 40000);
  const auto words = combine(delta(Be16{0x0a00}, Be16{0xcb00}), delta(Be16{0x0002}, Be16{0x710a}));
  CHECK(apply(0x1234, delta(inside.address, external.address)) == apply(0x1234, words));
  CHECK(apply(0x1234, delta(inside, external)) ==
        apply(0x1234, combine(words, delta(Be16{5060}, Be16{40000}))));
}

TEST_CASE("an ICMP checksum does not cover the address", "[nat][checksum][rfc5508]") {
  const auto inside = test::endpoint("10.0.0.2", 77);
  const auto external = test::endpoint("203.0.113.10", 40000);
  const auto icmp = deltas_for(Protocol::icmp, inside, external);
  CHECK(icmp.ip == delta(inside.address, external.address));
  CHECK(icmp.transport == delta(Be16{77}, Be16{40000}));
  for (const auto protocol : {Protocol::udp, Protocol::tcp}) {
    CHECK(deltas_for(protocol, inside, external).transport == delta(inside, external));
  }
}

TEST_CASE("taking a change back is making the one that undoes it", "[nat][checksum][rfc1624]") {
  constexpr std::uint16_t kChanges[] = {1, 0x1234, 0x7fff, 0x8000, 0xfffe, kNoChange};
  for (const std::uint16_t change : kChanges) {
    for (std::uint32_t field = 0; field <= 0xffff; ++field) {
      const auto raw = static_cast<std::uint16_t>(field);
      if (take_back_udp(raw, change) == apply_udp(raw, inverse(change))) continue;
      FAIL("field " << field << ", change " << change);
    }
  }
}

TEST_CASE("a UDP checksum of zero stays zero, and a computed zero goes as all ones",
          "[nat][checksum][rfc768]") {
  CHECK(apply_udp(0, 0x1234) == 0);
  CHECK(apply_udp(0, 0xffff) == 0);
  // ~raw + change = 0xffff: the sum is -0, the checksum comes out as zero.
  CHECK(apply(0x1234, 0x1234) == 0);
  CHECK(apply_udp(0x1234, 0x1234) == 0xffff);
  // And a checksum that was sent as all ones because it was zero is understood.
  CHECK(apply_udp(0xffff, 0xffff) == 0xffff);
  CHECK(apply_udp(apply_udp(0x1234, 0x1234), inverse(0x1234)) == 0x1234);
  CHECK(take_back_udp(0, 0x1234) == 0);
  CHECK(take_back_udp(apply_udp(0x1234, 0x1234), 0x1234) == 0x1234);
  CHECK(take_back_udp(0x1234, kNoChange) == 0x1234);
  CHECK(take_back_udp(0xedcc, 0x1234) == 1);
}

TEST_CASE("a transport checksum in full is the same as by the book", "[nat][checksum]") {
  const std::uint64_t seed = std::random_device{}();
  INFO("seed " << seed);
  std::mt19937_64 random(seed);
  for (int round = 0; round < 3000; ++round) {
    auto spec = test::random_spec(random);
    spec.vlan = 0;
    spec.ip_option_words = 0;
    spec.padding = 0;
    spec.udp_checksum = true;
    auto frame = test::make_frame(spec);
    const auto protocol = spec.protocol == kIpProtocolUdp   ? Protocol::udp
                          : spec.protocol == kIpProtocolTcp ? Protocol::tcp
                                                            : Protocol::icmp;
    const std::size_t field = protocol == Protocol::udp ? 6 : protocol == Protocol::tcp ? 16 : 2;
    const auto right = load<std::uint16_t>(&frame[34 + field]);
    store(&frame[34 + field], static_cast<std::uint16_t>(random()));  // what is there does not count
    REQUIRE(transport_checksum(protocol, spec.source.address, spec.destination.address,
                               std::span(frame).subspan(34), field) == right);
  }
}

TEST_CASE("a full UDP checksum is never zero", "[nat][checksum][rfc768]") {
  // The payload word is chosen so that everything else sums up to -0 with it.
  test::FrameSpec spec;
  spec.payload.assign(2, std::byte{0});
  auto frame = test::make_frame(spec);
  const auto needed = load<std::uint16_t>(&frame[40]);
  store(&frame[42], needed);
  CHECK(transport_checksum(Protocol::udp, spec.source.address, spec.destination.address,
                           std::span(frame).subspan(34), 6) == 0xffff);
}

}  // namespace pinhole::nat
