// SPDX-License-Identifier: BSD-3-Clause
#pragma once
// Where packets wait until another worker has answered. Bounded in count and time: what finds no place or
// waits for too long is dropped by the caller, counted, and sent again by SIP. Invariant: packets stand in
// the order in which they came. Owned by one worker; it holds the packets that stand in it.

#include <algorithm>
#include <array>
#include <cstdint>
#include <optional>

#include "dataplane/foreign.hpp"
#include "nat/tick.hpp"

namespace pinhole::dataplane {

/// How long a packet may wait: an answer takes microseconds, SIP sends again after T1 (500 ms) at the
/// earliest.
inline constexpr nat::Tick kParkingLimit = nat::ticks_from_s(2);

/// \tparam Packet what is waiting, held by pointer
template <typename Packet, std::uint32_t kCapacity = 256>
class ParkingLot {
 public:
  struct Parked {
    Packet* packet = nullptr;
    Ticket ticket = kNoTicket;
    nat::Tick deadline = 0;  // keep it when the packet is parked again
  };

  /// \return false, and the packet is still the caller's, when there is no place or nothing to wait for
  [[nodiscard]] bool park(const Parked& parked) noexcept {
    if (size_ == kCapacity || parked.ticket == kNoTicket) return false;
    places_[size_++] = parked;
    return true;
  }
  [[nodiscard]] bool park(Packet* packet, Ticket ticket, nat::Tick now) noexcept {
    return park({packet, ticket, now + kParkingLimit});
  }

  /// Takes out the first packet that waits for an answer which is now there. To be called until it gives
  /// none: an answer may be waited for by a message and its retransmission.
  [[nodiscard]] std::optional<Parked> take_ready(Ticket ticket) noexcept {
    return take_first([ticket](const Parked& parked) noexcept { return parked.ticket == ticket; });
  }
  /// Takes out a packet that has waited for too long.
  [[nodiscard]] std::optional<Parked> take_expired(nat::Tick now) noexcept {
    return take_first([now](const Parked& parked) noexcept { return nat::reached(parked.deadline, now); });
  }
  [[nodiscard]] std::uint32_t size() const noexcept { return size_; }

 private:
  template <typename Matches>
  std::optional<Parked> take_first(Matches&& matches) noexcept {
    const auto end = places_.begin() + size_;
    const auto found = std::find_if(places_.begin(), end, matches);
    if (found == end) return std::nullopt;
    const Parked parked = *found;
    std::move(found + 1, end, found);
    --size_;
    return parked;
  }

  std::array<Parked, kCapacity> places_{};
  std::uint32_t size_ = 0;
};

}  // namespace pinhole::dataplane
