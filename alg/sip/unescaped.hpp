// SPDX-License-Identifier: BSD-3-Clause
#pragma once
// The text that an escaped text stands for ("%40" for "@", RFC 3261 section 19.1.2), with the place that each
// of its characters came from, so that what is found in it can be edited where it is written. Invariant:
// bounded; a text that is longer than kMaxSize, and so than any message, is not read at all.

#include <array>
#include <cstdint>
#include <string_view>

namespace pinhole::alg::sip {

/// Large, since a message is: one object is read into again and again.
class Unescaped {
 public:
  static constexpr std::size_t kMaxSize = 65535;

  /// Reads another text, in place of the last one.
  void read(std::string_view escaped) noexcept;
  /// The text without escapes; empty when it was too long.
  [[nodiscard]] std::string_view view() const noexcept { return {text_.data(), size_}; }
  /// Where a part of view() is written. \param part a view into view()
  [[nodiscard]] std::string_view origin(std::string_view part) const noexcept;

 private:
  std::string_view escaped_;
  std::array<char, kMaxSize> text_;
  std::array<std::uint16_t, kMaxSize + 1> places_;
  std::size_t size_ = 0;
};

}  // namespace pinhole::alg::sip
