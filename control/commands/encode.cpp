// SPDX-License-Identifier: BSD-3-Clause
#include "control/commands/encode.hpp"

#include <fmt/chrono.h>
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <string_view>

namespace pinhole::control {
namespace {

using std::chrono::duration_cast;
using std::chrono::milliseconds;
using std::chrono::seconds;

Json text(nat::Endpoint endpoint) {
  return std::string(nat::EndpointText(endpoint).view());
}

Json text(const std::optional<nat::Endpoint>& endpoint) {
  return endpoint ? text(*endpoint) : Json(nullptr);
}

Json text(nat::Prefix prefix) {
  return fmt::format("{}/{}", nat::EndpointText(prefix.address).view(), prefix.length);
}

Json text(const std::optional<Time>& time) {
  return time ? Json(utc(*time)) : Json(nullptr);
}

template <typename T>
Json or_null(const std::optional<T>& value) {
  return value ? Json(*value) : Json(nullptr);
}

// A clock that was set back in between shows nothing negative.
std::int64_t seconds_between(Time from, Time to) {
  return std::max<std::int64_t>(0, duration_cast<seconds>(to - from).count());
}

std::string_view name(DataplaneState state) noexcept {
  constexpr std::array<std::string_view, 3> kNames = {"starting", "up", "lost"};
  return kNames.at(static_cast<std::size_t>(state));
}

std::string_view name(alg::sip::RuleAction action) noexcept {
  constexpr std::array<std::string_view, 5> kNames = {"pass", "log", "drop", "refuse", "ban"};
  return kNames.at(static_cast<std::size_t>(action));
}

std::string_view name(MappingKind kind) noexcept {
  constexpr std::array<std::string_view, 3> kNames = {"dynamic", "forward", "pinhole"};
  return kNames.at(static_cast<std::size_t>(kind));
}

std::string_view name(nat::Filter filter) noexcept {
  constexpr std::array<std::string_view, 4> kNames = {"endpoint_independent", "address_dependent",
                                                      "address_and_port_dependent", "expected"};
  return kNames.at(static_cast<std::size_t>(filter));
}

std::string_view name(nat::TimeoutClass timeout) noexcept {
  constexpr std::array<std::string_view, 7> kNames = {"udp",  "tcp_established", "tcp_opening", "tcp_closing",
                                                      "icmp", "media",           "permanent"};
  return kNames.at(static_cast<std::size_t>(timeout));
}

std::string_view name(config::Zone zone) noexcept {
  return zone == config::Zone::inside ? "inside" : "outside";
}

std::string_view name(alg::Direction direction) noexcept {
  return direction == alg::Direction::outbound ? "outbound" : "inbound";
}

Json encode(const InterfaceRow& row) {
  return Json{{"name", row.name},
              {"zone", name(row.zone)},
              {"address", text(row.address)},
              {"device", row.device},
              {"mac", row.mac}};
}

template <typename Row>
Json encode_all(const std::vector<Row>& rows) {
  Json list = Json::array();
  for (const auto& row : rows) list.push_back(encode(row));
  return list;
}

std::string_view name(ipc::WhyKind kind) noexcept {
  constexpr std::array<std::string_view, 4> kNames = {"edit", "opened", "kept", "expected"};
  const auto index = static_cast<std::size_t>(kind);
  return index < kNames.size() ? kNames[index] : "?";
}

Json encode_why(const LadderLine& line) {
  Json list = Json::array();
  for (const auto& record : line.why) {
    list.push_back(
        Json{{"kind", name(record.kind)},
             {"rule", record.kind == ipc::WhyKind::edit ? Json(alg::text(record.rule)) : Json(nullptr)},
             {"before", record.before},
             {"after", record.after}});
  }
  return list;
}

// Adds what is known of a message to what its list begins a row with.
void add_line(Json& row, const LadderLine& line, bool why) {
  row["direction"] = name(line.direction);
  row["start"] = line.start;
  row["status"] = line.status == 0 ? Json(nullptr) : Json(line.status);
  row["cseq"] = line.cseq;
  row["has_sdp"] = line.has_sdp;
  row["edits"] = line.edits;
  row["inside"] = text(line.inside);
  row["external"] = text(line.external);
  row["remote"] = text(line.remote);
  if (!why) return;
  row["why"] = encode_why(line);
  row["why_lost"] = line.why_told - std::min<std::size_t>(line.why_told, line.why.size());
}

Json encode_ladder(const std::vector<LadderLine>& ladder, bool why) {
  Json list = Json::array();
  for (const auto& line : ladder) {
    const auto offset = duration_cast<milliseconds>(line.time - ladder.front().time);
    list.push_back(Json{{"time", utc(line.time)}, {"offset_ms", offset.count()}});
    add_line(list.back(), line, why);
  }
  return list;
}

Json encode_rtp(const std::optional<RtpRow>& row) {
  if (!row) return nullptr;
  const auto ms = [](std::uint32_t us) { return us / 1000.0; };
  const auto sent = row->packets + row->lost;
  constexpr double kPlaces = 1e6;
  const double loss = sent == 0 ? 0.0 : static_cast<double>(row->lost) / static_cast<double>(sent);
  return Json{{"packets", row->packets},
              {"lost", row->lost},
              {"loss", std::round(loss * kPlaces) / kPlaces},
              {"repeated", row->repeated},
              {"sources", row->sources},
              {"jitter_ms", ms(row->jitter_us)},
              {"jitter_max_ms", ms(row->jitter_max_us)},
              {"gap_max_ms", ms(row->gap_max_us)}};
}

Json encode_dataplane(const Status& status) {
  Json document = {{"state", name(status.dataplane)}, {"since", utc(status.dataplane_since)}};
  const bool is_known = status.dataplane != DataplaneState::starting;
  const bool is_up = status.dataplane == DataplaneState::up;
  document["pid"] = is_known ? Json(status.dataplane_pid) : Json(nullptr);
  document["started"] = is_known ? Json(utc(status.dataplane_started)) : Json(nullptr);
  document["uptime_s"] = is_up ? Json(seconds_between(status.dataplane_started, status.now)) : Json(nullptr);
  document["abi_version"] = is_known ? Json(status.abi_version) : Json(nullptr);
  document["workers"] = is_known ? Json(status.workers) : Json(nullptr);
  document["plan_differs"] = is_known ? Json(status.plan_differs) : Json(nullptr);
  return document;
}

Json encode_nat_log(const std::optional<NatLogRow>& row) {
  if (!row) return nullptr;
  const auto or_none = [](const std::string& value) { return value.empty() ? Json(nullptr) : Json(value); };
  return Json{{"file", or_none(row->file)},        {"file_problem", or_none(row->file_problem)},
              {"collector", text(row->collector)}, {"collector_problem", or_none(row->collector_problem)},
              {"received", row->received},         {"lost", row->lost},
              {"written", row->written},           {"unwritten", row->unwritten},
              {"exported", row->exported},         {"unsent", row->unsent}};
}

}  // namespace

std::string utc(Time time) {
  const auto since_epoch = duration_cast<milliseconds>(time.time_since_epoch());
  const auto whole = std::chrono::floor<seconds>(since_epoch);
  return fmt::format("{:%Y-%m-%dT%H:%M:%S}.{:03}Z", fmt::gmtime(static_cast<std::time_t>(whole.count())),
                     (since_epoch - whole).count());
}

Json encode(const Status& status) {
  return Json{{"version", status.version},
              {"config_path", status.config_path},
              {"time", utc(status.now)},
              {"control",
               {{"pid", status.control_pid},
                {"started", utc(status.control_started)},
                {"uptime_s", seconds_between(status.control_started, status.now)}}},
              {"dataplane", encode_dataplane(status)},
              {"interfaces", encode_all(status.interfaces)},
              {"live",
               {{"calls", status.calls},
                {"registrations", status.registrations},
                {"mappings", status.mappings},
                {"pinholes", status.pinholes},
                {"mbufs", status.mbufs_in_use}}},
              {"events", {{"received", status.events_received}, {"lost", status.events_lost}}},
              {"sip", status.sip ? encode(*status.sip) : Json(nullptr)},
              {"nat_log", encode_nat_log(status.nat_log)}};
}

Json encode(const AlgRow& row) {
  Json hosts = Json::array();
  for (const auto& rule : row.hosts) hosts.push_back({{"prefix", text(rule.hosts)}, {"on", rule.on}});
  return Json{{"on", row.on},
              {"interfaces_off", row.interfaces_off},
              {"hosts", std::move(hosts)},
              {"generation", row.generation},
              {"settled", row.settled}};
}

Json encode_named(const AlgRow& row) {
  Json named{{"name", row.name}};
  named.update(encode(row));
  return named;
}

Json encode(const GatewayRow& row) {
  Json claims = Json::array();
  for (const auto& claim : row.claims)
    claims.push_back({{"protocol", nat::name(claim.protocol)}, {"port", claim.port}});
  return Json{{"name", row.name},
              {"version", row.version},
              {"file", row.file.empty() ? Json(nullptr) : Json(row.file)},
              {"claims", std::move(claims)},
              {"switch", row.alg ? encode(*row.alg) : Json(nullptr)},
              {"budget_us", row.budget_us},
              {"max_faults", row.max_faults},
              {"faults", row.faults},
              {"stopped_workers", row.stopped_workers},
              {"counters", encode_all(row.counters)}};
}

Json encode(const CaptureRow& row) {
  const bool is_known = !row.file.empty();
  return Json{{"state", row.state},
              {"file", is_known ? Json(row.file) : Json(nullptr)},
              {"started", is_known ? Json(utc(row.started)) : Json(nullptr)},
              {"ended", text(row.ended)},
              {"ended_by", row.ended_by.empty() ? Json(nullptr) : Json(row.ended_by)},
              {"packets", row.packets},
              {"lost", row.lost},
              {"bytes", row.bytes}};
}

Json encode(const RuleRow& row) {
  return Json{{"name", row.name},
              {"application", row.application},
              {"action", name(row.action)},
              {"hits", row.hits},
              {"per_worker", row.per_worker}};
}

Json encode(const ReloadRow& row) {
  return Json{{"changed", row.changed}, {"generation", row.generation}, {"settled", row.settled}};
}

Json encode(const WorkerRow& row) {
  return Json{{"worker", row.worker},
              {"lcore", row.lcore},
              {"rx_packets", row.rx_packets},
              {"rx_bytes", row.rx_bytes},
              {"tx_packets", row.tx_packets},
              {"tx_bytes", row.tx_bytes},
              {"translated_out", row.translated_out},
              {"translated_in", row.translated_in},
              {"handoff_out", row.handoff_out},
              {"handoff_in", row.handoff_in},
              {"drops", row.drops},
              {"mappings", row.mappings},
              {"mapping_capacity", row.mapping_capacity},
              {"calls", row.calls},
              {"pinholes", row.pinholes},
              {"registrations", row.registrations},
              {"event_lost", row.event_lost},
              {"turns_busy", row.turns_busy},
              {"turns_idle", row.turns_idle}};
}

Json encode(const MappingRow& row) {
  return Json{{"worker", row.worker},
              {"protocol", nat::name(row.protocol)},
              {"kind", name(row.kind)},
              {"sip", row.sip},
              {"inside", text(row.inside)},
              {"external", text(row.external)},
              {"remote", text(row.remote)},
              {"filter", name(row.filter)},
              {"timeout_class", name(row.timeout_class)},
              {"connections", row.connections ? Json(*row.connections) : Json(nullptr)},
              {"idle_s", row.idle_s},
              {"expires_s", or_null(row.expires_s)},
              {"packets_out", row.packets_out},
              {"packets_in", row.packets_in},
              {"bytes", row.bytes}};
}

std::string_view name(EndedBy side) noexcept {
  switch (side) {
    case EndedBy::inside:
      return "inside";
    case EndedBy::outside:
      return "outside";
    case EndedBy::pinhole:
      return "pinhole";
    case EndedBy::unknown:
      break;
  }
  return "unknown";
}

Json encode(const CallRow& row, Time now) {
  const bool has_ended = row.step.state == ipc::CallState::ended;
  const auto duration =
      row.answered ? Json(seconds_between(*row.answered, row.ended.value_or(now))) : Json(nullptr);
  return Json{{"id", row.id},
              {"call_id", row.call_id},
              {"state", ipc::name(row.step.state)},
              {"end_reason", has_ended ? Json(ipc::name(row.step.reason)) : Json(nullptr)},
              {"ended_by", row.ended_by == EndedBy::unknown ? Json(nullptr) : Json(name(row.ended_by))},
              {"direction", row.outbound ? "outbound" : "inbound"},
              {"worker", row.worker},
              {"from", row.from_uri},
              {"to", row.to_uri},
              {"inside", text(row.inside)},
              {"external", text(row.external)},
              {"remote", text(row.remote)},
              {"started", utc(row.started)},
              {"answered", text(row.answered)},
              {"ended", text(row.ended)},
              {"duration_s", duration},
              {"pinholes", row.pinholes}};
}

Json encode(const MediaRecord& media) {
  const auto& usage = media.usage;
  const auto& measured = usage.measured;
  return Json{{"protocol", nat::name(media.protocol)},
              {"rtcp", media.is_rtcp},
              {"inside", text(media.inside)},
              {"external", text(media.external)},
              {"remote", text(media.remote)},
              {"packets_out", usage.packets_out},
              {"packets_in", usage.packets_in},
              {"bytes", usage.bytes},
              {"bytes_out", measured ? Json(measured->bytes_out) : Json(nullptr)},
              {"bytes_in", measured ? Json(measured->bytes_in) : Json(nullptr)},
              {"rtp_out", measured ? encode_rtp(measured->rtp_out) : Json(nullptr)},
              {"rtp_in", measured ? encode_rtp(measured->rtp_in) : Json(nullptr)}};
}

Json encode(const CallDetail& detail, Time now, bool why) {
  return Json{{"call", encode(detail.call, now)},
              {"from_tag", detail.from_tag},
              {"to_tag", detail.to_tag},
              {"ladder_missing", detail.ladder_missing},
              {"ladder", encode_ladder(detail.ladder, why)},
              {"media", encode_all(detail.media)},
              {"pinholes", encode_all(detail.pinholes)}};
}

Json encode(const MessageRow& message, bool why) {
  const bool went_on = message.drop == nat::DropReason::none;
  Json row{{"time", utc(message.line.time)}, {"worker", message.worker}};
  add_line(row, message.line, why);
  row["dropped"] = went_on ? Json(nullptr) : Json(nat::name(message.drop));
  return row;
}

Json encode(const PinholeRow& row) {
  return Json{{"call", row.call},
              {"worker", row.worker},
              {"inside", text(row.inside)},
              {"external", text(row.external)},
              {"remote", text(row.remote)},
              {"idle_s", row.idle_s},
              {"packets_out", row.packets_out},
              {"packets_in", row.packets_in},
              {"bytes", row.bytes}};
}

Json encode(const RegistrationRow& row) {
  return Json{{"aor", row.aor},
              {"worker", row.worker},
              {"inside", text(row.inside)},
              {"external", text(row.external)},
              {"registrar", text(row.registrar)},
              {"expires_s", row.expires_s}};
}

Json encode(const BanRow& row, Time now) {
  return Json{{"prefix", text(row.prefix)},
              {"reason", ipc::name(row.reason)},
              {"detail", row.detail},
              {"proven", row.proven},
              {"since", utc(row.since)},
              {"until", utc(row.until)},
              {"left_s", seconds_between(now, row.until)},
              {"level", row.level},
              {"hits", row.hits},
              {"allowed", row.allowed}};
}

Json encode(const AllowRow& row) {
  return Json{{"prefix", text(row.prefix)}, {"configured", row.configured}};
}

Json encode(const CounterRow& row) {
  return Json{{"module", row.module},
              {"name", row.name},
              {"total", row.total},
              {"per_worker", row.per_worker},
              {"help", row.help}};
}

}  // namespace pinhole::control
