// SPDX-License-Identifier: BSD-3-Clause
// TCP connections through mappings: the part of the translator that keeps sessions, and times mappings by
// them.
#include "nat/translator.hpp"

namespace pinhole::nat {

const TcpSession* Translator::session(MappingIndex index, Endpoint remote, Tick now) const noexcept {
  const TcpSession* const found = sessions_.find(index, generation_of(index), remote);
  return found == nullptr || is_over(*found, now) ? nullptr : found;
}

void Translator::watch(MappingIndex index, Endpoint remote, bool watched) noexcept {
  TcpSession* const session = sessions_.find(index, generation_of(index), remote);
  if (session != nullptr) session->watch(watched);
}

void Translator::refresh(MappingIndex index, Endpoint remote, Tick seen, Tick now) noexcept {
  if (!table_.is_live(index)) return;
  Mapping& mapping = table_[index];
  if (mapping.protocol == Protocol::tcp) {
    TcpSession* const session = sessions_.find(index, generation_of(index), remote);
    if (session == nullptr || is_over(*session, now)) return;
    if (!reached(seen, session->last_seen)) session->last_seen = seen;
  } else if (!nat::admits(mapping, remote)) {
    remotes_.remember(index, generation_of(index), seen_by(mapping.filter, remote), seen);
  }
  if (!reached(seen, mapping.last_seen)) mapping.last_seen = seen;
}

DropReason Translator::touch_tcp_outbound(MappingIndex index, const Endpoint& remote, std::uint32_t ip_bytes,
                                          const TcpSegment& segment, Tick now) noexcept {
  Mapping& mapping = table_[index];
  const bool is_reset = segment.has(TcpHeader::kRst);
  TcpSession* session = sessions_.find(index, generation_of(index), remote);
  if (session == nullptr && !is_reset) {
    session = begin_session(index, remote, now);
    if (session == nullptr) return DropReason::drop_session_table_full;
    note_remote(index, remote, now);
  }
  ++mapping.packets_out;
  mapping.bytes += ip_bytes;
  if (session == nullptr) return DropReason::none;  // a RST out of nowhere: its receiver judges it

  // What a filter remembers is refreshed now and then: the session itself is on every segment.
  constexpr Tick kRememberEvery = 512;
  if (now / kRememberEvery != session->last_seen / kRememberEvery) note_remote(index, remote, now);
  const bool changed = advance_session(*session, segment, TcpSide::inside, now);
  if (changed || !is_reset) mapping.last_seen = session->last_seen = now;
  return DropReason::none;
}

DropReason Translator::touch_tcp_inbound(MappingIndex index, const Endpoint& remote, std::uint32_t ip_bytes,
                                         const TcpSegment& segment, Tick now) noexcept {
  Mapping& mapping = table_[index];
  TcpSession* session = sessions_.find(index, generation_of(index), remote);
  if (session == nullptr && segment.is_opening()) {
    session = begin_session(index, remote, now);
    if (session == nullptr) return DropReason::drop_session_table_full;
  }
  ++mapping.packets_in;
  mapping.bytes += ip_bytes;
  if ((mapping.flags & MappingFlags::kLatching) != 0) [[unlikely]] {
    hear(index, remote, now);
  } else if ((mapping.flags & MappingFlags::kHasRemote) == 0) {
    set_remote(mapping, remote);
  }
  if ((mapping.flags & MappingFlags::kRegular) != 0) [[unlikely]]
    note_caller(index, remote, now);
  if ((mapping.flags & MappingFlags::kRefreshIn) != 0) mapping.last_seen = now;
  if (session == nullptr) return DropReason::none;

  const bool changed = advance_session(*session, segment, TcpSide::outside, now);
  const bool is_reset = segment.has(TcpHeader::kRst);
  if (!changed && is_reset) return DropReason::none;
  session->last_seen = now;
  if (session->state() != TcpState::syn_in) mapping.last_seen = now;
  return DropReason::none;
}

/// A place for a new session, taken from one that is over if need be.
TcpSession* Translator::begin_session(MappingIndex index, Endpoint remote, Tick now) noexcept {
  const auto lives_no_more = [&](const TcpSession& session) noexcept {
    return is_over(session, now) || !table_.is_live(session.mapping) ||
           generation_of(session.mapping) != session.generation;
  };
  TcpSession* const place = sessions_.place_for(index, remote, lives_no_more);
  if (place == nullptr) return nullptr;
  const bool counted = place->mapping != kNoMapping && table_.is_live(place->mapping) &&
                       generation_of(place->mapping) == place->generation;
  if (counted) count_connection(place->mapping, place->state(), TcpState::closing);
  *place = {.mapping = index, .generation = generation_of(index), .remote = remote, .last_seen = now};
  return place;
}

/// \return whether the state changed
bool Translator::advance_session(TcpSession& session, const TcpSegment& segment, TcpSide from,
                                 Tick now) noexcept {
  TcpState before = session.state();
  if (is_over(session, now)) [[unlikely]] {
    // It was given up already; what comes now begins anew.
    count_connection(session.mapping, before, TcpState::closing);
    before = TcpState::none;
    session = {.mapping = session.mapping, .generation = session.generation, .remote = session.remote};
  }
  if (!advance(session, segment, from) && segment.has(TcpHeader::kRst))
    counters_.add(Counter::tcp_reset_ignored);
  const TcpState after = session.state();
  if (after == before) [[likely]]
    return false;
  if (before == TcpState::none || timeout_class_of(after) != timeout_class_of(before))
    count_connection(session.mapping, before, after);
  return true;
}

/// A connection of a mapping has gone over to another part of its life.
void Translator::count_connection(MappingIndex index, TcpState before, TcpState after) noexcept {
  Mapping& mapping = table_[index];
  TcpConnections connections = connections_of(mapping);
  const auto count = [](std::uint16_t& number, bool was, bool is) noexcept {
    if (number == TcpConnections::kMost || was == is) return;
    number = static_cast<std::uint16_t>(is ? number + 1 : number - 1);
  };
  count(connections.established, counts_as_established(before), counts_as_established(after));
  count(connections.opening, counts_as_opening(before), counts_as_opening(after));
  set_connections(mapping, connections);
  if (mapping.timeout_class == TimeoutClass::permanent) return;
  mapping.timeout_class = longest_of(mapping, after);
  wheel_.set(index, deadline_of(mapping, timeouts_));
}

/// The time-out of a mapping, whose class is still that of before: the longest that one of its connections
/// may have. \param changed  the state that one has come to
TimeoutClass Translator::longest_of(const Mapping& mapping, TcpState changed) const noexcept {
  const TcpConnections connections = connections_of(mapping);
  if (connections.established > 0) return TimeoutClass::tcp_established;
  // Those that close are not counted. While the class was that of opening, either none was there, or theirs
  // is the shorter time-out.
  const bool any_closes = mapping.timeout_class != TimeoutClass::tcp_opening || !counts_as_opening(changed);
  if (connections.opening == 0) return any_closes ? TimeoutClass::tcp_closing : TimeoutClass::tcp_opening;
  const bool closing_is_longer = timeouts_[TimeoutClass::tcp_closing] > timeouts_[TimeoutClass::tcp_opening];
  return any_closes && closing_is_longer ? TimeoutClass::tcp_closing : TimeoutClass::tcp_opening;
}

}  // namespace pinhole::nat
