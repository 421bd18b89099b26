// SPDX-License-Identifier: BSD-3-Clause
#pragma once
// Counters. A module writes one list of X(name, "help"); it expands to the enum, the names and the help that
// `stats`, the metrics and the docs print. A CounterBlock is written by one worker only and may be read by
// anyone, in another process too: it lives in shared memory and holds nothing but numbers.

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace pinhole::nat {

struct CounterInfo {
  std::string_view name;
  std::string_view help;
};

/// Specialised by PINHOLE_COUNTER_LIST: the names and help of an enum of counters, in the order of the enum.
template <typename Enum>
struct CounterTraits;

#define PINHOLE_COUNTER_ENUMERATOR(name, help) name,
#define PINHOLE_COUNTER_INFO(name, help) ::pinhole::nat::CounterInfo{#name, help},

template <typename Enum>
class alignas(64) CounterBlock {
 public:
  static constexpr std::size_t kSize = CounterTraits<Enum>::kInfo.size();

  /// Thread: the owner only. Cost: a load and a store, no locked instruction.
  void add(Enum counter, std::uint64_t count = 1) noexcept {
    auto& value = values_[static_cast<std::size_t>(counter)];
    value.store(value.load(std::memory_order_relaxed) + count, std::memory_order_relaxed);
  }
  /// Gauges: replaces the value. Thread: the owner only.
  void set(Enum counter, std::uint64_t now) noexcept {
    values_[static_cast<std::size_t>(counter)].store(now, std::memory_order_relaxed);
  }
  /// Thread: any.
  [[nodiscard]] std::uint64_t read(Enum counter) const noexcept {
    return values_[static_cast<std::size_t>(counter)].load(std::memory_order_relaxed);
  }

 private:
  static_assert(std::atomic<std::uint64_t>::is_always_lock_free);
  std::array<std::atomic<std::uint64_t>, kSize> values_{};
};

#define PINHOLE_NAT_COUNTERS(X)                                                                         \
  X(mapping_created, "mappings created by traffic from inside or by an ALG")                            \
  X(mapping_expired, "mappings freed because they were idle for longer than their time-out")            \
  X(mapping_closed, "mappings freed because their call or parent ended")                                \
  X(mapping_live, "mappings that exist now")                                                            \
  X(tcp_reset_ignored, "TCP resets that did not fit their connection; translated, and no more")         \
  X(port_in_use, "external ports taken from the pool now (a port of each protocol counts by itself)")   \
  X(port_resting, "external ports that nobody gets yet because somebody had them shortly ago")          \
  X(block_assigned, "blocks of external ports given to inside hosts")                                   \
  X(block_live, "blocks of external ports that inside hosts have now")                                  \
  X(block_resting, "blocks of external ports that nobody gets yet because a host had them shortly ago") \
  X(host_live, "inside hosts that have mappings now")                                                   \
  X(address_search_skipped,                                                                             \
    "new inside hosts for which no other external address was looked for, since many were just full")

enum class Counter : std::uint8_t { PINHOLE_NAT_COUNTERS(PINHOLE_COUNTER_ENUMERATOR) };
template <>
struct CounterTraits<Counter> {
  static constexpr std::array kInfo = {PINHOLE_NAT_COUNTERS(PINHOLE_COUNTER_INFO)};
};

}  // namespace pinhole::nat
