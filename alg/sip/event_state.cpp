// SPDX-License-Identifier: BSD-3-Clause
#include "alg/sip/event_state.hpp"

#include "alg/sip/chars.hpp"
#include "alg/sip/hiding.hpp"
#include "alg/sip/scan.hpp"
#include "alg/sip/uri.hpp"

namespace pinhole::alg::sip {

namespace {

// Where the scheme before a colon begins; the colon itself when it is neither sip nor sips, or the end of a
// longer word.
std::size_t scheme_begin(std::string_view text, std::size_t colon) noexcept {
  std::size_t begin = colon;
  while (begin > 0 && colon - begin < 5 && is(text[begin - 1], chars::kHost)) --begin;
  const auto scheme = slice(text, begin, colon);
  return equals(scheme, "sip") || equals(scheme, "sips") ? begin : colon;
}

// What stands for an endpoint of the host itself. All others pass unasked: a body has room for thousands of
// URIs, each of which another worker might own.
Lookup find_own(nat::Protocol protocol, nat::Endpoint endpoint, Translator& translator) noexcept {
  auto& host = translator.host();
  if (translator.direction() == Direction::inbound) return host.own_inside_of(protocol, endpoint);
  if (endpoint.address != translator.flow().inside.address) return {};
  const auto found = host.external_of(protocol, endpoint, Written::anyhow, Claim::echoed);
  if (found.state != LookupState::none) return found;
  // Whoever speaks TCP leaves `transport` out as often as not.
  const bool is_udp = protocol == nat::Protocol::udp;
  return host.external_of(is_udp ? nat::Protocol::tcp : nat::Protocol::udp, endpoint, Written::anyhow,
                          Claim::echoed);
}

void rewrite_uri(std::string_view text, Translator& translator) noexcept {
  Uri uri;
  if (!take_uri_apart(text, uri)) return;
  const auto& host = uri.host_port;
  if (translator.given_up() || !host.address || !translator.is_ours(*host.address)) return;
  read_params(uri);
  const nat::Endpoint endpoint{*host.address, nat::Be16{host.port_or(uri.default_port)}};
  const auto found = find_own(uri.protocol, endpoint, translator);
  if (!translator.note(found.state)) return;
  translator.replace_endpoint(host, {found.endpoint, found.portless.in_uri}, uri.default_port);
}

// \return where to go on
std::size_t rewrite_uri_at(std::string_view text, std::size_t colon, Translator& translator) noexcept {
  const auto begin = scheme_begin(text, colon);
  if (begin == colon) return colon + 1;
  // In an attribute, in an element, or in running text; what follows "&amp;" are more headers of the URI.
  const auto end = find_mark<'"', '\'', '<', '>', '&', ' ', '\t', '\r', '\n'>(text, colon + 1);
  translator.use(Rule::event_state);
  rewrite_uri(slice(text, begin, end), translator);
  return end;
}

// `call-id="1a2b@10.0.0.5"`, by which a dialog is picked up: who does so writes it into Replaces.
// \return where to go on
std::size_t hide_call_id_at(std::string_view text, std::size_t equals_sign, Translator& translator) noexcept {
  constexpr std::string_view kName = "call-id";
  auto end = equals_sign;
  while (end > 0 && is(text[end - 1], chars::kSpace)) --end;
  const bool is_call_id = end > kName.size() && slice(text, end - kName.size(), end) == kName &&
                          is(text[end - kName.size() - 1], chars::kSpace);
  const auto quote = skip(text, equals_sign + 1, chars::kSpace);
  if (!is_call_id || quote == text.size()) return equals_sign + 1;
  const auto close = text.find(text[quote], quote + 1);
  if ((text[quote] != '"' && text[quote] != '\'') || close == std::string_view::npos) return equals_sign + 1;
  translator.use(Rule::call_id);
  hide_call_id(slice(text, quote + 1, close), translator);
  return close;
}

}  // namespace

void rewrite_event_state(std::string_view text, Translator& translator) noexcept {
  const bool hides = translator.policy().hide_call_id;
  if (!hides && !may_hold_ipv4(text)) return;
  for (auto at = find_mark<':', '='>(text); at < text.size(); at = find_mark<':', '='>(text, at)) {
    if (text[at] == ':') {
      at = rewrite_uri_at(text, at, translator);
    } else {
      at = hides ? hide_call_id_at(text, at, translator) : at + 1;
    }
  }
}

}  // namespace pinhole::alg::sip
