// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/context.hpp"

namespace pinhole::dataplane {

namespace {

nat::TranslatorConfig with_records(nat::TranslatorConfig config, nat::RecordSink* records) {
  config.records = records;
  return config;
}

}  // namespace

WorkerContext::WorkerContext(const WorkerParts& parts)
    : index(parts.index),
      network(parts.network),
      stats(parts.stats),
      packets(parts.packets),
      commands(parts.commands),
      clock(parts.start_tsc, parts.tsc_hz),
      express(parts.network, !parts.meters.meters.empty()),
      transmitter(parts.index, parts.network, parts.stats),
      handoff(parts.network, parts.stats),
      slow_path(*this, parts.packets, parts.icmp_errors_per_s, parts.tsc_hz),
      datagram_ids(parts.index, parts.network.steering.workers(), parts.hash_seed),
      fragments(kFragmentLimits, parts.hash_seed, datagram_ids, parts.fragment_memory),
      held_syns(parts.hash_seed, parts.held_syn_memory),
      records(parts.records, static_cast<std::uint16_t>(parts.index), clock, parts.stats.worker),
      translator(with_records(parts.translator, parts.records == nullptr ? nullptr : &records),
                 parts.translator_memory, parts.inbound, parts.stats.nat, 0),
      meters(parts.meters, parts.tsc_hz),
      endpoints(translator, parts.network.steering, parts.stats.worker, meters),
      calls(parts.call_cards, parts.hash_seed, parts.call_memory, parts.stats.worker,
            nat::ticks_from_s(parts.call_policy.ringing_s)),
      dialogs(static_cast<std::uint32_t>(parts.call_cards.size()), parts.dialog_memory),
      limits(parts.call_policy.limits, parts.network.call_counts, calls.counts()),
      registrations(parts.registration_cards, parts.hash_seed, parts.registration_memory, parts.stats.worker),
      events(parts.events, static_cast<std::uint8_t>(parts.index), clock, parts.stats.worker),
      peers(parts.index, parts.network),
      zones(parts.network.routes),
      host({.worker = static_cast<std::uint8_t>(parts.index),
            .zones = zones,
            .steering = parts.network.steering,
            .endpoints = endpoints,
            .calls = calls,
            .dialogs = dialogs,
            .limits = limits,
            .registrations = registrations,
            .questions = questions,
            .events = events,
            .peers = peers,
            .why = parts.sip_why,
            .tcp_own_host = parts.sip_tcp_own_host,
            .media_own_host = parts.sip_media_own_host}),
      guard(parts.guard, parts.network.steering, events, parts.stats.worker),
      rule_events(events, guard, clock, parts.tsc_hz),
      rules(rule_events),
      policy(parts.policy, guard, rules),
      own_messages(*this, parts.hash_seed, parts.tsc_hz),
      hang_ups(*this, parts.hash_seed),
      screens{&own_messages, &guard, &rules},
      sip(parts.stats.alg, parts.sip_policy, screens),
      sip_host(voice_host(sip)),
      ports(Gateways::claims_of(parts.gateways.specs)),
      streams(parts.streams, parts.hash_seed, parts.stream_memory),
      gateways(parts.gateways, parts.hash_seed,
               {.worker = parts.index,
                .clock = clock,
                .tsc_hz = parts.tsc_hz,
                .events = events,
                .streams = streams,
                .counters = parts.stats.alg},
               translator, parts.stats.worker),
      inspection(*this),
      reassembly(kReassemblyLimits, parts.hash_seed, parts.reassembly_memory),
      ignores_df(parts.sip_ignores_df) {
}

}  // namespace pinhole::dataplane
