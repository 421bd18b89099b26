// SPDX-License-Identifier: BSD-3-Clause
#include "alg/sip/host_token.hpp"

#include <algorithm>
#include <bit>

#include "alg/sip/chars.hpp"

namespace pinhole::alg::sip {

namespace {

constexpr std::string_view kTopLevel = ".invalid";
constexpr std::string_view kDiscarded = "100::";
constexpr std::size_t kWordDigits = 8;

void put_hex(std::uint32_t value, std::size_t digits, char*& to) noexcept {
  constexpr std::string_view kDigits = "0123456789abcdef";
  for (std::size_t i = digits; i-- > 0;) *to++ = kDigits[value >> (4 * i) & 0xfU];
}

// A number of hexadecimal digits in small letters, as they are written above.
std::optional<std::uint32_t> read_hex(std::string_view text) noexcept {
  std::uint32_t value = 0;
  for (const char c : text) {
    if (is(c, chars::kDigit)) {
      value = value << 4U | static_cast<std::uint32_t>(c - '0');
    } else if (c >= 'a' && c <= 'f') {
      value = value << 4U | static_cast<std::uint32_t>(c - 'a' + 10);
    } else {
      return std::nullopt;
    }
  }
  return value;
}

}  // namespace

HostTokens::HostTokens(const Key& key) noexcept {
  std::array<std::uint32_t, kRounds + 2> rest{key[1], key[2], key[3]};
  round_keys_[0] = key[0];
  for (std::uint32_t i = 0; i + 1 < kRounds; ++i) {
    rest[i + 3] = (round_keys_[i] + std::rotr(rest[i], 8)) ^ i;
    round_keys_[i + 1] = std::rotl(round_keys_[i], 3) ^ rest[i + 3];
  }
}

HostTokens::Block HostTokens::encrypt(Block block) const noexcept {
  for (const auto key : round_keys_) {
    block.high = (std::rotr(block.high, 8) + block.low) ^ key;
    block.low = std::rotl(block.low, 3) ^ block.high;
  }
  return block;
}

HostTokens::Block HostTokens::decrypt(Block block) const noexcept {
  for (std::size_t i = kRounds; i-- > 0;) {
    block.low = std::rotr(block.low ^ block.high, 3);
    block.high = std::rotl((block.high ^ round_keys_[i]) - block.low, 8);
  }
  return block;
}

HostTokenText HostTokens::name_of(HiddenHost host) const noexcept {
  const auto block = seal(host);
  HostTokenText token;
  char* to = token.text_.data();
  put_hex(block.high, kWordDigits, to);
  put_hex(block.low, kWordDigits, to);
  to = std::copy(kTopLevel.begin(), kTopLevel.end(), to);
  token.size_ = static_cast<std::uint8_t>(to - token.text_.data());
  return token;
}

HostTokenText HostTokens::ipv6_of(HiddenHost host) const noexcept {
  const auto block = seal(host);
  HostTokenText token;
  char* to = std::copy(kDiscarded.begin(), kDiscarded.end(), token.text_.data());
  put_hex(block.high >> 16U, 4, to);
  *to++ = ':';
  put_hex(block.high & 0xffffU, 4, to);
  *to++ = ':';
  const nat::EndpointText low(nat::Ipv4Address::from_host(block.low));
  to = std::copy(low.view().begin(), low.view().end(), to);
  token.size_ = static_cast<std::uint8_t>(to - token.text_.data());
  return token;
}

std::optional<HiddenHost> HostTokens::read_name(std::string_view token) const noexcept {
  if (token.size() != kNameSize || !token.ends_with(kTopLevel)) return std::nullopt;
  const auto high = read_hex(slice(token, 0, kWordDigits));
  const auto low = read_hex(slice(token, kWordDigits, 2 * kWordDigits));
  if (!high || !low) return std::nullopt;
  return unseal({*high, *low});
}

std::optional<HiddenHost> HostTokens::read_ipv6(std::string_view token) const noexcept {
  constexpr std::size_t kGroupsEnd = 15;  // "100::0123:4567:"
  if (token.size() <= kGroupsEnd || !token.starts_with(kDiscarded) || token[9] != ':' || token[14] != ':') {
    return std::nullopt;
  }
  const auto first = read_hex(slice(token, 5, 9));
  const auto second = read_hex(slice(token, 10, 14));
  const auto low = nat::Ipv4Address::parse(slice(token, kGroupsEnd));
  if (!first || !second || !low) return std::nullopt;
  return unseal({*first << 16U | *second, low->host()});
}

HostTokens::Block HostTokens::seal(HiddenHost host) const noexcept {
  return encrypt({host.address.host(), static_cast<std::uint8_t>(host.steps)});
}

// A block of another key, or of none, has something else in its second half, but for once in 2^24.
std::optional<HiddenHost> HostTokens::unseal(Block token) const noexcept {
  const auto block = decrypt(token);
  if (block.low == 0 || block.low > 0xFF) return std::nullopt;
  return HiddenHost{nat::Ipv4Address::from_host(block.high),
                    static_cast<std::int8_t>(static_cast<std::uint8_t>(block.low))};
}

}  // namespace pinhole::alg::sip
