// SPDX-License-Identifier: BSD-3-Clause
#pragma once
// Bans between workers and control: why there is one, what a worker tells of it, what control orders, and the
// table in which it stands, which control reads for the hits.

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <type_traits>

#include "alg/sip/summary.hpp"
#include "dataplane/ipc/text.hpp"
#include "nat/endpoint.hpp"
#include "nat/tick.hpp"

namespace pinhole::ipc {

enum class BanReason : std::uint8_t {
  manual,       // an operator says so
  scanner,      // its User-Agent is that of a scanner
  failed_auth,  // wrong credentials, again and again
  harvest,      // asks for many addresses that nobody has
  rule,         // a rule of the policy says so
};

[[nodiscard]] constexpr std::string_view name(BanReason reason) noexcept {
  constexpr std::array<std::string_view, 5> kNames = {"manual", "scanner", "failed_auth", "harvest", "rule"};
  const auto index = static_cast<std::size_t>(reason);
  return index < kNames.size() ? kNames[index] : "manual";
}

/// What control orders. Host bits of the prefix are zero.
struct BanOrder {
  nat::Prefix prefix{};
  BanReason reason = BanReason::manual;
  bool proven = false;  // by traffic both ways; otherwise a source that a worker knows to be good is let be
  std::uint8_t reserved = 0;
};
static_assert(std::is_trivially_copyable_v<BanOrder> && sizeof(BanOrder) == 8);

/// So many bans of more than one address does a worker have room for.
inline constexpr std::size_t kBanPrefixes = 64;

/// One ban in the table of a worker. Written by its worker only.
struct BanSlot {
  std::atomic<std::uint32_t> address{0};  // raw
  std::atomic<std::uint32_t> hits{0};     // packets that were dropped for it
  std::atomic<nat::Tick> until{0};        // 0: the place is free
  std::atomic<std::uint8_t> length{32};
  std::atomic<BanReason> reason{BanReason::manual};
  std::uint16_t reserved = 0;
};
static_assert(sizeof(BanSlot) == 16 && std::atomic<BanReason>::is_always_lock_free);

/// Which limit it was.
enum class LimitKind : std::uint8_t {
  source,
  method,
  unknown_sources,
  subscriber,
  server,
  flows,
  fragments,
  malformed
};

[[nodiscard]] constexpr std::string_view name(LimitKind kind) noexcept {
  constexpr std::array<std::string_view, 8> kNames = {"source", "method", "unknown_sources", "subscriber",
                                                      "server", "flows",  "fragments",       "malformed"};
  const auto index = static_cast<std::size_t>(kind);
  return index < kNames.size() ? kNames[index] : "source";
}

enum class GuardNews : std::uint8_t {
  near_limit,  // the warning level was passed
  over_limit,  // something was dropped or refused
  denied,      // a source is denied for a while
  banned,      // a source is banned
};

struct GuardEvent {
  GuardNews news = GuardNews::near_limit;
  LimitKind limit = LimitKind::source;   // of near_limit and over_limit
  BanReason reason = BanReason::manual;  // of banned
  bool proven = false;                   // see BanOrder
  bool from_inside = false;
  nat::Ipv4Address source{};
  nat::Ipv4Address server{};  // that the message was for; unspecified: there was none
  Text<94> detail{};          // the subscriber, the User-Agent or the method
};

}  // namespace pinhole::ipc
