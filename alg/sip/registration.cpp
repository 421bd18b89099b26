// SPDX-License-Identifier: BSD-3-Clause
#include "alg/sip/registration.hpp"

#include "alg/sip/chars.hpp"
#include "alg/sip/values.hpp"

namespace pinhole::alg::sip {

namespace {

std::uint32_t expires_of(const NameAddr& contact, std::uint32_t otherwise) noexcept {
  const auto param = find_param(contact.params, "expires");
  return param ? number(param->value).value_or(kDefaultExpires_s) : otherwise;
}

// The external endpoint that a contact of ours names.
std::optional<nat::Endpoint> external_endpoint(const Uri& uri) noexcept {
  if (!uri.host_port.address) return std::nullopt;
  return nat::Endpoint{*uri.host_port.address, nat::Be16{uri.host_port.port_or(uri.default_port)}};
}

}  // namespace

void grant_bindings(const MessageView& view, Translator& translator) noexcept {
  const bool granted = translator.direction() == Direction::inbound && view.method() == Method::register_ &&
                       view.status() >= 200 && view.status() < 300;
  if (!granted) return;
  const auto& flow = translator.flow();
  Binding binding;
  const auto to = parse_name_addr(view.value(HeaderId::to));
  if (to) binding.aor = without_params(to->uri);
  binding.registrar = flow.remote;
  const auto expires_text = view.value(HeaderId::expires);
  const auto expires_s = number(expires_text).value_or(kDefaultExpires_s);

  bool of_the_asker = false;
  for (const auto& header : view.headers()) {
    if (header.id != HeaderId::contact) continue;
    ListReader items(header.value);
    while (const auto item = items.next()) {
      const auto contact = parse_name_addr(*item);
      const auto uri = contact ? parse_uri(contact->uri) : std::nullopt;
      const auto external = uri ? external_endpoint(*uri) : std::nullopt;
      const auto inside = external ? translator.counterpart(uri->protocol, *external) : std::nullopt;
      if (!inside) continue;
      binding.protocol = uri->protocol;
      binding.inside = *inside;
      binding.external = *external;
      binding.expires_s = expires_of(*contact, expires_s);
      translator.host().grant(binding);
      of_the_asker = of_the_asker || inside->address == flow.inside.address;
    }
  }
  if (of_the_asker) return;
  binding.protocol = flow.protocol;
  binding.inside = flow.inside;
  binding.external = flow.external;
  binding.expires_s = 0;
  translator.host().grant(binding);
}

}  // namespace pinhole::alg::sip
