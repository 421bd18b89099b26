// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/rtp_meter.hpp"

#include <algorithm>
#include <array>
#include <limits>
#include <optional>

#include "nat/headers.hpp"

namespace pinhole::dataplane {

namespace {

constexpr std::uint8_t kWindow = 64;

struct RtpHeader {
  std::uint8_t payload_type = 0;
  std::uint16_t sequence = 0;
  std::uint32_t timestamp = 0;
  std::uint32_t ssrc = 0;
};

/// \return none for STUN, DTLS and what else a port carries (RFC 7983), and for RTCP on the same port (RFC
/// 5761 section 4)
std::optional<RtpHeader> read_rtp(std::span<const std::byte> payload) noexcept {
  constexpr std::size_t kHeader = 12;
  constexpr unsigned kVersion = 2;
  if (payload.size() < kHeader) return std::nullopt;
  const std::byte* const bytes = payload.data();
  const auto payload_type = static_cast<std::uint8_t>(std::to_integer<unsigned>(bytes[1]) & 0x7fU);
  if (std::to_integer<unsigned>(bytes[0]) >> 6U != kVersion) return std::nullopt;
  if (payload_type >= 64 && payload_type < 96) return std::nullopt;
  return RtpHeader{.payload_type = payload_type,
                   .sequence = nat::load<nat::Be16>(bytes + 2).host(),
                   .timestamp = nat::load<nat::Be32>(bytes + 4).host(),
                   .ssrc = nat::load<nat::Be32>(bytes + 8).host()};
}

// Microseconds a unit of the timestamp, as a fraction of 2^kFraction.
constexpr unsigned kFraction = 20;
constexpr auto kUnits = [] {
  std::array<std::int64_t, alg::kRtpClockRates.size()> units{};
  for (std::size_t i = 0; i < units.size(); ++i)
    units[i] = (1'000'000LL << kFraction) / alg::kRtpClockRates[i];
  return units;
}();

void begin(ipc::FlowMeter& meter, const RtpHeader& header, std::uint32_t now_us) noexcept {
  meter.window = 1;
  meter.ssrc = header.ssrc;
  meter.timestamp = header.timestamp;
  meter.arrived_us = meter.heard_us = now_us;
  meter.jitter = 0;
  meter.highest = header.sequence;
  meter.reach = 1;
  meter.is_astray = false;
  if (meter.sources < std::numeric_limits<std::uint8_t>::max()) ++meter.sources;
  ++meter.packets;
}

/// A packet behind the highest. \return whether it is new
bool take_late(ipc::FlowMeter& meter, std::uint16_t behind) noexcept {
  if (behind >= kWindow) return false;
  const std::uint64_t bit = std::uint64_t{1} << behind;
  if ((meter.window & bit) != 0) return false;
  meter.window |= bit;
  if (behind < meter.reach) {
    --meter.lost;
  } else {  // from before the first one
    meter.lost += behind - meter.reach;
    meter.reach = static_cast<std::uint8_t>(behind + 1);
  }
  return true;
}

void take_next(ipc::FlowMeter& meter, std::uint16_t ahead) noexcept {
  meter.lost += ahead - 1U;
  meter.window = ahead < kWindow ? meter.window << ahead | 1U : 1U;
  meter.reach = static_cast<std::uint8_t>(std::min<unsigned>(kWindow, meter.reach + ahead));
}

void take_time(ipc::FlowMeter& meter, const RtpHeader& header, alg::RtpClock clock,
               std::uint32_t now_us) noexcept {
  meter.gap_max_us = std::max(meter.gap_max_us, now_us - meter.heard_us);
  meter.heard_us = now_us;
  if (header.timestamp == meter.timestamp) return;
  const auto units = static_cast<std::int32_t>(header.timestamp - meter.timestamp);
  const std::int64_t sent_us = (units * kUnits[clock]) >> kFraction;
  const std::int64_t difference = std::int64_t{now_us - meter.arrived_us} - sent_us;
  const std::int64_t step = difference < 0 ? -difference : difference;
  meter.timestamp = header.timestamp;
  meter.arrived_us = now_us;
  if (step > kLargestStepUs) return;
  meter.jitter += static_cast<std::uint32_t>(step) - ((meter.jitter + 8) >> 4U);
  meter.jitter_max = std::max(meter.jitter_max, meter.jitter);
}

/// A packet far from where its source was: two in a row are a source that has begun anew.
void take_stray(ipc::FlowMeter& meter, const RtpHeader& header, std::uint32_t now_us) noexcept {
  const bool fits = meter.is_astray && header.sequence == meter.expected;
  if (!fits) {
    meter.is_astray = true;
    meter.expected = static_cast<std::uint16_t>(header.sequence + 1);
    return;
  }
  begin(meter, header, now_us);
  meter.window |= 2U;  // the one before, which was left out
  meter.reach = 2;
  ++meter.packets;
}

}  // namespace

void measure(ipc::FlowMeter& meter, std::span<const std::byte> payload, const alg::RtpClocks& clocks,
             std::uint32_t now_us) noexcept {
  const auto header = read_rtp(payload);
  if (!header) return;
  if (meter.reach == 0 || header->ssrc != meter.ssrc) return begin(meter, *header, now_us);
  const auto ahead = static_cast<std::uint16_t>(header->sequence - meter.highest);
  const auto behind = static_cast<std::uint16_t>(meter.highest - header->sequence);
  if (behind <= kFarthestBehind) {
    if (!take_late(meter, behind)) {
      ++meter.repeated;
      return;
    }
  } else if (ahead < kLongestDropout) {
    take_next(meter, ahead);
    meter.highest = header->sequence;
  } else {
    return take_stray(meter, *header, now_us);
  }
  ++meter.packets;
  take_time(meter, *header, clocks[header->payload_type], now_us);
}

}  // namespace pinhole::dataplane
