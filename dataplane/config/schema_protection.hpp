// SPDX-License-Identifier: BSD-3-Clause
#pragma once
// The keys of `protection`; see schema.hpp.

#include "dataplane/config/schema_key.hpp"
#include "dataplane/config/schema_rules.hpp"
#include "dataplane/config/structs_protection.hpp"

#include <tuple>

namespace pinhole::config {

template <>
struct Schema<Rate> {
  static constexpr std::tuple kKeys{
      Key{.name = "per_s",
          .member = &Rate::per_s,
          .help = "so many a second; 0: no limit",
          .bounds = {0, kMaxRate}},
      Key{.name = "burst",
          .member = &Rate::burst,
          .help = "so many at once after a pause",
          .bounds = {1, kMaxRate}},
  };
};

template <>
struct Schema<SplitRates> {
  static constexpr std::tuple kKeys{
      Key{.name = "known",
          .member = &SplitRates::known,
          .help = "by sources that have shown by traffic both ways that they are who they say"},
      Key{.name = "unknown", .member = &SplitRates::unknown, .help = "by sources that have not"},
  };
};

template <>
struct Schema<ClassRates> {
  static constexpr std::tuple kKeys{
      Key{.name = "known",
          .member = &ClassRates::known,
          .help = "of a source that has shown by traffic both ways that it is who it says"},
      Key{.name = "unknown", .member = &ClassRates::unknown, .help = "of a source that has not"},
      Key{.name = "all_unknown",
          .member = &ClassRates::all_unknown,
          .help = "of all sources together that have not, those that fake their addresses among them"},
  };
};

template <>
struct Schema<MethodRates> {
  // `register` is a word of C++, and cannot be the name of a member.
  static constexpr std::tuple kKeys{
      Key{.name = "invite", .member = &MethodRates::invite, .help = "INVITE"},
      Key{.name = "ack", .member = &MethodRates::ack, .help = "ACK"},
      Key{.name = "bye", .member = &MethodRates::bye, .help = "BYE"},
      Key{.name = "cancel", .member = &MethodRates::cancel, .help = "CANCEL"},
      Key{.name = "register", .member = &MethodRates::register_, .help = "REGISTER"},
      Key{.name = "options", .member = &MethodRates::options, .help = "OPTIONS"},
      Key{.name = "prack", .member = &MethodRates::prack, .help = "PRACK"},
      Key{.name = "update", .member = &MethodRates::update, .help = "UPDATE"},
      Key{.name = "info", .member = &MethodRates::info, .help = "INFO"},
      Key{.name = "subscribe", .member = &MethodRates::subscribe, .help = "SUBSCRIBE"},
      Key{.name = "notify", .member = &MethodRates::notify, .help = "NOTIFY"},
      Key{.name = "refer", .member = &MethodRates::refer, .help = "REFER"},
      Key{.name = "message", .member = &MethodRates::message, .help = "MESSAGE"},
      Key{.name = "publish", .member = &MethodRates::publish, .help = "PUBLISH"},
      Key{.name = "unknown", .member = &MethodRates::unknown, .help = "methods that are none of these"},
  };
};

template <>
struct Schema<Limits> {
  static constexpr std::tuple kKeys{
      Key{.name = "over",
          .member = &Limits::over,
          .help = "what becomes of a request over a limit; refuse: it is answered with 503"},
      Key{.name = "retry_after_s",
          .member = &Limits::retry_after_s,
          .help = "when such an answer says to come back, in seconds; 0: it does not say",
          .bounds = {0, 3600}},
      Key{.name = "warn_percent",
          .member = &Limits::warn_percent,
          .help = "a warning is written when so much of a burst is used up; 100: never",
          .bounds = {1, 100}},
      Key{.name = "sources", .member = &Limits::sources, .help = "SIP messages of an outside source"},
      Key{.name = "inside", .member = &Limits::inside, .help = "SIP requests of an inside host"},
      Key{.name = "methods",
          .member = &Limits::methods,
          .help = "SIP requests of a source, by method, besides the limit of all"},
      Key{.name = "subscribers",
          .member = &Limits::subscribers,
          .help = "SIP requests from one address of record, and those to one"},
      Key{.name = "servers", .member = &Limits::servers, .help = "SIP requests to one address"},
      Key{.name = "flows",
          .member = &Limits::flows,
          .help = "SYNs and first packets of flows that come in from outside"},
      Key{.name = "fragments", .member = &Limits::fragments, .help = "fragments that come in from outside"},
      Key{.name = "malformed",
          .member = &Limits::malformed,
          .help = "messages from outside that begin like SIP and cannot be read"},
  };
};

template <>
struct Schema<Screen> {
  static constexpr std::tuple kKeys{
      Key{.name = "statuses",
          .member = &Screen::statuses,
          .help = "the responses to INVITE and REGISTER that count as refusals",
          .bounds = {0, 64},
          .each = {400, 699}},
      Key{.name = "refused",
          .member = &Screen::refused,
          .help = "an outside source that is refused so often is denied for a while; 0: never",
          .bounds = {0, 1000}},
      Key{.name = "deny_s",
          .member = &Screen::deny_s,
          .help = "for so long, in seconds",
          .bounds = {1, kWeekSeconds}},
      Key{.name = "failed_auth",
          .member = &Screen::failed_auth,
          .help =
              "one whose credentials were wrong so often is banned; 0: never; a challenge that is answered "
              "rightly does not count",
          .bounds = {0, 1000}},
      Key{.name = "not_found",
          .member = &Screen::not_found,
          .help = "one that asked for so many addresses that nobody has is banned; 0: never",
          .bounds = {0, kMaxHarvest}},
      Key{.name = "within_s",
          .member = &Screen::within_s,
          .help = "the time in which refusals, failures and addresses are counted, in seconds",
          .bounds = {1, 86400}},
      Key{.name = "user_agents",
          .member = &Screen::user_agents,
          .help = "one whose User-Agent has one of these in it, in whatever case, is banned at once",
          .bounds = {0, kMaxScanners},
          .each = {1, kMaxScannerText}},
  };
};

template <>
struct Schema<Bans> {
  static constexpr std::tuple kKeys{
      Key{.name = "first_s",
          .member = &Bans::first_s,
          .help = "how long the first ban of a source lasts, in seconds",
          .bounds = {1, kWeekSeconds}},
      Key{.name = "factor",
          .member = &Bans::factor,
          .help = "each further one lasts so many times as long",
          .bounds = {1, 100}},
      Key{.name = "longest_s",
          .member = &Bans::longest_s,
          .help = "but no longer than this, in seconds",
          .bounds = {1, 52 * kWeekSeconds}},
      Key{.name = "forget_s",
          .member = &Bans::forget_s,
          .help = "a source whose last ban has been over for so long begins anew, in seconds",
          .bounds = {1, 52 * kWeekSeconds}},
      Key{.name = "escalate_unproven",
          .member = &Bans::escalate_unproven,
          .help =
              "whether bans get longer, too, of a source that never showed that it is who it says: somebody "
              "else may have sent in its name"},
  };
};

template <>
struct Schema<Protection> {
  static constexpr std::tuple kKeys{
      Key{.name = "enabled",
          .member = &Protection::enabled,
          .help = "keep to the limits, and ban by what sources do; false: only the bans of operators hold"},
      Key{.name = "sources_per_worker",
          .member = &Protection::sources_per_worker,
          .help =
              "how many outside sources each worker remembers, and a quarter as many inside hosts; a source "
              "takes 256 bytes",
          .bounds = {64, 1048576}},
      Key{.name = "limits", .member = &Protection::limits, .help = "how much of what may be sent"},
      Key{.name = "screen", .member = &Protection::screen, .help = "what leads to a ban"},
      Key{.name = "bans", .member = &Protection::bans, .help = "how long bans last"},
      Key{.name = "allow",
          .member = &Protection::allow,
          .help = "sources that are neither banned nor limited, whatever they do",
          .bounds = {0, kMaxAllowed}},
      Key{.name = "rules",
          .member = &Protection::rules,
          .help = "asked of each message on a SIP port, and of each command of other applications; the first "
                  "that "
                  "matches decides, and without one the message goes on",
          .bounds = {0, kMaxMessageRules}},
      Key{.name = "unknown",
          .member = &Protection::unknown,
          .help = "what becomes of messages that are not understood, when no rule matches them; these are "
                  "rules too, at the end of the list"},
  };
};

}  // namespace pinhole::config
