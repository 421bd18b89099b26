// SPDX-License-Identifier: BSD-3-Clause
#include "alg/edit.hpp"

#include <algorithm>
#include <cstring>

namespace pinhole::alg {

namespace {

template <typename Word>
void copy_ends(char* to, const char* from, std::size_t size) noexcept {
  Word first;
  Word last;
  std::memcpy(&first, from, sizeof first);
  std::memcpy(&last, from + size - sizeof last, sizeof last);
  std::memcpy(to, &first, sizeof first);
  std::memcpy(to + size - sizeof last, &last, sizeof last);
}

// Replacements are short: a call would take longer than to copy them.
void copy_text(char* to, const char* from, std::size_t size) noexcept {
  using Words = std::array<std::uint64_t, 2>;
  if (size > 2 * sizeof(Words)) {
    std::memcpy(to, from, size);
  } else if (size >= sizeof(Words)) {
    copy_ends<Words>(to, from, size);
  } else if (size >= sizeof(std::uint64_t)) {
    copy_ends<std::uint64_t>(to, from, size);
  } else if (size >= sizeof(std::uint32_t)) {
    copy_ends<std::uint32_t>(to, from, size);
  } else if (size >= sizeof(std::uint16_t)) {
    copy_ends<std::uint16_t>(to, from, size);
  } else if (size > 0) {
    *to = *from;
  }
}

}  // namespace

Edit* EditList::make_room(std::size_t offset, std::size_t removed) noexcept {
  auto* const begin = edits_.data();
  auto* const end = begin + size_;
  auto* const place = std::upper_bound(
      begin, end, offset, [](std::size_t value, const Edit& edit) { return value < edit.offset; });
  if (place != begin && (place[-1].offset + place[-1].removed > offset || place[-1].offset == offset))
    return nullptr;
  if (place != end && offset + removed > place->offset) return nullptr;
  std::move_backward(place, end, end + 1);
  return place;
}

[[gnu::always_inline]] inline void EditList::put(Edit& place, std::size_t offset, std::size_t removed,
                                                 std::string_view text, Rule rule) noexcept {
  place = {.offset = static_cast<std::uint32_t>(offset),
           .removed = static_cast<std::uint32_t>(removed),
           .text_offset = static_cast<std::uint16_t>(text_size_),
           .text_size = static_cast<std::uint16_t>(text.size()),
           .rule = rule};
  auto* const to = text_.data() + text_size_;
  text_size_ += text.size();
  growth_ += static_cast<std::ptrdiff_t>(text.size()) - static_cast<std::ptrdiff_t>(removed);
  ++size_;
  copy_text(to, text.data(), text.size());
}

[[gnu::noinline]] bool EditList::insert(std::size_t offset, std::size_t removed, std::string_view text,
                                        Rule rule) noexcept {
  auto* const place = make_room(offset, removed);
  if (place == nullptr) return false;
  put(*place, offset, removed, text, rule);
  return true;
}

bool EditList::replace(std::size_t offset, std::size_t removed, std::string_view text, Rule rule) noexcept {
  if (!has_room(text.size())) return false;
  // Whoever reads a message from front to back adds edits in their order.
  if (offset < next_) [[unlikely]]
    return insert(offset, removed, text, rule);
  // At the place of an insertion there is no other.
  next_ = offset + std::max<std::size_t>(removed, 1);
  put(edits_[size_], offset, removed, text, rule);
  return true;
}

std::optional<std::size_t> EditList::apply(std::span<char> buffer, std::size_t size) const noexcept {
  const auto list = edits();
  if (!list.empty() && std::size_t{list.back().offset} + list.back().removed > size) return std::nullopt;
  const auto new_size = size + static_cast<std::size_t>(growth_);
  if (size > buffer.size() || new_size > buffer.size()) return std::nullopt;

  // Each run of bytes between two edits moves by the growth before it, once: those that go left from the
  // left, those that go right from the right. The runs keep their order, so neither overwrites a run that has
  // not moved; nor does a text that is written when all that comes behind it has.
  const auto growth_of = [](const Edit& edit) {
    return static_cast<std::ptrdiff_t>(edit.text_size) - static_cast<std::ptrdiff_t>(edit.removed);
  };
  const auto move_run = [&](const Edit& edit, std::size_t end, std::ptrdiff_t shift) {
    const std::size_t begin = std::size_t{edit.offset} + edit.removed;
    std::memmove(buffer.data() + begin + shift, buffer.data() + begin, end - begin);
  };
  std::ptrdiff_t shift = 0;
  for (std::size_t i = 0; i < list.size(); ++i) {
    shift += growth_of(list[i]);
    if (shift < 0) move_run(list[i], i + 1 < list.size() ? list[i + 1].offset : size, shift);
  }
  std::size_t end = size;
  for (std::size_t i = list.size(); i-- > 0;) {
    const auto& edit = list[i];
    if (shift > 0) move_run(edit, end, shift);
    shift -= growth_of(edit);
    copy_text(buffer.data() + edit.offset + shift, text_.data() + edit.text_offset, edit.text_size);
    end = edit.offset;
  }
  return new_size;
}

}  // namespace pinhole::alg
