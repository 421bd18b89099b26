// SPDX-License-Identifier: BSD-3-Clause
#include "control/ban_store.hpp"

#include <algorithm>

#include "control/log.hpp"

#include <fmt/format.h>

namespace pinhole::control {

namespace {

using std::chrono::seconds;

std::string text(nat::Prefix prefix) {
  return fmt::format("{}/{}", nat::EndpointText(prefix.address).view(), prefix.length);
}

std::string text(nat::Ipv4Address address) {
  return std::string(nat::EndpointText(address).view());
}

Result<void> check(nat::Prefix prefix) {
  if (prefix.first() == prefix.address) return {};
  return Error{ErrorCode::range, fmt::format("prefix: {} has bits after its length; allowed is {}",
                                             text(prefix), text(nat::Prefix{prefix.first(), prefix.length}))};
}

/// What is left of a ban, rounded up: it is not to end early.
std::uint32_t left_s(const BanRecord& record, Moment now) {
  const auto left = std::chrono::ceil<seconds>(record.until - now.wall).count();
  return static_cast<std::uint32_t>(std::clamp<std::int64_t>(left, 0, ~std::uint32_t{0}));
}

ipc::Command ban_command(const BanRecord& record, Moment now) {
  return {.type = ipc::CommandType::ban,
          .seconds = left_s(record, now),
          .ban = {.prefix = record.prefix, .reason = record.reason, .proven = record.proven}};
}

ipc::Command order(ipc::CommandType type, nat::Prefix prefix) {
  return {.type = type, .ban = {.prefix = prefix}};
}

}  // namespace

BanStore::BanStore(const config::Protection& protection, const std::string& path, Moment now)
    : protection_(protection), file_(path) {
  for (auto& record : file_.bans()) bans_[key_of(record.prefix)] = std::move(record);
  allowed_ = file_.allowed();
  if (allowed_.size() > kMaxAllowed) allowed_.resize(kMaxAllowed);
  const auto held = size(now);
  if (held > 0 || !allowed_.empty())
    log_info("bans_restored", {{"bans", held}, {"allowed", allowed_.size()}});
}

void BanStore::attach(WorkerLink& link, std::uint32_t workers, Moment now) {
  link_ = &link;
  waiting_.assign(workers, {});
  for (const auto prefix : allowed_) tell_all(order(ipc::CommandType::allow, prefix));
  for (const auto& [key, record] : bans_) {
    if (record.until > now.wall) tell_all(ban_command(record, now));
  }
  send_waiting();
}

void BanStore::on_event(const ipc::Event& event, Moment now) {
  if (event.type != ipc::EventType::guard) return;
  const auto& news = event.guard;
  switch (news.news) {
    case ipc::GuardNews::near_limit:
      log_warning("limit_near", {{"limit", ipc::name(news.limit)},
                                 {"source", text(news.source)},
                                 {"detail", news.detail.view()},
                                 {"worker", event.worker}});
      break;
    case ipc::GuardNews::over_limit:
      log_warning("limit_exceeded", {{"limit", ipc::name(news.limit)},
                                     {"source", text(news.source)},
                                     {"detail", news.detail.view()},
                                     {"worker", event.worker}});
      break;
    case ipc::GuardNews::denied:
      log_warning("source_denied", {{"source", text(news.source)}, {"worker", event.worker}});
      break;
    case ipc::GuardNews::banned:
      take_ban(news, now);
      break;
  }
}

/// A worker has banned a source. A second word of the same ban, from another worker, makes it no longer.
void BanStore::take_ban(const ipc::GuardEvent& news, Moment now) {
  const nat::Prefix prefix{news.source, 32};
  if (is_allowed(prefix)) return tell_all(order(ipc::CommandType::lift_ban, prefix));
  const auto known = bans_.find(key_of(prefix));
  BanRecord record{.prefix = prefix,
                   .reason = news.reason,
                   .proven = news.proven,
                   .detail = std::string(news.detail.view()),
                   .since = now.wall,
                   .until = {},
                   .level = 0};
  if (known != bans_.end()) {
    const auto& before = known->second;
    if (before.until > now.wall && (before.proven || !news.proven)) {
      return tell_all(ban_command(before, now));
    }
    const bool counts = news.proven || protection_.bans.escalate_unproven;
    record.level = before.level + (counts && before.until <= now.wall ? 1 : 0);
  }
  const bool is_short = !record.proven && !protection_.bans.escalate_unproven;
  record.until = now.wall + length_of(is_short ? 0 : record.level);
  hold(record, now);
  log_warning("banned", {{"source", text(news.source)},
                         {"reason", ipc::name(record.reason)},
                         {"detail", record.detail},
                         {"server", text(news.server)},
                         {"seconds", left_s(record, now)},
                         {"level", record.level}});
}

seconds BanStore::length_of(std::uint32_t level) const {
  const auto& bans = protection_.bans;
  std::uint64_t length = bans.first_s;
  for (std::uint32_t i = 0; i < level && length < bans.longest_s; ++i) length *= bans.factor;
  return seconds(std::min<std::uint64_t>(length, bans.longest_s));
}

bool BanStore::is_allowed(nat::Prefix prefix) const {
  const auto holds = [&](nat::Prefix each) { return each.contains(prefix.address); };
  return std::ranges::any_of(protection_.allow, holds) || std::ranges::any_of(allowed_, holds);
}

void BanStore::hold(const BanRecord& record, Moment now) {
  const auto key = key_of(record.prefix);
  if (bans_.size() >= kMaxRecords && !bans_.contains(key)) make_room(now);
  bans_[key] = record;
  file_.put(record);
  tell_all(ban_command(record, now));
}

/// What an operator has ordered goes last.
void BanStore::make_room(Moment now) {
  const auto rank = [&](const auto& entry) {
    const auto& record = entry.second;
    const bool ordered = record.reason == ipc::BanReason::manual && record.until > now.wall;
    return std::pair(ordered, record.until);
  };
  const auto first = std::ranges::min_element(bans_, {}, rank);
  file_.erase_ban(first->second.prefix);
  if (first->second.until > now.wall) tell_all(order(ipc::CommandType::lift_ban, first->second.prefix));
  bans_.erase(first);
}

void BanStore::tell_all(const ipc::Command& command) {
  for (auto& queue : waiting_) queue.push_back(command);
}

void BanStore::send_waiting() {
  for (std::uint32_t worker = 0; worker < waiting_.size(); ++worker) {
    auto& queue = waiting_[worker];
    while (!queue.empty() && link_->send(worker, queue.front())) queue.pop_front();
  }
}

void BanStore::run(Moment now) {
  constexpr seconds kForgetEvery{1};
  if (link_ != nullptr) send_waiting();
  if (now.steady - forgot_ < kForgetEvery) return;
  forgot_ = now.steady;
  const seconds forget(protection_.bans.forget_s);
  std::erase_if(bans_, [&](const auto& entry) {
    const auto& record = entry.second;
    const bool is_order = record.reason == ipc::BanReason::manual;
    if (record.until + (is_order ? seconds(0) : forget) > now.wall) return false;
    file_.erase_ban(record.prefix);
    return true;
  });
}

Result<BanRow> BanStore::add(const BanOrderRow& wanted, Moment now) {
  if (const auto fine = check(wanted.prefix); !fine) return fine.error();
  const auto known = bans_.find(key_of(wanted.prefix));
  const BanRecord record{.prefix = wanted.prefix,
                         .reason = ipc::BanReason::manual,
                         .proven = true,
                         .detail = wanted.note,
                         .since = now.wall,
                         .until = now.wall + seconds(wanted.seconds),
                         .level = known == bans_.end() ? 0 : known->second.level};
  hold(record, now);
  send_waiting();
  log_info("ban_added",
           {{"prefix", text(wanted.prefix)}, {"seconds", wanted.seconds}, {"note", wanted.note}});
  return row_of(record);
}

Result<void> BanStore::lift(nat::Prefix prefix, Moment now) {
  const auto found = bans_.find(key_of(prefix));
  if (found == bans_.end() || found->second.until <= now.wall) {
    return Error{ErrorCode::not_found,
                 fmt::format("there is no ban of {}; \"ban.list\" lists them", text(prefix))};
  }
  bans_.erase(found);
  file_.erase_ban(prefix);
  tell_all(order(ipc::CommandType::lift_ban, prefix));
  send_waiting();
  log_info("ban_lifted", {{"prefix", text(prefix)}});
  return {};
}

Result<void> BanStore::allow(nat::Prefix prefix) {
  if (const auto fine = check(prefix); !fine) return fine.error();
  if (std::ranges::find(allowed_, prefix) != allowed_.end()) return {};
  if (allowed_.size() == kMaxAllowed) {
    return Error{
        ErrorCode::range,
        fmt::format("{} prefixes are allowed already; take one back, or give a shorter one", kMaxAllowed)};
  }
  allowed_.push_back(prefix);
  file_.put_allowed(prefix);
  tell_all(order(ipc::CommandType::allow, prefix));
  send_waiting();
  log_info("allow_added", {{"prefix", text(prefix)}});
  return {};
}

Result<void> BanStore::disallow(nat::Prefix prefix) {
  const auto found = std::ranges::find(allowed_, prefix);
  if (found == allowed_.end()) {
    if (std::ranges::find(protection_.allow, prefix) != protection_.allow.end()) {
      return Error{
          ErrorCode::conflict,
          fmt::format("{} is allowed by the configuration; take it out of protection.allow", text(prefix))};
    }
    return Error{ErrorCode::not_found,
                 fmt::format("{} is not allowed; \"allow.list\" lists what is", text(prefix))};
  }
  allowed_.erase(found);
  file_.erase_allowed(prefix);
  tell_all(order(ipc::CommandType::disallow, prefix));
  send_waiting();
  log_info("allow_removed", {{"prefix", text(prefix)}});
  return {};
}

std::uint64_t BanStore::hits_of(nat::Prefix prefix) const {
  std::uint64_t sum = 0;
  for (std::uint32_t worker = 0; link_ != nullptr && worker < waiting_.size(); ++worker) {
    for (const auto& slot : link_->bans(worker)) {
      constexpr auto kRelaxed = std::memory_order_relaxed;
      const bool is_it = slot.until.load(kRelaxed) != 0 &&
                         slot.address.load(kRelaxed) == prefix.address.value.raw() &&
                         slot.length.load(kRelaxed) == prefix.length;
      if (is_it) sum += slot.hits.load(kRelaxed);
    }
  }
  return sum;
}

BanRow BanStore::row_of(const BanRecord& record) const {
  return {.prefix = record.prefix,
          .reason = record.reason,
          .proven = record.proven,
          .detail = record.detail,
          .since = record.since,
          .until = record.until,
          .level = record.level,
          .hits = hits_of(record.prefix),
          .allowed = is_allowed(record.prefix)};
}

Paged<BanRow> BanStore::rows(Page page, Moment now) const {
  std::vector<const BanRecord*> held;
  for (const auto& [key, record] : bans_) {
    if (record.until > now.wall) held.push_back(&record);
  }
  std::ranges::sort(held, [](const BanRecord* a, const BanRecord* b) {
    return std::pair(b->until, a->prefix.address) < std::pair(a->until, b->prefix.address);
  });
  Paged<BanRow> paged{.rows = {}, .total = held.size()};
  for (std::size_t i = page.offset; i < held.size() && paged.rows.size() < page.limit; ++i) {
    paged.rows.push_back(row_of(*held[i]));
  }
  return paged;
}

std::vector<AllowRow> BanStore::allow_list() const {
  std::vector<AllowRow> rows;
  for (const auto prefix : protection_.allow) rows.push_back({.prefix = prefix, .configured = true});
  for (const auto prefix : allowed_) rows.push_back({.prefix = prefix, .configured = false});
  return rows;
}

std::size_t BanStore::size(Moment now) const {
  return static_cast<std::size_t>(
      std::ranges::count_if(bans_, [&](const auto& entry) { return entry.second.until > now.wall; }));
}

}  // namespace pinhole::control
