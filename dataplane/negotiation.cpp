// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/negotiation.hpp"

#include <algorithm>

namespace pinhole::dataplane {

namespace {

using alg::Direction;
using alg::sip::Method;
using ipc::MediaSource;
using ipc::Negotiation;
using ipc::PinholeUse;

constexpr std::size_t number(Direction direction) noexcept {
  return static_cast<std::size_t>(direction);
}
constexpr Direction opposite(Direction direction) noexcept {
  return direction == Direction::outbound ? Direction::inbound : Direction::outbound;
}
constexpr bool is_request(const MediaMessage& message) noexcept {
  return message.status == 0;
}
constexpr bool is_bit_set(std::uint32_t bits, unsigned at) noexcept {
  return (bits & bit_of(at)) != 0;
}
/// Of several m= lines on one port, a bundle or media with keys and without, the other side may take any.
constexpr bool is_rejected_by_all(const ipc::PinholeRef& pinhole, std::uint32_t rejected) noexcept {
  return pinhole.sections != 0 && (pinhole.sections & ~rejected) == 0;
}

/// Marks the section of a source of another fork: no pinhole has such a one.
constexpr std::uint8_t kAside = 0x80;
constexpr bool is_aside(const MediaSource& source) noexcept {
  return (source.section & kAside) != 0;
}
static_assert(bit_of(kAside) == 0);

/// Source: RFC 6337 section 2.1, table 1.
bool is_answer(const MediaMessage& message, const Negotiation& state) noexcept {
  const bool is_offered = state.offers[number(opposite(message.direction))].open;
  if (is_request(message)) {
    // An ACK answers what the 2xx offered, a PRACK what the provisional response did.
    return message.method == Method::ack || (message.method == Method::prack && is_offered);
  }
  if (message.method != Method::invite) return true;
  const bool is_known = state.invite_cseq == message.cseq && state.invite_from == opposite(message.direction);
  return is_known ? state.invite_offers : is_offered;
}

template <typename Unwanted>
void drop_sources(Negotiation& state, Unwanted&& unwanted) noexcept {
  auto* const begin = state.sources.begin();
  auto* const end = std::remove_if(begin, begin + state.source_count, unwanted);
  state.source_count = static_cast<std::uint8_t>(end - begin);
}

/// A description takes the place of the one that the same party gave before, unless that was agreed on.
void take_sources(const MediaMessage& message, Negotiation& state) noexcept {
  drop_sources(state,
               [&](const MediaSource& known) noexcept { return !known.agreed && known.leg == message.leg; });
  for (const auto& source : message.sources) {
    if (state.source_count == state.sources.size()) drop_sources(state, is_aside);
    if (state.source_count == state.sources.size()) {
      // What is new counts; the mapping has been told of the others.
      drop_sources(state, [&](const MediaSource& known) noexcept {
        return known.agreed && known.section == source.section;
      });
    }
    if (state.source_count == state.sources.size()) return;  // the phone's own packets let the others in
    state.sources[state.source_count] = source;
    state.sources[state.source_count].leg = message.leg;
    ++state.source_count;
  }
}

void agree_on_sources(const MediaMessage& message, std::uint32_t rejected, Negotiation& state) noexcept {
  std::uint32_t described = 0;
  for (const auto& source : std::span(state.sources).first(state.source_count)) {
    if (!source.agreed && source.leg == message.leg) described |= bit_of(source.section);
  }
  // What other forks said holds until one of them has been chosen.
  const bool chosen =
      message.method == Method::ack || (message.method == Method::invite && !is_request(message));
  drop_sources(state, [&](const MediaSource& source) noexcept {
    if (is_bit_set(rejected, source.section)) return true;
    if (source.agreed) return is_bit_set(described, source.section);
    return chosen && source.leg != message.leg;
  });
  for (auto& source : std::span(state.sources).first(state.source_count)) {
    if (source.leg == message.leg) source.agreed = true;
  }
}

void agree(const MediaMessage& message, Negotiation& state, std::span<ipc::PinholeRef> pinholes) noexcept {
  const auto offer = state.offers[number(opposite(message.direction))];
  const std::uint32_t rejected = message.rejected | (offer.open ? offer.rejected : 0);
  const bool inside_answers = message.direction == Direction::outbound;
  const std::uint8_t wanted = inside_answers ? state.descriptions : offer.description;
  const std::uint32_t nowhere = inside_answers ? message.nowhere : offer.nowhere;
  // When the answer was given earlier, by one of several forks perhaps, nothing is taken from the others.
  const bool is_whole = inside_answers ? message.described : offer.open;
  for (auto& pinhole : pinholes) {
    const bool is_rejected = is_rejected_by_all(pinhole, rejected);
    // Whoever holds by c=0.0.0.0 comes back to the ports that he had.
    const bool stays = is_whole && (pinhole.sections & nowhere) != 0;
    if (stays && pinhole.use != PinholeUse::leaving) pinhole.description = wanted;
    if (pinhole.description == wanted && !is_rejected) {
      pinhole.use = PinholeUse::agreed;
    } else if (is_whole) {
      const bool was_agreed = pinhole.use == PinholeUse::agreed || pinhole.use == PinholeUse::reserved;
      pinhole.use = is_rejected && was_agreed ? PinholeUse::reserved : PinholeUse::leaving;
    }
  }
  agree_on_sources(message, rejected, state);
  state.held = message.held || (offer.open && offer.held);
  state.agreed = true;
  for (auto& each : state.offers) each.open = false;
}

/// An offer was refused: what it alone had opened goes, unless the call was refused as a whole, which may be
/// tried again (401, 407).
void refuse(ipc::OpenOffer& offer, Negotiation& state, std::span<ipc::PinholeRef> pinholes) noexcept {
  const bool from_inside = &offer == &state.offers[number(Direction::outbound)];
  if (from_inside && state.agreed) {
    for (auto& pinhole : pinholes) {
      if (pinhole.use == PinholeUse::offered && pinhole.description == offer.description)
        pinhole.use = PinholeUse::leaving;
    }
  }
  drop_sources(state, [](const MediaSource& source) noexcept { return !source.agreed; });
  offer.open = false;
}

}  // namespace

bool concerns_media(const MediaMessage& message, const ipc::Negotiation& state) noexcept {
  if (message.described) return true;
  if (is_request(message)) return message.method == Method::invite;
  return message.status >= 200 && state.offers[number(opposite(message.direction))].open;
}

void negotiate(const MediaMessage& message, ipc::Negotiation& state,
               std::span<ipc::PinholeRef> pinholes) noexcept {
  if (is_request(message) && message.method == Method::invite) {
    state.invite_cseq = message.cseq;
    state.invite_from = message.direction;
    state.invite_offers = message.described;
  }
  if (message.described) {
    // A response that is sent again answers what it answered before, not an offer made since.
    const auto& theirs = state.offers[number(opposite(message.direction))];
    if (!is_request(message) && theirs.open && theirs.cseq != message.cseq) return;
    if (message.direction == Direction::outbound) {
      ++state.descriptions;
    } else {
      take_sources(message, state);
    }
    if (!is_answer(message, state)) {
      state.offers[number(message.direction)] = {.cseq = message.cseq,
                                                 .rejected = message.rejected,
                                                 .nowhere = message.nowhere,
                                                 .description = state.descriptions,
                                                 .open = true,
                                                 .held = message.held};
    } else if (is_request(message) || message.status >= 200) {
      agree(message, state, pinholes);
    }  // else it may be another's answer that is chosen
    return;
  }
  if (is_request(message) || message.status < 200) return;
  auto& offer = state.offers[number(opposite(message.direction))];
  if (!offer.open || offer.cseq != message.cseq) return;
  if (message.status < 300) {
    agree(message, state, pinholes);
  } else {
    refuse(offer, state, pinholes);
  }
}

void note_fork(const MediaMessage& message, ipc::Negotiation& state) noexcept {
  if (message.sources.empty()) return;
  drop_sources(
      state, [&](const MediaSource& known) noexcept { return is_aside(known) && known.leg == message.leg; });
  for (const auto& source : message.sources) {
    if (state.source_count == state.sources.size()) return;
    auto& noted = state.sources[state.source_count++];
    noted = source;
    noted.leg = message.leg;
    noted.section = static_cast<std::uint8_t>(source.section | kAside);
    noted.agreed = true;  // so that it stays whatever the call agrees on
  }
}

void choose_fork(const ChosenFork& fork, ipc::Negotiation& state,
                 std::span<ipc::PinholeRef> pinholes) noexcept {
  if (fork.is_remote)
    drop_sources(state, [&](const MediaSource& source) noexcept { return source.leg != fork.leg; });
  for (auto& source : std::span(state.sources).first(state.source_count)) {
    source.section = static_cast<std::uint8_t>(source.section & ~kAside);
    source.agreed = true;
  }
  for (auto& pinhole : pinholes) {
    if (fork.description == 0) break;  // those of the offer that all forks have answered
    const bool is_chosen = pinhole.description == fork.description;
    if (is_chosen || pinhole.use != PinholeUse::offered)
      pinhole.use = is_chosen ? PinholeUse::agreed : PinholeUse::leaving;
  }
  state.agreed = true;
  state.held = false;
  for (auto& each : state.offers) each.open = false;
}

Expected expected_by(const ipc::PinholeRef& pinhole, const ipc::Negotiation& state) noexcept {
  Expected expected;
  for (const auto& source : std::span(state.sources).first(state.source_count)) {
    if (!is_bit_set(pinhole.sections, source.section)) continue;
    const auto remote = pinhole.is_rtcp ? source.rtcp : source.rtp;
    const auto known = std::span(expected.remotes).first(expected.size);
    const bool is_known = std::ranges::any_of(
        known, [&](const nat::Endpoint& other) noexcept { return other.address == remote.address; });
    if (is_known) continue;
    expected.remotes[expected.size++] = remote;
    // A sum, so that the order does not matter.
    expected.hash += (remote.address.host() * 0x9e3779b1U) ^ 0x85ebca6bU;  // odd; any
  }
  constexpr std::uint32_t kFirstHash = 2;
  if (expected.size > 0 && expected.hash < kFirstHash) expected.hash += kFirstHash;
  return expected;
}

}  // namespace pinhole::dataplane
