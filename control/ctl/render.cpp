// SPDX-License-Identifier: BSD-3-Clause
#include "control/ctl/render.hpp"

#include "control/ctl/ladder.hpp"
#include "control/ctl/table.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <utility>
#include <vector>

namespace pinhole::control {
namespace {

using Json = nlohmann::ordered_json;
using Align = Table::Align;

constexpr std::size_t kUriWidth = 36;
constexpr std::string_view kNone = "-";

/// A value as it stands in a cell: strings as they are, null as a dash.
std::string cell(const Json& row, const char* key) {
  const auto& value = row.at(key);
  if (value.is_null()) return std::string(kNone);
  if (value.is_string()) return value.get<std::string>();
  return value.dump();
}

std::string duration(const Json& row, const char* key) {
  const auto& value = row.at(key);
  return value.is_null() ? std::string(kNone) : duration_text(value.get<std::int64_t>());
}

std::string bytes(const Json& row, const char* key) {
  return bytes_text(row.at(key).get<std::uint64_t>());
}

std::string plural(std::uint64_t count, std::string_view one) {
  return fmt::format("{} {}{}", count, one, count == 1 ? "" : "s");
}

/// The table and what of the whole it shows: "100 of 2345 mappings; --offset 100 shows more".
std::string with_total(const Table& table, const Json& result, const char* key, std::string_view one) {
  const auto total = result.at("total").get<std::uint64_t>();
  const auto offset = result.at("offset").get<std::uint64_t>();
  const auto shown = result.at(key).size();
  if (total == 0) return fmt::format("no {}s\n", one);
  if (shown == total) return fmt::format("{}{}\n", table.text(), plural(total, one));
  const auto end = offset + shown;
  const auto more = end < total ? fmt::format("; --offset {} shows more", end) : std::string();
  return fmt::format("{}{} of {}{}\n", table.text(), shown, plural(total, one), more);
}

std::string render_dataplane(const Json& dataplane) {
  const auto state = cell(dataplane, "state");
  const auto since = cell(dataplane, "since");
  if (state == "up") {
    return fmt::format("up for {}, pid {}, {}\n", duration(dataplane, "uptime_s"), cell(dataplane, "pid"),
                       plural(dataplane.at("workers").get<std::uint64_t>(), "worker"));
  }
  if (state == "lost") {
    return fmt::format("LOST since {} (was pid {}); control attaches when it is started again\n", since,
                       cell(dataplane, "pid"));
  }
  return fmt::format("not there yet, waited for since {}\n", since);
}

/// One line for records, one for each of the two ways that they go.
std::string render_nat_log(const Json& log) {
  if (log.is_null()) return {};
  const auto problem = [&](const char* key) {
    return log.at(key).is_null() ? std::string{} : fmt::format("; FAILS: {}", printable(cell(log, key)));
  };
  auto out = fmt::format("nat log     received {}, lost {}\n", cell(log, "received"), cell(log, "lost"));
  if (!log.at("file").is_null()) {
    out += fmt::format("  file      {}: {} lines, lost {}{}\n", printable(cell(log, "file")),
                       cell(log, "written"), cell(log, "unwritten"), problem("file_problem"));
  }
  if (!log.at("collector").is_null()) {
    out += fmt::format("  collector {}: sent {}, lost {}{}\n", cell(log, "collector"), cell(log, "exported"),
                       cell(log, "unsent"), problem("collector_problem"));
  }
  return out;
}

/// "on", "off", or "on, but for …".
std::string render_sip(const Json& sip) {
  std::string out = sip.at("on").get<bool>() ? "on" : "off";
  const char* joint = ", but ";
  const auto add = [&](std::string_view what, const std::string& name) {
    out += fmt::format("{}{} for {}", std::exchange(joint, ", "), what, printable(name));
  };
  for (const auto& name : sip.at("interfaces_off")) add("off", name.get<std::string>());
  for (const auto& rule : sip.at("hosts"))
    add(rule.at("on").get<bool>() ? "on" : "off", cell(rule, "prefix"));
  if (!sip.at("settled").get<bool>()) out += " (not all workers have heard of it yet)";
  return out + '\n';
}

std::string render_alg(const Json& alg) {
  return fmt::format("{}: {}", printable(cell(alg, "name")), render_sip(alg));
}

std::string render_algs(const Json& result) {
  std::string out;
  for (const auto& alg : result.at("algs")) out += render_alg(alg);
  return out;
}

std::string render_status(const Json& result) {
  const auto& control = result.at("control");
  const auto& live = result.at("live");
  const auto& events = result.at("events");
  auto out = "data plane  " + render_dataplane(result.at("dataplane"));
  out += fmt::format("control     up for {}, pid {}, version {}\n", duration(control, "uptime_s"),
                     cell(control, "pid"), printable(cell(result, "version")));
  out += fmt::format("config      {}{}\n", printable(cell(result, "config_path")),
                     result.at("dataplane").at("plan_differs") == Json(true)
                         ? "; the data plane gives ports out by ANOTHER one: start both with the same"
                         : "");
  out += fmt::format("live        calls {}, registrations {}, mappings {}, pinholes {}, mbufs {}\n",
                     cell(live, "calls"), cell(live, "registrations"), cell(live, "mappings"),
                     cell(live, "pinholes"), cell(live, "mbufs"));
  out += fmt::format("events      received {}, lost {}\n", cell(events, "received"), cell(events, "lost"));
  if (!result.at("sip").is_null()) out += "sip         " + render_sip(result.at("sip"));
  out += render_nat_log(result.at("nat_log"));
  Table table({{"INTERFACE"}, {"ZONE"}, {"ADDRESS"}, {"MAC"}, {"DEVICE"}});
  for (const auto& row : result.at("interfaces")) {
    table.add(
        {cell(row, "name"), cell(row, "zone"), cell(row, "address"), cell(row, "mac"), cell(row, "device")});
  }
  if (!table.empty()) out += '\n' + table.text();
  return out;
}

/// How much of its turns a worker found packets in.
std::string busy(const Json& row) {
  const auto found = row.at("turns_busy").get<double>();
  const auto turns = found + row.at("turns_idle").get<double>();
  return turns > 0 ? fmt::format("{:.0f} %", 100 * found / turns) : std::string(kNone);
}

std::string render_workers(const Json& result) {
  Table table({{"WORKER", Align::right},
               {"LCORE", Align::right},
               {"RX", Align::right},
               {"TX", Align::right},
               {"OUT", Align::right},
               {"IN", Align::right},
               {"HANDED OFF", Align::right},
               {"DROPS", Align::right},
               {"MAPPINGS", Align::right},
               {"CALLS", Align::right},
               {"PINHOLES", Align::right},
               {"PHONES", Align::right},
               {"BUSY", Align::right}});
  for (const auto& row : result.at("workers")) {
    table.add({cell(row, "worker"), cell(row, "lcore"), cell(row, "rx_packets"), cell(row, "tx_packets"),
               cell(row, "translated_out"), cell(row, "translated_in"), cell(row, "handoff_out"),
               cell(row, "drops"), cell(row, "mappings"), cell(row, "calls"), cell(row, "pinholes"),
               cell(row, "registrations"), busy(row)});
  }
  return table.text();
}

std::string mapping_kind(const Json& row) {
  return cell(row, "kind") + (row.at("sip").get<bool>() ? " sip" : "");
}

std::string render_mappings(const Json& result) {
  Table table({{"PROTOCOL"},
               {"INSIDE"},
               {"EXTERNAL"},
               {"REMOTE"},
               {"KIND"},
               {"CONNECTIONS", Align::right},
               {"IDLE", Align::right},
               {"EXPIRES", Align::right},
               {"OUT", Align::right},
               {"IN", Align::right},
               {"BYTES", Align::right},
               {"WORKER", Align::right}});
  for (const auto& row : result.at("mappings")) {
    table.add({cell(row, "protocol"), cell(row, "inside"), cell(row, "external"), cell(row, "remote"),
               mapping_kind(row), cell(row, "connections"), duration(row, "idle_s"),
               duration(row, "expires_s"), cell(row, "packets_out"), cell(row, "packets_in"),
               bytes(row, "bytes"), cell(row, "worker")});
  }
  return with_total(table, result, "mappings", "mapping");
}

std::string call_state(const Json& row) {
  auto state = cell(row, "state");
  if (!row.at("end_reason").is_null()) state += ": " + cell(row, "end_reason");
  return state;
}

std::string render_calls(const Json& result) {
  Table table({{"ID"},
               {"STATE"},
               {"DIRECTION"},
               {"FROM", Align::left, kUriWidth},
               {"TO", Align::left, kUriWidth},
               {"INSIDE"},
               {"OUTSIDE"},
               {"STARTED"},
               {"TALK", Align::right},
               {"PINHOLES", Align::right}});
  for (const auto& row : result.at("calls")) {
    table.add({cell(row, "id"), call_state(row), cell(row, "direction"), cell(row, "from"), cell(row, "to"),
               cell(row, "inside"), cell(row, "remote"), cell(row, "started"), duration(row, "duration_s"),
               cell(row, "pinholes")});
  }
  return with_total(table, result, "calls", "call");
}

Table pinhole_table(const Json& pinholes) {
  Table table({{"CALL"},
               {"INSIDE"},
               {"EXTERNAL"},
               {"REMOTE"},
               {"IDLE", Align::right},
               {"OUT", Align::right},
               {"IN", Align::right},
               {"BYTES", Align::right},
               {"WORKER", Align::right}});
  for (const auto& row : pinholes) {
    table.add({cell(row, "call"), cell(row, "inside"), cell(row, "external"), cell(row, "remote"),
               duration(row, "idle_s"), cell(row, "packets_out"), cell(row, "packets_in"),
               bytes(row, "bytes"), cell(row, "worker")});
  }
  return table;
}

/// "0.25 %"
std::string share(const Json& row, const char* key) {
  return fmt::format("{:.2f} %", 100 * row.at(key).get<double>());
}

std::string milliseconds(const Json& row, const char* key) {
  return fmt::format("{:.1f} ms", row.at(key).get<double>());
}

/// Two lines a port: what went out by it, and what came in.
Table media_table(const Json& media) {
  Table table({{"MEDIA"},
               {"WAY"},
               {"PACKETS", Align::right},
               {"BYTES", Align::right},
               {"LOST", Align::right},
               {"LOSS", Align::right},
               {"JITTER", Align::right},
               {"MOST", Align::right},
               {"GAP", Align::right}});
  const auto add = [&](const Json& row, const char* way, const char* packets, const char* size,
                       const char* rtp) {
    std::vector<std::string> cells = {
        fmt::format("{}{}", cell(row, "inside"), row.at("rtcp").get<bool>() ? " rtcp" : ""), way,
        cell(row, packets), row.at(size).is_null() ? std::string(kNone) : bytes(row, size)};
    const auto& measured = row.at(rtp);
    if (measured.is_null()) {
      cells.resize(cells.size() + 5, std::string(kNone));
    } else {
      cells.insert(cells.end(),
                   {cell(measured, "lost"), share(measured, "loss"), milliseconds(measured, "jitter_ms"),
                    milliseconds(measured, "jitter_max_ms"), milliseconds(measured, "gap_max_ms")});
    }
    table.add(cells);
  };
  for (const auto& row : media) {
    add(row, "out", "packets_out", "bytes_out", "rtp_out");
    add(row, "in", "packets_in", "bytes_in", "rtp_in");
  }
  return table;
}

std::string render_call(const Json& result) {
  const auto& call = result.at("call");
  auto out = fmt::format("call      {}  {}, {}, worker {}\n", cell(call, "id"), call_state(call),
                         cell(call, "direction"), cell(call, "worker"));
  out += fmt::format("Call-ID   {}\n", printable(cell(call, "call_id")));
  out += fmt::format("from      {}  tag {}\n", printable(cell(call, "from")),
                     printable(cell(result, "from_tag")));
  out +=
      fmt::format("to        {}  tag {}\n", printable(cell(call, "to")), printable(cell(result, "to_tag")));
  out += fmt::format("started   {}\n", cell(call, "started"));
  out += fmt::format("answered  {}\n", cell(call, "answered"));
  const bool is_known = !call.at("ended_by").is_null();
  out += fmt::format("ended     {}{}{}\n", cell(call, "ended"), is_known ? "  by " : "",
                     is_known ? cell(call, "ended_by") : "");
  out += fmt::format("talk      {}\n", duration(call, "duration_s"));
  if (const auto ladder = draw_ladder(result); !ladder.empty()) out += '\n' + ladder;
  if (const auto media = media_table(result.at("media")); !media.empty()) out += '\n' + media.text();
  const auto pinholes = pinhole_table(result.at("pinholes"));
  out += pinholes.empty() ? "\nno pinholes\n" : '\n' + pinholes.text();
  return out;
}

std::string render_messages(const Json& result) {
  Table table({{"TIME"},
               {"MESSAGE", Align::left, kUriWidth},
               {"INSIDE"},
               {"WAY"},
               {"OUTSIDE"},
               {"WHAT BECAME OF IT"}});
  const auto& messages = result.at("messages");
  for (const auto& row : messages) {
    const bool is_outbound = cell(row, "direction") == "outbound";
    table.add({cell(row, "time"), cell(row, "start"), cell(row, "inside"), is_outbound ? "→" : "←",
               cell(row, "remote"), row.at("dropped").is_null() ? edits_text(row) : cell(row, "dropped")});
  }
  auto text = with_total(table, result, "messages", "message");
  // Below its line of the table: what was done to each.
  auto at = text.find('\n');
  for (const auto& row : messages) {
    at = text.find('\n', at + 1);
    const auto explained = explain(row);
    text.insert(at + 1, explained);
    at += explained.size();
  }
  return text;
}

std::string render_hangup(const Json& result) {
  return fmt::format("{} ({}) is {} and will be ended\n", cell(result, "id"),
                     printable(cell(result, "call_id")), cell(result, "state"));
}

std::string render_pinholes(const Json& result) {
  return with_total(pinhole_table(result.at("pinholes")), result, "pinholes", "pinhole");
}

std::string render_registrations(const Json& result) {
  Table table({{"ADDRESS OF RECORD"},
               {"INSIDE"},
               {"EXTERNAL"},
               {"REGISTRAR"},
               {"EXPIRES", Align::right},
               {"WORKER", Align::right}});
  for (const auto& row : result.at("registrations")) {
    table.add({cell(row, "aor"), cell(row, "inside"), cell(row, "external"), cell(row, "registrar"),
               duration(row, "expires_s"), cell(row, "worker")});
  }
  return with_total(table, result, "registrations", "registration");
}

std::string render_subscriber(const Json& result) {
  Table table({{"INSIDE"}, {"EXTERNAL"}, {"PORTS"}, {"PROTOCOL"}, {"KNOWN BY"}, {"NUMBER", Align::right}});
  for (const auto& row : result.at("subscribers")) {
    const auto first = cell(row, "first_port");
    const auto last = cell(row, "last_port");
    table.add({cell(row, "inside"), cell(row, "external"),
               first == last ? first : fmt::format("{}-{}", first, last),
               row.at("protocol").is_null() ? "all" : cell(row, "protocol"), cell(row, "known_by"),
               cell(row, "number")});
  }
  const auto total = result.at("total").get<std::uint64_t>();
  const auto shown = result.at("subscribers").size();
  if (shown == total) return table.text();
  return fmt::format("{}{} of {}\n", table.text(), shown, total);
}

std::string render_bans(const Json& result) {
  Table table({{"PREFIX"},
               {"REASON"},
               {"DETAIL", Align::left, kUriWidth},
               {"SINCE"},
               {"LEFT", Align::right},
               {"LEVEL", Align::right},
               {"HITS", Align::right}});
  for (const auto& row : result.at("bans")) {
    const auto reason = cell(row, "reason") + (row.at("allowed").get<bool>() ? " (allowed)" : "");
    table.add({cell(row, "prefix"), reason, cell(row, "detail"), cell(row, "since"), duration(row, "left_s"),
               cell(row, "level"), cell(row, "hits")});
  }
  auto out = with_total(table, result, "bans", "ban");
  if (!result.at("store_problem").is_null()) {
    out += fmt::format("NOT KEPT over a restart: {}\n", printable(cell(result, "store_problem")));
  }
  return out;
}

std::string render_ban(const Json& result) {
  return fmt::format("{} is banned for {}{}\n", cell(result, "prefix"), duration(result, "left_s"),
                     result.at("allowed").get<bool>() ? ", but allowed, which wins" : "");
}

std::string render_allowed(const Json& result) {
  Table table({{"PREFIX"}, {"BY"}});
  for (const auto& row : result.at("allowed")) {
    table.add({cell(row, "prefix"), row.at("configured").get<bool>() ? "configuration" : "operator"});
  }
  return table.empty() ? "nobody is allowed more than others\n" : table.text();
}

std::string render_capture(const Json& result) {
  const auto state = cell(result, "state");
  if (state == "none") return "no capture yet\n";
  auto out = fmt::format("{}: {} written ({}), {} not (ring full)", printable(cell(result, "file")),
                         plural(result.at("packets").get<std::uint64_t>(), "packet"), bytes(result, "bytes"),
                         cell(result, "lost"));
  return out + (state == "ended" ? fmt::format("; ended: {}\n", cell(result, "ended_by"))
                                 : fmt::format("; {}\n", state));
}

std::string render_stats(const Json& result) {
  const auto& counters = result.at("counters");
  if (counters.empty()) return "no counters\n";
  std::size_t workers = 0;
  for (const auto& row : counters) workers = std::max(workers, row.at("per_worker").size());
  // With one worker its column would repeat the total.
  if (workers == 1) workers = 0;
  std::vector<std::string> titles;
  for (std::size_t worker = 0; worker < workers; ++worker) titles.push_back(fmt::format("W{}", worker));

  std::vector<Table::Column> columns = {{"MODULE"}, {"COUNTER"}, {"TOTAL", Align::right}};
  for (const auto& title : titles) columns.push_back({title, Align::right});
  columns.push_back({"WHAT IT COUNTS", Align::left, 100});
  Table table(std::move(columns));
  for (const auto& row : counters) {
    std::vector<std::string> cells = {cell(row, "module"), cell(row, "name"), cell(row, "total")};
    const auto& per_worker = row.at("per_worker");
    for (std::size_t worker = 0; worker < workers; ++worker) {
      cells.push_back(worker < per_worker.size() ? per_worker[worker].dump() : std::string(kNone));
    }
    cells.push_back(cell(row, "help"));
    table.add(cells);
  }
  return table.text();
}

std::string claims_of(const Json& plugin) {
  std::string out;
  for (const auto& claim : plugin.at("claims"))
    out += fmt::format("{}{} {}", out.empty() ? "" : ", ", cell(claim, "protocol"), cell(claim, "port"));
  return out;
}

/// "on", as the switch says, or that it was stopped for its faults, and where.
std::string state_of(const Json& plugin) {
  const auto& stopped = plugin.at("stopped_workers");
  if (!stopped.empty()) {
    std::string out = "STOPPED on worker";
    for (const auto& worker : stopped) out += fmt::format(" {}", worker.get<std::uint32_t>());
    return out;
  }
  if (plugin.at("switch").is_null()) return std::string(kNone);
  auto out = render_sip(plugin.at("switch"));
  out.pop_back();
  return out;
}

/// One line each, and below what they have counted.
std::string render_plugins(const Json& result) {
  const auto& plugins = result.at("plugins");
  if (plugins.empty()) return "no gateways\n";
  Table table({{"NAME"}, {"VERSION"}, {"CLAIMS"}, {"STATE"}, {"FAULTS", Align::right}, {"FILE"}});
  Json counters = Json::array();
  for (const auto& row : plugins) {
    table.add({cell(row, "name"), cell(row, "version"), claims_of(row), state_of(row), cell(row, "faults"),
               row.at("file").is_null() ? "built in" : cell(row, "file")});
    for (auto counter : row.at("counters")) {
      if (counter.at("total") == 0) continue;
      counter["module"] = row.at("name");
      counters.push_back(std::move(counter));
    }
  }
  if (counters.empty()) return table.text();
  return table.text() + '\n' + render_stats({{"counters", std::move(counters)}});
}

std::string render_rules(const Json& result) {
  const auto& rules = result.at("rules");
  if (rules.empty()) return "no rules\n";
  Table table({{"RULE"}, {"APPLICATION"}, {"ACTION"}, {"HITS", Align::right}});
  for (const auto& row : rules) {
    table.add({cell(row, "name"), cell(row, "application"), cell(row, "action"), cell(row, "hits")});
  }
  return table.text();
}

std::string render_reload(const Json& result) {
  std::string out;
  for (const auto& key : result.at("changed")) {
    out += fmt::format("{}{}", out.empty() ? "changed: " : ", ", printable(key.get<std::string>()));
  }
  out = out.empty() ? "in force again, as it was" : out;
  if (!result.at("settled").get<bool>()) out += " (not all workers have heard of it yet)";
  return out + '\n';
}

std::string render_config(const Json& result) {
  return json_text(result.at("config"));
}

std::string render_version(const Json& result) {
  return fmt::format("pinhole-control {}\n", printable(cell(result, "version")));
}

struct Renderer {
  std::string_view command;
  std::string (*render)(const Json& result);
};

constexpr std::array kRenderers = {
    Renderer{"status", render_status},
    Renderer{"workers", render_workers},
    Renderer{"mappings", render_mappings},
    Renderer{"calls", render_calls},
    Renderer{"call", render_call},
    Renderer{"messages", render_messages},
    Renderer{"hangup", render_hangup},
    Renderer{"pinholes", render_pinholes},
    Renderer{"registrations", render_registrations},
    Renderer{"subscriber", render_subscriber},
    Renderer{"sip.show", render_sip},
    Renderer{"sip.on", render_sip},
    Renderer{"sip.off", render_sip},
    Renderer{"alg.show", render_algs},
    Renderer{"alg.on", render_alg},
    Renderer{"alg.off", render_alg},
    Renderer{"plugins", render_plugins},
    Renderer{"rules", render_rules},
    Renderer{"reload", render_reload},
    Renderer{"capture.start", render_capture},
    Renderer{"capture.stop", render_capture},
    Renderer{"capture.status", render_capture},
    Renderer{"ban.list", render_bans},
    Renderer{"ban.add", render_ban},
    Renderer{"ban.lift", render_bans},
    Renderer{"allow.list", render_allowed},
    Renderer{"allow.add", render_allowed},
    Renderer{"allow.remove", render_allowed},
    Renderer{"stats", render_stats},
    Renderer{"config.show", render_config},
    Renderer{"version", render_version},
};

}  // namespace

std::string json_text(const Json& document) {
  return document.dump(2, ' ', true, Json::error_handler_t::replace) + '\n';
}

std::string render(std::string_view command, const Json& result) {
  const auto* const found = std::find_if(kRenderers.begin(), kRenderers.end(),
                                         [&](const Renderer& r) { return r.command == command; });
  return found == kRenderers.end() ? json_text(result) : found->render(result);
}

bool is_empty_list(const Json& result) {
  if (!result.is_object()) return false;
  if (const auto total = result.find("total"); total != result.end()) return *total == 0;
  const auto counters = result.find("counters");
  return counters != result.end() && counters->empty();
}

}  // namespace pinhole::control
