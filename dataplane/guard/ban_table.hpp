// SPDX-License-Identifier: BSD-3-Clause
#pragma once
// Who does not come in, as one worker has it: addresses in sets of eight, and a short list of prefixes. The
// places lie in shared memory, so that control reads how often each was hit. A ban ends by itself. Memory is
// constant: a set that is full gives up the ban that would end first, but none of an operator for one of a
// worker.

#include <cstddef>
#include <cstdint>
#include <span>

#include "dataplane/ipc/ban.hpp"
#include "nat/endpoint.hpp"
#include "nat/tick.hpp"

namespace pinhole::dataplane {

/// Which bans are asked for.
enum class Bans : std::uint8_t { all, of_operators };

class BanTable {
 public:
  static constexpr std::size_t kWays = 8;
  static constexpr std::size_t kPrefixes = ipc::kBanPrefixes;  // the last places of the table
  static constexpr std::uint32_t kCapacity = 8192 + kPrefixes;

  /// \param slots  kCapacity of them, all free
  BanTable(std::span<ipc::BanSlot> slots, std::uint64_t seed) noexcept
      : addresses_(slots.first(slots.size() - kPrefixes)), prefixes_(slots.last(kPrefixes)), seed_(seed) {}

  /// Whether anybody is banned: most of the time nobody is.
  [[nodiscard]] bool empty() const noexcept { return size_ == 0; }
  [[nodiscard]] std::uint32_t size() const noexcept { return size_; }

  /// Whether a source is banned; counts the hit. Cost: two lines, and sixteen while there are prefixes.
  [[nodiscard]] bool hits(nat::Ipv4Address source, nat::Tick now, Bans which = Bans::all) noexcept;
  /// The same, and counts nothing.
  [[nodiscard]] bool holds(nat::Ipv4Address source, nat::Tick now, Bans which) const noexcept {
    return find_for(source, now, which) != nullptr;
  }
  /// How many have begun ever since: there may be somebody more who is banned.
  [[nodiscard]] std::uint32_t begun() const noexcept { return begun_; }
  /// Bans, or gives a ban another end; that of a worker (any reason but manual) changes none of an operator,
  /// and makes none end earlier. \return false when there is no room
  bool ban(nat::Prefix prefix, ipc::BanReason reason, nat::Tick until, nat::Tick now) noexcept;
  /// \return false when there was no such ban
  bool lift(nat::Prefix prefix) noexcept;
  /// Takes out some of those that are over, going round. \param budget places looked at, at most
  void expire(nat::Tick now, std::uint32_t budget) noexcept;

 private:
  [[nodiscard]] std::span<ipc::BanSlot> set_of(nat::Ipv4Address address) const noexcept;
  [[nodiscard]] ipc::BanSlot* find_for(nat::Ipv4Address source, nat::Tick now, Bans which) const noexcept;
  [[nodiscard]] std::span<ipc::BanSlot> places_of(nat::Prefix prefix) noexcept;
  [[nodiscard]] ipc::BanSlot* find(nat::Prefix prefix) noexcept;
  [[nodiscard]] ipc::BanSlot* place_for(nat::Prefix prefix, ipc::BanReason reason, nat::Tick now) noexcept;
  void free(ipc::BanSlot& slot) noexcept;

  std::span<ipc::BanSlot> addresses_;
  std::span<ipc::BanSlot> prefixes_;
  std::uint64_t seed_;
  std::uint32_t size_ = 0;
  std::uint32_t prefix_count_ = 0;
  std::uint32_t manual_count_ = 0;  // of operators
  std::uint32_t cursor_ = 0;
  std::uint32_t begun_ = 0;
};

}  // namespace pinhole::dataplane
