// SPDX-License-Identifier: BSD-3-Clause
// pinhole-gen: real flows through a NAT, from both sides, every packet checked. One thread does everything;
// traffic.hpp is the place to start reading.
#include <cstdio>
#include <exception>
#include <filesystem>
#include <fstream>
#include <memory>
#include <stdexcept>

#include "tests/bench/gen/options.hpp"
#include "tests/bench/gen/report.hpp"
#include "tests/bench/gen/search.hpp"
#include "tests/bench/gen/traffic.hpp"

#include <rte_cycles.h>
#include <rte_eal.h>

#include <fmt/format.h>

namespace pinhole::gen {

namespace {

constexpr int kCannotRun = 1;
constexpr int kDeviceErred = 2;
/// Bytes of the check sequence, which ports add and take away.
constexpr std::size_t kFrameCheck = 4;

/// The device did something that it may not.
struct DeviceErred : std::runtime_error {
  using std::runtime_error::runtime_error;
};

struct Gateways {
  nat::MacAddress inside{{0x02, 0, 0, 0, 0, 1}};  // testpmd takes any
  nat::MacAddress outside{{0x02, 0, 0, 0, 0, 2}};
};

class Session {
 public:
  Session(const Options& options, rte_mempool* pool)
      : options_(options),
        tsc_hz_(static_cast<double>(rte_get_tsc_hz())),
        inside_(options.inside_device, pool),
        outside_(options.outside_device, pool),
        flows_(make_flows(options.plan, options.device)) {
    inside_.wait_up();
    outside_.wait_up();
    Gateways gateways;
    if (options.device == Device::nat) {
      gateways.inside = inside_.resolve(options.inside_own, options.inside_gateway);
      gateways.outside = outside_.resolve(options.outside_own, options.outside_gateway);
    }
    const std::size_t size = options.frame_bytes - kFrameCheck;
    traffic_ = std::make_unique<Traffic>(
        Traffic::Parts{inside_,
                       outside_,
                       pool,
                       flows_,
                       options.device,
                       options.order,
                       {FrameMaker(Direction::outbound, size, {inside_.mac(), gateways.inside}),
                        FrameMaker(Direction::inbound, size, {outside_.mac(), gateways.outside})}});
  }

  void warm_up() {
    TrialResult result;
    const std::uint32_t unknown = traffic_->warm_up(options_.warm_up_pps, result);
    if (const auto damage = damage_in(result)) throw DeviceErred(*damage + " (while mappings were made)");
    if (unknown > 0) {
      throw DeviceErred(fmt::format("{} of {} flows got no mapping", unknown, flows_.size()));
    }
    check_overload();
  }

  StepResult run(const Step& step) {
    StepResult done;
    switch (step.kind) {
      case Step::Kind::pace:
        done = trial(fmt::format("{:.0f}", step.pps), step.pps);
        break;
      case Step::Kind::flood:
        done = flood();
        break;
      case Step::Kind::search:
        done = find_highest();
        break;
      case Step::Kind::half:
        done = trial("half", found_pps_ / 2);
        break;
    }
    if (const auto error = error_of(done, options_.tolerance)) throw DeviceErred(*error);
    return done;
  }

  void wait_until_gone() const {
    inside_.wait_down();
    outside_.wait_down();
  }

  /// Two flows may never have the same external endpoint; looked at again at the end.
  void check_overload() const {
    if (options_.device != Device::nat) return;
    if (const auto overload = find_overload(flows_)) {
      throw DeviceErred(fmt::format("flows {} and {} were given the same external endpoint {}", overload->one,
                                    overload->other,
                                    nat::EndpointText(flows_[overload->one].external).view()));
    }
  }

 private:
  [[nodiscard]] bool uses(Direction direction) const {
    return options_.mix == Mix::both || (options_.mix == Mix::outbound) == (direction == Direction::outbound);
  }

  [[nodiscard]] TrialPlan plan(double pps) const {
    TrialPlan plan{.pps = {}, .flood = {}, .seconds = options_.seconds};
    for (const auto direction : {Direction::outbound, Direction::inbound}) {
      if (uses(direction)) {
        plan.pps[static_cast<std::size_t>(direction)] = options_.mix == Mix::both ? pps / 2 : pps;
      }
    }
    return plan;
  }

  StepResult trial(std::string name, double pps) {
    StepResult done{.name = std::move(name), .pps = pps, .result = traffic_->run(plan(pps))};
    done.pace_kept = kept_pace(done.result);
    return done;
  }

  StepResult flood() {
    TrialPlan flood_plan = plan(0);
    for (const auto direction : {Direction::outbound, Direction::inbound}) {
      flood_plan.flood[static_cast<std::size_t>(direction)] = uses(direction);
    }
    StepResult done{.name = "flood", .may_lose = true, .result = traffic_->run(flood_plan)};
    std::uint64_t received = 0;
    for (const auto& direction : done.result.directions) received += direction.arrivals.received;
    flood_pps_ = static_cast<double>(received) / done.result.seconds;
    return done;
  }

  StepResult find_highest() {
    // A flood before has shown what comes through at all; without loss there will not be more.
    constexpr double kAboveFlood = 1.02;
    const double highest = flood_pps_ > 0 ? flood_pps_ * kAboveFlood : options_.max_pps;
    StepResult best;
    bool limited = false;
    unsigned trials = 0;
    found_pps_ = search({highest, options_.resolution}, [&](double pps) {
      ++trials;
      StepResult done = trial("search", pps);
      if (const auto damage = damage_in(done.result)) throw DeviceErred(*damage);
      const bool passed = done.pace_kept && !error_of(done, options_.tolerance);
      if (!done.pace_kept) limited = true;
      if (passed) best = std::move(done);
      return passed;
    });
    if (found_pps_ <= 0) {
      throw DeviceErred(fmt::format("packets are lost at every pace down to {:.0f} packets a second",
                                    highest * options_.resolution));
    }
    best.trials = trials;
    best.pace_kept = !limited;
    return best;
  }

  const Options& options_;
  double tsc_hz_;
  Link inside_;
  Link outside_;
  std::vector<Flow> flows_;
  std::unique_ptr<Traffic> traffic_;
  double flood_pps_ = 0;
  double found_pps_ = 0;
};

nlohmann::json heading(const Options& options) {
  nlohmann::json report;
  report["benchmark"] = "pinhole-gen";
  report["device"] = options.device == Device::nat ? "nat" : "swap";
  report["flows"] = options.plan.flows;
  report["hosts"] = hosts_of(options.plan);
  report["remotes"] = options.plan.remotes;
  report["frame_bytes"] = options.frame_bytes;
  report["direction"] =
      options.mix == Mix::both ? "both" : (options.mix == Mix::outbound ? "outbound" : "inbound");
  report["order"] = options.order == Order::random ? "random" : "sequence";
  report["tolerance"] = options.tolerance;
  report["tsc_hz"] = rte_get_tsc_hz();
  report["steps"] = nlohmann::json::array();
  return report;
}

void measure(const Options& options, Session& session, nlohmann::json& report) {
  const auto hz = static_cast<double>(rte_get_tsc_hz());
  session.warm_up();
  for (const auto& step : options.steps) {
    const StepResult done = session.run(step);
    print(done, hz);
    std::fflush(stdout);
    report["steps"].push_back(to_json(done, hz));
  }
  session.check_overload();
}

/// Who waits for the file never sees half of it.
void write(const std::string& path, const nlohmann::json& report) {
  if (path.empty()) return;
  const std::string part = path + ".part";
  {
    std::ofstream file(part);
    file << report.dump(2) << '\n';
    if (!file.flush()) throw std::runtime_error("cannot write " + part);
  }
  std::filesystem::rename(part, path);
}

int measure_and_report(const Options& options) {
  nlohmann::json report = heading(options);
  int status = 0;
  Session session(options, make_pool());
  try {
    measure(options, session, report);
  } catch (const DeviceErred& error) {
    fmt::print(stderr, "pinhole-gen: the device erred: {}\n", error.what());
    report["error"] = error.what();
    status = kDeviceErred;
  }
  write(options.json_path, report);
  if (options.stay) session.wait_until_gone();
  return status;
}

int run(int argc, char** argv) {
  int status = 0;
  const auto options = parse_options(argc, argv, status);
  if (!options) return status;
  start_eal(options->eal);
  status = measure_and_report(*options);
  rte_eal_cleanup();
  return status;
}

}  // namespace

}  // namespace pinhole::gen

int main(int argc, char** argv) {
  try {
    return pinhole::gen::run(argc, argv);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "pinhole-gen: %s\n", error.what());
    return pinhole::gen::kCannotRun;
  }
}
