// SPDX-License-Identifier: BSD-3-Clause
#pragma once
// A bounded list of replacements in one message. Invariant: edits are in ascending order and do not overlap,
// so that the result is one pass; bytes outside an edit are never touched (requirement AC-03).

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "alg/rule.hpp"

namespace pinhole::alg {

struct Edit {
  std::uint32_t offset = 0;       // of the first byte replaced, in the message as received
  std::uint32_t removed = 0;      // bytes replaced; 0 inserts
  std::uint16_t text_offset = 0;  // of the replacement in the list's own text
  std::uint16_t text_size = 0;
  Rule rule = Rule::other;  // that asked for it
};

class EditList {
 public:
  static constexpr std::size_t kMaxEdits = 128;
  static constexpr std::size_t kMaxText = 4096;

  /// Adds a replacement; may be called in any order of offsets.
  /// \return false when the list is full or the edit overlaps another: the message cannot be translated.
  [[nodiscard]] bool replace(std::size_t offset, std::size_t removed, std::string_view text,
                             Rule rule = Rule::other) noexcept;

  void clear() noexcept {
    size_ = text_size_ = next_ = 0;
    growth_ = 0;
  }
  [[nodiscard]] bool empty() const noexcept { return size_ == 0; }
  /// Whether another edit with so much text has room.
  [[nodiscard]] bool has_room(std::size_t text) const noexcept {
    return size_ < kMaxEdits && text <= kMaxText - text_size_;
  }
  [[nodiscard]] std::span<const Edit> edits() const noexcept { return {edits_.data(), size_}; }
  [[nodiscard]] std::string_view text(const Edit& edit) const noexcept {
    return {text_.data() + edit.text_offset, edit.text_size};
  }
  /// Bytes by which the message grows (negative: shrinks).
  [[nodiscard]] std::ptrdiff_t growth() const noexcept { return growth_; }

  /// Applies the edits in place.
  /// \param buffer room for the message and its growth; the message is its first `size` bytes.
  /// \return the new size; none when the buffer is too small (the message is then unchanged).
  [[nodiscard]] std::optional<std::size_t> apply(std::span<char> buffer, std::size_t size) const noexcept;

 private:
  /// Adds one that is not behind all others.
  [[nodiscard]] bool insert(std::size_t offset, std::size_t removed, std::string_view text,
                            Rule rule) noexcept;
  /// \return where an edit has its place, with those behind it moved; nullptr when it overlaps another
  [[nodiscard]] Edit* make_room(std::size_t offset, std::size_t removed) noexcept;
  void put(Edit& place, std::size_t offset, std::size_t removed, std::string_view text, Rule rule) noexcept;

  std::array<Edit, kMaxEdits> edits_;
  std::array<char, kMaxText> text_;
  std::size_t size_ = 0;
  std::size_t text_size_ = 0;
  std::size_t next_ = 0;  // the first place that is behind all edits
  std::ptrdiff_t growth_ = 0;
};

}  // namespace pinhole::alg
