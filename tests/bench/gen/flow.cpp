// SPDX-License-Identifier: BSD-3-Clause
#include "tests/bench/gen/flow.hpp"

#include <algorithm>

namespace pinhole::gen {

std::uint32_t hosts_of(const FlowPlan& plan) noexcept {
  constexpr std::uint32_t kFlowsPerHost = 16;
  return plan.hosts != 0 ? std::min(plan.hosts, plan.flows)
                         : (plan.flows + kFlowsPerHost - 1) / kFlowsPerHost;
}

std::vector<Flow> make_flows(const FlowPlan& plan, Device device) {
  const std::uint32_t hosts = hosts_of(plan);
  std::vector<Flow> flows(plan.flows);
  for (std::uint32_t i = 0; i < plan.flows; ++i) {
    Flow& flow = flows[i];
    flow.inside = {nat::Ipv4Address::from_host(plan.first_host.host() + i % hosts),
                   nat::Be16{static_cast<std::uint16_t>(kFirstInsidePort + i / hosts)}};
    flow.remote = {nat::Ipv4Address::from_host(plan.first_remote.host() + i % plan.remotes),
                   nat::Be16{plan.remote_port}};
    if (device == Device::swap) flow.external = flow.inside;
  }
  return flows;
}

std::optional<Overload> find_overload(const std::vector<Flow>& flows) {
  std::vector<std::uint32_t> order;
  order.reserve(flows.size());
  for (std::uint32_t i = 0; i < flows.size(); ++i) {
    if (flows[i].known()) order.push_back(i);
  }
  std::ranges::sort(order, {}, [&](std::uint32_t i) { return flows[i].external; });
  const auto same = std::ranges::adjacent_find(
      order, [&](std::uint32_t a, std::uint32_t b) { return flows[a].external == flows[b].external; });
  if (same == order.end()) return std::nullopt;
  return Overload{*same, *(same + 1)};
}

}  // namespace pinhole::gen
