// SPDX-License-Identifier: BSD-3-Clause
// A message before its judge: bans, limits, orders of control. What is learned of sources is in
// guard_conduct.cpp.
#include "dataplane/guard/guard.hpp"

#include <algorithm>

namespace pinhole::dataplane {

namespace {

using alg::Answer;
using alg::Direction;
using alg::Verdict;
using alg::sip::Method;
using ipc::GuardNews;
using ipc::LimitKind;
using nat::DropReason;

Answer drop(DropReason reason) noexcept {
  return {.verdict = Verdict::drop, .reason = reason};
}

/// What goes on in a dialog does not: calls that live can end. No call needs these two, and a tag can be made
/// up.
bool begins_something(const alg::sip::Summary& summary) noexcept {
  return summary.to_tag.empty() || summary.method == Method::register_ || summary.method == Method::options;
}

bool is_sound(nat::Prefix prefix) noexcept {
  return prefix.length <= 32;
}

}  // namespace

Guard::Guard(const GuardParts& parts, const Steering& steering, EventSink& events,
             nat::CounterBlock<WorkerCounter>& counters) noexcept
    : Guard(parts, steering, nat::Carver(parts.memory), events, counters) {
}

Guard::Guard(const GuardParts& parts, const Steering& steering, nat::Carver memory, EventSink& events,
             nat::CounterBlock<WorkerCounter>& counters) noexcept
    : steering_(steering),
      events_(events),
      counters_(counters),
      seed_(parts.seed),
      hash_of_(parts.seed),
      bans_(parts.bans, parts.seed),
      outside_(parts.sources, parts.seed, memory),
      inside_(inside_places(parts.sources), parts.seed, memory),
      known_subscribers_(kSubscribers, memory),
      unknown_subscribers_(kSubscribers, memory),
      known_servers_(kServers, memory),
      unknown_servers_(kServers, memory) {
}

Answer Guard::judge(const alg::sip::MessageView& view, const alg::Message& message) noexcept {
  if (message.again || !message.judged || (!limits_->enabled && bans_.empty())) return {};
  const bool from_inside = message.direction == Direction::outbound;
  const auto inside = message.flow.inside.address;
  const auto remote = message.flow.remote.address;
  const auto sender = from_inside ? inside : remote;
  const bool allowed = is_allowed(sender);
  if (!allowed && bans_.hits(sender, now_)) return drop(DropReason::drop_banned);
  if (!limits_->enabled) return {};
  Case shown{.message = message,
             .is_request = view.is_request(),
             .summary = view.summary(),
             .evidence = {},
             .sender = sender,
             .receiver = from_inside ? remote : inside,
             .from_inside = from_inside,
             .allowed = allowed};
  return judge_case(shown);
}

Answer Guard::judge_case(Case& message) noexcept {
  const bool is_asking_in = message.is_request && !message.from_inside;
  const bool is_challenge = !message.is_request && message.from_inside &&
                            (message.summary.status == 401 || message.summary.status == 407);
  if (is_asking_in || is_challenge) message.evidence = read_evidence(message.message.bytes);
  const auto scanner = is_asking_in ? scanner_of(message) : std::nullopt;
  if (scanner) {
    const bool over_tcp = message.message.flow.protocol == nat::Protocol::tcp;
    ban_source(message.sender, message.receiver, outside_.find(message.sender, now_), ipc::BanReason::scanner,
               over_tcp, *scanner);
    return drop(DropReason::drop_sip_scanner);
  }
  message.source = (message.from_inside ? inside_ : outside_).find(message.sender, now_);
  look_for_proof(message);
  if (is_asking_in && message.source != nullptr && message.source->denied && !message.allowed &&
      begins_something(message.summary)) {
    if (!nat::reached(message.source->denied_until, now_)) return drop(DropReason::drop_sip_denied);
    message.source->denied = false;
  }
  if (const auto over = measure(message)) return turn_down(message, *over);
  if (is_asking_in) note_request(message);
  learn_of_receiver(message);
  return {};
}

std::optional<Answer> Guard::judge_unread(alg::sip::Defect defect, const alg::Message& message) noexcept {
  if (message.again || !message.judged || message.direction == Direction::outbound) return std::nullopt;
  const auto sender = message.flow.remote.address;
  if (is_banned(sender)) return drop(DropReason::drop_banned);
  // What is no SIP at all may be another application's, on a port that it shares with SIP.
  if (defect == alg::sip::Defect::not_sip) return std::nullopt;
  const Measure malformed{LimitKind::malformed, limits_->malformed, &Source::malformed, unknown_malformed_};
  if (admits(malformed, sender)) return std::nullopt;
  return drop(DropReason::drop_malformed_rate);
}

bool Guard::admits_flow(nat::Ipv4Address source) noexcept {
  return admits({LimitKind::flows, limits_->flows, &Source::flows, unknown_flows_}, source);
}

bool Guard::admits_fragment(nat::Ipv4Address source) noexcept {
  return admits({LimitKind::fragments, limits_->fragments, &Source::fragments, unknown_fragments_}, source);
}

bool Guard::admits(const Measure& what, nat::Ipv4Address address) noexcept {
  if (!limits_->enabled || is_allowed(address)) return true;
  auto* source = outside_.find(address, now_);
  return !measure_class(what, address, source);
}

// Limits.

std::optional<LimitKind> Guard::measure(Case& message) noexcept {
  if (!message.allowed) {
    if (const auto over = measure_source(message)) return over;
  }
  return message.is_request ? measure_target(message) : std::nullopt;
}

/// Answers of inside hosts and of known sources are not counted: their requests were.
std::optional<LimitKind> Guard::measure_source(Case& message) noexcept {
  auto*& source = message.source;
  if (!message.is_request && (message.from_inside || (source != nullptr && source->known)))
    return std::nullopt;
  if (message.from_inside) {
    if (source == nullptr) source = &inside_.add(message.sender, now_);
    const auto taken = source->all.take(limits_->inside, limits_->warn_percent, now_);
    if (!fits(taken, LimitKind::source, message.sender)) return LimitKind::source;
  } else {
    const Measure all{LimitKind::source, limits_->sources, &Source::all, unknown_sources_};
    if (const auto over = measure_class(all, message.sender, source)) return over;
  }
  if (!message.is_request) return std::nullopt;
  const auto method = static_cast<std::size_t>(message.summary.method);
  const auto taken = source->methods[method].take(limits_->methods[method], limits_->warn_percent, now_);
  if (fits(taken, LimitKind::method, message.sender, message.summary.method_text)) return std::nullopt;
  return LimitKind::method;
}

/// Those who may be somebody else are counted together before they are remembered, so that no flood of them
/// takes a place from anybody faster than it is let in.
std::optional<LimitKind> Guard::measure_class(const Measure& what, nat::Ipv4Address address,
                                              Source*& source) noexcept {
  const auto percent = limits_->warn_percent;
  if (source == nullptr || !source->both_ways) {
    const auto taken = what.all_unknown.take(what.rates.all_unknown, percent, now_);
    if (!fits(taken, LimitKind::unknown_sources, address, ipc::name(what.kind)))
      return LimitKind::unknown_sources;
  }
  if (source == nullptr) source = &outside_.add(address, now_);
  const auto& rate = source->known ? what.rates.known : what.rates.unknown;
  if (fits((source->*what.bucket).take(rate, percent, now_), what.kind, address)) return std::nullopt;
  return what.kind;
}

/// Strangers use up nothing that is for those who are known, even in the name of the same subscriber.
std::optional<LimitKind> Guard::measure_target(const Case& message) noexcept {
  const bool known = message.from_inside || message.allowed || message.source->known;
  const auto& subscriber_rate = known ? limits_->subscribers.known : limits_->subscribers.unknown;
  if (subscriber_rate.per_s != 0) {
    auto& subscribers = known ? known_subscribers_ : unknown_subscribers_;
    const auto over = [&](std::string_view subscriber, std::uint64_t apart) noexcept {
      const auto key = hash_of_(subscriber) ^ apart;
      const auto taken = subscribers.of(key, now_).take(subscriber_rate, limits_->warn_percent, now_);
      return !fits(taken, LimitKind::subscriber, message.sender, subscriber);
    };
    constexpr auto kAsCalled = ~std::uint64_t{0};  // a subscriber is apart from himself as the one called
    if (over(subscriber_of(message.summary.from_uri), 0) ||
        over(subscriber_of(message.summary.to_uri), kAsCalled))
      return LimitKind::subscriber;
  }
  auto& servers = known ? known_servers_ : unknown_servers_;
  const auto& server_rate = known ? limits_->servers.known : limits_->servers.unknown;
  const auto key = (message.receiver.value.raw() ^ seed_) * 0x9e3779b97f4a7c15U;  // 2^64 / golden ratio
  const auto taken = servers.of(key >> 32U, now_).take(server_rate, limits_->warn_percent, now_);
  if (taken == Taken::fine) [[likely]]
    return std::nullopt;
  const nat::EndpointText server(message.receiver);
  if (warn(taken, LimitKind::server, message.sender, server.view())) return std::nullopt;
  return LimitKind::server;
}

bool Guard::warn(Taken taken, LimitKind kind, nat::Ipv4Address address, std::string_view detail) noexcept {
  const bool over = taken == Taken::over;
  if (!over) counters_.add(WorkerCounter::source_warned);
  tell({.news = over ? GuardNews::over_limit : GuardNews::near_limit, .limit = kind, .source = address},
       detail);
  return !over;
}

/// A stranger gets no answer: it would go to whoever he says that he is.
Answer Guard::turn_down(const Case& message, LimitKind kind) const noexcept {
  const bool may_answer = message.is_request && message.summary.method != Method::ack &&
                          kind != LimitKind::unknown_sources &&
                          (message.from_inside || message.allowed || message.source->both_ways);
  if (!limits_->refuses || !may_answer) return drop(DropReason::drop_sip_rate);
  return {.verdict = Verdict::refuse,
          .reason = DropReason::drop_sip_refused,
          .status = 503,
          .retry_after_s = limits_->retry_after_s};
}

// Orders, and the news.

/// What comes in from an address of our own was turned around, and judged when it went out.
bool Guard::is_allowed(nat::Ipv4Address address) const noexcept {
  const auto holds = [address](nat::Prefix prefix) noexcept { return prefix.contains(address); };
  return std::ranges::any_of(limits_->allow_list(), holds) ||
         std::any_of(allowed_.begin(), allowed_.begin() + allowed_count_, holds) ||
         steering_.is_external(address);
}

bool Guard::allow(nat::Prefix prefix) noexcept {
  if (!is_sound(prefix)) return false;
  const auto end = allowed_.begin() + allowed_count_;
  if (std::find(allowed_.begin(), end, prefix) != end) return true;
  if (allowed_count_ == allowed_.size()) return false;
  allowed_[allowed_count_++] = prefix;
  return true;
}

bool Guard::disallow(nat::Prefix prefix) noexcept {
  if (!is_sound(prefix)) return false;
  const auto end = allowed_.begin() + allowed_count_;
  const auto rest = std::remove(allowed_.begin(), end, prefix);
  if (rest == end) return false;
  --allowed_count_;
  ++disallowed_;
  return true;
}

/// One that was imposed without proof elsewhere spares whom this worker knows to be good.
bool Guard::ban(const ipc::BanOrder& order, std::uint32_t seconds) noexcept {
  if (!is_sound(order.prefix) || order.reason > ipc::BanReason::rule) return false;
  const bool is_doubtful =
      order.reason != ipc::BanReason::manual && !order.proven && order.prefix.length == 32;
  const auto* const source = is_doubtful ? outside_.find(order.prefix.address, now_) : nullptr;
  if (source != nullptr && source->known) return false;
  return bans_.ban(order.prefix, order.reason, now_ + nat::ticks_from_s(seconds), now_);
}

bool Guard::lift(const ipc::BanOrder& order) noexcept {
  return is_sound(order.prefix) && bans_.lift(order.prefix);
}

void Guard::ban_by_rule(std::string_view rule, const alg::Message& message) noexcept {
  if (message.direction == Direction::outbound) return;
  const auto source = message.flow.remote.address;
  const bool over_tcp = message.flow.protocol == nat::Protocol::tcp;
  ban_source(source, message.flow.inside.address, outside_.find(source, now_), ipc::BanReason::rule, over_tcp,
             rule);
}

void Guard::ban_source(nat::Ipv4Address address, nat::Ipv4Address server, const Source* source,
                       ipc::BanReason reason, bool proven, std::string_view detail) noexcept {
  const bool is_known = source != nullptr && source->known;
  if (is_allowed(address) || (is_known && !proven)) return;
  if (!proven && !unproven_bans_.take(now_)) return;
  if (!bans_.ban({address, 32}, reason, now_ + limits_->banned_for, now_)) return;
  counters_.add(WorkerCounter::ban_made);
  tell({.news = GuardNews::banned, .reason = reason, .proven = proven, .source = address, .server = server},
       detail);
}

/// Of limits and denials one example a second for each kind: whoever floods is not to flood control as well.
void Guard::tell(ipc::GuardEvent news, std::string_view detail) noexcept {
  if (news.news != GuardNews::banned) {
    auto& old_until = told_[static_cast<std::size_t>(news.news)][static_cast<std::size_t>(news.limit)];
    if (old_until != 0 && !nat::reached(old_until, now_)) return;
    old_until = now_ + nat::kTicksPerSecond;
  }
  ipc::Event event;
  event.type = ipc::EventType::guard;
  event.guard = news;
  event.guard.detail.assign(detail);
  events_.push(event);
}

void Guard::tick(nat::Tick now) noexcept {
  constexpr std::uint32_t kBanBudget = 64;
  now_ = now;
  bans_.expire(now, kBanBudget);
  counters_.set(WorkerCounter::ban_live, bans_.size());
  counters_.set(WorkerCounter::source_live, outside_.size());
  counters_.set(WorkerCounter::source_known, outside_.known());
}

}  // namespace pinhole::dataplane
