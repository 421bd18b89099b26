// SPDX-License-Identifier: BSD-3-Clause
// The stage look_up of dataplane/pipeline.hpp.
#include <array>
#include <span>

#include "dataplane/flow_keys.hpp"
#include "dataplane/mbuf_view.hpp"
#include "dataplane/pipeline.hpp"
#include "dataplane/source_check.hpp"
#include "nat/headers.hpp"

namespace pinhole::dataplane {

namespace {

using nat::DropReason;
using nat::kNoMapping;

static_assert(kBurst <= nat::kLookupBurst);

/// Makes the mapping of a new flow, or drops its first packet.
nat::MappingIndex make_mapping(Burst& burst, unsigned place, WorkerContext& worker) noexcept {
  const auto& packet = burst.packets[place];
  rte_mbuf* const mbuf = burst.mbufs[place];
  if (const auto forged = wrong_source(packet.source.address, true, worker.network);
      forged != DropReason::none) {
    worker.transmitter.drop(mbuf, forged);
    return kNoMapping;
  }
  const auto created = worker.translator.create(packet.protocol, packet.source, packet.destination,
                                                worker.clock.tick(), burst.realms[place]);
  if (created.index == kNoMapping) {
    worker.slow_path.refused(mbuf, packet, burst.arrival[place], created.reason);
  } else if (packet.protocol == nat::Protocol::udp &&
             worker.gateways.expectations.await_from_inside(nat::Protocol::udp)) {
    worker.gateways.expectations.begun_inside(created.index, packet.destination, worker.clock.tick());
  }
  return created.index;
}

/// TCP needs one line more, which translate() will touch.
void prefetch_session(nat::MappingIndex mapping, nat::Protocol protocol, nat::Endpoint remote,
                      const WorkerContext& worker) noexcept {
  if (protocol == nat::Protocol::tcp && mapping != kNoMapping)
    worker.translator.prefetch_session(mapping, remote);
}

/// The first packets of flows need more lines, and wait less for them together.
void prefetch_for_new(const Burst& burst, const nat::Translator& translator) noexcept {
  std::array<nat::OutboundKey, kBurst> keys;
  unsigned size = 0;
  for (const unsigned place : burst.outbound) {
    if (burst.mappings[place] == kNoMapping) keys[size++] = outbound_key(burst, place);
  }
  if (size > 1) translator.prefetch_new(std::span(keys).first(size));
}

/// The keys that mappings were made for since the burst was looked up: a packet may be of the same flow as
/// one before it in the burst. Says no only when that is certain.
class MadeHere {
 public:
  void add(nat::OutboundKey key) noexcept { bits_ |= bit_of(key); }
  [[nodiscard]] bool may_have(nat::OutboundKey key) const noexcept { return (bits_ & bit_of(key)) != 0; }

 private:
  static std::uint64_t bit_of(nat::OutboundKey key) noexcept {
    return std::uint64_t{1} << (key.word() * 0x9e3779b97f4a7c15U >> 58U);  // 2^64 / golden ratio
  }
  std::uint64_t bits_ = 0;
};

void look_up_outbound(Burst& burst, WorkerContext& worker) noexcept {
  std::array<nat::OutboundKey, kBurst> keys;
  std::array<nat::MappingIndex, kBurst> found;
  const unsigned size = burst.outbound.size();
  for (unsigned i = 0; i < size; ++i) {
    keys[i] = outbound_key(burst, burst.outbound[i]);
  }
  worker.translator.find_outbound(std::span(keys).first(size), std::span(found).first(size));

  for (unsigned i = 0; i < size; ++i) {
    const unsigned place = burst.outbound[i];
    burst.mappings[place] = found[i];
    prefetch_session(found[i], burst.packets[place].protocol, burst.packets[place].destination, worker);
  }
  prefetch_for_new(burst, worker.translator);
  MadeHere made;
  burst.outbound.keep_if([&](unsigned place) noexcept {
    auto& mapping = burst.mappings[place];
    const auto& packet = burst.packets[place];
    if (mapping == kNoMapping && made.may_have(outbound_key(burst, place))) [[unlikely]]
      mapping = worker.translator.find_outbound(outbound_key(burst, place));
    if (mapping == kNoMapping && packet.part == nat::FragmentPart::later) {
      worker.transmitter.drop(burst.mbufs[place], DropReason::drop_no_mapping);
      return false;  // the first one was refused, with an answer
    }
    if (mapping == kNoMapping) [[unlikely]] {
      mapping = make_mapping(burst, place, worker);
      made.add(outbound_key(burst, place));
      return mapping != kNoMapping;
    }
    if (worker.translator.lets_out(mapping, packet.destination, worker.clock.tick())) [[likely]]
      return true;
    worker.slow_path.refused(burst.mbufs[place], packet, burst.arrival[place],
                             DropReason::drop_static_direction);
    return false;
  });
}

/// Drops a packet that may not come in. That is silent, for an answer would tell a scanner that somebody is
/// here; but a SYN may get one later.
void turn_away(Burst& burst, unsigned place, DropReason reason, WorkerContext& worker) noexcept {
  const auto& packet = burst.packets[place];
  rte_mbuf* const mbuf = burst.mbufs[place];
  constexpr std::uint8_t kOpening = nat::TcpHeader::kSyn;
  const bool is_opening = packet.protocol == nat::Protocol::tcp && packet.part == nat::FragmentPart::whole &&
                          (packet.tcp_flags & (kOpening | nat::TcpHeader::kAck)) == kOpening;
  if (is_opening && worker.network.tcp.answer_unsolicited) {
    const auto datagram = frame_of(mbuf).subspan(packet.l3_offset, packet.ip_size());
    const auto held = worker.held_syns.hold(packet.source, packet.destination, datagram, burst.arrival[place],
                                            worker.clock.tick());
    if (held == nat::Held::full) worker.stats.worker.add(WorkerCounter::syn_held_full);
  }
  worker.transmitter.drop(mbuf, reason);
}

/// Whether a packet from outside begins something: it belongs to no mapping, or opens a TCP connection.
bool begins(const nat::Packet& packet, nat::MappingIndex index) noexcept {
  constexpr std::uint8_t kSyn = nat::TcpHeader::kSyn;
  constexpr std::uint8_t kOpening = kSyn | nat::TcpHeader::kAck;
  return index == kNoMapping ||
         (packet.protocol == nat::Protocol::tcp && (packet.tcp_flags & kOpening) == kSyn);
}

/// What protection has against a packet from outside.
DropReason protect(const nat::Packet& packet, nat::MappingIndex index, WorkerContext& worker) noexcept {
  const bool begun = begins(packet, index);
  const auto bans = begun ? Bans::all : bans_on(worker.translator[index]);
  if (worker.guard.is_banned(packet.source.address, bans)) return DropReason::drop_banned;
  if (begun && !worker.guard.admits_flow(packet.source.address)) return DropReason::drop_flow_rate;
  return DropReason::none;
}

/// Whether a packet may come in by the filter of its mapping, or because a gateway has announced it.
bool admits(nat::MappingIndex index, const nat::Packet& packet, WorkerContext& worker) noexcept {
  const nat::Tick now = worker.clock.tick();
  const bool is_strict = worker.translator[index].filter == nat::Filter::expected;
  if (!is_strict && worker.translator.admits(index, packet.source, now)) [[likely]]
    return true;
  auto& expectations = worker.gateways.expectations;
  return (is_strict || !expectations.empty()) && expectations.lets_in(index, packet, now);
}

/// Whether a packet from outside may come in, and where it goes then. All answers that quote the packet are
/// given here, before a gateway may have written inside addresses into it.
bool let_in(Burst& burst, unsigned place, WorkerContext& worker) noexcept {
  auto& index = burst.mappings[place];
  const auto& packet = burst.packets[place];
  rte_mbuf* const mbuf = burst.mbufs[place];
  const auto drop = [&](DropReason reason) noexcept {
    worker.transmitter.drop(mbuf, reason);
    return false;
  };
  if (is_from_wire(mbuf)) {
    const auto forged = wrong_source(packet.source.address, false, worker.network);
    if (forged != DropReason::none) return drop(forged);
  }
  // A packet before this one in the burst may have made the mapping since.
  if (index == kNoMapping) index = find_inbound(burst, place, worker.translator);
  if (const auto reason = protect(packet, index, worker); reason != DropReason::none) return drop(reason);
  if (index == kNoMapping) {
    const auto created = worker.translator.create_inbound(packet.protocol, packet.destination,
                                                          worker.clock.tick(), burst.realms[place]);
    index = created.index;
    if (index == kNoMapping) {
      turn_away(burst, place, created.reason, worker);
      return false;
    }
  }
  if (!admits(index, packet, worker)) {
    const bool is_media = (worker.translator[index].flags & nat::MappingFlags::kPinhole) != 0;
    turn_away(burst, place, is_media ? DropReason::drop_media_source : DropReason::drop_filtered, worker);
    return false;
  }
  const auto route = worker.network.routes.find(worker.translator[index].inside.address);
  if (route.kind != RouteKind::forward) return drop(DropReason::drop_no_route);
  if (packet.ttl <= 1) {
    worker.slow_path.ttl_expired(mbuf, packet, burst.arrival[place]);
    return false;
  }
  burst.hops[place] = {route.next_hop, route.interface};
  return true;
}

void look_up_inbound(Burst& burst, WorkerContext& worker) noexcept {
  std::array<nat::InboundKey, kBurst> keys;
  std::array<nat::MappingIndex, kBurst> found;
  const unsigned size = burst.inbound.size();
  for (unsigned i = 0; i < size; ++i) {
    keys[i] = inbound_key(burst, burst.inbound[i]);
  }
  worker.translator.find_inbound(std::span(keys).first(size), std::span(found).first(size));

  for (unsigned i = 0; i < size; ++i) burst.mappings[burst.inbound[i]] = found[i];
  if (!worker.network.untranslated.empty()) [[unlikely]] {
    for (const unsigned place : burst.inbound)
      burst.mappings[place] = find_inbound(burst, place, worker.translator);
  }
  for (const unsigned place : burst.inbound) {
    const auto& packet = burst.packets[place];
    prefetch_session(burst.mappings[place], packet.protocol, packet.source, worker);
  }
  burst.inbound.keep_if([&](unsigned place) noexcept { return let_in(burst, place, worker); });
}

}  // namespace

void look_up(Burst& burst, WorkerContext& worker) noexcept {
  if (burst.outbound.size() > 0) look_up_outbound(burst, worker);
  worker.gateways.expectations.next_burst();
  if (burst.inbound.size() > 0) look_up_inbound(burst, worker);
}

}  // namespace pinhole::dataplane
