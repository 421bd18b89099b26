// SPDX-License-Identifier: BSD-3-Clause
#pragma once
// The rules by which gateways replace text: each edit carries the one that asked for it, so that people can
// be told why a message was changed (requirement AC-25).

#include <cstdint>
#include <string_view>

namespace pinhole::alg {

#define PINHOLE_ALG_RULES(X)                          \
  X(other, "other")                                   \
  X(request_uri, "Request-URI")                       \
  X(via, "Via")                                       \
  X(contact, "Contact")                               \
  X(record_route, "Record-Route")                     \
  X(route, "Route")                                   \
  X(path, "Path")                                     \
  X(service_route, "Service-Route")                   \
  X(refer_to, "Refer-To")                             \
  X(referred_by, "Referred-By")                       \
  X(reply_to, "Reply-To")                             \
  X(p_asserted_identity, "P-Asserted-Identity")       \
  X(p_preferred_identity, "P-Preferred-Identity")     \
  X(p_associated_uri, "P-Associated-URI")             \
  X(p_called_party_id, "P-Called-Party-ID")           \
  X(p_served_user, "P-Served-User")                   \
  X(remote_party_id, "Remote-Party-ID")               \
  X(diversion, "Diversion")                           \
  X(history_info, "History-Info")                     \
  X(also, "Also")                                     \
  X(alert_info, "Alert-Info")                         \
  X(call_info, "Call-Info")                           \
  X(error_info, "Error-Info")                         \
  X(warning, "Warning")                               \
  X(from, "From")                                     \
  X(to, "To")                                         \
  X(call_id, "Call-ID")                               \
  X(replaces, "Replaces")                             \
  X(join, "Join")                                     \
  X(target_dialog, "Target-Dialog")                   \
  X(in_reply_to, "In-Reply-To")                       \
  X(event, "Event")                                   \
  X(user_agent, "User-Agent")                         \
  X(server, "Server")                                 \
  X(content_length, "Content-Length")                 \
  X(sdp_origin, "SDP o=")                             \
  X(sdp_connection, "SDP c=")                         \
  X(sdp_media, "SDP m=")                              \
  X(sdp_rtcp, "SDP a=rtcp")                           \
  X(sdp_candidate, "SDP a=candidate")                 \
  X(sdp_remote_candidates, "SDP a=remote-candidates") \
  X(sdp_path, "SDP a=path")                           \
  X(sdp_alternative, "SDP a=altc")                    \
  X(sdp_source_filter, "SDP a=source-filter")         \
  X(event_state, "URI in dialog-info or PIDF")

#define PINHOLE_ALG_RULE_ENUMERATOR(name, text) name,
enum class Rule : std::uint8_t { PINHOLE_ALG_RULES(PINHOLE_ALG_RULE_ENUMERATOR) };
#undef PINHOLE_ALG_RULE_ENUMERATOR

/// The place that a rule is about, for people. \return "?" for what is no rule
[[nodiscard]] constexpr std::string_view text(Rule rule) noexcept {
  switch (rule) {
#define PINHOLE_ALG_RULE_TEXT(name, text) \
  case Rule::name:                        \
    return text;
    PINHOLE_ALG_RULES(PINHOLE_ALG_RULE_TEXT)
#undef PINHOLE_ALG_RULE_TEXT
  }
  return "?";
}

}  // namespace pinhole::alg
