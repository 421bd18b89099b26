// SPDX-License-Identifier: BSD-3-Clause
// What happens to a message that a gateway is shown; what the gateway may ask is in host.cpp.
#include "dataplane/gateway/inspection.hpp"

#include <array>
#include <cstddef>
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

Inspection::Outcome Inspection::show(Gateway& gateway, GatewayFlow* flow, nat::Mapping& mapping,
                                     const alg::Message& message) noexcept {
  const bool outbound = message.direction == alg::Direction::outbound;
  const bool is_tcp = message.flow.protocol == nat::Protocol::tcp;
  const auto opposite = static_cast<std::uint8_t>(outbound ? PINHOLE_OUTSIDE : PINHOLE_INSIDE);
  const pinhole_message plain{
      .size = sizeof(pinhole_message),
      .protocol = static_cast<std::uint8_t>(is_tcp ? PINHOLE_TCP : PINHOLE_UDP),
      .from = static_cast<std::uint8_t>(outbound ? PINHOLE_INSIDE : PINHOLE_OUTSIDE),
      .server = flow == nullptr ? opposite : flow->server,
      .unchanged = static_cast<std::uint8_t>(message.flow.inside == message.flow.external ? 1 : 0),
      .bytes = message.bytes.data(),
      .length = message.bytes.size(),
      .inside = shown(message.flow.inside),
      .external = shown(message.flow.external),
      .remote = shown(message.flow.remote),
      .flow = flow == nullptr ? nullptr : flow->memory.data()};
  worker_.edits.clear();
  gateway_ = &gateway;
  flow_ = flow;
  faulted_ = false;
  keep_ = 0;
  announced_count_ = made_count_ = 0;
  message_ = &message;
  voice_.reset();
  std::array<std::byte, PINHOLE_MAX_FLOW> memory;
  if (flow != nullptr) memory = flow->memory;
  const auto answer = gateway.inspect(context_, plain, message.flow);
  message_ = nullptr;
  if (voice_) return settle_voice(mapping);
  if (answer && !faulted_) return settle(*answer);
  if (faulted_) gateway.note(Gateway::Fault::argument, message.flow);
  if (flow != nullptr) flow->memory = memory;
  abandon();
  worker_.edits.clear();
  return {};
}

Inspection::Outcome Inspection::settle(int answer) noexcept {
  auto& counters = gateway_->stats().host;
  if (answer == PINHOLE_DROP) {
    counters.add(GatewayCounter::dropped);
    abandon();
    return {.verdict = Verdict::drop};
  }
  if (answer != PINHOLE_LEAVE) return {};
  counters.add(GatewayCounter::left);
  return {.verdict = Verdict::leave};
}

/// SIP says more of a message than alg/plugin.h has answers for.
Inspection::Outcome Inspection::settle_voice(nat::Mapping& mapping) noexcept {
  auto& counters = gateway_->stats().host;
  const auto answer = voice_->answer;
  const bool ends_here = answer.reason == nat::DropReason::drop_sip_own;
  if (!worker_.host.is_concerned() && !ends_here) {
    abandon();
    worker_.edits.clear();
    return {.verdict = Verdict::unread};
  }
  if (answer.recognised) nat::keep_to_regular_path(mapping, nat::MappingFlags::kSip);
  if (answer.verdict == alg::Verdict::forward) return {};
  if (answer.verdict == alg::Verdict::wait) {
    abandon();
    return {Verdict::wait, answer};
  }
  drop(answer.reason);
  counters.add(GatewayCounter::dropped);
  return {answer.verdict == alg::Verdict::refuse ? Verdict::refuse : Verdict::drop, answer};
}

void Inspection::commit() noexcept {
  if (!worker_.edits.empty()) gateway_->stats().host.add(GatewayCounter::edited);
  if (voice_) return worker_.host.commit(worker_.edits);
  const nat::Tick now = worker_.clock.tick();
  for (const auto& each : std::span(announced_).first(announced_count_)) {
    worker_.gateways.expectations.announce(each.what, *flow_, each.mapping, now);
  }
  if (keep_ != 0) flow_->keep = keep_;
  announced_count_ = made_count_ = 0;
  keep_ = 0;
}

void Inspection::drop(nat::DropReason reason) noexcept {
  if (voice_) return worker_.host.drop(reason);
  abandon();
}

void Inspection::abandon() noexcept {
  if (voice_) return worker_.host.abandon();
  for (const auto& each : std::span(made_).first(made_count_)) {
    static_cast<void>(worker_.translator.close(each.mapping, each.generation));
  }
  announced_count_ = made_count_ = 0;
  keep_ = 0;
}

}  // namespace pinhole::dataplane
