// SPDX-License-Identifier: BSD-3-Clause
#include "nat/tcp_segment.hpp"

#include <catch2/catch.hpp>
#include <random>

#include "nat/tcp_options.hpp"
#include "tests/support/frame.hpp"

using namespace pinhole;
using namespace pinhole::nat;

namespace {

std::vector<std::byte> bytes(std::initializer_list<unsigned> values) {
  std::vector<std::byte> result;
  for (const unsigned value : values) result.push_back(static_cast<std::byte>(value));
  return result;
}

/// A SYN with these options, its checksum right.
test::Frame syn(std::vector<std::byte> options) {
  while (options.size() % 4 != 0) options.push_back(std::byte{0});
  test::FrameSpec spec{.protocol = kIpProtocolTcp, .tcp_flags = TcpHeader::kSyn, .payload = {}};
  spec.tcp_option_words = static_cast<std::uint8_t>(options.size() / 4);
  auto frame = test::make_frame(spec);
  const Packet packet = parse(frame, 0);
  REQUIRE(packet.kind == PacketKind::flow);
  const std::size_t l4 = packet.l4_offset;
  std::copy(options.begin(), options.end(),
            frame.begin() + static_cast<std::ptrdiff_t>(l4 + sizeof(TcpHeader)));
  auto& tcp = header_at<TcpHeader>(frame.data(), l4);
  tcp.checksum = Be16::from_raw(
      transport_checksum(Protocol::tcp, packet.source.address, packet.destination.address,
                         std::span(frame).subspan(l4, packet.ip_end - l4), offsetof(TcpHeader, checksum)));
  REQUIRE(test::checksums_right(frame));
  return frame;
}

}  // namespace

TEST_CASE("TCP options are read as far as they make sense", "[nat][tcp_segment]") {
  struct Case {
    const char* name;
    std::vector<std::byte> options;
    std::optional<std::size_t> mss_at;
    std::optional<std::uint8_t> scale;
  };
  for (const Case& row :
       {Case{"none", {}, {}, {}},
        {"as Linux has them", bytes({2, 4, 5, 180, 4, 2, 8, 10, 1, 2, 3, 4, 0, 0, 0, 0, 1, 3, 3, 7}), 2,
         std::uint8_t{7}},
        {"behind the end", bytes({0, 2, 4, 5, 180}), {}, {}},
        {"behind no operation", bytes({1, 1, 1, 2, 4, 5, 180}), 5, {}},
        {"cut in its length", bytes({1, 2}), {}, {}},
        {"cut in its value", bytes({1, 2, 4, 5}), {}, {}},
        {"of size zero", bytes({2, 0, 5, 180}), {}, {}},
        {"of size one", bytes({9, 1, 2, 4, 5, 180}), {}, {}},
        {"of another size", bytes({2, 5, 5, 180, 0, 3, 2, 9, 2}), {}, {}},
        {"a shift beyond what is allowed", bytes({3, 3, 200}), {}, std::uint8_t{14}},
        {"the last of two counts", bytes({2, 4, 1, 1, 2, 4, 2, 2}), 6, {}}}) {
    DYNAMIC_SECTION(row.name) {
      const auto found = read_tcp_options(row.options);
      CHECK(found.mss_at == row.mss_at);
      CHECK(found.scale == row.scale);
    }
  }
}

TEST_CASE("options of any bytes are read within their bounds", "[nat][tcp_segment]") {
  std::mt19937 random(Catch::rngSeed());
  CAPTURE(Catch::rngSeed());
  for (unsigned round = 0; round < 20000; ++round) {
    const std::vector<std::byte> options = [&] {
      std::vector<std::byte> any(random() % 41);
      for (auto& byte : any) byte = static_cast<std::byte>(random() % (round % 2 == 0 ? 256 : 6));
      return any;
    }();
    const auto found = read_tcp_options(options);
    if (found.mss_at) REQUIRE(*found.mss_at + 2 <= options.size());
    if (found.scale) REQUIRE(*found.scale <= TcpOption::kMaxScale);
  }
}

TEST_CASE("a segment size is lowered, never raised, and the checksum follows", "[nat][tcp_segment][mss]") {
  for (const unsigned padding : {0U, 1U, 2U, 3U}) {
    for (const std::uint16_t limit : {std::uint16_t{536}, std::uint16_t{1220}, std::uint16_t{1459},
                                      std::uint16_t{1460}, std::uint16_t{9000}}) {
      DYNAMIC_SECTION("to " << limit << ", behind " << padding) {
        std::vector<std::byte> options(padding, std::byte{1});
        for (const auto byte : bytes({2, 4, 1460 >> 8, 1460 & 255})) options.push_back(byte);
        const auto before = syn(options);
        auto frame = before;
        const Packet packet = parse(frame, 0);
        CHECK(clamp_mss(frame.data(), packet, limit) == (limit < 1460));
        CHECK(test::checksums_right(frame));
        const std::size_t at = packet.l4_offset + sizeof(TcpHeader) + padding + 2;
        CHECK(header_at<Be16>(frame.data(), at).host() == std::min<std::uint16_t>(limit, 1460));
        auto expected = before;
        header_at<Be16>(expected.data(), at) = Be16{std::min<std::uint16_t>(limit, 1460)};
        auto& checksum = header_at<TcpHeader>(expected.data(), packet.l4_offset).checksum;
        checksum = header_at<TcpHeader>(frame.data(), packet.l4_offset).checksum;
        CHECK(frame == expected);
      }
    }
  }
}

TEST_CASE("a SYN without a segment size is left alone", "[nat][tcp_segment][mss]") {
  for (const auto& options : {bytes({}), bytes({1, 3, 3, 7}), bytes({2, 3, 5}), bytes({0, 2, 4, 5, 180})}) {
    const auto before = syn(options);
    auto frame = before;
    CHECK_FALSE(clamp_mss(frame.data(), parse(frame, 0), 536));
    CHECK(frame == before);
  }
}
