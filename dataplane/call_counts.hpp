// SPDX-License-Identifier: BSD-3-Clause
#pragma once
// How many calls a worker has, in all and by address. Invariant: written by its worker only; other workers
// read it at any time, without a lock, and see each number as it was at some moment. A call counts from its
// INVITE until it has ended, and no longer while its ports linger.

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <span>

#include "nat/endpoint.hpp"
#include "nat/memory.hpp"

namespace pinhole::dataplane {

/// Numbers by address. An address has one of a few places, so that a reader looks at all of them and need not
/// know what the writer does.
class AddressCounts {
 public:
  /// Two cache lines. With four times as many places as there may be addresses, fewer than one group in a
  /// million is ever full.
  static constexpr std::size_t kGroup = 16;
  static constexpr std::size_t kPlacesEach = 4;

  /// \param capacity addresses that may have a number at a time, at least 1
  [[nodiscard]] static constexpr std::size_t bytes_needed(std::uint32_t capacity) noexcept {
    return nat::carved_bytes<Place>(places_for(capacity));
  }
  /// \param seed secret: without it nobody can choose addresses that share a group
  AddressCounts(std::uint32_t capacity, std::uint64_t seed, nat::Carver& memory) noexcept
      : seed_(seed), places_(memory.take<Place>(places_for(capacity))) {}

  /// Thread: any.
  [[nodiscard]] std::uint32_t count(nat::Ipv4Address address) const noexcept;
  /// Whether one more can be counted.
  [[nodiscard]] bool has_room(nat::Ipv4Address address) const noexcept;
  /// Where there is no room nothing is counted.
  void add(nat::Ipv4Address address) noexcept;
  void remove(nat::Ipv4Address address) noexcept;

 private:
  /// The address in the upper half, its number in the lower: both change at once.
  using Place = std::atomic<std::uint64_t>;
  static_assert(Place::is_always_lock_free);

  [[nodiscard]] static constexpr std::size_t places_for(std::uint32_t capacity) noexcept {
    return (std::size_t{capacity} * kPlacesEach + kGroup - 1) / kGroup * kGroup;
  }
  [[nodiscard]] std::span<Place> group_of(nat::Ipv4Address address) const noexcept;
  [[nodiscard]] Place* place_of(nat::Ipv4Address address) const noexcept;

  std::uint64_t seed_;
  std::span<Place> places_;
};

class CallCounts {
 public:
  [[nodiscard]] static constexpr std::size_t bytes_needed(std::uint32_t calls) noexcept {
    return 2 * AddressCounts::bytes_needed(calls);
  }
  CallCounts(std::uint32_t calls, std::uint64_t seed, nat::Carver& memory) noexcept
      : hosts_(calls, seed, memory), servers_(calls, ~seed, memory) {}

  // The owner's.

  void begin(nat::Ipv4Address host, nat::Ipv4Address server) noexcept;
  void end(nat::Ipv4Address host, nat::Ipv4Address server) noexcept;
  /// A call was seen for the first time.
  void count_new() noexcept { begun_.store(begun() + 1, std::memory_order_relaxed); }

  // Anyone's.

  [[nodiscard]] const AddressCounts& hosts() const noexcept { return hosts_; }
  [[nodiscard]] const AddressCounts& servers() const noexcept { return servers_; }
  [[nodiscard]] std::uint32_t active() const noexcept { return active_.load(std::memory_order_relaxed); }
  /// Calls since the start, modulo 2^32.
  [[nodiscard]] std::uint32_t begun() const noexcept { return begun_.load(std::memory_order_relaxed); }

 private:
  AddressCounts hosts_;    // inside
  AddressCounts servers_;  // outside, that signalling goes through
  alignas(nat::kCacheLine) std::atomic<std::uint32_t> active_{0};
  std::atomic<std::uint32_t> begun_{0};
};

}  // namespace pinhole::dataplane
