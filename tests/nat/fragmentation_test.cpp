// SPDX-License-Identifier: BSD-3-Clause
#include "nat/fragmentation.hpp"

#include "tests/support/frame.hpp"

#include <catch2/catch.hpp>

#include <random>

using namespace pinhole;
using namespace pinhole::nat;

namespace {

constexpr std::size_t kIp = 14;

/// All pieces of a frame's datagram, as frames.
std::vector<test::Frame> pieces_of(const test::Frame& frame, std::uint16_t mtu) {
  const std::span<const std::byte> datagram = std::span(frame).subspan(kIp);
  std::vector<test::Frame> pieces;
  for (std::uint16_t from = 0; pieces.empty() || from != 0;) {
    test::Frame packet(mtu);
    const auto piece = write_piece(packet, datagram, from, mtu);
    REQUIRE(piece.size <= mtu);
    REQUIRE((piece.next == 0 || piece.next > from));
    packet.resize(piece.size);
    packet.insert(packet.begin(), frame.begin(), frame.begin() + kIp);
    pieces.push_back(std::move(packet));
    from = piece.next;
  }
  return pieces;
}

}  // namespace

TEST_CASE("a datagram is cut into the largest pieces that fit, as the book says",
          "[nat][fragmentation][rfc4787-req13][rfc791]") {
  const std::uint64_t seed = std::random_device{}();
  INFO("seed " << seed);
  std::mt19937_64 random(seed);
  for (int round = 0; round < 500; ++round) {
    auto spec = test::random_spec(random);
    spec.vlan = 0;
    spec.padding = 0;
    spec.ip_option_words = 0;
    spec.fragment = 0;
    spec.payload.resize(600 + random() % 8000);
    const auto frame = test::make_frame(spec);
    const auto mtu = static_cast<std::uint16_t>(68 + random() % 1500);
    if (frame.size() - kIp <= mtu) continue;
    std::vector<std::size_t> ends;
    const std::size_t room = (mtu - 20U) / 8 * 8;
    for (std::size_t end = room; frame.size() - kIp - 20 - end > mtu - 20U; end += room) ends.push_back(end);
    ends.push_back(ends.size() * room + room);
    REQUIRE(pieces_of(frame, mtu) == test::cut(frame, ends));
  }
}

TEST_CASE("a fragment is cut into fragments of its datagram", "[nat][fragmentation]") {
  test::FrameSpec spec;
  spec.payload.resize(4000);
  for (std::size_t i = 0; i < spec.payload.size(); ++i) spec.payload[i] = static_cast<std::byte>(i / 7);
  const auto fragments = test::cut(test::make_frame(spec), {1480, 2960});
  for (const auto& fragment : fragments) {
    if (fragment.size() - kIp <= 1000) continue;
    CHECK(pieces_of(fragment, 1000) == test::cut(fragment, {976}));
  }
}

TEST_CASE("of options, later fragments have those that are to be in all", "[nat][fragmentation][rfc791]") {
  test::FrameSpec spec;
  spec.ip_option_words = 4;
  spec.payload.resize(100);
  auto frame = test::make_frame(spec);
  // No operation; a timestamp, which is not copied; a source route, which is; the end; and what nobody reads.
  const unsigned options[] = {1, 68, 4, 5, 0, 131, 7, 4, 198, 51, 100, 7, 0, 131, 3, 4};
  for (std::size_t i = 0; i < 16; ++i) frame[kIp + 20 + i] = static_cast<std::byte>(options[i]);
  SECTION("a sound list") {
    const auto pieces = pieces_of(frame, 68);
    REQUIRE(pieces.size() == 3);
    CHECK(std::equal(frame.begin() + kIp + 20, frame.begin() + kIp + 36, pieces[0].begin() + kIp + 20));
    std::size_t payload = 0;
    for (std::size_t i = 0; i < pieces.size(); ++i) {
      REQUIRE(pieces[i][kIp] == (i == 0 ? std::byte{0x49} : std::byte{0x47}));
      const std::size_t header = i == 0 ? 36 : 28;
      CHECK(test::checksum_by_the_book(&pieces[i][kIp], header) == 0);
      payload += pieces[i].size() - kIp - header;
      const unsigned expected[] = {131, 7, 4, 198, 51, 100, 7, 0};
      for (std::size_t k = 0; i > 0 && k < 8; ++k)
        CHECK(pieces[i][kIp + 20 + k] == static_cast<std::byte>(expected[k]));
    }
    CHECK(payload == 108);
  }
  SECTION("lengths that lead nowhere end the list") {
    for (const unsigned length : {0U, 1U, 255U}) {
      frame[kIp + 22] = static_cast<std::byte>(length);
      const auto pieces = pieces_of(frame, 68);
      CHECK(pieces[1][kIp] == std::byte{0x45});
    }
  }
}
