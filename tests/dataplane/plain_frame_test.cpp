// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/plain_frame.hpp"

#include <sys/mman.h>
#include <unistd.h>

#include "nat/checksum.hpp"
#include "nat/mapping.hpp"

#include <algorithm>
#include <array>
#include <catch2/catch.hpp>
#include <cstring>
#include <random>
#include <span>
#include <vector>

namespace pinhole::dataplane {

namespace {

constexpr std::uint64_t kMac = 0x0605'0403'0202U;
constexpr std::size_t kIpHeader = sizeof(nat::Ipv4Header);
constexpr std::size_t kUdpHeader = sizeof(nat::UdpHeader);

/// Frames that end where memory does: who reads on dies.
class Edge {
 public:
  Edge() : page_(static_cast<std::size_t>(sysconf(_SC_PAGESIZE))) {
    void* const memory =
        mmap(nullptr, kPages * page_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    REQUIRE(memory != MAP_FAILED);
    begin_ = static_cast<std::byte*>(memory);
    REQUIRE(mprotect(begin_ + (kPages - 1) * page_, page_, PROT_NONE) == 0);
  }
  ~Edge() { munmap(begin_, kPages * page_); }
  Edge(const Edge&) = delete;
  Edge& operator=(const Edge&) = delete;

  std::byte* put(std::span<const std::byte> frame) {
    std::byte* const at = begin_ + (kPages - 1) * page_ - frame.size();
    std::copy(frame.begin(), frame.end(), at);
    return at;
  }

 private:
  static constexpr std::size_t kPages = 4;
  std::size_t page_;
  std::byte* begin_ = nullptr;
};

void put16(std::span<std::byte> frame, std::size_t at, std::uint16_t value) {
  nat::store(&frame[at], nat::Be16{value}.raw());
}
void sum_up(std::span<std::byte> frame) {
  put16(frame, plain::kIp + offsetof(nat::Ipv4Header, checksum), 0);
  nat::store(&frame[plain::kIp + offsetof(nat::Ipv4Header, checksum)],
             nat::checksum(frame.subspan(plain::kIp, kIpHeader)));
}

/// A plain frame with a payload of so many bytes, and so many bytes of padding behind.
std::vector<std::byte> plain_frame(std::size_t payload, std::size_t padding, std::mt19937_64& random) {
  std::vector<std::byte> frame(plain::kPayload + payload + padding);
  for (auto& byte : frame) byte = static_cast<std::byte>(random());
  nat::store(frame.data(), kMac);
  put16(frame, 12, nat::kEtherTypeIpv4);
  frame[plain::kIp] = static_cast<std::byte>(nat::Ipv4Header::kVersionNoOptions);
  put16(frame, plain::kTotalLength, static_cast<std::uint16_t>(kIpHeader + kUdpHeader + payload));
  put16(frame, plain::kIp + offsetof(nat::Ipv4Header, fragment), 0);
  frame[plain::kTtl] = static_cast<std::byte>(2 + random() % 254);
  frame[plain::kIp + offsetof(nat::Ipv4Header, protocol)] = static_cast<std::byte>(nat::kIpProtocolUdp);
  put16(frame, plain::kUdpLength, static_cast<std::uint16_t>(kUdpHeader + payload));
  sum_up(frame);
  return frame;
}

/// As the express path asks.
bool passes(Edge& edge, std::span<const std::byte> frame) {
  if (frame.size() < plain::kPayload) return false;
  const std::byte* const at = edge.put(frame);
  std::uint64_t endpoints[2];
  plain::read_endpoints<1>(at, endpoints);
  return is_plain(at, frame.size(), plain::udp_size_in(endpoints[1]),
                  plain::head_for(kMac & 0xffff'ffff'ffffU));
}

/// By the book, field by field.
bool is_plain_by_the_book(std::span<const std::byte> frame) {
  if (frame.size() < plain::kPayload) return false;
  const auto read16 = [&](std::size_t at) { return nat::load<nat::Be16>(&frame[at]).host(); };
  const auto read8 = [&](std::size_t at) { return std::to_integer<unsigned>(frame[at]); };
  const std::uint64_t mac = kMac;
  const unsigned total = read16(plain::kTotalLength);
  const unsigned udp = read16(plain::kUdpLength);
  return std::memcmp(frame.data(), &mac, 6) == 0 && read16(12) == nat::kEtherTypeIpv4 &&
         read8(plain::kIp) == nat::Ipv4Header::kVersionNoOptions &&
         (read16(plain::kIp + offsetof(nat::Ipv4Header, fragment)) & 0x3fffU) == 0 &&
         read8(plain::kTtl) > 1 &&
         read8(plain::kIp + offsetof(nat::Ipv4Header, protocol)) == nat::kIpProtocolUdp &&
         nat::checksum(frame.subspan(plain::kIp, kIpHeader)) == 0 && total <= frame.size() - plain::kIp &&
         total == udp + kIpHeader && udp >= kUdpHeader;
}

}  // namespace

TEST_CASE("a frame is plain exactly if the book says so", "[dataplane][plain_frame]") {
  const std::uint64_t seed = std::random_device{}();
  INFO("seed " << seed);
  std::mt19937_64 random(seed);
  Edge edge;
  unsigned plain = 0;
  unsigned others = 0;
  for (int round = 0; round < 60'000; ++round) {
    auto frame = plain_frame(random() % 64, random() % 3 * (random() % 20), random);
    REQUIRE(passes(edge, frame));
    ++plain;
    const auto size = static_cast<unsigned>(frame.size());
    switch (random() % 6) {
      case 0:  // any bit of what is looked at
        frame[random() % plain::kPayload] ^= static_cast<std::byte>(1U << random() % 8);
        break;
      case 1:  // cut
        frame.resize(random() % size);
        break;
      case 2: {  // sizes that say little less or more, or wrap round, both the same
        const unsigned udp = random() % 2 == 0 ? static_cast<unsigned>(random() % 10)
                                               : size - 34 + static_cast<unsigned>(random() % 40) - 20;
        put16(frame, plain::kUdpLength, static_cast<std::uint16_t>(udp));
        put16(frame, plain::kTotalLength, static_cast<std::uint16_t>(udp + kIpHeader));
        sum_up(frame);
        break;
      }
      case 3: {
        const auto udp = static_cast<std::uint16_t>(65'516 + random() % 20);
        put16(frame, plain::kUdpLength, udp);
        put16(frame, plain::kTotalLength, static_cast<std::uint16_t>(udp + kIpHeader));
        sum_up(frame);
        break;
      }
      case 4:  // one of the sizes alone
        put16(frame, random() % 2 == 0 ? plain::kTotalLength : plain::kUdpLength,
              static_cast<std::uint16_t>(random() % (2 * size)));
        sum_up(frame);
        break;
      default:  // other headers, with a right checksum
        frame[plain::kIp + random() % 12] ^= static_cast<std::byte>(1U << random() % 8);
        sum_up(frame);
        break;
    }
    const bool expected = is_plain_by_the_book(frame);
    REQUIRE(passes(edge, frame) == expected);
    others += expected ? 0 : 1;
  }
  CHECK(others > plain / 3);
}

TEST_CASE("the sum of a header fits by the book, whatever is carried", "[dataplane][plain_frame][rfc1071]") {
  const std::uint64_t seed = std::random_device{}();
  INFO("seed " << seed);
  std::mt19937_64 random(seed);
  constexpr std::uint16_t kWords[] = {0, 1, 0x7fff, 0x8000, 0xfffe, 0xffff};
  unsigned right = 0;
  for (int round = 0; round < 200'000; ++round) {
    std::array<std::byte, kIpHeader> header;
    for (std::size_t at = 0; at < header.size(); at += 2) {
      nat::store(&header[at],
                 random() % 8 == 0 ? static_cast<std::uint16_t>(random()) : kWords[random() % 6]);
    }
    if (round % 2 == 0) {  // made right
      nat::store(&header[10], std::uint16_t{0});
      nat::store(&header[10], nat::checksum(header));
    }
    const bool expected = nat::checksum(header) == 0 || nat::sum_bytes(header) == 0;
    REQUIRE(plain::header_sum_fits(header.data()) == expected);
    right += expected ? 1 : 0;
  }
  CHECK(right >= 100'000);
}

TEST_CASE("endpoints are read as words, and the size with either", "[dataplane][plain_frame]") {
  std::mt19937_64 random(1);
  const auto frame = plain_frame(20, 0, random);
  const auto& ip = nat::header_at<nat::Ipv4Header>(frame.data(), plain::kIp);
  const auto& udp = nat::header_at<nat::UdpHeader>(frame.data(), plain::kUdp);
  const auto source = nat::endpoint_word({ip.source, udp.source_port});
  const auto destination = nat::endpoint_word({ip.destination, udp.destination_port});
  std::uint64_t endpoints[2];
  plain::read_endpoints<0>(frame.data(), endpoints);
  CHECK(endpoints[0] == (source | std::uint64_t{28} << 48U));
  CHECK(endpoints[1] == destination);
  CHECK(plain::udp_size_in(endpoints[0]) == 28);
  plain::read_endpoints<1>(frame.data(), endpoints);
  CHECK(endpoints[0] == source);
  CHECK(endpoints[1] == (destination | std::uint64_t{28} << 48U));
}

}  // namespace pinhole::dataplane
