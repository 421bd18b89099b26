// SPDX-License-Identifier: BSD-3-Clause
#include "nat/endpoint.hpp"

#include <charconv>
#include <cstring>

namespace pinhole::nat {

namespace {

// An octet as it is written, with the dot behind it: up to four characters, stored as one word.
struct OctetText {
  std::array<char, 4> text{};
  std::uint8_t size = 0;
};
constexpr auto kOctets = [] {
  std::array<OctetText, 256> octets;
  for (unsigned value = 0; value < octets.size(); ++value) {
    auto& octet = octets[value];
    if (value >= 100) octet.text[octet.size++] = static_cast<char>('0' + value / 100);
    if (value >= 10) octet.text[octet.size++] = static_cast<char>('0' + value / 10 % 10);
    octet.text[octet.size++] = static_cast<char>('0' + value % 10);
    octet.text[octet.size++] = '.';
  }
  return octets;
}();

// "00" to "99"
constexpr auto kPairsOfDigits = [] {
  std::array<std::array<char, 2>, 100> pairs{};
  for (unsigned value = 0; value < pairs.size(); ++value)
    pairs[value] = {static_cast<char>('0' + value / 10), static_cast<char>('0' + value % 10)};
  return pairs;
}();

struct Digits {
  std::uint32_t value = 0;
  unsigned count = 0;  // 0: they are no octet
};

// Up to three digits. Without a loop: how many there are is as good as random.
[[gnu::always_inline]] inline Digits read_octet(const char* at, const char* end) noexcept {
  const auto digit = [&](std::ptrdiff_t i) noexcept {
    return i < end - at ? static_cast<std::uint32_t>(at[i]) - '0' : 10U;
  };
  const auto first = digit(0);
  if (first > 9) return {};
  const auto second = digit(1);
  if (second > 9) return {first, 1};
  if (first == 0) return {};
  const auto third = digit(2);
  if (third > 9) return {first * 10 + second, 2};
  const auto value = first * 100 + second * 10 + third;
  return value > 255 ? Digits{} : Digits{value, 3};
}

}  // namespace

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

std::size_t Ipv4Address::read(std::string_view text, Ipv4Address& address) noexcept {
  std::uint32_t value = 0;
  const char* at = text.data();
  const char* const end = at + text.size();
  for (int octet = 0; octet < 4; ++octet) {
    if (octet > 0 && (at == end || *at++ != '.')) return 0;
    const Digits digits = read_octet(at, end);
    if (digits.count == 0) return 0;
    value = value << 8U | digits.value;
    at += digits.count;
  }
  address = from_host(value);
  return static_cast<std::size_t>(at - text.data());
}

std::optional<Ipv4Address> Ipv4Address::parse(std::string_view text) noexcept {
  Ipv4Address address;
  const auto size = read(text, address);
  if (size == 0 || size != text.size()) return std::nullopt;
  return address;
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
  append(endpoint.port);
}

void EndpointText::append(Ipv4Address address) noexcept {
  std::size_t size = size_;
  for (unsigned octet = 4; octet-- > 0;) {
    const auto& written = kOctets[address.host() >> (8 * octet) & 0xffU];
    std::memcpy(text_.data() + size, written.text.data(), written.text.size());
    size += written.size;
  }
  size_ = static_cast<std::uint8_t>(size - 1);  // without the last dot
}

void EndpointText::append(Be16 port) noexcept {
  std::uint32_t number = port.host();
  const unsigned digits = number < 10 ? 1 : number < 100 ? 2 : number < 1000 ? 3 : number < 10'000 ? 4 : 5;
  size_ = static_cast<std::uint8_t>(size_ + digits);
  char* end = text_.data() + size_;
  for (; number >= 10; number /= 100) {
    end -= 2;
    std::memcpy(end, kPairsOfDigits[number % 100].data(), 2);
  }
  if (digits % 2 == 1) end[-1] = static_cast<char>('0' + number);
}

}  // namespace pinhole::nat
