// SPDX-License-Identifier: BSD-3-Clause
#pragma once
// The control process at work: it owns the stores, attaches to the data plane, drains its events and watches
// over it, and shows all of it as the Model. Invariant: whether or not there is a data plane, it answers;
// what may block (attaching) has a thread of its own. It never spins: timers wake it. Thread: the one that
// runs the io_context.

#include <sys/types.h>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "control/attach.hpp"
#include "control/ban_store.hpp"
#include "control/call_log.hpp"
#include "control/call_store.hpp"
#include "control/capture/capture.hpp"
#include "control/counters.hpp"
#include "control/dataplane_clock.hpp"
#include "control/event_reader.hpp"
#include "control/gateway_view.hpp"
#include "control/handover.hpp"
#include "control/heartbeat_watch.hpp"
#include "control/mapping_view.hpp"
#include "control/message_log.hpp"
#include "control/model.hpp"
#include "control/nat_log/nat_log.hpp"
#include "control/policy_board.hpp"
#include "control/registration_store.hpp"
#include "control/shared_link.hpp"
#include "control/stats_reader.hpp"
#include "dataplane/config/structs.hpp"

#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/steady_timer.hpp>

namespace pinhole::control {

class Runtime final : public Model {
 public:
  static constexpr std::chrono::milliseconds kDrainEvery{10};
  static constexpr std::chrono::milliseconds kLookEvery{100};
  /// The cards of a worker that loses events all the time are not read more often than this.
  static constexpr std::chrono::seconds kResyncEvery{1};
  /// No turn of a worker takes longer than a tenth of a second, unless its CPU is taken from it.
  static constexpr std::uint64_t kTurnsPerSecond = 10;
  /// Before the process starts anew because attaching failed.
  static constexpr std::chrono::seconds kAttachAgain{1};
  /// Of one worker at a time, so that clients are answered in a flood of events.
  static constexpr int kBurstsPerDrain = 64;
  /// At the end: as many as empty a ring of events.
  static constexpr int kLastDrains = 4;

  /// Why run() of the io_context ended.
  enum class Outcome : std::uint8_t {
    stopped,  // a signal asked for it
    anew,     // the process has to start itself anew, with handover()
    failed,   // error() says why
  };

  /// \param left by the process that started this one anew.
  Runtime(boost::asio::io_context& context, config::Config config, std::string config_path,
          std::optional<Handover> left);
  Runtime(const Runtime&) = delete;
  Runtime& operator=(const Runtime&) = delete;
  /// Gives the data plane's memory back, if it is up. Not while is_attaching().
  ~Runtime() override;

  /// Begins: signals are handled from now on.
  void start();

  [[nodiscard]] Outcome outcome() const noexcept { return outcome_; }
  [[nodiscard]] const Error& error() const noexcept { return error_; }
  [[nodiscard]] Handover handover() const { return {.status = status(), .calls = calls_.records()}; }
  /// True while the attaching thread runs: it cannot be stopped, the process can only be left.
  [[nodiscard]] bool is_attaching() const noexcept { return attacher_.joinable(); }

  [[nodiscard]] Status status() const override;
  [[nodiscard]] std::vector<WorkerRow> workers() const override;
  [[nodiscard]] Paged<MappingRow> mappings(const MappingFilter& filter, Page page) const override;
  [[nodiscard]] Paged<CallRow> calls(const CallFilter& filter, Page page) const override;
  [[nodiscard]] std::vector<CallRow> find_calls(std::string_view prefix, std::size_t limit) const override;
  [[nodiscard]] std::optional<CallDetail> call(std::string_view id) const override;
  [[nodiscard]] Paged<PinholeRow> pinholes(std::string_view call, Page page) const override;
  [[nodiscard]] Paged<RegistrationRow> registrations(std::string_view aor, Page page) const override;
  [[nodiscard]] Paged<MessageRow> messages(const MessageFilter& filter, Page page) const override {
    return messages_.rows(filter, page);
  }
  [[nodiscard]] BanList bans(Page page) const override;
  [[nodiscard]] std::vector<AllowRow> allow_list() const override { return bans_.allow_list(); }
  [[nodiscard]] std::vector<CounterRow> counters() const override;
  [[nodiscard]] std::optional<std::vector<RuleRow>> rules() const override;
  [[nodiscard]] std::optional<std::vector<AlgRow>> algs() const override;
  [[nodiscard]] std::vector<GatewayRow> gateways() const override;
  [[nodiscard]] const config::Config& config() const override { return config_; }
  [[nodiscard]] std::string configuration() const override;
  [[nodiscard]] Controls& controls() const override;

 private:
  /// What there is while a data plane is attached.
  struct Attached {
    /// \param sleep of the policy board.
    Attached(Attachment shared, const Primary& process, const config::Timeouts& timeouts,
             ControlCounters& counters, Moment now, std::function<void(std::chrono::milliseconds)> sleep);

    Attachment attachment;
    Primary primary;
    DataplaneClock clock;
    MappingView mappings;
    SharedLink link;
    PolicyBoard policy;
    StatsReader stats;
    GatewayView gateways;
    HeartbeatWatch heart;
    Capture capture;
    struct Worker {
      EventReader events;
      std::uint64_t lost_seen = 0;  // its `event_lost` when the cards were read last
      bool resync_due = true;
      Steady resynced{};
    };
    std::vector<Worker> workers;
  };

  // NOLINTNEXTLINE(cppcoreguidelines-virtual-class-destructor): it is final where it is defined.
  class Turns;  // what can be changed; control/turns.hpp

  [[nodiscard]] static Moment now();
  void look();
  void look_for_dataplane();
  void look_at_dataplane();
  void begin_attaching(const Primary& primary);
  void on_attach(Result<Attachment> result, const Primary& primary);
  void watch_process();
  void on_dataplane_gone();
  /// \return whether NAT records are left on the rings.
  bool drain();
  /// Drains and sleeps for what is left of the time.
  void sleep_draining(std::chrono::milliseconds time);
  void resync_where_due(Moment now);
  void set_state(DataplaneState state);
  void fill_in(Status& status) const;
  void log_rule(const ipc::Event& event);
  void log_gateway(const ipc::Event& event);
  /// \param number  of a switch (ipc::PolicyImage)
  [[nodiscard]] AlgRow alg_row(const PolicyBoard::State& state, std::size_t number) const;
  void note_layout();
  void append_pinholes(const CallRecord& call, std::vector<PinholeRow>& rows) const;
  /// The card of a call that lives.
  [[nodiscard]] std::optional<ipc::CallCard> card_of(const CallRecord& call) const;
  [[nodiscard]] Capture::Refresh refresh_for(const CaptureOrder& order) const;
  void want_host(nat::Ipv4Address host, CaptureFilter& filter) const;
  void want_call(std::string_view id, CaptureFilter& filter) const;
  void end(Outcome outcome);
  void on_signal();

  boost::asio::io_context& context_;
  config::Config config_;
  std::string config_path_;
  std::string primary_path_;
  Status facts_;  // what is constant, and what was last known of the data plane
  ControlCounters counters_;
  CallLog call_log_;
  CallStore calls_;
  RegistrationStore registrations_;
  MessageLog messages_;
  NatLog nat_log_;
  BanStore bans_;
  std::unique_ptr<Attached> attached_;
  std::unique_ptr<Turns> turns_;
  std::optional<Primary> seen_;       // at the last look for a data plane
  std::optional<Primary> attaching_;  // to this one
  std::atomic<bool> stop_attaching_{false};
  std::thread attacher_;
  Outcome outcome_ = Outcome::stopped;
  Error error_;
  boost::asio::steady_timer look_timer_;
  Steady looked_;
  boost::asio::steady_timer drain_timer_;
  boost::asio::signal_set signals_;
  boost::asio::posix::stream_descriptor process_;  // of the data plane: readable when it has ended
};

}  // namespace pinhole::control
