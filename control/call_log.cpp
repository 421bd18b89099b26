// SPDX-License-Identifier: BSD-3-Clause
#include "control/call_log.hpp"

#include <algorithm>
#include <string_view>

#include "control/commands/encode.hpp"
#include "control/log.hpp"

#include <nlohmann/json.hpp>

namespace pinhole::control {

namespace {

using Line = nlohmann::ordered_json;

Line text(nat::Endpoint endpoint) {
  return std::string(nat::EndpointText(endpoint).view());
}

template <typename T, typename Text>
Line or_null(const std::optional<T>& value, Text&& as_text) {
  return value ? Line(as_text(*value)) : Line(nullptr);
}

std::uint64_t lines_in(std::string_view text) noexcept {
  return static_cast<std::uint64_t>(std::count(text.begin(), text.end(), '\n'));
}

}  // namespace

std::string call_line(const CallRecord& call) {
  Line media = Line::array();
  for (const auto& each : call.media) media.push_back(encode(each));
  const auto ended_by = call.ended_by == EndedBy::unknown ? Line(nullptr) : Line(name(call.ended_by));
  const Line line{{"id", call_id(call.hash)},
                  {"call_id", call.call_id},
                  {"from", call.from_uri},
                  {"to", call.to_uri},
                  {"direction", call.outbound ? "outbound" : "inbound"},
                  {"started", utc(call.started)},
                  {"answered", or_null(call.answered, utc)},
                  {"ended", or_null(call.ended, utc)},
                  {"reason", ipc::name(call.step.reason)},
                  {"ended_by", ended_by},
                  {"inside", text(call.inside)},
                  {"external", text(call.external)},
                  {"remote", text(call.remote)},
                  {"media", std::move(media)}};
  // What phones write need not be UTF-8.
  return line.dump(-1, ' ', false, Line::error_handler_t::replace) + '\n';
}

CallLog::CallLog(const config::CallLog& config, ControlCounters& counters) : counters_(counters) {
  if (!config.file.empty()) file_.emplace(config.file, std::uint64_t{config.file_mb} << 20U, config.files);
}

void CallLog::add(const CallRecord& call) {
  if (!file_) return;
  if (lines_.size() >= kMaxWaiting_bytes) return counters_.add(ControlCounter::call_record_unwritten);
  lines_ += call_line(call);
}

void CallLog::write(Steady now) {
  if (!file_ || lines_.empty()) return;
  const auto written = file_->write(lines_, now);
  counters_.add(ControlCounter::call_record_written, lines_in(std::string_view(lines_).substr(0, written)));
  lines_.erase(0, written);
  tell_problem();
}

void CallLog::close(Steady now) {
  write(now);
  const auto count = lines_in(lines_);
  if (count == 0) return;
  counters_.add(ControlCounter::call_record_unwritten, count);
  log_error("call_log_lost", {{"file", file_->path()}, {"lines", count}, {"reason", file_->problem()}});
  lines_.clear();
}

void CallLog::tell_problem() {
  counters_.add(ControlCounter::call_log_failed, file_->failures() - failures_counted_);
  failures_counted_ = file_->failures();
  const bool fails = !file_->problem().empty();
  if (fails == fails_) return;
  fails_ = fails;
  if (fails) {
    log_error("call_log_failed", {{"file", file_->path()}, {"reason", file_->problem()}});
  } else {
    log_info("call_log_back", {{"file", file_->path()}});
  }
}

}  // namespace pinhole::control
