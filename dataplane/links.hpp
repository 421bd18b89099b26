// SPDX-License-Identifier: BSD-3-Clause
#pragma once
// What connects a worker's gateway, its host and translator with the rest: the rings of events and of NAT
// records to control, the rings to the other workers, and the routes that tell inside from outside. Each is
// owned by one worker.

#include <cstdint>
#include <string_view>

#include "alg/sip/rules.hpp"
#include "dataplane/alg_host.hpp"
#include "dataplane/clock.hpp"
#include "dataplane/foreign.hpp"
#include "dataplane/guard/guard.hpp"
#include "dataplane/ipc/event.hpp"
#include "dataplane/network.hpp"
#include "dataplane/stats.hpp"
#include "nat/rate_limit.hpp"
#include "nat/record.hpp"

#include <rte_ring.h>

namespace pinhole::dataplane {

class RouteZones final : public Zones {
 public:
  explicit RouteZones(const RouteTable& routes) noexcept : routes_(routes) {}
  [[nodiscard]] bool is_inside(nat::Ipv4Address address) const noexcept override;

 private:
  const RouteTable& routes_;
};

class EventRing final : public EventSink {
 public:
  /// \param ring  of a single producer, this one: events are written in place
  EventRing(rte_ring* ring, std::uint8_t worker, const Clock& clock,
            nat::CounterBlock<WorkerCounter>& counters) noexcept
      : ring_(ring), worker_(worker), clock_(clock), counters_(counters) {}
  bool push(ipc::Event& event) noexcept override;

 private:
  rte_ring* ring_;
  std::uint8_t worker_;
  const Clock& clock_;
  nat::CounterBlock<WorkerCounter>& counters_;
  std::uint32_t sequence_ = 0;
};

/// Does what rules ask for: tells control of messages, some a second, and has the guard ban sources.
class RuleEvents final : public alg::sip::RuleHost {
 public:
  static constexpr std::uint32_t kPerSecond = 10;
  static constexpr std::uint32_t kBurst = 50;

  RuleEvents(EventSink& events, Guard& guard, const Clock& clock, std::uint64_t tsc_hz) noexcept
      : events_(events), guard_(guard), clock_(clock), limit_(kPerSecond, kBurst, tsc_hz) {}
  void note(std::string_view rule, const alg::Message& message) noexcept override;
  void ban(std::string_view rule, const alg::Message& message) noexcept override {
    guard_.ban_by_rule(rule, message);
  }

 private:
  EventSink& events_;
  Guard& guard_;
  const Clock& clock_;
  nat::RateLimit limit_;
};

class RecordRing final : public nat::RecordSink {
 public:
  /// \param ring  nullptr: put() is not called
  RecordRing(rte_ring* ring, std::uint16_t worker, const Clock& clock,
             nat::CounterBlock<WorkerCounter>& counters) noexcept
      : ring_(ring), worker_(worker), clock_(clock), counters_(counters) {}
  void put(const nat::Record& record) noexcept override;

 private:
  rte_ring* ring_;
  std::uint16_t worker_;
  const Clock& clock_;
  nat::CounterBlock<WorkerCounter>& counters_;
  std::uint32_t sequence_ = 0;
};

class PeerRings final : public PeerLink {
 public:
  PeerRings(unsigned worker, const Network& network) noexcept : worker_(worker), network_(network) {}
  [[nodiscard]] bool send(const PeerMessage& message) noexcept override;
  /// Takes the next message for this worker. \return false when there is none
  [[nodiscard]] bool receive(PeerMessage& message) noexcept;

 private:
  unsigned worker_;
  const Network& network_;
};

}  // namespace pinhole::dataplane
