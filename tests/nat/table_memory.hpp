// SPDX-License-Identifier: BSD-3-Clause
#pragma once
// Memory for tables under test, as the data plane would give it: zeroed, aligned, exactly as large as asked.

#include <cstddef>
#include <cstring>
#include <memory>
#include <new>
#include <span>

#include "nat/memory.hpp"

namespace pinhole::nat {

class TableMemory {
 public:
  explicit TableMemory(std::size_t size)
      : size_(size), bytes_(static_cast<std::byte*>(::operator new(size, std::align_val_t{kCacheLine}))) {
    std::memset(bytes_.get(), 0, size);
  }
  [[nodiscard]] std::span<std::byte> span() const noexcept { return {bytes_.get(), size_}; }

 private:
  struct Delete {
    void operator()(std::byte* bytes) const noexcept {
      ::operator delete(bytes, std::align_val_t{kCacheLine});
    }
  };
  std::size_t size_;
  std::unique_ptr<std::byte, Delete> bytes_;
};

}  // namespace pinhole::nat
