// SPDX-License-Identifier: BSD-3-Clause
#pragma once
// The keys of rules for messages; see schema.hpp.

#include "dataplane/config/schema_key.hpp"
#include "dataplane/config/structs_rules.hpp"

#include <tuple>

namespace pinhole::config {

inline constexpr Bounds kPatternList{0, 64};
inline constexpr Bounds kPatternSize{1, alg::sip::RuleSet::kMaxPattern};

template <>
struct Schema<Rule> {
  static constexpr std::tuple kKeys{
      Key{.name = "name",
          .member = &Rule::name,
          .help = "what counters and the log call it; unique; letters, digits, '_', '-' and '.'",
          .bounds = {1, kMaxRuleName},
          .required = true},
      Key{.name = "action",
          .member = &Rule::action,
          .help =
              "what becomes of a message that the rule matches; log: it passes, and control writes a line, "
              "10 of them in ten seconds at most; refuse: a request is answered, what is none, or ACK, is "
              "dropped; ban: it is dropped, and a source outside is banned (protection.bans)",
          .required = true},
      Key{.name = "status",
          .member = &Rule::status,
          .help = "of the answer to what is refused",
          .bounds = {400, 699}},
      Key{.name = "retry_after_s",
          .member = &Rule::retry_after_s,
          .help = "what the answer says of when to ask again, in seconds; 0: nothing",
          .bounds = {0, 65535}},
      Key{.name = "direction",
          .member = &Rule::direction,
          .help = "out: from an inside host; in: to one; null: both"},
      Key{.name = "interfaces",
          .member = &Rule::interfaces,
          .help = "names of interfaces; the message comes in or goes out by one of them",
          .bounds = {0, kMaxInterfaces},
          .each = {1, kMaxInterfaceName}},
      Key{.name = "sources",
          .member = &Rule::sources,
          .help = "who sends it: inside hosts by their own address",
          .bounds = {0, 64}},
      Key{.name = "destinations",
          .member = &Rule::destinations,
          .help = "who it is sent to: inside hosts by their own address",
          .bounds = {0, 64}},
      Key{.name = "realm",
          .member = &Rule::realm,
          .help = "nat: where addresses are translated; route: where they are not (nat.route, nat.exempt); "
                  "null: both"},
      Key{.name = "transport", .member = &Rule::transport, .help = "what carries it; null: any"},
      Key{.name = "methods",
          .member = &Rule::methods,
          .help = "of a request, or of the request that a response answers; unknown: any that is not listed "
                  "here",
          .bounds = {0, 16}},
      Key{.name = "kind", .member = &Rule::kind, .help = "null: both"},
      Key{.name = "headers_present",
          .member = &Rule::headers_present,
          .help = "names of headers, in full; all of them are there, in whichever form",
          .bounds = {0, 16},
          .each = {2, 64}},
      Key{.name = "headers_absent",
          .member = &Rule::headers_absent,
          .help = "names of headers, in full; none of them is there",
          .bounds = {0, 16},
          .each = {2, 64}},
      Key{.name = "message_above_bytes",
          .member = &Rule::message_above_bytes,
          .help = "the whole message is larger; 0: any size, here and in what follows",
          .bounds = {0, 65535}},
      Key{.name = "header_above_bytes",
          .member = &Rule::header_above_bytes,
          .help = "all header lines together are larger",
          .bounds = {0, 65535}},
      Key{.name = "uri_above_bytes",
          .member = &Rule::uri_above_bytes,
          .help = "the Request-URI is longer",
          .bounds = {0, 65535}},
      Key{.name = "headers_above",
          .member = &Rule::headers_above,
          .help = "there are more headers",
          .bounds = {0, 65535}},
      Key{.name = "vias_above",
          .member = &Rule::vias_above,
          .help = "there are more values of Via: more hops lie behind the message",
          .bounds = {0, 65535}},
      Key{.name = "max_forwards_below",
          .member = &Rule::max_forwards_below,
          .help = "Max-Forwards is there, and is less",
          .bounds = {0, 256}},
      Key{.name = "content_types",
          .member = &Rule::content_types,
          .help = "the type of the body fits one of these patterns: '*' is any text, '?' any character",
          .bounds = kPatternList,
          .each = kPatternSize},
      Key{.name = "codecs",
          .member = &Rule::codecs,
          .help = "the SDP of the body names a codec that fits one of these patterns: by a=rtpmap, or by a "
                  "payload type that needs none (RFC 3551)",
          .bounds = kPatternList,
          .each = kPatternSize},
      Key{.name = "request_uris",
          .member = &Rule::request_uris,
          .help = "the Request-URI without parameters fits one of these patterns, such as "
                  "\"sip:00*@example.com\"; case counts in the user part alone",
          .bounds = kPatternList,
          .each = kPatternSize},
      Key{.name = "from_uris",
          .member = &Rule::from_uris,
          .help = "the same of From",
          .bounds = kPatternList,
          .each = kPatternSize},
      Key{.name = "to_uris",
          .member = &Rule::to_uris,
          .help = "the same of To",
          .bounds = kPatternList,
          .each = kPatternSize},
      Key{.name = "domains",
          .member = &Rule::domains,
          .help = "the host of the Request-URI fits one of these patterns",
          .bounds = kPatternList,
          .each = kPatternSize},
      Key{.name = "user_agents",
          .member = &Rule::user_agents,
          .help = "User-Agent fits one of these patterns, such as \"*friendly-scanner*\"",
          .bounds = kPatternList,
          .each = kPatternSize},
      Key{.name = "unreadable",
          .member = &Rule::unreadable,
          .help = "why the message cannot be read; empty: the rule asks for nothing of the kind, and if it "
                  "asks for nothing that has to be read it matches both what can and what cannot be read",
          .bounds = {0, 16}},
      Key{.name = "application",
          .member = &Rule::application,
          .help = "whose messages the rule is asked of: sip, or the name of a gateway whose clients give "
                  "commands, such as ftp",
          .bounds = {1, kMaxGatewayName}},
      Key{.name = "commands",
          .member = &Rule::commands,
          .help = "of another application than SIP: the command fits one of these patterns, in whatever case",
          .bounds = kPatternList,
          .each = kPatternSize},
      Key{.name = "arguments",
          .member = &Rule::arguments,
          .help = "of another application than SIP: what follows the command fits one of these patterns, "
                  "such as \"*.exe\"",
          .bounds = kPatternList,
          .each = kPatternSize},
  };
};

template <>
struct Schema<UnknownMessages> {
  static constexpr std::tuple kKeys{
      Key{.name = "methods",
          .member = &UnknownMessages::methods,
          .help = "messages whose method is none of RFC 3261 and its extensions"},
      Key{.name = "not_sip",
          .member = &UnknownMessages::not_sip,
          .help = "datagrams on a SIP port that are not SIP, nor a keep-alive"},
      Key{.name = "malformed",
          .member = &UnknownMessages::malformed,
          .help = "messages that begin like SIP and cannot be read; null: what sip.malformed says"},
  };
};

template <>
struct Schema<UnknownByMode> {
  static constexpr std::tuple kKeys{
      Key{.name = "nat", .member = &UnknownByMode::nat, .help = "where addresses are translated"},
      Key{.name = "route",
          .member = &UnknownByMode::route,
          .help = "where they are not: nat.route and nat.exempt"},
  };
};

}  // namespace pinhole::config
