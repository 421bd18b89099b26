// SPDX-License-Identifier: BSD-3-Clause
// What sources do, as requests and the answers to them show it, and what comes of it.
#include <algorithm>
#include <bit>

#include "alg/sip/chars.hpp"
#include "dataplane/guard/guard.hpp"

namespace pinhole::dataplane {

namespace {

using alg::sip::Method;
using ipc::BanReason;

/// Says that nobody has the address that was asked for.
bool is_missing(std::uint16_t status) noexcept {
  return status == 404 || status == 410 || status == 484 || status == 485 || status == 604;
}

}  // namespace

/// \return the User-Agent of a scanner, nothing when there is none
std::optional<std::string_view> Guard::scanner_of(const Case& message) const noexcept {
  for (const auto text : message.evidence.user_agents) {
    if (text.empty()) break;
    const AnyCase agent(text);
    const auto is_in = [&](const ipc::Text<30>& part) noexcept { return agent.contains(part.view()); };
    if (std::ranges::any_of(limits_->scanner_list(), is_in)) return text;
  }
  if (!message.evidence.too_many_agents) return std::nullopt;
  return message.evidence.user_agents.front();  // it hides one among many
}

/// Looks whether the sender gives back what only it can have got.
void Guard::look_for_proof(Case& message) noexcept {
  auto* const source = message.source;
  const bool over_tcp = message.message.flow.protocol == nat::Protocol::tcp;
  message.proven = over_tcp;
  if (source == nullptr || message.from_inside) return;
  const auto& summary = message.summary;
  if (message.is_request) {
    const auto nonce = digest_param(message.evidence.credentials, "nonce");
    message.proven = over_tcp || source->gives_back(short_hash_of(nonce)) ||
                     source->gives_back(short_hash_of(summary.to_tag));
  } else if (!source->known) {
    const bool answers_inside = source->gives_back(short_hash_of(summary.call_id));
    message.proven = over_tcp || answers_inside;
    source->accepted = source->accepted || answers_inside;
  }
  source->both_ways = source->both_ways || message.proven;
  if (source->both_ways && source->accepted) outside_.make_known(*source, now_);
}

/// What a request from outside leaves behind until it is answered.
void Guard::note_request(Case& message) noexcept {
  auto* const source = message.source;
  if (source == nullptr) return;  // it is allowed, whatever it does
  if (message.proven) source->both_ways = true;
  const bool counts = message.proven || !source->known;
  // Who acknowledges a refusal got it.
  if (message.summary.method == Method::ack && source->known && message.proven &&
      source->refused_tag == short_hash_of(message.summary.to_tag) && source->refused_tag != 0) {
    source->refused_tag = 0;
    count_refusal(*source, message.sender);
  }
  if (message.summary.method == Method::ack || !counts) return;
  source->sent_credentials = !message.evidence.credentials.empty();
  source->credentials_proven = message.proven;
}

/// What goes out tells of whom it is for, and from outside an answer tells of an inside host.
void Guard::learn_of_receiver(const Case& message) noexcept {
  const auto& summary = message.summary;
  if (!message.from_inside) {
    if (message.is_request || summary.status < 200 || summary.status >= 300) return;
    auto* const host = inside_.find(message.receiver, now_);
    if (host != nullptr) inside_.make_known(*host, now_);
    return;
  }
  auto* receiver = outside_.find(message.receiver, now_);
  if (message.is_request) {
    // Its answer shows that it is there.
    if (receiver == nullptr) receiver = &outside_.add(message.receiver, now_);
    if (!receiver->known) receiver->issue(short_hash_of(summary.call_id));
  } else if (receiver != nullptr) {
    note_answer(message, *receiver);
  }
}

void Guard::note_answer(const Case& message, Source& receiver) noexcept {
  const auto& summary = message.summary;
  const bool is_final = summary.status >= 200;
  const bool over_tcp = message.message.flow.protocol == nat::Protocol::tcp;
  if (!message.evidence.challenge.empty())
    receiver.issue(short_hash_of(digest_param(message.evidence.challenge, "nonce")));
  if (!summary.to_tag.empty() && summary.method == Method::invite)
    receiver.issue(short_hash_of(summary.to_tag));
  if (!is_final) return;
  if (summary.status < 300 && summary.method != Method::options) {
    receiver.accepted = true;
    receiver.failures.clear();
    if (receiver.both_ways) outside_.make_known(receiver, now_);
  }
  if (summary.status == 401 || summary.status == 407) count_failure(message, receiver);
  receiver.sent_credentials = false;
  const bool is_certain = over_tcp || !receiver.known;
  if (is_missing(summary.status) && is_certain) count_missing(message, receiver);
  const bool is_counted = summary.method == Method::invite || summary.method == Method::register_;
  if (!is_counted || !limits_->refusals.contains(summary.status)) return;
  const auto tag = short_hash_of(summary.to_tag);
  if (!is_certain) {
    receiver.refused_tag = tag;
  } else if (tag == 0 || tag != receiver.counted_tag) {  // it is sent again until it is acknowledged
    receiver.counted_tag = tag;
    count_refusal(receiver, message.receiver);
  }
}

void Guard::count_refusal(Source& source, nat::Ipv4Address address) noexcept {
  if (limits_->refused == 0 || source.refusals.add(limits_->within, now_) < limits_->refused) return;
  if (is_allowed(address)) return;
  source.refusals.clear();
  source.denied = true;
  source.denied_until = now_ + limits_->denied_for;
  tell({.news = ipc::GuardNews::denied, .source = address}, {});
}

/// A challenge to a request with credentials says that they were wrong, unless they were only old.
void Guard::count_failure(const Case& message, Source& receiver) noexcept {
  const bool is_stale = alg::sip::equals(digest_param(message.evidence.challenge, "stale"), "true");
  if (limits_->failed_auth == 0 || !receiver.sent_credentials || is_stale) return;
  if (receiver.failures.add(limits_->within, now_) < limits_->failed_auth) return;
  receiver.failures.clear();
  ban_source(message.receiver, message.sender, &receiver, BanReason::failed_auth, receiver.credentials_proven,
             subscriber_of(message.summary.from_uri));
}

void Guard::count_missing(const Case& message, Source& receiver) noexcept {
  if (limits_->not_found == 0) return;
  const auto asked = subscriber_of(message.summary.to_uri);
  if (receiver.missing.add(limits_->within, now_) == 1) receiver.asked = 0;
  receiver.asked |= std::uint64_t{1} << (hash_of_(asked) % 64);
  if (std::popcount(receiver.asked) < limits_->not_found) return;
  receiver.missing.clear();
  const bool proven = message.message.flow.protocol == nat::Protocol::tcp;
  ban_source(message.receiver, message.sender, &receiver, BanReason::harvest, proven, asked);
}

}  // namespace pinhole::dataplane
