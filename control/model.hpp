// SPDX-License-Identifier: BSD-3-Clause
#pragma once
// What control can show, as values: the view that the commands render, and what they can change. Invariant:
// nothing here points into shared memory; a row is a copy and stays as it was taken. The control process
// implements Model over its stores and the data plane's memory; tests implement it over a few vectors.
// Thread: the one that runs the server.

#include "alg/alg.hpp"
#include "alg/sip/rule_set.hpp"
#include "control/error.hpp"
#include "control/rare.hpp"
#include "dataplane/config/structs.hpp"
#include "dataplane/ipc/alg_switch.hpp"
#include "dataplane/ipc/ban.hpp"
#include "dataplane/ipc/call_state.hpp"
#include "dataplane/ipc/gateways.hpp"
#include "dataplane/ipc/why.hpp"
#include "nat/drop_reason.hpp"
#include "nat/endpoint.hpp"
#include "nat/mapping.hpp"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace pinhole::control {

using Time = std::chrono::system_clock::time_point;

enum class DataplaneState : std::uint8_t {
  starting,  // control has not seen a data plane yet
  up,        // attached, and its heart beats
  lost,      // it was there, and its heart has stopped
};

struct InterfaceRow {
  std::string name;
  std::string device;
  config::Zone zone = config::Zone::inside;
  nat::Prefix address;
  std::string mac;  // "02:00:00:00:00:01"
};

/// What became of NAT records since control started, and of those that it never got since the data plane did.
struct NatLogRow {
  std::string file;          // empty: none
  std::string file_problem;  // empty: none
  std::optional<nat::Endpoint> collector;
  std::string collector_problem;  // empty: none is known
  std::uint64_t received = 0;
  std::uint64_t lost = 0;  // on the way from workers
  std::uint64_t written = 0;
  std::uint64_t unwritten = 0;  // lost for the file
  std::uint64_t exported = 0;
  std::uint64_t unsent = 0;  // lost for the collector
};

/// The switch of a gateway.
struct AlgRow {
  std::string name = "sip";
  bool on = true;                                // for all
  std::vector<std::string> interfaces_off = {};  // by name
  std::vector<ipc::SwitchRule> hosts = {};       // the longest prefixes first
  std::uint32_t generation = 0;                  // changes since the data plane started
  bool settled = true;                           // all workers have it
};

/// One turn of the switch of a gateway.
struct AlgTurn {
  std::string alg = "sip";
  bool on = true;
  std::string interface;             // by name; empty: not by interface
  std::optional<nat::Prefix> hosts;  // none: not by host; neither: for all
};

/// A rule for messages, in the order in which they are asked.
struct RuleRow {
  std::string name;
  std::string application;  // whose messages it is asked of
  alg::sip::RuleAction action = alg::sip::RuleAction::pass;
  std::uint64_t hits = 0;  // messages that it decided about
  std::vector<std::uint64_t> per_worker;
};

/// What reading the configuration again has changed.
struct ReloadRow {
  std::vector<std::string> changed;  // keys
  std::uint32_t generation = 0;
  bool settled = true;  // all workers have it
};

/// What to capture, and for how long.
struct CaptureOrder {
  std::string file;  // an absolute path that does not exist
  std::uint32_t seconds = 60;
  std::uint64_t packets = 0;  // 0: any number
  std::uint32_t megabytes = 100;
  std::optional<nat::Ipv4Address> host;  // only of this inside host
  std::string call;                      // only of this call, CallRow::id; empty: of any
  std::vector<std::string> interfaces;   // by name; empty: all
  bool attended = false;                 // to be ended when nobody asks after it
};

/// The capture that runs, or the last one.
struct CaptureRow {
  std::string state = "none";  // "starting", "running", "ended"
  std::string file;
  Time started;
  std::optional<Time> ended;
  std::string ended_by;       // the limit that it came to, or what else; empty: not yet
  std::uint64_t packets = 0;  // written
  std::uint64_t lost = 0;     // copies that control did not take in time
  std::uint64_t bytes = 0;    // of the file
};

struct Status {
  std::string version;      // of control
  std::string config_path;  // of the file that control was started with
  std::uint32_t control_pid = 0;
  Time control_started;
  Time now;

  DataplaneState dataplane = DataplaneState::starting;
  Time dataplane_since;  // when it came into this state
  // What follows is of the last data plane that was attached, zero before the first.
  std::uint32_t dataplane_pid = 0;
  Time dataplane_started;
  std::uint16_t abi_version = 0;
  std::uint32_t workers = 0;
  bool plan_differs = false;  // it gives external ports out by another configuration than control's
  std::vector<InterfaceRow> interfaces;

  std::uint64_t calls = 0;  // live
  std::uint64_t registrations = 0;
  std::uint64_t mappings = 0;
  std::uint64_t pinholes = 0;
  std::uint64_t mbufs_in_use = 0;
  std::uint64_t events_received = 0;
  std::uint64_t events_lost = 0;
  std::optional<AlgRow> sip;         // none: there is no data plane to be asked
  std::optional<NatLogRow> nat_log;  // none: nobody wants records
};

struct WorkerRow {
  std::uint32_t worker = 0;
  std::uint32_t lcore = 0;
  std::uint64_t rx_packets = 0;
  std::uint64_t rx_bytes = 0;
  std::uint64_t tx_packets = 0;
  std::uint64_t tx_bytes = 0;
  std::uint64_t translated_out = 0;
  std::uint64_t translated_in = 0;
  std::uint64_t handoff_out = 0;
  std::uint64_t handoff_in = 0;
  std::uint64_t drops = 0;  // sum over all drop reasons
  std::uint64_t mappings = 0;
  std::uint64_t mapping_capacity = 0;
  std::uint64_t calls = 0;
  std::uint64_t pinholes = 0;
  std::uint64_t registrations = 0;
  std::uint64_t event_lost = 0;
  std::uint64_t turns_busy = 0;
  std::uint64_t turns_idle = 0;
};

/// Which rows of a long list are wanted.
struct Page {
  std::size_t offset = 0;
  std::size_t limit = 100;
};

template <typename Row>
struct Paged {
  std::vector<Row> rows;
  std::size_t total = 0;  // that match the filter, on all pages
};

/// An address, a subnet or one endpoint.
struct EndpointFilter {
  nat::Prefix prefix;
  std::optional<std::uint16_t> port;

  [[nodiscard]] bool matches(nat::Endpoint endpoint) const noexcept {
    return prefix.contains(endpoint.address) && (!port || *port == endpoint.port.host());
  }
};

struct MappingFilter {
  std::optional<nat::Protocol> protocol;
  std::optional<EndpointFilter> inside;
  std::optional<EndpointFilter> external;
  std::optional<EndpointFilter> remote;  // a mapping without a remote does not match
};

enum class MappingKind : std::uint8_t { dynamic, forward, pinhole };

struct MappingRow {
  std::uint32_t worker = 0;
  nat::Protocol protocol = nat::Protocol::udp;
  MappingKind kind = MappingKind::dynamic;
  bool sip = false;
  nat::Endpoint inside;
  nat::Endpoint external;
  std::optional<nat::Endpoint> remote;
  nat::Filter filter = nat::Filter::address_dependent;
  nat::TimeoutClass timeout_class = nat::TimeoutClass::udp;
  std::optional<std::uint32_t> connections;  // TCP: those that are established
  std::uint32_t idle_s = 0;
  std::optional<std::uint32_t> expires_s;  // from now; none: never
  std::uint64_t packets_out = 0;
  std::uint64_t packets_in = 0;
  std::uint64_t bytes = 0;
};

/// Who ended a call.
enum class EndedBy : std::uint8_t {
  unknown,
  inside,
  outside,
  pinhole,
};
[[nodiscard]] std::string_view name(EndedBy side) noexcept;

struct CallRow {
  std::string id;       // 16 hexadecimal digits made of the Call-ID: the same after every restart
  std::string call_id;  // as in the messages; cut when very long
  ipc::CallStep step;
  bool outbound = false;  // the first INVITE came from inside
  std::uint32_t worker = 0;
  std::string from_uri;
  std::string to_uri;
  nat::Endpoint inside;  // of the signalling flow
  nat::Endpoint external;
  nat::Endpoint remote;
  Time started;
  std::optional<Time> answered;
  std::optional<Time> ended;
  std::uint32_t pinholes = 0;  // open now
  EndedBy ended_by = EndedBy::unknown;
};

/// One thing that was done to a message, or opened for it.
struct WhyLine {
  ipc::WhyKind kind = ipc::WhyKind::edit;
  alg::Rule rule = alg::Rule::other;  // of an edit
  std::string before;
  std::string after;
};

/// One message of a call as it passed.
struct LadderLine {
  Time time;
  alg::Direction direction = alg::Direction::outbound;
  std::uint16_t status = 0;  // 0: a request
  std::string start;         // "INVITE", "180 Ringing"
  std::uint32_t cseq = 0;
  bool has_sdp = false;
  std::uint32_t edits = 0;  // tokens replaced
  nat::Endpoint inside;
  nat::Endpoint external;
  nat::Endpoint remote;
  std::uint32_t event = 0;     // number of the event that told of it
  std::vector<WhyLine> why{};  // when sip.why is set
  std::uint32_t why_told = 0;  // records that there were; those that are not in `why` were lost
};

/// A message that belongs to no call, or was dropped.
struct MessageRow {
  LadderLine line;
  std::uint32_t worker = 0;
  nat::DropReason drop = nat::DropReason::none;  // none: it went on
};

/// RTP of one direction of a media port, as calls.measure has it measured.
struct RtpRow {
  std::uint64_t packets = 0;   // each once
  std::uint64_t lost = 0;      // numbers that did not come
  std::uint64_t repeated = 0;  // came again, or so late that they count as lost
  std::uint32_t sources = 0;   // that were measured
  std::uint32_t jitter_us = 0;
  std::uint32_t jitter_max_us = 0;
  std::uint32_t gap_max_us = 0;
};

/// What is known of the two directions of a media port apart.
struct Measured {
  std::uint64_t bytes_out = 0;
  std::uint64_t bytes_in = 0;
  std::optional<RtpRow> rtp_out;  // none: it is for RTCP
  std::optional<RtpRow> rtp_in;
};

/// What has gone through a media port.
struct MediaUsage {
  std::uint64_t packets_out = 0;
  std::uint64_t packets_in = 0;
  std::uint64_t bytes = 0;  // of IP, both ways
  Rare<Measured> measured;  // none: it is not measured
};

/// What went through a media port of a call, as far as it was read.
struct MediaRecord {
  nat::Endpoint inside;
  nat::Endpoint external;
  std::optional<nat::Endpoint> remote;
  nat::Protocol protocol = nat::Protocol::udp;
  bool is_rtcp = false;
  MediaUsage before;  // what had passed when the call got it of another one
  MediaUsage usage;   // and since
};

struct PinholeRow {
  std::string call;  // CallRow::id
  std::uint32_t worker = 0;
  nat::Endpoint inside;
  nat::Endpoint external;
  std::optional<nat::Endpoint> remote;  // who was heard or sent to last
  std::uint32_t idle_s = 0;
  std::uint64_t packets_out = 0;
  std::uint64_t packets_in = 0;
  std::uint64_t bytes = 0;
};

struct CallDetail {
  CallRow call;
  std::string from_tag;
  std::string to_tag;
  std::vector<LadderLine> ladder;    // oldest first
  std::uint64_t ladder_missing = 0;  // messages that passed but are not kept
  std::vector<MediaRecord> media;    // all that it has, and had
  std::vector<PinholeRow> pinholes;
};

struct RegistrationRow {
  std::string aor;
  std::uint32_t worker = 0;
  nat::Endpoint inside;
  nat::Endpoint external;
  nat::Endpoint registrar;
  std::uint32_t expires_s = 0;  // from now
};

struct CallFilter {
  bool live_only = true;                 // without the records of ended calls
  std::optional<EndpointFilter> inside;  // of the signalling flow
  std::string party;                     // part of the From or To URI; empty: any
};

struct MessageFilter {
  bool dropped_only = false;
  std::optional<EndpointFilter> inside;
  std::optional<EndpointFilter> remote;
};

struct CounterRow {
  std::string module;  // "drop", "nat", "alg", "worker", "control"
  std::string name;
  std::string help;
  std::uint64_t total = 0;
  std::vector<std::uint64_t> per_worker;  // empty for control's own
};

/// A gateway that is built in or loaded (alg/plugin.h).
struct GatewayRow {
  std::string name;
  std::string version;
  std::string file;  // empty: it is built in
  std::vector<ipc::GatewayClaim> claims;
  std::optional<AlgRow> alg;    // its switch; none while a worker's card cannot be read
  std::uint32_t budget_us = 0;  // 0: none, it is built in
  std::uint32_t max_faults = 0;
  std::uint64_t faults = 0;
  std::vector<std::uint32_t> stopped_workers;  // that show it nothing any more, for its faults
  std::vector<CounterRow> counters;            // what the host counts of it, then its own
};

/// A ban that holds.
struct BanRow {
  nat::Prefix prefix;
  ipc::BanReason reason = ipc::BanReason::manual;
  bool proven = false;  // by traffic both ways
  std::string detail;   // the User-Agent, the subscriber, or the note of an operator
  Time since;
  Time until;
  std::uint32_t level = 0;  // how often it was made longer
  std::uint64_t hits = 0;   // packets that were dropped for it
  bool allowed = false;     // it does nothing: an allow list wins
};

/// What an operator wants banned.
struct BanOrderRow {
  nat::Prefix prefix;
  std::uint32_t seconds = 3600;
  std::string note;
};

struct BanList {
  Paged<BanRow> bans;
  std::string problem;  // of the file that they are kept in; empty: none is known
};

struct AllowRow {
  nat::Prefix prefix;
  bool configured = false;  // by the configuration, and so not to be taken back
};

/// What can be changed at run time.
class Controls {
 public:
  /// Errors: not_found for a gateway or an interface that there is not, and those of PolicyBoard::turn().
  virtual Result<AlgRow> turn_alg(const AlgTurn& turn) = 0;

  /// Reads the configuration file again, and puts in force what of it can change at run time.
  /// Errors: those of config::load(); conflict, when something else has changed; those of PolicyBoard::put().
  /// Nothing has changed then.
  virtual Result<ReloadRow> reload() = 0;
  /// Ends a call for both its sides. \param id  a whole one
  /// \return the call as it is at this moment. Errors: conflict for one that is ending already
  virtual Result<CallRow> hang_up(const std::string& id) = 0;

  /// Errors: not_found for an interface that there is not, and those of Capture::start().
  virtual Result<CaptureRow> start_capture(const CaptureOrder& order) = 0;
  /// Ends the capture, if one runs.
  virtual CaptureRow stop_capture() = 0;
  virtual CaptureRow capture() = 0;

  // Bans, with or without a data plane. Errors: those of BanStore.
  virtual Result<BanRow> add_ban(const BanOrderRow& order) = 0;
  virtual Result<void> lift_ban(nat::Prefix prefix) = 0;
  virtual Result<void> allow(nat::Prefix prefix) = 0;
  virtual Result<void> disallow(nat::Prefix prefix) = 0;

 protected:
  ~Controls() = default;
};

class Model {
 public:
  virtual ~Model() = default;

  /// Answers in every state; the rest are asked only while the data plane is up, but for calls, call details,
  /// bans and the configuration, which control holds itself.
  [[nodiscard]] virtual Status status() const = 0;
  [[nodiscard]] virtual std::vector<WorkerRow> workers() const = 0;
  [[nodiscard]] virtual Paged<MappingRow> mappings(const MappingFilter& filter, Page page) const = 0;
  /// Newest first.
  [[nodiscard]] virtual Paged<CallRow> calls(const CallFilter& filter, Page page) const = 0;
  /// Calls, ended ones too, whose id or Call-ID begins with `prefix`; an exact match comes alone.
  [[nodiscard]] virtual std::vector<CallRow> find_calls(std::string_view prefix, std::size_t limit) const = 0;
  /// \param id CallRow::id, whole.
  [[nodiscard]] virtual std::optional<CallDetail> call(std::string_view id) const = 0;
  /// \param call CallRow::id, whole; empty: of all calls.
  [[nodiscard]] virtual Paged<PinholeRow> pinholes(std::string_view call, Page page) const = 0;
  /// \param aor part of the address of record; empty: any.
  [[nodiscard]] virtual Paged<RegistrationRow> registrations(std::string_view aor, Page page) const = 0;
  /// Those of no call, and dropped ones; newest first.
  [[nodiscard]] virtual Paged<MessageRow> messages(const MessageFilter& filter, Page page) const = 0;
  /// Those that hold.
  [[nodiscard]] virtual BanList bans(Page page) const = 0;
  /// Of the configuration first.
  [[nodiscard]] virtual std::vector<AllowRow> allow_list() const = 0;
  /// Every counter of every module, drop reasons among them, in the order of their lists.
  [[nodiscard]] virtual std::vector<CounterRow> counters() const = 0;
  /// None while a worker's card cannot be read.
  [[nodiscard]] virtual std::optional<std::vector<RuleRow>> rules() const = 0;
  /// The switches, that of SIP first. None while a worker's card cannot be read.
  [[nodiscard]] virtual std::optional<std::vector<AlgRow>> algs() const = 0;
  [[nodiscard]] virtual std::vector<GatewayRow> gateways() const = 0;
  /// The configuration that control was started with or read again since; valid as long as the model.
  [[nodiscard]] virtual const config::Config& config() const = 0;
  /// The same with every default filled in and without secrets, as a JSON document.
  [[nodiscard]] virtual std::string configuration() const = 0;
  /// Asked only while the data plane is up, but for bans.
  [[nodiscard]] virtual Controls& controls() const = 0;
};

}  // namespace pinhole::control
