// SPDX-License-Identifier: BSD-3-Clause
#include "control/gateway_view.hpp"

#include <algorithm>
#include <numeric>

#include "dataplane/ipc/policy.hpp"

#include <fmt/format.h>

namespace pinhole::control {

namespace {

using ipc::GatewayCounter;

constexpr const auto& kHostCounters = nat::CounterTraits<GatewayCounter>::kInfo;

void sum(CounterRow& row) {
  row.total = std::accumulate(row.per_worker.begin(), row.per_worker.end(), std::uint64_t{0});
}

}  // namespace

std::size_t GatewayView::count() const noexcept {
  return std::min<std::size_t>(layout_.gateway_count, ipc::kMaxGateways);
}

std::string_view GatewayView::name(std::size_t number) const noexcept {
  return number < count() ? layout_.gateways[number].name.view() : "?";
}

std::optional<std::size_t> GatewayView::number_of(std::string_view alg) const noexcept {
  for (std::size_t gateway = 0; gateway < count(); ++gateway) {
    if (name(gateway) == alg) return gateway;
  }
  return std::nullopt;
}

const ipc::GatewayStats* GatewayView::stats(std::size_t gateway, std::uint32_t worker) const noexcept {
  const auto* const of_worker = layout_.workers[worker].gateways;
  return of_worker == nullptr ? nullptr : of_worker + gateway;
}

std::size_t GatewayView::own_counters(std::size_t gateway) const noexcept {
  return std::min<std::size_t>(layout_.gateways[gateway].counter_count, PINHOLE_MAX_COUNTERS);
}

CounterRow GatewayView::host_counter(std::size_t gateway, std::size_t counter) const {
  CounterRow row{.module = "gateway",
                 .name = std::string(kHostCounters[counter].name),
                 .help = std::string(kHostCounters[counter].help),
                 .per_worker = {}};
  for (std::uint32_t worker = 0; worker < layout_.worker_count; ++worker) {
    const auto* const found = stats(gateway, worker);
    row.per_worker.push_back(found == nullptr ? 0 : found->host.read(static_cast<GatewayCounter>(counter)));
  }
  sum(row);
  return row;
}

CounterRow GatewayView::own_counter(std::size_t gateway, std::size_t counter) const {
  const auto& share = layout_.gateways[gateway];
  CounterRow row{.module = std::string(share.name.view()),
                 .name = std::string(share.counters[counter].view()),
                 .help = fmt::format("counted by the gateway {} itself", share.name.view()),
                 .per_worker = {}};
  for (std::uint32_t worker = 0; worker < layout_.worker_count; ++worker) {
    const auto* const found = stats(gateway, worker);
    row.per_worker.push_back(found == nullptr ? 0 : found->own[counter].load(std::memory_order_relaxed));
  }
  sum(row);
  return row;
}

std::vector<std::string> GatewayView::plugin_files() const {
  std::vector<std::string> files;
  for (std::size_t gateway = 0; gateway < count(); ++gateway) {
    const auto file = layout_.gateways[gateway].file.view();
    if (!file.empty()) files.emplace_back(file);
  }
  return files;
}

std::vector<GatewayRow> GatewayView::rows() const {
  std::vector<GatewayRow> rows;
  for (std::size_t gateway = 0; gateway < count(); ++gateway) {
    const auto& share = layout_.gateways[gateway];
    auto& row = rows.emplace_back();
    row.name = share.name.view();
    row.version = share.version.view();
    row.file = share.file.view();
    row.claims.assign(
        share.claims.begin(),
        share.claims.begin() + std::min<std::ptrdiff_t>(share.claim_count, ipc::kMaxShownClaims));
    row.budget_us = share.budget_us;
    row.max_faults = share.max_faults;
    for (std::uint32_t worker = 0; worker < layout_.worker_count; ++worker) {
      const auto* const found = stats(gateway, worker);
      if (found == nullptr) continue;
      row.faults += ipc::faults(*found);
      if (found->host.read(GatewayCounter::stopped) != 0) row.stopped_workers.push_back(worker);
    }
    for (std::size_t i = 0; i < kHostCounters.size(); ++i) row.counters.push_back(host_counter(gateway, i));
    for (std::size_t i = 0; i < own_counters(gateway); ++i) row.counters.push_back(own_counter(gateway, i));
  }
  return rows;
}

void GatewayView::append_counters(std::vector<CounterRow>& rows) const {
  for (std::size_t gateway = 0; gateway < count(); ++gateway) {
    for (std::size_t i = 0; i < kHostCounters.size(); ++i) {
      auto& row = rows.emplace_back(host_counter(gateway, i));
      row.name = fmt::format("{}_{}", name(gateway), row.name);
    }
    for (std::size_t i = 0; i < own_counters(gateway); ++i) rows.push_back(own_counter(gateway, i));
  }
}

}  // namespace pinhole::control
