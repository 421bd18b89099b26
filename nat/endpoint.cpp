// SPDX-License-Identifier: BSD-3-Clause
#include "nat/endpoint.hpp"

#include <charconv>

namespace pinhole::nat {

std::string_view name(Protocol protocol) noexcept {
  switch (protocol) {
    case Protocol::udp:
      return "udp";
    case Protocol::tcp:
      return "tcp";
    case Protocol::icmp:
      return "icmp";
  }
  return "?";
}

std::optional<Ipv4Address> Ipv4Address::parse(std::string_view text) noexcept {
  std::uint32_t address = 0;
  const char* at = text.data();
  const char* const end = at + text.size();
  for (int octet = 0; octet < 4; ++octet) {
    if (octet > 0 && (at == end || *at++ != '.')) return std::nullopt;
    std::uint8_t value = 0;
    const auto [next, error] = std::from_chars(at, end, value);
    const bool leading_zero = next - at > 1 && *at == '0';
    if (error != std::errc{} || leading_zero) return std::nullopt;
    address = address << 8U | value;
    at = next;
  }
  if (at != end) return std::nullopt;
  return from_host(address);
}

std::optional<Prefix> Prefix::parse(std::string_view text) noexcept {
  const auto slash = text.find('/');
  const auto address = Ipv4Address::parse(text.substr(0, slash));
  if (!address) return std::nullopt;
  std::uint8_t length = 32;
  if (slash != std::string_view::npos) {
    const char* const begin = text.data() + slash + 1;
    const char* const end = text.data() + text.size();
    const auto [next, error] = std::from_chars(begin, end, length);
    if (error != std::errc{} || next != end || length > 32) return std::nullopt;
  }
  return Prefix{*address, length};
}

EndpointText::EndpointText(Ipv4Address address) noexcept {
  append(address);
}

EndpointText::EndpointText(Endpoint endpoint) noexcept {
  append(endpoint.address);
  text_[size_++] = ':';
  const auto result = std::to_chars(text_.data() + size_, text_.data() + text_.size(), endpoint.port.host());
  size_ = static_cast<std::uint8_t>(result.ptr - text_.data());
}

void EndpointText::append(Ipv4Address address) noexcept {
  for (int octet = 3; octet >= 0; --octet) {
    const auto value = static_cast<std::uint8_t>(address.host() >> (8 * octet));
    const auto result = std::to_chars(text_.data() + size_, text_.data() + text_.size(), value);
    size_ = static_cast<std::uint8_t>(result.ptr - text_.data());
    if (octet > 0) text_[size_++] = '.';
  }
}

}  // namespace pinhole::nat
