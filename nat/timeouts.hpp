// SPDX-License-Identifier: BSD-3-Clause
#pragma once
// How long a mapping may be idle, by its time-out class, and the tick at which it may be freed.

#include <array>
#include <cstddef>
#include <cstdint>

#include "nat/mapping.hpp"
#include "nat/tick.hpp"

namespace pinhole::nat {

inline constexpr std::size_t kTimeoutClasses = 7;
static_assert(static_cast<std::size_t>(TimeoutClass::permanent) + 1 == kTimeoutClasses);

class Timeouts {
 public:
  /// \param seconds  at most kMaxSeconds; more is taken as that. `permanent` cannot be set.
  constexpr void set_s(TimeoutClass timeout_class, std::uint32_t seconds) noexcept {
    if (timeout_class == TimeoutClass::permanent) return;
    ticks_[static_cast<std::size_t>(timeout_class)] =
        ticks_from_s(seconds < kMaxSeconds ? seconds : kMaxSeconds);
  }
  [[nodiscard]] constexpr Tick operator[](TimeoutClass timeout_class) const noexcept {
    return ticks_[static_cast<std::size_t>(timeout_class)];
  }

  /// Half of the ticks there are: beyond that, past and future cannot be told apart (reached()).
  static constexpr std::uint32_t kMaxSeconds = 0x3fffffffU / kTicksPerSecond;

 private:
  std::array<Tick, kTimeoutClasses> ticks_ = {
      ticks_from_s(300),   // udp: RFC 4787 REQ-5 asks for 2 minutes or more, recommends 5
      ticks_from_s(7440),  // tcp_established: RFC 5382 REQ-5, 2 hours 4 minutes
      ticks_from_s(240),   // tcp_opening: RFC 5382 REQ-5, 4 minutes
      ticks_from_s(240),   // tcp_closing: the same; RFC 7857 section 2.1 has them apart
      ticks_from_s(60),    // icmp: RFC 5508 REQ-2
      ticks_from_s(120),   // media: silence; control keeps calls longer by keep_until
      0,                   // permanent: never asked for
  };
};

/// The tick at which a mapping has been idle for its time-out and no promise keeps it; not for permanent
/// ones.
[[nodiscard]] inline Tick deadline_of(const Mapping& mapping, const Timeouts& timeouts) noexcept {
  const Tick idle = mapping.last_seen + timeouts[mapping.timeout_class];
  return reached(mapping.keep_until, idle) ? idle : mapping.keep_until;
}

}  // namespace pinhole::nat
