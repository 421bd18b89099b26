// SPDX-License-Identifier: BSD-3-Clause
// What runs once: gateways as a worker begins with them, and as it ends.
#include "dataplane/gateway/gateways.hpp"
#include "dataplane/gateway/inspection.hpp"
#include "dataplane/stream_table.hpp"

namespace pinhole::dataplane {

Gateway::Gateway(const GatewaySpec& spec, GatewayNumber number, ipc::GatewayStats& stats,
                 const Shared& shared) noexcept
    : spec_(spec),
      number_(number),
      stats_(stats),
      worker_(shared.worker),
      clock_(shared.clock),
      events_(shared.events),
      budget_(spec.budget_us * shared.tsc_hz / 1'000'000U),
      event_limit_(kEventsPerSecond, kEventBurst, shared.tsc_hz),
      cutter_(*this),
      engine_(cutter_, shared.streams.chunks(owner_of(number)), shared.streams.scratch(), shared.counters,
              spec.strict) {
}

bool Gateway::start(const pinhole_host& host) {
  has_state_ = spec_.plugin->worker_init(&host, worker_, spec_.options.c_str(), &state_) == 0;
  return has_state_;
}

Gateway::~Gateway() {
  if (has_state_ && spec_.plugin->worker_fini != nullptr) spec_.plugin->worker_fini(state_);
}

Gateways::Gateways(const GatewayParts& parts, std::uint64_t seed, const Gateway::Shared& shared,
                   nat::Translator& translator, nat::CounterBlock<WorkerCounter>& counters)
    : Gateways(parts, seed, shared, nat::Carver(parts.memory), translator, counters) {
}

Gateways::Gateways(const GatewayParts& parts, std::uint64_t seed, const Gateway::Shared& shared,
                   nat::Carver memory, nat::Translator& translator,
                   nat::CounterBlock<WorkerCounter>& counters)
    : flows(parts.flows, seed, memory),
      expectations(parts.expectations, seed, memory, translator, flows, counters) {
  for (std::size_t i = 0; i < parts.specs.size(); ++i) {
    list_.push_back(
        std::make_unique<Gateway>(parts.specs[i], static_cast<GatewayNumber>(i), parts.stats[i], shared));
  }
}

std::optional<GatewayNumber> Gateways::start(const alg::sip::VoiceHost& sip) {
  for (const auto& gateway : list_) {
    const bool is_sip = gateway->number() == ipc::kSipGateway;
    if (!gateway->start(is_sip ? sip.table : gateway_host())) return gateway->number();
  }
  return std::nullopt;
}

std::vector<PortClaim> Gateways::claims_of(std::span<const GatewaySpec> specs) {
  std::vector<PortClaim> claims;
  for (std::size_t i = 0; i < specs.size(); ++i) {
    for (const auto& claim : specs[i].claims) {
      claims.push_back({claim.protocol == PINHOLE_TCP ? nat::Protocol::tcp : nat::Protocol::udp, claim.port,
                        owner_of(static_cast<GatewayNumber>(i))});
    }
  }
  return claims;
}

}  // namespace pinhole::dataplane
