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
    const char* const begin = at;
    std::uint32_t value = 0;
    for (; at != end && at - begin < 3 && *at >= '0' && *at <= '9'; ++at) {
      value = value * 10 + static_cast<unsigned>(*at - '0');
    }
    const bool leading_zero = at - begin > 1 && *begin == '0';
    if (at == begin || leading_zero || value > 255) return std::nullopt;
    address = address << 8U | value;
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
  append(endpoint.port.host());
}

void EndpointText::append(Ipv4Address address) noexcept {
  for (unsigned octet = 4; octet-- > 0;) {
    append(address.host() >> (8 * octet) & 0xffU);
    if (octet > 0) text_[size_++] = '.';
  }
}

void EndpointText::append(std::uint32_t number) noexcept {
  const unsigned digits = number < 10 ? 1 : number < 100 ? 2 : number < 1000 ? 3 : number < 10'000 ? 4 : 5;
  size_ = static_cast<std::uint8_t>(size_ + digits);
  for (unsigned i = 1; i <= digits; ++i, number /= 10) {
    text_[size_ - i] = static_cast<char>('0' + number % 10);
  }
}

}  // namespace pinhole::nat
