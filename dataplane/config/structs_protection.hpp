// SPDX-License-Identifier: BSD-3-Clause
#pragma once
// The section "protection" of the configuration: how much may be sent, by whom, and which messages go on.

#include "dataplane/config/structs_rules.hpp"
#include "nat/endpoint.hpp"

#include <cstdint>
#include <string>
#include <vector>

namespace pinhole::config {

/// A token bucket: so many a second, and a burst after a pause.
struct Rate {
  std::uint32_t per_s = 0;  // 0: no limit
  std::uint32_t burst = 1;

  friend bool operator==(const Rate&, const Rate&) = default;
};

/// Of sources that have shown that they are who they say, and of those that have not.
struct SplitRates {
  Rate known;
  Rate unknown;

  friend bool operator==(const SplitRates&, const SplitRates&) = default;
};

/// The same of each source, and of all together that have not.
struct ClassRates {
  Rate known;
  Rate unknown;
  Rate all_unknown;

  friend bool operator==(const ClassRates&, const ClassRates&) = default;
};

/// Requests of a source, by method: as many as a trunk or PBX of 500 calls a second sends. Strangers are held
/// by `sources.unknown` long before.
struct MethodRates {
  Rate invite = {.per_s = 500, .burst = 5000};
  Rate ack;
  Rate bye;
  Rate cancel;
  Rate register_ = {.per_s = 500, .burst = 5000};  // NOLINT(readability-identifier-naming): a keyword
  Rate options = {.per_s = 500, .burst = 5000};
  Rate prack;
  Rate update;
  Rate info;
  Rate subscribe = {.per_s = 500, .burst = 5000};
  Rate notify;
  Rate refer;
  Rate message = {.per_s = 500, .burst = 5000};
  Rate publish = {.per_s = 500, .burst = 5000};
  Rate unknown = {.per_s = 10, .burst = 100};

  friend bool operator==(const MethodRates&, const MethodRates&) = default;
};

enum class OverLimit : std::uint8_t {
  drop,
  refuse,  // answer with 503
};

struct Limits {
  OverLimit over = OverLimit::drop;
  std::uint16_t retry_after_s = 10;
  std::uint8_t warn_percent = 80;
  ClassRates sources = {.known = {2000, 20000}, .unknown = {50, 500}, .all_unknown = {1000, 5000}};
  Rate inside = {.per_s = 5000, .burst = 50000};
  MethodRates methods;
  SplitRates subscribers = {.known = {2000, 20000}, .unknown = {20, 200}};
  SplitRates servers = {.known = {5000, 50000}, .unknown = {500, 5000}};
  ClassRates flows = {.known = {2000, 10000}, .unknown = {500, 2000}, .all_unknown = {2000, 2000}};
  ClassRates fragments = {.known = {10000, 40000}, .unknown = {5000, 20000}, .all_unknown = {50000, 100000}};
  ClassRates malformed = {.known = {10, 100}, .unknown = {5, 50}, .all_unknown = {100, 500}};

  friend bool operator==(const Limits&, const Limits&) = default;
};

/// What a source does that leads to a ban, or to its being denied for a while.
struct Screen {
  std::vector<std::uint16_t> statuses = {403, 404, 410, 484, 604};
  std::uint16_t refused = 20;
  std::uint32_t deny_s = 60;
  std::uint16_t failed_auth = 5;
  std::uint16_t not_found = 10;
  std::uint32_t within_s = 60;
  std::vector<std::string> user_agents = {"friendly-scanner", "sipvicious", "sundayddr", "sip-scan",
                                          "sipsak",           "sipcli",     "iWar",      "SIVuS",
                                          "VaxSIPUserAgent",  "pplsip",     "smap"};

  friend bool operator==(const Screen&, const Screen&) = default;
};

struct Bans {
  std::uint32_t first_s = 300;
  std::uint16_t factor = 4;
  std::uint32_t longest_s = 86400;
  std::uint32_t forget_s = 604800;
  bool escalate_unproven = false;

  friend bool operator==(const Bans&, const Bans&) = default;
};

struct Protection {
  bool enabled = true;
  std::uint32_t sources_per_worker = 16384;
  Limits limits;
  Screen screen;
  Bans bans;
  std::vector<nat::Prefix> allow;
  std::vector<Rule> rules;
  UnknownByMode unknown;

  friend bool operator==(const Protection&, const Protection&) = default;
};

}  // namespace pinhole::config
