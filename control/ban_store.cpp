// SPDX-License-Identifier: BSD-3-Clause
#include "control/ban_store.hpp"

#include <algorithm>
#include <span>
#include <utility>

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
seconds left(Steady end, Moment now) {
  return std::clamp(std::chrono::ceil<seconds>(end - now.steady), seconds(0), BanStore::kLongest);
}

ipc::Command order(ipc::CommandType type, nat::Prefix prefix) {
  return {.type = type, .ban = {.prefix = prefix}};
}

}  // namespace

BanStore::BanStore(const config::Protection& protection, const std::string& path, Moment now)
    : protection_(protection), file_(path) {
  load(now);
  const auto held = size(now);
  if (held > 0 || !allowed_.empty())
    log_info("bans_restored", {{"bans", held}, {"allowed", allowed_.size()}});
}

/// The wall clock may have been set since: no ban that is read lasts longer than it was made for.
void BanStore::load(Moment now) {
  for (auto& record : file_.bans()) {
    if (bans_.size() == kMaxRecords) break;
    const auto length = std::clamp<Time::duration>(record.until - record.since, seconds(0), kLongest);
    record.until = std::min(record.until, now.wall + length);
    const Steady end = now.steady + (record.until - now.wall);
    const auto key = key_of(record.prefix);
    bans_[key] = {.record = std::move(record), .end = end, .is_told = end > now.steady};
  }
  allowed_ = file_.allowed();
  if (allowed_.size() > kMaxAllowed) allowed_.resize(kMaxAllowed);
}

void BanStore::attach(WorkerLink& link, std::uint32_t workers, Moment now) {
  link_ = &link;
  outboxes_.assign(workers, {});
  for (const auto prefix : allowed_) tell_all({About::allow, key_of(prefix)}, true);
  for (const auto& [key, held] : bans_) {
    if (held.holds(now)) tell_all({About::ban, key}, true);
  }
  send_waiting(now);
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
  const Subject subject{About::ban, key_of(prefix)};
  if (is_allowed(prefix)) return tell_all(subject, false);
  const auto known = bans_.find(subject.key);
  BanRecord record{.prefix = prefix,
                   .reason = news.reason,
                   .proven = news.proven,
                   .detail = std::string(news.detail.view()),
                   .since = {},
                   .until = {},
                   .level = 0};
  if (known != bans_.end()) {
    const auto& before = known->second.record;
    const bool holds = known->second.holds(now);
    if (holds && (before.proven || !news.proven)) return tell_all(subject, true);
    const bool counts = news.proven || protection_.bans.escalate_unproven;
    record.level = before.level + (counts && !holds ? 1 : 0);
  }
  const bool is_short = !record.proven && !protection_.bans.escalate_unproven;
  const auto length = length_of(is_short ? 0 : record.level);
  const auto& held = hold(std::move(record), length, now);
  log_warning("banned", {{"source", text(news.source)},
                         {"reason", ipc::name(news.reason)},
                         {"detail", held.record.detail},
                         {"server", text(news.server)},
                         {"seconds", length.count()},
                         {"level", held.record.level}});
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

/// None of a place that is free.
std::optional<BanStore::Key> BanStore::key_in(const ipc::BanSlot& slot) noexcept {
  constexpr auto kRelaxed = std::memory_order_relaxed;
  if (slot.until.load(kRelaxed) == 0) return std::nullopt;
  return Key{nat::Be32::from_raw(slot.address.load(kRelaxed)).host(), slot.length.load(kRelaxed)};
}

/// Whether a worker has the ban, whether or not this store knows of it.
bool BanStore::is_in_a_table(nat::Prefix prefix) const {
  const auto is_it = [&](const ipc::BanSlot& slot) { return key_in(slot) == key_of(prefix); };
  for (std::uint32_t worker = 0; worker < outboxes_.size(); ++worker) {
    if (std::ranges::any_of(link_->bans(worker), is_it)) return true;
  }
  return false;
}

/// How many bans of more than one address hold.
std::size_t BanStore::prefixes(Moment now) const {
  return static_cast<std::size_t>(std::ranges::count_if(
      bans_, [&](const auto& entry) { return entry.first.length < 32 && entry.second.holds(now); }));
}

const BanStore::Held& BanStore::hold(BanRecord record, seconds length, Moment now) {
  length = std::min(length, kLongest);
  // As the file keeps them, so that they are the same after a restart.
  record.since = std::chrono::floor<std::chrono::milliseconds>(now.wall);
  record.until = record.since + length;
  const auto key = key_of(record.prefix);
  if (bans_.size() >= kMaxRecords && !bans_.contains(key)) make_room(now);
  file_.put(record);
  auto& held = bans_[key];
  held = {.record = std::move(record), .end = now.steady + length};
  tell_all({About::ban, key}, true);
  return held;
}

/// What an operator has ordered goes last.
void BanStore::make_room(Moment now) {
  const auto rank = [&](const auto& entry) {
    const auto& held = entry.second;
    const bool ordered = held.record.reason == ipc::BanReason::manual && held.holds(now);
    return std::pair(ordered, held.end);
  };
  const auto first = std::ranges::min_element(bans_, {}, rank);
  file_.erase_bans({first->second.record.prefix});
  if (first->second.is_told) tell_all({About::ban, first->first}, false);
  bans_.erase(first);
}

void BanStore::tell_all(Subject subject, bool begins) {
  for (auto& box : outboxes_) {
    if (begins) {
      box.ends.erase(subject);
      box.begins.insert(subject);
      continue;
    }
    box.begins.erase(subject);
    // The end of a ban comes by itself; that of an allowance does not, and allow() sees to it that there are
    // few.
    if (subject.about == About::allow || !box.is_full()) box.ends.insert(subject);
  }
}

/// As it is now, whatever it was when the worker was to be told.
ipc::Command BanStore::order_about(Subject subject, Moment now) const {
  const nat::Prefix prefix{nat::Ipv4Address::from_host(subject.key.address), subject.key.length};
  if (subject.about == About::allow) {
    const bool is_in = std::ranges::find(allowed_, prefix) != allowed_.end();
    return order(is_in ? ipc::CommandType::allow : ipc::CommandType::disallow, prefix);
  }
  const auto found = bans_.find(subject.key);
  if (found == bans_.end() || !found->second.holds(now)) return order(ipc::CommandType::lift_ban, prefix);
  const auto& [record, end, is_told] = found->second;
  return {.type = ipc::CommandType::ban,
          .seconds = static_cast<std::uint32_t>(left(end, now).count()),
          .ban = {.prefix = prefix, .reason = record.reason, .proven = record.proven}};
}

void BanStore::send_waiting(Moment now) {
  for (std::uint32_t worker = 0; worker < outboxes_.size(); ++worker) {
    auto& box = outboxes_[worker];
    for (auto* const subjects : {&box.ends, &box.begins}) {
      for (; box.left > 0 && !subjects->empty(); --box.left) {
        if (!link_->send(worker, order_about(*subjects->begin(), now))) break;
        subjects->erase(subjects->begin());
      }
      if (!subjects->empty()) break;
    }
  }
}

void BanStore::run(Moment now) {
  constexpr seconds kLookEvery{1};
  if (now.steady - looked_ >= kLookEvery) {
    looked_ = now.steady;
    end_and_forget(now);
    catch_up();
  }
  for (auto& box : outboxes_) box.left = kOrdersPerRun;
  send_waiting(now);
}

void BanStore::end_and_forget(Moment now) {
  for (auto& [key, held] : bans_) {
    // A worker whose clock is behind, or that banned by itself meanwhile, is not to go on for long.
    if (!held.holds(now) && std::exchange(held.is_told, false)) tell_all({About::ban, key}, false);
  }
  const seconds forget(protection_.bans.forget_s);
  std::vector<nat::Prefix> forgotten;
  std::erase_if(bans_, [&](const auto& entry) {
    const auto& held = entry.second;
    // What an operator ordered does not count against a source, but what was before it does.
    const bool counts = held.record.reason != ipc::BanReason::manual || held.record.level > 0;
    if (held.end + (counts ? forget : seconds(0)) > now.steady) return false;
    forgotten.push_back(held.record.prefix);
    return true;
  });
  if (!forgotten.empty()) file_.erase_bans(forgotten);
}

/// Gives a file that missed a change all of them.
void BanStore::catch_up() {
  if (!file_.is_behind()) return;
  std::vector<BanRecord> records;
  for (const auto& [key, held] : bans_) records.push_back(held.record);
  file_.write_all(records, allowed_);
}

Result<BanRow> BanStore::add(const BanOrderRow& wanted, Moment now) {
  if (const auto fine = check(wanted.prefix); !fine) return fine.error();
  const auto known = bans_.find(key_of(wanted.prefix));
  const bool is_new = known == bans_.end() || !known->second.holds(now);
  if (is_new && wanted.prefix.length < 32 && prefixes(now) >= ipc::kBanPrefixes) {
    return Error{ErrorCode::range,
                 fmt::format("prefix: {} subnets are banned already, which is as many as workers "
                             "have room for; lift one, or give a shorter prefix",
                             ipc::kBanPrefixes)};
  }
  BanRecord record{.prefix = wanted.prefix,
                   .reason = ipc::BanReason::manual,
                   .proven = true,
                   .detail = wanted.note,
                   .since = {},
                   .until = {},
                   .level = known == bans_.end() ? 0 : known->second.record.level};
  const auto& held = hold(std::move(record), seconds(wanted.seconds), now);
  catch_up();
  send_waiting(now);
  log_info("ban_added",
           {{"prefix", text(wanted.prefix)}, {"seconds", wanted.seconds}, {"note", wanted.note}});
  std::map<Key, std::uint64_t> hits{{key_of(wanted.prefix), 0}};
  count_hits(hits);
  return row_of(held, hits.begin()->second, now);
}

/// Workers are told in any case: one may have banned by itself, and control not know.
Result<void> BanStore::lift(nat::Prefix prefix, Moment now) {
  const auto found = bans_.find(key_of(prefix));
  const bool is_known = found != bans_.end() && found->second.holds(now);
  const bool is_found = is_known || is_in_a_table(prefix);
  if (is_found && found != bans_.end()) {
    bans_.erase(found);
    file_.erase_bans({prefix});
  }
  tell_all({About::ban, key_of(prefix)}, false);
  catch_up();
  send_waiting(now);
  if (!is_found) {
    return Error{ErrorCode::not_found,
                 fmt::format("there is no ban of {}; \"ban.list\" lists them", text(prefix))};
  }
  log_info("ban_lifted", {{"prefix", text(prefix)}});
  return {};
}

Result<void> BanStore::allow(nat::Prefix prefix, Moment now) {
  if (const auto fine = check(prefix); !fine) return fine.error();
  if (std::ranges::find(allowed_, prefix) != allowed_.end()) return {};
  if (allowed_.size() == kMaxAllowed) {
    return Error{
        ErrorCode::range,
        fmt::format("{} prefixes are allowed already; take one back, or give a shorter one", kMaxAllowed)};
  }
  if (std::ranges::any_of(outboxes_, &Outbox::is_full)) {
    return Error{ErrorCode::unavailable, "a worker has taken no orders for long; try again later"};
  }
  allowed_.push_back(prefix);
  file_.put_allowed(prefix);
  tell_all({About::allow, key_of(prefix)}, true);
  catch_up();
  send_waiting(now);
  log_info("allow_added", {{"prefix", text(prefix)}});
  return {};
}

Result<void> BanStore::disallow(nat::Prefix prefix, Moment now) {
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
  tell_all({About::allow, key_of(prefix)}, false);
  catch_up();
  send_waiting(now);
  log_info("allow_removed", {{"prefix", text(prefix)}});
  return {};
}

/// Adds what all workers have counted for each of these keys.
void BanStore::count_hits(std::map<Key, std::uint64_t>& hits) const {
  for (std::uint32_t worker = 0; worker < outboxes_.size(); ++worker) {
    for (const auto& slot : link_->bans(worker)) {
      const auto key = key_in(slot);
      if (!key) continue;
      const auto found = hits.find(*key);
      if (found != hits.end()) found->second += slot.hits.load(std::memory_order_relaxed);
    }
  }
}

/// Its end is the same moment whenever it is asked for, unless the wall clock was set meanwhile.
BanRow BanStore::row_of(const Held& held, std::uint64_t hits, Moment now) const {
  const auto& record = held.record;
  const Time end = now.wall + (held.end - now.steady);
  return {.prefix = record.prefix,
          .reason = record.reason,
          .proven = record.proven,
          .detail = record.detail,
          .since = record.since,
          .until = std::chrono::abs(end - record.until) < seconds(1) ? record.until : end,
          .level = record.level,
          .hits = hits,
          .allowed = is_allowed(record.prefix)};
}

Paged<BanRow> BanStore::rows(Page page, Moment now) const {
  std::vector<const Held*> all;
  for (const auto& [key, held] : bans_) {
    if (held.holds(now)) all.push_back(&held);
  }
  std::ranges::sort(all, [](const Held* a, const Held* b) {
    return std::pair(b->end, a->record.prefix.address) < std::pair(a->end, b->record.prefix.address);
  });
  const auto first = std::min(page.offset, all.size());
  const std::span<const Held* const> shown(all.data() + first, std::min(page.limit, all.size() - first));
  std::map<Key, std::uint64_t> hits;
  for (const auto* held : shown) hits[key_of(held->record.prefix)] = 0;
  count_hits(hits);
  Paged<BanRow> paged{.rows = {}, .total = all.size()};
  for (const auto* held : shown) paged.rows.push_back(row_of(*held, hits[key_of(held->record.prefix)], now));
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
      std::ranges::count_if(bans_, [&](const auto& entry) { return entry.second.holds(now); }));
}

}  // namespace pinhole::control
