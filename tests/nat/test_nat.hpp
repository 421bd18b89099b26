// SPDX-License-Identifier: BSD-3-Clause
#pragma once
// A translator under test, with its memory and the people of its stories: hosts inside, a server, a stranger.

#include <algorithm>
#include <catch2/catch.hpp>
#include <vector>

#include "nat/translator.hpp"
#include "tests/nat/table_memory.hpp"

namespace pinhole::nat {

inline constexpr std::uint32_t kPlenty = 1U << 30U;

constexpr Endpoint endpoint(std::uint32_t host, std::uint16_t port) {
  return {Ipv4Address::from_host(host), Be16{port}};
}
constexpr Endpoint inside(std::uint32_t n, std::uint16_t port) {
  return endpoint(0xc0a80000 + n, port);
}
inline constexpr Endpoint kServer = endpoint(0xc6336401, 5060);
inline constexpr Endpoint kStranger = endpoint(0xc6336402, 5060);

constexpr PortPlan blocks_of(std::uint32_t size, std::uint32_t per_host = 4) {
  return {.mode = PortMode::blocks, .block_size = size, .blocks_per_host = per_host};
}

/// A translator with its memory; external addresses 203.0.113.1 and up, the last of them without a pool.
struct TestNat {
  struct Options {
    std::uint16_t pool = 1;
    std::uint32_t mappings = 1000;
    unsigned worker = 0;
    unsigned workers = 1;
    std::uint32_t key = 1;
    std::uint32_t tcp_sessions = 1000;
    Filter filtering = Filter::address_dependent;
    MediaFrom media_from = MediaFrom::anywhere;
    bool inbound_refresh = false;
    HostQuotas quotas{};
    std::uint32_t hosts = 0;
    Tick port_rest = 0;
    std::uint32_t opening_s = 240;
    std::uint32_t closing_s = 240;
    PortPlan ports{};
    std::vector<SubscriberRange> subscribers{};
    std::vector<StaticInterval> statics{};  // by external, in both orders
    RecordSink* records = nullptr;
    bool mapping_records = false;
  };
  explicit TestNat(const Options& options)
      : addresses(addresses_for(options.pool)),
        subscribers(options.subscribers),
        by_external(options.statics),
        by_inside(turned(options.statics)),
        config(
            {.worker = options.worker,
             .workers = options.workers,
             .external = addresses,
             .pool_size = options.pool,
             .mappings = options.mappings,
             .tcp_sessions = options.tcp_sessions,
             .filtering = {options.filtering, options.filtering, options.filtering},
             .media_from = options.media_from,
             .inbound_refresh = {options.inbound_refresh, options.inbound_refresh, options.inbound_refresh},
             .statics = {by_inside, by_external},
             .timeouts = timeouts_for(options),
             .quotas = options.quotas,
             .hosts = options.hosts,
             .ports = options.ports,
             .subscribers = Subscribers(subscribers),
             .port_rest = options.port_rest,
             .key = {options.key},
             .records = options.records,
             .mapping_records = options.mapping_records}),
        memory(Translator::bytes_needed(config)),
        inbound_memory(InboundIndex::bytes_needed(addresses.size())),
        inbound(addresses.size(), inbound_memory.span()),
        nat(config, memory.span(), inbound, counters, 0) {}
  TestNat() : TestNat(Options{}) {}

  static Timeouts timeouts_for(const Options& options) {
    Timeouts timeouts;
    timeouts.set_s(TimeoutClass::tcp_opening, options.opening_s);
    timeouts.set_s(TimeoutClass::tcp_closing, options.closing_s);
    return timeouts;
  }
  /// What external endpoints stand for, as rules by inside endpoint.
  static std::vector<StaticInterval> turned(std::vector<StaticInterval> rules) {
    for (auto& rule : rules) {
      const std::uint64_t protocol = rule.first >> 48U << 48U;
      const std::uint64_t length = rule.last - rule.first;
      rule = {protocol | rule.other, (protocol | rule.other) + length, rule.first & ~protocol,
              rule.pool_index, rule.direction};
    }
    std::ranges::sort(rules, {}, &StaticInterval::first);
    return rules;
  }
  static std::vector<Ipv4Address> addresses_for(std::uint16_t pool) {
    std::vector<Ipv4Address> all;
    for (std::uint32_t i = 0; i <= pool; ++i) all.push_back(Ipv4Address::from_host(0xcb007101 + i));
    return all;
  }
  /// A new mapping, made by a first packet to the server.
  MappingIndex open(Protocol protocol, Endpoint from, Tick now = 0,
                    std::uint8_t tcp_flags = TcpHeader::kSyn) {
    const Created created = nat.create(protocol, from, kServer, now);
    REQUIRE(created.reason == DropReason::none);
    REQUIRE(touch_outbound(created.index, kServer, 100, tcp_flags, now) == DropReason::none);
    return created.index;
  }
  /// Packets of any protocol. A TCP segment carries the numbers that the other side waits for.
  DropReason touch_outbound(MappingIndex index, Endpoint remote, std::uint32_t bytes, std::uint8_t flags,
                            Tick now) {
    if (nat[index].protocol == Protocol::tcp)
      return nat.touch_tcp_outbound(index, remote, bytes, fitting(index, remote, flags, true, now), now);
    nat.touch_outbound(index, remote, bytes, now);
    return DropReason::none;
  }
  DropReason touch_inbound(MappingIndex index, Endpoint remote, std::uint32_t bytes, std::uint8_t flags,
                           Tick now) {
    if (nat[index].protocol == Protocol::tcp)
      return nat.touch_tcp_inbound(index, remote, bytes, fitting(index, remote, flags, false, now), now);
    nat.touch_inbound(index, remote, bytes, now);
    return DropReason::none;
  }
  TcpSegment fitting(MappingIndex index, Endpoint remote, std::uint8_t flags, bool outbound, Tick now) const {
    const TcpSession* const session = nat.session(index, remote, now);
    TcpSegment segment{.sequence = outbound ? 1000U : 2000U, .window = 60000, .flags = flags};
    if (session != nullptr) {
      segment.sequence = session->next[outbound ? 1 : 0];
      segment.acknowledgement = session->next[outbound ? 0 : 1];
    }
    return segment;
  }
  TcpState tcp_state(MappingIndex index, Endpoint remote, Tick now) const {
    const TcpSession* const session = nat.session(index, remote, now);
    return session == nullptr ? TcpState::none : session->state();
  }
  std::vector<MappingIndex> expire(Tick now, std::uint32_t budget = kPlenty) {
    std::vector<MappingIndex> expired;
    nat.expire(now, budget, [&](MappingIndex index, const Mapping&) noexcept { expired.push_back(index); });
    return expired;
  }
  bool is_live(MappingIndex index) const { return nat.table().is_live(index); }
  std::uint32_t generation(MappingIndex index) const { return nat[index].generation; }
  std::uint16_t port(MappingIndex index) const { return nat[index].external.port.host(); }
  /// The first port of the block that a mapping's port lies in.
  std::uint16_t block(MappingIndex index) const {
    return static_cast<std::uint16_t>(port(index) / config.ports.block_size * config.ports.block_size);
  }
  std::uint64_t count(Counter counter) const { return counters.read(counter); }
  MappingIndex find_inbound(MappingIndex index) const {
    const Mapping& mapping = nat[index];
    return nat.find_inbound({mapping.pool_index, mapping.external.port.host(), mapping.protocol});
  }

  std::vector<Ipv4Address> addresses;
  std::vector<SubscriberRange> subscribers;
  std::vector<StaticInterval> by_external;
  std::vector<StaticInterval> by_inside;
  TranslatorConfig config;
  TableMemory memory;
  TableMemory inbound_memory;
  InboundIndex inbound;
  CounterBlock<Counter> counters;
  Translator nat;
};

/// Keeps what it is told.
struct RecordList final : RecordSink {
  void put(const Record& record) noexcept override { all.push_back(record); }
  std::vector<Record> all;
};

using Indices = std::vector<MappingIndex>;

}  // namespace pinhole::nat
