// SPDX-License-Identifier: BSD-3-Clause
#pragma once
// What control finds when it attaches: one block of shared memory under a known name that leads to all else.
// Invariant: written by the data plane before `ready` is set, then constant, but for the heartbeat and what
// `capture` and `policies` lead to. Pointers are valid in both processes, because a DPDK secondary maps the
// primary's memory at the same addresses.

#include <array>
#include <atomic>
#include <cstdint>

#include "dataplane/ipc/ban.hpp"
#include "dataplane/ipc/capture.hpp"
#include "dataplane/ipc/card.hpp"
#include "dataplane/ipc/gateways.hpp"
#include "dataplane/ipc/meter.hpp"
#include "dataplane/ipc/policy.hpp"
#include "dataplane/ipc/text.hpp"
#include "dataplane/stats.hpp"
#include "nat/mapping.hpp"
#include "nat/ownership.hpp"

namespace pinhole::ipc {

/// Grows with every change to a struct in this folder, to nat::Mapping or to a list of counters.
inline constexpr std::uint16_t kAbiVersion = 12;
inline constexpr std::uint64_t kMagic = 0x50494e484f4c4531;  // "PINHOLE1"
inline constexpr std::size_t kMaxWorkers = nat::kMaxWorkers;
inline constexpr std::size_t kMaxInterfaces = 16;

/// In DPDK's runtime directory: locked by a data plane that control may attach to (dataplane/ready_file.hpp).
inline constexpr const char* kReadyFile = "pinhole_ready";
inline constexpr const char* kLayoutName = "pinhole_layout";           // memzone
inline constexpr const char* kPolicyName = "pinhole_policy";           // memzone of PolicyImage[kPolicySlots]
inline constexpr const char* kEventRingName = "pinhole_event_%u";      // rte_ring of Event, %u: worker
inline constexpr const char* kCommandRingName = "pinhole_command_%u";  // rte_ring of Command, %u: worker

/// The data plane adds one to `heartbeat` this often; control calls it lost after ten missed beats.
inline constexpr std::uint32_t kHeartbeatMs = 100;

struct WorkerShare {
  const dataplane::WorkerStats* stats = nullptr;
  const nat::Mapping* mappings = nullptr;
  const MediaMeter* meters = nullptr;  // one a mapping; nullptr: nothing is measured
  std::uint32_t mapping_capacity = 0;
  std::uint32_t lcore = 0;
  std::atomic<nat::MappingIndex>* mapping_high_water = nullptr;  // no mapping at or above it was ever used
  const Shared<CallCard>* calls = nullptr;
  std::uint32_t call_capacity = 0;
  const Shared<RegistrationCard>* registrations = nullptr;
  std::uint32_t registration_capacity = 0;
  const Shared<PolicyCard>* policy = nullptr;
  const alg::sip::RuleHits* rule_hits = nullptr;  // kPolicySlots of them
  const BanSlot* bans = nullptr;
  std::uint32_t ban_capacity = 0;
  CaptureRing* capture = nullptr;          // control moves its read end
  const GatewayStats* gateways = nullptr;  // Layout::gateway_count of them
};

struct InterfaceShare {
  Text<30> name;
  Text<62> device;
  nat::Prefix address;
  bool inside = false;
  std::uint16_t port = 0;  // DPDK port number
  std::uint16_t vlan = 0;  // 0: untagged
  std::array<std::uint8_t, 6> mac{};
};

struct Layout {
  std::uint64_t magic = 0;
  std::uint16_t abi_version = 0;
  std::uint16_t worker_count = 0;
  std::uint16_t interface_count = 0;
  std::uint16_t gateway_count = 0;
  std::uint32_t pid = 0;  // of the data plane
  std::uint64_t tsc_hz = 0;
  std::uint64_t start_tsc = 0;          // tick 0
  std::uint64_t start_realtime_ns = 0;  // the same moment, since 1970
  Text<254> config_path;
  std::uint64_t plan_digest = 0;  // config::plan_digest() of the configuration that the data plane runs with
  std::array<WorkerShare, kMaxWorkers> workers{};
  std::array<InterfaceShare, kMaxInterfaces> interfaces{};
  std::array<GatewayShare, kMaxGateways> gateways{};
  CaptureSwitch* capture = nullptr;  // written by control
  PolicyImage* policies = nullptr;   // kPolicySlots of them; control writes the one that nobody uses
  std::atomic<std::uint64_t> heartbeat{0};
  std::atomic<std::uint64_t> mbufs_in_use{0};  // of the packet pool, refreshed with the heartbeat
  std::atomic<bool> ready{false};
};

}  // namespace pinhole::ipc
