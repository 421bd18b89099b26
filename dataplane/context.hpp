// SPDX-License-Identifier: BSD-3-Clause
#pragma once
// Everything that one worker owns, in the order in which it is built: what the stages of the pipeline get.

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "alg/edit.hpp"
#include "alg/sip/sip_alg.hpp"
#include "dataplane/alg_host.hpp"
#include "dataplane/call_limits.hpp"
#include "dataplane/call_table.hpp"
#include "dataplane/clock.hpp"
#include "dataplane/dialog_table.hpp"
#include "dataplane/express.hpp"
#include "dataplane/foreign.hpp"
#include "dataplane/gateway/gateways.hpp"
#include "dataplane/gateway/inspection.hpp"
#include "dataplane/gateway/ports.hpp"
#include "dataplane/guard/ban_sweep.hpp"
#include "dataplane/guard/guard.hpp"
#include "dataplane/handoff.hpp"
#include "dataplane/hang_up.hpp"
#include "dataplane/links.hpp"
#include "dataplane/local_endpoints.hpp"
#include "dataplane/media_meters.hpp"
#include "dataplane/network.hpp"
#include "dataplane/own_message.hpp"
#include "dataplane/parking.hpp"
#include "dataplane/registration_table.hpp"
#include "dataplane/slow_path.hpp"
#include "dataplane/stats.hpp"
#include "dataplane/stream_table.hpp"
#include "dataplane/transmitter.hpp"
#include "dataplane/worker_policy.hpp"
#include "nat/fragment.hpp"
#include "nat/held_syn.hpp"
#include "nat/identification.hpp"
#include "nat/reassembly.hpp"
#include "nat/translator.hpp"

#include <rte_mbuf.h>
#include <rte_ring.h>

namespace pinhole::dataplane {

/// How many fragments a worker holds back and remembers.
inline constexpr nat::FragmentLimits kFragmentLimits{};
/// How many fragments of SIP messages it holds until the others are there.
inline constexpr nat::ReassemblyLimits kReassemblyLimits{};

/// What main prepares for a worker; all of it outlives the worker.
struct WorkerParts {
  unsigned index = 0;
  const Network& network;
  WorkerStats& stats;
  rte_mempool* packets = nullptr;
  rte_ring* events = nullptr;
  rte_ring* commands = nullptr;
  rte_ring* records = nullptr;  // nullptr: nobody wants any
  nat::TranslatorConfig translator;
  nat::InboundIndex inbound;
  std::span<std::byte> translator_memory;
  MeterMemory meters = {};
  std::span<ipc::Shared<ipc::CallCard>> call_cards;
  std::span<std::byte> call_memory;
  std::span<std::byte> dialog_memory;
  std::span<ipc::Shared<ipc::RegistrationCard>> registration_cards;
  std::span<std::byte> registration_memory;
  std::span<std::byte> fragment_memory;
  std::span<std::byte> reassembly_memory;
  std::span<std::byte> held_syn_memory;
  std::span<std::byte> stream_memory;
  StreamPlaces streams;
  std::uint64_t hash_seed = 0;
  GatewayParts gateways;
  bool sip_tcp_own_host = true;
  bool sip_media_own_host = false;
  alg::sip::Policy sip_policy;
  bool sip_ignores_df = false;
  PolicyMemory policy;
  bool sip_why = false;
  config::Calls call_policy;
  GuardParts guard;
  std::uint32_t icmp_errors_per_s = 0;
  std::uint64_t start_tsc = 0;
  std::uint64_t tsc_hz = 0;
};

struct WorkerContext {
  explicit WorkerContext(const WorkerParts& parts);
  WorkerContext(const WorkerContext&) = delete;
  WorkerContext& operator=(const WorkerContext&) = delete;

  unsigned index;
  const Network& network;
  WorkerStats& stats;
  rte_mempool* packets;
  rte_ring* commands;

  Clock clock;
  Express express;
  Transmitter transmitter;
  Handoff handoff;
  SlowPath slow_path;

  nat::DatagramIds datagram_ids;
  nat::FragmentTable fragments;
  nat::HeldSyns held_syns;
  RecordRing records;
  nat::Translator translator;
  MediaMeters meters;
  LocalEndpoints endpoints;
  CallTable calls;
  DialogTable dialogs;
  CallLimits limits;
  RegistrationTable registrations;
  QuestionTable questions;
  EventRing events;
  PeerRings peers;
  RouteZones zones;
  AlgHost host;

  Guard guard;
  BanSweep ban_sweep;
  RuleEvents rule_events;
  alg::sip::Rules rules;
  WorkerPolicy policy;
  OwnMessages own_messages;
  HangUps hang_ups;
  std::array<alg::sip::Screen*, 3> screens;  // in the order in which they are asked
  alg::sip::SipAlg sip;
  alg::sip::VoiceHost sip_host;
  PortClaims ports;
  alg::EditList edits;
  ParkingLot<rte_mbuf> parking;
  StreamTable streams;
  ParkingLot<StreamEntry> parked_streams;
  Gateways gateways;
  Inspection inspection;
  std::optional<nat::Tick>
      resumed_deadline;              // while a message that waited is taken through the pipeline again
  rte_mbuf* resumed_rest = nullptr;  // of that message: its fragments but the first
  nat::Reassembly reassembly;
  bool ignores_df;                             // of messages that outgrow their way out
  std::array<std::byte, 65536> whole_message;  // that came in fragments or goes on in some
};

}  // namespace pinhole::dataplane
