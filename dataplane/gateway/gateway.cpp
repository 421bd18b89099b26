// SPDX-License-Identifier: BSD-3-Clause
// A gateway while packets flow; how it starts and ends is in start.cpp.
#include "dataplane/gateway/gateway.hpp"

#include <algorithm>

#include <rte_cycles.h>

namespace pinhole::dataplane {

namespace {

using alg::stream::Engine;
using alg::stream::Frame;
using alg::stream::FramerState;
using ipc::GatewayCounter;

/// Of a line, where the gateway does not cut its messages itself.
constexpr std::uint32_t kMaxLine = 4096;

Frame cut_line(FramerState& state, std::string_view fresh) noexcept {
  const auto end = fresh.find('\n');
  const auto size = static_cast<std::uint32_t>(end == std::string_view::npos ? fresh.size() : end + 1);
  if (state.scanned == 0 && fresh.front() >= ' ') state.begun = true;  // text
  state.scanned += size;
  if (state.scanned > kMaxLine) return {Frame::Kind::not_mine, 0};
  return end == std::string_view::npos ? Frame{} : Frame{Frame::Kind::message, state.scanned};
}

}  // namespace

Frame Gateway::Cutter::feed(FramerState& state, std::string_view fresh) const noexcept {
  return gateway_.cut(state, fresh);
}

Frame Gateway::cut(FramerState& state, std::string_view fresh) noexcept {
  if (is_stopped_) return {Frame::Kind::not_mine, 0};
  if (spec_.plugin->frame == nullptr) return cut_line(state, fresh);
  pinhole_framing framing{state.scanned, state.value, state.phase,
                          state.matched, state.flags, static_cast<std::uint8_t>(state.begun)};
  const std::uint64_t begun = begin_call();
  const pinhole_frame frame = spec_.plugin->frame(state_, &framing, fresh.data(), fresh.size());
  if (is_late(begun)) note(Fault::budget, {});
  state = {state.scanned + static_cast<std::uint32_t>(fresh.size()),
           framing.value,
           framing.phase,
           framing.matched,
           framing.flags,
           framing.begun != 0};
  switch (frame.kind) {
    case PINHOLE_FRAME_MORE:
      // What is larger than any message is none.
      return {state.scanned > Engine::kMaxMessage ? Frame::Kind::not_mine : Frame::Kind::more, 0};
    case PINHOLE_FRAME_MESSAGE:
      if (frame.length == 0 || frame.length > Engine::kMaxMessage) break;
      return {Frame::Kind::message, frame.length};
    case PINHOLE_FRAME_SKIP:
      if (frame.length == 0) break;
      return {Frame::Kind::skip, frame.length};
    case PINHOLE_FRAME_NOT_MINE:
      return {Frame::Kind::not_mine, 0};
    default:
      break;
  }
  note(Fault::verdict, {});
  return {Frame::Kind::not_mine, 0};
}

std::optional<int> Gateway::inspect(pinhole_context& context, const pinhole_message& message,
                                    const alg::Flow& flow) noexcept {
  stats_.host.add(GatewayCounter::shown);
  const std::uint64_t begun = begin_call();
  const int answer = spec_.plugin->inspect(state_, &context, &message);
  if (is_late(begun)) {
    note(Fault::budget, flow);
    return std::nullopt;
  }
  if (answer == PINHOLE_FORWARD || answer == PINHOLE_DROP || answer == PINHOLE_LEAVE) return answer;
  note(Fault::verdict, flow);
  return std::nullopt;
}

/// The clock is read for those whose calls may last too long.
std::uint64_t Gateway::begin_call() const noexcept {
  return budget_ == 0 ? 0 : rte_rdtsc();
}

bool Gateway::is_late(std::uint64_t begun) const noexcept {
  return budget_ != 0 && rte_rdtsc() - begun > budget_;
}

void Gateway::note(Fault fault, const alg::Flow& flow) noexcept {
  constexpr GatewayCounter kCounters[] = {GatewayCounter::fault_argument, GatewayCounter::fault_verdict,
                                          GatewayCounter::fault_budget};
  constexpr std::string_view kTexts[] = {"broken arguments for a function of the host",
                                         "an answer that there is not", "a call took longer than the budget"};
  const auto kind = static_cast<std::size_t>(fault);
  stats_.host.add(kCounters[kind]);
  if (is_stopped_) return;
  const nat::Tick now = clock_.tick();
  if (fault != Fault::budget) {
    ++broken_;
  } else {
    const nat::Tick forgiven = (now - forgiven_at_) / kForgive;
    forgiven_at_ = late_ <= forgiven ? now : forgiven_at_ + forgiven * kForgive;
    late_ -= std::min(late_, forgiven);
    ++late_;
  }
  if (broken_ + late_ < spec_.max_faults) return;
  is_stopped_ = true;
  stats_.host.set(GatewayCounter::stopped, 1);
  if (!push(ipc::GatewayNews::stopped, kTexts[kind], flow)) stats_.host.add(GatewayCounter::event_lost);
}

bool Gateway::say(std::string_view text, const alg::Flow& flow) noexcept {
  const bool said = event_limit_.take(clock_.tsc()) &&
                    push(ipc::GatewayNews::said, text.substr(0, PINHOLE_MAX_EVENT), flow);
  if (!said) stats_.host.add(GatewayCounter::event_lost);
  return said;
}

bool Gateway::push(ipc::GatewayNews news, std::string_view text, const alg::Flow& flow) noexcept {
  ipc::Event event;
  event.type = ipc::EventType::gateway;
  auto& told = event.gateway;
  told = {};
  told.gateway = number_;
  told.news = news;
  told.protocol = flow.protocol;
  told.inside = flow.inside;
  told.external = flow.external;
  told.remote = flow.remote;
  told.text.assign(text);
  return events_.push(event);
}

}  // namespace pinhole::dataplane
