// SPDX-License-Identifier: BSD-3-Clause
#pragma once
// A short piece of text put together on the stack. Invariant: never more than its capacity, which is the
// largest that its user can need; what would not fit is left out.

#include <algorithm>
#include <array>
#include <charconv>
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <system_error>

#include "nat/endpoint.hpp"

namespace pinhole::alg::sip {

template <std::size_t Capacity>
class LineBuilder {
 public:
  LineBuilder& text(std::string_view piece) noexcept {
    const auto size = std::min(piece.size(), Capacity - size_);
    std::copy_n(piece.data(), size, text_.data() + size_);
    size_ += size;
    return *this;
  }
  LineBuilder& number(std::uint32_t value) noexcept {
    const auto [end, error] = std::to_chars(text_.data() + size_, text_.data() + Capacity, value);
    if (error == std::errc{}) size_ = static_cast<std::size_t>(end - text_.data());
    return *this;
  }
  LineBuilder& address(nat::Ipv4Address value) noexcept { return text(nat::EndpointText(value).view()); }
  [[nodiscard]] std::string_view view() const noexcept { return {text_.data(), size_}; }

 private:
  std::array<char, Capacity> text_;
  std::size_t size_ = 0;
};

}  // namespace pinhole::alg::sip
