// SPDX-License-Identifier: BSD-3-Clause
#include "alg/stream/byte_queue.hpp"

#include <algorithm>
#include <cstring>

namespace pinhole::alg::stream {

Chunk ByteQueue::chunk_before(const ChunkPool& pool, Sequence boundary) const noexcept {
  if (first_ == kNoChunk || after(pool.begin(first_), boundary)) return kNoChunk;
  if (!after(pool.begin(last_), boundary)) return last_;
  Chunk chunk = first_;
  for (Chunk next = pool.next(chunk); !after(pool.begin(next), boundary); next = pool.next(chunk))
    chunk = next;
  return chunk;
}

bool ByteQueue::has_chunk(const ChunkPool& pool, Sequence boundary) const noexcept {
  const Chunk chunk = chunk_before(pool, boundary);
  return chunk != kNoChunk && pool.begin(chunk) == boundary;
}

template <typename Visit>
void ByteQueue::walk(const ChunkPool& pool, Sequence at, std::uint32_t size, Visit&& visit) const noexcept {
  if (size == 0) return;
  std::uint32_t offset = at - boundary(at);
  Chunk chunk = chunk_before(pool, at - offset);
  for (; size > 0; offset = 0, chunk = pool.next(chunk)) {
    const std::uint32_t part = std::min(size, ChunkPool::kBytes - offset);
    if (!visit(pool.bytes(chunk) + offset, part)) return;
    size -= part;
  }
}

std::uint32_t ByteQueue::chunks_missing(const ChunkPool& pool, Sequence at, Sequence end) const noexcept {
  std::uint32_t missing = 0;
  for (Sequence each = boundary(at); before(each, end); each += ChunkPool::kBytes) {
    if (!has_chunk(pool, each)) ++missing;
  }
  return missing;
}

bool ByteQueue::write(ChunkPool& pool, Sequence at, std::span<const std::byte> bytes) noexcept {
  const auto size = static_cast<std::uint32_t>(bytes.size());
  const Sequence end = at + size;
  if (chunks_missing(pool, at, end) > pool.free()) return false;
  end_ = first_ == kNoChunk ? end : later(end_, end);
  for (Sequence each = boundary(at); before(each, end); each += ChunkPool::kBytes) {
    const Chunk behind = chunk_before(pool, each);
    if (behind != kNoChunk && pool.begin(behind) == each) continue;
    const Chunk added = pool.take(each);
    pool.link(added, behind == kNoChunk ? first_ : pool.next(behind));
    if (behind == last_) last_ = added;
    if (behind == kNoChunk) {
      first_ = added;
    } else {
      pool.link(behind, added);
    }
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
  begin_ = at;
  // A chunk that is not full is given back, too: who is silent holds none.
  if (!before(at, end_)) return clear(pool);
  while (first_ != kNoChunk && !after(pool.begin(first_) + ChunkPool::kBytes, at)) {
    const Chunk dropped = first_;
    first_ = pool.next(dropped);
    pool.give_back(dropped);
  }
  if (first_ != kNoChunk) return;
  last_ = kNoChunk;
  origin_ = begin_;
}

void ByteQueue::cut(ChunkPool& pool, Sequence at) noexcept {
  const Chunk kept = after(at, begin_) ? chunk_before(pool, boundary(at - 1)) : kNoChunk;
  Chunk gone = kept == kNoChunk ? first_ : pool.next(kept);
  while (gone != kNoChunk) {
    const Chunk dropped = gone;
    gone = pool.next(dropped);
    pool.give_back(dropped);
  }
  last_ = kept;
  end_ = earlier(end_, at);
  if (kept != kNoChunk) return pool.link(kept, kNoChunk);
  first_ = kNoChunk;
  origin_ = begin_;
}

}  // namespace pinhole::alg::stream
