// SPDX-License-Identifier: BSD-3-Clause
#pragma once
// How flows of gateways begin, for how long they are kept, and which messages a gateway is shown.

#include "alg/alg.hpp"
#include "dataplane/burst.hpp"
#include "dataplane/context.hpp"

namespace pinhole::dataplane {

/// Which messages a gateway is shown.
enum class Attention : std::uint8_t { none, known_calls, all };

/// Of what passes between an inside host and the outside by these interfaces. Where SIP is switched off,
/// calls that live are seen through.
[[nodiscard]] Attention attention_of(const Gateway& gateway, nat::Ipv4Address host, std::uint16_t interfaces,
                                     const WorkerContext& worker) noexcept;

/// Whether a packet goes to the port that its gateway claims, and may begin a flow.
[[nodiscard]] bool goes_to_server(const Burst& burst, unsigned place, alg::Direction direction,
                                  PortOwner owner, const WorkerContext& worker) noexcept;

/// A flow begins with this packet; one that was there on the same endpoints has ended.
/// \return kNoFlow when there is no room for it
FlowRef begin_flow(const Burst& burst, unsigned place, alg::Direction direction, PortOwner owner,
                   WorkerContext& worker) noexcept;

/// Once a tick: flows that have ended, that are kept though they are silent, or whose ends are to be asked;
/// and what they have announced.
void tick_gateways(WorkerContext& worker) noexcept;

}  // namespace pinhole::dataplane
