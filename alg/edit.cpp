// SPDX-License-Identifier: BSD-3-Clause
#include "alg/edit.hpp"

#include <algorithm>
#include <cstring>

namespace pinhole::alg {

bool EditList::replace(std::size_t offset, std::size_t removed, std::string_view text) noexcept {
  if (size_ == kMaxEdits || text.size() > kMaxText - text_size_) return false;
  auto* const begin = edits_.data();
  auto* const end = begin + size_;
  auto* const place = std::upper_bound(
      begin, end, offset, [](std::size_t value, const Edit& edit) { return value < edit.offset; });
  if (place != begin && place[-1].offset + place[-1].removed > offset) return false;
  if (place != begin && place[-1].offset == offset) return false;
  if (place != end && offset + removed > place->offset) return false;
  std::move_backward(place, end, end + 1);
  *place = {static_cast<std::uint32_t>(offset), static_cast<std::uint32_t>(removed),
            static_cast<std::uint32_t>(text_size_), static_cast<std::uint32_t>(text.size())};
  std::copy(text.begin(), text.end(), text_.begin() + static_cast<std::ptrdiff_t>(text_size_));
  text_size_ += text.size();
  ++size_;
  return true;
}

std::ptrdiff_t EditList::growth() const noexcept {
  std::ptrdiff_t growth = 0;
  for (const auto& edit : edits()) {
    growth += static_cast<std::ptrdiff_t>(edit.text_size) - static_cast<std::ptrdiff_t>(edit.removed);
  }
  return growth;
}

}  // namespace pinhole::alg
