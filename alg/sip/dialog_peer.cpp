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
  const bool invites = view.is_request() && view.method() == Method::invite;
  if (translator.direction() != Direction::inbound || !invites) return;
  const auto route = view.value(HeaderId::record_route);
  const auto peer = first_endpoint(route.empty() ? view.value(HeaderId::contact) : route);
  if (peer) translator.host().expect_signalling_from(*peer);
}

void tell_dialog(const MessageView& view, Host& host) noexcept {
  const bool is_target_refresh = view.method() == Method::invite || view.method() == Method::update;
  const bool is_accepted = view.status() >= 200 && view.status() < 300;
  if (!is_target_refresh || !(view.is_request() || is_accepted)) return;
  DialogFacts facts;
  facts.call_id = view.value(HeaderId::call_id);
  facts.contact = first_uri(view.value(HeaderId::contact));
  if (!view.value(HeaderId::record_route).empty()) list_routes(view, facts);
  host.tell_dialog(facts);
}

}  // namespace pinhole::alg::sip
