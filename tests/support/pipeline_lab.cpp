// SPDX-License-Identifier: BSD-3-Clause
#include "tests/support/pipeline_lab.hpp"

#include <algorithm>
#include <cstring>
#include <stdexcept>
#include <thread>

#include "dataplane/config/validate.hpp"
#include "dataplane/gateway/built_in.hpp"
#include "dataplane/mbuf_view.hpp"

#include <rte_cycles.h>
#include <rte_eal.h>
#include <rte_eth_ring.h>
#include <rte_log.h>
#include <rte_mempool.h>
#include <rte_memzone.h>

namespace pinhole::test {

namespace {

using dataplane::kBurst;

constexpr unsigned kWireSize = 1024;  // frames that lie on a wire
constexpr unsigned kQuietTurns = 3;   // in a row, of every worker: then nothing moves any more

/// The EAL can be started once in a process, and labs come one after another.
void start_eal_once() {
  static const bool started = [] {
    // The one lcore is on whatever CPU is free.
    const auto lcores = "0@(0-" + std::to_string(std::max(1U, std::thread::hardware_concurrency()) - 1) + ")";
    std::vector<std::string> arguments = {
        "test", "--no-huge", "--no-shconf", "--no-pci",       "-m",
        "512",  "--lcores",  lcores,        "--no-telemetry", "--log-level=lib.eal:3"};
    std::vector<char*> argv;
    for (auto& argument : arguments) argv.push_back(argument.data());
    return rte_eal_init(static_cast<int>(argv.size()), argv.data()) >= 0;
  }();
  if (!started) throw std::runtime_error("the EAL did not start");
}

/// What an appliance has reserved is never freed by it, because it lives as long as its process. Names begin
/// with "pinhole" or, for rings, with DPDK's prefix and that.
void free_memory_of_appliance() {
  std::vector<std::string> names;
  rte_memzone_walk(
      [](const rte_memzone* zone, void* list) {
        static_cast<std::vector<std::string>*>(list)->emplace_back(static_cast<const char*>(zone->name));
      },
      &names);
  for (const auto& name : names) {
    if (name.starts_with("RG_pinhole")) rte_ring_free(rte_ring_lookup(name.c_str() + 3));
    if (name.starts_with("pinhole")) rte_memzone_free(rte_memzone_lookup(name.c_str()));
  }
}

nat::MacAddress mac_of_interface(unsigned number) {
  return {{0x02, 0xff, 0, 0, 0, static_cast<std::uint8_t>(number)}};
}

std::vector<dataplane::GatewaySpec> with_sip(const config::Config& config,
                                             std::span<const dataplane::GatewaySpec> others) {
  std::vector<dataplane::GatewaySpec> all{dataplane::sip_gateway(config)};
  all.insert(all.end(), others.begin(), others.end());
  return all;
}

bool is_arp_request(const Frame& frame) {
  return frame.size() >= 22 && frame[12] == std::byte{8} && frame[13] == std::byte{6} &&
         frame[21] == std::byte{1};
}

}  // namespace

config::Config lab_config(unsigned workers) {
  config::Config config;
  config.interfaces = {{.name = "inside",
                        .device = {},
                        .zone = config::Zone::inside,
                        .address = {address("10.0.0.1"), 8},
                        .gateway = {}},
                       {.name = "outside",
                        .device = {},
                        .zone = config::Zone::outside,
                        .address = {address("203.0.113.1"), 24},
                        .gateway = address("203.0.113.254")}};
  config.workers.count = workers;
  config.nat.mappings_per_worker = 4096;
  config.sip.calls_per_worker = 64;
  config.sip.streams_per_worker = 64;
  config.sip.registrations_per_worker = 64;
  // Tests send more of one thing than anybody would.
  config.protection.enabled = false;
  config.protection.sources_per_worker = 64;
  return config;
}

PipelineLab::PipelineLab(config::Config config, std::span<const dataplane::GatewaySpec> gateways)
    : workers_(config.workers.count), standing_(config.workers.count) {
  start_eal_once();
  for (unsigned i = 0; i < config.interfaces.size(); ++i) make_wire(config.interfaces[i], i);
  if (const auto valid = config::validate(config); !valid) throw std::runtime_error(valid.error().message);
  auto built = dataplane::Appliance::build(config, "test", with_sip(config, gateways));
  if (!built) throw std::runtime_error(built.error().message);
  appliance_ = std::move(*built);
  // A ring has no MAC address. Nothing of the network is read before the first turn.
  auto& network = const_cast<dataplane::Network&>(appliance_->network());
  for (unsigned i = 0; i < network.interfaces.size(); ++i) network.interfaces[i].mac = mac_of_interface(i);
  for (unsigned worker = 0; worker < workers_; ++worker) {
    auto& express = context(worker).express;
    std::destroy_at(&express);
    std::construct_at(&express, network, context(worker).meters.on());  // it has read the MAC addresses
  }
  start_tsc_ = rte_rdtsc();
  for (unsigned i = 0; i < config.interfaces.size(); ++i) {
    if (const auto gateway = config.interfaces[i].gateway) add_neighbor(i, *gateway);
  }
}

PipelineLab::~PipelineLab() {
  run();
  appliance_.reset();
  rte_mempool_free(rte_mempool_lookup("pinhole_packets"));
  free_memory_of_appliance();
  for (const auto& wire : wires_) {
    for (auto* const ring : wire.rx) rte_ring_free(ring);
    for (auto* const ring : wire.tx) rte_ring_free(ring);
  }
}

void PipelineLab::make_wire(config::Interface& interface, unsigned number) {
  static unsigned made = 0;  // names are not given back
  const auto name = "lab" + std::to_string(made++);
  Wire wire;
  for (unsigned queue = 0; queue < workers_; ++queue) {
    const auto suffix = std::to_string(queue);
    wire.rx.push_back(rte_ring_create((name + "_rx" + suffix).c_str(), kWireSize, SOCKET_ID_ANY, 0));
    wire.tx.push_back(rte_ring_create((name + "_tx" + suffix).c_str(), kWireSize, SOCKET_ID_ANY, 0));
  }
  if (rte_eth_from_rings(name.c_str(), wire.rx.data(), workers_, wire.tx.data(), workers_, 0) < 0) {
    throw std::runtime_error("no net_ring port for interface " + std::to_string(number));
  }
  interface.device = "net_ring_" + name;
  wires_.push_back(std::move(wire));
}

nat::MacAddress PipelineLab::mac_of(nat::Ipv4Address address) {
  const auto host = address.host();
  const auto byte = [host](unsigned shift) { return static_cast<std::uint8_t>(host >> shift); };
  return {{0x02, 0, byte(24), byte(16), byte(8), byte(0)}};
}

nat::MacAddress PipelineLab::own_mac(unsigned interface) const {
  return network().interfaces[interface].mac;
}

void PipelineLab::add_neighbor(unsigned interface, nat::Ipv4Address address) {
  const std::pair neighbor{interface, address};
  if (std::find(neighbors_.begin(), neighbors_.end(), neighbor) == neighbors_.end()) {
    neighbors_.push_back(neighbor);
  }
  appliance_->network().neighbors->learn(static_cast<std::uint8_t>(interface), address, mac_of(address), true,
                                         context(0).clock.tick(), [](void*) noexcept {});
}

nat::Ipv4Address PipelineLab::host_of(unsigned worker, unsigned n) {
  for (std::uint32_t number = 0x0a000010;; ++number) {
    const auto host = nat::Ipv4Address::from_host(number);
    if (steering().owner_of_inside(host) != worker || n-- > 0) continue;
    add_neighbor(kInside, host);
    return host;
  }
}

void PipelineLab::receive(unsigned interface, const FrameSpec& spec, unsigned worker) {
  auto frame = make_frame(spec);
  const auto own = own_mac(interface);
  const auto sender = mac_of(spec.source.address);
  std::memcpy(frame.data(), own.bytes.data(), own.bytes.size());
  std::memcpy(frame.data() + own.bytes.size(), sender.bytes.data(), sender.bytes.size());
  receive_frame(interface, frame, worker);
}

void PipelineLab::receive_frame(unsigned interface, const Frame& frame, unsigned worker) {
  auto* const mbuf = rte_pktmbuf_alloc(appliance_->packets());
  if (mbuf == nullptr || frame.size() > dataplane::buffer_of(mbuf).size()) {
    throw std::runtime_error("no buffer for a frame");
  }
  std::memcpy(dataplane::bytes_of(mbuf), frame.data(), frame.size());
  dataplane::resize(mbuf, static_cast<std::uint16_t>(frame.size()));
  // Port i's queue q is read by worker (i + q) % workers; see rx_queues_of().
  const auto queue = (worker + workers_ - interface % workers_) % workers_;
  if (rte_ring_enqueue(wires_[interface].rx[queue], mbuf) != 0) throw std::runtime_error("the wire is full");
}

unsigned PipelineLab::take_turn() {
  unsigned done = 0;
  for (unsigned worker = 0; worker < workers_; ++worker) {
    if (!standing_[worker]) done += appliance_->workers()[worker]->turn();
  }
  return done;
}

void PipelineLab::take_turns() {
  for (unsigned quiet = 0; quiet < kQuietTurns; ++quiet) {
    if (take_turn() > 0) quiet = 0;
  }
}

std::vector<Sent> PipelineLab::run() {
  take_turns();
  std::vector<Sent> sent;
  for (unsigned interface = 0; interface < wires_.size(); ++interface) {
    for (auto* const ring : wires_[interface].tx) {
      void* taken = nullptr;
      while (rte_ring_dequeue(ring, &taken) == 0) {
        auto* const mbuf = static_cast<rte_mbuf*>(taken);
        const auto bytes = dataplane::frame_of(mbuf);
        Sent each{interface, Frame(bytes.begin(), bytes.end())};
        rte_pktmbuf_free(mbuf);
        if (!is_arp_request(each.frame)) sent.push_back(std::move(each));
      }
    }
  }
  return sent;
}

std::vector<Sent> PipelineLab::send(unsigned interface, const FrameSpec& spec, unsigned worker) {
  receive(interface, spec, worker);
  return run();
}

Sent PipelineLab::leaves(unsigned interface, const FrameSpec& spec, nat::Ipv4Address neighbor) const {
  Sent expected{interface, make_frame(spec)};
  const auto to = mac_of(neighbor);
  const auto own = own_mac(interface);
  std::memcpy(expected.frame.data(), to.bytes.data(), to.bytes.size());
  std::memcpy(expected.frame.data() + to.bytes.size(), own.bytes.data(), own.bytes.size());
  return expected;
}

void PipelineLab::pass_s(unsigned seconds) {
  start_tsc_ -= seconds * rte_get_tsc_hz();
  for (unsigned worker = 0; worker < workers_; ++worker) {
    context(worker).clock = dataplane::Clock(start_tsc_, rte_get_tsc_hz());
  }
  // A turn has a budget for what expires, and the wheel catches up with the time that was left out.
  constexpr unsigned kTurns = 2000;
  for (unsigned turn = 0; turn < kTurns; ++turn) take_turn();
  for (const auto& [interface, address] : std::vector(neighbors_)) add_neighbor(interface, address);
}

std::uint64_t PipelineLab::dropped(nat::DropReason reason) const {
  std::uint64_t sum = 0;
  for (unsigned worker = 0; worker < workers_; ++worker) {
    sum += appliance_->context(worker).stats.drops.read(reason);
  }
  return sum;
}

std::uint64_t PipelineLab::count(dataplane::WorkerCounter counter) const {
  std::uint64_t sum = 0;
  for (unsigned worker = 0; worker < workers_; ++worker) {
    sum += appliance_->context(worker).stats.worker.read(counter);
  }
  return sum;
}

std::uint64_t PipelineLab::count(nat::Counter counter) const {
  std::uint64_t sum = 0;
  for (unsigned worker = 0; worker < workers_; ++worker) {
    sum += appliance_->context(worker).stats.nat.read(counter);
  }
  return sum;
}

std::uint64_t PipelineLab::count(ipc::GatewayNumber gateway, ipc::GatewayCounter counter) const {
  std::uint64_t sum = 0;
  for (unsigned worker = 0; worker < workers_; ++worker) {
    sum += appliance_->context(worker).gateways.of(dataplane::owner_of(gateway)).stats().host.read(counter);
  }
  return sum;
}

std::map<std::string, std::uint64_t> PipelineLab::drops() const {
  std::map<std::string, std::uint64_t> counted;
  const auto& info = nat::CounterTraits<nat::DropReason>::kInfo;
  for (std::size_t i = 0; i < info.size(); ++i) {
    const auto number = dropped(static_cast<nat::DropReason>(i));
    if (number > 0) counted[std::string{info[i].name}] = number;
  }
  return counted;
}

unsigned PipelineLab::buffers_in_use() const {
  unsigned on_wires = 0;
  for (const auto& wire : wires_) {
    for (const auto* const ring : wire.rx) on_wires += rte_ring_count(ring);
    for (const auto* const ring : wire.tx) on_wires += rte_ring_count(ring);
  }
  return rte_mempool_in_use_count(appliance_->packets()) - on_wires;
}

const nat::Mapping& PipelineLab::mapping(nat::Protocol protocol, nat::Endpoint inside) {
  auto& translator = context(steering().owner_of_inside(inside.address)).translator;
  const auto index = translator.find_outbound(protocol, inside);
  if (index == nat::kNoMapping) throw std::runtime_error("there is no such mapping");
  return translator[index];
}

}  // namespace pinhole::test
