// SPDX-License-Identifier: BSD-3-Clause
#include "alg/ftp/data_endpoint.hpp"

#include "alg/sip/chars.hpp"
#include "nat/endpoint.hpp"

namespace pinhole::alg::ftp {

namespace {

using sip::slice;

constexpr std::uint32_t kMaxByte = 255;
constexpr unsigned kNumbers = 6;

/// Six numbers from here on. \return none unless all are there, each of a byte
std::optional<Written> numbers_at(std::string_view text, std::size_t begin) noexcept {
  std::uint64_t value = 0;
  std::size_t at = begin;
  for (unsigned i = 0; i < kNumbers; ++i) {
    if (i > 0 && (at == text.size() || text[at++] != ',')) return std::nullopt;
    const auto end = sip::skip(text, at, sip::chars::kDigit);
    const auto number = sip::number(slice(text, at, end), kMaxByte);
    if (!number) return std::nullopt;
    value = value << 8U | *number;
    at = end;
  }
  return Written{.endpoint = {.address = static_cast<std::uint32_t>(value >> 16U),
                              .port = static_cast<std::uint16_t>(value),
                              .unused = 0},
                 .begin = begin,
                 .end = at};
}

/// What stands up to the next delimiter. \param at  moved behind it
std::optional<std::string_view> field(std::string_view text, std::size_t& at, char delimiter) noexcept {
  const auto end = text.find(delimiter, at);
  if (end == std::string_view::npos) return std::nullopt;
  const auto value = slice(text, at, end);
  at = end + 1;
  return value;
}

/// RFC 2428 section 2: a printable character; a digit would be one of the port.
constexpr bool is_delimiter(char c) noexcept {
  return c > ' ' && c < '\x7F' && !sip::is(c, sip::chars::kDigit);
}

}  // namespace

std::optional<pinhole_endpoint> read_port(std::string_view argument) noexcept {
  const auto found = numbers_at(argument, 0);
  if (!found || found->end != argument.size()) return std::nullopt;
  return found->endpoint;
}

std::optional<Written> find_numbers(std::string_view text) noexcept {
  for (std::size_t at = 0; at < text.size();) {
    at = sip::skip_to(text, at, sip::chars::kDigit);
    if (const auto found = numbers_at(text, at)) return found;
    at = sip::skip(text, at, sip::chars::kDigit);
  }
  return std::nullopt;
}

void write_numbers(EndpointLine& line, const pinhole_endpoint& endpoint) noexcept {
  for (unsigned shift = 32; shift > 0; shift -= 8) {
    line.number(endpoint.address >> (shift - 8) & kMaxByte).text(",");
  }
  line.number(endpoint.port >> 8U).text(",").number(endpoint.port & kMaxByte);
}

std::optional<ExtendedPort> read_extended_port(std::string_view argument) noexcept {
  if (argument.empty() || !is_delimiter(argument.front())) return std::nullopt;
  std::size_t at = 1;
  const auto family = field(argument, at, argument.front());
  const auto address = field(argument, at, argument.front());
  const auto port = field(argument, at, argument.front());
  if (!port || at != argument.size()) return std::nullopt;
  if (*family != "1") return ExtendedPort{};
  const auto ipv4 = nat::Ipv4Address::parse(*address);
  const auto number = sip::port_number(*port);
  if (!ipv4 || !number) return std::nullopt;
  return ExtendedPort{.is_ipv4 = true, .endpoint = {.address = ipv4->host(), .port = *number, .unused = 0}};
}

void write_extended_port(EndpointLine& line, const pinhole_endpoint& endpoint) noexcept {
  line.text("|1|")
      .address(nat::Ipv4Address::from_host(endpoint.address))
      .text("|")
      .number(endpoint.port)
      .text("|");
}

std::optional<Written> find_extended(std::string_view text) noexcept {
  constexpr std::size_t kDelimiters = 3;
  for (auto at = text.find('('); at != std::string_view::npos; at = text.find('(', at + 1)) {
    const auto begin = at + 1 + kDelimiters;
    if (begin >= text.size() || !is_delimiter(text[at + 1])) continue;
    const char delimiter = text[at + 1];
    if (text[at + 2] != delimiter || text[at + 3] != delimiter) continue;
    const auto end = sip::skip(text, begin, sip::chars::kDigit);
    const auto number = sip::port_number(slice(text, begin, end));
    if (!number || end + 1 >= text.size() || text[end] != delimiter || text[end + 1] != ')') continue;
    return Written{.endpoint = {.address = 0, .port = *number, .unused = 0}, .begin = begin, .end = end};
  }
  return std::nullopt;
}

}  // namespace pinhole::alg::ftp
