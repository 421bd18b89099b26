// SPDX-License-Identifier: BSD-3-Clause
#include "alg/sip/translator.hpp"

#include <algorithm>

#include "alg/sip/line_builder.hpp"

namespace pinhole::alg::sip {

std::optional<nat::Endpoint> Translator::counterpart(nat::Protocol protocol,
                                                     nat::Endpoint endpoint) noexcept {
  if (given_up() || !is_ours(endpoint.address)) return std::nullopt;
  const auto lookup = direction() == Direction::outbound ? host_.external_of(protocol, endpoint)
                                                         : host_.inside_of(protocol, endpoint);
  if (!note(lookup.state)) return std::nullopt;
  return lookup.endpoint;
}

bool Translator::note(LookupState state) noexcept {
  switch (state) {
    case LookupState::found:
      return true;
    case LookupState::none:
      return false;
    case LookupState::wait:
      outcome_ = std::max(outcome_, Outcome::wait);
      return false;
    case LookupState::exhausted:
      outcome_ = std::max(outcome_, Outcome::no_port);
      return false;
  }
  return false;
}

void Translator::replace(std::string_view token, std::string_view text) noexcept {
  if (token == text) return;
  const auto offset = static_cast<std::size_t>(token.data() - message_.bytes.data());
  if (!edits_.replace(offset, token.size(), text, rule_)) refuse();
}

void Translator::insert(const char* place, std::string_view text) noexcept {
  replace({place, 0}, text);
}

void Translator::replace_address(std::string_view token, nat::Ipv4Address address) noexcept {
  replace(token, nat::EndpointText(address).view());
}

void Translator::replace_number(std::string_view token, std::uint32_t value) noexcept {
  replace(token, LineBuilder<10>().number(value).view());
}

void Translator::replace_endpoint(const HostPort& token, nat::Endpoint endpoint,
                                  std::uint16_t default_port) noexcept {
  if (endpoint.port.host() == token.port_or(default_port)) {
    replace_address(token.host, endpoint.address);
  } else {
    const auto* const end =
        token.port.empty() ? token.host.data() + token.host.size() : token.port.data() + token.port.size();
    replace({token.host.data(), static_cast<std::size_t>(end - token.host.data())},
            nat::EndpointText(endpoint).view());
  }
}

void Translator::replace_port(const HostPort& token, std::uint16_t port,
                              std::uint16_t default_port) noexcept {
  if (port == token.port_or(default_port)) return;
  if (token.port.empty()) {
    insert(token.host.data() + token.host.size(), LineBuilder<6>().text(":").number(port).view());
  } else {
    replace_number(token.port, port);
  }
}

}  // namespace pinhole::alg::sip
