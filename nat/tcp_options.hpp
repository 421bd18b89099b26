// SPDX-License-Identifier: BSD-3-Clause
#pragma once
// The options of a TCP header: the kinds that matter to somebody in the middle, and the one walk over them.

#include <cstddef>
#include <cstdint>
#include <span>

namespace pinhole::nat {

struct TcpOption {
  // RFC 9293 section 3.1, RFC 7323, RFC 2018, RFC 8684.
  static constexpr std::uint8_t kEnd = 0;
  static constexpr std::uint8_t kNoOperation = 1;
  static constexpr std::uint8_t kMss = 2;
  static constexpr std::uint8_t kScale = 3;
  static constexpr std::uint8_t kSackPermitted = 4;
  static constexpr std::uint8_t kSack = 5;
  static constexpr std::uint8_t kTimestamps = 8;
  static constexpr std::uint8_t kMultipath = 30;

  static constexpr std::size_t kHead = 2;        // kind and size
  static constexpr std::uint8_t kMaxScale = 14;  // RFC 7323 section 2.3: more is taken as that

  std::uint8_t kind = kEnd;
  std::size_t at = 0;    // of its value, among the options
  std::size_t size = 0;  // of its value
};

/// Calls `visit(TcpOption)` for each option, up to the first that makes no sense; what follows that one is
/// not looked at. Padding is left out. \param options  what lies between the fixed header and the payload
template <typename Visit>
void walk_tcp_options(std::span<const std::byte> options, Visit&& visit) noexcept {
  for (std::size_t at = 0; at < options.size();) {
    const auto kind = std::to_integer<std::uint8_t>(options[at]);
    if (kind == TcpOption::kEnd) return;
    if (kind == TcpOption::kNoOperation) {
      ++at;
      continue;
    }
    if (at + 1 == options.size()) return;
    const auto size = std::to_integer<std::size_t>(options[at + 1]);
    if (size < TcpOption::kHead || size > options.size() - at) return;
    visit(TcpOption{kind, at + TcpOption::kHead, size - TcpOption::kHead});
    at += size;
  }
}

}  // namespace pinhole::nat
