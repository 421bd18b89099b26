// SPDX-License-Identifier: BSD-3-Clause
#include "alg/sip/header_rewrite.hpp"

#include <optional>

#include "alg/sip/chars.hpp"
#include "alg/sip/values.hpp"

namespace pinhole::alg::sip {

namespace {

std::optional<nat::Ipv4Address> our_address(std::string_view text, const Translator& translator) noexcept {
  const auto address = nat::Ipv4Address::parse(text);
  return address && translator.is_ours(*address) ? address : std::nullopt;
}

// maddr says where to send instead of the host, with the URI's port (RFC 3261 section 19.1.1): the port goes
// with it.
void rewrite_maddr(const Uri& uri, std::string_view maddr, nat::Ipv4Address address,
                   Translator& translator) noexcept {
  const auto port = uri.host_port.port_or(uri.default_port);
  const auto target = translator.counterpart(uri.protocol, {address, nat::Be16{port}});
  if (!target) return;
  translator.replace_address(maddr, target->address);
  if (uri.host_port.address && translator.is_ours(*uri.host_port.address)) {
    translator.replace_endpoint(uri.host_port, *target, uri.default_port);
  } else {
    translator.replace_port(uri.host_port, target->port.host(), uri.default_port);
  }
}

void rewrite_uri(std::string_view text, Translator& translator) noexcept {
  const auto uri = parse_uri(text);
  if (!uri || uri->scheme == Scheme::other) return;
  if (const auto maddr = find_param(uri->params, "maddr")) {
    if (const auto address = our_address(maddr->value, translator)) {
      rewrite_maddr(*uri, maddr->value, *address, translator);
      return;
    }
  }
  if (!uri->host_port.address) return;
  const auto port = uri->host_port.port_or(uri->default_port);
  const auto target = translator.counterpart(uri->protocol, {*uri->host_port.address, nat::Be16{port}});
  if (target) translator.replace_endpoint(uri->host_port, *target, uri->default_port);
}

// Where answers go: received and rport when they are there, else sent-by (RFC 3261 section 18.2.2, RFC 3581).
// `received` without a port goes with the port of sent-by, which is translated with it when sent-by is no
// address; a port without `received` goes with the address of sent-by.
void rewrite_received(const Via& via, bool sent_by_replaced, Translator& translator) noexcept {
  const auto rport = port_number(via.rport);
  const auto received = our_address(via.received, translator);
  const bool implied = via.received.empty() && rport && sent_by_replaced;
  const auto address = implied ? via.sent_by.address : received;
  if (!address) return;
  const auto port = rport.value_or(via.sent_by.port_or(via.default_port));
  const auto target = translator.counterpart(via.protocol, {*address, nat::Be16{port}});
  if (!target) return;
  if (received) translator.replace_address(via.received, target->address);
  if (rport) {
    translator.replace_number(via.rport, target->port.host());
  } else if (!sent_by_replaced) {
    translator.replace_port(via.sent_by, target->port.host(), via.default_port);
  }
}

void rewrite_via(std::string_view item, Translator& translator) noexcept {
  const auto via = parse_via(item);
  if (!via) return;
  const nat::Be16 port{via->sent_by.port_or(via->default_port)};
  bool sent_by_replaced = false;
  if (via->sent_by.address) {
    if (const auto target = translator.counterpart(via->protocol, {*via->sent_by.address, port})) {
      translator.replace_endpoint(via->sent_by, *target, via->default_port);
      sent_by_replaced = true;
    }
  }
  rewrite_received(*via, sent_by_replaced, translator);
  if (const auto maddr = our_address(via->maddr, translator)) {
    const auto target = translator.counterpart(via->protocol, {*maddr, port});
    if (target) translator.replace_address(via->maddr, target->address);
  }
}

void rewrite_addresses(std::string_view value, Translator& translator) noexcept {
  ListReader items(value);
  while (const auto item = items.next()) {
    if (const auto address = parse_name_addr(*item)) rewrite_uri(address->uri, translator);
  }
}

void rewrite_vias(std::string_view value, Translator& translator) noexcept {
  ListReader items(value);
  while (const auto item = items.next()) rewrite_via(*item, translator);
}

// The rule by which a header is translated; none for those that are left alone.
std::optional<Rule> rule_of(HeaderId id) noexcept {
  switch (id) {
    case HeaderId::via:
      return Rule::via;
    case HeaderId::contact:
      return Rule::contact;
    case HeaderId::record_route:
      return Rule::record_route;
    case HeaderId::route:
      return Rule::route;
    case HeaderId::path:
      return Rule::path;
    case HeaderId::service_route:
      return Rule::service_route;
    case HeaderId::refer_to:
      return Rule::refer_to;
    case HeaderId::referred_by:
      return Rule::referred_by;
    case HeaderId::reply_to:
      return Rule::reply_to;
    case HeaderId::p_asserted_identity:
      return Rule::p_asserted_identity;
    case HeaderId::p_preferred_identity:
      return Rule::p_preferred_identity;
    case HeaderId::remote_party_id:
      return Rule::remote_party_id;
    case HeaderId::diversion:
      return Rule::diversion;
    case HeaderId::other:
    case HeaderId::from:
    case HeaderId::to:
    case HeaderId::call_id:
    case HeaderId::cseq:
    case HeaderId::expires:
    case HeaderId::session_expires:
    case HeaderId::content_type:
    case HeaderId::content_encoding:
    case HeaderId::content_length:
      break;
  }
  return std::nullopt;
}

}  // namespace

void rewrite_headers(const MessageView& message, Translator& translator) noexcept {
  if (message.is_request()) {
    translator.use(Rule::request_uri);
    rewrite_uri(message.request_uri(), translator);
  }
  for (const auto& header : message.headers()) {
    const auto rule = rule_of(header.id);
    if (!rule) continue;
    translator.use(*rule);
    if (header.id == HeaderId::via) {
      rewrite_vias(header.value, translator);
    } else {
      rewrite_addresses(header.value, translator);
    }
  }
}

}  // namespace pinhole::alg::sip
