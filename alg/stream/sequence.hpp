// SPDX-License-Identifier: BSD-3-Clause
#pragma once
// Numbers of TCP: they wrap, so that "before" means less than half of the numbers away (RFC 9293 section
// 3.4).

#include <cstdint>

namespace pinhole::alg::stream {

using Sequence = std::uint32_t;

[[nodiscard]] constexpr bool before(Sequence a, Sequence b) noexcept {
  return static_cast<std::int32_t>(a - b) < 0;
}
[[nodiscard]] constexpr bool after(Sequence a, Sequence b) noexcept {
  return before(b, a);
}
[[nodiscard]] constexpr Sequence earlier(Sequence a, Sequence b) noexcept {
  return before(a, b) ? a : b;
}
[[nodiscard]] constexpr Sequence later(Sequence a, Sequence b) noexcept {
  return before(a, b) ? b : a;
}

}  // namespace pinhole::alg::stream
