// SPDX-License-Identifier: BSD-3-Clause
#pragma once
// Who has which external ports, as far as the configuration alone says it. The data plane gives ports out by
// what stands here, and control answers by the same, with or without a data plane.

#include "dataplane/config/structs.hpp"
#include "nat/endpoint.hpp"
#include "nat/port_plan.hpp"

#include <cstdint>
#include <optional>
#include <vector>

namespace pinhole::config {

[[nodiscard]] nat::PortPlan port_plan(const Config& config);

/// The subscribers of mode deterministic, numbered in the order of nat.ports.subscribers; sorted by address,
/// as nat::Subscribers wants them.
[[nodiscard]] std::vector<nat::SubscriberRange> subscriber_ranges(const Config& config);

/// A number for all that says whose external ports are whose: the external addresses in their order, how
/// ports are given out, forwards and static mappings. Two programs that read the same have the same number.
[[nodiscard]] std::uint64_t plan_digest(const Config& config);

/// The ports of one inside host.
struct Allotment {
  std::uint32_t number = 0;  // among the subscribers
  nat::Ipv4Address inside;
  nat::Ipv4Address external;
  std::uint16_t first_port = 0;
  std::uint16_t last_port = 0;

  friend bool operator==(const Allotment&, const Allotment&) = default;
};

/// Mode deterministic, both ways.
class SubscriberPlan {
 public:
  /// \param config  valid, and of mode deterministic
  explicit SubscriberPlan(const Config& config);

  /// \return none when the host is no subscriber
  [[nodiscard]] std::optional<Allotment> of_inside(nat::Ipv4Address inside) const;
  /// \return none when the port is no subscriber's
  [[nodiscard]] std::optional<Allotment> of_external(nat::Endpoint external) const;

 private:
  [[nodiscard]] Allotment allotment(std::uint32_t number, nat::Ipv4Address inside) const;

  nat::PortPlan plan_;
  std::vector<nat::SubscriberRange> ranges_;
  std::vector<nat::Ipv4Address> external_;
};

}  // namespace pinhole::config
