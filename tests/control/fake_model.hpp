// SPDX-License-Identifier: BSD-3-Clause
#pragma once
// A Model over a few vectors, with a fixed clock: what the tests of commands, server and pinholectl show.

#include "control/model.hpp"

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace pinhole::control {

inline nat::Endpoint endpoint(std::string_view address, std::uint16_t port) {
  return {nat::Ipv4Address::parse(address).value(), nat::Be16{port}};
}

/// 2026-01-02T03:04:05.006Z and so many milliseconds.
inline Time at_ms(std::int64_t milliseconds) {
  return Time(std::chrono::milliseconds(1'767'323'045'006 + milliseconds));
}

class FakeModel : public Model {
 public:
  Status now;
  std::vector<WorkerRow> worker_rows;
  std::vector<MappingRow> mapping_rows;
  std::vector<CallDetail> call_details;
  std::vector<RegistrationRow> registration_rows;
  std::vector<MessageRow> message_rows;
  std::vector<BanRow> ban_rows;
  std::vector<AllowRow> allow_rows;
  std::vector<CounterRow> counter_rows;
  std::optional<std::vector<RuleRow>> rule_rows{std::vector<RuleRow>{}};
  std::vector<GatewayRow> gateway_rows;
  config::Config config_value;
  std::string config_text = R"({"interfaces": []})";

  [[nodiscard]] Status status() const override { return now; }
  [[nodiscard]] std::vector<WorkerRow> workers() const override { return worker_rows; }

  [[nodiscard]] Paged<MappingRow> mappings(const MappingFilter& filter, Page page) const override {
    std::vector<MappingRow> rows;
    for (const auto& row : mapping_rows) {
      if (filter.protocol && row.protocol != *filter.protocol) continue;
      if (filter.inside && !filter.inside->matches(row.inside)) continue;
      if (filter.external && !filter.external->matches(row.external)) continue;
      if (filter.remote && !(row.remote && filter.remote->matches(*row.remote))) continue;
      rows.push_back(row);
    }
    return cut(rows, page);
  }

  [[nodiscard]] Paged<CallRow> calls(const CallFilter& filter, Page page) const override {
    std::vector<CallRow> rows;
    for (const auto& detail : call_details) {
      const auto& row = detail.call;
      if (filter.live_only && row.step.state == ipc::CallState::ended) continue;
      if (filter.inside && !filter.inside->matches(row.inside)) continue;
      if ((row.from_uri + ' ' + row.to_uri).find(filter.party) == std::string::npos) continue;
      rows.push_back(row);
    }
    return cut(rows, page);
  }

  [[nodiscard]] std::vector<CallRow> find_calls(std::string_view prefix, std::size_t limit) const override {
    std::vector<CallRow> rows;
    for (const auto& detail : call_details) {
      const auto& row = detail.call;
      if (row.id == prefix || row.call_id == prefix) return {row};
      if (rows.size() < limit && (row.id.starts_with(prefix) || row.call_id.starts_with(prefix))) {
        rows.push_back(row);
      }
    }
    return rows;
  }

  [[nodiscard]] std::optional<CallDetail> call(std::string_view id) const override {
    const auto found = std::find_if(call_details.begin(), call_details.end(),
                                    [&](const CallDetail& detail) { return detail.call.id == id; });
    return found == call_details.end() ? std::nullopt : std::optional(*found);
  }

  [[nodiscard]] Paged<PinholeRow> pinholes(std::string_view call, Page page) const override {
    std::vector<PinholeRow> rows;
    for (const auto& detail : call_details) {
      if (!call.empty() && detail.call.id != call) continue;
      rows.insert(rows.end(), detail.pinholes.begin(), detail.pinholes.end());
    }
    return cut(rows, page);
  }

  [[nodiscard]] Paged<RegistrationRow> registrations(std::string_view aor, Page page) const override {
    std::vector<RegistrationRow> rows;
    for (const auto& row : registration_rows) {
      if (row.aor.find(aor) != std::string::npos) rows.push_back(row);
    }
    return cut(rows, page);
  }

  [[nodiscard]] Paged<MessageRow> messages(const MessageFilter& filter, Page page) const override {
    std::vector<MessageRow> rows;
    for (const auto& row : message_rows) {
      if (filter.dropped_only && row.drop == nat::DropReason::none) continue;
      if (filter.inside && !filter.inside->matches(row.line.inside)) continue;
      if (filter.remote && !filter.remote->matches(row.line.remote)) continue;
      rows.push_back(row);
    }
    return cut(rows, page);
  }

  [[nodiscard]] BanList bans(Page page) const override {
    return {.bans = cut(ban_rows, page), .problem = {}};
  }
  [[nodiscard]] std::vector<AllowRow> allow_list() const override { return allow_rows; }
  [[nodiscard]] std::vector<CounterRow> counters() const override { return counter_rows; }
  [[nodiscard]] std::optional<std::vector<RuleRow>> rules() const override { return rule_rows; }
  [[nodiscard]] std::optional<std::vector<AlgRow>> algs() const override {
    if (!now.sip) return std::nullopt;
    std::vector<AlgRow> rows{*now.sip};
    for (const auto& gateway : gateway_rows) rows.push_back(gateway.alg.value());
    return rows;
  }
  [[nodiscard]] std::vector<GatewayRow> gateways() const override { return gateway_rows; }
  [[nodiscard]] const config::Config& config() const override { return config_value; }
  [[nodiscard]] std::string configuration() const override { return config_text; }
  [[nodiscard]] Controls& controls() const override { return turns; }

  /// Does what it is told, and remembers what that was.
  class Turns final : public Controls {
   public:
    Result<AlgRow> turn_alg(const AlgTurn& turn) override {
      last = turn;
      AlgRow row{.name = turn.alg, .on = turn.on, .generation = 4};
      if (!turn.interface.empty() || turn.hosts) row.on = true;
      if (!turn.interface.empty() && !turn.on) row.interfaces_off.push_back(turn.interface);
      if (turn.hosts) row.hosts.push_back({*turn.hosts, turn.on});
      return row;
    }
    std::optional<AlgTurn> last;

    Result<ReloadRow> reload() override {
      if (reload_error) return *reload_error;
      return ReloadRow{.changed = {"protection.rules", "sip.enabled"}, .generation = 5};
    }
    std::optional<Error> reload_error;

    Result<CaptureRow> start_capture(const CaptureOrder& order) override {
      ordered = order;
      return CaptureRow{.state = "starting",
                        .file = order.file,
                        .started = at_ms(0),
                        .ended = {},
                        .ended_by = {},
                        .bytes = 256};
    }
    CaptureRow stop_capture() override {
      auto row = capture();
      row.state = "ended";
      row.ended = at_ms(0);
      row.ended_by = "stopped";
      return row;
    }
    CaptureRow capture() override {
      return {.state = "running",
              .file = "/tmp/call.pcapng",
              .started = at_ms(-5'000),
              .ended = {},
              .ended_by = {},
              .packets = 412,
              .lost = 0,
              .bytes = 109'000};
    }
    std::optional<CaptureOrder> ordered;

    Result<BanRow> add_ban(const BanOrderRow& order) override {
      banned = order;
      return BanRow{.prefix = order.prefix,
                    .proven = true,
                    .detail = order.note,
                    .since = at_ms(0),
                    .until = at_ms(1000 * std::int64_t{order.seconds})};
    }
    Result<void> lift_ban(nat::Prefix prefix) override {
      lifted = prefix;
      return {};
    }
    Result<void> allow(nat::Prefix prefix) override {
      allowed = prefix;
      return {};
    }
    Result<void> disallow(nat::Prefix prefix) override {
      disallowed = prefix;
      return {};
    }
    std::optional<BanOrderRow> banned;
    std::optional<nat::Prefix> lifted;
    std::optional<nat::Prefix> allowed;
    std::optional<nat::Prefix> disallowed;
    Result<CallRow> hang_up(const std::string& id) override {
      hung_up = id;
      if (id != living.id) return Error{ErrorCode::conflict, "the call is over"};
      return living;
    }
    std::string hung_up;
    CallRow living;  // the only call that can be hung up
  };
  mutable Turns turns;

 private:
  template <typename Row>
  static Paged<Row> cut(const std::vector<Row>& all, Page page) {
    const auto begin = std::min(page.offset, all.size());
    const auto end = begin + std::min(page.limit, all.size() - begin);
    const auto at = [&](std::size_t index) { return all.begin() + static_cast<std::ptrdiff_t>(index); };
    return {{at(begin), at(end)}, all.size()};
  }
};

/// What a command that cannot do without is asked for over the sample model; empty: it needs nothing.
struct NeededParameter {
  std::string_view name;
  std::string_view value;
};
inline NeededParameter needed_parameter(std::string_view command) {
  if (command == "call" || command == "hangup") return {"id", "3f2a"};
  if (command == "subscriber") return {"endpoint", "10.0.0.5"};
  if (command == "ban.add" || command == "ban.lift" || command == "allow.add" || command == "allow.remove")
    return {"prefix", "198.51.100.66"};
  if (command == "alg.on" || command == "alg.off") return {"name", "tftp"};
  if (command == "capture.start") return {"file", "/tmp/call.pcapng"};
  return {};
}

inline CallDetail sample_call() {
  CallDetail detail;
  detail.call = {.id = "3f2a91c04de85b76",
                 .call_id = "1-4242@10.0.0.5",
                 .step = {ipc::CallState::confirmed, ipc::EndReason::none},
                 .outbound = true,
                 .worker = 1,
                 .from_uri = "sip:alice@example.com",
                 .to_uri = "sip:bob@example.com",
                 .inside = endpoint("10.0.0.5", 5060),
                 .external = endpoint("198.51.100.1", 40000),
                 .remote = endpoint("203.0.113.9", 5060),
                 .started = at_ms(-65'000),
                 .answered = at_ms(-62'000),
                 .ended = std::nullopt,
                 .pinholes = 2};
  detail.from_tag = "a1";
  detail.to_tag = "b2";
  const auto line = [&](std::int64_t milliseconds, alg::Direction direction, std::uint16_t status,
                        const char* start, bool has_sdp, std::uint32_t edits) {
    detail.ladder.push_back({.time = at_ms(-65'000 + milliseconds),
                             .direction = direction,
                             .status = status,
                             .start = start,
                             .cseq = 1,
                             .has_sdp = has_sdp,
                             .edits = edits,
                             .inside = detail.call.inside,
                             .external = detail.call.external,
                             .remote = detail.call.remote});
  };
  line(0, alg::Direction::outbound, 0, "INVITE", true, 6);
  line(12, alg::Direction::inbound, 180, "180 Ringing", false, 1);
  line(3'000, alg::Direction::inbound, 200, "200 OK", true, 1);
  line(3'020, alg::Direction::outbound, 0, "ACK", false, 0);
  for (const auto port : {std::uint16_t{20000}, std::uint16_t{20001}}) {
    detail.pinholes.push_back({.call = detail.call.id,
                               .worker = 1,
                               .inside = endpoint("10.0.0.5", port),
                               .external = endpoint("198.51.100.1", static_cast<std::uint16_t>(port + 10000)),
                               .remote = endpoint("203.0.113.9", port),
                               .idle_s = 0,
                               .packets_out = 3100,
                               .packets_in = 3098,
                               .bytes = 1'239'600});
    const bool is_rtcp = port == 20001;
    detail.media.push_back(
        {.inside = endpoint("10.0.0.5", port),
         .external = endpoint("198.51.100.1", static_cast<std::uint16_t>(port + 10000)),
         .remote = endpoint("203.0.113.9", port),
         .is_rtcp = is_rtcp,
         .before = {},
         .usage = {
             .packets_out = 3100,
             .packets_in = 3098,
             .bytes = 1'239'600,
             .measured = Measured{.bytes_out = 620'000, .bytes_in = 619'600, .rtp_out = {}, .rtp_in = {}}}});
    if (is_rtcp) continue;
    detail.media.back().usage.measured->rtp_out = {
        .packets = 3100, .sources = 1, .jitter_us = 250, .jitter_max_us = 900, .gap_max_us = 21'500};
    detail.media.back().usage.measured->rtp_in = {.packets = 3098,
                                                  .lost = 2,
                                                  .repeated = 1,
                                                  .sources = 1,
                                                  .jitter_us = 3125,
                                                  .jitter_max_us = 8000,
                                                  .gap_max_us = 61'000};
  }
  return detail;
}

/// One of everything.
inline FakeModel sample_model() {
  FakeModel model;
  model.now = {.version = "0.1.0",
               .config_path = "/etc/pinhole.json",
               .control_pid = 812,
               .control_started = at_ms(-7'400'000),
               .now = at_ms(0),
               .dataplane = DataplaneState::up,
               .dataplane_since = at_ms(-7'399'000),
               .dataplane_pid = 790,
               .dataplane_started = at_ms(-7'401'000),
               .abi_version = 1,
               .workers = 2,
               .interfaces = {{"lan", "net_af_packet0,iface=eth1", config::Zone::inside,
                               nat::Prefix::parse("10.0.0.1/24").value(), "02:00:00:00:00:01"},
                              {"wan", "0000:01:00.1", config::Zone::outside,
                               nat::Prefix::parse("198.51.100.1/29").value(), "02:00:00:00:00:02"}},
               .calls = 1,
               .registrations = 1,
               .mappings = 3,
               .pinholes = 2,
               .mbufs_in_use = 512,
               .events_received = 4,
               .events_lost = 0,
               .sip = AlgRow{.on = true,
                             .interfaces_off = {},
                             .hosts = {{nat::Prefix::parse("10.0.0.64/26").value(), false}},
                             .generation = 3,
                             .settled = true},
               .nat_log = NatLogRow{
                   .file = "/var/log/pinhole/nat.jsonl",
                   .file_problem = {},
                   .collector = nat::Endpoint{nat::Ipv4Address::parse("192.0.2.30").value(), nat::Be16{4739}},
                   .collector_problem = {},
                   .received = 6,
                   .lost = 0,
                   .written = 7,
                   .unwritten = 0,
                   .exported = 6,
                   .unsent = 0}};
  for (std::uint32_t worker = 0; worker < 2; ++worker) {
    model.worker_rows.push_back({.worker = worker,
                                 .lcore = worker + 1,
                                 .rx_packets = 6206,
                                 .rx_bytes = 1'300'000,
                                 .tx_packets = 6200,
                                 .tx_bytes = 1'299'000,
                                 .translated_out = 3104,
                                 .translated_in = 3096,
                                 .handoff_out = 10,
                                 .handoff_in = 11,
                                 .drops = 6,
                                 .mappings = 3 * worker,
                                 .mapping_capacity = 65536,
                                 .calls = worker,
                                 .pinholes = 2 * worker,
                                 .registrations = worker,
                                 .event_lost = 0,
                                 .turns_busy = 250,
                                 .turns_idle = 750});
  }
  model.call_details.push_back(sample_call());
  model.turns.living = model.call_details.front().call;
  auto ended = sample_call();
  ended.call.id = "3f77000000000001";
  ended.call.call_id = "2-4242@10.0.0.6";
  ended.call.step = {ipc::CallState::ended, ipc::EndReason::bye};
  ended.call.inside = endpoint("10.0.0.6", 5060);
  ended.call.ended = at_ms(-1'000);
  ended.call.pinholes = 0;
  ended.pinholes.clear();
  model.call_details.push_back(ended);

  model.config_value.nat.pool = {nat::Prefix::parse("198.51.100.2/31").value()};
  model.config_value.nat.ports.mode = nat::PortMode::deterministic;
  model.config_value.nat.ports.subscribers = {nat::Prefix::parse("10.0.0.0/25").value()};

  model.mapping_rows = {
      {.worker = 1,
       .protocol = nat::Protocol::udp,
       .kind = MappingKind::dynamic,
       .sip = true,
       .inside = endpoint("10.0.0.5", 5060),
       .external = endpoint("198.51.100.1", 40000),
       .remote = endpoint("203.0.113.9", 5060),
       .connections = std::nullopt,
       .idle_s = 61,
       .expires_s = 239,
       .packets_out = 2,
       .packets_in = 2,
       .bytes = 3120},
      {.worker = 0,
       .protocol = nat::Protocol::tcp,
       .kind = MappingKind::dynamic,
       .inside = endpoint("10.0.0.7", 50123),
       .external = endpoint("198.51.100.1", 40001),
       .remote = endpoint("192.0.2.80", 443),
       .timeout_class = nat::TimeoutClass::tcp_established,
       .connections = 1,
       .idle_s = 5,
       .expires_s = 7435,
       .packets_out = 10,
       .packets_in = 12,
       .bytes = 9000},
      {.worker = 0,
       .protocol = nat::Protocol::udp,
       .kind = MappingKind::forward,
       .inside = endpoint("10.0.0.10", 5060),
       .external = endpoint("198.51.100.1", 5060),
       .remote = std::nullopt,
       .filter = nat::Filter::endpoint_independent,
       .timeout_class = nat::TimeoutClass::permanent,
       .connections = std::nullopt,
       .idle_s = 0,
       .expires_s = std::nullopt},
  };
  model.registration_rows = {{.aor = "sip:alice@example.com",
                              .worker = 1,
                              .inside = endpoint("10.0.0.5", 5060),
                              .external = endpoint("198.51.100.1", 40000),
                              .registrar = endpoint("203.0.113.9", 5060),
                              .expires_s = 3540}};
  model.message_rows = {
      {.line = {.time = at_ms(-2'000),
                .direction = alg::Direction::outbound,
                .start = "REGISTER",
                .cseq = 7,
                .edits = 2,
                .inside = endpoint("10.0.0.5", 5060),
                .external = endpoint("198.51.100.1", 40000),
                .remote = endpoint("203.0.113.9", 5060),
                .why = {{.rule = alg::Rule::via, .before = "10.0.0.5:5060", .after = "198.51.100.1:40000"}},
                .why_told = 2},
       .worker = 1},
      {.line = {.time = at_ms(-3'000),
                .direction = alg::Direction::inbound,
                .start = "OPTIONS sip:100@198.51.100.1 SIP/2.0",
                .inside = endpoint("10.0.0.5", 5060),
                .external = endpoint("198.51.100.1", 40000),
                .remote = endpoint("192.0.2.66", 5071)},
       .worker = 0,
       .drop = nat::DropReason::drop_sip_malformed}};
  model.rule_rows = {{{.name = "scanners",
                       .application = "sip",
                       .action = alg::sip::RuleAction::drop,
                       .hits = 17,
                       .per_worker = {12, 5}},
                      {.name = "no-site",
                       .application = "ftp",
                       .action = alg::sip::RuleAction::drop,
                       .hits = 3,
                       .per_worker = {1, 2}},
                      {.name = "unknown.nat.methods",
                       .application = "sip",
                       .action = alg::sip::RuleAction::log,
                       .hits = 0,
                       .per_worker = {0, 0}}}};
  model.gateway_rows = {
      {.name = "tftp",
       .version = "1.0",
       .file = "/usr/lib/pinhole/plugins/tftp.so",
       .claims = {{nat::Protocol::udp, 69}},
       .alg = AlgRow{.name = "tftp", .on = true, .interfaces_off = {"wan"}, .hosts = {}, .generation = 3},
       .budget_us = 200,
       .max_faults = 8,
       .faults = 9,
       .stopped_workers = {1},
       .counters = {{"gateway", "shown", "messages that the gateway was shown", 12, {4, 8}},
                    {"gateway", "dropped", "messages that it dropped", 0, {0, 0}},
                    {"tftp", "read_request", "counted by the gateway tftp itself", 3, {3, 0}}}}};
  model.ban_rows = {{.prefix = nat::Prefix::parse("198.51.100.66").value(),
                     .reason = ipc::BanReason::scanner,
                     .proven = false,
                     .detail = "friendly-scanner",
                     .since = at_ms(-60'000),
                     .until = at_ms(240'000),
                     .level = 0,
                     .hits = 412,
                     .allowed = false},
                    {.prefix = nat::Prefix::parse("192.0.2.0/24").value(),
                     .reason = ipc::BanReason::manual,
                     .proven = true,
                     .detail = "ticket 7",
                     .since = at_ms(-1'000),
                     .until = at_ms(3'599'000),
                     .level = 0,
                     .hits = 0,
                     .allowed = true}};
  model.allow_rows = {{.prefix = nat::Prefix::parse("203.0.113.9").value(), .configured = true},
                      {.prefix = nat::Prefix::parse("192.0.2.0/24").value(), .configured = false}};
  model.counter_rows = {{"drop", "drop_no_mapping", "to an external port that stands for nobody", 6, {2, 4}},
                        {"drop", "drop_ttl_expired", "the TTL ran out", 0, {0, 0}},
                        {"nat", "mapping_created", "mappings created", 9, {4, 5}},
                        {"control", "event_received", "events taken from the workers", 4, {}}};
  return model;
}

}  // namespace pinhole::control
