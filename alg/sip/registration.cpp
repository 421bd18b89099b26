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

/// The endpoint of ours that a Contact or Path of a response names.
struct Ours {
  NameAddr item;
  nat::Protocol protocol = nat::Protocol::udp;
  nat::Endpoint inside;
  nat::Endpoint external;
};

std::optional<Ours> ours_in(std::string_view item, Translator& translator) noexcept {
  const auto address = parse_name_addr(item);
  const auto uri = address ? parse_uri(address->uri) : std::nullopt;
  const auto external = uri ? external_endpoint(*uri) : std::nullopt;
  const auto inside = external ? translator.counterpart(uri->protocol, *external) : std::nullopt;
  if (!inside) return std::nullopt;
  return Ours{*address, uri->protocol, *inside, *external};
}

// The proxies inside by which the registrar sends what is for the contacts (RFC 3327 section 5.3).
void tell_paths(const MessageView& view, Translator& translator) noexcept {
  if (!view.has_any(header_bit(HeaderId::path))) return;
  for (const auto& header : view.headers()) {
    if (header.id != HeaderId::path) continue;
    ListReader items(header.value);
    while (const auto item = items.next()) {
      if (const auto proxy = ours_in(*item, translator))
        translator.host().expect_requests_at(proxy->protocol, proxy->inside);
    }
  }
}

// Where the registrar has seen the REGISTER come from (RFC 3261 section 18.2.1, RFC 3581).
std::optional<nat::Endpoint> source_seen(const MessageView& view) noexcept {
  const auto first = ListReader(view.value(HeaderId::via)).next();
  const auto via = first ? parse_via(*first) : std::nullopt;
  const auto address = via ? nat::Ipv4Address::parse(via->received) : std::nullopt;
  if (!address) return std::nullopt;
  const auto port = port_number(via->rport).value_or(via->sent_by.port_or(via->default_port));
  return nat::Endpoint{*address, nat::Be16{port}};
}

// For how long the contact of the host that asked is granted, where none of ours is listed. Behind another
// NAT a registrar, or the host itself, may write what that one made of it. 0: it is not listed either.
std::uint32_t granted_as_seen(const MessageView& view, std::uint32_t otherwise) noexcept {
  const auto source = source_seen(view);
  if (!source) return 0;
  for (const auto& header : view.headers()) {
    if (header.id != HeaderId::contact) continue;
    ListReader items(header.value);
    while (const auto item = items.next()) {
      const auto contact = parse_name_addr(*item);
      const auto uri = contact ? parse_uri(contact->uri) : std::nullopt;
      if (uri && external_endpoint(*uri) == source) return expires_of(*contact, otherwise);
    }
  }
  return 0;
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

  tell_paths(view, translator);
  bool of_the_asker = false;
  for (const auto& header : view.headers()) {
    if (header.id != HeaderId::contact) continue;
    ListReader items(header.value);
    while (const auto item = items.next()) {
      const auto contact = ours_in(*item, translator);
      if (!contact) continue;
      binding.protocol = contact->protocol;
      binding.inside = contact->inside;
      binding.external = contact->external;
      binding.expires_s = expires_of(contact->item, expires_s);
      translator.host().grant(binding);
      of_the_asker = of_the_asker || contact->inside.address == flow.inside.address;
    }
  }
  if (of_the_asker) return;
  binding.protocol = flow.protocol;
  binding.inside = flow.inside;
  binding.external = flow.external;
  binding.expires_s = granted_as_seen(view, expires_s);
  translator.host().grant(binding);
}

}  // namespace pinhole::alg::sip
