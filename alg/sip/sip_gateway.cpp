// SPDX-License-Identifier: BSD-3-Clause
#include "alg/sip/sip_gateway.hpp"

#include <array>
#include <cstddef>
#include <cstdint>

#include "alg/sip/framer.hpp"

namespace pinhole::alg::sip {

namespace {

using stream::Frame;
using stream::FramerState;

/// What this worker's calls are given is its table.
int begin_worker(const pinhole_host* host, std::uint32_t /*worker*/, const char* /*options*/,
                 void** state) noexcept {
  if (host->size != sizeof(VoiceHost)) return 1;  // a host that knows nothing of calls
  *state = const_cast<pinhole_host*>(host);
  return 0;
}

const VoiceHost& host_of(void* state) noexcept {
  static_assert(offsetof(VoiceHost, table) == 0);
  return *static_cast<const VoiceHost*>(state);
}

pinhole_frame frame(void* /*state*/, pinhole_framing* framing, const char* fresh,
                    std::size_t length) noexcept {
  constexpr std::uint32_t kKinds[] = {PINHOLE_FRAME_MORE, PINHOLE_FRAME_MESSAGE, PINHOLE_FRAME_SKIP,
                                      PINHOLE_FRAME_NOT_MINE};
  static_assert(static_cast<std::size_t>(Frame::Kind::not_mine) + 1 == std::size(kKinds));
  FramerState state{framing->scanned, framing->value, framing->phase,
                    framing->matched, framing->flags, framing->begun != 0};
  const Frame found = SipFramer{}.feed(state, {fresh, length});
  framing->value = state.value;
  framing->phase = state.phase;
  framing->matched = state.matched;
  framing->flags = state.flags;
  framing->begun = state.begun ? 1 : 0;
  return {kKinds[static_cast<std::size_t>(found.kind)], found.size};
}

int inspect(void* state, pinhole_context* context, const pinhole_message* /*message*/) noexcept {
  const auto& host = host_of(state);
  Voice& voice = host.voice(*context);
  voice.answer = host.alg->inspect(voice.message, voice.host, voice.edits);
  return voice.answer.verdict == Verdict::forward ? PINHOLE_FORWARD : PINHOLE_DROP;
}

constexpr std::uint16_t kPort = 5060;  // RFC 3261 section 19.1.2
constexpr std::array<pinhole_claim, 2> kClaims{{{PINHOLE_UDP, 0, kPort}, {PINHOLE_TCP, 0, kPort}}};

constexpr pinhole_plugin kGateway{.size = sizeof(pinhole_plugin),
                                  .major = PINHOLE_PLUGIN_MAJOR,
                                  .minor = PINHOLE_PLUGIN_MINOR,
                                  .name = "sip",
                                  .version = "1",
                                  .claims = kClaims.data(),
                                  .claim_count = kClaims.size(),
                                  .counter_count = 0,
                                  .counters = nullptr,
                                  .flow_bytes = 0,
                                  .unused = 0,
                                  .worker_init = begin_worker,
                                  .worker_fini = nullptr,
                                  .frame = frame,
                                  .inspect = inspect};

}  // namespace

const pinhole_plugin& gateway() noexcept {
  return kGateway;
}

}  // namespace pinhole::alg::sip
