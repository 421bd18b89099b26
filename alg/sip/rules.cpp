// SPDX-License-Identifier: BSD-3-Clause
#include "alg/sip/rules.hpp"

#include <algorithm>

#include "alg/sip/chars.hpp"
#include "alg/sip/glob.hpp"
#include "alg/sip/line_builder.hpp"
#include "alg/sip/message_facts.hpp"
#include "alg/sip/uri.hpp"

namespace pinhole::alg::sip {

namespace {

template <typename Enum>
constexpr std::uint32_t bit(Enum value) noexcept {
  return std::uint32_t{1} << static_cast<unsigned>(value);
}
static_assert(kDefects <= 16 && RuleSet::kMaxHeaders <= 64);

constexpr std::size_t kMaxNoted = 94;  // bytes of a command that are written down: ipc::RuleEvent

constexpr std::uint16_t kFirstRefusal = 400;
constexpr std::uint16_t kLastRefusal = 699;

bool lies_within(TextRef ref, std::size_t text_size) noexcept {
  return std::size_t{ref.begin} + ref.size <= text_size;
}
bool lies_within(ListRef ref, std::size_t list_size) noexcept {
  return std::size_t{ref.begin} + ref.size <= list_size;
}

bool is_sound(const MessageRule& rule, const RuleSet& set) noexcept {
  const bool answers = rule.status >= kFirstRefusal && rule.status <= kLastRefusal;
  if (rule.action > RuleAction::ban || (rule.action == RuleAction::refuse && !answers)) return false;
  for (const auto prefixes : {rule.sources, rule.destinations}) {
    if (!lies_within(prefixes, set.prefix_count)) return false;
  }
  for (const auto patterns : {rule.content_types, rule.codecs, rule.request_uris, rule.from_uris,
                              rule.to_uris, rule.domains, rule.user_agents, rule.commands, rule.arguments}) {
    if (!lies_within(patterns, set.pattern_count)) return false;
  }
  return lies_within(rule.name, set.text_size) && lies_within(rule.application, set.text_size);
}

/// The sender of a message, and who it is for, as the inside knows them.
nat::Ipv4Address source_of(const Message& message) noexcept {
  return message.direction == Direction::outbound ? message.flow.inside.address : message.flow.remote.address;
}
nat::Ipv4Address destination_of(const Message& message) noexcept {
  return message.direction == Direction::outbound ? message.flow.remote.address : message.flow.inside.address;
}

bool holds(ListRef prefixes, const RuleSet& set, nat::Ipv4Address address) noexcept {
  if (prefixes.empty()) return true;
  const auto* const first = set.prefixes.data() + prefixes.begin;
  return std::any_of(first, first + prefixes.size,
                     [address](nat::Prefix prefix) { return prefix.contains(address); });
}

/// \param fits  `bool(std::string_view pattern)`
template <typename Fits>
bool holds(ListRef patterns, const RuleSet& set, Fits&& fits) noexcept {
  if (patterns.empty()) return true;
  const auto* const first = set.patterns.data() + patterns.begin;
  return std::any_of(first, first + patterns.size, [&](TextRef ref) { return fits(set.view(ref)); });
}
bool holds_text(ListRef patterns, const RuleSet& set, std::string_view text) noexcept {
  return holds(patterns, set,
               [text](std::string_view pattern) { return !text.empty() && fits_glob(text, pattern); });
}
bool holds_uri(ListRef patterns, const RuleSet& set, std::string_view uri) noexcept {
  const auto bare = patterns.empty() ? uri : without_params(uri);
  return holds(patterns, set,
               [bare](std::string_view pattern) { return !bare.empty() && fits_uri_glob(bare, pattern); });
}

/// A bound that is 0 asks for nothing.
bool exceeds(std::size_t size, std::uint32_t bound) noexcept {
  return bound == 0 || size > bound;
}

bool is_for_sip(const MessageRule& rule) noexcept {
  return rule.application.size == 0;
}

/// What can be said of anything that came on a port of a gateway.
bool flow_fits(const MessageRule& rule, const RuleSet& set, const Message& message) noexcept {
  return (rule.directions & bit(message.direction)) != 0 && (rule.realms & bit(message.realm)) != 0 &&
         (rule.transports & bit(message.flow.protocol)) != 0 &&
         (rule.interfaces == 0 || (rule.interfaces & message.interfaces) != 0) &&
         exceeds(message.bytes.size(), rule.message_above) && holds(rule.sources, set, source_of(message)) &&
         holds(rule.destinations, set, destination_of(message));
}

/// Of something that was not read.
bool begins_like_response(std::string_view bytes) noexcept {
  constexpr std::string_view kVersion = "sip/";
  const auto text = slice(bytes, skip(bytes, 0, chars::kLineEnd));
  return text.size() >= kVersion.size() && equals(slice(text, 0, kVersion.size()), kVersion);
}

bool asks_for_headers(const MessageRule& rule) noexcept {
  return (rule.present | rule.absent) != 0 || rule.header_above != 0 || rule.headers_above != 0 ||
         rule.vias_above != 0 || rule.max_forwards_below != 0 || !rule.user_agents.empty();
}

/// Whether a rule asks for anything that has to be read.
bool asks_for_content(const MessageRule& rule) noexcept {
  constexpr std::uint8_t kBoth = MessageRule::kRequests | MessageRule::kResponses;
  return rule.methods != MessageRule::kAny || rule.kinds != kBoth || rule.uri_above != 0 ||
         asks_for_headers(rule) || !rule.content_types.empty() || !rule.codecs.empty() ||
         !rule.request_uris.empty() || !rule.from_uris.empty() || !rule.to_uris.empty() ||
         !rule.domains.empty();
}

bool headers_fit(const MessageRule& rule, const RuleSet& set, const HeaderFacts& headers) noexcept {
  return (headers.named & rule.present) == rule.present && (headers.named & rule.absent) == 0 &&
         exceeds(headers.bytes, rule.header_above) && exceeds(headers.count, rule.headers_above) &&
         exceeds(headers.vias, rule.vias_above) &&
         (rule.max_forwards_below == 0 ||
          (headers.max_forwards && *headers.max_forwards < rule.max_forwards_below)) &&
         holds_text(rule.user_agents, set, headers.user_agent);
}

bool fits(const MessageRule& rule, const RuleSet& set, const Message& message, MessageFacts& facts) noexcept {
  const auto& view = facts.view();
  const auto kind = view.is_request() ? MessageRule::kRequests : MessageRule::kResponses;
  if (!is_for_sip(rule) || rule.defects != 0 || (rule.kinds & kind) == 0 ||
      (rule.methods & bit(view.method())) == 0 || !flow_fits(rule, set, message)) {
    return false;
  }
  return exceeds(view.request_uri().size(), rule.uri_above) &&
         holds_uri(rule.request_uris, set, view.request_uri()) &&
         (rule.domains.empty() || holds_text(rule.domains, set, facts.domain())) &&
         (rule.from_uris.empty() || holds_uri(rule.from_uris, set, facts.summary().from_uri)) &&
         (rule.to_uris.empty() || holds_uri(rule.to_uris, set, facts.summary().to_uri)) &&
         (!asks_for_headers(rule) || headers_fit(rule, set, facts.headers())) &&
         (rule.content_types.empty() || holds_text(rule.content_types, set, facts.content_type())) &&
         (rule.codecs.empty() || facts.names_codec(rule.codecs));
}

bool fits(const MessageRule& rule, const RuleSet& set, const Message& message, Defect defect) noexcept {
  const bool may_have_it = rule.defects == 0 ? !asks_for_content(rule) : (rule.defects & bit(defect)) != 0;
  return is_for_sip(rule) && may_have_it && flow_fits(rule, set, message);
}

bool fits(const MessageRule& rule, const RuleSet& set, const Message& message,
          const AppCommand& command) noexcept {
  // An argument that is not there has no characters, and fits `*`.
  return !is_for_sip(rule) && set.view(rule.application) == command.application &&
         flow_fits(rule, set, message) && holds_text(rule.commands, set, command.name) &&
         holds(rule.arguments, set,
               [&](std::string_view pattern) { return fits_glob(command.argument, pattern); });
}

}  // namespace

bool is_sound(const RuleSet& set) noexcept {
  if (set.rule_count > RuleSet::kMaxRules || set.header_count > RuleSet::kMaxHeaders ||
      set.prefix_count > RuleSet::kMaxPrefixes || set.pattern_count > RuleSet::kMaxPatterns ||
      set.text_size > RuleSet::kMaxText) {
    return false;
  }
  const auto is_text = [&](TextRef ref) { return lies_within(ref, set.text_size); };
  const auto is_pattern = [&](TextRef ref) { return is_text(ref) && ref.size <= RuleSet::kMaxPattern; };
  return std::all_of(set.headers.begin(), set.headers.begin() + set.header_count, is_text) &&
         std::all_of(set.patterns.begin(), set.patterns.begin() + set.pattern_count, is_pattern) &&
         std::all_of(set.prefixes.begin(), set.prefixes.begin() + set.prefix_count,
                     [](nat::Prefix prefix) { return prefix.length <= 32; }) &&
         std::all_of(set.rules.begin(), set.rules.begin() + set.rule_count,
                     [&](const MessageRule& rule) { return is_sound(rule, set); });
}

void carry_over(const RuleSet& from, const RuleHits& hits, const RuleSet& to, RuleHits& next) noexcept {
  const auto* const end = from.rules.data() + from.rule_count;
  for (std::size_t i = 0; i < to.rule_count; ++i) {
    const auto* const same = std::find_if(from.rules.data(), end, [&](const MessageRule& rule) {
      return rule.identity == to.rules[i].identity;
    });
    next.set(i, same == end ? 0 : hits.read(static_cast<std::size_t>(same - from.rules.data())));
  }
}

Answer Rules::act(std::size_t rule, bool is_answerable, const Message& message) noexcept {
  const auto& decides = set_->rules[rule];
  hits_->add(rule);
  switch (decides.action) {
    case RuleAction::pass:
      return {};
    case RuleAction::log:
      host_.note(set_->view(decides.name), message);
      return {};
    case RuleAction::refuse:
      if (!is_answerable) break;
      return {.verdict = Verdict::refuse,
              .reason = nat::DropReason::drop_sip_refused,
              .status = decides.status,
              .retry_after_s = decides.retry_after_s};
    case RuleAction::ban:
      host_.ban(set_->view(decides.name), message);
      break;
    case RuleAction::drop:
      break;
  }
  return {.verdict = Verdict::drop, .reason = nat::DropReason::drop_sip_rule};
}

Answer Rules::judge(const MessageView& view, const Message& message) noexcept {
  if (set_ == nullptr || set_->rule_count == 0 || message.again || !message.judged) return {};
  MessageFacts facts(*set_, view, message.bytes);
  for (std::size_t i = 0; i < set_->rule_count; ++i) {
    if (!fits(set_->rules[i], *set_, message, facts)) continue;
    // A response is answered by nobody, nor is ACK (RFC 3261 section 17).
    return act(i, view.is_request() && view.method() != Method::ack, message);
  }
  return {};
}

std::optional<Answer> Rules::judge_unread(Defect defect, const Message& message) noexcept {
  if (set_ == nullptr || !message.judged) return std::nullopt;
  for (std::size_t i = 0; i < set_->rule_count; ++i) {
    if (!fits(set_->rules[i], *set_, message, defect)) continue;
    return act(i, defect != Defect::not_sip && !begins_like_response(message.bytes), message);
  }
  return std::nullopt;
}

bool Rules::allows(const AppCommand& command, const Message& flow) noexcept {
  if (set_ == nullptr) return true;
  for (std::size_t i = 0; i < set_->rule_count; ++i) {
    if (!fits(set_->rules[i], *set_, flow, command)) continue;
    LineBuilder<kMaxNoted> line;
    line.text(command.name);
    if (!command.argument.empty()) line.text(" ").text(command.argument);
    Message noted = flow;
    noted.bytes = line.view();
    return act(i, false, noted).verdict == Verdict::forward;
  }
  return true;
}

}  // namespace pinhole::alg::sip
