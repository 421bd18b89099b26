// SPDX-License-Identifier: BSD-3-Clause
// What validate() asks of the rules for messages.
#include "dataplane/config/policy.hpp"
#include "dataplane/config/schema_key.hpp"
#include "dataplane/config/validate_parts.hpp"
#include "dataplane/config/walk.hpp"

#include <algorithm>
#include <memory>
#include <string>
#include <string_view>

namespace pinhole::config {

namespace {

constexpr std::string_view kWordCharacters =
    "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-.";

Result<void> check_name(const Config& config, std::size_t number) {
  const auto& rules = config.protection.rules;
  const auto& name = rules[number].name;
  const auto path = join_path(item_path("protection.rules", number), "name");
  if (name.find_first_not_of(kWordCharacters) != std::string::npos || name.starts_with(kUnknownRules)) {
    return config_error(
        ErrorCode::range, path, fmt::format("\"{}\"", name),
        fmt::format("letters, digits, '_', '-' and '.', not \"{}\" at the beginning", kUnknownRules));
  }
  const auto here = rules.begin() + static_cast<std::ptrdiff_t>(number);
  if (std::ranges::find(rules.begin(), here, name, &Rule::name) == here) return {};
  return config_conflict(path, fmt::format("\"{}\" is the name of another rule", name),
                         "give each rule a name of its own");
}

Result<void> check_interfaces(const Config& config, const Rule& rule, const std::string& path) {
  for (std::size_t i = 0; i < rule.interfaces.size(); ++i) {
    if (interface_number(config, rule.interfaces[i])) continue;
    return config_conflict(item_path(join_path(path, "interfaces"), i),
                           fmt::format("there is no interface \"{}\"", rule.interfaces[i]),
                           "name one of interfaces");
  }
  return {};
}

Result<void> check_prefixes(const std::vector<nat::Prefix>& prefixes, const std::string& path) {
  for (std::size_t i = 0; i < prefixes.size(); ++i) {
    if (prefixes[i] == subnet_of(prefixes[i])) continue;
    return config_conflict(item_path(path, i),
                           fmt::format("{} has bits set after its prefix", text(prefixes[i])),
                           fmt::format("write {}", text(subnet_of(prefixes[i]))));
  }
  return {};
}

Result<void> check_headers(const std::vector<std::string>& names, const std::string& path) {
  for (std::size_t i = 0; i < names.size(); ++i) {
    if (names[i].find_first_not_of(kWordCharacters) == std::string::npos) continue;
    return config_error(ErrorCode::range, item_path(path, i), fmt::format("\"{}\"", names[i]),
                        "the name of a header such as \"User-Agent\"");
  }
  return {};
}

/// PINHOLE_MAX_NAME bytes of [a-z][a-z0-9_-]*: alg/plugin.h.
bool is_gateway_name(std::string_view name) {
  const auto is_letter = [](char c) { return c >= 'a' && c <= 'z'; };
  return !name.empty() && is_letter(name.front()) && std::ranges::all_of(name, [&](char c) {
    return is_letter(c) || (c >= '0' && c <= '9') || c == '_' || c == '-';
  });
}

/// What a message that cannot be read cannot be asked.
bool asks_for_content(const Rule& rule) {
  Rule flow;
  flow.name = rule.name;
  flow.action = rule.action;
  flow.status = rule.status;
  flow.retry_after_s = rule.retry_after_s;
  flow.direction = rule.direction;
  flow.interfaces = rule.interfaces;
  flow.sources = rule.sources;
  flow.destinations = rule.destinations;
  flow.realm = rule.realm;
  flow.transport = rule.transport;
  flow.message_above_bytes = rule.message_above_bytes;
  flow.unreadable = rule.unreadable;
  return !(flow == rule);
}

Result<void> check_application(const Rule& rule, const std::string& path) {
  if (!is_gateway_name(rule.application)) {
    return config_error(ErrorCode::range, join_path(path, "application"),
                        fmt::format("\"{}\"", rule.application),
                        "\"sip\", or the name of a gateway such as \"ftp\"");
  }
  if (rule.application == kSipApplication) {
    if (rule.commands.empty() && rule.arguments.empty()) return {};
    return config_conflict(join_path(path, rule.commands.empty() ? "arguments" : "commands"),
                           "the rule is for SIP, which has no commands",
                           "name the application, or methods instead");
  }
  Rule flow = rule;
  flow.application = kSipApplication;
  flow.commands.clear();
  flow.arguments.clear();
  if (!asks_for_content(flow) && rule.message_above_bytes == 0 && rule.unreadable.empty()) return {};
  return config_conflict(join_path(path, "application"), "the rule asks for what messages of SIP alone have",
                         "keep direction, interfaces, sources, destinations, realm, transport, commands and "
                         "arguments alone beside it");
}

Result<void> check_bans(const Config& config) {
  const auto& bans = config.protection.bans;
  if (bans.longest_s < bans.first_s) {
    return config_conflict("protection.bans.longest_s",
                           fmt::format("{} is less than protection.bans.first_s", bans.longest_s),
                           "make it as long at least");
  }
  return check_prefixes(config.protection.allow, "protection.allow");
}

}  // namespace

Result<void> check_protection(const Config& config) {
  if (const auto bans = check_bans(config); !bans) return bans.error();
  const auto& rules = config.protection.rules;
  for (std::size_t i = 0; i < rules.size(); ++i) {
    const auto& rule = rules[i];
    const auto path = item_path("protection.rules", i);
    auto result = check_name(config, i);
    if (result) result = check_interfaces(config, rule, path);
    if (result) result = check_prefixes(rule.sources, join_path(path, "sources"));
    if (result) result = check_prefixes(rule.destinations, join_path(path, "destinations"));
    if (result) result = check_headers(rule.headers_present, join_path(path, "headers_present"));
    if (result) result = check_headers(rule.headers_absent, join_path(path, "headers_absent"));
    if (result) result = check_application(rule, path);
    if (!result) return result;
    if (!rule.unreadable.empty() && asks_for_content(rule)) {
      return config_conflict(join_path(path, "unreadable"),
                             "the rule asks for what has to be read as well, so that it never matches",
                             "keep direction, interfaces, sources, destinations, realm, transport and "
                             "message_above_bytes alone beside it");
    }
  }
  const auto image = std::make_unique<ipc::PolicyImage>();
  return write_policy(config, *image);
}

}  // namespace pinhole::config
