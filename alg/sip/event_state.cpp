// SPDX-License-Identifier: BSD-3-Clause
#include "alg/sip/event_state.hpp"

#include "alg/sip/chars.hpp"
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

void rewrite_uri(std::string_view text, Translator& translator) noexcept {
  Uri uri;
  if (!take_uri_apart(text, uri)) return;
  const auto& host = uri.host_port;
  if (!host.address || !translator.is_ours(*host.address)) return;
  read_params(uri);
  const nat::Endpoint endpoint{*host.address, nat::Be16{host.port_or(uri.default_port)}};
  const auto& flow = translator.flow();
  const auto& own = translator.direction() == Direction::outbound ? flow.inside : flow.external;
  // All others pass unasked: a body has room for thousands of URIs, each of which another worker might own.
  if (uri.protocol != flow.protocol || endpoint != own) return;
  const auto target =
      translator.counterpart(uri.protocol, *host.address, host, uri.default_port, Place::other_uri);
  if (target) translator.replace_endpoint(host, *target, uri.default_port);
}

}  // namespace

void rewrite_event_state(std::string_view text, Translator& translator) noexcept {
  if (!may_hold_ipv4(text)) return;
  translator.use(Rule::event_state);
  for (auto colon = find_mark<':'>(text); colon < text.size();) {
    auto next = colon + 1;
    const auto begin = scheme_begin(text, colon);
    if (begin < colon) {
      // In an attribute, in an element, or in running text; what follows "&amp;" are more headers of the URI.
      next = find_mark<'"', '\'', '<', '>', '&', ' ', '\t', '\r', '\n'>(text, next);
      rewrite_uri(slice(text, begin, next), translator);
    }
    colon = find_mark<':'>(text, next);
  }
}

}  // namespace pinhole::alg::sip
