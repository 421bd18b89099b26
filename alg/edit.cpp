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
  } else {
    for (std::size_t i = 0; i < size; ++i) to[i] = from[i];
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

bool EditList::replace(std::size_t offset, std::size_t removed, std::string_view text, Rule rule) noexcept {
  if (size_ == kMaxEdits || text.size() > kMaxText - text_size_) return false;
  Edit* place = edits_.data() + size_;
  // Whoever reads a message from front to back adds edits in their order.
  const bool is_last =
      size_ == 0 || (offset > place[-1].offset && offset >= place[-1].offset + place[-1].removed);
  if (!is_last) [[unlikely]]
    place = make_room(offset, removed);
  if (place == nullptr) return false;
  *place = {.offset = static_cast<std::uint32_t>(offset),
            .removed = static_cast<std::uint32_t>(removed),
            .text_offset = static_cast<std::uint16_t>(text_size_),
            .text_size = static_cast<std::uint16_t>(text.size()),
            .rule = rule};
  copy_text(text_.data() + text_size_, text.data(), text.size());
  text_size_ += text.size();
  growth_ += static_cast<std::ptrdiff_t>(text.size()) - static_cast<std::ptrdiff_t>(removed);
  ++size_;
  return true;
}

std::optional<std::size_t> EditList::apply(std::span<char> buffer, std::size_t size) const noexcept {
  const auto list = edits();
  if (!list.empty() && std::size_t{list.back().offset} + list.back().removed > size) return std::nullopt;
  const auto new_size = size + static_cast<std::size_t>(growth_);
  if (size > buffer.size() || new_size > buffer.size()) return std::nullopt;

  // Each run of bytes between two edits moves by the growth before it, once: those that go left from the
  // left, those that go right from the right. The runs keep their order, so neither overwrites a run that has
  // not moved.
  const auto run_begin = [&](std::size_t i) { return std::size_t{list[i].offset} + list[i].removed; };
  const auto run_end = [&](std::size_t i) { return i + 1 < list.size() ? list[i + 1].offset : size; };
  const auto move = [&](std::size_t i, std::ptrdiff_t shift) {
    auto* const from = buffer.data() + run_begin(i);
    std::memmove(from + shift, from, run_end(i) - run_begin(i));
  };
  const auto growth_of = [](const Edit& edit) {
    return static_cast<std::ptrdiff_t>(edit.text_size) - static_cast<std::ptrdiff_t>(edit.removed);
  };
  std::ptrdiff_t shift = 0;
  for (std::size_t i = 0; i < list.size(); ++i) {
    shift += growth_of(list[i]);
    if (shift < 0) move(i, shift);
  }
  for (std::size_t i = list.size(); i-- > 0;) {
    if (shift > 0) move(i, shift);
    shift -= growth_of(list[i]);
  }
  for (const auto& edit : list) {
    copy_text(buffer.data() + edit.offset + shift, text_.data() + edit.text_offset, edit.text_size);
    shift += growth_of(edit);
  }
  return new_size;
}

}  // namespace pinhole::alg
