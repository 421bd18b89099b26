// SPDX-License-Identifier: BSD-3-Clause
#pragma once
// Hugepage memory that both processes see, by name. Everything is reserved while starting and lives as long
// as the process; nothing is ever given back, so that control may read it at any moment.

#include <cstddef>
#include <new>
#include <span>
#include <string>

#include "dataplane/config/error.hpp"

namespace pinhole::dataplane {

/// A zeroed block, aligned to a cache line.
/// Errors: ErrorCode::memory, naming dpdk.memory_mb. Thread: main.
[[nodiscard]] config::Result<std::span<std::byte>> reserve(const std::string& name, std::size_t bytes);

/// One object of its own block.
template <typename T, typename... Arguments>
[[nodiscard]] config::Result<T*> reserve_object(const std::string& name, Arguments&&... arguments) {
  auto block = reserve(name, sizeof(T));
  if (!block) return block.error();
  return ::new (block->data()) T(std::forward<Arguments>(arguments)...);
}

/// An array of default-made objects.
template <typename T>
[[nodiscard]] config::Result<std::span<T>> reserve_array(const std::string& name, std::size_t count) {
  auto block = reserve(name, sizeof(T) * count);
  if (!block) return block.error();
  auto* const first = reinterpret_cast<T*>(block->data());
  for (std::size_t i = 0; i < count; ++i) ::new (first + i) T;
  return std::span<T>(first, count);
}

}  // namespace pinhole::dataplane
