// SPDX-License-Identifier: BSD-3-Clause
#pragma once
// Gateways of alg/plugin.h as both processes know them: who they are, written once at start, and what they
// have counted, a block a worker. A gateway has a number, its place in Layout::gateways. SIP comes first;
// what it counts itself is in alg/counters.hpp.

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>

#include "alg/plugin.h"
#include "dataplane/ipc/text.hpp"
#include "nat/counters.hpp"
#include "nat/endpoint.hpp"

namespace pinhole::ipc {

inline constexpr std::size_t kMaxGateways = 17;  // SIP, FTP, and as many plug-ins as may be configured

/// The place of a gateway in Layout::gateways.
using GatewayNumber = std::uint8_t;
inline constexpr GatewayNumber kSipGateway = 0;

struct GatewayClaim {
  nat::Protocol protocol = nat::Protocol::udp;
  std::uint16_t port = 0;
};

/// The configuration may give SIP sixteen ports of both protocols.
inline constexpr std::size_t kMaxShownClaims = 32;
static_assert(kMaxShownClaims >= PINHOLE_MAX_CLAIMS);

/// Who a gateway is. Constant once the data plane is ready.
struct GatewayShare {
  Text<PINHOLE_MAX_NAME> name;
  Text<62> version;
  Text<254> file;               // empty: it is built in
  std::uint32_t budget_us = 0;  // 0: none, it is built in
  std::uint32_t max_faults = 0;
  std::uint8_t claim_count = 0;
  std::uint8_t counter_count = 0;
  std::array<GatewayClaim, kMaxShownClaims> claims{};
  std::array<Text<62>, PINHOLE_MAX_COUNTERS> counters{};  // their names
};

/// What the host counts of each gateway.
#define PINHOLE_GATEWAY_COUNTERS(X)                                                              \
  X(shown, "messages that the gateway was shown, again when they had waited")                    \
  X(edited, "messages that it changed")                                                          \
  X(dropped, "messages that it dropped")                                                         \
  X(left, "flows that it left alone from some message on")                                       \
  X(switched_off, "messages that passed unread, because the gateway is switched off for them")   \
  X(fault_argument,                                                                              \
    "faults: a function of the host was called with broken arguments, as an edit "               \
    "outside the message")                                                                       \
  X(fault_verdict, "faults: an answer that there is not")                                        \
  X(fault_budget, "faults: a call took longer than the budget")                                  \
  X(stopped, "1 when this worker shows it nothing any more, because there were too many faults") \
  X(event_lost, "events that were not sent, because there were too many of late or the ring was full")

enum class GatewayCounter : std::uint8_t { PINHOLE_GATEWAY_COUNTERS(PINHOLE_COUNTER_ENUMERATOR) };

}  // namespace pinhole::ipc

template <>
struct pinhole::nat::CounterTraits<pinhole::ipc::GatewayCounter> {
  static constexpr std::array kInfo = {PINHOLE_GATEWAY_COUNTERS(PINHOLE_COUNTER_INFO)};
};

namespace pinhole::ipc {

/// What a worker has counted of a gateway. Thread: written by the worker, read by anyone in any process.
struct GatewayStats {
  nat::CounterBlock<GatewayCounter> host;
  alignas(64) std::array<std::atomic<std::uint64_t>, PINHOLE_MAX_COUNTERS> own{};  // of its own counters
};

/// All faults of a gateway on a worker.
[[nodiscard]] inline std::uint64_t faults(const GatewayStats& stats) noexcept {
  return stats.host.read(GatewayCounter::fault_argument) + stats.host.read(GatewayCounter::fault_verdict) +
         stats.host.read(GatewayCounter::fault_budget);
}

}  // namespace pinhole::ipc
