// SPDX-License-Identifier: BSD-3-Clause
#pragma once
// The TCP sessions of one worker: an open-addressed table whose places are looked at a cache line at a time,
// nearly always one. Fixed memory; nothing is ever moved or erased. A session that is over (its mapping is
// gone, or it was idle for too long) stays where it is until a new one wants its place, so that there is
// nothing to do when time passes. Invariant: a place that was once used stays used, hence whoever looks for a
// session may stop at the first that was not. When all places that a new one may take hold sessions that
// live, it is refused; a live one is never evicted.

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include "nat/endpoint.hpp"
#include "nat/mapping.hpp"
#include "nat/memory.hpp"
#include "nat/ownership.hpp"
#include "nat/prefetch.hpp"
#include "nat/tcp_session.hpp"

namespace pinhole::nat {

class SessionTable {
 public:
  [[nodiscard]] static constexpr std::size_t bytes_needed(std::uint32_t sessions) noexcept {
    return carved_bytes<Line>(lines_for(sessions));
  }
  /// \param sessions  that find room with near certainty, at least 1; places are a third more
  /// \param seed      secret: without it nobody can choose endpoints that crowd in a few lines
  SessionTable(std::uint32_t sessions, std::uint64_t seed, std::span<std::byte> memory) noexcept
      : seed_(seed), lines_(Carver(memory).take<Line>(lines_for(sessions))) {}

  /// Fetches the line where a session most likely is.
  void prefetch(MappingIndex mapping, Endpoint remote) const noexcept {
    nat::prefetch(&lines_[home_of(mapping, remote)]);
  }

  /// \return nullptr when there is none; one that is over may still be found
  [[nodiscard]] TcpSession* find(MappingIndex mapping, std::uint32_t generation, Endpoint remote) noexcept {
    std::uint32_t at = home_of(mapping, remote);
    for (std::uint32_t probe = 0; probe < kProbes; ++probe, at = next(at)) {
      for (TcpSession& session : lines_[at].sessions) {
        if (session.mapping == mapping && session.remote == remote && session.generation == generation) {
          return &session;
        }
        if (session.mapping == kNoMapping) return nullptr;
      }
    }
    return nullptr;
  }
  [[nodiscard]] const TcpSession* find(MappingIndex mapping, std::uint32_t generation,
                                       Endpoint remote) const noexcept {
    return const_cast<SessionTable*>(this)->find(mapping, generation, remote);
  }

  /// A place for a session that is not in the table. What lies there may have been another's: whoever asks
  /// looks at it first and then writes the whole of it.
  /// \param is_over  `bool(const TcpSession&)`
  /// \return nullptr when every place is taken by one that lives
  template <typename IsOver>
  [[nodiscard]] TcpSession* place_for(MappingIndex mapping, Endpoint remote, IsOver&& is_over) noexcept {
    std::uint32_t at = home_of(mapping, remote);
    for (std::uint32_t probe = 0; probe < kProbes; ++probe, at = next(at)) {
      for (TcpSession& session : lines_[at].sessions) {
        if (session.mapping == kNoMapping || is_over(static_cast<const TcpSession&>(session)))
          return &session;
      }
    }
    return nullptr;
  }

 private:
  static constexpr std::uint32_t kProbes = 8;
  struct alignas(kCacheLine) Line {
    std::array<TcpSession, 2> sessions;
  };
  static_assert(sizeof(Line) == kCacheLine);

  [[nodiscard]] static constexpr std::uint32_t lines_for(std::uint32_t sessions) noexcept {
    return sessions / 3 * 2 + kProbes;
  }
  [[nodiscard]] std::uint32_t home_of(MappingIndex mapping, Endpoint remote) const noexcept {
    std::uint64_t mixed = (endpoint_word(remote) ^ seed_) * 0x9e3779b97f4a7c15U;  // 2^64 / golden ratio
    mixed ^= mixed >> 32U;
    mixed = (mixed + mapping) * 0xd6e8feb86659fd93U;  // odd, half its bits set
    return scale(static_cast<std::uint32_t>(mixed >> 32U), static_cast<std::uint32_t>(lines_.size()));
  }
  [[nodiscard]] std::uint32_t next(std::uint32_t line) const noexcept {
    return line + 1 == lines_.size() ? 0 : line + 1;
  }

  std::uint64_t seed_;
  std::span<Line> lines_;
};

}  // namespace pinhole::nat
