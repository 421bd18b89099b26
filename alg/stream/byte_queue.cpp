// SPDX-License-Identifier: BSD-3-Clause
#include "alg/stream/byte_queue.hpp"

#include <algorithm>
#include <cstring>

namespace pinhole::alg::stream {

template <typename Visit>
void ByteQueue::walk(const ChunkPool& pool, Sequence at, std::uint32_t size, Visit&& visit) const noexcept {
  if (size == 0) return;
  std::uint32_t offset = at - begin_ + skipped_;
  const std::uint32_t index = offset / ChunkPool::kBytes;
  Chunk chunk = index + 1 == chunks_ ? last_ : first_;
  if (index + 1 != chunks_) {
    for (std::uint32_t i = 0; i < index; ++i) chunk = pool.next(chunk);
  }
  for (offset %= ChunkPool::kBytes; size > 0; offset = 0, chunk = pool.next(chunk)) {
    const std::uint32_t part = std::min(size, ChunkPool::kBytes - offset);
    if (!visit(pool.bytes(chunk) + offset, part)) return;
    size -= part;
  }
}

std::uint32_t ByteQueue::chunks_missing(Sequence end) const noexcept {
  const std::uint32_t wanted = (end - begin_ + skipped_ + ChunkPool::kBytes - 1) / ChunkPool::kBytes;
  return wanted > chunks_ ? wanted - chunks_ : 0;
}

bool ByteQueue::write(ChunkPool& pool, Sequence at, std::span<const std::byte> bytes) noexcept {
  const auto size = static_cast<std::uint32_t>(bytes.size());
  std::uint32_t missing = chunks_missing(at + size);
  if (missing > pool.free()) return false;
  for (; missing > 0; --missing) {
    const Chunk added = pool.take();
    if (chunks_ == 0) {
      first_ = added;
    } else {
      pool.link(last_, added);
    }
    last_ = added;
    ++chunks_;
  }
  walk(pool, at, size, [&](std::byte* to, std::uint32_t part) noexcept {
    std::memcpy(to, bytes.data(), part);
    bytes = bytes.subspan(part);
    return true;
  });
  return true;
}

void ByteQueue::read(const ChunkPool& pool, Sequence at, std::span<std::byte> bytes) const noexcept {
  walk(pool, at, static_cast<std::uint32_t>(bytes.size()),
       [&](const std::byte* from, std::uint32_t part) noexcept {
         std::memcpy(bytes.data(), from, part);
         bytes = bytes.subspan(part);
         return true;
       });
}

bool ByteQueue::equals(const ChunkPool& pool, Sequence at, std::span<const std::byte> bytes) const noexcept {
  bool equal = true;
  walk(pool, at, static_cast<std::uint32_t>(bytes.size()),
       [&](const std::byte* from, std::uint32_t part) noexcept {
         equal = std::memcmp(from, bytes.data(), part) == 0;
         bytes = bytes.subspan(part);
         return equal;
       });
  return equal;
}

Pieces ByteQueue::pieces(const ChunkPool& pool, Sequence at, std::uint32_t size) const noexcept {
  Pieces found;
  walk(pool, at, size, [&](const std::byte* from, std::uint32_t part) noexcept {
    found.pieces[found.count++] = {from, part};
    return true;
  });
  return found;
}

void ByteQueue::drop_to(ChunkPool& pool, Sequence at) noexcept {
  if (!after(at, begin_)) return;
  std::uint32_t skipped = skipped_ + (at - begin_);
  for (; chunks_ > 0 && skipped >= ChunkPool::kBytes; skipped -= ChunkPool::kBytes) {
    const Chunk dropped = first_;
    first_ = pool.next(dropped);
    pool.give_back(dropped);
    --chunks_;
  }
  begin_ = at;
  skipped_ = chunks_ > 0 ? skipped : 0;
}

void ByteQueue::clear(ChunkPool& pool) noexcept {
  while (chunks_ > 0) {
    const Chunk dropped = first_;
    first_ = pool.next(dropped);
    pool.give_back(dropped);
    --chunks_;
  }
  skipped_ = 0;
}

}  // namespace pinhole::alg::stream
