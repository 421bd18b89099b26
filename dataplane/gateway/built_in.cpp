// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/gateway/built_in.hpp"

#include "alg/ftp/ftp_gateway.hpp"
#include "alg/sip/sip_gateway.hpp"

#include <fmt/format.h>

namespace pinhole::dataplane {

namespace {

/// What is built in is bounded by its tests.
constexpr std::uint32_t kNoBudget = 0;

GatewaySpec ftp_spec(const config::Ftp& ftp) {
  GatewaySpec spec{.plugin = &alg::ftp::gateway(),
                   .claims = {},
                   .options = fmt::format("data_timeout_s={}", ftp.data_timeout_s),
                   .budget_us = kNoBudget,
                   .keep_alive_s = ftp.keep_alive_s,
                   .strict = true,
                   .file = {}};
  for (const auto port : ftp.ports) spec.claims.push_back({PINHOLE_TCP, 0, port});
  return spec;
}

}  // namespace

GatewaySpec sip_gateway(const config::Config& config) {
  GatewaySpec spec{.plugin = &alg::sip::gateway(),
                   .claims = {},
                   .options = {},
                   .budget_us = kNoBudget,
                   .keeps_flows = false,
                   .file = {}};
  for (const auto port : config.sip.ports) {
    spec.claims.push_back({PINHOLE_UDP, 0, port});
    if (config.sip.tcp) spec.claims.push_back({PINHOLE_TCP, 0, port});
  }
  return spec;
}

std::vector<GatewaySpec> built_in_gateways(const config::Config& config) {
  std::vector<GatewaySpec> all{sip_gateway(config)};
  if (config.ftp.enabled) all.push_back(ftp_spec(config.ftp));
  return all;
}

}  // namespace pinhole::dataplane
