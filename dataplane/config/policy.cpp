// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/config/policy.hpp"

#include "dataplane/config/rates.hpp"
#include "dataplane/config/render.hpp"
#include "dataplane/config/schema_key.hpp"
#include "dataplane/config/walk.hpp"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <array>
#include <span>
#include <string>
#include <string_view>

namespace pinhole::config {

namespace {

using alg::sip::Defect;
using alg::sip::ListRef;
using alg::sip::MessageRule;
using alg::sip::Method;
using alg::sip::RuleAction;
using alg::sip::RuleSet;
using alg::sip::TextRef;

/// FNV-1a.
std::uint64_t hash_of(std::string_view text) {
  std::uint64_t hash = 0xcbf29ce484222325U;
  for (const char character : text) {
    hash = (hash ^ static_cast<unsigned char>(character)) * 0x100000001b3U;
  }
  return hash;
}

std::string lower_case(std::string_view text) {
  std::string lower{text};
  for (char& character : lower) {
    if (character >= 'A' && character <= 'Z') character = static_cast<char>(character + ('a' - 'A'));
  }
  return lower;
}

template <typename Enum>
std::uint32_t bit(Enum value) {
  return std::uint32_t{1} << static_cast<unsigned>(value);
}

/// Appends rules to a set. What does not fit is remembered, and nothing is added after it.
class RuleWriter {
 public:
  RuleWriter(const Config& config, RuleSet& set) : config_(config), set_(set) {}

  /// \param path  of the rule, for the error
  Result<void> add(const Rule& rule, std::uint64_t identity, const std::string& path) {
    MessageRule written;
    written.identity = identity;
    written.present = headers(rule.headers_present);
    written.absent = headers(rule.headers_absent);
    if (!rule.methods.empty()) written.methods = bits(rule.methods);
    written.message_above = rule.message_above_bytes;
    written.header_above = rule.header_above_bytes;
    written.uri_above = rule.uri_above_bytes;
    written.headers_above = rule.headers_above;
    written.vias_above = rule.vias_above;
    written.max_forwards_below = rule.max_forwards_below;
    written.interfaces = interfaces(rule.interfaces);
    written.defects = static_cast<std::uint16_t>(bits(rule.unreadable));
    if (rule.direction) written.directions = static_cast<std::uint8_t>(bit(*rule.direction));
    if (rule.realm) written.realms = static_cast<std::uint8_t>(bit(*rule.realm));
    if (rule.transport) written.transports = static_cast<std::uint8_t>(bit(*rule.transport));
    if (rule.kind) {
      written.kinds = *rule.kind == MessageKind::request ? MessageRule::kRequests : MessageRule::kResponses;
    }
    written.action = rule.action;
    written.status = rule.status;
    written.retry_after_s = rule.retry_after_s;
    written.name = text(rule.name);
    written.sources = prefixes(rule.sources);
    written.destinations = prefixes(rule.destinations);
    written.content_types = patterns(rule.content_types);
    written.codecs = patterns(rule.codecs);
    written.request_uris = patterns(rule.request_uris);
    written.from_uris = patterns(rule.from_uris);
    written.to_uris = patterns(rule.to_uris);
    written.domains = patterns(rule.domains);
    written.user_agents = patterns(rule.user_agents);
    if (rule.application != kSipApplication) written.application = text(rule.application);
    written.commands = patterns(rule.commands);
    written.arguments = patterns(rule.arguments);
    if (!full_.empty()) {
      return config_conflict(path, fmt::format("the rules up to this one have more {}", full_),
                             "write fewer or shorter ones, or join rules");
    }
    set_.rules[set_.rule_count++] = written;
    return {};
  }

 private:
  TextRef text(std::string_view text) {
    if (text.size() > RuleSet::kMaxText - set_.text_size) {
      full_ = fmt::format("text than {} bytes", RuleSet::kMaxText);
      return {};
    }
    const TextRef ref{set_.text_size, static_cast<std::uint16_t>(text.size())};
    std::ranges::copy(text, set_.text.begin() + ref.begin);
    set_.text_size = static_cast<std::uint16_t>(set_.text_size + text.size());
    return ref;
  }

  ListRef patterns(const std::vector<std::string>& list) {
    const ListRef ref{set_.pattern_count, static_cast<std::uint16_t>(list.size())};
    if (list.size() > RuleSet::kMaxPatterns - set_.pattern_count) {
      full_ = fmt::format("patterns than {}", RuleSet::kMaxPatterns);
      return {};
    }
    for (const auto& pattern : list) set_.patterns[set_.pattern_count++] = text(pattern);
    return ref;
  }

  ListRef prefixes(const std::vector<nat::Prefix>& list) {
    const ListRef ref{set_.prefix_count, static_cast<std::uint16_t>(list.size())};
    if (list.size() > RuleSet::kMaxPrefixes - set_.prefix_count) {
      full_ = fmt::format("sources and destinations than {}", RuleSet::kMaxPrefixes);
      return {};
    }
    for (const auto& prefix : list) set_.prefixes[set_.prefix_count++] = prefix;
    return ref;
  }

  std::uint64_t headers(const std::vector<std::string>& names) {
    std::uint64_t all = 0;
    for (const auto& name : names) all |= header(lower_case(name));
    return all;
  }
  /// The bit of a name, which the set lists once.
  std::uint64_t header(std::string_view name) {
    const auto known = std::span(set_.headers).first(set_.header_count);
    auto found = std::ranges::find(known, name, [&](TextRef ref) { return set_.view(ref); });
    if (found == known.end()) {
      if (set_.header_count == RuleSet::kMaxHeaders) {
        full_ = fmt::format("names of headers than {}", RuleSet::kMaxHeaders);
        return 0;
      }
      set_.headers[set_.header_count++] = text(name);
    }
    return std::uint64_t{1} << static_cast<unsigned>(found - known.begin());
  }

  std::uint16_t interfaces(const std::vector<std::string>& names) {
    std::uint16_t all = 0;
    for (const auto& name : names) {
      const auto number = interface_number(config_, name);
      if (number) all |= ipc::AlgSwitch::bit_of(static_cast<std::uint8_t>(*number));
    }
    return all;
  }

  template <typename Enum>
  static std::uint32_t bits(const std::vector<Enum>& values) {
    std::uint32_t all = 0;
    for (const auto value : values) all |= bit(value);
    return all;
  }

  const Config& config_;
  RuleSet& set_;
  std::string full_;  // of what there is too much; empty: nothing
};

RuleAction action_of(Unknown unknown) {
  switch (unknown) {
    case Unknown::pass:
      return RuleAction::pass;
    case Unknown::log:
      return RuleAction::log;
    case Unknown::drop:
      return RuleAction::drop;
  }
  return RuleAction::pass;
}

/// The rules that protection.unknown is short for. What passes anyhow needs none.
std::vector<Rule> unknown_rules(std::string_view mode, nat::Realm realm, const UnknownMessages& unknown) {
  std::vector<Rule> rules;
  const auto add = [&](std::string_view what, Unknown action) -> Rule& {
    auto& rule = rules.emplace_back();
    rule.name = fmt::format("{}{}.{}", kUnknownRules, mode, what);
    rule.action = action_of(action);
    rule.realm = realm;
    return rule;
  };
  if (unknown.methods != Unknown::pass) add("methods", unknown.methods).methods = {Method::other};
  if (unknown.not_sip != Unknown::pass) add("not_sip", unknown.not_sip).unreadable = {Defect::not_sip};
  if (unknown.malformed) {
    auto& rule = add("malformed", *unknown.malformed);
    for (auto defect = static_cast<std::size_t>(Defect::start_line); defect < alg::sip::kDefects; ++defect) {
      rule.unreadable.push_back(static_cast<Defect>(defect));
    }
  }
  return rules;
}
static_assert(kMaxMessageRules + 6 <= RuleSet::kMaxRules);
static_assert(kMaxInterfaces <= 16);
static_assert(2 * kMaxSipPorts <= ipc::kMaxShownClaims);
static_assert(2 + kMaxPlugins <= ipc::kMaxGateways);  // with those that are built in

}  // namespace

ipc::AlgSwitch sip_switch(const Config& config) {
  ipc::AlgSwitch sip;
  // A configuration that was checked has no more hosts than there is room for.
  const auto change = [&](const ipc::SwitchChange& each) { sip = sip.after(each).value(); };
  change({.scope = ipc::SwitchScope::all, .on = config.sip.enabled});
  for (std::size_t i = 0; i < config.interfaces.size(); ++i) {
    change({.scope = ipc::SwitchScope::interface,
            .on = config.interfaces[i].sip,
            .interface = static_cast<std::uint8_t>(i)});
  }
  if (!config.sip.only.empty()) change({.scope = ipc::SwitchScope::hosts, .on = false, .hosts = {{}, 0}});
  for (const auto& hosts : config.sip.only)
    change({.scope = ipc::SwitchScope::hosts, .on = true, .hosts = hosts});
  for (const auto& hosts : config.sip.exclude)
    change({.scope = ipc::SwitchScope::hosts, .on = false, .hosts = hosts});
  return sip;
}

Result<void> write_policy(const Config& config, ipc::PolicyImage& image) {
  image = {};
  image.switches[ipc::kSipGateway] = sip_switch(config);
  for (std::size_t i = 0; i < config.plugins.size(); ++i) {
    auto& plugin = image.switches[first_plugin(config) + i];
    plugin = *plugin.after({.scope = ipc::SwitchScope::all, .on = config.plugins[i].enabled});
  }
  image.configured = image.switches;
  image.rates = rate_limits(config.protection);
  RuleWriter writer(config, image.rules);
  const auto& protection = config.protection;
  const auto document = to_json(config);
  const auto& written = document.at("protection").at("rules");
  for (std::size_t i = 0; i < protection.rules.size(); ++i) {
    const auto identity = hash_of(written.at(i).dump());
    if (auto added = writer.add(protection.rules[i], identity, item_path("protection.rules", i)); !added)
      return added;
  }
  for (const auto& [mode, realm, unknown] :
       {std::tuple{"nat", nat::Realm::translated, protection.unknown.nat},
        std::tuple{"route", nat::Realm::untranslated, protection.unknown.route}}) {
    for (const auto& rule : unknown_rules(mode, realm, unknown)) {
      if (auto added = writer.add(rule, hash_of(rule.name), "protection.unknown"); !added) return added;
    }
  }
  return {};
}

}  // namespace pinhole::config
