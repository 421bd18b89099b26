// SPDX-License-Identifier: BSD-3-Clause
#include "alg/sip/header_rewrite.hpp"

#include <algorithm>
#include <array>
#include <optional>
#include <utility>

#include "alg/sip/chars.hpp"
#include "alg/sip/hiding.hpp"
#include "alg/sip/scan.hpp"
#include "alg/sip/unescaped.hpp"
#include "alg/sip/values.hpp"

namespace pinhole::alg::sip {

namespace {

// Most values name hosts, and need not be read further. But headers that a URI carries may write an address
// with escapes, or tell of a Call-ID.
bool may_be_translated(std::string_view value) noexcept {
  return may_hold_ipv4(value) || find_mark<'?'>(value) < value.size();
}

// Calls `each` for the items of a list. Most have one, which is told by what they do not have.
template <typename Each>
void for_each_item(std::string_view list, Each&& each) noexcept {
  if (find_mark<','>(list) == list.size()) {
    const auto item = trim(list);
    if (!item.empty()) each(item);
    return;
  }
  ListReader items(list);
  while (const auto item = items.next()) each(*item);
}

std::optional<nat::Ipv4Address> our_address(std::string_view text, const Translator& translator) noexcept {
  if (text.empty()) return std::nullopt;
  const auto address = nat::Ipv4Address::parse(text);
  return address && translator.is_ours(*address) ? address : std::nullopt;
}

// Where maddr says where to send instead of the host, the port goes with it (RFC 3261 sections 18.2.2
// and 19.1.1). A host of ours beside it names nobody who is asked, and is told as what only we can read if it
// is another one.
void rewrite_maddr(std::string_view maddr, nat::Ipv4Address address, const HostPort& host,
                   nat::Protocol protocol, std::uint16_t default_port, Place place,
                   Translator& translator) noexcept {
  const auto target = translator.counterpart(protocol, address, host, default_port, place);
  if (!target) return;
  const auto& tokens = translator.policy().tokens;
  if (host.address == address) {
    translator.replace_endpoint(host, *target, default_port);
  } else {
    if (host.address && translator.direction() == Direction::outbound && translator.is_ours(*host.address)) {
      translator.replace(host.host, tokens.name_of({*host.address, 1}).view());
    } else {
      (void)pass_name(host.host, translator);
    }
    translator.replace_port(host, *target, default_port);
  }
  translator.replace_address(maddr, target->endpoint.address);
}

void rewrite_header(const Header& header, std::string_view text, Translator& translator) noexcept;

// "?Replaces=...&Route=...": headers for the request that the URI makes (RFC 3261 section 19.1.1).
void rewrite_escaped_headers(std::string_view headers, Place place, Translator& translator) noexcept {
  const auto rule = translator.rule();
  for (std::size_t begin = 0; begin < headers.size();) {
    const auto end = find_mark<'&'>(headers, begin);
    const auto equals_sign = find_mark<'='>(slice(headers, begin, end)) + begin;
    if (equals_sign < end) {
      const auto id = header_id(slice(headers, begin, equals_sign));
      const auto value = translator.look_through(slice(headers, equals_sign + 1, end), place);
      rewrite_header({id, value}, value, translator);
      translator.look_at_message();
    }
    begin = end + 1;
  }
  translator.use(rule);
}

void rewrite_uri(std::string_view text, Place place, Translator& translator) noexcept {
  Uri uri;
  if (!take_uri_apart(text, uri) || uri.scheme == Scheme::other) return;
  const auto& host = uri.host_port;
  const bool is_ours = host.address && translator.is_ours(*host.address);
  if (!is_ours && !may_hold_ipv4(uri.params) && uri.headers.empty()) return;
  read_params(uri);
  if (const auto address = our_address(uri.maddr, translator)) {
    rewrite_maddr(uri.maddr, *address, host, uri.protocol, uri.default_port, place, translator);
  } else if (is_ours) {
    const auto target = translator.counterpart(uri.protocol, *host.address, host, uri.default_port, place);
    if (target) translator.replace_endpoint(host, *target, uri.default_port);
  }
  // Headers in a URI in headers in a URI are read by nobody.
  if (!uri.headers.empty() && !translator.looks_through())
    rewrite_escaped_headers(uri.headers, place, translator);
}

// `received` without a port of its own, beside a sent-by whose port is that of another endpoint: it is told
// as what only we can read, since the responses are for a proxy inside, which comes after us.
void rewrite_lone_received(const Via& via, nat::Ipv4Address address, Translator& translator) noexcept {
  if (translator.direction() == Direction::inbound) return;
  translator.replace(via.received, translator.policy().tokens.ipv6_of({address, 1}).view());
}

// Where answers go: received and rport when they are there, else sent-by (RFC 3261 section 18.2.2, RFC 3581).
// `received` without a port goes with the port of sent-by, which is translated with it when sent-by is no
// address; a port without `received` goes with the address of sent-by.
void rewrite_received(const Via& via, bool sent_by_replaced, Translator& translator) noexcept {
  if (via.received.empty() && via.rport.empty()) return;
  if (pass_ipv6(via.received, translator)) return;
  const auto rport = port_number(via.rport);
  const auto received = our_address(via.received, translator);
  const bool implied = via.received.empty() && rport && sent_by_replaced;
  const auto address = implied ? via.sent_by.address : received;
  if (!address) return;
  if (!rport && sent_by_replaced && *address != *via.sent_by.address) {
    return rewrite_lone_received(via, *address, translator);
  }
  HostPort port{
      .host = via.sent_by.host, .port = via.sent_by.port, .number = via.sent_by.number, .address = {}};
  if (rport) {
    port.port = via.rport;
    port.number = *rport;
  }
  const auto target = translator.counterpart(via.protocol, *address, port, via.default_port,
                                             rport ? Place::other_uri : Place::via);
  if (!target) return;
  if (!rport && !sent_by_replaced) translator.replace_port(via.sent_by, *target, via.default_port);
  if (received) translator.replace_address(via.received, target->endpoint.address);
  if (rport) translator.replace_number(via.rport, target->endpoint.port.host());
}

// Where `received` is of neither side of ours, who sent the request is beyond it, and numbers his hosts as he
// likes: a sent-by that looks like one of ours is not. In a response that comes in it can be our own word,
// seen from behind another NAT.
bool is_of_others(const Via& via, const Translator& translator) noexcept {
  if (via.received.empty()) return false;
  if (translator.direction() == Direction::inbound && translator.claim() == Claim::echoed) return false;
  const auto received = nat::Ipv4Address::parse(via.received);
  return received && !translator.is_inside(*received) && !translator.is_external(*received);
}

// Who has sent a request to a proxy inside from beyond, by the Vias behind that of its sender: he has put
// himself into Contact and Record-Route with the same words (RFC 3261 sections 8.1.1.8 and 16.6).
void note_others(const MessageView& message, Translator& translator) noexcept {
  bool is_senders = true;
  for (const auto& header : message.headers()) {
    if (header.id != HeaderId::via) continue;
    for_each_item(header.value, [&](std::string_view item) noexcept {
      Via via;
      if (std::exchange(is_senders, false) || !read_via(item, via)) return;
      if (via.sent_by.address && is_of_others(via, translator))
        translator.note_other({*via.sent_by.address, nat::Be16{via.sent_by.port_or(via.default_port)}});
    });
  }
}

void rewrite_via(std::string_view item, Translator& translator) noexcept {
  Via via;
  if (!read_via(item, via) || is_of_others(via, translator)) return;
  if (const auto address = our_address(via.maddr, translator)) {
    rewrite_maddr(via.maddr, *address, via.sent_by, via.protocol, via.default_port, Place::via, translator);
    const auto received = our_address(via.received, translator);
    if (received) return rewrite_lone_received(via, *received, translator);
    (void)pass_ipv6(via.received, translator);
    return;
  }
  bool sent_by_replaced = false;
  if (via.sent_by.address) {
    const auto target =
        translator.counterpart(via.protocol, *via.sent_by.address, via.sent_by, via.default_port, Place::via);
    if (target) {
      translator.replace_endpoint(via.sent_by, *target, via.default_port);
      sent_by_replaced = true;
    }
  }
  rewrite_received(via, sent_by_replaced, translator);
}

void rewrite_vias(std::string_view value, Translator& translator) noexcept {
  for_each_item(value, [&](std::string_view item) noexcept { rewrite_via(item, translator); });
}

void rewrite_addresses(std::string_view value, Place place, Translator& translator) noexcept {
  for_each_item(value, [&](std::string_view item) noexcept {
    NameAddr address;
    if (read_name_addr(item, address)) rewrite_uri(address.uri, place, translator);
  });
}

// Takes a header out of a text, with its name and its last line end.
void strip_header(const Header& header, std::string_view text, Translator& translator) noexcept {
  auto begin = static_cast<std::size_t>(header.value.data() - text.data());
  auto end = find_mark<'\n'>(text, begin + header.value.size());
  while (end + 1 < text.size() && is(text[end + 1], chars::kBlank)) end = find_mark<'\n'>(text, end + 1);
  // Between the name and the value there may be line ends; before the colon there is none.
  while (text[begin - 1] != ':') --begin;
  while (begin > 0 && text[begin - 1] != '\n') --begin;
  translator.replace(slice(text, begin, end + 1), {});
}

bool is_stripped(HeaderId id, const Translator& translator) noexcept {
  return id == HeaderId::p_asserted_identity && !translator.looks_through() &&
         translator.policy().strips_identity(translator.direction());
}

// In a fragment the line stays, or the one behind it could become its start line.
void rewrite_software(const Header& header, std::string_view text, Translator& translator) noexcept {
  if (translator.looks_through()) return;  // what a URI asks for, and nobody runs
  const bool is_of_message = text.data() == translator.message().data();
  if (is_of_message && translator.policy().software == Software::strip) {
    strip_header(header, text, translator);
  } else {
    hide_software(header.value, translator);
  }
}

// How a header is read.
enum class Content : std::uint8_t {
  nothing,
  vias,
  own_addresses,
  addresses,
  parties,  // addresses by which somebody is named
  party,    // From, To
  warnings,
  call_id,
  call_ids,
  dialog,
  event,
  software
};

struct Treatment {
  Content content = Content::nothing;
  Rule rule = Rule::other;
};

constexpr Treatment treatment_of(HeaderId id) noexcept {
  switch (id) {
    case HeaderId::via:
      return {Content::vias, Rule::via};
    case HeaderId::contact:
      return {Content::own_addresses, Rule::contact};
    case HeaderId::record_route:
      return {Content::own_addresses, Rule::record_route};
    case HeaderId::path:
      return {Content::own_addresses, Rule::path};
    case HeaderId::route:
      return {Content::addresses, Rule::route};
    case HeaderId::service_route:
      return {Content::addresses, Rule::service_route};
    case HeaderId::refer_to:
      return {Content::addresses, Rule::refer_to};
    case HeaderId::referred_by:
      return {Content::parties, Rule::referred_by};
    case HeaderId::reply_to:
      return {Content::addresses, Rule::reply_to};
    case HeaderId::p_asserted_identity:
      return {Content::parties, Rule::p_asserted_identity};
    case HeaderId::p_preferred_identity:
      return {Content::parties, Rule::p_preferred_identity};
    case HeaderId::p_associated_uri:
      return {Content::parties, Rule::p_associated_uri};
    case HeaderId::p_called_party_id:
      return {Content::parties, Rule::p_called_party_id};
    case HeaderId::p_served_user:
      return {Content::parties, Rule::p_served_user};
    case HeaderId::remote_party_id:
      return {Content::parties, Rule::remote_party_id};
    case HeaderId::diversion:
      return {Content::parties, Rule::diversion};
    case HeaderId::history_info:
      return {Content::parties, Rule::history_info};
    case HeaderId::also:
      return {Content::addresses, Rule::also};
    case HeaderId::alert_info:
      return {Content::addresses, Rule::alert_info};
    case HeaderId::call_info:
      return {Content::addresses, Rule::call_info};
    case HeaderId::error_info:
      return {Content::addresses, Rule::error_info};
    case HeaderId::warning:
      return {Content::warnings, Rule::warning};
    case HeaderId::from:
      return {Content::party, Rule::from};
    case HeaderId::to:
      return {Content::party, Rule::to};
    case HeaderId::call_id:
      return {Content::call_id, Rule::call_id};
    case HeaderId::replaces:
      return {Content::dialog, Rule::replaces};
    case HeaderId::join:
      return {Content::dialog, Rule::join};
    case HeaderId::target_dialog:
      return {Content::dialog, Rule::target_dialog};
    case HeaderId::in_reply_to:
      return {Content::call_ids, Rule::in_reply_to};
    case HeaderId::event:
      return {Content::event, Rule::event};
    case HeaderId::user_agent:
      return {Content::software, Rule::user_agent};
    case HeaderId::server:
      return {Content::software, Rule::server};
    case HeaderId::other:
    case HeaderId::cseq:
    case HeaderId::identity:
    case HeaderId::expires:
    case HeaderId::session_expires:
    case HeaderId::rseq:
    case HeaderId::content_type:
    case HeaderId::content_encoding:
    case HeaderId::content_length:
      break;
  }
  return {};
}

constexpr auto kTreatments = [] {
  std::array<Treatment, kHeaderIds> table;
  for (std::size_t id = 0; id < kHeaderIds; ++id) table[id] = treatment_of(static_cast<HeaderId>(id));
  return table;
}();

template <typename... Contents>
consteval HeaderSet all_with(Contents... contents) noexcept {
  HeaderSet set = 0;
  for (std::size_t id = 0; id < kHeaderIds; ++id) {
    if (((kTreatments[id].content == contents) || ...)) set |= header_bit(static_cast<HeaderId>(id));
  }
  return set;
}
constexpr HeaderSet kAddresses =
    all_with(Content::vias, Content::own_addresses, Content::addresses, Content::parties);
constexpr HeaderSet kPartyNames = all_with(Content::party, Content::warnings);
constexpr HeaderSet kCallIds = all_with(Content::call_id, Content::call_ids, Content::dialog, Content::event);
constexpr HeaderSet kSoftware = all_with(Content::software);
// Whose addresses may be those of others, copied from a message that came in.
constexpr HeaderSet kParties = all_with(Content::parties);

// What a response repeats of its request (RFC 3261 sections 8.2.6.2 and 12.1.1, RFC 3327 section 5.3), and a
// request of what its sender was told the way by (RFC 3261 section 12.2.1.1, RFC 3608 section 6.1). The
// contacts that a registrar or a redirect server answers with are what others have told it.
HeaderSet echoes_in(const MessageView& message) noexcept {
  if (message.is_request()) return header_bit(HeaderId::route);
  const bool lists_contacts = message.method() == Method::register_ || message.status() / 100 == 3;
  return header_bit(HeaderId::via) | header_bit(HeaderId::record_route) | header_bit(HeaderId::path) |
         (lists_contacts ? header_bit(HeaderId::contact) : 0);
}

// What there may be something to change in, by the policy for the way of the message.
HeaderSet treated_by(const Translator& translator) noexcept {
  const auto& policy = translator.policy();
  HeaderSet kinds = kAddresses;
  if (policy.hide_parties) kinds |= kPartyNames;
  if (policy.hide_call_id) kinds |= kCallIds;
  if (policy.hides_software(translator.direction())) kinds |= kSoftware;
  return kinds;
}

// One header that is treated.
// \param text that it stands in
void rewrite_treated(const Header& header, std::string_view text, Translator& translator) noexcept {
  const auto treatment = kTreatments[static_cast<std::size_t>(header.id)];
  if (is_stripped(header.id, translator)) {
    translator.use(treatment.rule);
    return strip_header(header, text, translator);
  }
  if ((kAddresses & header_bit(header.id)) != 0 && !may_be_translated(header.value)) return;
  translator.use(treatment.rule);
  switch (treatment.content) {
    case Content::nothing:
      break;
    case Content::vias:
      return rewrite_vias(header.value, translator);
    case Content::own_addresses:
      return rewrite_addresses(header.value, Place::own_uri, translator);
    case Content::addresses:
      return rewrite_addresses(header.value, Place::other_uri, translator);
    case Content::parties:
      return rewrite_addresses(header.value, Place::party_uri, translator);
    case Content::warnings:
      return hide_warning_agents(header.value, translator);
    case Content::party:
      return hide_party(header.value, translator);
    case Content::call_id:
      return hide_call_id(header.value, translator);
    case Content::call_ids:
      return hide_call_ids(header.value, translator);
    case Content::dialog:
      return hide_dialog(header.value, translator);
    case Content::event:
      return hide_event(header.value, translator);
    case Content::software:
      return rewrite_software(header, text, translator);
  }
}

// One header, of a message or of a part of one that is like a message.
void rewrite_header(const Header& header, std::string_view text, Translator& translator) noexcept {
  if ((treated_by(translator) & header_bit(header.id)) != 0) rewrite_treated(header, text, translator);
}

void rewrite_all_in(HeaderSet kinds, const MessageView& message, Translator& translator) noexcept {
  kinds &= treated_by(translator);
  if (!message.has_any(kinds)) return;
  for (const auto& header : message.headers()) {
    if ((kinds & header_bit(header.id)) != 0) rewrite_treated(header, translator.message(), translator);
  }
}

// "INVITE sip:bob@example.com SIP/2.0"; empty when the line is none of these.
std::string_view request_uri_of(std::string_view line) noexcept {
  const auto method_end = skip(line, 0, chars::kToken);
  const auto version = line.rfind(' ');
  if (method_end == 0 || method_end == line.size() || line[method_end] != ' ' ||
      version == std::string_view::npos || version <= method_end) {
    return {};
  }
  const bool is_sip = version + 5 <= line.size() && equals(slice(line, version, version + 5), " sip/");
  return is_sip ? trim(slice(line, method_end, version)) : std::string_view{};
}

}  // namespace

void rewrite_headers(const MessageView& message, Translator& translator) noexcept {
  if (message.is_request() && translator.direction() == Direction::outbound) note_others(message, translator);
  rewrite_all_in(~(echoes_in(message) | kParties), message, translator);
}

void rewrite_parties(const MessageView& message, Translator& translator) noexcept {
  rewrite_all_in(kParties, message, translator);
}

void rewrite_echoes(const MessageView& message, Translator& translator) noexcept {
  translator.take_for(Claim::echoed);
  if (message.is_request()) rewrite_request_uri(message.request_uri(), translator);
  rewrite_all_in(echoes_in(message), message, translator);
  translator.take_for(Claim::own);
}

void rewrite_request_uri(std::string_view uri, Translator& translator) noexcept {
  if (!may_be_translated(uri)) return;
  translator.use(Rule::request_uri);
  rewrite_uri(uri, Place::other_uri, translator);
}

void rewrite_fragment(std::string_view text, Translator& translator) noexcept {
  const auto line_end = std::min(text.find('\n'), text.size());
  const auto uri = request_uri_of(trim(slice(text, 0, line_end)));
  translator.take_for(Claim::echoed);
  if (!uri.empty()) rewrite_request_uri(uri, translator);
  // The start line is no header that is translated.
  HeaderReader reader(text);
  Header header;
  while (reader.next(header)) rewrite_header(header, text, translator);
  translator.take_for(Claim::own);
}

}  // namespace pinhole::alg::sip
