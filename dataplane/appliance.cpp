// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/appliance.hpp"

#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <cstring>
#include <thread>
#include <utility>

#include "dataplane/config/policy.hpp"
#include "dataplane/config/quotas.hpp"
#include "dataplane/config/subscribers.hpp"
#include "dataplane/config/validate.hpp"
#include "dataplane/eal.hpp"
#include "dataplane/ipc/command.hpp"
#include "dataplane/ipc/event.hpp"
#include "dataplane/ipc/nat_record.hpp"
#include "dataplane/mbuf_view.hpp"
#include "dataplane/port_setup.hpp"
#include "dataplane/shared_memory.hpp"

#include <rte_cycles.h>
#include <rte_errno.h>
#include <rte_ring_elem.h>

#include <fmt/format.h>
#include <fmt/printf.h>

namespace pinhole::dataplane {

namespace {

using config::Error;
using config::ErrorCode;

// Room for what lies in devices and rings at worst: 2,048 descriptors a port and worker, and as much again on
// the way between workers.
constexpr unsigned kPacketsPerPortAndWorker = 4096;
constexpr unsigned kPacketCache = 256;  // kept by each lcore, so that most buffers never leave it
constexpr std::size_t kLinkHeader = sizeof(nat::EthernetHeader) + sizeof(nat::VlanTag);
constexpr std::size_t kGrowth = 256;  // room behind the largest frame, for a gateway's edits
constexpr unsigned kHandoffRing = 4096;
constexpr unsigned kUnresolvedRing = 512;
constexpr unsigned kPeerRing = 1024;
constexpr unsigned kEventRing = 8192;
constexpr unsigned kCommandRing = 4096;
constexpr unsigned kRecordRing = 16384;

Error no_memory(const std::string& what) {
  return {ErrorCode::memory,
          fmt::format("dpdk.memory_mb: no room for {} ({}); raise it", what, rte_strerror(rte_errno))};
}

/// A ring in shared memory.
config::Result<rte_ring*> make_ring(const std::string& name, unsigned element_size, unsigned count,
                                    unsigned flags) {
  rte_ring* const ring = rte_ring_create_elem(name.c_str(), element_size, count, SOCKET_ID_ANY, flags);
  if (ring == nullptr) return no_memory(name);
  return ring;
}

template <typename T>
void fill_with_random(T& value) {
  // The kernel's pool is long initialised when a network appliance starts, and 256 bytes or less come whole.
  static_assert(sizeof value <= 256 && std::is_trivially_copyable_v<T>);
  if (getrandom(&value, sizeof value, 0) != static_cast<ssize_t>(sizeof value)) {
    throw std::runtime_error("the kernel gave no random numbers");
  }
}

nat::Timeouts timeouts_from(const config::Timeouts& seconds) {
  nat::Timeouts timeouts;
  timeouts.set_s(nat::TimeoutClass::udp, seconds.udp_s);
  timeouts.set_s(nat::TimeoutClass::tcp_established, seconds.tcp_established_s);
  timeouts.set_s(nat::TimeoutClass::tcp_opening, seconds.tcp_opening_s);
  timeouts.set_s(nat::TimeoutClass::tcp_closing, seconds.tcp_closing_s);
  timeouts.set_s(nat::TimeoutClass::icmp, seconds.icmp_s);
  timeouts.set_s(nat::TimeoutClass::media, seconds.media_s);
  return timeouts;
}

static_assert(config::kMediaReserve == nat::HostTable::kMediaReserve);

nat::HostQuotas quotas_from(const config::Config& config) {
  return {.mappings = config::state_per_host(config),
          .ports = config::mappings_per_host(config),
          .new_per_s = config.nat.quotas.new_per_s,
          .burst = config.nat.quotas.burst};
}

/// Without what the worker's own memory is needed for.
nat::TranslatorConfig translator_config(const config::Config& config, unsigned worker, const Network& network,
                                        const nat::RandomKey& key) {
  return {.worker = worker,
          .workers = config.workers.count,
          .external = network.steering.addresses(),
          .pool_size = network.steering.pool_size(),
          .mappings = config.nat.mappings_per_worker,
          .tcp_sessions = config.nat.tcp_sessions_per_worker,
          .remotes = config.nat.remotes_per_worker,
          .filtering = {config.nat.filtering.udp, config.nat.filtering.tcp, config.nat.filtering.icmp},
          .media_from = config.sip.media_from,
          .latch_from = network.latch_from,
          .inbound_refresh = {config.nat.inbound_refresh.udp, config.nat.inbound_refresh.tcp,
                              config.nat.inbound_refresh.icmp},
          .statics = network.statics.rules(),
          .openings = network.statics.openings(),
          .timeouts = timeouts_from(config.nat.timeouts),
          .quotas = quotas_from(config),
          .hosts = config.nat.hosts_per_worker,
          .ports = config::port_plan(config),
          .subscribers = nat::Subscribers(network.subscribers),
          .port_rest = nat::ticks_from_s(config.nat.ports.rest_s),
          .key = key,
          .mapping_records = config.nat.log.mappings};
}

/// Places for the connections of those gateways that read any.
StreamPlaces stream_places(std::span<const GatewaySpec> gateways, std::uint32_t each) {
  const auto reads_streams = [](const GatewaySpec& spec) {
    return std::ranges::any_of(spec.claims, [](const auto& claim) { return claim.protocol == PINHOLE_TCP; });
  };
  return {.sip = reads_streams(gateways.front()) ? each : 1,
          .others = std::ranges::any_of(gateways.subspan(1), reads_streams) ? each : 0};
}

/// The rings between a worker and control.
struct ControlRings {
  rte_ring* events = nullptr;
  rte_ring* commands = nullptr;
  rte_ring* records = nullptr;  // nullptr: nobody wants any
};

config::Result<ControlRings> make_control_rings(unsigned worker, bool wants_records) {
  constexpr unsigned kFlags = RING_F_SP_ENQ | RING_F_SC_DEQ;
  const auto events =
      make_ring(fmt::sprintf(ipc::kEventRingName, worker), sizeof(ipc::Event), kEventRing, kFlags);
  if (!events) return events.error();
  const auto commands =
      make_ring(fmt::sprintf(ipc::kCommandRingName, worker), sizeof(ipc::Command), kCommandRing, kFlags);
  if (!commands) return commands.error();
  if (!wants_records) return ControlRings{*events, *commands};
  const auto records =
      make_ring(fmt::sprintf(ipc::kRecordRingName, worker), sizeof(ipc::NatRecord), kRecordRing, kFlags);
  if (!records) return records.error();
  return ControlRings{*events, *commands, *records};
}

/// \return none of either when nothing is to be measured
config::Result<MeterMemory> make_meters(const config::Config& config, unsigned worker) {
  if (!config.calls.measure) return MeterMemory{};
  const auto count = config.nat.mappings_per_worker;
  auto meters = reserve_array<ipc::MediaMeter>(fmt::format("pinhole_meters_{}", worker), count);
  if (!meters) return meters.error();
  auto clocks = reserve_array<alg::RtpClocks>(fmt::format("pinhole_clocks_{}", worker), count);
  if (!clocks) return clocks.error();
  return MeterMemory{.meters = *meters, .clocks = *clocks};
}

std::uint64_t realtime_ns() {
  timespec now{};
  clock_gettime(CLOCK_REALTIME, &now);
  return static_cast<std::uint64_t>(now.tv_sec) * 1'000'000'000U + static_cast<std::uint64_t>(now.tv_nsec);
}

}  // namespace

config::Result<std::unique_ptr<Appliance>> Appliance::build(const config::Config& config,
                                                            const std::string& config_path,
                                                            std::vector<GatewaySpec> gateways) {
  std::unique_ptr<Appliance> appliance(new Appliance);
  appliance->gateways_ = std::move(gateways);
  auto built = appliance->make_packet_pool(config);
  if (built) built = appliance->start_ports(config);
  if (built) built = appliance->make_network(config);
  if (built) built = appliance->make_layout(config, config_path);
  if (built) built = appliance->make_policies(config);
  if (built) built = appliance->make_workers(config);
  if (built) built = appliance->make_capture();
  if (built) built = appliance->start_gateways();
  if (!built) return built.error();
  return appliance;
}

Appliance::~Appliance() {
  // Packets that wait somewhere are given up with the memory that they lie in.
  for (const auto& port : ports_) stop_port(port);
}

config::Result<void> Appliance::make_packet_pool(const config::Config& config) {
  const unsigned wanted = kPacketsPerPortAndWorker * static_cast<unsigned>(config.interfaces.size()) *
                              (config.workers.count + 1) +
                          (kFragmentLimits.waiting + kReassemblyLimits.pieces) * config.workers.count;
  std::uint16_t mtu = 0;
  for (const auto& interface : config.interfaces) mtu = std::max(mtu, interface.mtu);
  const auto room =
      std::max<std::size_t>(RTE_MBUF_DEFAULT_BUF_SIZE, RTE_PKTMBUF_HEADROOM + kLinkHeader + mtu + kGrowth);
  packets_ = rte_pktmbuf_pool_create("pinhole_packets", wanted - 1, kPacketCache, kPacketNoteSize,
                                     static_cast<std::uint16_t>(room), SOCKET_ID_ANY);
  if (packets_ == nullptr) return no_memory(fmt::format("{} packet buffers", wanted));
  return {};
}

config::Result<void> Appliance::start_ports(const config::Config& config) {
  for (std::size_t i = 0; i < config.interfaces.size(); ++i) {
    const auto& interface = config.interfaces[i];
    const auto same_device = [&](const Port& port) { return port.device == interface.device; };
    if (std::any_of(ports_.begin(), ports_.end(), same_device)) continue;  // VLANs share a port
    const auto id = probe_port(interface.device, fmt::format("interfaces[{}].device", i));
    if (!id) return id.error();
    std::uint16_t mtu = 0;
    for (const auto& other : config.interfaces) {
      if (other.device == interface.device) mtu = std::max(mtu, other.mtu);
    }
    auto port = start_port(*id, interface.device, static_cast<unsigned>(ports_.size()), config.workers.count,
                           mtu, packets_);
    if (!port) return port.error();
    ports_.push_back(std::move(*port));
  }
  return {};
}

config::Result<void> Appliance::make_network(const config::Config& config) {
  auto memory = reserve("pinhole_neighbors", NeighborTable::bytes_needed());
  if (!memory) return memory.error();
  auto neighbors = reserve_object<NeighborTable>("pinhole_neighbor_table", *memory);
  if (!neighbors) return neighbors.error();
  const auto pool = config::external_addresses(config);
  auto subscribers = config::subscriber_ranges(config);
  const Steering steering(config.workers.count, pool, config.nat.forwards, config.nat.static_mappings,
                          config::port_plan(config), nat::Subscribers(subscribers));
  network_ = std::make_unique<Network>(Network{.ports = ports_,
                                               .interfaces = {},
                                               .routes = RouteTable(config),
                                               .arp_answers = ArpAnswers(config),
                                               .subscribers = std::move(subscribers),
                                               .latch_from = config.sip.latch_from,
                                               .steering = steering,
                                               .statics = {config.nat.static_mappings, steering},
                                               .untranslated = Untranslated(config),
                                               .neighbors = *neighbors,
                                               .rings = {},
                                               .tcp = config.nat.tcp});
  network_->only_interface.fill(kNoInterface);
  network_->hairpin_arrival = kNoInterface;
  for (const auto& interface : config.interfaces) {
    const auto port = std::find_if(ports_.begin(), ports_.end(),
                                   [&](const Port& each) { return each.device == interface.device; });
    const auto number = static_cast<std::uint8_t>(network_->interfaces.size());
    const auto shared = std::count_if(config.interfaces.begin(), config.interfaces.end(),
                                      [&](const auto& each) { return each.device == interface.device; });
    if (shared == 1) network_->only_interface[port->id] = number;
    if (interface.zone == config::Zone::outside && network_->hairpin_arrival == kNoInterface) {
      network_->hairpin_arrival = number;
    }
    network_->interfaces.push_back({.port = static_cast<std::uint16_t>(port - ports_.begin()),
                                    .vlan = interface.vlan,
                                    .mtu = interface.mtu,
                                    .inside = interface.zone == config::Zone::inside,
                                    .icmp = interface.icmp,
                                    .mac = port->mac,
                                    .address = interface.address});
  }
  return make_rings(config.workers.count);
}

config::Result<void> Appliance::make_rings(unsigned workers) {
  for (unsigned worker = 0; worker < workers; ++worker) {
    WorkerRings rings;
    auto ring =
        make_ring(fmt::format("pinhole_handoff_{}", worker), sizeof(void*), kHandoffRing, RING_F_SC_DEQ);
    if (!ring) return ring.error();
    rings.packets = *ring;
    ring = make_ring(fmt::format("pinhole_peers_{}", worker), sizeof(PeerMessage), kPeerRing, RING_F_SC_DEQ);
    if (!ring) return ring.error();
    rings.peers = *ring;
    if (worker == kNeighborOwner) {
      ring = make_ring("pinhole_unresolved", sizeof(void*), kUnresolvedRing, RING_F_SC_DEQ);
      if (!ring) return ring.error();
      rings.unresolved = *ring;
    }
    network_->rings.push_back(rings);
  }
  return {};
}

config::Result<void> Appliance::make_layout(const config::Config& config, const std::string& config_path) {
  auto layout = reserve_object<ipc::Layout>(ipc::kLayoutName);
  if (!layout) return layout.error();
  layout_ = *layout;
  layout_->magic = ipc::kMagic;
  layout_->abi_version = ipc::kAbiVersion;
  layout_->worker_count = static_cast<std::uint16_t>(config.workers.count);
  layout_->interface_count = static_cast<std::uint16_t>(config.interfaces.size());
  layout_->pid = static_cast<std::uint32_t>(getpid());
  layout_->tsc_hz = rte_get_tsc_hz();
  layout_->start_tsc = rte_rdtsc();
  layout_->start_realtime_ns = realtime_ns();
  layout_->config_path.assign(config_path);
  layout_->plan_digest = config::plan_digest(config);
  for (std::size_t i = 0; i < config.interfaces.size(); ++i) {
    auto& share = layout_->interfaces[i];
    share.name.assign(config.interfaces[i].name);
    share.device.assign(config.interfaces[i].device);
    share.address = config.interfaces[i].address;
    share.inside = network_->interfaces[i].inside;
    share.port = ports_[network_->interfaces[i].port].id;
    share.vlan = config.interfaces[i].vlan;
    share.mac = network_->interfaces[i].mac.bytes;
  }
  name_gateways();
  return {};
}

void Appliance::name_gateways() {
  layout_->gateway_count = static_cast<std::uint16_t>(gateways_.size());
  for (std::size_t i = 0; i < gateways_.size(); ++i) {
    const auto& spec = gateways_[i];
    auto& share = layout_->gateways[i];
    share.name.assign(spec.plugin->name);
    share.version.assign(spec.plugin->version);
    share.file.assign(spec.file);
    share.budget_us = spec.budget_us;
    share.max_faults = spec.max_faults;
    share.claim_count = static_cast<std::uint8_t>(std::min(spec.claims.size(), share.claims.size()));
    for (std::size_t j = 0; j < share.claim_count; ++j) {
      const bool is_tcp = spec.claims[j].protocol == PINHOLE_TCP;
      share.claims[j] = {is_tcp ? nat::Protocol::tcp : nat::Protocol::udp, spec.claims[j].port};
    }
    share.counter_count = static_cast<std::uint8_t>(spec.plugin->counter_count);
    for (std::size_t j = 0; j < share.counter_count; ++j) share.counters[j].assign(spec.plugin->counters[j]);
  }
}

config::Result<void> Appliance::start_gateways() {
  for (auto& context : contexts_) {
    const auto failed = context->gateways.start(context->sip_host);
    if (!failed) continue;
    const auto& spec = gateways_[*failed];
    const auto what =
        fmt::format("the gateway \"{}\" does not start on worker {}", spec.plugin->name, context->index);
    if (spec.file.empty()) return Error{ErrorCode::system, what};
    const auto before = std::span(gateways_).first(*failed);
    const auto plugins = std::ranges::count_if(before, [](const auto& each) { return !each.file.empty(); });
    return Error{
        ErrorCode::file,
        fmt::format(
            "plugins[{}].options: {}: {} with \"{}\"; give it the options that its documentation names",
            plugins, spec.file, what, spec.options)};
  }
  return {};
}

config::Result<void> Appliance::make_policies(const config::Config& config) {
  auto images = reserve_array<ipc::PolicyImage>(ipc::kPolicyName, ipc::kPolicySlots);
  if (!images) return images.error();
  policies_ = *images;
  layout_->policies = policies_.data();
  return config::write_policy(config, policies_.front());
}

config::Result<void> Appliance::make_workers(const config::Config& config) {
  const auto addresses = network_->steering.addresses().size();
  const auto inbound_bytes = nat::InboundIndex::bytes_needed(addresses);
  auto inbound_memory = reserve("pinhole_inbound", inbound_bytes);
  if (!inbound_memory) {
    return Error{ErrorCode::memory,
                 fmt::format("nat.pool: {} external addresses need {} MB and dpdk.memory_mb has no room for "
                             "them; raise it, or give fewer addresses",
                             addresses, inbound_bytes >> 20U)};
  }
  const nat::InboundIndex inbound(addresses, *inbound_memory);
  nat::RandomKey key{};
  fill_with_random(key);
  set_sip_policy(config.sip);
  const bool yields = yields_when_idle(config.workers, std::max(1U, std::thread::hardware_concurrency()));
  for (unsigned index = 0; index < config.workers.count; ++index) {
    rx_queues_.push_back(rx_queues_of(ports_, index, config.workers.count));
  }
  for (unsigned index = 0; index < config.workers.count; ++index) {
    auto context = make_context(config, index, inbound, key);
    if (!context) return context.error();
    contexts_.push_back(std::move(*context));
    network_->call_counts.push_back(&contexts_.back()->calls.counts());
    workers_.push_back(std::make_unique<Worker>(*contexts_.back(), rx_queues_[index], yields));
  }
  return add_forwards(config);
}

/// One for all workers: a token that one of them makes is read by another.
void Appliance::set_sip_policy(const config::Sip& sip) {
  alg::sip::HostTokens::Key key{};
  fill_with_random(key);
  constexpr std::size_t kWordDigits = 8;
  for (std::size_t i = 0; i < key.size() && !sip.hide_key.empty(); ++i) {
    const char* const digits = sip.hide_key.data() + i * kWordDigits;
    std::from_chars(digits, digits + kWordDigits, key[i], 16);
  }
  transparent_peers_ = sip.transparent;
  software_name_ = sip.software_name;
  sip_policy_ = {.malformed = sip.malformed,
                 .hide_parties = sip.hide_parties,
                 .hide_call_id = sip.hide_call_id,
                 .asserted_identity = sip.asserted_identity,
                 .software = sip.software,
                 .software_name = software_name_,
                 .transparent = transparent_peers_,
                 .tokens = alg::sip::HostTokens(key),
                 .local_media = sip.local_media};
}

// One step for each part of a worker, and no branches but for what fails.
// NOLINTNEXTLINE(readability-function-size)
config::Result<std::unique_ptr<WorkerContext>> Appliance::make_context(const config::Config& config,
                                                                       unsigned worker,
                                                                       nat::InboundIndex inbound,
                                                                       const nat::RandomKey& key) {
  const auto name = [worker](const char* what) { return fmt::format("pinhole_{}_{}", what, worker); };
  const auto translator = translator_config(config, worker, *network_, key);
  auto fragment_memory = reserve(name("fragments"), nat::FragmentTable::bytes_needed(kFragmentLimits));
  if (!fragment_memory) return fragment_memory.error();
  auto reassembly_memory = reserve(name("reassembly"), nat::Reassembly::bytes_needed(kReassemblyLimits));
  if (!reassembly_memory) return reassembly_memory.error();
  auto held_syn_memory = reserve(name("held_syns"), nat::HeldSyns::bytes_needed());
  if (!held_syn_memory) return held_syn_memory.error();
  const auto streams = stream_places(gateways_, config.sip.streams_per_worker);
  auto stream_memory = reserve(name("streams"), StreamTable::bytes_needed(streams));
  if (!stream_memory) return stream_memory.error();
  auto stats = reserve_object<WorkerStats>(name("stats"));
  if (!stats) return stats.error();
  auto translator_memory = reserve(name("translator"), nat::Translator::bytes_needed(translator));
  if (!translator_memory) return translator_memory.error();
  auto meters = make_meters(config, worker);
  if (!meters) return meters.error();
  auto calls = reserve_array<ipc::Shared<ipc::CallCard>>(name("calls"), config.sip.calls_per_worker);
  if (!calls) return calls.error();
  auto call_memory = reserve(name("call_index"), CallTable::bytes_needed(config.sip.calls_per_worker));
  if (!call_memory) return call_memory.error();
  auto dialog_memory = reserve(name("dialogs"), DialogTable::bytes_needed(config.sip.calls_per_worker));
  if (!dialog_memory) return dialog_memory.error();
  const auto registration_count = config.sip.registrations_per_worker;
  auto registrations =
      reserve_array<ipc::Shared<ipc::RegistrationCard>>(name("registrations"), registration_count);
  if (!registrations) return registrations.error();
  auto registration_memory =
      reserve(name("registration_index"), RegistrationTable::bytes_needed(registration_count));
  if (!registration_memory) return registration_memory.error();
  auto policy_card = reserve_object<ipc::Shared<ipc::PolicyCard>>(name("policy"));
  if (!policy_card) return policy_card.error();
  auto rule_hits = reserve_array<alg::sip::RuleHits>(name("rule_hits"), ipc::kPolicySlots);
  if (!rule_hits) return rule_hits.error();
  const auto sources = config.protection.sources_per_worker;
  auto guard_memory = reserve(name("guard"), Guard::bytes_needed(sources));
  if (!guard_memory) return guard_memory.error();
  auto bans = reserve_array<ipc::BanSlot>(name("bans"), BanTable::kCapacity);
  if (!bans) return bans.error();
  const bool has_flows = std::ranges::any_of(gateways_, &GatewaySpec::keeps_flows);
  const auto flows = has_flows ? GatewayParts::kFlows : 1U;
  const auto expectations = has_flows ? GatewayParts::kExpectations : 1U;
  auto gateway_memory = reserve(name("gateways"), Gateways::bytes_needed(flows, expectations));
  if (!gateway_memory) return gateway_memory.error();
  auto gateway_stats = reserve_array<ipc::GatewayStats>(name("gateway_stats"), gateways_.size());
  if (!gateway_stats) return gateway_stats.error();
  const auto rings = make_control_rings(worker, config.nat.log.wanted());
  if (!rings) return rings.error();
  std::uint64_t hash_seed = 0;
  fill_with_random(hash_seed);

  auto context = std::make_unique<WorkerContext>(WorkerParts{
      .index = worker,
      .network = *network_,
      .stats = **stats,
      .packets = packets_,
      .events = rings->events,
      .commands = rings->commands,
      .records = rings->records,
      .translator = translator,
      .inbound = inbound,
      .translator_memory = *translator_memory,
      .meters = *meters,
      .call_cards = *calls,
      .call_memory = *call_memory,
      .dialog_memory = *dialog_memory,
      .registration_cards = *registrations,
      .registration_memory = *registration_memory,
      .fragment_memory = *fragment_memory,
      .reassembly_memory = *reassembly_memory,
      .held_syn_memory = *held_syn_memory,
      .stream_memory = *stream_memory,
      .streams = streams,
      .hash_seed = hash_seed,
      .gateways = {.specs = gateways_,
                   .stats = *gateway_stats,
                   .flows = flows,
                   .expectations = expectations,
                   .memory = *gateway_memory},
      .sip_tcp_own_host = config.sip.tcp_own_host,
      .sip_media_own_host = config.sip.media_own_host,
      .sip_policy = sip_policy_,
      .sip_ignores_df = config.sip.ignore_df,
      .policy = {policies_.first<ipc::kPolicySlots>(), rule_hits->first<ipc::kPolicySlots>(), **policy_card},
      .sip_why = config.sip.why,
      .call_policy = config.calls,
      .guard = {.sources = sources, .bans = *bans, .memory = *guard_memory, .seed = hash_seed},
      .icmp_errors_per_s = config.icmp.errors_per_s,
      .start_tsc = layout_->start_tsc,
      .tsc_hz = layout_->tsc_hz});
  const auto& table = context->translator.table();
  layout_->workers[worker] = {.stats = *stats,
                              .mappings = table.mappings(),
                              .meters = config.calls.measure ? meters->meters.data() : nullptr,
                              .mapping_capacity = table.capacity(),
                              .lcore = lcore_of_worker(worker),
                              .mapping_high_water = &table.high_water(),
                              .calls = calls->data(),
                              .call_capacity = static_cast<std::uint32_t>(calls->size()),
                              .registrations = registrations->data(),
                              .registration_capacity = static_cast<std::uint32_t>(registrations->size()),
                              .policy = *policy_card,
                              .rule_hits = rule_hits->data(),
                              .bans = bans->data(),
                              .ban_capacity = static_cast<std::uint32_t>(bans->size()),
                              .gateways = gateway_stats->data()};
  return context;
}

config::Result<void> Appliance::add_forwards(const config::Config& config) {
  for (std::size_t i = 0; i < config.nat.forwards.size(); ++i) {
    const auto& forward = config.nat.forwards[i];
    for (auto& context : contexts_) {
      const auto result =
          context->translator.add_forward(forward.protocol, forward.external, forward.inside, 0, 0);
      if (result == nat::ForwardResult::added || result == nat::ForwardResult::reserved) continue;
      return Error{ErrorCode::conflict,
                   fmt::format("nat.forwards[{}]: the forward cannot be made: {}", i,
                               result == nat::ForwardResult::no_room
                                   ? "more forwards than nat.mappings_per_worker"
                                   : "its inside or external endpoint is in use by another forward")};
    }
  }
  return {};
}

config::Result<void> Appliance::make_capture() {
  auto wish = reserve_object<ipc::CaptureSwitch>("pinhole_capture");
  if (!wish) return wish.error();
  layout_->capture = *wish;
  for (unsigned worker = 0; worker < layout_->worker_count; ++worker) {
    auto ring = reserve_object<ipc::CaptureRing>(fmt::format("pinhole_capture_{}", worker));
    if (!ring) return ring.error();
    layout_->workers[worker].capture = *ring;
  }
  capture_.emplace(*layout_, ports_);
  return {};
}

void Appliance::publish() noexcept {
  layout_->ready.store(true, std::memory_order_release);
}

void Appliance::beat() {
  layout_->mbufs_in_use.store(rte_mempool_in_use_count(packets_), std::memory_order_relaxed);
  layout_->heartbeat.fetch_add(1, std::memory_order_release);
  capture_->follow(rte_rdtsc());
}

}  // namespace pinhole::dataplane
