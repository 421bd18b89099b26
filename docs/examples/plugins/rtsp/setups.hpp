// SPDX-License-Identifier: BSD-3-Clause
#pragma once
// What is remembered of a connection: the last transports that were set up on it, as ports of the inside host
// and the external ones that stand for them. It lies in the memory of the flow, which begins as zeros; when
// there are more than fit the oldest is forgotten.

#include <array>
#include <cstddef>
#include <cstdint>
#include <type_traits>

#include <pinhole/plugin.h>

namespace rtsp {

/// A port of the inside host, with the external port that stands for it.
struct OwnPort {
  std::uint8_t slot = 0;
  std::uint16_t inside = 0;
  std::uint16_t external = 0;

  [[nodiscard]] bool known() const noexcept { return inside != 0; }
};

class Setups {
 public:
  struct Setup {
    std::uint16_t sequence = 0;  // of its SETUP
    std::uint16_t inside = 0;    // 0: the place is free
    std::uint16_t external = 0;
    std::uint16_t remote = 0;  // what was agreed on; 0: any
  };

  /// \param is_pair  it stands for the next port, too
  OwnPort keep(const Setup& setup, bool is_pair) noexcept {
    std::uint8_t slot = 0;
    while (slot < kMost && setups_[slot].inside != setup.inside) ++slot;
    if (slot == kMost) {
      slot = next_;
      next_ = static_cast<std::uint8_t>((next_ + 1) % kMost);
    }
    setups_[slot] = setup;
    set(pairs_, slot, is_pair);
    set(agreed_, slot, false);
    return {slot, setup.inside, setup.external};
  }

  [[nodiscard]] OwnPort by_external(std::uint16_t port) const noexcept {
    for (std::uint8_t slot = 0; slot < kMost; ++slot) {
      for (std::uint16_t second = 0; second < ports_of(slot); ++second) {
        if (setups_[slot].external + second == port) return own(slot, second);
      }
    }
    return {};
  }
  /// The first or the second port that a SETUP named.
  [[nodiscard]] OwnPort by_sequence(std::uint16_t sequence, std::size_t which) const noexcept {
    std::size_t seen = 0;
    for (std::uint8_t slot = 0; slot < kMost; ++slot) {
      if (setups_[slot].sequence != sequence) continue;
      for (std::uint16_t second = 0; second < ports_of(slot); ++second) {
        if (seen++ == which) return own(slot, second);
      }
    }
    return {};
  }

  /// Notes the port of the peer that belongs to one of ours. \param remote  0: any
  void agree(const OwnPort& port, std::uint16_t remote) noexcept {
    auto& setup = setups_[port.slot];
    if (setup.inside == port.inside) setup.remote = remote;
    set(agreed_, port.slot, true);
  }
  /// Calls visit(inside port, remote port) for each port that was agreed on.
  template <typename Visit>
  void for_each_agreed(Visit&& visit) const noexcept {
    for (std::uint8_t slot = 0; slot < kMost; ++slot) {
      if ((agreed_ >> slot & 1U) == 0) continue;
      const auto& setup = setups_[slot];
      for (std::uint16_t second = 0; second < ports_of(slot); ++second) {
        const int remote = setup.remote == 0 ? 0 : setup.remote + second;
        visit(static_cast<std::uint16_t>(setup.inside + second), static_cast<std::uint16_t>(remote));
      }
    }
  }

 private:
  static constexpr std::uint8_t kMost = 7;

  [[nodiscard]] std::uint16_t ports_of(std::uint8_t slot) const noexcept {
    if (setups_[slot].inside == 0) return 0;
    return (pairs_ >> slot & 1U) != 0 ? 2 : 1;
  }
  [[nodiscard]] OwnPort own(std::uint8_t slot, std::uint16_t second) const noexcept {
    return {slot, static_cast<std::uint16_t>(setups_[slot].inside + second),
            static_cast<std::uint16_t>(setups_[slot].external + second)};
  }
  static void set(std::uint8_t& bits, std::uint8_t slot, bool on) noexcept {
    const auto bit = static_cast<std::uint8_t>(1U << slot);
    bits = static_cast<std::uint8_t>(on ? bits | bit : bits & ~bit);
  }

  std::array<Setup, kMost> setups_{};
  std::uint8_t next_ = 0;
  std::uint8_t pairs_ = 0;   // a bit each
  std::uint8_t agreed_ = 0;  // a bit each
};
static_assert(sizeof(Setups) <= PINHOLE_MAX_FLOW && std::is_trivially_copyable_v<Setups>);

}  // namespace rtsp
