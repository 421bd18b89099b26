// SPDX-License-Identifier: BSD-3-Clause
#pragma once
// From external endpoints to mappings: no hash, an array by external address, protocol and port.

#include <cassert>
#include <cstddef>
#include <cstdint>
#include <span>

#include "nat/endpoint.hpp"
#include "nat/mapping.hpp"
#include "nat/memory.hpp"
#include "nat/prefetch.hpp"

namespace pinhole::nat {

/// What a look-up from outside goes by: the external endpoint with its address as a number.
struct InboundKey {
  std::uint16_t pool_index = 0;
  std::uint16_t port = 0;
  Protocol protocol = Protocol::udp;
};

/// The array from external ports to mappings, one for all workers. Invariant: an entry is touched only by
/// the owner of its port. It is a view, as OutboundIndex is.
class InboundIndex {
 public:
  /// Memory for so many external addresses, all zero at first: 768 KiB each.
  [[nodiscard]] static constexpr std::size_t bytes_needed(std::size_t addresses) noexcept {
    return carved_bytes<MappingIndex>(addresses * kEntriesPerAddress);
  }
  InboundIndex(std::size_t addresses, std::span<std::byte> zeroed) noexcept
      : entries_{reinterpret_cast<MappingIndex*>(zeroed.data())} {
    assert(zeroed.size() >= bytes_needed(addresses));
    static_cast<void>(addresses);
  }

  [[nodiscard]] MappingIndex find(InboundKey key) const noexcept { return entries_[at(key)] - 1; }
  void prefetch(InboundKey key) const noexcept { nat::prefetch(&entries_[at(key)]); }
  // The same in two steps, for a look-up that is spread over a burst.
  using Slot = std::size_t;
  [[nodiscard]] static constexpr Slot slot_of(InboundKey key) noexcept { return at(key); }
  void prefetch(Slot slot) const noexcept { nat::prefetch(&entries_[slot]); }
  [[nodiscard]] MappingIndex find(Slot slot) const noexcept { return entries_[slot] - 1; }
  void set(InboundKey key, MappingIndex mapping) noexcept { entries_[at(key)] = mapping + 1; }
  void clear(InboundKey key) noexcept { entries_[at(key)] = 0; }

 private:
  static constexpr std::size_t kEntriesPerAddress = kProtocols * 65536;
  [[nodiscard]] static constexpr std::size_t at(InboundKey key) noexcept {
    return (key.pool_index * kProtocols + static_cast<std::size_t>(key.protocol)) * 65536 + key.port;
  }
  MappingIndex* entries_;  // index + 1, so that fresh memory says kNoMapping: 0 - 1
};

}  // namespace pinhole::nat
