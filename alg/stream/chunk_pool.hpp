// SPDX-License-Identifier: BSD-3-Clause
#pragma once
// The memory of all streams of a worker: pieces of one size that byte queues are made of. Invariant: memory
// is given once and never grows; a chunk is free or in one queue. Owned by one worker.

#include <cassert>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>

namespace pinhole::alg::stream {

using Chunk = std::uint32_t;
inline constexpr Chunk kNoChunk = ~Chunk{0};

class ChunkPool {
 public:
  static constexpr std::uint32_t kBytes = 2048;  // of a chunk: most messages take one

  [[nodiscard]] static constexpr std::size_t bytes_needed(std::uint32_t chunks) noexcept {
    return std::size_t{chunks} * (kBytes + sizeof(Chunk));
  }
  /// \param memory  bytes_needed(), aligned for a Chunk
  ChunkPool(std::uint32_t chunks, std::span<std::byte> memory) noexcept
      : bytes_(memory.data()), links_(memory.data() + std::size_t{chunks} * kBytes), free_(chunks) {
    assert(memory.size() >= bytes_needed(chunks));
    for (Chunk chunk = 0; chunk < chunks; ++chunk) link(chunk, chunk + 1 < chunks ? chunk + 1 : kNoChunk);
    first_ = chunks > 0 ? 0 : kNoChunk;
  }
  ChunkPool(const ChunkPool&) = delete;
  ChunkPool& operator=(const ChunkPool&) = delete;

  [[nodiscard]] std::uint32_t free() const noexcept { return free_; }
  /// \return kNoChunk when none is free
  [[nodiscard]] Chunk take() noexcept {
    if (first_ == kNoChunk) return kNoChunk;
    const Chunk taken = first_;
    first_ = next(taken);
    link(taken, kNoChunk);
    --free_;
    return taken;
  }
  void give_back(Chunk chunk) noexcept {
    link(chunk, first_);
    first_ = chunk;
    ++free_;
  }

  [[nodiscard]] std::byte* bytes(Chunk chunk) const noexcept { return bytes_ + std::size_t{chunk} * kBytes; }
  [[nodiscard]] Chunk next(Chunk chunk) const noexcept {
    Chunk next;
    std::memcpy(&next, links_ + std::size_t{chunk} * sizeof next, sizeof next);
    return next;
  }
  void link(Chunk chunk, Chunk next) noexcept {
    std::memcpy(links_ + std::size_t{chunk} * sizeof next, &next, sizeof next);
  }

 private:
  std::byte* bytes_;
  std::byte* links_;
  std::uint32_t free_;
  Chunk first_;
};

}  // namespace pinhole::alg::stream
