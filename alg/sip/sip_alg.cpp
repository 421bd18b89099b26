// SPDX-License-Identifier: BSD-3-Clause
#include "alg/sip/sip_alg.hpp"

#include <algorithm>

#include "alg/host.hpp"
#include "alg/sip/body.hpp"
#include "alg/sip/body_rewrite.hpp"
#include "alg/sip/dialog_peer.hpp"
#include "alg/sip/header_rewrite.hpp"
#include "alg/sip/registration.hpp"
#include "alg/sip/scan.hpp"
#include "alg/sip/translator.hpp"
#include "alg/sip/values.hpp"

namespace pinhole::alg::sip {

namespace {

Answer answer_of(Outcome outcome) noexcept {
  switch (outcome) {
    case Outcome::fine:
      return {};
    case Outcome::wait:
      return {.verdict = Verdict::wait};
    case Outcome::no_port:
      return {.verdict = Verdict::drop, .reason = nat::DropReason::drop_sip_no_port};
    case Outcome::untranslatable:
      return {.verdict = Verdict::drop, .reason = nat::DropReason::drop_sip_malformed};
  }
  return {.verdict = Verdict::drop, .reason = nat::DropReason::drop_sip_malformed};
}

/// A call over a limit: its caller tries elsewhere, or again when others may have ended.
constexpr Answer kTooManyCalls = {.verdict = Verdict::refuse,
                                  .reason = nat::DropReason::drop_call_limit,
                                  .recognised = true,
                                  .status = 503,  // RFC 3261 section 21.5.4
                                  .retry_after_s = 10};

// Whether a signature no longer fits. One of RFC 8224 is over the parties of the message, and one of RFC
// 4474, which is a quoted string, over nearly all of it.
bool breaks_identity(const MessageView& view, const EditList& edits) noexcept {
  const auto identity = view.value(HeaderId::identity);
  if (identity.empty() || edits.empty()) return false;
  const auto list = edits.edits();
  return identity.front() == '"' || std::any_of(list.begin(), list.end(), [](const Edit& edit) {
           return edit.rule == Rule::from || edit.rule == Rule::to;
         });
}

// Of the topmost Via. Mostly that has no spaces and nothing in quotes.
std::string_view branch_of(const MessageView& view) noexcept {
  constexpr std::string_view kBranch = ";branch=";
  const auto vias = view.value(HeaderId::via);
  const auto next = [vias](std::size_t from) noexcept { return find_mark<';', ',', '"'>(vias, from); };
  for (auto at = next(0); at < vias.size() && vias[at] == ';'; at = next(at + 1)) {
    const auto value = at + kBranch.size();
    if (value <= vias.size() && equals(slice(vias, at, value), kBranch))
      return trim(slice(vias, value, find_mark<';', ','>(vias, value)));
  }
  const auto via = ListReader(vias).next();
  const auto branch = via ? find_param(*via, "branch") : std::nullopt;
  return branch ? branch->value : std::string_view();
}

}  // namespace

Answer SipAlg::inspect(const Message& message, Host& host, EditList& edits) noexcept {
  edits.clear();
  if (is_transparent(message.flow.remote.address)) {
    counters_.add(Counter::sip_transparent);
    return {};
  }
  MessageView view;
  const auto result = view.parse(message.bytes);
  switch (result) {
    case ParseResult::keepalive:
      counters_.add(Counter::sip_keepalive);
      return {};
    case ParseResult::not_sip:
    case ParseResult::malformed:
      return unread(view.defect(), message);
    case ParseResult::message:
      break;
  }
  if (const auto ruling = judge(view, message); ruling.verdict != Verdict::forward) return ruling;
  return translate(view, message, host, edits);
}

bool SipAlg::is_transparent(nat::Ipv4Address peer) const noexcept {
  return std::any_of(policy_.transparent.begin(), policy_.transparent.end(),
                     [peer](nat::Prefix prefix) { return prefix.contains(peer); });
}

Answer SipAlg::judge(const MessageView& view, const Message& message) noexcept {
  for (Screen* const screen : screens_) {
    if (const auto ruling = screen->judge(view, message); ruling.verdict != Verdict::forward) return ruling;
  }
  return {};
}

Answer SipAlg::unread(Defect defect, const Message& message) noexcept {
  bool passes = false;  // a screen says so
  for (Screen* const screen : screens_) {
    const auto ruling = screen->judge_unread(defect, message);
    if (ruling && ruling->verdict != Verdict::forward) return *ruling;
    passes |= ruling.has_value();
  }
  if (defect == Defect::not_sip) {
    counters_.add(Counter::sip_not_sip);
    return {};
  }
  if (policy_.malformed == Malformed::drop && !passes) return answer_of(Outcome::untranslatable);
  counters_.add(Counter::sip_malformed);
  return {};
}

Answer SipAlg::translate(const MessageView& view, const Message& message, Host& host,
                         EditList& edits) noexcept {
  const Body body(view);
  Translator translator(message, host, edits, policy_, unescaped_);
  auto summary = view.summary();
  summary.has_sdp = body.has_description();
  if (summary.method == Method::invite) summary.branch = branch_of(view);
  summary.call_id = call_id_.of(summary.call_id, translator);
  switch (host.announce(summary)) {
    case Welcome::none:
      return {};
    case Welcome::too_many:
      return kTooManyCalls;
    case Welcome::taken:
      break;
  }

  rewrite_headers(view, translator);
  BodyRewriter body_rewriter(body, translator);
  const auto opened = body_rewriter.rewrite_own(view);
  rewrite_parties(view, translator);
  rewrite_echoes(view, translator);
  body_rewriter.rewrite_quoted();
  if (translator.outcome() == Outcome::fine) {
    grant_bindings(view, translator);
    tell_dialog_peer(view, translator);
    tell_dialog(view, host);
  }

  auto answer = answer_of(translator.outcome());
  answer.recognised = true;
  if (answer.verdict != Verdict::forward) edits.clear();
  if (answer.verdict == Verdict::wait) return answer;
  counters_.add(view.is_request() ? Counter::sip_request : Counter::sip_response);
  if (answer.verdict == Verdict::drop) return answer;
  if (edits.empty()) counters_.add(Counter::sip_untouched);
  counters_.add(Counter::sip_media_opened, opened);
  if (breaks_identity(view, edits)) counters_.add(Counter::sip_identity_broken);
  return answer;
}

}  // namespace pinhole::alg::sip
