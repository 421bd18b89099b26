// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/inspect_stream.hpp"

#include <algorithm>
#include <cstddef>
#include <string_view>

#include "dataplane/fragments.hpp"
#include "dataplane/gateway/flows.hpp"
#include "dataplane/hairpin.hpp"
#include "dataplane/mbuf_view.hpp"
#include "dataplane/own_packet.hpp"
#include "dataplane/stream_carrier.hpp"
#include "nat/checksum.hpp"
#include "nat/rewrite.hpp"
#include "nat/tcp_segment.hpp"

namespace pinhole::dataplane {

namespace {

using alg::Direction;
using alg::stream::Engine;
using alg::stream::Fate;
using alg::stream::Segment;
using alg::stream::Side;
using nat::DropReason;
using nat::TcpHeader;

// Places that are looked at in a tick: a part of them, within bounds.
constexpr std::uint32_t kLeastWalked = 128;
constexpr std::uint32_t kMostWalked = 2048;
constexpr std::uint32_t kWalkedPart = 64;
/// Nobody takes longer for a handshake, unless a packet is lost.
constexpr nat::Tick kHandshake = nat::ticks_from_s(1);
constexpr unsigned kPlacesTried = 16;  // in search of one that can be given up
/// A connection that has ended may still be asked for its last bytes.
constexpr nat::Tick kAfterEnd = nat::ticks_from_s(8);
/// Where others have no place, who has closed his side hears the other for so long.
constexpr nat::Tick kHalfClosed = nat::ticks_from_s(60);

/// Whether the mapping of a connection is still the one that it began with.
bool is_current(const StreamEntry& entry, const WorkerContext& worker) noexcept {
  return worker.translator.table().is_live(entry.mapping) &&
         worker.translator[entry.mapping].generation.load(std::memory_order_relaxed) == entry.generation;
}

/// \return nullptr when its connection is over
const nat::TcpSession* session_of(const StreamEntry& entry, const WorkerContext& worker,
                                  nat::Tick now) noexcept {
  return is_current(entry, worker) ? worker.translator.session(entry.mapping, entry.remote, now) : nullptr;
}

bool is_damaged_segment(const std::byte* frame, const nat::Packet& packet) noexcept {
  const std::size_t size = static_cast<std::size_t>(packet.payload_end - packet.l4_offset);
  const auto right =
      nat::transport_checksum(nat::Protocol::tcp, packet.source.address, packet.destination.address,
                              {frame + packet.l4_offset, size}, offsetof(TcpHeader, checksum));
  return nat::header_at<TcpHeader>(frame, packet.l4_offset).checksum.raw() != right;
}

Segment segment_of(std::byte* frame, const nat::Packet& packet) noexcept {
  const auto& tcp = nat::header_at<TcpHeader>(frame, packet.l4_offset);
  const std::size_t options = packet.l4_offset + sizeof(TcpHeader);
  return {.sequence = tcp.sequence.host(),
          .acknowledgement = tcp.acknowledgement.host(),
          .window = tcp.window.host(),
          .flags = packet.tcp_flags,
          .options = {frame + options, packet.payload_offset - options},
          .payload = {frame + packet.payload_offset, packet.payload_size()}};
}

/// A byte that is urgent may be taken out of the stream by its receiver, who then reads something else than
/// the gateway did. Only behind Telnet's interrupt it stays so (RFC 959 section 4.1.3): whichever byte is
/// taken out of these, ABOR is left.
void leave_out_urgent(std::byte* frame, nat::Packet& packet) noexcept {
  if ((packet.tcp_flags & TcpHeader::kUrg) == 0) return;
  constexpr std::string_view kAbort = "ABOR\r\n";
  constexpr std::string_view kTelnet = "\xff\xf4\xf2";  // IAC, IP, DM
  constexpr std::size_t kMostTelnet = 6;
  const std::string_view text(reinterpret_cast<const char*>(frame) + packet.payload_offset,
                              packet.payload_size());
  auto& tcp = nat::header_at<TcpHeader>(frame, packet.l4_offset);
  const std::size_t urgent = tcp.urgent.host();  // bytes up to the urgent one, which is the last of them
  if (text.size() <= kMostTelnet + kAbort.size() && text.ends_with(kAbort)) {
    const std::size_t abort = text.size() - kAbort.size();
    if (urgent > 0 && urgent <= abort && text.find_first_not_of(kTelnet) == abort) return;
  }
  tcp.urgent = {};
  tcp.flags = packet.tcp_flags = static_cast<std::uint8_t>(packet.tcp_flags & ~TcpHeader::kUrg);
}

/// A sender is told of a smaller MTU on the way by the number of its segment, which it would not know again.
void let_be_fragmented(std::byte* frame, const nat::Packet& packet, WorkerContext& worker) noexcept {
  if (may_be_fragmented(frame, packet)) return;
  auto& ip = nat::header_at<nat::Ipv4Header>(frame, packet.l3_offset);
  const nat::Be16 fragment{};
  ip.checksum = nat::Be16::from_raw(nat::apply(ip.checksum.raw(), nat::delta(ip.fragment, fragment)));
  ip.fragment = fragment;
  nat::renumber(frame, packet.l3_offset, worker.datagram_ids.next(packet.destination.address));
}

/// Writes what the engine changed. Bytes of the payload are only ever left out at its end.
void write_back(rte_mbuf* mbuf, nat::Packet& packet, const Segment& segment, WorkerContext& worker) noexcept {
  std::byte* const frame = bytes_of(mbuf);
  auto& tcp = nat::header_at<TcpHeader>(frame, packet.l4_offset);
  if (!segment.payload.empty() && tcp.sequence.host() != segment.sequence)
    let_be_fragmented(frame, packet, worker);
  tcp.sequence = nat::Be32{segment.sequence};
  tcp.acknowledgement = nat::Be32{segment.acknowledgement};
  tcp.window = nat::Be16{segment.window};
  tcp.flags = packet.tcp_flags = segment.flags;
  if (segment.payload.size() != packet.payload_size()) {
    packet.payload_end = packet.ip_end =
        static_cast<std::uint16_t>(packet.payload_offset + segment.payload.size());
    auto& ip = nat::header_at<nat::Ipv4Header>(frame, packet.l3_offset);
    const nat::Be16 length{packet.ip_size()};
    ip.checksum = nat::Be16::from_raw(nat::apply(ip.checksum.raw(), nat::delta(ip.total_length, length)));
    ip.total_length = length;
  }
  finish_tcp(frame, packet);
}

/// The session keeps account in the numbers of the inside.
DropReason account(const StreamEntry& entry, const nat::Packet& packet, const std::byte* frame,
                   Direction direction, WorkerContext& worker) noexcept {
  auto segment = nat::tcp_segment(frame, packet);
  const auto now = worker.clock.tick();
  if (direction == Direction::outbound) {
    return worker.translator.touch_tcp_outbound(entry.mapping, entry.remote, packet.ip_size(), segment, now);
  }
  const auto numbers =
      Engine::seen_by_other(entry.stream, Side::outside, segment.sequence, segment.acknowledgement);
  segment.sequence = numbers.begin;
  segment.acknowledgement = numbers.end;
  return worker.translator.touch_tcp_inbound(entry.mapping, entry.remote, packet.ip_size(), segment, now);
}

bool keeps_flows(PortOwner owner, WorkerContext& worker) noexcept {
  return worker.gateways.of(owner).spec().keeps_flows;
}

/// Whether a connection that nobody can read is not to begin.
bool is_strict(PortOwner owner, WorkerContext& worker) noexcept {
  return worker.gateways.of(owner).spec().strict;
}

/// A SYN: what both sides may send is lowered to what fits the way, and a connection may begin anew.
/// \return false when that one finds no place, and its gateway is strict: the entry is gone
[[nodiscard]] bool meet_syn(StreamEntry& entry, Burst& burst, unsigned place, Direction direction,
                            WorkerContext& worker) noexcept {
  const auto& packet = burst.packets[place];
  rte_mbuf* const mbuf = burst.mbufs[place];
  const auto way_in = is_hairpinned(mbuf) ? kHairpinInterface : burst.arrival[place];
  nat::clamp_mss(bytes_of(mbuf), packet, worker.network.mss_limit(way_in, burst.hops[place].interface));
  if (direction == Direction::outbound) {
    worker.held_syns.meet(packet.destination, worker.translator[entry.mapping].external);
  }
  const auto now = worker.clock.tick();
  const auto* const session = worker.translator.session(entry.mapping, entry.remote, now);
  const bool begins =
      (packet.tcp_flags & TcpHeader::kAck) == 0 && session != nullptr &&
      (session->state() == nat::TcpState::syn_out || session->state() == nat::TcpState::syn_in);
  const auto& way = entry.stream.way(side_of(direction));
  const auto sequence = nat::header_at<TcpHeader>(bytes_of(mbuf), packet.l4_offset).sequence.host();
  // A connection that was refused may be asked for again by the same SYN.
  const bool has_lost_flow = entry.flow.index != kNoFlow && worker.gateways.flows.get(entry.flow) == nullptr;
  const bool is_over = entry.stream.broken || has_lost_flow || (way.known && way.first != sequence);
  if (!begins || !is_over) return true;
  engine_of(entry, worker).release(entry.stream);
  entry.waits_until = {};
  // Who begins again and again and completes none has no place for longer.
  if (entry.has_come_about) entry.begun_at = now;
  entry.has_come_about = entry.is_ending = false;
  if (!keeps_flows(entry.owner, worker)) return true;
  entry.flow = begin_flow(burst, place, direction, entry.owner, worker);
  if (entry.flow.index != kNoFlow || !is_strict(entry.owner, worker)) return true;
  worker.streams.remove(entry);
  return false;
}

/// What is left to do when the engine has done something.
void look_after(StreamEntry& entry, WorkerContext& worker) noexcept {
  if (!entry.parked && Engine::is_transparent(entry.stream)) {
    if (is_current(entry, worker)) worker.translator.watch(entry.mapping, entry.remote, false);
    engine_of(entry, worker).release(entry.stream);
    worker.streams.remove(entry);
    return;
  }
  worker.streams.arm(entry, Engine::wants_ticks(entry.stream));
}

nat::Endpoint remote_of(const Burst& burst, unsigned place, Direction direction) noexcept {
  const auto& packet = burst.packets[place];
  return direction == Direction::outbound ? packet.destination : packet.source;
}

const nat::TcpSession* session_of(const Burst& burst, unsigned place, Direction direction,
                                  const WorkerContext& worker) noexcept {
  return worker.translator.session(burst.mappings[place], remote_of(burst, place, direction),
                                   worker.clock.tick());
}

/// Whether a packet asks for a connection.
bool opens(const nat::Packet& packet) noexcept {
  constexpr std::uint8_t kOpening = TcpHeader::kSyn | TcpHeader::kAck;
  return packet.part != nat::FragmentPart::later && (packet.tcp_flags & kOpening) == TcpHeader::kSyn;
}

/// Whether a packet that asks for a connection begins one, and is not of one that is there.
bool begins_connection(const Burst& burst, unsigned place, Direction direction,
                       WorkerContext& worker) noexcept {
  const auto* const session = session_of(burst, place, direction, worker);
  return session == nullptr || nat::begins(session->state(), direction == Direction::outbound);
}

/// Whether a packet is of a connection that has to be read and is not: it began before there was anybody to
/// read it, had no place, or has it no more. Those that were left, or began while the gateway was switched
/// off, go on.
bool is_unread(const Burst& burst, unsigned place, Direction direction, PortOwner owner,
               WorkerContext& worker) noexcept {
  const auto& packet = burst.packets[place];
  const bool is_reset = (packet.tcp_flags & TcpHeader::kRst) != 0;
  if (!is_strict(owner, worker) || is_reset) return false;
  const auto* const session = session_of(burst, place, direction, worker);
  if (opens(packet)) return session != nullptr && packet.payload_size() > 0;
  if (session == nullptr || session->is_watched()) return true;
  // One end has forgotten the connection that was left, and answers the SYN of another.
  const bool answers_syn = (packet.tcp_flags & TcpHeader::kSyn) != 0;
  return answers_syn && session->state() >= nat::TcpState::established;
}

/// Notes how far a connection has come by its last segment.
void note_state(StreamEntry& entry, const WorkerContext& worker, nat::Tick now) noexcept {
  const auto* const session = session_of(entry, worker, now);
  if (session == nullptr) return;
  entry.has_come_about |= nat::counts_as_established(session->state());
  const bool is_ending = session->state() > nat::TcpState::established;
  if (is_ending && !entry.is_ending) entry.ending_at = now;
  entry.is_ending = is_ending;
}

/// Whether a connection may lose its place when others have none: it has not come about in time, or is over.
/// A reset may be forged, which shows when its sender goes on.
bool may_give_place(const StreamEntry& entry, const WorkerContext& worker, nat::Tick now) noexcept {
  if (entry.parked || !nat::reached(entry.begun_at + kHandshake, now)) return false;
  if (entry.stream.broken) return true;
  const auto* const session = session_of(entry, worker, now);
  if (session == nullptr || nat::counts_as_opening(session->state())) return true;
  if (!entry.is_ending) return false;
  if (!entry.has_come_about) return true;
  const bool is_half_closed = nat::counts_as_established(session->state());
  return nat::reached(entry.ending_at + (is_half_closed ? kHalfClosed : kAfterEnd), now);
}

void end_entry(StreamEntry& entry, WorkerContext& worker) noexcept {
  engine_of(entry, worker).release(entry.stream);
  if (GatewayFlow* const flow = worker.gateways.flows.get(entry.flow)) worker.gateways.flows.remove(*flow);
  worker.streams.remove(entry);
}

/// Where all places are taken, or all flows, one is given up, if it can be.
void make_room(PortOwner owner, WorkerContext& worker) noexcept {
  const auto now = worker.clock.tick();
  auto& flows = worker.gateways.flows;
  const bool has_place = worker.streams.has_place_for(owner);
  if (has_place && !(keeps_flows(owner, worker) && flows.is_full())) return;
  for (unsigned i = 0; i < kPlacesTried; ++i) {
    StreamEntry* entry = nullptr;
    if (has_place) {
      const auto& flow = flows.walk();
      entry = worker.streams.find(flow.mapping, flow.mapping_generation, flow.remote);
    } else {
      entry = &worker.streams.walk(owner);
    }
    if (entry != nullptr && may_give_place(*entry, worker, now)) return end_entry(*entry, worker);
  }
}

StreamEntry* begin_entry(const Burst& burst, unsigned place, Direction direction, PortOwner owner,
                         WorkerContext& worker) noexcept {
  const auto index = burst.mappings[place];
  const auto generation = worker.translator[index].generation.load(std::memory_order_relaxed);
  make_room(owner, worker);
  StreamEntry* const added = worker.streams.add(index, generation, remote_of(burst, place, direction), owner);
  if (added == nullptr) {
    worker.stats.worker.add(WorkerCounter::stream_table_full);
    return nullptr;
  }
  added->begun_at = worker.clock.tick();
  if (!keeps_flows(owner, worker)) return added;
  added->flow = begin_flow(burst, place, direction, owner, worker);
  if (added->flow.index != kNoFlow) return added;
  worker.streams.remove(*added);
  return nullptr;
}

/// The connection of a packet that is read, if there is one.
StreamEntry* known_entry(const Burst& burst, unsigned place, Direction direction,
                         WorkerContext& worker) noexcept {
  const auto index = burst.mappings[place];
  const auto generation = worker.translator[index].generation.load(std::memory_order_relaxed);
  StreamEntry* const entry = worker.streams.find(index, generation, remote_of(burst, place, direction));
  if (entry == nullptr || entry->parked || !is_strict(entry->owner, worker)) return entry;
  if (opens(burst.packets[place]) || session_of(*entry, worker, worker.clock.tick()) != nullptr) return entry;
  // Its session is over, and would begin without its mark.
  end_entry(*entry, worker);
  return nullptr;
}

}  // namespace

bool inspect_segment(Burst& burst, unsigned place, Direction direction, PortOwner owner,
                     std::uint16_t interfaces, WorkerContext& worker) noexcept {
  auto& packet = burst.packets[place];
  rte_mbuf* const mbuf = burst.mbufs[place];
  const auto drop = [&](DropReason reason) noexcept {
    worker.transmitter.drop(mbuf, reason);
    return false;
  };
  StreamEntry* entry = known_entry(burst, place, direction, worker);
  if (entry != nullptr) owner = entry->owner;  // whichever way its ports stand
  const auto host = worker.translator[burst.mappings[place]].inside.address;
  const auto attention = attention_of(worker.gateways.of(owner), host, interfaces, worker);
  // A call that lives may come by on a connection that begins now.
  const bool may_begin =
      attention != Attention::none &&
      (!keeps_flows(owner, worker) || goes_to_server(burst, place, direction, owner, worker));
  if (entry == nullptr && may_begin && opens(packet) && begins_connection(burst, place, direction, worker)) {
    // In pieces it would begin what nobody reads.
    if (packet.part != nat::FragmentPart::whole) return drop(DropReason::drop_fragment);
    entry = begin_entry(burst, place, direction, owner, worker);
    // It is sent again, and may find a place then; let through, it would begin what nobody reads.
    if (entry == nullptr && is_strict(owner, worker)) return drop(DropReason::drop_stream_full);
  }
  if (entry == nullptr) {
    if (attention == Attention::none || !is_unread(burst, place, direction, owner, worker)) return true;
    worker.slow_path.reset(mbuf, packet, burst.arrival[place], DropReason::drop_stream_unread);
    return false;
  }
  if (packet.part != nat::FragmentPart::whole) return drop(DropReason::drop_fragment);
  if (is_damaged_segment(bytes_of(mbuf), packet)) return drop(DropReason::drop_bad_tcp_checksum);
  const auto mtu = worker.network.mtu(burst.hops[place].interface);
  if (packet.ip_size() > mtu && !may_be_fragmented(bytes_of(mbuf), packet)) {
    worker.slow_path.too_big(mbuf, packet, burst.arrival[place], mtu);
    return false;
  }
  const auto refused = account(*entry, packet, bytes_of(mbuf), direction, worker);
  if (refused != DropReason::none) {
    if (direction == Direction::inbound) return drop(refused);
    worker.slow_path.refused(mbuf, packet, burst.arrival[place], refused);
    return false;
  }
  note_state(*entry, worker, worker.clock.tick());
  const bool is_syn = (packet.tcp_flags & TcpHeader::kSyn) != 0;
  if (is_syn && is_strict(entry->owner, worker)) worker.translator.watch(entry->mapping, entry->remote, true);
  if (is_syn && !meet_syn(*entry, burst, place, direction, worker)) return drop(DropReason::drop_stream_full);

  const Side from = side_of(direction);
  entry->ttl[static_cast<std::size_t>(from)] = packet.ttl;
  entry->type_of_service[static_cast<std::size_t>(from)] =
      nat::header_at<nat::Ipv4Header>(bytes_of(mbuf), packet.l3_offset).type_of_service;
  entry->last_seen = worker.clock.tick();
  entry->switched_on = attention == Attention::all;
  entry->interfaces = interfaces;
  if (is_strict(entry->owner, worker)) leave_out_urgent(bytes_of(mbuf), packet);
  StreamCarrier carrier(*entry, worker);
  auto segment = segment_of(bytes_of(mbuf), packet);
  if (GatewayFlow* const flow = worker.gateways.flows.get(entry->flow)) flow->last_seen = entry->last_seen;
  const auto taken =
      engine_of(*entry, worker).take(entry->stream, from, segment, worker.clock.tick(), carrier);
  switch (taken.fate) {
    case Fate::forward:
      write_back(mbuf, packet, segment, worker);
      carrier.send_on(mbuf, packet, from, burst.hops[place]);
      break;
    case Fate::consumed:
      rte_pktmbuf_free(mbuf);
      break;
    case Fate::drop:
      worker.transmitter.drop(mbuf, taken.reason);
      break;
  }
  look_after(*entry, worker);
  return false;
}

void resume_streams(Ticket ticket, WorkerContext& worker) noexcept {
  while (const auto parked = worker.parked_streams.take_ready(ticket)) {
    auto& entry = *parked->packet;
    entry.parked = false;
    const bool gives_up = !is_current(entry, worker);
    if (gives_up) entry.waits_until = {};
    StreamCarrier carrier(entry, worker);
    engine_of(entry, worker).resume(entry.stream, gives_up, worker.clock.tick(), carrier);
    look_after(entry, worker);
  }
}

unsigned ask_ends(StreamEntry& entry, WorkerContext& worker) noexcept {
  StreamCarrier carrier(entry, worker);
  return engine_of(entry, worker).keep_alive(entry.stream, carrier);
}

void tick_streams(WorkerContext& worker) noexcept {
  const auto now = worker.clock.tick();
  while (const auto parked = worker.parked_streams.take_expired(now)) {
    auto& entry = *parked->packet;
    entry.parked = false;
    entry.waits_until = {};
    worker.stats.drops.add(DropReason::drop_sip_parked_timeout);
    StreamCarrier carrier(entry, worker);
    engine_of(entry, worker).resume(entry.stream, true, now, carrier);
    look_after(entry, worker);
  }
  // From the end: looking after one may take it off the list.
  for (std::uint32_t i = worker.streams.armed(); i > 0; --i) {
    if (i > worker.streams.armed()) continue;
    auto& entry = worker.streams.armed(i - 1);
    StreamCarrier carrier(entry, worker);
    engine_of(entry, worker).tick(entry.stream, now, carrier);
    look_after(entry, worker);
  }
  const auto places = std::min(std::clamp(worker.streams.capacity() / kWalkedPart, kLeastWalked, kMostWalked),
                               worker.streams.capacity());
  for (std::uint32_t left = places; left > 0; --left) {
    auto& entry = worker.streams.walk();
    if (entry.mapping == nat::kNoMapping || entry.parked) continue;
    const auto* const session = session_of(entry, worker, now);
    // A reset may be forged, and the session says when it was not.
    const bool ended = session == nullptr || (session->state() == nat::TcpState::closing &&
                                              nat::reached(entry.last_seen + kAfterEnd, now));
    if (ended) end_entry(entry, worker);
  }
  worker.stats.worker.set(WorkerCounter::stream_live, worker.streams.size());
}

}  // namespace pinhole::dataplane
