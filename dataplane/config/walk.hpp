// SPDX-License-Identifier: BSD-3-Clause
#pragma once
// What the walks over the schema (load, render, reference) have in common: paths, and telling containers
// apart.

#include <fmt/format.h>

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

namespace pinhole::config {

template <typename T>
inline constexpr bool kIsList = false;
template <typename T>
inline constexpr bool kIsList<std::vector<T>> = true;

template <typename T>
inline constexpr bool kIsOptional = false;
template <typename T>
inline constexpr bool kIsOptional<std::optional<T>> = true;

/// "nat" and "pool" are "nat.pool". The key may come from a file: what no key of ours has in it is not
/// printed.
[[nodiscard]] inline std::string join_path(std::string_view path, std::string_view key) {
  constexpr std::size_t kMaxKey = 40;
  std::string plain{key.substr(0, kMaxKey)};
  for (char& character : plain) {
    if (character < ' ' || character > '~') character = '?';
  }
  return path.empty() ? plain : fmt::format("{}.{}", path, plain);
}

/// "1 item", "2 items".
[[nodiscard]] inline std::string items(std::size_t count) {
  return fmt::format("{} item{}", count, count == 1 ? "" : "s");
}

/// "nat.pool" and 2 are "nat.pool[2]".
[[nodiscard]] inline std::string item_path(std::string_view path, std::size_t index) {
  return fmt::format("{}[{}]", path, index);
}

}  // namespace pinhole::config
