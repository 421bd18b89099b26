// SPDX-License-Identifier: BSD-3-Clause
#pragma once
// What a client of the control socket may do, and what a command does.

#include <cstdint>

namespace pinhole::control {

/// Only show, or also change.
enum class Access : std::uint8_t { read, write };

[[nodiscard]] constexpr bool permits(Access granted, Access wanted) noexcept {
  return granted >= wanted;
}

}  // namespace pinhole::control
