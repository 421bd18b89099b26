// SPDX-License-Identifier: BSD-3-Clause
#pragma once
// A data plane's layout in ordinary memory: two workers with mappings, cards, counters and rings.

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <vector>

#include "control/attach.hpp"
#include "dataplane/ipc/command.hpp"
#include "dataplane/ipc/event.hpp"
#include "dataplane/ipc/layout.hpp"
#include "dataplane/ipc/meter.hpp"
#include "dataplane/ipc/nat_record.hpp"
#include "tests/control/plain_ring.hpp"

namespace pinhole::control::test {

class SharedScene {
 public:
  static constexpr std::uint32_t kMappings = 8;
  static constexpr std::uint32_t kCards = 4;
  static constexpr unsigned kRingSize = 8;

  struct Worker {
    dataplane::WorkerStats stats;
    std::array<nat::Mapping, kMappings> mappings;
    std::array<ipc::MediaMeter, kMappings> meters;
    std::atomic<nat::MappingIndex> high_water{0};
    std::array<ipc::Shared<ipc::CallCard>, kCards> calls;
    std::array<ipc::GatewayStats, ipc::kMaxGateways> gateways;
    std::array<ipc::Shared<ipc::RegistrationCard>, kCards> registrations;
    PlainRing<ipc::Event> events{kRingSize};
    PlainRing<ipc::Command> commands{kRingSize};
    PlainRing<ipc::NatRecord> records{kRingSize};
  };

  SharedScene() {
    layout->magic = ipc::kMagic;
    layout->abi_version = ipc::kAbiVersion;
    layout->worker_count = 2;
    attachment.layout = layout.get();
    for (std::uint32_t number = 0; number < layout->worker_count; ++number) {
      auto& worker = *workers.emplace_back(std::make_unique<Worker>());
      layout->workers[number] = {.stats = &worker.stats,
                                 .mappings = worker.mappings.data(),
                                 .mapping_capacity = kMappings,
                                 .lcore = number + 1,
                                 .mapping_high_water = &worker.high_water,
                                 .calls = worker.calls.data(),
                                 .call_capacity = kCards,
                                 .registrations = worker.registrations.data(),
                                 .registration_capacity = kCards,
                                 .gateways = worker.gateways.data()};
      attachment.events.push_back(worker.events.get());
      attachment.commands.push_back(worker.commands.get());
      attachment.records.push_back(worker.records.get());
    }
  }

  /// A UDP mapping of 10.0.0.<index> port 1000+index.
  nat::Mapping& open(std::uint32_t worker, nat::MappingIndex index, nat::Tick last_seen = 0) {
    auto& line = workers[worker]->mappings[index];
    line.inside = {nat::Ipv4Address::from_host(0x0a000000 + index),
                   nat::Be16{static_cast<std::uint16_t>(1000 + index)}};
    line.external = {nat::Ipv4Address::from_host(0xcb007101),
                     nat::Be16{static_cast<std::uint16_t>(40000 + index)}};
    line.last_seen = last_seen;
    line.generation.store(2);
    if (workers[worker]->high_water <= index) workers[worker]->high_water = index + 1;
    return line;
  }

  std::unique_ptr<ipc::Layout> layout = std::make_unique<ipc::Layout>();
  std::vector<std::unique_ptr<Worker>> workers;
  Attachment attachment;
};

}  // namespace pinhole::control::test
