// SPDX-License-Identifier: BSD-3-Clause
#include "alg/sip/values.hpp"

#include <utility>

#include "alg/sip/chars.hpp"

namespace pinhole::alg::sip {

std::optional<Param> find_param(std::string_view params, std::string_view lower_case_name) noexcept {
  ParamReader reader(params);
  Param param;
  while (reader.next(param)) {
    if (equals(param.name, lower_case_name)) return param;
  }
  return std::nullopt;
}

namespace {

// Where the "<" of a URI stands; item.size() when there is none. Outside of quotes a display name has neither
// of "<" and ":", so the first "<" begins the URI.
std::size_t find_bracket(std::string_view item) noexcept {
  if (!item.empty() && item.front() == '<') return 0;
  MarkScanner<'<', '"', '\\'> marks(item);
  auto open = marks.next();
  while (open < item.size() && item[open] != '<') {
    if (item[open] == '"') marks.skip_quoted();
    open = marks.next();
  }
  return open;
}

// "sip:" is what it mostly is.
bool has_scheme(std::string_view uri) noexcept {
  return (uri.size() > 3 && uri[3] == ':') || find_mark<':'>(uri) < uri.size();
}

}  // namespace

bool read_name_addr(std::string_view item, NameAddr& address) noexcept {
  const auto open = find_bracket(item);
  std::string_view rest;
  if (open < item.size()) {
    const auto close = find_mark<'>'>(item, open);
    if (close == item.size()) return false;
    address.uri = trim(slice(item, open + 1, close));
    rest = slice(item, close + 1);
  } else {
    const auto end = find_mark<';', ' ', '\t', '\r', '\n', '"'>(item);
    address.uri = slice(item, 0, end);
    rest = slice(item, end);
  }
  if (!rest.empty()) {
    rest = trim(rest);
    if (!rest.empty() && rest.front() == ';') address.params = slice(rest, 1);
  }
  return has_scheme(address.uri);
}

std::string_view first_uri(std::string_view list) noexcept {
  if (!list.empty() && list.front() == '<') [[likely]] {
    const auto close = find_mark<'>'>(list);
    if (close == list.size()) return {};
    const auto uri = trim(slice(list, 1, close));
    return has_scheme(uri) ? uri : std::string_view{};
  }
  NameAddr address;
  const auto item = ListReader(list).next();
  return item && read_name_addr(*item, address) ? address.uri : std::string_view{};
}

std::optional<NameAddr> parse_name_addr(std::string_view item) noexcept {
  std::optional<NameAddr> address(std::in_place);
  if (!read_name_addr(item, *address)) address.reset();
  return address;
}

namespace {

struct SentProtocol {
  std::string_view transport;
  std::size_t end = 0;  // with the white space behind it
};

// Three tokens with slashes between them, the last one the transport.
std::optional<SentProtocol> read_sent_protocol(std::string_view item) noexcept {
  constexpr std::string_view kUsual = "SIP/2.0/UDP ";
  if (item.starts_with(kUsual)) {
    return SentProtocol{slice(item, kUsual.size() - 4, kUsual.size() - 1),
                        skip(item, kUsual.size(), chars::kSpace)};
  }
  std::size_t at = 0;
  std::string_view transport;
  for (int part = 0; part < 3; ++part) {
    if (part > 0) {
      at = skip(item, at, chars::kSpace);
      if (at == item.size() || item[at] != '/') return std::nullopt;
      ++at;
    }
    at = skip(item, at, chars::kSpace);
    const auto end = skip(item, at, chars::kToken);
    if (end == at) return std::nullopt;
    transport = slice(item, at, end);
    at = end;
  }
  const auto end = skip(item, at, chars::kSpace);
  if (end == at) return std::nullopt;
  return SentProtocol{transport, end};
}

}  // namespace

bool read_via(std::string_view item, Via& via) noexcept {
  const auto protocol = read_sent_protocol(item);
  if (!protocol) return false;
  const auto& [transport, begin] = *protocol;
  if (!equals(transport, "udp")) via.protocol = nat::Protocol::tcp;
  if (equals(transport, "tls")) via.default_port = kSipsPort;
  const auto size = read_host_port(slice(item, begin), via.sent_by);
  if (size == 0) return false;
  const auto semicolon = skip(item, begin + size, chars::kSpace);
  if (semicolon == item.size()) return true;
  if (item[semicolon] != ';') return false;
  ParamReader params(slice(item, semicolon + 1));
  Param param;
  while (params.next(param)) {
    if (equals(param.name, "received")) via.received = param.value;
    if (equals(param.name, "rport")) via.rport = param.value;
    if (equals(param.name, "maddr")) via.maddr = param.value;
  }
  return true;
}

std::optional<Via> parse_via(std::string_view item) noexcept {
  std::optional<Via> via(std::in_place);
  if (!read_via(item, *via)) via.reset();
  return via;
}

std::optional<CSeq> parse_cseq(std::string_view value) noexcept {
  const auto digits_end = skip(value, 0, chars::kDigit);
  const auto count = number(slice(value, 0, digits_end));
  const auto method_begin = skip(value, digits_end, chars::kSpace);
  if (!count || method_begin == digits_end) return std::nullopt;
  const auto method = slice(value, method_begin);
  if (method.empty() || skip(method, 0, chars::kToken) != method.size()) return std::nullopt;
  return CSeq{*count, method};
}

}  // namespace pinhole::alg::sip
