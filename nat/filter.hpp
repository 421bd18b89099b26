// SPDX-License-Identifier: BSD-3-Clause
#pragma once
// Filtering: which senders outside may reach a mapping (RFC 4787 section 5, RFC 5382 section 4.3). A mapping
// remembers its first remote inline; further ones lie in this worker's RemoteTable. It holds
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

/// A remote as a filter sees it. Address-dependent filtering looks at the address only, so that a peer may
/// answer from another port.
[[nodiscard]] inline Endpoint seen_by(Filter filter, Endpoint remote) noexcept {
  return filter >= Filter::address_and_port_dependent ? remote : Endpoint{remote.address, {}};
}

/// Whether a mapping lets a sender in by what its own line says.
[[nodiscard]] inline bool admits(const Mapping& mapping, Endpoint remote) noexcept {
  return mapping.filter == Filter::endpoint_independent ||
         ((mapping.flags & MappingFlags::kHasRemote) != 0 &&
          seen_by(mapping.filter, mapping.remote) == seen_by(mapping.filter, remote));
}

class RemoteTable {
 public:
  /// \param places  for a remote each
  [[nodiscard]] static constexpr std::size_t bytes_needed(std::uint32_t places) noexcept {
    return carved_bytes<Set>(sets_for(places));
  }
  RemoteTable(std::uint32_t places, std::span<std::byte> memory) noexcept;

  /// Remembers that a mapping sent to a remote. \param generation of the mapping: what is remembered dies
  /// with it \param remote  seen_by() its filter
  void remember(MappingIndex index, std::uint32_t generation, Endpoint remote, Tick now) noexcept;
  /// Remembers a remote as if it had been sent to until `until`. \param timeout  that knows() is asked with
  void promise(MappingIndex index, std::uint32_t generation, Endpoint remote, Tick until, Tick timeout,
               Tick now) noexcept;
  /// Whether a mapping sent to a remote less than `timeout` ago.
  [[nodiscard]] bool knows(MappingIndex index, std::uint32_t generation, Endpoint remote, Tick timeout,
                           Tick now) const noexcept;

 private:
  struct Remote {
    MappingIndex mapping = kNoMapping;
    Tick last_sent = 0;  // lies ahead of a promise's end by the time-out
    Endpoint endpoint;
    std::uint16_t generation = 0;  // the low bits: 65,536 lives of a mapping within one time-out are not led

    [[nodiscard]] bool is(MappingIndex index, std::uint32_t its_generation, Endpoint remote) const noexcept {
      return mapping == index && endpoint == remote && generation == short_form(its_generation);
    }
  };
  struct alignas(kCacheLine) Set {
    std::array<Remote, 4> remotes;
  };
  static_assert(sizeof(Set) == kCacheLine);

  [[nodiscard]] Remote& place_for(MappingIndex index, std::uint32_t generation, Endpoint remote,
                                  Tick now) noexcept;
  /// Generations of what lives are even.
  [[nodiscard]] static constexpr std::uint16_t short_form(std::uint32_t generation) noexcept {
    return static_cast<std::uint16_t>(generation >> 1U);
  }
  [[nodiscard]] static constexpr std::size_t sets_for(std::uint32_t places) noexcept {
    return places / 4 + 1;
  }
  [[nodiscard]] std::size_t set_of(MappingIndex index, Endpoint remote) const noexcept {
    const std::uint64_t salt = std::uint64_t{index} << 32U ^ std::uint64_t{remote.port.raw()} << 16U;
    return scale(hash_address(remote.address, salt), static_cast<std::uint32_t>(sets_.size()));
  }

  std::span<Set> sets_;
};

}  // namespace pinhole::nat
