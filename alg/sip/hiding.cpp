// SPDX-License-Identifier: BSD-3-Clause
#include "alg/sip/hiding.hpp"

#include <algorithm>
#include <optional>

#include "alg/sip/chars.hpp"
#include "alg/sip/scan.hpp"
#include "alg/sip/values.hpp"

namespace pinhole::alg::sip {

namespace {

// The host of "word@host" or "word@host:port"; empty when there is none.
std::string_view host_of_call_id(std::string_view call_id) noexcept {
  const auto at = find_mark<'@'>(call_id);
  if (at == call_id.size() || call_id.size() > InsideCallId::kMaxSize) return {};
  return slice(call_id, at + 1, find_mark<':'>(call_id, at + 1));
}

void hide_host(std::string_view host, Translator& translator) noexcept {
  if (translator.direction() == Direction::inbound) {
    if (const auto address = translator.hidden_behind(host)) translator.replace_address(host, *address);
    return;
  }
  const auto address = nat::Ipv4Address::parse(host);
  if (!address || !translator.is_inside(*address)) return;
  translator.replace(host, translator.policy().tokens.name_of(*address).view());
}

}  // namespace

void hide_party(std::string_view value, Translator& translator) noexcept {
  const auto party = parse_name_addr(value);
  const auto uri = party ? parse_uri(party->uri) : std::nullopt;
  if (uri && uri->scheme != Scheme::other) hide_host(uri->host_port.host, translator);
}

void hide_warning_agents(std::string_view value, Translator& translator) noexcept {
  ListReader items(value);
  while (const auto item = items.next()) {
    const auto begin = skip(*item, skip(*item, 0, chars::kDigit), chars::kSpace);
    std::size_t size = 0;
    if (const auto agent = parse_host_port(slice(*item, begin), size)) hide_host(agent->host, translator);
  }
}

void hide_call_id(std::string_view value, Translator& translator) noexcept {
  hide_host(host_of_call_id(trim(slice(value, 0, find_mark<';'>(value)))), translator);
}

void hide_call_ids(std::string_view value, Translator& translator) noexcept {
  for (std::size_t begin = 0; begin < value.size();) {
    const auto end = find_mark<','>(value, begin);
    hide_host(host_of_call_id(trim(slice(value, begin, end))), translator);
    begin = end + 1;
  }
}

std::string_view InsideCallId::of(std::string_view call_id, const Translator& translator) noexcept {
  if (!translator.policy().hide_call_id) return call_id;
  const auto host = host_of_call_id(call_id);
  const auto address = translator.hidden_behind(host);
  if (!address) return call_id;
  // An address is shorter than its token, so that what fitted once fits now.
  const nat::EndpointText inside(*address);
  char* to = std::copy(call_id.data(), host.data(), text_.data());
  to = std::copy(inside.view().begin(), inside.view().end(), to);
  to = std::copy(host.data() + host.size(), call_id.data() + call_id.size(), to);
  return {text_.data(), static_cast<std::size_t>(to - text_.data())};
}

}  // namespace pinhole::alg::sip
