// SPDX-License-Identifier: BSD-3-Clause
#pragma once
// Inside addresses as what can be told outside: a keyed permutation of the address, written as the name of a
// host that does not exist (RFC 6761 section 6.4), or as an IPv6 address that nobody has (RFC 6666).
// Invariant: whoever has the key reads the address back out of the token, and nobody else can make one;
// nothing is remembered.

#include <array>
#include <cstdint>
#include <optional>
#include <string_view>

#include "nat/endpoint.hpp"

namespace pinhole::alg::sip {

/// A token as text; view() is valid as long as the object.
class HostTokenText {
 public:
  [[nodiscard]] std::string_view view() const noexcept { return {text_.data(), size_}; }

 private:
  friend class HostTokens;
  std::array<char, 32> text_;  // "100::0123:4567:255.255.255.255" is 30
  std::uint8_t size_ = 0;
};

class HostTokens {
 public:
  using Key = std::array<std::uint32_t, 4>;

  HostTokens() noexcept : HostTokens(Key{}) {}
  explicit HostTokens(const Key& key) noexcept;

  /// "0123456789abcdef.invalid"
  [[nodiscard]] HostTokenText name_of(nat::Ipv4Address address) const noexcept;
  /// "100::0123:4567:192.0.2.1"
  [[nodiscard]] HostTokenText ipv6_of(nat::Ipv4Address address) const noexcept;
  /// Of a name or IPv6 address that was made with this key. \return none for any other text
  [[nodiscard]] std::optional<nat::Ipv4Address> read(std::string_view token) const noexcept;

  /// How long a name is.
  static constexpr std::size_t kNameSize = 24;

  /// Source: the block cipher SPECK with blocks of 64 and keys of 128 bits (Beaulieu and others, 2013), as 27
  /// rounds on two halves: small, without tables, and enough for what is no secret of great worth.
  struct Block {
    std::uint32_t high = 0;
    std::uint32_t low = 0;
    friend constexpr bool operator==(Block, Block) noexcept = default;
  };
  [[nodiscard]] Block encrypt(Block block) const noexcept;
  [[nodiscard]] Block decrypt(Block block) const noexcept;

 private:
  [[nodiscard]] std::optional<nat::Ipv4Address> address_of(Block token) const noexcept;

  static constexpr unsigned kRounds = 27;
  std::array<std::uint32_t, kRounds> round_keys_;
};

}  // namespace pinhole::alg::sip
