// SPDX-License-Identifier: BSD-3-Clause
#pragma once
// Byte order as a type. A BigEndian<T> holds the bytes of T as they are on the wire; the only way to a number
// is host(). It has alignment 1, so a header struct made of these may be laid over packet bytes anywhere; it
// is one word and not an array of bytes, because compilers keep words in registers.

#include <bit>
#include <compare>
#include <concepts>
#include <cstddef>
#include <cstdint>

namespace pinhole::nat {

template <std::unsigned_integral T>
class [[gnu::packed]] BigEndian {
 public:
  constexpr BigEndian() noexcept = default;
  constexpr explicit BigEndian(T host) noexcept : raw_(swap(host)) {}

  /// The value as a number.
  [[nodiscard]] constexpr T host() const noexcept { return swap(raw()); }
  /// The wire bytes read as one native word: for sums (RFC 1071 is byte order independent) and for hashing.
  [[nodiscard]] constexpr T raw() const noexcept { return raw_; }
  [[nodiscard]] static constexpr BigEndian from_raw(T raw) noexcept {
    BigEndian value;
    value.raw_ = raw;
    return value;
  }

  friend constexpr bool operator==(BigEndian a, BigEndian b) noexcept { return a.raw() == b.raw(); }
  friend constexpr auto operator<=>(BigEndian a, BigEndian b) noexcept { return a.host() <=> b.host(); }

 private:
  static constexpr T swap(T value) noexcept {
    static_assert(std::endian::native == std::endian::little, "Pinhole runs on little-endian machines");
    if constexpr (sizeof(T) == 2) return __builtin_bswap16(value);
    if constexpr (sizeof(T) == 4) return __builtin_bswap32(value);
    if constexpr (sizeof(T) == 8) return __builtin_bswap64(value);
  }
  T raw_ = 0;
};

using Be16 = BigEndian<std::uint16_t>;
using Be32 = BigEndian<std::uint32_t>;
static_assert(sizeof(Be16) == 2 && alignof(Be16) == 1);
static_assert(sizeof(Be32) == 4 && alignof(Be32) == 1);

}  // namespace pinhole::nat
