// SPDX-License-Identifier: BSD-3-Clause
#pragma once
// Fixed memory. The tables of a worker are cut once, at start, from one block that the caller gives
// (hugepages, shared with control); nothing here ever asks for more. Each array begins on a cache line of its
// own.

#include <cassert>
#include <cstddef>
#include <cstdint>
#include <new>
#include <span>

namespace pinhole::nat {

inline constexpr std::size_t kCacheLine = 64;

/// Bytes that an array of `count` elements takes out of a Carver.
template <typename T>
[[nodiscard]] constexpr std::size_t carved_bytes(std::size_t count) noexcept {
  return (count * sizeof(T) + kCacheLine - 1) / kCacheLine * kCacheLine;
}

/// Cuts arrays from the front of a block. The block is aligned to a cache line and large enough: whoever
/// carves also says how much is needed (`bytes_needed` of each table), so that a mismatch is a bug.
class Carver {
 public:
  explicit Carver(std::span<std::byte> memory) noexcept : rest_(memory) {
    assert(reinterpret_cast<std::uintptr_t>(memory.data()) % kCacheLine == 0);
  }

  /// The next `count` elements, value-initialised. Cost: writes all of them.
  template <typename T>
  [[nodiscard]] std::span<T> take(std::size_t count) noexcept {
    static_assert(alignof(T) <= kCacheLine);
    const auto bytes = take_bytes(carved_bytes<T>(count));
    auto* first = reinterpret_cast<T*>(bytes.data());
    for (std::size_t i = 0; i < count; ++i) ::new (first + i) T{};
    return {first, count};
  }
  /// The next `size` bytes as they are; `size` is a multiple of the cache line.
  [[nodiscard]] std::span<std::byte> take_bytes(std::size_t size) noexcept {
    assert(size % kCacheLine == 0 && size <= rest_.size());
    const auto bytes = rest_.first(size);
    rest_ = rest_.subspan(size);
    return bytes;
  }

 private:
  std::span<std::byte> rest_;
};

}  // namespace pinhole::nat
