// SPDX-License-Identifier: BSD-3-Clause
// The table of commands and their handlers. A handler asks the model and encodes what it says; it checks
// nothing that its row can say.
#include "control/commands/command.hpp"
#include "control/commands/encode.hpp"
#include "control/commands/gateways.hpp"
#include "control/commands/protection.hpp"
#include "control/commands/subscriber.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>

namespace pinhole::control {
namespace {

constexpr std::size_t kShownCandidates = 5;

constexpr Argument kOffset = {"offset", ArgumentType::offset, "leave out so many rows"};
constexpr Argument kLimit = {"limit", ArgumentType::limit,
                             "show so many rows (100 unless told, 1000 at most)"};

constexpr std::array kMappingArguments = {
    Argument{"inside", ArgumentType::endpoint, "only of this inside address, subnet or address:port", false,
             true},
    Argument{"external", ArgumentType::endpoint, "only of this external address, subnet or address:port",
             false, true},
    Argument{"remote", ArgumentType::endpoint, "only with this remote address, subnet or address:port", false,
             true},
    Argument{"protocol", ArgumentType::protocol, "only of this protocol: udp, tcp or icmp", false, true},
    kOffset,
    kLimit,
};
constexpr std::array kCallsArguments = {
    Argument{"all", ArgumentType::flag, "ended calls too, as long as they are remembered"},
    Argument{"inside", ArgumentType::endpoint, "only of this inside address, subnet or address:port", false,
             true},
    Argument{"party", ArgumentType::text, "only with this text in the From or To URI", false, true},
    kOffset,
    kLimit,
};
constexpr std::array kCallArguments = {
    Argument{"id", ArgumentType::text, "the call's id or Call-ID, or the beginning of one", true, true},
    Argument{"why", ArgumentType::flag, "with what was done to each message, and what was opened for it"},
};
constexpr std::array kMessagesArguments = {
    Argument{"inside", ArgumentType::endpoint, "only of this inside address, subnet or address:port", false,
             true},
    Argument{"remote", ArgumentType::endpoint, "only with this remote address, subnet or address:port", false,
             true},
    Argument{"dropped", ArgumentType::flag, "only those that did not go on"},
    Argument{"why", ArgumentType::flag, "with what was done to each"},
    kOffset,
    kLimit,
};
constexpr std::array kHangupArguments = {
    Argument{"id", ArgumentType::text, "the call's id or Call-ID, or the beginning of one", true},
};
constexpr std::array kPinholesArguments = {
    Argument{"call", ArgumentType::text, "only of this call: its id or Call-ID, or the beginning of one",
             false, true},
    kOffset,
    kLimit,
};
constexpr std::array kRegistrationsArguments = {
    Argument{"aor", ArgumentType::text, "only with this text in the address of record", false, true},
    kOffset,
    kLimit,
};
constexpr std::array kSubscriberArguments = {
    Argument{"endpoint", ArgumentType::endpoint,
             "an inside address, to see its external ports; or an external address:port, to see whose it is",
             true, true},
};
constexpr std::array kPluginsArguments = {
    Argument{"name", ArgumentType::text, "only this one", false, true},
};
constexpr std::array kSipArguments = {
    Argument{"interface", ArgumentType::text,
             "only what comes in or goes out by this interface, by its name"},
    Argument{"prefix", ArgumentType::endpoint, "only inside hosts of this address or subnet"},
};
constexpr std::array kAlgArguments = {
    Argument{"name", ArgumentType::text, "the gateway: sip, or one that \"plugins\" lists", true},
    kSipArguments[0],
    kSipArguments[1],
};
constexpr std::array kBansArguments = {
    kOffset,
    kLimit,
};
constexpr std::array kBanArguments = {
    Argument{"prefix", ArgumentType::endpoint, "the address or subnet that does not come in", true},
    Argument{"seconds", ArgumentType::count, "for so long (3600 unless told)", false, false, 1, 31'536'000},
    Argument{"note", ArgumentType::text, "why, for whoever lists the bans; up to 200 bytes"},
};
constexpr std::array kLiftArguments = {
    Argument{"prefix", ArgumentType::endpoint, "the address or subnet, as \"ban.list\" has it", true},
};
constexpr std::array kAllowArguments = {
    Argument{"prefix", ArgumentType::endpoint, "the address or subnet", true},
};
constexpr std::array kCaptureArguments = {
    Argument{"file", ArgumentType::text, "where to: an absolute path that does not exist", true},
    Argument{"seconds", ArgumentType::count, "end after so long (60 unless told, 3600 at most)", false, false,
             1, 3600},
    Argument{"packets", ArgumentType::count, "end after so many packets", false, false, 1, 1'000'000'000},
    Argument{"mb", ArgumentType::count, "end before the file has so many megabytes (100 unless told)", false,
             false, 1, 10'000},
    Argument{"host", ArgumentType::endpoint, "only of this inside address, on both sides"},
    Argument{"call", ArgumentType::text,
             "only of this call, on both sides: its id or Call-ID, or the beginning of one"},
    Argument{"interface", ArgumentType::text, "only at these interfaces: names with commas in between"},
    Argument{"attended", ArgumentType::flag, "end it when \"capture.status\" has not been asked for 10 s"},
};
constexpr std::array kStatsArguments = {
    Argument{"drops", ArgumentType::flag, "only the drop reasons"},
    Argument{"nonzero", ArgumentType::flag, "only what has counted anything"},
    Argument{"name", ArgumentType::text, "only with this text in the name", false, true},
};
constexpr std::array kHelpArguments = {
    Argument{"command", ArgumentType::text, "only this command", false, true},
};

template <typename Row>
Json encode_page(const char* key, const Paged<Row>& paged, Page page) {
  Json list = Json::array();
  for (const auto& row : paged.rows) list.push_back(encode(row));
  return Json{{"total", paged.total}, {"offset", page.offset}, {key, std::move(list)}};
}

/// The one call that `prefix` is the beginning of.
Result<CallRow> resolve_call(const Model& model, const std::string& prefix) {
  const auto found = model.find_calls(prefix, kShownCandidates + 1);
  if (found.empty()) {
    return Error{
        ErrorCode::not_found,
        fmt::format("no call has an id or Call-ID that begins with \"{}\"; \"calls\" with \"all\" lists them",
                    prefix)};
  }
  if (found.size() == 1) return found.front();
  std::vector<std::string_view> ids;
  for (const auto& row : found) ids.push_back(row.id);
  const bool is_cut = ids.size() > kShownCandidates;
  if (is_cut) ids.resize(kShownCandidates);
  return Error{ErrorCode::conflict, fmt::format("several calls begin with \"{}\": {}{}; give more of the id",
                                                prefix, fmt::join(ids, ", "), is_cut ? " and more" : "")};
}

Result<Json> show_status(const Model& model, const Arguments&) {
  return encode(model.status());
}

Result<Json> show_workers(const Model& model, const Arguments&) {
  Json list = Json::array();
  for (const auto& row : model.workers()) list.push_back(encode(row));
  return Json{{"workers", std::move(list)}};
}

Result<Json> show_mappings(const Model& model, const Arguments& arguments) {
  const MappingFilter filter{.protocol = arguments.get<nat::Protocol>("protocol"),
                             .inside = arguments.get<EndpointFilter>("inside"),
                             .external = arguments.get<EndpointFilter>("external"),
                             .remote = arguments.get<EndpointFilter>("remote")};
  return encode_page("mappings", model.mappings(filter, arguments.page()), arguments.page());
}

Result<Json> show_calls(const Model& model, const Arguments& arguments) {
  const CallFilter filter{.live_only = !arguments.flag("all"),
                          .inside = arguments.get<EndpointFilter>("inside"),
                          .party = arguments.text("party")};
  const auto paged = model.calls(filter, arguments.page());
  const auto now = model.status().now;
  Json list = Json::array();
  for (const auto& row : paged.rows) list.push_back(encode(row, now));
  return Json{{"total", paged.total}, {"offset", arguments.page().offset}, {"calls", std::move(list)}};
}

Result<Json> show_call(const Model& model, const Arguments& arguments) {
  const auto row = resolve_call(model, arguments.text("id"));
  if (!row) return row.error();
  const auto detail = model.call(row->id);
  if (!detail) return Error{ErrorCode::not_found, fmt::format("the call {} is over and forgotten", row->id)};
  return encode(*detail, model.status().now, arguments.flag("why"));
}

Result<Json> show_messages(const Model& model, const Arguments& arguments) {
  const MessageFilter filter{.dropped_only = arguments.flag("dropped"),
                             .inside = arguments.get<EndpointFilter>("inside"),
                             .remote = arguments.get<EndpointFilter>("remote")};
  const auto paged = model.messages(filter, arguments.page());
  Json list = Json::array();
  for (const auto& row : paged.rows) list.push_back(encode(row, arguments.flag("why")));
  return Json{{"total", paged.total}, {"offset", arguments.page().offset}, {"messages", std::move(list)}};
}

Result<Json> hang_up(const Model& model, const Arguments& arguments) {
  const auto found = resolve_call(model, arguments.text("id"));
  if (!found) return found.error();
  const auto row = model.controls().hang_up(found->id);
  if (!row) return row.error();
  return Json{{"id", row->id}, {"call_id", row->call_id}, {"state", ipc::name(row->step.state)}};
}

Result<Json> show_pinholes(const Model& model, const Arguments& arguments) {
  std::string call;
  if (const auto prefix = arguments.text("call"); !prefix.empty()) {
    const auto row = resolve_call(model, prefix);
    if (!row) return row.error();
    call = row->id;
  }
  return encode_page("pinholes", model.pinholes(call, arguments.page()), arguments.page());
}

Result<Json> show_registrations(const Model& model, const Arguments& arguments) {
  return encode_page("registrations", model.registrations(arguments.text("aor"), arguments.page()),
                     arguments.page());
}

std::vector<std::string> split_at_commas(std::string_view text) {
  std::vector<std::string> parts;
  while (!text.empty()) {
    const auto comma = std::min(text.find(','), text.size());
    parts.emplace_back(text.substr(0, comma));
    text.remove_prefix(std::min(comma + 1, text.size()));
  }
  return parts;
}

Result<CaptureOrder> capture_order(const Model& model, const Arguments& arguments) {
  CaptureOrder order;
  order.file = arguments.text("file");
  if (const auto value = arguments.get<std::size_t>("seconds"))
    order.seconds = static_cast<std::uint32_t>(*value);
  if (const auto value = arguments.get<std::size_t>("mb"))
    order.megabytes = static_cast<std::uint32_t>(*value);
  order.packets = arguments.get<std::size_t>("packets").value_or(0);
  order.interfaces = split_at_commas(arguments.text("interface"));
  order.attended = arguments.flag("attended");
  if (const auto host = arguments.get<EndpointFilter>("host")) {
    if (host->port || host->prefix.length != 32)
      return Error{ErrorCode::range, "host: found a port or a subnet; allowed is an address"};
    order.host = host->prefix.address;
  }
  if (const auto call = arguments.text("call"); !call.empty()) {
    if (order.host) return Error{ErrorCode::conflict, "host and call are two filters; give one of them"};
    const auto row = resolve_call(model, call);
    if (!row) return row.error();
    order.call = row->id;
  }
  return order;
}

Result<Json> start_capture(const Model& model, const Arguments& arguments) {
  const auto order = capture_order(model, arguments);
  if (!order) return order.error();
  const auto row = model.controls().start_capture(*order);
  if (!row) return row.error();
  return encode(*row);
}
Result<Json> stop_capture(const Model& model, const Arguments&) {
  return encode(model.controls().stop_capture());
}
Result<Json> show_capture(const Model& model, const Arguments&) {
  return encode(model.controls().capture());
}

Result<Json> show_stats(const Model& model, const Arguments& arguments) {
  const auto part = arguments.text("name");
  Json list = Json::array();
  for (const auto& row : model.counters()) {
    if (arguments.flag("drops") && row.module != "drop") continue;
    if (arguments.flag("nonzero") && row.total == 0) continue;
    if (row.name.find(part) == std::string::npos) continue;
    list.push_back(encode(row));
  }
  return Json{{"counters", std::move(list)}};
}

Result<Json> show_rules(const Model& model, const Arguments&) {
  const auto rows = model.rules();
  if (!rows) {
    return Error{ErrorCode::unavailable, "a worker is writing its policy down just now; ask again"};
  }
  Json list = Json::array();
  for (const auto& row : *rows) list.push_back(encode(row));
  return Json{{"rules", std::move(list)}};
}

Result<Json> reload(const Model& model, const Arguments&) {
  const auto row = model.controls().reload();
  if (!row) return row.error();
  return encode(*row);
}

Result<Json> show_config(const Model& model, const Arguments&) {
  return Json{{"config", Json::parse(model.configuration())}};
}

Json describe(const Argument& argument) {
  return Json{{"name", argument.name},
              {"type", name(argument.type)},
              {"required", argument.required},
              {"help", argument.help}};
}

Json describe(const Command& command) {
  Json arguments = Json::array();
  for (const auto& argument : command.arguments) arguments.push_back(describe(argument));
  return Json{{"name", command.name},
              {"summary", command.summary},
              {"access", name(command.access)},
              {"arguments", std::move(arguments)}};
}

Result<Json> show_help(const Model&, const Arguments& arguments) {
  const auto only = arguments.text("command");
  Json list = Json::array();
  for (const auto& command : commands()) {
    if (only.empty() || command.name == only) list.push_back(describe(command));
  }
  if (list.empty()) {
    return Error{
        ErrorCode::not_found,
        fmt::format("there is no command \"{}\"; \"help\" without a name lists those there are", only)};
  }
  return Json{{"commands", std::move(list)}};
}

Result<Json> show_version(const Model& model, const Arguments&) {
  return Json{{"version", model.status().version}};
}

constexpr std::array kCommands = {
    Command{"status",
            "what runs, since when, and how much is live",
            Access::read,
            Needs::nothing,
            {},
            show_status},
    Command{
        "workers", "what each worker has done and holds", Access::read, Needs::dataplane, {}, show_workers},
    Command{"mappings", "inside endpoints and the external endpoints that stand for them", Access::read,
            Needs::dataplane, kMappingArguments, show_mappings},
    Command{"calls", "calls, the newest first", Access::read, Needs::nothing, kCallsArguments, show_calls},
    Command{"call", "one call with its messages and pinholes", Access::read, Needs::nothing, kCallArguments,
            show_call},
    Command{"messages", "SIP messages of no call, and those that were dropped, while sip.why is set",
            Access::read, Needs::nothing, kMessagesArguments, show_messages},
    Command{"hangup", "end a call, with a BYE to each side if it was answered", Access::write,
            Needs::dataplane, kHangupArguments, hang_up},
    Command{"pinholes", "media ports that calls hold open", Access::read, Needs::dataplane,
            kPinholesArguments, show_pinholes},
    Command{"registrations", "phones that registrars know, and until when", Access::read, Needs::dataplane,
            kRegistrationsArguments, show_registrations},
    Command{"subscriber", "which external ports an inside host has, or whose an external port is",
            Access::read, Needs::nothing, kSubscriberArguments, show_subscriber},
    Command{
        "sip.show", "for whom the SIP gateway is switched on", Access::read, Needs::dataplane, {}, show_sip},
    Command{"sip.on", "switch the SIP gateway on, for all, an interface or inside hosts", Access::write,
            Needs::dataplane, kSipArguments, turn_sip_on},
    Command{"sip.off", "switch the SIP gateway off for new calls; those that live are seen through",
            Access::write, Needs::dataplane, kSipArguments, turn_sip_off},
    Command{
        "alg.show", "for whom each gateway is switched on", Access::read, Needs::dataplane, {}, show_algs},
    Command{"alg.on", "switch a gateway on, for all, an interface or inside hosts", Access::write,
            Needs::dataplane, kAlgArguments, turn_alg_on},
    Command{"alg.off", "switch a gateway off; connections and calls that live go on", Access::write,
            Needs::dataplane, kAlgArguments, turn_alg_off},
    Command{"plugins", "the gateways: what they claim, and what they have counted", Access::read,
            Needs::dataplane, kPluginsArguments, show_plugins},
    Command{"rules",
            "the rules for messages, and how many each has decided about",
            Access::read,
            Needs::dataplane,
            {},
            show_rules},
    Command{"reload",
            "read the configuration file again: rules, and for whom SIP is read; calls live on",
            Access::write,
            Needs::dataplane,
            {},
            reload},
    Command{"capture.start", "copy packets of both sides into a pcapng file, for a while", Access::write,
            Needs::dataplane, kCaptureArguments, start_capture},
    Command{"capture.stop", "end the capture that runs", Access::write, Needs::dataplane, {}, stop_capture},
    Command{"capture.status",
            "the capture that runs, or the last one",
            Access::read,
            Needs::dataplane,
            {},
            show_capture},
    Command{"stats", "every counter and every drop reason", Access::read, Needs::dataplane, kStatsArguments,
            show_stats},
    Command{"config.show",
            "the configuration in force, defaults filled in",
            Access::read,
            Needs::nothing,
            {},
            show_config},
    Command{"ban.list", "who does not come in, why and for how long", Access::read, Needs::nothing,
            kBansArguments, show_bans},
    Command{"ban.add", "let an address or a subnet in no more", Access::write, Needs::nothing, kBanArguments,
            add_ban},
    Command{"ban.lift", "end a ban", Access::write, Needs::nothing, kLiftArguments, lift_ban},
    Command{
        "allow.list", "who is neither banned nor limited", Access::read, Needs::nothing, {}, show_allowed},
    Command{"allow.add", "neither ban nor limit an address or a subnet", Access::write, Needs::nothing,
            kAllowArguments, add_allowed},
    Command{"allow.remove", "take that back", Access::write, Needs::nothing, kAllowArguments, remove_allowed},
    Command{"help", "the commands and their parameters", Access::read, Needs::nothing, kHelpArguments,
            show_help},
    Command{"version", "the version of control", Access::read, Needs::nothing, {}, show_version},
};

}  // namespace

std::span<const Command> commands() noexcept {
  return kCommands;
}

}  // namespace pinhole::control
