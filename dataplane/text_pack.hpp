// SPDX-License-Identifier: BSD-3-Clause
#pragma once
// A few texts that share one bounded room, so that a long one may have what the short ones leave. Invariant:
// a text is whole or empty; one that does not fit is not there.

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <initializer_list>
#include <numeric>
#include <string_view>

namespace pinhole::dataplane {

template <std::size_t Count, std::size_t Capacity>
class TextPack {
 public:
  /// Replaces a text by some pieces, which do not lie in here. \return false: they did not fit
  bool set(std::size_t which, std::initializer_list<std::string_view> pieces) noexcept {
    std::size_t size = 0;
    for (const auto piece : pieces) size += piece.size();
    if (size > Capacity - begin_of(Count) + sizes_[which]) {
      resize(which, 0);
      return false;
    }
    auto* to = resize(which, size);
    for (const auto piece : pieces) to = std::copy_n(piece.data(), piece.size(), to);
    return true;
  }
  /// \return false, and nothing done, when it does not fit
  bool append(std::size_t which, std::string_view piece) noexcept {
    const auto size = sizes_[which];
    if (piece.size() > Capacity - begin_of(Count)) return false;
    std::copy_n(piece.data(), piece.size(), resize(which, size + piece.size()) + size);
    return true;
  }
  [[nodiscard]] std::string_view get(std::size_t which) const noexcept {
    return {text_.data() + begin_of(which), sizes_[which]};
  }

 private:
  static_assert(Capacity <= 65535);
  [[nodiscard]] std::size_t begin_of(std::size_t which) const noexcept {
    return std::accumulate(sizes_.begin(), sizes_.begin() + static_cast<std::ptrdiff_t>(which),
                           std::size_t{0});
  }
  /// Moves what is behind a text, so that it has another size. \return where it begins
  char* resize(std::size_t which, std::size_t size) noexcept {
    const auto begin = begin_of(which);
    const auto end = begin + sizes_[which];
    const auto behind = begin_of(Count) - end;
    if (behind > 0 && size != sizes_[which])
      std::memmove(text_.data() + begin + size, text_.data() + end, behind);
    sizes_[which] = static_cast<std::uint16_t>(size);
    return text_.data() + begin;
  }

  std::array<std::uint16_t, Count> sizes_{};
  std::array<char, Capacity> text_;
};

}  // namespace pinhole::dataplane
