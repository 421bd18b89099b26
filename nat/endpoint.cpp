// SPDX-License-Identifier: BSD-3-Clause
#include "nat/endpoint.hpp"

#include <array>
#include <bit>
#include <charconv>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "nat/dotted_quad.hpp"

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

// "00" to "99", the first digit in the lower byte.
constexpr auto kPairsOfDigits = [] {
  std::array<std::uint16_t, 100> pairs{};
  for (unsigned value = 0; value < pairs.size(); ++value)
    pairs[value] = static_cast<std::uint16_t>(('0' + value / 10) | ('0' + value % 10) << 8U);
  return pairs;
}();

// A port in decimal. Without a branch: how many digits it has is as good as random.
// \param to room for kPortRoom bytes; those behind the digits become zero \return how many digits
constexpr std::size_t kPortRoom = 8;
unsigned write_port(char* to, std::uint32_t port) noexcept {
  static_assert(std::endian::native == std::endian::little);
  const std::uint32_t hundreds = port / 100;
  const std::uint64_t first = '0' + hundreds / 100;
  const std::uint64_t second = kPairsOfDigits[hundreds % 100];
  const std::uint64_t third = kPairsOfDigits[port % 100];
  const std::uint64_t five_digits = first | second << 8U | third << 24U;
  // The first digit is in the lowest byte, so that zeros in front are counted from below; the last one stays.
  constexpr std::uint64_t kZeros = 0x30'3030'3030;
  constexpr std::uint64_t kLast = std::uint64_t{1} << 32U;
  const auto zero_bits = static_cast<unsigned>(std::countr_zero((five_digits ^ kZeros) | kLast)) & ~7U;
  const std::uint64_t text = five_digits >> zero_bits;
  std::memcpy(to, &text, sizeof text);
  return 5 - zero_bits / 8;
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
  const auto [raw, size] = dotted_quad::read(text);
  if (size > 0) address = {Be32::from_raw(raw)};
  return size;
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
  static_assert(sizeof text_ >= sizeof "255.255.255.255:" - 1 + kPortRoom);
  size_ = static_cast<std::uint8_t>(size_ + write_port(text_.data() + size_, port.host()));
}

}  // namespace pinhole::nat
