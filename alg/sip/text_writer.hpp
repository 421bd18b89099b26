// SPDX-License-Identifier: BSD-3-Clause
#pragma once
// Writes a message into memory of bounded size. Invariant: nothing is written behind the end; what does not
// fit makes the whole message one that is not there, because half a message is worse than none.

#include <algorithm>
#include <charconv>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <system_error>

#include "nat/endpoint.hpp"

namespace pinhole::alg::sip {

class TextWriter {
 public:
  explicit TextWriter(std::span<char> to) noexcept : to_(to) {}

  TextWriter& text(std::string_view piece) noexcept {
    if (piece.size() > to_.size() - size_) return give_up();
    std::copy_n(piece.data(), piece.size(), to_.data() + size_);
    size_ += piece.size();
    return *this;
  }
  TextWriter& number(std::uint32_t value) noexcept {
    const auto [end, error] = std::to_chars(to_.data() + size_, to_.data() + to_.size(), value);
    if (error != std::errc{}) return give_up();
    size_ = static_cast<std::size_t>(end - to_.data());
    return *this;
  }
  TextWriter& address(nat::Ipv4Address value) noexcept { return text(nat::EndpointText(value).view()); }
  TextWriter& endpoint(nat::Endpoint value) noexcept { return text(nat::EndpointText(value).view()); }

  /// What was written; empty when it did not fit.
  [[nodiscard]] std::string_view view() const noexcept {
    return {to_.data(), whole_ ? size_ : std::size_t{0}};
  }

 private:
  TextWriter& give_up() noexcept {
    whole_ = false;
    return *this;
  }

  std::span<char> to_;
  std::size_t size_ = 0;
  bool whole_ = true;
};

}  // namespace pinhole::alg::sip
