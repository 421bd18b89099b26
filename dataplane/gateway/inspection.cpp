// SPDX-License-Identifier: BSD-3-Clause
// What happens to a message that a gateway is shown; what the gateway may ask is in host.cpp.
#include "dataplane/gateway/inspection.hpp"

#include <span>

#include "dataplane/context.hpp"

namespace pinhole::dataplane {

using ipc::GatewayCounter;

namespace {

pinhole_endpoint shown(nat::Endpoint endpoint) noexcept {
  return {endpoint.address.host(), endpoint.port.host(), 0};
}

}  // namespace

Inspection::Inspection(WorkerContext& worker) noexcept : worker_(worker), context_{this} {
}

Inspection::Verdict Inspection::show(Gateway& gateway, GatewayFlow& flow,
                                     const alg::Message& message) noexcept {
  const bool outbound = message.direction == alg::Direction::outbound;
  const bool is_tcp = message.flow.protocol == nat::Protocol::tcp;
  const pinhole_message plain{
      .size = sizeof(pinhole_message),
      .protocol = static_cast<std::uint8_t>(is_tcp ? PINHOLE_TCP : PINHOLE_UDP),
      .from = static_cast<std::uint8_t>(outbound ? PINHOLE_INSIDE : PINHOLE_OUTSIDE),
      .server = flow.server,
      .unchanged = static_cast<std::uint8_t>(message.flow.inside == message.flow.external ? 1 : 0),
      .bytes = message.bytes.data(),
      .length = message.bytes.size(),
      .inside = shown(message.flow.inside),
      .external = shown(message.flow.external),
      .remote = shown(message.flow.remote),
      .flow = flow.memory.data()};
  worker_.edits.clear();
  gateway_ = &gateway;
  flow_ = &flow;
  faulted_ = false;
  keep_ = 0;
  announced_count_ = made_count_ = 0;
  message_ = &message;
  const auto memory = flow.memory;
  const auto answer = gateway.inspect(context_, plain, message.flow);
  message_ = nullptr;
  auto& counters = gateway.stats().host;
  if (!answer || faulted_) {
    if (faulted_) gateway.note(Gateway::Fault::argument, message.flow);
    flow.memory = memory;
    abandon();
    worker_.edits.clear();
    return Verdict::forward;
  }
  if (*answer == PINHOLE_DROP) {
    counters.add(GatewayCounter::dropped);
    abandon();
    return Verdict::drop;
  }
  if (!worker_.edits.empty()) counters.add(GatewayCounter::edited);
  if (*answer != PINHOLE_LEAVE) return Verdict::forward;
  counters.add(GatewayCounter::left);
  return Verdict::leave;
}

void Inspection::commit() noexcept {
  const nat::Tick now = worker_.clock.tick();
  for (const auto& each : std::span(announced_).first(announced_count_)) {
    worker_.gateways.expectations.announce(each.what, *flow_, each.mapping, now);
  }
  if (keep_ != 0) flow_->keep = keep_;
  announced_count_ = made_count_ = 0;
  keep_ = 0;
}

void Inspection::abandon() noexcept {
  for (const auto& each : std::span(made_).first(made_count_)) {
    static_cast<void>(worker_.translator.close(each.mapping, each.generation));
  }
  announced_count_ = made_count_ = 0;
  keep_ = 0;
}

}  // namespace pinhole::dataplane
