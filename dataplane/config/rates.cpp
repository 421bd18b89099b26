// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/config/rates.hpp"

#include <algorithm>

#include "dataplane/config/schema_key.hpp"

namespace pinhole::config {

namespace {

// Workers accept what the schema does.
static_assert(ipc::Rate::kMost == kMaxRate);

using alg::sip::Method;

ipc::Rate rate_from(const Rate& rate) {
  return {.per_s = rate.per_s, .burst = rate.burst};
}

ipc::ClassRates rates_from(const ClassRates& rates) {
  return {rate_from(rates.known), rate_from(rates.unknown), rate_from(rates.all_unknown)};
}

ipc::ClassRates rates_from(const SplitRates& rates) {
  return {rate_from(rates.known), rate_from(rates.unknown), {}};
}

std::array<ipc::Rate, ipc::kMethods> rates_from(const MethodRates& rates) {
  std::array<ipc::Rate, ipc::kMethods> all;
  const auto set = [&](Method method, const Rate& rate) {
    all[static_cast<std::size_t>(method)] = rate_from(rate);
  };
  set(Method::other, rates.unknown);
  set(Method::invite, rates.invite);
  set(Method::ack, rates.ack);
  set(Method::bye, rates.bye);
  set(Method::cancel, rates.cancel);
  set(Method::register_, rates.register_);
  set(Method::options, rates.options);
  set(Method::prack, rates.prack);
  set(Method::update, rates.update);
  set(Method::info, rates.info);
  set(Method::subscribe, rates.subscribe);
  set(Method::notify, rates.notify);
  set(Method::refer, rates.refer);
  set(Method::message, rates.message);
  set(Method::publish, rates.publish);
  return all;
}

}  // namespace

ipc::RateLimits rate_limits(const Protection& protection) {
  const auto& limits = protection.limits;
  const auto& screen = protection.screen;
  ipc::RateLimits out{.enabled = protection.enabled,
                      .refuses = limits.over == OverLimit::refuse,
                      .warn_percent = limits.warn_percent,
                      .retry_after_s = limits.retry_after_s,
                      .sources = rates_from(limits.sources),
                      .inside = rate_from(limits.inside),
                      .methods = rates_from(limits.methods),
                      .subscribers = rates_from(limits.subscribers),
                      .servers = rates_from(limits.servers),
                      .flows = rates_from(limits.flows),
                      .fragments = rates_from(limits.fragments),
                      .malformed = rates_from(limits.malformed),
                      .refusals = {},
                      .refused = screen.refused,
                      .failed_auth = screen.failed_auth,
                      .not_found = screen.not_found,
                      .within = nat::ticks_from_s(screen.within_s),
                      .denied_for = nat::ticks_from_s(screen.deny_s),
                      .banned_for = nat::ticks_from_s(protection.bans.first_s)};
  for (const auto status : screen.statuses) out.refusals.add(status);
  const auto allowed = std::min(protection.allow.size(), out.allowed.size());
  std::copy_n(protection.allow.begin(), allowed, out.allowed.begin());
  out.allowed_count = static_cast<std::uint8_t>(allowed);
  const auto scanners = std::min(screen.user_agents.size(), out.scanners.size());
  for (std::size_t i = 0; i < scanners; ++i) out.scanners[i].assign(screen.user_agents[i]);
  out.scanner_count = static_cast<std::uint8_t>(scanners);
  return out;
}

}  // namespace pinhole::config
