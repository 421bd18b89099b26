// SPDX-License-Identifier: BSD-3-Clause
#pragma once
// The rules for messages of the section "protection".

#include "alg/sip/rule_set.hpp"
#include "alg/sip/summary.hpp"
#include "nat/endpoint.hpp"
#include "nat/mapping.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace pinhole::config {

enum class Direction : std::uint8_t { out, in };
enum class MessageKind : std::uint8_t { request, response };

inline constexpr std::string_view kSipApplication = "sip";

/// All that it asks for must hold; what is empty, null or 0 asks for nothing.
struct Rule {
  std::string name;
  alg::sip::RuleAction action = alg::sip::RuleAction::pass;
  std::uint16_t status = 403;
  std::uint16_t retry_after_s = 0;
  std::optional<Direction> direction;
  std::vector<std::string> interfaces;
  std::vector<nat::Prefix> sources;
  std::vector<nat::Prefix> destinations;
  std::optional<nat::Realm> realm;
  std::optional<nat::Protocol> transport;
  std::vector<alg::sip::Method> methods;
  std::optional<MessageKind> kind;
  std::vector<std::string> headers_present;
  std::vector<std::string> headers_absent;
  std::uint32_t message_above_bytes = 0;
  std::uint32_t header_above_bytes = 0;
  std::uint32_t uri_above_bytes = 0;
  std::uint32_t headers_above = 0;
  std::uint32_t vias_above = 0;
  std::uint32_t max_forwards_below = 0;
  std::vector<std::string> content_types;
  std::vector<std::string> codecs;
  std::vector<std::string> request_uris;
  std::vector<std::string> from_uris;
  std::vector<std::string> to_uris;
  std::vector<std::string> domains;
  std::vector<std::string> user_agents;
  std::vector<alg::sip::Defect> unreadable;
  std::string application = std::string(kSipApplication);  // whose messages it is asked of
  std::vector<std::string> commands;
  std::vector<std::string> arguments;

  friend bool operator==(const Rule&, const Rule&) = default;
};

enum class Unknown : std::uint8_t { pass, log, drop };

/// What becomes of messages that are not understood, where no rule of the list says so.
struct UnknownMessages {
  Unknown methods = Unknown::pass;
  Unknown not_sip = Unknown::pass;
  std::optional<Unknown> malformed;  // none: what sip.malformed says

  friend bool operator==(const UnknownMessages&, const UnknownMessages&) = default;
};

struct UnknownByMode {
  UnknownMessages nat;
  UnknownMessages route;

  friend bool operator==(const UnknownByMode&, const UnknownByMode&) = default;
};

}  // namespace pinhole::config
