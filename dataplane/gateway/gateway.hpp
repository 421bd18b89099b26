// SPDX-License-Identifier: BSD-3-Clause
#pragma once
// Gateways of alg/plugin.h in the data plane: what a process makes of a list of them, and one gateway as one
// worker has it, with its state, its stream engine, its budget and its faults.
//
// Invariant: whatever a gateway does that can be checked, traffic goes on; who has had all the faults that he
// may have is not called any more.

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "alg/alg.hpp"
#include "alg/plugin.h"
#include "alg/stream/engine.hpp"
#include "alg/stream/framer.hpp"
#include "dataplane/alg_host.hpp"
#include "dataplane/clock.hpp"
#include "dataplane/ipc/event.hpp"
#include "dataplane/ipc/gateways.hpp"
#include "nat/rate_limit.hpp"

namespace pinhole::dataplane {

class StreamTable;

/// A gateway that the process runs, built in or loaded. Lives as long as the process.
struct GatewaySpec {
  const pinhole_plugin* plugin = nullptr;
  std::vector<pinhole_claim> claims;  // of the plug-in, or other ports that the configuration has for it
  std::string options;
  std::uint32_t budget_us = 200;   // for a call; 0: as long as it takes
  std::uint32_t max_faults = 8;    // on a worker, before it is switched off there; at least 1
  std::uint32_t keep_alive_s = 0;  // ends of a silent parent are asked so often; 0: never
  // What is not read does not pass: see alg::stream::Engine, and dataplane/inspect_stream.hpp. Where it is
  // switched off, for its faults or by somebody, all passes.
  bool strict = false;
  // False, as of SIP: each message is by itself, whoever began the flow. Then pinhole_message::flow is NULL,
  // `server` is the side that the message goes to, and expect() and keep() are refused.
  bool keeps_flows = true;
  std::string file;  // empty: it is built in
};

using ipc::GatewayNumber;

class Gateway {
 public:
  /// What all gateways of a worker use together.
  struct Shared {
    unsigned worker = 0;
    const Clock& clock;
    std::uint64_t tsc_hz = 0;
    EventSink& events;
    StreamTable& streams;  // what the engines need
    nat::CounterBlock<alg::Counter>& counters;
  };
  enum class Fault : std::uint8_t { argument, verdict, budget };

  Gateway(const GatewaySpec& spec, GatewayNumber number, ipc::GatewayStats& stats,
          const Shared& shared) noexcept;
  Gateway(const Gateway&) = delete;
  Gateway& operator=(const Gateway&) = delete;
  /// Thread: main, when the worker runs no more.
  ~Gateway();

  /// Has the gateway make its state. \return false when it could not. Thread: main
  [[nodiscard]] bool start(const pinhole_host& host);

  [[nodiscard]] GatewayNumber number() const noexcept { return number_; }
  [[nodiscard]] std::string_view name() const noexcept { return spec_.plugin->name; }
  [[nodiscard]] const GatewaySpec& spec() const noexcept { return spec_; }
  [[nodiscard]] ipc::GatewayStats& stats() noexcept { return stats_; }
  /// Whether it has had too many faults.
  [[nodiscard]] bool is_stopped() const noexcept { return is_stopped_; }
  [[nodiscard]] alg::stream::Engine& engine() noexcept { return engine_; }

  /// Shows it a message. \return what it says; none when that is no answer, or came too late: a fault
  [[nodiscard]] std::optional<int> inspect(pinhole_context& context, const pinhole_message& message,
                                           const alg::Flow& flow) noexcept;
  /// It has broken a rule. \param flow  whose message it was shown
  void note(Fault fault, const alg::Flow& flow) noexcept;
  /// Has control write a line. \return false when there were too many of late, or the ring is full
  [[nodiscard]] bool say(std::string_view text, const alg::Flow& flow) noexcept;

 private:
  /// Where its messages end.
  class Cutter final : public alg::stream::Framer {
   public:
    explicit Cutter(Gateway& gateway) noexcept : gateway_(gateway) {}
    [[nodiscard]] alg::stream::Frame feed(alg::stream::FramerState& state,
                                          std::string_view fresh) const noexcept override;

   private:
    Gateway& gateway_;
  };

  static constexpr std::uint32_t kEventsPerSecond = 10;
  static constexpr std::uint32_t kEventBurst = 50;
  /// A call may last too long because the machine had something else to do: one is forgiven in so many ticks.
  static constexpr nat::Tick kForgive = nat::ticks_from_s(10);

  [[nodiscard]] alg::stream::Frame cut(alg::stream::FramerState& state, std::string_view fresh) noexcept;
  [[nodiscard]] std::uint64_t begin_call() const noexcept;
  [[nodiscard]] bool is_late(std::uint64_t begun) const noexcept;
  [[nodiscard]] bool push(ipc::GatewayNews news, std::string_view text, const alg::Flow& flow) noexcept;

  const GatewaySpec& spec_;
  GatewayNumber number_;
  ipc::GatewayStats& stats_;
  unsigned worker_;
  const Clock& clock_;
  EventSink& events_;
  void* state_ = nullptr;
  bool has_state_ = false;
  bool is_stopped_ = false;
  std::uint64_t budget_;      // of the TSC; 0: none
  std::uint32_t broken_ = 0;  // faults that are never forgiven
  std::uint32_t late_ = 0;
  nat::Tick forgiven_at_ = 0;
  nat::RateLimit event_limit_;
  Cutter cutter_;
  alg::stream::Engine engine_;
};

}  // namespace pinhole::dataplane
