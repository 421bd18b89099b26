// SPDX-License-Identifier: BSD-3-Clause
#pragma once
// The meters of a worker's pinholes (dataplane/ipc/meter.hpp), by mapping. With `calls.measure` off there are
// none, and nothing here does anything. Invariant: a meter counts from when its mapping became a pinhole.
// Owned by one worker; control reads the meters.

#include <cstddef>
#include <cstdint>
#include <span>

#include "alg/rtp_clocks.hpp"
#include "dataplane/ipc/meter.hpp"
#include "dataplane/rtp_meter.hpp"
#include "nat/mapping.hpp"
#include "nat/memory.hpp"
#include "nat/prefetch.hpp"

namespace pinhole::dataplane {

/// What MediaMeters works with.
struct MeterMemory {
  std::span<ipc::MediaMeter> meters;  // one a mapping, in shared memory; empty: nothing is measured
  std::span<alg::RtpClocks> clocks;   // as many
};

class MediaMeters {
 public:
  /// \param memory   outlives the meters
  /// \param tsc_hz   of the clock that packets are timed by
  explicit MediaMeters(const MeterMemory& memory = {}, std::uint64_t tsc_hz = 1) noexcept
      : meters_(memory.meters), clocks_(memory.clocks), us_per_tsc_(1e6 / static_cast<double>(tsc_hz)) {}
  MediaMeters(const MediaMeters&) = delete;
  MediaMeters& operator=(const MediaMeters&) = delete;

  [[nodiscard]] bool on() const noexcept { return !meters_.empty(); }

  /// A mapping becomes a pinhole.
  void begin(nat::MappingIndex index) noexcept {
    if (!on()) return;
    meters_[index] = {};
    clocks_[index] = {};
  }
  /// A pinhole changes hands: what can only be said of a whole is said of the rest.
  void pass_on(nat::MappingIndex index) noexcept {
    if (!on()) return;
    for (auto* const meter : {&meters_[index].out, &meters_[index].in}) {
      meter->reach = 0;
      meter->jitter = meter->jitter_max = meter->gap_max_us = 0;
    }
  }
  /// A description names clocks of what goes through a pinhole.
  void note_clocks(nat::MappingIndex index, const alg::RtpClocks& told) noexcept {
    if (on()) clocks_[index].add(told);
  }

  /// Only while on().
  [[nodiscard]] const ipc::MediaMeter& operator[](nat::MappingIndex index) const noexcept {
    return meters_[index];
  }

  // For packets; only while on().

  /// When the packets of a turn came. \param tsc  since any moment; wraps with the result
  [[nodiscard]] std::uint32_t time_us(std::uint64_t tsc) const noexcept {
    return static_cast<std::uint32_t>(static_cast<std::uint64_t>(static_cast<double>(tsc) * us_per_tsc_));
  }
  /// \param index  any, of a mapping that there may not be
  void prefetch(nat::MappingIndex index, bool outbound) const noexcept {
    const ipc::MediaMeter* const meter = meters_.data() + index;
    nat::prefetch(outbound ? &meter->out : &meter->in);
  }
  /// A packet of a pinhole passes. \param payload of UDP; empty: of a later fragment
  void count(nat::MappingIndex index, bool outbound, std::span<const std::byte> payload,
             std::uint32_t ip_bytes, std::uint32_t now_us) noexcept {
    auto& meter = outbound ? meters_[index].out : meters_[index].in;
    meter.bytes += ip_bytes;
    measure(meter, payload, clocks_[index], now_us);
  }

 private:
  std::span<ipc::MediaMeter> meters_;
  std::span<alg::RtpClocks> clocks_;
  double us_per_tsc_;
};

}  // namespace pinhole::dataplane
