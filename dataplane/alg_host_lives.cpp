// SPDX-License-Identifier: BSD-3-Clause
// Between messages: the ends of calls and registrations, commands of control, messages of other workers,
// time.
#include <algorithm>

#include "dataplane/alg_host.hpp"
#include "dataplane/text_hash.hpp"
#include "nat/timeouts.hpp"

namespace pinhole::dataplane {

namespace {

using alg::sip::Method;

/// A binding's way in stays open for longer than the binding: the phone refreshes it at the last moment, and
/// its request may have to be sent again for 64*T1 (RFC 3261 section 17.1.2).
constexpr nat::Tick kRegistrationMargin = nat::ticks_from_s(32);

/// For how long a REFER is reported on (RFC 3515 section 2.4.7): the 2xx does not say, and what it leads to
/// is mostly a call, which is given up after three minutes (RFC 3261 section 16.6 item 11).
constexpr std::uint32_t kReferral_s = 180;

/// For how long a call's way in is kept at each look at the call: longer than a round over a large table
/// takes, and shorter than a mapping lives after the call's last message anyhow.
constexpr nat::Tick kWayInMargin = nat::ticks_from_s(120);

}  // namespace

bool AlgHost::close_call(CardIndex card, std::uint32_t generation, ipc::EndReason reason) noexcept {
  if (!parts_.calls.is_current(card, generation)) return false;
  const auto& closing = parts_.calls.card(card);
  ipc::Event event;
  event.type = ipc::EventType::call_closed;
  event.closed = {.call_hash = closing.call_hash,
                  .card = card,
                  .card_generation = generation,
                  .reason = reason == ipc::EndReason::none ? closing.step.reason : reason};
  for (std::size_t i = 0; i < closing.pinhole_count; ++i) {
    if (!give_back(card, closing.pinholes[i])) close_pinhole(closing.pinholes[i]);
  }
  parts_.calls.close(card);
  parts_.events.push(event);
  return true;
}

bool AlgHost::keep_call(CardIndex card, std::uint32_t generation, nat::Tick until) noexcept {
  if (!parts_.calls.is_current(card, generation)) return false;
  parts_.calls.keep(card, until);
  const auto& kept = parts_.calls.card(card);
  for (std::size_t i = 0; i < kept.pinhole_count; ++i) keep_pinhole(kept.pinholes[i], until);
  return true;
}

bool AlgHost::shut_call(CardIndex index, std::uint32_t generation) noexcept {
  if (!parts_.calls.is_current(index, generation)) return false;
  const auto& card = parts_.calls.card(index);
  auto pinholes = card.pinholes;
  const auto own = std::span(pinholes).first(card.pinhole_count);
  for (auto& pinhole : own) {
    if (!is_gone(pinhole) && pinhole.use != ipc::PinholeUse::leaving) shut(index, pinhole);
  }
  parts_.calls.set_shut(index, own);
  return true;
}

void AlgHost::close_pinhole(const ipc::PinholeRef& pinhole) noexcept {
  if (pinhole.worker == parts_.worker) return parts_.endpoints.close(ref_of(pinhole));
  if (is_gone(pinhole)) return;
  PeerMessage request = question_to(pinhole.worker, PeerMessageType::close_media);
  request.first_ref = ref_of(pinhole);
  static_cast<void>(parts_.peers.send(request));
}

void AlgHost::keep_pinhole(const ipc::PinholeRef& pinhole, nat::Tick until) noexcept {
  if (pinhole.worker == parts_.worker) return parts_.endpoints.keep(ref_of(pinhole), until);
  if (is_gone(pinhole)) return;
  PeerMessage request = question_to(pinhole.worker, PeerMessageType::keep_media);
  request.first_ref = ref_of(pinhole);
  request.until = until;
  static_cast<void>(parts_.peers.send(request));
}

/// Whether a pinhole of a call is open. One of another worker counts as open until its owner has said that it
/// is not; this asks.
bool AlgHost::media_live(CardIndex index) noexcept {
  const auto& card = parts_.calls.card(index);
  bool live = false;
  for (std::size_t i = 0; i < card.pinhole_count; ++i) {
    const auto& pinhole = card.pinholes[i];
    if (is_lent(pinhole)) live = true;
    if (is_gone(pinhole)) continue;
    live = true;
    if (pinhole.worker == parts_.worker) continue;
    PeerMessage probe = question_to(pinhole.worker, PeerMessageType::probe_media);
    probe.first_ref = ref_of(pinhole);
    probe.card = index;
    probe.card_generation = card.generation;
    static_cast<void>(parts_.peers.send(probe));
  }
  return live;
}

/// Whether a later call of the same phone has a pinhole of this one, through which this one's media passes as
/// well.
bool AlgHost::is_lent(const ipc::PinholeRef& pinhole) const noexcept {
  const auto holder = pinhole.worker == parts_.worker && !parts_.endpoints.is_open(ref_of(pinhole))
                          ? parts_.endpoints.parent_of(pinhole.mapping)
                          : kNobodysParent;
  if (holder >= parts_.calls.capacity()) return false;
  const auto& later = parts_.calls.card(holder);
  return std::any_of(later.pinholes.begin(), later.pinholes.begin() + later.pinhole_count,
                     [&](const ipc::PinholeRef& other) noexcept {
                       return other.mapping == pinhole.mapping && other.inside == pinhole.inside;
                     });
}

/// While a call lives its signalling gets in, however long both ends have nothing to say: the BYE of an
/// hour's call comes from outside after an hour (requirement AC-13). When it is silent by agreement, or has a
/// session timer, its ports stay as well (AC-27).
void AlgHost::look_after(CardIndex index) noexcept {
  keep_way_in(index);
  close_leaving(index);
  const auto& card = parts_.calls.card(index);
  const auto until = now_ + kWayInMargin;
  const bool is_held = card.media.held && !nat::reached(card.last_message + kHeldLimit, now_);
  if (!is_held && !ipc::is_promised(card, now_)) return;
  for (std::size_t i = 0; i < card.pinhole_count; ++i) keep_pinhole(card.pinholes[i], until);
}

/// Lets in who speaks to the inside host of a call, to where that host speaks from and to where it has said
/// that it is spoken to. The latter may be another worker's.
void AlgHost::keep_way_in(CardIndex index) noexcept {
  const auto& card = parts_.calls.card(index);
  const auto until = now_ + kWayInMargin;
  const auto keep = [&](nat::Protocol protocol, nat::Endpoint inside) noexcept {
    keep_signalling(protocol, inside, card.remote, until);
    for (const auto peer : parts_.calls.peers(index)) {
      if (!peer.address.is_unspecified()) keep_signalling(protocol, inside, peer, until);
    }
  };
  keep(card.protocol, card.inside);
  for (const auto& target : parts_.calls.targets(index)) keep(target.protocol, target.inside);
}

/// Moves the call of the message in hand. A BYE may leave it to another fork, and so may an ACK that comes
/// after that.
void AlgHost::step_call() noexcept {
  const auto& work = transaction_;
  const bool may_turn = work.summary.method == Method::bye || work.summary.method == Method::ack;
  const auto before = may_turn ? parts_.calls.fork(work.card).name : Fork::kNone;
  parts_.calls.step(work.card, work.summary, message_->direction == alg::Direction::outbound, now_);
  if (!may_turn || parts_.calls.fork(work.card).name == before) return;
  turn_to_fork();
  if (work.has_refs) renew_refs();
}

/// What the card's pinholes have been told meanwhile, those in hand were, too.
void AlgHost::renew_refs() noexcept {
  auto& work = transaction_;
  const auto& card = parts_.calls.card(work.card);
  for (auto& ref : std::span(work.refs).first(work.ref_count)) {
    for (const auto& told : std::span(card.pinholes).first(card.pinhole_count)) {
      if (told.inside != ref.inside || told.protocol != ref.protocol) continue;
      ref.told = told.told;
      ref.generation = told.generation;
    }
  }
}

/// Notes where requests of the call get to its inside host, by its Contact and Record-Route. A refusal says
/// nothing of that.
void AlgHost::settle_targets() noexcept {
  const auto& work = transaction_;
  if (work.summary.status >= 300) return;
  for (const auto& target : work.targets.view()) parts_.calls.add_target(work.card, target);
}

/// Notes who was named in an INVITE from outside, and lets him in once its host has accepted it, or has begun
/// to with a provisional response that wants an answer: that comes from there. Nobody is let in to another
/// host, nor by an INVITE alone. Whom the host itself sends a request of the dialog to is heard as well: a
/// proxy that leaves the way leaves an outbound call to its callee.
void AlgHost::settle_peer() noexcept {
  const auto& work = transaction_;
  const auto& summary = work.summary;
  if (!work.peer.address.is_unspecified() && summary.is_request())
    return parts_.calls.invite_peer(work.card, summary.cseq, work.peer);
  const auto& card = parts_.calls.card(work.card);
  const auto& flow = message_->flow;
  if (message_->direction == alg::Direction::inbound || flow.inside.address != card.inside.address) return;
  if (summary.is_request()) {
    if (summary.to_tag.empty() || flow.remote == card.remote) return;
    const bool is_aside = parts_.calls.is_of_other_fork(work.card, summary);
    if (is_aside && summary.method == Method::bye) return;  // nothing more is to come from there
    const bool is_new = is_aside ? parts_.calls.address_fork(work.card, summary, flow.remote)
                                 : parts_.calls.address_peer(work.card, flow.remote);
    if (is_new) keep_way_in(work.card);
    return;
  }
  // The PRACK that a reliable provisional response waits for is one of the dialog (RFC 3262 section 4).
  const bool is_provisional = summary.is_reliable && !summary.to_tag.empty();
  const bool is_accepted = summary.status >= 200 && summary.status < 300;
  if (summary.method != Method::invite || !(is_accepted || is_provisional)) return;
  if (parts_.calls.accept_peer(work.card, summary.cseq)) keep_way_in(work.card);
}

/// Closes what no stream has any more. That is some seconds after the answer, because media may still be on
/// its way (RFC 3264 section 8.3.1).
void AlgHost::close_leaving(CardIndex index) noexcept {
  const auto& card = parts_.calls.card(index);
  std::array<ipc::PinholeRef, ipc::kMaxPinholes> staying;
  std::array<ipc::PinholeRef, ipc::kMaxPinholes> leaving;
  std::size_t stay = 0;
  std::size_t leave = 0;
  for (std::size_t i = 0; i < card.pinhole_count; ++i) {
    const auto& pinhole = card.pinholes[i];
    auto& place = pinhole.use == ipc::PinholeUse::leaving ? leaving[leave++] : staying[stay++];
    place = pinhole;
  }
  if (leave == 0) return;
  parts_.calls.set_pinholes(index, std::span(staying).first(stay));
  for (const auto& pinhole : std::span(leaving).first(leave)) {
    if (!give_back(index, pinhole)) close_pinhole(pinhole);
  }
}

// Registrations.

void AlgHost::apply(const alg::sip::Binding& binding) noexcept {
  auto& registrations = parts_.registrations;
  if (binding.expires_s == 0) return withdraw(binding);
  const auto protocol = binding.protocol;
  const auto seconds = std::min(binding.expires_s, nat::Timeouts::kMaxSeconds);
  const auto expires = now_ + nat::ticks_from_s(seconds);
  const auto card = registrations.grant({.aor = binding.aor,
                                         .protocol = protocol,
                                         .inside = binding.inside,
                                         .external = binding.external,
                                         .registrar = binding.registrar},
                                        expires);
  keep_signalling(protocol, binding.inside, binding.registrar, expires + kRegistrationMargin);
  if (card != kNoCard) tell_registration(card, seconds);
}

/// Ends the binding that is named. When the contact had another port than the flow that withdraws it, that is
/// whatever the address of record has on this host.
void AlgHost::withdraw(const alg::sip::Binding& binding) noexcept {
  auto& registrations = parts_.registrations;
  if (const auto exact = registrations.find(binding.aor, binding.inside); exact != kNoCard)
    return end_registration(exact);
  for (CardIndex card; (card = registrations.find_on(binding.aor, binding.inside.address)) != kNoCard;)
    end_registration(card);
}

/// A 2xx to REGISTER lists all that the address of record is bound to (RFC 3261 section 10.3): what the host
/// that asked had besides, as one of several contacts or with "*", is gone.
void AlgHost::end_unlisted() noexcept {
  const auto& work = transaction_;
  if (work.binding_count == work.bindings.size()) return;  // there may be more than were counted
  std::array<nat::Endpoint, kMaxBindings> listed;
  for (std::size_t i = 0; i < work.binding_count; ++i) listed[i] = work.bindings[i].inside;
  const auto aor = work.bindings.front().aor;
  const auto host = message_->flow.inside.address;
  for (CardIndex card; (card = parts_.registrations.find_unlisted(
                            aor, host, std::span(listed).first(work.binding_count))) != kNoCard;)
    end_registration(card);
}

/// A registrar may send to where the REGISTER came from, whatever its Contact says, or by the Path that it
/// has taken: both stay open to it for as long as the longest binding of the host that asked, or of those
/// behind a proxy that has put its Path there. A connection that the REGISTER came by lives by itself, and is
/// of no use when it has ended.
void AlgHost::keep_registrar() noexcept {
  const auto& work = transaction_;
  const auto& flow = message_->flow;
  const auto bindings = std::span(work.bindings).first(work.binding_count);
  std::uint32_t longest = 0;
  std::uint32_t own = 0;
  for (const auto& binding : bindings) {
    longest = std::max(longest, binding.expires_s);
    if (binding.inside.address == flow.inside.address) own = std::max(own, binding.expires_s);
  }
  if (own > 0 || work.targets.view().empty()) longest = own;
  if (longest == 0) return;
  const auto until =
      now_ + nat::ticks_from_s(std::min(longest, nat::Timeouts::kMaxSeconds)) + kRegistrationMargin;
  const auto keep = [&](Target target) noexcept {
    const bool is_bound = std::any_of(bindings.begin(), bindings.end(), [&](const auto& binding) noexcept {
      return binding.expires_s > 0 && target == Target{binding.inside, binding.protocol};
    });
    if (!is_bound) keep_way(target, until);
  };
  if (flow.protocol == nat::Protocol::udp) keep({flow.inside, flow.protocol});
  for (const auto& target : work.targets.view()) keep(target);
}

/// A subscription is a dialog in which the other side speaks: its way in stays for as long as was granted
/// (RFC 6665 section 4.2.1), to where the subscription came from and to where it wants to be spoken to. Who
/// notifies may be another one than was asked; whom else the answer names is let in if it comes from there,
/// once, and has begun the dialog. A NOTIFY follows an answer that grants nothing, too (section 4.4.3).
void AlgHost::keep_subscription() noexcept {
  const auto& work = transaction_;
  const auto& summary = work.summary;
  const auto& flow = message_->flow;
  const bool leaves = message_->direction == alg::Direction::outbound;
  const SubscribeTable::Key key{work.call_hash, text_hash(summary.from_tag), summary.cseq,
                                flow.inside.address};
  if (summary.is_request()) {
    const bool begins = summary.to_tag.empty();
    if (leaves) subscribes_.note(key, {work.targets, begins ? flow.remote.address : nat::Ipv4Address{}});
    return;
  }
  if (summary.status < 200 || summary.status >= 300) return;
  const auto seconds = summary.method == Method::refer
                           ? kReferral_s
                           : std::min(summary.expires_s, nat::Timeouts::kMaxSeconds / 2);
  const auto until = now_ + nat::ticks_from_s(seconds) + kRegistrationMargin;
  const auto noted = leaves ? Subscribing{work.targets, {}} : subscribes_.take(key);
  const bool is_asked = noted.asked == flow.remote.address;
  if (summary.method == Method::refer && !is_asked) return;
  const bool is_named = is_asked && !work.peer.address.is_unspecified();
  const auto keep = [&](Target target) noexcept {
    keep_way(target, until);
    if (is_named) keep_signalling(target.protocol, target.inside, work.peer, until);
  };
  const Target source{flow.inside, flow.protocol};
  keep(source);
  for (const auto& target : noted.targets.view()) {
    if (target != source) keep(target);
  }
}

/// Keeps the way in for who has sent the message in hand, whatever becomes of the bindings to its endpoint.
void AlgHost::keep_way(Target way, nat::Tick until) noexcept {
  const auto& flow = message_->flow;
  // A connection that the message came by lives by itself, and is of no use when it has ended.
  const bool is_connection =
      flow.protocol == nat::Protocol::tcp && way == Target{flow.inside, nat::Protocol::tcp};
  if (!is_connection) parts_.registrations.note_way(way, until, now_);
  keep_signalling(way.protocol, way.inside, flow.remote, until);
}

/// Ends a registration that was withdrawn; with the last one of its endpoint, the way in is held open for no
/// longer than another line or a subscription has it.
void AlgHost::end_registration(CardIndex index) noexcept {
  auto& registrations = parts_.registrations;
  const auto protocol = registrations.card(index).protocol;
  const auto inside = registrations.card(index).inside;
  registrations.remove(index);
  if (!registrations.has_any(inside))
    keep_signalling(protocol, inside, {}, registrations.way_until({inside, protocol}, now_));
  tell_registration(index, 0);
}

/// The time of a registration is up. Its way in stays for the margin, in which a late refresh finds it.
void AlgHost::expire_registration(CardIndex index) noexcept {
  parts_.registrations.remove(index);
  tell_registration(index, 0);
}

void AlgHost::keep_signalling(nat::Protocol protocol, nat::Endpoint inside, nat::Endpoint remote,
                              nat::Tick until) noexcept {
  const auto owner = parts_.steering.owner_of_inside(inside.address);
  if (owner == parts_.worker) return parts_.endpoints.keep_signalling(protocol, inside, remote, until, now_);
  PeerMessage request = question_to(owner, PeerMessageType::keep_signalling);
  request.protocol = protocol;
  request.first = inside;
  request.second = remote;
  request.until = until;
  static_cast<void>(parts_.peers.send(request));
}

void AlgHost::tell_registration(CardIndex card, std::uint32_t expires_s) noexcept {
  ipc::Event event;
  event.type = ipc::EventType::registration;
  event.registration = {
      .card = card, .card_generation = parts_.registrations.card(card).generation, .expires_s = expires_s};
  parts_.events.push(event);
}

// Other workers, time.

Ticket AlgHost::take(PeerMessage message, nat::Tick now) noexcept {
  if (!message.is_answer) {
    if (answer(message, parts_.endpoints, now)) static_cast<void>(parts_.peers.send(message));
    return kNoTicket;
  }
  if (message.type == PeerMessageType::probe_media || message.type == PeerMessageType::shut_media) {
    take_word(message);
    return kNoTicket;
  }
  return parts_.questions.take(message, now) ? message.ticket : kNoTicket;
}

/// Another worker has said what became of a pinhole of a call: that it is gone, or what it is since it was
/// shut. The card remembers one that is gone: the call fell silent, which is something else than never having
/// had media.
void AlgHost::take_word(const PeerMessage& message) noexcept {
  const bool is_shut = message.type == PeerMessageType::shut_media;
  if (!is_shut && message.state == alg::LookupState::found) return;
  if (!parts_.calls.is_current(message.card, message.card_generation)) return;
  const auto& card = parts_.calls.card(message.card);
  auto pinholes = card.pinholes;
  for (auto& pinhole : pinholes) {
    if (pinhole.worker != message.owner || ref_of(pinhole) != message.first_ref) continue;
    if (is_shut) {
      pinhole.generation = message.second_ref.generation;
    } else {
      pinhole.mapping = nat::kNoMapping;
    }
  }
  parts_.calls.set_pinholes(message.card, {pinholes.data(), card.pinhole_count});
}

void AlgHost::tick(nat::Tick now, std::uint32_t budget) noexcept {
  now_ = now;
  parts_.limits.tick(now);
  parts_.calls.tick(
      now, budget, [this](CardIndex card) noexcept { return media_live(card); },
      [this](CardIndex card) noexcept { look_after(card); },
      [this](CardIndex card, ipc::EndReason reason) noexcept {
        close_call(card, parts_.calls.card(card).generation, reason);
      });
  parts_.registrations.tick(now, budget, [this](CardIndex card) noexcept { expire_registration(card); });
  parts_.questions.expire(now, budget, [this](const PeerMessage& unused) noexcept { release(unused); });
}

/// No message came for an answer: what was opened for it alone is closed again.
void AlgHost::release(const PeerMessage& unused) noexcept {
  if (unused.type != PeerMessageType::open_media || unused.state != alg::LookupState::found) return;
  PeerMessage request = question_to(unused.owner, PeerMessageType::close_media);
  const auto close_if = [&](bool fresh, MappingRef pinhole) noexcept {
    if (!fresh) return;
    request.first_ref = pinhole;
    static_cast<void>(parts_.peers.send(request));
  };
  close_if(unused.first_fresh, unused.first_ref);
  close_if(unused.second_fresh && unused.second_ref != unused.first_ref, unused.second_ref);
}

}  // namespace pinhole::dataplane
