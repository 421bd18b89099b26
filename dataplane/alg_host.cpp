// SPDX-License-Identifier: BSD-3-Clause
// A message: what is asked, opened and announced for it, and how it is written down. What goes on between
// messages is in alg_host_lives.cpp.
#include "dataplane/alg_host.hpp"

#include <algorithm>
#include <bit>
#include <cassert>
#include <charconv>
#include <cstddef>

#include "alg/sip/message.hpp"
#include "alg/sip/uri.hpp"
#include "alg/sip/values.hpp"
#include "dataplane/text_hash.hpp"
#include "nat/prefetch.hpp"

namespace pinhole::dataplane {

namespace {

using alg::sip::Method;

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

void AlgHost::begin(const alg::Message& message, nat::Tick now, nat::Realm realm, Concern concern) noexcept {
  assert(message_ == nullptr);
  realm_ = realm;
  concern_ = concern;
  message_ = &message;
  now_ = now;
  ticket_ = kNoTicket;
  transaction_.summary = {};
  transaction_.announced = transaction_.opens = transaction_.has_refs = false;
  transaction_.call_hash = 0;
  transaction_.card = kNoCard;
  transaction_.in_use = transaction_.opened = 0;
  transaction_.ref_count = transaction_.fresh_count = transaction_.evicted_count = 0;
  transaction_.answer_count = transaction_.question_count = 0;
  transaction_.binding_count = transaction_.source_count = transaction_.clocks_count = 0;
  transaction_.asks_too_much = false;
  transaction_.described = transaction_.held = transaction_.has_stream = false;
  transaction_.rejected = transaction_.nowhere = 0;
  transaction_.peer = {};
  transaction_.knows_others = false;
  transaction_.other_count = 0;
  transaction_.targets.clear();
  transaction_.has_facts = false;
}

void AlgHost::foresee(std::string_view bytes) noexcept {
  const auto& before = foreseen_[last_foreseen_];
  if (!before.call_id.view().empty()) parts_.calls.fetch(before.hash);
  last_foreseen_ ^= 1U;
  auto& foreseen = foreseen_[last_foreseen_];
  foreseen.call_id.clear();
  if (parts_.calls.size() == 0 || bytes.starts_with("REGISTER")) return;
  const auto call_id = alg::sip::guess_call_id(bytes);
  if (call_id.empty() || call_id.size() > kLongestForeseen) return;
  foreseen.call_id.assign(call_id);
  foreseen.hash = text_hash(call_id);
  parts_.calls.fetch_place(foreseen.hash);
}

void AlgHost::commit(const alg::EditList& edits) noexcept {
  const auto& work = transaction_;
  if (work.opens) {
    open_call();
  } else if (work.card != kNoCard) {
    step_call();
  }
  if (work.card != kNoCard) {
    parts_.dialogs.note(work.card, {.summary = work.summary,
                                    .facts = work.has_facts ? &work.facts : nullptr,
                                    .direction = message_->direction,
                                    .flow = message_->flow,
                                    .realm = realm_});
    take_over();
    settle_media();
    settle_targets();
    settle_peer();
    for (std::size_t i = 0; i < work.evicted_count; ++i) close_pinhole(work.evicted[i]);
    tell_message(edits);
  } else if (work.announced && may_tell_more()) {
    tell_message(edits);
  }
  for (std::size_t i = 0; i < work.answer_count; ++i) parts_.questions.forget(work.answers[i]);
  for (std::size_t i = 0; i < work.binding_count; ++i) apply(work.bindings[i]);
  if (work.binding_count > 0) {
    end_unlisted();
    keep_registrar();
  }
  if (work.summary.method == Method::subscribe || work.summary.method == Method::refer) keep_subscription();
  message_ = nullptr;
}

void AlgHost::drop(nat::DropReason reason) noexcept {
  if (may_tell_more()) tell_dropped(reason);
  abandon();
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
  const auto key = call_key();
  const auto opened = parts_.calls.open({.key = key,
                                         .step = ipc::next({before, ipc::EndReason::none}, summary),
                                         .outbound = key.from_inside,
                                         .protocol = flow.protocol,
                                         .inside = flow.inside,
                                         .external = flow.external,
                                         .remote = flow.remote,
                                         .from_uri = alg::sip::without_params(summary.from_uri),
                                         .to_uri = alg::sip::without_params(summary.to_uri),
                                         .message = &summary},
                                        now_);
  assert(opened == transaction_.card);
  parts_.dialogs.open(opened);
}

CallKey AlgHost::call_key() const noexcept {
  const auto& summary = transaction_.summary;
  const bool is_outbound = message_->direction == alg::Direction::outbound;
  return {.hash = transaction_.call_hash,
          .call_id = summary.call_id,
          .inside = message_->flow.inside.address,
          .from_tag = summary.from_tag,
          .to_tag = summary.to_tag,
          .from_inside = is_outbound == summary.is_request(),
          .begins = summary.method == Method::invite && summary.is_request() && summary.to_tag.empty()};
}

std::uint64_t AlgHost::hash_of(std::string_view call_id) const noexcept {
  // Mostly the one after it has been foreseen, too.
  for (const unsigned which : {last_foreseen_ ^ 1U, last_foreseen_}) {
    if (foreseen_[which].call_id.view() == call_id) return foreseen_[which].hash;
  }
  return text_hash(call_id);
}

// Endpoints.

bool AlgHost::is_inside(nat::Ipv4Address address) const noexcept {
  return parts_.zones.is_inside(address);
}

bool AlgHost::is_external(nat::Ipv4Address address) const noexcept {
  // Where nothing is translated, inside hosts are seen as what they are.
  if (realm_ == nat::Realm::untranslated) return parts_.zones.is_inside(address);
  return parts_.steering.is_external(address);
}

/// Whether the message in hand may name an endpoint of this host. A browser can be made to send what looks
/// like SIP over TCP, and to name another host or a service of its own (requirement AC-23).
bool AlgHost::may_name(nat::Ipv4Address inside) const noexcept {
  return !is_own_host_only() || inside == message_->flow.inside.address;
}

/// Whether it may have an endpoint opened.
bool AlgHost::may_open(nat::Endpoint inside) const noexcept {
  constexpr std::uint16_t kFirstUserPort = 1024;
  return may_name(inside.address) && (!is_own_host_only() || inside.port.host() >= kFirstUserPort);
}

bool AlgHost::is_own_host_only() const noexcept {
  return message_->flow.protocol == nat::Protocol::tcp && parts_.tcp_own_host;
}

bool AlgHost::may_open_media(nat::Endpoint inside) const noexcept {
  const bool is_of_sender = inside.address == message_->flow.inside.address;
  return may_open(inside) && (is_of_sender || !parts_.media_own_host);
}

alg::Lookup AlgHost::external_of(nat::Protocol protocol, nat::Endpoint inside, alg::Written written,
                                 alg::Claim claim) noexcept {
  const auto& flow = message_->flow;
  const bool is_echoed = claim == alg::Claim::echoed;
  if (inside == flow.inside && protocol == flow.protocol) {
    if (!is_echoed) note_written(written);
    return {alg::LookupState::found, flow.external, {}};
  }
  if (is_echoed ? !may_name(inside.address) : !may_open(inside)) return {};
  if (is_echoed && others_name(inside)) return {};
  const auto owner = parts_.steering.owner_of_inside(inside.address);
  if (owner != parts_.worker)
    return ask_endpoint(PeerMessageType::external_of, owner, protocol, inside, written, claim);
  if (is_echoed) return parts_.endpoints.find_external(protocol, inside, realm_);
  return parts_.endpoints.external_of(protocol, inside, flow.remote, now_, realm_, written);
}

/// Whether the other side of the call has named an endpoint as its own that looks like one inside, for its
/// network is numbered alike: one of ours it would have named as it is seen outside.
bool AlgHost::others_name(nat::Endpoint endpoint) noexcept {
  auto& work = transaction_;
  if (work.card == kNoCard || work.opens) return false;
  if (!work.knows_others) read_others();
  const auto end = work.others.begin() + work.other_count;
  return std::find(work.others.begin(), end, endpoint) != end;
}

/// Reads whom the other side has named, once a message: that may have room for thousands of URIs.
void AlgHost::read_others() noexcept {
  auto& work = transaction_;
  work.knows_others = true;
  const auto note = [&work](std::string_view text) noexcept {
    const auto uri = alg::sip::parse_uri(text);
    if (!uri || !uri->host_port.address || work.other_count == work.others.size()) return;
    work.others[work.other_count++] = {*uri->host_port.address,
                                       nat::Be16{uri->host_port.port_or(uri->default_port)}};
  };
  const auto& dialog = parts_.dialogs[work.card];
  note(dialog.word(kOutsideSide, Dialog::target));
  alg::sip::ListReader routes(dialog.word(kOutsideSide, Dialog::routes));
  while (const auto route = routes.next()) note(alg::sip::first_uri(*route));
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

alg::Lookup AlgHost::candidate_of(nat::Protocol protocol, nat::Endpoint inside) noexcept {
  if (!may_open_media(inside)) return {};
  const auto owner = parts_.steering.owner_of_inside(inside.address);
  if (owner == parts_.worker) return parts_.endpoints.candidate_of(protocol, inside, now_, realm_);
  return ask_endpoint(PeerMessageType::candidate_of, owner, protocol, inside);
}

alg::Lookup AlgHost::inside_of(nat::Protocol protocol, nat::Endpoint external) noexcept {
  const auto& flow = message_->flow;
  if (external == flow.external && protocol == flow.protocol)
    return {alg::LookupState::found, flow.inside, flow.portless};
  if (realm_ == nat::Realm::untranslated) return {alg::LookupState::found, external, {}};
  const auto pool_index = parts_.steering.pool_index(external.address);
  if (!pool_index) return {};
  const auto owner = parts_.steering.owner_of_external(*pool_index, protocol, external.port.host());
  const auto lookup = owner == parts_.worker
                          ? parts_.endpoints.inside_of(protocol, external)
                          : ask_endpoint(PeerMessageType::inside_of, owner, protocol, external);
  // What its receiver may not name stays as it is seen outside, where that works as well: put back, it would
  // not be translated again in what the receiver repeats of it.
  const bool comes_back = lookup.is_pinhole || may_name(lookup.endpoint.address);
  return lookup.state == alg::LookupState::found && !comes_back ? alg::Lookup{} : lookup;
}

alg::Lookup AlgHost::own_inside_of(nat::Protocol protocol, nat::Endpoint external) noexcept {
  const auto& flow = message_->flow;
  const auto pool_index = parts_.steering.pool_index(external.address);
  if (realm_ == nat::Realm::untranslated || !pool_index) return {};
  const auto other = protocol == nat::Protocol::udp ? nat::Protocol::tcp : nat::Protocol::udp;
  for (const auto each : {protocol, other}) {
    if (external == flow.external && each == flow.protocol)
      return {alg::LookupState::found, flow.inside, flow.portless};
    // The ports of an own host are this worker's.
    if (parts_.steering.owner_of_external(*pool_index, each, external.port.host()) != parts_.worker)
      return {};
    const auto lookup = parts_.endpoints.inside_of(each, external);
    if (lookup.state == alg::LookupState::none) continue;
    const bool is_own =
        lookup.endpoint.address == flow.inside.address &&
        parts_.endpoints.find_external(each, lookup.endpoint, realm_).state == alg::LookupState::found;
    return is_own ? lookup : alg::Lookup{};
  }
  return {};
}

alg::Lookup AlgHost::ask_endpoint(PeerMessageType type, unsigned owner, nat::Protocol protocol,
                                  nat::Endpoint endpoint, alg::Written written, alg::Claim claim) noexcept {
  PeerMessage question = question_to(owner, type);
  question.written = written;
  question.is_echoed = claim == alg::Claim::echoed;
  question.protocol = protocol;
  question.first = endpoint;
  question.second = message_->flow.remote;
  const auto* const answer = ask(question);
  if (answer == nullptr) return {alg::LookupState::wait, {}, {}};
  return {answer->state, answer->first, answer->portless, answer->is_pinhole};
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
  if (!may_ask(found.ticket)) return nullptr;
  if (found.state == QuestionTable::State::answered) return found.answer;
  Ticket waits_for = found.ticket;
  if (found.state == QuestionTable::State::unknown && parts_.questions.add(question, now_)) {
    if (parts_.peers.send(question)) {
      waits_for = question.ticket;
      note_question(waits_for);
    } else {
      parts_.questions.forget(question.ticket);
    }
  }
  // A message may ask several questions in one inspection; when the last of them is answered, mostly all are.
  if (waits_for != kNoTicket) ticket_ = waits_for;
  return nullptr;
}

/// Whether the message in hand may ask one more question. \param ticket of one that was asked before, by
/// whomever; kNoTicket: a new one
bool AlgHost::may_ask(Ticket ticket) noexcept {
  auto& work = transaction_;
  const auto end = work.questions.begin() + work.question_count;
  if (ticket != kNoTicket && std::find(work.questions.begin(), end, ticket) != end) return true;
  if (work.question_count == work.questions.size()) {
    work.asks_too_much = true;
    return false;
  }
  if (ticket != kNoTicket) note_question(ticket);
  return true;
}

void AlgHost::note_question(Ticket ticket) noexcept {
  transaction_.questions[transaction_.question_count++] = ticket;
}

// Calls.

alg::Welcome AlgHost::announce(const alg::sip::Summary& summary) noexcept {
  auto& work = transaction_;
  work.summary = summary;
  work.announced = true;
  const bool is_of_call = summary.method != Method::register_ && !summary.call_id.empty();
  if (is_of_call) {
    work.call_hash = hash_of(summary.call_id);
    work.card = parts_.calls.find(call_key());
    if (work.card != kNoCard) parts_.dialogs.fetch(work.card);
  }
  if (!is_concerned()) return alg::Welcome::none;
  if (!is_of_call) return alg::Welcome::taken;
  if (!may_begin()) return alg::Welcome::too_many;
  if (work.card == kNoCard && summary.method == Method::invite && summary.is_request()) open_on_commit();
  if (work.card != kNoCard && !work.opens && summary.has_sdp) fetch_media();
  return alg::Welcome::taken;
}

/// Whether the message in hand may begin a call, if that is what it does: an INVITE that opens a card, or the
/// first one of a dialog again after the call had failed. A live call is never asked about. Whether there is
/// one the card says alone: a To tag can be made up.
bool AlgHost::may_begin() noexcept {
  const auto& work = transaction_;
  const auto& summary = work.summary;
  if (summary.method != Method::invite || !summary.is_request()) return true;
  const bool is_new = work.card == kNoCard;
  const bool has_ended = !is_new && parts_.calls.card(work.card).step.state == ipc::CallState::ended;
  if (!is_new && !has_ended) return true;
  const auto& flow = message_->flow;
  return parts_.limits.admits(flow.inside.address, flow.remote.address, is_new, now_);
}

/// A description mostly names what the one before it named: that is on its way while the headers are read.
void AlgHost::fetch_media() const noexcept {
  parts_.calls.fetch_media(transaction_.card);
  const auto& card = parts_.calls.card(transaction_.card);
  for (const auto& pinhole : std::span(card.pinholes).first(card.pinhole_count)) {
    if (pinhole.worker != parts_.worker || pinhole.mapping == nat::kNoMapping) continue;
    parts_.endpoints.fetch({pinhole.inside, pinhole.protocol, realm_}, ref_of(pinhole));
  }
}

/// All of the card will be written: it is on its way while the message is read.
void AlgHost::open_on_commit() noexcept {
  constexpr std::size_t kLine = 64;
  transaction_.card = parts_.calls.next_free();
  transaction_.opens = transaction_.card != kNoCard;
  if (!transaction_.opens) return;
  const auto* const card = reinterpret_cast<const std::byte*>(&parts_.calls.card(transaction_.card));
  for (std::size_t at = 0; at < sizeof(ipc::CallCard); at += kLine) nat::prefetch(card + at);
}

void AlgHost::expect_signalling_from(nat::Endpoint remote) noexcept {
  // Over TCP nobody comes in to the port of a connection, and an inside address comes from nowhere outside.
  if (message_->flow.protocol == nat::Protocol::udp && !is_inside(remote.address)) transaction_.peer = remote;
}

void AlgHost::expect_requests_at(nat::Protocol protocol, nat::Endpoint inside) noexcept {
  transaction_.targets.add({inside, protocol});
}

void AlgHost::tell_dialog(const alg::sip::DialogFacts& facts) noexcept {
  transaction_.facts = facts;
  transaction_.has_facts = true;
}

/// Of more than are counted, those of the host that asked have precedence: the others have answers of their
/// own.
void AlgHost::grant(const alg::sip::Binding& binding) noexcept {
  auto& work = transaction_;
  if (work.binding_count < work.bindings.size()) {
    work.bindings[work.binding_count++] = binding;
    return;
  }
  const auto host = message_->flow.inside.address;
  if (binding.inside.address != host) return;
  const auto other = std::find_if(work.bindings.rbegin(), work.bindings.rend(),
                                  [host](const auto& known) { return known.inside.address != host; });
  if (other != work.bindings.rend()) *other = binding;
}

/// Messages of no call, and those that are dropped, are told of when it is wanted, but not in floods.
bool AlgHost::may_tell_more() noexcept {
  return parts_.why && others_told_.take(now_);
}

/// What a message of no call is told with, passing or dropped.
void AlgHost::describe_message(ipc::SipMessageEvent& told) const noexcept {
  const auto& summary = transaction_.summary;
  const auto& flow = message_->flow;
  told.card = ipc::kNoCard;
  told.direction = message_->direction;
  told.method = summary.method;
  told.has_sdp = summary.has_sdp;
  told.status = summary.status;
  told.cseq = summary.cseq;
  told.inside = flow.inside;
  told.external = flow.external;
  told.remote = flow.remote;
}

void AlgHost::tell_dropped(nat::DropReason reason) noexcept {
  ipc::Event event;
  event.type = ipc::EventType::sip_message;
  describe_message(event.sip);
  event.sip.drop = reason;
  // It may not have been read that far.
  const auto bytes = message_->bytes;
  event.sip.start.assign({bytes.data(), std::min(bytes.find_first_of("\r\n"), bytes.size())});
  parts_.events.push(event);
}

void AlgHost::tell_message(const alg::EditList& edits) noexcept {
  static_assert(kNoCard == ipc::kNoCard);
  ipc::Event event;
  event.type = ipc::EventType::sip_message;
  describe_message(event.sip);
  if (transaction_.card != kNoCard) {
    const auto& card = parts_.calls.card(transaction_.card);
    event.sip.call_hash = card.call_hash;
    event.sip.card = transaction_.card;
    event.sip.card_generation = card.generation;
    event.sip.step = card.step;
  }
  event.sip.edits = static_cast<std::uint8_t>(std::min<std::size_t>(edits.edits().size(), 255));
  write_start(event.sip.start, transaction_.summary);
  if (parts_.why) event.sip.why = static_cast<std::uint8_t>(std::min<std::size_t>(count_why(edits), 255));
  if (parts_.events.push(event) && event.sip.why > 0) tell_why(edits, event.sequence);
}

std::size_t AlgHost::count_why(const alg::EditList& edits) const noexcept {
  return edits.edits().size() + static_cast<std::size_t>(std::popcount(transaction_.in_use)) +
         transaction_.source_count;
}

/// Tells what was done to the message in hand, in as many events as it takes. One that is lost is missed by
/// control, which was told how many records there are.
void AlgHost::tell_why(const alg::EditList& edits, std::uint32_t message) noexcept {
  const auto& work = transaction_;
  ipc::Event event;
  event.type = ipc::EventType::sip_why;
  const bool is_of_call = work.card != kNoCard;
  event.why = {.card = work.card,
               .card_generation = is_of_call ? parts_.calls.card(work.card).generation : 0,
               .message = message,
               .records = {}};
  const auto tell = [&](const ipc::WhyRecord& record) noexcept {
    if (event.why.records.add(record)) return;
    parts_.events.push(event);
    event.why.records.clear();
    static_cast<void>(event.why.records.add(record));
  };
  for (const auto& edit : edits.edits()) {
    tell({.kind = ipc::WhyKind::edit,
          .rule = edit.rule,
          .before = {message_->bytes.data() + edit.offset, edit.removed},
          .after = edits.text(edit)});
  }
  for (std::size_t i = 0; i < work.ref_count; ++i) {
    if ((work.in_use >> i & 1U) == 0) continue;
    const auto& pinhole = work.refs[i];
    const nat::EndpointText inside(pinhole.inside);
    const nat::EndpointText external(pinhole.external);
    tell({.kind = (work.opened >> i & 1U) != 0 ? ipc::WhyKind::opened : ipc::WhyKind::kept,
          .before = inside.view(),
          .after = external.view()});
  }
  for (const auto& source : std::span(work.sources).first(work.source_count)) {
    const nat::EndpointText rtp(source.rtp);
    const nat::EndpointText rtcp(source.rtcp);
    tell({.kind = ipc::WhyKind::expected, .before = rtp.view(), .after = rtcp.view()});
  }
  if (!event.why.records.empty()) parts_.events.push(event);
}

}  // namespace pinhole::dataplane
