// SPDX-License-Identifier: BSD-3-Clause
// The media of the message in hand: what is opened and described, and what becomes of it by offer and answer.
#include <algorithm>

#include "dataplane/alg_host.hpp"
#include "dataplane/text_hash.hpp"

namespace pinhole::dataplane {

namespace {

using alg::sip::Method;
using ipc::PinholeUse;

/// PinholeRef::told of a pinhole that was shut.
constexpr std::uint32_t kShut = 1;

/// Methods whose messages carry the offers and answers of a call (RFC 6337 section 2). Media in one of them
/// belongs to a call, even when the call's beginning was missed.
constexpr bool negotiates_media(Method method) noexcept {
  return method == Method::invite || method == Method::ack || method == Method::prack ||
         method == Method::update;
}

/// Whether a refusal is but that of one of several ways on which a call is set up: the offer waits for the
/// others.
bool is_of_branch_only(const alg::sip::Summary& summary, const ipc::CallCard& card) noexcept {
  return summary.method == Method::invite && summary.status >= 300 &&
         (card.step.state == ipc::CallState::inviting || card.step.state == ipc::CallState::ringing);
}

}  // namespace

alg::MediaLookup AlgHost::open_media(const alg::MediaRequest& request) noexcept {
  const auto& flow = message_->flow;
  if (request.rtp == flow.inside || request.rtcp == flow.inside) {
    // It may be the first message of its mapping, which must not become one of media.
    parts_.endpoints.note_signalling(flow.protocol, flow.inside, realm_);
  }
  if (!may_open_media(request.rtp) || !may_open_media(request.rtcp)) return {};
  auto& work = transaction_;
  if (work.card == kNoCard && negotiates_media(work.summary.method)) {
    if (work.summary.method != Method::invite || !work.summary.is_request()) open_on_commit();
    if (!work.opens) return {alg::LookupState::exhausted, {}, {}};
  }
  const auto rtp_owner = parts_.steering.owner_of_inside(request.rtp.address);
  const auto rtcp_owner = parts_.steering.owner_of_inside(request.rtcp.address);
  if (rtp_owner == rtcp_owner) return open_ports(rtp_owner, request);
  // RTP and RTCP of two hosts: two streams without a partner.
  auto half = request;
  half.follows = false;
  half.rtcp = request.rtp;
  const auto rtp = open_ports(rtp_owner, half);
  half.rtp = half.rtcp = request.rtcp;
  const auto rtcp = open_ports(rtcp_owner, half);
  if (rtp.state != alg::LookupState::found) return rtp;
  return {rtcp.state, rtp.rtp, rtcp.rtp};
}

alg::MediaLookup AlgHost::open_ports(unsigned owner, const alg::MediaRequest& request) noexcept {
  MediaPorts ports;
  if (owner == parts_.worker) {
    const auto& work = transaction_;
    const auto parent = work.card != kNoCard ? work.card : guest_parent(work.call_hash);
    ports = parts_.endpoints.open_media(request, parent, now_, realm_);
  } else {
    PeerMessage question = question_to(owner, PeerMessageType::open_media);
    question.protocol = request.protocol;
    question.first = request.rtp;
    question.second = request.rtcp;
    question.call_hash = transaction_.call_hash;
    question.follows = request.follows;
    const auto* const answer = ask(question);
    if (answer == nullptr) return {alg::LookupState::wait, {}, {}};
    if (!use_answer(answer->ticket)) return {alg::LookupState::exhausted, {}, {}};
    ports = {answer->state,
             {.external = answer->first, .ref = answer->first_ref},
             {.external = answer->second, .ref = answer->second_ref}};
  }
  if (ports.state != alg::LookupState::found) return {ports.state, {}, {}};
  const bool paired = request.rtcp != request.rtp;
  ipc::PinholeRef pinhole{.worker = static_cast<std::uint8_t>(owner & 0x7fU),
                          .protocol = request.protocol,
                          .description = next_description(),
                          .sections = bit_of(request.section)};
  pinhole.inside = request.rtp;
  const bool noted = note_port(pinhole, ports.rtp);
  pinhole.inside = request.rtcp;
  pinhole.is_rtcp = true;
  if ((paired && !note_port(pinhole, ports.rtcp)) || !noted) return {alg::LookupState::exhausted, {}, {}};
  return {alg::LookupState::found, ports.rtp.external, ports.rtcp.external};
}

/// When control has promised the call's life for a time, new pinholes share in it.
nat::Tick AlgHost::promised_until() const noexcept {
  if (transaction_.card == kNoCard || transaction_.opens) return 0;
  const auto until = parts_.calls.card(transaction_.card).keep_until;
  return nat::reached(until, now_) ? 0 : until;
}

/// An answer that the message has used is forgotten with its commit: its ports are the call's then, and the
/// next message asks again, which keeps them open. \return false when the message uses too many
bool AlgHost::use_answer(Ticket ticket) noexcept {
  auto& work = transaction_;
  const auto end = work.answers.begin() + work.answer_count;
  if (std::find(work.answers.begin(), end, ticket) != end) return true;
  if (work.answer_count == work.answers.size()) return false;
  work.answers[work.answer_count++] = ticket;
  return true;
}

/// The number of the description in the message in hand, if it is from inside.
std::uint8_t AlgHost::next_description() const noexcept {
  const auto& work = transaction_;
  const bool is_new = work.card == kNoCard || work.opens;
  return static_cast<std::uint8_t>((is_new ? 0 : parts_.calls.card(work.card).media.descriptions) + 1);
}

/// Writes down a port that was opened for the message in hand. \param pinhole what was asked for; filled in
/// \return false when its call has too many
bool AlgHost::note_port(ipc::PinholeRef& pinhole, const MediaPort& port) noexcept {
  auto& work = transaction_;
  if (port.ref.mapping == nat::kNoMapping) return true;
  pinhole.external = port.external;
  pinhole.mapping = port.ref.mapping;
  pinhole.generation = port.ref.generation;
  const bool has_heir =
      port.former != kNobodysParent && port.former != work.card && port.former < parts_.calls.capacity();
  pinhole.heir = has_heir ? port.former : kNoCard;
  pinhole.heir_generation = has_heir ? parts_.calls.card(port.former).generation : 0;
  const bool is_own = work.card == kNoCard || add_ref(pinhole);
  if (!port.fresh) return is_own;
  if (!is_own || work.fresh_count == work.fresh.size()) {
    parts_.endpoints.close(port.ref);
    return false;
  }
  work.fresh[work.fresh_count++] = port.ref;
  return true;
}

/// The list of the call's pinholes, to be changed and written back.
void AlgHost::load_refs() noexcept {
  auto& work = transaction_;
  if (work.has_refs) return;
  work.has_refs = true;
  if (work.opens) return;
  const auto& card = parts_.calls.card(work.card);
  work.ref_count = card.pinhole_count;
  std::copy_n(card.pinholes.begin(), card.pinhole_count, work.refs.begin());
}

/// A pinhole that is described again stays what it is, but for one that was on its way out.
void AlgHost::name_again(ipc::PinholeRef& known, const ipc::PinholeRef& named,
                         bool in_this_message) noexcept {
  const bool same = known.mapping == named.mapping && known.generation == named.generation;
  const bool lives = same && (known.use == PinholeUse::offered || known.use == PinholeUse::agreed);
  // Field by field: a copy of the whole would wait until all that it is made of has been stored.
  known.external = named.external;
  known.mapping = named.mapping;
  known.generation = named.generation;
  known.told = lives ? known.told : named.told;
  if (named.heir != kNoCard) {
    known.heir = named.heir;
    known.heir_generation = named.heir_generation;
  }
  known.worker = named.worker;
  // Streams of one bundle, and alternatives that the other side may choose from, have one port.
  known.sections = named.sections | (in_this_message ? known.sections : 0);
  known.is_rtcp = named.is_rtcp && (!in_this_message || known.is_rtcp);
  known.description = named.description;
  if (known.use != PinholeUse::agreed) known.use = named.use;
}

/// Adds a pinhole to the call's list. When that is full, pinholes that are gone make room, then the oldest
/// one that this message does not name: a phone that offers new ports again and again keeps its last ones.
bool AlgHost::add_ref(const ipc::PinholeRef& added) noexcept {
  auto& work = transaction_;
  load_refs();
  const auto named = [&](std::size_t at) noexcept {
    work.in_use |= 1U << at;
    return true;
  };
  const auto put = [&](std::size_t at) noexcept {
    work.refs[at] = added;
    work.opened |= 1U << at;
    return named(at);
  };
  for (std::size_t i = 0; i < work.ref_count; ++i) {
    auto& known = work.refs[i];
    if (known.inside != added.inside || known.protocol != added.protocol) continue;
    name_again(known, added, (work.in_use >> i & 1U) != 0);
    return named(i);
  }
  if (work.ref_count < work.refs.size()) return put(work.ref_count++);
  for (std::size_t i = 0; i < work.ref_count; ++i) {
    if (is_gone(work.refs[i])) return put(i);
  }
  // Those that no stream has first, then by age.
  for (const bool any : {false, true}) {
    for (std::size_t i = 0; i < work.ref_count; ++i) {
      if ((work.in_use >> i & 1U) != 0 || (!any && work.refs[i].use != PinholeUse::leaving)) continue;
      work.evicted[work.evicted_count++] = work.refs[i];
      std::move(work.refs.begin() + static_cast<std::ptrdiff_t>(i) + 1, work.refs.end(),
                work.refs.begin() + static_cast<std::ptrdiff_t>(i));
      const auto below = (1U << i) - 1;
      work.in_use = (work.in_use & below) | (work.in_use >> 1U & ~below);
      work.opened = (work.opened & below) | (work.opened >> 1U & ~below);
      return put(work.refs.size() - 1);
    }
  }
  return false;
}

// Offer and answer.

void AlgHost::describe(const alg::MediaStream& stream) noexcept {
  auto& work = transaction_;
  work.described = true;
  work.held = work.held || stream.held;
  work.has_stream = work.has_stream || !stream.rejected;
  if (stream.rejected) work.rejected |= bit_of(stream.section);
  if (stream.nowhere) work.nowhere |= bit_of(stream.section);
  const bool tells_clocks = !stream.clocks.empty() && parts_.endpoints.measures();
  if (tells_clocks && work.clocks_count < work.clocks.size())
    work.clocks[work.clocks_count++] = {stream.section, stream.clocks};
}

void AlgHost::expect_media_from(std::uint8_t section, nat::Endpoint rtp, nat::Endpoint rtcp) noexcept {
  auto& work = transaction_;
  if (work.source_count == work.sources.size()) return;
  work.sources[work.source_count++] = {.rtp = rtp, .rtcp = rtcp, .section = section};
}

/// The ports that the message names become pinholes of its call: ordinary mappings, and what other calls
/// have.
void AlgHost::take_over() noexcept {
  auto& work = transaction_;
  const auto until = promised_until();
  for (std::size_t i = 0; i < work.ref_count; ++i) {
    auto& pinhole = work.refs[i];
    if ((work.in_use >> i & 1U) == 0) continue;
    if (pinhole.worker == parts_.worker) {
      const auto sharing = is_current_heir(pinhole) ? nat::Sharing::with_former : nat::Sharing::none;
      const auto ref = parts_.endpoints.hand_over(ref_of(pinhole), work.card, sharing, now_);
      if (ref.mapping == nat::kNoMapping) continue;  // it is gone
      pinhole.generation = ref.generation;
    } else if (is_gone(pinhole)) {
      continue;
    } else if (pinhole.told == 0) {
      take_over_foreign(pinhole);
    }
    if (until != 0) keep_pinhole(pinhole, until);
  }
}

/// Tells the owner of a port that the message which it was asked for goes on.
void AlgHost::take_over_foreign(const ipc::PinholeRef& pinhole) noexcept {
  PeerMessage request = question_to(pinhole.worker, PeerMessageType::take_over_media);
  request.first_ref = ref_of(pinhole);
  request.call_hash = transaction_.call_hash;
  static_cast<void>(parts_.peers.send(request));
}

/// Which remote party the message in hand is from or for, by its tag: its own in what it sends, that of the
/// other end in what it gets.
std::uint16_t AlgHost::leg() const noexcept {
  const auto& summary = transaction_.summary;
  const bool is_inbound = message_->direction == alg::Direction::inbound;
  const auto tag = is_inbound == summary.is_request() ? summary.from_tag : summary.to_tag;
  return static_cast<std::uint16_t>(text_hash(tag));
}

/// What the message in hand says of its call's media, but for its leg.
MediaMessage AlgHost::media_message() const noexcept {
  const auto& work = transaction_;
  const auto& summary = work.summary;
  return {.direction = message_->direction,
          .method = summary.method,
          .status = summary.status,
          .cseq = summary.cseq,
          .described = work.described,
          .held = work.held || (work.described && !work.has_stream),  // by port 0, all of it
          .rejected = work.rejected,
          .nowhere = work.nowhere,
          .sources = std::span(work.sources).first(work.source_count)};
}

/// Lets the message in hand take its part in the call's negotiation, and does to the pinholes what follows.
void AlgHost::settle_media() noexcept {
  auto& work = transaction_;
  auto message = media_message();
  const auto& card = parts_.calls.card(work.card);
  if (!work.opens && !work.has_refs && !concerns_media(message, card.media)) return;
  const bool is_aside = parts_.calls.is_of_other_fork(work.card, work.summary);
  const bool says_nothing = is_aside ? work.source_count == 0 : is_of_branch_only(work.summary, card);
  if (!work.has_refs && says_nothing) return;
  const bool has_ports = work.has_refs;
  ipc::Negotiation state = work.opens ? ipc::Negotiation{} : card.media;
  // Whose sources are whose matters where there are any.
  if (work.source_count > 0 || state.source_count > 0) message.leg = leg();
  load_refs();
  const auto pinholes = std::span(work.refs).first(work.ref_count);
  if (is_aside) {
    note_fork(message, state);
    // Its ports are open, and go with the next that is agreed on, unless the call turns to it.
    if (has_ports) parts_.calls.describe_fork(work.card, work.summary, ++state.descriptions);
  } else {
    negotiate(message, state, pinholes);
  }
  const bool says_whom = !is_aside || has_ports;
  for (auto& pinhole : pinholes) {
    if (says_whom) update(work.card, pinhole, state);
    if (work.clocks_count > 0) tell_clocks(pinhole);
  }
  parts_.calls.set_media(work.card, pinholes, state);
}

/// The call goes on as another fork of it, with the media that was agreed on there.
void AlgHost::turn_to_fork() noexcept {
  const auto index = transaction_.card;
  const auto& card = parts_.calls.card(index);
  const auto fork = parts_.calls.fork(index);
  ipc::Negotiation state = card.media;
  auto pinholes = card.pinholes;
  const auto own = std::span(pinholes).first(card.pinhole_count);
  choose_fork({.leg = fork.name, .description = fork.description, .is_remote = card.outbound}, state, own);
  for (auto& pinhole : own) {
    // Where this fork has named nobody, not only whom the former one has named is expected any more.
    const bool is_anyones = card.outbound && pinhole.told != kShut && expected_by(pinhole, state).size == 0;
    if (is_anyones) pinhole.told = 0;
    update(index, pinhole, state);
  }
  parts_.calls.set_media(index, own, state);
  parts_.dialogs.end(index);
  keep_way_in(index);
}

/// Opens a pinhole that was shut, or that nothing was said to yet, to whom its host sends.
void AlgHost::expect_nobody(ipc::PinholeRef& pinhole) noexcept {
  if (pinhole.told != 0 && pinhole.told != kShut) return;
  tell(pinhole, {}, true);
  pinhole.told = 0;
}

/// Tells a pinhole whom to expect media from, or shuts it, when that has changed.
void AlgHost::update(CardIndex card, ipc::PinholeRef& pinhole, const ipc::Negotiation& state) noexcept {
  if (is_gone(pinhole) || pinhole.use == PinholeUse::leaving) return;
  if (pinhole.use == PinholeUse::reserved) return shut(card, pinhole);
  // What control has shut opens with what is agreed on, not with an offer.
  if (pinhole.told == kShut && !is_settled(state)) return;
  if (state.source_count == 0) return expect_nobody(pinhole);
  const auto expected = expected_by(pinhole, state);
  if (expected.size == 0) return expect_nobody(pinhole);
  if (pinhole.told == expected.hash) return;
  // While an offer is open, and while another call waits for the pinhole, those hold who were named before.
  bool anew = !is_current_heir(pinhole) && (pinhole.told == 0 || is_settled(state));
  for (const auto& remote : std::span(expected.remotes).first(expected.size)) {
    tell(pinhole, remote, anew);
    anew = false;
  }
  pinhole.told = expected.hash;
}

/// Shuts a pinhole of a call. Another worker answers what it is called then.
void AlgHost::shut(CardIndex card, ipc::PinholeRef& pinhole) noexcept {
  if (pinhole.told == kShut) return;
  if (pinhole.worker == parts_.worker) {
    pinhole.generation = parts_.endpoints.shut(ref_of(pinhole)).generation;
    pinhole.told = kShut;
    return;
  }
  PeerMessage request = question_to(pinhole.worker, PeerMessageType::shut_media);
  request.first_ref = ref_of(pinhole);
  request.card = card;
  request.card_generation = parts_.calls.card(card).generation;
  if (parts_.peers.send(request)) pinhole.told = kShut;
}

void AlgHost::tell(const ipc::PinholeRef& pinhole, nat::Endpoint remote, bool anew) noexcept {
  if (pinhole.worker == parts_.worker)
    return parts_.endpoints.expect_media(ref_of(pinhole), remote, anew, now_);
  PeerMessage request = question_to(pinhole.worker, PeerMessageType::expect_media);
  request.first = remote;
  request.first_ref = ref_of(pinhole);
  request.first_fresh = anew;
  static_cast<void>(parts_.peers.send(request));
}

/// Says what the message in hand said of the clocks of a pinhole's media.
void AlgHost::tell_clocks(const ipc::PinholeRef& pinhole) noexcept {
  const auto& work = transaction_;
  if (pinhole.is_rtcp || is_gone(pinhole)) return;
  for (const auto& told : std::span(work.clocks).first(work.clocks_count)) {
    if ((pinhole.sections & bit_of(told.section)) == 0) continue;
    if (pinhole.worker == parts_.worker) {
      parts_.endpoints.note_clocks(ref_of(pinhole), told.clocks);
      continue;
    }
    PeerMessage request = question_to(pinhole.worker, PeerMessageType::note_clocks);
    request.first_ref = ref_of(pinhole);
    set_clocks(request, told.clocks);
    static_cast<void>(parts_.peers.send(request));
  }
}

// Pinholes that change hands: a phone with two calls on one port.

bool AlgHost::is_current_heir(const ipc::PinholeRef& pinhole) const noexcept {
  return parts_.calls.is_current(pinhole.heir, pinhole.heir_generation) &&
         parts_.calls.card(pinhole.heir).step.state != ipc::CallState::ended;
}

/// A call that ends gives a pinhole back to the call that had it before. \return false when there is none
bool AlgHost::give_back(CardIndex from, const ipc::PinholeRef& pinhole) noexcept {
  if (pinhole.worker != parts_.worker || pinhole.heir == kNoCard) return false;
  if (!parts_.endpoints.is_open(ref_of(pinhole))) {
    // A later call has it, and is to give it back to the earlier one.
    pass_heir_on(from, pinhole);
    return true;
  }
  if (!is_current_heir(pinhole)) return false;
  const auto& card = parts_.calls.card(pinhole.heir);
  auto pinholes = card.pinholes;
  for (auto& former : std::span(pinholes).first(card.pinhole_count)) {
    if (former.inside != pinhole.inside || former.protocol != pinhole.protocol) continue;
    const auto ref = parts_.endpoints.hand_over(ref_of(pinhole), pinhole.heir, nat::Sharing::none, now_);
    former.generation = ref.generation;
    former.mapping = ref.mapping;
    former.told = 0;
    update(pinhole.heir, former, card.media);
    if (!nat::reached(card.keep_until, now_)) parts_.endpoints.keep(ref, card.keep_until);
    parts_.calls.set_pinholes(pinhole.heir, std::span(pinholes).first(card.pinhole_count));
    return true;
  }
  return false;
}

void AlgHost::pass_heir_on(CardIndex from, const ipc::PinholeRef& pinhole) noexcept {
  const auto holder = parts_.endpoints.parent_of(pinhole.mapping);
  if (holder >= parts_.calls.capacity()) return;
  const auto& card = parts_.calls.card(holder);
  auto pinholes = card.pinholes;
  for (auto& later : std::span(pinholes).first(card.pinhole_count)) {
    if (later.inside != pinhole.inside || later.heir != from) continue;
    later.heir = pinhole.heir;
    later.heir_generation = pinhole.heir_generation;
  }
  parts_.calls.set_pinholes(holder, std::span(pinholes).first(card.pinhole_count));
}

}  // namespace pinhole::dataplane
