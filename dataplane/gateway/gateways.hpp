// SPDX-License-Identifier: BSD-3-Clause
#pragma once
// The gateways of one worker, the flows that they look at, and what they have announced. Owned by the worker.

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "dataplane/gateway/expectations.hpp"
#include "dataplane/gateway/flow_table.hpp"
#include "dataplane/gateway/gateway.hpp"
#include "dataplane/gateway/ports.hpp"
#include "nat/memory.hpp"

namespace pinhole::alg::sip {
struct VoiceHost;
}

namespace pinhole::dataplane {

/// What main prepares; all of it outlives the worker.
struct GatewayParts {
  static constexpr std::uint32_t kFlows = 4096;
  static constexpr std::uint32_t kExpectations = 4096;

  std::span<const GatewaySpec> specs;  // SIP first
  std::span<ipc::GatewayStats> stats;  // one for each
  std::uint32_t flows = 1;             // at least 1
  std::uint32_t expectations = 1;      // at least 1
  std::span<std::byte> memory;
};

class Gateways {
 public:
  [[nodiscard]] static constexpr std::size_t bytes_needed(std::uint32_t flows,
                                                          std::uint32_t expectations) noexcept {
    return FlowTable::bytes_needed(flows) + Expectations::bytes_needed(expectations);
  }
  Gateways(const GatewayParts& parts, std::uint64_t seed, const Gateway::Shared& shared,
           nat::Translator& translator, nat::CounterBlock<WorkerCounter>& counters);
  Gateways(const Gateways&) = delete;
  Gateways& operator=(const Gateways&) = delete;

  /// Has each gateway make its state. \param sip  what SIP is given; outlives the gateways
  /// \return the one that could not. Thread: main
  [[nodiscard]] std::optional<GatewayNumber> start(const alg::sip::VoiceHost& sip);
  /// The ports that gateways claim.
  [[nodiscard]] static std::vector<PortClaim> claims_of(std::span<const GatewaySpec> specs);

  /// \param owner  not kUnowned
  [[nodiscard]] Gateway& of(PortOwner owner) noexcept { return *list_[gateway_of(owner)]; }

 private:
  Gateways(const GatewayParts& parts, std::uint64_t seed, const Gateway::Shared& shared, nat::Carver memory,
           nat::Translator& translator, nat::CounterBlock<WorkerCounter>& counters);

  std::vector<std::unique_ptr<Gateway>> list_;

 public:
  FlowTable flows;
  std::uint32_t flow_walker = 0;  // the flow that was looked after last
  Expectations expectations;
};

}  // namespace pinhole::dataplane
