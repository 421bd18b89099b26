// SPDX-License-Identifier: BSD-3-Clause
#include "alg/sip/uri.hpp"

#include <utility>

#include "alg/sip/chars.hpp"
#include "alg/sip/scan.hpp"
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

struct SchemeRead {
  Scheme scheme = Scheme::other;
  std::size_t end = 0;  // behind the colon; 0: there is no scheme
};

SchemeRead read_scheme(std::string_view text) noexcept {
  // Nearly every one is this.
  if (text.size() > 4 && text[3] == ':' && equals(slice(text, 0, 3), "sip")) return {Scheme::sip, 4};
  const auto colon = find_mark<':'>(text);
  if (colon == text.size() || colon == 0) return {};
  const auto name = slice(text, 0, colon);
  const auto scheme = equals(name, "sips") ? Scheme::sips : equals(name, "sip") ? Scheme::sip : Scheme::other;
  return {scheme, colon + 1};
}

// An IPv4 address at the beginning of a text, with no character of a host behind it. \return its size; 0:
// none
std::size_t read_ipv4(std::string_view text, std::optional<nat::Ipv4Address>& address) noexcept {
  nat::Ipv4Address value;
  const auto end = nat::Ipv4Address::read(text, value);
  if (end == 0 || (end < text.size() && is(text[end], chars::kHost))) return 0;
  address = value;
  return end;
}

// The digits of a port. \return the place after them; `begin` when there are none, or too large a number
std::size_t read_port(std::string_view text, std::size_t begin, std::uint16_t& port) noexcept {
  std::uint32_t number = 0;
  auto end = begin;
  for (; end < text.size() && is(text[end], chars::kDigit); ++end) {
    number = number * 10 + static_cast<unsigned>(text[end] - '0');
    if (number > 0xFFFF) return begin;
  }
  port = static_cast<std::uint16_t>(number);
  return end;
}

}  // namespace

std::size_t read_host_port(std::string_view text, HostPort& token) noexcept {
  std::size_t end = 0;
  if (!text.empty() && is(text.front(), chars::kDigit)) end = read_ipv4(text, token.address);
  if (end == 0 && !text.empty() && text.front() == '[') {
    const auto close = find_mark<']'>(text);
    if (close == text.size()) return 0;
    end = close + 1;
  } else if (end == 0) {
    end = skip(text, 0, chars::kHost);
  }
  if (end == 0) return 0;
  token.host = slice(text, 0, end);
  const auto colon = skip(text, end, chars::kSpace);
  if (colon == text.size() || text[colon] != ':') return end;
  const auto begin = skip(text, colon + 1, chars::kSpace);
  end = read_port(text, begin, token.number);
  token.port = slice(text, begin, end);
  return token.port.empty() ? 0 : end;
}

std::optional<HostPort> parse_host_port(std::string_view text, std::size_t& end) noexcept {
  std::optional<HostPort> token(std::in_place);
  end = read_host_port(text, *token);
  if (end == 0) token.reset();
  return token;
}

bool take_uri_apart(std::string_view text, Uri& uri) noexcept {
  const auto [scheme, after_scheme] = read_scheme(text);
  if (after_scheme == 0) return false;
  uri.scheme = scheme;
  if (scheme == Scheme::other) {
    uri.user = slice(without_params(text), after_scheme);
    return true;
  }
  const auto begin = host_begin(text, after_scheme);
  if (begin != after_scheme) uri.user = slice(text, after_scheme, begin - 1);
  const auto size = read_host_port(slice(text, begin), uri.host_port);
  if (size == 0) return false;
  auto rest = slice(text, begin + size);
  if (rest.empty()) return true;
  if (rest.front() == ';') {
    const auto end = find_mark<'?'>(rest);
    uri.params = slice(rest, 1, end);
    rest = slice(rest, end);
  }
  if (rest.empty()) return true;
  uri.headers = slice(rest, 1);
  return rest.front() == '?';
}

void read_params(Uri& uri) noexcept {
  std::string_view transport;
  if (!uri.params.empty()) {
    ParamReader params(uri.params);
    Param param;
    while (params.next(param)) {
      if (transport.empty() && equals(param.name, "transport")) transport = param.value;
      if (uri.maddr.empty() && equals(param.name, "maddr")) uri.maddr = param.value;
    }
  }
  const bool tls = uri.scheme == Scheme::sips || equals(transport, "tls");
  if (tls) uri.default_port = kSipsPort;
  if (tls || (!transport.empty() && !equals(transport, "udp"))) uri.protocol = nat::Protocol::tcp;
}

std::optional<Uri> parse_uri(std::string_view text) noexcept {
  std::optional<Uri> uri(std::in_place);
  if (!take_uri_apart(text, *uri)) {
    uri.reset();
  } else if (uri->scheme != Scheme::other) {
    read_params(*uri);
  }
  return uri;
}

std::string_view without_tail(std::string_view behind_scheme) noexcept {
  // As in host_begin(), but with one look.
  MarkScanner<'@', ';', '?'> marks(behind_scheme);
  const auto first = marks.next();
  for (auto at = first; at < behind_scheme.size(); at = marks.next()) {
    if (behind_scheme[at] != '@') continue;
    do at = marks.next();
    while (at < behind_scheme.size() && behind_scheme[at] == '@');
    return slice(behind_scheme, 0, at);
  }
  return slice(behind_scheme, 0, first);
}

std::string_view without_params(std::string_view uri) noexcept {
  const auto [scheme, after_scheme] = read_scheme(uri);
  if (after_scheme == 0) return uri;
  if (scheme == Scheme::other) return slice(uri, 0, find_mark<';', '?'>(uri, after_scheme));
  return slice(uri, 0, after_scheme + without_tail(slice(uri, after_scheme)).size());
}

}  // namespace pinhole::alg::sip
