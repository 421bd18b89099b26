// SPDX-License-Identifier: BSD-3-Clause
#pragma once
// How much of what may be sent, by whom, and what leads to a ban: the numbers of protection as one block of
// plain data, worked out of the configuration (dataplane/config/rates.hpp) and read by every worker.

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <type_traits>

#include "alg/sip/summary.hpp"
#include "dataplane/ipc/text.hpp"
#include "nat/endpoint.hpp"
#include "nat/tick.hpp"

namespace pinhole::ipc {

/// A token bucket: so many a second, and a burst after a pause.
struct Rate {
  static constexpr std::uint32_t kMost = 10'000'000;  // of either

  std::uint32_t per_s = 0;  // 0: no limit
  std::uint32_t burst = 1;
};

/// What a source may send that has shown that it is who it says (`known`), one that has not, and all that
/// have not together.
struct ClassRates {
  Rate known;
  Rate unknown;
  Rate all_unknown;
};

inline constexpr std::size_t kMethods = static_cast<std::size_t>(alg::sip::Method::publish) + 1;

/// Final responses that count as a refusal: a bit for each status from 300 to 699.
class StatusSet {
 public:
  static constexpr std::uint16_t kFirst = 300;
  static constexpr std::uint16_t kLast = 699;

  void add(std::uint16_t status) noexcept {
    if (holds(status)) words_[at(status) / 64] |= std::uint64_t{1} << (at(status) % 64);
  }
  [[nodiscard]] bool contains(std::uint16_t status) const noexcept {
    return holds(status) && (words_[at(status) / 64] >> (at(status) % 64) & 1U) != 0;
  }

 private:
  static constexpr bool holds(std::uint16_t status) noexcept { return status >= kFirst && status <= kLast; }
  static constexpr std::size_t at(std::uint16_t status) noexcept { return std::size_t{status} - kFirst; }

  std::array<std::uint64_t, (kLast - kFirst) / 64 + 1> words_{};
};

struct RateLimits {
  static constexpr std::size_t kMaxAllowed = 64;
  static constexpr std::size_t kMaxScanners = 32;

  bool enabled = false;
  bool refuses = false;            // what is over a limit is answered with 503
  std::uint8_t warn_percent = 80;  // of a burst used up: a warning
  std::uint16_t retry_after_s = 0;

  ClassRates sources;                  // SIP messages
  Rate inside;                         // requests of an inside host
  std::array<Rate, kMethods> methods;  // requests of a source, by method
  ClassRates subscribers;              // requests from, and to, one address of record
  ClassRates servers;                  // requests to one address
  ClassRates flows;                    // SYNs and first packets from outside
  ClassRates fragments;                // from outside
  ClassRates malformed;                // SIP messages that cannot be read

  StatusSet refusals;
  std::uint16_t refused = 0;      // so many refusals, and the source is denied; 0: never
  std::uint16_t failed_auth = 0;  // so many failed authentications, and it is banned; 0: never
  std::uint16_t not_found = 0;    // so many addresses that nobody has, and it is banned; 0: never
  nat::Tick within = 0;
  nat::Tick denied_for = 0;
  nat::Tick banned_for = 0;  // by the worker alone, until control says more

  std::uint8_t allowed_count = 0;
  std::uint8_t scanner_count = 0;
  std::array<nat::Prefix, kMaxAllowed> allowed{};
  std::array<Text<30>, kMaxScanners> scanners{};  // parts of User-Agents

  [[nodiscard]] std::span<const nat::Prefix> allow_list() const noexcept {
    return std::span(allowed).first(std::min<std::size_t>(allowed_count, kMaxAllowed));
  }
  [[nodiscard]] std::span<const Text<30>> scanner_list() const noexcept {
    return std::span(scanners).first(std::min<std::size_t>(scanner_count, kMaxScanners));
  }
};
static_assert(std::is_trivially_copyable_v<RateLimits>);

[[nodiscard]] constexpr bool is_sound(const Rate& rate) noexcept {
  return rate.per_s <= Rate::kMost && rate.burst >= 1 && rate.burst <= Rate::kMost;
}

[[nodiscard]] constexpr bool is_sound(const ClassRates& rates) noexcept {
  return is_sound(rates.known) && is_sound(rates.unknown) && is_sound(rates.all_unknown);
}

/// Whether every number is one that the configuration may give. What came by shared memory is asked.
[[nodiscard]] inline bool is_sound(const RateLimits& limits) noexcept {
  const auto all_sound = [](const auto&... rates) noexcept { return (is_sound(rates) && ...); };
  return limits.warn_percent <= 100 && limits.allowed_count <= RateLimits::kMaxAllowed &&
         limits.scanner_count <= RateLimits::kMaxScanners &&
         all_sound(limits.sources, limits.inside, limits.subscribers, limits.servers, limits.flows,
                   limits.fragments, limits.malformed) &&
         std::ranges::all_of(limits.methods, [](const Rate& rate) noexcept { return is_sound(rate); }) &&
         std::ranges::all_of(limits.allow_list(),
                             [](nat::Prefix prefix) noexcept { return prefix.length <= 32; });
}

}  // namespace pinhole::ipc
