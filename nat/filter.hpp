// SPDX-License-Identifier: BSD-3-Clause
#pragma once
// Filtering: which senders outside may reach a mapping (RFC 4787 section 5, RFC 5382 section 4.3). A mapping
// remembers its first remote inline; the addresses of further ones lie in this worker's RemoteTable. It holds
// no chain and never fails: a set that is full forgets the remote that was silent longest, which then has to
// be sent to again before it is let in.

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include "nat/endpoint.hpp"
#include "nat/mapping.hpp"
#include "nat/memory.hpp"
#include "nat/ownership.hpp"
#include "nat/tick.hpp"

namespace pinhole::nat {

/// Whether a mapping lets a sender in by what its own line says. Address-dependent filtering looks at the
/// address only, so that a peer may answer from another port.
[[nodiscard]] inline bool admits(const Mapping& mapping, Endpoint remote) noexcept {
  return mapping.filter == Filter::endpoint_independent ||
         ((mapping.flags & MappingFlags::kHasRemote) != 0 && mapping.remote.address == remote.address);
}

class RemoteTable {
 public:
  /// One place for each mapping of the worker, on average.
  [[nodiscard]] static constexpr std::size_t bytes_needed(std::uint32_t mappings) noexcept {
    return carved_bytes<Set>(sets_for(mappings));
  }
  RemoteTable(std::uint32_t mappings, std::span<std::byte> memory) noexcept;

  /// Remembers that a mapping sent to an address. \param generation of the mapping: what is remembered dies
  /// with it
  void remember(MappingIndex index, std::uint32_t generation, Ipv4Address remote, Tick now) noexcept;
  /// Whether a mapping sent to an address less than `timeout` ago.
  [[nodiscard]] bool knows(MappingIndex index, std::uint32_t generation, Ipv4Address remote, Tick timeout,
                           Tick now) const noexcept;

 private:
  struct Remote {
    MappingIndex mapping = kNoMapping;
    std::uint32_t generation = 0;
    Ipv4Address address;
    Tick last_sent = 0;

    [[nodiscard]] bool is(MappingIndex index, std::uint32_t its_generation,
                          Ipv4Address remote) const noexcept {
      return mapping == index && address == remote && generation == its_generation;
    }
  };
  struct alignas(kCacheLine) Set {
    std::array<Remote, 4> remotes;
  };
  static_assert(sizeof(Set) == kCacheLine);

  [[nodiscard]] static constexpr std::size_t sets_for(std::uint32_t mappings) noexcept {
    return mappings / 4 + 1;
  }
  [[nodiscard]] std::size_t set_of(MappingIndex index, Ipv4Address remote) const noexcept {
    return scale(hash_address(remote, std::uint64_t{index} << 32U), static_cast<std::uint32_t>(sets_.size()));
  }

  std::span<Set> sets_;
};

}  // namespace pinhole::nat
