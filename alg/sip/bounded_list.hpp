// SPDX-License-Identifier: BSD-3-Clause
#pragma once
// A list of bounded length on the stack. Invariant: only what was added is ever written, so that a list with
// room for much costs nothing where there is little.

#include <array>
#include <cstddef>
#include <new>
#include <span>
#include <type_traits>

namespace pinhole::alg::sip {

template <typename T, std::size_t Capacity>
class BoundedList {
  static_assert(std::is_trivially_copyable_v<T>);

 public:
  BoundedList() noexcept {}  // NOLINT(modernize-use-equals-default): the bytes are not to be cleared
  BoundedList(const BoundedList&) = delete;
  BoundedList& operator=(const BoundedList&) = delete;

  void clear() noexcept { size_ = 0; }
  /// \return where the value is now; nullptr when the list is full.
  template <typename... Values>
  [[nodiscard]] T* add(const Values&... values) noexcept {
    return size_ == Capacity ? nullptr : ::new (&bytes_[sizeof(T) * size_++]) T{values...};
  }

  [[nodiscard]] std::size_t size() const noexcept { return size_; }
  [[nodiscard]] bool empty() const noexcept { return size_ == 0; }
  [[nodiscard]] T* begin() noexcept { return std::launder(reinterpret_cast<T*>(bytes_.data())); }
  [[nodiscard]] T* end() noexcept { return begin() + size_; }
  [[nodiscard]] const T* begin() const noexcept {
    return std::launder(reinterpret_cast<const T*>(bytes_.data()));
  }
  [[nodiscard]] const T* end() const noexcept { return begin() + size_; }
  [[nodiscard]] T& operator[](std::size_t index) noexcept { return begin()[index]; }
  [[nodiscard]] const T& operator[](std::size_t index) const noexcept { return begin()[index]; }

 private:
  alignas(T) std::array<std::byte, sizeof(T) * Capacity> bytes_;
  std::size_t size_ = 0;
};

}  // namespace pinhole::alg::sip
