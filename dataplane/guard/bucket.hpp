// SPDX-License-Identifier: BSD-3-Clause
#pragma once
// A token bucket of eight bytes, for tables that have very many of them: the rate and the burst are the
// caller's and may change at any time. It remembers until when the tokens that were taken are paid for (the
// generic cell rate algorithm, ITU-T I.371); a bucket of zeros is a full one.

#include <algorithm>
#include <cstdint>

#include "dataplane/ipc/rates.hpp"
#include "nat/tick.hpp"

namespace pinhole::dataplane {

enum class Taken : std::uint8_t {
  fine,
  near,  // there was a token, and there are not many more
  over,  // there was none
};

class Bucket {
 public:
  /// Takes a token if there is one. \param warn_percent  `near` when more than so much of the burst is used
  /// up
  [[nodiscard]] Taken take(const ipc::Rate& rate, std::uint8_t warn_percent, nat::Tick now) noexcept {
    if (rate.per_s == 0) return Taken::fine;
    const std::uint64_t cost = kUnitsPerSecond / rate.per_s;
    const std::uint64_t full = cost * rate.burst;
    const std::uint64_t time = std::uint64_t{now} * (kUnitsPerSecond / nat::kTicksPerSecond);
    // What is further away than a whole burst was noted under a larger one, or before the ticks wrapped, and
    // says nothing of what was taken lately: the bucket begins anew.
    if (paid_until_ > time + full) paid_until_ = time;
    paid_until_ = std::max(paid_until_, time);
    if (paid_until_ + cost > time + full) return Taken::over;
    paid_until_ += cost;
    const std::uint64_t used = paid_until_ - time;
    return used * 100 > full * warn_percent ? Taken::near : Taken::fine;
  }
  /// How much of it is used up, for whoever has to choose which to forget. \return 0: it is full
  [[nodiscard]] std::uint64_t used(nat::Tick now) const noexcept {
    const std::uint64_t time = std::uint64_t{now} * (kUnitsPerSecond / nat::kTicksPerSecond);
    return paid_until_ > time ? paid_until_ - time : 0;
  }

 private:
  /// Fine enough for ten million a second; 2^64 of them are longer than ticks last.
  static constexpr std::uint32_t kUnitsPerSecond = 1'000'000'000;

  std::uint64_t paid_until_ = 0;
};
static_assert(sizeof(Bucket) == 8);

}  // namespace pinhole::dataplane
