// SPDX-License-Identifier: BSD-3-Clause
#pragma once
// Text of bounded length inside a message or card: no pointer, no heap, cut when too long.

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace pinhole::ipc {

template <std::size_t Capacity>
class Text {
 public:
  constexpr Text() noexcept = default;
  void assign(std::string_view text) noexcept {
    size_ = static_cast<std::uint16_t>(std::min(text.size(), Capacity));
    std::copy_n(text.data(), size_, text_.data());
  }
  void clear() noexcept { size_ = 0; }
  /// The text; a size that a torn read left too large is cut to the capacity.
  [[nodiscard]] std::string_view view() const noexcept {
    return {text_.data(), std::min<std::size_t>(size_, Capacity)};
  }

 private:
  static_assert(Capacity <= 65535);
  std::uint16_t size_ = 0;
  std::array<char, Capacity> text_{};
};

}  // namespace pinhole::ipc
