// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/foreign.hpp"

#include <bit>

namespace pinhole::dataplane {

namespace {

void answer_with(PeerMessage& message, alg::Lookup lookup) noexcept {
  message.state = lookup.state;
  message.first = lookup.endpoint;
  message.portless = lookup.portless;
  message.is_pinhole = lookup.is_pinhole;
}

void open_for_guest(PeerMessage& message, LocalEndpoints& endpoints, nat::Tick now) noexcept {
  const auto parent = guest_parent(message.call_hash);
  auto ports = endpoints.open_media({.rtp = message.first,
                                     .rtcp = message.second,
                                     .protocol = message.protocol,
                                     .follows = message.follows},
                                    parent, now, message.realm);
  // By what was asked: ports that are no pinholes have no refs to tell them apart.
  const bool is_one = message.first == message.second || message.protocol == nat::Protocol::tcp;
  for (auto* const port : {&ports.rtp, &ports.rtcp}) {
    if (port->former != kNobodysParent && (port == &ports.rtp || !is_one))
      port->ref = endpoints.hand_over(port->ref, parent, nat::Sharing::with_former, now);
  }
  if (is_one) ports.rtcp = ports.rtp;
  message.state = ports.state;
  message.first = ports.rtp.external;
  message.second = ports.rtcp.external;
  message.first_ref = ports.rtp.ref;
  message.second_ref = ports.rtcp.ref;
  message.first_fresh = ports.rtp.fresh;
  message.second_fresh = ports.rtcp.fresh;
}

}  // namespace

bool answer(PeerMessage& message, LocalEndpoints& endpoints, nat::Tick now) noexcept {
  switch (message.type) {
    case PeerMessageType::external_of:
      answer_with(message, message.is_echoed
                               ? endpoints.find_external(message.protocol, message.first, message.realm)
                               : endpoints.external_of(message.protocol, message.first, message.second, now,
                                                       message.realm, message.written));
      break;
    case PeerMessageType::candidate_of:
      answer_with(message, endpoints.candidate_of(message.protocol, message.first, now, message.realm));
      break;
    case PeerMessageType::inside_of:
      answer_with(message, endpoints.inside_of(message.protocol, message.first));
      break;
    case PeerMessageType::open_media:
      open_for_guest(message, endpoints, now);
      break;
    case PeerMessageType::probe_media:
      message.state = endpoints.is_open(message.first_ref) ? alg::LookupState::found : alg::LookupState::none;
      break;
    case PeerMessageType::shut_media:
      message.second_ref = endpoints.shut(message.first_ref);
      break;
    case PeerMessageType::take_over_media:
      static_cast<void>(endpoints.hand_over(message.first_ref, guest_parent(message.call_hash),
                                            nat::Sharing::with_former, now));
      return false;
    case PeerMessageType::keep_media:
      endpoints.keep(message.first_ref, message.until);
      return false;
    case PeerMessageType::close_media:
      endpoints.close(message.first_ref);
      return false;
    case PeerMessageType::expect_media:
      endpoints.expect_media(message.first_ref, message.first, message.first_fresh, now);
      return false;
    case PeerMessageType::note_clocks:
      endpoints.note_clocks(message.first_ref, clocks_of(message));
      return false;
    case PeerMessageType::keep_signalling:
      endpoints.keep_signalling(message.protocol, message.first, message.second, message.until, now);
      return false;
  }
  message.is_answer = true;
  return true;
}

QuestionTable::Found QuestionTable::find(const PeerMessage& message, nat::Tick now) const noexcept {
  const auto first = set_of(message) * kWays;
  for (auto slot = first; slot < first + kWays; ++slot) {
    const auto& entry = entries_[slot];
    if (entry.message.ticket == kNoTicket || nat::reached(entry.deadline, now) ||
        !asks_the_same(entry, message))
      continue;
    return {entry.message.is_answer ? State::answered : State::asked, entry.message.ticket, &entry.message};
  }
  return {};
}

bool QuestionTable::add(PeerMessage& message, nat::Tick now) noexcept {
  const auto first = set_of(message) * kWays;
  for (auto slot = first; slot < first + kWays; ++slot) {
    auto& entry = entries_[slot];
    const bool is_free = entry.message.ticket == kNoTicket;
    if (!is_free && !nat::reached(entry.deadline, now)) continue;
    if (is_free) ++size_;
    if (++sequence_ == (1U << 31U) / (kCapacity / 2)) sequence_ = 1;  // a ticket is never kNoTicket
    message.ticket = sequence_ * kCapacity + slot;
    entry = {message, message.first, message.second, now + kLifetime};
    return true;
  }
  return false;
}

bool QuestionTable::take(const PeerMessage& message, nat::Tick now) noexcept {
  auto& entry = entries_[message.ticket % kCapacity];
  if (message.ticket == kNoTicket || entry.message.ticket != message.ticket || entry.message.is_answer)
    return false;
  entry.message = message;
  entry.deadline = now + kLifetime;
  return true;
}

void QuestionTable::forget(Ticket ticket) noexcept {
  auto& entry = entries_[ticket % kCapacity];
  if (ticket != kNoTicket && entry.message.ticket == ticket) clear(entry);
}

std::uint32_t QuestionTable::set_of(const PeerMessage& message) noexcept {
  const std::uint64_t key = message.first.address.value.raw() | std::uint64_t{message.first.port.raw()}
                                                                    << 32U;
  const std::uint64_t mixed = (key ^ message.call_hash) * 0x9e3779b97f4a7c15U;  // 2^64 / golden ratio
  constexpr auto kSetBits = std::countr_zero(kSets);
  return static_cast<std::uint32_t>(mixed >> (64U - kSetBits));  // the upper bits depend on all of the key
}

bool QuestionTable::asks_the_same(const Entry& entry, const PeerMessage& message) noexcept {
  return entry.message.type == message.type && entry.message.realm == message.realm &&
         entry.message.protocol == message.protocol && entry.first_asked == message.first &&
         entry.second_asked == message.second && entry.message.call_hash == message.call_hash &&
         entry.message.written == message.written && entry.message.is_echoed == message.is_echoed;
}

void QuestionTable::clear(Entry& entry) noexcept {
  entry.message.ticket = kNoTicket;
  --size_;
}

}  // namespace pinhole::dataplane
