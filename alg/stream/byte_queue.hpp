// SPDX-License-Identifier: BSD-3-Clause
#pragma once
// Bytes of a stream by their sequence number, in chunks of a pool. Bytes are written anywhere from begin() on
// and given up from the front, or from the end. Invariant: the chunks are those that what was written needs,
// in order: a gap takes none. Plain data: a queue that is thrown away without clear() leaks its chunks.

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include "alg/stream/chunk_pool.hpp"
#include "alg/stream/sequence.hpp"

namespace pinhole::alg::stream {

/// Some bytes that follow each other, in pieces of memory.
struct Pieces {
  static constexpr std::size_t kMax = 6;
  std::array<std::span<const std::byte>, kMax> pieces;
  std::size_t count = 0;

  [[nodiscard]] std::size_t size() const noexcept {
    std::size_t size = 0;
    for (std::size_t i = 0; i < count; ++i) size += pieces[i].size();
    return size;
  }
};

class ByteQueue {
 public:
  /// Of bytes that are never in more pieces than Pieces holds.
  static constexpr std::uint32_t kMaxRead = (Pieces::kMax - 1) * ChunkPool::kBytes;

  /// Begins anew. The queue holds no chunk.
  void start(Sequence at) noexcept { *this = ByteQueue{at}; }
  [[nodiscard]] Sequence begin() const noexcept { return begin_; }

  /// Chunks that it would take to write [at, end). \param at  not before begin()
  [[nodiscard]] std::uint32_t chunks_missing(const ChunkPool& pool, Sequence at, Sequence end) const noexcept;
  /// \param at  not before begin()
  /// \return false, and nothing written, when the pool has not enough chunks
  [[nodiscard]] bool write(ChunkPool& pool, Sequence at, std::span<const std::byte> bytes) noexcept;

  // Of bytes that were written.

  void read(const ChunkPool& pool, Sequence at, std::span<std::byte> bytes) const noexcept;
  [[nodiscard]] bool equals(const ChunkPool& pool, Sequence at,
                            std::span<const std::byte> bytes) const noexcept;
  /// \param size  at most kMaxRead
  [[nodiscard]] Pieces pieces(const ChunkPool& pool, Sequence at, std::uint32_t size) const noexcept;

  /// Gives up all before `at`.
  void drop_to(ChunkPool& pool, Sequence at) noexcept;
  /// Gives up all from `at` on. \param at  what lies between begin() and this was written
  void cut(ChunkPool& pool, Sequence at) noexcept;
  void clear(ChunkPool& pool) noexcept { cut(pool, begin_); }

 private:
  /// Calls `visit(std::byte*, size)` for each piece of [at, at + size) in order, until it gives false.
  template <typename Visit>
  void walk(const ChunkPool& pool, Sequence at, std::uint32_t size, Visit&& visit) const noexcept;

  /// Where the chunk of a byte begins.
  [[nodiscard]] Sequence boundary(Sequence at) const noexcept {
    return at - (at - origin_) % ChunkPool::kBytes;
  }
  /// The last chunk that begins at a boundary or before it. \return kNoChunk when there is none
  [[nodiscard]] Chunk chunk_before(const ChunkPool& pool, Sequence boundary) const noexcept;
  [[nodiscard]] bool has_chunk(const ChunkPool& pool, Sequence boundary) const noexcept;

  Sequence begin_ = 0;
  Sequence end_ = 0;     // of what was written, while there are chunks
  Sequence origin_ = 0;  // chunks begin whole chunks away from it; begin_ while there are none
  Chunk first_ = kNoChunk;
  Chunk last_ = kNoChunk;

 public:
  ByteQueue() = default;
  explicit ByteQueue(Sequence at) noexcept : begin_(at), end_(at), origin_(at) {}
};

}  // namespace pinhole::alg::stream
