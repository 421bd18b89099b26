// SPDX-License-Identifier: BSD-3-Clause
#include "control/handover.hpp"

#include <sys/mman.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <utility>

#include "control/log.hpp"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace pinhole::control {

namespace {

using json = nlohmann::json;

constexpr const char* kVariable = "PINHOLE_HANDOVER_FD";

json of(Time time) {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(time.time_since_epoch()).count();
}
json of(const std::optional<Time>& time) {
  return time ? of(*time) : json(nullptr);
}
json of(nat::Endpoint endpoint) {
  return {endpoint.address.host(), endpoint.port.host()};
}

void read(const json& from, Time& time) {
  time = Time(std::chrono::duration_cast<Time::duration>(std::chrono::nanoseconds(from.get<std::int64_t>())));
}
void read(const json& from, std::optional<Time>& time) {
  if (!from.is_null()) read(from, time.emplace());
}
void read(const json& from, nat::Endpoint& endpoint) {
  endpoint.address = nat::Ipv4Address::from_host(from.at(0).get<std::uint32_t>());
  endpoint.port = nat::Be16{from.at(1).get<std::uint16_t>()};
}
template <typename Value>
void read(const json& from, Value& value) {
  if constexpr (std::is_enum_v<Value>) {
    value = static_cast<Value>(from.get<std::underlying_type_t<Value>>());
  } else {
    value = from.get<Value>();
  }
}

json of(const WhyLine& line) {
  return {{"kind", line.kind}, {"rule", line.rule}, {"before", line.before}, {"after", line.after}};
}

json of(const std::vector<WhyLine>& why) {
  json list(json::value_t::array);
  for (const auto& line : why) list.push_back(of(line));
  return list;
}

json of(const LadderLine& line) {
  return {{"time", of(line.time)},     {"direction", line.direction}, {"status", line.status},
          {"start", line.start},       {"cseq", line.cseq},           {"has_sdp", line.has_sdp},
          {"edits", line.edits},       {"inside", of(line.inside)},   {"external", of(line.external)},
          {"remote", of(line.remote)}, {"why", of(line.why)},         {"why_told", line.why_told}};
}

LadderLine ladder_line(const json& from) {
  LadderLine line;
  read(from.at("time"), line.time);
  read(from.at("direction"), line.direction);
  read(from.at("status"), line.status);
  read(from.at("start"), line.start);
  read(from.at("cseq"), line.cseq);
  read(from.at("has_sdp"), line.has_sdp);
  read(from.at("edits"), line.edits);
  read(from.at("inside"), line.inside);
  read(from.at("external"), line.external);
  read(from.at("remote"), line.remote);
  for (const auto& each : from.at("why")) {
    WhyLine why;
    read(each.at("kind"), why.kind);
    read(each.at("rule"), why.rule);
    read(each.at("before"), why.before);
    read(each.at("after"), why.after);
    line.why.push_back(std::move(why));
  }
  read(from.at("why_told"), line.why_told);
  return line;
}

json of(const std::optional<RtpRow>& row) {
  if (!row) return nullptr;
  return {row->packets,   row->lost,          row->repeated,  row->sources,
          row->jitter_us, row->jitter_max_us, row->gap_max_us};
}

json of(const MediaUsage& usage) {
  json measured = nullptr;
  if (const auto& known = usage.measured)
    measured = {known->bytes_out, known->bytes_in, of(known->rtp_out), of(known->rtp_in)};
  return {usage.packets_out, usage.packets_in, usage.bytes, std::move(measured)};
}

json of(const MediaRecord& media) {
  return {{"inside", of(media.inside)},
          {"external", of(media.external)},
          {"remote", media.remote ? of(*media.remote) : json(nullptr)},
          {"protocol", media.protocol},
          {"is_rtcp", media.is_rtcp},
          {"before", of(media.before)},
          {"usage", of(media.usage)}};
}

void read(const json& from, std::optional<RtpRow>& place) {
  if (from.is_null()) return;
  auto& row = place.emplace();
  read(from.at(0), row.packets);
  read(from.at(1), row.lost);
  read(from.at(2), row.repeated);
  read(from.at(3), row.sources);
  read(from.at(4), row.jitter_us);
  read(from.at(5), row.jitter_max_us);
  read(from.at(6), row.gap_max_us);
}

void read(const json& from, MediaUsage& usage) {
  read(from.at(0), usage.packets_out);
  read(from.at(1), usage.packets_in);
  read(from.at(2), usage.bytes);
  const auto& measured = from.at(3);
  if (measured.is_null()) return;
  auto& known = usage.measured.emplace();
  read(measured.at(0), known.bytes_out);
  read(measured.at(1), known.bytes_in);
  read(measured.at(2), known.rtp_out);
  read(measured.at(3), known.rtp_in);
}

MediaRecord media_record(const json& from) {
  MediaRecord media;
  read(from.at("inside"), media.inside);
  read(from.at("external"), media.external);
  if (!from.at("remote").is_null()) read(from.at("remote"), media.remote.emplace());
  read(from.at("protocol"), media.protocol);
  read(from.at("is_rtcp"), media.is_rtcp);
  read(from.at("before"), media.before);
  read(from.at("usage"), media.usage);
  return media;
}

json of(const CallRecord& call) {
  json ladder = json::array();
  for (const auto& line : call.ladder) ladder.push_back(of(line));
  json media = json::array();
  for (const auto& each : call.media) media.push_back(of(each));
  return {{"worker", call.worker},         {"card", call.card},
          {"generation", call.generation}, {"hash", call.hash},
          {"state", call.step.state},      {"reason", call.step.reason},
          {"outbound", call.outbound},     {"call_id", call.call_id},
          {"from_tag", call.from_tag},     {"to_tag", call.to_tag},
          {"from_uri", call.from_uri},     {"to_uri", call.to_uri},
          {"inside", of(call.inside)},     {"external", of(call.external)},
          {"remote", of(call.remote)},     {"started", of(call.started)},
          {"answered", of(call.answered)}, {"ended", of(call.ended)},
          {"ladder", std::move(ladder)},   {"ladder_missing", call.ladder_missing},
          {"pinholes", call.pinholes},     {"ended_by", call.ended_by},
          {"media", std::move(media)},     {"is_told", call.is_told}};
}

CallRecord call_record(const json& from) {
  CallRecord call;
  read(from.at("worker"), call.worker);
  read(from.at("card"), call.card);
  read(from.at("generation"), call.generation);
  read(from.at("hash"), call.hash);
  read(from.at("state"), call.step.state);
  read(from.at("reason"), call.step.reason);
  read(from.at("outbound"), call.outbound);
  read(from.at("call_id"), call.call_id);
  read(from.at("from_tag"), call.from_tag);
  read(from.at("to_tag"), call.to_tag);
  read(from.at("from_uri"), call.from_uri);
  read(from.at("to_uri"), call.to_uri);
  read(from.at("inside"), call.inside);
  read(from.at("external"), call.external);
  read(from.at("remote"), call.remote);
  read(from.at("started"), call.started);
  read(from.at("answered"), call.answered);
  read(from.at("ended"), call.ended);
  for (const auto& line : from.at("ladder")) call.ladder.push_back(ladder_line(line));
  read(from.at("ladder_missing"), call.ladder_missing);
  read(from.at("pinholes"), call.pinholes);
  read(from.at("ended_by"), call.ended_by);
  for (const auto& media : from.at("media")) call.media.push_back(media_record(media));
  read(from.at("is_told"), call.is_told);
  return call;
}

json of(const InterfaceRow& row) {
  return {{"name", row.name},
          {"device", row.device},
          {"zone", row.zone},
          {"address", row.address.address.host()},
          {"length", row.address.length},
          {"mac", row.mac}};
}

InterfaceRow interface_row(const json& from) {
  InterfaceRow row;
  read(from.at("name"), row.name);
  read(from.at("device"), row.device);
  read(from.at("zone"), row.zone);
  row.address.address = nat::Ipv4Address::from_host(from.at("address").get<std::uint32_t>());
  read(from.at("length"), row.address.length);
  read(from.at("mac"), row.mac);
  return row;
}

/// Only what is of the data plane; the rest a new process knows better.
json of(const Status& status) {
  json interfaces = json::array();
  for (const auto& row : status.interfaces) interfaces.push_back(of(row));
  return {{"dataplane", status.dataplane},
          {"dataplane_since", of(status.dataplane_since)},
          {"dataplane_pid", status.dataplane_pid},
          {"dataplane_started", of(status.dataplane_started)},
          {"abi_version", status.abi_version},
          {"workers", status.workers},
          {"plan_differs", status.plan_differs},
          {"interfaces", std::move(interfaces)},
          {"registrations", status.registrations},
          {"mappings", status.mappings},
          {"pinholes", status.pinholes},
          {"mbufs_in_use", status.mbufs_in_use},
          {"events_received", status.events_received},
          {"events_lost", status.events_lost}};
}

Status status_of(const json& from) {
  Status status;
  read(from.at("dataplane"), status.dataplane);
  read(from.at("dataplane_since"), status.dataplane_since);
  read(from.at("dataplane_pid"), status.dataplane_pid);
  read(from.at("dataplane_started"), status.dataplane_started);
  read(from.at("abi_version"), status.abi_version);
  read(from.at("workers"), status.workers);
  read(from.at("plan_differs"), status.plan_differs);
  for (const auto& row : from.at("interfaces")) status.interfaces.push_back(interface_row(row));
  read(from.at("registrations"), status.registrations);
  read(from.at("mappings"), status.mappings);
  read(from.at("pinholes"), status.pinholes);
  read(from.at("mbufs_in_use"), status.mbufs_in_use);
  read(from.at("events_received"), status.events_received);
  read(from.at("events_lost"), status.events_lost);
  return status;
}

bool write_all(int file, const std::vector<std::uint8_t>& bytes) noexcept {
  std::size_t written = 0;
  while (written < bytes.size()) {
    const auto count = ::write(file, bytes.data() + written, bytes.size() - written);
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) return false;
    written += static_cast<std::size_t>(count);
  }
  return ::lseek(file, 0, SEEK_SET) == 0;
}

std::vector<std::uint8_t> read_all(int file) {
  std::vector<std::uint8_t> bytes;
  std::array<std::uint8_t, 65536> chunk{};
  while (true) {
    const auto count = ::read(file, chunk.data(), chunk.size());
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) return bytes;
    bytes.insert(bytes.end(), chunk.begin(), chunk.begin() + count);
  }
}

}  // namespace

std::vector<std::uint8_t> encode(const Handover& handover) {
  json calls = json::array();
  for (const auto& call : handover.calls) calls.push_back(of(call));
  return json::to_cbor(
      json{{"version", PINHOLE_VERSION}, {"status", of(handover.status)}, {"calls", std::move(calls)}});
}

Result<Handover> decode(const std::vector<std::uint8_t>& bytes) {
  try {
    const json document = json::from_cbor(bytes);
    // Another release may have replaced the program meanwhile.
    if (document.at("version").get<std::string>() != PINHOLE_VERSION) {
      return Error{ErrorCode::syntax, "it was written by another release"};
    }
    Handover handover{.status = status_of(document.at("status")), .calls = {}};
    for (const auto& call : document.at("calls")) handover.calls.push_back(call_record(call));
    return handover;
  } catch (const json::exception& exception) {
    return Error{ErrorCode::syntax, exception.what()};
  }
}

Result<int> leave(const Handover& handover) {
  const int file = memfd_create("pinhole-handover", 0);
  if (file < 0) {
    return Error{ErrorCode::system, fmt::format("memfd_create: {}", std::strerror(errno))};
  }
  if (!write_all(file, encode(handover)) || setenv(kVariable, std::to_string(file).c_str(), 1) != 0) {
    const int error = errno;
    ::close(file);
    return Error{ErrorCode::system, fmt::format("writing the handover: {}", std::strerror(error))};
  }
  return file;
}

std::optional<Handover> take() {
  const char* const number = std::getenv(kVariable);
  if (number == nullptr) return std::nullopt;
  const int file = std::atoi(number);
  unsetenv(kVariable);
  if (file <= STDERR_FILENO) return std::nullopt;
  const auto bytes = read_all(file);
  ::close(file);
  auto handover = decode(bytes);
  if (handover) return std::move(*handover);
  log_warning("handover_refused", {{"reason", handover.error().message}});
  return std::nullopt;
}

}  // namespace pinhole::control
