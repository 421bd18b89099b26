// SPDX-License-Identifier: BSD-3-Clause
#pragma once
// Bytes of a stream by their sequence number, in chunks of a pool. Bytes are written anywhere from begin() on
// (what lies between is undefined until it is written) and given up from the front. Invariant: the chunks are
// exactly those that begin() and what was written need. Plain data: a queue that is thrown away without
// clear() leaks its chunks.

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

  /// Chunks that it would take to write up to `end`.
  [[nodiscard]] std::uint32_t chunks_missing(Sequence end) const noexcept;
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
  void clear(ChunkPool& pool) noexcept;

 private:
  /// Calls `visit(std::byte*, size)` for each piece of [at, at + size) in order, until it gives false.
  template <typename Visit>
  void walk(const ChunkPool& pool, Sequence at, std::uint32_t size, Visit&& visit) const noexcept;

  Sequence begin_ = 0;
  Chunk first_ = kNoChunk;
  Chunk last_ = kNoChunk;
  std::uint32_t chunks_ = 0;
  std::uint32_t skipped_ = 0;  // bytes of the first chunk that lie before begin_

 public:
  ByteQueue() = default;
  explicit ByteQueue(Sequence at) noexcept : begin_(at) {}
};

}  // namespace pinhole::alg::stream
