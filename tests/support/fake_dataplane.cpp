// SPDX-License-Identifier: BSD-3-Clause
// A data plane without packets, for tests of control: a DPDK primary that shows a layout with one worker, two
// calls and a registration, beats its heart, obeys commands as a worker does, and tells of mappings as fast
// as it is asked to. It runs until it is killed.

#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <new>
#include <string>
#include <thread>

#include "dataplane/ipc/command.hpp"
#include "dataplane/ipc/event.hpp"
#include "dataplane/ipc/layout.hpp"
#include "dataplane/ipc/nat_record.hpp"
#include "dataplane/ready_file.hpp"

#include <rte_cycles.h>
#include <rte_eal.h>
#include <rte_memzone.h>
#include <rte_ring.h>
#include <rte_ring_elem.h>

namespace {

using namespace pinhole;

constexpr std::uint32_t kCards = 8;
constexpr std::uint32_t kMappings = 16;
constexpr unsigned kRingSize = 1024;
constexpr unsigned kRecordRingSize = 65536;

template <typename T>
T* shared(const char* name, std::size_t count = 1) {
  const rte_memzone* const zone = rte_memzone_reserve_aligned(name, sizeof(T) * count, SOCKET_ID_ANY, 0, 64);
  if (zone == nullptr) std::abort();
  auto* const first = static_cast<T*>(zone->addr);
  for (std::size_t i = 0; i < count; ++i) ::new (first + i) T;
  return first;
}

rte_ring* ring(const char* name, unsigned element_size, unsigned count = kRingSize) {
  rte_ring* const made =
      rte_ring_create_elem(name, element_size, count, SOCKET_ID_ANY, RING_F_SP_ENQ | RING_F_SC_DEQ);
  if (made == nullptr) std::abort();
  return made;
}

nat::Endpoint endpoint(const char* address, std::uint16_t port) {
  return {*nat::Ipv4Address::parse(address), nat::Be16{port}};
}

class FakeDataplane {
 public:
  struct Records {
    std::uint32_t total = 0;
    std::uint32_t per_ms = 0;
  };

  FakeDataplane(std::uint16_t abi_version, Records records)
      : stats_(shared<dataplane::WorkerStats>("fake_stats")),
        mappings_(shared<nat::Mapping>("fake_mappings", kMappings)),
        high_water_(shared<std::atomic<nat::MappingIndex>>("fake_high_water")),
        calls_(shared<ipc::Shared<ipc::CallCard>>("fake_calls", kCards)),
        registrations_(shared<ipc::Shared<ipc::RegistrationCard>>("fake_registrations", kCards)),
        events_(ring("pinhole_event_0", sizeof(ipc::Event))),
        commands_(ring("pinhole_command_0", sizeof(ipc::Command))),
        records_(ring("pinhole_record_0", sizeof(ipc::NatRecord), kRecordRingSize)),
        layout_(shared<ipc::Layout>(ipc::kLayoutName)),
        wanted_(records) {
    layout_->abi_version = abi_version;
    layout_->worker_count = 1;
    layout_->interface_count = 1;
    layout_->pid = static_cast<std::uint32_t>(getpid());
    layout_->tsc_hz = rte_get_tsc_hz();
    layout_->start_tsc = rte_rdtsc();
    layout_->start_realtime_ns = static_cast<std::uint64_t>(
        std::chrono::nanoseconds(std::chrono::system_clock::now().time_since_epoch()).count());
    layout_->interfaces[0].name.assign("inside0");
    layout_->interfaces[0].device.assign("none");
    layout_->interfaces[0].inside = true;
    layout_->workers[0] = {.stats = stats_,
                           .mappings = mappings_,
                           .mapping_capacity = kMappings,
                           .lcore = 1,
                           .mapping_high_water = high_water_,
                           .calls = calls_,
                           .call_capacity = kCards,
                           .registrations = registrations_,
                           .registration_capacity = kCards};
    layout_->magic = ipc::kMagic;
  }

  void open_everything() {
    open_pinhole(0, 40000, 0);
    open_call(0, "talking@fake", {ipc::CallState::confirmed, ipc::EndReason::none}, 1);
    open_call(1, "over@fake", {ipc::CallState::ended, ipc::EndReason::bye}, 0);
    registrations_[0].write([this](ipc::RegistrationCard& card) {
      card.in_use = true;
      card.generation = 1;
      card.inside = endpoint("10.0.0.5", 5060);
      card.external = endpoint("203.0.113.1", 5060);
      card.registrar = endpoint("198.51.100.9", 5060);
      card.expires = tick() + nat::ticks_from_s(600);
      card.aor.assign("sip:alice@fake");
    });
    layout_->ready.store(true, std::memory_order_release);
  }

  [[noreturn]] void run() {
    for (std::uint32_t turn = 0;; ++turn) {
      ipc::Command command;
      while (rte_ring_sc_dequeue_elem(commands_, &command, sizeof command) == 0) obey(command);
      if (turn % ipc::kHeartbeatMs == 0) layout_->heartbeat.fetch_add(1);
      tell_of_mappings();
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
  }

 private:
  [[nodiscard]] nat::Tick tick() const {
    return static_cast<nat::Tick>((rte_rdtsc() - layout_->start_tsc) /
                                  (layout_->tsc_hz / nat::kTicksPerSecond));
  }

  void open_pinhole(nat::MappingIndex index, std::uint16_t port, std::uint32_t call) {
    auto& line = mappings_[index];
    line.inside = endpoint("10.0.0.5", port);
    line.external = endpoint("203.0.113.1", port);
    line.flags = nat::MappingFlags::kPinhole;
    line.timeout_class = nat::TimeoutClass::media;
    line.last_seen = tick();
    line.packets_out = 7;
    line.parent = call;
    line.generation.store(2, std::memory_order_release);
    high_water_->store(index + 1, std::memory_order_release);
    stats_->nat.add(nat::Counter::mapping_live);
    stats_->worker.add(dataplane::WorkerCounter::pinhole_live);
  }

  void open_call(std::uint32_t index, const char* call_id, ipc::CallStep step, std::uint8_t pinholes) {
    calls_[index].write([&](ipc::CallCard& card) {
      card.call_hash = 0xca11'0000'0000'0000U + index;
      card.generation = 1;
      card.step = step;
      card.in_use = true;
      card.outbound = true;
      card.inside = endpoint("10.0.0.5", 5060);
      card.external = endpoint("203.0.113.1", 5060);
      card.remote = endpoint("198.51.100.9", 5060);
      card.created = card.answered = card.last_message = tick();
      card.call_id.assign(call_id);
      card.from_uri.assign("sip:alice@fake");
      card.to_uri.assign("sip:bob@fake");
      card.pinhole_count = pinholes;
      if (pinholes > 0)
        card.pinholes[0] = {.inside = mappings_[0].inside,
                            .external = mappings_[0].external,
                            .mapping = 0,
                            .generation = 2,
                            .worker = 0};
    });
    ipc::Event event = next_event(ipc::EventType::sip_message);
    event.sip.call_hash = calls_[index].own().call_hash;
    event.sip.card = index;
    event.sip.card_generation = 1;
    event.sip.step = step;
    event.sip.start.assign("ACK");
    send(event);
  }

  void obey(const ipc::Command& command) {
    const auto& card = calls_[command.card].own();
    const bool whole = command.abi_version == ipc::kAbiVersion && command.sequence == command.sequence_again;
    if (!whole || !card.in_use || card.generation != command.card_generation) return;
    if (command.type == ipc::CommandType::keep_call) {
      calls_[command.card].write(
          [&](ipc::CallCard& kept) { kept.keep_until = tick() + nat::ticks_from_s(command.seconds); });
      stats_->worker.add(dataplane::WorkerCounter::command_done);
      return;
    }
    calls_[command.card].write([](ipc::CallCard& closed) { closed.in_use = false; });
    stats_->worker.add(dataplane::WorkerCounter::call_closed);
    ipc::Event event = next_event(ipc::EventType::call_closed);
    event.closed = {.call_hash = card.call_hash,
                    .card = command.card,
                    .card_generation = command.card_generation,
                    .reason = card.step.reason};
    send(event);
  }

  void tell_of_mappings() {
    for (std::uint32_t i = 0; i < wanted_.per_ms && records_sent_ < wanted_.total; ++i) {
      const auto number = records_sent_++;
      ipc::NatRecord record;
      record.abi_version = ipc::kAbiVersion;
      record.sequence = number;
      record.tsc = rte_rdtsc();
      record.record.inside = endpoint("10.0.0.5", static_cast<std::uint16_t>(number));
      record.record.external = endpoint("203.0.113.1", static_cast<std::uint16_t>(number));
      // One that finds no room is lost, as a worker would lose it.
      static_cast<void>(rte_ring_sp_enqueue_elem(records_, &record, sizeof record));
    }
  }

  ipc::Event next_event(ipc::EventType type) {
    ipc::Event event;
    event.abi_version = ipc::kAbiVersion;
    event.type = type;
    event.sequence = sequence_++;
    event.tsc = rte_rdtsc();
    return event;
  }

  void send(ipc::Event event) {
    if (rte_ring_sp_enqueue_elem(events_, &event, sizeof event) != 0) std::abort();
  }

  dataplane::WorkerStats* stats_;
  nat::Mapping* mappings_;
  std::atomic<nat::MappingIndex>* high_water_;
  ipc::Shared<ipc::CallCard>* calls_;
  ipc::Shared<ipc::RegistrationCard>* registrations_;
  rte_ring* events_;
  rte_ring* commands_;
  rte_ring* records_;
  ipc::Layout* layout_;
  Records wanted_;
  std::uint32_t records_sent_ = 0;
  std::uint32_t sequence_ = 0;
};

}  // namespace

/// \param argv the file prefix, an ABI version to pretend to (0: the right one), NAT records to send and how
/// many of them each millisecond.
int main(int argc, char** argv) {
  if (argc < 2) return 2;
  std::string arguments[] = {"fake_dataplane",
                             "--proc-type=primary",
                             std::string("--file-prefix=") + argv[1],
                             "--no-pci",
                             "--no-telemetry",
                             "--log-level=error",
                             "--lcores=0@0",
                             "-m",
                             "64"};
  char* eal[std::size(arguments)];
  for (std::size_t i = 0; i < std::size(arguments); ++i) eal[i] = arguments[i].data();
  if (rte_eal_init(static_cast<int>(std::size(eal)), eal) < 0) return 1;
  const auto number = [&](int index) {
    return argc > index ? static_cast<std::uint32_t>(std::strtoul(argv[index], nullptr, 10)) : 0;
  };
  const auto version = static_cast<std::uint16_t>(number(2));
  FakeDataplane dataplane(version == 0 ? ipc::kAbiVersion : version,
                          {.total = number(3), .per_ms = number(4)});
  dataplane.open_everything();
  if (!dataplane::lock_ready_file(rte_eal_get_runtime_dir())) return 1;
  std::puts("ready");
  std::fflush(stdout);
  dataplane.run();
}
