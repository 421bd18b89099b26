// SPDX-License-Identifier: BSD-3-Clause
#pragma once
// The Internet checksum: in full (RFC 1071) and by difference (RFC 1624). Sums are taken over native words,
// which RFC 1071 section 2(B) allows: a sum is only ever stored to the wire or compared with one that was
// loaded from it, so Be16::from_raw() and raw() are the way in and out. Invariant: a checksum that was right
// before apply() is right after it, and one that was wrong stays wrong by the same amount; nothing here
// launders a damaged packet.

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>

#include "nat/endpoint.hpp"
#include "nat/headers.hpp"

#if defined(__AVX2__)
#include <immintrin.h>
#endif

namespace pinhole::nat {

/// Folds carries into 16 bits.
[[nodiscard]] constexpr std::uint16_t fold(std::uint64_t sum) noexcept {
  // A number and its halves exchanged add up to the sum of the halves, with its carry, in the upper one.
  const auto words = static_cast<std::uint32_t>((sum + std::rotl(sum, 32)) >> 32U);
  return static_cast<std::uint16_t>((words + std::rotl(words, 16)) >> 16U);
}

namespace detail {

inline constexpr std::size_t kVector = 32;

#if defined(__AVX2__)
inline constexpr std::size_t kLeastForVectors = kVector;

/// The sum of all words of so many vectors, as long as they are no more than 1 MiB.
[[nodiscard]] inline std::uint64_t sum_vectors(const std::byte* at, std::size_t vectors) noexcept {
  // Pairs of signed words are what the processor adds in one step: all are less by 2^15, and in the end the
  // sum is more by as much.
  const __m256i less = _mm256_set1_epi16(INT16_MIN);
  const __m256i ones = _mm256_set1_epi16(1);
  __m256i sums = _mm256_setzero_si256();
  // Without unrolling half of the instructions only count.
#pragma GCC unroll 4
  for (std::size_t i = 0; i < vectors; ++i) {
    const __m256i words = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(at) + i);
    sums = _mm256_add_epi32(sums, _mm256_madd_epi16(_mm256_xor_si256(words, less), ones));
  }
  const __m256i wide = _mm256_add_epi64(_mm256_cvtepi32_epi64(_mm256_castsi256_si128(sums)),
                                        _mm256_cvtepi32_epi64(_mm256_extracti128_si256(sums, 1)));
  const __m128i two = _mm_add_epi64(_mm256_castsi256_si128(wide), _mm256_extracti128_si256(wide, 1));
  const std::int64_t sum = _mm_cvtsi128_si64(two) + _mm_extract_epi64(two, 1);
  return static_cast<std::uint64_t>(sum) + vectors * (kVector / 2) * 0x8000U;
}
#else
inline constexpr std::size_t kLeastForVectors = SIZE_MAX;  // there are none

[[nodiscard]] inline std::uint64_t sum_vectors(const std::byte*, std::size_t) noexcept {
  return 0;
}
#endif

}  // namespace detail

/// The unfolded one's complement sum of bytes; an odd last byte is padded with zero (RFC 1071 section 1).
/// Cost: about a byte in 1/32 cycle, with AVX2.
/// \param bytes  at most 1 MiB
[[nodiscard]] inline std::uint64_t sum_bytes(std::span<const std::byte> bytes) noexcept {
  const std::byte* at = bytes.data();
  const std::byte* const end = at + bytes.size();
  std::uint64_t sum = 0;
  if (bytes.size() >= detail::kLeastForVectors) {
    sum = detail::sum_vectors(at, bytes.size() / detail::kVector);
    at += bytes.size() / detail::kVector * detail::kVector;
  }
  const auto add = [&sum](std::uint64_t word) noexcept { sum += (word & 0xffffffffU) + (word >> 32U); };
  for (; end - at >= 8; at += 8) add(load<std::uint64_t>(at));
  const auto rest = static_cast<std::size_t>(end - at);
  if (rest == 0) return sum;
  std::uint64_t last = 0;
  if (bytes.size() >= 8) {
    // The last eight bytes, without those that were summed up already.
    last = load<std::uint64_t>(end - 8) >> (8 * (8 - rest));
  } else {
    std::memcpy(&last, at, rest);
  }
  add(last);
  return sum;
}

/// The checksum of bytes whose checksum field is zero; 0 when the field is in place and right.
[[nodiscard]] inline std::uint16_t checksum(std::span<const std::byte> bytes) noexcept {
  return static_cast<std::uint16_t>(~fold(sum_bytes(bytes)));
}

/// What a change of one word adds to a sum: ~old + new (RFC 1624, equation 3).
[[nodiscard]] constexpr std::uint16_t delta(std::uint16_t old_raw, std::uint16_t new_raw) noexcept {
  return fold(std::uint64_t{static_cast<std::uint16_t>(~old_raw)} + new_raw);
}
[[nodiscard]] constexpr std::uint16_t delta(Ipv4Address before, Ipv4Address after) noexcept {
  return fold(std::uint64_t{~before.value.raw()} + after.value.raw());
}
[[nodiscard]] constexpr std::uint16_t delta(Be16 before, Be16 after) noexcept {
  return delta(before.raw(), after.raw());
}
[[nodiscard]] constexpr std::uint16_t delta(Endpoint before, Endpoint after) noexcept {
  return fold(std::uint64_t{delta(before.address, after.address)} + delta(before.port, after.port));
}
/// The change that is none: of the two zeros of one's complement the one that delta() and inverse() give.
inline constexpr std::uint16_t kNoChange = 0xffff;
/// The change that undoes `of`, which is not the other zero.
[[nodiscard]] constexpr std::uint16_t inverse(std::uint16_t of) noexcept {
  return of == kNoChange ? kNoChange : static_cast<std::uint16_t>(~of);
}
/// Two changes as one.
[[nodiscard]] constexpr std::uint16_t combine(std::uint16_t a, std::uint16_t b) noexcept {
  return fold(std::uint64_t{a} + b);
}

/// The checksum field after a change. \param raw  the field as it lies on the wire
[[nodiscard]] constexpr std::uint16_t apply(std::uint16_t raw, std::uint16_t change) noexcept {
  std::uint32_t sum = std::uint32_t{static_cast<std::uint16_t>(~raw)} + change;
  sum = (sum & 0xffffU) + (sum >> 16U);
  return static_cast<std::uint16_t>(~sum);
}
/// The checksum field of UDP before a change: apply_udp() with the change undone.
[[nodiscard]] constexpr std::uint16_t take_back_udp(std::uint16_t raw, std::uint16_t change) noexcept {
  if (raw == 0) return 0;
  // Adding the change to the field comes to the same as taking it from the field's complement, but that the
  // sum of anything and not zero is never zero.
  std::uint16_t sum = 0;
  const bool carry = __builtin_add_overflow(raw, change, &sum);
  return static_cast<std::uint16_t>(sum + (carry ? 1 : 0));
}
/// apply() for UDP: no checksum stays none, and a checksum that comes out as zero is sent as all ones.
/// Source: RFC 768; RFC 3022 section 4.1.
[[nodiscard]] constexpr std::uint16_t apply_udp(std::uint16_t raw, std::uint16_t change) noexcept {
  return take_back_udp(raw, static_cast<std::uint16_t>(~change));
}

/// What translation of `inside` to `external` adds to the IPv4 header's sum and to the transport's.
struct Deltas {
  std::uint16_t ip;  // the address
  std::uint16_t
      transport;  // address and port (UDP and TCP have a pseudo header), or the ICMP identifier alone
};
[[nodiscard]] constexpr Deltas deltas_for(Protocol protocol, Endpoint inside, Endpoint external) noexcept {
  return {delta(inside.address, external.address),
          protocol == Protocol::icmp ? delta(inside.port, external.port) : delta(inside, external)};
}

/// The unfolded sum of the pseudo header of UDP and TCP (RFC 768, RFC 9293 section 3.1).
/// \param length  of the transport header and its payload, in bytes
[[nodiscard]] constexpr std::uint64_t pseudo_header_sum(Ipv4Address source, Ipv4Address destination,
                                                        std::uint8_t protocol,
                                                        std::uint16_t length) noexcept {
  return std::uint64_t{source.value.raw()} + destination.value.raw() + Be16{std::uint16_t{protocol}}.raw() +
         Be16{length}.raw();
}

/// The transport checksum in full, with the field in `segment` counted as zero; ICMP has no pseudo header.
/// \param segment  transport header and payload
/// \param field    offset of the checksum field in `segment`, even and below 32
/// \return the field's new bytes; never zero for UDP
[[nodiscard]] inline std::uint16_t transport_checksum(Protocol protocol, Ipv4Address source,
                                                      Ipv4Address destination,
                                                      std::span<const std::byte> segment,
                                                      std::size_t field) noexcept {
  std::uint64_t sum = sum_bytes(segment);
  // The old field is taken out of the word that it was summed in, so that nothing is written first: one of
  // 16 bits in a vector, else one of 32.
  const bool is_upper_half = segment.size() < detail::kLeastForVectors && field % 4 != 0;
  sum -= std::uint64_t{load<std::uint16_t>(segment.data() + field)} << (is_upper_half ? 16U : 0U);
  if (protocol != Protocol::icmp) {
    sum += pseudo_header_sum(source, destination, ip_protocol(protocol),
                             static_cast<std::uint16_t>(segment.size()));
  }
  const auto raw = static_cast<std::uint16_t>(~fold(sum));
  return protocol == Protocol::udp && raw == 0 ? std::uint16_t{0xffff} : raw;
}

}  // namespace pinhole::nat
