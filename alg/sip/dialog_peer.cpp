// SPDX-License-Identifier: BSD-3-Clause
#include "alg/sip/dialog_peer.hpp"

#include <optional>

#include "alg/sip/values.hpp"

namespace pinhole::alg::sip {

namespace {

std::optional<nat::Endpoint> first_endpoint(std::string_view list) noexcept {
  const auto item = ListReader(list).next();
  const auto name_addr = item ? parse_name_addr(*item) : std::nullopt;
  const auto uri = name_addr ? parse_uri(name_addr->uri) : std::nullopt;
  if (!uri || !uri->host_port.address) return std::nullopt;
  return nat::Endpoint{*uri->host_port.address, nat::Be16{uri->host_port.port_or(uri->default_port)}};
}

}  // namespace

void tell_dialog_peer(const MessageView& view, Translator& translator) noexcept {
  const bool invites = view.is_request() && view.method() == Method::invite;
  if (translator.direction() != Direction::inbound || !invites) return;
  const auto route = view.value(HeaderId::record_route);
  const auto peer = first_endpoint(route.empty() ? view.value(HeaderId::contact) : route);
  if (peer) translator.host().expect_signalling_from(*peer);
}

}  // namespace pinhole::alg::sip
