// SPDX-License-Identifier: BSD-3-Clause
#pragma once
// Between whom nothing is translated: destinations that are exempt (RFC 6888 REQ-6), and pairs of interfaces
// or prefixes in route mode. A flow between them has a mapping like any other, whose external endpoint is its
// inside endpoint: state, filters, time-outs and pinholes are the same. Built once at start, constant
// afterwards, read by all workers. Where the configuration names none, a packet pays one branch.

#include <cstdint>
#include <span>
#include <vector>

#include "dataplane/config/structs.hpp"
#include "nat/endpoint.hpp"

namespace pinhole::dataplane {

/// One packet's flow, as both directions see it.
struct BorderCrossing {
  nat::Protocol protocol = nat::Protocol::udp;
  nat::Ipv4Address inside;
  nat::Endpoint remote;
  std::uint8_t inside_interface = 0;  // by which it came, or will leave
  std::uint8_t outside_interface = 0;
};

class Untranslated {
 public:
  Untranslated() = default;
  explicit Untranslated(const config::Config& config);

  [[nodiscard]] bool empty() const noexcept { return rules_.empty(); }
  /// Whether it depends on the inside interface by which a packet comes.
  [[nodiscard]] bool asks_inside_interface() const noexcept { return asks_inside_interface_; }
  /// Cost: a few compares a rule.
  [[nodiscard]] bool applies(const BorderCrossing& flow) const noexcept {
    for (const Rule& rule : rules_) {
      if (matches(rule, flow)) return true;
    }
    return false;
  }

 private:
  static constexpr std::uint8_t kAnyInterface = 0xff;
  struct Rule {
    nat::Prefix inside{{}, 0};
    nat::Prefix remote{{}, 0};
    std::uint8_t inside_interface = kAnyInterface;
    std::uint8_t outside_interface = kAnyInterface;
    std::uint8_t protocols = 0xff;  // a bit each
    std::uint16_t first_port = 0;   // of the remote
    std::uint16_t last_port = 0xffff;
  };

  [[nodiscard]] static bool matches(const Rule& rule, const BorderCrossing& flow) noexcept {
    const std::uint16_t port = flow.remote.port.host();
    return rule.inside.contains(flow.inside) && rule.remote.contains(flow.remote.address) &&
           (rule.protocols >> static_cast<unsigned>(flow.protocol) & 1U) != 0 && port >= rule.first_port &&
           port <= rule.last_port &&
           (rule.inside_interface == kAnyInterface || rule.inside_interface == flow.inside_interface) &&
           (rule.outside_interface == kAnyInterface || rule.outside_interface == flow.outside_interface);
  }

  std::vector<Rule> rules_;
  bool asks_inside_interface_ = false;
};

}  // namespace pinhole::dataplane
