// SPDX-License-Identifier: BSD-3-Clause
#include "alg/sip/uri.hpp"

#include <algorithm>

#include "alg/sip/chars.hpp"
#include "alg/sip/values.hpp"

namespace pinhole::alg::sip {

namespace {

// Where the host of a sip URI begins. "@" is escaped in users, parameters and headers alike, and a user may
// hold
// ";" and "?": the first "@" ends the user (RFC 3261 section 25.1).
std::size_t host_begin(std::string_view text, std::size_t after_scheme) noexcept {
  const auto at = text.find('@', after_scheme);
  return at == std::string_view::npos ? after_scheme : at + 1;
}

Scheme scheme_of(std::string_view text) noexcept {
  if (equals(text, "sip")) return Scheme::sip;
  if (equals(text, "sips")) return Scheme::sips;
  return Scheme::other;
}

}  // namespace

std::uint16_t HostPort::port_or(std::uint16_t default_port) const noexcept {
  return port_number(port).value_or(default_port);
}

std::optional<HostPort> parse_host_port(std::string_view text, std::size_t& end) noexcept {
  HostPort result;
  if (!text.empty() && text.front() == '[') {
    const auto close = text.find(']');
    if (close == std::string_view::npos) return std::nullopt;
    end = close + 1;
  } else {
    end = skip(text, 0, chars::kHost);
  }
  if (end == 0) return std::nullopt;
  result.host = slice(text, 0, end);
  result.address = nat::Ipv4Address::parse(result.host);
  const auto colon = skip(text, end, chars::kSpace);
  if (colon == text.size() || text[colon] != ':') return result;
  const auto begin = skip(text, colon + 1, chars::kSpace);
  end = skip(text, begin, chars::kDigit);
  result.port = slice(text, begin, end);
  if (!port_number(result.port)) return std::nullopt;
  return result;
}

std::optional<Uri> parse_uri(std::string_view text) noexcept {
  const auto colon = text.find(':');
  if (colon == std::string_view::npos || colon == 0) return std::nullopt;
  Uri uri;
  uri.scheme = scheme_of(slice(text, 0, colon));
  if (uri.scheme == Scheme::other) {
    uri.user = slice(without_params(text), colon + 1);
    return uri;
  }
  const auto begin = host_begin(text, colon + 1);
  if (begin != colon + 1) uri.user = slice(text, colon + 1, begin - 1);
  std::size_t size = 0;
  const auto host_port = parse_host_port(slice(text, begin), size);
  if (!host_port) return std::nullopt;
  uri.host_port = *host_port;
  const auto rest = slice(text, begin + size);
  if (!rest.empty() && rest.front() == ';') {
    uri.params = slice(rest, 1, std::min(rest.find('?'), rest.size()));
  } else if (!rest.empty() && rest.front() != '?') {
    return std::nullopt;
  }
  const auto transport = find_param(uri.params, "transport");
  const bool tls = uri.scheme == Scheme::sips || (transport && equals(transport->value, "tls"));
  if (tls) uri.default_port = kSipsPort;
  if (tls || (transport && !equals(transport->value, "udp"))) uri.protocol = nat::Protocol::tcp;
  return uri;
}

std::string_view without_params(std::string_view uri) noexcept {
  const auto colon = uri.find(':');
  if (colon == std::string_view::npos) return uri;
  const bool is_sip = scheme_of(slice(uri, 0, colon)) != Scheme::other;
  const auto from = is_sip ? host_begin(uri, colon + 1) : colon + 1;
  return slice(uri, 0, std::min(uri.find_first_of(";?", from), uri.size()));
}

}  // namespace pinhole::alg::sip
