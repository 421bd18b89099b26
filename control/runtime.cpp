// SPDX-License-Identifier: BSD-3-Clause
#include "control/runtime.hpp"

#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <span>
#include <thread>
#include <utility>

#include "control/log.hpp"
#include "control/stall_watch.hpp"
#include "control/turns.hpp"
#include "dataplane/config/render.hpp"
#include "dataplane/config/subscribers.hpp"

#include <rte_cycles.h>

#include <fmt/format.h>
#include <boost/asio/post.hpp>

namespace pinhole::control {

namespace {

/// Calls `round` after a while, and again after as long as it says, from its end to its next begin.
template <typename Round>
void repeat(boost::asio::steady_timer& timer, std::chrono::milliseconds wait, Round round) {
  timer.expires_after(wait);
  timer.async_wait([&timer, round](const boost::system::error_code& error) {
    if (error) return;
    const std::chrono::milliseconds next = round();
    repeat(timer, next, round);
  });
}

/// A descriptor that becomes readable when the process ends; -1 when there is none.
int open_process(pid_t pid) noexcept {
  // The declaration in glibc 2.36's <sys/pidfd.h> cannot be linked from C++.
  return static_cast<int>(syscall(SYS_pidfd_open, pid, 0));
}

InterfaceRow row_of(const ipc::InterfaceShare& share) {
  const auto& mac = share.mac;
  return {.name = std::string(share.name.view()),
          .device = std::string(share.device.view()),
          .zone = share.inside ? config::Zone::inside : config::Zone::outside,
          .address = share.address,
          .mac = fmt::format("{:02x}:{:02x}:{:02x}:{:02x}:{:02x}:{:02x}", mac[0], mac[1], mac[2], mac[3],
                             mac[4], mac[5])};
}

std::uint64_t lost_events(const ipc::Layout& layout, std::uint32_t worker) noexcept {
  return layout.workers[worker].stats->worker.read(dataplane::WorkerCounter::event_lost);
}

template <typename Row>
Paged<Row> cut(std::vector<Row> rows, Page page) {
  Paged<Row> paged{.rows = {}, .total = rows.size()};
  const auto begin = std::min(page.offset, rows.size());
  const auto end = begin + std::min(page.limit, rows.size() - begin);
  std::move(rows.begin() + static_cast<std::ptrdiff_t>(begin),
            rows.begin() + static_cast<std::ptrdiff_t>(end), std::back_inserter(paged.rows));
  return paged;
}

}  // namespace

Runtime::Attached::Attached(Attachment shared, const Primary& process, const config::Timeouts& timeouts,
                            ControlCounters& counters, Moment moment,
                            std::function<void(std::chrono::milliseconds)> sleep)
    : attachment(std::move(shared)),
      primary(process),
      clock(attachment.layout->start_tsc, attachment.layout->tsc_hz),
      mappings(*attachment.layout, timeouts),
      link(attachment, clock, mappings),
      policy(link, attachment.layout->worker_count, std::move(sleep)),
      stats(attachment, counters),
      gateways(*attachment.layout),
      heart(attachment.layout->heartbeat.load(std::memory_order_relaxed), moment.steady),
      capture(*attachment.layout, clock) {
  for (rte_ring* const ring : attachment.events) workers.push_back({.events = EventReader(ring, counters)});
  clock.sample(rte_rdtsc(), moment.wall);
}

Moment Runtime::now() {
  return {.wall = std::chrono::system_clock::now(), .steady = std::chrono::steady_clock::now()};
}

Runtime::Runtime(boost::asio::io_context& context, config::Config config, std::string config_path,
                 std::optional<Handover> left)
    : context_(context),
      config_(std::move(config)),
      config_path_(std::move(config_path)),
      primary_path_(primary_config_path(config_.dpdk.file_prefix)),
      call_log_(config_.calls.log, counters_),
      calls_(config_.calls, std::chrono::seconds(config_.control.linger_s), counters_),
      nat_log_(config_, counters_),
      bans_(config_.protection, config_.control.store, now()),
      turns_(std::make_unique<Turns>(*this)),
      look_timer_(context),
      drain_timer_(context),
      signals_(context, SIGINT, SIGTERM),
      process_(context) {
  const Moment begun = now();
  calls_.on_ended([this](const CallRecord& call) {
    call_log_.add(call);
    if (call.ended_by != EndedBy::pinhole) return;
    log_info("call_ended", {{"id", call_id(call.hash)}, {"reason", ipc::name(call.step.reason)}});
  });
  if (left) {
    facts_ = std::move(left->status);
    calls_.restore(std::move(left->calls));
  } else {
    facts_.dataplane_since = begun.wall;
  }
  facts_.version = PINHOLE_VERSION;
  facts_.config_path = config_path_;
  facts_.control_pid = static_cast<std::uint32_t>(getpid());
  facts_.control_started = begun.wall;
}

Runtime::~Runtime() {
  if (attacher_.joinable()) attacher_.join();
  if (attached_ && facts_.dataplane == DataplaneState::up) {
    attached_.reset();
    detach();
  }
}

void Runtime::start() {
  signals_.async_wait([this](const boost::system::error_code& error, int) {
    if (!error) on_signal();
  });
  log_info("control_started", {{"version", facts_.version}, {"pid", facts_.control_pid}});
  look();
  repeat(look_timer_, kLookEvery, [this] {
    look();
    return kLookEvery;
  });
}

void Runtime::on_signal() {
  log_info("control_stopping");
  end(Outcome::stopped);
}

void Runtime::end(Outcome outcome) {
  outcome_ = outcome;
  stop_attaching_ = true;
  if (attached_) {
    // What the data plane said until now; it may have said it because it ends as well.
    for (int count = 0; count < kLastDrains; ++count) drain();
    nat_log_.drain_last(attached_->clock, now());
    attached_->capture.stop(now());
  }
  nat_log_.close(now());
  call_log_.close(now().steady);
  context_.stop();
}

void Runtime::look() {
  if (looked_ != Steady{}) tell_if_long("loop", std::chrono::steady_clock::now() - looked_ - kLookEvery);
  watched("look", [this] { attached_ ? look_at_dataplane() : look_for_dataplane(); });
  looked_ = std::chrono::steady_clock::now();
}

void Runtime::look_for_dataplane() {
  const auto primary = find_primary(primary_path_);
  if (attaching_) {
    // Its thread may hang on a lock that the primary died with.
    if (!primary || primary->pid != attaching_->pid) {
      log_warning("attach_failed", {{"reason", "the data plane went away"}});
      end(Outcome::anew);
    }
    return;
  }
  // Twice the same: a primary that has only begun to start leaves the word of the last one for a moment.
  if (primary && primary->ready && primary == seen_) begin_attaching(*primary);
  seen_ = primary;
}

void Runtime::begin_attaching(const Primary& primary) {
  attaching_ = primary;
  attacher_ = std::thread([this, primary] {
    auto result = attach(config_.dpdk.file_prefix, primary, stop_attaching_);
    boost::asio::post(context_, [this, primary, result = std::move(result)]() mutable {
      watched("attach", [&] { on_attach(std::move(result), primary); });
    });
  });
}

void Runtime::on_attach(Result<Attachment> result, const Primary& primary) {
  attacher_.join();
  if (!result) {
    if (result.error().code == ErrorCode::conflict) {
      attaching_.reset();
      error_ = result.error();
      return end(Outcome::failed);
    }
    log_warning("attach_failed", {{"reason", result.error().message}});
    look_timer_.cancel();
    drain_timer_.expires_after(kAttachAgain);
    drain_timer_.async_wait([this](const boost::system::error_code& error) {
      if (!error) end(Outcome::anew);
    });
    return;
  }
  attaching_.reset();
  const Moment moment = now();
  attached_ = std::make_unique<Attached>(std::move(*result), primary, config_.nat.timeouts, counters_, moment,
                                         [this](std::chrono::milliseconds time) { sleep_draining(time); });
  note_layout();
  set_state(DataplaneState::up);
  calls_.attach(attached_->link, moment);
  registrations_.attach(attached_->link);
  bans_.attach(attached_->link, facts_.workers, moment);
  nat_log_.attach(attached_->attachment.records, facts_.dataplane_started, moment);
  resync_where_due(moment);
  log_info("dataplane_attached", {{"pid", facts_.dataplane_pid},
                                  {"workers", facts_.workers},
                                  {"calls", calls_.size()},
                                  {"registrations", registrations_.size()}});
  watch_process();
  // What is left of a flood comes next, after whoever else waits for a turn.
  repeat(drain_timer_, kDrainEvery, [this] {
    const bool more = watched("drain", [this] { return drain(); });
    return more ? std::chrono::milliseconds(0) : kDrainEvery;
  });
}

void Runtime::note_layout() {
  const auto& layout = *attached_->attachment.layout;
  facts_.dataplane_pid = layout.pid;
  facts_.dataplane_started =
      Time(std::chrono::duration_cast<Time::duration>(std::chrono::nanoseconds(layout.start_realtime_ns)));
  facts_.abi_version = layout.abi_version;
  facts_.workers = layout.worker_count;
  facts_.plan_differs = layout.plan_digest != config::plan_digest(config_);
  if (facts_.plan_differs) {
    log_warning("dataplane_plan_differs",
                {{"reason",
                  "the data plane runs with another nat.pool, nat.ports, nat.forwards or "
                  "nat.static_mappings than control; start both with the same file"},
                 {"config", layout.config_path.view()}});
  }
  facts_.interfaces.clear();
  const auto count = std::min<std::size_t>(layout.interface_count, ipc::kMaxInterfaces);
  for (std::size_t i = 0; i < count; ++i) facts_.interfaces.push_back(row_of(layout.interfaces[i]));
}

void Runtime::watch_process() {
  // Its memory has to be let go of before the next data plane can start, so its end is noticed at once.
  const int descriptor = attached_->primary.pid > 0 ? open_process(attached_->primary.pid) : -1;
  if (descriptor < 0) return;  // look() notices, a little later
  process_.assign(descriptor);
  process_.async_wait(boost::asio::posix::stream_descriptor::wait_read,
                      [this](const boost::system::error_code& error) {
                        if (!error) on_dataplane_gone();
                      });
}

void Runtime::look_at_dataplane() {
  const Moment moment = now();
  auto& attached = *attached_;
  const auto primary = find_primary(primary_path_);
  if (!primary || primary->pid != attached.primary.pid) return on_dataplane_gone();
  attached.clock.sample(rte_rdtsc(), moment.wall);
  const bool beats = attached.heart.look(
      attached.attachment.layout->heartbeat.load(std::memory_order_relaxed), moment.steady);
  set_state(beats ? DataplaneState::up : DataplaneState::lost);
  for (std::uint32_t worker = 0; worker < attached.workers.size(); ++worker) {
    // Events that were lost at the end of a burst leave no gap to be seen.
    if (lost_events(*attached.attachment.layout, worker) != attached.workers[worker].lost_seen) {
      attached.workers[worker].resync_due = true;
    }
  }
  drain();
  calls_.run(moment);
  call_log_.write(moment.steady);
  registrations_.run(moment);
  bans_.run(moment);
  attached.policy.run();
  attached.capture.run(moment);
}

void Runtime::on_dataplane_gone() {
  set_state(DataplaneState::lost);
  end(Outcome::anew);
}

void Runtime::set_state(DataplaneState state) {
  if (facts_.dataplane == state) return;
  if (state == DataplaneState::lost) log_error("dataplane_lost", {{"pid", facts_.dataplane_pid}});
  if (state == DataplaneState::up && facts_.dataplane == DataplaneState::lost) {
    log_info("dataplane_back", {{"pid", facts_.dataplane_pid}});
  }
  facts_.dataplane = state;
  facts_.dataplane_since = std::chrono::system_clock::now();
}

bool Runtime::drain() {
  // Cards are read after the events, so that few events are left that they are newer than.
  auto& attached = *attached_;
  const Moment moment = now();
  attached.clock.sample(rte_rdtsc(), moment.wall);
  for (auto& worker : attached.workers) {
    for (int burst = 0; burst < kBurstsPerDrain; ++burst) {
      const auto events = worker.events.pop();
      if (events.empty()) break;
      for (const auto& event : events) {
        calls_.on_event(event, attached.clock.at_tsc(event.tsc), moment);
        registrations_.on_event(event, moment);
        messages_.on_event(event, attached.clock.at_tsc(event.tsc));
        if (event.type == ipc::EventType::rule) log_rule(event);
        if (event.type == ipc::EventType::gateway) log_gateway(event);
        bans_.on_event(event, moment);
      }
    }
    if (worker.events.take_gap()) worker.resync_due = true;
  }
  call_log_.write(moment.steady);
  attached.capture.drain(moment);
  const bool more = nat_log_.drain(attached.clock, moment);
  resync_where_due(moment);
  return more;
}

void Runtime::sleep_draining(std::chrono::milliseconds time) {
  static_assert(PolicyBoard::kLookEvery <= kDrainEvery);
  const auto until = std::chrono::steady_clock::now() + time;
  drain();
  std::this_thread::sleep_until(until);
}

void Runtime::resync_where_due(Moment moment) {
  const auto& layout = *attached_->attachment.layout;
  for (std::uint32_t number = 0; number < attached_->workers.size(); ++number) {
    auto& worker = attached_->workers[number];
    if (!worker.resync_due || moment.steady - worker.resynced < kResyncEvery) continue;
    worker.resync_due = false;
    worker.resynced = moment.steady;
    worker.lost_seen = lost_events(layout, number);
    // A worker stamps its events when a turn begins, and writes its cards within the turn.
    calls_.resync(number, attached_->clock.tsc() - layout.tsc_hz / kTurnsPerSecond, moment);
    registrations_.resync(number, moment);
  }
}

Status Runtime::status() const {
  Status status = facts_;
  status.now = std::chrono::system_clock::now();
  status.calls = calls_.unended();
  status.nat_log = nat_log_.status();
  if (attached_) fill_in(status);
  return status;
}

void Runtime::fill_in(Status& status) const {
  const auto& layout = *attached_->attachment.layout;
  status.registrations = registrations_.size();
  status.mappings = attached_->stats.total(nat::Counter::mapping_live);
  status.pinholes = attached_->stats.total(dataplane::WorkerCounter::pinhole_live);
  status.mbufs_in_use = layout.mbufs_in_use.load(std::memory_order_relaxed);
  status.events_received = counters_.read(ControlCounter::event_received);
  status.events_lost = attached_->stats.total(dataplane::WorkerCounter::event_lost);
  if (const auto state = attached_->policy.state()) status.sip = alg_row(*state, ipc::kSipGateway);
  // Holes in the numbers are seen by the next record only; the workers know at once.
  if (status.nat_log) {
    status.nat_log->lost = attached_->stats.total(dataplane::WorkerCounter::record_lost);
  }
}

AlgRow Runtime::alg_row(const PolicyBoard::State& state, std::size_t number) const {
  const auto& alg = state.image->switches[number];
  AlgRow row;
  row.name = attached_->gateways.name(number);
  row.on = alg.on();
  row.generation = state.generation;
  row.settled = state.settled;
  for (std::size_t i = 0; i < facts_.interfaces.size(); ++i) {
    if (!alg.on_interface(static_cast<std::uint8_t>(i)))
      row.interfaces_off.push_back(facts_.interfaces[i].name);
  }
  row.hosts.assign(alg.rules().begin(), alg.rules().end());
  return row;
}

std::vector<WorkerRow> Runtime::workers() const {
  return attached_ ? attached_->stats.workers() : std::vector<WorkerRow>{};
}

Paged<MappingRow> Runtime::mappings(const MappingFilter& filter, Page page) const {
  return attached_ ? attached_->mappings.rows(filter, page, attached_->clock.tick()) : Paged<MappingRow>{};
}

Paged<CallRow> Runtime::calls(const CallFilter& filter, Page page) const {
  return calls_.rows(filter, page);
}

std::vector<CallRow> Runtime::find_calls(std::string_view prefix, std::size_t limit) const {
  return calls_.find(prefix, limit);
}

std::optional<CallDetail> Runtime::call(std::string_view id) const {
  const CallRecord* const call = calls_.by_id(id);
  if (call == nullptr) return std::nullopt;
  CallDetail detail{.call = calls_.row(*call),
                    .from_tag = call->from_tag,
                    .to_tag = call->to_tag,
                    .ladder = call->ladder,
                    .ladder_missing = call->ladder_missing,
                    .media = calls_.media(*call),
                    .pinholes = {}};
  append_pinholes(*call, detail.pinholes);
  return detail;
}

std::optional<ipc::CallCard> Runtime::card_of(const CallRecord& call) const {
  if (!attached_) return std::nullopt;
  auto card = attached_->link.call_card(call.worker, call.card);
  if (!card || !card->in_use || card->generation != call.generation) return std::nullopt;
  return card;
}

void Runtime::append_pinholes(const CallRecord& call, std::vector<PinholeRow>& rows) const {
  const auto card = card_of(call);
  if (!card) return;
  const auto count = std::min<std::size_t>(card->pinhole_count, ipc::kMaxPinholes);
  for (std::size_t i = 0; i < count; ++i) {
    auto row = attached_->mappings.pinhole(card->pinholes[i], call_id(call.hash), attached_->clock.tick());
    if (row) rows.push_back(std::move(*row));
  }
}

Capture::Refresh Runtime::refresh_for(const CaptureOrder& order) const {
  if (order.host) return [this, host = *order.host](CaptureFilter& filter) { want_host(host, filter); };
  if (!order.call.empty()) return [this, id = order.call](CaptureFilter& filter) { want_call(id, filter); };
  return nullptr;
}

void Runtime::want_host(nat::Ipv4Address host, CaptureFilter& filter) const {
  constexpr Page kAll{.offset = 0, .limit = std::size_t{65536} * nat::kProtocols};
  filter.want(host);
  MappingFilter of_host;
  of_host.inside = EndpointFilter{.prefix = {host, 32}, .port = {}};
  for (const auto& row : mappings(of_host, kAll).rows) {
    filter.want(row.protocol, row.external);
  }
}

void Runtime::want_call(std::string_view id, CaptureFilter& filter) const {
  const CallRecord* const call = calls_.by_id(id);
  const auto card = call == nullptr ? std::nullopt : card_of(*call);
  if (!card) return;  // over: what it had stays wanted
  filter.want(card->protocol, card->inside, card->remote);
  filter.want(card->protocol, card->external, card->remote);
  const auto count = std::min<std::size_t>(card->pinhole_count, ipc::kMaxPinholes);
  for (const auto& pinhole : std::span(card->pinholes).first(count)) {
    filter.want(pinhole.protocol, pinhole.inside);
    filter.want(pinhole.protocol, pinhole.external);
  }
}

Paged<PinholeRow> Runtime::pinholes(std::string_view call, Page page) const {
  std::vector<PinholeRow> rows;
  if (call.empty()) {
    for (const CallRecord* const record : calls_.by_card()) append_pinholes(*record, rows);
  } else if (const CallRecord* const record = calls_.by_id(call); record != nullptr) {
    append_pinholes(*record, rows);
  }
  return cut(std::move(rows), page);
}

Paged<RegistrationRow> Runtime::registrations(std::string_view aor, Page page) const {
  return registrations_.rows(aor, page, now());
}

std::vector<CounterRow> Runtime::counters() const {
  if (!attached_) return {};
  auto rows = attached_->stats.counters();
  attached_->gateways.append_counters(rows);
  return rows;
}

std::optional<std::vector<RuleRow>> Runtime::rules() const {
  if (!attached_) return std::vector<RuleRow>{};
  const auto state = attached_->policy.state();
  if (!state) return std::nullopt;
  const auto& set = state->image->rules;
  std::vector<RuleRow> rows;
  for (std::size_t rule = 0; rule < std::min<std::size_t>(set.rule_count, set.rules.size()); ++rule) {
    RuleRow row;
    row.name = set.view(set.rules[rule].name);
    const auto application = set.view(set.rules[rule].application);
    row.application = application.empty() ? config::kSipApplication : application;
    row.action = set.rules[rule].action;
    for (std::uint32_t worker = 0; worker < facts_.workers; ++worker) {
      row.per_worker.push_back(attached_->link.rule_hits(worker, state->slot, rule));
      row.hits += row.per_worker.back();
    }
    rows.push_back(std::move(row));
  }
  return rows;
}

void Runtime::log_rule(const ipc::Event& event) {
  const auto& told = event.rule;
  log_info("rule_matched", {{"rule", told.rule.view()},
                            {"direction", told.direction == alg::Direction::outbound ? "out" : "in"},
                            {"protocol", nat::name(told.protocol)},
                            {"inside", nat::EndpointText(told.inside).view()},
                            {"external", nat::EndpointText(told.external).view()},
                            {"remote", nat::EndpointText(told.remote).view()},
                            {"start", told.start.view()}});
}

std::optional<std::vector<AlgRow>> Runtime::algs() const {
  std::vector<AlgRow> rows;
  if (!attached_) return rows;
  const auto state = attached_->policy.state();
  if (!state) return std::nullopt;
  for (std::size_t gateway = 0; gateway < attached_->gateways.count(); ++gateway)
    rows.push_back(alg_row(*state, gateway));
  return rows;
}

std::vector<GatewayRow> Runtime::gateways() const {
  if (!attached_) return {};
  auto rows = attached_->gateways.rows();
  if (const auto state = attached_->policy.state()) {
    for (std::size_t gateway = 0; gateway < rows.size(); ++gateway)
      rows[gateway].alg = alg_row(*state, gateway);
  }
  return rows;
}

void Runtime::log_gateway(const ipc::Event& event) {
  const auto& told = event.gateway;
  const bool is_stopped = told.news == ipc::GatewayNews::stopped;
  log().write(is_stopped ? Level::warning : Level::info, is_stopped ? "gateway_stopped" : "gateway_said",
              {{"gateway", attached_->gateways.name(told.gateway)},
               {"worker", event.worker},
               {is_stopped ? "fault" : "text", told.text.view()},
               {"protocol", nat::name(told.protocol)},
               {"inside", nat::EndpointText(told.inside).view()},
               {"external", nat::EndpointText(told.external).view()},
               {"remote", nat::EndpointText(told.remote).view()}});
}

BanList Runtime::bans(Page page) const {
  return {.bans = bans_.rows(page, now()), .problem = bans_.problem()};
}

Controls& Runtime::controls() const {
  return *turns_;
}

std::string Runtime::configuration() const {
  return config::shown(config_).dump();
}

}  // namespace pinhole::control
