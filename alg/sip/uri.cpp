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
  const auto at = find_mark<'@'>(text, after_scheme);
  return at == text.size() ? after_scheme : at + 1;
}

void read_params(Uri& uri) noexcept {
  std::string_view transport;
  ParamReader params(uri.params);
  while (const auto param = params.next()) {
    if (transport.empty() && equals(param->name, "transport")) transport = param->value;
    if (uri.maddr.empty() && equals(param->name, "maddr")) uri.maddr = param->value;
  }
  const bool tls = uri.scheme == Scheme::sips || equals(transport, "tls");
  if (tls) uri.default_port = kSipsPort;
  if (tls || (!transport.empty() && !equals(transport, "udp"))) uri.protocol = nat::Protocol::tcp;
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
    const auto close = find_mark<']'>(text);
    if (close == text.size()) return std::nullopt;
    end = close + 1;
  } else {
    end = skip(text, 0, chars::kHost);
  }
  if (end == 0) return std::nullopt;
  result.host = slice(text, 0, end);
  if (is(result.host.front(), chars::kDigit)) result.address = nat::Ipv4Address::parse(result.host);
  const auto colon = skip(text, end, chars::kSpace);
  if (colon == text.size() || text[colon] != ':') return result;
  const auto begin = skip(text, colon + 1, chars::kSpace);
  end = skip(text, begin, chars::kDigit);
  result.port = slice(text, begin, end);
  if (!port_number(result.port)) return std::nullopt;
  return result;
}

std::optional<Uri> parse_uri(std::string_view text) noexcept {
  const auto colon = find_mark<':'>(text);
  if (colon == text.size() || colon == 0) return std::nullopt;
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
  auto rest = slice(text, begin + size);
  if (!rest.empty() && rest.front() == ';') {
    const auto end = find_mark<'?'>(rest);
    uri.params = slice(rest, 1, end);
    rest = slice(rest, end);
  }
  if (!rest.empty()) {
    if (rest.front() != '?') return std::nullopt;
    uri.headers = slice(rest, 1);
  }
  read_params(uri);
  return uri;
}

std::string_view without_params(std::string_view uri) noexcept {
  const auto colon = find_mark<':'>(uri);
  if (colon == uri.size()) return uri;
  const bool is_sip = scheme_of(slice(uri, 0, colon)) != Scheme::other;
  const auto from = is_sip ? host_begin(uri, colon + 1) : colon + 1;
  return slice(uri, 0, find_mark<';', '?'>(uri, from));
}

}  // namespace pinhole::alg::sip
