// SPDX-License-Identifier: BSD-3-Clause
#pragma once
// A gateway of alg/plugin.h that does what a test says, in the real pipeline: lines on TCP port 2121, and
// datagrams on UDP port 6900.

#include <array>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "alg/plugin.h"
#include "dataplane/gateway/gateway.hpp"
#include "tests/support/pipeline_lab.hpp"

namespace pinhole::test {

class TestGateway {
 public:
  static constexpr std::uint16_t kTcpPort = 2121;
  static constexpr std::uint16_t kUdpPort = 6900;

  using Read = std::function<int(pinhole_context*, const pinhole_message&)>;

  /// What it does with a message, and what it was shown.
  static inline Read read;
  static inline std::vector<std::string> shown;
  static inline const pinhole_host* host = nullptr;
  static inline unsigned states = 0;

  [[nodiscard]] static dataplane::GatewaySpec spec() {
    read = nullptr;
    shown.clear();
    return {.plugin = &plugin(),
            .claims = {plugin().claims, plugin().claims + plugin().claim_count},
            .options = {},
            // Tests run beside builds, and without optimisation.
            .budget_us = 100'000,
            .file = {}};
  }

  /// A text of the message that is replaced by another.
  static int replace(pinhole_context* context, const pinhole_message& message, std::string_view from,
                     std::string_view to) {
    const auto at = std::string_view{message.bytes, message.length}.find(from);
    if (at == std::string_view::npos) return PINHOLE_REFUSED;
    return host->replace(context, at, from.size(), to.data(), to.size());
  }
  [[nodiscard]] static pinhole_expectation expectation(const pinhole_message& message, unsigned protocol,
                                                       unsigned from, unsigned flags, std::uint16_t port,
                                                       std::uint16_t remote_port, std::uint32_t seconds) {
    return {.size = sizeof(pinhole_expectation),
            .protocol = static_cast<std::uint8_t>(protocol),
            .from = static_cast<std::uint8_t>(from),
            .flags = static_cast<std::uint16_t>(flags),
            .inside = {message.inside.address, port, 0},
            .remote = {message.remote.address, remote_port, 0},
            .seconds = seconds,
            .unused = 0};
  }

 private:
  static int init(const pinhole_host* given, std::uint32_t, const char*, void** state) {
    host = given;
    ++states;
    *state = &states;
    return 0;
  }
  static void fini(void*) { --states; }
  static int inspect(void*, pinhole_context* context, const pinhole_message* message) {
    shown.emplace_back(message->bytes, message->length);
    return read ? read(context, *message) : PINHOLE_FORWARD;
  }
  static const pinhole_plugin& plugin() {
    static constexpr std::array<pinhole_claim, 2> kClaims = {
        {{PINHOLE_TCP, 0, kTcpPort}, {PINHOLE_UDP, 0, kUdpPort}}};
    static constexpr std::array<const char*, 2> kCounters = {"apples", "pears"};
    static const pinhole_plugin kPlugin{.size = sizeof(pinhole_plugin),
                                        .major = PINHOLE_PLUGIN_MAJOR,
                                        .minor = PINHOLE_PLUGIN_MINOR,
                                        .name = "test",
                                        .version = "1",
                                        .claims = kClaims.data(),
                                        .claim_count = kClaims.size(),
                                        .counter_count = kCounters.size(),
                                        .counters = kCounters.data(),
                                        .flow_bytes = 16,
                                        .unused = 0,
                                        .worker_init = init,
                                        .worker_fini = fini,
                                        .frame = nullptr,
                                        .inspect = inspect};
    return kPlugin;
  }
};

}  // namespace pinhole::test
