// SPDX-License-Identifier: BSD-3-Clause
#pragma once
// The flows of pinhole-gen: flow i is an inside endpoint that speaks to a remote; the device under test gives
// it an external endpoint, which is learnt from the first packet that comes out and must never change
// (RFC 4787 REQ-1). A flow is half a cache line, for flows are visited in random order.

#include <array>
#include <cstdint>
#include <optional>
#include <vector>

#include "nat/endpoint.hpp"

namespace pinhole::gen {

enum class Direction : std::uint8_t { outbound, inbound };
inline constexpr std::size_t kDirections = 2;

/// What stands between the two ports of the generator.
enum class Device : std::uint8_t {
  nat,   // translates the source of what goes out and the destination of what comes back, and takes one hop
  swap,  // sends back what it gets with addresses and ports swapped: dpdk-testpmd in 5tswap mode
};

struct alignas(32) Flow {
  nat::Endpoint inside;
  nat::Endpoint remote;
  nat::Endpoint external;                         // unspecified until it was learnt
  std::array<std::uint32_t, kDirections> last{};  // sequence number of the newest packet that arrived

  [[nodiscard]] bool known() const noexcept { return !external.address.is_unspecified(); }
};
static_assert(sizeof(Flow) == 32);

/// Which endpoints the flows have.
struct FlowPlan {
  std::uint32_t flows = 1000;
  std::uint32_t hosts = 0;  // inside hosts; 0: one for each 16 flows
  nat::Ipv4Address first_host = nat::Ipv4Address::from_host(0x0A000100);  // 10.0.1.0 and on
  std::uint32_t remotes = 64;
  nat::Ipv4Address first_remote = nat::Ipv4Address::from_host(0xC6336401);  // 198.51.100.1 and on
  std::uint16_t remote_port = 4000;
};
inline constexpr std::uint16_t kFirstInsidePort = 10'000;
/// More flows a host than this have no port.
inline constexpr std::uint32_t kMaxFlowsPerHost = 50'000;

/// \param plan  flows, hosts and remotes above 0, at most kMaxFlowsPerHost flows a host
[[nodiscard]] std::vector<Flow> make_flows(const FlowPlan& plan, Device device);
/// Hosts of a plan, with 0 replaced by what it stands for.
[[nodiscard]] std::uint32_t hosts_of(const FlowPlan& plan) noexcept;

/// Two flows that were given the same external endpoint: no translator may do that to UDP (RFC 4787 REQ-3).
struct Overload {
  std::uint32_t one = 0;
  std::uint32_t other = 0;
};
/// \param flows  those that are not known are left out
[[nodiscard]] std::optional<Overload> find_overload(const std::vector<Flow>& flows);

}  // namespace pinhole::gen
