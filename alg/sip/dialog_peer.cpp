// SPDX-License-Identifier: BSD-3-Clause
#include "alg/sip/dialog_peer.hpp"

#include <optional>

#include "alg/sip/values.hpp"

namespace pinhole::alg::sip {

namespace {

std::optional<nat::Endpoint> first_endpoint(std::string_view list) noexcept {
  const auto uri = parse_uri(first_uri(list));
  if (!uri || !uri->host_port.address) return std::nullopt;
  return nat::Endpoint{*uri->host_port.address, nat::Be16{uri->host_port.port_or(uri->default_port)}};
}

// Of the proxies that an answer from outside lists, the one that sends to us what comes from its sender: a
// request puts the first that it comes to at the end, behind the proxies inside (RFC 3261 section 16.6).
std::string_view nearest_route(const MessageView& view, const Translator& translator) noexcept {
  std::string_view nearest;
  for (const auto& header : view.headers()) {
    if (header.id != HeaderId::record_route) continue;
    ListReader items(header.value);
    while (const auto item = items.next()) {
      const auto proxy = first_endpoint(*item);
      if (!proxy || !translator.is_external(proxy->address)) nearest = *item;
    }
  }
  return nearest;
}

bool is_accepted(const MessageView& view) noexcept {
  return view.status() >= 200 && view.status() < 300;
}

void list_routes(const MessageView& view, DialogFacts& facts) noexcept {
  for (const auto& header : view.headers()) {
    if (header.id != HeaderId::record_route) continue;
    ListReader items(header.value);
    while (const auto item = items.next()) {
      if (facts.route_count == facts.routes.size()) {
        facts.too_many_routes = true;
        return;
      }
      facts.routes[facts.route_count++] = *item;
    }
  }
}

}  // namespace

void tell_dialog_peer(const MessageView& view, Translator& translator) noexcept {
  if (translator.direction() != Direction::inbound) return;
  const auto method = view.method();
  const bool invites = view.is_request() && method == Method::invite;
  const bool is_subscribed = is_accepted(view) && (method == Method::subscribe || method == Method::refer);
  if (!invites && !is_subscribed) return;
  const auto route = invites ? view.value(HeaderId::record_route) : nearest_route(view, translator);
  const auto peer = first_endpoint(route.empty() ? view.value(HeaderId::contact) : route);
  if (peer) translator.host().expect_signalling_from(*peer);
}

void tell_dialog(const MessageView& view, Host& host) noexcept {
  const bool is_target_refresh = view.method() == Method::invite || view.method() == Method::update;
  if (!is_target_refresh || !(view.is_request() || is_accepted(view))) return;
  DialogFacts facts;
  facts.call_id = view.value(HeaderId::call_id);
  facts.contact = first_uri(view.value(HeaderId::contact));
  if (!view.value(HeaderId::record_route).empty()) list_routes(view, facts);
  host.tell_dialog(facts);
}

}  // namespace pinhole::alg::sip
