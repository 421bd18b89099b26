// SPDX-License-Identifier: BSD-3-Clause
#pragma once
// The traffic itself: one thread that sends on both ports at a pace, takes what comes back, and checks it.
//
// Open loop: packets are due by the clock (TSC), whatever the device does. A packet that the link does not
// take is not sent later; it counts as `refused`, as a NIC counts what finds its ring full. When the machine
// holds the generator itself up, what is due is sent late, and what is later than kMaxBehindMs is `skipped`:
// the pace was then not kept, which says nothing about the device. A pace of zero floods: the generator sends
// whatever the link takes, which finds the highest throughput, with loss.

#include <array>
#include <cstdint>
#include <random>
#include <vector>

#include "tests/bench/gen/checker.hpp"
#include "tests/bench/gen/flow.hpp"
#include "tests/bench/gen/frame.hpp"
#include "tests/bench/gen/histogram.hpp"
#include "tests/bench/gen/link.hpp"

namespace pinhole::gen {

/// How late a packet may leave, in milliseconds.
inline constexpr unsigned kMaxBehindMs = 5;

enum class Order : std::uint8_t { random, sequence };

struct TrialPlan {
  std::array<double, kDirections> pps{};  // by direction
  std::array<bool, kDirections> flood{};  // send all that is taken instead
  double seconds = 1;
};

struct DirectionResult {
  std::uint64_t sent = 0;
  std::uint64_t refused = 0;
  std::uint64_t skipped = 0;
  Arrivals arrivals;
  Histogram latency;  // TSC cycles

  /// Sent and never seen again, not even damaged.
  [[nodiscard]] std::uint64_t lost() const noexcept {
    const auto count = [&](Fault fault) { return arrivals.faults[static_cast<std::size_t>(fault)]; };
    const std::uint64_t back =
        arrivals.received + arrivals.faulty() - count(Fault::duplicate) - count(Fault::foreign);
    return sent > back ? sent - back : 0;
  }
};

struct TrialResult {
  double seconds = 0;
  std::uint64_t latest_cycles = 0;  // how far behind its pace the generator was at worst
  std::array<DirectionResult, kDirections> directions;
};

class Traffic {
 public:
  struct Parts {
    Link& inside;
    Link& outside;
    rte_mempool* pool;
    std::vector<Flow>& flows;
    Device device;
    Order order;
    std::array<FrameMaker, kDirections> makers;  // outbound, inbound
  };
  explicit Traffic(Parts parts);

  /// Sends a packet outbound for each flow that is not known, at a moderate pace, until all have come out.
  /// \return flows that are still not known after several rounds
  std::uint32_t warm_up(double pps, TrialResult& result);
  TrialResult run(const TrialPlan& plan);

 private:
  /// A direction: where its packets go in, and where they come out.
  struct Lane {
    Link* from;
    Link* to;
    const FrameMaker* maker;
    Checker checker;
    std::uint32_t next_sequence = 1;
    std::uint64_t due = 0;                    // packets issued by the clock so far
    std::array<rte_mbuf*, kBurst> pending{};  // written, but not yet taken by the link
    unsigned pending_size = 0;
    DirectionResult result;
  };

  [[nodiscard]] std::uint32_t next_flow() noexcept;
  void restart() noexcept;
  void write(Lane& lane, std::span<const std::uint32_t> numbers);
  void send(Lane& lane, bool keep) noexcept;
  void send_paced(Lane& lane, double pps, std::uint64_t elapsed);
  void receive(Lane& lane) noexcept;
  void drain();
  [[nodiscard]] bool all_back() const noexcept;

  Parts parts_;
  double hz_;
  std::array<Lane, kDirections> lanes_;
  std::uint32_t next_in_order_ = 0;
  std::uint64_t random_;
  std::uint64_t latest_cycles_ = 0;
};

}  // namespace pinhole::gen
