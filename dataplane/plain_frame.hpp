// SPDX-License-Identifier: BSD-3-Clause
#pragma once
// Plain frames: what nearly every frame is, and what the express path (dataplane/express.hpp) is for. A frame
// is plain when it has nothing that needs thought: untagged Ethernet to our MAC address, IPv4 without
// options, right header checksum, no fragment, a TTL to spare, UDP whose lengths fit. Its fields are at fixed
// offsets, and all questions together are a few compares of whole words.

#include <array>
#include <cstddef>
#include <cstdint>

#include "nat/headers.hpp"

#include <immintrin.h>

namespace pinhole::dataplane {

namespace plain {

// A plain frame, by offsets.
inline constexpr std::size_t kIp = sizeof(nat::EthernetHeader);
inline constexpr std::size_t kUdp = kIp + sizeof(nat::Ipv4Header);
inline constexpr std::size_t kPayload = kUdp + sizeof(nat::UdpHeader);
inline constexpr std::size_t kTotalLength = kIp + offsetof(nat::Ipv4Header, total_length);
inline constexpr std::size_t kTtl = kIp + offsetof(nat::Ipv4Header, ttl);
inline constexpr std::size_t kEndpoints = kIp + offsetof(nat::Ipv4Header, source);
inline constexpr std::size_t kUdpLength = kUdp + offsetof(nat::UdpHeader, length);

/// The first 32 bytes of a frame, as words.
struct alignas(32) Head {
  std::array<std::uint64_t, 4> words{};
};

/// A byte of a word, by its number in the frame.
constexpr std::uint64_t at_byte(std::size_t byte, std::uint64_t raw) noexcept {
  return raw << (8 * (byte % 8));
}

/// Which bits are the same in all plain frames that come by one port: the MAC address that they are for, the
/// EtherType, IP version and header length, fragment and protocol.
inline constexpr Head kMask = {
    {at_byte(0, 0xffff'ffff'ffffU), at_byte(12, 0xffff) | at_byte(14, 0xff),
     at_byte(20, nat::Be16{nat::Ipv4Header::kMoreFragments | nat::Ipv4Header::kFragmentOffset}.raw()) |
         at_byte(23, 0xff),
     0}};
static_assert(offsetof(nat::EthernetHeader, ether_type) == 12 && kIp == 14);
static_assert(kIp + offsetof(nat::Ipv4Header, fragment) == 20);
static_assert(kIp + offsetof(nat::Ipv4Header, protocol) == 23);

/// What these bits must be. \param mac  MacAddress::raw() of the port
[[nodiscard]] constexpr Head head_for(std::uint64_t mac) noexcept {
  return {
      {mac,
       at_byte(12, nat::Be16{nat::kEtherTypeIpv4}.raw()) | at_byte(14, nat::Ipv4Header::kVersionNoOptions),
       at_byte(23, nat::kIpProtocolUdp), 0}};
}

[[gnu::always_inline]] inline bool begins_with(const std::byte* frame, const Head& head) noexcept {
#if defined(__AVX2__)
  const auto* const words = reinterpret_cast<const __m256i*>(head.words.data());
  const auto* const mask = reinterpret_cast<const __m256i*>(kMask.words.data());
  const __m256i read = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(frame));
  const __m256i other = _mm256_xor_si256(read, _mm256_load_si256(words));
  return _mm256_testz_si256(other, _mm256_load_si256(mask)) != 0;
#else
  std::uint64_t other = 0;
  for (std::size_t i = 0; i < 3; ++i) {
    other |= (nat::load<std::uint64_t>(frame + 8 * i) ^ head.words[i]) & kMask.words[i];
  }
  return other == 0;
#endif
}

/// Whether the checksum of a header without options is right: whether the sum of its words is a multiple of
/// 0xffff (RFC 1071), which one multiplication tells.
[[gnu::always_inline]] inline bool header_sum_fits(const std::byte* header) noexcept {
  std::uint64_t sum = nat::load<std::uint64_t>(header);
  const auto add = [&sum](std::uint64_t word) noexcept {
    const bool carry = __builtin_add_overflow(sum, word, &sum);
    sum += carry ? 1U : 0U;  // it comes round
  };
  add(nat::load<std::uint64_t>(header + 8));
  add(nat::load<std::uint32_t>(header + 16));
  constexpr std::uint64_t kInverse = 0xfffe'fffe'fffe'ffffU;  // of 0xffff, modulo 2^64
  static_assert(kInverse * 0xffffU == 1);
  return sum * kInverse <= ~std::uint64_t{0} / 0xffffU;
}

/// The total length of the IP datagram. Read with its neighbours, as a word of 32 bits: those of 16 are slow
/// to turn round.
[[gnu::always_inline]] inline std::uint16_t ip_size_of(const std::byte* frame) noexcept {
  return static_cast<std::uint16_t>(nat::load<nat::Be32>(frame + kTotalLength).host() >> 16U);
}

/// Both endpoints of a frame of at least kPayload bytes as endpoint_word()s, that of the source first; and
/// the length that UDP says it has, in the 16 bits that are left of one of them: udp_size_in().
/// \tparam kWithSize  which of the two
/// Cost: one load, one shuffle, one store.
template <unsigned kWithSize>
[[gnu::always_inline]] inline void read_endpoints(const std::byte* frame,
                                                  std::uint64_t (&endpoints)[2]) noexcept {
  // Source address, destination address, source port, destination port, UDP length, UDP checksum.
  const __m128i read = _mm_loadu_si128(reinterpret_cast<const __m128i*>(frame + kEndpoints));
  const __m128i order = kWithSize == 0 ? _mm_setr_epi8(0, 1, 2, 3, 8, 9, 13, 12, 4, 5, 6, 7, 10, 11, -1, -1)
                                       : _mm_setr_epi8(0, 1, 2, 3, 8, 9, -1, -1, 4, 5, 6, 7, 10, 11, 13, 12);
  _mm_storeu_si128(reinterpret_cast<__m128i*>(endpoints), _mm_shuffle_epi8(read, order));
}
static_assert(kEndpoints + 12 == kUdpLength && kEndpoints + 16 == kPayload);

[[nodiscard]] constexpr std::uint16_t udp_size_in(std::uint64_t endpoint) noexcept {
  return static_cast<std::uint16_t>(endpoint >> 48U);
}

}  // namespace plain

/// Whether a frame is plain.
/// \param size      of the frame in bytes, at least plain::kPayload
/// \param udp_size  the length that UDP says it has, in bytes
/// \param head      plain::head_for() the port
[[gnu::always_inline]] inline bool is_plain(const std::byte* frame, std::size_t size, std::uint16_t udp_size,
                                            const plain::Head& head) noexcept {
  using namespace plain;
  // The answers are nearly always the same, so that branches on them are free.
  if (!begins_with(frame, head)) [[unlikely]]
    return false;
  if (std::to_integer<std::uint8_t>(frame[kTtl]) <= 1 || !header_sum_fits(frame + kIp)) [[unlikely]]
    return false;
  if (std::size_t{udp_size} - sizeof(nat::UdpHeader) > size - kPayload) [[unlikely]]
    return false;
  if (std::size_t{udp_size} + sizeof(nat::Ipv4Header) != ip_size_of(frame)) [[unlikely]]
    return false;
  return true;
}

}  // namespace pinhole::dataplane
