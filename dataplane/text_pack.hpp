// SPDX-License-Identifier: BSD-3-Clause
#pragma once
// A few texts that share one bounded room, so that a long one may have what the short ones leave. Invariant:
// a text is whole or empty; one that does not fit is not there.

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
    resize(which, 0);
    for (const auto piece : pieces) {
      if (append(which, piece)) continue;
      resize(which, 0);
      return false;
    }
    return true;
  }
  /// \return false, and nothing done, when it does not fit
  bool append(std::size_t which, std::string_view piece) noexcept {
    const auto size = sizes_[which];
    if (piece.size() > Capacity - begin_of(Count)) return false;
    resize(which, size + piece.size());
    if (!piece.empty()) std::memcpy(text_.data() + begin_of(which) + size, piece.data(), piece.size());
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
  /// Moves what is behind a text, so that it has another size.
  void resize(std::size_t which, std::size_t size) noexcept {
    const auto end = begin_of(which) + sizes_[which];
    std::memmove(text_.data() + begin_of(which) + size, text_.data() + end, begin_of(Count) - end);
    sizes_[which] = static_cast<std::uint16_t>(size);
  }

  std::array<std::uint16_t, Count> sizes_{};
  std::array<char, Capacity> text_{};
};

}  // namespace pinhole::dataplane
