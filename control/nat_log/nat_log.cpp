// SPDX-License-Identifier: BSD-3-Clause
#include "control/nat_log/nat_log.hpp"

#include <algorithm>
#include <chrono>
#include <string_view>
#include <utility>

#include "control/log.hpp"

namespace pinhole::control {

namespace {

IpfixOptions ipfix_options(const config::Nat& config) noexcept {
  return {.domain = config.log.domain,
          .templates_every = std::chrono::seconds(config.log.template_s),
          .quotas = {config.quotas.udp, config.quotas.tcp, config.quotas.icmp},
          .ports = config.ports.block_size * config.ports.blocks_per_host,
          .sequence = 0};
}

std::uint64_t lines_in(std::string_view text) noexcept {
  return static_cast<std::uint64_t>(std::count(text.begin(), text.end(), '\n'));
}

}  // namespace

NatLog::NatLog(const config::Nat& config, ControlCounters& counters) : counters_(counters) {
  const auto& log = config.log;
  if (!log.file.empty()) file_.emplace(log.file, std::uint64_t{log.file_mb} << 20U, log.files);
  if (log.collector) {
    sender_.emplace(*log.collector);
    exporter_.emplace(
        ipfix_options(config),
        [this](std::span<const std::byte> message, Steady now) { return sender_->send(message, now); },
        counters_);
  }
}

void NatLog::attach(const std::vector<rte_ring*>& rings, Time started, Moment now) {
  for (std::uint32_t worker = 0; worker < rings.size(); ++worker) {
    workers_.push_back({.reader = RecordReader(rings[worker], worker, counters_)});
  }
  if (rings.empty() && (file_ || exporter_)) {
    log_warning("nat_log_idle", {{"reason", "the data plane was started without nat.log; start it again"}});
  }
  if (!file_ || rings.empty()) return;
  lines_.add_attached(now.wall, started);
  write_lines(now);
}

bool NatLog::drain(const DataplaneClock& clock, Moment now) {
  std::size_t left = kRecordsPerDrain;
  if (!workers_.empty()) first_ = (first_ + 1) % workers_.size();
  for (std::size_t i = 0; i < workers_.size(); ++i) {
    auto& worker = workers_[(first_ + i) % workers_.size()];
    while (left > 0) {
      const auto count = drain(worker, clock, now, std::min(left, RecordReader::kBurst));
      left -= count;
      if (count == 0) break;
    }
  }
  if (exporter_) exporter_->flush(now);  // templates, when there was nothing else
  add_lost_lines(now);
  write_lines(now);
  tell_file_problem();
  tell_collector_problem();
  return left == 0;
}

std::size_t NatLog::drain(Worker& worker, const DataplaneClock& clock, Moment now, std::size_t limit) {
  const auto records = worker.reader.peek(limit);
  for (const auto& record : records) {
    const auto happened = clock.at_tsc(record.tsc);
    worker.lost += worker.reader.missing_before(record);
    if (file_) add_line(worker, record, happened);
    if (exporter_) exporter_->add(record.record, happened, now);
  }
  if (records.empty()) return 0;
  write_lines(now);
  if (exporter_) exporter_->flush(now);
  worker.reader.done();
  return records.size();
}

void NatLog::add_line(Worker& worker, const ipc::NatRecord& record, Time happened) {
  if (lines_.view().size() >= kMaxWaiting_bytes) {
    ++worker.lost;
    counters_.add(ControlCounter::record_unwritten);
    return;
  }
  if (worker.lost > 0) lines_.add_lost(happened, worker.reader.worker(), std::exchange(worker.lost, 0));
  lines_.add(record, happened);
}

void NatLog::add_lost_lines(Moment now) {
  if (!file_ || lines_.view().size() >= kMaxWaiting_bytes) return;
  for (auto& worker : workers_) {
    if (worker.lost == 0) continue;
    lines_.add_lost(now.wall, worker.reader.worker(), std::exchange(worker.lost, 0));
  }
}

void NatLog::write_lines(Moment now) {
  if (!file_) return;
  const auto lines = lines_.view();
  const auto written = file_->write(lines, now.steady);
  counters_.add(ControlCounter::record_written, lines_in(lines.substr(0, written)));
  lines_.drop(written);
}

void NatLog::close(Moment now) {
  write_lines(now);
  const auto count = lines_in(lines_.view());
  if (count == 0) return;
  counters_.add(ControlCounter::record_unwritten, count);
  log_error("nat_log_lost", {{"file", file_->path()}, {"lines", count}, {"reason", file_->problem()}});
  lines_.drop(lines_.view().size());
}

void NatLog::tell_file_problem() {
  if (!file_) return;
  counters_.add(ControlCounter::nat_log_failed, file_->failures() - failures_counted_);
  failures_counted_ = file_->failures();
  const bool fails = !file_->problem().empty();
  if (fails == file_fails_) return;
  file_fails_ = fails;
  if (fails) {
    log_error("nat_log_failed", {{"file", file_->path()}, {"reason", file_->problem()}});
  } else {
    log_info("nat_log_back", {{"file", file_->path()}});
  }
}

void NatLog::tell_collector_problem() {
  if (!sender_) return;
  const bool fails = !sender_->problem().empty();
  if (fails == collector_fails_) return;
  collector_fails_ = fails;
  const nat::EndpointText collector(sender_->peer());
  if (fails) {
    log_warning("ipfix_failed", {{"collector", collector.view()}, {"reason", sender_->problem()}});
  } else {
    log_info("ipfix_back", {{"collector", collector.view()}});
  }
}

std::optional<NatLogRow> NatLog::status() const {
  if (!file_ && !sender_) return std::nullopt;
  NatLogRow row;
  if (file_) {
    row.file = file_->path();
    row.file_problem = file_->problem();
  }
  if (sender_) {
    row.collector = sender_->peer();
    row.collector_problem = sender_->problem();
  }
  row.received = counters_.read(ControlCounter::record_received);
  row.lost = counters_.read(ControlCounter::record_gap);
  row.written = counters_.read(ControlCounter::record_written);
  row.unwritten = counters_.read(ControlCounter::record_unwritten);
  row.exported = counters_.read(ControlCounter::record_exported);
  row.unsent = counters_.read(ControlCounter::record_unsent);
  return row;
}

}  // namespace pinhole::control
