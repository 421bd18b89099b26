// SPDX-License-Identifier: BSD-3-Clause
#pragma once
// Inside addresses as what can be told outside: a keyed permutation of the address, written as the name of a
// host that does not exist (RFC 6761 section 6.4), or as an IPv6 address that nobody has (RFC 6666).
// Invariant: whoever has the key reads the address back out of the token, and nobody else can make one;
// nothing is remembered. Only what is written exactly as here is a token, so that what is read is written
// alike.
//
// Tokens count. What leaves takes one step and what comes in takes it back, so that whatever text stands
// where hosts are hidden, each side has one of its own for it: an inside address leaves as its token 1. Were
// that all, a token that an inside host wrote itself would leave as it is and come back as the address, and
// an inside address that somebody outside wrote (his own network may have the same ones) would be answered
// by a token that he does not know. So the former leaves as token 2, and the latter comes in as token -1.

#include <array>
#include <cstdint>
#include <optional>
#include <string_view>

#include "alg/alg.hpp"
#include "nat/endpoint.hpp"

namespace pinhole::alg::sip {

/// An inside address and how far from the inside it is.
struct HiddenHost {
  nat::Ipv4Address address;
  std::int8_t steps = 0;  // how often it left, less how often it came in; 0: the address itself

  [[nodiscard]] HiddenHost beyond(Direction direction) const noexcept {
    // 256 steps are a circle: no text is without one for the other side.
    const int after = direction == Direction::outbound ? steps + 1 : steps - 1;
    return {address, static_cast<std::int8_t>(static_cast<std::uint8_t>(after))};
  }
  friend constexpr bool operator==(HiddenHost, HiddenHost) noexcept = default;
};

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
  [[nodiscard]] HostTokenText name_of(HiddenHost host) const noexcept;
  /// "100::0123:4567:192.0.2.1"
  [[nodiscard]] HostTokenText ipv6_of(HiddenHost host) const noexcept;
  /// Of a name, or an IPv6 address, that was made with this key. \return none for any other text
  [[nodiscard]] std::optional<HiddenHost> read_name(std::string_view token) const noexcept;
  [[nodiscard]] std::optional<HiddenHost> read_ipv6(std::string_view token) const noexcept;

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
  [[nodiscard]] Block seal(HiddenHost host) const noexcept;
  [[nodiscard]] std::optional<HiddenHost> unseal(Block token) const noexcept;

  static constexpr unsigned kRounds = 27;
  std::array<std::uint32_t, kRounds> round_keys_;
};

}  // namespace pinhole::alg::sip
