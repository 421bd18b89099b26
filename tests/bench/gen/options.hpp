// SPDX-License-Identifier: BSD-3-Clause
#pragma once
// The command line of pinhole-gen.

#include <optional>
#include <string>
#include <vector>

#include "tests/bench/gen/flow.hpp"
#include "tests/bench/gen/traffic.hpp"

namespace pinhole::gen {

/// One thing to measure, in the order of the command line.
struct Step {
  enum class Kind : std::uint8_t {
    pace,    // a number: packets a second, both directions together
    flood,   // whatever the link takes
    search,  // the highest pace without loss (RFC 2544 section 26.1)
    half,    // half of what `search` found: where latency is looked at
  };
  Kind kind = Kind::pace;
  double pps = 0;
};

enum class Mix : std::uint8_t { outbound, inbound, both };

struct Options {
  EalOptions eal;
  std::string inside_device;
  std::string outside_device;
  Device device = Device::nat;
  FlowPlan plan;
  Mix mix = Mix::both;
  Order order = Order::random;
  std::size_t frame_bytes = 64;  // with the frame check sequence
  double seconds = 2;            // each trial
  double max_pps = 40e6;         // where a search without a flood before it begins
  double resolution = 0.02;      // of a search, as a share of the rate
  double tolerance = 0;          // share of packets that may be lost
  double warm_up_pps = 500e3;
  nat::Ipv4Address inside_own;      // of the router inside that the generator plays
  nat::Ipv4Address inside_gateway;  // of the device
  nat::Ipv4Address outside_own;
  nat::Ipv4Address outside_gateway;
  std::vector<Step> steps;
  std::string json_path;
  bool stay = false;  // keep the ports until the device is gone
};

/// \return none when the program has said what there is to say (--help); `status` is then its exit status.
[[nodiscard]] std::optional<Options> parse_options(int argc, const char* const* argv, int& status);

}  // namespace pinhole::gen
