// SPDX-License-Identifier: BSD-3-Clause
// A message: what is asked, opened and announced for it, and how it is written down. What goes on between
// messages is in alg_host_lives.cpp.
#include "dataplane/alg_host.hpp"

#include <algorithm>
#include <cassert>
#include <charconv>

#include "dataplane/text_hash.hpp"

namespace pinhole::dataplane {

namespace {

using alg::sip::Method;

/// Methods whose messages carry the offers and answers of a call (RFC 6337 section 2). Media in one of them
/// belongs to a call, even when the call's beginning was missed.
constexpr bool negotiates_media(Method method) noexcept {
  return method == Method::invite || method == Method::ack || method == Method::prack ||
         method == Method::update;
}

template <std::size_t Capacity>
void write_start(ipc::Text<Capacity>& start, const alg::sip::Summary& summary) noexcept {
  if (summary.is_request()) return start.assign(summary.method_text);
  std::array<char, Capacity> text;
  const auto [digits_end, error] = std::to_chars(text.data(), text.data() + text.size(), summary.status);
  assert(error == std::errc{});
  auto* end = digits_end;
  *end++ = ' ';
  const auto room = static_cast<std::size_t>(text.data() + text.size() - end);
  end = std::copy_n(summary.reason.data(), std::min(room, summary.reason.size()), end);
  start.assign({text.data(), static_cast<std::size_t>(end - text.data())});
}

}  // namespace

// One message.

void AlgHost::begin(const alg::Message& message, nat::Tick now, nat::Realm realm) noexcept {
  assert(message_ == nullptr);
  realm_ = realm;
  message_ = &message;
  now_ = now;
  ticket_ = kNoTicket;
  transaction_.summary = {};
  transaction_.announced = transaction_.opens = transaction_.has_refs = false;
  transaction_.call_hash = 0;
  transaction_.card = kNoCard;
  transaction_.in_use = 0;
  transaction_.ref_count = transaction_.fresh_count = transaction_.evicted_count = 0;
  transaction_.answer_count = transaction_.binding_count = 0;
}

void AlgHost::commit(std::size_t edits) noexcept {
  const auto& work = transaction_;
  if (work.opens) {
    open_call();
  } else if (work.card != kNoCard) {
    parts_.calls.step(work.card, work.summary, now_);
  }
  if (work.card != kNoCard) {
    if (work.has_refs) parts_.calls.set_pinholes(work.card, {work.refs.data(), work.ref_count});
    for (std::size_t i = 0; i < work.evicted_count; ++i) close_pinhole(work.evicted[i]);
    tell_message(edits);
  }
  for (std::size_t i = 0; i < work.answer_count; ++i) parts_.questions.forget(work.answers[i]);
  for (std::size_t i = 0; i < work.binding_count; ++i) apply(work.bindings[i]);
  message_ = nullptr;
}

void AlgHost::abandon() noexcept {
  for (std::size_t i = transaction_.fresh_count; i > 0; --i)
    parts_.endpoints.close(transaction_.fresh[i - 1]);
  message_ = nullptr;
}

void AlgHost::open_call() noexcept {
  const auto& summary = transaction_.summary;
  const auto& flow = message_->flow;
  // A call that is met in the middle, after a restart or on another way than its INVITE, is taken for
  // confirmed.
  const auto before = summary.method == Method::invite ? ipc::CallState::inviting : ipc::CallState::confirmed;
  const auto opened = parts_.calls.open({.key = call_key(),
                                         .step = ipc::next({before, ipc::EndReason::none}, summary),
                                         .outbound = message_->direction == alg::Direction::outbound,
                                         .protocol = flow.protocol,
                                         .inside = flow.inside,
                                         .external = flow.external,
                                         .remote = flow.remote,
                                         .from_uri = summary.from_uri,
                                         .to_uri = summary.to_uri},
                                        now_);
  assert(opened == transaction_.card);
  static_cast<void>(opened);
}

CallKey AlgHost::call_key() const noexcept {
  return {.hash = transaction_.call_hash,
          .call_id = transaction_.summary.call_id,
          .inside = message_->flow.inside.address,
          .from_tag = transaction_.summary.from_tag,
          .to_tag = transaction_.summary.to_tag};
}

// Endpoints.

bool AlgHost::is_inside(nat::Ipv4Address address) const noexcept {
  return parts_.zones.is_inside(address);
}

bool AlgHost::is_external(nat::Ipv4Address address) const noexcept {
  // Where nothing is translated, inside hosts are seen as what they are.
  if (realm_ == nat::Realm::untranslated) return parts_.zones.is_inside(address);
  return parts_.steering.pool_index(address).has_value();
}

/// Whether the message in hand may have an endpoint opened. A browser can be made to send what looks like SIP
/// over TCP, and to name another host or a service of its own (requirement AC-23).
bool AlgHost::may_open(nat::Endpoint inside) const noexcept {
  constexpr std::uint16_t kFirstUserPort = 1024;
  const auto& flow = message_->flow;
  if (flow.protocol != nat::Protocol::tcp || !parts_.tcp_own_host) return true;
  return inside.address == flow.inside.address && inside.port.host() >= kFirstUserPort;
}

alg::Lookup AlgHost::external_of(nat::Protocol protocol, nat::Endpoint inside,
                                 alg::Written written) noexcept {
  const auto& flow = message_->flow;
  if (inside == flow.inside && protocol == flow.protocol) {
    note_written(written);
    return {alg::LookupState::found, flow.external, {}};
  }
  if (!may_open(inside)) return {};
  const auto owner = parts_.steering.owner_of_inside(inside.address);
  if (owner == parts_.worker)
    return parts_.endpoints.external_of(protocol, inside, flow.remote, now_, realm_, written);
  return ask_endpoint(PeerMessageType::external_of, owner, protocol, inside, written);
}

/// How the sender wrote its own endpoint. Phones do not change their mind: mostly it is known.
void AlgHost::note_written(alg::Written written) noexcept {
  const auto& flow = message_->flow;
  bool is_known = true;
  switch (written) {
    case alg::Written::anyhow:
      break;
    case alg::Written::in_uri:
    case alg::Written::in_uri_without_port:
      is_known = flow.portless.in_uri == (written == alg::Written::in_uri_without_port);
      break;
    case alg::Written::in_via:
    case alg::Written::in_via_without_port:
      is_known = flow.portless.in_via == (written == alg::Written::in_via_without_port);
      break;
  }
  if (!is_known) parts_.endpoints.note_written(flow.protocol, flow.inside, realm_, written);
}

alg::Lookup AlgHost::inside_of(nat::Protocol protocol, nat::Endpoint external) noexcept {
  const auto& flow = message_->flow;
  if (external == flow.external && protocol == flow.protocol)
    return {alg::LookupState::found, flow.inside, flow.portless};
  if (realm_ == nat::Realm::untranslated) return {alg::LookupState::found, external, {}};
  const auto pool_index = parts_.steering.pool_index(external.address);
  if (!pool_index) return {};
  const auto owner = parts_.steering.owner_of_external(*pool_index, protocol, external.port.host());
  if (owner == parts_.worker) return parts_.endpoints.inside_of(protocol, external);
  return ask_endpoint(PeerMessageType::inside_of, owner, protocol, external, alg::Written::anyhow);
}

alg::Lookup AlgHost::ask_endpoint(PeerMessageType type, unsigned owner, nat::Protocol protocol,
                                  nat::Endpoint endpoint, alg::Written written) noexcept {
  PeerMessage question = question_to(owner, type);
  question.written = written;
  question.protocol = protocol;
  question.first = endpoint;
  question.second = message_->flow.remote;
  const auto* const answer = ask(question);
  if (answer == nullptr) return {alg::LookupState::wait, {}, {}};
  return {answer->state, answer->first, answer->portless};
}

PeerMessage AlgHost::question_to(unsigned owner, PeerMessageType type) const noexcept {
  PeerMessage question;
  question.type = type;
  question.asker = parts_.worker;
  question.owner = static_cast<std::uint8_t>(owner);
  question.realm = realm_;
  return question;
}

/// The answer to a question, or none while there is none; it has been asked then, if that was possible.
const PeerMessage* AlgHost::ask(PeerMessage& question) noexcept {
  const auto found = parts_.questions.find(question, now_);
  if (found.state == QuestionTable::State::answered) return found.answer;
  Ticket waits_for = found.ticket;
  if (found.state == QuestionTable::State::unknown && parts_.questions.add(question, now_)) {
    if (parts_.peers.send(question)) {
      waits_for = question.ticket;
    } else {
      parts_.questions.forget(question.ticket);
    }
  }
  // A message may ask several questions in one inspection; it is inspected again at the first answer.
  if (ticket_ == kNoTicket) ticket_ = waits_for;
  return nullptr;
}

// Calls.

void AlgHost::announce(const alg::sip::Summary& summary) noexcept {
  auto& work = transaction_;
  work.summary = summary;
  work.announced = true;
  if (summary.method == Method::register_ || summary.call_id.empty()) return;
  work.call_hash = text_hash(summary.call_id);
  work.card = parts_.calls.find(call_key());
  if (work.card == kNoCard && summary.method == Method::invite && summary.is_request()) open_on_commit();
}

void AlgHost::open_on_commit() noexcept {
  transaction_.card = parts_.calls.next_free();
  transaction_.opens = transaction_.card != kNoCard;
}

alg::MediaLookup AlgHost::open_media(const alg::MediaRequest& request) noexcept {
  if (!may_open(request.rtp) || !may_open(request.rtcp)) return {};
  auto& work = transaction_;
  if (work.card == kNoCard && negotiates_media(work.summary.method)) {
    if (work.summary.method != Method::invite || !work.summary.is_request()) open_on_commit();
    if (!work.opens) return {alg::LookupState::exhausted, {}, {}};
  }
  const auto rtp_owner = parts_.steering.owner_of_inside(request.rtp.address);
  const auto rtcp_owner = parts_.steering.owner_of_inside(request.rtcp.address);
  if (rtp_owner == rtcp_owner) return open_ports(rtp_owner, request);
  // RTP and RTCP of two hosts: two streams without a partner.
  const auto rtp = open_ports(rtp_owner, {request.rtp, request.rtp, request.section, request.protocol});
  const auto rtcp = open_ports(rtcp_owner, {request.rtcp, request.rtcp, request.section, request.protocol});
  if (rtp.state != alg::LookupState::found) return rtp;
  return {rtcp.state, rtp.rtp, rtcp.rtp};
}

alg::MediaLookup AlgHost::open_ports(unsigned owner, const alg::MediaRequest& request) noexcept {
  MediaPorts ports;
  if (owner == parts_.worker) {
    const auto& work = transaction_;
    const auto parent = work.card != kNoCard ? work.card : guest_parent(work.call_hash);
    ports = parts_.endpoints.open_media(request, parent, now_, realm_);
    if (const auto until = promised_until(); until != 0) {
      parts_.endpoints.keep(ports.rtp.ref, until);
      parts_.endpoints.keep(ports.rtcp.ref, until);
    }
  } else {
    PeerMessage question = question_to(owner, PeerMessageType::open_media);
    question.first = request.rtp;
    question.second = request.rtcp;
    question.call_hash = transaction_.call_hash;
    question.until = promised_until();
    const auto* const answer = ask(question);
    if (answer == nullptr) return {alg::LookupState::wait, {}, {}};
    if (!use_answer(answer->ticket)) return {alg::LookupState::exhausted, {}, {}};
    ports = {answer->state,
             {answer->first, answer->first_ref, false},
             {answer->second, answer->second_ref, false}};
  }
  if (ports.state != alg::LookupState::found) return {ports.state, {}, {}};
  const bool paired = request.rtcp != request.rtp;
  const auto worker = static_cast<std::uint8_t>(owner);
  const bool noted = note_port(request.rtp, ports.rtp, worker);
  if ((paired && !note_port(request.rtcp, ports.rtcp, worker)) || !noted)
    return {alg::LookupState::exhausted, {}, {}};
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

/// Writes down a port that was opened for the message in hand. \return false when its call has too many
bool AlgHost::note_port(nat::Endpoint inside, const MediaPort& port, std::uint8_t worker) noexcept {
  auto& work = transaction_;
  if (port.ref.mapping == nat::kNoMapping) return true;
  const bool is_own = work.card == kNoCard || add_ref({.inside = inside,
                                                       .external = port.external,
                                                       .mapping = port.ref.mapping,
                                                       .generation = port.ref.generation,
                                                       .worker = worker});
  if (!port.fresh) return is_own;
  if (!is_own || work.fresh_count == work.fresh.size()) {
    parts_.endpoints.close(port.ref);
    return false;
  }
  work.fresh[work.fresh_count++] = port.ref;
  return true;
}

/// Adds a pinhole to the call's list. When that is full, pinholes that are gone make room, then the oldest
/// one that this message does not name: a phone that offers new ports again and again keeps its last ones.
bool AlgHost::add_ref(const ipc::PinholeRef& added) noexcept {
  auto& work = transaction_;
  if (!work.has_refs) {
    work.has_refs = true;
    if (!work.opens) {
      const auto& card = parts_.calls.card(work.card);
      work.ref_count = card.pinhole_count;
      std::copy_n(card.pinholes.begin(), card.pinhole_count, work.refs.begin());
    }
  }
  const auto put = [&](std::size_t at) noexcept {
    work.refs[at] = added;
    work.in_use |= 1U << at;
    return true;
  };
  for (std::size_t i = 0; i < work.ref_count; ++i) {
    if (work.refs[i].inside == added.inside) return put(i);
  }
  if (work.ref_count < work.refs.size()) return put(work.ref_count++);
  for (std::size_t i = 0; i < work.ref_count; ++i) {
    if (is_gone(work.refs[i])) return put(i);
  }
  for (std::size_t i = 0; i < work.ref_count; ++i) {
    if ((work.in_use >> i & 1U) != 0) continue;
    work.evicted[work.evicted_count++] = work.refs[i];
    std::move(work.refs.begin() + static_cast<std::ptrdiff_t>(i) + 1, work.refs.end(),
              work.refs.begin() + static_cast<std::ptrdiff_t>(i));
    const auto below = (1U << i) - 1;
    work.in_use = (work.in_use & below) | (work.in_use >> 1U & ~below);
    return put(work.refs.size() - 1);
  }
  return false;
}

void AlgHost::describe(const alg::MediaStream&) noexcept {
}

void AlgHost::expect_media_from(std::uint8_t, nat::Endpoint, nat::Endpoint) noexcept {
}

void AlgHost::grant(const alg::sip::Binding& binding) noexcept {
  auto& work = transaction_;
  if (work.binding_count < work.bindings.size()) work.bindings[work.binding_count++] = binding;
}

void AlgHost::tell_message(std::size_t edits) noexcept {
  const auto& summary = transaction_.summary;
  const auto& card = parts_.calls.card(transaction_.card);
  const auto& flow = message_->flow;
  ipc::Event event;
  event.type = ipc::EventType::sip_message;
  event.sip.call_hash = card.call_hash;
  event.sip.card = transaction_.card;
  event.sip.card_generation = card.generation;
  event.sip.direction = message_->direction;
  event.sip.method = summary.method;
  event.sip.has_sdp = summary.has_sdp;
  event.sip.edits = static_cast<std::uint8_t>(std::min<std::size_t>(edits, 255));
  event.sip.status = summary.status;
  event.sip.cseq = summary.cseq;
  event.sip.step = card.step;
  event.sip.inside = flow.inside;
  event.sip.external = flow.external;
  event.sip.remote = flow.remote;
  write_start(event.sip.start, summary);
  parts_.events.push(event);
}

}  // namespace pinhole::dataplane
