// SPDX-License-Identifier: BSD-3-Clause
#include "tests/bench/gen/options.hpp"

#include <map>

#include <CLI/CLI.hpp>

#include <fmt/format.h>

namespace pinhole::gen {

namespace {

const std::map<std::string, Device> kDevices = {{"nat", Device::nat}, {"swap", Device::swap}};
const std::map<std::string, Mix> kMixes = {{"out", Mix::outbound}, {"in", Mix::inbound}, {"both", Mix::both}};
const std::map<std::string, Order> kOrders = {{"random", Order::random}, {"sequence", Order::sequence}};

nat::Ipv4Address address(const std::string& option, const std::string& text) {
  const auto parsed = nat::Ipv4Address::parse(text);
  if (!parsed) throw CLI::ValidationError(option, fmt::format("'{}' is no IPv4 address", text));
  return *parsed;
}

Step step(const std::string& text) {
  if (text == "flood") return {Step::Kind::flood, 0};
  if (text == "search") return {Step::Kind::search, 0};
  if (text == "half") return {Step::Kind::half, 0};
  double pps = 0;
  if (!CLI::detail::lexical_cast(text, pps) || pps < 1) {
    throw CLI::ValidationError(
        "STEP", fmt::format("'{}' is neither packets a second nor flood, search or half", text));
  }
  return {Step::Kind::pace, pps};
}

/// What CLI11 cannot see: values that must fit each other.
void check(const Options& options) {
  bool searched = false;
  for (const auto& each : options.steps) {
    if (each.kind == Step::Kind::search) searched = true;
    if (each.kind == Step::Kind::half && !searched)
      throw CLI::ValidationError("half", "needs a search before it");
  }
  if (options.plan.flows / hosts_of(options.plan) > kMaxFlowsPerHost) {
    throw CLI::ValidationError("--hosts", fmt::format("a host can have {} flows at most", kMaxFlowsPerHost));
  }
}

}  // namespace

std::optional<Options> parse_options(int argc, const char* const* argv, int& status) {
  Options options;
  std::string inside_own = "192.168.0.2";
  std::string inside_gateway = "192.168.0.1";
  std::string outside_own = "203.0.113.1";
  std::string outside_gateway = "203.0.113.2";
  std::vector<std::string> steps;
  bool no_huge = false;
  CLI::App app(
      "Sends real flows through a NAT from both sides, checks every packet that comes back, and measures "
      "rate, loss and latency. Ends with 1 when it cannot run and with 2 when the device erred.",
      "pinhole-gen");
  app.add_option(
         "STEP", steps,
         "What to do, in order: a number (packets a second, both directions together), flood (all that the "
         "link takes), search (the highest pace without loss), half (half of what search found)")
      ->required();
  app.add_option("--inside", options.inside_device, "Port on the inside: PCI address or virtual device")
      ->required();
  app.add_option("--outside", options.outside_device, "Port on the outside")->required();
  app.add_option("--device", options.device, "What is between: nat, or swap (dpdk-testpmd in 5tswap mode)")
      ->transform(CLI::CheckedTransformer(kDevices));
  app.add_option("--flows", options.plan.flows, "Flows")
      ->check(CLI::Range(1U, 16'000'000U))
      ->capture_default_str();
  app.add_option("--hosts", options.plan.hosts, "Inside hosts, from 10.0.1.0 on; 0: one for each 16 flows")
      ->check(CLI::Range(0U, 16'000'000U));
  app.add_option("--remotes", options.plan.remotes, "Remote hosts, from 198.51.100.1 on")
      ->check(CLI::Range(1U, 254U))
      ->capture_default_str();
  app.add_option("--direction", options.mix, "Which packets are measured: out, in or both")
      ->transform(CLI::CheckedTransformer(kMixes));
  app.add_option("--order", options.order, "In which order flows send: random or sequence")
      ->transform(CLI::CheckedTransformer(kOrders));
  app.add_option("--frame-bytes", options.frame_bytes,
                 "Size of frames, with the 4 bytes of their check sequence")
      ->check(CLI::Range(kMinFrame + 4, kMaxFrame + 4))
      ->capture_default_str();
  app.add_option("--seconds", options.seconds, "How long each trial takes")
      ->check(CLI::Range(0.01, 86400.0))
      ->capture_default_str();
  app.add_option("--max-pps", options.max_pps, "Where a search begins")->check(CLI::Range(1e3, 1e9));
  app.add_option("--resolution", options.resolution, "Of a search, as a share of the rate")
      ->check(CLI::Range(0.001, 0.5))
      ->capture_default_str();
  app.add_option("--tolerance", options.tolerance, "Share of packets that may be lost")
      ->check(CLI::Range(0.0, 1.0))
      ->capture_default_str();
  app.add_option("--warm-up-pps", options.warm_up_pps, "Pace at which mappings are made")
      ->check(CLI::Range(100.0, 1e8));
  app.add_option("--inside-own", inside_own, "Our address inside")->capture_default_str();
  app.add_option("--inside-gateway", inside_gateway, "The device's address inside")->capture_default_str();
  app.add_option("--outside-own", outside_own, "Our address outside")->capture_default_str();
  app.add_option("--outside-gateway", outside_gateway, "The device's address outside")->capture_default_str();
  app.add_option("--cpu", options.eal.cpu, "CPU to run on")->capture_default_str();
  app.add_option("--memory-mb", options.eal.memory_mb, "Memory for DPDK")->check(CLI::Range(32U, 65536U));
  app.add_flag("--no-huge", no_huge, "Do without huge pages");
  app.add_option("--json", options.json_path, "File to write the figures to");
  app.add_flag(
      "--stay", options.stay,
      "Keep the ports until the device is gone: DPDK's memif driver may crash a device that polls while "
      "its peer leaves");
  try {
    app.parse(argc, argv);
    options.eal.devices = {options.inside_device, options.outside_device};
    options.eal.huge_pages = !no_huge;
    options.inside_own = address("--inside-own", inside_own);
    options.inside_gateway = address("--inside-gateway", inside_gateway);
    options.outside_own = address("--outside-own", outside_own);
    options.outside_gateway = address("--outside-gateway", outside_gateway);
    for (const auto& text : steps) options.steps.push_back(step(text));
    check(options);
  } catch (const CLI::ParseError& error) {
    status = app.exit(error) == 0 ? 0 : 1;
    return std::nullopt;
  }
  return options;
}

}  // namespace pinhole::gen
