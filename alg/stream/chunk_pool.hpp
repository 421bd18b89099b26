// SPDX-License-Identifier: BSD-3-Clause
#pragma once
// The memory of all streams of a worker: pieces of one size that byte queues are made of, each with the
// number of its first byte. Invariant: memory is given once and never grows; a chunk is free or in one queue.
// Owned by one worker.

#include <cassert>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>

#include "alg/stream/sequence.hpp"

namespace pinhole::alg::stream {

using Chunk = std::uint32_t;
inline constexpr Chunk kNoChunk = ~Chunk{0};

class ChunkPool {
 public:
  static constexpr std::uint32_t kBytes = 2048;  // of a chunk: most messages take one

  [[nodiscard]] static constexpr std::size_t bytes_needed(std::uint32_t chunks) noexcept {
    return std::size_t{chunks} * (kBytes + sizeof(Link));
  }
  /// \param memory  bytes_needed(), however it is aligned
  ChunkPool(std::uint32_t chunks, std::span<std::byte> memory) noexcept
      : bytes_(memory.data()),
        links_(memory.data() + std::size_t{chunks} * kBytes),
        size_(chunks),
        free_(chunks) {
    assert(memory.size() >= bytes_needed(chunks));
    for (Chunk chunk = 0; chunk < chunks; ++chunk)
      set_link(chunk, {.next = chunk + 1 < chunks ? chunk + 1 : kNoChunk});
    first_ = chunks > 0 ? 0 : kNoChunk;
  }
  ChunkPool(const ChunkPool&) = delete;
  ChunkPool& operator=(const ChunkPool&) = delete;

  [[nodiscard]] std::uint32_t size() const noexcept { return size_; }
  [[nodiscard]] std::uint32_t free() const noexcept { return free_; }
  /// \param begin  the number of its first byte \return kNoChunk when none is free
  [[nodiscard]] Chunk take(Sequence begin) noexcept {
    if (first_ == kNoChunk) return kNoChunk;
    const Chunk taken = first_;
    first_ = next(taken);
    set_link(taken, {.next = kNoChunk, .begin = begin});
    --free_;
    return taken;
  }
  void give_back(Chunk chunk) noexcept {
    link(chunk, first_);
    first_ = chunk;
    ++free_;
  }

  [[nodiscard]] std::byte* bytes(Chunk chunk) const noexcept { return bytes_ + std::size_t{chunk} * kBytes; }
  [[nodiscard]] Chunk next(Chunk chunk) const noexcept { return link_of(chunk).next; }
  [[nodiscard]] Sequence begin(Chunk chunk) const noexcept { return link_of(chunk).begin; }
  void link(Chunk chunk, Chunk next) noexcept { set_link(chunk, {.next = next, .begin = begin(chunk)}); }

 private:
  struct Link {
    Chunk next = kNoChunk;
    Sequence begin = 0;
  };

  [[nodiscard]] Link link_of(Chunk chunk) const noexcept {
    Link link;
    std::memcpy(&link, links_ + std::size_t{chunk} * sizeof link, sizeof link);
    return link;
  }
  void set_link(Chunk chunk, Link link) noexcept {
    std::memcpy(links_ + std::size_t{chunk} * sizeof link, &link, sizeof link);
  }

  std::byte* bytes_;
  std::byte* links_;
  std::uint32_t size_;
  std::uint32_t free_;
  Chunk first_;
};

}  // namespace pinhole::alg::stream
