// SPDX-License-Identifier: BSD-3-Clause
#include "nat/translator.hpp"

#include <algorithm>
#include <cassert>

#include "nat/checksum.hpp"

namespace pinhole::nat {

namespace {

constexpr std::uint32_t host_capacity(const TranslatorConfig& config) noexcept {
  // A host for every mapping as long as that is little memory, then for every sixteenth.
  constexpr std::uint32_t kManyHosts = 65536;
  return config.hosts != 0 ? config.hosts
                           : std::min(config.mappings, std::max(kManyHosts, config.mappings / 16));
}

/// Above the numbers of workers, which are the streams of their seeds.
constexpr std::uint32_t kPortStream = 0x10000;

constexpr std::uint32_t remote_places(const TranslatorConfig& config) noexcept {
  return config.remotes != 0 ? config.remotes : config.mappings / 2;
}

constexpr TimeoutClass first_timeout_class(Protocol protocol) noexcept {
  switch (protocol) {
    case Protocol::tcp:
      return TimeoutClass::tcp_opening;
    case Protocol::icmp:
      return TimeoutClass::icmp;
    case Protocol::udp:
      break;
  }
  return TimeoutClass::udp;
}

InboundKey inbound_key(const Mapping& mapping) noexcept {
  return {
      .pool_index = mapping.pool_index, .port = mapping.external.port.host(), .protocol = mapping.protocol};
}

PortBlocks::Deal deal_of(const TranslatorConfig& config) noexcept {
  return {.plan = config.ports,
          .subscribers = config.subscribers,
          .pool_size = config.pool_size,
          .worker = config.worker,
          .workers = config.workers,
          .rest = config.port_rest};
}

}  // namespace

std::size_t Translator::bytes_needed(const TranslatorConfig& config) noexcept {
  return MappingTable::bytes_needed(config.mappings) + HostTable::bytes_needed(host_capacity(config)) +
         HostPorts::bytes_needed(deal_of(config)) + RemoteTable::bytes_needed(remote_places(config)) +
         SessionTable::bytes_needed(config.tcp_sessions) + TimerWheel::bytes_needed(config.mappings);
}

Translator::Translator(const TranslatorConfig& config, std::span<std::byte> memory, InboundIndex inbound,
                       CounterBlock<Counter>& counters, Tick now) noexcept
    : Translator(config, Carver(memory), Random(config.key, config.worker), inbound, counters, now) {
}

Translator::Translator(const TranslatorConfig& config, Carver memory, Random random, InboundIndex inbound,
                       CounterBlock<Counter>& counters, Tick now) noexcept
    : external_(config.external),
      pool_size_(config.pool_size),
      worker_(config.worker),
      workers_(config.workers),
      filtering_(config.filtering),
      media_from_(config.media_from),
      latch_from_(config.latch_from),
      inbound_refresh_(config.inbound_refresh),
      statics_(config.statics),
      openings_(config.openings),
      timeouts_(config.timeouts),
      table_(config.mappings, random.next64(),
             memory.take_bytes(MappingTable::bytes_needed(config.mappings))),
      inbound_(inbound),
      hosts_(host_capacity(config), config.quotas, random.next64(),
             Carver(memory.take_bytes(HostTable::bytes_needed(host_capacity(config))))),
      // Numbers of their own, since everybody sees ports, and nobody shall know the seeds.
      ports_(deal_of(config), config.external, hosts_, config.records, counters,
             Random(config.key, config.worker + kPortStream),
             Carver(memory.take_bytes(HostPorts::bytes_needed(deal_of(config))))),
      remotes_(remote_places(config), memory.take_bytes(RemoteTable::bytes_needed(remote_places(config)))),
      sessions_(config.tcp_sessions, random.next64(),
                memory.take_bytes(SessionTable::bytes_needed(config.tcp_sessions))),
      wheel_(config.mappings, now, memory.take_bytes(TimerWheel::bytes_needed(config.mappings))),
      counters_(counters),
      mapping_records_(config.mapping_records ? config.records : nullptr),
      refusals_(config.records) {
  assert(config.pool_size <= config.external.size());
  assert(config.worker < config.workers && config.workers <= kMaxWorkers);
  for (const auto& interval : statics_.by_external()) {
    for (std::uint64_t key = interval.first; key <= interval.last; ++key) {
      ports_.reserve(StaticRules::protocol_of(key), interval.pool_index, static_cast<std::uint16_t>(key));
    }
  }
}

void Translator::find_inbound(std::span<const InboundKey> keys,
                              std::span<MappingIndex> found) const noexcept {
  assert(found.size() >= keys.size());
  for (std::size_t step = 0; step < keys.size() + kLookupAhead; ++step) {
    if (step < keys.size()) inbound_.prefetch(keys[step]);
    if (step < kLookupAhead) continue;
    const std::size_t i = step - kLookupAhead;
    found[i] = inbound_.find(keys[i]);
    if (found[i] != kNoMapping) table_.prefetch_mapping(found[i]);
  }
}

void Translator::prefetch_new(std::span<const OutboundKey> keys) const noexcept {
  assert(keys.size() <= kLookupBurst && kLookupBurst <= PortPool::kAhead);
  std::array<Foreseen, kLookupBurst> foreseen;
  for (std::size_t at = 0; at < keys.size() + (kNewSteps - 1) * kLookupAhead; ++at) {
    const auto step = [&]<std::size_t kStep>() noexcept {
      const std::size_t i = at - kStep * kLookupAhead;
      if (i < keys.size()) fetch_for_new<kStep>(keys[i], i, foreseen[i]);
    };
    step.template operator()<0>();
    step.template operator()<1>();
    step.template operator()<2>();
    step.template operator()<3>();
  }
}

/// create() where there may be a rule.
Created Translator::create_by_rule(Protocol protocol, const Endpoint& inside, const Endpoint& remote,
                                   Tick now, Realm realm, const Foreseen& foreseen) noexcept {
  const auto with_remote = [&](Created created) noexcept {
    if (created.index != kNoMapping && !remote.address.is_unspecified())
      note_remote(created.index, remote, now);
    return created;
  };
  if (const auto rule = statics(realm).external_of(protocol, inside)) {
    // Another external endpoint would break endpoint-independent mapping, and this one is not for it.
    if (rule->direction == StaticDirection::in) return {.reason = DropReason::drop_static_direction};
    return with_remote(
        create_static({inside, protocol, realm}, *rule, rule->endpoint.port.host(), Opener::inside, now));
  }
  if (realm == Realm::translated) return create_dynamic(protocol, inside, remote, now, foreseen);
  const Created created = create_fixed({inside, protocol, realm}, 0, inside.port.host(), Opener::inside, now);
  if (created.index != kNoMapping) start(created.index);
  return with_remote(created);
}

/// A mapping with a port of the pool.
// Flat: of what a new flow costs, calls were a fifth.
[[gnu::flatten]] Created Translator::create_dynamic(Protocol protocol, const Endpoint& inside,
                                                    const Endpoint& remote, Tick now,
                                                    const Foreseen& foreseen) noexcept {
  HostTable::Place host = hosts_.find(inside.address, foreseen.host);
  if (const DropReason reason = hosts_.ask(host, protocol, now); reason != DropReason::none)
    return refuse(reason, protocol, inside, now);
  // Before anything is taken: a block would have to rest.
  if (table_.size() == table_.capacity()) return {.reason = DropReason::drop_table_full};
  if (host == HostTable::kNone || !hosts_.has_address(host)) {
    const HostPorts::Entry entry = ports_.enter(host, inside.address, protocol, now);
    if (entry.reason != DropReason::none) return refuse(entry.reason, protocol, inside, now);
    host = entry.host;
  }
  const auto [port, reason] = ports_.take(host, protocol, inside.port.host(), foreseen.port);
  if (reason != DropReason::none) {
    const Created refused = refuse(reason, protocol, inside, now);
    hosts_.remove_if_idle(host);
    return refused;
  }
  const MappingIndex index = insert({inside, protocol}, hosts_.pool_index(host), port, now);
  if (index == kNoMapping) {
    ports_.put_back(host, protocol, port);
    hosts_.remove_if_idle(host);
    return {.reason = DropReason::drop_table_full};
  }
  hosts_.count(host, protocol);
  table_.prefetch_upcoming();
  wheel_.prefetch(table_.upcoming());
  if (!remote.address.is_unspecified()) {
    set_remote(table_[index], remote);
  }
  start(index);
  record(RecordType::mapping_created, table_[index]);
  return {.index = index};
}

[[gnu::noinline]] Created Translator::refuse(DropReason reason, Protocol protocol, Endpoint inside,
                                             Tick now) noexcept {
  if (!refusals_.wanted()) return {.reason = reason};
  const HostTable::Place host = hosts_.find(inside.address);
  const bool has_address = host != HostTable::kNone && hosts_.has_address(host);
  refusals_.tell(reason, protocol, inside, has_address ? external_[hosts_.pool_index(host)] : Ipv4Address{},
                 now);
  return {.reason = reason};
}

void Translator::record(RecordType type, const Mapping& mapping) noexcept {
  if (mapping_records_ == nullptr || !takes_port(mapping)) return;
  mapping_records_->put(
      {.type = type, .protocol = mapping.protocol, .inside = mapping.inside, .external = mapping.external});
}

Created Translator::create_inbound(Protocol protocol, Endpoint external, Tick now, Realm realm) noexcept {
  const auto rule = statics(realm).inside_of(protocol, external);
  if (!rule || rule->direction == StaticDirection::out) return {.reason = DropReason::drop_no_mapping};
  if (table_.size() >= table_.capacity() / 4 * 3) return {.reason = DropReason::drop_table_full};
  return create_static({rule->endpoint, protocol, realm}, *rule, external.port.host(), Opener::outside, now);
}

/// A mapping that a rule describes. \param port  the external one
Created Translator::create_static(OutboundKey key, const StaticTarget& rule, std::uint16_t port,
                                  Opener opener, Tick now) noexcept {
  const Created created = create_fixed(key, rule.pool_index, port, opener, now);
  if (created.index == kNoMapping) return created;
  Mapping& mapping = table_[created.index];
  if (rule.direction != StaticDirection::out) {
    mapping.filter = Filter::endpoint_independent;
  } else if (mapping.filter == Filter::endpoint_independent) {
    mapping.filter = Filter::address_dependent;
  }
  if (rule.direction == StaticDirection::in) mapping.flags |= MappingFlags::kRegular;
  start(created.index);
  return created;
}

/// A mapping whose external endpoint is no choice: it takes no port, and counts all the same. To be started.
Created Translator::create_fixed(OutboundKey key, std::uint16_t pool_index, std::uint16_t port, Opener opener,
                                 Tick now) noexcept {
  const Endpoint inside = key.inside();
  HostTable::Place host = hosts_.find(inside.address);
  const DropReason reason = opener == Opener::inside ? hosts_.ask(host, key.protocol(), now, Takes::state)
                                                     : hosts_.ask_from_outside(host, key.protocol(), now);
  if (reason != DropReason::none) return refuse(reason, key.protocol(), inside, now);
  const MappingIndex index = insert(key, pool_index, port, now);
  if (index == kNoMapping) return {.reason = DropReason::drop_table_full};
  if (host == HostTable::kNone) host = hosts_.add(inside.address, now);
  hosts_.count(host, key.protocol(), Takes::state);
  return {.index = index};
}

bool Translator::is_for_answers(const Mapping& mapping) const noexcept {
  if ((mapping.flags & MappingFlags::kPinhole) != 0) return false;
  const auto rule = statics(mapping.realm).external_of(mapping.protocol, mapping.inside);
  return rule && rule->direction == StaticDirection::in;
}

bool Translator::answers_may_go(MappingIndex index, Endpoint remote, Tick now) const noexcept {
  const Mapping& mapping = table_[index];
  if (!is_for_answers(mapping)) return true;
  return ((mapping.flags & MappingFlags::kHasRemote) != 0 && mapping.remote.address == remote.address) ||
         remotes_.knows(index, generation_of(index), {remote.address, {}}, timeouts_[mapping.timeout_class],
                        now);
}

/// Who came in through a mapping that is for answers may be answered.
void Translator::note_caller(MappingIndex index, Endpoint remote, Tick now) noexcept {
  const Mapping& mapping = table_[index];
  if (mapping.remote.address == remote.address || !is_for_answers(mapping)) return;
  remotes_.remember(index, generation_of(index), {remote.address, {}}, now);
}

ForwardResult Translator::add_forward(Protocol protocol, Endpoint external, Endpoint inside,
                                      std::uint8_t flags, Tick now) noexcept {
  const auto address = std::ranges::find(external_, external.address);
  if (address == external_.end()) return ForwardResult::unknown;
  const auto pool_index = static_cast<std::uint16_t>(address - external_.begin());
  const std::uint16_t port = external.port.host();
  ports_.reserve(protocol, pool_index, port);
  if (owner_of_inside(inside.address, workers_) != worker_) return ForwardResult::reserved;
  const InboundKey key = {.pool_index = pool_index, .port = port, .protocol = protocol};
  if (inbound_.find(key) != kNoMapping || table_.find(protocol, inside) != kNoMapping)
    return ForwardResult::taken;
  const MappingIndex index = insert({inside, protocol}, pool_index, port, now);
  if (index == kNoMapping) return ForwardResult::no_room;
  Mapping& mapping = table_[index];
  mapping.flags |= flags | MappingFlags::kStatic;
  mapping.filter = Filter::endpoint_independent;
  mapping.timeout_class = TimeoutClass::permanent;
  start(index);
  return ForwardResult::added;
}

void Translator::keep(MappingIndex index, Tick tick) noexcept {
  if (!table_.is_live(index)) return;
  Mapping& mapping = table_[index];
  if (mapping.timeout_class == TimeoutClass::permanent) return;
  mapping.keep_until = tick;
  wheel_.set(index, deadline_of(mapping, timeouts_));
}

void Translator::promise_remote(MappingIndex index, Endpoint remote, Tick tick, Tick now) noexcept {
  const Mapping& mapping = table_[index];
  if (nat::admits(mapping, remote)) return;
  note_remote(index, remote, now);
  // Of TCP the shortest, which is asked with once the connection is gone.
  const Tick timeout = mapping.protocol == Protocol::tcp ? std::min(timeouts_[TimeoutClass::tcp_opening],
                                                                    timeouts_[TimeoutClass::tcp_closing])
                                                         : timeouts_[mapping.timeout_class];
  remotes_.promise(index, generation_of(index), seen_by(mapping.filter, remote), tick, timeout, now);
}

bool Translator::close(MappingIndex index, std::uint32_t generation) noexcept {
  if (!table_.is_live(index)) return false;
  const Mapping& mapping = table_[index];
  if (mapping.generation.load(std::memory_order_relaxed) != generation || is_static(mapping)) return false;
  end(index);
  counters_.add(Counter::mapping_closed);
  return true;
}

void Translator::note_remote(MappingIndex index, Endpoint remote, Tick now) noexcept {
  Mapping& mapping = table_[index];
  if ((mapping.flags & MappingFlags::kHasRemote) == 0) {
    set_remote(mapping, remote);
  } else if (!nat::admits(mapping, remote)) {
    remotes_.remember(index, generation_of(index), seen_by(mapping.filter, remote), now);
  }
}

bool Translator::admits_by_table(MappingIndex index, Endpoint remote, Tick now) const noexcept {
  const Mapping& mapping = table_[index];
  if (mapping.protocol == Protocol::tcp) {
    // A connection that inside takes part in is let in whoever else was remembered since.
    const TcpSession* const known = session(index, remote, now);
    if (known != nullptr && known->state() != TcpState::syn_in) return true;
  }
  if (may_latch(mapping, remote)) return true;
  return remotes_.knows(index, generation_of(index), seen_by(mapping.filter, remote),
                        timeouts_[mapping.timeout_class], now);
}

/// A mapping that is complete but for what its kind adds; its port is taken already. Not found from outside,
/// shown to readers nor timed before start().
MappingIndex Translator::insert(OutboundKey key, std::uint16_t pool_index, std::uint16_t port,
                                Tick now) noexcept {
  const MappingIndex index = table_.insert(key);
  if (index == kNoMapping) return kNoMapping;
  Mapping& mapping = table_[index];
  if (key.realm() == Realm::translated) {
    mapping.external = {.address = external_[pool_index], .port = Be16{port}};
    const Deltas deltas = deltas_for(key.protocol(), key.inside(), mapping.external);
    mapping.ip_delta = deltas.ip;
    mapping.transport_delta = deltas.transport;
  } else {
    mapping.external = key.inside();  // and no difference: deltas of zero
  }
  mapping.pool_index = pool_index;
  mapping.timeout_class = first_timeout_class(key.protocol());
  mapping.filter = filtering_[key.protocol()];
  if (inbound_refresh_[key.protocol()]) mapping.flags |= MappingFlags::kRefreshIn;
  if (key.protocol() == Protocol::tcp) mapping.parent = 0;
  mapping.last_seen = now;
  mapping.keep_until = now;
  return index;
}

void Translator::start(MappingIndex index) noexcept {
  const Mapping& mapping = table_[index];
  if (mapping.timeout_class != TimeoutClass::permanent) wheel_.set(index, deadline_of(mapping, timeouts_));
  if (mapping.realm == Realm::translated) inbound_.set(inbound_key(mapping), index);
  table_.publish(index);
  counters_.add(Counter::mapping_created);
  show_gauges();
}

void Translator::end(MappingIndex index) noexcept {
  record(RecordType::mapping_freed, table_[index]);
  free_mapping(index);
}

/// Whether a mapping's port is one of its host's; otherwise it is that of a rule or a forward, or its own.
bool Translator::takes_port(const Mapping& mapping) const noexcept {
  return mapping.realm == Realm::translated && !is_static(mapping) &&
         !statics_.external_of(mapping.protocol, mapping.inside);
}

void Translator::free_mapping(MappingIndex index) noexcept {
  const Mapping& mapping = table_[index];
  wheel_.remove(index);
  if (mapping.realm == Realm::translated) inbound_.clear(inbound_key(mapping));
  if (!is_static(mapping)) leave(mapping);
  table_.erase(index);
  show_gauges();
}

/// Gives back what a mapping took of what its host may have.
void Translator::leave(const Mapping& mapping) noexcept {
  const HostTable::Place host = hosts_.find(mapping.inside.address);
  assert(host != HostTable::kNone);
  const Takes takes = takes_port(mapping) ? Takes::port : Takes::state;
  if (takes == Takes::port) ports_.give_back(host, mapping.protocol, mapping.external.port.host());
  hosts_.uncount(host, mapping.protocol, takes);
}

void Translator::show_gauges() noexcept {
  auto& counters = counters_;  // in a register: a store into it may change the reference, as far as GCC knows
  counters.set(Counter::mapping_live, table_.size());
  counters.set(Counter::port_in_use, ports_.in_use());
  counters.set(Counter::host_live, hosts_.size());
}

}  // namespace pinhole::nat
