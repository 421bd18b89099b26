// SPDX-License-Identifier: BSD-3-Clause
// What is shown of calls.
#include <algorithm>
#include <charconv>
#include <unordered_set>

#include "control/call_store.hpp"

#include <fmt/format.h>

namespace pinhole::control {

namespace {

using ipc::CallState;

std::optional<std::uint64_t> hash_of(std::string_view id) noexcept {
  std::uint64_t hash = 0;
  const auto [end, error] = std::from_chars(id.data(), id.data() + id.size(), hash, 16);
  if (id.size() != 16 || error != std::errc{} || end != id.data() + id.size()) return std::nullopt;
  return hash;
}

bool matches(const CallRecord& call, const CallFilter& filter) {
  if (filter.live_only && call.step.state == CallState::ended) return false;
  if (filter.inside && !filter.inside->matches(call.inside)) return false;
  return filter.party.empty() || call.from_uri.find(filter.party) != std::string::npos ||
         call.to_uri.find(filter.party) != std::string::npos;
}

}  // namespace

std::string call_id(std::uint64_t hash) {
  return fmt::format("{:016x}", hash);
}

std::size_t CallStore::unended() const noexcept {
  return static_cast<std::size_t>(std::ranges::count_if(
      live_, [](const auto& entry) { return entry.second.record.step.state != CallState::ended; }));
}

CallRow CallStore::row(const CallRecord& call) const {
  return {.id = call_id(call.hash),
          .call_id = call.call_id,
          .step = call.step,
          .outbound = call.outbound,
          .worker = call.worker,
          .from_uri = call.from_uri,
          .to_uri = call.to_uri,
          .inside = call.inside,
          .external = call.external,
          .remote = call.remote,
          .started = call.started,
          .answered = call.answered,
          .ended = call.ended,
          .pinholes = open_pinholes(call),
          .ended_by = call.step.state == CallState::ended ? call.ended_by : EndedBy::unknown};
}

std::uint32_t CallStore::open_pinholes(const CallRecord& call) const {
  if (link_ == nullptr) return call.pinholes;
  const auto card = link_->call_card(call.worker, call.card);
  if (is_gone(card, call)) return 0;
  return card ? link_->media(*card).open : call.pinholes;
}

std::vector<const CallRecord*> CallStore::by_card() const {
  std::vector<const CallRecord*> calls;
  for (const auto& [known, call] : live_) calls.push_back(&call.record);
  std::ranges::sort(calls, {}, [](const CallRecord* call) { return key(*call); });
  return calls;
}

std::vector<const CallRecord*> CallStore::newest_first(const CallFilter& filter) const {
  std::vector<const CallRecord*> calls;
  for (const auto& [known, call] : live_) {
    if (matches(call.record, filter)) calls.push_back(&call.record);
  }
  if (!filter.live_only) {
    for (const auto& call : ended_) {
      if (matches(call, filter)) calls.push_back(&call);
    }
  }
  std::ranges::sort(calls, [](const CallRecord* a, const CallRecord* b) {
    return a->started != b->started ? a->started > b->started : a->hash < b->hash;
  });
  return calls;
}

Paged<CallRow> CallStore::rows(const CallFilter& filter, Page page) const {
  const auto calls = newest_first(filter);
  Paged<CallRow> rows{.rows = {}, .total = calls.size()};
  for (std::size_t i = page.offset; i < calls.size() && rows.rows.size() < page.limit; ++i) {
    rows.rows.push_back(row(*calls[i]));
  }
  return rows;
}

std::vector<CallRow> CallStore::find(std::string_view prefix, std::size_t limit) const {
  std::vector<CallRow> found;
  std::unordered_set<std::uint64_t> seen;
  for (const CallRecord* const call : newest_first({.live_only = false, .inside = {}, .party = {}})) {
    const std::string id = call_id(call->hash);
    const bool exact = id == prefix || call->call_id == prefix;
    if (!exact && !id.starts_with(prefix) && !call->call_id.starts_with(prefix)) continue;
    if (exact) return {row(*by_id(id))};
    if (found.size() < limit && seen.insert(call->hash).second) found.push_back(row(*by_id(id)));
  }
  return found;
}

const CallRecord* CallStore::by_id(std::string_view id) const noexcept {
  const auto hash = hash_of(id);
  if (!hash) return nullptr;
  const CallRecord* newest = nullptr;
  for (const auto& [known, call] : live_) {
    if (call.record.hash != *hash) continue;
    if (newest == nullptr || call.record.started > newest->started) newest = &call.record;
  }
  if (newest != nullptr) return newest;
  const auto ended = std::find_if(ended_.rbegin(), ended_.rend(),
                                  [&](const CallRecord& call) { return call.hash == *hash; });
  return ended == ended_.rend() ? nullptr : &*ended;
}

}  // namespace pinhole::control
